//! The database in a store's folder, opened as it was made: with its values in the clear, or sealed.
//!
//! The key of sealed values is a file in the database's own folder, so that it appears, moves and disappears with it; a row in the
//! clear says that there must be one. Both are compared with the settings before anything is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use super::engine::{Batch, Column, Engine, EngineError, Read as _};
use super::record;
use super::rocks::RocksEngine;
use super::sealed::SealedEngine;
use crate::sealing::{self, Encryption, RestingKey};
use crate::vault::{Passphrase, VaultError};

/// What the container of a store's data key says that it holds.
pub(super) const PURPOSE: &str = "key of a store's values";

/// Makes a database in `folder`, which does not exist; with a passphrase its values are sealed.
///
/// **Errors**: the system's. What was made is to be thrown away then.
pub(super) fn create(folder: &Path, passphrase: Option<&Passphrase>) -> Result<Arc<dyn Engine>, StoreError> {
    let failed = |error| StoreError::engine(folder, "create the database", error);
    let Some(passphrase) = passphrase else {
        return Ok(Arc::new(RocksEngine::open(folder, true, Encryption::None).map_err(failed)?));
    };
    fs::create_dir_all(folder).map_err(|error| StoreError::disk(folder, "create the folder", &error))?;
    let resting = RestingKey::create(folder, PURPOSE, passphrase).map_err(|error| unusable(folder, error))?;
    let rocks = RocksEngine::open(folder, true, Encryption::Values).map_err(failed)?;
    let sealed = SealedEngine::new(Arc::new(rocks), resting);
    let mut mark = Batch::default();
    mark.put(Column::Meta, record::SEALED_KEY, []);
    sealed.load(mark).map_err(failed)?;
    Ok(Arc::new(sealed))
}

/// Opens a database to be written.
///
/// **Errors**: one that is encrypted otherwise than the passphrase says, or under another one; nothing was written then.
pub(super) fn open(folder: &Path, passphrase: Option<&Passphrase>) -> Result<Arc<dyn Engine>, StoreError> {
    open_by(folder, passphrase, |encryption| RocksEngine::open(folder, false, encryption))
}

/// Opens a database that nobody writes to, without changing it.
///
/// **Errors**: as [`open`].
pub(super) fn open_to_read(
    folder: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<Arc<dyn Engine>, StoreError> {
    open_by(folder, passphrase, |_| RocksEngine::open_to_read(folder))
}

fn open_by(
    folder: &Path,
    passphrase: Option<&Passphrase>,
    rocks: impl FnOnce(Encryption) -> Result<RocksEngine, EngineError>,
) -> Result<Arc<dyn Engine>, StoreError> {
    let failed = |error| StoreError::engine(folder, "open the database", error);
    let expected = Encryption::under(passphrase);
    let differs = |seen| StoreError::Encryption { folder: folder.into(), seen, expected };
    match (sealing::has_key(folder), passphrase) {
        (true, Some(passphrase)) => {
            let resting = RestingKey::open(folder, PURPOSE, passphrase);
            let resting = resting.map_err(|error| unusable(folder, error))?;
            Ok(Arc::new(SealedEngine::new(Arc::new(rocks(expected).map_err(failed)?), resting)))
        }
        (true, None) => Err(differs(Encryption::Values)),
        (false, _) => {
            // Only read, where it is refused in any case.
            let to_read = passphrase.map(|_| RocksEngine::open_to_read(folder));
            let engine = to_read.unwrap_or_else(|| rocks(expected)).map_err(failed)?;
            let is_sealed = engine.get(Column::Meta, record::SEALED_KEY).map_err(failed)?.is_some();
            match (is_sealed, expected) {
                (true, _) => Err(StoreError::NoKey { path: folder.join(sealing::DATA_KEY) }),
                (false, Encryption::Values) => Err(differs(Encryption::None)),
                (false, Encryption::None) => Ok(Arc::new(engine)),
            }
        }
    }
}

/// Puts the key of a database's values under another passphrase.
///
/// **Returns** its file; none where there is no such key.
///
/// **Errors**: a wrong passphrase, the disk's.
pub(super) fn change_passphrase(
    folder: &Path,
    old: &Passphrase,
    new: &Passphrase,
) -> Result<Option<PathBuf>, StoreError> {
    sealing::change_passphrase(folder, PURPOSE, old, new).map_err(|error| unusable(folder, error))
}

fn unusable(folder: &Path, error: VaultError) -> StoreError {
    StoreError::Key { path: folder.join(sealing::DATA_KEY), error }
}
