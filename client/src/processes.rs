//! Starting and stopping the nodes of a network on this machine, as processes of their own.
//!
//! A process is remembered by its id and the time at which it started, in `run/` of the network's folder: an id
//! alone may belong to somebody else by the time a signal is sent.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::network::{Network, NodeAddress};
use crate::rest::{Rest, RestError};

/// Between two looks at whether a process is gone or ready.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long a node may take for a clean stop.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long one question about readiness may take.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// The nodes of a network on this machine.
#[derive(Clone, Debug)]
pub struct Processes {
    folder: PathBuf,
    nodes: Vec<NodeAddress>,
    /// Names of the proposers of an edge network, which are started by a command of their own.
    proposers: BTreeSet<String>,
    program: PathBuf,
    http: reqwest::Client,
}

/// Why a node cannot be started or stopped.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// The program is not beside ours.
    #[error("{0} is missing (hint: cargo build --release builds it beside this program)")]
    Program(PathBuf),
    /// No such node.
    #[error("there is no node {name:?}, expected one of {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// It runs already.
    #[error("{name} runs already, with process id {pid}")]
    Running {
        /// The node.
        name: String,
        /// Its process.
        pid: i32,
    },
    /// It ended by itself.
    #[error("{name} ended before it was ready; its log says: {log} (hint: carat network logs {name})")]
    Ended {
        /// The node.
        name: String,
        /// End of its log.
        log: String,
    },
    /// It is not ready in time.
    #[error("{name} is not ready after {waited:?}: {reason} (hint: carat network logs {name})")]
    NotReady {
        /// The node.
        name: String,
        /// How long was waited.
        waited: Duration,
        /// What it said last.
        reason: String,
    },
    /// The operating system failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// No connections can be made at all.
    #[error(transparent)]
    Http(#[from] RestError),
}

#[derive(Deserialize, Serialize)]
struct Record {
    pid: i32,
    started: u64,
}

impl Processes {
    /// The nodes of `network`, run by the `carat-node` beside our own program.
    ///
    /// **Errors**: [`ProcessError::Program`].
    pub fn new(network: &Network) -> Result<Self, ProcessError> {
        Ok(Processes {
            folder: network.folder.join("run"),
            nodes: network.processes().filter(|node| node.home != Path::new("")).cloned().collect(),
            proposers: network.nodes.iter().filter(|_| network.is_edge()).map(|it| it.name.clone()).collect(),
            program: sibling("carat-node")?,
            http: Rest::pool()?,
        })
    }

    /// Those that run on this machine, in the order of their numbers.
    pub fn nodes(&self) -> &[NodeAddress] {
        &self.nodes
    }

    /// The node called `name`.
    ///
    /// **Errors**: [`ProcessError::Unknown`].
    pub fn node(&self, name: &str) -> Result<&NodeAddress, ProcessError> {
        self.nodes.iter().find(|node| node.name == name).ok_or_else(|| {
            let known: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
            ProcessError::Unknown { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// Its process, if it runs.
    pub fn pid(&self, node: &NodeAddress) -> Option<i32> {
        let record: Record = toml::from_str(&fs::read_to_string(self.record(node)).ok()?).ok()?;
        (start_time(record.pid)? == record.started).then_some(record.pid)
    }

    /// Where its output goes.
    pub fn log(&self, node: &NodeAddress) -> PathBuf {
        self.folder.join(format!("{}.log", node.name))
    }

    /// Starts a node, in a process group of its own so that an interrupt of ours leaves it alone.
    ///
    /// **Errors**: [`ProcessError::Running`], [`ProcessError::System`].
    pub fn start(&self, node: &NodeAddress) -> Result<i32, ProcessError> {
        if let Some(pid) = self.pid(node) {
            return Err(ProcessError::Running { name: node.name.clone(), pid });
        }
        fs::create_dir_all(&self.folder).map_err(system(&self.folder))?;
        let path = self.log(node);
        let log = File::options().create(true).append(true).open(&path).map_err(system(&path))?;
        let errors = log.try_clone().map_err(system(&path))?;
        let mut child = Command::new(&self.program)
            .arg(if self.proposers.contains(&node.name) { "propose" } else { "run" })
            .arg("--home")
            .arg(&node.home)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(system(&self.program))?;
        let pid = i32::try_from(child.id()).unwrap_or_default();
        let started = start_time(pid).unwrap_or_default();
        // Someone must ask for the exit code, or the dead process stays in the table.
        std::thread::spawn(move || child.wait());
        let path = self.record(node);
        let record = toml::to_string(&Record { pid, started }).unwrap_or_default();
        fs::write(&path, record).map_err(system(&path))?;
        Ok(pid)
    }

    /// Kills a node as a power cut would.
    ///
    /// **Returns** whether it ran.
    ///
    /// **Errors**: [`ProcessError::System`].
    pub async fn kill(&self, node: &NodeAddress) -> Result<bool, ProcessError> {
        let ran = self.signal(node, Signal::KILL)?;
        while self.pid(node).is_some() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(ran)
    }

    /// Asks a node to stop, and kills it if it does not.
    ///
    /// **Returns** how it ended; none if it did not run.
    ///
    /// **Errors**: [`ProcessError::System`].
    pub async fn stop(&self, node: &NodeAddress) -> Result<Option<Stopped>, ProcessError> {
        if !self.signal(node, Signal::TERM)? {
            return Ok(None);
        }
        let asked = Instant::now();
        while self.pid(node).is_some() {
            if asked.elapsed() > STOP_PATIENCE {
                self.kill(node).await?;
                return Ok(Some(Stopped::Killed));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(Some(Stopped::Cleanly))
    }

    /// Waits until a node says that it agrees with a quorum and progresses.
    ///
    /// **Errors**: [`ProcessError::Ended`], [`ProcessError::NotReady`].
    pub async fn await_ready(&self, node: &NodeAddress, patience: Duration) -> Result<(), ProcessError> {
        let rest = Rest::new(&node.metrics, self.http.clone());
        let began = Instant::now();
        loop {
            let reason = match rest.get::<serde_json::Value>("/readyz", READY_TIMEOUT).await {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            };
            if self.pid(node).is_none() {
                let log = tail(&self.log(node), 3).join(" | ");
                return Err(ProcessError::Ended { name: node.name.clone(), log });
            }
            let waited = began.elapsed();
            if waited > patience {
                return Err(ProcessError::NotReady { name: node.name.clone(), waited, reason });
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn record(&self, node: &NodeAddress) -> PathBuf {
        self.folder.join(format!("{}.pid", node.name))
    }

    fn signal(&self, node: &NodeAddress, signal: Signal) -> Result<bool, ProcessError> {
        let Some(pid) = self.pid(node).and_then(Pid::from_raw) else { return Ok(false) };
        match kill_process(pid, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(system(&self.record(node))(error.into())),
        }
    }
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stopped {
    /// By itself, when asked.
    Cleanly,
    /// Killed, because it did not end in time.
    Killed,
}

/// The program `name` in the folder of our own program.
///
/// **Errors**: [`ProcessError::Program`].
pub fn sibling(name: &str) -> Result<PathBuf, ProcessError> {
    let own = std::env::current_exe().map_err(system(Path::new(name)))?;
    let path = own.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(ProcessError::Program(path)) }
}

/// The last `count` lines of a file; none if it cannot be read.
pub fn tail(path: &Path, count: usize) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(count)).map(|line| (*line).to_owned()).collect()
}

/// When a process started, in the kernel's ticks; none if it is gone or only its exit code is left.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // proc(5): state is field 3, starttime field 22.
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

fn system(path: &Path) -> impl FnOnce(std::io::Error) -> ProcessError {
    let what = path.display().to_string();
    move |source| ProcessError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_has_a_start_time_and_an_absent_one_has_none() {
        let own = i32::try_from(std::process::id()).expect("small");
        assert!(start_time(own).is_some());
        assert_eq!(start_time(own), start_time(own));
        assert_eq!(start_time(i32::MAX), None);
    }

    #[test]
    fn process_that_ended_is_not_taken_for_running() {
        let mut child = Command::new("true").spawn().expect("starts");
        let pid = i32::try_from(child.id()).expect("small");
        let exited =
            || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
        // Not waited for yet: the entry in the process table stays until we ask for the exit code.
        while !exited() {
            std::thread::yield_now();
        }
        assert_eq!(start_time(pid), None);
        child.wait().expect("ended");
    }

    #[test]
    fn tail_is_the_last_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        assert!(tail(&path, 2).is_empty());
        fs::write(&path, "one\ntwo\nthree\n").expect("written");
        assert_eq!(tail(&path, 2), ["two", "three"]);
        assert_eq!(tail(&path, 9), ["one", "two", "three"]);
    }
}
