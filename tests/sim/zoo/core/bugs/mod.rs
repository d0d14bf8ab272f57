//! The planted bugs of the core: for each the text that it replaces, in the first place after `within`.
//!
//! Origins are the catalogue B1 to B19 of the reliability goals, and the list of unsafe optimisations in section 15 of the
//! consensus specification. Where several bugs name the same text, all their switches stand in one place.

#![allow(
    clippy::needless_update,
    reason = "every entry ends with its file's defaults, whether it needs them or not"
)]

mod bodies;
mod choice;
mod delivery;
mod edge;
mod epochs;
mod fast;
mod journal;
mod leaders;
mod proofs;
mod tentative;
mod transfer;
mod views;
mod votes;

/// A bug.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Its name.
    pub name: &'static str,
    /// Where such a bug was seen, or who warns of it.
    pub origin: &'static str,
    /// The file of the core in which it is planted.
    pub file: &'static str,
    /// A text before its place, usually the function's name.
    pub within: &'static str,
    /// The text that it replaces: an expression, or a statement with its semicolon.
    pub text: &'static str,
    /// What stands there instead.
    pub instead: &'static str,
    /// The adversary that brings it out soonest; none if plain faults do.
    pub hunter: Option<&'static str>,
    /// The test in `node/consensus/tests/protocol` that catches it, if the simulator does not within a few minutes.
    pub test: Option<&'static str>,
    /// Whether it is hunted in networks with `trust = crash`.
    pub fast_decides: bool,
    /// Whether it is hunted in networks whose validators change.
    pub epochs: bool,
    /// Whether it is hunted in networks whose proposers are machines of their own, and in no other.
    pub edge: bool,
}

/// What each file's bugs have in common begins with this.
const BLANK: Bug = Bug {
    name: "",
    origin: "",
    file: "",
    within: "",
    text: "",
    instead: "",
    hunter: None,
    test: None,
    fast_decides: false,
    epochs: false,
    edge: false,
};

/// Every bug.
pub fn all() -> Vec<Bug> {
    [
        bodies::BUGS,
        choice::BUGS,
        delivery::BUGS,
        edge::BUGS,
        epochs::BUGS,
        fast::BUGS,
        journal::BUGS,
        leaders::BUGS,
        proofs::BUGS,
        tentative::BUGS,
        transfer::BUGS,
        views::BUGS,
        votes::BUGS,
    ]
    .concat()
}
