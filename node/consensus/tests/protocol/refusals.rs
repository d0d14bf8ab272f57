//! What a Byzantine peer may try, and what it is told.

use std::sync::Arc;

use carat_consensus::effect::{Halt, Report};
use carat_consensus::{Input, Rejection, VerifiedMessage};
use carat_types::certificate::{Certificate, CommitCertificate};
use carat_types::genesis::ConsensusConstants;
use carat_types::header::prefix_digest;
use carat_types::message::{
    Commit, Data, Domain, Fetch, Justification, LastVote, Message, NewView, PrePrepare, Prepare,
    PrepareMessage, Proposal, Seal, SignedBody, SlotReport, StableCheckpoint, Status, ViewChange,
};
use carat_types::{Digest, Epoch, Signature, Slot, ValidatorId, View};

use crate::harness::*;

/// A cluster whose nodes are at slot 1, with nothing in the air.
fn ready(n: usize) -> Cluster {
    let mut cluster = Cluster::new(n);
    cluster.run_to(1);
    cluster.settle();
    cluster
}

fn value() -> Digest {
    payload_of(1, &[1]).value.digest()
}

/// A ballot for slot 2 on the cluster's log.
fn next_ballot(cluster: &Cluster) -> carat_types::message::Ballot {
    let below = cluster.nodes[1].blocks[0].0.prefix;
    ballot(0, 2, value(), prefix_digest(&below, Slot(2), &value()))
}

fn signatures<B: SignedBody + Clone>(
    cluster: &Cluster,
    body: &B,
    signers: &[usize],
) -> Vec<(ValidatorId, Signature)> {
    signers.iter().map(|signer| (id(*signer), forge(&cluster.set, *signer, body.clone()).signature)).collect()
}

fn commit_certificate(
    cluster: &Cluster,
    body: carat_types::message::Ballot,
    signers: &[usize],
) -> CommitCertificate {
    Certificate::assemble(Commit(body), signatures(cluster, &Commit(body), signers))
}

/// Gives node 1 a certificate that should prove nothing.
fn check_certificate(what: &str, make: impl Fn(&Cluster) -> CommitCertificate) {
    let mut cluster = ready(4);
    let before = cluster.replica(1).last_final();
    let certificate = make(&cluster);
    cluster.deliver(3, 1, Message::Data(Data::Commit(certificate)));
    assert_eq!(cluster.replica(1).last_final(), before, "{what}");
    assert_eq!(cluster.last_rejection(1), Some(Rejection::BadCertificate), "{what}");
}

#[test]
fn certificate_of_a_quorum_is_final() {
    let mut cluster = ready(4);
    let certificate = commit_certificate(&cluster, next_ballot(&cluster), &[0, 2, 3]);
    cluster.deliver(3, 1, Message::Data(Data::Commit(certificate)));
    assert_eq!(cluster.replica(1).last_final(), Slot(2));
}

#[test]
fn certificates_that_prove_nothing_are_refused() {
    check_certificate("f+1 signers", |c| commit_certificate(c, next_ballot(c), &[0, 2]));
    check_certificate("one signer three times", |c| {
        let mut certificate = commit_certificate(c, next_ballot(c), &[2]);
        certificate.signatures = vec![certificate.signatures[0]; 3];
        certificate
    });
    check_certificate("three signers, one signature copied", |c| {
        let mut certificate = commit_certificate(c, next_ballot(c), &[0, 2, 3]);
        certificate.signatures[1] = certificate.signatures[0];
        certificate
    });
    check_certificate("a stranger", |c| {
        let body = next_ballot(c);
        let mut pairs = signatures(c, &Commit(body), &[0, 2]);
        pairs.push((ValidatorId(9), pairs[0].1));
        Certificate::assemble(Commit(body), pairs)
    });
    check_certificate("more signers than signatures", |c| {
        let mut certificate = commit_certificate(c, next_ballot(c), &[0, 2, 3]);
        certificate.signatures.pop();
        certificate
    });
    for (what, change) in [
        ("another view", ballot(1, 2, value(), Digest::ZERO)),
        ("another slot", ballot(0, 3, value(), Digest::ZERO)),
        ("another value", ballot(0, 2, Digest::ZERO, Digest::ZERO)),
    ] {
        check_certificate(what, |c| {
            let mut certificate = commit_certificate(c, change, &[0, 2, 3]);
            certificate.body = Commit(next_ballot(c));
            certificate
        });
    }
    check_certificate("PREPAREs instead of COMMITs", |c| {
        let body = next_ballot(c);
        Certificate::assemble(Commit(body), signatures(c, &Prepare(body), &[0, 2, 3]))
    });
    check_certificate("another epoch", |c| {
        let body = next_ballot(c);
        let other = Domain { epoch: Epoch(1), ..*c.set.domain() };
        foreign(body, other)
    });
    check_certificate("another chain", |c| {
        let body = next_ballot(c);
        let other = Domain { chain_id: Digest::ZERO, ..*c.set.domain() };
        foreign(body, other)
    });
}

fn foreign(body: carat_types::message::Ballot, domain: Domain) -> CommitCertificate {
    let bytes = domain.signing_bytes(&Commit(body));
    let pairs = [0, 2, 3].map(|signer| {
        let signer_keys = HashSigner(keys_of(signer));
        (id(signer), signer_keys.signature(Commit::SIGNER, &bytes))
    });
    Certificate::assemble(Commit(body), pairs)
}

#[test]
fn messages_outside_the_window_and_views_are_refused() {
    let check = |what: &str, view: u64, slot: u64, expected: Rejection| {
        let mut cluster = ready(4);
        for message in [
            Message::Prepare(PrepareMessage {
                signed: forge(&cluster.set, 3, Prepare(ballot(view, slot, value(), Digest::ZERO))),
                justification: Justification::NewView(Digest::ZERO),
            }),
            Message::Commit(forge(&cluster.set, 3, Commit(ballot(view, slot, value(), Digest::ZERO)))),
        ] {
            let name = message.name();
            cluster.deliver(3, 1, message);
            assert_eq!(cluster.last_rejection(1), Some(expected), "{what}: {name}");
        }
    };
    check("above the window", 0, 17, Rejection::FarSlot);
    check("far above the window", 0, u64::MAX, Rejection::FarSlot);
    check("genesis", 0, 0, Rejection::OldSlot);
    check("two views ahead", 2, 2, Rejection::FarView);
    check("the last view", u64::MAX, 2, Rejection::FarView);
}

#[test]
fn proposal_of_anyone_but_the_leader_is_refused() {
    let mut cluster = ready(4);
    let parent = cluster.nodes[1].blocks[0].0.prefix;
    let message = proposal(&cluster.set, 3, 0, 2, parent, &payload_of(1, &[1]));
    cluster.deliver(3, 1, message);
    assert_eq!(cluster.last_rejection(1), Some(Rejection::NotLeader));
}

#[test]
fn proposal_on_another_log_is_never_voted_for() {
    let mut cluster = ready(4);
    let time = cluster.now(1).wall_ms;
    let message = proposal(&cluster.set, 0, 0, 2, Digest::ZERO, &payload_of(time, &[1]));
    cluster.deliver(0, 1, message);
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(1));
}

#[test]
fn proposal_with_another_payload_is_refused_and_blames_nobody() {
    let mut cluster = ready(4);
    let parent = cluster.nodes[1].blocks[0].0.prefix;
    let body = PrePrepare { view: View(0), slot: Slot(2), parent, digest: value() };
    let signed = forge(&cluster.set, 0, body);
    let message = Message::Proposal(Arc::new(Proposal { signed, payload: payload_of(2, &[7]) }));
    cluster.deliver(3, 1, message);
    assert_eq!(cluster.last_rejection(1), Some(Rejection::BadPayload));
    assert_eq!(cluster.replica(1).view(), View(0), "a relay may have swapped it");
}

#[test]
fn malformed_batch_that_the_leader_signed_ends_its_view() {
    let mut cluster = ready(4);
    let body = PrePrepare { view: View(0), slot: Slot(2), parent: Digest::ZERO, digest: value() };
    let signed = cluster.set.verify(&HashAuthenticator, forge(&cluster.set, 0, body)).expect("valid");
    let message = VerifiedMessage::BadProposal { signed, leader_is_to_blame: true };
    cluster.input(1, Input::Message { from: id(0), message });
    assert_eq!(cluster.replica(1).view(), View(1), "T3");
}

#[test]
fn second_vote_of_one_validator_is_refused_and_reported() {
    let mut cluster = ready(4);
    let first = next_ballot(&cluster);
    let second = ballot(0, 2, Digest::ZERO, Digest::ZERO);
    for body in [first, second] {
        let message = Message::Commit(forge(&cluster.set, 3, Commit(body)));
        cluster.deliver(3, 1, message);
    }
    assert_eq!(cluster.last_rejection(1), Some(Rejection::Conflict));
    let reported =
        |report: &Report| matches!(report, Report::Misbehaviour { validator, .. } if *validator == id(3));
    assert!(cluster.nodes[1].reports.iter().any(reported));
    // The first one still counts.
    for signer in [0, 2] {
        let message = Message::Commit(forge(&cluster.set, signer, Commit(first)));
        cluster.deliver(signer, 1, message);
    }
    assert_eq!(cluster.replica(1).last_final(), Slot(2));
}

#[test]
fn relayed_vote_counts_for_its_signer_and_not_for_the_channel() {
    let mut cluster = ready(4);
    let body = next_ballot(&cluster);
    for signer in [0, 2, 2, 0] {
        let message = Message::Commit(forge(&cluster.set, signer, Commit(body)));
        cluster.deliver(3, 1, message);
    }
    assert_eq!(cluster.replica(1).last_final(), Slot(1), "two distinct signers");
}

#[test]
fn leader_has_one_vote_as_everyone_else() {
    let mut cluster = ready(4);
    cluster.filter = Box::new(|from, _, message| {
        !(from == id(0) && matches!(message, Message::Prepare(_))) && from != id(3)
    });
    cluster.admit(1);
    cluster.settle();
    // PRE-PREPARE of 0, PREPARE of 1 and 2: two votes, not three.
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(2));
    assert_eq!(cluster.replica(1).status().highest_commit, Slot(1), "PRE-PREPARE is never counted as a vote");
}

#[test]
fn view_changes_that_break_a_rule_do_not_count_for_a_new_view() {
    let certificate = |cluster: &Cluster, view: u64, slot: u64, signers: &[usize]| {
        let body = ballot(view, slot, value(), Digest::ZERO);
        Certificate::assemble(Prepare(body), signatures(cluster, &Prepare(body), signers))
    };
    let vote = |view: u64| Some(LastVote { view: View(view), digest: value() });
    let report = |slot: u64, last_vote, prepared| SlotReport { slot: Slot(slot), last_vote, prepared };
    type Make<'a> = Box<dyn Fn(&Cluster) -> Vec<SlotReport> + 'a>;
    let cases: Vec<(&str, Rejection, Make<'_>)> = vec![
        ("slot at h", Rejection::BadReport, Box::new(|_| vec![report(0, vote(0), None)])),
        ("slot above h+L", Rejection::BadReport, Box::new(|_| vec![report(17, vote(0), None)])),
        (
            "slots not increasing",
            Rejection::BadReport,
            Box::new(|_| vec![report(3, vote(0), None), report(3, vote(0), None)]),
        ),
        ("vote of its own view", Rejection::BadReport, Box::new(|_| vec![report(1, vote(2), None)])),
        (
            "certificate of its own view",
            Rejection::BadReport,
            Box::new(|c| vec![report(1, None, Some(certificate(c, 2, 1, &[0, 1, 2])))]),
        ),
        (
            "certificate of another slot",
            Rejection::BadReport,
            Box::new(|c| vec![report(1, None, Some(certificate(c, 0, 2, &[0, 1, 2])))]),
        ),
        (
            "certificate of two",
            Rejection::BadCertificate,
            Box::new(|c| vec![report(1, None, Some(certificate(c, 0, 1, &[0, 1])))]),
        ),
    ];
    for (what, expected, make) in cases {
        let mut cluster = ready(4);
        let bad = ViewChange { view: View(2), stable: None, reports: make(&cluster) };
        let mut view_changes = vec![Arc::new(forge(&cluster.set, 0, bad))];
        for signer in [2, 3] {
            view_changes.push(Arc::new(forge(&cluster.set, signer, view_change(2))));
        }
        let new_view = NewView { view: View(2), view_changes };
        let message = Message::NewView(Arc::new(forge(&cluster.set, 2, new_view)));
        cluster.deliver(2, 1, message);
        assert_eq!(cluster.replica(1).view(), View(0), "{what}");
        assert_eq!(cluster.last_rejection(1), Some(expected), "{what}");
    }
}

#[test]
fn new_views_that_break_a_rule_are_refused() {
    let check = |what: &str, leader: usize, signers: &[usize], expected: Rejection| {
        let mut cluster = ready(4);
        let view_changes =
            signers.iter().map(|signer| Arc::new(forge(&cluster.set, *signer, view_change(2)))).collect();
        let new_view = NewView { view: View(2), view_changes };
        let message = Message::NewView(Arc::new(forge(&cluster.set, leader, new_view)));
        cluster.deliver(leader, 1, message);
        assert_eq!(cluster.replica(1).view(), View(0), "{what}");
        assert_eq!(cluster.last_rejection(1), Some(expected), "{what}");
    };
    check("all four", 2, &[0, 1, 2, 3], Rejection::WrongQuorum);
    check("two", 2, &[0, 2], Rejection::WrongQuorum);
    check("one sender twice", 2, &[0, 2, 2], Rejection::WrongQuorum);
    check("out of order", 2, &[2, 0, 3], Rejection::WrongQuorum);
    check("not of its leader", 3, &[0, 2, 3], Rejection::NotLeader);
    let mut cluster = ready(4);
    let mut view_changes: Vec<_> =
        [0, 2, 3].iter().map(|signer| Arc::new(forge(&cluster.set, *signer, view_change(2)))).collect();
    Arc::make_mut(&mut view_changes[0]).signature = Signature([7; 64]);
    let message = Message::NewView(Arc::new(forge(&cluster.set, 2, NewView { view: View(2), view_changes })));
    cluster.deliver(2, 1, message);
    assert_eq!(cluster.last_rejection(1), Some(Rejection::BadSignature));
}

#[test]
fn checkpoints_that_prove_nothing_are_refused() {
    let header_at = |slot: u64| carat_types::header::Header { slot: Slot(slot), ..genesis_header() };
    let check = |what: &str, header: carat_types::header::Header, seal: Option<Seal>, signers: &[usize]| {
        let mut cluster = ready(4);
        let seal = seal.unwrap_or(Seal { slot: header.slot, header: header.hash() });
        let certificate = Certificate::assemble(seal, signatures(&cluster, &seal, signers));
        let checkpoint = Arc::new(StableCheckpoint { header, certificate });
        cluster.deliver(3, 1, Message::Data(Data::Stable(checkpoint)));
        assert_eq!(cluster.replica(1).stable(), Slot(0), "{what}");
        let refused = cluster.last_rejection(1);
        assert!(matches!(refused, Some(Rejection::BadCheckpoint | Rejection::BadCertificate)), "{what}");
    };
    check("f+1 SEALs", header_at(8), None, &[0, 2]);
    check("no multiple of K", header_at(9), None, &[0, 2, 3]);
    check("another header", header_at(8), Some(Seal { slot: Slot(8), header: Digest::ZERO }), &[0, 2, 3]);
    let hash = header_at(8).hash();
    check("another slot", header_at(8), Some(Seal { slot: Slot(16), header: hash }), &[0, 2, 3]);
    let foreign = carat_types::header::Header { chain_id: Digest::ZERO, ..header_at(8) };
    check("another chain", foreign, None, &[0, 2, 3]);
    let later = carat_types::header::Header { epoch: Epoch(1), ..header_at(8) };
    check("another epoch", later, None, &[0, 2, 3]);
}

#[test]
fn block_or_payload_that_nobody_asked_for_is_refused() {
    let mut cluster = ready(4);
    cluster.deliver(3, 1, Message::Data(Data::Payload(payload_of(1, &[1]))));
    assert_eq!(cluster.last_rejection(1), Some(Rejection::Unrequested));
}

#[test]
fn more_view_changes_than_one_per_quarter_of_t0_are_refused() {
    let mut cluster = ready(4);
    for view in [5, 6] {
        let message = Message::ViewChange(Arc::new(forge(&cluster.set, 3, view_change(view))));
        cluster.deliver(3, 1, message);
    }
    assert_eq!(cluster.last_rejection(1), Some(Rejection::TooSoon));
}

#[test]
fn flood_of_extreme_messages_leaves_the_open_slots_bounded_and_the_network_alive() {
    let mut cluster = Cluster::with(4, ConsensusConstants { ..params() });
    cluster.run_to(1);
    cluster.settle();
    let extremes = [0, 1, 2, 3, 16, 17, 18, u64::MAX - 1, u64::MAX];
    for view in extremes {
        for slot in extremes {
            for digest in 0..3u8 {
                let body = ballot(view, slot, Digest([digest; 32]), Digest([digest; 32]));
                let justification = Justification::NewView(Digest::ZERO);
                let signed = forge(&cluster.set, 3, Prepare(body));
                for message in [
                    Message::Prepare(PrepareMessage { signed, justification }),
                    Message::Commit(forge(&cluster.set, 3, Commit(body))),
                    Message::Seal(forge(
                        &cluster.set,
                        3,
                        Seal { slot: Slot(slot), header: Digest([digest; 32]) },
                    )),
                    proposal(&cluster.set, 3, view, slot, Digest::ZERO, &payload_of(slot, &[1])),
                    Message::ViewChange(Arc::new(forge(&cluster.set, 3, view_change(view)))),
                    Message::Fetch(Fetch::Blocks(Slot(slot))),
                    Message::Fetch(Fetch::HighestVotes(ValidatorId(u16::try_from(slot).unwrap_or(u16::MAX)))),
                    Message::Status(Status {
                        view: View(view),
                        active: true,
                        stable: Slot(slot),
                        last_final: Slot(slot),
                        last_executed: Slot(slot),
                        highest_vote: Slot(slot),
                        highest_commit: Slot(slot),
                    }),
                ] {
                    cluster.deliver(3, 1, message);
                }
                cluster.now_us += 300_000;
            }
        }
    }
    cluster.queue.clear();
    cluster.admit(77);
    cluster.run_until("the others", |cluster| (0..3).all(|index| cluster.slots_of(index, 77).len() == 1));
    assert!(cluster.replica(1).describe().contains("open"), "{}", cluster.describe());
}

#[test]
fn vote_signed_with_the_proposers_key_is_no_vote() {
    let cluster = ready(4);
    let body = Commit(next_ballot(&cluster));
    let bytes = cluster.set.domain().signing_bytes(&body);
    let signer = HashSigner(keys_of(3));
    let signature = signer.signature(PrePrepare::SIGNER, &bytes);
    let signed = carat_types::message::Signed { signer: id(3), body, signature };
    assert!(cluster.verify(Message::Commit(signed)).is_none(), "I11");
}

#[test]
fn contradicting_commit_certificate_stops_the_replica() {
    let mut cluster = ready(4);
    let other = ballot(0, 1, value(), prefix_digest(&chain_id(), Slot(1), &value()));
    let certificate = commit_certificate(&cluster, other, &[0, 2, 3]);
    cluster.deliver(3, 1, Message::Data(Data::Commit(certificate)));
    assert!(matches!(cluster.nodes[1].halted, Some(Halt::Forked { slot: Slot(1), .. })));
}

#[test]
fn validator_that_executes_to_another_header_stops() {
    let mut cluster = Cluster::new(4);
    cluster.filter = Box::new(|_, to, message| to != id(1) || !matches!(message, Message::Seal(_)));
    cluster.run_to(1);
    cluster.settle();
    let seal = Seal { slot: Slot(1), header: Digest::ZERO };
    cluster.deliver(2, 1, Message::Seal(forge(&cluster.set, 2, seal)));
    assert!(cluster.nodes[1].halted.is_none(), "one may lie");
    cluster.deliver(3, 1, Message::Seal(forge(&cluster.set, 3, seal)));
    assert!(matches!(cluster.nodes[1].halted, Some(Halt::Diverged { slot: Slot(1), .. })));
}

#[test]
fn second_seal_of_one_validator_is_refused_and_reported() {
    let mut cluster = ready(4);
    for header in [Digest([1; 32]), Digest([2; 32])] {
        let seal = Seal { slot: Slot(5), header };
        cluster.deliver(3, 1, Message::Seal(forge(&cluster.set, 3, seal)));
    }
    assert_eq!(cluster.last_rejection(1), Some(Rejection::Conflict));
}
