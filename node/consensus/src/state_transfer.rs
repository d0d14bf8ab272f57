//! Fetching a whole state instead of the blocks that made it, when this replica is far behind. **Source**: consensus
//! specification, section 11; decision record 28.
//!
//! Peers are asked which states they can send. An offer is a stable checkpoint with its q SEALs, so it proves itself; each
//! chunk proves itself against the state root of that header. So nothing rests on who sends: a peer that lies is counted
//! and passed over, one that is silent is followed by the next. What was checked is kept by the node, and a restart goes
//! on where the last start came to. Until all of it is there the replica stands on its old state; it votes meanwhile, for
//! votes need no state, and it never SEALs a block that it did not execute.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::genesis::ConsensusConstants;
use carat_types::header::Header;
use carat_types::message::{ChunkRequest, Fetch, Message};
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{Digest, SignerSet, Slot, ValidatorId};

use crate::effect::{Effect, Halt, Report};
use crate::rejection::Rejection;
use crate::replica::{Replica, invariant, millis};

/// Validators keep the state of every so many-th checkpoint for whoever is behind: all of them of the same slots.
const SNAPSHOT_CHECKPOINTS: u64 = 8;

/// Chunks that may wait to be kept before the next one is asked for.
const CHUNKS_IN_HAND: u32 = 4;

// Times in ticks of the fetch timer, T0/4.
/// Offers are gathered for so long once there is one.
const GATHER_TICKS: u32 = 2;
/// Without an offer, blocks are fetched instead.
const NO_OFFER_TICKS: u32 = 8;
/// Without a chunk, too. Longer: a server first has to put its state in order.
const NO_CHUNK_TICKS: u32 = 120;
/// For so long, then, no state is asked for.
const REST_TICKS: u64 = 120;
/// Blocks are asked for so often in vain, of each peer, before a state is asked for.
const VAIN_ROUNDS: u32 = 4;

/// Of this many blocks of the chain a validator that is new has one at most.
const NEW_SHARE: u64 = 16;

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

/// Whether validators keep the state after `slot` for those who are behind.
pub fn is_snapshot_slot(params: &ConsensusConstants, slot: Slot) -> bool {
    let interval = snapshot_interval(params);
    slot.0 > 0 && slot.0.checked_rem(interval) == Some(0)
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
        offers: BTreeMap<ValidatorId, Arc<SnapshotOffer>>,
        ticks: u32,
    },
    Fetching(Fetching),
    /// All chunks are kept; the node puts the state in place.
    Installing(Arc<SnapshotOffer>),
}

#[derive(Debug)]
struct Fetching {
    offer: Arc<SnapshotOffer>,
    /// The lowest tree key of the chunk that is asked for.
    from: Digest,
    /// Who may be asked: they offered this state and have not lied.
    holders: SignerSet,
    latest: Option<ValidatorId>,
    /// Chunks that were handed to the node and are not kept yet.
    unkept: u32,
    /// Since the last chunk came.
    ticks: u32,
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

    /// Whether a state would be better than blocks: so many are missing that executing them all takes longer, or nobody
    /// can serve them any more. Who has blocks of his own gives up what was between only where there is no other way.
    fn needs_state(&self) -> bool {
        let params = &self.config.params;
        let is_new = self.chain.executed.0 <= self.chain.stable.0 / NEW_SHARE;
        let loses_nothing = match self.config.fetches_states {
            FetchStates::Never => return false,
            FetchStates::WhenNew => is_new,
            FetchStates::WhenBehind => true,
        };
        let missing = self.chain.stable.0.saturating_sub(self.chain.executed.0);
        let many = params.window.saturating_add(snapshot_interval(params));
        let peers = u32::try_from(self.peers.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let in_vain = self.transfer.blocks_in_vain >= peers.saturating_mul(VAIN_ROUNDS);
        if loses_nothing { missing > many || (missing > 0 && in_vain) } else { missing > many && in_vain }
    }

    /// Asks everybody for a state.
    pub(crate) fn ask_for_states(&mut self) {
        self.transfer.stage = Stage::Asking { offers: BTreeMap::new(), ticks: 0 };
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
        let Stage::Asking { offers, .. } = &mut self.transfer.stage else { return Ok(()) };
        offers.insert(from, offer);
        if offers.len() >= self.quorum.n().saturating_sub(1) {
            self.choose_offer();
        }
        Ok(())
    }

    /// Takes the state that most can send; of several the newest.
    fn choose_offer(&mut self) {
        let Stage::Asking { offers, .. } = &self.transfer.stage else { return };
        let holders = |slot: Slot| offers.values().filter(|offer| offer.slot() == slot).count();
        let best = offers.values().max_by_key(|offer| (holders(offer.slot()), offer.slot())).cloned();
        let Some(offer) = best.filter(|offer| offer.slot() > self.chain.executed) else { return };
        let of_it = offers.iter().filter(|(_, other)| other.slot() == offer.slot());
        let holders: SignerSet = of_it.map(|(holder, _)| *holder).collect();
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
        let fetching = Fetching { offer, from, holders, latest: None, unkept: 0, ticks: 0 };
        self.transfer.stage = Stage::Fetching(fetching);
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
        let Stage::Fetching(fetching) = &self.transfer.stage else { return };
        if fetching.unkept >= CHUNKS_IN_HAND {
            return;
        }
        let (holders, latest) = (fetching.holders, fetching.latest);
        let request = ChunkRequest { slot: fetching.offer.slot(), from: fetching.from };
        let next = preferred.or_else(|| self.next_peer(latest, |peer| holders.contains(peer)));
        let Some(peer) = next else { return };
        if let Stage::Fetching(fetching) = &mut self.transfer.stage {
            fetching.latest = Some(peer);
        }
        self.send(peer, Message::Fetch(Fetch::Chunk(request)));
    }

    /// DATA: a chunk of the state.
    pub(crate) fn on_chunk(&mut self, from: ValidatorId, chunk: Arc<StateChunk>) -> Result<(), Rejection> {
        let Stage::Fetching(fetching) = &mut self.transfer.stage else { return Err(Rejection::Unrequested) };
        let asked_for = fetching.holders.contains(from)
            && chunk.slot == fetching.offer.slot()
            && chunk.from == fetching.from
            && fetching.unkept < CHUNKS_IN_HAND;
        if !asked_for {
            return Err(Rejection::Unrequested);
        }
        if chunk.root(&self.config.leaves) != Some(fetching.offer.base.header.state_root) {
            fetching.holders = fetching.holders.iter().filter(|holder| *holder != from).collect();
            if fetching.holders.is_empty() {
                self.give_transfer_up();
            } else {
                self.ask_for_chunk(None);
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
    pub(crate) fn on_chunk_kept(&mut self) {
        let Stage::Fetching(fetching) = &mut self.transfer.stage else { return };
        let waited = fetching.unkept >= CHUNKS_IN_HAND;
        fetching.unkept = fetching.unkept.saturating_sub(1);
        let latest = fetching.latest;
        if waited {
            self.ask_for_chunk(latest);
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
        }
        self.chain.certified = self.chain.certified.split_off(&slot.next());
        self.log.forget_through(slot);
        self.payloads.forget_through(slot);
        self.seals.blocks = self.seals.blocks.split_off(&slot.next());
        self.report(Report::StateTransferEnded { slot, installed: true });
        self.continue_catch_up();
    }

    fn give_transfer_up(&mut self) {
        if let Stage::Fetching(fetching) = &self.transfer.stage {
            let slot = fetching.offer.slot();
            self.report(Report::StateTransferEnded { slot, installed: false });
        }
        // Who comes into an epoch without a state can execute no block of it: there is nothing to fetch instead.
        let has_state = self.chain.executed >= self.base().slot;
        let rest = (millis(self.config.params.timeout_ms) / 4).saturating_mul(REST_TICKS);
        let rest = if has_state { rest } else { 0 };
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
            Stage::Fetching(fetching) => {
                fetching.ticks = fetching.ticks.saturating_add(1);
                match fetching.ticks >= NO_CHUNK_TICKS {
                    true => self.give_transfer_up(),
                    // Whoever answers first is asked for the next one.
                    false => self.ask_for_chunk(None),
                }
            }
        }
        if !self.transfer.is_idle() {
            self.arm_fetch();
        }
    }
}
