//! What is planted: bugs of the core that concern the choice, votes or certificates, and laxness that the specification warns of and
//! that lies outside the core. **Source**: consensus specification, section 15 (the unsafe list) and section 16.

use carat_types::genesis::Trust;

/// What the world does wrong, where the rule is not the core's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Laxness {
    /// Nothing.
    None,
    /// PREPAREs are authenticated between two parties only, so that anybody can show a certificate of his own making.
    MacsOnPrepares,
    /// So are VIEW-CHANGEs.
    MacsOnViewChanges,
}

/// Something planted.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// Its name: one of the bugs in `tests/sim/zoo/core/bugs`, unless `laxness` is it.
    pub name: &'static str,
    /// Who warns of it.
    pub origin: &'static str,
    /// In which networks it shows.
    pub trust: Trust,
    /// How many views it takes to show. With one fewer everything stays green.
    pub views: u8,
    /// What the world does wrong.
    pub laxness: Laxness,
}

const fn bft(name: &'static str, origin: &'static str, views: u8) -> Planted {
    Planted { name, origin, trust: Trust::Bft, views, laxness: Laxness::None }
}

const fn crash(name: &'static str, origin: &'static str, views: u8) -> Planted {
    Planted { trust: Trust::Crash, ..bft(name, origin, views) }
}

const fn lax(name: &'static str, origin: &'static str, views: u8, laxness: Laxness) -> Planted {
    Planted { laxness, ..bft(name, origin, views) }
}

/// Everything that is planted.
pub const PLANTED: &[Planted] = &[
    // The unsafe list of section 15.
    bft("prepared-by-one-vote-less", "counting PRE-PREPARE as a vote", 1),
    bft("commits-in-an-old-view", "COMMIT for an old view", 2),
    bft("certificates-over-votes", "certificates always over votes", 3),
    bft("votes-of-one-view-only", "counting votes only when they share one view", 3),
    crash("votes-of-one-view-only", "counting votes only when they share one view", 3),
    bft("single-highest-vote", "following the single highest vote", 2),
    crash("single-highest-vote", "following the single highest vote", 2),
    lax("macs-on-prepares", "MACs on PREPARE", 2, Laxness::MacsOnPrepares),
    lax("macs-on-view-changes", "MACs on VIEW-CHANGE", 2, Laxness::MacsOnViewChanges),
    bft("more-than-q-in-a-new-view", "more than q VIEW-CHANGEs in NEW-VIEW", 2),
    bft("acts-on-fast", "FAST at validators", 2),
    // The choice, vector by vector (section 16).
    bft("votes-over-certificates", "section 16, vector 3", 2),
    bft("votes-over-certificate-of-the-same-view", "section 16, vector 3", 2),
    bft("largest-view-of-the-votes", "section 16, vectors 4 and 5", 3),
    bft("votes-of-a-minority", "section 16, vector 6", 2),
    crash("votes-of-a-minority", "section 16, vector 6", 2),
    bft("votes-forgotten-in-the-choice", "section 7.3", 2),
    crash("votes-forgotten-in-the-choice", "section 7.3", 2),
    bft("certificates-forgotten-in-the-choice", "section 7.3", 2),
    crash("fast-value-lost-in-the-view-change", "section 7.3: t votes, not q", 2),
    // The rules (section 6).
    bft("committed-by-one-vote-less", "section 6: q COMMITs", 2),
    crash("fast-by-one-vote-less", "section 6: q PREPAREs", 1),
    bft("duplicates-count", "section 6: distinct signers", 2),
    // Certificates and VIEW-CHANGEs (sections 3, 7.2 and 7.4).
    bft("signatures-in-certificates-unchecked", "section 7.2: every certificate verifies", 2),
    bft("certificates-of-f+1", "section 3: q PREPAREs", 2),
    bft("view-changes-in-a-new-view-unchecked", "section 7.4: verify every VIEW-CHANGE", 2),
    bft("view-changes-counted-twice", "section 3: distinct acceptors", 2),
    bft("certificates-forgotten-at-the-view-change", "I6", 2),
    bft("votes-before-the-new-view", "section 5.2: has accepted NEW-VIEW(v)", 2),
];
