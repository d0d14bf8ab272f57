//! A claimable balance.

use carat_history::BalanceCursor;
use carat_history::state_index::balance_id;
use serde::Serialize;
use serde_json::{Value, json};
use stellar_xdr::{ClaimableBalanceEntryExt, ClaimableBalanceFlags, Claimant, LedgerEntry, LedgerEntryData};

use crate::format;
use crate::links::{Link, Links};
use crate::resources::fields;
use crate::visibility::Seen;

/// A claimable balance.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimableBalance {
    #[serde(rename = "_links")]
    links: BalanceLinks,
    id: String,
    asset: String,
    amount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor: Option<String>,
    last_modified_ledger: u32,
    last_modified_time: Option<String>,
    claimants: Vec<Value>,
    flags: Flags,
    paging_token: String,
}

#[derive(Clone, Debug, Serialize)]
struct Flags {
    clawback_enabled: bool,
}

#[derive(Clone, Debug, Serialize)]
struct BalanceLinks {
    #[serde(rename = "self")]
    this: Link,
    transactions: Link,
    operations: Link,
}

impl ClaimableBalance {
    /// Its place in lists.
    pub fn paging_token(&self) -> &str {
        &self.paging_token
    }

    /// The balance; `modified_ms` is when it last changed, where that is known.
    ///
    /// **Returns** `None` if the entry given is no claimable balance.
    pub fn new(links: &Links, entry: &Seen<LedgerEntry>, modified_ms: Option<u64>) -> Option<Self> {
        let LedgerEntryData::ClaimableBalance(balance) = &entry.data else { return None };
        let id = fields::xdr_hex(&balance.balance_id);
        let path = format!("/claimable_balances/{id}");
        let flags = match &balance.ext {
            ClaimableBalanceEntryExt::V0 => 0,
            ClaimableBalanceEntryExt::V1(extension) => extension.flags,
        };
        let clawback = (ClaimableBalanceFlags::ClaimableBalanceClawbackEnabledFlag as i32).unsigned_abs();
        let one = |Claimant::ClaimantTypeV0(claimant): &Claimant| {
            let predicate = fields::predicate(&claimant.predicate);
            json!({ "destination": claimant.destination.to_string(), "predicate": predicate })
        };
        let ledger = entry.last_modified_ledger_seq;
        Some(ClaimableBalance {
            links: BalanceLinks {
                transactions: links.paged(format!("{path}/transactions")),
                operations: links.paged(format!("{path}/operations")),
                this: links.to(path),
            },
            id,
            asset: format::canonical_asset(&balance.asset),
            amount: format::amount(balance.amount),
            sponsor: fields::sponsor(entry),
            last_modified_ledger: ledger,
            last_modified_time: modified_ms.map(format::time),
            claimants: balance.claimants.iter().map(one).collect(),
            flags: Flags { clawback_enabled: flags & clawback != 0 },
            paging_token: BalanceCursor { ledger, id: balance_id(&balance.balance_id) }.to_string(),
        })
    }
}
