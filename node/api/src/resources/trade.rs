//! A trade, seen from one of its two assets, the base.

use carat_history::{Maker, TradeRecord};
use serde::Serialize;
use serde_json::{Map, Value, json};
use stellar_xdr::Asset;

use crate::format;
use crate::links::{Link, Links};
use crate::resources::fields::{self, Fields, set};
use crate::visibility::Seen;

/// A trade.
#[derive(Clone, Debug, Serialize)]
pub struct Trade {
    #[serde(rename = "_links")]
    links: TradeLinks,
    id: String,
    paging_token: String,
    ledger_close_time: String,
    offer_id: String,
    trade_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    liquidity_pool_fee_bp: Option<u32>,
    #[serde(flatten)]
    sides: Map<String, Value>,
    base_is_seller: bool,
    price: Value,
}

#[derive(Clone, Debug, Serialize)]
struct TradeLinks {
    #[serde(rename = "self")]
    this: Link,
    base: Link,
    counter: Link,
    operation: Link,
}

impl Trade {
    /// The trade seen from `base`, or, where none is named, from that of its assets which comes first in their
    /// canonical order.
    pub fn new(links: &Links, record: &Seen<TradeRecord>, base: Option<&Asset>) -> Self {
        let trade = &record.trade;
        let base_is_seller = match base {
            Some(base) => *base == trade.sold.0,
            None => trade.sold.0 <= trade.bought.0,
        };
        let (maker, taker) = if base_is_seller { ("base", "counter") } else { ("counter", "base") };
        let mut sides = Fields::new();
        for (side, (asset, amount)) in [(maker, &trade.sold), (taker, &trade.bought)] {
            set(&mut sides, &format!("{side}_amount"), format::amount(*amount));
            fields::asset(&mut sides, &format!("{side}_"), asset);
        }
        let mut place =
            |side: &str, name: &str, value: String| set(&mut sides, &format!("{side}_{name}"), value);
        let taker_address = fields::address(&trade.taker);
        let taker_link = links.to(format!("/accounts/{taker_address}"));
        place(taker, "account", taker_address);
        place(taker, "offer_id", trade.taker_offer.to_string());
        let (maker_link, offer, fee) = match &trade.maker {
            Maker::Offer { seller, id } => {
                let address = fields::address(seller);
                let link = links.to(format!("/accounts/{address}"));
                place(maker, "account", address);
                place(maker, "offer_id", id.to_string());
                (link, *id, None)
            }
            Maker::Pool { id, fee_bp } => {
                place(maker, "liquidity_pool_id", id.to_string());
                (links.to(format!("/liquidity_pools/{id}")), trade.taker_offer, Some(*fee_bp))
            }
        };
        let (base_link, counter_link) =
            if base_is_seller { (maker_link, taker_link) } else { (taker_link, maker_link) };
        let (n, d) = if base_is_seller { trade.price } else { (trade.price.1, trade.price.0) };
        Trade {
            links: TradeLinks {
                this: links.to(format!("/trades?cursor={}&order=desc", record.id)),
                base: base_link,
                counter: counter_link,
                operation: links.to(format!("/operations/{}", record.id.operation)),
            },
            id: record.id.to_string(),
            paging_token: record.id.to_string(),
            ledger_close_time: format::time(record.time_ms),
            offer_id: offer.to_string(),
            trade_type: if fee.is_some() { "liquidity_pool" } else { "orderbook" },
            liquidity_pool_fee_bp: fee,
            sides,
            base_is_seller,
            price: json!({ "n": n.to_string(), "d": d.to_string() }),
        }
    }
}
