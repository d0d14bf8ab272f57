//! Whose turn is passed over: leaders that failed when they had it, and those that are away. **Source**: decision records 70 and 73;
//! consensus specification, section 14.
//!
//! Leaders take turns, so one that is dead or slow costs the network T(k) in every rotation. A replica remembers who failed, and
//! leaves a view that ended well for the next one whose leader did not. Views are skipped, leaders keep theirs: nothing is agreed on,
//! and replicas that remember differently meet by T4 and T2.
//!
//! A leader that failed once is passed over once, and then tried again; each failure in a row doubles that, up to [`RESTS_MAX`] turns.
//! No more than f are passed over: if more have failed, the network was at fault, and all is forgotten. Who is away is not waited for
//! in the first place, and not marked: when it is back it has its turn.

use std::collections::BTreeMap;

use carat_types::message::Status;
use carat_types::{ValidatorId, View};

use crate::delivery::STATUS_US;
use crate::effect::{Report, Trigger};
use crate::replica::Replica;

/// From whom nothing came for so long is away. **Units**: microseconds.
const AWAY_US: u64 = 3 * STATUS_US;
/// Most turns that a leader misses between two trials.
const RESTS_MAX: u32 = 8;

/// The leaders that failed in their last turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    failed: BTreeMap<ValidatorId, Failed>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failed {
    /// How long each failure makes the leader rest. **Units**: turns.
    penalty: u32,
    /// How many of them are left.
    rest: u32,
}

impl Turns {
    fn rests(&self, leader: ValidatorId) -> bool {
        self.failed.get(&leader).is_some_and(|failed| failed.rest > 0)
    }

    fn succeeded(&mut self, leader: ValidatorId) {
        self.failed.remove(&leader);
    }

    fn failed(&mut self, leader: ValidatorId, most: usize) {
        let failed = self.failed.entry(leader).or_default();
        failed.penalty = failed.penalty.saturating_mul(2).clamp(1, RESTS_MAX);
        failed.rest = failed.penalty;
        if self.failed.len() > most {
            self.failed.clear();
        }
    }

    fn passed(&mut self, leader: ValidatorId) {
        if let Some(failed) = self.failed.get_mut(&leader) {
            failed.rest = failed.rest.saturating_sub(1);
        }
    }
}

impl Replica {
    /// The view after the present one, without those whose leaders rest, or were away when the present one was entered. The same for as
    /// long as the present one lasts: its messages are kept as those of *the* next view, whatever view they name.
    pub(crate) fn next_view(&self) -> View {
        self.position.next.unwrap_or(self.position.view.next())
    }

    /// A view is entered: which one comes after it?
    pub(crate) fn look_ahead(&mut self) {
        let mut view = self.position.view.next();
        for _ in 0..self.rests_max() {
            let leader = self.leader_of(view);
            if self.turns.rests(leader) || self.is_away(leader) {
                view = view.next();
            }
        }
        self.position.next = Some(view);
    }

    /// Whether nothing is heard of a leader, or it says itself that it is more than a window behind: by its own rule it would propose
    /// nothing but heartbeats (section 14).
    fn is_away(&self, leader: ValidatorId) -> bool {
        let process = self.config.validators.process_of(leader);
        let Some(peer) = self.peers.get(&process).filter(|_| process != self.config.me) else { return false };
        let since = self.now.monotonic_us.saturating_sub(AWAY_US);
        let is_silent = peer.heard_us.is_none_or(|heard_us| heard_us < since);
        is_silent || peer.is_far_behind
    }

    /// Whether who says this is more than a window behind. Judged when it comes: in the second until the next STATUS the network may
    /// order more than that.
    pub(crate) fn is_far_behind_here(&self, status: &Status) -> bool {
        status.last_executed.plus(self.config.params.window) < self.chain.executed
    }

    /// How many leaders may rest: f, and never all.
    fn rests_max(&self) -> usize {
        self.quorum.faults().min(self.config.validators.proposers().saturating_sub(1))
    }

    /// The present view is left for another: what did its leader make of its turn, and who is passed over?
    pub(crate) fn judge_turn(&mut self, to: View, trigger: Trigger) {
        let from = self.position.view;
        let leader = self.leader_of(from);
        let was_ordered = self.position.active && self.position.voted >= self.term_end();
        // Who follows from far behind has seen nothing of the views between.
        let farthest = self.rests_max().saturating_add(1).try_into().unwrap_or(u64::MAX);
        let is_near = to.0.saturating_sub(from.0) <= farthest;
        match trigger {
            Trigger::TermEnd => self.turns.succeeded(leader),
            Trigger::Followed if was_ordered => self.turns.succeeded(leader),
            Trigger::Waiting | Trigger::LeaderProof | Trigger::SlowLeader | Trigger::Idle => {
                self.turns.failed(leader, self.rests_max());
            }
            Trigger::NoNewView | Trigger::Followed
                if is_near && (self.position.active || self.position.could_lead) =>
            {
                self.turns.failed(leader, self.rests_max());
            }
            Trigger::NoNewView | Trigger::Followed | Trigger::Barred => {}
        }
        if is_near {
            self.pass_over(from.next(), to);
        }
    }

    fn pass_over(&mut self, first: View, end: View) {
        let mut view = first;
        while view < end {
            let leader = self.leader_of(view);
            self.turns.passed(leader);
            self.report(Report::LeaderPassedOver { view, leader: self.config.validators.process_of(leader) });
            view = view.next();
        }
    }
}
