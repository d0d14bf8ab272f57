//! Bugs of leaving and entering views: triggers, timers, NEW-VIEW (sections 7 and 10).

use super::Bug;

const VIEWS: Bug = Bug { origin: "B1", file: "view_change.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "follows-2f+1-only",
        origin: "B1: the view-change timer needs 2f+1 (fabric 1917)",
        within: "fn view_to_follow",
        text: "views.get(liars).copied()",
        instead: "views.get(2 * self.quorum.faults()).copied()",
        ..VIEWS
    },
    Bug {
        name: "never-follows",
        origin: "B1: one partitioned node (BFT-SMaRt 19)",
        within: "fn view_to_follow",
        text: "views.get(liars).copied()",
        instead: "None",
        ..VIEWS
    },
    Bug {
        name: "follows-a-single-validator",
        origin: "B1: view-change storm (SmartBFT 8b3df8a); section 7.1, T4",
        within: "fn view_to_follow",
        text: "views.get(liars).copied()",
        instead: "views.first().copied()",
        hunter: Some("view-pusher"),
        ..VIEWS
    },
    Bug {
        name: "counts-the-own-view-only",
        origin: "found by the simulator: T2 waits for ever",
        within: "pub(crate) fn after_view_changes",
        text: "held.body.view >= view",
        instead: "held.body.view == view",
        ..VIEWS
    },
    Bug {
        name: "waits-for-the-new-view-for-ever",
        origin: "B1: stays in ViewChanging (sawtooth-pbft 6cf9e38)",
        within: "pub(crate) fn on_new_view_timer",
        text: "!self.position.active",
        instead: "false",
        ..VIEWS
    },
    Bug {
        name: "view-change-sent-once",
        origin: "B1: lost view-change messages never re-requested (concord-bft 0f8e3a00a)",
        file: "delivery.rs",
        within: "pub(crate) fn on_status_timer",
        text: "!self.position.active && self.guard.is_none()",
        instead: "false",
        ..VIEWS
    },
    Bug {
        name: "view-change-sent-once",
        origin: "B1: lost view-change messages never re-requested (concord-bft 0f8e3a00a)",
        file: "delivery.rs",
        within: "pub(crate) fn on_status(",
        text: "self.answer_view(from, &status);",
        instead: "",
        ..VIEWS
    },
    Bug {
        name: "invalid-view-change-stops-the-leader",
        origin: "B3: a liar's message hides valid ones (concord-bft PR 50)",
        within: "fn lead(",
        text: "self.misbehaviour(candidate.signer, \"signed an invalid VIEW-CHANGE\");",
        instead: "return;",
        hunter: Some("wrong-certificate"),
        ..VIEWS
    },
    Bug {
        name: "invalid-view-change-stops-the-leader",
        origin: "B3: a liar's message hides valid ones (concord-bft PR 50)",
        within: "fn lead(",
        text: "self.view_changes.remove(&candidate.signer);",
        instead: "",
        hunter: Some("wrong-certificate"),
        ..VIEWS
    },
    Bug {
        name: "more-than-q-in-a-new-view",
        origin: "section 15: more than q VIEW-CHANGEs in NEW-VIEW",
        within: "fn lead(",
        text: "view_changes.truncate(self.quorum.quorum());",
        instead: "",
        ..VIEWS
    },
    Bug {
        name: "more-than-q-in-a-new-view",
        origin: "section 15: more than q VIEW-CHANGEs in NEW-VIEW",
        file: "verify.rs",
        within: "pub(crate) fn check_new_view",
        text: "view_changes.len() != self.quorum.quorum()",
        instead: "view_changes.len() < self.quorum.quorum()",
        ..VIEWS
    },
    Bug {
        name: "time-outs-without-a-limit",
        origin: "B8: round 10 expires in 4096 s (Besu 7642)",
        file: "replica.rs",
        within: "pub(crate) fn timeout_us",
        text: "params.timeout_ms.saturating_mul(factor).min(params.timeout_max_ms)",
        instead: "params.timeout_ms.saturating_mul(1 << self.views_without_final.min(30))",
        ..VIEWS
    },
    Bug {
        name: "suspects-at-once",
        origin: "B1: view-change storm (SmartBFT 8b3df8a)",
        file: "replica.rs",
        within: "pub(crate) fn timeout_us",
        text: "params.timeout_ms.saturating_mul(factor).min(params.timeout_max_ms)",
        instead: "params.timeout_ms / 64",
        ..VIEWS
    },
    Bug {
        name: "any-progress-stops-the-clock",
        origin: "B17: heartbeats keep a censor in office (chapter, Definition 26.19)",
        file: "replica.rs",
        within: "fn progress_left_us",
        text: "self.pending.oldest_timed_us()?.max(self.watching_since_us())",
        instead: "self.pending.oldest_timed_us()?.max(self.watching_since_us()).max(self.chain.final_us)",
        test: Some("view_change::leader_that_orders_nothing_but_heartbeats_is_left_after_t0"),
        ..VIEWS
    },
    Bug {
        name: "nobody-times-transactions",
        origin: "B17: the primary drops one client's transactions",
        file: "replica.rs",
        within: "fn on_progress_timer",
        text: "self.position.active",
        instead: "false",
        hunter: Some("censor"),
        ..VIEWS
    },
    Bug {
        name: "barred-leader-keeps-quiet",
        origin: "B1: restarted empty validators never rejoin (Besu 8307)",
        file: "replica.rs",
        within: "fn on_idle_timer",
        text: "self.position.active",
        instead: "false",
        ..VIEWS
    },
    Bug {
        name: "barred-leader-keeps-quiet",
        origin: "B1: restarted empty validators never rejoin (Besu 8307)",
        file: "guard.rs",
        within: "pub(crate) fn pass_guard",
        text: "self.leads(view)",
        instead: "false",
        ..VIEWS
    },
    Bug {
        name: "barred-leader-keeps-quiet",
        origin: "B1: restarted empty validators never rejoin (Besu 8307)",
        file: "replica.rs",
        within: "fn on_progress_timer",
        text: "self.progress_left_us() == Some(0)",
        instead: "false",
        ..VIEWS
    },
    Bug {
        name: "hasty-for-ever",
        origin: "decision record 62: one that restarted leaves each view before the others have begun it",
        within: "fn after_view_changes(",
        text: "self.keep_pace();",
        instead: "",
        test: Some("view_change::replica_that_left_alone_takes_over_the_pace_of_those_who_came_later"),
        ..VIEWS
    },
    Bug {
        name: "pace-of-whoever-comes-last",
        origin: "decision record 62: a straggler stretches everybody's time-out",
        within: "fn after_view_changes(",
        text: "self.position.joined = true;",
        instead: "",
        test: Some("view_change::replica_that_left_alone_takes_over_the_pace_of_those_who_came_later"),
        ..VIEWS
    },
];
