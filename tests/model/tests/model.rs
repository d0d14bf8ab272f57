//! A slice of `./scripts/model.sh`: the core as it is over fewer views, and whatever is planted that shows within two.

use carat_consensus::planted;
use carat_model::bugs::{Laxness, PLANTED};
use carat_model::explore::{Explored, sound, with};
use carat_types::genesis::Trust;

fn check_green(explored: &Explored, at_least: usize) {
    assert_eq!(explored.broken, [], "the core as it is");
    assert_eq!(explored.missing, [] as [&str; 0], "the exploration saw too little");
    // Far fewer would mean that steps were left out.
    assert!(explored.states > at_least, "{} states", explored.states);
}

#[test]
fn two_views_with_a_byzantine_acceptor_are_green() {
    check_green(&sound(Trust::Bft, 2), 20_000);
}

#[test]
fn three_views_of_acceptors_that_only_crash_are_green() {
    check_green(&sound(Trust::Crash, 3), 100_000);
}

#[test]
fn whatever_is_planted_shows_in_its_views_and_three_are_needed_where_it_says_so() {
    let mut wrong = Vec::new();
    for planted in PLANTED {
        let explored = with(planted, 2);
        if explored.broken.is_empty() != (planted.views > 2) {
            wrong.push((planted.name, planted.trust, planted.views));
        }
    }
    assert_eq!(wrong, [], "planted, where, and the views that it is said to need");
}

#[test]
fn every_planted_name_is_a_bug_of_the_zoo_or_a_laxness_of_the_world() {
    let names: Vec<&str> = planted::all().iter().map(|bug| bug.name).collect();
    for planted in PLANTED {
        let in_the_core = names.contains(&planted.name);
        assert_eq!(in_the_core, planted.laxness == Laxness::None, "{}", planted.name);
    }
}
