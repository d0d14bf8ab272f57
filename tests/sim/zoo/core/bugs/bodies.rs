//! Bugs of bodies that are spread before they are proposed (sections 3 and 5, J3).

use super::Bug;

const BODIES: Bug = Bug { origin: "decision record 53", file: "bodies.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "body-proposed-before-f+1-hold-it",
        file: "bodies/held.rs",
        within: "fn refresh(",
        text: "holders >= others",
        instead: "true",
        test: Some("bodies::body_is_proposed_once_f_plus_1_hold_it"),
        ..BODIES
    },
    Bug {
        name: "leaders-body-refused-as-useless",
        origin: "clients that sign two transactions with one number, each for another validator, stop their leader",
        within: "fn on_body(",
        text: "known == 0 && !is_leaders",
        instead: "known == 0",
        test: Some("bodies::competing_transactions_each_at_another_validator_hold_nobody_up"),
        ..BODIES
    },
    Bug {
        name: "body-acknowledged-before-it-is-durable",
        within: "fn persist_bodies(",
        text: "self.emit(Effect::Persist(Record::Body { origin, through, body }));",
        instead: "",
        test: Some("bodies::body_is_proposed_by_its_digest_and_travels_and_is_written_once"),
        ..BODIES
    },
    Bug {
        name: "vote-without-the-body",
        file: "normal.rs",
        within: "fn holds_payload(",
        text: "*digest == null_digest() || self.payloads.get(digest).is_some()",
        instead: "true",
        test: Some("bodies::missing_body_is_fetched"),
        ..BODIES
    },
    Bug {
        name: "body-trusted-beyond-its-slot",
        file: "bodies/held.rs",
        within: "fn are_kept",
        text: "held.through >= slot",
        instead: "true",
        test: Some("bodies::vote_beyond_the_slot_up_to_which_its_body_is_kept_writes_it_again"),
        ..BODIES
    },
    Bug {
        name: "bodies-forgotten-at-the-restart",
        file: "recovery.rs",
        within: "fn load_journal",
        text: "self.load_bodies(bodies);",
        instead: "",
        test: Some("bodies::vote_on_bodies_survives_a_restart"),
        ..BODIES
    },
    Bug {
        name: "body-with-a-refused-part-proposed",
        within: "fn take_ready",
        text: "!self.may_propose(held)",
        instead: "false",
        test: Some("bodies::leader_proposes_no_body_of_which_it_refused_a_part_and_spreads_the_rest_itself"),
        ..BODIES
    },
    Bug {
        name: "rest-of-a-passed-over-body-left-to-the-rescue",
        origin: "seven validators over long links: each view ended for what the one before left (decision record 66)",
        within: "pub(crate) fn spread_bodies(",
        text: "self.adopt();",
        instead: "",
        test: Some(
            "bodies::leader_spreads_what_is_left_of_a_body_that_it_passed_over_before_anybody_must_rescue_it",
        ),
        ..BODIES
    },
    Bug {
        name: "bodies-without-a-limit",
        within: "fn on_body(",
        text: "!self.has_room(from, body.bytes())",
        instead: "false",
        test: Some("bodies::bodies_of_one_peer_are_refused_beyond_its_share"),
        ..BODIES
    },
    Bug {
        name: "announced-batch-larger-than-a-block-voted-for",
        within: "fn put_together",
        text: "!fits",
        instead: "false",
        test: Some("bodies::announcement_of_more_than_a_block_is_proof_against_its_leader"),
        ..BODIES
    },
    Bug {
        name: "dead-bodies-keep-their-share",
        origin: "bodies that overlap: clients submit to f+1 validators",
        within: "fn has_room(",
        text: "self.bodies.forget(&useless);",
        instead: "",
        test: Some("bodies::dead_bodies_of_a_validator_leave_room_for_living_ones"),
        ..BODIES
    },
    Bug {
        name: "body-with-a-settled-part-left-out",
        origin: "bodies that overlap: clients submit to f+1 validators",
        within: "fn may_propose(",
        text: "held.is_admitted",
        instead: "false",
        test: Some("bodies::body_of_which_another_ordered_a_part_is_proposed_for_the_rest"),
        ..BODIES
    },
    Bug {
        name: "bodies-written-without-a-limit",
        within: "fn has_room(",
        text: "self.bodies.written(origin) >= written_max",
        instead: "false",
        test: Some(
            "bodies::what_a_validators_bodies_take_of_its_journal_is_bounded_while_no_checkpoint_frees_it",
        ),
        ..BODIES
    },
    Bug {
        name: "body-that-comes-again-told-to-all",
        within: "fn on_body(",
        text: "self.bodies.held.get(digest).is_some_and(|held| held.is_said)",
        instead: "false",
        test: Some("bodies::body_that_comes_again_is_answered_to_its_sender_alone"),
        ..BODIES
    },
    Bug {
        name: "edge-proposers-word-counts-as-an-acceptors",
        within: "fn claim(",
        text: "self.is_acceptor(from)",
        instead: "true",
        test: Some("bodies::edge_leader_proposes_what_f_plus_1_acceptors_hold_whatever_proposers_say"),
        ..BODIES
    },
    Bug {
        name: "bodies-never-forgotten-with-their-slots",
        file: "checkpoint.rs",
        within: "fn move_watermark(",
        text: "self.bodies.forget_through(done);",
        instead: "",
        test: Some("bodies::bodies_that_nobody_orders_are_forgotten_with_their_slots"),
        ..BODIES
    },
    Bug {
        name: "bodies-of-one-slot-at-a-time",
        origin: "decision record 71: each round trip brings one batch, and meanwhile batches grow",
        file: "replica.rs",
        within: "Timer::Performance => self.on_performance_timer(),",
        text: "self.fetch_announced()",
        instead: "{}",
        test: Some("bodies::bodies_missing_of_several_slots_are_fetched_at_one_time"),
        ..BODIES
    },
];
