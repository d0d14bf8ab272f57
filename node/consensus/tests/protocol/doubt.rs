//! Who may be the cause itself blames nobody: a replica that is cut off stays in its view (decision record 72).

use std::cell::Cell;
use std::rc::Rc;

use carat_consensus::Input;
use carat_consensus::effect::{Report, Trigger};
use carat_types::View;

use crate::harness::*;

const SECOND_US: u64 = 1_000_000;

impl Cluster {
    /// Until the cell says otherwise, nothing passes between those for whom `side` answers differently.
    fn split(&mut self, side: impl Fn(usize) -> usize + 'static) -> Rc<Cell<bool>> {
        let is_split = Rc::new(Cell::new(true));
        let flag = Rc::clone(&is_split);
        self.filter =
            Box::new(move |from, to, _| !flag.get() || side(usize::from(from.0)) == side(usize::from(to.0)));
        is_split
    }

    fn left(&self, index: usize) -> bool {
        let left = |report: &Report| matches!(report, Report::ViewChangeStarted { .. });
        self.nodes[index].reports.iter().any(left)
    }
}

#[test]
fn validator_that_was_cut_off_votes_as_soon_as_it_is_back() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    let is_split = cluster.split(|index| usize::from(index == 3));
    // Its own client's transaction waits, too: T1 counts that, T7 the silence.
    cluster.input(3, Input::Admitted(transaction(1)));
    cluster.run_for(20 * SECOND_US);
    is_split.set(false);
    cluster.admit(1);
    cluster.run_for(2 * SECOND_US);
    assert!(!cluster.left(3), "{}", cluster.describe());
    cluster.crash(2);
    let next = cluster.replica(0).last_executed().0 + 2;
    cluster.run_to(next);
    assert!((0..4).all(|index| !cluster.left(index)), "its vote was there at once: {}", cluster.describe());
}

#[test]
fn validator_that_reaches_nobody_when_it_starts_blames_nobody() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(3);
    cluster.run_to(6);
    let is_split = cluster.split(|index| usize::from(index == 3));
    cluster.start(3);
    cluster.run_for(10 * SECOND_US);
    is_split.set(false);
    let next = cluster.replica(0).last_executed().0 + 2;
    cluster.run_to(next);
    assert!(!cluster.left(3), "{}", cluster.describe());
}

#[test]
fn halves_of_a_network_that_meet_again_go_on_in_their_view() {
    for cut_off_us in (10 * SECOND_US..12 * SECOND_US).step_by(100_000) {
        let mut cluster = Cluster::new(4);
        cluster.run_to(3);
        let is_split = cluster.split(|index| index / 2);
        cluster.admit(1);
        cluster.run_for(cut_off_us);
        is_split.set(false);
        cluster.run_until("all ordered", |cluster| (0..4).all(|index| cluster.slots_of(index, 1).len() == 1));
        assert!((0..4).all(|index| !cluster.left(index)), "{cut_off_us}: {}", cluster.describe());
        assert!(cluster.running().all(|replica| replica.view() == View(0)));
    }
}

/// The leader is dead, and nobody of the others can know that before one of them is back. Then it is given its time.
#[test]
fn dead_leader_is_left_when_a_quorum_is_heard_again() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.crash(0);
    cluster.crash(3);
    cluster.admit(1);
    cluster.run_for(20 * SECOND_US);
    assert!((1..3).all(|index| cluster.replica(index).view() == View(0)), "no view would do better");
    cluster.start(3);
    let start_us = cluster.now_us;
    cluster.admit(1);
    cluster.run_until("all ordered", |cluster| (1..4).all(|index| cluster.slots_of(index, 1).len() == 1));
    let took_us = cluster.now_us - start_us;
    assert!((SECOND_US..=3 * SECOND_US).contains(&took_us), "{took_us} us");
}

#[test]
fn dead_leader_is_left_beside_another_that_is_silent() {
    let mut cluster = Cluster::new(7);
    cluster.run_to(3);
    cluster.crash(0);
    cluster.crash(4);
    cluster.run_for(5 * SECOND_US);
    cluster.admit(1);
    let start_us = cluster.now_us;
    let alive = [1, 2, 3, 5, 6];
    cluster.run_until("all ordered", |cluster| {
        alive.into_iter().all(|index| cluster.slots_of(index, 1).len() == 1)
    });
    assert!(cluster.now_us - start_us <= SECOND_US, "the view had changed by T7: {}", cluster.describe());
    let idle = |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::Idle, .. });
    assert!(alive.into_iter().any(|index| cluster.nodes[index].reports.iter().any(idle)));
}

/// A transaction that comes when its slot is final, and not executed: what the ledger shows does not tell that it is late.
#[test]
fn validator_that_has_not_executed_what_is_final_blames_nobody() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.nodes[3].hold_execution = true;
    (0..3).for_each(|index| cluster.input(index, Input::Admitted(transaction(1))));
    cluster.run_until("ordered", |cluster| cluster.slots_of(0, 1).len() == 1);
    let slot = cluster.replica(0).last_final();
    cluster.run_until("final everywhere", |cluster| cluster.replica(3).last_final() >= slot);
    cluster.input(3, Input::Admitted(transaction(1)));
    cluster.run_for(3 * SECOND_US);
    assert!(cluster.replica(3).last_executed() < slot, "{}", cluster.describe());
    assert!(!cluster.left(3), "its leader ordered it at once: {}", cluster.describe());
    cluster.nodes[3].hold_execution = false;
    cluster.release_executions(3);
    cluster.run_for(3 * SECOND_US);
    assert!(!cluster.left(3) && cluster.slots_of(3, 1).len() == 1, "{}", cluster.describe());
}

/// Something is always final and not yet executed. That is no excuse for the leader: all that was final when the transaction had
/// waited for its time is executed, and it was not there.
#[test]
fn leader_that_leaves_one_out_is_left_by_a_validator_that_executes_late() {
    let mut cluster = Cluster::new(4);
    cluster.run_to(3);
    cluster.nodes[3].hold_execution = true;
    cluster.input(3, Input::Admitted(transaction(1_000)));
    for number in 0..40 {
        let held = cluster.nodes[3].held.len();
        cluster.admit(number);
        cluster.run_for(SECOND_US / 10);
        assert!(cluster.nodes[3].held.len() > held, "execution lags: {}", cluster.describe());
        cluster.release_executions(3);
    }
    assert!(cluster.left(3), "{}", cluster.describe());
}
