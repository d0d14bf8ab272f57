//! Seeds that run with every test: clean runs, runs that repeat byte for byte, planted errors that are caught.

use carat_sim::plan::Behaviour;
use carat_sim::planted::Planted;
use carat_sim::runner::{Options, run_seed, run_seeds};
use carat_sim::trace::Wanted;

/// Runs seeds and fails with the first broken rule.
fn check_clean(first: u64, count: u64, n: Option<u16>) {
    let options = Options { n, ..Options::default() };
    let summary = run_seeds(first, count, 2, options, |_, _| ());
    assert_eq!(summary.failures, [], "hint: ./scripts/sim.sh --seed S --trace shows a run");
    assert_eq!(summary.seeds, count);
    assert!(summary.acknowledged > count, "clients get somewhere: {summary:?}");
}

/// Runs seeds with an error in every validator, until a rule is broken that the error must break.
fn check_caught(planted: Planted, rules: &[&str]) {
    let options = Options { n: Some(4), planted: Some(planted), ..Options::default() };
    let caught = (0..100).find_map(|seed| run_seed(seed, options, Wanted::Hash).violation);
    let violation = caught.unwrap_or_else(|| panic!("{planted:?} was not caught in 100 seeds"));
    assert!(rules.contains(&violation.rule), "{planted:?} was caught as {violation:?}, expected {rules:?}");
}

#[test]
fn seeds_of_every_size_are_clean() {
    check_clean(0, 200, None);
}

#[test]
fn seeds_with_larger_sets_are_clean() {
    for n in [5, 10, 13] {
        check_clean(1_000, 4, Some(n));
    }
}

/// The validators change in every seed: who comes, goes, sleeps over an end and crashes at one is brought over.
#[test]
fn seeds_with_epochs_are_clean() {
    let options = Options { epochs: true, ..Options::default() };
    let summary = run_seeds(0, 200, 2, options, |_, _| ());
    assert_eq!(summary.failures, [], "hint: ./scripts/sim.sh --epochs --seed S --trace shows a run");
    assert!(summary.epochs > 300 && summary.transfers > 10, "epochs end, and who comes fetches: {summary:?}");
}

/// Proposers are machines of their own in every seed: all but one may lie or die, and come back.
#[test]
fn seeds_with_edge_proposers_are_clean() {
    let options = Options { edge: Some(true), ..Options::default() };
    let summary = run_seeds(0, 200, 2, options, |_, _| ());
    assert_eq!(summary.failures, [], "hint: ./scripts/sim.sh --edge --seed S --trace shows a run");
    assert!(
        summary.acknowledged > 5_000 && summary.crashes > 500,
        "proposers order and restart: {summary:?}"
    );
}

/// Sets of edge networks change: proposers come and go, and theirs and validators' keys are replaced.
#[test]
fn seeds_with_epochs_of_edge_networks_are_clean() {
    let options = Options { edge: Some(true), epochs: true, ..Options::default() };
    let summary = run_seeds(0, 200, 2, options, |_, _| ());
    assert_eq!(summary.failures, [], "hint: ./scripts/sim.sh --edge --epochs --seed S --trace shows a run");
    assert!(summary.epochs > 300 && summary.acknowledged > 5_000, "epochs end: {summary:?}");
}

/// Whoever of them contradicts himself is convicted by the acceptors, though none of these speaks for him.
#[test]
fn edge_proposers_that_lie_are_convicted() {
    for liar in ["bad-proposer", "new-view-liar", "amnesia"] {
        let adversary = Behaviour::named(liar);
        let options = Options { n: Some(4), edge: Some(true), adversary, ..Options::default() };
        let convicts = |seed: &u64| {
            let plan = options.plan(*seed);
            // Only proposers can be convicted of E1 here.
            !plan.edge_liars.is_empty() && run_seed(*seed, options, Wanted::Hash).evidence.contains("E1")
        };
        assert!((0..200).find(convicts).is_some(), "{liar}: no E1 in 200 seeds");
    }
}

#[test]
fn holder_of_removed_keys_is_borne() {
    let options = Options { epochs: true, adversary: Some(Behaviour::KeyThief), ..Options::default() };
    let summary = run_seeds(2_000, 40, 2, options, |_, _| ());
    assert_eq!(summary.failures, []);
}

#[test]
fn shell_that_believes_removed_keys_is_caught() {
    let adversary = Some(Behaviour::KeyThief);
    let planted = Some(Planted::BelievesRemovedKeys);
    let options = Options { n: Some(4), epochs: true, adversary, planted, ..Options::default() };
    let caught = (0..100).find_map(|seed| run_seed(seed, options, Wanted::Hash).violation);
    let rules =
        ["certificate", "no correct validator is accused", "relays are signed", "VIEW-CHANGE validity"];
    assert!(caught.as_ref().is_some_and(|violation| rules.contains(&violation.rule)), "{caught:?}");
}

#[test]
fn seed_repeats_byte_for_byte() {
    for seed in 0..20 {
        let options = Options { epochs: seed % 2 == 0, ..Options::default() };
        let [first, second] = [Wanted::Hash, Wanted::All].map(|wanted| run_seed(seed, options, wanted));
        assert_eq!(
            (first.events, first.trace_hash, first.slots),
            (second.events, second.trace_hash, second.slots),
            "seed {seed}"
        );
    }
}

#[test]
fn seeds_differ_from_each_other() {
    let hashes: std::collections::BTreeSet<u64> =
        (0..10).map(|seed| run_seed(seed, Options::default(), Wanted::Hash).trace_hash).collect();
    assert_eq!(hashes.len(), 10);
}

#[test]
fn canary_is_reported_in_its_seed_and_in_no_other() {
    let options = Options { n: Some(4), planted: Some(Planted::Canary), ..Options::default() };
    let summary = run_seeds(30, 10, 2, options, |_, _| ());
    let failed: Vec<u64> = summary.failures.iter().map(|(seed, _)| *seed).collect();
    assert_eq!(failed, [37]);
}

#[test]
fn every_strategy_of_liars_is_borne() {
    for adversary in Behaviour::ALL {
        let options = Options { n: Some(4), adversary: Some(adversary), ..Options::default() };
        let summary = run_seeds(2_000, 6, 2, options, |_, _| ());
        assert_eq!(summary.failures, [], "{}", adversary.name());
        assert!(summary.acknowledged > 6, "clients get somewhere: {summary:?}");
    }
}

/// Whoever contradicts himself is convicted, of everything that section 13 names. That nobody else is, each run checks.
#[test]
fn liars_are_convicted_by_evidence_of_every_kind() {
    let table = [
        ("bad-proposer", "E1"),
        ("new-view-liar", "E1"),
        ("equivocate", "E2"),
        ("view-change-liar", "E3"),
        ("fast-path-liar", "E3"),
        ("view-change-liar", "E4"),
        ("checkpoint-liar", "E5"),
        ("fast-path-liar", "FAST"),
    ];
    for (liar, code) in table {
        let options = Options { n: Some(4), adversary: Behaviour::named(liar), ..Options::default() };
        let convicts = |seed: &u64| run_seed(*seed, options, Wanted::Hash).evidence.contains(code);
        assert!((0..200).find(convicts).is_some(), "{liar}: no {code} in 200 seeds");
    }
}

#[test]
fn shell_that_sends_before_sync_is_caught() {
    check_caught(
        Planted::SendsBeforeSync,
        &[
            "J3 durable before PREPARE",
            "I5/J4 certificate durable before COMMIT",
            "J5 durable before VIEW-CHANGE",
            "J7 before the first PRE-PREPARE",
        ],
    );
}

#[test]
fn validator_that_forgets_its_journal_is_caught() {
    check_caught(
        Planted::ForgetsJournal,
        &[
            "no correct validator halts",
            "I1 one PREPARE a view and slot",
            "J1 the view never goes back",
            "compaction keeps J1, J6, J7",
        ],
    );
}

#[test]
fn validator_that_skips_certificates_is_caught() {
    check_caught(Planted::SkipsCertificates, &["I5/J4 certificate durable before COMMIT"]);
}

#[test]
fn validator_that_skips_payloads_is_caught() {
    check_caught(Planted::SkipsPayloads, &["I4 the batch of every vote is durable"]);
}

#[test]
fn validator_that_skips_views_is_caught() {
    check_caught(Planted::SkipsViews, &["J1 durable before VIEW-CHANGE", "J1 the vote's view is durable"]);
}

#[test]
fn validator_that_commits_early_is_caught() {
    check_caught(Planted::CommitsEarly, &["I5/J4 certificate durable before COMMIT"]);
}

#[test]
fn validator_that_votes_twice_is_caught() {
    check_caught(Planted::VotesTwice, &["I1 one PREPARE a view and slot"]);
}

#[test]
fn validator_that_ignores_the_prefix_is_caught() {
    check_caught(Planted::IgnoresPrefix, &["I7 prefix of a vote"]);
}

#[test]
fn validator_that_hides_its_votes_is_caught() {
    check_caught(Planted::HidesVotes, &["I6 the highest vote is reported"]);
}

#[test]
fn validator_that_hides_its_certificates_is_caught() {
    check_caught(Planted::HidesCertificates, &["I6 the highest certificate is reported"]);
}

#[test]
fn validator_that_seals_early_is_caught() {
    check_caught(Planted::SealsEarly, &["J8 executed before SEAL"]);
}

#[test]
fn validator_that_compacts_early_is_caught() {
    check_caught(Planted::CompactsEarly, &["I8/J6 stable before deleting"]);
}

#[test]
fn validator_that_executes_to_another_state_is_caught() {
    check_caught(Planted::Diverges, &["no fork: one header a slot"]);
}

#[test]
fn transaction_that_executes_twice_is_caught() {
    check_caught(Planted::ExecutesTwice, &["exactly once"]);
}

#[test]
fn clients_that_add_up_views_are_caught() {
    check_caught(Planted::AddsViews, &["q TREPLYs are of one view, slot and header"]);
}

#[test]
fn validators_that_never_enter_a_view_are_caught() {
    check_caught(Planted::Deaf, &["liveness"]);
}
