//! The handovers that a validator keeps: how each epoch of the chain ended, in a file of the data folder.
//!
//! The file proves itself: read together with the genesis file, each handover is checked by the set to which the one before
//! led. So it may come from anybody, and a validator that was away for epochs, or comes anew, is given it by any other.
//!
//! **Source**: consensus specification, section 11; decision records 39 and 50.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use carat_ledger::StateError;
use carat_storage::store::Store;
use carat_types::codec::DecodeError;
use carat_types::epoch::{BrokenChain, Epochs, Handover, read_handovers, write_handovers};
use carat_types::genesis::GenesisFile;
use carat_types::governance::Change;
use carat_types::message::StableCheckpoint;
use carat_types::quorum::ImpossibleSize;
use carat_types::validators::Ed25519;
use thiserror::Error;

/// In the data folder.
pub const FILE: &str = "handovers";
/// Longest file that is read: as many handovers as a receipt may carry, of the largest sets. **Units**: bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why handovers cannot be used.
#[derive(Debug, Error)]
pub enum HandoversError {
    /// The system's word.
    #[error("cannot {doing} {path}: {error}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Not such a file.
    #[error(
        "{path} holds no handovers: {error} (hint: take the file of another validator, or carat epochs fetch)"
    )]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: DecodeError,
    },
    /// One proves nothing.
    #[error(
        "{path}: {error} (hint: it must be of the chain of the genesis file; take the file of another validator, or \
         carat epochs fetch)"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        error: BrokenChain,
    },
    /// The genesis file lists an impossible set.
    #[error("genesis lists {0}")]
    Size(#[from] ImpossibleSize),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A defect: the state and a sealed header contradict each other.
    #[error("the state does not hold the set that the last header of the epoch names (hint: report it)")]
    NoSet,
}

/// The epochs to which the file in `data` leads; that of the genesis file alone where there is no file.
///
/// **Errors**: [`HandoversError`].
pub fn read(data: &Path, genesis: &GenesisFile) -> Result<Epochs, HandoversError> {
    let path = data.join(FILE);
    let mut epochs = Epochs::of(genesis)?;
    let failed = |error| HandoversError::File { doing: "read", path: path.clone(), error };
    match std::fs::metadata(&path) {
        Ok(file) if file.len() > FILE_BYTES_MAX => {
            return Err(failed(std::io::Error::other(format!("{} bytes", file.len()))));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(epochs),
        Err(error) => return Err(failed(error)),
    }
    let bytes = std::fs::read(&path).map_err(failed)?;
    let handovers =
        read_handovers(&bytes).map_err(|error| HandoversError::Contents { path: path.clone(), error })?;
    epochs.follow(&handovers, &Ed25519).map_err(|error| HandoversError::Broken { path, error })?;
    Ok(epochs)
}

/// Writes the file, durably and at once: a crash leaves the old one or the new one.
///
/// **Errors**: the system's.
pub fn write(data: &Path, epochs: &Epochs) -> Result<(), HandoversError> {
    let path = data.join(FILE);
    let unfinished = data.join(format!("{FILE}.unfinished"));
    let written = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(&write_handovers(epochs.handovers()))?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        std::fs::File::open(data)?.sync_all()
    };
    written().map_err(|error| HandoversError::File { doing: "write", path: path.clone(), error })
}

/// Keeps handovers beside blocks that are carried elsewhere; where there are none, nothing is written.
///
/// **Errors**: the system's.
pub(crate) fn keep(folder: &Path, epochs: &Epochs) -> Result<(), HandoversError> {
    if epochs.handovers().is_empty() { Ok(()) } else { write(folder, epochs) }
}

/// The epochs with the one that begins behind `last`, the last checkpoint of the present one. The next set is in the state that
/// the store has now, as the vote put it there.
///
/// **Errors**: [`HandoversError`]; nothing is written.
pub fn follow(epochs: &Epochs, store: &Store, last: &StableCheckpoint) -> Result<Epochs, HandoversError> {
    let named = last.header.epoch_end.as_ref().map(|end| end.next_set);
    let governance = carat_ledger::governance::read(store)?;
    let next = match governance.and_then(|it| it.scheduled).map(|scheduled| scheduled.change) {
        Some(Change::Set(set)) if Some(set.hash()) == named => *set,
        _ => return Err(HandoversError::NoSet),
    };
    let handover = Handover { header: last.header.clone(), seals: last.certificate.clone(), next };
    let mut epochs = epochs.clone();
    let handovers = [epochs.handovers(), &[handover]].concat();
    let broken = |error| HandoversError::Broken { path: PathBuf::from(FILE), error };
    epochs.follow(&handovers, &Ed25519).map_err(broken)?;
    Ok(epochs)
}
