//! What happened, as a running hash in every run and as text where somebody wants to read it.

use std::collections::VecDeque;

use carat_types::ValidatorId;

use crate::mix::mix;

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    wanted: Wanted,
    lines: VecDeque<Line>,
}

/// How much text a trace keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// None: the hash alone.
    Hash,
    /// Everything.
    All,
}

/// One line of text.
#[derive(Clone, Debug)]
pub struct Line {
    /// Virtual time. **Units**: microseconds.
    pub at: u64,
    /// Whom it concerns.
    pub who: Option<ValidatorId>,
    /// What happened.
    pub text: String,
}

impl Trace {
    /// An empty trace.
    pub fn new(wanted: Wanted) -> Self {
        Trace { hash: 0, wanted, lines: VecDeque::new() }
    }

    /// Takes a step into the hash.
    pub fn step(&mut self, at: u64, who: ValidatorId, what: u64) {
        self.hash = mix(mix(self.hash, at), u64::from(who.0) ^ what.rotate_left(16));
    }

    /// Keeps a line, if lines are wanted.
    pub fn note(&mut self, at: u64, who: impl Into<Option<ValidatorId>>, text: impl FnOnce() -> String) {
        if self.wanted == Wanted::All {
            self.lines.push_back(Line { at, who: who.into(), text: text() });
        }
    }

    /// The hash of all steps.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines.
    pub fn into_lines(self) -> Vec<Line> {
        self.lines.into()
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, micros) = (self.at / 1_000_000, self.at % 1_000_000);
        let who = self.who.map_or_else(|| "--".to_owned(), |id| format!("v{id}"));
        write!(f, "{seconds:>4}.{micros:06} {who:<3} {}", self.text)
    }
}
