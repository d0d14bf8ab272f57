//! Links between validators: delay, loss, duplication, reordering, and partitions that heal.

use std::collections::BTreeMap;

use carat_types::ValidatorId;
use carat_types::message::{Data, Message};

use crate::mix::mix;
use crate::plan::NetworkPlan;
use crate::rng::Rng;

/// The network.
#[derive(Debug)]
pub struct Network {
    plan: NetworkPlan,
    n: usize,
    /// Makes the choice of what is withheld another one for each seed.
    salt: u64,
    /// `cut[from * n + to]`: nothing gets through.
    cut: Vec<bool>,
    /// `clogged[from * n + to]`: nothing arrives before this moment.
    clogged: Vec<u64>,
    /// Cut off from all others, whatever else is cut.
    exile: Option<ValidatorId>,
    timeout_us: u64,
    /// Latest delivery on each link, where order is kept.
    latest: BTreeMap<(ValidatorId, ValidatorId), u64>,
}

impl Network {
    /// A whole network of `n` validators whose T0 is `timeout_us`.
    pub fn new(plan: NetworkPlan, n: u16, seed: u64, timeout_us: u64) -> Self {
        let n = usize::from(n);
        let (cut, clogged) = (vec![false; n * n], vec![0; n * n]);
        Network {
            plan,
            n,
            salt: mix(seed, 7),
            cut,
            clogged,
            exile: None,
            timeout_us,
            latest: BTreeMap::new(),
        }
    }

    /// Ends all faults.
    pub fn calm(&mut self) {
        self.plan = self.plan.calm(self.timeout_us);
        self.clogged.fill(0);
        self.exile = None;
        self.heal();
    }

    /// When a message sent now arrives; never, once or twice.
    pub fn deliveries(
        &mut self,
        rng: &mut Rng,
        now: u64,
        (from, to): (ValidatorId, ValidatorId),
        message: &Message,
    ) -> [Option<u64>; 2] {
        let exiled = self.is_exiled(from) || self.is_exiled(to);
        let cut = exiled || self.cut[from.index() * self.n + to.index()];
        if cut || self.is_withheld(from, to, message) || rng.chance(self.plan.loss) {
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

    /// Clogs one link until some moment after `now`.
    pub fn clog(&mut self, rng: &mut Rng, now: u64) {
        let link = rng.index(self.clogged.len());
        self.clogged[link] = now + rng.between(1, self.plan.clog_max);
    }

    /// Cuts one validator off until all faults end.
    pub fn exile(&mut self, id: ValidatorId) {
        self.exile = Some(id);
    }

    /// Whether a validator is cut off by [`Network::exile`].
    pub fn is_exiled(&self, id: ValidatorId) -> bool {
        self.exile == Some(id)
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        self.cut.fill(false);
    }

    /// Whether this view's luck keeps votes of this kind from this link. Drawn anew for each view, and for each view
    /// with another strength.
    fn is_withheld(&self, from: ValidatorId, to: ValidatorId, message: &Message) -> bool {
        let (kind, view) = match message {
            Message::Proposal(proposal) => (1, proposal.signed.body.view),
            Message::Prepare(prepare) => (2, prepare.signed.body.0.view),
            Message::Commit(commit) => (3, commit.body.0.view),
            Message::Data(Data::Commit(certificate)) => (3, certificate.body.0.view),
            Message::NewView(new_view) => (4, new_view.body.view),
            _ => return false,
        };
        if self.plan.withheld == 0 {
            return false;
        }
        let of_view = mix(mix(self.salt, view.0), kind);
        let strength = [0, self.plan.withheld / 4, self.plan.withheld, 1_000][(of_view >> 60) as usize % 4];
        let of_link = mix(of_view, u64::from(from.0) << 16 | u64::from(to.0));
        of_link % 1_000 < strength
    }

    fn arrival(&mut self, rng: &mut Rng, now: u64, from: ValidatorId, to: ValidatorId) -> u64 {
        let mut delay = self.delay(rng);
        if rng.chance(self.plan.straggler) {
            delay = delay.saturating_mul(rng.between(2, 20));
        }
        let mut at = (now + delay.max(1)).max(self.clogged[from.index() * self.n + to.index()]);
        if self.plan.ordered {
            let latest = self.latest.entry((from, to)).or_default();
            at = at.max(*latest);
            *latest = at;
        }
        at
    }
}
