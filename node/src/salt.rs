//! Reading the secret that salts the leaves of a members' network, and refusing one that others can read or that is another's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use carat_types::genesis::GenesisFile;
use carat_types::leaf::{self, LeafRule, SaltFileError};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why the secret of the leaves cannot be used.
#[derive(Debug, Error)]
pub enum SaltError {
    /// A file that cannot be read.
    #[error(
        "salt file {path} cannot be read: {error}, expected the secret with commitment {expected} (hint: it is the same at all \
         validators of this network: take it from another one, by the way by which keys are carried)"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
        /// What the genesis file names.
        expected: carat_types::Digest,
    },
    /// A file that others can read.
    #[error(
        "salt file {path} has mode {mode:03o}, expected 600 (hint: chmod 600 {path}, and consider the secret known: proofs then \
         hide their neighbours from nobody who has it)"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file with something else in it.
    #[error("salt file {path}: {error}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: SaltFileError,
    },
}

/// How the leaves of a network are hashed. `path` is read only on a members' network.
///
/// **Errors**: [`SaltError`].
pub fn read(path: &Path, genesis: &GenesisFile) -> Result<LeafRule, SaltError> {
    let Some(expected) = genesis.genesis.salt_commitment else { return Ok(LeafRule::Open) };
    let failed = |error| SaltError::Read { path: path.into(), error, expected };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SaltError::Mode { path: path.into(), mode });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let secret =
        leaf::read(&text, &expected).map_err(|error| SaltError::Contents { path: path.into(), error })?;
    Ok(LeafRule::Salted(secret))
}
