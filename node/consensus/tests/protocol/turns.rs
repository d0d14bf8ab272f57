//! Leaders that failed in their turn are passed over for a while (decision record 70).

use carat_consensus::Rejection;
use carat_consensus::effect::{Report, Trigger};
use carat_types::genesis::ConsensusConstants;
use carat_types::message::{Commit, Message, Status};
use carat_types::{Digest, Slot, View};

use crate::harness::*;

/// Terms of four slots, so that a rotation of four leaders is sixteen.
fn short_terms(n: usize) -> Cluster {
    Cluster::with(n, ConsensusConstants { term: 4, ..params() })
}

impl Cluster {
    /// These say where they stand, and vote, and begin no view and propose nothing.
    fn mute(&mut self, leaders: &'static [usize]) {
        self.filter = Box::new(|from, _, message| {
            let leads =
                matches!(message, Message::NewView(_) | Message::Proposal(_) | Message::Announcement(_));
            !(leads && leaders.contains(&usize::from(from.0)))
        });
    }
}

/// The views that a node left since their leader did not begin them (T2).
fn not_begun(cluster: &Cluster, index: usize) -> Vec<u64> {
    let left = |report: &Report| match report {
        Report::ViewChangeStarted { left, trigger: Trigger::NoNewView, .. } => Some(left.0),
        _ => None,
    };
    cluster.nodes[index].reports.iter().filter_map(left).collect()
}

fn passed_over(cluster: &Cluster, index: usize) -> Vec<u64> {
    let view = |report: &Report| match report {
        Report::LeaderPassedOver { view, leader } => {
            assert_eq!(u64::from(leader.0), view.0 % cluster.n as u64, "its own turn");
            Some(view.0)
        }
        _ => None,
    };
    cluster.nodes[index].reports.iter().filter_map(view).collect()
}

#[test]
fn dead_leader_is_waited_for_once_and_then_passed_over_for_longer_and_longer() {
    let mut cluster = short_terms(4);
    cluster.mute(&[1]);
    cluster.run_until("many rotations", |cluster| cluster.replica(0).view() > View(60));
    // Tried in its turns 1, 3, 6, 11: passed over once, twice, four times.
    let tried = [1, 9, 21, 41];
    for index in [0, 2, 3] {
        let waited = not_begun(&cluster, index);
        assert!(waited.iter().all(|view| tried.contains(view)), "node {index} waited in views {waited:?}");
        let passed = passed_over(&cluster, index);
        assert_eq!(passed[..7], [5, 13, 17, 25, 29, 33, 37], "node {index}");
    }
}

#[test]
fn leader_that_is_back_gets_its_turn_and_all_is_forgiven() {
    let mut cluster = short_terms(4);
    cluster.mute(&[1]);
    cluster.run_until("it is passed over", |cluster| cluster.replica(0).view() > View(5));
    cluster.mute(&[]);
    cluster.run_until("its next turn", |cluster| cluster.replica(0).view() > View(9));
    let later = cluster.replica(0).view().0 + 16;
    cluster.run_until("four rotations", |cluster| cluster.replica(0).view() > View(later));
    for index in [0, 2, 3] {
        assert_eq!(not_begun(&cluster, index).iter().filter(|view| **view > 1).count(), 0, "node {index}");
        assert_eq!(passed_over(&cluster, index), [5], "node {index}");
    }
}

#[test]
fn two_dead_leaders_in_a_row_are_both_passed_over_at_n_7() {
    let mut cluster = short_terms(7);
    cluster.mute(&[1, 2]);
    cluster.run_until("two rotations", |cluster| cluster.replica(0).view() > View(10));
    for index in [0, 3, 4, 5, 6] {
        assert_eq!(passed_over(&cluster, index), [8, 9], "node {index}");
    }
}

/// More than f cannot have failed by themselves: then the network did, and each has its turn.
#[test]
fn nobody_is_passed_over_when_more_than_f_have_failed() {
    let mut cluster = short_terms(4);
    cluster.filter = Box::new(|from, _, message| !matches!(message, Message::NewView(_)) || from.0 % 3 == 0);
    cluster.run_until("two rotations", |cluster| cluster.replica(0).view() > View(8));
    assert_eq!(not_begun(&cluster, 0), [1, 2, 5, 6]);
    for index in 0..4 {
        assert_eq!(passed_over(&cluster, index), [] as [u64; 0], "node {index}");
    }
}

/// Votes of the view that follows come before its NEW-VIEW now and then: they are kept, also where a view is skipped.
#[test]
fn votes_of_the_view_behind_a_passed_one_are_kept_until_it_is_entered() {
    let mut cluster = short_terms(4);
    cluster.mute(&[1]);
    cluster.run_until("before its second turn", |cluster| cluster.replica(3).view() == View(4));
    cluster.settle();
    assert!(cluster.running().all(|replica| replica.view() == View(4)));
    let vote = |view: u64| {
        let (slot, digest) = (cluster.replica(3).last_executed().0 + 2, Digest([7; 32]));
        Message::Commit(forge(&cluster.set, 2, Commit(ballot(view, slot, digest, digest))))
    };
    let (passed, behind) = (vote(5), vote(6));
    cluster.deliver(2, 3, passed);
    assert_eq!(cluster.last_rejection(3), Some(Rejection::FarView));
    cluster.nodes[3].rejections.clear();
    cluster.deliver(2, 3, behind);
    assert_eq!(cluster.last_rejection(3), None);
}

/// Nobody waits for who has not been heard for three seconds, not even once; and who is back has its turn.
#[test]
fn leader_that_is_away_is_not_waited_for() {
    let mut cluster = Cluster::with(7, ConsensusConstants { term: 8, ..params() });
    cluster.run_until("the third turn", |cluster| cluster.replica(0).view() == View(3));
    cluster.crash(5);
    cluster.crash(6);
    cluster.run_until("the rotation's end", |cluster| cluster.running().all(|it| it.view() >= View(7)));
    for index in 0..5 {
        assert_eq!(not_begun(&cluster, index), [] as [u64; 0], "node {index}");
        assert_eq!(passed_over(&cluster, index), [5, 6], "node {index}");
    }
    cluster.start(5);
    cluster.run_until("its turn", |cluster| cluster.replica(0).view() > View(13));
    assert_eq!(passed_over(&cluster, 0), [5, 6, 13]);
    assert_eq!(not_begun(&cluster, 0), [] as [u64; 0]);
}

/// Of what is to come the messages of one view are kept. Were that another one as soon as a leader falls silent, votes of two views would
/// be taken for votes of one.
#[test]
fn view_whose_messages_are_kept_is_the_same_for_as_long_as_the_present_one_lasts() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(1);
    cluster.run_for(10_000_000);
    let slot = cluster.replica(3).last_executed().0 + 2;
    for (view, digest) in [(2, Digest([2; 32])), (1, Digest([1; 32]))] {
        cluster.nodes[3].rejections.clear();
        let vote = Message::Commit(forge(&cluster.set, 2, Commit(ballot(view, slot, digest, digest))));
        cluster.deliver(2, 3, vote);
        assert_eq!(cluster.last_rejection(3), (view == 2).then_some(Rejection::FarView));
    }
}

/// A leader that is a window behind proposes heartbeats only, and says so.
#[test]
fn leader_that_says_it_is_far_behind_is_not_waited_for() {
    let mut cluster = short_terms(4);
    let window = cluster.params.window;
    cluster.twist = Box::new(|from, message| match message {
        Message::Status(status) if from == id(1) => {
            Message::Status(Status { last_executed: Slot(1), ..status })
        }
        other => other,
    });
    cluster.run_to(window);
    let (view, passed) = (cluster.replica(0).view().0, passed_over(&cluster, 0).len());
    assert_eq!(passed, 0, "not behind by a window yet");
    cluster.run_until("two rotations", |cluster| cluster.replica(0).view() > View(view + 8));
    let passed = passed_over(&cluster, 0);
    assert!(passed.len() >= 2 && passed.iter().all(|view| view % 4 == 1), "{passed:?}");
}

#[test]
fn network_whose_leaders_are_slow_now_and_then_orders_on() {
    let mut cluster = short_terms(4);
    cluster.run_to(1);
    for round in 0..12 {
        let sleeper = round % 4;
        cluster.crash(sleeper);
        let target = cluster.running().map(|replica| replica.last_executed().0).max().unwrap_or(0) + 6;
        cluster.run_to(target);
        cluster.start(sleeper);
        cluster.run_to(target + 2);
    }
    assert!(cluster.replica(0).last_executed() > Slot(60));
}
