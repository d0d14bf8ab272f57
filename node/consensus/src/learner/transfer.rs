//! A learner that fetches a whole state: at its first start, or where nobody has the blocks any more. As a replica does
//! (`state_transfer`, `chunks`, decision record 28), but for what has to do with votes.

use std::sync::Arc;

use carat_types::header::Header;
use carat_types::message::Fetch;
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{Digest, SignerSet, Slot, ValidatorId};

use super::Learner;
use crate::chunks::{ChunkFetch, GATHER_TICKS, KeptTransfer, NO_OFFER_TICKS, Offers, REST_TICKS, best_offer};
use crate::effect::{Effect, Report};
use crate::rejection::Rejection;
use crate::replica::millis;

/// Rounds of all sources in vain before a state is asked for.
const VAIN_ROUNDS: usize = 2;

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
        offers: Offers,
        ticks: u32,
    },
    Fetching(ChunkFetch),
    /// All chunks are kept; the node puts the state in place.
    Installing,
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
    /// Whether a state at `there` would be better than the blocks up to it. States of a later epoch prove nothing here: the way
    /// there is by the blocks that end this one.
    fn prefers_state(&self, there: Slot) -> bool {
        if self.honest_sources_in() > self.epoch() {
            return false;
        }
        let rounds = self.config.sources.len().saturating_mul(VAIN_ROUNDS);
        let in_vain = usize::try_from(self.question.vain).unwrap_or(usize::MAX) >= rounds;
        self.config.fetches_states.prefers_state(&self.config.params, self.executed, there, in_vain)
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
                self.transfer.stage = Stage::Asking { offers: Offers::new(), ticks: 0 };
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
            Stage::Fetching(fetch) => match fetch.tick() {
                true => self.give_transfer_up(),
                // Whoever answers first is asked for the next one.
                false => self.ask_for_chunk(None),
            },
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
        // No lie, but nothing that these validators' SEALs prove: also where an epoch ends with the state or begins above it.
        if [&offer.base.header, &offer.next].iter().any(|header| header.epoch != self.epoch()) {
            return Err(Rejection::OtherEpoch);
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
        let best = best_offer(offers).filter(|(offer, _)| self.prefers_state(offer.slot()));
        let Some((offer, holders)) = best else {
            return self.give_transfer_up();
        };
        self.early.clear();
        self.emit(Effect::Report(Report::StateTransferBegun { slot: offer.slot() }));
        self.emit(Effect::BeginTransfer(Arc::clone(&offer)));
        self.fetch_from(offer, Digest::ZERO, holders);
    }

    fn fetch_from(&mut self, offer: Arc<SnapshotOffer>, from: Digest, holders: SignerSet) {
        self.transfer.stage = Stage::Fetching(ChunkFetch::new(offer, from, holders, None));
        self.ask_for_chunk(None);
    }

    /// Goes on with a transfer that an earlier start began, if it is still of use.
    pub(super) fn resume_transfer(&mut self, kept: KeptTransfer) {
        let KeptTransfer { offer, progress } = kept;
        if offer.slot() <= self.executed || !self.is_offer(&offer) {
            return;
        }
        match progress {
            Progress::At(from) => self.fetch_from(offer, from, self.config.sources.iter().copied().collect()),
            Progress::Complete => self.install(offer),
        }
    }

    /// Asks one holder: `preferred`, or the next in turn.
    fn ask_for_chunk(&mut self, preferred: Option<ValidatorId>) {
        let Stage::Fetching(fetch) = &mut self.transfer.stage else { return };
        if let Some((holder, request)) = fetch.ask(preferred) {
            self.send(holder, Fetch::Chunk(request));
        }
    }

    /// DATA: a chunk of the state.
    pub(super) fn on_chunk(&mut self, from: ValidatorId, chunk: Arc<StateChunk>) -> Result<(), Rejection> {
        let Stage::Fetching(fetch) = &mut self.transfer.stage else { return Err(Rejection::Unrequested) };
        let taken = fetch.take(from, &chunk, &self.config.leaves);
        let (offer, is_forsaken) = (Arc::clone(&fetch.offer), fetch.is_forsaken());
        match taken {
            Ok(progress) => {
                self.emit(Effect::KeepChunk(chunk));
                match progress {
                    Progress::At(_) => self.ask_for_chunk(Some(from)),
                    Progress::Complete => self.install(offer),
                }
            }
            Err(Rejection::BadChunk) => {
                self.liars.insert(from);
                match is_forsaken {
                    true => self.give_transfer_up(),
                    false => self.ask_for_chunk(None),
                }
            }
            Err(_) => {}
        }
        taken.map(drop)
    }

    /// A chunk is kept: the next one may be asked for.
    pub(super) fn on_chunk_kept(&mut self) {
        let Stage::Fetching(fetch) = &mut self.transfer.stage else { return };
        if let Some(latest) = fetch.kept() {
            self.ask_for_chunk(Some(latest));
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
        if let Stage::Fetching(fetch) = &self.transfer.stage {
            let slot = fetch.offer.slot();
            self.emit(Effect::Report(Report::StateTransferEnded { slot, installed: false }));
        }
        let rest = (millis(self.config.params.timeout_ms) / 4).saturating_mul(REST_TICKS);
        let rest_until_us = self.now.monotonic_us.saturating_add(rest);
        self.transfer = Transfer { rest_until_us, ..Transfer::default() };
        self.ask_next_source();
    }
}
