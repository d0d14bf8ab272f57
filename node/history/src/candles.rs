//! What two assets traded in a span of time: volumes, and the prices first, last, highest and lowest.
//!
//! The index keeps a candle for each minute with a trade; longer spans are put together from these.

use std::cmp::Ordering;

use carat_types::codec::{Decode, DecodeError, Encode, Reader};

use crate::store::HistoryError;

/// A price as a ratio of counter units for one base unit.
pub type Ratio = (i64, i64);

/// What was traded in a span of time, seen from the first of the two assets, the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// Number of trades.
    pub trades: u64,
    /// Of the base. **Units**: ten-millionths of the asset's unit.
    pub base_volume: i128,
    /// Of the counter asset.
    pub counter_volume: i128,
    /// The first price.
    pub open: Ratio,
    /// The last price.
    pub close: Ratio,
    /// The highest price.
    pub high: Ratio,
    /// The lowest price.
    pub low: Ratio,
}

impl Candle {
    /// The span of a candle that is kept. **Units**: milliseconds.
    pub const SPAN_MS: u64 = 60_000;

    /// The candle of one trade.
    pub fn of_trade(base: i64, counter: i64, price: Ratio) -> Self {
        Candle {
            trades: 1,
            base_volume: i128::from(base),
            counter_volume: i128::from(counter),
            open: price,
            close: price,
            high: price,
            low: price,
        }
    }

    /// Adds a later candle.
    #[must_use]
    pub fn then(self, later: Candle) -> Self {
        let pick = |one: Ratio, other: Ratio, wanted: Ordering| {
            if compare(other, one) == wanted { other } else { one }
        };
        Candle {
            trades: self.trades.saturating_add(later.trades),
            base_volume: self.base_volume.saturating_add(later.base_volume),
            counter_volume: self.counter_volume.saturating_add(later.counter_volume),
            open: self.open,
            close: later.close,
            high: pick(self.high, later.high, Ordering::Greater),
            low: pick(self.low, later.low, Ordering::Less),
        }
    }

    /// The same seen from the other asset.
    #[must_use]
    pub fn inverted(self) -> Self {
        let turn = |(n, d): Ratio| (d, n);
        Candle {
            trades: self.trades,
            base_volume: self.counter_volume,
            counter_volume: self.base_volume,
            open: turn(self.open),
            close: turn(self.close),
            high: turn(self.low),
            low: turn(self.high),
        }
    }

    pub(crate) fn to_stored(self) -> Vec<u8> {
        let mut out = self.trades.to_be_bytes().to_vec();
        out.extend(self.base_volume.to_be_bytes());
        out.extend(self.counter_volume.to_be_bytes());
        for (n, d) in [self.open, self.close, self.high, self.low] {
            n.encode(&mut out);
            d.encode(&mut out);
        }
        out
    }

    pub(crate) fn from_stored(bytes: &[u8]) -> Result<Self, HistoryError> {
        let mut input = Reader::new(bytes);
        let trades = u64::decode(&mut input)?;
        let base_volume = i128::from_be_bytes(input.array()?);
        let counter_volume = i128::from_be_bytes(input.array()?);
        let mut ratio =
            || -> Result<Ratio, DecodeError> { Ok((i64::decode(&mut input)?, i64::decode(&mut input)?)) };
        let (open, close, high, low) = (ratio()?, ratio()?, ratio()?, ratio()?);
        Ok(Candle { trades, base_volume, counter_volume, open, close, high, low })
    }
}

fn compare((n, d): Ratio, (other_n, other_d): Ratio) -> Ordering {
    (i128::from(n) * i128::from(other_d)).cmp(&(i128::from(other_n) * i128::from(d)))
}
