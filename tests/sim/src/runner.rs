//! Running seeds: one, or many on several threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use carat_types::ValidatorId;
use carat_types::genesis::Trust;

use crate::oracle::Violation;
use crate::plan::{Behaviour, Plan};
use crate::planted::Planted;
use crate::simulation::{Outcome, Simulation};
use crate::trace::{Line, Wanted};

/// What to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Number of validators; else the seed decides.
    pub n: Option<u16>,
    /// What the liars do; else the seed decides whether there are any, and what they do.
    pub adversary: Option<Behaviour>,
    /// What validators act on; else the seed decides.
    pub trust: Option<Trust>,
    /// Whether the validators change, whatever the seed says.
    pub epochs: bool,
    /// Whether proposers are machines of their own; else the seed decides.
    pub edge: Option<bool>,
    /// An error to plant.
    pub planted: Option<Planted>,
}

impl Options {
    /// What a seed stands for.
    pub fn plan(&self, seed: u64) -> Plan {
        let plan = Plan::of(seed, self.n, self.adversary, self.trust);
        // Whoever asks for an edge gets it, with epochs if they are asked for too.
        let plan = if self.edge == Some(true) { plan } else { plan.with_epochs(self.epochs, self.adversary) };
        plan.with_edge(self.edge, self.adversary).with_edge_epochs(self.epochs, self.adversary)
    }
}

/// The sum over many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Inputs delivered.
    pub events: u64,
    /// Final slots.
    pub slots: u64,
    /// Epochs that ended.
    pub epochs: u64,
    /// Acknowledged transactions.
    pub acknowledged: u64,
    /// Crashes.
    pub crashes: u64,
    /// States that were fetched whole.
    pub transfers: u64,
    /// Slots that clients were told of by TREPLY before they were final anywhere.
    pub told_early: u64,
    /// Highest view of any seed.
    pub views: u64,
    /// Longest recovery of the end phase. **Units**: milliseconds of virtual time.
    pub recovery_ms: u64,
    /// Mix of all trace hashes, whatever the order of the threads.
    pub trace_hash: u64,
    /// Seeds with a broken rule.
    pub failures: Vec<(u64, Violation)>,
}

/// Runs one seed.
pub fn run_seed(seed: u64, options: Options, wanted: Wanted) -> Outcome {
    let plan = options.plan(seed);
    Simulation::new(plan, options.planted, wanted).run()
}

/// Runs `count` seeds from `first` on `threads` threads; `watch` hears of each outcome as it comes.
pub fn run_seeds(
    first: u64,
    count: u64,
    threads: usize,
    options: Options,
    watch: impl Fn(u64, &Outcome) + Sync,
) -> Summary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let offset = next.fetch_add(1, Ordering::Relaxed);
                    if offset >= count {
                        break;
                    }
                    let seed = first + offset;
                    let outcome = run_seed(seed, options, Wanted::Hash);
                    watch(seed, &outcome);
                    if let Ok(mut summary) = summary.lock() {
                        summary.add(seed, &outcome);
                    }
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_default();
    summary.failures.sort_by_key(|(seed, _)| *seed);
    summary
}

impl Summary {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.slots += outcome.slots;
        self.epochs += outcome.epochs;
        self.acknowledged += outcome.acknowledged as u64;
        self.crashes += outcome.crashes;
        self.transfers += outcome.transfers;
        self.told_early += outcome.told_early as u64;
        self.views = self.views.max(outcome.views);
        self.recovery_ms = self.recovery_ms.max(outcome.recovery_ms);
        self.trace_hash ^= crate::mix::mix(seed, outcome.trace_hash);
        if let Some(violation) = &outcome.violation {
            self.failures.push((seed, violation.clone()));
        }
    }
}

/// The last `count` lines about whoever a violation concerns; about all, if it concerns nobody in particular.
pub fn last_lines(lines: &[Line], concerned: Option<ValidatorId>, count: usize) -> Vec<&Line> {
    let about = |line: &&Line| concerned.is_none() || line.who.is_none() || line.who == concerned;
    let mut chosen: Vec<&Line> = lines.iter().filter(about).collect();
    chosen.split_off(chosen.len().saturating_sub(count))
}
