//! What processes use, from `/proc`, and what validators say of themselves, from `/metrics`.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Ticks of the process table, fixed at 100 a second for programs on Linux.
const TICKS: f64 = 100.0;
const KIB: u64 = 1_024;

/// What one process has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time. **Units**: seconds.
    pub cpu_seconds: f64,
    /// Memory that is resident now. **Units**: bytes.
    pub resident_bytes: u64,
    /// Bytes that went to the disk.
    pub disk_bytes: u64,
}

/// What a process uses now; none if it is gone.
pub fn usage(pid: i32) -> Option<Usage> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let stat = read("stat")?;
    // proc(5): after the name in brackets come fields 3, 4, ...; utime is field 14, stime 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    let number = |text: &str, name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Usage {
        cpu_seconds: (ticks()? + ticks()?) / TICKS,
        resident_bytes: number(&read("status")?, "VmRSS:")? * KIB,
        // Another user's processes do not show it.
        disk_bytes: read("io").and_then(|io| number(&io, "write_bytes:")).unwrap_or(0),
    })
}

/// All processes of a run, and what the validators count, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When.
    pub at: Instant,
    /// By process name.
    pub usage: BTreeMap<String, Usage>,
    /// Sums over all validators, by metric with its labels.
    pub metrics: BTreeMap<String, f64>,
    /// Receipts that were verified until now.
    pub settled: u64,
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Process ids by name.
    pub pids: BTreeMap<String, i32>,
    /// Addresses of the validators' metrics.
    pub metrics: Vec<String>,
    http: reqwest::Client,
}

/// A validator that does not answer so long is left out.
const METRICS_PATIENCE: Duration = Duration::from_secs(2);

impl Watch {
    /// Watches these processes and this one.
    ///
    /// **Errors**: no connections can be made.
    pub fn new(mut pids: BTreeMap<String, i32>, metrics: Vec<String>) -> Result<Self> {
        let own = i32::try_from(std::process::id()).context("a process id")?;
        pids.insert(GENERATOR.into(), own);
        Ok(Watch { pids, metrics, http: carat_client::rest::Rest::pool()? })
    }

    /// What all use now; those that are gone are left out.
    pub fn usage(&self) -> BTreeMap<String, Usage> {
        self.pids.iter().filter_map(|(name, pid)| Some((name.clone(), usage(*pid)?))).collect()
    }

    /// Everything, now.
    pub async fn snapshot(&self, settled: u64) -> Snapshot {
        // The processes first: asking for metrics costs processor time, too.
        let (at, usage) = (Instant::now(), self.usage());
        let mut metrics = BTreeMap::new();
        for address in &self.metrics {
            let Ok(text) = self.text(&format!("{address}/metrics")).await else { continue };
            for (name, value) in samples::<f64>(&text) {
                *metrics.entry(name.to_owned()).or_default() += value;
            }
        }
        Snapshot { at, usage, metrics, settled }
    }

    /// A metric of the first validator.
    ///
    /// **Errors**: it does not answer.
    pub async fn metric<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let text = self.text(&self.first("/metrics")?).await?;
        Ok(samples(&text).find(|(other, _)| *other == name).map(|(_, value)| value))
    }

    /// What the first validator shows its operator at `path`.
    ///
    /// **Errors**: it does not answer, or something else.
    pub async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(serde_json::from_str(&self.text(&self.first(path)?).await?)?)
    }

    fn first(&self, path: &str) -> Result<String> {
        Ok(format!("{}{path}", self.metrics.first().context("a validator")?))
    }

    async fn text(&self, url: &str) -> Result<String> {
        Ok(self.http.get(url).timeout(METRICS_PATIENCE).send().await?.error_for_status()?.text().await?)
    }
}

/// Name of the load generator among the processes.
pub const GENERATOR: &str = "generator";

/// Names and values of Prometheus' text format.
fn samples<T: FromStr>(text: &str) -> impl Iterator<Item = (&str, T)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name, value.parse().ok()?))
    })
}

/// What was used between two snapshots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Used {
    /// **Units**: seconds.
    pub seconds: f64,
    /// Processor seconds by process, `all` of them together.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Microseconds of processor time a settled transaction, of all processes.
    pub cpu_us_per_tx: f64,
    /// The same of the load generator alone.
    pub generator_cpu_us_per_tx: f64,
    /// Bytes that validators wrote to their disks, a settled transaction.
    pub disk_bytes_per_tx: f64,
    /// Bytes that validators sent each other, a settled transaction.
    pub network_bytes_per_tx: f64,
    /// Most memory resident at the end, of one validator. **Units**: bytes.
    pub resident_bytes_max: u64,
    /// By how much the validators' counters rose, all together.
    pub metrics: BTreeMap<String, f64>,
}

/// Counters that reports show; histograms as their sums and counts.
const SHOWN: &[&str] = &[
    "consensus_rule_met_total",
    "consensus_view_changes_total",
    "ledger_apply_seconds_",
    "ledger_dropped_total",
    "ledger_transactions_total",
    "network_bytes_total",
    "network_dropped_frames_total",
    "pool_submissions_total",
    "signature_checks_total",
    "storage_journal_",
];

impl Used {
    /// What was used from `before` to `after`.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let settled = after.settled.saturating_sub(before.settled).max(1) as f64;
        let of = |name: &String| before.usage.get(name).copied().unwrap_or_default();
        let mut cpu: BTreeMap<String, f64> = BTreeMap::new();
        let mut disk = 0;
        for (name, usage) in &after.usage {
            // Hundredths are all that the process table knows.
            let seconds = ((usage.cpu_seconds - of(name).cpu_seconds) * TICKS).round() / TICKS;
            cpu.insert(name.clone(), seconds);
            *cpu.entry(ALL.into()).or_default() += seconds;
            if name != GENERATOR {
                disk += usage.disk_bytes.saturating_sub(of(name).disk_bytes);
            }
        }
        let rose = |(name, value): (&String, &f64)| {
            let rise = value - before.metrics.get(name).copied().unwrap_or(0.0);
            let shown = SHOWN.iter().any(|shown| name.starts_with(shown)) && !name.contains("_bucket");
            (shown && rise != 0.0).then(|| (name.clone(), rise))
        };
        let metrics: BTreeMap<String, f64> = after.metrics.iter().filter_map(rose).collect();
        let sent = metrics.get("network_bytes_total{direction=\"out\"}").copied().unwrap_or(0.0);
        let per_tx = |name: &str| cpu.get(name).copied().unwrap_or(0.0) * 1e6 / settled;
        let validators = after.usage.iter().filter(|(name, _)| *name != GENERATOR);
        Used {
            seconds: after.at.duration_since(before.at).as_secs_f64(),
            cpu_us_per_tx: per_tx(ALL),
            generator_cpu_us_per_tx: per_tx(GENERATOR),
            disk_bytes_per_tx: disk as f64 / settled,
            network_bytes_per_tx: sent / settled,
            resident_bytes_max: validators.map(|(_, usage)| usage.resident_bytes).max().unwrap_or(0),
            cpu_seconds: cpu,
            metrics,
        }
    }
}

/// The sum of all processes.
const ALL: &str = "all";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_uses_processor_time_and_memory() {
        let own = i32::try_from(std::process::id()).expect("small");
        let before = usage(own).expect("runs");
        let mut number = 1;
        while usage(own).expect("runs").cpu_seconds < before.cpu_seconds + 0.02 {
            number = std::hint::black_box(crate::scenario::mix(number));
        }
        assert!(before.resident_bytes > 100_000);
        assert_eq!(usage(i32::MAX), None);
    }

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a b\n# TYPE a counter\na_total{kind=\"x y\"} 3\nb 0.25\n";
        assert_eq!(samples::<f64>(text).collect::<Vec<_>>(), [("a_total{kind=\"x y\"}", 3.0), ("b", 0.25)]);
    }
}
