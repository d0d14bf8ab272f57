//! View change.

use carat_consensus::effect::{Report, Trigger};
use carat_consensus::{Input, Record, Replica, Timer};
use carat_types::genesis::ConsensusConstants;
use carat_types::header::prefix_digest;
use carat_types::message::{
    Commit, Data, Justification, Message, NewView, PrePrepare, Prepare, ProposalSignature, Status,
};
use carat_types::{Epoch, Slot, View};
use std::sync::Arc;

use crate::harness::*;

#[test]
fn crashed_leader_is_replaced_and_pending_transactions_are_ordered() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(0);
    cluster.admit(9);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(1, 9).len() == 1);
    assert_eq!(cluster.replica(1).view(), View(1));
    let waited =
        |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::Waiting, .. });
    assert!((1..4).any(|index| cluster.nodes[index].reports.iter().any(waited)), "T1");
    cluster.run_to(12);
}

#[test]
fn idle_network_turns_when_its_leader_dies() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(0);
    cluster.run_to(10);
    let idle = |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::Idle, .. });
    assert!((1..4).any(|index| cluster.nodes[index].reports.iter().any(idle)), "T7");
}

/// Slots that become final say nothing for a leader while the oldest transaction waits (section 10, T1): the bound of full blocks would
/// leave it much later.
#[test]
fn leader_that_orders_nothing_but_heartbeats_is_left_after_t0() {
    let mut cluster = Cluster::with(4, ConsensusConstants { heartbeat_ms: 100, ..params() });
    cluster.run_to(3);
    (1..4).for_each(|index| cluster.input(index, Input::Admitted(transaction(9))));
    cluster.run_until("another view", |cluster| cluster.replica(1).view() > View(0));
    let trigger = |report: &Report| match report {
        Report::ViewChangeStarted { trigger, .. } => Some(*trigger),
        _ => None,
    };
    let triggers: Vec<Trigger> =
        (1..4).filter_map(|index| cluster.nodes[index].reports.iter().find_map(trigger)).collect();
    assert!(triggers.contains(&Trigger::Waiting) && !triggers.contains(&Trigger::SlowLeader), "{triggers:?}");
    cluster.run_until("the transaction", |cluster| cluster.slots_of(1, 9).len() == 1);
}

/// A restart finds an old transaction, gossiped while it was down; the block that settled it is on its way. Blaming the
/// leader for it would leave the others' view alone, and cost a vote until they leave too (decision record 8).
#[test]
fn validator_that_is_behind_blames_nobody() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(3);
    cluster.admit(7);
    cluster.run_to(30);
    cluster.filter =
        Box::new(|_, to, message| to != id(3) || !matches!(message, Message::Data(Data::Block(_))));
    cluster.start(3);
    cluster.input(3, carat_consensus::Input::Admitted(transaction(7)));
    cluster.run_for(2_500_000);
    assert!(cluster.replica(3).last_executed() < Slot(30), "no block came");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(36);
    let left = |report: &Report| matches!(report, Report::ViewChangeStarted { .. });
    assert!(!cluster.nodes[3].reports.iter().any(left));
    assert_eq!(cluster.replica(3).view(), View(0));
}

/// Leader 0 and node 3 are dead, and `claimants` say in their names that they are far ahead.
///
/// **Returns** the cluster, and how to let time pass under these claims.
fn far_ahead(claimants: &'static [usize]) -> (Cluster, impl Fn(&mut Cluster, u64)) {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(0);
    cluster.crash(3);
    let claim = Status { last_executed: Slot(1_000), ..Status::default() };
    let pass = move |cluster: &mut Cluster, us: u64| {
        for _ in 0..us / 250_000 {
            for (from, to) in claimants.iter().flat_map(|from| [(*from, 1), (*from, 2)]) {
                cluster.deliver(from, to, Message::Status(claim));
            }
            cluster.run_for(250_000);
        }
    };
    (cluster, pass)
}

/// How many of nodes 1 and 2 found the network idle (T7).
fn idle_at(cluster: &Cluster) -> usize {
    let idle = |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::Idle, .. });
    [1, 2].into_iter().filter(|index| cluster.nodes[*index].reports.iter().any(idle)).count()
}

/// f liars may say that they are far ahead: that excuses nobody, and T7 comes after HEARTBEAT + T(0).
#[test]
fn claims_of_f_validators_do_not_keep_a_dead_leader() {
    let (mut cluster, pass) = far_ahead(&[3]);
    pass(&mut cluster, 2_500_000);
    assert_eq!(idle_at(&cluster), 2, "{}", cluster.describe());
}

/// One of f+1 is honest and has more; but perhaps nobody can prove it any more, and then a new view orders it again.
#[test]
fn claims_of_more_than_f_excuse_for_a_while_and_not_for_ever() {
    let (mut cluster, pass) = far_ahead(&[0, 3]);
    pass(&mut cluster, 2_500_000);
    assert_eq!(idle_at(&cluster), 0, "HEARTBEAT + 2 T(0) are not over");
    pass(&mut cluster, 1_500_000);
    assert_eq!(idle_at(&cluster), 2, "{}", cluster.describe());
}

/// Two validators are passive in view 4, the third in view 5, the fourth, which would lead view 4, is dead. Were only
/// VIEW-CHANGEs for exactly the own view counted, nobody would ever move (decision record 1).
#[test]
fn view_changes_for_a_higher_view_start_the_wait_for_new_view() {
    let mut cluster = Cluster::new(4);
    for index in 0..4 {
        cluster.crash(index);
    }
    for (index, view) in [(1, 4), (2, 4), (3, 5)] {
        let sent = Arc::new(forge(&cluster.set, index, view_change(view)));
        cluster.nodes[index].journal = vec![Record::View(Epoch(0), View(view)), Record::ViewChange(sent)];
        cluster.start(index);
    }
    cluster.run_until("a view that works", |cluster| cluster.running().all(Replica::is_active));
    let timed_out =
        |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::NoNewView, .. });
    assert!((1..3).any(|index| cluster.nodes[index].reports.iter().any(timed_out)), "T2");
    cluster.run_to(3);
}

#[test]
fn two_dead_leaders_in_a_row_are_passed_at_n_7() {
    let mut cluster = Cluster::new(7);
    cluster.run_to(3);
    cluster.crash(0);
    cluster.crash(1);
    cluster.admit(4);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(3, 4).len() == 1);
    assert_eq!(cluster.replica(3).view(), View(2));
}

#[test]
fn prepared_values_are_proposed_again_and_the_gap_is_null() {
    let mut cluster = Cluster::with(4, ConsensusConstants { pipeline: 8, ..params() });
    cluster.run_to(1);
    cluster.settle();
    // Slots from 3 on reach everybody, slot 2 nobody; so nobody votes, and the new view proves 2 and above free.
    cluster.filter = Box::new(|_, _, message| match message {
        Message::Proposal(proposal) => proposal.signed.body.slot == Slot(3),
        _ => true,
    });
    for number in 0..3 {
        cluster.input(0, carat_consensus::Input::Admitted(transaction(number)));
        cluster.settle();
    }
    cluster.crash(0);
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(8);
    assert!(cluster.replica(1).view() >= View(1));
}

#[test]
fn value_that_was_committed_by_one_survives_the_view_change() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    // Only node 1 gets COMMITs; then it is cut off together with the leader's death.
    cluster.filter = Box::new(|from, to, message| match message {
        Message::Commit(_) => to == id(1),
        Message::Prepare(_) => from != id(3),
        _ => true,
    });
    cluster.admit(5);
    cluster.settle();
    let slot = cluster.slots_of(1, 5);
    assert_eq!(slot.len(), 1, "final at node 1 alone");
    assert!(cluster.slots_of(2, 5).is_empty());
    cluster.crash(0);
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the others", |cluster| {
        cluster.slots_of(2, 5).len() == 1 && cluster.slots_of(3, 5).len() == 1
    });
    assert_eq!(cluster.slots_of(2, 5), slot, "forced into the same slot");
    cluster.run_to(10);
}

#[test]
fn transaction_of_a_batch_that_lost_its_slot_is_ordered_later() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    // The leader's batch reaches nobody.
    cluster.filter = Box::new(|from, _, message| from != id(0) || !matches!(message, Message::Proposal(_)));
    cluster.admit(5);
    cluster.settle();
    cluster.crash(0);
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(1, 5).len() == 1);
    cluster.start(0);
    cluster.run_until("the old leader", |cluster| cluster.slots_of(0, 5).len() == 1);
    cluster.run_to(15);
}

#[test]
fn two_proposals_of_one_leader_are_proof_against_it() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    cluster.crash(0);
    let parent = cluster.nodes[1].blocks[0].0.prefix;
    let time = cluster.now(1).wall_ms;
    let (a, b) = (payload_of(time, &[1]), payload_of(time, &[2]));
    let slot = cluster.replica(1).status().highest_vote.0 + 1;
    assert_eq!(slot, 2);
    for (to, payload) in [(1, &a), (2, &b), (3, &b)] {
        let message = proposal(&cluster.set, 0, 0, slot, parent, payload);
        cluster.deliver(0, to, message);
    }
    cluster.settle();
    for index in 1..4 {
        let proof = |report: &Report| {
            matches!(
                report,
                Report::ViewChangeStarted { trigger: Trigger::LeaderProof | Trigger::Followed, .. }
            )
        };
        assert!(cluster.nodes[index].reports.iter().any(proof), "T3 at {index}\n{}", cluster.describe());
    }
    cluster.run_to(6);
    assert_eq!(cluster.slots_of(1, 2), vec![slot], "two of three voted for it, so it had to be kept");
}

#[test]
fn conflicting_prepare_without_a_proof_moves_nobody() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    cluster.filter = Box::new(|from, _, _| from != id(3));
    let parent = cluster.nodes[1].blocks[0].0.prefix;
    let lie = payload_of(1, &[6]).value.digest();
    let vote = ballot(0, 2, lie, prefix_digest(&parent, Slot(2), &lie));
    cluster.input(0, carat_consensus::Input::Admitted(transaction(1)));
    cluster.settle();
    let signature = forge(&cluster.set, 3, Prepare(vote)).signature;
    let justification = Justification::Proposal(ProposalSignature { parent, signature });
    let signed = forge(&cluster.set, 3, Prepare(vote));
    cluster.deliver(3, 1, Message::Prepare(carat_types::message::PrepareMessage { signed, justification }));
    assert_eq!(cluster.replica(1).view(), View(0));
    assert!(cluster.nodes[1].rejections.iter().any(|(_, reason)| reason.name() == "unjustified"));
}

#[test]
fn one_validator_alone_moves_nobody_and_f_plus_1_move_all() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    let vc = |cluster: &Cluster, signer| {
        Message::ViewChange(Arc::new(forge(&cluster.set, signer, view_change(5))))
    };
    let message = vc(&cluster, 3);
    cluster.deliver(3, 1, message);
    assert_eq!(cluster.replica(1).view(), View(0));
    let message = vc(&cluster, 2);
    cluster.deliver(2, 1, message);
    assert_eq!(cluster.replica(1).view(), View(5), "T4");
}

#[test]
fn commit_of_an_old_view_is_read_as_final_but_never_answered() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Commit(_)));
    cluster.filter = Box::new(|from, to, message| match message {
        Message::Commit(_) => false,
        Message::Prepare(_) => from != id(3),
        _ => to != id(3),
    });
    cluster.admit(1);
    cluster.settle();
    let voted = cluster.replica(1).status().highest_vote;
    assert_eq!(voted, Slot(2));
    let own = |cluster: &Cluster| {
        cluster.nodes[1]
            .journal
            .iter()
            .rev()
            .find_map(|record| match record {
                carat_consensus::Record::Vote(ballot, ..) if ballot.slot == Slot(2) => Some(*ballot),
                _ => None,
            })
            .expect("voted for slot 2")
    };
    let ballot = own(&cluster);
    for signer in [2, 3] {
        let message = Message::ViewChange(Arc::new(forge(&cluster.set, signer, view_change(5))));
        cluster.deliver(signer, 1, message);
    }
    assert_eq!(cluster.replica(1).view(), View(5));
    for signer in [0, 2, 3] {
        let message = Message::Commit(forge(&cluster.set, signer, Commit(ballot)));
        cluster.deliver(signer, 1, message);
    }
    assert_eq!(cluster.replica(1).last_final(), Slot(2));
}

#[test]
fn timeouts_double_only_after_f_plus_1_fruitless_views() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    // No NEW-VIEW ever arrives: views pass by T2.
    cluster.filter = Box::new(|_, _, message| {
        !matches!(
            message,
            Message::NewView(_) | Message::Proposal(_) | Message::Commit(_) | Message::Prepare(_)
        )
    });
    cluster.run_for(60_000_000);
    let view = cluster.replica(3).view().0;
    assert!((6..=16).contains(&view), "views in a minute: {view}");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.admit(3);
    cluster.run_until("healing", |cluster| (0..4).all(|index| cluster.slots_of(index, 3).len() == 1));
}

/// Whoever left a view alone, and was caught up with after several T0, waits as long as the others from then on.
#[test]
fn replica_that_left_alone_takes_over_the_pace_of_those_who_came_later() {
    let second = 1_000_000;
    for (waited, expected) in [(0, 1), (1, 1), (3, 4), (7, 8), (600, 10)] {
        let mut cluster = Cluster::new(4);
        cluster.run_to(1);
        cluster.settle();
        [0, 1, 3].into_iter().for_each(|index| cluster.crash(index));
        // The others are heard, say nothing of this view, and then no more.
        cluster.run_for(3 * second / 2);
        [0, 3].into_iter().for_each(|from| cluster.deliver(from, 2, Message::Status(Status::default())));
        cluster.run_until("it leaves alone", |cluster| cluster.replica(2).view() == View(1));
        cluster.now_us += waited * second;
        assert!(!cluster.nodes[2].timers.contains_key(&Timer::NewView), "no quorum is there yet");
        for signer in [0, 3] {
            let message = Message::ViewChange(Arc::new(forge(&cluster.set, signer, view_change(1))));
            cluster.deliver(signer, 2, message);
        }
        let patience = cluster.nodes[2].timers[&Timer::NewView] - cluster.now_us;
        assert_eq!(patience, expected * second, "after {waited} s");
        // What comes later of the same view changes nothing.
        cluster.now_us += 60 * second;
        let message = Message::ViewChange(Arc::new(forge(&cluster.set, 1, view_change(1))));
        cluster.deliver(1, 2, message);
        for signer in [0, 3] {
            let message = Message::ViewChange(Arc::new(forge(&cluster.set, signer, view_change(3))));
            cluster.deliver(signer, 2, message);
        }
        let patience = cluster.nodes[2].timers[&Timer::NewView] - cluster.now_us;
        // T4, with nobody to wait for: another view without a final slot, of which f+1 double the time-out.
        let doubled = if waited < 2 { 2 } else { expected };
        assert_eq!(patience, doubled * second, "after {waited} s");
    }
}

#[test]
fn invalid_new_view_of_the_leader_is_proof_against_it() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.crash(1);
    for signer in [0, 3] {
        let message = Message::ViewChange(Arc::new(forge(&cluster.set, signer, view_change(1))));
        cluster.deliver(signer, 2, message);
    }
    assert_eq!(cluster.replica(2).view(), View(1));
    // Two VIEW-CHANGEs where three are demanded.
    let view_changes = [0, 3].map(|signer| Arc::new(forge(&cluster.set, signer, view_change(1)))).to_vec();
    let new_view = NewView { view: View(1), view_changes };
    let message = Message::NewView(Arc::new(forge(&cluster.set, 1, new_view)));
    cluster.deliver(1, 2, message);
    assert_eq!(cluster.replica(2).view(), View(2), "T3");
    assert_eq!(cluster.last_rejection(2).map(|reason| reason.name()), Some("wrong_quorum"));
}

#[test]
fn fresh_proposal_for_a_forced_slot_is_refused() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(0);
    cluster.run_to(5);
    assert_eq!(cluster.replica(2).view(), View(1));
    let body = PrePrepare {
        view: View(1),
        slot: Slot(1),
        parent: chain_id(),
        digest: payload_of(1, &[1]).value.digest(),
    };
    let message = Message::Proposal(Arc::new(carat_types::message::Proposal {
        signed: forge(&cluster.set, 1, body),
        payload: payload_of(1, &[1]),
    }));
    cluster.deliver(1, 2, message);
    assert_eq!(cluster.last_rejection(2).map(|reason| reason.name()), Some("forced_slot"));
}

/// Puts node 1 of a cluster at slot 1 into view 2, whose NEW-VIEW forces slot 1 again, leaves slot 2 free and forces
/// slot 3 to a payload that node 1 does not hold.
fn forced_with_a_gap(payload: &Arc<carat_types::batch::Payload>) -> Cluster {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    let first = cluster.nodes[1].blocks[0].0.batch;
    let report = |slot: u64, digest| carat_types::message::SlotReport {
        slot: Slot(slot),
        last_vote: Some(carat_types::message::LastVote { view: View(0), digest }),
        prepared: None,
    };
    let view_changes = [0, 2, 3]
        .map(|signer| {
            let reports = vec![report(1, first), report(3, payload.value.digest())];
            let body = carat_types::message::ViewChange { view: View(2), stable: None, reports };
            Arc::new(forge(&cluster.set, signer, body))
        })
        .to_vec();
    cluster.filter = Box::new(|_, _, _| false);
    let new_view = NewView { view: View(2), view_changes };
    let message = Message::NewView(Arc::new(forge(&cluster.set, 2, new_view)));
    cluster.deliver(2, 1, message);
    assert_eq!(cluster.replica(1).view(), View(2));
    cluster
}

#[test]
fn missing_payload_of_a_forced_slot_is_fetched() {
    let payload = payload_of(1, &[42]);
    let mut cluster = forced_with_a_gap(&payload);
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(2), "not before the payload is there");
    let message = Message::Data(carat_types::message::Data::Payload(Arc::clone(&payload)));
    cluster.deliver(3, 1, message);
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(3));
}

#[test]
fn gap_below_a_forced_slot_is_executed_as_null() {
    let payload = payload_of(1, &[42]);
    let mut cluster = forced_with_a_gap(&payload);
    cluster.deliver(3, 1, Message::Data(carat_types::message::Data::Payload(Arc::clone(&payload))));
    let voted = |cluster: &Cluster, slot: u64| {
        cluster.nodes[1]
            .journal
            .iter()
            .find_map(|record| match record {
                carat_consensus::Record::Vote(ballot, ..)
                    if ballot.view == View(2) && ballot.slot == Slot(slot) =>
                {
                    Some(*ballot)
                }
                _ => None,
            })
            .expect("voted")
    };
    assert_eq!(voted(&cluster, 2).digest, carat_types::batch::null_digest());
    let ballot = voted(&cluster, 3);
    for signer in [0, 2, 3] {
        cluster.deliver(signer, 1, Message::Commit(forge(&cluster.set, signer, Commit(ballot))));
    }
    let chain = &cluster.nodes[1].blocks;
    assert_eq!(chain[1].0.batch, carat_types::batch::null_digest());
    assert_eq!(chain[1].0.time_ms, chain[0].0.time_ms + 1);
    assert_eq!(chain[2].0.batch, payload.value.digest());
}

/// Node 1 has voted for slot 2 in view 0 and holds its certificate, and nothing is final above slot 1.
fn prepared_but_not_final() -> Cluster {
    let mut cluster = Cluster::new(4);
    cluster.run_to(1);
    cluster.settle();
    cluster.filter = Box::new(|from, _, message| match message {
        Message::Commit(_) => false,
        Message::Prepare(_) => from != id(3),
        _ => true,
    });
    cluster.admit(1);
    cluster.settle();
    let status = cluster.replica(1).status();
    assert_eq!((status.highest_vote, status.last_final), (Slot(2), Slot(1)));
    cluster
}

#[test]
fn view_change_reports_votes_and_certificates() {
    let mut cluster = prepared_but_not_final();
    for signer in [2, 3] {
        let message = Message::ViewChange(Arc::new(forge(&cluster.set, signer, view_change(5))));
        cluster.deliver(signer, 1, message);
    }
    let sent = cluster.nodes[1].journal.iter().rev().find_map(|record| match record {
        carat_consensus::Record::ViewChange(signed) => Some(Arc::clone(signed)),
        _ => None,
    });
    let reports = &sent.expect("J5").body.reports;
    assert_eq!(reports.iter().map(|report| report.slot.0).collect::<Vec<_>>(), [1, 2]);
    for report in reports {
        let vote = report.last_vote.expect("voted");
        let prepared = report.prepared.as_ref().expect("committed").body.0;
        assert_eq!((vote.view, vote.digest), (View(0), prepared.digest));
        assert_eq!(prepared.slot, report.slot);
    }
}

#[test]
fn final_value_that_contradicts_the_own_votes_stops_them() {
    let mut cluster = prepared_but_not_final();
    let below = cluster.nodes[1].blocks[0].0.prefix;
    let other = payload_of(1, &[50]).value.digest();
    let decided = ballot(0, 2, other, prefix_digest(&below, Slot(2), &other));
    let body = Commit(decided);
    let votes = [0, 2, 3].map(|signer| (id(signer), forge(&cluster.set, signer, body).signature));
    let certificate = carat_types::certificate::Certificate::assemble(body, votes);
    cluster.deliver(3, 1, Message::Data(carat_types::message::Data::Commit(certificate)));
    assert_eq!(cluster.replica(1).last_final(), Slot(2));
    cluster.admit(2);
    cluster.settle();
    assert_eq!(cluster.replica(0).status().highest_vote, Slot(3), "the leader goes on, on the other log");
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(2), "I7");
}

#[test]
fn certificate_for_a_higher_slot_finalises_the_slots_below_it() {
    let mut cluster = prepared_but_not_final();
    cluster.admit(2);
    cluster.settle();
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(3));
    let ballot = cluster.nodes[1]
        .journal
        .iter()
        .find_map(|record| match record {
            carat_consensus::Record::Vote(ballot, ..) if ballot.slot == Slot(3) => Some(*ballot),
            _ => None,
        })
        .expect("voted");
    for signer in [0, 2, 3] {
        cluster.deliver(signer, 1, Message::Commit(forge(&cluster.set, signer, Commit(ballot))));
    }
    let evidence: Vec<_> = cluster.nodes[1].executed.iter().map(|execute| &execute.finality).collect();
    assert!(matches!(evidence[1], carat_consensus::effect::Finality::Prefix(Slot(3))));
    assert!(matches!(evidence[2], carat_consensus::effect::Finality::Commit(_)));
}

#[test]
fn leader_whose_batch_was_lost_proposes_its_transactions_when_it_leads_again() {
    let mut cluster = Cluster::with(4, ConsensusConstants { term: 4, ..params() });
    cluster.run_to(1);
    cluster.settle();
    cluster.filter = Box::new(|from, _, message| from != id(0) || !matches!(message, Message::Proposal(_)));
    // Nobody else knows the transaction.
    cluster.input(0, carat_consensus::Input::Admitted(transaction(5)));
    cluster.run_until("the next view", |cluster| cluster.replica(0).view() > View(0));
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the leader's next turn", |cluster| cluster.slots_of(1, 5).len() == 1);
    assert!(cluster.replica(1).view() >= View(4));
}
