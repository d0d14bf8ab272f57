//! Epochs of a run: what is planned to change at the end of each, and who validates under which constants.
//!
//! A machine keeps its place for life: it is validator `i` of every epoch that it is in. A set grows by a machine at the end
//! and shrinks by the last one, a key is replaced in its place, and constants change under all of them.

use std::sync::Arc;

use carat_types::epoch::EpochSet;
use carat_types::genesis::{ConsensusConstants, GenesisValidator, Trust};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, Epoch, PublicKey, Quorum, ValidatorId};

use crate::crypto::Keys;
use crate::ledger::LedgerKind;
use crate::plan::{Behaviour, Plan, SECOND};
use crate::rng::Rng;

/// Sets what a seed decides of epochs apart from all else that it decides.
const EPOCHS: u64 = 0x6570_6f63_6873;

/// What is different in an epoch from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A validator has new keys.
    Replaced(ValidatorId),
    /// A machine that was in no epoch before, or not in the last one, is there.
    Added(ValidatorId),
    /// The last validator is gone.
    Removed(ValidatorId),
    /// Only constants.
    Constants,
}

/// An epoch above the first, as a seed plans it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochPlan {
    /// What is new.
    pub change: Change,
    /// Validators.
    pub n: u16,
    /// How often the keys of each machine were made anew.
    pub generations: Vec<u16>,
    /// Constants of the core.
    pub params: ConsensusConstants,
    /// How long the epoch before lasts before the change is proposed. **Units**: microseconds.
    pub after_us: u64,
}

/// An epoch as it is run: whose signatures count, under which constants.
#[derive(Clone)]
pub struct Era {
    /// The validators.
    pub set: Arc<ValidatorSet>,
    /// Validators: so many votes there are.
    pub n: u16,
    /// The keys of the machines in it, by their number: validators, behind them the proposers of an edge network.
    pub keys: Vec<Keys>,
    /// Constants of the core.
    pub params: ConsensusConstants,
    /// What the headers of the epoch before name.
    pub hash: Digest,
}

impl Era {
    /// Whether a machine validates in it, or orders for it.
    pub fn has(&self, id: ValidatorId) -> bool {
        id.index() < self.keys.len()
    }
}

impl std::fmt::Debug for Era {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Era")
            .field("n", &self.keys.len())
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// Lets the validators change one to three times: in an eighth of the seeds, or because it is asked for. Where nobody chose
    /// what the liars do, one of them may hold removed keys.
    #[must_use]
    pub fn with_epochs(mut self, forced: bool, adversary: Option<Behaviour>) -> Plan {
        // A generator of its own: the other seven eighths are what they were before there were epochs.
        let mut rng = Rng::new(self.seed ^ EPOCHS);
        let drawn = rng.chance(125);
        if !(forced || drawn && !self.latecomer) {
            return self;
        }
        self.latecomer = false;
        // The product's ledger decides on no set before its rules are of version 28.
        self.ledger = LedgerKind::Model;
        self.params = redrawn(self.params, &mut rng);
        self.chaos_us = self.chaos_us.max(15 * SECOND);
        let may_be_thief = adversary.is_none() && self.trust == Trust::Bft && rng.chance(250);
        if let Some((_, behaviour)) = self.adversaries.first_mut().filter(|_| may_be_thief) {
            *behaviour = Behaviour::KeyThief;
        }
        for _ in 0..rng.between(1, 3) {
            let next = self.next_epoch(&mut rng);
            self.epochs.push(next);
        }
        self.sleeper = self.epochs.len() > 1 && self.adversaries.len() + self.lacking() < self.faults();
        if self.sleeper {
            // Time for all of them to go by, while it is away.
            self.chaos_us = self.chaos_us.max(25 * SECOND);
        }
        self
    }

    /// Machines that are ever validators, and the proposers of an edge network.
    pub fn machines(&self) -> u16 {
        self.epochs.iter().map(|epoch| epoch.n).fold(self.n, u16::max) + self.edge
    }

    /// Validators of each epoch.
    pub fn sizes(&self) -> impl Iterator<Item = u16> {
        std::iter::once(self.n).chain(self.epochs.iter().map(|epoch| epoch.n))
    }

    /// Faults that every epoch bears.
    pub fn faults(&self) -> usize {
        self.sizes().map(|n| usize::from((n - 1) / 3)).min().unwrap_or(0)
    }

    /// Correct validators that lack a state, or much of the chain, when the faults end: they help as little as dead ones.
    pub fn lacking(&self) -> usize {
        self.joiners() + usize::from(self.disk_rots || self.store_lost) + usize::from(self.sleeper)
    }

    /// Machines that come with nothing on their disks.
    fn joiners(&self) -> usize {
        self.epochs.iter().filter(|epoch| matches!(epoch.change, Change::Added(_))).count()
    }

    fn next_epoch(&self, rng: &mut Rng) -> EpochPlan {
        let last = self.epochs.last();
        let n = last.map_or(self.n, |epoch| epoch.n);
        let mut generations = last.map_or_else(Vec::new, |epoch| epoch.generations.clone());
        generations.resize(usize::from(self.machines()) + 1, 0);
        let change = self.draw_change(n, rng);
        let n = match change {
            Change::Added(_) => n + 1,
            Change::Removed(_) => n - 1,
            Change::Replaced(_) | Change::Constants => n,
        };
        if let Change::Replaced(id) | Change::Added(id) = change {
            generations[id.index()] += 1;
        }
        let params = last.map_or(self.params, |epoch| epoch.params);
        let params =
            if change == Change::Constants || rng.chance(300) { redrawn(params, rng) } else { params };
        EpochPlan { change, n, generations, params, after_us: rng.between(0, 5 * SECOND) }
    }

    /// A change that leaves a possible number of validators and bears all that is planned to be faulty.
    fn draw_change(&self, n: u16, rng: &mut Rng) -> Change {
        let replaced = Change::Replaced(ValidatorId(u16::try_from(rng.below(u64::from(n))).unwrap_or(0)));
        let drawn = match rng.below(4) {
            0 => return replaced,
            1 => return Change::Constants,
            2 => Change::Added(ValidatorId(n)),
            _ => Change::Removed(ValidatorId(n - 1)),
        };
        let (size, joiners) = match drawn {
            Change::Added(_) => (n + 1, self.joiners() + 1),
            _ => (n - 1, self.joiners()),
        };
        let lost = usize::from(self.disk_rots || self.store_lost);
        let bears = Quorum::of(usize::from(size)).is_ok_and(|quorum| {
            self.faults().min(quorum.faults()) >= self.adversaries.len() + lost + joiners
        });
        if bears { drawn } else { replaced }
    }

    /// Who validates in each epoch.
    ///
    /// **Panics** if the plan has an impossible size.
    pub fn eras(&self, chain_id: Digest) -> Vec<Era> {
        let none = Vec::new();
        let plans = self.epochs.iter().map(|epoch| (epoch.n, epoch.params, &epoch.generations));
        let plans = std::iter::once((self.n, self.params, &none)).chain(plans);
        (0..).zip(plans).map(|(epoch, plan)| self.era(Epoch(epoch), chain_id, plan)).collect()
    }

    fn era(
        &self,
        epoch: Epoch,
        chain_id: Digest,
        (n, params, generations): (u16, ConsensusConstants, &Vec<u16>),
    ) -> Era {
        let generation = |id: u16| generations.get(usize::from(id)).copied().unwrap_or(0);
        let keys =
            (0..n + self.edge).map(|id| Keys::made(self.scheme, self.seed, ValidatorId(id), generation(id)));
        let keys: Vec<Keys> = keys.collect();
        let (voters, edge) = keys.split_at(usize::from(n));
        let validators = voters.iter().zip(0..n).map(|(keys, id)| GenesisValidator {
            name: format!("v{id}"),
            acceptor: keys.public().acceptor,
            proposer: keys.public().proposer,
            network: PublicKey(keys.public().acceptor.0.map(|byte| !byte)),
        });
        let described = EpochSet { epoch, validators: validators.collect(), consensus: params };
        let public = voters.iter().map(Keys::public).collect();
        let set = ValidatorSet::new(chain_id, epoch, public).expect("the plan gives possible sizes only");
        let set = if self.edge > 0 {
            let proposers = edge.iter().map(|keys| keys.public().proposer).collect();
            set.with_edge_proposers(proposers).expect("a few")
        } else {
            set
        };
        Era { set: Arc::new(set), n, keys, params, hash: described.hash() }
    }
}

/// Other constants, with steps so small that a run gets over several of them.
fn redrawn(params: ConsensusConstants, rng: &mut Rng) -> ConsensusConstants {
    let checkpoint_interval = rng.pick(&[2, 4, 8]);
    ConsensusConstants {
        checkpoint_interval,
        window: checkpoint_interval * rng.pick(&[2, 2, 3]),
        term: checkpoint_interval * rng.pick(&[2, 8, 64]),
        pipeline: rng.pick(&[1, 2, 4, 8]),
        heartbeat_ms: 100,
        ..params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighth_of_the_seeds_has_epochs_of_every_kind_and_the_others_are_untouched() {
        let (mut kinds, mut with) = ([0_u32; 4], 0);
        for seed in 0..800 {
            let plain = Plan::of(seed, None, None, None);
            let plan = plain.clone().with_epochs(false, None);
            with += u32::from(!plan.epochs.is_empty());
            assert!(!plan.epochs.is_empty() || format!("{plan:?}") == format!("{plain:?}"), "seed {seed}");
            for epoch in plan.with_epochs(true, None).epochs {
                assert!(Quorum::of(usize::from(epoch.n)).is_ok());
                kinds[match epoch.change {
                    Change::Replaced(_) => 0,
                    Change::Added(_) => 1,
                    Change::Removed(_) => 2,
                    Change::Constants => 3,
                }] += 1;
            }
        }
        assert!((60..140).contains(&with), "{with} of 800");
        assert!(kinds.iter().all(|count| *count > 20), "{kinds:?}");
    }
}
