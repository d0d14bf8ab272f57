//! Backups: making one beside the running validator, checking one offline, and putting one back.
//!
//! Format and checks are in `carat_storage::store::backup`; here are the files, the passphrase, and the running validator,
//! which is asked for nothing but a copy of its database (`control`).

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carat_storage::store::backup::{self, BackupError, Known, Progress, Report, Source, Written};
use carat_storage::vault::{Passphrase, PassphraseError, VaultReader, VaultWriter};
use carat_types::certificate::SealCertificate;
use carat_types::codec::Decode as _;
use carat_types::genesis::GenesisFile;
use carat_types::leaf::LeafRule;
use thiserror::Error;

use crate::control::{Answer, Request, SEAL_PATIENCE, SOCKET};
use crate::error::NodeError;
use crate::handovers;
use crate::home::Place;

/// The one file of a backup's folder that matters.
pub const FILE: &str = "store.backup";
/// A copy of the genesis file beside it, for a machine that lost its own. It is not what a backup is checked against.
pub const GENESIS: &str = "genesis.json";
const UNFINISHED: &str = "store.backup.unfinished";
pub(crate) const BUFFER_BYTES: usize = 1 << 20;

/// Why a backup was not made, believed or put back.
#[derive(Debug, Error)]
pub enum BackupFailure {
    /// The backup itself.
    #[error("backup {path}: {error}")]
    Backup {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        error: BackupError,
    },
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// A folder that is not for a new backup.
    #[error(
        "{path} is there already (hint: name a folder that does not exist; a backup is never written over)"
    )]
    Taken {
        /// What is there.
        path: PathBuf,
    },
    /// The validator refuses.
    #[error("the running validator makes no copy of its database: {0}")]
    Refused(String),
    /// The validator cannot be asked.
    #[error(
        "cannot ask the validator at {path}: {error} (hint: run this as the validator's own user, on its machine)"
    )]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// An archive.
    #[error("archive {path}: {error}")]
    Archive {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        error: BackupError,
    },
    /// Archives that do not join.
    #[error(
        "the archives in {path} {what} (hint: a folder holds the archives of one chain, without gaps; another validator may have \
         what is missing)"
    )]
    Archives {
        /// Their folder.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// There is a store already.
    #[error(
        "{path} holds a store already (hint: stop the validator and move that folder away; never the journal)"
    )]
    Occupied {
        /// Its folder.
        path: PathBuf,
    },
}

/// How to make one.
#[derive(Debug, Default)]
pub struct Making {
    /// Encrypts it.
    pub passphrase: Option<Passphrase>,
    /// Leaves the history out: it can be built again from the blocks, which takes as long as executing them.
    pub without_history: bool,
    /// Makes it although the newest block has no seals.
    pub unsealed: bool,
}

/// Makes a backup of a validator's store in the new folder `out`: of the running one, or of one that is stopped. `progress`
/// hears of each block, and of the last one.
///
/// **Errors**: [`BackupFailure`]; `out` holds no backup then.
pub fn create(
    home: &Path,
    out: &Path,
    making: &Making,
    progress: Progress<'_>,
) -> Result<Written, NodeError> {
    let place = Place::read(home)?;
    let taken = [FILE, UNFINISHED].map(|name| out.join(name)).into_iter().find(|path| path.exists());
    if let Some(path) = taken {
        return Err(BackupFailure::Taken { path }.into());
    }
    fs::create_dir_all(out).map_err(|error| NodeError::file(out, "create", error))?;
    let of_store = place.store_passphrase()?;
    let (mut running, source) = match Running::find(&place)? {
        Some(mut running) => {
            let folder = running.checkpoint()?;
            (Some(running), Source::open(&folder, of_store.as_ref())?)
        }
        None => (None, Source::open_stopped(&place.store_folder(), of_store.as_ref())?),
    };
    let path = out.join(FILE);
    let failed = |error| NodeError::from(BackupFailure::Backup { path: path.clone(), error });
    let mut seals = None;
    if !making.unsealed && !source.is_sealed().map_err(failed)? {
        match &mut running {
            Some(running) => seals = Some(running.certificate(source.tip().slot.0)?),
            None => return Err(failed(source.unsealed().map_err(failed)?)),
        }
    }
    let unfinished = out.join(UNFINISHED);
    let written = write(&unfinished, &source, seals.as_ref(), making, progress)
        .map_err(|error| BackupFailure::Backup { path: unfinished.clone(), error });
    if written.is_err() {
        // The failure is told; what is left of the file is in the way of the next attempt.
        let _ = fs::remove_file(&unfinished);
    }
    drop(source);
    let written = written?;
    if let Some(running) = &mut running {
        running.release()?;
    }
    fs::write(out.join(GENESIS), &place.genesis.bytes)
        .map_err(|error| NodeError::file(out, "write to", error))?;
    handovers::keep(out, &place.epochs)?;
    fs::rename(&unfinished, &path).map_err(|error| NodeError::file(&path, "name", error))?;
    let synced = File::open(out).and_then(|folder| folder.sync_all());
    synced.map_err(|error| NodeError::file(out, "sync", error))?;
    Ok(written)
}

fn write(
    path: &Path,
    source: &Source,
    seals: Option<&SealCertificate>,
    making: &Making,
    progress: Progress<'_>,
) -> Result<Written, BackupError> {
    let failed = |error| BackupError::Vault(carat_storage::vault::VaultError::Io(error));
    // What members settle among themselves is nobody else's business.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let out = BufWriter::with_capacity(BUFFER_BYTES, file);
    let vault = VaultWriter::begin(out, backup::PURPOSE, making.passphrase.as_ref())?;
    let (written, out) = source.write(vault, seals, !making.without_history, progress)?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(written)
}

/// Checks a backup, every block and the state, against a genesis file. Needs no validator and no network.
///
/// **Errors**: [`BackupFailure`].
pub fn verify(
    folder: &Path,
    genesis: &GenesisFile,
    leaves: &LeafRule,
    passphrase: Option<&Passphrase>,
    unsealed: bool,
    progress: Progress<'_>,
) -> Result<Report, NodeError> {
    let (path, epochs) = (folder.join(FILE), handovers::read(folder, genesis)?);
    let known = Known { genesis, epochs: &epochs, leaves };
    let walked = open(&path, passphrase).and_then(|input| backup::walk(input, &known, unsealed, progress));
    walked.map_err(|error| BackupFailure::Backup { path, error }.into())
}

/// Puts a backup back as the store of the home folder `home`, with every check of [`verify`]. The journal is not touched: where it
/// is lost, the validator refuses to start, for it may have voted and nobody knows for what. The settings say whether the store's
/// values are encrypted, under the passphrase of key files.
///
/// **Errors**: [`BackupFailure`]; there is no store then.
pub fn restore(
    home: &Path,
    folder: &Path,
    passphrase: Option<&Passphrase>,
    unsealed: bool,
    progress: Progress<'_>,
) -> Result<Restored, NodeError> {
    let place = Place::read(home)?;
    let leaves = place.leaves()?;
    let store = place.store_folder();
    if store.join("rocksdb").exists() {
        return Err(BackupFailure::Occupied { path: store }.into());
    }
    let (path, epochs) = (folder.join(FILE), handovers::read(folder, &place.genesis)?);
    let of_store = place.store_passphrase()?;
    let to = (store.as_path(), of_store.as_ref());
    let known = Known { genesis: &place.genesis, epochs: &epochs, leaves: &leaves };
    let restored = open(&path, passphrase)
        .and_then(|input| backup::restore(input, &known, &place.seat.identity, to, unsealed, progress));
    let report = restored.map_err(|error| NodeError::from(BackupFailure::Backup { path, error }))?;
    if epochs.present() > place.epochs.present() {
        handovers::write(&place.settings.validator.data, &epochs)?;
    }
    let votes = place.settings.validator.index.or(place.settings.validator.proposer).is_some();
    Ok(Restored { report, votes, journal: place.has_journal() })
}

/// What was put back.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// What the backup held.
    pub report: Report,
    /// Whether it is a validator's home, and not a follower's.
    pub votes: bool,
    /// Whether the validator's journal is where it belongs.
    pub journal: bool,
}

fn open(path: &Path, passphrase: Option<&Passphrase>) -> Result<VaultReader<BufReader<File>>, BackupError> {
    let file = File::open(path).map_err(|error| BackupError::Vault(error.into()))?;
    let input = BufReader::with_capacity(BUFFER_BYTES, file);
    Ok(VaultReader::open(input, backup::PURPOSE, passphrase)?)
}

/// The running validator. It keeps the copy of its database until it is released, or this is dropped.
pub(crate) struct Running {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Running {
    /// None where no validator runs.
    pub(crate) fn find(place: &Place) -> Result<Option<Self>, BackupFailure> {
        let path = place.settings.validator.data.join(SOCKET);
        let unreachable = |error| BackupFailure::Unreachable { path: path.clone(), error };
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Ok(None),
                    _ => Err(unreachable(error)),
                };
            }
        };
        stream.set_read_timeout(Some(SEAL_PATIENCE + Duration::from_secs(60))).map_err(unreachable)?;
        Ok(Some(Running { path, stream: BufReader::new(stream) }))
    }

    pub(crate) fn checkpoint(&mut self) -> Result<PathBuf, BackupFailure> {
        match self.ask(&Request::Checkpoint)? {
            Answer::Checkpoint(folder) => Ok(folder),
            other => Err(refused(other)),
        }
    }

    fn certificate(&mut self, slot: u64) -> Result<SealCertificate, BackupFailure> {
        let text = match self.ask(&Request::Certificate { slot })? {
            Answer::Certificate(text) => text,
            other => return Err(refused(other)),
        };
        let bytes = from_hex(&text).and_then(|bytes| SealCertificate::from_bytes(&bytes).ok());
        bytes.ok_or_else(|| BackupFailure::Refused("its certificate does not decode".into()))
    }

    pub(crate) fn release(&mut self) -> Result<(), BackupFailure> {
        match self.ask(&Request::Release)? {
            Answer::Released => Ok(()),
            other => Err(refused(other)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, BackupFailure> {
        let unreachable = |error| BackupFailure::Unreachable { path: self.path.clone(), error };
        let mut text = serde_json::to_string(request).map_err(|error| unreachable(error.into()))?;
        text.push('\n');
        self.stream.get_mut().write_all(text.as_bytes()).map_err(unreachable)?;
        let mut line = String::new();
        self.stream.read_line(&mut line).map_err(unreachable)?;
        match serde_json::from_str(&line).map_err(|error| unreachable(error.into()))? {
            Answer::Error(sentence) => Err(BackupFailure::Refused(sentence)),
            answer => Ok(answer),
        }
    }
}

fn refused(answer: Answer) -> BackupFailure {
    BackupFailure::Refused(format!("it answers {answer:?}"))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().as_chunks::<2>().0.iter();
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

impl From<BackupFailure> for NodeError {
    fn from(failure: BackupFailure) -> Self {
        NodeError::Backup(Box::new(failure))
    }
}

impl From<PassphraseError> for NodeError {
    fn from(error: PassphraseError) -> Self {
        BackupFailure::from(error).into()
    }
}
