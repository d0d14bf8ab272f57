//! Tentative execution and TREPLY (section 11), and what every node of the harness does about them.

use std::collections::VecDeque;

use carat_consensus::{Effect, Execute, ExecuteTentatively, Input, Statement, TentativelyExecuted};
use carat_types::certificate::Certificate;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::header::{Header, prefix_digest};
use carat_types::message::{
    Commit, Data, Justification, Message, Prepare, PrepareMessage, ProposalSignature, Signed, TentativeReply,
};
use carat_types::{Digest, Slot, View};

use crate::harness::*;

/// A node's overlays, and what its clients were told.
#[derive(Default)]
pub(crate) struct Desk {
    /// Above the newest block, in order.
    overlay: Vec<Header>,
    /// Everything that was asked for.
    asked: Vec<(View, Slot)>,
    drops: usize,
    pub(crate) replies: Vec<Signed<TentativeReply>>,
    /// Answers wait while set.
    holds: bool,
    answers: VecDeque<TentativelyExecuted>,
}

impl Desk {
    /// What a crash takes away.
    pub(crate) fn crash(&mut self) {
        self.overlay.clear();
        self.answers.clear();
    }
}

impl Cluster {
    pub(crate) fn perform_tentative(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::ExecuteTentatively(execute) => self.execute_tentatively(index, *execute),
            Effect::DropTentative => {
                self.nodes[index].desk.overlay.clear();
                self.nodes[index].desk.drops += 1;
            }
            Effect::Reply(signed) => {
                self.check_reply(index, &signed);
                self.nodes[index].desk.replies.push(signed);
            }
            _ => {}
        }
    }

    fn execute_tentatively(&mut self, index: usize, execute: ExecuteTentatively) {
        let ExecuteTentatively { view, slot, payload, parent_prefix, prefix } = execute;
        let parent = self.nodes[index].desk.overlay.last().cloned();
        let parent = parent.unwrap_or_else(|| self.newest_header(index));
        assert_eq!(slot, parent.slot.next(), "tentative slots are executed in order");
        assert_eq!(parent_prefix, parent.prefix);
        let header = self.fix_end(next_header(&parent, &payload));
        assert_eq!(header.prefix, prefix);
        let desk = &mut self.nodes[index].desk;
        desk.asked.push((view, slot));
        desk.answers.push_back(TentativelyExecuted { view, slot, header: header.hash() });
        desk.overlay.push(header);
    }

    /// A final slot: the overlay is of the same log, or was dropped.
    pub(crate) fn confirm_overlay(&mut self, index: usize, execute: &Execute) {
        let desk = &mut self.nodes[index].desk;
        if !desk.overlay.is_empty() {
            let held = desk.overlay.remove(0);
            assert_eq!((held.slot, held.prefix), (execute.slot, execute.prefix), "another value's overlay");
        }
    }

    pub(crate) fn answer_tentative(&mut self, index: usize) {
        while !self.nodes[index].desk.holds
            && let Some(answer) = self.nodes[index].desk.answers.pop_front()
        {
            self.input(index, Input::TentativelyExecuted(answer));
        }
    }

    /// What all replied for a slot in a view; of each node that did.
    fn replies(&self, view: u64, slot: Slot) -> Vec<Digest> {
        let all = self.nodes.iter().flat_map(|node| &node.desk.replies);
        let of_slot = all.filter(|reply| reply.body.view == View(view) && reply.body.slot == slot);
        of_slot.map(|reply| reply.body.header).collect()
    }
}

/// Four validators at rest above some slots, whose COMMITs reach nobody from now on.
///
/// **Returns** them and the next slot.
fn without_commits() -> (Cluster, Slot) {
    let mut cluster = Cluster::with(4, ConsensusConstants { pipeline: 4, ..params() });
    cluster.run_to(3);
    cluster.settle();
    let next = cluster.replica(0).last_executed().next();
    cluster.filter = Box::new(move |from, to, message| match message {
        Message::Commit(commit) => commit.body.0.slot < next,
        // Nor is any slot final by the votes of all: one is missing everywhere.
        Message::Prepare(prepare) => {
            let is_missing = from == id(3) || (from, to) == (id(0), id(3));
            !is_missing || prepare.signed.body.0.slot < next
        }
        Message::Seal(seal) => seal.body.slot < next,
        _ => true,
    });
    (cluster, next)
}

#[test]
fn committed_slots_are_replied_to_before_they_are_final_and_as_they_become() {
    let (mut cluster, next) = without_commits();
    for number in 1..4 {
        cluster.admit(number);
        cluster.settle();
    }
    assert!(cluster.running().all(|replica| replica.last_final() < next), "nothing is final");
    let slots = [next, next.next(), next.plus(2)];
    for slot in slots {
        let replies = cluster.replies(0, slot);
        assert_eq!(replies.len(), 4, "each sent COMMIT for slot {slot}, and replies");
        assert!(replies.iter().all(|header| *header == replies[0]));
    }
    assert!(cluster.nodes.iter().all(|node| node.desk.overlay.len() == 3), "one upon the other");

    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(next.0 + 2);
    for slot in slots {
        let (header, ..) = &cluster.nodes[2].blocks[index_of(slot)];
        assert_eq!(cluster.replies(0, slot)[0], header.hash(), "the block is the one that was told");
    }
    assert!(cluster.nodes.iter().all(|node| node.desk.drops == 0), "no overlay was made in vain");
}

#[test]
fn overlay_is_dropped_with_its_view_and_the_slot_is_replied_to_in_the_next_one() {
    let (mut cluster, next) = without_commits();
    cluster.nodes[1].desk.holds = true;
    cluster.admit(1);
    cluster.settle();
    assert_eq!(cluster.nodes[1].desk.overlay.len(), 1);
    cluster.crash(0);
    cluster.run_until("view 1", |cluster| (1..4).all(|index| cluster.replica(index).view() == View(1)));
    assert!((1..4).all(|index| cluster.nodes[index].desk.drops == 1));
    // What comes late is of a view that was left: `check_reply` refuses it (I2).
    cluster.nodes[1].desk.holds = false;
    cluster.answer_tentative(1);
    assert!(cluster.nodes[1].desk.replies.iter().all(|reply| reply.body.slot < next));
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Commit(_)));
    cluster.run_until("replies of view 1", |cluster| cluster.replies(1, next).len() == 3);
    for index in 1..4 {
        assert!(cluster.nodes[index].desk.asked.contains(&(View(1), next)), "executed anew in view 1");
    }
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(next.0);
    assert_eq!(cluster.replies(1, next)[0], cluster.nodes[1].blocks[index_of(next)].0.hash());
}

/// A vote of `signer` that names the leader's proposal.
fn prepare(
    cluster: &Cluster,
    signer: usize,
    ballot: carat_types::message::Ballot,
    parent: Digest,
) -> Message {
    let body = carat_types::message::PrePrepare {
        view: ballot.view,
        slot: ballot.slot,
        parent,
        digest: ballot.digest,
    };
    let signature = forge(&cluster.set, 0, body).signature;
    let justification = Justification::Proposal(ProposalSignature { parent, signature });
    Message::Prepare(PrepareMessage { signed: forge(&cluster.set, signer, Prepare(ballot)), justification })
}

#[test]
fn overlay_is_dropped_when_another_value_is_final() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.settle();
    (0..3).for_each(|index| cluster.crash(index));
    let below = cluster.newest_header(3);
    let slot = below.slot.next();
    let payload = payload_of(below.time_ms + 1, &[7]);
    let digest = payload.value.digest();
    let told = ballot(0, slot.0, digest, prefix_digest(&below.prefix, slot, &digest));
    let proposed = proposal(&cluster.set, 0, 0, slot.0, below.prefix, &payload);
    cluster.nodes[3].desk.holds = true;
    cluster.deliver(0, 3, proposed);
    for voter in [0, 1] {
        let vote = prepare(&cluster, voter, told, below.prefix);
        cluster.deliver(voter, 3, vote);
    }
    assert_eq!(cluster.nodes[3].desk.overlay.len(), 1, "COMMIT was sent, the slot is executed tentatively");

    // One acceptor lied: the others went on without node 3, and chose otherwise in view 1.
    let other = payload_of(below.time_ms + 2, &[8]);
    let digest = other.value.digest();
    let chosen = ballot(1, slot.0, digest, prefix_digest(&below.prefix, slot, &digest));
    let commits = (0..3).map(|index| forge(&cluster.set, index, Commit(chosen)));
    let pairs: Vec<_> = commits.map(|commit| (commit.signer, commit.signature)).collect();
    let certificate = Certificate::assemble(Commit(chosen), pairs);
    cluster.deliver(0, 3, Message::Data(Data::Payload(other)));
    cluster.deliver(0, 3, Message::Data(Data::Commit(certificate)));
    cluster.nodes[3].desk.holds = false;
    cluster.answer_tentative(3);
    assert!(
        cluster.nodes[3].desk.replies.iter().all(|reply| reply.body.slot < slot),
        "nothing is told of it"
    );
    let fetched = payload_of(below.time_ms + 2, &[8]);
    cluster.deliver(0, 3, Message::Data(Data::Payload(fetched)));
    assert_eq!(cluster.nodes[3].desk.drops, 1);
    assert_eq!(cluster.nodes[3].executed.last().map(|execute| execute.payload.digest()), Some(digest));
}

#[test]
fn nothing_is_executed_tentatively_where_fast_decides() {
    let mut cluster = Cluster::trusting(4, params(), Trust::Crash);
    cluster.admit(1);
    cluster.run_to(12);
    assert!(cluster.nodes.iter().all(|node| node.desk.asked.is_empty() && node.desk.replies.is_empty()));
}

#[test]
fn reply_that_is_signed_after_its_view_was_left_is_not_given_out() {
    let mut cluster = Cluster::new(4).with_signers();
    cluster.run_to(3);
    cluster.settle();
    let next = cluster.replica(3).last_executed().next();
    // COMMITs are signed, and reach nobody; then the signer is away.
    cluster.filter = Box::new(move |from, _, message| match message {
        Message::Commit(_) => false,
        Message::Prepare(_) => from != id(3),
        _ => true,
    });
    cluster.nodes[3].desk.holds = true;
    cluster.admit(5);
    cluster.settle();
    cluster.nodes[3].signer_away = true;
    cluster.nodes[3].desk.holds = false;
    cluster.answer_tentative(3);
    let waits = |cluster: &Cluster| {
        cluster.nodes[3].unsigned.iter().any(|it| matches!(it, Statement::TentativeReply(_)))
    };
    assert!(waits(&cluster), "a TREPLY of view 0 waits for its signature");
    cluster.crash(0);
    cluster.admit(6);
    cluster.run_until("view 1 wanted", |cluster| cluster.replica(3).view() > View(0));
    assert!(waits(&cluster));
    cluster.nodes[3].signer_away = false;
    cluster.sign(3);
    let told = |reply: &Signed<TentativeReply>| reply.body.view == View(0) && reply.body.slot >= next;
    assert!(!cluster.nodes[3].desk.replies.iter().any(told));
}

#[test]
fn restarted_validator_replies_the_same_again() {
    let (mut cluster, next) = without_commits();
    cluster.admit(1);
    cluster.settle();
    assert_eq!(cluster.replies(0, next).len(), 4);
    cluster.crash(2);
    cluster.start(2);
    // `check_reply` refuses another header for the same view and slot.
    cluster.run_until("replied again", |cluster| {
        let again = cluster.nodes[2].desk.replies.iter().filter(|it| it.body.slot == next);
        again.count() == 2
    });
}
