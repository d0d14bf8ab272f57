//! Epochs of a run: what is planned to change at the end of each, and who validates under which constants.
//!
//! A machine keeps its place for life: it is validator `i` of every epoch that it is in. A set grows by a machine at the end
//! and shrinks by the last one, a key is replaced in its place, and constants change under all of them. On an edge network the machines
//! at the end are proposers: these come and go there, and the number of validators stays.

use std::sync::Arc;

use carat_types::epoch::EpochSet;
use carat_types::genesis::{ConsensusConstants, Deployment, GenesisProposer, GenesisValidator, Trust};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, Epoch, PublicKey, Quorum, ValidatorId};

use crate::crypto::Keys;
use crate::ledger::LedgerKind;
use crate::plan::{Behaviour, Plan, SECOND};
use crate::rng::Rng;

/// Sets what a seed decides of epochs apart from all else that it decides.
const EPOCHS: u64 = 0x6570_6f63_6873;
const EDGE_EPOCHS: u64 = 0x6564_6765_7470;

/// Proposers that an edge network has at most.
const EDGE_MAX: u16 = 6;

/// What is different in an epoch from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A machine has new keys.
    Replaced(ValidatorId),
    /// A machine that was in no epoch before, or not in the last one, is there.
    Added(ValidatorId),
    /// The last machine is gone.
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
    /// Proposers of an edge network.
    pub edge: u16,
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
    /// Proposers of an edge network.
    pub edge: u16,
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
    pub fn with_epochs(self, forced: bool, adversary: Option<Behaviour>) -> Plan {
        // A generator of its own: the other seven eighths are what they were before there were epochs.
        let mut rng = Rng::new(self.seed ^ EPOCHS);
        let drawn = rng.chance(125);
        if forced || drawn && !self.latecomer { self.changing(rng, adversary) } else { self }
    }

    /// The same on an edge network, in a quarter of the seeds that have one.
    #[must_use]
    pub fn with_edge_epochs(self, forced: bool, adversary: Option<Behaviour>) -> Plan {
        let mut rng = Rng::new(self.seed ^ EDGE_EPOCHS);
        let drawn = rng.chance(250);
        if self.edge > 0 && (forced || drawn) { self.changing(rng, adversary) } else { self }
    }

    fn changing(mut self, mut rng: Rng, adversary: Option<Behaviour>) -> Plan {
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
        self.epochs.iter().map(|epoch| epoch.n + epoch.edge).fold(self.n + self.edge, u16::max)
    }

    /// Proposers of an edge network that are there in every epoch.
    pub fn lasting_proposers(&self) -> std::ops::Range<u16> {
        self.n..self.n + self.epochs.iter().map(|epoch| epoch.edge).fold(self.edge, u16::min)
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

    /// Validators that come with nothing on their disks.
    fn joiners(&self) -> usize {
        let comes = |change| matches!(change, Change::Added(id) if !self.is_at_the_edge(id));
        self.epochs.iter().filter(|epoch| comes(epoch.change)).count()
    }

    fn next_epoch(&self, rng: &mut Rng) -> EpochPlan {
        let last = self.epochs.last();
        let (n, edge) = last.map_or((self.n, self.edge), |epoch| (epoch.n, epoch.edge));
        let mut generations = last.map_or_else(Vec::new, |epoch| epoch.generations.clone());
        generations.resize(usize::from(self.machines()) + 1, 0);
        let change = if edge > 0 { self.draw_edge_change(edge, rng) } else { self.draw_change(n, rng) };
        let changed = if edge > 0 { edge } else { n };
        let changed = match change {
            Change::Added(_) => changed + 1,
            Change::Removed(_) => changed - 1,
            Change::Replaced(_) | Change::Constants => changed,
        };
        let (n, edge) = if edge > 0 { (n, changed) } else { (changed, 0) };
        if let Change::Replaced(id) | Change::Added(id) = change {
            generations[id.index()] += 1;
        }
        let params = last.map_or(self.params, |epoch| epoch.params);
        let params =
            if change == Change::Constants || rng.chance(300) { redrawn(params, rng) } else { params };
        EpochPlan { change, n, edge, generations, params, after_us: rng.between(0, 5 * SECOND) }
    }

    /// A change of an edge network that leaves it a proposer which is correct and was there from the beginning.
    fn draw_edge_change(&self, edge: u16, rng: &mut Rng) -> Change {
        let machine = |number: u64| ValidatorId(u16::try_from(number).unwrap_or(0));
        let proposer = machine(u64::from(self.n) + rng.below(u64::from(edge)));
        let last = ValidatorId(self.n + edge - 1);
        let correct = self.lasting_proposers().map(ValidatorId).filter(|id| *id != last);
        let bears = correct.into_iter().any(|id| self.edge_liars.iter().all(|(liar, _)| *liar != id));
        match rng.below(5) {
            0 => Change::Replaced(machine(rng.below(u64::from(self.n)))),
            1 => Change::Constants,
            2 if edge < EDGE_MAX => Change::Added(ValidatorId(self.n + edge)),
            3 if bears => Change::Removed(last),
            _ => Change::Replaced(proposer),
        }
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
        let plans = self.epochs.iter().map(|epoch| ((epoch.n, epoch.edge), epoch.params, &epoch.generations));
        let plans = std::iter::once(((self.n, self.edge), self.params, &none)).chain(plans);
        (0..).zip(plans).map(|(epoch, plan)| self.era(Epoch(epoch), chain_id, plan)).collect()
    }

    fn era(
        &self,
        epoch: Epoch,
        chain_id: Digest,
        ((n, edge), params, generations): ((u16, u16), ConsensusConstants, &Vec<u16>),
    ) -> Era {
        let generation = |id: u16| generations.get(usize::from(id)).copied().unwrap_or(0);
        let keys =
            (0..n + edge).map(|id| Keys::made(self.scheme, self.seed, ValidatorId(id), generation(id)));
        let keys: Vec<Keys> = keys.collect();
        let (voters, at_the_edge) = keys.split_at(usize::from(n));
        let network = |key: PublicKey| PublicKey(key.0.map(|byte| !byte));
        let validators = voters.iter().map(Keys::public).zip(0..n).map(|(keys, id)| GenesisValidator {
            name: format!("v{id}"),
            acceptor: keys.acceptor,
            proposer: keys.proposer,
            network: network(keys.acceptor),
        });
        let proposers =
            at_the_edge.iter().map(Keys::public).zip(0..edge).map(|(keys, place)| GenesisProposer {
                name: format!("p{place}"),
                proposer: keys.proposer,
                network: network(keys.proposer),
            });
        let deployment = match edge {
            0 => Deployment::CoLocated,
            _ => Deployment::Edge { proposers: proposers.collect() },
        };
        let described = EpochSet { epoch, validators: validators.collect(), deployment, consensus: params };
        let set = described.validators(chain_id).expect("the plan gives possible sizes only");
        Era { set: Arc::new(set), n, edge, keys, params, hash: described.hash() }
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
