//! `trust = crash`: Byzantine-Proposer Fast Paxos. Acceptors only crash, and FAST decides.

use carat_consensus::Record;
use carat_consensus::effect::{Finality, Report, Rule, Trigger};
use carat_types::genesis::Trust;
use carat_types::message::Message;
use carat_types::{Slot, View};

use crate::harness::*;

fn crash_only(n: usize) -> Cluster {
    Cluster::trusting(n, params(), Trust::Crash)
}

/// Message delays from a proposal to its execution at node 1, with one validator dead.
fn delays_to_execution(trust: Trust) -> usize {
    let mut cluster = Cluster::trusting(4, params(), trust);
    cluster.run_to(1);
    cluster.settle();
    cluster.crash(3);
    cluster.admit(1);
    let mut delays = 0;
    while cluster.slots_of(1, 1).is_empty() {
        cluster.delay();
        delays += 1;
        assert!(delays < 10, "{}", cluster.describe());
    }
    delays
}

#[test]
fn proposal_is_executed_after_two_message_delays_and_after_three_where_acceptors_may_lie() {
    assert_eq!(delays_to_execution(Trust::Crash), 2, "PRE-PREPARE, PREPARE");
    assert_eq!(delays_to_execution(Trust::Bft), 3, "PRE-PREPARE, PREPARE, COMMIT");
}

#[test]
fn fast_is_final_without_commits_and_without_certificates_in_the_journal() {
    for n in [1, 4, 5, 7] {
        let mut cluster = crash_only(n);
        let faults = (n - 1) / 3;
        (n - faults..n).for_each(|index| cluster.crash(index));
        (0..20).for_each(|number| cluster.admit(number));
        cluster.run_to(40);
        for node in &cluster.nodes[..n - faults] {
            assert!(
                node.executed.iter().all(|it| matches!(it.finality, Finality::Fast(_) | Finality::Prefix(_)))
            );
            assert!(!node.journal.iter().any(|record| matches!(record, Record::Prepared(_))), "J4");
            let acted_on = |report: &Report| matches!(report, Report::RuleMet { rule, .. } if !matches!(rule, Rule::Fast | Rule::Seal));
            assert!(!node.reports.iter().any(acted_on));
        }
        assert_eq!(cluster.checked.get("COMMIT"), None, "none was sent");
        assert!(cluster.replica(0).stable() >= Slot(32), "n = {n}: SEALs and checkpoints rest on FAST");
        assert_eq!(cluster.replica(0).view(), View(0));
    }
}

/// TRUSTCHANGE: node 2 alone does not hear the leader.
#[test]
fn one_validator_moves_all_others() {
    let mut cluster = crash_only(4);
    cluster.run_to(3);
    cluster.filter = Box::new(|from, to, message| {
        to != id(2)
            || from == id(2)
            || !matches!(message, Message::Proposal(_) | Message::Prepare(_) | Message::Data(_))
    });
    cluster.admit(7);
    let followed =
        |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::Followed, .. });
    cluster.run_until("the others follow", |cluster| {
        [0, 1, 3].iter().all(|index| cluster.nodes[*index].reports.iter().any(followed))
    });
    let on_its_own = |report: &Report| {
        matches!(report, Report::ViewChangeStarted { trigger: Trigger::Waiting | Trigger::Idle, .. })
    };
    assert!(cluster.nodes[2].reports.iter().any(on_its_own));
    assert!([0, 1, 3].iter().all(|index| !cluster.nodes[*index].reports.iter().any(on_its_own)));
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(8);
}

/// A lying proposer shows its own acceptor another value; node 1 alone hears of the quorum, executes, and dies.
#[test]
fn value_that_one_executed_survives_its_death_and_a_lying_proposer() {
    let mut cluster = crash_only(4);
    cluster.run_to(1);
    cluster.settle();
    let (header, ..) = cluster.nodes[0].blocks.last().expect("slot 1");
    let (slot, parent) = (header.slot.next(), header.prefix);
    let time = cluster.now(0).wall_ms;
    cluster.filter = Box::new(|_, to, message| match message {
        Message::Prepare(_) | Message::Seal(_) | Message::Status(_) => to == id(1),
        _ => true,
    });
    let chosen = payload_of(time, &[1]);
    for to in 1..4 {
        let message = proposal(&cluster.set, 0, 0, slot.0, parent, &chosen);
        cluster.deliver(0, to, message);
    }
    // The own acceptor of the leader takes the first value that its core proposes: another one.
    cluster.input(0, carat_consensus::Input::Admitted(transaction(2)));
    cluster.settle();
    assert_eq!(cluster.slots_of(1, 1), [slot.0], "FAST at node 1");
    assert!([0, 2, 3].iter().all(|index| cluster.slots_of(*index, 1).is_empty()));
    cluster.crash(1);
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_to(slot.0 + 2);
    for index in [0, 2, 3] {
        assert_eq!(cluster.slots_of(index, 1), [slot.0], "the choice of the next view keeps it");
        assert!(cluster.replica(index).view() > View(0));
    }
}

#[test]
fn network_that_stops_and_starts_goes_on_from_its_votes() {
    let mut cluster = crash_only(4);
    cluster.run_to(11);
    (0..4).for_each(|index| cluster.crash(index));
    (0..4).for_each(|index| cluster.start(index));
    cluster.admit(1);
    cluster.run_until("all ordered", |cluster| (0..4).all(|index| cluster.slots_of(index, 1).len() == 1));
    let last = cluster.replica(0).last_executed().0;
    cluster.run_to(last + 20);
    assert!((0..4).all(|index| cluster.nodes[index].halted.is_none()));
}
