//! Fetching a whole state instead of the blocks that made it, when this replica is far behind. **Source**: consensus
//! specification, section 11; decision record 28.
//!
//! Peers are asked which states they can send. An offer is a stable checkpoint with its q SEALs, so it proves itself, as each
//! chunk does (`chunks`). What was checked is kept by the node, and a restart goes on where the last start came to. Until all of it is there the replica stands on its old state; it votes meanwhile, for
//! votes need no state, and it never SEALs a block that it did not execute.

use std::sync::Arc;

use carat_types::header::Header;
use carat_types::message::{Fetch, Message};
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{Digest, SignerSet, ValidatorId};

use crate::chunks::{ChunkFetch, GATHER_TICKS, KeptTransfer, NO_OFFER_TICKS, Offers, REST_TICKS, best_offer};
use crate::effect::{Effect, Halt, Report};
use crate::rejection::Rejection;
use crate::replica::{Replica, invariant, millis};

/// Blocks are asked for so often in vain, of each peer, before a state is asked for.
const VAIN_ROUNDS: u32 = 4;

/// What is going on.
#[derive(Debug, Default)]
pub(crate) struct StateTransfer {
    stage: Stage,
    /// Until then blocks are fetched: a transfer has just failed.
    rest_until_us: u64,
    /// How often blocks were asked for since one came.
    blocks_in_vain: u32,
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
    Installing(Arc<SnapshotOffer>),
}

impl StateTransfer {
    /// Offers held.
    pub(crate) fn len(&self) -> usize {
        match &self.stage {
            Stage::Asking { offers, .. } => offers.len(),
            Stage::Fetching(_) | Stage::Installing(_) => 1,
            Stage::Idle => 0,
        }
    }

    /// Whether the state is about to be replaced, so that nothing may be executed on the old one.
    pub(crate) fn holds_execution(&self) -> bool {
        matches!(self.stage, Stage::Fetching(_) | Stage::Installing(_))
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    pub(crate) fn block_came(&mut self) {
        self.blocks_in_vain = 0;
    }

    pub(crate) fn blocks_asked(&mut self) {
        self.blocks_in_vain = self.blocks_in_vain.saturating_add(1);
    }
}

impl Replica {
    /// Whether to ask for a state now.
    pub(crate) fn wants_state(&self) -> bool {
        self.transfer.is_idle() && self.now.monotonic_us >= self.transfer.rest_until_us && self.needs_state()
    }

    /// Whether a state would be better than blocks.
    fn needs_state(&self) -> bool {
        let (config, chain) = (&self.config, &self.chain);
        let peers = u32::try_from(self.peers.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let in_vain = self.transfer.blocks_in_vain >= peers.saturating_mul(VAIN_ROUNDS);
        config.fetches_states.prefers_state(&config.params, chain.executed, chain.stable, in_vain)
    }

    /// Asks everybody for a state.
    pub(crate) fn ask_for_states(&mut self) {
        self.transfer.stage = Stage::Asking { offers: Offers::new(), ticks: 0 };
        self.broadcast(Message::Fetch(Fetch::Snapshot(self.chain.executed)));
        self.arm_fetch();
    }

    /// DATA: a peer offers a state.
    pub(crate) fn on_offer(&mut self, from: ValidatorId, offer: Arc<SnapshotOffer>) -> Result<(), Rejection> {
        let Stage::Asking { offers, .. } = &self.transfer.stage else { return Err(Rejection::Unrequested) };
        if offers.get(&from).is_some_and(|earlier| earlier.slot() >= offer.slot()) {
            return Ok(());
        }
        self.check_offer(&offer)?;
        if offer.slot() <= self.chain.executed {
            return Err(Rejection::OldSlot);
        }
        let offer = self.with_proved_seals(offer);
        let Stage::Asking { offers, .. } = &mut self.transfer.stage else { return Ok(()) };
        offers.insert(from, offer);
        if offers.len() >= self.quorum.n().saturating_sub(1) {
            self.choose_offer();
        }
        Ok(())
    }

    /// An offer of the state with which the epoch began, with the seals of the handover: those that the peer names are by validators that
    /// this replica does not know, and the store keeps what an offer says.
    fn with_proved_seals(&self, offer: Arc<SnapshotOffer>) -> Arc<SnapshotOffer> {
        match &self.config.base {
            Some(base) if base.header == offer.base.header => {
                Arc::new(SnapshotOffer { base: (**base).clone(), ..(*offer).clone() })
            }
            _ => offer,
        }
    }

    /// Takes the state that most can send; of several the newest.
    fn choose_offer(&mut self) {
        let Stage::Asking { offers, .. } = &self.transfer.stage else { return };
        let best = best_offer(offers).filter(|(offer, _)| offer.slot() > self.chain.executed);
        let Some((offer, holders)) = best else { return };
        self.raise_stable(Arc::new(offer.base.clone()));
        // What is still being executed would answer for the old state: then later.
        if self.halted || !self.chain.in_flight.is_empty() {
            return;
        }
        self.catch_up.forget_blocks();
        self.drop_tentative();
        self.report(Report::StateTransferBegun { slot: offer.slot() });
        self.emit(Effect::BeginTransfer(Arc::clone(&offer)));
        self.fetch_from(offer, Digest::ZERO, holders);
    }

    fn fetch_from(&mut self, offer: Arc<SnapshotOffer>, from: Digest, holders: SignerSet) {
        let fetch = ChunkFetch::new(offer, from, holders, Some(self.config.me));
        self.transfer.stage = Stage::Fetching(fetch);
        self.ask_for_chunk(None);
    }

    /// Goes on with a transfer that an earlier start began, if it is still of use.
    pub(crate) fn resume_transfer(&mut self, kept: KeptTransfer) {
        let KeptTransfer { offer, progress } = kept;
        let in_order = offer.slot() > self.chain.executed && offer.slot() <= self.chain.stable;
        if !in_order || self.check_offer(&offer).is_err() {
            return;
        }
        match progress {
            Progress::At(from) => {
                let me = self.config.me;
                let everybody = self.config.validators.ids().filter(|id| *id != me).collect();
                self.fetch_from(offer, from, everybody);
            }
            Progress::Complete => self.install(offer),
        }
    }

    /// Asks one holder: `preferred`, or the next in turn.
    fn ask_for_chunk(&mut self, preferred: Option<ValidatorId>) {
        self.arm_fetch();
        let Stage::Fetching(fetch) = &mut self.transfer.stage else { return };
        if let Some((holder, request)) = fetch.ask(preferred) {
            self.send(holder, Message::Fetch(Fetch::Chunk(request)));
        }
    }

    /// DATA: a chunk of the state.
    pub(crate) fn on_chunk(&mut self, from: ValidatorId, chunk: Arc<StateChunk>) -> Result<(), Rejection> {
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
            Err(Rejection::BadChunk) if is_forsaken => self.give_transfer_up(),
            Err(Rejection::BadChunk) => self.ask_for_chunk(None),
            Err(_) => {}
        }
        taken.map(drop)
    }

    /// A chunk is kept: the next one may be asked for.
    pub(crate) fn on_chunk_kept(&mut self) {
        let Stage::Fetching(fetch) = &mut self.transfer.stage else { return };
        if let Some(latest) = fetch.kept() {
            self.ask_for_chunk(Some(latest));
        }
    }

    fn install(&mut self, offer: Arc<SnapshotOffer>) {
        self.transfer.stage = Stage::Installing(Arc::clone(&offer));
        self.emit(Effect::InstallState(offer));
    }

    /// The state is in place: execution goes on from there.
    pub(crate) fn on_installed(&mut self, header: &Header) {
        let (slot, prefix) = (header.slot, header.prefix);
        let asked_for =
            matches!(&self.transfer.stage, Stage::Installing(offer) if offer.base.header == *header);
        invariant!("I12", asked_for, "the state of slot {slot} was installed without being asked for");
        invariant!(
            "I12",
            self.chain.in_flight.is_empty(),
            "blocks were executed while a state was installed"
        );
        self.transfer = StateTransfer::default();
        if let Some(known) = self.log.get(slot).and_then(|state| state.decided)
            && known.prefix != prefix
        {
            return self.halt(Halt::Forked { slot, ours: known.prefix, theirs: prefix });
        }
        self.chain.executed = slot;
        self.chain.dispatched = slot;
        self.chain.dispatched_prefix = prefix;
        if self.chain.last_final < slot {
            self.chain.last_final = slot;
            self.chain.final_prefix = prefix;
            self.chain.final_us = self.now.monotonic_us;
            self.settle_doubt();
        }
        self.chain.certified = self.chain.certified.split_off(&slot.next());
        self.log.forget_through(slot);
        self.payloads.forget_through(slot);
        self.seals.blocks = self.seals.blocks.split_off(&slot.next());
        self.report(Report::StateTransferEnded { slot, installed: true });
        self.continue_catch_up();
    }

    fn give_transfer_up(&mut self) {
        if let Stage::Fetching(fetch) = &self.transfer.stage {
            let slot = fetch.offer.slot();
            self.report(Report::StateTransferEnded { slot, installed: false });
        }
        // Who comes into an epoch without a state can execute no block of it: there is nothing to fetch instead.
        let has_state = self.chain.executed >= self.base().slot;
        let rest = (millis(self.config.params.timeout_ms) / 4).saturating_mul(REST_TICKS);
        let rest = if has_state { rest } else { 0 };
        if let Some(last) =
            self.chain.checkpoint.as_ref().filter(|last| last.header.ends_epoch() && !has_state)
        {
            let slot = last.header.slot;
            self.report(Report::Stranded { slot });
        }
        let rest_until_us = self.now.monotonic_us.saturating_add(rest);
        self.transfer = StateTransfer { rest_until_us, ..StateTransfer::default() };
        self.look_behind();
    }

    /// The fetch timer.
    pub(crate) fn on_transfer_tick(&mut self) {
        let peers = self.peers.len().saturating_sub(1);
        if matches!(self.transfer.stage, Stage::Asking { .. }) && !self.needs_state() {
            // Blocks that were on their way have done it.
            self.transfer.stage = Stage::Idle;
            return self.look_behind();
        }
        match &mut self.transfer.stage {
            Stage::Idle | Stage::Installing(_) => return,
            Stage::Asking { offers, ticks } => {
                *ticks = ticks.saturating_add(1);
                let executed = self.chain.executed;
                offers.retain(|_, offer| offer.slot() > executed);
                let (found, ticks) = (offers.len(), *ticks);
                if found > 0 && (ticks >= GATHER_TICKS || found >= peers) {
                    self.choose_offer();
                } else if ticks >= NO_OFFER_TICKS {
                    self.give_transfer_up();
                }
                if matches!(self.transfer.stage, Stage::Asking { .. }) {
                    self.broadcast(Message::Fetch(Fetch::Snapshot(self.chain.executed)));
                }
            }
            Stage::Fetching(fetch) => match fetch.tick() {
                true => self.give_transfer_up(),
                // Whoever answers first is asked for the next one.
                false => self.ask_for_chunk(None),
            },
        }
        if !self.transfer.is_idle() {
            self.arm_fetch();
        }
    }
}
