//! What a block must be that somebody kept: payload and outcomes those that its header names, seals those of its epoch's
//! validators.

use carat_types::batch::Payload;
use carat_types::certificate::SealCertificate;
use carat_types::epoch::Epochs;
use carat_types::header::Header;
use carat_types::receipt::drop_leaf;
use carat_types::validators::Ed25519;
use carat_types::{Digest, Slot, merkle};

use super::super::record::Execution;
use super::{BackupError, contradiction};

/// The payload is the one that the header names.
pub(super) fn check_payload(header: &Header, payload: &Payload) -> Result<(), BackupError> {
    let named = match header.slot {
        Slot(0) => *payload == Payload::null(),
        _ => payload.value.digest() == header.batch,
    };
    if named && payload.is_consistent() {
        return Ok(());
    }
    Err(contradiction(format!("block {} has another payload than its header names", header.slot)))
}

/// The outcomes are those that the header names.
pub(super) fn check_execution(header: &Header, execution: &Execution) -> Result<(), BackupError> {
    let outcomes: Vec<Digest> = execution.outcomes.iter().map(|outcome| outcome.leaf()).collect();
    let dropped = execution.dropped.iter();
    let drops: Vec<Digest> = dropped.map(|drop| drop_leaf(drop.envelope, drop.reason)).collect();
    if merkle::root(&outcomes) == header.outcomes_root && merkle::root(&drops) == header.drops_root {
        return Ok(());
    }
    Err(contradiction(format!("block {} has other outcomes than its header names", header.slot)))
}

/// The seals of f+1 validators on the block with this header.
pub(super) fn check_seals(
    epochs: &Epochs,
    certificate: &SealCertificate,
    header: &Header,
    hash: &Digest,
) -> Result<(), BackupError> {
    let (slot, epoch) = (header.slot, header.epoch);
    if certificate.body.slot != slot || certificate.body.header != *hash {
        return Err(contradiction(format!("the certificate of block {slot} is of another block")));
    }
    let Some(validators) = epochs.validators_of(epoch) else {
        let known = epochs.present();
        return Err(contradiction(format!(
            "block {slot} is of epoch {epoch}, the handovers lead to epoch {known}"
        )));
    };
    let checked = certificate.verify(validators, &Ed25519, validators.quorum().one_correct());
    checked.map_err(|error| BackupError::Certificate { slot, error })
}
