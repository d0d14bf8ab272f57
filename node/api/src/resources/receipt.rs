//! A finality receipt: the proof itself, and what it proves in words.

use carat_types::codec::Encode;
use serde::Serialize;

use crate::format;
use crate::links::{Link, Links};
use crate::port::CheckedReceipt;
use crate::result_codes::ResultCodes;
use crate::visibility::Seen;
use stellar_xdr::{Limits, ReadXdr, TransactionResult};

/// A receipt. All but `receipt` is what this node reads in it: whoever needs certainty verifies `receipt`
/// against the genesis file.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    #[serde(rename = "_links")]
    links: ReceiptLinks,
    transaction_hash: String,
    slot: String,
    ledger: Option<u32>,
    created_at: Option<String>,
    rule: String,
    assumption: String,
    result_xdr: Option<String>,
    result_codes: Option<ResultCodes>,
    receipt: String,
}

#[derive(Clone, Debug, Serialize)]
struct ReceiptLinks {
    #[serde(rename = "self")]
    this: Link,
    transaction: Link,
    genesis: Link,
}

impl Receipt {
    /// The receipt with its summary.
    pub fn new(links: &Links, checked: &Seen<CheckedReceipt>) -> Self {
        let verdict = &checked.verdict;
        let hash = verdict.transaction;
        let decode =
            |xdr: &Vec<u8>| TransactionResult::from_xdr(xdr, Limits { depth: 100, len: xdr.len() }).ok();
        Receipt {
            links: ReceiptLinks {
                this: links.to(format!("/transactions/{hash}/receipt")),
                transaction: links.to(format!("/transactions/{hash}")),
                genesis: links.to("/genesis"),
            },
            transaction_hash: hash.to_string(),
            slot: verdict.slot.to_string(),
            ledger: verdict.ledger,
            created_at: verdict.time_ms.map(format::time),
            rule: verdict.rule.to_string(),
            assumption: verdict.assumption.to_string(),
            result_xdr: verdict.result.as_deref().map(format::base64),
            result_codes: verdict.result.as_ref().and_then(decode).as_ref().map(ResultCodes::of),
            receipt: format::base64(&checked.receipt.to_bytes()),
        }
    }
}
