//! A closed ledger.

use carat_history::{LedgerRecord, Toid};
use serde::Serialize;

use crate::format;
use crate::links::{Link, Links};
use crate::visibility::Seen;

/// A closed ledger.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    #[serde(rename = "_links")]
    links: LedgerLinks,
    id: String,
    paging_token: String,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_hash: Option<String>,
    sequence: u32,
    successful_transaction_count: u32,
    failed_transaction_count: u32,
    operation_count: u32,
    tx_set_operation_count: u32,
    closed_at: String,
    total_coins: String,
    fee_pool: String,
    base_fee_in_stroops: u32,
    base_reserve_in_stroops: u32,
    max_tx_set_size: u32,
    protocol_version: u32,
    header_xdr: String,
}

#[derive(Clone, Debug, Serialize)]
struct LedgerLinks {
    #[serde(rename = "self")]
    this: Link,
    transactions: Link,
    operations: Link,
    payments: Link,
    effects: Link,
}

impl Ledger {
    /// The ledger.
    pub fn new(links: &Links, record: &Seen<LedgerRecord>) -> Self {
        let path = format!("/ledgers/{}", record.sequence);
        let of = |name: &str| links.paged(format!("{path}/{name}"));
        let header = &record.header;
        Ledger {
            links: LedgerLinks {
                transactions: of("transactions"),
                operations: of("operations"),
                payments: of("payments"),
                effects: of("effects"),
                this: links.to(&path),
            },
            id: record.hash.to_string(),
            paging_token: Toid::ledger_start(record.sequence).to_string(),
            hash: record.hash.to_string(),
            prev_hash: (record.previous_hash != carat_types::Digest::ZERO)
                .then(|| record.previous_hash.to_string()),
            sequence: record.sequence,
            successful_transaction_count: record.counts.successful,
            failed_transaction_count: record.counts.failed,
            operation_count: record.counts.operations,
            tx_set_operation_count: record.counts.all_operations,
            closed_at: format::time(record.time_ms),
            total_coins: format::amount(header.total_coins),
            fee_pool: format::amount(header.fee_pool),
            base_fee_in_stroops: header.base_fee,
            base_reserve_in_stroops: header.base_reserve,
            max_tx_set_size: header.max_tx_set_size,
            protocol_version: header.ledger_version,
            header_xdr: format::xdr(header),
        }
    }
}
