//! Links between validators: delay, loss, duplication, reordering, and partitions that heal.

use std::collections::BTreeMap;

use carat_types::ValidatorId;

use crate::plan::NetworkPlan;
use crate::rng::Rng;

/// The network.
#[derive(Debug)]
pub struct Network {
    plan: NetworkPlan,
    n: usize,
    /// `cut[from * n + to]`: nothing gets through.
    cut: Vec<bool>,
    /// Latest delivery on each link, where order is kept.
    latest: BTreeMap<(ValidatorId, ValidatorId), u64>,
}

impl Network {
    /// A whole network of `n` validators.
    pub fn new(plan: NetworkPlan, n: u16) -> Self {
        let n = usize::from(n);
        Network { plan, n, cut: vec![false; n * n], latest: BTreeMap::new() }
    }

    /// Ends all faults.
    pub fn calm(&mut self) {
        self.plan = self.plan.calm();
        self.heal();
    }

    /// When a message sent now arrives; never, once or twice.
    pub fn deliveries(
        &mut self,
        rng: &mut Rng,
        now: u64,
        from: ValidatorId,
        to: ValidatorId,
    ) -> [Option<u64>; 2] {
        if self.cut[from.index() * self.n + to.index()] || rng.chance(self.plan.loss) {
            return [None; 2];
        }
        let first = self.arrival(rng, now, from, to);
        let second = rng.chance(self.plan.duplicate).then(|| self.arrival(rng, now, from, to));
        [Some(first), second]
    }

    /// A usual delay, for what is not sent between validators.
    pub fn delay(&self, rng: &mut Rng) -> u64 {
        rng.between(self.plan.delay_min, self.plan.delay_max)
    }

    /// Cuts the validators in two, in one direction or both.
    pub fn partition(&mut self, rng: &mut Rng) {
        self.heal();
        let sides: Vec<bool> = (0..self.n).map(|_| rng.chance(500)).collect();
        let one_way = rng.chance(300);
        for from in 0..self.n {
            for to in 0..self.n {
                let crosses = sides[from] != sides[to];
                self.cut[from * self.n + to] = crosses && (sides[from] || !one_way);
            }
        }
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        self.cut.fill(false);
    }

    fn arrival(&mut self, rng: &mut Rng, now: u64, from: ValidatorId, to: ValidatorId) -> u64 {
        let mut delay = self.delay(rng);
        if rng.chance(self.plan.straggler) {
            delay = delay.saturating_mul(rng.between(2, 20));
        }
        let mut at = now + delay.max(1);
        if self.plan.ordered {
            let latest = self.latest.entry((from, to)).or_default();
            at = at.max(*latest);
            *latest = at;
        }
        at
    }
}
