//! Twins: slice C whole, and the beginnings of slices A and B.

use carat_sim::twins::explore;
use carat_sim::twins::scenario::Slice;

fn check_clean(slice: Slice, first: u64, count: u64, played: u64) {
    let report = explore(slice, first, count, 2);
    assert_eq!(report.failures, [], "hint: ./scripts/twins.sh {slice:?} --from RANK --count 1");
    assert_eq!(report.played, played);
}

#[test]
fn slice_c_agrees_and_recovers_in_every_scenario() {
    check_clean(Slice::C, 0, Slice::C.ranks(), 139_264);
}

#[test]
fn slice_a_agrees_and_recovers_in_a_sample() {
    check_clean(Slice::A, 40_000_000, 2_000, 2_000);
}

#[test]
fn slice_b_agrees_and_recovers_in_a_sample() {
    check_clean(Slice::B, 40_000_000, 2_000, 2_000);
}
