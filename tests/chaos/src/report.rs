//! The outcome of a run, for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::history::Findings;
use crate::nemesis::Done;

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The seed of victims, weather and payments.
    pub seed: u64,
    /// Validators.
    pub validators: u16,
    /// Processes killed.
    pub kills: usize,
    /// Of these, with the power of their disk.
    pub power_cuts: usize,
    /// Rounds, and those in which all died.
    pub rounds: usize,
    /// Rounds in which all validators died.
    pub blackouts: usize,
    /// Payments with a proved answer.
    pub acknowledged: u64,
    /// Payments whose outcome their client never learnt.
    pub unresolved: u64,
    /// Reads.
    pub reads: usize,
    /// Ledgers that were compared.
    pub ledgers: usize,
    /// Datagrams that passed and that were lost in the relay.
    pub datagrams: (u64, u64),
    /// From the end of a round to the next proved payment, ms.
    pub recovery_ms: Recovery,
    /// What differs between validators.
    pub forked: usize,
    /// What differs between the chain and what clients were told.
    #[serde(flatten)]
    pub findings: Findings,
    /// The whole run.
    pub seconds: u64,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.forked == 0 && self.findings == Findings::default()
    }

    /// The last line.
    pub fn verdict(&self) -> String {
        let Findings { lost, duplicated, invented, disordered, impossible_reads } = self.findings;
        format!(
            "kills={} power_cuts={} lost={lost} duplicated={duplicated} forked={} invented={invented} \
             disordered={disordered} impossible_reads={impossible_reads}",
            self.kills, self.power_cuts, self.forked
        )
    }

    /// What was done, in some lines.
    pub fn lines(&self) -> String {
        format!(
            "{} rounds in {} s, seed {}: {} validators, {} blackouts\n\
             {} payments proved, {} without an answer, {} reads, {} ledgers compared\n\
             {} datagrams relayed, {} lost\n\
             from the end of a round to the next proved payment: {}",
            self.rounds,
            self.seconds,
            self.seed,
            self.validators,
            self.blackouts,
            self.acknowledged,
            self.unresolved,
            self.reads,
            self.ledgers,
            self.datagrams.0,
            self.datagrams.1,
            self.recovery_ms
        )
    }
}

/// How long rounds were followed by no proved payment, in quarters of the rounds: some go on at once and others wait for a time-out, so
/// that the median alone falls now here and now there. **Units**: ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// A quarter of the rounds took no longer.
    pub quarter: u128,
    /// Half of them.
    pub half: u128,
    /// Three quarters.
    pub three_quarters: u128,
    /// All of them.
    pub longest: u128,
}

impl Recovery {
    /// Of the rounds that were done.
    pub fn of(done: &Done) -> Self {
        let mut all: Vec<Duration> = done.recoveries.clone();
        all.sort_unstable();
        let at = |index: usize| all.get(index).map_or(0, Duration::as_millis);
        let [quarter, half, three_quarters] = [1, 2, 3].map(|part| at(all.len() * part / 4));
        Recovery { quarter, half, three_quarters, longest: at(all.len().saturating_sub(1)) }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recovery { quarter, half, three_quarters, longest } = self;
        write!(
            f,
            "a quarter within {quarter} ms, half {half} ms, three quarters {three_quarters} ms, longest {longest} ms"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_told_in_quarters_of_the_rounds() {
        let of = |times: &[u64]| {
            let recoveries = times.iter().map(|ms| Duration::from_millis(*ms)).collect();
            let Recovery { quarter, half, three_quarters, longest } =
                Recovery::of(&Done { recoveries, ..Done::default() });
            [quarter, half, three_quarters, longest]
        };
        assert_eq!(of(&[]), [0; 4]);
        assert_eq!(of(&[7]), [7; 4]);
        assert_eq!(of(&[900, 100, 1_000, 200, 1_100, 300, 1_200, 400]), [300, 900, 1_100, 1_200]);
    }
}
