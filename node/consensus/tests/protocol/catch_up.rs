//! Falling behind and catching up; sealing.

use carat_consensus::FetchStates;
use carat_consensus::effect::Finality;
use carat_types::Slot;
use carat_types::genesis::ConsensusConstants;
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
        cluster.nodes[3].executed.iter().any(|execute| matches!(execute.finality, Finality::Sealed(_))),
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
    let mut cluster = Cluster::with(4, ConsensusConstants { term: 100, ..params() });
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

/// Slots that are final here wait for a payload; blocks above them come first, are kept, and are executed after it.
#[test]
fn blocks_that_came_before_a_missing_payload_are_executed_after_it() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    cluster.admit(1);
    cluster.filter = Box::new(|_, to, message| match message {
        // Node 3 learns that slots up to 5 are final, and has none of their payloads.
        Message::Proposal(_) | Message::Data(Data::Payload(_)) => to != id(3),
        Message::Data(Data::Block(block)) => to != id(3) || block.block.header.slot > Slot(5),
        Message::Data(Data::Stable(_)) => to != id(3),
        Message::Prepare(vote) => to != id(3) || vote.signed.body.0.slot <= Slot(5),
        Message::Commit(vote) => to != id(3) || vote.body.0.slot <= Slot(5),
        Message::Data(Data::Commit(certificate)) => to != id(3) || certificate.body.0.slot <= Slot(5),
        _ => true,
    });
    cluster.run_until("blocks above", |cluster| {
        cluster.replica(0).last_executed() >= Slot(40) && cluster.replica(3).last_final() == Slot(5)
    });
    assert!(cluster.replica(3).last_executed() < Slot(5), "a payload below is missing");
    // From now on blocks and payloads pass, but the slots above 5 reach node 3 by blocks alone.
    let held = cluster.replica(3).buffered();
    cluster.filter = Box::new(|_, to, message| match message {
        Message::Data(Data::Payload(_) | Data::Block(_)) => true,
        Message::Proposal(_) | Message::Prepare(_) | Message::Commit(_) | Message::NewView(_) => to != id(3),
        Message::Data(_) => to != id(3),
        _ => true,
    });
    assert!(held > 16, "blocks are kept: {}", cluster.describe());
    cluster.run_until("execution", |cluster| cluster.replica(3).last_executed() >= Slot(30));
}

/// The seals of slot 5 get lost while the others go on for more than two windows; then one comes that lacks the block.
#[test]
fn block_that_nobody_could_seal_for_two_windows_is_served_in_the_end() {
    for restart in [false, true] {
        let mut cluster = Cluster::new(4);
        // A state would make up for the block.
        cluster.fetches_states = FetchStates::Never;
        cluster.run_to(4);
        cluster.crash(3);
        cluster.filter = Box::new(|_, _, message| match message {
            Message::Seal(seal) => seal.body.slot != Slot(5),
            Message::Data(Data::Block(block)) => block.block.header.slot != Slot(5),
            _ => true,
        });
        cluster.run_to(60);
        if restart {
            for index in 0..3 {
                cluster.crash(index);
            }
            for index in 0..3 {
                cluster.start(index);
            }
        }
        cluster.filter = Box::new(|_, _, _| true);
        cluster.start(3);
        cluster.run_to(61);
    }
}

/// A validator whose execution is slow asks for no more blocks than it gets done with, whichever timer looks.
#[test]
fn blocks_of_a_slow_execution_are_not_fetched_without_end() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(3);
    cluster.run_to(200);
    cluster.start(3);
    cluster.nodes[3].hold_execution = true;
    cluster.admit(1);
    cluster.run_for(30_000_000);
    let open = cluster.nodes[3].held.len() as u64;
    assert!(open <= 3 * carat_consensus::BLOCKS_PER_FETCH, "{open} blocks wait for their execution");
    cluster.nodes[3].hold_execution = false;
    cluster.release_executions(3);
    cluster.run_to(240);
}

/// What is executed above h stays in memory until a checkpoint is stable. So who catches up waits at the top of its window for
/// the checkpoint that moves it (I8).
#[test]
fn blocks_above_the_window_wait_for_the_checkpoint_that_moves_it() {
    let mut cluster = Cluster::new(4);
    // A state would be fetched instead.
    cluster.fetches_states = FetchStates::Never;
    cluster.run_to(3);
    cluster.crash(3);
    cluster.run_to(100);
    cluster.filter = Box::new(|_, to, message| match message {
        Message::Data(Data::Stable(_)) | Message::Seal(_) => to != id(3),
        _ => true,
    });
    cluster.start(3);
    cluster.run_for(30_000_000);
    let (window, held) = (params().window, cluster.replica(3).buffered());
    let top = cluster.replica(3).stable().0 + window + carat_consensus::BLOCKS_PER_FETCH;
    let executed = cluster.replica(3).last_executed().0;
    assert!(executed > 3 && executed <= top, "slot {executed} is executed, at most {top} expected");
    let limit = 8 * (window + 2 * carat_consensus::BLOCKS_PER_FETCH);
    assert!(held as u64 <= limit, "{held} things are buffered");
    cluster.filter = Box::new(|_, _, _| true);
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_to(target);
}
