//! What is the same for whoever fetches a state, with a vote or without: when one is better than blocks, which offer is taken, whom
//! to ask for the next chunk, what of a chunk is taken in. **Source**: consensus specification, section 11; decision record 28.
//!
//! Each chunk proves itself against the state root of the offered header. So nothing rests on who sends: a peer that lies is
//! passed over, one that is silent is followed by the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::genesis::ConsensusConstants;
use carat_types::message::ChunkRequest;
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{Digest, LeafRule, SignerSet, Slot, ValidatorId};

use crate::rejection::Rejection;

/// Validators keep the state of every so many-th checkpoint for whoever is behind: all of them of the same slots.
const SNAPSHOT_CHECKPOINTS: u64 = 8;
/// Chunks that may wait to be kept before the next one is asked for.
const CHUNKS_IN_HAND: u32 = 4;
/// Of this many blocks of the chain who is new has one at most.
const NEW_SHARE: u64 = 16;

// Times in ticks, T0/4.
/// Offers are gathered for so long once there is one.
pub(crate) const GATHER_TICKS: u32 = 2;
/// Without an offer, blocks are asked for instead.
pub(crate) const NO_OFFER_TICKS: u32 = 8;
/// Without a chunk, too. Longer: a server first has to put its state in order.
const NO_CHUNK_TICKS: u32 = 120;
/// For so long, then, no state is asked for.
pub(crate) const REST_TICKS: u64 = 120;

/// When a validator fetches a state instead of blocks. What lies below a fetched state it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchStates {
    /// Never: it executes all blocks, or stays behind.
    Never,
    /// Where many blocks are missing and it has next to none, or nobody can serve them.
    WhenNew,
    /// Where many blocks are missing, or nobody can serve them.
    WhenBehind,
}

impl FetchStates {
    /// Whether a state at `there` would be better than the blocks behind `executed`: so many are missing that executing them all takes
    /// longer, or they were asked for `in_vain`. Who has blocks of his own gives up what was between only where there is
    /// no other way.
    pub(crate) fn prefers_state(
        self,
        params: &ConsensusConstants,
        executed: Slot,
        there: Slot,
        in_vain: bool,
    ) -> bool {
        let loses_nothing = match self {
            FetchStates::Never => return false,
            FetchStates::WhenNew => executed.0 <= there.0 / NEW_SHARE,
            FetchStates::WhenBehind => true,
        };
        let missing = there.0.saturating_sub(executed.0);
        let many = missing > params.window.saturating_add(snapshot_interval(params));
        if loses_nothing { many || (missing > 0 && in_vain) } else { many && in_vain }
    }
}

/// Whether validators keep the state after `slot` for those who are behind.
pub fn is_snapshot_slot(params: &ConsensusConstants, slot: Slot) -> bool {
    slot.0 > 0 && slot.0.checked_rem(snapshot_interval(params)) == Some(0)
}

/// Slots from one kept state to the next.
pub(crate) fn snapshot_interval(params: &ConsensusConstants) -> u64 {
    params.checkpoint_interval.saturating_mul(SNAPSHOT_CHECKPOINTS)
}

/// A transfer that an earlier start began, as the node kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTransfer {
    /// The state that is being fetched.
    pub offer: Arc<SnapshotOffer>,
    /// What comes next.
    pub progress: Progress,
}

/// The states that peers offer, by who offers.
pub(crate) type Offers = BTreeMap<ValidatorId, Arc<SnapshotOffer>>;

/// The state that most can send, of several the newest; and who can.
pub(crate) fn best_offer(offers: &Offers) -> Option<(Arc<SnapshotOffer>, SignerSet)> {
    let holders =
        |slot: Slot| offers.iter().filter(move |(_, offer)| offer.slot() == slot).map(|(id, _)| *id);
    let best = offers.values().max_by_key(|offer| (holders(offer.slot()).count(), offer.slot()))?;
    Some((Arc::clone(best), holders(best.slot()).collect()))
}

/// A state whose chunks are fetched, one after the other.
#[derive(Debug)]
pub(crate) struct ChunkFetch {
    /// The state.
    pub(crate) offer: Arc<SnapshotOffer>,
    /// The lowest tree key of the chunk that is asked for.
    from: Digest,
    /// Who may be asked: they offered this state and have not lied.
    holders: SignerSet,
    /// Whose turn it was last.
    latest: Option<ValidatorId>,
    /// Chunks that were handed to the node and are not kept yet.
    unkept: u32,
    /// Since the last chunk came.
    ticks: u32,
}

impl ChunkFetch {
    /// Begins at `from`. The first to be asked is the holder behind `after`.
    pub(crate) fn new(
        offer: Arc<SnapshotOffer>,
        from: Digest,
        holders: SignerSet,
        after: Option<ValidatorId>,
    ) -> Self {
        ChunkFetch { offer, from, holders, latest: after, unkept: 0, ticks: 0 }
    }

    /// Whom to ask for what: `preferred`, or the next holder in turn; nobody while enough waits to be kept.
    pub(crate) fn ask(&mut self, preferred: Option<ValidatorId>) -> Option<(ValidatorId, ChunkRequest)> {
        if self.unkept >= CHUNKS_IN_HAND {
            return None;
        }
        let latest = self.latest;
        let behind = |holder: &ValidatorId| latest.is_none_or(|latest| *holder > latest);
        let in_turn = || self.holders.iter().find(behind).or_else(|| self.holders.iter().next());
        let holder = preferred.or_else(in_turn)?;
        self.latest = Some(holder);
        Some((holder, ChunkRequest { slot: self.offer.slot(), from: self.from }))
    }

    /// Takes a chunk in, which is to be kept.
    ///
    /// **Returns** how far the state is there with it.
    ///
    /// **Errors**: it was not asked for, or does not lead to the state's root: then its sender is no holder any more.
    pub(crate) fn take(
        &mut self,
        from: ValidatorId,
        chunk: &StateChunk,
        leaves: &LeafRule,
    ) -> Result<Progress, Rejection> {
        let asked_for = self.holders.contains(from)
            && chunk.slot == self.offer.slot()
            && chunk.from == self.from
            && self.unkept < CHUNKS_IN_HAND;
        if !asked_for {
            return Err(Rejection::Unrequested);
        }
        if chunk.root(leaves) != Some(self.offer.base.header.state_root) {
            self.holders = self.holders.iter().filter(|holder| *holder != from).collect();
            return Err(Rejection::BadChunk);
        }
        self.ticks = 0;
        self.unkept = self.unkept.saturating_add(1);
        let end = chunk.end();
        if let Progress::At(next) = end {
            self.from = next;
        }
        Ok(end)
    }

    /// Whether nobody is left who could be asked.
    pub(crate) fn is_forsaken(&self) -> bool {
        self.holders.is_empty()
    }

    /// A chunk is kept.
    ///
    /// **Returns** whom to ask for the next one, if that waited for this.
    pub(crate) fn kept(&mut self) -> Option<ValidatorId> {
        let waited = self.unkept >= CHUNKS_IN_HAND;
        self.unkept = self.unkept.saturating_sub(1);
        self.latest.filter(|_| waited)
    }

    /// Time passes.
    ///
    /// **Returns** whether too much has passed since the last chunk.
    pub(crate) fn tick(&mut self) -> bool {
        self.ticks = self.ticks.saturating_add(1);
        self.ticks >= NO_CHUNK_TICKS
    }
}
