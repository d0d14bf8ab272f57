//! The book of two assets, offers of one price put together.

use serde::Serialize;
use serde_json::{Value, json};
use stellar_xdr::{Asset, LedgerEntry, LedgerEntryData, Price};

use crate::format;
use crate::resources::fields;
use crate::visibility::Seen;

/// What is offered for two assets.
#[derive(Clone, Debug, Serialize)]
pub struct OrderBook {
    bids: Vec<Level>,
    asks: Vec<Level>,
    base: Value,
    counter: Value,
}

/// All offers of one price.
#[derive(Clone, Debug, Serialize)]
struct Level {
    price_r: Value,
    price: String,
    amount: String,
}

impl OrderBook {
    /// The book of `base` in terms of `counter`: `asks` sell the base, `bids` buy it; both best first, at most
    /// `limit` prices each.
    pub fn new(
        base: &Asset,
        counter: &Asset,
        asks: &[Seen<LedgerEntry>],
        bids: &[Seen<LedgerEntry>],
        limit: usize,
    ) -> Self {
        OrderBook {
            asks: levels(asks, limit, |price| (price.n, price.d)),
            // Who sells the counter asset names its price in the base.
            bids: levels(bids, limit, |price| (price.d, price.n)),
            base: fields::asset_object(base),
            counter: fields::asset_object(counter),
        }
    }
}

/// Offers come in the order of their price, so that those of one price are neighbours.
fn levels(entries: &[Seen<LedgerEntry>], limit: usize, shown: impl Fn(&Price) -> (i32, i32)) -> Vec<Level> {
    let offers = entries.iter().filter_map(|entry| match &entry.data {
        LedgerEntryData::Offer(offer) => Some((&offer.price, offer.amount)),
        _ => None,
    });
    let mut levels: Vec<(&Price, i128)> = Vec::new();
    for (price, amount) in offers {
        match levels.last_mut().filter(|(last, _)| equal(last, price)) {
            Some((_, sum)) => *sum = sum.saturating_add(i128::from(amount)),
            None => levels.push((price, i128::from(amount))),
        }
    }
    let level = |(price, amount): (&Price, i128)| {
        let (n, d) = shown(price);
        Level {
            price_r: json!({ "n": n, "d": d }),
            price: format::price(n, d),
            amount: format::total(amount),
        }
    };
    levels.into_iter().take(limit).map(level).collect()
}

fn equal(one: &Price, other: &Price) -> bool {
    i64::from(one.n) * i64::from(other.d) == i64::from(other.n) * i64::from(one.d)
}
