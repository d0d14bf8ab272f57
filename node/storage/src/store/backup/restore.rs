//! Putting a backup back: into a new database, which gets its name only when every check has passed.

use std::io::Read;
use std::path::Path;

use carat_types::codec::Encode as _;

use super::super::durable_mark;
use super::super::engine::{Batch, Column};
use super::super::open::{DATABASE, UNFINISHED, check_empty};
use super::super::record;
use super::super::{StoreError, VERSION, database};
use super::walk::{Known, Report, walk_with};
use super::{BackupError, Head, NO_BASE, Progress};
use crate::disk::{FileDisk, sync_parent};
use crate::identity::Identity;
use crate::vault::{Passphrase, VaultReader};

/// Bytes that are written at a time.
const BATCH_BYTES: usize = 4 << 20;

/// Makes the store of `identity` in `folder` from a backup of any validator of its chain. The folder must be empty or absent; a
/// crash or a refusal leaves no store. With a passphrase, which need not be the backup's, the store's values are encrypted at rest.
/// `progress` hears of each block.
///
/// **Errors**: [`BackupError`].
pub fn restore<R: Read>(
    input: VaultReader<R>,
    known: &Known<'_>,
    identity: &Identity,
    (folder, passphrase): (&Path, Option<&Passphrase>),
    unsealed: bool,
    progress: Progress<'_>,
) -> Result<Report, BackupError> {
    let failed = |doing| move |error: std::io::Error| StoreError::disk(folder, doing, &error);
    std::fs::create_dir_all(folder).map_err(failed("create the folder"))?;
    sync_parent(folder).map_err(failed("create the folder"))?;
    let disk = FileDisk::lock(folder).map_err(failed("lock the folder"))?;
    let mut disk = disk.ok_or_else(|| StoreError::InUse { folder: folder.into() })?;
    check_empty(folder, &disk)?;
    let unfinished = folder.join(UNFINISHED);
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(failed("clear the folder"))?;
    }
    let loaded = load(input, known, identity, (&unfinished, passphrase), unsealed, progress);
    let (report, head) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            // What failed is told; what cannot be removed now is removed by the next attempt.
            let _ = std::fs::remove_dir_all(&unfinished);
            return Err(error);
        }
    };
    let database = folder.join(DATABASE);
    std::fs::rename(&unfinished, &database).map_err(failed("name the database"))?;
    sync_parent(&database).map_err(failed("name the database"))?;
    durable_mark::write(&mut disk, &head.tip).map_err(failed("write the mark of the last sync"))?;
    Ok(report)
}

fn load<R: Read>(
    input: VaultReader<R>,
    known: &Known<'_>,
    identity: &Identity,
    (folder, passphrase): (&Path, Option<&Passphrase>),
    unsealed: bool,
    progress: Progress<'_>,
) -> Result<(Report, Head), BackupError> {
    let failed = |error| BackupError::from(StoreError::engine(folder, "write the database", error));
    let engine = database::create(folder, passphrase)?;
    let (mut batch, mut bytes) = (Batch::default(), 0);
    let mut take = |column, key: &[u8], value: &[u8]| -> Result<(), BackupError> {
        batch.put(column, key, value);
        bytes += key.len() + value.len();
        if bytes >= BATCH_BYTES {
            bytes = 0;
            engine.load(std::mem::take(&mut batch)).map_err(failed)?;
        }
        Ok(())
    };
    let (report, head) = walk_with(input, known, unsealed, progress, &mut take)?;
    batch.put(Column::Meta, record::VERSION_KEY, VERSION.to_bytes());
    batch.put(Column::Meta, record::IDENTITY_KEY, identity.to_bytes());
    batch.put(Column::Meta, record::TIP_KEY, head.tip.to_bytes());
    if head.base != NO_BASE {
        batch.put(Column::Meta, record::BASE_KEY, head.base.to_bytes());
    }
    engine.load(batch).map_err(failed)?;
    engine.finish_loading().map_err(failed)?;
    Ok((report, head))
}
