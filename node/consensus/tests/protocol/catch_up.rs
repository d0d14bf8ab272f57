//! Falling behind and catching up; sealing.

use carat_consensus::Params;
use carat_consensus::effect::Evidence;
use carat_types::Slot;
use carat_types::message::{Data, Message};

use crate::harness::*;

#[test]
fn validator_that_slept_through_checkpoints_catches_up_by_blocks() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.crash(3);
    for number in 0..60 {
        cluster.admit(number);
        cluster.settle();
    }
    assert!(cluster.replica(0).stable() >= Slot(48));
    cluster.start(3);
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_to(target);
    assert!(
        cluster.nodes[3].executed.iter().any(|execute| matches!(execute.evidence, Evidence::Sealed(_))),
        "by sealed blocks"
    );
    cluster.run_until("voting again", |cluster| cluster.replica(3).status().highest_commit.0 >= target);
}

#[test]
fn validator_votes_while_its_state_is_still_on_its_way() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.crash(3);
    for number in 0..60 {
        cluster.admit(number);
        cluster.settle();
    }
    cluster.nodes[3].hold_execution = true;
    cluster.start(3);
    let now = cluster.replica(0).last_executed().0;
    cluster.run_until("votes", |cluster| cluster.replica(3).status().highest_vote.0 > now);
    assert!(cluster.replica(3).last_executed() < Slot(10));
    cluster.nodes[3].hold_execution = false;
    cluster.release_executions(3);
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_to(target);
}

#[test]
fn lying_server_is_passed_over() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.crash(3);
    for number in 0..60 {
        cluster.admit(number);
        cluster.settle();
    }
    // Nodes 0 and 2 serve no blocks.
    cluster.filter =
        Box::new(|from, _, message| from == id(1) || !matches!(message, Message::Data(Data::Block(_))));
    cluster.start(3);
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_to(target);
}

#[test]
fn lost_seals_are_made_good_so_that_every_block_can_be_served() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    // SEALs of all slots but checkpoints are lost.
    cluster.filter = Box::new(|_, _, message| match message {
        Message::Seal(seal) => seal.body.slot.0.is_multiple_of(8),
        Message::Data(Data::Block(_)) => false,
        _ => true,
    });
    cluster.run_to(20);
    assert!(cluster.nodes[0].blocks[4].2.is_none(), "slot 5 is not sealed yet");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("seals", |cluster| {
        (0..4).all(|index| cluster.nodes[index].blocks.iter().take(20).all(|block| block.2.is_some()))
    });
}

#[test]
fn two_thousand_slots_leave_no_garbage() {
    let mut cluster = Cluster::with(4, Params { term: 100, ..params() });
    cluster.run_to(1);
    for number in 0..2_000 {
        cluster.admit(number);
        // Terms end every 100 slots; VIEW-CHANGEs closer than T0/4 would be refused.
        cluster.run_for(5_000);
    }
    let replica = cluster.replica(2);
    assert!(replica.stable().0 + 16 > replica.last_executed().0);
    assert_eq!(replica.pending_count(), 0);
    assert!(cluster.nodes[2].journal.len() < 200, "{} records", cluster.nodes[2].journal.len());
}
