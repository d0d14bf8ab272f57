//! A slice of the random histories; `examples/histories.rs` plays as many as it is asked for.

#[path = "histories/mod.rs"]
mod histories;
mod support;

use histories::{Tally, play};

/// Operations of a history: long enough for crowded books, short enough to begin anew.
const OPERATIONS: usize = 2_500;
/// The seeds of every run; a seed that once found something stays.
const SEEDS: std::ops::Range<u64> = 0..40;

#[test]
fn random_histories_keep_every_count_after_every_transaction() {
    let mut tally = Tally::default();
    for seed in SEEDS {
        tally.add(play(seed, OPERATIONS));
    }
    assert!(tally.operations >= 100_000, "{tally:?}");
    // Histories in which hardly anything succeeds would prove hardly anything.
    assert!(tally.succeeded * 4 > tally.transactions && tally.trades > 5_000, "{tally:?}");
}
