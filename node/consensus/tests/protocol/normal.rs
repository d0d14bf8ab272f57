//! The normal case.

use carat_consensus::Input;
use carat_consensus::effect::{Finality, Report, Rule};
use carat_types::batch::BlockLimits;
use carat_types::genesis::ConsensusConstants;
use carat_types::message::Message;
use carat_types::{Slot, View};

use crate::harness::*;

#[test]
fn one_validator_alone_orders_and_seals() {
    let mut cluster = Cluster::new(1);
    cluster.admit(1);
    cluster.run_to(20);
    assert_eq!(cluster.slots_of(0, 1).len(), 1);
    assert!(cluster.replica(0).stable() >= Slot(16), "checkpoints are stable at n = 1");
    assert!(cluster.nodes[0].blocks.iter().all(|(_, _, certificate)| certificate.is_some()));
}

#[test]
fn four_and_seven_validators_execute_the_same_blocks() {
    for n in [4, 5, 7] {
        let mut cluster = Cluster::new(n);
        for number in 0..20 {
            cluster.admit(number);
            cluster.settle();
        }
        cluster.run_to(25);
        for index in 0..n {
            for number in 0..20 {
                assert_eq!(cluster.slots_of(index, number).len(), 1, "n = {n}: exactly once");
            }
            assert_eq!(cluster.replica(index).view(), View(0));
            assert!(cluster.replica(index).stable() >= Slot(16));
        }
    }
}

#[test]
fn pending_transaction_is_proposed_at_once_and_final_without_any_timer() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    let now = cluster.now_us;
    cluster.admit(1);
    cluster.settle();
    assert_eq!(cluster.now_us, now);
    assert_eq!(cluster.slots_of(3, 1).len(), 1);
}

#[test]
fn transactions_gather_while_the_pipeline_is_full() {
    let mut cluster = Cluster::with(4, ConsensusConstants { pipeline: 2, ..params() });
    cluster.run_to(1);
    cluster.settle();
    // Nothing becomes final while no COMMIT and no PREPARE of node 3 arrives.
    cluster.filter = Box::new(|from, _, message| {
        !(matches!(message, Message::Commit(_)) || from == id(3) && matches!(message, Message::Prepare(_)))
    });
    for number in 0..10 {
        cluster.admit(number);
        cluster.settle();
    }
    let voted = cluster.replica(0).status().highest_vote;
    let last_final = cluster.replica(0).last_final();
    assert_eq!(voted.0 - last_final.0, 2, "two slots in flight");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("all ordered", |cluster| (0..10).all(|number| cluster.slots_of(0, number).len() == 1));
    assert_eq!(cluster.slots_of(0, 2), cluster.slots_of(0, 9), "the rest went into one batch");
}

#[test]
fn small_batch_waits_for_the_larger_one_before_it_but_not_for_long() {
    let mut cluster = Cluster::with(4, ConsensusConstants { pipeline: 3, ..params() });
    cluster.run_to(1);
    cluster.settle();
    let first = cluster.replica(0).status().highest_vote.0 + 1;
    // Nothing above a limit becomes final: no COMMIT arrives, and no PREPARE of node 3.
    let final_through = |limit: u64| -> Filter {
        Box::new(move |from, _, message| match message {
            Message::Commit(commit) => commit.body.0.slot.0 <= limit,
            Message::Prepare(prepare) => from != id(3) || prepare.signed.body.0.slot.0 <= limit,
            _ => true,
        })
    };
    let voted = |cluster: &Cluster| cluster.replica(0).status().highest_vote.0;
    cluster.filter = final_through(first - 1);
    for number in 0..6 {
        cluster.admit(number);
        cluster.settle();
    }
    assert_eq!(voted(&cluster), first + 2, "the pipeline is full, three transactions wait");
    cluster.filter = final_through(first + 2);
    cluster.run_until("the three are proposed", |cluster| voted(cluster) > first + 2);
    cluster.admit(6);
    cluster.settle();
    assert_eq!(voted(&cluster), first + 3, "one waits behind the three");
    cluster.run_for(50_000);
    assert_eq!(voted(&cluster), first + 4, "but not for long");
    cluster.admit(7);
    cluster.settle();
    assert_eq!(voted(&cluster), first + 5, "one behind one goes at once");
}

#[test]
fn busy_leader_waits_for_a_moment_even_with_nothing_in_flight() {
    let mut cluster = Cluster::with(4, ConsensusConstants { pipeline: 1, ..params() });
    cluster.run_to(1);
    cluster.settle();
    let voted = |cluster: &Cluster| cluster.replica(0).status().highest_vote;
    let first = voted(&cluster).next();
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Prepare(_)));
    for number in 0..40 {
        cluster.admit(number);
        cluster.settle();
    }
    assert_eq!(voted(&cluster), first, "the pipeline is full, 39 transactions wait");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the batch of 39 is final", |cluster| cluster.replica(0).last_final() > first);
    cluster.admit(40);
    cluster.settle();
    assert_eq!(voted(&cluster), first.next(), "the next one waits");
    cluster.run_for(40_000);
    assert_eq!(voted(&cluster), first.next(), "though nothing is in flight");
    cluster.run_for(10_000);
    assert_eq!(voted(&cluster), first.plus(2), "but only for a moment");
    cluster.admit(41);
    cluster.settle();
    assert_eq!(voted(&cluster), first.plus(3), "behind a small one there is no wait");
}

#[test]
fn busy_leader_waits_no_longer_than_for_half_a_block() {
    let block = BlockLimits { transactions: 80, ..BlockLimits::default() };
    let mut cluster = Cluster::with(4, ConsensusConstants { pipeline: 1, block, ..params() });
    cluster.run_to(1);
    cluster.settle();
    let first = cluster.replica(0).status().highest_vote.next();
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Prepare(_)));
    for number in 0..40 {
        cluster.admit(number);
        cluster.settle();
    }
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the batch of 39 is final", |cluster| cluster.replica(0).last_final() > first);
    let voted = |cluster: &Cluster| cluster.replica(0).status().highest_vote;
    for number in 40..80 {
        cluster.admit(number);
        cluster.settle();
        assert_eq!(
            voted(&cluster),
            first.next(),
            "{number} waits with those before it: they are half a block"
        );
    }
    cluster.admit(80);
    cluster.settle();
    assert_eq!(voted(&cluster), first.plus(2), "more than half a block goes at once");
    cluster.admit(81);
    cluster.settle();
    assert_eq!(voted(&cluster), first.plus(2), "what comes then waits again");
}

#[test]
fn idle_leader_proposes_one_heartbeat_each_second() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    let before = cluster.replica(0).last_executed().0;
    cluster.run_for(10_000_000);
    let slots = cluster.replica(0).last_executed().0 - before;
    assert!((9..=11).contains(&slots), "{slots} heartbeats in ten seconds");
    assert_eq!(cluster.replica(0).view(), View(0));
}

#[test]
fn unanimous_is_met_before_commit_and_execution_names_it() {
    let mut cluster = Cluster::new(4);
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Commit(_)));
    cluster.run_to(3);
    assert!(matches!(cluster.nodes[0].executed[0].finality, Finality::Unanimous(_)));
}

#[test]
fn commit_is_met_with_one_validator_silent_and_fast_is_only_reported() {
    let mut cluster = Cluster::new(4);
    cluster.filter = Box::new(|from, _, _| from != id(3));
    cluster.run_until("three slots", |cluster| cluster.replica(0).last_executed() >= Slot(3));
    assert!(matches!(cluster.nodes[0].executed[0].finality, Finality::Commit(_)));
    let fast = |report: &&Report| matches!(report, Report::RuleMet { rule: Rule::Fast, .. });
    assert!(cluster.nodes[0].reports.iter().filter(fast).count() >= 3);
}

#[test]
fn fast_alone_executes_nothing() {
    let mut cluster = Cluster::new(4);
    cluster.filter = Box::new(|from, _, message| {
        !(matches!(message, Message::Commit(_)) || from == id(3) && matches!(message, Message::Prepare(_)))
    });
    cluster.run_for(900_000);
    let met = |rule: Rule| move |report: &Report| matches!(report, Report::RuleMet { rule: met, .. } if *met == rule);
    assert!(cluster.nodes[0].reports.iter().any(met(Rule::Fast)));
    assert_eq!(cluster.replica(0).last_final(), Slot(0), "validators never act on FAST");
}

#[test]
fn batches_of_a_slow_execution_stay_in_order() {
    let mut cluster = Cluster::new(4);
    cluster.nodes[2].hold_execution = true;
    cluster.admit(1);
    cluster.run_until("others", |cluster| cluster.replica(0).last_executed() >= Slot(5));
    assert_eq!(cluster.replica(2).last_executed(), Slot(0));
    assert!(cluster.nodes[2].held.len() >= 4, "several executions are outstanding");
    cluster.nodes[2].hold_execution = false;
    cluster.release_executions(2);
    cluster.run_to(20);
}

#[test]
fn lost_votes_are_sent_again_on_status() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.filter = Box::new(|_, to, message| {
        to != id(2) || !matches!(message, Message::Prepare(_) | Message::Commit(_) | Message::Proposal(_))
    });
    cluster.admit(7);
    cluster.settle();
    assert!(cluster.slots_of(2, 7).is_empty());
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("delivery", |cluster| cluster.slots_of(2, 7).len() == 1);
    let voted = cluster.replica(0).status().highest_vote;
    cluster.run_until("voting again", |cluster| cluster.replica(2).status().highest_commit >= voted);
}

#[test]
fn end_of_term_passes_the_lead_on() {
    let mut cluster = Cluster::with(4, ConsensusConstants { term: 8, ..params() });
    cluster.run_to(30);
    assert!(cluster.replica(0).view() >= View(3), "{}", cluster.describe());
}

#[test]
fn proposal_from_the_future_waits_until_the_clock_reaches_it() {
    let mut cluster = Cluster::new(4);
    for index in 1..4 {
        cluster.nodes[index].wall_offset_ms = -5_500;
    }
    cluster.run_for(100_000);
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(0), "more than DRIFT ahead");
    cluster.run_until("the clock", |cluster| cluster.replica(1).status().highest_vote >= Slot(1));
    assert_eq!(cluster.replica(1).view(), View(0), "a refused proposal is looked at again, not forgotten");
}

#[test]
fn proposal_from_the_future_is_taken_once_a_quorum_has_voted_for_it() {
    let mut cluster = Cluster::new(4);
    cluster.nodes[3].wall_offset_ms = -60_000;
    cluster.run_for(100_000);
    assert_eq!(cluster.replica(3).status().highest_vote, Slot(1));
}

#[test]
fn withdrawn_transaction_is_not_proposed() {
    let mut cluster = Cluster::new(4);
    cluster.filter = Box::new(|_, _, _| false);
    for index in 0..4 {
        cluster.input(index, Input::Admitted(transaction(5)));
        cluster.input(index, Input::Withdrawn(vec![transaction(5).hash]));
        assert_eq!(cluster.replica(index).pending_count(), 0);
    }
}

/// With one validator dead, each PREPARE and COMMIT of the others is needed.
#[test]
fn quorum_without_slack_gets_over_every_lost_message_in_its_view() {
    for lost in ["PRE-PREPARE", "PREPARE", "COMMIT"] {
        let mut cluster = Cluster::with(4, ConsensusConstants { timeout_ms: 8_000, ..params() });
        cluster.run_to(1);
        cluster.settle();
        cluster.crash(3);
        cluster.filter = Box::new(move |_, to, message| to != id(2) || message.name() != lost);
        cluster.admit(1);
        cluster.settle();
        assert!(cluster.slots_of(2, 1).is_empty(), "{lost}");
        cluster.filter = Box::new(|_, _, _| true);
        cluster.run_for(3_000_000);
        for index in 0..3 {
            assert_eq!(cluster.slots_of(index, 1).len(), 1, "{lost}");
            assert_eq!(cluster.replica(index).view(), View(0), "{lost}");
        }
    }
}
