//! What is hunted, and how: one seed at a time, with the adversary that brings the bug out soonest.

use carat_consensus::planted::{self, Bug};
use carat_types::genesis::Trust;
use carat_zoo::oracle::Violation;
use carat_zoo::plan::Behaviour;
use carat_zoo::planted::Planted;
use carat_zoo::runner::{Options, run_seed};
use carat_zoo::trace::Wanted;

/// A planted bug.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quarry {
    /// In the copy of the core.
    Core(Bug),
    /// In the shell around the core.
    Shell(Planted),
}

/// How a bug was found.
#[derive(Debug)]
pub(crate) struct Kill {
    /// The seed that found it.
    pub(crate) seed: u64,
    /// The rule that it broke.
    pub(crate) violation: Violation,
}

impl Quarry {
    /// Every bug that seeds bring out, once, though it may be planted in several places.
    pub(crate) fn all() -> Vec<Quarry> {
        let mut core = planted::all();
        core.retain(|bug| bug.test.is_none());
        core.dedup_by_key(|bug| bug.name);
        let shell = Planted::ALL.into_iter().map(Quarry::Shell);
        core.into_iter().map(Quarry::Core).chain(shell).collect()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Quarry::Core(bug) => bug.name,
            Quarry::Shell(planted) => planted.name(),
        }
    }

    /// Where such a bug was seen, or who warns of it.
    pub(crate) fn origin(&self) -> &'static str {
        match self {
            Quarry::Core(bug) => bug.origin,
            Quarry::Shell(planted) => planted.origin(),
        }
    }
}

/// Runs one seed with a bug in every validator.
///
/// **Returns** the kill, if a rule was broken.
pub(crate) fn hunt(quarry: &Quarry, seed: u64) -> Option<Kill> {
    let (planted, hunter, trust, epochs) = match quarry {
        Quarry::Core(bug) => {
            planted::choose(bug.name);
            (None, bug.hunter, bug.fast_decides.then_some(Trust::Crash), bug.epochs)
        }
        Quarry::Shell(planted @ Planted::BelievesRemovedKeys) => {
            (Some(*planted), Some("key-thief"), None, true)
        }
        Quarry::Shell(planted) => (Some(*planted), None, None, false),
    };
    // Most bugs show at n = 4; some only where n is not 3f+1, or where f > 1.
    let n = [4, 4, 5, 4, 4, 7][usize::try_from(seed % 6).unwrap_or(0)];
    let adversary = hunter.and_then(Behaviour::named);
    let edge = Some(matches!(quarry, Quarry::Core(bug) if bug.edge));
    let options = Options { n: Some(n), adversary, trust, epochs, edge, planted };
    let outcome = run_seed(seed, options, Wanted::Hash);
    planted::choose("");
    outcome.violation.map(|violation| Kill { seed, violation })
}
