//! Putting archived blocks back into the store of a stopped validator.
//!
//! First all archives are checked, as `verify` does; then what the store lacks is put back, the newest file first, so that what
//! is there always hangs together. After each file the store's base lies lower: a crash costs the file that was under way, and the
//! next call goes on there. Each file is checked again while it is put back. **Source**: decision record 47.

use std::path::Path;

use carat_storage::store::backup::archive::Check;
use carat_storage::store::{Below, Store};
use carat_storage::vault::Passphrase;
use carat_types::Slot;
use carat_types::genesis::GenesisFile;

use super::{ArchiveFile, archives, walk, walk_file};
use crate::backup::BackupFailure;
use crate::error::NodeError;
use crate::handovers;
use crate::home::Place;

/// What is done with the block that a caller hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was checked.
    Checked,
    /// It was put back.
    PutBack,
}

/// What was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Blocks that are there now and were not before.
    pub blocks: u64,
    /// The oldest block that is whole now.
    pub oldest: Slot,
    /// Whether the settings say that old blocks are dropped.
    pub drops: bool,
}

/// Puts the blocks of the folder `folder` that the validator of `home` has no more, or never had, back into its store. The
/// validator must be stopped. `progress` hears of each block, and of the last one of its step.
///
/// **Errors**: as [`verify`](super::verify), and then nothing was put back; archives that do not reach the oldest block of the
/// store; a store that is in use. Files that were put back before an error stay.
pub fn import(
    home: &Path,
    folder: &Path,
    passphrase: Option<&Passphrase>,
    mut progress: impl FnMut(Step, Slot, Slot),
) -> Result<Imported, NodeError> {
    let place = Place::read(home)?;
    let of_store = place.store_passphrase()?;
    let store = Store::open_existing(&place.store_folder(), &place.seat.identity, of_store.as_ref())?;
    let drops = place.settings.store.drops();
    let Some(base) = base(&store)? else { return Ok(Imported { blocks: 0, oldest: Slot(1), drops }) };
    let files = archives(folder)?;
    let last = files.last().map_or(Slot(0), |file| file.last);
    if last < base {
        let what =
            format!("end with block {last}, the oldest block that this validator has is {}", base.next());
        return Err(BackupFailure::Archives { path: folder.into(), what }.into());
    }
    let epochs = handovers::read(folder, place.genesis())?;
    let checked = |slot, last| progress(Step::Checked, slot, last);
    let bounds = bounds(folder, &files, place.genesis(), passphrase, checked)?;
    let lowest = bounds.first().and_then(Option::as_ref).map_or(Slot(0), Below::slot);
    let missing = Slot(base.0.saturating_sub(lowest.0));
    let mut blocks = 0;
    for (file, below) in files.iter().zip(bounds).rev() {
        let check = Check::new(place.genesis(), &epochs);
        put_back(&store, file, below, check, passphrase, || {
            blocks += 1;
            progress(Step::PutBack, Slot(blocks), missing);
        })?;
    }
    let oldest = self::base(&store)?.map_or(Slot(1), Slot::next);
    Ok(Imported { blocks, oldest, drops })
}

/// The block below the oldest one that is whole; none where nothing is missing.
fn base(store: &Store) -> Result<Option<Slot>, NodeError> {
    Ok(store.base()?.map(|base| base.slot))
}

/// Puts back what the store lacks of the blocks of one file above `below`, and calls `each` after each of them.
fn put_back(
    store: &Store,
    file: &ArchiveFile,
    below: Option<Below>,
    mut check: Check<'_>,
    passphrase: Option<&Passphrase>,
    mut each: impl FnMut(),
) -> Result<(), NodeError> {
    let base = base(store)?.unwrap_or_default();
    let above = below.as_ref().map_or(Slot(0), Below::slot);
    if above >= base {
        return Ok(());
    }
    let mut run = store.put_back(below)?;
    walk_file(file, &mut check, passphrase, |archived| {
        let slot = archived.block.header.slot;
        if slot > above && slot <= base {
            run.block(archived)?;
            each();
        }
        Ok(())
    })?;
    Ok(run.finish()?)
}

/// Checks all archives. **Returns** for each file the block that is the base when it has been put back: the last of the file
/// before it. Before the first file it is the first one that is sealed, or none where that file begins with block 1.
fn bounds(
    folder: &Path,
    files: &[ArchiveFile],
    genesis: &GenesisFile,
    passphrase: Option<&Passphrase>,
    progress: impl FnMut(Slot, Slot),
) -> Result<Vec<Option<Below>>, NodeError> {
    let mut bounds = Vec::with_capacity(files.len());
    if files.first().is_some_and(|file| file.first == Slot(1)) {
        bounds.push(None);
    }
    walk(folder, genesis, passphrase, progress, |archived| {
        if bounds.is_empty() {
            bounds.extend(Below::of(archived).map(Some));
        }
        if files.binary_search_by_key(&archived.block.header.slot, |file| file.last).is_ok() {
            bounds.extend(Below::of(archived).map(Some));
        }
        Ok(())
    })?;
    Ok(bounds)
}
