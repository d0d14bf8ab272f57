//! Counting votes.

use super::*;

fn ballot(view: u64, digest: u8) -> Ballot {
    Ballot { view: View(view), slot: Slot(1), digest: Digest([digest; 32]), prefix: Digest([digest; 32]) }
}

const SIGNATURE: Signature = Signature([0; 64]);

#[test]
fn vote_of_one_signer_counts_once() {
    let mut votes = Votes::default();
    assert_eq!(votes.add(&ballot(0, 1), ValidatorId(2), SIGNATURE), Counted::Fresh(1));
    assert_eq!(votes.add(&ballot(0, 1), ValidatorId(2), SIGNATURE), Counted::Duplicate);
    assert_eq!(votes.count(&ballot(0, 1)), 1);
}

#[test]
fn second_different_vote_is_a_conflict_and_the_first_stands() {
    let mut votes = Votes::default();
    votes.add(&ballot(0, 1), ValidatorId(2), SIGNATURE);
    assert_eq!(votes.add(&ballot(0, 2), ValidatorId(2), Signature([1; 64])), Counted::Conflict);
    assert_eq!((votes.count(&ballot(0, 1)), votes.count(&ballot(0, 2))), (1, 0));
    assert_eq!(votes.tally(&ballot(0, 1)).and_then(|t| t.signatures.get(&ValidatorId(2))), Some(&SIGNATURE));
}

#[test]
fn votes_for_different_prefixes_of_one_value_do_not_add_up() {
    let mut votes = Votes::default();
    let other = Ballot { prefix: Digest([9; 32]), ..ballot(0, 1) };
    votes.add(&ballot(0, 1), ValidatorId(0), SIGNATURE);
    votes.add(&other, ValidatorId(1), SIGNATURE);
    assert!(votes.reached(2).is_none());
}

#[test]
fn late_votes_keep_the_latest_of_each_sender() {
    let mut late = LateVotes::default();
    assert_eq!(late.add(&ballot(1, 1), ValidatorId(0), SIGNATURE), Counted::Fresh(1));
    assert_eq!(late.add(&ballot(1, 1), ValidatorId(1), SIGNATURE), Counted::Fresh(2));
    assert_eq!(late.add(&ballot(0, 1), ValidatorId(1), SIGNATURE), Counted::Duplicate, "an older one");
    assert_eq!(late.add(&ballot(1, 2), ValidatorId(1), SIGNATURE), Counted::Conflict);
    assert_eq!(late.add(&ballot(2, 2), ValidatorId(1), SIGNATURE), Counted::Fresh(1));
    assert!(late.reached(2).is_none(), "its vote of view 1 is gone");
}

#[test]
fn leaving_a_view_keeps_its_certificate_and_moves_the_next_round_in() {
    let mut log = Log::default();
    let state = log.entry(Slot(1));
    for signer in 0..3 {
        state.current.prepares.add(&ballot(0, 1), ValidatorId(signer), SIGNATURE);
    }
    state.next.prepares.add(&ballot(1, 2), ValidatorId(3), SIGNATURE);
    log.change_view(true, 3);
    let state = log.get(Slot(1)).expect("kept");
    assert_eq!(state.prepared.as_ref().map(|certificate| certificate.body.0), Some(ballot(0, 1)));
    assert_eq!(state.current.prepares.count(&ballot(1, 2)), 1);
    assert_eq!(state.late_prepares.tally(&ballot(0, 1)).signatures.len(), 3);
}

#[test]
fn leaving_for_a_view_further_on_moves_both_rounds_out() {
    let mut log = Log::default();
    let state = log.entry(Slot(1));
    state.next.commits.add(&ballot(1, 2), ValidatorId(3), SIGNATURE);
    log.change_view(false, 3);
    let state = log.get(Slot(1)).expect("kept");
    assert_eq!(state.current.commits.count(&ballot(1, 2)), 0);
    assert_eq!(state.late_commits.tally(&ballot(1, 2)).signatures.len(), 1);
}

#[test]
fn forgetting_a_range_keeps_both_sides() {
    let mut log = Log::default();
    for slot in 1..=6 {
        log.entry(Slot(slot));
    }
    log.forget_range(Slot(2), Slot(4));
    let left: Vec<u64> = log.above(Slot(0)).map(|(slot, _)| slot.0).collect();
    assert_eq!(left, [1, 2, 5, 6]);
    log.forget_range(Slot(6), Slot(3));
    assert_eq!(log.len(), 4);
    log.forget_through(Slot(5));
    assert_eq!(log.len(), 1);
}
