//! The pool as consensus sees it.

use super::*;

fn limits() -> BlockLimits {
    BlockLimits { bytes: 1_000, transactions: 3, operations: 10, signatures: 10 }
}

fn transaction(number: u8) -> PendingTransaction {
    PendingTransaction {
        hash: Digest([number; 32]),
        source: [number; 32],
        sequence: 1,
        valid_until: None,
        envelope: Envelope([number; 10].as_slice().into()),
        operations: 1,
        signatures: 1,
    }
}

fn filled(count: u8) -> Pending {
    let mut pending = Pending::new(100, 4, limits());
    for number in 0..count {
        assert!(pending.admit(transaction(number), u64::from(number)));
    }
    pending
}

#[test]
fn batch_is_first_in_first_out_up_to_the_limits_of_a_block() {
    let mut pending = filled(5);
    let first: Vec<_> = pending.take_batch().iter().map(|envelope| envelope.0[0]).collect();
    let second: Vec<_> = pending.take_batch().iter().map(|envelope| envelope.0[0]).collect();
    assert_eq!((first, second), (vec![0, 1, 2], vec![3, 4]));
    assert!(!pending.has_waiting());
}

#[test]
fn every_limit_of_a_block_ends_a_batch() {
    for (limits, expected) in [
        (BlockLimits { bytes: 25, ..limits() }, 2),
        (BlockLimits { transactions: 1, ..limits() }, 1),
        (BlockLimits { operations: 2, ..limits() }, 2),
        (BlockLimits { signatures: 2, ..limits() }, 2),
    ] {
        let mut pending = Pending::new(100, 4, limits);
        for number in 0..5 {
            pending.admit(transaction(number), 0);
        }
        assert_eq!(pending.take_batch().len(), expected, "{limits:?}");
    }
}

#[test]
fn second_transaction_of_one_source_and_sequence_is_refused() {
    let mut pending = filled(1);
    let mut other = transaction(9);
    other.source = [0; 32];
    assert!(!pending.admit(other.clone(), 0));
    other.sequence = 2;
    assert!(pending.admit(other, 0));
}

#[test]
fn transaction_larger_than_a_block_is_refused() {
    let mut pending = filled(0);
    let mut large = transaction(1);
    large.operations = 11;
    assert!(!pending.admit(large, 0));
}

#[test]
fn list_is_bounded_at_three_entries_for_each_place() {
    let mut pending = Pending::new(2, 4, limits());
    assert!((1..=6).all(|number| pending.admit(transaction(number), 0)));
    assert!(!pending.admit(transaction(7), 0));
    assert_eq!(pending.len(), 6);
}

#[test]
fn clock_of_a_transaction_starts_when_it_enters_the_share() {
    // P = 8 at n = 4: a share of two.
    let mut pending = Pending::new(8, 4, limits());
    for number in 0..4 {
        pending.admit(transaction(number), 10);
    }
    assert_eq!(pending.oldest_timed_us(), Some(10));
    let envelopes = [transaction(0).envelope, transaction(1).envelope];
    pending.mark_ordered(Slot(1), envelopes.iter(), 50);
    assert_eq!(pending.oldest_timed_us(), Some(50), "the next two began to wait when there was room");
}

#[test]
fn ordered_transaction_stops_the_clock_and_settled_one_is_gone() {
    let mut pending = filled(1);
    assert_eq!(pending.oldest_timed_us(), Some(0));
    pending.mark_ordered(Slot(3), [transaction(0).envelope].iter(), 5);
    assert_eq!(pending.oldest_timed_us(), None);
    assert_eq!(pending.len(), 1);
    pending.settle(Slot(3), &[transaction(0).hash], 6);
    assert_eq!(pending.len(), 0);
}

#[test]
fn transaction_ordered_in_vain_waits_again_with_its_old_clock() {
    let mut pending = filled(1);
    pending.take_batch();
    pending.mark_ordered(Slot(3), [transaction(0).envelope].iter(), 5);
    pending.settle(Slot(3), &[], 6);
    assert!(pending.has_waiting());
    assert_eq!(pending.oldest_timed_us(), Some(0));
}

#[test]
fn transactions_in_flight_wait_again_when_their_view_ends() {
    let mut pending = filled(2);
    pending.take_batch();
    pending.mark_ordered(Slot(1), [transaction(1).envelope].iter(), 5);
    pending.release_in_flight();
    let again: Vec<_> = pending.take_batch().iter().map(|envelope| envelope.0[0]).collect();
    assert_eq!(again, [0], "the ordered one is not proposed again");
}

#[test]
fn transactions_of_forced_batches_are_not_proposed_again() {
    let mut pending = filled(2);
    pending.mark_in_flight([transaction(0).envelope].iter());
    assert_eq!(pending.take_batch().len(), 1);
}
