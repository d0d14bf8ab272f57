//! The papers' properties by name. Each holds in every run of the core as it is, and fails in some run of the core with a
//! bug that it is meant to exclude: a property that no bug can break says nothing.

use carat_consensus::planted;
use carat_types::Quorum;
use carat_types::genesis::{LeaderBounds, Trust};
use carat_zoo::plan::{Behaviour, Plan};
use carat_zoo::planted::Planted;
use carat_zoo::properties::*;
use carat_zoo::simulation::Simulation;
use carat_zoo::trace::Wanted;
use carat_zoo::witness::Witness;

/// Who misbehaves in the runs.
#[derive(Clone, Copy, Debug)]
enum World {
    /// Nobody lies; processes crash.
    Crashes,
    /// The same, with a T0 that the delays of disks and signers fit, as section 10 demands of all delays.
    CrashesInTime,
    /// f proposers lie, acceptors at worst crash, and FAST decides: the world of the Fast Paxos paper.
    LyingProposers,
    /// f validators follow a strategy.
    Liars(&'static str),
    /// The same, watched by T1 alone: the bounds of section 14 would hide what it lacks.
    LiarsWithoutBounds(&'static str),
}

/// Runs one seed to its end, whatever rule it breaks on the way.
fn run(world: World, n: u16, seed: u64, bug: &'static str) -> Witness {
    let adversary = match world {
        World::Crashes | World::CrashesInTime => None,
        World::LyingProposers => Some(Behaviour::BadProposer),
        World::Liars(name) | World::LiarsWithoutBounds(name) => {
            Some(Behaviour::named(name).expect("a strategy of this name"))
        }
    };
    let trust = if matches!(world, World::LyingProposers) { Trust::Crash } else { Trust::Bft };
    let mut plan = Plan::of(seed, Some(n), adversary, Some(trust));
    if adversary.is_none() {
        plan.adversaries.clear();
    }
    if matches!(world, World::CrashesInTime) {
        plan.params.timeout_ms = 1_000;
    }
    if matches!(world, World::LiarsWithoutBounds(_)) {
        let never = 3_600_000;
        plan.params.leader =
            LeaderBounds { wait_ms: never, unfairness_ms: never, rate_percent: 1, pause_ms: never };
    }
    planted::choose(bug);
    let shell = Planted::ALL.into_iter().find(|planted| planted.name() == bug);
    let outcome = Simulation::new(plan, shell, Wanted::Hash).observed().run();
    planted::choose("");
    outcome.witness.expect("observed")
}

/// Seeds in which a property must hold.
const SEEDS: u64 = 30;
/// Seeds within which a bug must break it.
const PATIENCE: u64 = 200;

fn check(world: World, n: u16, bug: &'static str, property: impl Fn(&Witness) -> Finding) {
    for seed in 0..SEEDS {
        assert_eq!(property(&run(world, n, seed, "")), Ok(()), "seed {seed} in a world of {world:?}");
    }
    let broken = (0..PATIENCE).find_map(|seed| Some((seed, property(&run(world, n, seed, bug)).err()?)));
    assert!(broken.is_some(), "{bug} breaks nothing in {PATIENCE} seeds");
}

fn safety(run: &Witness) -> Finding {
    cs1_only_a_proposed_value_is_chosen(run)?;
    cs2_only_a_single_value_is_chosen(run)?;
    cs3_only_a_chosen_value_is_learned(run)
}

fn liveness(run: &Witness) -> Finding {
    cl1_some_value_is_eventually_chosen(run)?;
    cl2_what_is_chosen_is_eventually_learned(run)
}

#[test]
fn cs1_only_a_proposed_value_may_be_chosen() {
    check(World::LyingProposers, 4, "votes-twice", cs1_only_a_proposed_value_is_chosen);
}

#[test]
fn cs2_only_a_single_value_may_be_chosen() {
    check(World::LyingProposers, 4, "votes-forgotten-in-the-choice", cs2_only_a_single_value_is_chosen);
}

#[test]
fn cs3_only_a_chosen_value_may_be_learned() {
    check(World::Liars("fast-path-liar"), 4, "acts-on-fast", cs3_only_a_chosen_value_is_learned);
}

#[test]
fn cl1_some_proposed_value_is_eventually_chosen() {
    check(World::Crashes, 4, "waits-for-the-new-view-for-ever", cl1_some_value_is_eventually_chosen);
}

#[test]
fn cl2_correct_learners_eventually_learn_what_is_chosen() {
    check(World::Crashes, 4, "asks-for-payloads-once", cl2_what_is_chosen_is_eventually_learned);
}

#[test]
fn lemma_1_trust_change_is_safe_while_processes_crash() {
    check(World::Crashes, 4, "votes-forgotten-in-the-choice", safety);
}

#[test]
fn lemma_2_trust_change_is_live_while_processes_crash() {
    check(World::Crashes, 7, "view-change-sent-once", liveness);
}

#[test]
fn lemma_3_new_leader_cannot_change_a_chosen_value_undetected() {
    check(
        World::Liars("view-change-liar"),
        4,
        "certificates-forgotten-in-the-choice",
        votes_keep_what_was_chosen_before,
    );
}

#[test]
fn theorem_1_fast_paxos_is_safe_with_lying_proposers() {
    check(World::LyingProposers, 4, "votes-of-one-view-only", |run| {
        safety(run)?;
        votes_keep_what_was_chosen_before(run)
    });
}

#[test]
fn lemma_26_8_two_quorums_share_a_correct_node() {
    check(World::Liars("mixed"), 5, "quorum-is-2f+1", lemma_26_8_quorums_share_a_correct_node);
}

#[test]
fn lemma_26_18_sequence_numbers_are_unique_within_a_view() {
    check(
        World::Liars("equivocate"),
        4,
        "prepared-by-one-vote-less",
        lemma_26_18_one_prepared_value_in_a_view,
    );
}

#[test]
fn theorem_26_26_sequence_numbers_are_unique_across_views() {
    check(
        World::Liars("equivocate"),
        4,
        "certificates-forgotten-in-the-choice",
        theorem_26_26_one_executed_value_across_views,
    );
}

#[test]
fn ladder_of_f_plus_1_and_2f_plus_1_has_correct_nodes_behind_agreements() {
    check(
        World::Liars("sync-liar"),
        4,
        "block-by-one-seal",
        ladder_agreements_have_correct_nodes_behind_them,
    );
}

/// The rungs as sets of nodes: N = f+1 nodes that agree are right, 2f+1 have a correct majority, and of 3f+1 a quorum
/// answers though f are silent, and shares a correct node with every other; one node less, and it does not.
#[test]
fn ladder_of_n_is_climbed_by_the_product_thresholds() {
    for n in [4usize, 5, 6, 7, 10, 13] {
        let quorum = Quorum::of(n).expect("a possible size");
        let (f, q) = (quorum.faults(), quorum.quorum());
        assert!(quorum.one_correct() == f + 1 && f < f + 1, "f+1: one is correct, n = {n}");
        assert!(q - f > f, "2f+1: the correct ones are the majority of a quorum, n = {n}");
        assert!(q <= n - f, "3f+1: a quorum answers, n = {n}");
        assert!(2 * q - n > f, "3f+1: two quorums share a correct node, n = {n}");
        assert!(n > 3 * f + 1 || 2 * (q - 1) - n <= f, "a smaller quorum would not do, n = {n}");
    }
    assert!(Quorum::of(3).is_err(), "3f nodes cannot bear f faults, f = 1");
}

#[test]
fn muteness_detector_is_complete() {
    check(World::Crashes, 4, "waits-for-the-new-view-for-ever", |run| {
        let calm = run.calm.as_ref().expect("the faults end");
        mute_leaders_are_suspected_by_all(run, |leader| !calm.core.contains(&leader))
    });
}

#[test]
fn muteness_detector_is_eventually_accurate() {
    check(World::CrashesInTime, 4, "suspects-at-once", good_leaders_are_eventually_trusted);
}

#[test]
fn mute_leader_is_suspected_though_it_sends_heartbeats() {
    check(World::LiarsWithoutBounds("heartbeat-only-censor"), 4, "any-progress-stops-the-clock", |run| {
        let liars = run.liars.clone();
        mute_leaders_are_suspected_by_all(run, move |leader| liars.contains(&leader))
    });
}
