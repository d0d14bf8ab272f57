//! Bodies: transactions spread before they are ordered, so that a proposal names them by their digests alone.
//! **Source**: consensus specification, sections 3 and 5, J3; decision record 53.
//!
//! | who | does |
//! |---|---|
//! | the validator that clients reached | gathers what it admitted, journals it as a body and sends it to all |
//! | everybody | journals a body of which something waits here, then says that it holds it: at once if the leader needs to know |
//! | the leader | proposes, oldest first, what f+1 hold; what is in no such body for T0 / [`RESCUE_PART`] it spreads itself, and what waits of a body that it passed over at once |
//! | an acceptor | puts the payload together from what it holds; what is missing after [`GRACE_US`] it fetches |
//!
//! That f+1 hold a body is a correct leader's policy and never a check: J3 with q votes guarantees the payload. So a body that is
//! lost, refused, or announced by liars costs time and nothing else.
//!
//! A body's record says through which slot it matters: the window's end when it is written. Until the checkpoint passes that slot the
//! journal keeps it, and a vote up to that slot need not write its bytes again. Then it is forgotten.

mod held;

use std::collections::BTreeSet;
use std::sync::Arc;

use carat_types::batch::{Batch, BlockLimits, Body, Envelope, Payload, Value, WellFormed};
use carat_types::genesis::ConsensusConstants;
use carat_types::message::{BodiesHeld, Message, PrePrepare, Signed};
use carat_types::{Digest, SignerSet, Slot, ValidatorId};

pub(crate) use self::held::Bodies;
use self::held::{Announced, Held};
use crate::effect::Effect;
use crate::input::{PendingTransaction, SpreadBody};
use crate::pending::Room;
use crate::record::Record;
use crate::rejection::Rejection;
use crate::replica::{Replica, millis};
use crate::timer::Timer;

/// From one body or acknowledgement of this validator to its next; the first of an idle one waits for nothing. **Units**:
/// microseconds.
const GATHER_US: u64 = 5_000;
/// The same behind a body of [`BUSY`] transactions.
const BUSY_GATHER_US: u64 = 20_000;
/// A body with so many transactions tells of load.
const BUSY: usize = 16;
/// How long an acknowledgement waits that the leader does not need; most bodies are final by then, and it is not sent. **Units**:
/// parts of T0.
const LAZY_PART: u64 = 10;
/// How long an acceptor waits for bodies that may be on their way before it fetches the payload. **Units**: microseconds.
const GRACE_US: u64 = 20_000;
/// How long a transaction waits in no body that f+1 hold, before the leader spreads it itself. **Units**: parts of T0.
const RESCUE_PART: u64 = 4;
/// How often the leader spreads what it left of bodies that it passed over. **Units**: parts of T0.
const ADOPT_PART: u64 = 20;
/// Of a block's bytes, a body takes at most this part, so that several fit.
const BODIES_A_BLOCK: u32 = 4;
/// So long nobody looks again for bodies of one validator that are of no use any more. **Units**: parts of T0.
const SWEEP_PART: u64 = 10;
/// Of what a window of full blocks holds, the journal keeps at most so many times as much in bodies of one validator: what is final
/// stays there until a checkpoint passes the window in which it came.
const WINDOWS_WRITTEN: u64 = 2;

impl Replica {
    // Bodies of others.

    /// A body that a peer spread. Its transactions were handed in before, as far as they passed admission.
    pub(crate) fn on_body(&mut self, from: ValidatorId, spread: &SpreadBody) -> Result<(), Rejection> {
        if !self.is_peer(from) {
            return Err(Rejection::Stranger);
        }
        let SpreadBody { digest, body, operations, signatures } = spread;
        self.claim(from, *digest);
        if self.bodies.held.get(digest).is_some_and(|held| held.is_said) {
            // Whoever sends it again has not heard that it is held; all others have.
            self.send(from, Message::BodiesHeld(BodiesHeld { bodies: vec![*digest] }));
            return Ok(());
        }
        if !self.bodies.held.contains_key(digest) {
            let fits = Room::of(&self.config.params.block).take_body(body, *operations, *signatures);
            if body.envelopes.is_empty() || !fits {
                return Err(Rejection::BadBody);
            }
            if !self.has_room(from, body.bytes()) {
                return Err(Rejection::TooManyBodies);
            }
            // The leader's is held whatever is known here: clients that sign two transactions with one number, each for another
            // validator, must not leave every validator with a body that is of use to itself alone.
            let is_leaders = from == self.leader();
            let known = self.pending.note_body(&body.envelopes);
            if known == 0 && !is_leaders {
                return Err(Rejection::UselessBody);
            }
            let is_admitted = known == body.envelopes.len();
            self.bodies.insert(from, self.window_end(), spread, is_admitted, self.now.monotonic_us);
        }
        self.owe_word(from, *digest);
        self.bodies.refresh(digest, self.other_holders());
        Ok(())
    }

    /// A process says that it holds a body, by sending it or in a word. Acceptors' words count: of edge proposers all but one may
    /// lie.
    fn claim(&mut self, from: ValidatorId, digest: Digest) {
        if self.is_acceptor(from) {
            self.bodies.claim(from, digest);
        }
    }

    /// How many others of f+1 acceptors must say that they hold what a leader proposes, besides itself if it is one.
    pub(crate) fn other_holders(&self) -> usize {
        self.quorum.one_correct().saturating_sub(usize::from(self.has_vote()))
    }

    /// Whether the share of a validator has room for one body more, once those are forgotten of which nothing waits here: their
    /// transactions were in others' bodies, expired, or never passed. Forgotten by memory alone: a vote on one of them writes its
    /// payload whole, and whoever proposes it is asked for it.
    fn has_room(&mut self, origin: ValidatorId, bytes: usize) -> bool {
        let ConsensusConstants { window, block, .. } = self.config.params;
        let written_max = window.saturating_mul(u64::from(block.bytes)).saturating_mul(WINDOWS_WRITTEN);
        if self.bodies.written(origin) >= written_max {
            return false;
        }
        if !self.bodies.has_room(origin, bytes) {
            let pause_us = self.part_of_timeout(SWEEP_PART);
            let mut useless = self.bodies.look_through(origin, self.now.monotonic_us, pause_us);
            useless.retain(|digest| {
                self.bodies.held.get(digest).is_some_and(|held| !self.pending.knows_any(&held.body.envelopes))
            });
            self.bodies.forget(&useless);
        }
        self.bodies.has_room(origin, bytes)
    }

    /// T0 / `part`: what mends a loss must be over before T1 blames the leader for it. **Units**: microseconds.
    fn part_of_timeout(&self, part: u64) -> u64 {
        millis(self.config.params.timeout_ms).checked_div(part).unwrap_or(0)
    }

    /// BODIES-HELD.
    pub(crate) fn on_bodies_held(&mut self, from: ValidatorId, bodies: &[Digest]) {
        let enough = self.other_holders();
        for digest in bodies {
            self.claim(from, *digest);
            self.bodies.refresh(digest, enough);
        }
    }

    /// This validator is to say that it holds a body: soon, if the leader may not count f+1 without it.
    fn owe_word(&mut self, origin: ValidatorId, digest: Digest) {
        if !self.has_vote() {
            return;
        }
        let leader = self.leader();
        let counted = BTreeSet::from([origin, leader]).into_iter().filter(|id| self.is_acceptor(*id)).count();
        let needed = counted < self.quorum.one_correct() && leader != self.config.me;
        let due = match needed {
            true => self.bodies.next_us,
            false => self.now.monotonic_us.saturating_add(self.part_of_timeout(LAZY_PART)),
        };
        let earlier = if self.bodies.unsaid.is_empty() { u64::MAX } else { self.bodies.say_us };
        self.bodies.say_us = due.min(earlier);
        self.bodies.unsaid.insert(digest);
    }

    /// J3, ahead of the vote: the records come before whatever rests on these bodies being held.
    pub(crate) fn persist_bodies(&mut self, bodies: &[Digest]) {
        let through = self.window_end();
        for digest in bodies {
            let Some(held) = self.bodies.held.get(digest).filter(|held| !held.is_journaled) else { continue };
            let (origin, operations, signatures) = (held.origin, held.operations, held.signatures);
            let body = SpreadBody { digest: *digest, body: Arc::clone(&held.body), operations, signatures };
            self.bodies.note_written(digest, through);
            self.emit(Effect::Persist(Record::Body { origin, through, body }));
        }
    }

    // Own bodies.

    /// A transaction of the own clients: it goes into the next body.
    pub(crate) fn on_submitted(&mut self, transaction: PendingTransaction) {
        let hash = transaction.hash;
        if self.pending.admit(transaction, self.now.monotonic_us) {
            self.bodies.unspread.push_back(hash);
        }
    }

    /// Spreads what has gathered, and says what is held.
    ///
    /// **Returns** whether a body was spread.
    pub(crate) fn spread_bodies(&mut self) -> bool {
        self.adopt();
        let (has_own, owes) = (!self.bodies.unspread.is_empty(), !self.bodies.unsaid.is_empty());
        if has_own || owes {
            let now = self.now.monotonic_us;
            let due = if has_own { self.bodies.next_us } else { self.bodies.say_us.max(self.bodies.next_us) };
            if now < due {
                self.look_again_at(due);
                return self.rescue();
            }
            let spread = self.spread_submitted();
            let pause_us = if spread >= BUSY { BUSY_GATHER_US } else { GATHER_US };
            self.bodies.next_us = now.saturating_add(pause_us);
            if owes && now >= self.bodies.say_us {
                self.say_what_is_held();
            }
            if spread > 0 {
                return true;
            }
        }
        self.rescue()
    }

    /// Without room for one body more it spreads nothing: what its clients brought is gossiped by the node, in a while.
    fn spread_submitted(&mut self) -> usize {
        if !self.has_room_for_own() {
            self.bodies.unspread.clear();
            return 0;
        }
        let transactions = self.take_unspread();
        let count = transactions.len();
        if count > 0 {
            self.spread(&transactions);
        }
        count
    }

    fn has_room_for_own(&mut self) -> bool {
        let largest = usize::try_from(body_limits(&self.config.params.block).bytes).unwrap_or(usize::MAX);
        self.has_room(self.config.me, largest)
    }

    /// The oldest of the own clients' transactions that are in no body, as many as one body takes.
    fn take_unspread(&mut self) -> Vec<PendingTransaction> {
        let mut room = Room::of(&body_limits(&self.config.params.block));
        let mut taken: Vec<PendingTransaction> = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(hash) = self.bodies.unspread.front() {
            // One that was adopted may stand here twice.
            if let Some(transaction) = self.pending.in_no_body(hash).filter(|_| !seen.contains(hash)) {
                if !room.take(transaction) && !taken.is_empty() {
                    break;
                }
                taken.push(transaction.clone());
                seen.insert(*hash);
            }
            self.bodies.unspread.pop_front();
        }
        taken
    }

    /// Journals a body of these and sends it to all.
    fn spread(&mut self, transactions: &[PendingTransaction]) {
        let envelopes: Vec<Envelope> = transactions.iter().map(|it| it.envelope.clone()).collect();
        let sum = |part: fn(&PendingTransaction) -> u32| {
            transactions.iter().map(part).fold(0u32, u32::saturating_add)
        };
        let (operations, signatures) = (sum(|it| it.operations), sum(|it| it.signatures));
        let body = Arc::new(Body { envelopes });
        let spread = SpreadBody { digest: body.digest(), body, operations, signatures };
        if !self.bodies.held.contains_key(&spread.digest) {
            self.pending.note_body(&spread.body.envelopes);
            self.bodies.insert(self.config.me, self.window_end(), &spread, true, self.now.monotonic_us);
        }
        // Another validator may have spread the very same one, of which nothing is written yet.
        self.persist_bodies(&[spread.digest]);
        self.broadcast(Message::Body(Arc::clone(&spread.body)));
        self.bodies.refresh(&spread.digest, self.other_holders());
    }

    fn say_what_is_held(&mut self) {
        while !self.bodies.unsaid.is_empty() {
            let rest = self.bodies.unsaid.iter().nth(BodiesHeld::BODIES_MAX).copied();
            let rest = rest.map(|first| self.bodies.unsaid.split_off(&first)).unwrap_or_default();
            let bodies: Vec<Digest> = std::mem::replace(&mut self.bodies.unsaid, rest).into_iter().collect();
            self.persist_bodies(&bodies);
            for digest in &bodies {
                if let Some(held) = self.bodies.held.get_mut(digest) {
                    held.is_said = true;
                }
            }
            self.broadcast(Message::BodiesHeld(BodiesHeld { bodies }));
        }
    }

    /// What waits of bodies that the leader passed over goes into its next own body, unless another that it may propose has it. Clients
    /// that had no answer send again elsewhere: of the bodies that overlap since, what is left would be rescued in quarters of T0, one
    /// after the other, while T1 counts (decision record 66).
    fn adopt(&mut self) {
        if self.bodies.passed_over.is_empty() || !self.is_leading() {
            return;
        }
        if self.now.monotonic_us < self.bodies.adopt_us {
            return self.look_again_at(self.bodies.adopt_us);
        }
        self.bodies.adopt_us = self.now.monotonic_us.saturating_add(self.part_of_timeout(ADOPT_PART));
        let passed_over = std::mem::take(&mut self.bodies.passed_over);
        let left = |digest: &Digest| self.bodies.held.get(digest).map(|held| &held.body.envelopes);
        let mut left: BTreeSet<&Envelope> =
            passed_over.iter().filter_map(left).flatten().filter(|it| self.pending.waits(it)).collect();
        if left.is_empty() {
            return;
        }
        let others = self.bodies.held.iter().filter(|(digest, _)| !passed_over.contains(digest));
        for held in others.map(|(_, held)| held).filter(|held| self.may_propose(held)) {
            held.body.envelopes.iter().for_each(|envelope| _ = left.remove(envelope));
        }
        let left: Vec<Envelope> = left.into_iter().cloned().collect();
        let adopted = self.pending.leave_bodies(&left);
        self.bodies.unspread.extend(adopted);
    }

    /// The leader's remedy for bodies that were lost with their origin, or hold what it does not know: what waits for long and
    /// is in no body that may be proposed, it spreads itself.
    fn rescue(&mut self) -> bool {
        let now = self.now.monotonic_us;
        if !self.bodies.are_spread || !self.is_leading() {
            return false;
        }
        let Some(oldest) = self.pending.oldest_waiting_us() else { return false };
        let patience = self.part_of_timeout(RESCUE_PART);
        let due = oldest.saturating_add(patience).max(self.bodies.rescue_us);
        if now < due {
            self.look_again_at(due);
            return false;
        }
        self.bodies.rescue_us = now.saturating_add(patience);
        self.look_again_at(self.bodies.rescue_us);
        let until = now.saturating_sub(patience);
        let unheard = self.unheard_bodies();
        let ready = self.bodies.ready.values();
        let hopeful = ready.chain(&unheard).filter_map(|digest| self.bodies.held.get(digest));
        let covered: BTreeSet<&Envelope> = hopeful.flat_map(|held| &held.body.envelopes).collect();
        let limits = body_limits(&self.config.params.block);
        let lost = self.pending.waiting_outside(&covered, until, &limits);
        self.send_again(&unheard, until);
        let spreads = !lost.is_empty() && self.has_room_for_own();
        if spreads {
            self.spread(&lost);
        }
        spreads
    }

    /// The own bodies that fewer than f+1 hold, and that may be proposed when they do.
    fn unheard_bodies(&self) -> Vec<Digest> {
        let own = self.bodies.held.iter().filter(|(_, held)| held.origin == self.config.me);
        let unheard =
            own.filter(|(_, held)| !self.bodies.ready.contains_key(&held.arrival) && self.may_propose(held));
        unheard.map(|(digest, _)| *digest).collect()
    }

    /// Sends those bodies again that were sent last before a time.
    fn send_again(&mut self, bodies: &[Digest], before_us: u64) {
        for digest in bodies {
            let Some(held) = self.bodies.held.get_mut(digest).filter(|held| held.spread_us <= before_us)
            else {
                continue;
            };
            held.spread_us = self.now.monotonic_us;
            let body = Arc::clone(&held.body);
            self.broadcast(Message::Body(body));
        }
    }

    // Proposals.

    /// Whether every transaction of a body passed admission here, and half of them wait still. Others may be settled since, by bodies
    /// that overlap with this one, as those of clients do that submit to several validators; the trim drops them. Of a body with less
    /// the leader spreads the rest: whoever repeats others' transactions wastes no more than half of a block.
    fn may_propose(&self, held: &Held) -> bool {
        let envelopes = &held.body.envelopes;
        let waiting = self.pending.waiting_of(envelopes);
        (held.is_admitted || self.pending.knows_all(envelopes))
            && waiting > 0
            && waiting.saturating_mul(2) >= envelopes.len()
    }

    /// Takes bodies for a batch, oldest first, up to the limits of a block: those that f+1 hold and that may be proposed. What
    /// turns out to be none of these is not looked at again in this view.
    pub(crate) fn take_ready(&mut self) -> Vec<Arc<Body>> {
        let mut room = Room::of(&self.config.params.block);
        let mut taken = Vec::new();
        while let Some((arrival, digest)) = self.bodies.ready.pop_first() {
            let Some(held) = self.bodies.held.get(&digest) else { continue };
            if !self.may_propose(held) {
                self.bodies.passed_over.insert(digest);
                continue;
            }
            let has_place = taken.len() < Batch::BODIES_MAX;
            if !has_place || !room.take_body(&held.body, held.operations, held.signatures) {
                self.bodies.ready.insert(arrival, digest);
                break;
            }
            self.pending.mark_in_flight(held.body.envelopes.iter());
            taken.push(Arc::clone(&held.body));
            self.persist_bodies(&[digest]);
        }
        taken
    }

    /// Whether a payload may be announced by its batch alone.
    pub(crate) fn was_spread(&self, payload: &Payload) -> bool {
        match &payload.value {
            Value::Batch(batch) => !batch.bodies.is_empty() && self.bodies.holds_all(&batch.bodies),
            Value::Null => false,
        }
    }

    /// PRE-PREPARE with the batch alone.
    pub(crate) fn on_announcement(
        &mut self,
        signed: Signed<PrePrepare>,
        batch: Batch,
    ) -> Result<(), Rejection> {
        self.check_proposal(&signed)?;
        let PrePrepare { view, slot, digest, .. } = signed.body;
        // Early PRE-PREPAREs of the next view keep the digest only.
        if self.record_proposal(signed)? && view == self.position.view {
            let since_us = self.now.monotonic_us;
            if !self.bodies.announced.is_empty() {
                // Something is missing of a slot below, so this one is not looked at until then.
                self.look_again_at(since_us.saturating_add(GRACE_US));
            }
            self.bodies.announced.insert(slot, Announced { digest, batch, since_us });
        }
        Ok(())
    }

    /// Puts the announced payload of a slot together, if all its bodies are held.
    ///
    /// **Returns** whether it is better to wait for what is missing than to fetch it.
    pub(crate) fn put_together(&mut self, slot: Slot, digest: &Digest) -> bool {
        let Some(announced) = self.bodies.announced.get(&slot).filter(|it| it.digest == *digest) else {
            return false;
        };
        let limits = self.config.params.block;
        let Some((bodies, fits)) = self.bodies.collect(&announced.batch, &limits) else {
            let due = announced.since_us.saturating_add(GRACE_US);
            let waits = self.now.monotonic_us < due;
            if waits {
                self.look_again_at(due);
            }
            return waits;
        };
        let Some(announced) = self.bodies.announced.remove(&slot) else { return false };
        if !fits {
            // T3: as with a payload that came whole and is malformed.
            self.accuse_leader(self.position.view, "signed a malformed batch");
            return true;
        }
        let payload = Payload { value: Value::Batch(announced.batch), bodies };
        self.payloads.insert(slot, WellFormed::trusted(Arc::new(payload)), true);
        self.catch_up.forget_payload(digest);
        false
    }

    /// Fetches what is missing of all that the leader announced, a while after it did, and not of the next slot alone: one after
    /// the other costs a round trip each, and meanwhile batches grow (decision record 71).
    pub(crate) fn fetch_announced(&mut self) {
        if !self.position.active {
            return;
        }
        let above = self.bodies.announced.range(self.position.voted.next()..);
        let announced: Vec<(Slot, Digest)> = above.map(|(slot, it)| (*slot, it.digest)).collect();
        for (slot, digest) in announced {
            // Looks again by itself at what may be on its way still.
            let waits = self.put_together(slot, &digest);
            // A malformed batch has ended the view, and nothing of it is announced any more.
            let is_open = self.bodies.announced.contains_key(&slot);
            if is_open && !waits && self.payloads.get(&digest).is_none() {
                self.want_payload(slot, digest, SignerSet::from_iter([self.leader()]));
            }
        }
    }

    /// Comes back then, or earlier if that was said before.
    fn look_again_at(&mut self, due_us: u64) {
        if !self.armed.contains(&Timer::Bodies) || due_us < self.bodies.due_us {
            self.bodies.due_us = due_us;
            self.disarm(Timer::Bodies);
            self.arm(Timer::Bodies, due_us.saturating_sub(self.now.monotonic_us));
        }
    }
}

/// What one body may hold, so that several fit a block.
fn body_limits(limits: &BlockLimits) -> BlockLimits {
    BlockLimits { bytes: limits.bytes / BODIES_A_BLOCK, ..*limits }
}
