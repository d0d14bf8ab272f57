//! Slow leaders (T5). Leader 0 is dead, and the test proposes in its name: always something valid, and never enough.

use carat_consensus::Input;
use carat_consensus::effect::{Bound, Report, Trigger};
use carat_types::batch::BlockLimits;
use carat_types::genesis::{ConsensusConstants, LeaderBounds};
use carat_types::message::Message;
use carat_types::{Slot, View};

use crate::harness::*;

const SECOND: u64 = 1_000_000;
/// T0, and so the grace of view 0.
const GRACE: u64 = 4 * SECOND;

/// Bounds so wide that nothing breaks them, for a test to narrow one.
const WIDE: LeaderBounds =
    LeaderBounds { wait_ms: 60_000, unfairness_ms: 60_000, rate_percent: 0, pause_ms: 60_000 };

fn constants(leader: LeaderBounds) -> ConsensusConstants {
    // No T7 for want of heartbeats: the test sends none.
    ConsensusConstants { timeout_ms: 4_000, heartbeat_ms: 10_000, leader, ..params() }
}

/// Leader 0 is dead from slot 1 on.
fn led_by_hand(constants: ConsensusConstants) -> Cluster {
    let mut cluster = Cluster::with(4, constants);
    cluster.run_to(1);
    cluster.settle();
    cluster.crash(0);
    cluster
}

/// Proposes these transactions in the name of leader 0, if it still leads.
fn propose(cluster: &mut Cluster, numbers: &[u64]) {
    let (header, ..) = cluster.nodes[1].blocks.last().expect("slot 1");
    let (slot, parent) = (header.slot.next(), header.prefix);
    let view = cluster.replica(1).view();
    if !view.0.is_multiple_of(4) {
        return;
    }
    let payload = payload_of(cluster.now(1).wall_ms, numbers);
    for to in 1..4 {
        let message = proposal(&cluster.set, 0, view.0, slot.0, parent, &payload);
        cluster.deliver(0, to, message);
    }
    cluster.settle();
}

/// For `us`, ten times a second: what `each` names is admitted and, so far as it says so, ordered.
fn drive(cluster: &mut Cluster, us: u64, mut each: impl FnMut(&mut Cluster, u64)) {
    for step in 0..us / 100_000 {
        each(cluster, step);
        cluster.run_for(100_000);
    }
}

/// The first bound that node 1 found broken.
fn demoted(cluster: &Cluster) -> Option<Bound> {
    cluster.nodes[1].reports.iter().find_map(|report| match report {
        Report::LeaderDemoted { bound, .. } => Some(*bound),
        _ => None,
    })
}

#[track_caller]
fn check_demoted(cluster: &Cluster, bound: Bound) {
    assert_eq!(demoted(cluster), Some(bound), "{}", cluster.describe());
    let slow =
        |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::SlowLeader, .. });
    assert!(cluster.nodes[1].reports.iter().any(slow), "T5");
    assert!(cluster.replica(1).view() > View(0));
}

#[test]
fn leader_that_leaves_the_oldest_transaction_waiting_is_demoted_by_lambda() {
    let mut cluster = led_by_hand(constants(LeaderBounds { wait_ms: 2_000, ..WIDE }));
    drive(&mut cluster, GRACE, |cluster, step| propose(cluster, &[step]));
    cluster.admit(999);
    drive(&mut cluster, SECOND * 19 / 10, |cluster, step| propose(cluster, &[100 + step]));
    assert_eq!(demoted(&cluster), None, "not before LAMBDA");
    drive(&mut cluster, SECOND, |cluster, step| propose(cluster, &[200 + step]));
    check_demoted(&cluster, Bound::Wait);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(1, 999).len() == 1);
}

#[test]
fn leader_that_holds_one_client_back_is_demoted_by_omega() {
    let mut cluster = led_by_hand(constants(LeaderBounds { unfairness_ms: 1_000, ..WIDE }));
    let serve = |cluster: &mut Cluster, number| {
        cluster.admit(number);
        propose(cluster, &[number]);
    };
    drive(&mut cluster, GRACE, |cluster, step| serve(cluster, step));
    cluster.admit(999);
    drive(&mut cluster, SECOND * 9 / 10, |cluster, step| serve(cluster, 100 + step));
    assert_eq!(demoted(&cluster), None, "not before OMEGA");
    drive(&mut cluster, SECOND, |cluster, step| serve(cluster, 200 + step));
    check_demoted(&cluster, Bound::Unfairness);
}

#[test]
fn leader_that_pauses_while_transactions_wait_is_demoted_by_g_but_not_in_its_grace() {
    let mut cluster = led_by_hand(constants(LeaderBounds { pause_ms: 1_000, ..WIDE }));
    cluster.run_for(GRACE / 2);
    cluster.admit(1);
    cluster.run_for(GRACE / 2 + SECOND * 8 / 10);
    assert_eq!(demoted(&cluster), None, "a view has T(k) of grace");
    cluster.run_for(SECOND);
    check_demoted(&cluster, Bound::Pause);
}

/// What is proposed and has not got its votes: only the leader's pipeline says how much that may be.
#[test]
fn leader_with_a_full_pipeline_pauses_in_good_faith() {
    let limits = ConsensusConstants { pipeline: 1, ..constants(LeaderBounds { pause_ms: 1_000, ..WIDE }) };
    let mut cluster = led_by_hand(limits);
    cluster.run_for(GRACE);
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Commit(_)));
    propose(&mut cluster, &[1]);
    cluster.admit(2);
    cluster.run_for(3 * SECOND);
    assert_eq!(cluster.replica(1).status().highest_vote, Slot(2));
    assert_eq!(cluster.replica(1).last_final(), Slot(1), "what it proposed is still open");
    assert_eq!(demoted(&cluster), None);
}

/// In its grace only T1 and T7 watch a leader: LAMBDA is a fourth of T(0) here.
#[test]
fn leader_has_its_grace_whatever_the_bounds() {
    let mut cluster = led_by_hand(constants(LeaderBounds { wait_ms: 1_000, ..WIDE }));
    cluster.admit(1);
    cluster.run_for(GRACE * 9 / 10);
    assert_eq!(demoted(&cluster), None);
    propose(&mut cluster, &[1]);
    cluster.run_for(GRACE);
    assert_eq!(demoted(&cluster), None, "what waited is ordered");
    assert_eq!(cluster.replica(1).view(), View(0));
}

/// Nobody's proposals arrive, so that every leader pauses for too long.
#[test]
fn each_demotion_of_a_rotation_relaxes_the_bound_by_a_tenth() {
    let mut cluster = led_by_hand(constants(LeaderBounds { pause_ms: 1_000, ..WIDE }));
    cluster.filter = Box::new(|_, _, message| !matches!(message, Message::Proposal(_)));
    for view in 0..3 {
        cluster.run_until("the next view", |cluster| {
            cluster.running().all(|it| it.is_active() && it.view() == View(view))
        });
        // Two T(0): the grace of the third view. Nothing waits in it, and T7 comes later.
        cluster.run_for(2 * GRACE + SECOND / 2);
        cluster.admit(view);
        cluster.run_for(2 * SECOND);
        (0..4).for_each(|index| {
            cluster.input(index, Input::Withdrawn(vec![transaction(view).hash]));
        });
    }
    // Not each finds the bound broken in each view: two that do take the others along (T4).
    let allowed = [1, 2, 3].map(|index| pauses_allowed(&cluster, index));
    for (index, found) in allowed.iter().enumerate() {
        let expected: Vec<u64> = (10..).take(found.len()).map(|tenths| SECOND * tenths / 10).collect();
        assert_eq!(*found, expected, "node {}\n{}", index + 1, cluster.describe());
    }
    assert!(allowed.iter().any(|found| found.len() >= 2), "{allowed:?}");
}

/// What node `index` allowed each time that it found the bound G broken.
fn pauses_allowed(cluster: &Cluster, index: usize) -> Vec<u64> {
    let allowed = |report: &Report| match report {
        Report::LeaderDemoted { bound: Bound::Pause, allowed, .. } => Some(*allowed),
        _ => None,
    };
    cluster.nodes[index].reports.iter().filter_map(allowed).collect()
}

#[test]
fn idle_leader_is_demoted_by_no_bound() {
    let leader = LeaderBounds { wait_ms: 500, unfairness_ms: 500, rate_percent: 100, pause_ms: 500 };
    let mut cluster = Cluster::with(4, ConsensusConstants { leader, ..params() });
    cluster.run_for(60 * SECOND);
    assert_eq!(cluster.replica(1).view(), View(0), "heartbeats once a second are enough");
}

#[test]
fn leader_that_fills_its_term_with_junk_is_demoted() {
    let block = BlockLimits { bytes: 1 << 10, ..BlockLimits::default() };
    let mut cluster = led_by_hand(ConsensusConstants { block, ..constants(WIDE) });
    cluster.admit(9_999);
    let batch = |from: u64| (from..from + 10).collect::<Vec<_>>();
    drive(&mut cluster, GRACE, |cluster, step| propose(cluster, &batch(step * 10)));
    assert_eq!(demoted(&cluster), None, "no junk so far");
    let mut cluster = led_by_hand(ConsensusConstants { block, ..constants(WIDE) });
    (1..4).for_each(|index| cluster.nodes[index].sees_junk = true);
    cluster.run_for(GRACE);
    cluster.admit(9_999);
    drive(&mut cluster, 3 * SECOND, |cluster, step| propose(cluster, &batch(step * 10)));
    check_demoted(&cluster, Bound::Junk);
}

/// What one client sends in a moment is no tenth of a term, however small the term is so far.
#[test]
fn leader_is_not_demoted_for_the_junk_of_one_client() {
    let block = BlockLimits { bytes: 1 << 10, ..BlockLimits::default() };
    let mut cluster = led_by_hand(ConsensusConstants { block, ..constants(WIDE) });
    cluster.run_for(GRACE);
    cluster.admit(9_999);
    (1..4).for_each(|index| cluster.nodes[index].sees_junk = true);
    propose(&mut cluster, &[1, 2, 3]);
    (1..4).for_each(|index| cluster.nodes[index].sees_junk = false);
    cluster.run_for(3 * SECOND / 2);
    drive(&mut cluster, 2 * SECOND, |cluster, step| {
        let from = 10 + step * 10;
        propose(cluster, &(from..from + 10).collect::<Vec<_>>());
    });
    assert_eq!(demoted(&cluster), None);
}

/// Full batches in the order of arrival are all that a leader can do, even if transactions wait longer than T(k).
#[test]
fn full_batches_excuse_a_wait_up_to_lambda_and_others_do_not() {
    for (taken, excused) in [(10, true), (4, false)] {
        let block = BlockLimits { transactions: 10, ..BlockLimits::default() };
        // A share of 30 of the pool waits for 600 ms at 50 a second, longer than T0.
        let limits = ConsensusConstants { block, timeout_ms: 500, pool: 120, ..constants(WIDE) };
        let leader = LeaderBounds { wait_ms: 3_000, ..WIDE };
        let mut cluster = led_by_hand(ConsensusConstants { leader, ..limits });
        let (mut admitted, mut ordered) = (0, 0);
        propose(&mut cluster, &(10_000..10_000 + taken).collect::<Vec<_>>());
        drive(&mut cluster, 5 * SECOND, |cluster, step| {
            while admitted < ordered + 110 {
                cluster.admit(admitted);
                admitted += 1;
            }
            if step % 2 == 0 {
                propose(cluster, &(ordered..ordered + taken).collect::<Vec<_>>());
                ordered += taken;
            }
        });
        let stays = cluster.replica(1).view() == View(0);
        assert_eq!(stays, excused, "batches of {taken} of 10\n{}", cluster.describe());
    }
}

/// Four honest views under load make the reference; then leader 0, dead again, is to lead view 4.
///
/// **Returns** the cluster, and the number of the next transaction.
fn with_a_reference() -> (Cluster, u64) {
    let leader = LeaderBounds { wait_ms: 4_000, rate_percent: 90, unfairness_ms: 60_000, pause_ms: 60_000 };
    let limits = ConsensusConstants { term: 480, pool: 80, ..constants(leader) };
    let mut cluster = Cluster::with(4, limits);
    cluster.run_to(1);
    let mut number = 0;
    while cluster.replica(1).view() < View(4) {
        cluster.admit(number);
        number += 1;
        cluster.run_for(20_000);
        assert!(number < 10_000, "{}", cluster.describe());
    }
    cluster.run_until("view 4", |cluster| cluster.running().all(|it| it.is_active() && it.view() == View(4)));
    cluster.settle();
    assert_eq!(demoted(&cluster), None, "an honest leader under load breaks no bound");
    cluster.crash(0);
    (cluster, number)
}

/// It orders the oldest in time, and a fifth of what is offered.
#[test]
fn leader_that_orders_less_than_the_others_is_demoted_by_delta() {
    let (mut cluster, mut number) = with_a_reference();
    let mut next = number;
    drive(&mut cluster, 20 * SECOND, |cluster, _| {
        for _ in 0..5 {
            cluster.admit(number);
            number += 1;
        }
        // The pool refuses what is too much for it, so what comes next is what it holds.
        while cluster.nodes[1].blocks.last().is_some_and(|_| cluster.slots_of(1, next).len() == 1) {
            next += 1;
        }
        propose(cluster, &[next]);
    });
    check_demoted_in(&cluster, Bound::Rate, View(4));
}

/// A fifth of what the others ordered, because no more is offered.
#[test]
fn leader_that_orders_all_of_little_is_demoted_by_no_bound() {
    let (mut cluster, number) = with_a_reference();
    drive(&mut cluster, 20 * SECOND, |cluster, step| {
        cluster.admit(number + step + 1);
        propose(cluster, &[number + step]);
    });
    assert_eq!(cluster.replica(1).view(), View(4), "{}", cluster.describe());
    assert_eq!(demoted(&cluster), None);
}

#[track_caller]
fn check_demoted_in(cluster: &Cluster, bound: Bound, view: View) {
    let found = cluster.nodes[1].reports.iter().any(|report| {
        matches!(report, Report::LeaderDemoted { bound: found, view: at, .. } if *found == bound && *at == view)
    });
    assert!(found, "{bound:?} in {view}\n{}", cluster.describe());
    assert!(cluster.replica(1).last_executed() > Slot(1));
}
