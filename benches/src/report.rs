//! One fixed block of results, for people and as JSON.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::{Measured, Plan};

/// The results of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Validators of the network.
    pub validators: usize,
    /// Paying accounts.
    pub accounts: usize,
    /// "closed" or the offered payments a second.
    pub offered_tps: Option<f64>,
    /// Payments settled a second.
    pub settled_tps: f64,
    /// Milliseconds from intended send to the sealed answer.
    pub latency_ms: Percentiles,
    /// Answers that were no success.
    pub errors: u64,
    /// Microseconds of processor time a settled payment, of all validators and this process.
    pub cpu_us_per_tx: f64,
    /// The rule whose evidence the answers rest on.
    pub commit_rule: &'static str,
    /// Seconds that were counted.
    pub seconds: f64,
    /// Some errors in words.
    pub samples: Vec<String>,
}

/// Latencies in milliseconds.
#[derive(Debug, Serialize)]
pub struct Percentiles {
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

impl Report {
    /// Puts the measurements together.
    pub fn new(
        validators: usize,
        accounts: usize,
        plan: &Plan,
        measured: Measured,
        cpu_seconds: f64,
    ) -> Self {
        let seconds = measured.counted.as_secs_f64();
        let settled = measured.settled as f64;
        Report {
            validators,
            accounts,
            offered_tps: plan.rate,
            settled_tps: settled / seconds,
            latency_ms: percentiles(&measured.latency_us),
            errors: measured.errors,
            cpu_us_per_tx: cpu_seconds * 1e6 / (settled * plan.duration.as_secs_f64() / seconds).max(1.0),
            commit_rule: "SEAL",
            seconds,
            samples: measured.samples,
        }
    }
}

fn percentiles(latency_us: &Histogram<u64>) -> Percentiles {
    let at = |quantile| latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
    Percentiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: latency_us.max() as f64 / 1_000.0,
    }
}
