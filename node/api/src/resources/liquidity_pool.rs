//! A liquidity pool.

use serde::Serialize;
use serde_json::{Value, json};
use stellar_xdr::{LedgerEntry, LedgerEntryData, LiquidityPoolEntry, LiquidityPoolEntryBody};

use crate::format;
use crate::links::{Link, Links};
use crate::resources::fields;
use crate::visibility::Seen;

/// A liquidity pool.
#[derive(Clone, Debug, Serialize)]
pub struct LiquidityPool {
    #[serde(rename = "_links")]
    links: PoolLinks,
    id: String,
    paging_token: String,
    fee_bp: i32,
    #[serde(rename = "type")]
    kind: &'static str,
    total_trustlines: String,
    total_shares: String,
    reserves: Value,
    last_modified_ledger: u32,
    last_modified_time: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PoolLinks {
    #[serde(rename = "self")]
    this: Link,
    transactions: Link,
    operations: Link,
}

const KIND: &str = "constant_product";

impl LiquidityPool {
    /// Its place in lists.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The pool; `modified_ms` is when it last changed, where that is known.
    ///
    /// **Returns** `None` if the entry given is no pool.
    pub fn new(links: &Links, entry: &Seen<LedgerEntry>, modified_ms: Option<u64>) -> Option<Self> {
        let LedgerEntryData::LiquidityPool(pool) = &entry.data else { return None };
        let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
        let id = hex::encode(pool.liquidity_pool_id.0.0);
        let path = format!("/liquidity_pools/{id}");
        Some(LiquidityPool {
            links: PoolLinks {
                transactions: links.paged(format!("{path}/transactions")),
                operations: links.paged(format!("{path}/operations")),
                this: links.to(path),
            },
            paging_token: id.clone(),
            id,
            fee_bp: body.params.fee,
            kind: KIND,
            total_trustlines: body.pool_shares_trust_line_count.to_string(),
            total_shares: format::amount(body.total_pool_shares),
            reserves: reserves(pool),
            last_modified_ledger: entry.last_modified_ledger_seq,
            last_modified_time: modified_ms.map(format::time),
        })
    }
}

/// A pool as it stands within an effect.
pub fn pool_of_effect(pool: &LiquidityPoolEntry) -> Value {
    let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
    json!({
        "id": hex::encode(pool.liquidity_pool_id.0.0),
        "fee_bp": body.params.fee,
        "type": KIND,
        "total_trustlines": body.pool_shares_trust_line_count.to_string(),
        "total_shares": format::amount(body.total_pool_shares),
        "reserves": reserves(pool),
    })
}

fn reserves(pool: &LiquidityPoolEntry) -> Value {
    let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
    let params = &body.params;
    fields::amounts(&[(params.asset_a.clone(), body.reserve_a), (params.asset_b.clone(), body.reserve_b)])
}
