//! Which scenario a rank stands for.

use carat_types::message::Message;
use carat_types::{ValidatorId, View};

/// Instances: the four validators, and the second copy of one of them.
pub const INSTANCES: usize = 5;

/// Place of the second copy.
pub const COPY: usize = 4;

/// Ways of splitting the instances into at most two blocks: the first instance stands on one side.
const SPLITS: u64 = 1 << (INSTANCES - 1);

/// A family of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// Two views of three phases, each with a split of its own.
    A,
    /// Three views of two slots, each with a split of its own.
    B,
    /// Four views with one split each.
    C,
}

impl Slice {
    /// Views that are split; all later ones are whole.
    pub fn views(self) -> u64 {
        match self {
            Slice::A => 2,
            Slice::B => 3,
            Slice::C => 4,
        }
    }

    /// Fresh slots that each view orders.
    pub fn slots(self) -> u64 {
        if self == Slice::B { 2 } else { 1 }
    }

    fn steps(self) -> u32 {
        match self {
            Slice::A | Slice::B => 6,
            Slice::C => 4,
        }
    }

    /// Number of scenarios, mirror images included.
    pub fn ranks(self) -> u64 {
        4 * SPLITS.pow(self.steps())
    }

    /// The slice of this name.
    pub fn named(name: &str) -> Option<Slice> {
        match name {
            "A" => Some(Slice::A),
            "B" => Some(Slice::B),
            "C" => Some(Slice::C),
            _ => None,
        }
    }
}

/// For each instance its side of a split.
type Split = [bool; INSTANCES];

/// One scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its family.
    pub slice: Slice,
    /// Who has a twin.
    pub twin: ValidatorId,
    /// The split of each step.
    splits: Vec<Split>,
}

impl Scenario {
    /// The scenario of a rank.
    pub fn of(slice: Slice, rank: u64) -> Scenario {
        let mut rest = rank;
        let mut splits = Vec::new();
        for _ in 0..slice.steps() {
            let digit = rest % SPLITS;
            rest /= SPLITS;
            splits.push(std::array::from_fn(|instance| instance > 0 && digit >> (instance - 1) & 1 == 1));
        }
        let twin = ValidatorId(u16::try_from(rest % 4).unwrap_or(0));
        Scenario { slice, twin, splits }
    }

    /// Whether no mirror image has a lower rank: the two copies are the same validator, and so are, but for their
    /// names, two validators that neither lead a split view nor have a twin.
    pub fn is_canonical(&self) -> bool {
        let copies = (self.twin.index(), COPY);
        let bystanders = (self.slice == Slice::A && self.twin.0 < 2).then_some((2, 3));
        let own = self.key(&[]);
        let images = [
            Some(vec![copies]),
            bystanders.map(|pair| vec![pair]),
            bystanders.map(|pair| vec![copies, pair]),
        ];
        images.into_iter().flatten().all(|swaps| self.key(&swaps) >= own)
    }

    /// The digits of the rank after some instances have changed places.
    fn key(&self, swaps: &[(usize, usize)]) -> Vec<u64> {
        let digit = |split: &Split| {
            let mut sides = *split;
            swaps.iter().for_each(|(a, b)| sides.swap(*a, *b));
            (1..INSTANCES).map(|instance| u64::from(sides[instance] != sides[0]) << (instance - 1)).sum()
        };
        self.splits.iter().rev().map(digit).collect()
    }

    /// Whether a message of a view gets from one instance to another.
    pub fn connects(&self, message: &Message, view: View, from: usize, to: usize) -> bool {
        let Some(step) = self.step(message, view) else { return true };
        self.splits.get(step).is_none_or(|sides| sides[from] == sides[to])
    }

    fn step(&self, message: &Message, view: View) -> Option<usize> {
        if view.0 >= self.slice.views() {
            return None;
        }
        let view = usize::try_from(view.0).ok()?;
        let slot = match message {
            Message::Proposal(proposal) => proposal.signed.body.slot.0,
            Message::Prepare(prepare) => prepare.signed.body.0.slot.0,
            Message::Commit(commit) => commit.body.0.slot.0,
            _ => 0,
        };
        let phase = match message {
            Message::Proposal(_) | Message::ViewChange(_) | Message::NewView(_) => 0,
            Message::Prepare(_) => 1,
            _ => 2,
        };
        Some(match self.slice {
            Slice::A => 3 * view + phase,
            Slice::B => 2 * view + usize::from(slot > 1),
            Slice::C => view,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_canonical_scenarios_are_those_of_the_goals() {
        let canonical = |slice: Slice, ranks: std::ops::Range<u64>| {
            ranks.filter(|rank| Scenario::of(slice, *rank).is_canonical()).count()
        };
        assert_eq!(Slice::A.ranks(), 67_108_864);
        assert_eq!(Slice::B.ranks(), 67_108_864);
        assert_eq!(Slice::C.ranks(), 262_144);
        assert_eq!(canonical(Slice::C, 0..262_144), 139_264);
    }

    /// The whole count of slice A is 25,692,160 = 2 * 4,326,400 + 2 * 8,519,680; four digits of six show the same
    /// arithmetic: (16^4 + 2 * 8^4 + 4^4) / 4 for a twin among the leaders.
    #[test]
    fn bystanders_are_interchangeable_where_they_do_not_lead() {
        let splits = |rank: u64| Scenario::of(Slice::A, rank);
        let low = (0..65_536).filter(|rank| splits(*rank).is_canonical()).count();
        assert_eq!(low, (65_536 + 2 * 4_096 + 256) / 4);
    }
}
