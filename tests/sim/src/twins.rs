//! Twins: two unmodified copies of one validator, under one identity and one key, and every way of splitting the five
//! instances of n = 4 into at most two blocks, step by step. Two copies in different blocks equivocate, vote twice and
//! forget, without a line of adversary code.
//!
//! **Source**: Bano and others, "Twins: BFT Systems Made Robust"; the slices are those of the reliability goals.
//! A scenario is a number, its rank ([`scenario`]); [`run`] plays it on the real core.

pub mod run;
pub mod scenario;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use run::{Failure, play};
use scenario::{Scenario, Slice};

/// The sum over a range of ranks.
#[derive(Debug, Default)]
pub struct Report {
    /// Ranks looked at.
    pub ranks: u64,
    /// Scenarios played: those that are no mirror image of one with a lower rank.
    pub played: u64,
    /// Inputs delivered to replicas.
    pub events: u64,
    /// Scenarios that broke a rule.
    pub failures: Vec<(u64, Failure)>,
}

/// Plays the scenarios of a slice whose ranks are in `first..first + count`, on `threads` threads.
pub fn explore(slice: Slice, first: u64, count: u64, threads: usize) -> Report {
    /// Ranks that a thread takes at a time.
    const CHUNK: u64 = 256;
    let end = first.saturating_add(count).min(slice.ranks());
    let next = AtomicU64::new(first);
    let total = Mutex::new(Report { ranks: end.saturating_sub(first), ..Report::default() });
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let begin = next.fetch_add(CHUNK, Ordering::Relaxed);
                    if begin >= end {
                        break;
                    }
                    let part = explore_chunk(slice, begin..end.min(begin + CHUNK));
                    if let Ok(mut total) = total.lock() {
                        total.played += part.played;
                        total.events += part.events;
                        total.failures.extend(part.failures);
                    }
                }
            });
        }
    });
    let mut report = total.into_inner().unwrap_or_default();
    report.failures.sort_by_key(|(rank, _)| *rank);
    report
}

fn explore_chunk(slice: Slice, ranks: std::ops::Range<u64>) -> Report {
    let mut report = Report::default();
    for rank in ranks {
        let scenario = Scenario::of(slice, rank);
        if !scenario.is_canonical() {
            continue;
        }
        let outcome = play(&scenario);
        report.played += 1;
        report.events += outcome.events;
        report.failures.extend(outcome.failure.map(|failure| (rank, failure)));
    }
    report
}
