//! Which blocks are archived: the names of the files in a folder, looked at beside the work, for the folder may be on another
//! machine and not answer.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use carat_types::Slot;

use crate::archive;
use crate::error::NodeError;

/// Between two looks at the folder.
const PAUSE: Duration = Duration::from_secs(2);
/// Blocks that wait for an archive when the log first says so; again when they are twice as many.
const WARNED_AT: u64 = 10_000;

type Runs = Vec<RangeInclusive<Slot>>;

/// The folder, as it was when it was last looked at.
pub(super) struct ArchiveFolder {
    path: PathBuf,
    runs: Runs,
    looking: Option<Receiver<Result<Runs, NodeError>>>,
    looked: Option<Instant>,
    readable: bool,
    warn_at: u64,
}

impl ArchiveFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        let (runs, looking, looked) = (Runs::new(), None, None);
        ArchiveFolder { path, runs, looking, looked, readable: true, warn_at: WARNED_AT }
    }

    /// The archived blocks, without a gap, among which `block` is.
    pub(super) fn run_with(&mut self, block: Slot) -> Option<RangeInclusive<Slot>> {
        self.look();
        self.runs.iter().find(|run| run.contains(&block)).cloned()
    }

    /// Takes the answer of the last look, or begins the next one. Never waits.
    fn look(&mut self) {
        match self.looking.as_ref().map(Receiver::try_recv) {
            Some(Ok(found)) => self.take(found),
            Some(Err(TryRecvError::Empty)) => return,
            Some(Err(TryRecvError::Disconnected)) | None => {}
        }
        self.looking = None;
        if self.looked.is_some_and(|looked| looked.elapsed() < PAUSE) {
            return;
        }
        self.looked = Some(Instant::now());
        let (answer, looking) = sync_channel(1);
        let path = self.path.clone();
        let look = move || {
            // Nobody waits for it when the validator has stopped.
            let _ = answer.send(archive::runs(&path));
        };
        match std::thread::Builder::new().name("archive-folder".into()).spawn(look) {
            Ok(_) => self.looking = Some(looking),
            Err(error) => tracing::warn!(%error, "no thread to look at the archives; trying again"),
        }
    }

    /// Looks now, and waits for the answer.
    #[cfg(test)]
    pub(super) fn look_and_wait(&mut self) {
        (self.looking, self.looked) = (None, None);
        self.look();
        let found = self.looking.take().expect("a look has begun").recv();
        self.take(found.expect("an answer"));
    }

    fn take(&mut self, found: Result<Runs, NodeError>) {
        if let Err(error) = &found
            && self.readable
        {
            tracing::warn!(
                %error,
                "store.archive cannot be read: no block is dropped until it can (hint: mount or make the folder)"
            );
        }
        self.readable = found.is_ok();
        self.runs = found.unwrap_or_default();
    }

    /// Says in the log when many blocks wait, and again when they are twice as many.
    pub(super) fn warn_of(&mut self, waiting: u64, oldest: Slot) {
        if waiting < WARNED_AT {
            self.warn_at = WARNED_AT;
        } else if waiting >= self.warn_at {
            self.warn_at = waiting.saturating_mul(2);
            tracing::warn!(
                waiting,
                oldest = oldest.0,
                archive = %self.path.display(),
                "blocks wait to be dropped until they are archived, and the disk fills (hint: carat-node archive export)"
            );
        }
    }
}
