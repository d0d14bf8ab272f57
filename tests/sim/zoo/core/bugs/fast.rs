//! Bugs of Byzantine-Proposer Fast Paxos: what `trust = crash` changes (section 6).

use super::Bug;

const FAST: Bug = Bug { file: "normal.rs", fast_decides: true, ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "fast-by-one-vote-less",
        origin: "B5: f+1 copies; paper: n-f acceptors, not a majority",
        file: "commit_rules.rs",
        within: "pub(crate) fn deciding_prepares",
        text: "self.quorum.quorum()",
        instead: "self.quorum.quorum().saturating_sub(1)",
        ..FAST
    },
    Bug {
        name: "commits-though-fast-decides",
        origin: "section 6: no COMMIT is sent and J4 is not written",
        within: "fn commit_next",
        text: "self.config.trust == Trust::Crash",
        instead: "false",
        ..FAST
    },
    Bug {
        name: "follows-f+1-where-acceptors-only-crash",
        origin: "section 6: one acceptor's VIEW-CHANGE moves the others (the paper's TRUSTCHANGE)",
        file: "view_change.rs",
        within: "fn view_to_follow",
        text: "views.get(liars).copied()",
        instead: "views.get(self.quorum.faults()).copied()",
        test: Some("crash_only::one_validator_moves_all_others"),
        ..FAST
    },
    Bug {
        name: "fast-value-lost-in-the-view-change",
        origin: "section 15: counting votes only when they share one view; Zyzzyva and FaB",
        file: "pick.rs",
        within: "fn voted_by_overlap",
        text: "quorum.overlap()",
        instead: "quorum.quorum()",
        ..FAST
    },
];
