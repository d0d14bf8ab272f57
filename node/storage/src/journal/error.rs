//! Why a journal cannot be opened or written, in words for an operator.

use std::io;
use std::path::{Path, PathBuf};

use super::format::RECORD_BYTES_MAX;
use crate::identity::Difference;
use crate::sealing::{self, DATA_KEY};
use crate::vault::{PASSPHRASE_HINT, VaultError};

const NEW_KEY: &str = "never copy a journal back from a backup; this validator needs a new acceptor key, and follows \
     without a vote until then (carat-node follow)";

/// Why a journal cannot be opened or written. Each is fatal for the process.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A key without its journal: it may have voted, and nobody knows for what.
    #[error(
        "no journal in {}: its birth record was expected there\n\
         hint: carat-genesis writes it with the key; if the journal was lost, {NEW_KEY}", folder.display()
    )]
    NoBirthRecord {
        /// Where it was sought.
        folder: PathBuf,
    },
    /// The journal of another validator or another chain.
    #[error(
        "{} belongs to another {what}: it says {seen}, expected {expected}\n\
         hint: check that the settings name this validator's own data folder and genesis file", path.display()
    )]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// The value in the file.
        seen: String,
        /// The value that the settings demand.
        expected: String,
    },
    /// A key is born only once.
    #[error("{} holds a journal already\nhint: a new validator needs a folder of its own", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process has it open.
    #[error(
        "{} is in use by another process\nhint: only one node may run with this key; stop the other one",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Something that was synced cannot be read any more.
    #[error("{} is damaged at byte {offset}: {what}\nhint: the disk lost data; {NEW_KEY}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where, in bytes from its start.
        offset: usize,
        /// In what way.
        what: String,
    },
    /// A segment that later ones need is not there.
    #[error("{} is missing\nhint: put the file back if it was moved; otherwise {NEW_KEY}", path.display())]
    Missing {
        /// The segment.
        path: PathBuf,
    },
    /// Encrypted records without their key.
    #[error(
        "the records in {} are encrypted, and their key, {DATA_KEY}, is not beside them\n\
         hint: put that file back, from any copy of the folder; without it nothing can read them, and {NEW_KEY}", folder.display()
    )]
    NoKey {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// Encrypted records without a passphrase.
    #[error(
        "the records in {} are encrypted, or are to be, and no passphrase was given\n\
         hint: the passphrase is needed until all that was written with store.encryption = \"values\" is behind a checkpoint; {PASSPHRASE_HINT}",
        folder.display()
    )]
    Locked {
        /// The journal's folder.
        folder: PathBuf,
    },
    /// The key of the records cannot be opened or made.
    #[error("the key of the journal's records, {}, cannot be used: {error}", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why, with a hint.
        error: VaultError,
    },
    /// A record over the limit of the format.
    #[error("a journal record of {bytes} bytes is over the limit of {RECORD_BYTES_MAX}")]
    RecordTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No space left; what was synced is safe.
    #[error(
        "disk full: cannot {doing} in {}: {source}\n\
         hint: free space and start the node again; everything that was synced is kept", folder.display()
    )]
    DiskFull {
        /// The journal's folder.
        folder: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The disk failed in another way.
    #[error(
        "cannot {doing} in {}: {source}\n\
         hint: check the disk and the folder's owner, then start the node again", folder.display()
    )]
    Disk {
        /// The journal's folder.
        folder: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An earlier failure closed it.
    #[error("the journal in {} was closed by an earlier failure\nhint: see the first error", folder.display())]
    Closed {
        /// The journal's folder.
        folder: PathBuf,
    },
}

impl JournalError {
    pub(super) fn disk(folder: &Path, doing: &'static str, source: io::Error) -> Self {
        let folder = folder.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                JournalError::DiskFull { folder, doing, source }
            }
            _ => JournalError::Disk { folder, doing, source },
        }
    }

    /// Of an encrypted segment, where there is no open key.
    pub(super) fn locked(segment: &Path) -> Self {
        let folder = segment.parent().unwrap_or(segment);
        match sealing::has_key(folder) {
            true => JournalError::Locked { folder: folder.into() },
            false => JournalError::NoKey { folder: folder.into() },
        }
    }

    pub(super) fn foreign(path: &Path, difference: Difference) -> Self {
        let Difference { what, seen, expected } = difference;
        JournalError::Foreign { path: path.into(), what, seen, expected }
    }
}
