//! Leaders that are slow or unfair without being provably wrong: T5. **Source**: consensus specification, section 14.
//!
//! Each acceptor measures the leader of its view by its own clock and its own pool, and leaves the view when a bound is
//! broken. That needs no proof and puts no blame: rotation is harmless, and f acceptors alone move nobody.
//!
//! | bound | broken when |
//! |---|---|
//! | LAMBDA | the oldest transaction of the share waits longer |
//! | OMEGA | it waits longer than others did in the mean, by more than this |
//! | DELTA | of what waited, and of what leaders usually order, less than this share is ordered |
//! | G | transactions wait, there is room, and the leader proposes nothing for longer |
//! | junk | more than a tenth of the term's bytes had signatures that were never valid |
//!
//! A view has T(k) of grace, in which T1 and T7 watch alone: so a correct leader always has as long as section 10 needs
//! for liveness, whatever the bounds. Each demotion in a rotation relaxes them by a tenth.

use std::collections::VecDeque;

use carat_types::batch::{BlockLimits, Payload};
use carat_types::genesis::LeaderBounds;
use carat_types::{Slot, View};

use crate::effect::{Bound, Report, Trigger};
use crate::pending::Ordered;
use crate::replica::{Replica, millis};
use crate::timer::Timer;

/// Transactions that must have been ordered in a view before their mean says something (OMEGA).
const MEAN_OF_AT_LEAST: u64 = 32;
/// How slowly the mean forgets.
const MEAN_OVER: u64 = 128;
/// Looks at the bounds in the time of the shortest, or T0.
const LOOKS_PER_BOUND: u64 = 4;

/// What one acceptor has measured.
#[derive(Debug, Default)]
pub(crate) struct Performance {
    view: Measured,
    /// Transactions per 1,000 s of the last views, newest last: one rotation.
    rates: VecDeque<u64>,
    /// Views that this acceptor left by T5, within one rotation.
    demoted: VecDeque<View>,
}

/// The leader of one view.
#[derive(Debug, Default)]
struct Measured {
    /// End of the grace.
    since_us: u64,
    /// Transactions of the pool that became final in fresh slots.
    ordered: u64,
    /// Decaying mean of how long they waited.
    mean_us: u64,
    /// When the leader proposed last.
    proposed_us: u64,
    /// Whether the last final batch filled at least half a block: then transactions may wait for LAMBDA.
    full: bool,
    /// Bytes of fresh final batches, and of those dropped for signatures that were never valid.
    bytes: u64,
    junk_bytes: u64,
    /// DELTA is looked at once in each LAMBDA: when that time began, and what was ordered in it.
    window_us: u64,
    window_ordered: u64,
}

/// A bound that is broken, with both figures.
struct Broken {
    bound: Bound,
    measured: u64,
    allowed: u64,
}

impl Performance {
    /// A view begins, with this much grace.
    fn begin(&mut self, now_us: u64, grace_us: u64) {
        let since_us = now_us.saturating_add(grace_us);
        self.view = Measured { since_us, proposed_us: now_us, window_us: since_us, ..Measured::default() };
    }

    /// A view is over: its rate is one of the rotation's.
    fn end(&mut self, now_us: u64, least_us: u64, rotation: usize) {
        let elapsed_us = now_us.saturating_sub(self.view.since_us);
        if self.view.since_us == 0 || elapsed_us < least_us {
            return;
        }
        self.rates.push_back(per_kiloseconds(self.view.ordered, elapsed_us));
        while self.rates.len() > rotation {
            self.rates.pop_front();
        }
    }

    /// The median of the last full rotation.
    fn reference(&self, rotation: usize) -> Option<u64> {
        if self.rates.len() < rotation {
            return None;
        }
        let mut rates: Vec<u64> = self.rates.iter().copied().collect();
        rates.sort_unstable();
        rates.get(rates.len() / 2).copied()
    }

    fn demote(&mut self, view: View, rotation: u64) {
        self.demoted.push_back(view);
        self.demoted.retain(|demoted| demoted.0.saturating_add(rotation) >= view.0);
    }

    /// A bound, with a tenth more for each demotion of the rotation that ends with `view`.
    fn relaxed(&self, bound: u64, view: View, rotation: u64) -> u64 {
        let recent = self.demoted.iter().filter(|demoted| demoted.0.saturating_add(rotation) >= view.0);
        let tenths = u64::try_from(recent.count()).unwrap_or(u64::MAX).saturating_add(10);
        bound.saturating_mul(tenths) / 10
    }

    /// The leader proposed.
    pub(crate) fn proposed(&mut self, now_us: u64) {
        self.view.proposed_us = now_us;
    }

    /// A fresh slot of the view is final.
    fn ordered(&mut self, payload: &Payload, ordered: &Ordered, limits: &BlockLimits) {
        let view = &mut self.view;
        let bytes = bytes_of(payload);
        let count = u64::try_from(payload.envelopes().count()).unwrap_or(u64::MAX);
        view.bytes = view.bytes.saturating_add(bytes);
        view.full = bytes.saturating_mul(2) >= u64::from(limits.bytes)
            || count.saturating_mul(2) >= u64::from(limits.transactions);
        view.window_ordered = view.window_ordered.saturating_add(ordered.count());
        for waited_us in &ordered.waited_us {
            let parts = view.ordered.min(MEAN_OVER);
            let sum = view.mean_us.saturating_mul(parts).saturating_add(*waited_us);
            view.mean_us = sum.checked_div(parts.saturating_add(1)).unwrap_or(0);
            view.ordered = view.ordered.saturating_add(1);
        }
    }
}

impl Replica {
    /// The grace of a view begins when it is entered.
    pub(crate) fn begin_measuring(&mut self) {
        let grace_us = self.timeout_us();
        self.performance.begin(self.now.monotonic_us, grace_us);
    }

    /// The view is left.
    pub(crate) fn end_measuring(&mut self) {
        let least_us = millis(self.config.params.leader.wait_ms);
        let rotation = self.config.validators.proposers();
        self.performance.end(self.now.monotonic_us, least_us, rotation);
        self.disarm(Timer::Performance);
    }

    /// Whether a slot was freshly proposed by the leader of the current view.
    fn is_fresh(&self, slot: Slot) -> bool {
        self.position.active && slot > self.position.s_max
    }

    /// A final slot was handed to execution.
    pub(crate) fn measure_ordered(&mut self, slot: Slot, payload: &Payload, ordered: &Ordered) {
        if self.is_fresh(slot) {
            self.performance.ordered(payload, ordered, &self.config.params.block);
        }
    }

    /// An executed slot held this much that was dropped for signatures that were never valid.
    pub(crate) fn measure_junk(&mut self, slot: Slot, junk_bytes: u64) {
        if self.is_fresh(slot) {
            let view = &mut self.performance.view;
            view.junk_bytes = view.junk_bytes.saturating_add(junk_bytes);
        }
    }

    /// T1's patience: T(k), but LAMBDA while batches are full, if that is longer. A transaction then waits for room.
    pub(crate) fn patience_us(&self) -> u64 {
        let patience = self.timeout_us();
        if self.performance.view.full {
            patience.max(self.bound_us(|leader| leader.wait_ms))
        } else {
            patience
        }
    }

    /// A bound in time, relaxed.
    fn bound_us(&self, of: impl Fn(&LeaderBounds) -> u64) -> u64 {
        let bound = millis(of(&self.config.params.leader));
        self.performance.relaxed(bound, self.position.view, self.rotation())
    }

    fn rotation(&self) -> u64 {
        u64::try_from(self.config.validators.proposers()).unwrap_or(u64::MAX)
    }

    /// The bounds are looked at while something waits. A proposer alone has nobody to pass the lead on to.
    pub(crate) fn arm_performance(&mut self) {
        if self.config.validators.proposers() > 1 && self.pending.oldest_us().is_some() {
            let LeaderBounds { wait_ms, unfairness_ms, pause_ms, .. } = self.config.params.leader;
            let timeout_ms = self.config.params.timeout_ms;
            let least = millis(wait_ms.min(unfairness_ms).min(pause_ms).min(timeout_ms));
            self.arm(Timer::Performance, (least / LOOKS_PER_BOUND).max(1));
        }
    }

    /// T5: leaves the view if its leader breaks a bound.
    pub(crate) fn on_performance_timer(&mut self) {
        if !self.position.active || self.now.monotonic_us < self.performance.view.since_us {
            return;
        }
        let broken = self
            .waits_too_long()
            .or_else(|| self.is_unfair())
            .or_else(|| self.pauses_too_long())
            .or_else(|| self.proposes_junk());
        let slow = self.orders_too_little();
        let Some(Broken { bound, measured, allowed }) = broken.or(slow) else { return };
        if self.excuse() {
            return;
        }
        let view = self.position.view;
        let leader = self.config.validators.process_of(self.leader_of(view));
        self.report(Report::LeaderDemoted { view, leader, bound, measured, allowed });
        let rotation = self.rotation();
        self.performance.demote(view, rotation);
        self.leave_view(Trigger::SlowLeader);
    }

    /// How long the oldest transaction of the share waits under this view.
    fn oldest_wait_us(&self) -> Option<u64> {
        let since = self.pending.oldest_timed_us()?.max(self.watching_since_us());
        Some(self.now.monotonic_us.saturating_sub(since))
    }

    fn waits_too_long(&self) -> Option<Broken> {
        let measured = self.oldest_wait_us()?;
        let allowed = self.bound_us(|leader| leader.wait_ms);
        (measured > allowed).then_some(Broken { bound: Bound::Wait, measured, allowed })
    }

    fn is_unfair(&self) -> Option<Broken> {
        let view = &self.performance.view;
        if view.ordered < MEAN_OF_AT_LEAST {
            return None;
        }
        let measured = self.oldest_wait_us()?.saturating_sub(view.mean_us);
        let allowed = self.bound_us(|leader| leader.unfairness_ms);
        (measured > allowed).then_some(Broken { bound: Bound::Unfairness, measured, allowed })
    }

    fn pauses_too_long(&self) -> Option<Broken> {
        // A leader waits in good faith while its pipeline is full.
        let open = self.position.voted.0.saturating_sub(self.chain.last_final.0.max(self.chain.stable.0));
        if open >= self.config.params.pipeline {
            return None;
        }
        let view = &self.performance.view;
        let since = self.pending.oldest_waiting_us()?.max(view.proposed_us).max(view.since_us);
        let measured = self.now.monotonic_us.saturating_sub(since);
        let allowed = self.bound_us(|leader| leader.pause_ms);
        (measured > allowed).then_some(Broken { bound: Bound::Pause, measured, allowed })
    }

    /// Judged once a block's worth of bytes was ordered, so that one client's mistake is not a tenth of the term.
    fn proposes_junk(&self) -> Option<Broken> {
        let Measured { bytes, junk_bytes, .. } = self.performance.view;
        let allowed = bytes / 10;
        let enough = bytes >= u64::from(self.config.params.block.bytes);
        (enough && junk_bytes > allowed).then_some(Broken {
            bound: Bound::Junk,
            measured: junk_bytes,
            allowed,
        })
    }

    /// Once in each LAMBDA. What was offered is what was ordered and what has waited for all that time.
    fn orders_too_little(&mut self) -> Option<Broken> {
        let now = self.now.monotonic_us;
        let start = self.performance.view.window_us;
        let elapsed_us = now.saturating_sub(start);
        if elapsed_us < millis(self.config.params.leader.wait_ms) {
            return None;
        }
        let ordered = self.performance.view.window_ordered;
        self.performance.view.window_us = now;
        self.performance.view.window_ordered = 0;
        let offered = ordered.saturating_add(self.pending.waiting_since(start));
        let reference = self.performance.reference(self.config.validators.proposers())?;
        let demanded = per_kiloseconds(offered, elapsed_us).min(reference);
        let percent = self.config.params.leader.rate_percent;
        // Relaxed downwards: divided by what a bound in time is multiplied with.
        let tenths = self.performance.relaxed(10, self.position.view, self.rotation()).max(10);
        let allowed = demanded.saturating_mul(percent).checked_div(tenths.saturating_mul(10)).unwrap_or(0);
        let measured = per_kiloseconds(ordered, elapsed_us);
        (measured < allowed).then_some(Broken { bound: Bound::Rate, measured, allowed })
    }
}

/// Transactions per 1,000 s: whole numbers without losing slow networks.
fn per_kiloseconds(count: u64, elapsed_us: u64) -> u64 {
    count.saturating_mul(1_000_000_000).checked_div(elapsed_us).unwrap_or(0)
}

fn bytes_of(payload: &Payload) -> u64 {
    payload
        .bodies
        .iter()
        .map(|body| u64::try_from(body.bytes()).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
