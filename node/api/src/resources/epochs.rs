//! The present epoch, the proof of it, and which validators were convicted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::accountability::Conviction;
use carat_types::epoch::{EpochSet, write_handovers};
use carat_types::{Digest, Epoch, PublicKey, epoch};
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
    /// What the ledger has on record, the latest last: the word of this node.
    convictions: Vec<Convict>,
}

/// A validator that contradicted itself, as the ledger has found.
#[derive(Clone, Debug, Serialize)]
struct Convict {
    epoch: Epoch,
    /// Its place in the set of that epoch: for E1 on an edge network among the proposers.
    place: u16,
    /// Its name there.
    name: Option<String>,
    /// The key that signed what convicts: the proposer's for E1, else the acceptor's.
    key: PublicKey,
    code: &'static str,
    /// The slot that the evidence is about.
    slot: Option<String>,
    /// Id of the evidence, which is in the block of the slot where it was recorded.
    evidence: Digest,
    recorded_slot: String,
}

impl Epochs {
    /// As a node knows them.
    pub fn new(epochs: &epoch::Epochs, convictions: &[Conviction]) -> Self {
        Epochs {
            epoch: epochs.present(),
            first_slot: epochs.last_slot_before(epochs.present()).next().to_string(),
            set: epochs.set().clone(),
            handovers: BASE64.encode(write_handovers(epochs.handovers())),
            convictions: convictions.iter().map(|conviction| convict(epochs, conviction)).collect(),
        }
    }
}

fn convict(epochs: &epoch::Epochs, conviction: &Conviction) -> Convict {
    let Conviction { epoch, validator, key, offence, slot, evidence, recorded } = conviction;
    let name = epochs.set_of(*epoch).and_then(|set| set.name_of(*validator, offence.role()));
    Convict {
        epoch: *epoch,
        place: validator.0,
        name: name.map(str::to_owned),
        key: *key,
        code: offence.code(),
        slot: slot.map(|slot| slot.to_string()),
        evidence: *evidence,
        recorded_slot: recorded.to_string(),
    }
}
