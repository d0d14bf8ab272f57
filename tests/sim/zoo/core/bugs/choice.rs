//! Bugs of section 7.3: which value a slot must keep.

use super::Bug;

const PICK: Bug = Bug {
    file: "pick.rs",
    within: "pub(crate) fn pick(",
    text: "Some(w) > u",
    hunter: Some("schemer"),
    ..super::BLANK
};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "certificates-over-votes",
        origin: "section 15: certificates always over votes; B3",
        instead: "u.is_none()",
        hunter: None,
        ..PICK
    },
    Bug { name: "votes-over-certificates", origin: "section 16, vector 3", instead: "true", ..PICK },
    Bug {
        name: "votes-over-certificate-of-the-same-view",
        origin: "section 16, vector 3",
        instead: "Some(w) >= u",
        ..PICK
    },
    Bug {
        name: "largest-view-of-the-votes",
        origin: "section 16, vectors 4 and 5",
        within: "fn voted_by_overlap",
        text: "Some((*t_th_largest, digest))",
        instead: "Some((views.first().copied()?, digest))",
        ..PICK
    },
    Bug {
        name: "single-highest-vote",
        origin: "section 15: following the single highest vote",
        text: "voted_by_overlap(reports, quorum)",
        instead: "reports.iter().filter_map(|report| report.last_vote).map(|vote| (vote.view, vote.digest)).max()",
        hunter: None,
        ..PICK
    },
    Bug {
        name: "votes-of-one-view-only",
        origin: "section 15: counting votes only when they share one view",
        within: "fn voted_by_overlap",
        text: "views.sort_unstable_by(|a, b| b.cmp(a));",
        instead: "views.sort_unstable_by(|a, b| b.cmp(a)); if let Some(first) = views.first().copied() { views.retain(|v| *v == first); }",
        hunter: None,
        ..PICK
    },
    Bug {
        name: "votes-of-a-minority",
        origin: "section 16, vector 6",
        within: "fn voted_by_overlap",
        text: "quorum.overlap()",
        instead: "1usize",
        ..PICK
    },
    Bug {
        name: "votes-forgotten-in-the-choice",
        origin: "B3: the fast path's value lost in the view change (Zyzzyva, FaB)",
        text: "voted_by_overlap(reports, quorum)",
        instead: "None::<(View, Digest)>",
        hunter: None,
        ..PICK
    },
    Bug {
        name: "certificates-forgotten-in-the-choice",
        origin: "B3: the prepared certificate forgotten",
        text: "(certificate.map(|(view, _)| view), certificate.map(|(_, digest)| digest))",
        instead: "(None, None)",
        hunter: None,
        ..PICK
    },
    Bug {
        name: "lowest-checkpoint",
        origin: "B9: the watermark of the slowest",
        within: "pub(crate) fn choose(",
        text: "stable.map_or(base, |stable| stable.header.slot)",
        instead: "view_changes.iter().map(|change| change.body.stable_slot()).min().unwrap_or_default()",
        hunter: None,
        ..PICK
    },
    Bug {
        name: "lowest-checkpoint",
        origin: "B9: the watermark of the slowest",
        within: "pub(crate) fn choose(",
        text: "stable.cloned()",
        instead: "None",
        hunter: None,
        ..PICK
    },
    Bug {
        name: "gaps-not-filled",
        origin: "B1: a view waits for ever for a slot that nobody voted for",
        within: "pub(crate) fn choose(",
        text: "forced.insert(slot, value);",
        instead: "if picked.contains_key(&slot) { forced.insert(slot, value); }",
        hunter: None,
        ..PICK
    },
];
