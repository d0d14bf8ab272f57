//! Bugs of judging leaders: the bounds of section 14, and who is excused. None of them breaks safety or, in the end,
//! liveness, so no seed shows them: a test of the protocol does.

use super::Bug;

const BOUNDS: Bug = Bug {
    origin: "B17: an honest-looking leader stays just under the time-out (Aardvark, Prime)",
    file: "performance.rs",
    text: "measured > allowed",
    instead: "false",
    ..super::BLANK
};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "lambda-unchecked",
        within: "fn waits_too_long",
        test: Some("performance::leader_that_leaves_the_oldest_transaction_waiting_is_demoted_by_lambda"),
        ..BOUNDS
    },
    Bug {
        name: "omega-unchecked",
        within: "fn is_unfair",
        test: Some("performance::leader_that_holds_one_client_back_is_demoted_by_omega"),
        ..BOUNDS
    },
    Bug {
        name: "delta-unchecked",
        within: "fn orders_too_little",
        text: "measured < allowed",
        test: Some("performance::leader_that_orders_less_than_the_others_is_demoted_by_delta"),
        ..BOUNDS
    },
    Bug {
        name: "delta-of-what-nobody-offers",
        origin: "section 14: DELTA of what is offered, if that is less than the reference",
        within: "fn orders_too_little",
        text: "per_kiloseconds(offered, elapsed_us).min(reference)",
        instead: "reference",
        test: Some("performance::leader_that_orders_all_of_little_is_demoted_by_no_bound"),
        ..BOUNDS
    },
    Bug {
        name: "g-unchecked",
        within: "fn pauses_too_long",
        test: Some(
            "performance::leader_that_pauses_while_transactions_wait_is_demoted_by_g_but_not_in_its_grace",
        ),
        ..BOUNDS
    },
    Bug {
        name: "g-with-a-full-pipeline",
        origin: "section 14: no gap between proposals, for a leader that may propose",
        within: "fn pauses_too_long",
        text: "open >= self.config.params.pipeline",
        test: Some("performance::leader_with_a_full_pipeline_pauses_in_good_faith"),
        ..BOUNDS
    },
    Bug {
        name: "junk-unchecked",
        origin: "section 14: a tenth of a term's bytes dropped for their signatures",
        within: "fn proposes_junk",
        text: "enough && junk_bytes > allowed",
        test: Some("performance::leader_that_fills_its_term_with_junk_is_demoted"),
        ..BOUNDS
    },
    Bug {
        name: "junk-of-one-client",
        origin: "section 14: a tenth of a term's bytes, not of the first block's",
        within: "fn proposes_junk",
        text: "bytes >= u64::from(self.config.params.block.bytes)",
        instead: "true",
        test: Some("performance::leader_is_not_demoted_for_the_junk_of_one_client"),
        ..BOUNDS
    },
    Bug {
        name: "bounds-without-grace",
        origin: "section 14: start-up grace per view; B1: view-change storm",
        within: "pub(crate) fn on_performance_timer",
        text: "self.now.monotonic_us < self.performance.view.since_us",
        test: Some("performance::leader_has_its_grace_whatever_the_bounds"),
        ..BOUNDS
    },
    Bug {
        name: "bounds-never-relax",
        origin: "section 14: an overloaded but honest network does not rotate for ever",
        within: "fn relaxed(",
        text: "u64::try_from(recent.count()).unwrap_or(u64::MAX).saturating_add(10)",
        instead: "10",
        test: Some("performance::each_demotion_of_a_rotation_relaxes_the_bound_by_a_tenth"),
        ..BOUNDS
    },
    Bug {
        name: "full-batches-excuse-nothing",
        origin: "section 14: P <= LAMBDA x reference rate, so honest overload rotates nobody",
        within: "pub(crate) fn patience_us",
        text: "self.performance.view.full",
        test: Some("performance::full_batches_excuse_a_wait_up_to_lambda_and_others_do_not"),
        ..BOUNDS
    },
    Bug {
        name: "empty-batches-excuse-too",
        origin: "B17: heartbeats keep a censor in office (chapter, Definition 26.19)",
        within: "pub(crate) fn patience_us",
        text: "self.performance.view.full",
        instead: "true",
        test: Some("performance::full_batches_excuse_a_wait_up_to_lambda_and_others_do_not"),
        ..BOUNDS
    },
    Bug {
        name: "cut-off-replica-leaves-its-view",
        origin: "decision record 72: who comes back votes at once, and not after the term",
        file: "doubt.rs",
        within: "pub(crate) fn excuse",
        text: "self.doubts_its_lines()",
        instead: "false",
        test: Some("doubt::validator_that_was_cut_off_votes_as_soon_as_it_is_back"),
        ..BOUNDS
    },
    Bug {
        name: "leader-blamed-for-late-execution",
        origin: "decision record 75: what is final waits for this replica",
        file: "doubt.rs",
        within: "pub(crate) fn excuse",
        text: "self.may_have_ordered()",
        instead: "false",
        test: Some("doubt::validator_that_has_not_executed_what_is_final_blames_nobody"),
        ..BOUNDS
    },
    Bug {
        name: "late-execution-excuses-for-ever",
        origin: "decision record 75: a leader that leaves out one transaction of many",
        file: "doubt.rs",
        within: "fn may_have_ordered",
        text: "*since_us == oldest_us",
        instead: "*since_us != oldest_us",
        test: Some("doubt::leader_that_leaves_one_out_is_left_by_a_validator_that_executes_late"),
        ..BOUNDS
    },
    Bug {
        name: "leader-blamed-for-the-time-of-a-broken-line",
        origin: "decision record 72",
        file: "doubt.rs",
        within: "pub(crate) fn settle_doubt",
        text: "doubt.rejoined_us = self.now.monotonic_us;",
        instead: "",
        test: Some("doubt::dead_leader_is_left_when_a_quorum_is_heard_again"),
        ..BOUNDS
    },
    Bug {
        name: "nobody-blamed-while-anybody-is-silent",
        origin: "decision record 72: f may be silent for ever",
        file: "doubt.rs",
        within: "fn hears_a_quorum",
        text: "self.quorum.quorum()",
        instead: "self.quorum.n()",
        test: Some("doubt::dead_leader_is_left_beside_another_that_is_silent"),
        ..BOUNDS
    },
    Bug {
        name: "excused-for-ever",
        origin: "found by the simulator: four validators wait for what nobody can prove any more",
        file: "doubt.rs",
        within: "fn is_behind",
        text: "self.now.monotonic_us < since.saturating_add(patience)",
        instead: "true",
        test: Some("view_change::claims_of_more_than_f_excuse_for_a_while_and_not_for_ever"),
        ..BOUNDS
    },
    Bug {
        name: "excused-by-one-claim",
        origin: "decision record 8: f liars excuse nobody",
        file: "replica.rs",
        within: "pub fn honest_peers_at",
        text: "self.quorum.faults()",
        instead: "0",
        test: Some("view_change::claims_of_f_validators_do_not_keep_a_dead_leader"),
        ..BOUNDS
    },
    Bug {
        name: "dead-leader-tried-in-each-rotation",
        origin: "B17: each rotation waits for a leader that everybody knows to be dead (Aardvark)",
        file: "turns.rs",
        within: "fn rests(",
        text: "failed.rest > 0",
        test: Some("turns::dead_leader_is_waited_for_once_and_then_passed_over_for_longer_and_longer"),
        ..BOUNDS
    },
    Bug {
        name: "leader-that-is-away-waited-for",
        origin: "decision record 73",
        file: "turns.rs",
        within: "fn is_away(",
        text: "peer.heard_us.is_none_or(|heard_us| heard_us < since)",
        instead: "false",
        test: Some("turns::leader_that_is_away_is_not_waited_for"),
        ..BOUNDS
    },
    Bug {
        name: "leader-far-behind-waited-for",
        origin: "decision record 73",
        file: "turns.rs",
        within: "fn is_far_behind_here(",
        text: "status.last_executed.plus(self.config.params.window) < self.chain.executed",
        instead: "false",
        test: Some("turns::leader_that_says_it_is_far_behind_is_not_waited_for"),
        ..BOUNDS
    },
    Bug {
        name: "next-view-judged-again",
        origin: "decision record 73: votes of two views are taken for votes of one",
        file: "replica.rs",
        within: "pub(crate) fn advance(",
        text: "self.end_epoch();",
        instead: "{ self.end_epoch(); self.look_ahead(); }",
        test: Some("turns::view_whose_messages_are_kept_is_the_same_for_as_long_as_the_present_one_lasts"),
        ..BOUNDS
    },
    Bug {
        name: "leader-never-tried-again",
        origin: "decision record 70: who failed once never leads again",
        file: "turns.rs",
        within: "fn passed(",
        text: "failed.rest.saturating_sub(1)",
        instead: "failed.rest",
        test: Some("turns::leader_that_is_back_gets_its_turn_and_all_is_forgiven"),
        ..BOUNDS
    },
    Bug {
        name: "more-than-f-leaders-rest",
        origin: "decision record 70: when the network was at fault, those who lead are the liars",
        file: "turns.rs",
        within: "fn failed(",
        text: "self.failed.len() > most",
        test: Some("turns::nobody_is_passed_over_when_more_than_f_have_failed"),
        ..BOUNDS
    },
    Bug {
        name: "votes-behind-a-skipped-view-refused",
        origin: "decision record 70: what the next leader's acceptors say is lost, and a second goes by until STATUS",
        file: "normal.rs",
        within: "fn check_view(",
        text: "view != self.next_view()",
        instead: "view != self.position.view.next()",
        test: Some("turns::votes_of_the_view_behind_a_passed_one_are_kept_until_it_is_entered"),
        ..BOUNDS
    },
];
