//! Bodies that are spread before they are proposed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::{Input, Record, Rejection, SpreadBody};
use carat_types::batch::{Batch, BlockLimits, Body, Envelope, Value};
use carat_types::genesis::ConsensusConstants;
use carat_types::message::{Announcement, BodiesHeld, Data, Fetch, Message, PrePrepare};
use carat_types::{Digest, Slot, ValidatorId, View};

use crate::harness::*;

/// Half of T0: what is lost is spread again within it.
const SOON_US: u64 = 500_000;

impl Cluster {
    /// All validators spread bodies.
    fn spreading(params: ConsensusConstants) -> Self {
        Cluster::spreading_of(4, params)
    }

    fn spreading_of(n: usize, params: ConsensusConstants) -> Self {
        let mut cluster = Cluster::with(n, params);
        cluster.spread_bodies();
        cluster.run_to(1);
        cluster.settle();
        cluster
    }

    fn spread_bodies(&mut self) {
        self.spreads_bodies = true;
        (0..self.n).for_each(|index| self.input(index, Input::SpreadBodies(true)));
    }

    fn submit(&mut self, index: usize, number: u64) {
        self.input(index, Input::Submitted(transaction(number)));
    }

    /// What a node does with a body: it admits what it does not refuse, and hands the body in.
    pub(crate) fn hear_body(&mut self, from: ValidatorId, to: usize, body: Arc<Body>) {
        for number in body.envelopes.iter().map(number_of) {
            if !self.nodes[to].refuses.contains(&number) {
                self.input(to, Input::Admitted(transaction(number)));
            }
        }
        self.input(to, Input::Body { from, body: spread_body(body) });
    }

    fn ordered_everywhere(&self, number: u64) -> bool {
        (0..self.n).filter(|index| self.nodes[*index].replica.is_some()).all(|index| {
            let slots = self.slots_of(index, number);
            assert!(slots.len() <= 1, "{number} stands in slots {slots:?} of v{index}");
            slots.len() == 1
        })
    }

    fn rejects(&self, index: usize, reason: Rejection) -> bool {
        self.nodes[index].rejections.iter().any(|(_, seen)| *seen == reason)
    }
}

fn number_of(envelope: &Envelope) -> u64 {
    u64::from_be_bytes(envelope.0.as_ref().try_into().expect("one of the tests' transactions"))
}

fn body_of(numbers: impl IntoIterator<Item = u64>) -> Arc<Body> {
    Arc::new(Body { envelopes: numbers.into_iter().map(|number| transaction(number).envelope).collect() })
}

fn spread_body(body: Arc<Body>) -> SpreadBody {
    let count = u32::try_from(body.envelopes.len()).expect("a few");
    SpreadBody { digest: body.digest(), body, operations: count, signatures: count }
}

/// What carries transactions in a proposal.
fn carries_bodies(message: &Message) -> bool {
    matches!(message, Message::Proposal(proposal) if !proposal.payload.bodies.is_empty())
}

fn announces_work(message: &Message) -> bool {
    matches!(message, Message::Announcement(it) if !it.batch.bodies.is_empty())
}

#[test]
fn body_is_proposed_by_its_digest_and_travels_and_is_written_once() {
    let mut cluster = Cluster::spreading(params());
    cluster.filter = Box::new(|_, _, message| {
        let fetched = matches!(message, Message::Data(Data::Payload(_)) | Message::Fetch(_));
        assert!(!carries_bodies(message) && !fetched, "{message:?}");
        true
    });
    let now = cluster.now_us;
    cluster.submit(2, 1);
    cluster.settle();
    assert!(cluster.ordered_everywhere(1));
    assert_eq!(cluster.now_us, now, "an idle network waits for nothing");
    for node in &cluster.nodes {
        let bodies = node.journal.iter().filter(|record| matches!(record, Record::Body { .. }));
        let payloads = node.journal.iter().filter(|record| match record {
            Record::Vote(_, _, payload) => payload.as_ref().is_some_and(|it| !it.bodies.is_empty()),
            _ => false,
        });
        assert_eq!((bodies.count(), payloads.count()), (1, 0));
    }
}

#[test]
fn what_comes_while_a_body_is_on_its_way_gathers_for_the_next() {
    let mut cluster = Cluster::spreading(params());
    (1..=9).for_each(|number| cluster.submit(3, number));
    cluster.run_until("all ordered", |cluster| (1..=9).all(|number| cluster.ordered_everywhere(number)));
    let bodies: Vec<usize> = cluster.nodes[3]
        .journal
        .iter()
        .filter_map(|record| match record {
            Record::Body { body, .. } => Some(body.body.envelopes.len()),
            _ => None,
        })
        .collect();
    assert_eq!(bodies, [1, 8]);
}

#[test]
fn body_is_proposed_once_f_plus_1_hold_it() {
    let mut cluster = Cluster::spreading(params());
    cluster.filter = Box::new(|_, _, message| {
        assert!(!announces_work(message) && !carries_bodies(message), "nobody but its leader holds it");
        !matches!(message, Message::BodiesHeld(_))
    });
    cluster.submit(0, 1);
    cluster.run_for(SOON_US);
    cluster.filter = Box::new(|_, _, _| true);
    assert_eq!(cluster.replica(0).bodies_held(), 1);
    // It is sent again, and those who hold it say so again.
    cluster.run_for(SOON_US);
    assert!(cluster.ordered_everywhere(1));
    assert_eq!(cluster.replica(0).bodies_held(), 0, "the slot has it");
    assert_eq!(cluster.replica(0).view(), View(0));
}

#[test]
fn body_of_another_that_the_leader_spreads_again_is_in_its_journal() {
    let mut cluster = Cluster::spreading_of(7, params());
    let is_held_back = |to, message: &Message| matches!(message, Message::Body(_)) && to != id(0);
    cluster.filter = Box::new(move |from, to, message| from == id(0) || !is_held_back(to, message));
    cluster.submit(2, 1);
    // Origin and leader are two of three. The harness compares what is sent with the journal.
    cluster.run_for(SOON_US);
    assert!(cluster.ordered_everywhere(1));
    assert_eq!(cluster.replica(0).view(), View(0));
}

#[test]
fn missing_body_is_fetched() {
    let mut cluster = Cluster::spreading(params());
    cluster.filter = Box::new(|_, to, message| match message {
        Message::Body(_) => to == id(0),
        Message::Data(Data::Payload(_)) => false,
        _ => true,
    });
    cluster.submit(2, 1);
    cluster.run_for(SOON_US / 4);
    let [leader, acceptor] = [0, 1].map(|index| cluster.replica(index).status().highest_vote);
    assert_eq!(acceptor.next(), leader, "nobody votes for what it does not hold");
    cluster.filter = Box::new(|_, to, message| !matches!(message, Message::Body(_)) || to == id(0));
    cluster.run_for(2 * SOON_US);
    assert!(cluster.ordered_everywhere(1));
    assert_eq!(cluster.replica(0).view(), View(0), "the leader is not to blame");
}

/// One after the other they would cost a round trip each, and so much more is in the next batch.
#[test]
fn bodies_missing_of_several_slots_are_fetched_at_one_time() {
    let mut cluster = Cluster::spreading(params());
    let asked = Rc::new(RefCell::new(BTreeSet::new()));
    let seen = Rc::clone(&asked);
    cluster.filter = Box::new(move |from, to, message| match message {
        Message::Fetch(Fetch::Payload(digest)) if from == id(1) => {
            assert_eq!(to, id(0), "the leader has it");
            seen.borrow_mut().insert(*digest);
            false
        }
        _ => to != id(1) || !matches!(message, Message::Body(_)),
    });
    for number in 1..=3 {
        cluster.submit(2, number);
        cluster.run_for(40_000);
    }
    assert!((1..=3).all(|number| cluster.slots_of(0, number).len() == 1), "{}", cluster.describe());
    assert_eq!(asked.borrow().len(), 3, "{}", cluster.describe());
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_for(2 * SOON_US);
    assert!((1..=3).all(|number| cluster.ordered_everywhere(number)));
}

#[test]
fn body_that_comes_after_its_announcement_is_not_fetched() {
    let mut cluster = Cluster::spreading(params());
    cluster.filter = Box::new(|_, to, message| {
        assert!(!matches!(message, Message::Fetch(_)), "{message:?}");
        !(to == id(1) && matches!(message, Message::Body(_)))
    });
    cluster.submit(2, 1);
    cluster.settle();
    assert_eq!(cluster.slots_of(1, 1).len(), 0);
    cluster.hear_body(id(2), 1, body_of([1]));
    cluster.settle();
    assert!(cluster.ordered_everywhere(1));
}

#[test]
fn body_of_a_dead_origin_is_proposed_by_the_next_leader_that_holds_it() {
    let mut cluster = Cluster::spreading(ConsensusConstants { term: 4, ..params() });
    cluster.filter = Box::new(|_, to, message| !matches!(message, Message::Body(_)) || to == id(1));
    cluster.submit(2, 1);
    cluster.settle();
    cluster.crash(2);
    cluster.run_until("ordered", |cluster| cluster.ordered_everywhere(1));
}

#[test]
fn leader_proposes_no_body_of_which_it_refused_a_part_and_spreads_the_rest_itself() {
    let mut cluster = Cluster::spreading(params());
    cluster.nodes[0].refuses.insert(3);
    cluster.filter = Box::new(|_, _, message| {
        let refused = body_of([2, 3]).digest();
        !matches!(message, Message::Announcement(it) if it.batch.bodies.contains(&refused))
    });
    (1..=3).for_each(|number| cluster.submit(2, number));
    cluster.run_for(SOON_US);
    assert!(cluster.ordered_everywhere(1) && cluster.ordered_everywhere(2));
    assert_eq!(cluster.slots_of(0, 3).len(), 0);
    assert_eq!(cluster.replica(0).view(), View(0));
}

/// Clients that had no answer sent 1 to 3 again, elsewhere, and 4 comes with them: most of what it comes with is ordered.
#[test]
fn leader_spreads_what_is_left_of_a_body_that_it_passed_over_before_anybody_must_rescue_it() {
    let mut cluster = Cluster::spreading(params());
    let (first, again) = (body_of(1..=3), body_of(1..=4));
    for to in 0..4 {
        cluster.hear_body(id(2), to, Arc::clone(&first));
        cluster.hear_body(id(3), to, Arc::clone(&again));
    }
    let began_us = cluster.now_us;
    cluster.run_until("all ordered", |cluster| (1..=4).all(|number| cluster.ordered_everywhere(number)));
    let rescue_us = params().timeout_ms * 1_000 / 4;
    assert!(cluster.now_us - began_us < rescue_us, "{} of {rescue_us} us", cluster.now_us - began_us);
}

#[test]
fn liar_who_says_that_it_holds_a_body_costs_a_fetch() {
    let mut cluster = Cluster::spreading(params());
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Body(_) | Message::BodiesHeld(_)));
    cluster.submit(0, 1);
    let bodies = vec![body_of([1]).digest()];
    cluster.deliver(3, 0, Message::BodiesHeld(BodiesHeld { bodies }));
    cluster.run_for(SOON_US);
    assert!(cluster.ordered_everywhere(1));
}

#[test]
fn origin_that_sends_each_another_body_holds_nobody_up() {
    let mut cluster = Cluster::spreading(ConsensusConstants { term: 4, ..params() });
    cluster.crash(3);
    cluster.hear_body(id(3), 0, body_of([5]));
    cluster.hear_body(id(3), 1, body_of([5, 6]));
    cluster.hear_body(id(3), 2, body_of([6]));
    let everywhere =
        |cluster: &Cluster, number| (0..3).all(|index| !cluster.slots_of(index, number).is_empty());
    cluster.run_until("both ordered", |cluster| everywhere(cluster, 5) && everywhere(cluster, 6));
    let blocks = |cluster: &Cluster| [5, 6].map(|number| cluster.slots_of(0, number).len());
    let ordered = blocks(&cluster);
    cluster.run_for(5_000_000);
    assert_eq!(blocks(&cluster), ordered, "what is settled is not ordered for ever");
}

#[test]
fn leader_that_announces_what_nobody_can_get_is_replaced() {
    let mut cluster = Cluster::spreading(params());
    let (parent, slot) = {
        let (header, ..) = cluster.nodes[0].blocks.last().expect("a heartbeat");
        (header.prefix, header.slot.next())
    };
    let batch = Batch { time_ms: cluster.now(1).wall_ms, bodies: vec![Digest([7; 32])] };
    let body = PrePrepare { view: View(0), slot, parent, digest: Value::Batch(batch.clone()).digest() };
    cluster.filter = Box::new(|from, _, message| {
        from != id(0) || matches!(message, Message::Status(_) | Message::ViewChange(_))
    });
    let announcement = Announcement { signed: forge(&cluster.set, 0, body), batch };
    (1..4).for_each(|to| cluster.deliver(0, to, Message::Announcement(announcement.clone())));
    cluster.crash(0);
    cluster.submit(2, 1);
    cluster.run_until("ordered by another", |cluster| cluster.ordered_everywhere(1));
    assert!(cluster.replica(1).view() > View(0));
}

#[test]
fn announcement_of_more_than_a_block_is_proof_against_its_leader() {
    let params = params();
    let block = carat_types::batch::BlockLimits { transactions: 3, ..params.block };
    let mut cluster = Cluster::spreading(ConsensusConstants { block, ..params });
    cluster.crash(0);
    let bodies = [body_of([1, 2]), body_of([3, 4])];
    for to in 1..4 {
        bodies.iter().for_each(|body| cluster.hear_body(id(0), to, Arc::clone(body)));
    }
    let (header, ..) = cluster.nodes[1].blocks.last().cloned().expect("a heartbeat");
    let digests = bodies.iter().map(|body| body.digest()).collect();
    let batch = Batch { time_ms: cluster.now(1).wall_ms, bodies: digests };
    let digest = Value::Batch(batch.clone()).digest();
    let body = PrePrepare { view: View(0), slot: header.slot.next(), parent: header.prefix, digest };
    let signed = forge(&cluster.set, 0, body);
    cluster.deliver(0, 1, Message::Announcement(Announcement { signed, batch }));
    assert_eq!(cluster.replica(1).view(), View(1), "T3");
}

#[test]
fn bodies_of_one_peer_are_refused_beyond_its_share() {
    let mut cluster = Cluster::spreading(params());
    cluster.filter = Box::new(|_, _, message| !announces_work(message));
    let before = cluster.replica(1).buffered();
    cluster.input(1, Input::Body { from: id(3), body: spread_body(body_of([])) });
    assert!(cluster.rejects(1, Rejection::BadBody));
    let heavy = SpreadBody { operations: 9_999, ..spread_body(body_of([1])) };
    cluster.input(1, Input::Body { from: id(3), body: heavy });
    assert_eq!(cluster.last_rejection(1), Some(Rejection::BadBody));
    cluster.input(1, Input::Body { from: id(3), body: spread_body(body_of([1])) });
    assert!(cluster.rejects(1, Rejection::UselessBody), "nothing of it was admitted");
    for number in 0..400 {
        cluster.hear_body(id(3), 1, body_of([number]));
    }
    assert!(cluster.rejects(1, Rejection::TooManyBodies));
    assert_eq!(cluster.replica(1).buffered() - before, 256);
    cluster.hear_body(id(2), 1, body_of([1_000]));
    assert_eq!(cluster.replica(1).buffered() - before, 257, "another's share is its own");
}

#[test]
fn vote_beyond_the_slot_up_to_which_its_body_is_kept_writes_it_again() {
    // The slots up to there pass before anybody loses patience with the leader.
    let mut cluster = Cluster::spreading(ConsensusConstants { heartbeat_ms: 10, ..params() });
    // No checkpoint behind slot 8 becomes stable, and nobody says that it holds the body.
    cluster.filter = Box::new(|_, _, message| match message {
        Message::Seal(seal) => seal.body.slot < Slot(16),
        Message::BodiesHeld(_) => false,
        _ => true,
    });
    cluster.submit(0, 1);
    let [through] = cluster.nodes[0]
        .journal
        .iter()
        .filter_map(|record| match record {
            Record::Body { through, .. } => Some(*through),
            _ => None,
        })
        .collect::<Vec<_>>()[..]
    else {
        panic!("one body")
    };
    cluster.run_to(through.0 + 2);
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Seal(_)));
    let bodies = vec![body_of([1]).digest()];
    cluster.deliver(3, 0, Message::BodiesHeld(BodiesHeld { bodies }));
    cluster.run_until("ordered", |cluster| cluster.slots_of(0, 1).len() == 1);
    let slot = Slot(cluster.slots_of(0, 1)[0]);
    let written = cluster.nodes[0].journal.iter().any(|record| match record {
        Record::Vote(ballot, _, payload) => ballot.slot == slot && payload.is_some(),
        _ => false,
    });
    assert!(slot > through && written, "a vote at slot {slot} behind {through} without its payload");
}

/// What node 1 hears from node 3: a body of a transaction that expires right after it.
fn hear_what_expires(cluster: &mut Cluster, number: u64) {
    cluster.input(1, Input::Admitted(transaction(number)));
    cluster.input(1, Input::Body { from: id(3), body: spread_body(body_of([number])) });
    cluster.input(1, Input::Withdrawn(vec![transaction(number).hash]));
}

fn bodies_in_journal(cluster: &Cluster, index: usize) -> usize {
    cluster.nodes[index].journal.iter().filter(|record| matches!(record, Record::Body { .. })).count()
}

#[test]
fn bodies_that_nobody_orders_are_forgotten_with_their_slots() {
    let mut cluster = Cluster::spreading(params());
    let before = cluster.replica(1).buffered();
    // Only an acceptor knows them, and the others do not: nobody proposes them in this view.
    (0..200).for_each(|number| hear_what_expires(&mut cluster, number));
    assert_eq!(cluster.replica(1).buffered(), before + 200);
    cluster.run_for(200_000);
    assert_eq!(
        bodies_in_journal(&cluster, 1),
        200,
        "the journal has them before it is said that they are held"
    );
    cluster.run_to(60);
    assert!(cluster.replica(1).buffered() < before + 100, "{}", cluster.replica(1).buffered());
    assert_eq!(bodies_in_journal(&cluster, 1), 0, "compaction drops them");
}

#[test]
fn dead_bodies_of_a_validator_leave_room_for_living_ones() {
    let mut cluster = Cluster::spreading(params());
    (0..256).for_each(|number| hear_what_expires(&mut cluster, number));
    cluster.submit(3, 1_000);
    cluster.settle();
    assert!(!cluster.rejects(1, Rejection::TooManyBodies));
    assert!(cluster.ordered_everywhere(1_000));
}

#[test]
fn body_of_which_another_ordered_a_part_is_proposed_for_the_rest() {
    // Of seven, three must hold a body: the leader waits for a word.
    let mut cluster = Cluster::spreading_of(7, params());
    let overlapping = body_of([2, 3]);
    cluster.hear_body(id(3), 0, Arc::clone(&overlapping));
    (0..7).filter(|index| *index != 2).for_each(|index| cluster.hear_body(id(2), index, body_of([1, 2])));
    cluster.run_until("the first is ordered", |cluster| cluster.slots_of(0, 2).len() == 1);
    cluster.settle();
    cluster.filter = Box::new(|_, _, message| {
        assert!(!matches!(message, Message::Body(_)), "the leader need not spread it again");
        true
    });
    cluster.deliver(4, 0, Message::BodiesHeld(BodiesHeld { bodies: vec![overlapping.digest()] }));
    cluster.run_for(200_000);
    assert_eq!(cluster.slots_of(0, 3).len(), 1);
}

#[test]
fn what_a_validators_bodies_take_of_its_journal_is_bounded_while_no_checkpoint_frees_it() {
    let block = BlockLimits { bytes: 64, ..params().block };
    let params = ConsensusConstants { block, ..params() };
    let mut cluster = Cluster::spreading(params);
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Prepare(_)));
    for number in 0..1_000 {
        cluster.submit(1, number);
        cluster.run_for(6_000);
        cluster.input(1, Input::Withdrawn(vec![transaction(number).hash]));
    }
    let most = usize::try_from(2 * params.window * u64::from(block.bytes) / 8).expect("a few");
    let written = bodies_in_journal(&cluster, 1);
    assert!(written > most / 2 && written <= most + 1, "{written} bodies of 8 bytes, {most} allowed");
    cluster.filter = Box::new(|_, _, _| true);
    // The node gossips what its replica spreads in no body.
    cluster.submit(1, 1_000);
    [0, 2, 3].into_iter().for_each(|index| cluster.input(index, Input::Admitted(transaction(1_000))));
    cluster.run_until("ordered", |cluster| cluster.ordered_everywhere(1_000));
}

#[test]
fn body_of_which_more_than_half_is_ordered_is_left_alone() {
    let mut cluster = Cluster::spreading_of(7, params());
    let overlapping = body_of([1, 2, 3]);
    cluster.hear_body(id(3), 0, Arc::clone(&overlapping));
    (0..7).filter(|index| *index != 2).for_each(|index| cluster.hear_body(id(2), index, body_of([1, 2])));
    cluster.run_until("the first is ordered", |cluster| cluster.slots_of(0, 2).len() == 1);
    cluster.deliver(4, 0, Message::BodiesHeld(BodiesHeld { bodies: vec![overlapping.digest()] }));
    cluster.run_for(SOON_US);
    assert_eq!(
        [1, 2, 3].map(|number| cluster.slots_of(0, number).len()),
        [1, 1, 1],
        "the leader spread the rest"
    );
}

#[test]
fn body_that_comes_again_is_answered_to_its_sender_alone() {
    let mut cluster = Cluster::spreading(params());
    cluster.input(1, Input::Admitted(transaction(1)));
    let body = body_of([1]);
    cluster.input(1, Input::Body { from: id(3), body: spread_body(Arc::clone(&body)) });
    cluster.run_for(200_000);
    assert_eq!(bodies_in_journal(&cluster, 1), 1);
    cluster.filter = Box::new(|from, to, message| {
        assert!(from != id(1) || to == id(3) || !matches!(message, Message::BodiesHeld(_)), "{to:?}");
        true
    });
    for _ in 0..10 {
        cluster.input(1, Input::Body { from: id(3), body: spread_body(Arc::clone(&body)) });
        cluster.run_for(30_000);
    }
}

#[test]
fn edge_leader_proposes_what_f_plus_1_acceptors_hold_whatever_proposers_say() {
    let mut cluster = Cluster::edge(4, 3);
    cluster.spread_bodies();
    cluster.run_to(1);
    cluster.settle();
    let leader = cluster.replica(0).leader();
    assert_eq!(leader, id(4));
    // No acceptor hears of it; both other proposers say that they hold it.
    cluster.filter = Box::new(|_, to, message| to >= id(4) || !matches!(message, Message::Body(_)));
    let body = body_of([1]);
    cluster.hear_body(id(5), 4, Arc::clone(&body));
    cluster.deliver(6, 4, Message::BodiesHeld(BodiesHeld { bodies: vec![body.digest()] }));
    cluster.run_for(100_000);
    assert!(cluster.slots_of(4, 1).is_empty());
    for acceptor in [1, 2] {
        cluster.deliver(acceptor, 4, Message::BodiesHeld(BodiesHeld { bodies: vec![body.digest()] }));
    }
    cluster.run_until("ordered", |cluster| cluster.slots_of(4, 1).len() == 1);
}

#[test]
fn power_cut_after_any_record_of_a_body_leads_to_no_second_vote() {
    let load = |cluster: &mut Cluster, victim: usize| {
        for number in 0..30 {
            cluster.submit(victim, number);
            cluster.submit(2, 100 + number);
            cluster.run_for(4_000);
        }
    };
    Cluster::power_cuts(80, || Cluster::spreading(ConsensusConstants { term: 8, ..params() }), load);
}

#[test]
fn vote_on_bodies_survives_a_restart() {
    let mut cluster = Cluster::spreading(params());
    // Voted for, and final nowhere.
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Prepare(_) | Message::Commit(_)));
    cluster.submit(2, 1);
    cluster.run_for(100_000);
    (0..4).for_each(|index| cluster.crash(index));
    cluster.filter = Box::new(|_, _, _| true);
    (0..4).for_each(|index| cluster.start(index));
    cluster.run_until("ordered", |cluster| cluster.ordered_everywhere(1));
}

#[test]
fn competing_transactions_each_at_another_validator_hold_nobody_up() {
    let mut cluster = Cluster::spreading(params());
    // Four transactions with one sequence number: whoever has one of them refuses the others.
    let numbers = [1, 2, 3, 4];
    for (index, own) in numbers.into_iter().enumerate() {
        cluster.nodes[index].refuses = numbers.into_iter().filter(|number| *number != own).collect();
        cluster.submit(index, own);
    }
    cluster.run_for(SOON_US);
    assert!(cluster.ordered_everywhere(1), "the leader's is of use to all");
    assert_eq!(cluster.replica(0).view(), View(0));
}
