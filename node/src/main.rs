//! `carat-node`: starts a validator, or checks that it could start.

use std::path::PathBuf;
use std::process::ExitCode;

use carat_node::settings::{LogFormat, LogSettings, Settings};
use carat_node::{Home, Node, NodeError};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Blocks are made of many small pieces that several threads free: the allocator of the C library costs a third of what the
/// ledger does (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A validator of a Carat settlement chain.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the validator until SIGTERM or SIGINT
    Run {
        /// Home folder with node.toml
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
    },
    /// Throw the history away and build it again from the blocks; the validator must be stopped
    RebuildHistory {
        /// Home folder with node.toml
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
    },
    /// Check settings, genesis file, keys, journal and store without starting; exit code 0 if all fit
    Check {
        /// Home folder with node.toml
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { home } => finish(run(&home)),
        Command::RebuildHistory { home } => finish(rebuild_history(&home)),
        Command::Check { home } => finish(check(&home)),
    }
}

fn finish(outcome: Result<(), NodeError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a failed start, also where there is no log yet")]
fn complain(error: &NodeError) {
    eprintln!("carat-node: {error}");
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn check(home: &std::path::Path) -> Result<(), NodeError> {
    let settings = Settings::effective(home)?;
    let home = Home::read(home)?;
    let https = home.https()?;
    let (_journal, records, store) = home.open()?;
    let tip = store.tip();
    store.state_tree()?;
    println!("settings     valid, validator {}", home.settings().validator.index);
    for setting in &settings {
        println!("  {:<34} {:<28} {}", setting.key, setting.value, setting.origin);
    }
    println!("chain        {}", home.genesis().chain_id);
    println!("keys         three, as the genesis file lists them, readable by their owner alone");
    if let Some((listen, _)) = https {
        println!("tls          at {listen}, certificate and key fit");
    }
    println!("journal      {} records", records.len());
    println!("store        block {}, header {}, state root verified", tip.slot, tip.header);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn rebuild_history(home: &std::path::Path) -> Result<(), NodeError> {
    let home = Home::read(home)?;
    start_log(&home.settings().log);
    let rebuilt = home.rebuild_history()?;
    let (blocks, rows, seconds) = (rebuilt.blocks, rebuilt.rows, rebuilt.seconds);
    println!("history      {blocks} blocks indexed, {rows} rows, {seconds:.1} s");
    Ok(())
}

fn run(home: &std::path::Path) -> Result<(), NodeError> {
    let home = Home::read(home)?;
    start_log(&home.settings().log);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run_until_signal(home));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

async fn run_until_signal(home: Home) -> Result<(), NodeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let settings = home.settings().clone();
    let mut node = Node::start(home).await?;
    tracing::info!(
        replica = settings.validator.index,
        network = %settings.network.listen,
        api = %settings.api.listen,
        metrics = %settings.metrics.listen,
        "validator started"
    );
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        failure = node.failed() => {
            tracing::error!(error = %failure, "a part failed: stopping at once");
            return Err(failure);
        }
    }
    tokio::select! {
        stopped = node.stop() => {
            stopped?;
            tracing::info!("stopped");
        }
        // The second signal does not wait. Nothing is lost by that: kill -9 is safe at any time.
        _ = terminate.recv() => tracing::warn!("second SIGTERM: stopping at once"),
        _ = interrupt.recv() => tracing::warn!("second SIGINT: stopping at once"),
    }
    Ok(())
}

fn start_log(settings: &LogSettings) {
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.with_ansi(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("a log is there already");
    }
}
