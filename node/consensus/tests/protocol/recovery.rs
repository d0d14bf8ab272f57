//! Restart from the journal, and the start-up guard.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::effect::Halt;
use carat_consensus::{ChainTip, Record, RecoverError, Replica};
use carat_types::batch::Payload;
use carat_types::certificate::{Certificate, CommitCertificate};
use carat_types::genesis::ConsensusConstants;
use carat_types::header::{Header, prefix_digest};
use carat_types::message::{
    Commit, Data, HighestVotes, Justification, Message, Prepare, Seal, StableCheckpoint,
};
use carat_types::{Digest, Epoch, Slot, View};

use crate::harness::*;

/// Every kind of record is hit: views end by term, checkpoints pass, all of it with one power cut after the k-th record.
#[test]
fn power_cut_after_any_record_leads_to_no_second_vote() {
    let make = || Cluster::with(4, ConsensusConstants { term: 6, ..params() });
    Cluster::power_cuts(120, make, |cluster, _| {
        for number in 0..40 {
            cluster.admit(number);
            cluster.settle();
        }
    });
}

#[test]
fn whole_network_restarts_from_its_journals() {
    for n in [1, 4, 7] {
        let mut cluster = Cluster::with(n, ConsensusConstants { term: 20, ..params() });
        for round in 0..5 {
            cluster.admit(round);
            cluster.run_until("the transaction", |cluster| {
                (0..n).all(|index| cluster.slots_of(index, round).len() == 1)
            });
            for index in 0..n {
                cluster.crash(index);
            }
            cluster.queue.clear();
            for index in 0..n {
                cluster.start(index);
            }
        }
        cluster.run_to(30);
    }
}

#[test]
fn restarted_leader_is_barred_from_its_view() {
    let mut cluster = Cluster::new(1);
    cluster.run_to(2);
    cluster.crash(0);
    cluster.start(0);
    assert!(cluster.replica(0).view() > View(0), "J7");
    cluster.run_to(5);
}

#[test]
fn restarted_leader_of_four_gives_its_view_up() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.crash(0);
    cluster.start(0);
    cluster.run_to(10);
    assert_eq!(cluster.replica(0).view(), View(1));
}

#[test]
fn guard_holds_every_signature_back_until_a_quorum_answered() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.crash(3);
    cluster.filter = Box::new(|from, to, _| !(from != id(0) && to == id(3)));
    cluster.start(3);
    cluster.run_for(3_000_000);
    assert!(cluster.replica(3).is_guarded(), "one answer of the two that are needed");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the guard", |cluster| !cluster.replica(3).is_guarded());
    cluster.run_to(10);
}

#[test]
fn guard_stops_a_validator_whose_journal_was_lost() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(2);
    cluster.nodes[2].journal.clear();
    cluster.nodes[2].blocks.clear();
    cluster.start(2);
    cluster.run_for(2_000_000);
    assert!(matches!(cluster.nodes[2].halted, Some(Halt::ForgottenVote { .. })));
}

#[test]
fn guard_stops_a_validator_whose_journal_was_rolled_back() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(5);
    cluster.crash(2);
    // All records of the last voted slot are gone.
    let last = cluster.nodes[2].journal.iter().filter_map(Record::slot).max().expect("votes");
    cluster.nodes[2].journal.retain(|record| record.slot() != Some(last));
    cluster.start(2);
    cluster.run_for(2_000_000);
    assert!(matches!(cluster.nodes[2].halted, Some(Halt::ForgottenVote { .. })));
}

#[test]
fn halted_replica_says_nothing_more() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(2);
    cluster.nodes[2].journal.clear();
    cluster.nodes[2].blocks.clear();
    cluster.start(2);
    cluster.run_for(2_000_000);
    cluster.queue.clear();
    cluster.input(2, carat_consensus::Input::Admitted(transaction(1)));
    assert!(cluster.queue.is_empty());
    assert!(cluster.replica(2).is_halted());
}

#[test]
fn compacted_journal_restarts_like_a_whole_one() {
    let mut cluster = Cluster::with(4, ConsensusConstants { term: 10, ..params() });
    cluster.run_to(40);
    assert!(cluster.replica(2).stable() >= Slot(32));
    assert!(
        cluster.nodes[2].journal.iter().filter_map(Record::slot).all(|slot| slot > Slot(31)),
        "garbage is collected"
    );
    cluster.crash(2);
    cluster.start(2);
    let target = cluster.replica(0).last_executed().0 + 10;
    cluster.run_to(target);
    assert_eq!(cluster.replica(2).view(), cluster.replica(3).view());
}

#[test]
fn vote_is_journaled_before_it_is_sent() {
    let mut cluster = Cluster::new(4);
    cluster.crash(1);
    cluster.nodes[1].persists_left = Some(1);
    cluster.start(1);
    // Node 1 loses power with its first record on disk: its vote, which therefore never left.
    cluster.filter = Box::new(|from, _, message| {
        assert!(!(from == id(1) && matches!(message, Message::Prepare(_))), "sent before it was durable");
        true
    });
    cluster.run_until("the power cut", |cluster| cluster.nodes[1].replica.is_none());
    assert!(matches!(cluster.nodes[1].journal.last(), Some(Record::Vote(..))));
}

/// The harness compares each message with the sender's journal at the moment of sending; this run has all kinds.
#[test]
fn every_message_follows_its_record() {
    let mut cluster = Cluster::with(4, ConsensusConstants { term: 6, ..params() });
    for number in 0..30 {
        cluster.admit(number);
        cluster.run_for(100_000);
    }
    cluster.crash(1);
    cluster.run_for(4_000_000);
    cluster.start(1);
    let target = cluster.replica(0).last_executed().0 + 20;
    cluster.run_to(target);
    for name in ["PRE-PREPARE", "PREPARE", "COMMIT", "SEAL", "VIEW-CHANGE", "NEW-VIEW"] {
        assert!(cluster.checked.get(name).is_some_and(|count| *count > 10), "{name}: {:?}", cluster.checked);
    }
}

/// Node 1 has a vote for slot 2 in its journal, nobody else has heard of it. **Returns** a commit certificate for
/// another value.
fn voted_and_contradicted() -> (Cluster, Arc<Payload>, CommitCertificate) {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Prepare(_)));
    cluster.admit(1);
    cluster.settle();
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(2));
    let below = cluster.nodes[1].blocks[0].0.prefix;
    let payload = payload_of(1, &[50]);
    let digest = payload.value.digest();
    let body = Commit(ballot(0, 2, digest, prefix_digest(&below, Slot(2), &digest)));
    let votes = [0, 2, 3].map(|signer| (id(signer), forge(&cluster.set, signer, body).signature));
    (cluster, payload, Certificate::assemble(body, votes))
}

/// Lets every message pass, and keeps the slots for which node 1 sends a PREPARE.
fn watch_votes(cluster: &mut Cluster) -> Rc<RefCell<Vec<Slot>>> {
    let sent = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&sent);
    cluster.filter = Box::new(move |from, _, message| {
        if let Message::Prepare(prepare) = message
            && from == id(1)
        {
            seen.borrow_mut().push(prepare.signed.body.0.slot);
        }
        true
    });
    sent
}

#[test]
fn vote_that_is_contradicted_while_guarded_is_not_repeated() {
    let (mut cluster, _, certificate) = voted_and_contradicted();
    cluster.crash(1);
    cluster.filter = Box::new(|_, to, _| to != id(1));
    cluster.start(1);
    cluster.deliver(3, 1, Message::Data(Data::Commit(certificate)));
    assert!(cluster.replica(1).is_guarded() && cluster.replica(1).last_final() == Slot(2));
    let sent = watch_votes(&mut cluster);
    cluster.run_until("the guard", |cluster| !cluster.replica(1).is_guarded());
    cluster.run_for(500_000);
    assert_eq!(*sent.borrow(), [Slot(1); 3], "I7: to each of the others once");
}

#[test]
fn vote_that_an_executed_block_contradicts_is_neither_repeated_nor_built_upon() {
    let (mut cluster, payload, certificate) = voted_and_contradicted();
    cluster.deliver(3, 1, Message::Data(Data::Commit(certificate)));
    cluster.deliver(3, 1, Message::Data(Data::Payload(payload)));
    assert_eq!(cluster.replica(1).last_executed(), Slot(2));
    cluster.crash(1);
    let sent = watch_votes(&mut cluster);
    cluster.start(1);
    cluster.run_until("the guard", |cluster| !cluster.replica(1).is_guarded());
    // The leader goes on, on the log that node 1 voted for.
    let below = cluster.nodes[1].journal.iter().find_map(|record| match record {
        Record::Vote(vote, ..) if vote.slot == Slot(2) => Some(vote.prefix),
        _ => None,
    });
    let next = proposal(&cluster.set, 0, 0, 3, below.expect("voted"), &payload_of(2, &[60]));
    cluster.deliver(0, 1, next);
    assert!(sent.borrow().iter().all(|slot| *slot == Slot(1)), "I7: {sent:?}");
}

#[test]
fn view_change_is_sent_again_byte_for_byte() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    let sent = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&sent);
    cluster.filter = Box::new(move |from, _, message| {
        if let Message::ViewChange(signed) = message
            && from == id(3)
            && signed.body.view == View(6)
        {
            seen.borrow_mut().push(Arc::clone(signed));
        }
        from != id(3) || !matches!(message, Message::ViewChange(_))
    });
    for signer in [0, 1] {
        let message = Message::ViewChange(Arc::new(forge(&cluster.set, signer, view_change(6))));
        cluster.deliver(signer, 3, message);
    }
    cluster.run_for(100_000);
    let before = sent.borrow().len();
    cluster.crash(3);
    cluster.start(3);
    cluster.run_for(2_000_000);
    let sent = sent.borrow();
    assert!(before >= 3 && sent.len() > before, "sent before and after the restart");
    assert!(sent.iter().all(|signed| *signed == sent[0]));
}

#[test]
fn journal_that_breaks_a_rule_is_refused() {
    let payload = payload_of(1, &[1]);
    let digest = payload.value.digest();
    let prefix = prefix_digest(&chain_id(), Slot(1), &digest);
    let justification = || Justification::NewView(Digest::ZERO);
    let vote = |prefix: Digest, payload| Record::Vote(ballot(0, 1, digest, prefix), justification(), payload);
    let header = Header { slot: Slot(8), ..genesis_header() };
    let seal = Seal { slot: Slot(8), header: header.hash() };
    let unproven = StableCheckpoint {
        header,
        certificate: Certificate::assemble(seal, [(id(0), forge(&validators(4), 0, seal).signature)]),
    };
    for (what, records) in [
        (
            "two votes in one view",
            vec![vote(prefix, Some(Arc::clone(&payload))), vote(Digest::ZERO, Some(Arc::clone(&payload)))],
        ),
        ("a vote without its payload", vec![vote(prefix, None)]),
        (
            "a vote in a view that was not entered",
            vec![Record::Vote(ballot(3, 1, digest, prefix), justification(), Some(Arc::clone(&payload)))],
        ),
        ("a vote with another's payload", vec![vote(prefix, Some(payload_of(2, &[2])))]),
        ("an unproven checkpoint", vec![Record::Stable(Arc::new(unproven))]),
    ] {
        let cluster = Cluster::new(4);
        let error = Replica::start(cluster.config(0), cluster.now(0), records, cluster.tip(0))
            .map(|_| ())
            .expect_err(what);
        assert!(matches!(&error, RecoverError::Journal { what: seen, .. } if *seen == what), "{error}");
        assert!(error.to_string().contains("hint:"), "{error}");
    }
}

#[test]
fn store_of_another_chain_is_refused() {
    let cluster = Cluster::new(4);
    for header in [
        Header { chain_id: Digest::ZERO, ..genesis_header() },
        Header { epoch: Epoch(1), slot: Slot(3), ..genesis_header() },
        Header { time_ms: 1, ..genesis_header() },
    ] {
        let tip = ChainTip { header, recent: Vec::new(), transfer: None };
        let error = Replica::start(cluster.config(0), cluster.now(0), Vec::new(), tip).map(|_| ());
        assert!(matches!(error, Err(RecoverError::ForeignChain { .. })));
    }
    let mut config = cluster.config(0);
    config.me = id(4);
    let error = Replica::start(config, cluster.now(0), Vec::new(), cluster.tip(0)).map(|_| ());
    assert!(matches!(error, Err(RecoverError::Stranger { .. })));
}

/// Shows node 3, restarted with an empty journal, one forgotten signature.
fn check_guard(what: &str, stops: bool, show: impl Fn(&Cluster) -> HighestVotes) {
    let mut cluster = Cluster::new(4);
    cluster.crash(3);
    cluster.filter = Box::new(|_, to, _| to != id(3));
    cluster.start(3);
    let shown = show(&cluster);
    cluster.deliver(0, 3, Message::Data(Data::HighestVotes(Arc::new(shown))));
    let halted = matches!(cluster.nodes[3].halted, Some(Halt::ForgottenVote { .. }));
    assert_eq!(halted, stops, "{what}");
    assert_eq!(cluster.last_rejection(3).is_some(), !stops, "{what}");
}

#[test]
fn guard_looks_at_each_kind_of_vote_and_believes_only_own_signatures() {
    let none = |of: usize| HighestVotes { of: id(of), prepare: None, commit: None, view_change: None };
    let body = ballot(0, 3, Digest::ZERO, Digest::ZERO);
    check_guard("a PREPARE", true, |c| HighestVotes {
        prepare: Some(forge(&c.set, 3, Prepare(body))),
        ..none(3)
    });
    check_guard("a COMMIT", true, |c| HighestVotes {
        commit: Some(forge(&c.set, 3, Commit(body))),
        ..none(3)
    });
    check_guard("a VIEW-CHANGE", true, |c| HighestVotes {
        view_change: Some(Arc::new(forge(&c.set, 3, view_change(4)))),
        ..none(3)
    });
    check_guard("another's vote", false, |c| HighestVotes {
        prepare: Some(forge(&c.set, 2, Prepare(body))),
        ..none(3)
    });
    check_guard("votes of another", false, |_| none(2));
    check_guard("a forged vote", false, |c| {
        let mut vote = forge(&c.set, 3, Prepare(body));
        vote.signature = forge(&c.set, 2, Prepare(body)).signature;
        HighestVotes { prepare: Some(vote), ..none(3) }
    });
}
