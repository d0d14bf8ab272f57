//! The saturation curve: what is settled of what is offered, and how latency grows, up to and beyond the knee.

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::results::{Latency, LoadResults, Machine};
use crate::run::Bench;

/// Offered rates, as shares of what a closed loop settles.
const SHARES: [f64; 8] = [0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2];
/// Settled of offered at least, for a rate that is carried. A run of some seconds ends with a few under way.
const CARRIED: f64 = 0.97;

/// The curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sweep {
    /// What a closed loop settles a second.
    pub closed_loop_tps: f64,
    /// In ascending order of what is offered.
    pub points: Vec<SweepPoint>,
    /// The highest rate that is carried; the knee of the curve.
    pub knee_tps: Option<f64>,
    /// Lost, wrong or unanswered, in all.
    pub errors: u64,
    /// Where and what.
    pub machine: Machine,
}

/// One offered rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SweepPoint {
    /// A second.
    pub offered_tps: f64,
    /// A second.
    pub settled_tps: f64,
    /// From the intended send.
    pub latency_ms: Latency,
    /// Microseconds of processor time a settled transaction.
    pub cpu_us_per_tx: f64,
    /// Lost, wrong or unanswered.
    pub errors: u64,
    /// Answers 503.
    pub refused_503: u64,
}

impl Sweep {
    /// Offers one rate after the other.
    ///
    /// **Errors**: of the machine; those of transactions are counted.
    pub async fn measure(bench: &mut Bench<'_>, say: &dyn Fn(&str)) -> Result<Self> {
        let machine = Machine::this();
        let closed = bench.closed(say).await?;
        say(&closed.to_string());
        let mut points = Vec::new();
        for share in SHARES {
            let point = bench.open((closed.settled_tps * share).max(1.0)).await?;
            say(&point.to_string());
            points.push(SweepPoint::of(&point));
        }
        let errors = closed.errors + points.iter().map(|point| point.errors).sum::<u64>();
        let knee_tps = knee(&points);
        Ok(Sweep { closed_loop_tps: closed.settled_tps, points, knee_tps, errors, machine })
    }
}

impl SweepPoint {
    fn of(load: &LoadResults) -> Self {
        SweepPoint {
            offered_tps: load.offered_tps,
            settled_tps: load.settled_tps,
            latency_ms: load.latency_ms,
            cpu_us_per_tx: load.used.cpu_us_per_tx,
            errors: load.errors,
            refused_503: load.refused_503,
        }
    }
}

/// The highest offered rate up to which all are carried.
fn knee(points: &[SweepPoint]) -> Option<f64> {
    let carried = points.iter().take_while(|point| point.settled_tps >= CARRIED * point.offered_tps);
    carried.last().map(|point| point.offered_tps)
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>10} {:>10} {:>9} {:>9} {:>9} {:>8}",
            "offered/s", "settled/s", "p50 ms", "p99 ms", "us/tx", "503"
        )?;
        for point in &self.points {
            let mark = if Some(point.offered_tps) == self.knee_tps { "  <- knee" } else { "" };
            writeln!(
                f,
                "{:>10.0} {:>10.0} {:>9.1} {:>9.1} {:>9.0} {:>8}{mark}",
                point.offered_tps,
                point.settled_tps,
                point.latency_ms.p50,
                point.latency_ms.p99,
                point.cpu_us_per_tx,
                point.refused_503,
            )?;
        }
        write!(f, "closed loop: {:.0}/s", self.closed_loop_tps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knee_is_the_last_rate_that_is_carried() {
        let point = |offered: f64, settled: f64| SweepPoint {
            offered_tps: offered,
            settled_tps: settled,
            latency_ms: Latency::default(),
            cpu_us_per_tx: 0.0,
            errors: 0,
            refused_503: 0,
        };
        let curve = [point(100.0, 99.0), point(200.0, 198.0), point(300.0, 240.0), point(400.0, 400.0)];
        assert_eq!(knee(&curve), Some(200.0));
        assert_eq!(knee(&curve[2..3]), None);
    }
}
