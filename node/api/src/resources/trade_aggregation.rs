//! What was traded in a span of time.

use carat_history::Candle;
use serde::Serialize;

use crate::format;
use crate::visibility::Seen;

/// What was traded in a span of time.
#[derive(Clone, Debug, Serialize)]
pub struct TradeAggregation {
    timestamp: String,
    trade_count: String,
    base_volume: String,
    counter_volume: String,
    avg: String,
    high: String,
    high_r: Ratio,
    low: String,
    low_r: Ratio,
    open: String,
    open_r: Ratio,
    close: String,
    close_r: Ratio,
}

#[derive(Clone, Debug, Serialize)]
struct Ratio {
    n: String,
    d: String,
}

impl TradeAggregation {
    /// The span that begins at `start_ms`.
    pub fn new(start_ms: u64, candle: &Seen<Candle>) -> Self {
        let shown = |(n, d): (i64, i64)| {
            let ratio = Ratio { n: n.to_string(), d: d.to_string() };
            (format::quotient(i128::from(n), i128::from(d)), ratio)
        };
        let (high, high_r) = shown(candle.high);
        let (low, low_r) = shown(candle.low);
        let (open, open_r) = shown(candle.open);
        let (close, close_r) = shown(candle.close);
        TradeAggregation {
            timestamp: start_ms.to_string(),
            trade_count: candle.trades.to_string(),
            base_volume: format::total(candle.base_volume),
            counter_volume: format::total(candle.counter_volume),
            avg: format::quotient(candle.counter_volume, candle.base_volume),
            high,
            high_r,
            low,
            low_r,
            open,
            open_r,
            close,
            close_r,
        }
    }
}
