//! Bugs at the line between two epochs (section 11; decision records 39, 40 and 63), hunted where the validators change. Those that
//! only a liar together with a lost journal brings out name the test of the protocol that catches them.

use super::Bug;

const EPOCHS: Bug = Bug { file: "epoch.rs", epochs: true, ..super::BLANK };

const LEARNERS: Bug = Bug { file: "learner.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "votes-beyond-the-end-of-the-epoch",
        origin: "decision record 39: the old set decides a slot of the new one",
        within: "fn window_above(",
        text: "end.map_or(top, |end| top.min(end.slot))",
        instead: "top",
        ..EPOCHS
    },
    Bug {
        name: "epoch-ends-a-slot-late",
        origin: "decision record 39: the set is changed one slot beside the end",
        within: "fn window_above(",
        text: "end.map_or(top, |end| top.min(end.slot))",
        instead: "end.map_or(top, |end| top.min(end.slot.next()))",
        ..EPOCHS
    },
    Bug {
        name: "epoch-ends-before-its-last-block-is-executed",
        origin: "J8: the journal is begun anew without the block",
        within: "fn reached_end(",
        text: "self.chain.executed >= last.header.slot",
        instead: "true",
        ..EPOCHS
    },
    Bug {
        name: "epoch-ends-with-blocks-that-nobody-can-serve",
        origin: "decision record 63: who lacks one of them waits for ever, which one in 8,000 seeds showed",
        within: "fn end_epoch(",
        text: "self.waits_for_seals()",
        instead: "false",
        test: Some("epochs::epoch_does_not_end_while_one_of_its_blocks_cannot_be_served"),
        ..EPOCHS
    },
    Bug {
        name: "state-with-which-an-epoch-begins-refused",
        origin: "decision record 68: who comes waits for a state that is kept later, and where the epoch ends before, for ever",
        file: "verify.rs",
        within: "fn check_offer(",
        text: "offer.base.header != *self.base()",
        instead: "true",
        test: Some("epochs::validator_that_comes_seals_from_the_state_on_with_which_its_epoch_begins"),
        ..EPOCHS
    },
    Bug {
        name: "seals-awaited-for-ever-at-the-end-of-an-epoch",
        origin: "decision record 63: who has the SEALs has left for good, or dropped the block",
        file: "catch_up.rs",
        within: "fn waits_for_seals(",
        text: "self.catch_up.asked_in_vain <= patience",
        instead: "true",
        test: Some("epochs::epoch_ends_without_seals_that_every_peer_was_asked_for_in_vain"),
        ..EPOCHS
    },
    Bug {
        name: "blocks-above-the-window-asked-for",
        origin: "decision records 63 and 69: what is executed above h fills the memory, what is above the end must be refused",
        file: "catch_up.rs",
        within: "fn look_behind(",
        text: "next > self.window_end()",
        instead: "false",
        test: Some(
            "epochs::who_stays_behind_for_seals_is_given_them_by_those_who_left_and_asks_for_nothing_above_the_end",
        ),
        ..EPOCHS
    },
    Bug {
        name: "guard-believes-another-epoch",
        origin: "section 4: an answer that is about other votes counts",
        within: "fn on_other_epoch(",
        text: "proves_itself(&message, own)",
        instead: "proves_itself(&message, own) || matches!(message, VerifiedMessage::HighestVotes(_))",
        test: Some("epochs::what_does_not_prove_itself_is_refused_from_another_epoch"),
        ..EPOCHS
    },
    Bug {
        name: "votes-answered-to-another-epoch",
        origin: "section 4: an answer that is about other votes counts",
        within: "fn proves_itself(",
        text: "!matches!(fetch, Fetch::HighestVotes(_))",
        instead: "true",
        test: Some("epochs::what_does_not_prove_itself_is_refused_from_another_epoch"),
        ..EPOCHS
    },
    Bug {
        name: "end-of-an-epoch-never-shown",
        origin: "decision record 39: who slept over the end waits for votes that nobody casts",
        within: "fn on_other_epoch(",
        text: "self.show_end(from, status.stable);",
        instead: "",
        ..EPOCHS
    },
    Bug {
        name: "choice-from-genesis-on",
        origin: "a number that is 0 in the first epoch alone: the term of the second's first view change is over before it begins",
        file: "pick.rs",
        within: "pub(crate) fn choose(",
        text: "stable.map_or(base, |stable| stable.header.slot)",
        instead: "stable.map_or(Slot::default(), |stable| stable.header.slot)",
        ..EPOCHS
    },
    Bug {
        name: "rests-without-a-state",
        origin: "a validator that comes waits for blocks that it could not execute",
        file: "state_transfer.rs",
        within: "fn give_transfer_up(",
        text: "self.chain.executed >= self.base().slot",
        instead: "true",
        test: Some("epochs::validator_that_comes_asks_for_a_state_without_rest"),
        ..EPOCHS
    },
    Bug {
        name: "journal-of-another-epoch-taken",
        origin: "B7: state of one life read in another",
        file: "recovery.rs",
        within: "fn load_journal(",
        text: "epochs.iter().any(|epoch| *epoch != self.config.validators.domain().epoch)",
        instead: "epochs.len() > 9",
        test: Some("epochs::journal_of_another_epoch_is_refused"),
        ..EPOCHS
    },
    Bug {
        name: "blocks-of-the-next-epoch-taken-for-lies",
        origin: "decision record 60: honest sources are left just when they are needed",
        within: "fn on_block(",
        text: "header.epoch != self.epoch()",
        instead: "false",
        test: Some("learner::validators_of_the_next_epoch_end_none_and_their_states_are_not_asked_for"),
        ..LEARNERS
    },
    Bug {
        name: "learner-never-ends-its-epoch",
        origin: "decision record 60: a follower stands still where the set changes",
        within: "fn on_executed(",
        text: "self.end_epoch();",
        instead: "",
        test: Some("learner::learner_follows_over_the_end_of_an_epoch_whose_validators_have_left_it"),
        ..LEARNERS
    },
    Bug {
        name: "end-forgotten-by-a-restarted-learner",
        origin: "decision record 60: the power goes before the handovers are written",
        within: "pub fn start(",
        text: "learner.end_epoch();",
        instead: "",
        test: Some("learner::learner_that_stops_behind_the_last_block_of_an_epoch_ends_it_at_its_start"),
        ..LEARNERS
    },
    Bug {
        name: "states-asked-for-across-the-line",
        origin: "decision record 60: what proves nothing is fetched instead of the blocks that end the epoch",
        within: "fn prefers_state(",
        text: "self.honest_sources_in() > self.epoch()",
        instead: "false",
        test: Some("learner::validators_of_the_next_epoch_end_none_and_their_states_are_not_asked_for"),
        file: "learner/transfer.rs",
        ..LEARNERS
    },
    Bug {
        name: "one-source-claims-a-later-epoch",
        origin: "decision record 60: a liar keeps a follower from states",
        within: "fn honest<",
        text: "self.quorum.faults()",
        instead: "0",
        test: Some("learner::claim_of_a_later_epoch_needs_more_than_f_and_its_state_is_no_lie"),
        ..LEARNERS
    },
    Bug {
        name: "states-of-another-epoch-taken-for-lies",
        origin: "decision record 60: honest sources are left just when they are needed",
        within: "fn on_offer(",
        text: "header.epoch != self.epoch()",
        instead: "false",
        test: Some("learner::claim_of_a_later_epoch_needs_more_than_f_and_its_state_is_no_lie"),
        file: "learner/transfer.rs",
        ..LEARNERS
    },
];
