//! `carat-node`: starts a validator, a proposer of an edge network, or a node that follows, or checks that it could start.

mod archive_commands;
mod backup_commands;
mod check;
mod key_commands;
mod signer_commands;
mod token_commands;
mod trusted;

use std::path::PathBuf;
use std::process::ExitCode;

use carat_node::replay::Replayed;
use carat_node::settings::{LogFormat, LogSettings, Settings};
use carat_node::{FollowerHome, Home, Node, NodeError};
use carat_types::Slot;
use clap::{CommandFactory as _, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use archive_commands::Archive;
use backup_commands::{Backup, Restore};
use key_commands::Key;
use signer_commands::Signer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Blocks are made of many small pieces that several threads free: the allocator of the C library costs a third of what the
/// ledger does (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a terminal shows during long work; without a terminal nothing is shown.
const BAR: &str = "{msg}block {pos} of {len} {wide_bar} {eta} left";

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
    /// Run a proposer of an edge network until SIGTERM or SIGINT: lead views, serve clients, execute everything, vote on nothing
    Propose {
        /// Home folder with node.toml
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
    },
    /// Follow the chain without a vote until SIGTERM or SIGINT: prove every block, show it, forward transactions
    Follow {
        /// Home folder with node.toml; one that carat-genesis follower made, or a validator's whose journal is lost
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
    },
    /// Throw the history away and build it again from the blocks; the validator must be stopped
    RebuildHistory {
        /// Home folder with node.toml
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
    },
    /// Execute every block again, from the genesis file on, and compare every root; the validator must be stopped
    Replay {
        /// Home folder with node.toml; a copy of a home will do
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
        /// One JSON value on standard output
        #[arg(long)]
        json: bool,
    },
    /// Back up a validator's blocks and state, while it runs or stopped; or check a backup
    Backup(Backup),
    /// Put a backup back as the store of a stopped validator, with every check of `backup verify`
    Restore(Restore),
    /// Keep blocks in files that prove themselves, or check such files
    Archive(Archive),
    /// Encrypt the key files at rest, or the reverse; put keys into a token
    Key(Key),
    /// Hold the keys of a validator in a process of their own, and sign for it
    Signer(Signer),
    /// Check settings, genesis file, keys, journal and store without starting; exit code 0 if all fit
    Check {
        /// Home folder with node.toml
        #[arg(long, env = "CARAT_HOME")]
        home: PathBuf,
    },
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Manual pages, a file each command, into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which must exist
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { home } => finish(run(&home, Voice::Votes)),
        Command::Propose { home } => finish(run(&home, Voice::Proposes)),
        Command::Follow { home } => finish(run(&home, Voice::Follows)),
        Command::RebuildHistory { home } => finish(rebuild_history(&home)),
        Command::Replay { home, json } => finish(replay(&home, json)),
        Command::Backup(backup) => finish(backup.run()),
        Command::Restore(restore) => finish(restore.run()),
        Command::Archive(archive) => finish(archive.run()),
        Command::Key(key) => finish(key.run()),
        Command::Signer(signer) => finish(signer.run()),
        Command::Check { home } => finish(check::run(&home)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "carat-node", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Man { folder } => {
            finish(clap_mangen::generate_to(Arguments::command(), folder).map_err(NodeError::from))
        }
    }
}

fn finish(outcome: Result<(), impl std::fmt::Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a failed start, also where there is no log yet")]
fn complain(error: &impl std::fmt::Display) {
    eprintln!("carat-node: {error}");
}

/// What a terminal shows during long work.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Shows on the bar which block is done, and which is the last one.
fn shown_on(bar: &ProgressBar) -> impl FnMut(Slot, Slot) + '_ {
    |done, last| {
        bar.set_length(last.0);
        bar.set_position(done.0);
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn replay(home: &std::path::Path, json: bool) -> Result<(), NodeError> {
    let started = std::time::Instant::now();
    let home = Home::read(home)?;
    let bar = progress_bar();
    let replayed = home.replay(shown_on(&bar));
    bar.finish_and_clear();
    let replayed = replayed?;
    let seconds = started.elapsed().as_secs_f64();
    if json {
        let Replayed { blocks, sealed, transactions, header, state_root } = replayed;
        println!(
            "{}",
            serde_json::json!({
                "blocks": blocks, "sealed": sealed, "transactions": transactions, "header": header.to_string(),
                "state_root": state_root.to_string(), "seconds": seconds,
            })
        );
        return Ok(());
    }
    println!(
        "blocks        {} executed again, {} of them sealed by f+1 validators",
        replayed.blocks, replayed.sealed
    );
    println!("transactions  {} applied in {seconds:.1} s", replayed.transactions);
    println!("header        {}", replayed.header);
    println!("state root    {}, equal to that of the stored state", replayed.state_root);
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

/// Whether a node takes part in the agreement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Votes,
    Proposes,
    Follows,
}

fn run(home: &std::path::Path, voice: Voice) -> Result<(), NodeError> {
    // First of all, so that warnings about the home are seen.
    start_log(&Settings::load(home)?.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run_until_signal(home, voice));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

/// Runs epoch after epoch.
async fn run_until_signal(home: &std::path::Path, voice: Voice) -> Result<(), NodeError> {
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    // What is read again for each epoch is the same home: its keys and its place are found anew.
    while run_epoch(home, voice, &mut signals).await? == Ended::WithItsEpoch {}
    Ok(())
}

/// What ends a process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

#[derive(PartialEq, Eq)]
enum Ended {
    BySignal,
    WithItsEpoch,
}

async fn run_epoch(home: &std::path::Path, voice: Voice, signals: &mut Signals) -> Result<Ended, NodeError> {
    let settings = Settings::load(home)?;
    let (mut node, started) = match voice {
        Voice::Votes => (Node::start(Home::read(home)?.of_validator()?).await?, "validator started"),
        Voice::Proposes => {
            (Node::start(Home::read(home)?.of_proposer()?).await?, "proposer started, without a vote")
        }
        Voice::Follows => {
            (Node::follow(FollowerHome::read(home)?).await?, "started to follow, without a vote")
        }
    };
    let epoch = node.epochs().present();
    tracing::info!(
        replica = settings.validator.index,
        proposer = settings.validator.proposer,
        %epoch,
        network = %settings.network.listen,
        api = node.serves_clients().then(|| settings.api.listen.to_string()),
        metrics = %settings.metrics.listen,
        "{started}"
    );
    tokio::select! {
        _ = signals.terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = signals.interrupt.recv() => tracing::info!("SIGINT: stopping"),
        failure = node.failed() => match failure {
            NodeError::EpochEnded(last) => {
                tracing::info!(slot = last.header.slot.0, %epoch, "the epoch has ended: going over to the next one");
                node.hand_over(&last).await?;
                return Ok(Ended::WithItsEpoch);
            }
            failure => {
                tracing::error!(error = %failure, "a part failed: stopping at once");
                return Err(failure);
            }
        },
    }
    tokio::select! {
        stopped = node.stop() => {
            stopped?;
            tracing::info!("stopped");
        }
        // The second signal does not wait. Nothing is lost by that: kill -9 is safe at any time.
        _ = signals.terminate.recv() => tracing::warn!("second SIGTERM: stopping at once"),
        _ = signals.interrupt.recv() => tracing::warn!("second SIGINT: stopping at once"),
    }
    Ok(Ended::BySignal)
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
