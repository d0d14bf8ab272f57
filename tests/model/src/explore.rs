//! Running the checker.

use std::time::{Duration, Instant};

use carat_types::genesis::Trust;
use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::bugs::{Laxness, Planted};
use crate::model::{Action, Slot, State};

/// What came of an exploration.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Properties that do not hold, each with the way to the state that shows it.
    pub broken: Vec<(&'static str, String)>,
    /// What should happen somewhere and happens nowhere.
    pub missing: Vec<&'static str>,
    /// How long it took.
    pub took: Duration,
}

impl Explored {
    /// Whether nothing is broken, and nothing is missing.
    pub fn is_green(&self) -> bool {
        self.broken.is_empty() && self.missing.is_empty()
    }
}

/// Explores the core as it is, to the end.
pub fn sound(trust: Trust, views: u8) -> Explored {
    explore(Slot::new(trust, views, "", Laxness::None), HasDiscoveries::All)
}

/// Explores what is planted over so many views, until it shows.
pub fn with(planted: &Planted, views: u8) -> Explored {
    let bug = if planted.laxness == Laxness::None { planted.name } else { "" };
    explore(Slot::new(planted.trust, views, bug, planted.laxness), HasDiscoveries::AnyFailures)
}

fn explore(model: Slot, until: HasDiscoveries) -> Explored {
    let begun = Instant::now();
    // One thread: the model's memory of what it has worked out is in order then, and a run repeats.
    let checker = model.checker().finish_when(until).threads(1).spawn_bfs().join();
    let mut broken = Vec::new();
    let mut missing = Vec::new();
    for property in checker.model().properties() {
        let shown = checker.discovery(property.name);
        match (property.expectation.discovery_is_failure(), shown) {
            (true, Some(path)) => broken.push((property.name, told(&path))),
            (false, None) => missing.push(property.name),
            _ => {}
        }
    }
    Explored { states: checker.unique_state_count(), broken, missing, took: begun.elapsed() }
}

/// The way to a state, step by step, and the state.
fn told(path: &Path<State, Action>) -> String {
    let steps = path.clone().into_vec();
    let mut told = String::new();
    for (state, action) in steps {
        let State { view, turn, acceptors, proposed, decided, loses, wrong, .. } = &state;
        told += &format!(
            "view {view}, turn {turn}: proposed {proposed:?} decided {decided:?} loses {loses} {wrong:?}\n"
        );
        for a in acceptors {
            told += &format!("    {a:?}\n");
        }
        if let Some(action) = action {
            told += &format!("  {action:?}\n");
        }
    }
    told
}
