//! What may be signed after what: the rows of the guard, each judged by a book that went on and by one read back.

use carat_types::certificate::Certificate;
use carat_types::message::{
    Ballot, Commit, Domain, LastVote, NewView, PrePrepare, Prepare, Seal, SignedBody, SlotReport,
    TentativeReply,
};
use carat_types::{Signature, ValidatorId};

use super::*;

const CHAIN: Digest = Digest([7; 32]);

fn statement<B: SignedBody>(epoch: u32, body: &B) -> Statement {
    let domain = Domain { chain_id: CHAIN, epoch: Epoch(epoch) };
    Statement::read(&domain.signing_bytes(body), &CHAIN).expect("understood")
}

fn ballot(view: u64, slot: u64, value: u8) -> Ballot {
    Ballot { view: View(view), slot: Slot(slot), digest: Digest([value; 32]), prefix: Digest([value; 32]) }
}

fn prepare(view: u64, slot: u64, value: u8) -> Statement {
    statement(0, &Prepare(ballot(view, slot, value)))
}

fn commit(view: u64, slot: u64, value: u8) -> Statement {
    statement(0, &Commit(ballot(view, slot, value)))
}

/// What a VIEW-CHANGE says of one slot: view and value of the last vote, view and value of the certificate.
type Said = (u64, Option<(u64, u8)>, Option<(u64, u8)>);

fn view_change(view: u64, said: &[Said]) -> Statement {
    let report = |(slot, vote, prepared): &Said| SlotReport {
        slot: Slot(*slot),
        last_vote: vote.map(|(view, value)| LastVote { view: View(view), digest: Digest([value; 32]) }),
        prepared: prepared.map(|(view, value)| {
            let signatures = [(ValidatorId(0), Signature([0; 64]))];
            Certificate::assemble(Prepare(ballot(view, *slot, value)), signatures)
        }),
    };
    let reports = said.iter().map(report).collect();
    statement(0, &ViewChange { view: View(view), stable: None, reports })
}

/// What may be signed after `before`, in words.
fn verdict(before: &[Statement], then: &Statement) -> &'static str {
    let mut book = Book::default();
    for statement in before {
        book.admit(statement).expect("an honest row");
    }
    // A signer that was restarted, or begun anew, judges as the one that went on.
    let lines = book.marks();
    let mut again = Book::default();
    lines.iter().for_each(|mark| again.note(*mark));
    let judged = [book, again].map(|mut book| match book.admit(then) {
        Ok(Some(_)) => "signed",
        Ok(None) => "signed again",
        Err(Refusal::Conflict { .. }) => "conflict",
        Err(Refusal::Below { .. }) => "below",
        Err(Refusal::LeftView { .. }) => "left",
        Err(Refusal::Denies { .. }) => "denies",
        Err(Refusal::NoCommit { .. }) => "no commit",
        Err(Refusal::OldEpoch { .. }) => "old epoch",
    });
    let [went_on, restarted] = judged;
    assert_eq!(went_on, restarted, "{then:?}");
    went_on
}

fn reply(view: u64, slot: u64, header: u8) -> Statement {
    let header = Digest([header; 32]);
    statement(0, &TentativeReply { view: View(view), slot: Slot(slot), header })
}

#[test]
fn reply_is_signed_behind_its_commit_once_for_a_view_and_slot_and_never_in_a_view_that_was_left() {
    let said = [prepare(0, 1, 1), prepare(0, 2, 2), commit(0, 1, 1), commit(0, 2, 2), reply(0, 2, 7)];
    let left: Vec<Statement> = said
        .iter()
        .cloned()
        .chain([view_change(1, &[(1, Some((0, 1)), Some((0, 1))), (2, Some((0, 2)), Some((0, 2)))])])
        .collect();
    let table = [
        (&said[..4], reply(0, 1, 7), "signed", "its COMMIT was"),
        (&said[..2], reply(0, 1, 7), "no commit", "I6"),
        (&said[..4], reply(1, 1, 7), "no commit", "the COMMIT is of another view"),
        (&said[..], reply(0, 2, 7), "signed again", "after a restart"),
        (&said[..], reply(0, 2, 8), "conflict", "two results of one slot in one view"),
        (&said[..], reply(0, 1, 7), "below", "nobody waited for it before a restart"),
        (&left[..], reply(0, 2, 7), "signed again", "the same does no harm"),
        (&left[..5], reply(0, 3, 7), "no commit", "no vote, no reply"),
    ];
    for (before, then, expected, why) in table {
        assert_eq!(verdict(before, &then), expected, "{why}");
    }
    let before_left: Vec<Statement> = said[..4].iter().chain(&left[5..]).cloned().collect();
    assert_eq!(verdict(&before_left, &reply(0, 2, 7)), "left", "I2");
}

#[test]
fn refusal_of_a_reply_stops_nobody_but_for_a_second_result() {
    let (view, slot) = (View(0), Slot(1));
    let below =
        Refusal::Below { kind: Kind::TentativeReply, view, slot, highest_view: view, highest_slot: slot };
    let conflict = Refusal::Conflict { kind: Kind::TentativeReply, epoch: Epoch(0), view, slot };
    assert!(!below.is_grave() && !Refusal::NoCommit { view, slot }.is_grave() && conflict.is_grave());
}

#[test]
fn vote_is_signed_above_all_others_and_again_and_never_otherwise() {
    let voted = [prepare(0, 1, 1), prepare(0, 2, 2), commit(0, 1, 1), prepare(1, 1, 1)];
    let other_prefix = statement(0, &Prepare(Ballot { prefix: Digest([9; 32]), ..ballot(0, 2, 2) }));
    let table = [
        (prepare(1, 2, 9), "signed", "a higher view may vote for another value"),
        (prepare(1, 1, 1), "signed again", "after a restart"),
        (prepare(0, 2, 2), "signed again", "of a lower view, and the same"),
        (prepare(1, 1, 2), "conflict", "I1"),
        (prepare(0, 2, 3), "conflict", "I1"),
        (other_prefix, "conflict", "the prefix is part of the vote"),
        (prepare(0, 3, 3), "below", "views never go back"),
        (prepare(0, 1, 1), "below", "not remembered: a later vote took its place"),
        (commit(0, 2, 2), "signed", "kinds have lines of their own"),
        (commit(0, 1, 2), "conflict", "two COMMITs"),
        (statement(1, &Prepare(ballot(0, 1, 5))), "signed", "an epoch begins anew"),
    ];
    for (then, expected, why) in table {
        assert_eq!(verdict(&voted, &then), expected, "{why}");
    }
}

#[test]
fn seals_and_proposals_are_guarded_as_votes_are() {
    let seal = |slot: u64, header: u8| statement(0, &Seal { slot: Slot(slot), header: Digest([header; 32]) });
    let propose = |view: u64, slot: u64, value: u8| {
        let (view, slot, digest) = (View(view), Slot(slot), Digest([value; 32]));
        statement(0, &PrePrepare { view, slot, parent: Digest::ZERO, digest })
    };
    let new_view = |view: u64, more: bool| {
        let view_changes = Vec::from_iter(more.then(|| {
            let body = ViewChange { view: View(view), stable: None, reports: Vec::new() };
            let signature = Signature([0; 64]);
            std::sync::Arc::new(carat_types::message::Signed { signer: ValidatorId(0), body, signature })
        }));
        statement(0, &NewView { view: View(view), view_changes })
    };
    let before = [seal(4, 1), seal(5, 1), propose(0, 4, 1), new_view(3, false)];
    let table = [
        (seal(5, 2), "conflict"),
        (seal(5, 1), "signed again"),
        (seal(3, 1), "below"),
        (propose(0, 4, 2), "conflict"),
        (propose(0, 5, 2), "signed"),
        (new_view(3, true), "conflict"),
        (new_view(2, true), "below"),
        (new_view(7, true), "signed"),
    ];
    for (then, expected) in table {
        assert_eq!(verdict(&before, &then), expected, "{then:?}");
    }
}

#[test]
fn view_change_owns_up_to_every_vote_and_ends_votes_below() {
    let voted = [prepare(0, 1, 1), commit(0, 1, 1), prepare(0, 2, 2)];
    let honest: &[Said] = &[(1, Some((0, 1)), Some((0, 1))), (2, Some((0, 2)), None)];
    let table: [(Statement, &str, &str); 7] = [
        (view_change(1, honest), "signed", "all is said"),
        (view_change(1, &[(1, Some((0, 1)), Some((0, 1)))]), "denies", "silent about slot 2 (E3)"),
        (view_change(1, &[honest[0], (2, Some((0, 9)), None)]), "denies", "another value (E3)"),
        (view_change(1, &[(1, Some((0, 1)), None), honest[1]]), "denies", "no certificate (E4)"),
        (view_change(0, honest), "denies", "votes in the view that it goes to"),
        (prepare(0, 3, 3), "signed", "before it, views are not left"),
        (commit(0, 2, 2), "signed", "nor COMMITs forbidden"),
    ];
    for (then, expected, why) in table {
        assert_eq!(verdict(&voted, &then), expected, "{why}");
    }
    let mut left = voted.to_vec();
    left.push(view_change(2, honest));
    let later: &[Said] = &[honest[0], (2, Some((0, 2)), Some((0, 2)))];
    let table = [
        (prepare(1, 3, 3), "left", "I2"),
        (commit(0, 2, 2), "left", "I2"),
        (prepare(0, 2, 2), "signed again", "it was out already"),
        (prepare(2, 1, 1), "signed", "the view that it went to"),
        (view_change(1, honest), "below", "a lower view"),
        (view_change(2, later), "signed", "a certificate came in between: no evidence (section 13)"),
        (view_change(2, &[]), "denies", "as before"),
        (view_change(3, honest), "signed", "on to the next"),
    ];
    for (then, expected, why) in table {
        assert_eq!(verdict(&left, &then), expected, "{why}");
    }
}

#[test]
fn high_water_mark_outlives_what_is_remembered_of_single_slots() {
    let mut book = Book::default();
    for slot in 1..=3 * SLOTS as u64 {
        book.admit(&prepare(0, slot, 1)).expect("in order");
    }
    // A liar's vote in a higher view for a slot long gone: its line may not fall out of the memory.
    book.admit(&prepare(5, 1, 1)).expect("above all");
    assert!(book.marks().len() <= SLOTS + 2, "the memory has a limit");
    let mut again = Book::default();
    book.marks().into_iter().for_each(|mark| again.note(mark));
    for mut book in [book, again] {
        assert!(book.admit(&prepare(5, 1, 2)).is_err(), "a second vote in view 5");
        assert!(book.admit(&prepare(0, 3 * SLOTS as u64 + 1, 2)).is_err(), "a vote below view 5");
    }
}

#[test]
fn two_epochs_are_remembered_and_none_is_begun_again() {
    let vote = |epoch: u32, value: u8| statement(epoch, &Prepare(ballot(0, 1, value)));
    assert_eq!(verdict(&[vote(1, 1), vote(2, 1)], &vote(1, 2)), "conflict");
    assert_eq!(verdict(&[vote(1, 1), vote(2, 1), vote(3, 1)], &vote(1, 1)), "old epoch");
}
