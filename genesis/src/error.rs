//! Why a network could not be made.

use std::path::PathBuf;

use carat_ledger::genesis::GenesisStateError;
use carat_network::NetworkError;
use carat_storage::JournalError;
use carat_types::genesis::GenesisError;

/// Why a network could not be made. What was begun has been removed again.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A key could not be encrypted.
    #[error(transparent)]
    Encryption(#[from] carat_storage::key_file::KeyError),
    /// A key of the bank's login could not be encrypted.
    #[error(transparent)]
    LoginEncryption(#[from] carat_storage::identity_file::IdentityError),
    /// A file of handovers that cannot be used.
    #[error(transparent)]
    Handovers(#[from] carat_handovers::HandoversError),
    /// There is something already.
    #[error(
        "{path} is not empty, expected an empty or absent folder (hint: name another folder; delete this one only \
         if its keys have never been used)"
    )]
    NotEmpty {
        /// The folder asked for.
        path: PathBuf,
    },
    /// An earlier attempt was interrupted.
    #[error("{path} is left over from an interrupted attempt (hint: delete it; its keys were never used)")]
    LeftOver {
        /// The unfinished folder.
        path: PathBuf,
    },
    /// A choice that makes no network.
    #[error("{what} is {seen}, expected {expected}")]
    Choice {
        /// Which choice.
        what: &'static str,
        /// Its value.
        seen: String,
        /// What is allowed, with a hint.
        expected: String,
    },
    /// The disk's.
    #[error("{path}: cannot {doing}: {source}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// No free ports.
    #[error("no {count} free ports in a row were found on 127.0.0.1 (hint: choose them with --base-port)")]
    Ports {
        /// How many are needed.
        count: u16,
    },
    /// The genesis file would not be one.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The ledger could not begin.
    #[error(transparent)]
    State(#[from] GenesisStateError),
    /// The journal could not be born.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] NetworkError),
    /// A file could not be put into words.
    #[error("genesis file: {0}")]
    Json(#[from] serde_json::Error),
}
