//! Keys in another process: the same protocol with signatures that come later, or not at all for a while.

use carat_consensus::Statement;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::message::Message;
use carat_types::{Slot, View};

use crate::harness::*;

#[test]
fn network_whose_keys_are_elsewhere_settles_through_terms_checkpoints_and_restarts() {
    for (n, trust) in [(1, Trust::Bft), (4, Trust::Bft), (4, Trust::Crash), (7, Trust::Bft)] {
        let params = ConsensusConstants { term: 6, ..params() };
        let mut cluster = Cluster::trusting(n, params, trust).with_signers();
        for round in 0..4 {
            cluster.admit(round);
            cluster.run_until("the transaction", |cluster| {
                (0..n).all(|index| cluster.slots_of(index, round).len() == 1)
            });
            for index in 0..n {
                cluster.crash(index);
            }
            cluster.queue.clear();
            (0..n).for_each(|index| cluster.start(index));
        }
        cluster.run_to(30);
        assert!(cluster.replica(0).stable() >= Slot(24) && cluster.replica(0).view() > View(2));
    }
}

/// As `power_cut_after_any_record_leads_to_no_second_vote`, with a crash between a record and its signature as well.
#[test]
fn power_cut_before_a_signature_leads_to_no_second_vote() {
    let make = || Cluster::with(4, ConsensusConstants { term: 6, ..params() }).with_signers();
    Cluster::power_cuts(60, make, |cluster, victim| {
        for number in 0..20 {
            // Every third round its signer answers late: what it was asked for is lost with the crash.
            cluster.nodes[victim].signer_away = number % 3 == 2;
            cluster.admit(number);
            cluster.settle();
            cluster.nodes[victim].signer_away = false;
            cluster.sign(victim);
        }
    });
}

#[test]
fn validator_whose_signer_is_away_follows_in_silence_and_votes_again_when_it_is_back() {
    let mut cluster = Cluster::new(4).with_signers();
    cluster.run_to(3);
    cluster.nodes[3].signer_away = true;
    cluster.settle();
    let is_signed = |message: &Message| {
        !matches!(
            message,
            Message::Status(_)
                | Message::Fetch(_)
                | Message::Data(_)
                | Message::Transactions(_)
                | Message::Body(_)
                | Message::BodiesHeld(_)
        )
    };
    cluster.filter = Box::new(move |from, _, message| {
        assert!(
            from != id(3) || !is_signed(message),
            "nothing can be signed, and {} is sent",
            message.name()
        );
        true
    });
    cluster.run_until("followed in silence", |cluster| cluster.replica(3).last_executed() >= Slot(40));
    assert!(cluster.replica(3).stable() >= Slot(24), "it takes part in all that needs no signature");

    cluster.filter = Box::new(|_, _, _| true);
    cluster.nodes[3].signer_away = false;
    cluster.sign(3);
    // Another one falls away: the votes of the one that is back are needed.
    cluster.crash(2);
    let target = cluster.replica(0).last_executed().0 + 20;
    cluster.run_to(target);
}

#[test]
fn leader_whose_signer_is_away_is_replaced() {
    let mut cluster = Cluster::new(4).with_signers();
    cluster.run_to(3);
    cluster.nodes[0].signer_away = true;
    cluster.admit(9);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(1, 9).len() == 1);
    assert!(cluster.replica(1).view() > View(0));
    cluster.nodes[0].signer_away = false;
    cluster.sign(0);
    let target = cluster.replica(1).last_executed().0 + 12;
    cluster.run_to(target);
}

#[test]
fn vote_that_is_signed_after_its_view_was_left_is_not_sent() {
    let mut cluster = Cluster::new(4).with_signers();
    cluster.run_to(3);
    cluster.nodes[3].signer_away = true;
    cluster.admit(5);
    cluster.settle();
    let votes = |cluster: &Cluster| {
        let waiting = cluster.nodes[3].unsigned.iter();
        waiting.filter(|it| matches!(it, Statement::Prepare(..)) && it.view() == Some(View(0))).count()
    };
    assert!(votes(&cluster) > 0, "a vote of view 0 waits for its signature");
    cluster.crash(0);
    cluster.admit(6);
    cluster.run_until("view 1 wanted", |cluster| cluster.replica(3).view() > View(0));
    assert!(votes(&cluster) > 0);
    // The harness refuses a vote below a view that was left (I2): its VIEW-CHANGE may not go first.
    let is_late =
        |message: &Message| matches!(message, Message::Prepare(it) if it.signed.body.0.view == View(0));
    cluster.filter = Box::new(move |from, _, message| {
        assert!(from != id(3) || !is_late(message), "a vote of a view that was left");
        true
    });
    cluster.nodes[3].signer_away = false;
    cluster.sign(3);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(3, 6).len() == 1);
}
