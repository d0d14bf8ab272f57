//! An applied transaction.

use carat_history::TransactionRecord;
use carat_types::Digest;
use serde::Serialize;
use stellar_xdr::{DecoratedSignature, Memo, Preconditions};

use crate::format;
use crate::links::{Link, Links};
use crate::resources::muxed;
use crate::visibility::Seen;

/// An applied transaction, with or without success.
#[derive(Clone, Debug, Serialize)]
pub struct Transaction {
    #[serde(rename = "_links")]
    links: TransactionLinks,
    id: String,
    paging_token: String,
    successful: bool,
    hash: String,
    ledger: u32,
    created_at: String,
    source_account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_muxed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_muxed_id: Option<String>,
    source_account_sequence: String,
    fee_account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_account_muxed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_account_muxed_id: Option<String>,
    fee_charged: String,
    max_fee: String,
    operation_count: usize,
    envelope_xdr: String,
    result_xdr: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    result_meta_xdr: String,
    fee_meta_xdr: String,
    memo_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    signatures: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preconditions: Option<ShownPreconditions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_bump_transaction: Option<FeeBumpTransaction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner_transaction: Option<InnerTransaction>,
}

#[derive(Clone, Debug, Serialize)]
struct TransactionLinks {
    #[serde(rename = "self")]
    this: Link,
    account: Link,
    ledger: Link,
    operations: Link,
    effects: Link,
    precedes: Link,
    succeeds: Link,
    transaction: Link,
    /// Ours: the proof of the outcome.
    receipt: Link,
}

#[derive(Clone, Debug, Serialize)]
struct FeeBumpTransaction {
    hash: String,
    signatures: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct InnerTransaction {
    hash: String,
    signatures: Vec<String>,
    max_fee: String,
}

#[derive(Clone, Debug, Default, Serialize)]
struct ShownPreconditions {
    #[serde(skip_serializing_if = "Option::is_none")]
    timebounds: Option<TimeBounds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledgerbounds: Option<LedgerBounds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_account_sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_account_sequence_age: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_account_sequence_ledger_gap: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extra_signers: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct TimeBounds {
    min_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_time: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct LedgerBounds {
    min_ledger: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ledger: Option<u32>,
}

impl Transaction {
    /// The transaction under its own hash.
    pub fn new(links: &Links, record: &Seen<TransactionRecord>) -> Self {
        Self::under(links, record, record.transaction.hash())
    }

    /// The transaction under the hash by which it was asked for: a fee bump is also known by the hash of the
    /// transaction within it, and then shows that one's signatures.
    pub fn under(links: &Links, record: &Seen<TransactionRecord>, asked: &Digest) -> Self {
        let signed = &record.transaction;
        let inner = signed.transaction();
        let (source_account, muxed) = muxed::parts(&inner.source_account);
        let (fee_account, fee_muxed) = match signed.fee_bump() {
            Some(bump) => muxed::parts(&bump.fee_source),
            None => (source_account.clone(), muxed.clone()),
        };
        let inner_signatures = signatures_of(signed.signatures());
        let outer_signatures = signed.fee_bump().map(|bump| signatures_of(&bump.signatures));
        let asked_for_outer = asked == signed.hash();
        let (memo_type, memo, memo_bytes) = shown_memo(&inner.memo);
        Transaction {
            links: TransactionLinks::new(links, record, asked, &source_account),
            id: asked.to_string(),
            paging_token: record.id.to_string(),
            successful: record.is_successful(),
            hash: asked.to_string(),
            ledger: record.ledger(),
            created_at: format::time(record.time_ms),
            source_account,
            account_muxed: muxed.as_ref().map(|(address, _)| address.clone()),
            account_muxed_id: muxed.as_ref().map(|(_, id)| id.to_string()),
            source_account_sequence: signed.sequence().to_string(),
            fee_account,
            fee_account_muxed: fee_muxed.as_ref().map(|(address, _)| address.clone()),
            fee_account_muxed_id: fee_muxed.as_ref().map(|(_, id)| id.to_string()),
            fee_charged: record.result.fee_charged.to_string(),
            max_fee: signed.fee().to_string(),
            operation_count: signed.operations().len(),
            envelope_xdr: format::base64(signed.bytes()),
            result_xdr: format::xdr(&record.result),
            result_meta_xdr: format::base64(&record.meta),
            fee_meta_xdr: format::base64(&record.fee_meta),
            memo_type,
            memo_bytes,
            memo,
            signatures: outer_signatures
                .clone()
                .filter(|_| asked_for_outer)
                .unwrap_or_else(|| inner_signatures.clone()),
            preconditions: shown_preconditions(&inner.cond),
            inner_transaction: outer_signatures.as_ref().map(|_| InnerTransaction {
                hash: signed.inner_hash().to_string(),
                signatures: inner_signatures,
                max_fee: inner.fee.to_string(),
            }),
            fee_bump_transaction: outer_signatures
                .map(|signatures| FeeBumpTransaction { hash: signed.hash().to_string(), signatures }),
        }
    }
}

impl TransactionLinks {
    fn new(links: &Links, record: &TransactionRecord, hash: &Digest, account: &str) -> Self {
        let this = links.to(format!("/transactions/{hash}"));
        let id = record.id;
        TransactionLinks {
            account: links.to(format!("/accounts/{account}")),
            ledger: links.to(format!("/ledgers/{}", record.ledger())),
            operations: links.paged(format!("/transactions/{hash}/operations")),
            effects: links.paged(format!("/transactions/{hash}/effects")),
            precedes: links.to(format!("/transactions?order=asc&cursor={id}")),
            succeeds: links.to(format!("/transactions?order=desc&cursor={id}")),
            transaction: this.clone(),
            receipt: links.to(format!("/transactions/{hash}/receipt")),
            this,
        }
    }
}

fn signatures_of(signatures: &[DecoratedSignature]) -> Vec<String> {
    signatures.iter().map(|signature| format::base64(&signature.signature.0)).collect()
}

/// A memo's type, its value and, for text, its bytes: text need not be valid UTF-8.
fn shown_memo(memo: &Memo) -> (&'static str, Option<String>, Option<String>) {
    match memo {
        Memo::None => ("none", None, None),
        Memo::Text(bytes) => {
            ("text", Some(format::text(bytes).replace('\0', "")), Some(format::base64(bytes)))
        }
        Memo::Id(id) => ("id", Some(id.to_string()), None),
        Memo::Hash(hash) => ("hash", Some(format::base64(&hash.0)), None),
        Memo::Return(hash) => ("return", Some(format::base64(&hash.0)), None),
    }
}

fn shown_preconditions(conditions: &Preconditions) -> Option<ShownPreconditions> {
    let bounds = |bounds: &stellar_xdr::TimeBounds| TimeBounds {
        min_time: bounds.min_time.0.to_string(),
        max_time: Some(bounds.max_time.0).filter(|time| *time != 0).map(|time| time.to_string()),
    };
    match conditions {
        Preconditions::None => None,
        Preconditions::Time(time) => {
            Some(ShownPreconditions { timebounds: Some(bounds(time)), ..ShownPreconditions::default() })
        }
        Preconditions::V2(all) => Some(ShownPreconditions {
            timebounds: all.time_bounds.as_ref().map(bounds),
            ledgerbounds: all.ledger_bounds.as_ref().map(|bounds| LedgerBounds {
                min_ledger: bounds.min_ledger,
                max_ledger: Some(bounds.max_ledger).filter(|ledger| *ledger != 0),
            }),
            min_account_sequence: all.min_seq_num.as_ref().map(|sequence| sequence.0.to_string()),
            min_account_sequence_age: Some(all.min_seq_age.0)
                .filter(|age| *age != 0)
                .map(|age| age.to_string()),
            min_account_sequence_ledger_gap: Some(all.min_seq_ledger_gap).filter(|gap| *gap != 0),
            extra_signers: all.extra_signers.iter().map(ToString::to_string).collect(),
        }),
    }
}
