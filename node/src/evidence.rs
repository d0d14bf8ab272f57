//! The evidence that this validator has kept, for whoever asks: each piece with its bytes, so that nobody need believe it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_storage::store::{Store, StoreError};
use carat_types::Digest;
use carat_types::codec::Encode;
use carat_types::epoch::Epochs;
use carat_types::evidence::Evidence;
use carat_types::validators::Ed25519;
use serde::Serialize;

/// What the answer is made from.
pub struct EvidenceRoom {
    /// Where evidence is kept.
    pub store: Arc<Store>,
    /// Whom it is about, in the epoch of what it shows.
    pub epochs: Arc<Epochs>,
}

/// One piece: `/evidence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// `H("evidence", bytes)`.
    id: Digest,
    /// E1 to E5, or FAST.
    pub(crate) code: &'static str,
    /// What happened, in words.
    pub(crate) what: &'static str,
    /// The slot that it is about, if it is about one.
    pub(crate) slot: Option<u64>,
    /// The epoch of what it shows; none where it convicts nobody.
    epoch: Option<u32>,
    /// Places of the convicted in the set of that epoch.
    pub(crate) convicted: Vec<u16>,
    /// The evidence itself, base64.
    bytes: String,
}

impl EvidenceRoom {
    /// All that was kept.
    ///
    /// **Errors**: the store's.
    pub fn pieces(&self) -> Result<Vec<Piece>, StoreError> {
        Ok(self.store.evidence()?.iter().map(|evidence| self.piece(evidence)).collect())
    }

    fn piece(&self, evidence: &Evidence) -> Piece {
        let verdict = self.epochs.convicted(evidence, &Ed25519).ok();
        let convicted = verdict.map(|(_, signers)| signers).unwrap_or_default();
        Piece {
            id: evidence.id(),
            code: evidence.code(),
            what: evidence.what(),
            slot: evidence.slot().map(|slot| slot.0),
            epoch: verdict.map(|(epoch, _)| epoch.0),
            convicted: convicted.iter().map(|id| id.0).collect(),
            bytes: BASE64.encode(evidence.to_bytes()),
        }
    }
}

/// The highest alarm, in a sentence for each contradiction that was kept.
///
/// **Errors**: the store's.
pub fn alarms(store: &Store) -> Result<Vec<String>, StoreError> {
    let sentence = |evidence: &Evidence| match evidence {
        Evidence::Contradiction(found) => {
            let ballot = found.fast.body.0;
            let (slot, view) = (ballot.slot, found.new_view.body.view);
            Some(format!(
                "FAST is contradicted: slot {slot} was final with value {}, and view {view} gave it up",
                ballot.digest.short()
            ))
        }
        _ => None,
    };
    Ok(store.evidence()?.iter().filter_map(sentence).collect())
}
