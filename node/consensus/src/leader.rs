//! The leader's part of the normal case: when to propose, and what. **Source**: consensus specification, sections
//! 2 (heartbeats), 5.1, 14 (the pool, the term) and J7.
//!
//! Batching adapts to the load: with nothing in flight a batch goes out at once; while slots are in flight the next one
//! goes out when it is as large as the last one was, or [`GATHER_US`] after it; behind a batch of [`BUSY`] transactions the
//! next one waits for so long in any case, unless half a block is there before; when the pipeline is full, transactions gather. Every
//! slot costs each validator the same votes, syncs and wake-ups, whatever is in it.

use std::sync::Arc;

use carat_types::batch::{Batch, Body, Payload, Value, WellFormed};
use carat_types::message::PrePrepare;
use carat_types::{Slot, View};

use crate::effect::Effect;
use crate::pending::Room;
use crate::record::Record;
use crate::replica::{Replica, millis};
use crate::statement::Statement;
use crate::timer::Timer;

/// How long transactions gather at most while the pipeline has room. Twenty slots a second cost four validators on two processors
/// some twentieth of these (decision record 76). **Units**: microseconds.
const GATHER_US: u64 = 50_000;
/// A batch with so many transactions tells of load.
const BUSY: usize = 32;

impl Replica {
    /// Whether this replica may propose in its view.
    pub(crate) fn is_leading(&self) -> bool {
        let view = self.position.view;
        self.position.active
            && self.guard.is_none()
            && self.leads(view)
            && self.barred_through.is_none_or(|barred| view > barred)
    }

    /// s_max + R: the last slot that the view may order (T6).
    pub(crate) fn term_end(&self) -> Slot {
        self.position.s_max.plus(self.config.params.term)
    }

    /// Proposes a batch, or a heartbeat when it is time, if the window, the term and the pipeline have room.
    pub(crate) fn propose(&mut self) -> bool {
        if self.halted || !self.is_leading() || self.position.blocked {
            return false;
        }
        let slot = self.position.voted.next();
        let in_flight = slot.previous().0.saturating_sub(self.chain.last_final.0.max(self.chain.stable.0));
        let room = slot > self.position.s_max
            && slot <= self.term_end()
            && self.check_window(slot).is_ok()
            && in_flight < self.config.params.pipeline
            && self.asked.proposal != Some((self.position.view, slot))
            && self
                .log
                .get(slot)
                .is_none_or(|state| state.current.proposal.is_none() && state.decided.is_none());
        if !room || self.chain.certified.contains_key(&slot) {
            return false;
        }
        let has_work =
            if self.bodies.are_spread { self.bodies.has_ready() } else { self.pending.has_waiting() };
        let is_heartbeat = !has_work || self.is_far_behind();
        let last = self.position.proposed_count;
        let pause_us = if is_heartbeat {
            millis(self.config.params.heartbeat_ms)
        } else if last >= BUSY || (in_flight > 0 && self.pending.waiting() < last) {
            GATHER_US
        } else {
            0
        };
        let next = self.position.proposed_us.map_or(0, |last| last.saturating_add(pause_us));
        if next > self.now.monotonic_us && !(has_work && self.has_half_a_block()) {
            self.propose_at(next);
            return false;
        }
        let bodies = if is_heartbeat { Vec::new() } else { self.take_bodies() };
        // Of what f+1 hold, everything may be ordered already: then there is nothing ready any more.
        if is_heartbeat || !bodies.is_empty() {
            self.propose_batch(slot, bodies);
        }
        true
    }

    /// Whether waiting for more would gain little, and could cap what small blocks carry.
    fn has_half_a_block(&self) -> bool {
        let half = Room::half_of(&self.config.params.block);
        if self.bodies.are_spread {
            self.bodies.ready_fill(half)
        } else {
            !half.holds(self.pending.waiting())
        }
    }

    /// Comes back to proposing then, or earlier if that was said before.
    fn propose_at(&mut self, due_us: u64) {
        if !self.armed.contains(&Timer::Propose) || due_us < self.position.propose_at_us {
            self.position.propose_at_us = due_us;
            self.disarm(Timer::Propose);
            self.arm(Timer::Propose, due_us.saturating_sub(self.now.monotonic_us));
        }
    }

    /// Section 14: a leader more than L/4 slots behind in execution proposes heartbeats only.
    fn is_far_behind(&self) -> bool {
        let ahead = self.chain.last_final.0.max(self.chain.stable.0);
        ahead.saturating_sub(self.chain.executed.0) > self.config.params.window / 4
    }

    /// What goes into the next batch: bodies that were spread, or else one of all that waits.
    fn take_bodies(&mut self) -> Vec<Arc<Body>> {
        if self.bodies.are_spread {
            return self.take_ready();
        }
        vec![Arc::new(Body { envelopes: self.pending.take_batch() })]
    }

    fn propose_batch(&mut self, slot: Slot, bodies: Vec<Arc<Body>>) {
        let view = self.position.view;
        self.position.proposed_count = bodies.iter().map(|body| body.envelopes.len()).sum();
        let batch =
            Batch { time_ms: self.now.wall_ms, bodies: bodies.iter().map(|body| body.digest()).collect() };
        let payload = WellFormed::trusted(Arc::new(Payload { value: Value::Batch(batch), bodies }));
        self.persist_led(view);
        let digest = payload.digest();
        self.asked.proposal = Some((view, slot));
        let body = PrePrepare { view, slot, parent: self.position.voted_prefix, digest };
        self.say(Statement::Proposal(body, Arc::clone(payload.payload())));
        self.position.proposed_us = Some(self.now.monotonic_us);
        self.performance.proposed(self.now.monotonic_us);
        self.disarm(Timer::Propose);
        self.payloads.insert(slot, payload, true);
    }

    /// J7 before the first PRE-PREPARE (or NEW-VIEW) of a view.
    pub(crate) fn persist_led(&mut self, view: View) {
        if self.led.is_none_or(|led| led < view) {
            self.led = Some(view);
            let epoch = self.config.validators.domain().epoch;
            self.emit(Effect::Persist(Record::Led(epoch, view)));
        }
    }
}
