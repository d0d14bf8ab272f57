//! Reading a validator's three key files, and refusing those that others can read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use carat_storage::key_file::{self, KeyError};
use carat_storage::vault::PassphraseSource;
use carat_types::genesis::GenesisValidator;
use carat_types::key_file::KeyRole;
use carat_types::{PublicKey, SecretKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// The keys of one validator.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Votes.
    pub acceptor: SecretKey,
    /// Orders.
    pub proposer: SecretKey,
    /// TLS.
    pub network: SecretKey,
}

/// Why keys cannot be used.
#[derive(Debug, Error)]
pub enum KeysError {
    /// A file that cannot be read.
    #[error("key file {path} cannot be read: {error} (hint: carat-genesis writes it into the node's home)")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// A file that others can read.
    #[error(
        "key file {path} has mode {mode:03o}, expected 600 (hint: chmod 600 {path}, and consider the key known)"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file with something else in it.
    #[error("key file {path}: {error}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// A key that the genesis file does not know.
    #[error(
        "key file {path} holds {seen}, but the genesis file lists {expected} for validator {name:?} \
         (hint: validator.index or validator.keys in node.toml is another validator's)"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Public key of the file.
        seen: PublicKey,
        /// Public key of the genesis file.
        expected: PublicKey,
        /// Name of the validator.
        name: String,
    },
}

impl Keys {
    /// Reads the three files of `folder` and compares them with the genesis file.
    ///
    /// **Errors**: see [`KeysError`].
    pub fn read(
        folder: &Path,
        listed: &GenesisValidator,
        passphrase: &PassphraseSource,
    ) -> Result<Self, KeysError> {
        let read = |role: KeyRole, expected: PublicKey| -> Result<SecretKey, KeysError> {
            let path = folder.join(role.file_name());
            let key = read_file(&path, role, passphrase)?;
            let seen = key.public();
            if seen != expected {
                return Err(KeysError::Foreign { path, seen, expected, name: listed.name.clone() });
            }
            Ok(key)
        };
        Ok(Keys {
            acceptor: read(KeyRole::Acceptor, listed.acceptor)?,
            proposer: read(KeyRole::Proposer, listed.proposer)?,
            network: read(KeyRole::Network, listed.network)?,
        })
    }
}

/// Reads a key file, plain or encrypted.
///
/// **Errors**: [`KeysError`]; a file that others can read is refused even if it is encrypted.
pub(crate) fn read_file(
    path: &Path,
    role: KeyRole,
    passphrase: &PassphraseSource,
) -> Result<SecretKey, KeysError> {
    let failed = |error| KeysError::Read { path: path.into(), error };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Mode { path: path.into(), mode });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    key_file::read(role, &text, passphrase).map_err(|error| KeysError::Contents { path: path.into(), error })
}
