//! Stops a process as a power cut stops its processor: at once, wherever it is, amid a write to its disk if so.
//!
//! Why it must come before the disk's cut is decision record 77: a file system that is shut down beneath a running
//! process may tell it that a sync succeeded which did not.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to stop, and how often is looked.
const PATIENCE: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(1);

/// What is left of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halted {
    /// None of its threads runs, nor will before somebody continues it.
    Stopped,
    /// It had ended before.
    Ended,
}

/// Stops all threads of a process. One that the kernel holds in a write or a sync may finish that, but never learns of it.
///
/// **Errors**: the signal cannot be sent, or the process does not stop within five seconds.
pub async fn halt(pid: Pid) -> Result<Halted> {
    match kill_process(pid, Signal::STOP) {
        Ok(()) => {}
        Err(rustix::io::Errno::SRCH) => return Ok(Halted::Ended),
        Err(error) => return Err(error).context("SIGSTOP"),
    }
    let threads = format!("/proc/{}/task", pid.as_raw_nonzero());
    let began = Instant::now();
    loop {
        match Threads::of(Path::new(&threads)) {
            Threads { living: 0, .. } => return Ok(Halted::Ended),
            found if found.none_returns() => return Ok(Halted::Stopped),
            found if began.elapsed() > PATIENCE => bail!("process {pid:?} does not stop: {found:?}"),
            _ => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// The threads of a process by what the scheduler says of them (`proc(5)`, the third field of `stat`).
#[derive(Clone, Copy, Debug, Default)]
struct Threads {
    living: usize,
    /// `T`.
    stopped: usize,
    /// `D`: in the kernel, and not to be interrupted.
    in_kernel: usize,
}

impl Threads {
    fn of(folder: &Path) -> Self {
        let mut threads = Threads::default();
        // A thread, or all of them, may end while they are counted.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            match state(&stat) {
                None | Some('Z' | 'X') => continue,
                Some('T') => threads.stopped += 1,
                Some('D') => threads.in_kernel += 1,
                Some(_) => {}
            }
            threads.living += 1;
        }
        threads
    }

    /// The first thread to stop has told all others, so that one in the kernel stops before it leaves it.
    fn none_returns(&self) -> bool {
        self.stopped > 0 && self.stopped + self.in_kernel == self.living
    }
}

/// The state behind the name, which stands in brackets and may hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn counter(file: &Path) -> Child {
        let program = "i=0; while :; do i=$((i+1)); echo $i > \"$0\"; done";
        Command::new("sh").args(["-c", program]).arg(file).stdin(Stdio::null()).spawn().expect("sh")
    }

    fn pid(child: &Child) -> Pid {
        Pid::from_child(child)
    }

    #[tokio::test]
    async fn halted_process_does_nothing_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("count");
        let mut child = counter(&file);
        while fs::metadata(&file).map_or(0, |file| file.len()) == 0 {
            tokio::time::sleep(INTERVAL).await;
        }
        assert_eq!(halt(pid(&child)).await.expect("halted"), Halted::Stopped);
        let before = fs::metadata(&file).and_then(|file| file.modified()).expect("its time");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(fs::metadata(&file).and_then(|file| file.modified()).expect("its time"), before);
        kill_process(pid(&child), Signal::CONT).expect("continued");
        while fs::metadata(&file).and_then(|file| file.modified()).expect("its time") == before {
            tokio::time::sleep(INTERVAL).await;
        }
        child.kill().expect("killed");
        // Dead, though nobody has asked for its exit code yet.
        while Threads::of(Path::new(&format!("/proc/{}/task", child.id()))).living > 0 {
            tokio::time::sleep(INTERVAL).await;
        }
        assert_eq!(halt(pid(&child)).await.expect("halted"), Halted::Ended);
        child.wait().expect("its exit code");
        assert_eq!(halt(pid(&child)).await.expect("halted"), Halted::Ended);
    }

    #[test]
    fn process_is_halted_once_no_thread_can_return() {
        let threads = |living, stopped, in_kernel| Threads { living, stopped, in_kernel };
        assert!(threads(3, 3, 0).none_returns());
        assert!(threads(3, 1, 2).none_returns());
        assert!(!threads(3, 2, 0).none_returns(), "one runs");
        assert!(!threads(3, 0, 3).none_returns(), "nobody has heard of the signal yet");
        assert_eq!(state("12 (a ) T (b) R) D 1 2"), Some('D'));
        assert_eq!(state(""), None);
    }
}
