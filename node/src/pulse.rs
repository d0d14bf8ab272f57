//! The pulse: once a second, the network as this validator observes it, for `/network` and the pages.
//!
//! It reads what others have written (the event loop's standing, the trace, the counters, the evidence) and holds up
//! nobody: a second that is late is a point that is late.

mod slots;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use carat_api::resources::network::{
    Count, EvidenceLine, LedgerCells, NetworkState, QuorumState, Rate, ValidatorState,
};
use carat_storage::store::{Store, StoreError};
use carat_types::genesis::Trust;
use carat_types::receipt::Rule;
use carat_types::validators::ValidatorSet;
use carat_types::{Slot, ValidatorId, View};
use tokio::sync::watch;

use crate::clock::{Clock, wall_ms};
use crate::evidence::EvidenceRoom;
use crate::health::{Health, Peer};
use crate::metrics::Metrics;
use crate::role::Role;
use crate::trace::Trace;
use slots::{CLASS_BOUNDS_MS, PHASES, RULES, SlotTimes, Times};

/// Between two observations.
const EVERY: Duration = Duration::from_secs(1);
/// A slot is read this long after it was executed: by then the votes have come that will come. **Units**: microseconds.
const SETTLE_US: u64 = 1_000_000;
/// Ledgers of the grid.
const LEDGERS_MAX: usize = 100;
/// Observations whose slot is remembered.
const EXECUTED_MAX: usize = 60;
/// Seconds of rates.
const RATES_MAX: usize = 300;
/// A peer that was not heard for so long is silent: STATUS is sent every second. **Units**: milliseconds.
const SILENT_MS: u64 = 5_000;

/// What is observed.
pub(crate) struct Pulse {
    /// How this validator is, and what its peers say.
    pub(crate) health: Arc<Health>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Messages.
    pub(crate) trace: Arc<Trace>,
    /// What convicts validators.
    pub(crate) evidence: Arc<EvidenceRoom>,
    /// Headers: which ledger a slot is in.
    pub(crate) store: Arc<Store>,
    /// Names of all processes.
    pub(crate) names: Vec<String>,
    /// Who votes, and whose turn it is to lead.
    pub(crate) validators: ValidatorSet,
    /// The clocks.
    pub(crate) clock: Clock,
}

/// What is remembered from one observation to the next.
#[derive(Default)]
struct Memory {
    folded: Slot,
    times: Times,
    ledgers: VecDeque<Cells>,
    rates: VecDeque<Rate>,
    totals: Option<Totals>,
    /// When (monotonic microseconds), and which slot was executed here by then; the oldest first.
    executed: VecDeque<(u64, u64)>,
}

/// The cells of one ledger while it is filled.
struct Cells {
    ledger: u32,
    slots: u32,
    view: Option<u64>,
    /// Slots for which each validator's votes were seen.
    seen: Vec<u32>,
}

/// Counters at the observation before.
#[derive(Clone, Copy)]
struct Totals {
    submitted: u64,
    settled: u64,
    failed: u64,
    refused: u64,
}

impl Pulse {
    /// Observes until it is cut off.
    pub(crate) async fn run(self, out: watch::Sender<Arc<NetworkState>>) {
        let pulse = Arc::new(self);
        let mut memory = Memory::default();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let observer = Arc::clone(&pulse);
            // Headers and evidence are read from the disk.
            let observed = tokio::task::spawn_blocking(move || {
                let state = observer.observe(&mut memory);
                (memory, state)
            });
            let Ok((kept, state)) = observed.await else { return };
            memory = kept;
            match state {
                Ok(state) => _ = out.send_replace(Arc::new(state)),
                Err(error) => tracing::warn!(%error, "the network's state could not be read"),
            }
        }
    }

    fn observe(&self, memory: &mut Memory) -> Result<NetworkState, StoreError> {
        self.fold(memory)?;
        self.note_rates(memory);
        let readiness = self.health.readiness();
        let view = self.health.network_view();
        memory.note_executed(self.clock.monotonic_us(), view.slot);
        let (validators, quorum) = self.validators(memory, &view.peers, view.leader);
        self.metrics.consensus_validators_agreeing.set(crate::core_loop::as_gauge(quorum.agree as u64));
        self.metrics.consensus_quorum_slack.set(quorum.can_lose);
        Ok(NetworkState {
            validator: self.health.index,
            observed_ms: wall_ms(),
            state: readiness.state,
            reasons: readiness.reasons,
            diagnosis: view.diagnosis.what,
            hint: view.diagnosis.hint,
            alarms: view.alarms,
            ledger: view.ledger,
            slot: view.slot,
            state_root: view.state_root,
            view: view.view,
            idle_ms: view.idle_ms,
            trust: self.health.trust_name(),
            assumption: view.assumption,
            quorum,
            validators,
            ledgers: memory.ledgers.iter().map(|cells| self.shown(cells)).collect(),
            rates: memory.rates.iter().copied().collect(),
            pending: self.metrics.pool_pending.get(),
            finality: memory.times.finality(
                |rule| self.acts_on(rule),
                |rule| self.metrics.consensus_rule_met_total.with_label_values(&[rule]).get(),
            ),
            phases: memory.times.phases(),
            class_bounds_ms: CLASS_BOUNDS_MS,
            slots_measured: memory.times.len(),
            view_changes: counts(&self.metrics.view_changes()),
            rejections: counts(&self.metrics.rejections()),
            evidence: self.evidence()?,
        })
    }

    /// Reads the slots that have been executed since, in order.
    fn fold(&self, memory: &mut Memory) -> Result<(), StoreError> {
        let settled = self.clock.monotonic_us().saturating_sub(SETTLE_US);
        let executed = self.store.tip().slot;
        for (slot, entries) in self.trace.after(memory.folded) {
            match settling(&entries, slot <= executed, settled) {
                Settling::Waits => break,
                Settling::Elsewhere => {
                    memory.folded = slot;
                    continue;
                }
                Settling::Settled => {}
            }
            let Some(header) = self.store.header(slot)? else { break };
            memory.folded = slot;
            let quorum = self.health.quorum.quorum();
            let times = SlotTimes::read(&entries, self.health.index, quorum, |rule| self.acts_on(rule));
            self.export(&times);
            // A block that was fetched came without votes: it says nothing about who voted.
            if !times.voters.is_empty() {
                memory.note_ledger(header.ledger, self.validators.quorum().n(), &times);
                memory.times.add(times);
            }
        }
        Ok(())
    }

    fn export(&self, times: &SlotTimes) {
        for (rule, took) in RULES.iter().zip(times.rules) {
            if let Some(took) = took {
                let histogram =
                    self.metrics.consensus_finality_seconds.with_label_values(&[&rule.to_string()]);
                histogram.observe(Duration::from_micros(took).as_secs_f64());
            }
        }
        for ((phase, _), took) in PHASES.iter().zip(times.phases) {
            if let Some(took) = took {
                let histogram = self.metrics.consensus_phase_seconds.with_label_values(&[phase]);
                histogram.observe(Duration::from_micros(took).as_secs_f64());
            }
        }
    }

    /// Whether this network acts on a rule. A SEAL is what clients are answered by, on every network.
    fn acts_on(&self, rule: Rule) -> bool {
        rule != Rule::Fast || self.health.trust == Trust::Crash
    }

    fn note_rates(&self, memory: &mut Memory) {
        let submissions = |outcome| self.metrics.pool_submissions_total.with_label_values(&[outcome]).get();
        let applied = |result| self.metrics.ledger_transactions_total.with_label_values(&[result]).get();
        let now = Totals {
            submitted: submissions("admitted") + submissions("parked"),
            settled: applied("success"),
            failed: applied("failed"),
            refused: submissions("refused") + submissions("full"),
        };
        if let Some(before) = memory.totals.replace(now) {
            if memory.rates.len() >= RATES_MAX {
                memory.rates.pop_front();
            }
            memory.rates.push_back(Rate {
                at: wall_ms() / 1_000,
                submitted: now.submitted.saturating_sub(before.submitted),
                settled: now.settled.saturating_sub(before.settled),
                failed: now.failed.saturating_sub(before.failed),
                refused: now.refused.saturating_sub(before.refused),
            });
        }
    }

    fn validators(&self, memory: &Memory, peers: &[Peer], leader: u16) -> (Vec<ValidatorState>, QuorumState) {
        let own = peers.iter().find(|peer| peer.process == self.health.index);
        let own_view = own.and_then(|own| own.view);
        let now_us = self.clock.monotonic_us();
        // What it said then is compared with what was so here then: a busy network moves many slots between two STATUSes.
        let behind = |peer: &Peer| {
            let then = memory.executed_by(now_us.saturating_sub(peer.heard_ms_ago?.saturating_mul(1_000)))?;
            Some(then.saturating_sub(peer.executed?))
        };
        let states: Vec<ValidatorState> = peers
            .iter()
            .map(|peer| ValidatorState {
                validator: peer.process,
                name: self.names.get(usize::from(peer.process)).cloned().unwrap_or_default(),
                role: match peer.process == leader {
                    true => "leader",
                    false => Role::of(&self.validators, ValidatorId(peer.process)).word(false),
                },
                standing: standing(peer, self.health.index, own_view),
                heard_ms_ago: peer.heard_ms_ago,
                view: peer.view,
                executed: peer.executed,
                behind: behind(peer),
            })
            .collect();
        // Whoever has no vote agrees to nothing that would count.
        let quorum = self.validators.quorum();
        let voting = states.iter().filter(|state| usize::from(state.validator) < quorum.n());
        let agree = voting.filter(|state| ["this node", "agrees"].contains(&state.standing)).count();
        let needed = quorum.quorum();
        let can_lose = i64::try_from(agree).unwrap_or(0) - i64::try_from(needed).unwrap_or(0);
        (states, QuorumState { validators: quorum.n(), agree, needed, can_lose })
    }

    fn shown(&self, cells: &Cells) -> LedgerCells {
        let letter = |seen: &u32| match *seen {
            0 => '-',
            seen if seen < cells.slots => 'p',
            _ => 'v',
        };
        let leader = |view| self.validators.process_of(self.validators.leader(View(view))).0;
        LedgerCells {
            ledger: cells.ledger,
            slots: cells.slots,
            leader: cells.view.map(leader),
            votes: cells.seen.iter().map(letter).collect(),
        }
    }

    fn evidence(&self) -> Result<Vec<EvidenceLine>, StoreError> {
        let line = |piece: crate::evidence::Piece| EvidenceLine {
            code: piece.code,
            what: piece.what,
            slot: piece.slot,
            convicted: piece.convicted,
        };
        Ok(self.evidence.pieces()?.into_iter().map(line).collect())
    }
}

impl Memory {
    fn note_executed(&mut self, at_us: u64, slot: u64) {
        if self.executed.len() >= EXECUTED_MAX {
            self.executed.pop_front();
        }
        self.executed.push_back((at_us, slot));
    }

    /// The slot that was executed here at the last observation not after `at_us`.
    fn executed_by(&self, at_us: u64) -> Option<u64> {
        self.executed.iter().rev().find(|(at, _)| *at <= at_us).map(|(_, slot)| *slot)
    }

    fn note_ledger(&mut self, ledger: u32, validators: usize, times: &SlotTimes) {
        if self.ledgers.back().is_none_or(|last| last.ledger != ledger) {
            if self.ledgers.len() >= LEDGERS_MAX {
                self.ledgers.pop_front();
            }
            self.ledgers.push_back(Cells { ledger, slots: 0, view: None, seen: vec![0; validators] });
        }
        let Some(cells) = self.ledgers.back_mut() else { return };
        cells.slots += 1;
        cells.view = times.view.or(cells.view);
        for voter in &times.voters {
            if let Some(seen) = cells.seen.get_mut(usize::from(*voter)) {
                *seen += 1;
            }
        }
    }
}

/// Whether a slot can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settling {
    /// It was executed, and its votes have come.
    Settled,
    /// Not yet.
    Waits,
    /// It was executed before this process started, or is forgotten in part: late messages about it say nothing.
    Elsewhere,
}

/// Judges the messages of a slot that is executed or not; those up to `settled_us` had time to arrive.
fn settling(entries: &[crate::trace::Entry], is_executed: bool, settled_us: u64) -> Settling {
    let here = entries.iter().find(|entry| entry.kind == "EXECUTED").map(|entry| entry.at_us);
    let last = entries.iter().map(|entry| entry.at_us).max().unwrap_or(0);
    match here {
        Some(at) if at <= settled_us => Settling::Settled,
        None if is_executed && last <= settled_us => Settling::Elsewhere,
        _ => Settling::Waits,
    }
}

fn standing(peer: &Peer, me: u16, own_view: Option<u64>) -> &'static str {
    match () {
        () if peer.process == me => "this node",
        () if !peer.connected => "unreached",
        () if peer.heard_ms_ago.is_none_or(|ago| ago >= SILENT_MS) => "silent",
        () if peer.view != own_view => "in another view",
        () => "agrees",
    }
}

fn counts(named: &[(String, u64)]) -> Vec<Count> {
    let seen = named.iter().filter(|(_, count)| *count > 0);
    seen.map(|(name, count)| Count { name: name.clone(), count: *count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_of_a_peer_follows_what_was_last_heard() {
        let heard = |ago, view| Peer {
            process: 1,
            connected: true,
            heard_ms_ago: ago,
            view: Some(view),
            executed: None,
        };
        let cases = [
            (heard(Some(10), 4), "agrees"),
            (heard(Some(10), 5), "in another view"),
            (heard(Some(SILENT_MS), 4), "silent"),
            (heard(None, 4), "silent"),
            (Peer { connected: false, ..heard(Some(10), 4) }, "unreached"),
            (Peer { process: 0, connected: false, ..heard(None, 9) }, "this node"),
        ];
        for (peer, expected) in cases {
            assert_eq!(standing(&peer, 0, Some(4)), expected, "{peer:?}");
        }
    }

    #[test]
    fn ledger_counts_the_slots_for_which_votes_were_seen() {
        let mut memory = Memory::default();
        let slot = |voters: &[u16]| SlotTimes {
            voters: voters.iter().copied().collect(),
            view: Some(6),
            ..SlotTimes::default()
        };
        memory.note_ledger(7, 4, &slot(&[0, 1, 2]));
        memory.note_ledger(7, 4, &slot(&[0, 1]));
        memory.note_ledger(8, 4, &slot(&[3]));
        let seen: Vec<_> =
            memory.ledgers.iter().map(|cells| (cells.ledger, cells.slots, cells.seen.clone())).collect();
        assert_eq!(seen, [(7, 2, vec![2, 2, 1, 0]), (8, 1, vec![0, 0, 0, 1])]);
    }

    #[test]
    fn slot_executed_at_a_moment_is_that_of_the_observation_before() {
        let mut memory = Memory::default();
        [(1_000, 5), (2_000, 9)].into_iter().for_each(|(at, slot)| memory.note_executed(at, slot));
        assert_eq!(
            [999, 1_000, 1_999, 2_000, 9_000].map(|at| memory.executed_by(at)),
            [None, Some(5), Some(5), Some(9), Some(9)]
        );
    }

    #[test]
    fn slot_executed_before_the_start_holds_up_none_after_it() {
        let entry = |at_us, kind| crate::trace::Entry {
            at_us,
            wall_ms: 0,
            validator: 0,
            direction: "in",
            peer: None,
            signer: Some(1),
            kind,
            view: None,
            slot: 5,
            digest: None,
            detail: String::new(),
        };
        let cases = [
            (vec![entry(10, "SEAL")], true, Settling::Elsewhere),
            (vec![entry(60, "SEAL")], true, Settling::Waits),
            (vec![entry(10, "SEAL")], false, Settling::Waits),
            (vec![entry(10, "PREPARE"), entry(40, "EXECUTED"), entry(70, "SEAL")], true, Settling::Settled),
            (vec![entry(60, "EXECUTED")], true, Settling::Waits),
        ];
        for (entries, is_executed, expected) in cases {
            assert_eq!(settling(&entries, is_executed, 50), expected, "{entries:?}");
        }
    }

    #[test]
    fn grid_keeps_a_hundred_ledgers() {
        let mut memory = Memory::default();
        (1..=150).for_each(|ledger| memory.note_ledger(ledger, 4, &SlotTimes::default()));
        assert_eq!(memory.ledgers.len(), LEDGERS_MAX);
        assert_eq!(memory.ledgers.front().map(|cells| cells.ledger), Some(51));
    }
}
