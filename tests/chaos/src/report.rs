//! The outcome of a run, for people and as JSON.

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
    /// From the end of a round to the next proved payment, ms: median and longest.
    pub recovery_ms: (u128, u128),
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
             from the end of a round to the next proved payment: median {} ms, longest {} ms",
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
            self.recovery_ms.0,
            self.recovery_ms.1
        )
    }
}

/// Median and longest. **Units**: ms.
pub fn recovery_ms(done: &Done) -> (u128, u128) {
    let mut all: Vec<Duration> = done.recoveries.clone();
    all.sort_unstable();
    let at = |index: usize| all.get(index).map_or(0, Duration::as_millis);
    (at(all.len() / 2), at(all.len().saturating_sub(1)))
}
