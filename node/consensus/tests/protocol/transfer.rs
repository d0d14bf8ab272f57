//! Fetching a whole state.

use std::sync::Arc;

use carat_consensus::effect::Report;
use carat_consensus::{FetchStates, Rejection};
use carat_types::certificate::{Certificate, SealCertificate};
use carat_types::message::{Data, Fetch, Message};
use carat_types::snapshot::{SnapshotOffer, StateChunk};
use carat_types::{Digest, Slot};

use crate::harness::*;

/// Node 3 has slept for so long that a state is better than blocks.
fn far_behind() -> Cluster {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.crash(3);
    cluster.run_to(150);
    cluster
}

/// Runs until node 3 goes on with the others; its executions begin above the fetched state.
fn check_goes_on(cluster: &mut Cluster) {
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_to(target);
    let base = *cluster.nodes[3].installed.last().expect("a state was fetched");
    assert_eq!(base, Slot(128), "the newest state that all keep");
    assert_eq!(cluster.nodes[3].executed.first().map(|execute| execute.slot), Some(base.next()));
    assert!(cluster.nodes[3].halted.is_none());
    cluster.run_until("voting again", |cluster| cluster.replica(3).status().highest_commit.0 >= target);
}

fn rejections(cluster: &Cluster, reason: Rejection) -> usize {
    cluster.nodes[3].rejections.iter().filter(|(_, seen)| *seen == reason).count()
}

#[test]
fn validator_far_behind_fetches_a_state_and_executes_the_blocks_after_it() {
    let mut cluster = far_behind();
    cluster.start(3);
    check_goes_on(&mut cluster);
}

#[test]
fn validator_votes_while_a_state_is_on_its_way_and_executes_nothing() {
    let mut cluster = far_behind();
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Data(Data::Chunk(_))));
    cluster.start(3);
    let now = cluster.replica(0).last_executed().0;
    cluster.run_until("votes", |cluster| cluster.replica(3).status().highest_vote.0 > now);
    assert_eq!(cluster.nodes[3].executed.len(), 0);
    assert!(cluster.nodes[3].incoming.is_some());
    cluster.filter = Box::new(|_, _, _| true);
    check_goes_on(&mut cluster);
}

/// It executes nothing, so the payloads of proposals are of no use to it once a checkpoint has overtaken them: blocks bring
/// them again. A peer that offers a state and sends none must not fill the memory.
#[test]
fn payloads_that_a_checkpoint_overtakes_while_a_state_is_on_its_way_are_forgotten() {
    let mut cluster = Cluster::edge(4, 2);
    cluster.run_to(2);
    cluster.crash(5);
    cluster.run_to_among(&[0, 1, 2, 3, 4], 150);
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Data(Data::Chunk(_))));
    cluster.start(5);
    cluster.run_until("fetching", |cluster| cluster.nodes[5].incoming.is_some());
    for number in 0..200 {
        cluster.admit(number);
        cluster.run_for(20_000);
    }
    assert!(cluster.replica(0).last_executed() > Slot(300), "{}", cluster.describe());
    assert_eq!(cluster.replica(5).last_executed(), Slot(2), "the state is still waited for");
    let held = cluster.replica(5).buffered();
    assert!(held < 64, "{held} things are buffered: {}", cluster.describe());
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the state", |cluster| cluster.replica(5).last_executed() > Slot(300));
}

#[test]
fn final_slot_whose_payload_comes_while_a_state_is_fetched_is_not_executed() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    // Node 3 learns that the next slot is final, and not what it holds.
    let tells_contents = |message: &Message| {
        matches!(
            message,
            Message::Proposal(_) | Message::Data(Data::Payload(_) | Data::Block(_) | Data::Chunk(_))
        )
    };
    cluster.filter = Box::new(move |_, to, message| to != id(3) || !tells_contents(message));
    cluster
        .run_until("final", |cluster| cluster.replica(3).last_final() > cluster.replica(3).last_executed());
    let stopped_at = cluster.replica(3).last_executed();
    cluster.filter = Box::new(|_, to, _| to != id(3));
    cluster.run_until("far ahead", |cluster| cluster.replica(0).last_executed() >= Slot(150));
    cluster.filter = Box::new(move |_, to, message| to != id(3) || !tells_contents(message));
    cluster.run_until("fetching", |cluster| cluster.nodes[3].incoming.is_some());
    let payload = Arc::clone(&cluster.nodes[0].blocks[index_of(stopped_at.next())].1);
    cluster.deliver(0, 3, Message::Data(Data::Payload(payload)));
    assert_ne!(cluster.last_rejection(3), Some(Rejection::Unrequested), "it was still wanted");
    assert_eq!(cluster.nodes[3].executed.last().map(|execute| execute.slot), Some(stopped_at));
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("going on", |cluster| cluster.replica(3).last_executed() > Slot(150));
    assert_eq!(cluster.nodes[3].installed, [Slot(128)]);
    let executed: Vec<Slot> = cluster.nodes[3].executed.iter().map(|execute| execute.slot).collect();
    let after = executed.iter().position(|slot| *slot > stopped_at).expect("it goes on");
    assert_eq!(executed[after], Slot(129), "the old state was left as it was");
}

#[test]
fn transfer_goes_on_where_a_restart_found_it() {
    let mut cluster = far_behind();
    cluster.start(3);
    let kept = |cluster: &Cluster| cluster.nodes[3].incoming.as_ref().map_or(0, |it| it.chunks.len());
    cluster.run_until("two chunks", |cluster| kept(cluster) == 2);
    cluster.crash(3);
    cluster.start(3);
    assert_eq!(kept(&cluster), 2);
    cluster.filter = Box::new(|_, _, message| {
        // Nothing is asked for or sent again.
        !matches!(message, Message::Fetch(Fetch::Snapshot(_)))
            && !matches!(message, Message::Data(Data::Chunk(chunk)) if chunk.from.0[0] < 0x80)
    });
    check_goes_on(&mut cluster);
}

#[test]
fn liar_among_those_who_send_a_state_is_passed_over() {
    let mut cluster = far_behind();
    cluster.twist = Box::new(|from, message| match message {
        Message::Data(Data::Chunk(chunk)) if from == id(0) => {
            let mut forged = StateChunk::clone(&chunk);
            forged.entries[0].value.push(1);
            Message::Data(Data::Chunk(Arc::new(forged)))
        }
        message => message,
    });
    cluster.start(3);
    check_goes_on(&mut cluster);
    assert_eq!(rejections(&cluster, Rejection::BadChunk), 1, "he is asked no more");
}

#[test]
fn state_that_nobody_sends_is_given_up_for_blocks() {
    let mut cluster = far_behind();
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Data(Data::Chunk(_))));
    cluster.start(3);
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_to(target);
    assert_eq!(cluster.nodes[3].installed, []);
    let given_up = Report::StateTransferEnded { slot: Slot(128), installed: false };
    assert!(cluster.nodes[3].reports.contains(&given_up));
}

/// Runs with a node 3 that slept from slot `from` on, and says which states it fetched.
fn fetched(policy: FetchStates, from: u64, blocks_are_served: bool) -> Vec<Slot> {
    let mut cluster = Cluster::new(4);
    cluster.fetches_states = policy;
    cluster.run_to(from);
    cluster.crash(3);
    cluster.run_to(175);
    cluster.filter =
        Box::new(move |_, _, message| blocks_are_served || !matches!(message, Message::Data(Data::Block(_))));
    cluster.start(3);
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_until("on the way", |cluster| {
        cluster.replica(3).last_executed().0 >= target || cluster.nodes[3].installed.last().is_some()
    });
    cluster.nodes[3].installed.clone()
}

#[test]
fn validator_with_blocks_of_its_own_gives_up_none_while_there_is_another_way() {
    assert_eq!(fetched(FetchStates::WhenNew, 2, true), [Slot(128)]);
    assert_eq!(fetched(FetchStates::WhenNew, 40, true), []);
    assert_eq!(fetched(FetchStates::WhenNew, 40, false), [Slot(128)]);
    assert_eq!(fetched(FetchStates::WhenBehind, 40, true), [Slot(128)]);
    assert_eq!(fetched(FetchStates::Never, 2, true), []);
}

#[test]
fn state_is_fetched_when_nobody_has_the_blocks_any_more() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(2);
    cluster.crash(3);
    // Not far enough behind to want a state: 64 is one that all keep.
    cluster.run_to(75);
    cluster.filter = Box::new(
        |_, _, message| !matches!(message, Message::Data(Data::Block(block)) if block.block.header.slot < Slot(60)),
    );
    cluster.start(3);
    let target = cluster.replica(0).last_executed().0 + 3;
    cluster.run_to(target);
    assert_eq!(cluster.nodes[3].installed, [Slot(64)]);
}

/// What node 3 says to an offer that was made of a true one.
fn check_offer(what: &str, expected: Rejection, twist: impl Fn(&mut SnapshotOffer)) {
    let mut cluster = far_behind();
    let Some(Data::Snapshot(offer)) = cluster.offer(0, Slot(0)) else { panic!("a state is kept") };
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Data(Data::Snapshot(_))));
    cluster.start(3);
    cluster.run_until("asking", |cluster| cluster.replica(3).stable() > Slot(100));
    let mut offer = SnapshotOffer::clone(&offer);
    twist(&mut offer);
    cluster.deliver(0, 3, Message::Data(Data::Snapshot(Arc::new(offer))));
    assert_eq!(cluster.last_rejection(3), Some(expected), "{what}");
    assert!(cluster.nodes[3].incoming.is_none());
}

/// The first seals of a certificate.
fn fewer(certificate: &SealCertificate, count: usize) -> SealCertificate {
    let seals = certificate.signers.iter().zip(certificate.signatures.iter().copied());
    Certificate::assemble(certificate.body, seals.take(count))
}

#[test]
fn offers_that_prove_nothing_are_refused() {
    let bad = Rejection::BadOffer;
    check_offer("another state under the seals", bad, |offer| offer.base.header.state_root = Digest([1; 32]));
    check_offer("fewer than q seals", bad, |offer| {
        offer.base.certificate = fewer(&offer.base.certificate, 2);
    });
    check_offer("a slot that is no checkpoint", bad, |offer| offer.base.header.slot = Slot(129));
    check_offer("another block after it", bad, |offer| offer.next = offer.base.header.clone());
    // Every network of these tests has the same chain.
    let (later, _, seals) = far_behind().nodes[0].blocks[index_of(Slot(130))].clone();
    check_offer("a sealed block that is not the next", bad, |offer| {
        offer.next = later.clone();
        offer.next_seals = seals.clone().expect("sealed");
    });
    check_offer("another number of transactions", bad, |offer| offer.next.first_transaction += 1);
    check_offer("fewer than f+1 seals of the block after it", bad, |offer| {
        offer.next_seals = fewer(&offer.next_seals, 1);
    });
}

#[test]
fn state_that_nobody_asked_for_is_refused() {
    let mut cluster = far_behind();
    let Some(Data::Snapshot(offer)) = cluster.offer(0, Slot(0)) else { panic!("a state is kept") };
    let request = carat_types::message::ChunkRequest { slot: offer.slot(), from: Digest::ZERO };
    let Some(Data::Chunk(chunk)) = cluster.chunk(0, &request) else { panic!("a state is kept") };
    for data in [Data::Snapshot(offer), Data::Chunk(chunk)] {
        cluster.deliver(0, 1, Message::Data(data));
        assert_eq!(cluster.last_rejection(1), Some(Rejection::Unrequested));
    }
}
