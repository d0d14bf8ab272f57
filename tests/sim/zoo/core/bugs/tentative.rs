//! Bugs of tentative execution (section 11).

use super::Bug;

const TENTATIVE: Bug = Bug { file: "tentative.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "replies-in-a-view-that-was-left",
        origin: "I2: no TREPLY after VIEW-CHANGE",
        within: "fn may_reply",
        text: "view == self.position.view && self.has_committed(slot)",
        instead: "view < self.position.view || self.has_committed(slot)",
        ..TENTATIVE
    },
    Bug {
        name: "overlay-kept-across-a-view-change",
        origin: "section 11: on leaving view v, drop the overlay",
        file: "view_change.rs",
        within: "fn enter_passively",
        text: "self.drop_tentative();",
        instead: "",
        ..TENTATIVE
    },
    Bug {
        name: "overlay-kept-when-another-value-is-final",
        origin: "section 11: on another value becoming final, drop the overlay",
        within: "pub(crate) fn confirm_tentative",
        text: "*held == slot && of == prefix",
        instead: "*held == slot && of != &Digest::ZERO",
        test: Some("tentative::overlay_is_dropped_when_another_value_is_final"),
        ..TENTATIVE
    },
    Bug {
        name: "replies-without-a-commit",
        origin: "I6: a TREPLY whose certificate no VIEW-CHANGE reports",
        within: "fn has_committed",
        text: "slot <= position.committed",
        instead: "slot <= position.voted",
        ..TENTATIVE
    },
    Bug {
        name: "seals-what-is-tentative",
        origin: "section 15: SEAL on tentative state",
        within: "pub(crate) fn on_tentatively_executed",
        text: "self.say(Statement::TentativeReply(TentativeReply { view, slot, header }));",
        instead: "self.say(Statement::Seal(carat_types::message::Seal { slot, header }));",
        ..TENTATIVE
    },
];
