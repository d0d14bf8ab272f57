//! The ten vectors of section 16, and properties of the rule over random reports.

use carat_types::certificate::Certificate;
use carat_types::message::{Ballot, LastVote, Prepare};
use carat_types::{Signature, ValidatorId};
use proptest::prelude::*;

use super::*;

/// Certificate and last vote of one member of S, as (view, value).
type Entry = (Option<(u64, char)>, Option<(u64, char)>);

fn digest(value: char) -> Digest {
    let mut bytes = [0; 32];
    bytes[0] = u8::try_from(value).expect("an ASCII letter");
    Digest(bytes)
}

fn report(slot: u64, (certificate, vote): Entry, q: usize) -> SlotReport {
    let prepared = certificate.map(|(view, value)| {
        let ballot =
            Ballot { view: View(view), slot: Slot(slot), digest: digest(value), prefix: Digest::ZERO };
        let voters = (0..u16::try_from(q).expect("few")).map(|id| (ValidatorId(id), Signature([0; 64])));
        Certificate::assemble(Prepare(ballot), voters)
    });
    let last_vote = vote.map(|(view, value)| LastVote { view: View(view), digest: digest(value) });
    SlotReport { slot: Slot(slot), last_vote, prepared }
}

fn view_changes(entries: &[Entry]) -> Vec<Arc<Signed<ViewChange>>> {
    let q = entries.len();
    let signed = entries.iter().enumerate().map(|(index, entry)| {
        let body = ViewChange { view: View(100), stable: None, reports: vec![report(1, *entry, q)] };
        let signer = ValidatorId(u16::try_from(index).expect("few"));
        Arc::new(Signed { signer, body, signature: Signature([0; 64]) })
    });
    signed.collect()
}

fn picked(n: usize, entries: &[Entry]) -> Option<Digest> {
    let quorum = Quorum::of(n).expect("possible size");
    let choice = choose(&view_changes(entries), quorum, Slot(0));
    choice.forced.get(&Slot(1)).map(|forced| forced.digest)
}

#[test]
fn pick_answers_the_ten_vectors_of_the_specification() {
    const NONE: Entry = (None, None);
    let vote = |view, value| -> Entry { (None, Some((view, value))) };
    let both = |certificate, vote| -> Entry { (Some(certificate), Some(vote)) };
    let table: [(u32, [Entry; 3], Option<char>); 10] = [
        (1, [vote(1, 'a'), vote(0, 'a'), NONE], Some('a')),
        (2, [both((0, 'b'), (1, 'a')), vote(1, 'a'), NONE], Some('a')),
        (3, [both((1, 'b'), (1, 'b')), vote(1, 'a'), vote(1, 'a')], Some('b')),
        (4, [both((0, 'b'), (0, 'b')), vote(2, 'a'), vote(0, 'a')], Some('b')),
        (5, [vote(5, 'x'), vote(0, 'a'), vote(0, 'a')], Some('a')),
        (6, [vote(0, 'a'), vote(0, 'b'), NONE], None),
        (7, [both((0, 'a'), (0, 'a')), both((2, 'b'), (2, 'b')), NONE], Some('b')),
        (8, [NONE, NONE, NONE], None),
        (9, [vote(3, 'x'), NONE, NONE], None),
        (10, [both((1, 'a'), (2, 'b')), vote(2, 'b'), vote(1, 'a')], Some('b')),
    ];
    for (number, entries, expected) in table {
        assert_eq!(picked(4, &entries), expected.map(digest), "vector {number}");
        let mut turned = entries;
        for _ in 0..3 {
            turned.rotate_left(1);
            assert_eq!(picked(4, &turned), expected.map(digest), "vector {number}, other order");
        }
    }
}

#[test]
fn free_slot_below_a_forced_one_is_null_and_slots_up_to_h_are_skipped() {
    let quorum = Quorum::of(4).expect("possible size");
    let mut changes = view_changes(&[(None, Some((0, 'a'))), (None, Some((0, 'a'))), (None, None)]);
    for change in &mut changes {
        let change = Arc::make_mut(change);
        for report in &mut change.body.reports {
            report.slot = Slot(3);
        }
    }
    let choice = choose(&changes, quorum, Slot(0));
    assert_eq!(choice.s_max, Slot(3));
    let values: Vec<_> = choice.forced.iter().map(|(slot, forced)| (slot.0, forced.digest)).collect();
    assert_eq!(values, [(1, null_digest()), (2, null_digest()), (3, digest('a'))]);
    assert_eq!(choice.forced[&Slot(3)].holders, SignerSet::from_iter([ValidatorId(0), ValidatorId(1)]));
}

#[test]
fn nothing_reported_forces_nothing() {
    let choice = choose(&view_changes(&[(None, None); 3]), Quorum::of(4).expect("possible size"), Slot(0));
    assert_eq!(choice, Choice::default());
}

fn entries(q: usize) -> impl Strategy<Value = Vec<Entry>> {
    let ballot = || (0u64..4, prop::sample::select(vec!['a', 'b', 'c']));
    // Fact Q: certificates of one view agree. The value of a certificate follows from its view.
    let certificate = (0u64..4).prop_map(|view| (view, if view == 1 { 'b' } else { 'a' }));
    prop::collection::vec((prop::option::of(certificate), prop::option::of(ballot())), q)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Total, independent of the order of S, and never inventing a value.
    #[test]
    fn pick_is_total_symmetric_and_invents_nothing(entries in entries(5), turns in 0usize..5) {
        let answer = picked(7, &entries);
        let mut turned = entries.clone();
        turned.rotate_left(turns);
        prop_assert_eq!(picked(7, &turned), answer);
        if let Some(answer) = answer {
            let known = entries.iter().any(|(certificate, vote)| {
                [certificate, vote].into_iter().flatten().any(|(_, value)| digest(*value) == answer)
            });
            prop_assert!(known);
        }
    }

    /// 9.2, one view: what q acceptors voted for in the last view in which anybody voted is picked, whatever f of
    /// the members of S claim besides, as long as no certificate contradicts Fact Q.
    #[test]
    fn value_chosen_by_a_quorum_is_picked_whatever_the_rest_claims(
        rest in entries(2), view in 0u64..4, sharing in 3usize..6,
    ) {
        // n = 7: q = 5, t = 3. S shares at least 3 members with the quorum that chose 'z' at `view`; they say so.
        let mut entries: Vec<Entry> = vec![(None, Some((view, 'z'))); sharing];
        for entry in rest.into_iter().take(5usize.saturating_sub(sharing)) {
            // No certificate at or above the view of the choice can be for anything else.
            let certificate = entry.0.filter(|(u, _)| *u < view);
            entries.push((certificate, entry.1));
        }
        prop_assert_eq!(picked(7, &entries), Some(digest('z')));
    }

    /// 9.3: a certificate of the highest view is picked, unless t votes were cast for another value above it.
    #[test]
    fn highest_certificate_wins_unless_t_votes_are_above_it(entries in entries(3)) {
        let answer = picked(4, &entries);
        let highest = entries.iter().filter_map(|(certificate, _)| *certificate).max();
        if let Some((u, e)) = highest {
            let above = |value: char| {
                entries.iter().filter(|(_, vote)| vote.is_some_and(|(w, v)| w > u && v == value)).count()
            };
            let expected = ['a', 'b', 'c'].into_iter().find(|value| above(*value) >= 2).unwrap_or(e);
            prop_assert_eq!(answer, Some(digest(expected)));
        }
    }
}
