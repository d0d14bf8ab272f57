//! The event loop: the only thread that touches the replica. Inputs in, effects out, timers in between.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, RwLock};

use carat_consensus::effect::{Halt, Report, Rule, Trigger};
use carat_consensus::{Effect, Input, Replica, VerifiedMessage};
use carat_types::evidence::Evidence;
use carat_types::message::{StableCheckpoint, Status};
use carat_types::receipt::{self, Assumption};
use carat_types::validators::ValidatorSet;
use carat_types::{Epoch, Slot, ValidatorId, View};

use crate::clock::Clock;
use crate::diagnosis::Heard;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::timers::Timers;
use crate::trace::Trace;

/// What the rest of the process may know of the replica, refreshed after each round of the loop.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What it would say in a STATUS.
    pub status: Status,
    /// Current view.
    pub view: View,
    /// Whether the replica takes part in it.
    pub active: bool,
    /// Why it left an earlier view by itself, if it has since it started.
    pub left: Option<Trigger>,
    /// The process of its leader.
    pub leader: ValidatorId,
    /// The stable checkpoint.
    pub stable: Slot,
    /// Last final slot.
    pub last_final: Slot,
    /// Last executed slot.
    pub last_executed: Slot,
    /// Transactions that the replica knows and has not seen settled.
    pub pending: usize,
    /// The highest slot that somebody honest has executed, as far as peers have said.
    pub peers_at: Slot,
    /// The later epoch in which the validators are whom a node follows, if they are in one.
    pub peers_in: Option<Epoch>,
    /// What each peer last said.
    pub peers: BTreeMap<ValidatorId, Heard>,
    /// Monotonic microseconds at which `last_final` last rose.
    pub progressed_at_us: u64,
    /// Monotonic microseconds at which this was written.
    pub published_at_us: u64,
}

/// The loop's surroundings.
pub struct CoreLoop {
    /// The state machine.
    pub replica: Replica,
    /// The queue in.
    pub mailbox: Arc<Mailbox>,
    /// The way out: performed in order, behind the journal.
    pub effects: Sender<Vec<Effect>>,
    /// The clocks.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Recent messages.
    pub trace: Arc<Trace>,
    /// What others may know.
    pub standing: Arc<RwLock<Standing>>,
    /// What each peer last said of itself.
    pub peers: BTreeMap<ValidatorId, Heard>,
    /// Why the last view was left.
    pub left: Option<Trigger>,
    /// Who votes and who orders: what each rule rests on, and which process leads.
    pub validators: ValidatorSet,
}

/// Why a replica takes no more input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Going on could break a promise.
    Halt(Halt),
    /// Its epoch has ended with this checkpoint.
    EpochEnds(Arc<StableCheckpoint>),
}

impl CoreLoop {
    /// Runs until the mailbox is closed or the replica takes no more input.
    ///
    /// **Returns** why it takes none, if so.
    pub fn run(mut self, first: Vec<Effect>) -> Option<Stop> {
        let mut timers = Timers::start(self.clock);
        let mut effects = first;
        loop {
            if let Some(stop) = self.dispatch(&mut timers, effects) {
                return Some(stop);
            }
            self.publish();
            let inputs = self.mailbox.take(Some(timers.next()))?;
            effects = Vec::new();
            for input in inputs {
                self.note(&input);
                effects.extend(self.replica.handle(timers.now(), input));
            }
            for timer in timers.due() {
                effects.extend(self.replica.handle(timers.now(), Input::Timer(timer)));
            }
        }
    }

    /// Timers, counts and reports are dealt with here, at once: they promise nothing to anybody. All else goes
    /// through the journal's thread.
    fn dispatch(&mut self, timers: &mut Timers, effects: Vec<Effect>) -> Option<Stop> {
        let mut outward = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, after_us } => timers.set(timer, after_us),
                Effect::CancelTimer(timer) => timers.cancel(timer),
                Effect::Reject { from, reason } => {
                    self.metrics.consensus_rejections_total.with_label_values(&[reason.name()]).inc();
                    tracing::debug!(peer = %from, reason = reason.name(), "message refused");
                }
                Effect::Report(report) => self.report(&report),
                Effect::Halt(halt) => {
                    // What came before is performed: evidence of why it stops is kept.
                    self.hand_out(outward);
                    return Some(Stop::Halt(halt));
                }
                Effect::EpochEnds(last) => {
                    self.hand_out(outward);
                    return Some(Stop::EpochEnds(last));
                }
                Effect::KeepEvidence(evidence) => {
                    self.note_evidence(&evidence);
                    outward.push(Effect::KeepEvidence(evidence));
                }
                other => outward.push(other),
            }
        }
        self.hand_out(outward);
        None
    }

    fn hand_out(&self, outward: Vec<Effect>) {
        if !outward.is_empty() && self.effects.send(outward).is_err() {
            // The journal's thread ended: it has reported why, and this process is about to stop.
            self.mailbox.close();
        }
    }

    fn note_evidence(&self, evidence: &Evidence) {
        let code = evidence.code();
        self.metrics.consensus_evidence_total.with_label_values(&[code]).inc();
        let slot = evidence.slot().unwrap_or_default();
        tracing::warn!(
            code,
            slot = slot.0,
            reason = evidence.what(),
            "evidence is kept (hint: carat evidence)"
        );
    }

    fn report(&mut self, report: &Report) {
        match report {
            Report::ViewChangeStarted { view, trigger, .. } => {
                self.left = Some(*trigger);
                let trigger = format!("{trigger:?}").to_lowercase();
                self.metrics.consensus_view_changes_total.with_label_values(&[trigger.as_str()]).inc();
                tracing::info!(view = view.0, trigger, "leaving for a new view");
            }
            Report::ViewEntered { view, forced } => tracing::info!(view = view.0, forced, "view entered"),
            Report::RuleMet { slot, view, rule } => {
                let rule = match rule {
                    Rule::Fast => receipt::Rule::Fast,
                    Rule::Unanimous => receipt::Rule::Unanimous,
                    Rule::Commit => receipt::Rule::Commit,
                    Rule::Seal => receipt::Rule::Seal,
                };
                let assumption = Assumption::behind(rule, self.validators.quorum());
                self.metrics.consensus_rule_met_total.with_label_values(&[rule.to_string().as_str()]).inc();
                self.trace.step(*slot, "FINAL", format!("{rule} in view {view}; {assumption}"));
            }
            Report::Stable { slot } => tracing::info!(slot = slot.0, "checkpoint is stable"),
            Report::LeaderDemoted { view, leader, bound, measured, allowed } => {
                self.metrics.consensus_demotions_total.with_label_values(&[bound.name()]).inc();
                tracing::info!(view = view.0, %leader, bound = bound.name(), measured, allowed, "leader is too slow");
            }
            Report::LeaderPassedOver { view, leader } => {
                self.metrics.consensus_turns_passed_over_total.inc();
                tracing::info!(view = view.0, %leader, "leader is passed over: it failed in its last turn, is away, or is far behind");
            }
            Report::FastContradicted { slot, view, digest, new_view } => {
                self.metrics.consensus_fast_contradicted_total.inc();
                tracing::error!(
                    slot = slot.0,
                    view = view.0,
                    digest = %digest.short(),
                    new_view = new_view.0,
                    "a value that was final by FAST was given up by a later view: an acceptor lied or lost its journal \
                     (hint: no FAST receipt holds any more; compare receipts, and see carat evidence)"
                );
            }
            Report::Misbehaviour { validator, what } => {
                self.metrics.consensus_misbehaviour_total.inc();
                tracing::warn!(replica = %validator, reason = what, "a validator contradicted itself");
            }
            Report::Behind { .. }
            | Report::StateTransferBegun { .. }
            | Report::StateTransferEnded { .. }
            | Report::Stranded { .. } => {
                report_catching_up(report);
            }
        }
    }

    /// Notes what a peer says of itself. A VIEW-CHANGE may come through another validator: its signer says it.
    fn note(&mut self, input: &Input) {
        let now = self.clock.monotonic_us();
        match input {
            Input::Message { from, message: VerifiedMessage::Status(status) } => {
                let heard = self.peers.entry(*from).or_default();
                (heard.status, heard.at_us) = (*status, now);
            }
            Input::Message { message: VerifiedMessage::ViewChange(view_change), .. } => {
                let heard = self.peers.entry(view_change.signer).or_default();
                heard.view_change = heard.view_change.max(view_change.body.view);
            }
            _ => {}
        }
    }

    fn publish(&self) {
        let status = self.replica.status();
        let leader = self.replica.leader();
        let metrics = &self.metrics;
        metrics.consensus_view.set(as_gauge(status.view.0));
        metrics.consensus_stable_slot.set(as_gauge(status.stable.0));
        metrics.consensus_bodies_held.set(i64::try_from(self.replica.bodies_held()).unwrap_or(i64::MAX));
        metrics.consensus_leader.set(i64::from(leader == self.replica.me()));
        let mut standing = self.standing.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if status.last_final > standing.last_final || standing.progressed_at_us == 0 {
            standing.progressed_at_us = self.clock.monotonic_us();
        }
        *standing = Standing {
            status,
            view: status.view,
            active: status.active,
            left: self.left,
            leader,
            stable: status.stable,
            last_final: status.last_final,
            last_executed: status.last_executed,
            pending: self.replica.pending_count(),
            peers_in: None,
            peers_at: self.replica.honest_peers_at(),
            peers: self.peers.clone(),
            progressed_at_us: standing.progressed_at_us,
            published_at_us: self.clock.monotonic_us(),
        };
    }
}

/// How catching up goes, in the log: of a validator, and of a node that follows.
pub(crate) fn report_catching_up(report: &Report) {
    match report {
        Report::Behind { next, peers_at } => {
            tracing::info!(slot = next.0, peers_at = peers_at.0, "behind its peers, fetching blocks");
        }
        Report::StateTransferBegun { slot } => {
            tracing::info!(slot = slot.0, "far behind: the state after this slot is fetched from peers");
        }
        Report::StateTransferEnded { slot, installed: true } => {
            tracing::info!(slot = slot.0, "the fetched state is in place");
        }
        Report::Stranded { slot } => {
            tracing::warn!(
                slot = slot.0,
                "the epoch ended with this slot, and no peer sends a state of it to this validator, which has none (hint: stop it, get \
                 the handovers with carat epochs fetch --out data/handovers, and start it: it goes on in the present epoch)"
            );
        }
        Report::StateTransferEnded { slot, installed: false } => {
            tracing::warn!(slot = slot.0, "no peer sent the state; blocks are fetched instead");
        }
        _ => {}
    }
}

/// A number as a gauge shows it.
pub fn as_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
