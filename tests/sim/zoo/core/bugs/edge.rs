//! Bugs of the edge deployment: who orders, who votes, and whose word counts as whose (section 1; decision record 51).

use super::Bug;

const EDGE: Bug =
    Bug { origin: "section 1: proposers have no vote, acceptors order nothing", edge: true, ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "proposal-of-whoever-does-not-lead",
        origin: "section 5.2: the leader's signature is right",
        file: "normal.rs",
        within: "fn check_proposal(",
        text: "signed.signer != self.leader_of(view)",
        instead: "false",
        test: Some("edge::proposal_of_a_proposer_that_does_not_lead_is_refused"),
        ..EDGE
    },
    Bug {
        name: "restarted-proposer-proposes-again",
        origin: "J7: a restarted proposer never proposes in a view that it may have led",
        file: "leader.rs",
        within: "fn is_leading(",
        text: "self.barred_through.is_none_or(|barred| view > barred)",
        instead: "true",
        ..EDGE
    },
    Bug {
        name: "proposer-speaks-as-an-acceptor",
        origin: "I11: proposer keys never produce votes",
        file: "statement.rs",
        within: "pub(crate) fn say(",
        text: "self.place(statement.role()).is_none()",
        instead: "false",
        test: Some("edge::proposers_order_and_acceptors_vote_and_nobody_does_both"),
        ..EDGE
    },
    Bug {
        name: "proposer-journals-no-lead",
        origin: "J7: before the first PRE-PREPARE",
        file: "leader.rs",
        within: "fn persist_led(",
        text: "self.led.is_none_or(|led| led < view)",
        instead: "false",
        ..EDGE
    },
    Bug {
        name: "proposer-leaves-views-by-itself",
        origin: "T4: f+1 others have moved",
        file: "view_change.rs",
        within: "fn view_to_follow(",
        text: "self.quorum.faults()",
        instead: "0",
        test: Some("edge::proposer_leaves_no_view_before_an_acceptor_that_is_correct_has"),
        ..EDGE
    },
    Bug {
        name: "guard-counts-proposers",
        origin: "section 4: n-f-1 acceptors; any number of proposers lies",
        file: "guard.rs",
        within: "fn on_highest_votes(",
        text: "self.is_acceptor(from)",
        instead: "true",
        test: Some("edge::guard_waits_for_acceptors_whatever_proposers_say"),
        ..EDGE
    },
    Bug {
        name: "heights-of-proposers-are-believed",
        origin: "decision record 8: somebody honest has executed it; any number of proposers lies",
        file: "replica.rs",
        within: "pub fn honest_peers_at(",
        text: "self.is_acceptor(**id)",
        instead: "true",
        test: Some("edge::height_that_only_proposers_claim_excuses_nobody"),
        ..EDGE
    },
    Bug {
        name: "proposer-taken-for-the-acceptor-of-its-number",
        origin: "section 13: E1 convicts a proposer",
        file: "evidence.rs",
        within: "fn convict(",
        text: "self.place(role) != Some(validator)",
        instead: "validator != self.config.me",
        test: Some("edge::acceptor_convicts_the_proposer_of_its_own_number"),
        ..EDGE
    },
    Bug {
        name: "time-outs-of-another-deployment",
        origin: "section 10: r = n_p",
        file: "replica.rs",
        within: "fn timeout_us(",
        text: "self.config.validators.rotation_of_one_correct()",
        instead: "self.quorum.one_correct()",
        test: Some("edge::time_outs_double_once_in_a_rotation_of_all_proposers"),
        ..EDGE
    },
];
