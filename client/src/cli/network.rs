//! `carat network`: validators on this machine.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use carat_client::network::NodeAddress;
use carat_client::processes::{ProcessError, Processes, tail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Failure, Session, output};

/// Between two looks at a log that is followed.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// What can be done with the validators.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start all that do not run, and wait until they are ready
    Up {
        /// Seconds to wait for each
        #[arg(long, default_value_t = 60)]
        wait: u64,
    },
    /// Stop all
    Down,
    /// Which processes run
    Status,
    /// The end of a validator's log
    Logs {
        /// The validator
        node: String,
        /// Lines to show
        #[arg(long, default_value_t = 50)]
        lines: usize,
        /// Go on showing what comes
        #[arg(long)]
        follow: bool,
    },
    /// Kill one as a power cut would
    Kill {
        /// The validator
        node: String,
    },
    /// Stop one if it runs, start it, and wait until it is ready
    Restart {
        /// The validator
        node: String,
        /// Seconds to wait
        #[arg(long, default_value_t = 60)]
        wait: u64,
    },
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let network = session.network()?;
    let processes = Processes::new(&network)?;
    match command {
        Command::Up { wait } => {
            up(&processes, processes.nodes(), Duration::from_secs(wait)).await?;
            show(session, &processes, processes.nodes());
        }
        Command::Down => {
            down(&processes, processes.nodes()).await?;
            show(session, &processes, processes.nodes());
        }
        Command::Status => show(session, &processes, processes.nodes()),
        Command::Logs { node, lines, follow } => {
            let node = processes.node(&node)?;
            tail(&processes.log(node), lines).iter().for_each(|line| output::line(line));
            if follow {
                follow_log(&processes, node).await?;
            }
        }
        Command::Kill { node } => {
            let node = processes.node(&node)?;
            if !processes.kill(node).await? {
                return Err(Failure::failed(format!("{} does not run", node.name)));
            }
            show(session, &processes, processes.nodes());
        }
        Command::Restart { node, wait } => {
            let node = processes.node(&node)?;
            processes.stop(node).await?;
            processes.start(node)?;
            processes.await_ready(node, Duration::from_secs(wait)).await?;
            show(session, &processes, processes.nodes());
        }
    }
    Ok(())
}

/// Starts what does not run and waits until all are ready.
async fn up(processes: &Processes, nodes: &[NodeAddress], patience: Duration) -> Result<(), ProcessError> {
    for node in nodes.iter().filter(|node| processes.pid(node).is_none()) {
        processes.start(node)?;
    }
    for node in nodes {
        processes.await_ready(node, patience).await?;
    }
    Ok(())
}

/// Stops all that run, together, so that none waits for a quorum that is gone.
async fn down(processes: &Processes, nodes: &[NodeAddress]) -> Result<(), Failure> {
    let mut stops = tokio::task::JoinSet::new();
    for node in nodes {
        let (processes, node) = (processes.clone(), node.clone());
        stops.spawn(async move { processes.stop(&node).await });
    }
    while let Some(stopped) = stops.join_next().await {
        stopped.map_err(|error| Failure::failed(error.to_string()))??;
    }
    Ok(())
}

fn show(session: &Session, processes: &Processes, nodes: &[NodeAddress]) {
    let values: Vec<Value> = nodes
        .iter()
        .map(|node| json!({"name": node.name, "pid": processes.pid(node), "api": node.api, "metrics": node.metrics}))
        .collect();
    let rows = nodes.iter().map(|node| {
        let pid = processes.pid(node).map_or_else(|| "stopped".to_owned(), |pid| pid.to_string());
        vec![node.name.clone(), pid, node.api.clone(), node.metrics.clone()]
    });
    session.output.rows(&values, &["validator", "process", "api", "metrics"], rows.collect());
}

async fn follow_log(processes: &Processes, node: &NodeAddress) -> Result<(), Failure> {
    let mut file = std::fs::File::open(processes.log(node))?;
    file.seek(SeekFrom::End(0))?;
    loop {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        if !text.is_empty() {
            output::line(String::from_utf8_lossy(&text).trim_end_matches('\n'));
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}
