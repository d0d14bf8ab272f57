//! The results of a run, as JSON and for people.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::load::{Loaded, Plan};
use crate::measure::{Errors, Second};
use crate::phases::Phase;
use crate::resources::{Usage, Used};
use crate::scenario::Scenario;

/// The results of one run. Field names are fixed: programs read them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// What was done.
    pub scenario: Scenario,
    /// The entrance that was used.
    pub transport: String,
    /// Validators of the network.
    pub validators: usize,
    /// How many of them keep a history for readers; null where that is not known.
    #[serde(default)]
    pub history_validators: Option<usize>,
    /// Sending accounts.
    pub accounts: usize,
    /// `max` (a closed loop, then an open one at 80 % of what it found), or `open`.
    pub rate: String,
    /// Settled a second: in the closed loop where there is one.
    pub settled_tps: f64,
    /// Offered a second in the open loop, where the latency is read.
    pub offered_tps: f64,
    /// Of the open loop.
    pub latency_ms: Latency,
    /// Lost, wrong or unanswered, in all.
    pub errors: u64,
    /// The same by kind.
    pub error_kinds: Errors,
    /// Answers "503, come back later", after which the same bytes were sent again.
    pub refused_503: u64,
    /// Microseconds of processor time a settled transaction, of all validators and the generator, at the rate of
    /// `settled_tps`.
    pub cpu_us_per_tx: f64,
    /// Processor seconds by process behind it, in the counted time alone.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// The rule that receipts rested on.
    pub commit_rule: String,
    /// The closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_loop: Option<LoadResults>,
    /// The open loop.
    pub open_loop: LoadResults,
    /// Where and what.
    pub machine: Machine,
}

/// The results of one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadResults {
    /// `closed` or `open`.
    pub kind: String,
    /// Transactions under way at most.
    pub under_way_max: usize,
    /// Counted seconds.
    pub seconds: f64,
    /// Meant to be sent a second.
    pub offered_tps: f64,
    /// Verified receipts a second.
    pub settled_tps: f64,
    /// From the intended send to the verified receipt.
    pub latency_ms: Latency,
    /// Latencies in milliseconds by share of the transactions: the whole distribution.
    pub distribution_ms: Vec<(f64, f64)>,
    /// Lost, wrong or unanswered.
    pub errors: u64,
    /// The same by kind.
    pub error_kinds: Errors,
    /// Answers 503.
    pub refused_503: u64,
    /// Transactions of an overload that were never sent, since all accounts had one under way.
    pub held_back: u64,
    /// Times that the same bytes went to another node.
    pub sent_again: u64,
    /// Why bytes were sent more than once.
    pub reasons: BTreeMap<String, u64>,
    /// Whether the signed transactions were used up before the time was over.
    pub exhausted: bool,
    /// The longest time for which the generator did not run, as it should each second: a machine that stood still, or a
    /// generator that is at its end. **Units**: milliseconds.
    pub stalled_ms: u64,
    /// Receipts by their rule.
    pub rules: BTreeMap<String, u64>,
    /// Processor, disk, network and the validators' counters in the counted time.
    pub used: Used,
    /// Where the time of a block goes.
    pub phases: Vec<Phase>,
    /// What was done to the network meanwhile.
    pub events: Vec<Event>,
    /// Second by second.
    pub series: Vec<Point>,
    /// Some failures in words.
    pub samples: Vec<String>,
}

/// Something that was done to the network during a load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since the start.
    pub second: f64,
    /// What.
    pub what: String,
}

/// Latencies. **Units**: milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// One second of a load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Seconds since the start.
    pub second: usize,
    /// Meant to be sent in it.
    pub offered: u64,
    /// Settled in it.
    pub settled: u64,
    /// Median latency of these.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// Processor seconds by process.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Memory of the largest validator. **Units**: bytes.
    pub resident_bytes_max: u64,
}

/// What the figures depend on beside the program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// How many there are.
    pub processors: usize,
    /// Commit that was measured, if the caller said so (`CARAT_COMMIT`).
    pub commit: Option<String>,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Load average of the minute before the run: what else was running.
    pub load_average: String,
}

impl Latency {
    /// The percentiles of microseconds.
    pub fn of(latency_us: &Histogram<u64>) -> Self {
        let at = |quantile| ms(latency_us.value_at_quantile(quantile));
        Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: ms(latency_us.max()) }
    }
}

impl LoadResults {
    /// Puts a load's measurements together.
    pub fn new(
        plan: &Plan,
        loaded: &Loaded,
        used: Used,
        usage: &[BTreeMap<String, Usage>],
        phases: Vec<Phase>,
    ) -> Self {
        let measured = &loaded.measured;
        let seconds = measured.counted().as_secs_f64();
        let steps = measured.latency_us.iter_quantiles(4);
        LoadResults {
            kind: if plan.rate.is_some() { "open" } else { "closed" }.to_owned(),
            under_way_max: loaded.used.len(),
            seconds,
            offered_tps: measured.offered as f64 / seconds,
            settled_tps: measured.settled as f64 / seconds,
            latency_ms: Latency::of(&measured.latency_us),
            distribution_ms: steps.map(|step| (step.quantile(), ms(step.value_iterated_to()))).collect(),
            errors: measured.errors.total(),
            error_kinds: measured.errors,
            refused_503: measured.busy,
            held_back: measured.held_back,
            sent_again: measured.sent_again,
            reasons: measured.reasons.clone(),
            exhausted: loaded.exhausted,
            stalled_ms: 0,
            rules: measured.rules.clone(),
            used,
            phases,
            events: Vec::new(),
            series: measured
                .seconds
                .iter()
                .enumerate()
                .map(|(at, second)| point(at, second, usage))
                .collect(),
            samples: measured.samples.clone(),
        }
    }
}

/// One second; `usage` has the processes' at the beginning of each.
fn point(second: usize, counts: &Second, usage: &[BTreeMap<String, Usage>]) -> Point {
    let latency = Latency::of(&counts.latency_us);
    let (before, after) = (usage.get(second), usage.get(second + 1));
    let mut cpu_seconds = BTreeMap::new();
    if let (Some(before), Some(after)) = (before, after) {
        let spent = |(name, now): (&String, &Usage)| {
            let then = before.get(name).copied().unwrap_or_default().cpu_seconds;
            (name.clone(), ((now.cpu_seconds - then) * 100.0).round() / 100.0)
        };
        cpu_seconds = after.iter().map(spent).collect();
    }
    let validators = after.into_iter().flatten().filter(|(name, _)| *name != crate::resources::GENERATOR);
    Point {
        second,
        offered: counts.offered,
        settled: counts.settled,
        p50_ms: latency.p50,
        p99_ms: latency.p99,
        cpu_seconds,
        resident_bytes_max: validators.map(|(_, usage)| usage.resident_bytes).max().unwrap_or(0),
    }
}

impl Machine {
    /// This one, now.
    pub fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Machine {
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            commit: std::env::var("CARAT_COMMIT").ok().filter(|commit| !commit.is_empty()),
            time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            load_average: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// A generator that did not run for so long is told of.
const STALLED_MS: u64 = 500;

impl fmt::Display for LoadResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p90, p99, p999, max } = self.latency_ms;
        writeln!(
            f,
            "{:<6} loop, {:.0} s: offered {:.0}/s, settled {:.0}/s, errors {}, 503 {}{}",
            self.kind,
            self.seconds,
            self.offered_tps,
            self.settled_tps,
            self.errors,
            self.refused_503,
            if self.exhausted { ", ENDED EARLY: the signed transactions were used up" } else { "" },
        )?;
        writeln!(f, "  latency ms: p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p999:.1}  max {max:.1}")?;
        writeln!(
            f,
            "  a transaction: {:.0} us of processor time, of which {:.0} the generator's; {:.0} B between validators, {:.0} B to disk",
            self.used.cpu_us_per_tx,
            self.used.generator_cpu_us_per_tx,
            self.used.network_bytes_per_tx,
            self.used.disk_bytes_per_tx,
        )?;
        let settled: Vec<u64> = self.series.iter().map(|point| point.settled).collect();
        write!(f, "  settled each second: {}", sparkline(&settled))?;
        if self.stalled_ms > STALLED_MS {
            write!(f, "\n  THE GENERATOR DID NOT RUN for {} ms: this load says little", self.stalled_ms)?;
        }
        for (reason, count) in &self.reasons {
            write!(f, "\n  sent again {count} times: {reason}")?;
        }
        self.samples.iter().try_for_each(|sample| write!(f, "\n  error: {sample}"))
    }
}

/// A row of bars as high as the numbers.
fn sparkline(numbers: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let bar =
        |number: &u64| BARS.get(usize::try_from(number * 7 / most).unwrap_or(0)).copied().unwrap_or('█');
    numbers.iter().map(bar).collect()
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}
