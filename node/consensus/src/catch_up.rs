//! Asking peers for what is missing: payloads of values that must be voted for or executed, and whole blocks with
//! their seals when this replica has fallen behind. **Source**: consensus specification, sections 7.4, 9.7 and 11.
//!
//! Everything asked for is self-certifying, so any peer may be asked; a peer that does not answer is followed by the
//! next one. Nothing is accepted that was not asked for, so nobody can fill these buffers.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::batch::WellFormed;
use carat_types::block::CertifiedBlock;
use carat_types::message::{Fetch, Message};
use carat_types::{Digest, SignerSet, Slot, ValidatorId};

use crate::effect::{Halt, Report};
use crate::rejection::Rejection;
use crate::replica::{Replica, millis};
use crate::timer::Timer;

/// Blocks that a peer should answer to one [`Fetch::Blocks`]; also the most that are buffered out of order.
pub const BLOCKS_PER_FETCH: u64 = 16;

/// How often each peer is asked for SEALs in vain before an epoch ends without them.
const SEAL_ROUNDS: usize = 3;

/// Payloads asked for at the same time.
const PAYLOADS_MAX: usize = 32;

#[derive(Debug)]
struct WantedPayload {
    slot: Slot,
    holders: SignerSet,
    asked: Option<ValidatorId>,
}

#[derive(Debug)]
struct WantedBlocks {
    from: Slot,
    /// All peers asked since the last progress: the answer may come from any of them.
    asked: SignerSet,
    latest: ValidatorId,
}

/// What is being asked for.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    payloads: BTreeMap<Digest, WantedPayload>,
    blocks: Option<WantedBlocks>,
    /// Blocks that arrived before those below them; at most [`BLOCKS_PER_FETCH`].
    early: BTreeMap<Slot, (Arc<CertifiedBlock>, WellFormed)>,
    /// The lowest unsealed slot at the last look: asked for when it is the same at the next.
    unsealed: Option<Slot>,
    /// Who was asked for seals last.
    seals_of: Option<ValidatorId>,
    /// How often the SEALs of that slot were asked for since nothing but them is left of the epoch.
    asked_in_vain: usize,
    /// The last final slot at the last look: blocks are asked for when it is the same at the next.
    last_final: Option<Slot>,
    /// Blocks are missing above the window: the checkpoint that moves it was asked for.
    wants_window: bool,
}

impl CatchUp {
    /// Blocks held, and payloads wanted.
    pub(crate) fn len(&self) -> usize {
        self.early.len().saturating_add(self.payloads.len())
    }

    /// A whole state comes in place of blocks.
    pub(crate) fn forget_blocks(&mut self) {
        self.blocks = None;
        self.early.clear();
    }

    pub(crate) fn forget_payload(&mut self, digest: &Digest) {
        self.payloads.remove(digest);
    }

    /// A view is over: what its slots lacked may be wanted no more, and must not crowd out what the next one lacks.
    pub(crate) fn forget_payloads(&mut self) {
        self.payloads.clear();
    }
}

impl Replica {
    // Payloads.

    /// Asks for the payload of a value; `holders` are asked first.
    pub(crate) fn want_payload(&mut self, slot: Slot, digest: Digest, holders: SignerSet) {
        if self.catch_up.payloads.contains_key(&digest) || self.catch_up.payloads.len() >= PAYLOADS_MAX {
            return;
        }
        self.catch_up.payloads.insert(digest, WantedPayload { slot, holders, asked: None });
        self.ask_for_payload(&digest);
        self.arm_fetch();
    }

    fn ask_for_payload(&mut self, digest: &Digest) {
        let Some(wanted) = self.catch_up.payloads.get(digest) else { return };
        let (holders, asked) = (wanted.holders, wanted.asked);
        let next = self.next_peer(asked, |peer| holders.contains(peer)).or_else(|| {
            // Everyone who claims to hold it was asked: ask all in turn.
            self.next_peer(asked, |_| true)
        });
        let Some(peer) = next else { return };
        if let Some(wanted) = self.catch_up.payloads.get_mut(digest) {
            wanted.asked = Some(peer);
            if holders.iter().all(|holder| holder <= peer) {
                // The next round asks everybody: a claim to hold it may be a lie.
                wanted.holders = SignerSet::default();
            }
        }
        self.send(peer, Message::Fetch(Fetch::Payload(*digest)));
    }

    /// DATA: a payload.
    pub(crate) fn on_payload(&mut self, payload: WellFormed) -> Result<(), Rejection> {
        let digest = payload.digest();
        let wanted = self.catch_up.payloads.remove(&digest).ok_or(Rejection::Unrequested)?;
        self.payloads.insert(wanted.slot, payload, true);
        Ok(())
    }

    // Blocks.

    /// Looks whether this replica has fallen behind what a peer claims, and asks for blocks if so.
    pub(crate) fn look_behind(&mut self) {
        let next = self.chain.last_final.next();
        let (executed, ahead) = self.peers_at();
        let below_window = self.chain.last_final < self.chain.stable;
        if !self.transfer.is_idle() {
            return;
        }
        if self.wants_state() {
            return self.ask_for_states();
        }
        // What was fetched is executed first, whoever looks: timers do, too.
        let is_busy = self.catch_up.blocks.is_some() || self.backlog() >= BLOCKS_PER_FETCH;
        if is_busy || (!below_window && executed < next) {
            return;
        }
        if next > self.window_end() {
            return self.ask_for_window();
        }
        self.report(Report::Behind { next, peers_at: executed });
        self.ask_for_blocks(next, ahead);
    }

    /// What is executed above h stays in memory until a checkpoint is stable, however it came here. So blocks above the window
    /// wait for the checkpoint that moves it: whoever has them has that too, and says so in answer to STATUS.
    fn ask_for_window(&mut self) {
        if self.reached_end().is_some() {
            // What the others have above the end is of an epoch that this replica is not in.
            return;
        }
        self.catch_up.wants_window = true;
        self.broadcast(Message::Status(self.status()));
        self.arm_fetch();
    }

    /// The window has moved: goes on with the blocks that waited for it.
    pub(crate) fn window_moved(&mut self) {
        if std::mem::take(&mut self.catch_up.wants_window) {
            self.look_behind();
        } else {
            self.continue_catch_up();
        }
    }

    /// Goes on with the next blocks when those asked for have been taken, and execution keeps up.
    pub(crate) fn continue_catch_up(&mut self) {
        if self.chain.last_final < self.chain.stable {
            self.look_behind();
        }
    }

    /// The highest slot that a peer claims to have executed, and who does.
    fn peers_at(&self) -> (Slot, Option<ValidatorId>) {
        self.peers
            .iter()
            .map(|(id, peer)| (peer.status.last_executed, Some(*id)))
            .max()
            .unwrap_or((Slot(0), None))
    }

    fn ask_for_blocks(&mut self, from: Slot, first: Option<ValidatorId>) {
        let earlier = self.catch_up.blocks.take();
        let asked = earlier.as_ref().map_or_else(SignerSet::default, |wanted| wanted.asked);
        let latest = earlier.map(|wanted| wanted.latest);
        let useful = |replica: &Replica, peer: ValidatorId| {
            replica.peers.get(&peer).is_some_and(|peer| peer.status.last_executed >= from)
        };
        let peer = match (latest, first) {
            (None, Some(first)) => Some(first),
            _ => {
                self.next_peer(latest, |peer| useful(self, peer)).or_else(|| self.next_peer(latest, |_| true))
            }
        };
        let Some(peer) = peer else { return };
        let mut asked = asked;
        asked.insert(peer);
        self.catch_up.blocks = Some(WantedBlocks { from, asked, latest: peer });
        self.send(peer, Message::Fetch(Fetch::Blocks(from)));
        self.arm_fetch();
    }

    /// DATA: a sealed block.
    pub(crate) fn on_block(
        &mut self,
        from: ValidatorId,
        block: Arc<CertifiedBlock>,
        payload: WellFormed,
    ) -> Result<(), Rejection> {
        let slot = block.block.header.slot;
        if slot <= self.chain.executed {
            return self.take_seals(slot, &block, &payload);
        }
        let wanted = self.catch_up.blocks.as_ref().filter(|wanted| wanted.asked.contains(from));
        let Some(wanted) = wanted else { return Err(Rejection::Unrequested) };
        let top = wanted.from.0.max(self.chain.dispatched.0).saturating_add(BLOCKS_PER_FETCH);
        if slot <= self.chain.dispatched {
            return Ok(());
        }
        if self.catch_up.early.contains_key(&slot) {
            // It may be next in line by now: execution may have moved without blocks, by a payload that came.
            self.take_blocks();
            return Ok(());
        }
        if slot.0 > top {
            return Err(Rejection::FarSlot);
        }
        self.check_block(&block, &payload.digest())?;
        self.transfer.block_came();
        self.catch_up.early.insert(slot, (block, payload));
        self.take_blocks();
        Ok(())
    }

    /// Finalises the blocks that are next in line.
    fn take_blocks(&mut self) {
        while let Some((block, payload)) = self.catch_up.early.remove(&self.chain.dispatched.next()) {
            let slot = block.block.header.slot;
            self.catch_up.forget_payload(&payload.digest());
            self.payloads.insert(slot, payload, true);
            if slot > self.chain.last_final {
                self.finalise_sealed(&block);
            } else if let Some(known) = self.log.get(slot).and_then(|state| state.decided)
                && known.prefix != block.block.header.prefix
            {
                let (ours, theirs) = (known.prefix, block.block.header.prefix);
                return self.halt(Halt::Forked { slot, ours, theirs });
            }
            self.advance_execution();
            if self.halted || self.chain.dispatched < slot {
                return;
            }
        }
        let done = self.catch_up.blocks.as_ref().is_some_and(|wanted| {
            self.chain.dispatched.0 >= wanted.from.0.saturating_add(BLOCKS_PER_FETCH - 1)
        });
        if done {
            self.catch_up.blocks = None;
            self.look_behind();
        }
    }

    /// Slots handed to execution and not answered.
    fn backlog(&self) -> u64 {
        self.chain.dispatched.0.saturating_sub(self.chain.executed.0)
    }

    /// A block that was executed here: its seals are what was missing.
    fn take_seals(
        &mut self,
        slot: Slot,
        block: &CertifiedBlock,
        payload: &WellFormed,
    ) -> Result<(), Rejection> {
        let unsealed = self.seals.blocks.get(&slot).is_some_and(|held| held.own.is_some() && !held.sealed);
        if !unsealed {
            return Ok(());
        }
        self.check_block(block, &payload.digest())?;
        self.adopt_seals(slot, &block.certificate);
        self.after_seal(slot);
        Ok(())
    }

    /// Once a second: a slot that was executed and is not sealed for a second has lost SEALs on the way.
    pub(crate) fn ask_for_seals(&mut self) {
        let lowest = self.seals.lowest_unsealed();
        let same = lowest.filter(|slot| self.catch_up.unsealed == Some(*slot));
        let in_vain = self.catch_up.asked_in_vain.saturating_add(1);
        self.catch_up.asked_in_vain =
            if same.is_some() && self.reached_end().is_some() { in_vain } else { 0 };
        if let Some(slot) = same {
            let peer = self.next_peer(self.catch_up.seals_of, |_| true);
            self.catch_up.seals_of = peer;
            if let Some(peer) = peer {
                self.send(peer, Message::Fetch(Fetch::Blocks(slot)));
            }
        }
        self.catch_up.unsealed = lowest;
    }

    /// Whether a block that was executed here may still be sealed by what peers answer. One that left for good, or dropped its
    /// old blocks, answers nothing: it is not waited for without end.
    pub(crate) fn waits_for_seals(&self) -> bool {
        let peers = self.peers.len().saturating_sub(1);
        let patience = peers.saturating_mul(SEAL_ROUNDS);
        self.catch_up.asked_in_vain <= patience && self.seals.lowest_unsealed().is_some()
    }

    /// Once a second: a replica whose last final slot has not moved for a second asks for what the others have.
    pub(crate) fn look_for_stall(&mut self) {
        let last_final = self.chain.last_final;
        if self.catch_up.last_final == Some(last_final) {
            self.look_behind();
        }
        self.catch_up.last_final = Some(last_final);
    }

    // Asking again.

    pub(crate) fn arm_fetch(&mut self) {
        let pause = millis(self.config.params.timeout_ms) / 4;
        self.arm(Timer::Fetch, pause);
    }

    pub(crate) fn on_fetch_timer(&mut self) {
        self.on_transfer_tick();
        let executed = self.chain.dispatched;
        self.catch_up.early.retain(|slot, _| *slot > executed);
        let (voted, view_active) = (self.position.voted, self.position.active);
        // What was decided or overtaken meanwhile is no longer wanted.
        self.catch_up
            .payloads
            .retain(|_, wanted| wanted.slot > executed || (view_active && wanted.slot > voted));
        let digests: Vec<Digest> = self.catch_up.payloads.keys().copied().collect();
        for digest in &digests {
            self.ask_for_payload(digest);
        }
        if let Some(wanted) = &self.catch_up.blocks {
            let from = self.chain.last_final.next();
            let (peers_at, _) = self.peers_at();
            let has_all = from > peers_at && self.chain.last_final >= self.chain.stable;
            if has_all {
                self.catch_up.blocks = None;
            } else if from > self.window_end() {
                self.catch_up.blocks = None;
                self.catch_up.wants_window = true;
            } else if from > wanted.from {
                // Progress: the same peer goes on.
                let first = Some(wanted.latest);
                self.catch_up.blocks = None;
                self.ask_for_blocks(from, first);
            } else {
                self.transfer.blocks_asked();
                self.ask_for_blocks(from, None);
            }
        }
        if std::mem::take(&mut self.catch_up.wants_window) {
            self.look_behind();
        }
        if self.catch_up.blocks.is_some() || !self.catch_up.payloads.is_empty() {
            self.arm_fetch();
        }
    }

    /// The next validator after `last`, in a circle, that is not this one and fits.
    pub(crate) fn next_peer(
        &self,
        last: Option<ValidatorId>,
        fits: impl Fn(ValidatorId) -> bool,
    ) -> Option<ValidatorId> {
        let after = last.unwrap_or(self.config.me);
        let higher = self.peers.range(after..).map(|(id, _)| *id).filter(|id| *id != after);
        let lower = self.peers.range(..=after).map(|(id, _)| *id);
        higher.chain(lower).find(|id| *id != self.config.me && fits(*id))
    }
}
