//! Where a block's time goes, from one validator's trace of recent slots, read after the load so that it costs it nothing.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::resources::Watch;

/// Slots that are read, spread over those that the validator remembers.
const SLOTS: u64 = 40;
/// Validators remember 512 slots; the newest may be under way still.
const BACK: std::ops::Range<u64> = 8..448;

/// One part of a block's way, seen by the first validator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What happens in it.
    pub name: String,
    /// Its median. **Units**: milliseconds.
    pub ms: f64,
}

/// The moments between which the phases lie, in order.
const PHASES: [&str; 3] = ["ordering", "execution", "sealing"];

/// The trace of one slot.
#[derive(Debug, Deserialize)]
struct Trace {
    messages: Vec<Entry>,
}

/// What it notes.
#[derive(Debug, Deserialize)]
struct Entry {
    at_us: u64,
    direction: String,
    kind: String,
}

/// Reads the trace of some of the last slots.
///
/// **Returns** nothing where no slot was traced from its proposal to its seals.
///
/// **Errors**: the first validator does not answer.
pub async fn of_recent_slots(watch: &Watch, one_correct: usize) -> Result<Vec<Phase>> {
    let Some(newest) = watch.metric::<u64>("consensus_slot").await? else { return Ok(Vec::new()) };
    let step = usize::try_from((BACK.end - BACK.start) / SLOTS).unwrap_or(1);
    let mut times: [Vec<u64>; 3] = Default::default();
    for back in BACK.step_by(step).filter(|back| *back < newest) {
        let trace = watch.json::<Trace>(&format!("/consensus/trace?slot={}", newest - back)).await?;
        let Some(moments) = moments(&trace.messages, one_correct) else { continue };
        for (phase, pair) in times.iter_mut().zip(moments.windows(2)) {
            phase.push(pair[1].saturating_sub(pair[0]));
        }
    }
    let median = |mut values: Vec<u64>| {
        values.sort_unstable();
        values.get(values.len() / 2).map(|us| *us as f64 / 1_000.0)
    };
    let named = PHASES.into_iter().zip(times);
    Ok(named.filter_map(|(name, times)| Some(Phase { name: name.to_owned(), ms: median(times)? })).collect())
}

/// Proposal, finality, execution, enough seals. None if one is missing, or a seal of others came first.
fn moments(entries: &[Entry], one_correct: usize) -> Option<[u64; 4]> {
    let first = |kind: &str| entries.iter().find(|entry| entry.kind == kind).map(|entry| entry.at_us);
    let seals = entries.iter().filter(|entry| entry.kind == "SEAL" && entry.direction != "step");
    let enough = seals.map(|seal| seal.at_us).nth(one_correct.saturating_sub(1))?;
    let executed = first("EXECUTED")?;
    Some([first("PRE-PREPARE")?, first("FINAL")?, executed, enough.max(executed)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_the_first_of_each_kind_and_the_seal_that_is_enough() {
        let entry = |at_us, direction: &str, kind: &str| Entry {
            at_us,
            direction: direction.into(),
            kind: kind.into(),
        };
        let mut entries = vec![
            entry(10, "in", "PRE-PREPARE"),
            entry(20, "step", "FINAL"),
            entry(25, "step", "FINAL"),
            entry(30, "step", "EXECUTED"),
            entry(31, "out", "SEAL"),
            entry(40, "in", "SEAL"),
        ];
        assert_eq!(moments(&entries, 2), Some([10, 20, 30, 40]));
        entries.pop();
        assert_eq!(moments(&entries, 2), None);
    }
}
