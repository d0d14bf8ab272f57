//! The zoo: every bug has its place, the copy of the core without one does what the product does, and the bugs that
//! show within a few seeds are killed. The others are hunted by `./scripts/zoo.sh`.

#[path = "../src/quarry.rs"]
mod quarry;

use std::collections::BTreeSet;

use carat_consensus::LOST;
use carat_sim::trace::Wanted;
use quarry::{Quarry, hunt};

/// Bugs that take more than a hundred seeds: `./scripts/zoo.sh` hunts them.
const SLOW: &[&str] = &[
    "certificates-over-votes",
    "chunks-not-proved",
    "contradicted-votes-repeated",
    "follows-2f+1-only",
    "gaps-not-filled",
    "held-blocks-never-taken",
    "invalid-view-change-stops-the-leader",
    "never-follows",
    "time-outs-without-a-limit",
];

/// Seeds in which all other bugs show.
const SEEDS: u64 = 500;

#[test]
fn every_bug_has_its_place_in_the_core() {
    assert_eq!(LOST, [] as [&str; 0], "the core's text has changed: see tests/sim/zoo/core/bugs");
}

#[test]
fn zoo_holds_more_than_forty_bugs_of_different_names() {
    let names: BTreeSet<&str> = Quarry::all().iter().map(Quarry::name).collect();
    assert_eq!(names.len(), Quarry::all().len());
    assert!(names.len() >= 40, "{} bugs", names.len());
    assert!(Quarry::all().iter().all(|quarry| !quarry.origin().is_empty()));
}

#[test]
fn copy_without_a_bug_runs_as_the_product_does() {
    for seed in 0..20 {
        let product = carat_sim::runner::run_seed(seed, carat_sim::runner::Options::default(), Wanted::Hash);
        let copy = carat_zoo::runner::run_seed(
            seed,
            carat_zoo::runner::Options::default(),
            carat_zoo::trace::Wanted::Hash,
        );
        assert_eq!((product.events, product.trace_hash), (copy.events, copy.trace_hash), "seed {seed}");
    }
}

#[test]
fn bugs_that_show_soon_are_killed() {
    let mut survivors = Vec::new();
    for quarry in Quarry::all().into_iter().filter(|quarry| !SLOW.contains(&quarry.name())) {
        match (0..SEEDS).find_map(|seed| hunt(&quarry, seed)) {
            Some(kill) => {
                println!("{} is killed in seed {}: {}", quarry.name(), kill.seed, kill.violation.rule)
            }
            None => survivors.push(quarry.name()),
        }
    }
    assert_eq!(survivors, [] as [&str; 0]);
}
