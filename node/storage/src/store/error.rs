//! Why the store cannot be opened, read or written, in words for an operator.

use std::io;
use std::path::{Path, PathBuf};

use carat_types::Slot;
use carat_types::codec::DecodeError;

use super::engine::{Column, EngineError};
use crate::identity::{Difference, Identity};
use crate::sealing::Encryption;
use crate::vault::VaultError;

const REBUILD: &str = "move the store's folder away (never the journal) and start again: the node fetches and \
                       executes the blocks anew from its peers";

/// Why the store cannot be opened, read or written. Each is fatal for the process.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store of another validator or another chain.
    #[error(
        "the store in {} belongs to another {what}: it says {seen}, expected {expected}\n\
         hint: check that the settings name this validator's own data folder and genesis file", folder.display()
    )]
    Foreign {
        /// The store's folder.
        folder: PathBuf,
        /// Whose it is.
        owner: Box<Identity>,
        /// What differs.
        what: &'static str,
        /// The value found.
        seen: Box<str>,
        /// The value that the settings demand.
        expected: Box<str>,
    },
    /// A version of the format that this program does not know.
    #[error(
        "the store in {} has format version {seen}, this program knows {expected}\n\
         hint: use the release that wrote it, or {REBUILD}", folder.display()
    )]
    Version {
        /// The store's folder.
        folder: PathBuf,
        /// The version found.
        seen: u32,
        /// The version that this program writes.
        expected: u32,
    },
    /// Files that are no store of ours.
    #[error(
        "{} is not a store: it holds {found}\nhint: name an empty or absent folder", folder.display()
    )]
    NotAStore {
        /// The folder.
        folder: PathBuf,
        /// A file that should not be there.
        found: String,
    },
    /// Made with another setting of encryption.
    #[error(
        "store.encryption is {expected} in the settings, and {} was made with {seen}\n\
         hint: set store.encryption to {seen}; to change what is encrypted, make a backup, move the store's folder away, and \
         restore the backup under the other setting", folder.display()
    )]
    Encryption {
        /// The database's folder.
        folder: PathBuf,
        /// How it was made.
        seen: Encryption,
        /// What the settings demand.
        expected: Encryption,
    },
    /// The key of the values is not there.
    #[error(
        "the values beside {} are encrypted, and it is missing\n\
         hint: put the file back, from any copy of the folder; without it nothing can read them, and {REBUILD}", path.display()
    )]
    NoKey {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key of the values cannot be opened or made.
    #[error("the key of the store's values, {}, cannot be used: {error}", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why, with a hint.
        error: VaultError,
    },
    /// Another process has it open.
    #[error("{} is in use by another process\nhint: stop the other node first", folder.display())]
    InUse {
        /// The store's folder.
        folder: PathBuf,
    },
    /// There is none.
    #[error(
        "there is no store in {}\nhint: start the validator once, or put a backup back first", folder.display()
    )]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// What is stored contradicts itself or cannot be read.
    #[error("the store in {} is damaged: {what}\nhint: {REBUILD}", folder.display())]
    Damaged {
        /// The store's folder.
        folder: PathBuf,
        /// In what way.
        what: String,
    },
    /// No space left; what was synced is safe.
    #[error(
        "disk full: cannot {doing} in {}: {reason}\n\
         hint: free space and start the node again; everything that was synced is kept", folder.display()
    )]
    DiskFull {
        /// The store's folder.
        folder: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The disk or the database failed in another way.
    #[error(
        "cannot {doing} in {}: {reason}\n\
         hint: check the disk and the folder's owner, then start the node again", folder.display()
    )]
    Failed {
        /// The store's folder.
        folder: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// What the system said.
        reason: String,
    },
    /// A block that does not stand on the newest one: a mistake of the program, refused before it is stored.
    #[error(
        "block {seen} does not follow block {tip} in the store: {what}\nhint: report this; it is a defect"
    )]
    OutOfOrder {
        /// The newest block.
        tip: Slot,
        /// The block offered.
        seen: Slot,
        /// Which part does not fit.
        what: &'static str,
    },
    /// An earlier failure closed it for writing.
    #[error("the store in {} was closed by an earlier failure\nhint: see the first error", folder.display())]
    Closed {
        /// The store's folder.
        folder: PathBuf,
    },
}

impl StoreError {
    pub(super) fn engine(folder: &Path, doing: &'static str, error: EngineError) -> Self {
        let folder = folder.into();
        match error {
            EngineError::Full(reason) => StoreError::DiskFull { folder, doing, reason },
            EngineError::Corrupt(reason) => {
                StoreError::Damaged { folder, what: format!("cannot {doing}: {reason}") }
            }
            EngineError::Other(reason) => StoreError::Failed { folder, doing, reason },
        }
    }

    pub(super) fn disk(folder: &Path, doing: &'static str, error: &io::Error) -> Self {
        let (folder, reason) = (folder.into(), error.to_string());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::DiskFull { folder, doing, reason }
            }
            _ => StoreError::Failed { folder, doing, reason },
        }
    }

    pub(super) fn damaged(folder: &Path, what: impl Into<String>) -> Self {
        StoreError::Damaged { folder: folder.into(), what: what.into() }
    }

    pub(super) fn undecodable(folder: &Path, column: Column, error: DecodeError) -> Self {
        StoreError::damaged(folder, format!("a value in {column} does not decode: {error}"))
    }

    pub(super) fn foreign(folder: &Path, owner: Identity, difference: Difference) -> Self {
        let Difference { what, seen, expected } = difference;
        let (seen, expected) = (seen.into(), expected.into());
        StoreError::Foreign { folder: folder.into(), owner: Box::new(owner), what, seen, expected }
    }
}
