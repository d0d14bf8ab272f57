//! The handovers that a validator keeps: how each epoch of the chain ended, in the file `handovers` of the data folder.
//!
//! **Source**: consensus specification, section 11; decision records 39 and 50.

use std::path::{Path, PathBuf};

use carat_handovers::FILE_NAME;
use carat_ledger::StateError;
use carat_storage::store::Store;
use carat_types::epoch::{Epochs, Handover};
use carat_types::genesis::GenesisFile;
use carat_types::governance::Change;
use carat_types::message::StableCheckpoint;
use carat_types::quorum::ImpossibleSize;
use carat_types::validators::Ed25519;
use thiserror::Error;

/// Why handovers cannot be used.
#[derive(Debug, Error)]
pub enum HandoversError {
    /// The file.
    #[error(transparent)]
    File(#[from] carat_handovers::HandoversError),
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
    let mut epochs = Epochs::of(genesis)?;
    carat_handovers::follow(&data.join(FILE_NAME), &mut epochs)?;
    Ok(epochs)
}

/// Writes the file, durably and at once.
///
/// **Errors**: the system's.
pub fn write(data: &Path, epochs: &Epochs) -> Result<(), HandoversError> {
    Ok(carat_handovers::write(&data.join(FILE_NAME), epochs.handovers())?)
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
    let broken = |error| carat_handovers::HandoversError::Broken { path: PathBuf::from(FILE_NAME), error };
    epochs.follow(&handovers, &Ed25519).map_err(broken)?;
    Ok(epochs)
}
