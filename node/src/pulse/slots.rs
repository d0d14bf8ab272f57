//! What recent slots tell: when each step was reached, and whose votes arrived.
//!
//! Read off the [`Trace`](crate::trace::Trace) once a second, so that nothing is counted on the way of a message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use carat_api::resources::network::{PhaseLatency, RuleLatency};
use carat_types::receipt::Rule;

use crate::trace::Entry;

/// Slots whose times are kept.
const SLOTS_MAX: usize = 1_000;

/// Upper bounds of the classes in which latencies are shown. **Units**: milliseconds.
pub(super) const CLASS_BOUNDS_MS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// The rules, in the order in which a slot meets them.
pub(super) const RULES: [Rule; 4] = [Rule::Fast, Rule::Unanimous, Rule::Commit, Rule::Seal];

/// The steps of a slot, with their names and what they last.
pub(super) const PHASES: [(&str, &str); 5] = [
    ("vote", "proposal seen to own PREPARE: payload checked, vote synced to the journal"),
    ("prepare", "own PREPARE to PREPAREs of a quorum"),
    ("decide", "PREPAREs of a quorum to the first rule acted upon"),
    ("execute", "final to block written"),
    ("seal", "block written to f+1 SEALs"),
];

/// One slot, as this validator saw it. **Units**: microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotTimes {
    /// From the first sight of the proposal to each rule, as [`RULES`].
    pub(super) rules: [Option<u64>; 4],
    /// Each step, as [`PHASES`].
    pub(super) phases: [Option<u64>; 5],
    /// Whose votes were seen.
    pub(super) voters: BTreeSet<u16>,
    /// The view of the votes.
    pub(super) view: Option<u64>,
}

impl SlotTimes {
    /// Reads the messages of one slot; `quorum` PREPAREs end the step `prepare`, and `acts` says which rules validators
    /// act upon.
    pub(super) fn read(entries: &[Entry], me: u16, quorum: usize, acts: impl Fn(Rule) -> bool) -> Self {
        let first = |kind: &str| entries.iter().find(|entry| entry.kind == kind).map(|entry| entry.at_us);
        let met = |rule: Rule| {
            let name = format!("{rule} ");
            let step = entries.iter().find(|entry| entry.kind == "FINAL" && entry.detail.starts_with(&name));
            step.map(|entry| entry.at_us)
        };
        let mut prepares = BTreeMap::new();
        let mut voters = BTreeSet::new();
        for entry in entries.iter().filter(|entry| ["PREPARE", "COMMIT", "SEAL"].contains(&entry.kind)) {
            let Some(signer) = entry.signer else { continue };
            voters.insert(signer);
            if entry.kind == "PREPARE" {
                prepares.entry(signer).or_insert(entry.at_us);
            }
        }
        let mut arrivals: Vec<u64> = prepares.values().copied().collect();
        arrivals.sort_unstable();
        let proposed = first("PRE-PREPARE");
        let prepared = arrivals.get(quorum.saturating_sub(1)).copied();
        let decided = RULES.into_iter().filter(|rule| acts(*rule)).filter_map(met).min();
        let executed = first("EXECUTED");
        let steps = [proposed, prepares.get(&me).copied(), prepared, decided, executed, met(Rule::Seal)];
        let mut phases = [None; 5];
        for (phase, pair) in phases.iter_mut().zip(steps.windows(2)) {
            *phase = between(pair.first().copied().flatten(), pair.last().copied().flatten());
        }
        SlotTimes {
            rules: RULES.map(|rule| between(proposed, met(rule))),
            phases,
            voters,
            view: entries.iter().rev().find_map(|entry| entry.view),
        }
    }
}

/// Steps overlap: what was reached before its turn took no time of its own.
fn between(from: Option<u64>, to: Option<u64>) -> Option<u64> {
    Some(to?.saturating_sub(from?))
}

/// The times of recent slots.
#[derive(Debug, Default)]
pub(super) struct Times {
    slots: VecDeque<SlotTimes>,
}

impl Times {
    /// Adds a slot, and forgets the oldest.
    pub(super) fn add(&mut self, slot: SlotTimes) {
        if self.slots.len() >= SLOTS_MAX {
            self.slots.pop_front();
        }
        self.slots.push_back(slot);
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How long each rule took.
    pub(super) fn finality(
        &self,
        acts: impl Fn(Rule) -> bool,
        met: impl Fn(&str) -> u64,
    ) -> Vec<RuleLatency> {
        let names = ["FAST", "UNANIMOUS", "COMMIT", "SEAL"];
        let rows = RULES.into_iter().zip(names).enumerate().map(|(index, (rule, name))| {
            let sorted = self.sorted(|slot| slot.rules.get(index).copied().flatten());
            RuleLatency {
                rule: name,
                acted_upon: acts(rule),
                met: met(name),
                p50_us: quantile(&sorted, 500),
                p90_us: quantile(&sorted, 900),
                p99_us: quantile(&sorted, 990),
                max_us: sorted.last().copied(),
                classes: classes(&sorted),
            }
        });
        rows.collect()
    }

    /// How long each step took.
    pub(super) fn phases(&self) -> Vec<PhaseLatency> {
        let rows = PHASES.into_iter().enumerate().map(|(index, (phase, what))| {
            let sorted = self.sorted(|slot| slot.phases.get(index).copied().flatten());
            PhaseLatency { phase, what, p50_us: quantile(&sorted, 500), p99_us: quantile(&sorted, 990) }
        });
        rows.collect()
    }

    fn sorted(&self, of: impl Fn(&SlotTimes) -> Option<u64>) -> Vec<u64> {
        let mut values: Vec<u64> = self.slots.iter().filter_map(of).collect();
        values.sort_unstable();
        values
    }
}

/// The value below which `per_mille` of all lie, by the nearest rank.
fn quantile(sorted: &[u64], per_mille: usize) -> Option<u64> {
    let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied()
}

fn classes(sorted: &[u64]) -> Vec<u32> {
    let mut counts = vec![0; CLASS_BOUNDS_MS.len() + 1];
    for value in sorted {
        let class = CLASS_BOUNDS_MS.partition_point(|bound| bound * 1_000 < *value);
        if let Some(count) = counts.get_mut(class) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at_us: u64, kind: &'static str, signer: Option<u16>, detail: &str) -> Entry {
        Entry {
            at_us,
            wall_ms: 0,
            validator: 0,
            direction: "in",
            peer: None,
            signer,
            kind,
            view: signer.map(|_| 3),
            slot: 9,
            digest: None,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn slot_gives_the_time_of_each_rule_and_step_and_its_voters() {
        let entries = [
            entry(100, "PRE-PREPARE", Some(1), ""),
            entry(130, "PREPARE", Some(0), ""),
            entry(140, "PREPARE", Some(1), ""),
            entry(141, "PREPARE", Some(1), "again"),
            entry(150, "PREPARE", Some(2), ""),
            entry(151, "FINAL", None, "FAST in view 3; crash"),
            entry(180, "COMMIT", Some(1), ""),
            entry(190, "FINAL", None, "COMMIT in view 3; f"),
            entry(260, "EXECUTED", None, "5 applied"),
            entry(255, "SEAL", Some(2), ""),
            entry(300, "FINAL", None, "SEAL in view 3; f"),
        ];
        let times = SlotTimes::read(&entries, 0, 3, |rule| rule != Rule::Fast);
        assert_eq!(times.rules, [Some(51), None, Some(90), Some(200)]);
        assert_eq!(times.phases, [Some(30), Some(20), Some(40), Some(70), Some(40)]);
        assert_eq!(times.voters, BTreeSet::from([0, 1, 2]));
        assert_eq!(times.view, Some(3));
    }

    #[test]
    fn slot_that_was_fetched_gives_no_times() {
        let times = SlotTimes::read(&[entry(260, "EXECUTED", None, "5 applied")], 0, 3, |_| true);
        assert_eq!(times, SlotTimes::default());
    }

    #[test]
    fn quantiles_are_values_that_were_measured_and_classes_count_each_once() {
        let mut times = Times::default();
        for value in 1..=100u64 {
            times.add(SlotTimes { rules: [None, None, Some(value * 100), None], ..SlotTimes::default() });
        }
        let finality = times.finality(|_| true, |_| 7);
        let commit = &finality[2];
        let quantiles = (commit.p50_us, commit.p90_us, commit.p99_us, commit.max_us);
        assert_eq!(quantiles, (Some(5_000), Some(9_000), Some(9_900), Some(10_000)));
        assert_eq!(commit.classes, [10, 10, 30, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((finality[0].p50_us, finality[0].met), (None, 7));
    }

    #[test]
    fn oldest_slot_is_forgotten() {
        let mut times = Times::default();
        (0..SLOTS_MAX + 5).for_each(|_| times.add(SlotTimes::default()));
        assert_eq!(times.len(), SLOTS_MAX);
    }
}
