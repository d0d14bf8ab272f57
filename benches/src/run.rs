//! One run: accounts, signing, loads, results.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use carat_client::network::Network;
use carat_client::processes::Processes;
use carat_types::Quorum;

use crate::accounts::Senders;
use crate::arrivals::Spread;
use crate::cluster::Cluster;
use crate::faults::Disturbance;
use crate::load::{self, Loaded, Plan};
use crate::phases;
use crate::resources::{Snapshot, Usage, Used, Watch};
use crate::results::{LoadResults, Machine, Results};
use crate::scenario::Scenario;
use crate::transport::{Entrance, Way};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kind of work.
    pub scenario: Scenario,
    /// A rate for an open loop; none for a closed loop first.
    pub rate: Option<f64>,
    /// The way in.
    pub entrance: Entrance,
    /// How arrivals are spread.
    pub spread: Spread,
    /// How long each load is counted.
    pub duration: Duration,
    /// What comes before and is not counted.
    pub warm_up: Duration,
    /// Accounts; each has one transaction under way at most.
    pub accounts: usize,
    /// How many of them send, where not more is offered than can be settled.
    pub under_way: usize,
    /// How long one node may take before the same bytes go to the next one.
    pub attempt: Duration,
    /// Names the accounts.
    pub run: String,
}

/// What the open loop after the closed one offers of what that settled.
const SHARE: f64 = 0.8;
/// A first load that finds out for how many transactions signatures are needed.
const PROBE: Duration = Duration::from_secs(4);
/// Settled a second at most in that first load; more have no signature.
const PROBE_RATE: f64 = 20_000.0;
/// How many more transactions are signed than the probe says will be sent.
const SPARE: f64 = 2.5;
/// More arrivals than the generator could tell of.
const RATE_MAX: f64 = 1e6;
/// How long a transaction may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bench that is ready to load.
pub struct Bench<'a> {
    cluster: &'a Cluster,
    options: Options,
    senders: Senders,
    transport: Rc<Way>,
    watch: Watch,
    disturbances: Vec<Disturbance>,
}

impl<'a> Bench<'a> {
    /// Makes the accounts.
    ///
    /// **Errors**: the network does not settle the preparation.
    pub async fn prepare(cluster: &'a Cluster, options: Options) -> Result<Self> {
        let client = cluster.client()?;
        let senders = Senders::prepare(&client, options.scenario, options.accounts, &options.run).await?;
        let way = Way::through(options.entrance, &cluster.network, senders.key()?)?;
        let transport = Rc::new(way);
        Ok(Bench { cluster, options, senders, transport, watch: cluster.watch()?, disturbances: Vec::new() })
    }

    /// Measures what the options say.
    ///
    /// **Errors**: of the machine; those of transactions are counted.
    pub async fn measure(&mut self, say: &dyn Fn(&str)) -> Result<Results> {
        let machine = Machine::this();
        let (closed, rate) = match self.options.rate {
            Some(rate) => (None, rate),
            None => {
                let closed = self.closed(say).await?;
                say(&format!("{closed}\nsigning for an open loop at {:.0} %", SHARE * 100.0));
                let rate = closed.settled_tps * SHARE;
                (Some(closed), rate)
            }
        };
        let open = self.open(rate).await?;
        say(&open.to_string());
        Ok(self.results(closed, open, machine))
    }

    /// A closed loop: as fast as the answers come.
    ///
    /// **Errors**: of the machine.
    pub async fn closed(&mut self, say: &dyn Fn(&str)) -> Result<LoadResults> {
        let probe = self.load(self.plan(None, Duration::ZERO, PROBE), PROBE_RATE).await?;
        let found = probe.settled_tps;
        say(&format!("found some {found:.0}/s; signing for a closed loop"));
        let plan = self.plan(None, self.options.warm_up, self.options.duration);
        self.load(plan, found * SPARE).await
    }

    /// An open loop.
    ///
    /// **Errors**: of the machine.
    pub async fn open(&mut self, rate: f64) -> Result<LoadResults> {
        if rate < 1.0 {
            bail!(
                "an open loop at {rate:.2} transactions a second measures nothing (hint: --rate 1 or more)"
            );
        }
        let plan = self.plan(Some(rate), self.options.warm_up, self.options.duration);
        // Six standard deviations of a Poisson count.
        let seconds = plan.duration.as_secs_f64();
        self.load(plan, rate.max(0.0) + 6.0 * (rate.max(0.0) / seconds).sqrt()).await
    }

    /// An open loop at more than can be settled. What finds no free account is never sent.
    ///
    /// **Errors**: of the machine.
    pub async fn overload(&mut self, rate: f64) -> Result<LoadResults> {
        let plan =
            Plan { drain: false, ..self.plan(Some(rate), self.options.warm_up, self.options.duration) };
        self.load(plan, (rate / 2.0).min(PROBE_RATE)).await
    }

    /// From now on so much of each load is counted.
    pub fn count_for(&mut self, duration: Duration) {
        self.options.duration = duration;
    }

    /// From now on this is done during each load, beside what is done already.
    pub fn disturb(&mut self, disturbance: Disturbance) {
        self.disturbances.push(disturbance);
    }

    /// The network that is measured.
    pub fn network(&self) -> &Network {
        &self.cluster.network
    }

    /// Its processes.
    pub fn processes(&self) -> &Processes {
        &self.cluster.processes
    }

    fn plan(&self, rate: Option<f64>, warm_up: Duration, counted: Duration) -> Plan {
        Plan {
            duration: warm_up + counted,
            warm_up,
            rate: rate.map(|rate| (rate, self.options.spread)),
            attempt: self.options.attempt,
            patience: PATIENCE,
            drain: true,
        }
    }

    /// Signs for `rate` transactions a second, sends, and waits for all that was sent.
    async fn load(&mut self, plan: Plan, rate: f64) -> Result<LoadResults> {
        if let Some((rate, _)) = plan.rate
            && !(1.0..=RATE_MAX).contains(&rate)
        {
            bail!(
                "an open loop at {rate:.2} transactions a second cannot be (hint: --rate from 1 to {RATE_MAX:.0})"
            );
        }
        let count =
            if plan.drain { self.options.under_way.min(self.senders.len()) } else { self.senders.len() };
        let each = rate * plan.duration.as_secs_f64() / count as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let lanes = self.senders.sign(count, each.ceil() as usize + 1)?;
        let start = Instant::now();
        let settled = Rc::new(Cell::new(0));
        let looking = tokio::task::spawn_local(look(self.watch.clone(), plan, start, Rc::clone(&settled)));
        let disturbing = self.disturbances.iter().cloned().map(|disturbance| {
            let (network, processes) = (self.network().clone(), self.processes().clone());
            tokio::task::spawn_local(disturbance.run(network, processes, plan, start))
        });
        let disturbing: Vec<_> = disturbing.collect();
        let genesis = &self.cluster.network.genesis;
        let transport = Rc::clone(&self.transport);
        let mut loaded = load::run(transport, genesis, lanes, plan, start, settled).await?;
        let looked = looking.await?;
        let mut events = Vec::new();
        for disturbance in disturbing {
            events.extend(disturbance.await??);
        }
        self.senders.used(&loaded.used);
        self.look_for_lost(&mut loaded).await?;
        let quorum = Quorum::of(genesis.genesis.validators.len())?;
        // The validator that is asked may be the one that was killed.
        let phases = phases::of_recent_slots(&self.watch, quorum.one_correct()).await.unwrap_or_default();
        let (Some(before), Some(after)) = (&looked.before, &looked.after) else {
            bail!("the load ended before it was counted");
        };
        let used = Used::between(before, after);
        let stalled_ms = u64::try_from(looked.late.as_millis()).unwrap_or(u64::MAX);
        Ok(LoadResults {
            events,
            stalled_ms,
            ..LoadResults::new(&plan, &loaded, used, &looked.usage, phases)
        })
    }

    /// Asks what became of transactions that had no outcome in time.
    async fn look_for_lost(&self, loaded: &mut Loaded) -> Result<()> {
        let client = self.cluster.client()?;
        for transaction in &loaded.unanswered {
            if client.receipt_now(&transaction.hash).await.ok().flatten().is_none() {
                loaded.measured.errors.unanswered -= 1;
                loaded.measured.errors.lost += 1;
            }
        }
        Ok(())
    }

    fn results(&self, closed: Option<LoadResults>, open: LoadResults, machine: Machine) -> Results {
        let main = closed.as_ref().unwrap_or(&open);
        let mut kinds = open.error_kinds;
        if let Some(closed) = &closed {
            kinds.lost += closed.error_kinds.lost;
            kinds.wrong += closed.error_kinds.wrong;
            kinds.unanswered += closed.error_kinds.unanswered;
        }
        let rules: Vec<&str> = main.rules.keys().map(String::as_str).collect();
        Results {
            scenario: self.options.scenario,
            transport: self.options.entrance.to_string(),
            validators: self.cluster.network.nodes.len(),
            history_validators: self.cluster.histories,
            accounts: self.senders.len(),
            rate: if closed.is_some() { "max" } else { "open" }.to_owned(),
            settled_tps: main.settled_tps,
            offered_tps: open.offered_tps,
            latency_ms: open.latency_ms,
            errors: kinds.total(),
            error_kinds: kinds,
            refused_503: open.refused_503 + closed.as_ref().map_or(0, |closed| closed.refused_503),
            cpu_us_per_tx: main.used.cpu_us_per_tx,
            cpu_seconds: main.used.cpu_seconds.clone(),
            commit_rule: rules.join(", "),
            closed_loop: closed,
            open_loop: open,
            machine,
        }
    }
}

/// What was seen of the processes during a load.
#[derive(Debug, Default)]
struct Looked {
    before: Option<Snapshot>,
    after: Option<Snapshot>,
    /// At the beginning of each second.
    usage: Vec<BTreeMap<String, Usage>>,
    /// The longest time by which a look came late: for so long the generator did not run.
    late: Duration,
}

/// Looks at the processes each second, and closely at both ends of the counted time.
async fn look(watch: Watch, plan: Plan, start: Instant, settled: Rc<Cell<u64>>) -> Looked {
    let mut looked = Looked::default();
    let mut seconds = tokio::time::interval_at(start.into(), Duration::from_secs(1));
    let first = tokio::time::sleep_until((start + plan.warm_up).into());
    let last = tokio::time::sleep_until((start + plan.duration).into());
    tokio::pin!(first, last);
    loop {
        tokio::select! {
            biased;
            () = &mut first, if looked.before.is_none() => {
                looked.before = Some(watch.snapshot(settled.get()).await);
            }
            () = &mut last => {
                looked.usage.push(watch.usage());
                looked.after = Some(watch.snapshot(settled.get()).await);
                return looked;
            }
            due = seconds.tick() => {
                looked.late = looked.late.max(due.elapsed());
                looked.usage.push(watch.usage());
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A load for tests of what is measured when.
    pub(crate) fn options() -> Options {
        Options {
            scenario: Scenario::default(),
            rate: None,
            entrance: Entrance::default(),
            spread: Spread::default(),
            duration: Duration::from_secs(1),
            warm_up: Duration::ZERO,
            accounts: 1,
            under_way: usize::MAX,
            attempt: Duration::from_secs(1),
            run: "test".to_owned(),
        }
    }
}
