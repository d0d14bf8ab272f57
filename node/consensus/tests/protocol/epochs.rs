//! The end of an epoch, and the beginning of the next. **Source**: consensus specification, section 11; decision records 39,
//! 40 and 63.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::effect::Report;
use carat_consensus::{Input, Record, Rejection, Replica, VerifiedMessage};
use carat_types::genesis::ConsensusConstants;
use carat_types::header::Header;
use carat_types::message::{
    Data, Fetch, HighestVotes, LastVote, Message, NewView, Seal, SlotReport, StableCheckpoint, ViewChange,
};
use carat_types::snapshot::SnapshotOffer;
use carat_types::{Digest, Epoch, Slot, View};

use crate::harness::*;

/// Four validators of which the last gets another key: decided in slot 5, so the epoch ends with slot 24.
fn replacing() -> Cluster {
    let mut cluster = Cluster::new(4);
    assert_eq!(cluster.plan(5, &[0, 1, 2, 13]), 24);
    cluster
}

/// The slots of the votes that were ever sent in an epoch.
fn voted(cluster: &Cluster, epoch: usize) -> impl Iterator<Item = u64> {
    let votes = cluster.sent.keys().filter(move |(of, _, kind, ..)| *of == epoch && matches!(kind, 2 | 3));
    votes.map(|(.., slot)| *slot)
}

/// Blocks up to `end` are of the first of two epochs, and no slot was voted on in both.
fn check_epochs(cluster: &Cluster, end: u64) {
    for node in &cluster.nodes {
        let epochs = node.blocks.iter().map(|(header, ..)| (header.slot.0, header.epoch));
        for (slot, epoch) in epochs {
            assert_eq!(epoch, Epoch(u32::from(slot > end)), "slot {slot}");
        }
    }
    // A validator alone sends nobody its votes.
    assert!(voted(cluster, 0).max() == (cluster.n > 1).then_some(end));
    assert!(voted(cluster, 1).all(|slot| slot > end));
}

#[test]
fn network_goes_on_over_the_end_of_an_epoch_and_no_slot_is_voted_on_in_both() {
    for n in [1, 4, 7] {
        let mut cluster = Cluster::new(n);
        // The last one gets another key.
        let keys: Vec<usize> = (0..n - 1).chain([n + 10]).collect();
        let end = cluster.plan(5, &keys);
        cluster.admit(1);
        cluster.run_to(end + 40);
        check_epochs(&cluster, end);
        cluster.admit(2);
        cluster.run_until("a transaction of the new epoch", |cluster| {
            (0..n).all(|index| cluster.slots_of(index, 2).len() == 1)
        });
        let sealed = cluster.nodes[0].blocks.iter().filter(|(_, _, seals)| seals.is_some()).count() as u64;
        assert!(sealed > end + 30, "blocks of both epochs are sealed");
    }
}

#[test]
fn nothing_is_voted_on_beyond_the_end_while_its_checkpoint_is_not_stable() {
    let mut cluster = replacing();
    cluster.run_until("h = 16", |cluster| cluster.running().all(|replica| replica.stable() == Slot(16)));
    // Without seals h stays where it is, and h+L is 32.
    let seals = |data: &Data| matches!(data, Data::Stable(_) | Data::Block(_));
    cluster.filter = Box::new(move |_, _, message| {
        !matches!(message, Message::Seal(_)) && !matches!(message, Message::Data(data) if seals(data))
    });
    cluster.run_for(60_000_000);
    assert_eq!(voted(&cluster, 0).max(), Some(24));
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(40);
    check_epochs(&cluster, 24);
}

#[test]
fn epochs_follow_upon_each_other() {
    let mut cluster = Cluster::new(4);
    cluster.plan(1, &[0, 1, 2, 13]);
    cluster.plan(30, &[20, 1, 2, 13]);
    let last = cluster.plan(70, &[20, 21, 2, 13]);
    cluster.run_to(last + 20);
    assert!(cluster.nodes.iter().all(|node| node.epoch == 3));
}

#[test]
fn validator_that_slept_over_the_end_is_shown_it_and_comes_after() {
    let mut cluster = replacing();
    cluster.run_to(8);
    cluster.crash(2);
    cluster.run_to(70);
    cluster.start(2);
    assert_eq!(cluster.nodes[2].epoch, 0, "its journal is of epoch 0");
    cluster.run_to(90);
    assert_eq!(cluster.nodes[2].epoch, 1);
    check_epochs(&cluster, 24);
}

#[test]
fn validators_that_all_stop_at_the_end_begin_the_next_epoch_after_their_start() {
    let mut cluster = replacing();
    cluster.nodes.iter_mut().for_each(|node| node.keeps_its_journal = true);
    cluster.run_until("the end", |cluster| cluster.running().count() == 0);
    assert!(cluster.nodes.iter().all(|node| node.epoch == 0));
    // The old journal replays into the end of the old epoch.
    (0..4).for_each(|index| cluster.start(index));
    assert!(cluster.nodes.iter().all(|node| node.epoch == 1));
    cluster.run_to(60);
    check_epochs(&cluster, 24);
}

#[test]
fn power_cut_after_any_record_about_the_end_leads_to_no_second_vote() {
    let mut reference = replacing();
    reference.run_to(17);
    let from = reference.nodes[1].persists;
    reference.run_to(40);
    let through = reference.nodes[1].persists;
    assert!(through > from + 20);
    for cut in from..through {
        let mut cluster = replacing();
        cluster.nodes[1].persists_left = Some(cut + 1);
        cluster.run_until("the cut", |cluster| cluster.nodes[1].replica.is_none());
        cluster.start(1);
        cluster.run_to(48);
        check_epochs(&cluster, 24);
    }
}

#[test]
fn epoch_does_not_end_before_its_last_block_is_executed() {
    let mut cluster = replacing();
    cluster.run_to(20);
    cluster.nodes[1].hold_execution = true;
    cluster.run_until("the end", |cluster| cluster.nodes[0].epoch == 1);
    cluster.run_until("h = 24", |cluster| cluster.replica(1).stable() == Slot(24));
    cluster.run_for(3_000_000);
    assert_eq!(cluster.nodes[1].epoch, 0, "a block of the old epoch is not written yet");
    cluster.nodes[1].hold_execution = false;
    cluster.release_executions(1);
    cluster.run_to(40);
    check_epochs(&cluster, 24);
}

/// Whether a message may prove the block of a slot to somebody: its SEAL, or the sealed block.
fn seals(slot: u64, message: &Message) -> bool {
    match message {
        Message::Seal(seal) => seal.body.slot == Slot(slot),
        Message::Data(Data::Block(block)) => block.block.header.slot == Slot(slot),
        _ => false,
    }
}

#[test]
fn epoch_does_not_end_while_one_of_its_blocks_cannot_be_served() {
    let mut cluster = replacing();
    cluster.run_to(16);
    // It lacks the last blocks, and its vote is needed in the next epoch as everybody's is.
    cluster.crash(2);
    cluster.filter = Box::new(|_, _, message| !seals(23, message));
    cluster.run_until("h = 24", |cluster| cluster.running().all(|replica| replica.stable() == Slot(24)));
    cluster.run_for(3_000_000);
    assert!(cluster.nodes.iter().all(|node| node.epoch == 0), "nobody could serve the block of slot 23");
    assert!(cluster.nodes[0].blocks[index_of(Slot(23))].2.is_none());
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the end", |cluster| cluster.nodes[0].epoch == 1 && cluster.nodes[1].epoch == 1);
    cluster.crash(3);
    cluster.start(2);
    cluster.run_to(40);
    check_epochs(&cluster, 24);
    let sealed = |cluster: &Cluster, node: usize| {
        cluster.nodes[node].blocks[..24].iter().all(|block| block.2.is_some())
    };
    assert!(sealed(&cluster, 0) && sealed(&cluster, 1));
}

#[test]
fn who_stays_behind_for_seals_is_given_them_by_those_who_left_and_asks_for_nothing_above_the_end() {
    let mut cluster = replacing();
    let beyond = Rc::new(Cell::new(0_u32));
    let asked = beyond.clone();
    cluster.filter = Box::new(move |from, to, message| {
        let is_beyond = match message {
            Message::Fetch(Fetch::Blocks(slot)) => *slot > Slot(24),
            Message::Fetch(Fetch::Snapshot(_)) => true,
            _ => false,
        };
        asked.set(asked.get() + u32::from(from == id(1) && is_beyond));
        !(to == id(1) && seals(23, message))
    });
    cluster.run_until("the others", |cluster| [0, 2, 3].iter().all(|index| cluster.nodes[*index].epoch == 1));
    beyond.set(0);
    cluster.run_for(5_000_000);
    assert_eq!((cluster.nodes[1].epoch, beyond.get()), (0, 0));
    assert_eq!(cluster.replica(1).last_executed(), Slot(24));
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(50);
    check_epochs(&cluster, 24);
    assert!(cluster.nodes[1].blocks[index_of(Slot(23))].2.is_some());
}

#[test]
fn epoch_ends_without_seals_that_every_peer_was_asked_for_in_vain() {
    let mut cluster = replacing();
    let asked = Rc::new(Cell::new(0_u32));
    let asks = asked.clone();
    cluster.filter = Box::new(move |from, _, message| {
        let is_question = from == id(0) && matches!(message, Message::Fetch(Fetch::Blocks(Slot(23))));
        asks.set(asks.get() + u32::from(is_question));
        !seals(23, message)
    });
    cluster.run_until("h = 24", |cluster| cluster.running().all(|replica| replica.stable() == Slot(24)));
    asked.set(0);
    cluster.run_until("the end", |cluster| cluster.nodes.iter().all(|node| node.epoch == 1));
    assert!(asked.get() >= 9, "each of three peers three times, not {} in all", asked.get());
    cluster.run_to(40);
    check_epochs(&cluster, 24);
}

#[test]
fn journal_of_another_epoch_is_refused() {
    let mut cluster = replacing();
    cluster.run_to(30);
    for record in [Record::View(Epoch(0), View(0)), Record::Led(Epoch(0), View(0))] {
        let (config, tip, now) = (cluster.config(1), cluster.tip(1), cluster.now(1));
        let mut journal = cluster.nodes[1].journal.clone();
        journal.push(record);
        let refused = Replica::start(config, now, journal, tip).expect_err("of another epoch").to_string();
        assert!(refused.contains("a line of another epoch"), "{refused}");
    }
}

#[test]
fn first_view_change_of_an_epoch_counts_from_its_beginning() {
    // A term that is over long before the epoch begins, were it counted from slot 0 on.
    let mut cluster = Cluster::with(4, ConsensusConstants { term: 16, ..params() });
    cluster.plan(5, &[0, 1, 2, 13]);
    cluster.run_until("the end", |cluster| cluster.nodes.iter().all(|node| node.epoch == 1));
    // Before anything is decided in the new epoch.
    cluster.queue.clear();
    cluster.crash(0);
    cluster.run_to(30);
    let new_views = cluster.nodes[1].journal.iter().filter_map(|record| match record {
        Record::NewView(new_view) => Some(&new_view.body),
        _ => None,
    });
    assert!(new_views.flat_map(|body| &body.view_changes).any(|change| change.body.stable.is_none()));
    assert!(cluster.replica(1).view() < View(4), "{}", cluster.describe());
}

#[test]
fn dead_leader_at_the_beginning_of_an_epoch_is_replaced() {
    let mut cluster = replacing();
    cluster.run_until("the end", |cluster| cluster.nodes[0].epoch == 1);
    // It leads view 0 of the new epoch too.
    cluster.crash(0);
    cluster.admit(1);
    cluster.run_to(40);
    check_epochs(&cluster, 24);
    let blocks = &cluster.nodes[1].blocks;
    assert!(blocks.iter().all(|(header, ..)| header.slot.0 <= 24 || header.epoch == Epoch(1)));
    assert!(cluster.running().all(|replica| replica.view() > View(0)));
}

#[test]
fn validator_that_comes_fetches_a_state_of_the_new_epoch_and_votes() {
    let mut cluster = Cluster::new(4);
    let end = cluster.plan(5, &[0, 1, 2, 3, 4]);
    cluster.run_to(end + 8);
    cluster.join(0);
    cluster.run_to(end + 110);
    assert!(
        !cluster.nodes[4].installed.is_empty(),
        "blocks of an epoch in which it was not prove nothing to it"
    );
    let own = |cluster: &Cluster, wanted: u8| {
        let keys = cluster.sent.keys();
        keys.filter(|(epoch, signer, kind, ..)| (*epoch, *signer, *kind) == (1, 4, wanted)).count()
    };
    assert!(own(&cluster, 6) > 0, "it executes and seals");
    // It may have left the view alone while it had nothing: with the next one it votes like everybody.
    let before = own(&cluster, 2);
    cluster.crash(0);
    cluster.run_to(end + 130);
    assert!(own(&cluster, 2) > before + 10, "{}", cluster.describe());
}

#[test]
fn validator_that_comes_seals_from_the_state_on_with_which_its_epoch_begins() {
    let mut cluster = Cluster::new(4);
    let end = cluster.plan(5, &[0, 1, 2, 3, 4]);
    cluster.run_to(end + 2);
    cluster.join(0);
    cluster.run_to(end + 30);
    assert_eq!(cluster.nodes[4].installed, [Slot(end)], "long before the next state that is kept");
    let sealed =
        cluster.sent.keys().filter(|(epoch, signer, kind, ..)| (*epoch, *signer, *kind) == (1, 4, 6));
    assert!(sealed.count() > 10, "it seals among its first 30 slots");
}

#[test]
fn state_of_the_epoch_before_is_believed_at_its_last_slot_alone() {
    let mut cluster = Cluster::new(4);
    let end = cluster.plan(5, &[0, 1, 2, 3, 4]);
    cluster.run_to(end + 8);
    // A state of the old epoch that is not its last one proves nothing to it.
    let checkpoints = &cluster.nodes[0].checkpoints;
    let older = checkpoints.values().find(|stable| stable.header.slot < Slot(end)).expect("kept").clone();
    let (next, _, seals) = cluster.nodes[0].blocks[index_of(older.header.slot) + 1].clone();
    let offer =
        SnapshotOffer { base: StableCheckpoint::clone(&older), next, next_seals: seals.expect("sealed") };
    cluster.join(0);
    let asked = Rc::new(Cell::new(false));
    let asks = asked.clone();
    cluster.filter = Box::new(move |from, _, message| {
        asks.set(asks.get() || from == id(4) && matches!(message, Message::Fetch(Fetch::Snapshot(_))));
        !matches!(message, Message::Data(Data::Snapshot(_)))
    });
    cluster.run_until("its question", |_| asked.get());
    cluster.deliver(0, 4, Message::Data(Data::Snapshot(Arc::new(offer.clone()))));
    assert_eq!(cluster.last_rejection(4), Some(Rejection::BadOffer), "its seals are by nobody of this epoch");
    // Seals that a peer makes up for the last one are never kept: those of the handover are.
    let own = StableCheckpoint::clone(cluster.nodes[4].base.as_ref().expect("where its epoch began"));
    let Some(Data::Snapshot(good)) = cluster.offer(0, Slot(0)) else { panic!("a state is kept") };
    let mut made_up = SnapshotOffer::clone(&good);
    assert_eq!(made_up.base.header, own.header);
    made_up.base.certificate.signatures.iter_mut().for_each(|signature| signature.0[0] ^= 1);
    for from in 0..4 {
        cluster.deliver(from, 4, Message::Data(Data::Snapshot(Arc::new(made_up.clone()))));
    }
    let incoming = cluster.nodes[4].incoming.take().expect("it begins");
    assert_eq!(incoming.offer.base, own);
    cluster.crash(4);
    cluster.start(4);
    asked.set(false);
    cluster.run_until("its question", |_| asked.get());
    // Nor is another state believed under the header's name.
    let mut forged = offer;
    forged.base = StableCheckpoint::clone(cluster.nodes[4].base.as_ref().expect("where its epoch began"));
    forged.base.header.state_root = Digest([7; 32]);
    cluster.deliver(0, 4, Message::Data(Data::Snapshot(Arc::new(forged))));
    assert_eq!(cluster.last_rejection(4), Some(Rejection::BadOffer));
    assert!(cluster.nodes[4].incoming.is_none());
}

#[test]
fn validator_that_lacks_every_state_of_an_epoch_says_that_it_is_over() {
    let mut cluster = Cluster::new(4);
    let end = cluster.plan(5, &[0, 1, 2, 3, 4]);
    cluster.run_to(end + 2);
    cluster.join(0);
    cluster.filter =
        Box::new(|_, to, message| to != id(4) || !matches!(message, Message::Data(Data::Snapshot(_))));
    let stranded = |cluster: &Cluster| {
        let slot = |report: &Report| if let Report::Stranded { slot } = report { Some(*slot) } else { None };
        cluster.nodes[4].reports.iter().find_map(slot)
    };
    cluster.run_for(30_000_000);
    assert_eq!(stranded(&cluster), None, "its epoch goes on");
    let decided = cluster.replica(0).last_executed().0 + 4;
    let last = cluster.plan(decided, &[0, 1, 2, 3, 4]);
    cluster.run_to_among(&[0, 1, 2, 3], last + 4);
    cluster.run_until("its word", |cluster| stranded(cluster).is_some());
    assert_eq!((stranded(&cluster), cluster.nodes[4].epoch), (Some(Slot(last)), 1));
}

#[test]
fn validator_that_comes_asks_for_a_state_without_rest() {
    let mut cluster = Cluster::new(4);
    let end = cluster.plan(5, &[0, 1, 2, 3, 4]);
    cluster.run_to(end + 8);
    cluster.join(0);
    // Nobody offers one for a long time.
    let asked = Rc::new(Cell::new(0_u32));
    let asks = asked.clone();
    cluster.filter = Box::new(move |from, _, message| {
        let is_question = from == id(4) && matches!(message, Message::Fetch(Fetch::Snapshot(_)));
        asks.set(asks.get() + u32::from(is_question));
        !matches!(message, Message::Data(Data::Snapshot(_)))
    });
    cluster.run_until("its first question", |_| asked.get() > 0);
    for period in 0..12 {
        let before = asked.get();
        cluster.run_for(5_000_000);
        assert!(asked.get() > before, "silent in period {period}: it has no blocks to fetch instead");
    }
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("a state", |cluster| !cluster.nodes[4].installed.is_empty());
}

#[test]
fn validator_that_goes_says_nothing_in_the_next_epoch() {
    let mut cluster = Cluster::new(5);
    let end = cluster.plan(5, &[0, 1, 2, 3]);
    cluster.run_to(end + 40);
    assert!(cluster.nodes[4].replica.is_none() && cluster.nodes[4].blocks.len() as u64 == end);
    assert!(cluster.sent.keys().all(|(epoch, signer, ..)| (*epoch, *signer) != (1, 4)));
}

/// A validator with h = 16, whose checkpoint says that the epoch ends with slot 24: h+L is 32.
fn at_a_checkpoint() -> (Cluster, StableCheckpoint) {
    let mut cluster = replacing();
    cluster.run_until("h = 16", |cluster| cluster.replica(1).stable() == Slot(16));
    let checkpoint = StableCheckpoint::clone(&cluster.nodes[1].checkpoints[&Slot(16)]);
    assert!(checkpoint.header.epoch_end.is_some());
    cluster.queue.clear();
    (cluster, checkpoint)
}

#[test]
fn view_change_that_reports_a_slot_beyond_the_end_refused() {
    let check = |slot: u64, expected: Option<Rejection>| {
        let (mut cluster, checkpoint) = at_a_checkpoint();
        let last_vote = Some(LastVote { view: View(0), digest: Digest([7; 32]) });
        let reports = vec![SlotReport { slot: Slot(slot), last_vote, prepared: None }];
        let body = ViewChange { view: View(2), stable: Some(checkpoint), reports };
        let view_changes =
            [0, 2, 3].map(|signer| Arc::new(forge(&cluster.set, signer, body.clone()))).to_vec();
        cluster.nodes[1].rejections.clear();
        let new_view = NewView { view: View(2), view_changes };
        cluster.deliver(2, 1, Message::NewView(Arc::new(forge(&cluster.set, 2, new_view))));
        assert_eq!(cluster.last_rejection(1), expected, "slot {slot}");
    };
    check(24, None);
    check(25, Some(Rejection::BadReport));
}

#[test]
fn window_shrinks_to_the_end_of_the_epoch() {
    let (mut cluster, _) = at_a_checkpoint();
    let seal = |slot: u64| Seal { slot: Slot(slot), header: Digest([7; 32]) };
    for (slot, expected) in [(24, None), (25, Some(Rejection::FarSlot)), (32, Some(Rejection::FarSlot))] {
        let message = Message::Seal(forge(&cluster.set, 3, seal(slot)));
        cluster.nodes[1].rejections.clear();
        cluster.deliver(3, 1, message);
        assert_eq!(cluster.last_rejection(1), expected, "slot {slot}: h+L is 32, the end 24");
    }
}

#[test]
fn what_does_not_prove_itself_is_refused_from_another_epoch() {
    let mut cluster = replacing();
    cluster.run_until("the end", |cluster| cluster.nodes.iter().all(|node| node.epoch == 1));
    let none = HighestVotes { of: id(1), prepare: None, commit: None, view_change: None };
    let of_epoch_0 = Header { slot: Slot(16), ..cluster.nodes[0].blocks[15].0.clone() };
    let certificate = cluster.nodes[0].blocks[15].2.clone().expect("sealed");
    let checkpoint = StableCheckpoint { header: of_epoch_0, certificate };
    let messages = [
        // "I hold nothing of yours" says nothing of this epoch: the start-up guard must not count it.
        VerifiedMessage::HighestVotes(Arc::new(none)),
        VerifiedMessage::Fetch(Fetch::HighestVotes(id(3))),
        VerifiedMessage::Stable(Arc::new(checkpoint)),
    ];
    for message in messages {
        let (what, from) = (format!("{message:?}"), id(3));
        cluster.nodes[1].rejections.clear();
        cluster.input(1, Input::OtherEpoch { from, epoch: Epoch(0), message });
        assert_eq!(cluster.last_rejection(1), Some(Rejection::OtherEpoch), "{what}");
    }
}

#[test]
fn guard_of_a_new_epoch_waits_for_answers_of_that_epoch() {
    let mut cluster = replacing();
    cluster.nodes[3].keeps_its_journal = true;
    // Only validator 1 reaches the new epoch; all it hears is of the old one.
    cluster.run_until("h = 16", |cluster| cluster.replica(1).stable() == Slot(16));
    cluster.filter = Box::new(|_, to, message| {
        let seals = |data: &Data| matches!(data, Data::Stable(_) | Data::Block(_));
        to == id(1)
            || !matches!(message, Message::Seal(_)) && !matches!(message, Message::Data(data) if seals(data))
    });
    cluster.run_until("the end", |cluster| cluster.nodes[1].epoch == 1);
    cluster.run_for(5_000_000);
    assert!(cluster.nodes.iter().enumerate().all(|(index, node)| (node.epoch == 1) == (index == 1)));
    assert!(cluster.replica(1).is_guarded(), "nobody of its epoch has answered");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the others", |cluster| cluster.nodes[..3].iter().all(|node| node.epoch == 1));
    cluster.run_until("its end", |cluster| cluster.nodes[3].replica.is_none());
    cluster.start(3);
    cluster.run_to(40);
    check_epochs(&cluster, 24);
}

/// Random numbers that follow from a seed.
#[derive(Clone)]
struct Dice(Rc<Cell<u64>>);

impl Dice {
    fn of(seed: u64) -> Self {
        Dice(Rc::new(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)))
    }

    fn below(&self, limit: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        state % limit
    }
}

/// Crashes, or lets a power cut come within the next records or at the end of the epoch; one node at a time.
fn harm(cluster: &mut Cluster, dice: &Dice, stay: u64) {
    if cluster.running().count() as u64 > stay.saturating_sub(1) {
        let index = usize::try_from(dice.below(stay)).expect("few");
        match dice.below(3) {
            0 => cluster.crash(index),
            1 => cluster.nodes[index].persists_left = Some(1 + usize::try_from(dice.below(6)).expect("few")),
            _ => cluster.nodes[index].keeps_its_journal = true,
        }
    }
}

/// Two ends under loss, crashes and power cuts; then no more faults, and all must go on.
fn ends_under_faults(seed: u64) {
    let dice = Dice::of(seed);
    // One goes at the first end in half of the runs; somebody's key is replaced at each.
    let n = 4 + usize::try_from(dice.below(2)).expect("few");
    let mut cluster = Cluster::new(n);
    let first = cluster.plan(1 + dice.below(12), &[0, 1, 2, 13]);
    let second = cluster.plan(first + 1 + dice.below(12), &[0, 11, 2, 13]);
    let (loss, drops) = (dice.below(25), dice.clone());
    cluster.filter = Box::new(move |_, _, _| drops.below(100) >= loss);
    for step in 0..40_000_u64 {
        if dice.below(300) == 0 {
            harm(&mut cluster, &dice, 4);
        }
        // Cuts that were set earlier may come at once.
        if step % 64 == 0 && dice.below(4) == 0 || cluster.running().next().is_none() {
            for index in (0..4).filter(|index| cluster.nodes[*index].replica.is_none()).collect::<Vec<_>>() {
                cluster.start(index);
            }
        }
        if cluster.running().any(|replica| replica.last_executed() > Slot(second + 20)) {
            break;
        }
        cluster.step();
    }
    cluster.filter = Box::new(|_, _, _| true);
    for node in &mut cluster.nodes {
        (node.persists_left, node.keeps_its_journal) = (None, false);
    }
    for index in 0..4 {
        if cluster.nodes[index].replica.is_none() {
            cluster.start(index);
        }
    }
    let goal = cluster.running().map(|replica| replica.last_executed().0).max().unwrap_or(0).max(second) + 16;
    cluster.run_until(&format!("seed {seed}: slot {goal}"), |cluster| {
        (0..4).all(|index| cluster.replica(index).last_executed() >= Slot(goal))
    });
    for (epoch, above, end) in [(0, 0, first), (1, first, second), (2, second, u64::MAX)] {
        assert!(voted(&cluster, epoch).all(|slot| slot > above && slot <= end), "seed {seed}, epoch {epoch}");
    }
    assert!(cluster.nodes.iter().all(|node| node.halted.is_none()), "seed {seed}");
}

#[test]
fn epochs_end_under_loss_crashes_and_power_cuts_and_the_network_goes_on() {
    (0..60).for_each(ends_under_faults);
}
