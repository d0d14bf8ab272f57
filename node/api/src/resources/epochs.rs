//! The present epoch, and the proof of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::epoch::{EpochSet, write_handovers};
use carat_types::{Epoch, epoch};
use serde::Serialize;

/// The epochs of the chain. `handovers` proves the rest against the genesis file.
#[derive(Clone, Debug, Serialize)]
pub struct Epochs {
    epoch: Epoch,
    first_slot: String,
    /// In the form in which the next one is proposed.
    set: EpochSet,
    /// All handovers, in base64: the file of this name in a validator's data folder.
    handovers: String,
}

impl Epochs {
    /// As a node knows them.
    pub fn new(epochs: &epoch::Epochs) -> Self {
        Epochs {
            epoch: epochs.present(),
            first_slot: epochs.last_slot_before(epochs.present()).next().to_string(),
            set: epochs.set().clone(),
            handovers: BASE64.encode(write_handovers(epochs.handovers())),
        }
    }
}
