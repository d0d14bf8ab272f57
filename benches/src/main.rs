//! `carat-bench`: payments a second and their latency, against a running network.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use carat_benches::load::Plan;
use carat_benches::report::Report;
use carat_benches::{accounts, load};
use carat_client::client::Client;
use carat_client::network::Network;
use carat_client::rest::Rest;
use clap::Parser;

/// Sends pre-signed payments of an issued asset to a running test network and measures what settles.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Folder of the network, as carat-genesis wrote it
    #[arg(long, env = "CARAT_NETWORK")]
    network: PathBuf,
    /// Seconds to send, the warm-up among them
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// Seconds at the beginning that are not counted
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Payments a second in all, or "max" for a closed loop with one payment of each account under way
    #[arg(long, default_value = "max")]
    rate: String,
    /// Paying accounts
    #[arg(long, default_value_t = 500)]
    accounts: usize,
    /// Payments signed beforehand for each account
    #[arg(long, default_value_t = 1_000)]
    payments: usize,
    /// Name of the run; another name makes other accounts
    #[arg(long, default_value = "first")]
    run: String,
    /// Also write the results as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[expect(clippy::print_stderr, reason = "the last word of a failed run")]
fn main() -> ExitCode {
    let outcome =
        tokio::runtime::Runtime::new().context("a runtime").and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("carat-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the results")]
async fn run() -> Result<()> {
    let arguments = Arguments::parse();
    let rate = match arguments.rate.as_str() {
        "max" => None,
        number => Some(number.parse().context("--rate takes a number or max")?),
    };
    let plan = Plan {
        duration: Duration::from_secs(arguments.duration),
        warm_up: Duration::from_secs(arguments.warm_up),
        rate,
    };
    let network = Network::load(&arguments.network)?;
    let pool = Rest::pool()?;
    let nodes: Vec<Rest> = network.nodes.iter().map(|node| Rest::new(&node.api, pool.clone())).collect();
    let pids = pids(&network)?;
    let client = Client::new(network)?;
    let payers = accounts::prepare(&client, arguments.accounts, arguments.payments, &arguments.run).await?;
    let before = cpu_seconds(&pids);
    let measured = load::run(&nodes, payers, plan).await?;
    let cpu = cpu_seconds(&pids) - before;
    let report = Report::new(nodes.len(), arguments.accounts, &plan, measured, cpu);
    let json = serde_json::to_string_pretty(&report)?;
    println!("{json}");
    if let Some(path) = arguments.json {
        std::fs::write(&path, json).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Process ids of the validators and of this process.
fn pids(network: &Network) -> Result<Vec<i32>> {
    let processes = carat_client::processes::Processes::new(network)?;
    let own = i32::try_from(std::process::id()).ok();
    Ok(network.nodes.iter().filter_map(|node| processes.pid(node)).chain(own).collect())
}

/// Processor seconds used so far, from the process table; user and system, fields 14 and 15.
fn cpu_seconds(pids: &[i32]) -> f64 {
    /// Ticks of the process table, fixed at 100 a second on Linux.
    const TICKS: f64 = 100.0;
    let of = |pid: &i32| -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        Some((ticks(11)? + ticks(12)?) / TICKS)
    };
    pids.iter().filter_map(of).sum()
}
