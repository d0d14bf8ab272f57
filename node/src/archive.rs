//! Archives of blocks: a folder of files, each a run of blocks that proves itself. Making them beside the running validator,
//! checking them with nothing but the genesis file, and putting what they hold back into a store ([`import`]).
//!
//! Format and checks are in `carat_storage::store::backup::archive`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use carat_storage::store::backup::archive::{ArchiveReader, Archived, Check, PURPOSE, Report};
use carat_storage::store::backup::{BackupError, Progress, Source};
use carat_storage::vault::{Passphrase, VaultError, VaultReader, VaultWriter};
use carat_types::genesis::GenesisFile;
use carat_types::{LeafRule, Slot};

use crate::backup::{BUFFER_BYTES, BackupFailure, Running};
use crate::error::NodeError;
use crate::handovers;
use crate::home::Place;
use crate::replay::{Replay, Replayed};

mod import;

pub use import::{Imported, Step, import};

/// Blocks of one file, if nothing else is said.
pub const BLOCKS_PER_FILE: u64 = 10_000;
const UNFINISHED: &str = "blocks.unfinished";

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// New files, oldest blocks first.
    pub files: Vec<PathBuf>,
    /// The last block that is archived now; 0 for none.
    pub last: Slot,
    /// Bytes of the new files.
    pub bytes: u64,
}

/// Writes what a validator has and the folder `out` has not: all blocks up to the newest sealed one, in files of at most
/// `blocks_per_file`. The validator may run, or be stopped. `progress` hears of each block, and of the newest one.
///
/// **Errors**: [`BackupFailure`]; a validator whose oldest block is not the next one here.
pub fn export(
    home: &Path,
    out: &Path,
    blocks_per_file: u64,
    passphrase: Option<&Passphrase>,
    progress: Progress<'_>,
) -> Result<Exported, NodeError> {
    let place = Place::read(home)?;
    fs::create_dir_all(out).map_err(|error| NodeError::file(out, "create", error))?;
    handovers::keep(out, &place.epochs)?;
    let kept = archives(out)?;
    let of_store = place.store_passphrase()?;
    let (mut running, source) = match Running::find(&place)? {
        Some(mut running) => {
            let folder = running.checkpoint()?;
            (Some(running), Source::open(&folder, of_store.as_ref())?)
        }
        None => (None, Source::open_stopped(&place.store_folder(), of_store.as_ref())?),
    };
    let mut exported =
        Exported { last: kept.last().map_or(Slot(0), |file| file.last), ..Exported::default() };
    let mut first = if kept.is_empty() { source.first_block() } else { exported.last.next() };
    if first < source.first_block() {
        let what = format!(
            "end with block {}, this validator's blocks begin with {}",
            exported.last,
            source.first_block()
        );
        return Err(BackupFailure::Archives { path: out.into(), what }.into());
    }
    loop {
        let path = out.join(UNFINISHED);
        let failed = |error| NodeError::from(BackupFailure::Archive { path: path.clone(), error });
        let wanted = Slot(first.0.saturating_add(blocks_per_file.max(1) - 1));
        let below = Slot(first.0.saturating_sub(1));
        let Some(last) = last_of_file(&source, below, wanted).map_err(failed)? else { break };
        exported.bytes += write(&path, &source, (first, last), passphrase, progress).map_err(failed)?;
        let named = out.join(file_name(first, last));
        fs::rename(&path, &named).map_err(|error| NodeError::file(&named, "name", error))?;
        exported.files.push(named);
        exported.last = last;
        first = last.next();
    }
    drop(source);
    if let Some(running) = &mut running {
        running.release()?;
    }
    let synced = File::open(out).and_then(|folder| folder.sync_all());
    synced.map_err(|error| NodeError::file(out, "sync", error))?;
    Ok(exported)
}

/// A file ends with a sealed block: at the wanted one or below, else at the next above.
fn last_of_file(source: &Source, below: Slot, wanted: Slot) -> Result<Option<Slot>, BackupError> {
    if let Some(last) = source.sealed_block(below, wanted)? {
        return Ok(Some(last));
    }
    let tip = source.tip().slot;
    for last in (wanted.next().0..=tip.0).map(Slot) {
        if source.sealed_block(Slot(last.0 - 1), last)?.is_some() {
            return Ok(Some(last));
        }
    }
    Ok(None)
}

fn write(
    path: &Path,
    source: &Source,
    (first, last): (Slot, Slot),
    passphrase: Option<&Passphrase>,
    progress: Progress<'_>,
) -> Result<u64, BackupError> {
    let failed = |error| BackupError::Vault(VaultError::Io(error));
    // What members settle among themselves is nobody else's business.
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    let out = BufWriter::with_capacity(BUFFER_BYTES, file);
    let out = source.write_archive(VaultWriter::begin(out, PURPOSE, passphrase)?, first, last, progress)?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(file.metadata().map_err(failed)?.len())
}

fn file_name(first: Slot, last: Slot) -> String {
    format!("blocks-{:012}-{:012}.carat", first.0, last.0)
}

/// A file of the folder, by its name.
struct ArchiveFile {
    path: PathBuf,
    first: Slot,
    last: Slot,
}

/// The archives of a folder, oldest blocks first, by their names.
fn listed(folder: &Path) -> Result<Vec<ArchiveFile>, NodeError> {
    let listed = fs::read_dir(folder).map_err(|error| NodeError::file(folder, "list", error))?;
    let mut files = Vec::new();
    for entry in listed {
        let path = entry.map_err(|error| NodeError::file(folder, "list", error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let range = name.strip_prefix("blocks-").and_then(|rest| rest.strip_suffix(".carat"));
        let range = range.and_then(|range| range.split_once('-'));
        let range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        if let Some((first, last)) = range {
            files.push(ArchiveFile { path, first: Slot(first), last: Slot(last) });
        }
    }
    files.sort_by_key(|file| file.first);
    Ok(files)
}

/// The same, which join.
fn archives(folder: &Path) -> Result<Vec<ArchiveFile>, NodeError> {
    let files = listed(folder)?;
    let apart = files.windows(2).find_map(|pair| match pair {
        [one, other] if other.first != one.last.next() => Some((one.last, other.first)),
        _ => None,
    });
    match apart {
        Some((last, first)) => {
            let what = format!("do not join: block {first} comes after block {last}");
            Err(BackupFailure::Archives { path: folder.into(), what }.into())
        }
        None => Ok(files),
    }
}

/// The blocks that the archives of a folder hold by their names: each run without a gap.
///
/// **Errors**: a folder that cannot be read.
pub(crate) fn runs(folder: &Path) -> Result<Vec<RangeInclusive<Slot>>, NodeError> {
    let mut runs: Vec<RangeInclusive<Slot>> = Vec::new();
    for ArchiveFile { first, last, .. } in listed(folder)? {
        match runs.last_mut() {
            Some(run) if first == run.end().next() => *run = *run.start()..=last,
            _ => runs.push(first..=last),
        }
    }
    Ok(runs)
}

/// Checks the archives of a folder against a genesis file: every block, payload, outcome and seal. Needs no validator.
///
/// **Errors**: [`BackupFailure`], for the first thing that is wrong.
pub fn verify(
    folder: &Path,
    genesis: &GenesisFile,
    passphrase: Option<&Passphrase>,
    progress: impl FnMut(Slot, Slot),
) -> Result<Report, NodeError> {
    walk(folder, genesis, passphrase, progress, |_| Ok(()))
}

/// As [`verify`], and executes every block from the genesis file on.
///
/// **Errors**: also archives that do not begin with block 1, and the first block that does not give what its header says.
pub fn replay(
    folder: &Path,
    genesis: &GenesisFile,
    leaves: &LeafRule,
    passphrase: Option<&Passphrase>,
    progress: impl FnMut(Slot, Slot),
) -> Result<(Report, Replayed), NodeError> {
    let mut replica = Replay::begin(genesis, leaves)?;
    let report = walk(folder, genesis, passphrase, progress, |archived| {
        Ok(replica.take(&archived.block, archived.certificate.as_ref())?)
    })?;
    Ok((report, replica.done()))
}

fn walk(
    folder: &Path,
    genesis: &GenesisFile,
    passphrase: Option<&Passphrase>,
    mut progress: impl FnMut(Slot, Slot),
    mut each: impl FnMut(&Archived) -> Result<(), NodeError>,
) -> Result<Report, NodeError> {
    let files = archives(folder)?;
    let Some(end) = files.last().map(|file| file.last) else {
        let what = "are none".to_owned();
        return Err(BackupFailure::Archives { path: folder.into(), what }.into());
    };
    let epochs = handovers::read(folder, genesis)?;
    let mut check = Check::new(genesis, &epochs);
    let mut report = Report::default();
    for file in &files {
        report = walk_file(file, &mut check, passphrase, |archived| {
            each(archived)?;
            progress(archived.block.header.slot, end);
            Ok(())
        })?;
    }
    Ok(report)
}

/// The next file, block by block.
fn walk_file(
    ArchiveFile { path, first, last }: &ArchiveFile,
    check: &mut Check<'_>,
    passphrase: Option<&Passphrase>,
    mut each: impl FnMut(&Archived) -> Result<(), NodeError>,
) -> Result<Report, NodeError> {
    let failed = |error| NodeError::from(BackupFailure::Archive { path: path.clone(), error });
    let mut archive = open(path, passphrase).map_err(failed)?;
    let (begins, ends) = archive.range();
    if (begins, ends) != (*first, *last) {
        let what = format!("it has the blocks {begins} to {ends}, its name says {first} to {last}");
        return Err(failed(BackupError::Contradiction(what)));
    }
    check.begin(&archive).map_err(failed)?;
    while let Some(archived) = archive.next_block().map_err(failed)? {
        check.block(&archived).map_err(failed)?;
        each(&archived)?;
    }
    archive.finish().map_err(failed)?;
    check.end().map_err(failed)
}

fn open(path: &Path, passphrase: Option<&Passphrase>) -> Result<ArchiveReader<BufReader<File>>, BackupError> {
    let file = File::open(path).map_err(|error| BackupError::Vault(error.into()))?;
    let input = BufReader::with_capacity(BUFFER_BYTES, file);
    ArchiveReader::open(VaultReader::open(input, PURPOSE, passphrase)?)
}
