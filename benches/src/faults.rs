//! The same load twice, the second time with something wrong: what is left of the rate, and how late answers come.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use carat_client::network::{Network, NodeAddress};
use carat_client::processes::Processes;
use carat_client::rest::Rest;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::load::Plan;
use crate::results::{Event, LoadResults, Machine};
use crate::run::Bench;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// One validator, not the leader, is killed before the load.
    OneDead,
    /// One validator, not the leader, is stopped nine tenths of the time.
    OneSlow,
    /// The leader is killed after a third of the counted time, and started again after two thirds.
    LeaderKilled,
    /// Ten times what a closed loop settles is offered; the client honours the retry time of a 503.
    Overload,
    /// Every datagram between validators takes 25 ms, a round trip 50.
    #[value(name = "delay-50ms")]
    Delay50ms,
}

/// One way of [`Fault::Delay50ms`].
pub const DELAY: Duration = Duration::from_millis(25);
/// How much more [`Fault::Overload`] offers.
const OVERLOAD: f64 = 10.0;
/// Of each tenth of a second, a slow validator runs so long.
const SLOW_RUNS: Duration = Duration::from_millis(10);
const SLOW_STOPS: Duration = Duration::from_millis(90);
/// How long a validator may take to say who leads.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// A clean load, and one with a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultResults {
    /// What was wrong: a name, or several.
    pub fault: String,
    /// In a sentence each.
    pub description: String,
    /// Without it.
    pub clean: LoadResults,
    /// With it.
    pub faulted: LoadResults,
    /// Settled a second with the fault, of what is settled without.
    pub settled_share: f64,
    /// Lost, wrong or unanswered, in both.
    pub errors: u64,
    /// Where and what.
    pub machine: Machine,
}

/// What is done to a network while a load runs.
#[derive(Clone, Debug)]
pub enum Disturbance {
    /// This process is stopped most of the time.
    Slow(NodeAddress),
    /// Whoever leads is killed, and started again.
    KillLeader,
}

impl Fault {
    /// Its name on the command line.
    fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn description(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }
}

/// The two loads that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Loads {
    /// Transactions a second of open loops; none for closed ones.
    pub rate: Option<f64>,
    /// How long the clean load is counted.
    pub clean: Duration,
    /// How long the one with the fault is.
    pub faulted: Duration,
}

/// Measures the load without `faults` and with all of them at once. Each fault of a validator falls upon another one.
///
/// **Errors**: of the machine, or fewer validators than faults; those of transactions are counted.
pub async fn measure(
    faults: &[Fault],
    bench: &mut Bench<'_>,
    loads: Loads,
    delay: impl Fn(Duration),
    say: &dyn Fn(&str),
) -> Result<FaultResults> {
    let machine = Machine::this();
    let rate = loads.rate;
    bench.count_for(loads.clean);
    let clean = match rate {
        None => bench.closed(say).await?,
        Some(rate) => bench.open(rate).await?,
    };
    say(&format!("without: {clean}"));
    let mut followers = followers(bench.network()).await?;
    let mut follower = || followers.pop().context("more faults than validators that do not lead");
    for fault in faults {
        match fault {
            Fault::OneDead => _ = bench.processes().kill(&follower()?).await?,
            Fault::OneSlow => bench.disturb(Disturbance::Slow(follower()?)),
            Fault::LeaderKilled => bench.disturb(Disturbance::KillLeader),
            Fault::Delay50ms => delay(DELAY),
            Fault::Overload => {}
        }
    }
    bench.count_for(loads.faulted);
    let faulted = match rate {
        rate if faults.contains(&Fault::Overload) => {
            bench.overload(rate.unwrap_or(clean.settled_tps) * OVERLOAD).await?
        }
        None => bench.closed(say).await?,
        Some(rate) => bench.open(rate).await?,
    };
    let together = |words: fn(Fault) -> String, between| {
        faults.iter().map(|fault| words(*fault)).collect::<Vec<_>>().join(between)
    };
    let fault = together(Fault::name, " and ");
    say(&format!("with {fault}: {faulted}"));
    Ok(FaultResults {
        fault,
        description: together(Fault::description, " "),
        settled_share: faulted.settled_tps / clean.settled_tps.max(f64::MIN_POSITIVE),
        errors: clean.errors + faulted.errors,
        clean,
        faulted,
        machine,
    })
}

impl Disturbance {
    /// Disturbs a load that began at `start`.
    ///
    /// **Returns** what was done and when.
    ///
    /// **Errors**: a process cannot be signalled or started.
    pub async fn run(
        self,
        network: Network,
        processes: Processes,
        plan: Plan,
        start: Instant,
    ) -> Result<Vec<Event>> {
        let counted = plan.duration.saturating_sub(plan.warm_up);
        let mut events = Vec::new();
        let mut note = |what: String| events.push(Event { second: start.elapsed().as_secs_f64(), what });
        match self {
            Disturbance::Slow(node) => {
                note(format!("{} is slow", node.name));
                let pid = processes.pid(&node).and_then(Pid::from_raw).context("a process to slow down")?;
                while start.elapsed() < plan.duration {
                    kill_process(pid, Signal::STOP)?;
                    tokio::time::sleep(SLOW_STOPS).await;
                    kill_process(pid, Signal::CONT)?;
                    tokio::time::sleep(SLOW_RUNS).await;
                }
            }
            Disturbance::KillLeader => {
                tokio::time::sleep_until((start + plan.warm_up + counted / 3).into()).await;
                let leader = leader(&network).await?;
                processes.kill(&leader).await?;
                note(format!("{} leads and is killed", leader.name));
                tokio::time::sleep_until((start + plan.warm_up + counted * 2 / 3).into()).await;
                processes.start(&leader)?;
                note(format!("{} starts again", leader.name));
            }
        }
        Ok(events)
    }
}

/// The validator that leads, by the word of the first one that answers.
async fn leader(network: &Network) -> Result<NodeAddress> {
    #[derive(Deserialize)]
    struct Status {
        leader: usize,
    }
    let http = Rest::pool()?;
    for node in &network.nodes {
        let status = Rest::new(&node.metrics, http.clone()).get::<Status>("/status", STATUS_PATIENCE).await;
        if let Ok(status) = status {
            return network.nodes.get(status.leader).cloned().context("a leader that is no validator");
        }
    }
    anyhow::bail!("no validator says who leads")
}

/// The validators that do not lead.
async fn followers(network: &Network) -> Result<Vec<NodeAddress>> {
    let leader = leader(network).await?;
    Ok(network.nodes.iter().filter(|node| **node != leader).cloned().collect())
}

impl fmt::Display for FaultResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, load: &LoadResults| {
            writeln!(
                f,
                "{name:<14} {:>8.0}/s offered {:>8.0}/s settled  p50 {:>8.1} ms  p99 {:>8.1} ms  {:>5.0} us  {} errors  {} 503",
                load.offered_tps,
                load.settled_tps,
                load.latency_ms.p50,
                load.latency_ms.p99,
                load.used.cpu_us_per_tx,
                load.errors,
                load.refused_503
            )
        };
        row("clean", &self.clean)?;
        row(&self.fault, &self.faulted)?;
        write!(f, "settled with the fault: {:.1} % of the clean rate", self.settled_share * 100.0)
    }
}
