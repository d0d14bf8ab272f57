//! What transactions paid lately.

use carat_history::{FeeStats as Fees, Position};
use serde::Serialize;

use crate::visibility::Seen;

/// Fees of the last ledgers.
#[derive(Clone, Debug, Serialize)]
pub struct FeeStats {
    last_ledger: String,
    last_ledger_base_fee: String,
    ledger_capacity_usage: String,
    fee_charged: Distribution,
    max_fee: Distribution,
}

/// How fees for one operation are spread. **Units**: stroops.
#[derive(Clone, Debug, Serialize)]
struct Distribution {
    max: String,
    min: String,
    mode: String,
    p10: String,
    p20: String,
    p30: String,
    p40: String,
    p50: String,
    p60: String,
    p70: String,
    p80: String,
    p90: String,
    p95: String,
    p99: String,
}

impl FeeStats {
    /// The statistics; without any transaction all fees are the base fee.
    pub fn new(fees: &Seen<Fees>, index: &Position) -> Self {
        let base_fee = i64::from(index.totals.base_fee);
        let capacity = u64::from(index.totals.max_operations) * u64::from(fees.ledgers.max(1));
        // In hundredths, rounded to nearest: no need of floating point for two decimals.
        let usage = (fees.operations * 200 + capacity).checked_div(capacity * 2).unwrap_or(0).min(100);
        FeeStats {
            last_ledger: fees.last_ledger.to_string(),
            last_ledger_base_fee: base_fee.to_string(),
            ledger_capacity_usage: format!("{}.{:02}", usage / 100, usage % 100),
            fee_charged: Distribution::of(&fees.charged, base_fee),
            max_fee: Distribution::of(&fees.bid, base_fee),
        }
    }
}

impl Distribution {
    /// The distribution of `fees`, which are sorted.
    fn of(fees: &[i64], base_fee: i64) -> Self {
        let value = |fee: Option<&i64>| fee.copied().unwrap_or(base_fee).to_string();
        // The smallest fee that at least this share of all fees does not exceed.
        let percentile =
            |percent: usize| value(fees.get((fees.len() * percent).div_ceil(100).saturating_sub(1)));
        Distribution {
            max: value(fees.last()),
            min: value(fees.first()),
            mode: value(mode(fees).as_ref()),
            p10: percentile(10),
            p20: percentile(20),
            p30: percentile(30),
            p40: percentile(40),
            p50: percentile(50),
            p60: percentile(60),
            p70: percentile(70),
            p80: percentile(80),
            p90: percentile(90),
            p95: percentile(95),
            p99: percentile(99),
        }
    }
}

/// The most frequent of sorted values; of several the smallest.
fn mode(sorted: &[i64]) -> Option<i64> {
    let runs = sorted.chunk_by(|one, other| one == other);
    let longest = runs.fold(&[][..], |best: &[i64], run| if run.len() > best.len() { run } else { best });
    longest.first().copied()
}
