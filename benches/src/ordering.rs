//! Ordering alone: what consensus decides a second of bytes that mean nothing, without signatures of clients and without a
//! ledger, so that it may be compared with systems that only order.
//!
//! Everything else is the product's: replica, event loop, journal with its syncs, network between processes, gossip of what a
//! validator receives, proposals with their content, signed votes and seals. A validator here ([`validator`]) differs from
//! `carat-node` in that it decodes no transaction, checks none against a state, executes by counting, and stores no blocks.
//! The load is a closed loop: so many transactions under way, the next follows when one was ordered by the validator that
//! it was handed in at.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use carat_genesis::{InitOptions, init};
use carat_network::entrance::Dialler;
use carat_node::settings::Settings;
use carat_types::SecretKey;
use carat_types::genesis::{ConsensusConstants, GenesisFile};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::resources::{self, GENERATOR, Usage};
use crate::results::{Latency, Machine};

mod generator;
mod opaque;
pub mod validator;

use generator::Feed;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many validators.
    pub validators: u16,
    /// Length of a transaction. **Units**: bytes.
    pub bytes: usize,
    /// Transactions under way.
    pub under_way: usize,
    /// What is not counted at the beginning.
    pub warm_up: Duration,
    /// What is counted.
    pub duration: Duration,
}

/// The results. Field names are fixed: programs read them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Validators of the network.
    pub validators: u16,
    /// Length of a transaction. **Units**: bytes.
    pub transaction_bytes: usize,
    /// Transactions under way.
    pub under_way: usize,
    /// Counted seconds.
    pub seconds: f64,
    /// Ordered a second.
    pub ordered_tps: f64,
    /// From the send to the word of the validator that it is ordered.
    pub latency_ms: Latency,
    /// Sent and not ordered when the run had ended and waited.
    pub unanswered: u64,
    /// By how many transactions the slowest validator was behind the fastest at the end.
    pub behind: u64,
    /// Microseconds of processor time a transaction, of all processes.
    pub cpu_us_per_tx: f64,
    /// Processor seconds by process.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Bytes that validators wrote to their disks, a transaction.
    pub disk_bytes_per_tx: f64,
    /// Where and what.
    pub machine: Machine,
}

/// What has to be over before more is taken for lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// Places in a pool for each transaction under way: what is ordered and not settled takes one, too.
const PLACES: u64 = 4;

/// Makes a network in a temporary folder, and measures it.
///
/// **Errors**: whatever keeps it from running.
pub async fn measure(options: &Options) -> Result<Results> {
    let own = tempfile::Builder::new().prefix("carat-bench-").tempdir()?;
    let folder = own.path().join("net");
    let under_way = u64::try_from(options.under_way)?;
    let test = InitOptions::test(options.validators, &folder);
    let pool = test.consensus.pool.max(under_way.saturating_mul(PLACES));
    let made = init(&InitOptions { consensus: ConsensusConstants { pool, ..test.consensus }, ..test })?;
    let validators = Validators::start(&made.homes)?;
    let feeds = connect(&made.homes, options).await?;
    let (before, begun) = validators.count_from(options.warm_up, &feeds).await?;
    tokio::time::sleep(options.duration).await;
    let (after, seconds) = (validators.usage(), begun.elapsed().as_secs_f64());
    feeds.iter().for_each(|feed| feed.stop());
    let latency_us = gather(&feeds)?;
    await_the_last(&feeds).await;
    validators.all_run()?;
    let reached = || feeds.iter().map(|feed| feed.reached());
    let behind = reached().max().unwrap_or(0) - reached().min().unwrap_or(0);
    let unanswered = feeds.iter().map(|feed| feed.under_way()).sum();
    let ordered = latency_us.len().max(1) as f64;
    let used = |part: fn(&Usage) -> f64| {
        let of = |(name, usage): (&String, &Usage)| {
            (name.clone(), part(usage) - before.get(name).map_or(0.0, part))
        };
        after.iter().map(of).collect::<BTreeMap<_, _>>()
    };
    let cpu_seconds = used(|usage| usage.cpu_seconds);
    let disk = used(|usage| usage.disk_bytes as f64);
    Ok(Results {
        validators: options.validators,
        transaction_bytes: options.bytes,
        under_way: options.under_way,
        seconds,
        ordered_tps: ordered / seconds,
        latency_ms: Latency::of(&latency_us),
        unanswered,
        behind,
        cpu_us_per_tx: cpu_seconds.values().sum::<f64>() * 1e6 / ordered,
        disk_bytes_per_tx: disk.iter().filter(|(name, _)| *name != GENERATOR).map(|(_, it)| it).sum::<f64>()
            / ordered,
        cpu_seconds,
        machine: Machine::this(),
    })
}

/// The validators' processes, which end with this one.
struct Validators {
    children: Vec<Child>,
}

impl Validators {
    fn start(homes: &[PathBuf]) -> Result<Self> {
        let program = std::env::current_exe()?;
        let start = |home: &PathBuf| {
            let mut command = Command::new(&program);
            command.arg("ordering-validator").arg(home).stdin(Stdio::null()).stdout(Stdio::null());
            // Blocks are kept in memory here: in huge pages a sixth of the time went into clearing them.
            command.env("MIMALLOC_ALLOW_THP", "0");
            command.spawn().with_context(|| format!("start {}", program.display()))
        };
        Ok(Validators { children: homes.iter().map(start).collect::<Result<_>>()? })
    }

    fn usage(&self) -> BTreeMap<String, Usage> {
        let children = self.children.iter().zip(0..).map(|(child, index)| (format!("v{index}"), child.id()));
        let all = children.chain([(GENERATOR.to_owned(), std::process::id())]);
        all.filter_map(|(name, pid)| Some((name, resources::usage(i32::try_from(pid).ok()?)?))).collect()
    }

    /// Begins to count when the warm-up is over. **Returns** what was used before, and when that was.
    async fn count_from(
        &self,
        warm_up: Duration,
        feeds: &[Rc<Feed>],
    ) -> Result<(BTreeMap<String, Usage>, Instant)> {
        let deadline = Instant::now() + PATIENCE;
        while feeds.iter().any(|feed| feed.reached() == 0) {
            if Instant::now() > deadline {
                bail!("nothing was ordered in {PATIENCE:?} (hint: is the machine busy with something else?)");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(warm_up).await;
        let begun = Instant::now();
        feeds.iter().for_each(|feed| feed.count_from(begun));
        Ok((self.usage(), begun))
    }

    fn all_run(&self) -> Result<()> {
        let running = self.usage().len() - 1;
        if running < self.children.len() {
            bail!("{running} of {} validators run at the end", self.children.len());
        }
        Ok(())
    }
}

impl Drop for Validators {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already needs no signal.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A session with each validator, and the load on it.
async fn connect(homes: &[PathBuf], options: &Options) -> Result<Vec<Rc<Feed>>> {
    let share = options.under_way.div_ceil(homes.len());
    let mut feeds = Vec::new();
    for home in homes {
        let (settings, genesis) = read(home)?;
        let index = settings.validator.index.context("an index")?;
        let server = genesis.genesis.validators.get(usize::from(index)).context("an index")?.network;
        let address = settings.entrance.listen.unwrap_or(settings.api.listen);
        let dialler = Dialler::new(&SecretKey::from_seed(&[7; 32]), &genesis.chain_id)?;
        let deadline = Instant::now() + PATIENCE;
        let session = loop {
            match dialler.dial(address, server).await {
                Ok(session) => break session,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        feeds.push(Feed::start(session, index, share, options.bytes)?);
    }
    Ok(feeds)
}

fn read(home: &Path) -> Result<(Settings, GenesisFile)> {
    let settings = Settings::load(home)?;
    let genesis = carat_node::home::read_genesis(&settings.validator.genesis)?;
    Ok((settings, genesis))
}

fn gather(feeds: &[Rc<Feed>]) -> Result<Histogram<u64>> {
    let mut all = generator::histogram()?;
    feeds.iter().try_for_each(|feed| all.add(feed.latency_us()))?;
    Ok(all)
}

async fn await_the_last(feeds: &[Rc<Feed>]) {
    let deadline = Instant::now() + PATIENCE;
    while feeds.iter().any(|feed| feed.under_way() > 0) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p90, p99, p999, max } = self.latency_ms;
        writeln!(
            f,
            "ordering alone, {} validators, {} B, {} under way, {:.0} s: {:.0} ordered a second, {} unanswered",
            self.validators,
            self.transaction_bytes,
            self.under_way,
            self.seconds,
            self.ordered_tps,
            self.unanswered
        )?;
        writeln!(f, "  latency ms: p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p999:.1}  max {max:.1}")?;
        let generator = self.cpu_seconds.get(GENERATOR).copied().unwrap_or(0.0);
        write!(
            f,
            "  a transaction: {:.1} us of processor time, of which {:.1} the generator's; {:.0} B to disk; the slowest \
             validator was {} behind",
            self.cpu_us_per_tx,
            generator * 1e6 / (self.ordered_tps * self.seconds),
            self.disk_bytes_per_tx,
            self.behind
        )
    }
}
