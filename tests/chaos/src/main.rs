//! `carat-chaos`: kills real validators while banks pay, and checks that nothing was lost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result};
use carat_chaos::bank::{Bank, Shared, address};
use carat_chaos::cluster::Cluster;
use carat_chaos::nemesis::{Death, Done, Nemesis};
use carat_chaos::report::{Recovery, Report};
use carat_chaos::{audit, power};
use clap::Parser;

/// Kills validators while banks pay; ends with kills=N lost=0 duplicated=0 forked=0 and exit code 0, or with 1.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Validators to kill with SIGKILL, counted one by one
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Validators to kill with the power of their disk; needs root and loop devices
    #[arg(long, default_value_t = 0)]
    power_cuts: usize,
    /// Number of validators: 1, or 4 and more
    #[arg(long, default_value_t = 4)]
    validators: u16,
    /// Accounts that pay
    #[arg(long, default_value_t = 8)]
    accounts: usize,
    /// Seed of victims, weather and payments
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// No faults between the validators, only deaths
    #[arg(long)]
    calm: bool,
    /// Folder for everything; must not exist
    #[arg(long, default_value = ".run/chaos")]
    folder: PathBuf,
    /// Write the results to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(report) => {
            say(&report.lines());
            say(&report.verdict());
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(&format!(
                "{error:#} (hint: the validators' logs are in {}/net/run)",
                arguments.folder.display()
            ));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Report> {
    let began = Instant::now();
    std::fs::create_dir_all(arguments.folder.parent().context("a folder")?)?;
    std::fs::create_dir(&arguments.folder)
        .with_context(|| format!("{} must not exist yet", arguments.folder.display()))?;
    let mut power_cuts = arguments.power_cuts;
    if power_cuts > 0
        && let Some(reason) = power::unavailable(&arguments.folder).await
    {
        complain(&format!("SKIP power cuts: {reason}"));
        power_cuts = 0;
    }
    let cluster =
        Cluster::start(&arguments.folder, arguments.validators, power_cuts > 0, arguments.seed).await?;
    let client = cluster.client()?;
    let bank = Bank::open(&client, arguments.accounts, arguments.seed).await?;
    let mut opening = Vec::new();
    for key in &bank.keys {
        opening.push(client.load_account(&address(key)).await?.sequence);
    }
    let opened = audit::newest(&cluster).await?;

    let shared = Arc::new(Shared::new());
    let mut tellers = bank.start(&client, &shared, arguments.seed);
    let mut nemesis = Nemesis::new(arguments.seed, !arguments.calm);
    let mut done = Done::default();
    for (death, count) in [(Death::Kill, arguments.kills), (Death::PowerCut, power_cuts)] {
        nemesis.rounds(&cluster, &shared, death, count, &mut done).await?;
    }
    cluster.await_all_ready().await?;
    shared.closing.store(true, Ordering::Relaxed);
    while let Some(teller) = tellers.join_next().await {
        teller??;
    }

    let agreed = audit::compare(&cluster, &bank, opened, &shared.history.told()).await?;
    cluster.stop().await?;
    let report = Report {
        seed: arguments.seed,
        validators: arguments.validators,
        kills: done.kills,
        power_cuts: done.power_cuts,
        rounds: done.rounds,
        blackouts: done.blackouts,
        acknowledged: shared.acknowledged.load(Ordering::Relaxed),
        unresolved: shared.unresolved.load(Ordering::Relaxed),
        reads: shared.history.len().1,
        ledgers: agreed.ledgers,
        datagrams: cluster.relay.faults.counts(),
        recovery_ms: Recovery::of(&done),
        forked: agreed.forked,
        findings: shared.history.judge(&agreed.committed, &opening),
        seconds: began.elapsed().as_secs(),
    };
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(report)
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "what went wrong")]
fn complain(text: &str) {
    eprintln!("{text}");
}
