//! The edge deployment in a run: proposers that are machines of their own, behind the validators, and who of them lies.
//!
//! Any number of them but one may be Byzantine, and any number but one correct one may be dead when the faults end: section 1 of
//! the consensus specification asks for no more. Clients reach proposers alone (the edge rule).

use carat_types::ValidatorId;

use crate::plan::{Behaviour, Plan};
use crate::rng::Rng;

/// Sets what a seed decides of the edge apart from all else that it decides.
const EDGE: u64 = 0x6564_6765;

/// What a proposer without a vote may do besides: as it signs no vote, it may forget what it led, and lie about states and
/// checkpoints.
const OF_THE_EDGE: [Behaviour; 4] =
    [Behaviour::Amnesiac, Behaviour::Spammer, Behaviour::SyncLiar, Behaviour::CheckpointLiar];

impl Plan {
    /// Puts the proposers into processes of their own: in an eighth of the seeds without epochs, unless it is said. Some of these get epochs
    /// then ([`Plan::with_edge_epochs`]).
    #[must_use]
    pub fn with_edge(mut self, wanted: Option<bool>, adversary: Option<Behaviour>) -> Plan {
        // A generator of its own: the other seven eighths are what they were before there was an edge.
        let mut rng = Rng::new(self.seed ^ EDGE);
        let drawn = rng.chance(125);
        if !self.epochs.is_empty() || self.latecomer || !wanted.unwrap_or(drawn) {
            return self;
        }
        self.edge = u16::try_from(rng.between(1, 5)).unwrap_or(1);
        let liars = if rng.chance(600) { rng.below(u64::from(self.edge)) } else { 0 };
        let mut proposers: Vec<ValidatorId> = (self.n..self.machines()).map(ValidatorId).collect();
        rng.shuffle(&mut proposers);
        let behaviours = [&Behaviour::OF_PROPOSERS[..], &OF_THE_EDGE].concat();
        let chosen = adversary.filter(|behaviour| behaviours.contains(behaviour));
        proposers.truncate(usize::try_from(liars).unwrap_or(0));
        self.edge_liars =
            proposers.into_iter().map(|id| (id, chosen.unwrap_or_else(|| rng.pick(&behaviours)))).collect();
        self
    }

    /// Whether a machine is a proposer without a vote.
    pub fn is_at_the_edge(&self, id: ValidatorId) -> bool {
        self.edge > 0 && id.0 >= self.n
    }

    /// Whether clients reach a machine: the edge rule.
    pub fn serves(&self, id: ValidatorId) -> bool {
        self.edge == 0 || self.is_at_the_edge(id)
    }

    /// The machines of the first epoch that clients reach.
    pub fn entrances(&self) -> std::ops::Range<u16> {
        if self.edge > 0 { self.n..self.n + self.edge } else { 0..self.n }
    }

    /// Consecutive views that are sure to hold a correct proposer: r of section 10, by own arithmetic.
    pub fn rotation(&self) -> u64 {
        let edge = self.epochs.iter().map(|epoch| epoch.edge).fold(self.edge, u16::max);
        if edge > 0 { u64::from(edge) } else { self.faults() as u64 + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighth_of_the_seeds_has_an_edge_with_a_correct_proposer_and_the_others_are_untouched() {
        let (mut with, mut with_liars) = (0, 0);
        for seed in 0..800 {
            let plain = Plan::of(seed, None, None, None);
            let plan = plain.clone().with_edge(None, None);
            if plan.edge == 0 {
                assert_eq!(format!("{plan:?}"), format!("{plain:?}"), "seed {seed}");
                continue;
            }
            with += 1;
            with_liars += u32::from(!plan.edge_liars.is_empty());
            assert!(plan.edge_liars.len() < usize::from(plan.edge), "seed {seed}: all but one may lie");
            assert!(plan.edge_liars.iter().all(|(id, _)| plan.is_at_the_edge(*id)), "seed {seed}");
            assert_eq!(plan.machines(), plan.n + plan.edge);
        }
        assert!((60..140).contains(&with) && with_liars > 20, "{with} of 800, {with_liars} with liars");
    }
}
