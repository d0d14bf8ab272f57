//! A learner that fetches a whole state: at its first start, or where nobody has the blocks any more. As a replica does
//! (`state_transfer`, decision record 28), but for what has to do with votes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carat_types::header::Header;
use carat_types::message::{ChunkRequest, Fetch};
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{Digest, Slot, ValidatorId};

use super::Learner;
use crate::effect::{Effect, Report};
use crate::rejection::Rejection;
use crate::replica::millis;
use crate::state_transfer::{FetchStates, KeptTransfer, snapshot_interval};

/// Chunks that may wait to be kept before the next one is asked for.
const CHUNKS_IN_HAND: u32 = 4;

// Times in ticks, T0/4.
/// Offers are gathered for so long once there is one.
const GATHER_TICKS: u32 = 2;
/// Without an offer, blocks are asked for again.
const NO_OFFER_TICKS: u32 = 8;
/// Without a chunk, too. Longer: a server first has to put its state in order.
const NO_CHUNK_TICKS: u32 = 120;
/// For so long, then, no state is asked for.
const REST_TICKS: u64 = 120;
/// Rounds of all sources in vain before a state is asked for.
const VAIN_ROUNDS: usize = 2;
/// Of this many blocks of the chain a learner that is new has one at most.
const NEW_SHARE: u64 = 16;

/// What is going on.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    stage: Stage,
    /// Until then blocks are asked for: a transfer has just failed. **Units**: monotonic microseconds.
    rest_until_us: u64,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    Asking {
        offers: BTreeMap<ValidatorId, Arc<SnapshotOffer>>,
        ticks: u32,
    },
    Fetching(Fetching),
    /// All chunks are kept; the node puts the state in place.
    Installing,
}

#[derive(Debug)]
struct Fetching {
    offer: Arc<SnapshotOffer>,
    /// The lowest tree key of the chunk that is asked for.
    from: Digest,
    /// Who may be asked: they offered this state and have not lied.
    holders: BTreeSet<ValidatorId>,
    latest: Option<ValidatorId>,
    /// Chunks that were handed to the node and are not kept yet.
    unkept: u32,
    /// Since the last chunk came.
    ticks: u32,
}

impl Transfer {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// Whether the state is about to be replaced, so that nothing may be executed on the old one.
    pub(super) fn holds_execution(&self) -> bool {
        matches!(self.stage, Stage::Fetching(_) | Stage::Installing)
    }
}

impl Learner {
    /// Whether a state at `there` would be better than the blocks up to it.
    fn prefers_state(&self, there: Slot) -> bool {
        let is_new = self.executed.0 <= there.0 / NEW_SHARE;
        let loses_nothing = match self.config.fetches_states {
            FetchStates::Never => return false,
            FetchStates::WhenNew => is_new,
            FetchStates::WhenBehind => true,
        };
        let missing = there.0.saturating_sub(self.executed.0);
        let many = self.config.params.window.saturating_add(snapshot_interval(&self.config.params));
        let rounds = self.config.sources.len().saturating_mul(VAIN_ROUNDS);
        let in_vain = usize::try_from(self.question.vain).unwrap_or(usize::MAX) >= rounds;
        if loses_nothing { missing > many || (missing > 0 && in_vain) } else { missing > many && in_vain }
    }

    /// Each tick. **Returns** whether a transfer is under way.
    pub(super) fn transfer_tick(&mut self) -> bool {
        let everybody = self.config.sources.len();
        match &mut self.transfer.stage {
            Stage::Idle => {
                let rested = self.now.monotonic_us >= self.transfer.rest_until_us;
                if !rested || !self.prefers_state(self.honest_sources_at()) {
                    return false;
                }
                self.transfer.stage = Stage::Asking { offers: BTreeMap::new(), ticks: 0 };
                self.ask_for_offers();
            }
            Stage::Asking { offers, ticks } => {
                *ticks = ticks.saturating_add(1);
                let (found, ticks) = (offers.len(), *ticks);
                if found > 0 && (ticks >= GATHER_TICKS || found >= everybody) {
                    self.choose_offer();
                } else if ticks >= NO_OFFER_TICKS {
                    self.give_transfer_up();
                } else {
                    self.ask_for_offers();
                }
            }
            Stage::Fetching(fetching) => {
                fetching.ticks = fetching.ticks.saturating_add(1);
                match fetching.ticks >= NO_CHUNK_TICKS {
                    true => self.give_transfer_up(),
                    // Whoever answers first is asked for the next one.
                    false => self.ask_for_chunk(None),
                }
            }
            Stage::Installing => {}
        }
        !self.transfer.is_idle()
    }

    fn ask_for_offers(&mut self) {
        let executed = self.executed;
        let honest = self.config.sources.difference(&self.liars).copied();
        for source in honest.collect::<Vec<_>>() {
            self.send(source, Fetch::Snapshot(executed));
        }
    }

    /// DATA: a source offers a state.
    pub(super) fn on_offer(&mut self, from: ValidatorId, offer: Arc<SnapshotOffer>) -> Result<(), Rejection> {
        let Stage::Asking { offers, .. } = &self.transfer.stage else { return Err(Rejection::Unrequested) };
        if offers.get(&from).is_some_and(|earlier| earlier.slot() >= offer.slot()) {
            return Ok(());
        }
        if offer.slot() <= self.executed {
            return Err(Rejection::OldSlot);
        }
        if !self.is_offer(&offer) {
            return Err(self.distrust(from, Rejection::BadOffer));
        }
        if let Stage::Asking { offers, .. } = &mut self.transfer.stage {
            offers.insert(from, offer);
        }
        Ok(())
    }

    /// Whether an offer is a stable checkpoint with the sealed header of the block after it.
    fn is_offer(&self, offer: &SnapshotOffer) -> bool {
        let (base, interval) = (&offer.base, self.config.params.checkpoint_interval);
        let is_checkpoint = base.header.slot.0 > 0 && base.header.slot.0.checked_rem(interval) == Some(0);
        is_checkpoint
            && offer.is_consistent()
            && self.is_sealed(&base.header, &base.certificate, self.quorum.quorum())
            && self.is_sealed(&offer.next, &offer.next_seals, self.quorum.one_correct())
    }

    /// Takes the state that most can send, of several the newest, if it is worth it: what was claimed is proved now.
    fn choose_offer(&mut self) {
        let Stage::Asking { offers, .. } = &self.transfer.stage else { return };
        // What is being executed would answer for the old state: then later.
        if self.backlog() > 0 {
            return;
        }
        let holders = |slot: Slot| offers.values().filter(|offer| offer.slot() == slot).count();
        let best = offers.values().max_by_key(|offer| (holders(offer.slot()), offer.slot())).cloned();
        let Some(offer) = best.filter(|offer| self.prefers_state(offer.slot())) else {
            return self.give_transfer_up();
        };
        let of_it = offers.iter().filter(|(_, other)| other.slot() == offer.slot());
        let holders = of_it.map(|(holder, _)| *holder).collect();
        self.early.clear();
        self.emit(Effect::Report(Report::StateTransferBegun { slot: offer.slot() }));
        self.emit(Effect::BeginTransfer(Arc::clone(&offer)));
        self.fetch_from(offer, Digest::ZERO, holders);
    }

    fn fetch_from(&mut self, offer: Arc<SnapshotOffer>, from: Digest, holders: BTreeSet<ValidatorId>) {
        let fetching = Fetching { offer, from, holders, latest: None, unkept: 0, ticks: 0 };
        self.transfer.stage = Stage::Fetching(fetching);
        self.ask_for_chunk(None);
    }

    /// Goes on with a transfer that an earlier start began, if it is still of use.
    pub(super) fn resume_transfer(&mut self, kept: KeptTransfer) {
        let KeptTransfer { offer, progress } = kept;
        if offer.slot() <= self.executed || !self.is_offer(&offer) {
            return;
        }
        match progress {
            Progress::At(from) => self.fetch_from(offer, from, self.config.sources.clone()),
            Progress::Complete => self.install(offer),
        }
    }

    /// Asks one holder: `preferred`, or the next in turn.
    fn ask_for_chunk(&mut self, preferred: Option<ValidatorId>) {
        let Stage::Fetching(fetching) = &mut self.transfer.stage else { return };
        if fetching.unkept >= CHUNKS_IN_HAND {
            return;
        }
        let after = |holder: &&ValidatorId| fetching.latest.is_none_or(|latest| **holder > latest);
        let next = preferred
            .or_else(|| fetching.holders.iter().find(after).copied())
            .or_else(|| fetching.holders.first().copied());
        let Some(holder) = next else { return };
        fetching.latest = Some(holder);
        let request = ChunkRequest { slot: fetching.offer.slot(), from: fetching.from };
        self.send(holder, Fetch::Chunk(request));
    }

    /// DATA: a chunk of the state.
    pub(super) fn on_chunk(&mut self, from: ValidatorId, chunk: Arc<StateChunk>) -> Result<(), Rejection> {
        let Stage::Fetching(fetching) = &mut self.transfer.stage else { return Err(Rejection::Unrequested) };
        let asked_for = fetching.holders.contains(&from)
            && chunk.slot == fetching.offer.slot()
            && chunk.from == fetching.from
            && fetching.unkept < CHUNKS_IN_HAND;
        if !asked_for {
            return Err(Rejection::Unrequested);
        }
        if chunk.root(&self.config.leaves) != Some(fetching.offer.base.header.state_root) {
            fetching.holders.remove(&from);
            self.liars.insert(from);
            match fetching.holders.is_empty() {
                true => self.give_transfer_up(),
                false => self.ask_for_chunk(None),
            }
            return Err(Rejection::BadChunk);
        }
        fetching.ticks = 0;
        fetching.unkept = fetching.unkept.saturating_add(1);
        let end = chunk.end();
        let offer = Arc::clone(&fetching.offer);
        if let Progress::At(next) = end {
            fetching.from = next;
        }
        self.emit(Effect::KeepChunk(chunk));
        match end {
            Progress::At(_) => self.ask_for_chunk(Some(from)),
            Progress::Complete => self.install(offer),
        }
        Ok(())
    }

    /// A chunk is kept: the next one may be asked for.
    pub(super) fn on_chunk_kept(&mut self) {
        let Stage::Fetching(fetching) = &mut self.transfer.stage else { return };
        let waited = fetching.unkept >= CHUNKS_IN_HAND;
        fetching.unkept = fetching.unkept.saturating_sub(1);
        let latest = fetching.latest;
        if waited {
            self.ask_for_chunk(latest);
        }
    }

    fn install(&mut self, offer: Arc<SnapshotOffer>) {
        self.transfer.stage = Stage::Installing;
        self.emit(Effect::InstallState(offer));
    }

    /// The state is in place: blocks go on from there.
    pub(super) fn on_installed(&mut self, header: &Header) {
        self.transfer = Transfer::default();
        (self.executed, self.dispatched, self.prefix) = (header.slot, header.slot, header.prefix);
        self.question.vain = 0;
        self.emit(Effect::Report(Report::StateTransferEnded { slot: header.slot, installed: true }));
        self.ask_next_source();
    }

    fn give_transfer_up(&mut self) {
        if let Stage::Fetching(fetching) = &self.transfer.stage {
            let slot = fetching.offer.slot();
            self.emit(Effect::Report(Report::StateTransferEnded { slot, installed: false }));
        }
        let rest = (millis(self.config.params.timeout_ms) / 4).saturating_mul(REST_TICKS);
        let rest_until_us = self.now.monotonic_us.saturating_add(rest);
        self.transfer = Transfer { rest_until_us, ..Transfer::default() };
        self.ask_next_source();
    }
}
