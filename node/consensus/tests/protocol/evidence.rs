//! Evidence (section 13): whoever contradicts himself before a correct validator is convicted, and nobody else.

use std::sync::Arc;

use carat_consensus::effect::{Halt, Report};
use carat_types::evidence::Evidence;
use carat_types::genesis::Trust;
use carat_types::hash::h;
use carat_types::message::{
    Commit, Justification, LastVote, Message, NewView, Prepare, PrepareMessage, Seal, SlotReport, ViewChange,
};
use carat_types::{Digest, SignerSet, Slot, View};

use crate::harness::*;

/// A network that begins, and a digest that nobody proposed.
fn scene() -> (Cluster, Digest) {
    (Cluster::new(4), h("test value", &[b"other"]))
}

fn prepare(cluster: &Cluster, signer: usize, view: u64, slot: u64, digest: Digest) -> Message {
    let signed = forge(&cluster.set, signer, Prepare(ballot(view, slot, digest, digest)));
    Message::Prepare(PrepareMessage { signed, justification: Justification::NewView(digest) })
}

fn commit(cluster: &Cluster, signer: usize, view: u64, slot: u64, digest: Digest) -> Message {
    Message::Commit(forge(&cluster.set, signer, Commit(ballot(view, slot, digest, digest))))
}

fn change(cluster: &Cluster, signer: usize, view: u64, reports: Vec<SlotReport>) -> Message {
    let body = ViewChange { view: View(view), stable: None, reports };
    Message::ViewChange(Arc::new(forge(&cluster.set, signer, body)))
}

fn told(slot: u64, view: u64, digest: Digest) -> Vec<SlotReport> {
    let last_vote = Some(LastVote { view: View(view), digest });
    vec![SlotReport { slot: Slot(slot), last_vote, prepared: None }]
}

/// Delivers `messages` from node 3 to node 1, and demands exactly this evidence, against node 3.
#[track_caller]
fn check(cluster: &mut Cluster, messages: Vec<Message>, expected: &[&str]) {
    for message in messages {
        cluster.deliver(3, 1, message);
    }
    let kept = &cluster.nodes[1].evidence;
    let codes: Vec<&str> = kept.iter().map(|evidence| evidence.code()).collect();
    assert_eq!(codes, expected, "{}", cluster.describe());
    for evidence in kept {
        let convicted = evidence.verify(&cluster.set, &HashAuthenticator);
        assert_eq!(convicted, Ok(SignerSet::from_iter([id(3)])), "{evidence:?}");
    }
}

#[test]
fn two_proposals_and_two_new_views_of_a_leader_are_kept_as_e1() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.settle();
    let (header, ..) = cluster.nodes[1].blocks.last().expect("two slots").clone();
    let (slot, parent) = (header.slot.0 + 1, header.prefix);
    for numbers in [[1], [2]] {
        let payload = payload_of(cluster.now(1).wall_ms, &numbers);
        let message = proposal(&cluster.set, 0, 0, slot, parent, &payload);
        cluster.deliver(3, 1, message);
    }
    let convicted = cluster.nodes[1].evidence[0].verify(&cluster.set, &HashAuthenticator);
    assert_eq!((cluster.nodes[1].evidence[0].code(), convicted), ("E1", Ok(SignerSet::from_iter([id(0)]))));

    let mut cluster = Cluster::new(4);
    let changes = |cluster: &Cluster, first: usize| {
        (first..first + 3).map(|signer| Arc::new(forge(&cluster.set, signer, view_change(3)))).collect()
    };
    for first in [0, 1] {
        let body = NewView { view: View(3), view_changes: changes(&cluster, first) };
        let new_view = Message::NewView(Arc::new(forge(&cluster.set, 3, body)));
        cluster.deliver(0, 1, new_view);
    }
    check(&mut cluster, Vec::new(), &["E1"]);
}

#[test]
fn two_votes_of_one_validator_are_kept_as_e2_once() {
    let (mut cluster, other) = scene();
    let votes = [other, Digest([1; 32]), Digest([2; 32])];
    let votes = votes.map(|digest| prepare(&cluster, 3, 0, 9, digest));
    check(&mut cluster, votes.to_vec(), &["E2"]);
}

#[test]
fn vote_that_a_view_change_denies_is_kept_as_e3_whichever_comes_first() {
    let lies = |other: Digest| [Vec::new(), told(9, 0, Digest([1; 32]))].map(|reports| (reports, other));
    for (reports, other) in lies(h("test value", &[b"other"])) {
        for vote_first in [true, false] {
            let (mut cluster, _) = scene();
            let vote = prepare(&cluster, 3, 0, 9, other);
            let change = change(&cluster, 3, 1, reports.clone());
            let messages = if vote_first { vec![vote, change] } else { vec![change, vote] };
            check(&mut cluster, messages, &["E3"]);
        }
    }
    let (mut cluster, other) = scene();
    let messages = vec![prepare(&cluster, 3, 0, 9, other), change(&cluster, 3, 1, told(9, 0, other))];
    check(&mut cluster, messages, &[]);
}

#[test]
fn commit_without_its_certificate_in_the_view_change_is_kept_as_e4() {
    for vote_first in [true, false] {
        let (mut cluster, other) = scene();
        let vote = commit(&cluster, 3, 0, 9, other);
        let change = change(&cluster, 3, 1, told(9, 0, other));
        let messages = if vote_first { vec![vote, change] } else { vec![change, vote] };
        check(&mut cluster, messages, &["E4"]);
    }
}

#[test]
fn two_seals_of_one_validator_are_kept_as_e5() {
    let (mut cluster, other) = scene();
    let seal =
        |cluster: &Cluster, header| Message::Seal(forge(&cluster.set, 3, Seal { slot: Slot(9), header }));
    let messages = vec![seal(&cluster, other), seal(&cluster, Digest([1; 32]))];
    check(&mut cluster, messages, &["E5"]);
}

/// Node 1 alone has q PREPAREs for slot 2. Node 3 signed one of them and denies it, and node 2 does not hear of the slot.
fn contradict(trust: Trust) -> Cluster {
    let mut cluster = Cluster::trusting(4, params(), trust);
    // Nobody hears a COMMIT, of which a VIEW-CHANGE would have to tell.
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Commit(_)));
    cluster.run_to(1);
    cluster.settle();
    cluster.filter = Box::new(|_, to, message| {
        !matches!(message, Message::Commit(_)) && (to == id(1) || !matches!(message, Message::Prepare(_)))
    });
    cluster.crash(2);
    cluster.crash(3);
    cluster.admit(1);
    cluster.settle();
    let vote = cluster.nodes[1].journal.iter().rev().find_map(|record| match record {
        carat_consensus::Record::Vote(ballot, ..) => Some(*ballot),
        _ => None,
    });
    let vote = vote.expect("node 1 voted");
    let lie = Message::Prepare(PrepareMessage {
        signed: forge(&cluster.set, 3, Prepare(vote)),
        justification: Justification::NewView(Digest::ZERO),
    });
    // Of the votes of node 0 and itself it knows; the liar's makes the third.
    cluster.deliver(3, 1, lie);
    let change = |signer: usize, reports| {
        Arc::new(forge(&cluster.set, signer, ViewChange { view: View(2), stable: None, reports }))
    };
    // All tell of slot 1, as they must.
    let first = || told(1, 0, cluster.nodes[1].blocks[0].0.batch);
    let honest = [first(), told(vote.slot.0, 0, vote.digest)].concat();
    let view_changes = vec![change(0, honest), change(2, first()), change(3, first())];
    let body = NewView { view: View(2), view_changes };
    let new_view = Message::NewView(Arc::new(forge(&cluster.set, 2, body)));
    cluster.deliver(2, 1, new_view);
    cluster
}

#[test]
fn fast_value_that_a_new_view_gives_up_is_an_alarm_and_is_kept_with_its_liar() {
    for trust in [Trust::Bft, Trust::Crash] {
        let cluster = contradict(trust);
        let node = &cluster.nodes[1];
        let alarm = |report: &&Report| {
            matches!(report, Report::FastContradicted { slot: Slot(2), new_view: View(2), .. })
        };
        assert_eq!(node.reports.iter().filter(alarm).count(), 1, "{}", cluster.describe());
        let codes: Vec<&str> = node.evidence.iter().map(|evidence| evidence.code()).collect();
        assert_eq!(codes, ["E3", "FAST"]);
        let found =
            node.evidence.iter().find(|it| matches!(***it, Evidence::Contradiction(_))).expect("kept");
        let convicted = found.verify(&cluster.set, &HashAuthenticator);
        assert_eq!(convicted, Ok(SignerSet::from_iter([id(3)])), "node 2 never voted");
        let stopped = matches!(node.halted, Some(Halt::FastContradicted { slot: Slot(2), theirs: None, .. }));
        assert_eq!(stopped, trust == Trust::Crash, "{:?}: whoever acted on it stops", node.halted);
    }
}

#[test]
fn honest_network_keeps_no_evidence_through_crashes_and_view_changes() {
    let mut cluster = Cluster::new(4);
    for round in 0..8u64 {
        let down = usize::try_from(round % 4).expect("small");
        cluster.crash(down);
        cluster.admit(round);
        cluster.run_for(4_000_000);
        cluster.start(down);
        cluster.run_for(2_000_000);
    }
    assert!(cluster.replica(0).view() > View(0));
    assert!(cluster.nodes.iter().all(|node| node.evidence.is_empty()));
}
