//! `carat demo`: a network that settles payments between banks, loses its leader, and is then checked.
//!
//! Everything is real: four processes with four databases, signed transactions, proved outcomes. Reading order:
//! [`scene`] (who takes part), [`script`] (what happens), [`traffic`] (payments while the leader dies),
//! [`checks`] (what must hold at the end), [`report`] (what is printed).

mod checks;
mod market;
mod report;
mod scene;
mod script;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

use carat_client::Network;
use carat_client::processes::Processes;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Failure, Session};
use report::Report;

/// How long a validator may take to be ready. Four start at once on what may be a small machine.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// How to run it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the network lives; what an earlier run left there is removed
    #[arg(long, default_value = ".run/demo")]
    folder: PathBuf,
    /// Leave the network running
    #[arg(long)]
    keep: bool,
    /// Write the results to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs it.
///
/// **Errors**: a step that failed, or the checks that did not hold.
pub(crate) async fn run(_: &Session, arguments: Arguments) -> Result<(), Failure> {
    let mut report = Report::new();
    let played = tokio::select! {
        played = script::play(&arguments.folder, &mut report) => played,
        name = interrupted() => Err(Failure::failed(format!("stopped by {name}"))),
    };
    let keep = arguments.keep && played.is_ok();
    // Whatever happened, no process is left behind.
    let stopped = if keep { Ok(()) } else { stop(&arguments.folder).await };
    if let Err(failure) = &played {
        report.failed(&failure.to_string());
    }
    report.conclude(keep.then_some(arguments.folder.as_path()));
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    played.and(stopped)?;
    report.verdict()
}

/// Stops the validators of an earlier or of this run.
async fn stop(folder: &std::path::Path) -> Result<(), Failure> {
    // Without a description there never was a network.
    let Ok(network) = Network::load(folder) else { return Ok(()) };
    let processes = Processes::new(&network)?;
    let mut stops = tokio::task::JoinSet::new();
    for node in processes.nodes().to_vec() {
        let processes = processes.clone();
        stops.spawn(async move { processes.stop(&node).await });
    }
    while let Some(stopped) = stops.join_next().await {
        stopped.map_err(|error| Failure::failed(error.to_string()))??;
    }
    Ok(())
}

/// Returns when somebody wants us to stop.
async fn interrupted() -> &'static str {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return "the system, which lets nobody listen for signals";
    };
    tokio::select! {
        _ = interrupt.recv() => "an interrupt",
        _ = terminate.recv() => "a request to terminate",
        _ = hangup.recv() => "the end of its terminal",
    }
}
