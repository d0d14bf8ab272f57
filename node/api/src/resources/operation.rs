//! An operation: what is common to all, with the details of its kind.

use carat_history::OperationRecord;
use serde::Serialize;
use serde_json::{Map, Value};
use stellar_xdr::OperationType;

use crate::format;
use crate::links::{Link, Links};
use crate::resources::transaction::Transaction;
use crate::resources::{muxed, operation_details};
use crate::visibility::SeenOperation;

/// An operation of an applied transaction.
#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    #[serde(rename = "_links")]
    links: OperationLinks,
    id: String,
    paging_token: String,
    transaction_successful: bool,
    source_account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_account_muxed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_account_muxed_id: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    type_i: i32,
    created_at: String,
    transaction_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<Box<Transaction>>,
    #[serde(flatten)]
    details: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
struct OperationLinks {
    #[serde(rename = "self")]
    this: Link,
    transaction: Link,
    effects: Link,
    succeeds: Link,
    precedes: Link,
}

impl Operation {
    /// The operation, with its transaction within it where the viewer asked for it and sees it.
    ///
    /// **Returns** `None` if the transaction has no such operation.
    pub(crate) fn new(links: &Links, seen: &SeenOperation) -> Option<Self> {
        let record = &seen.record;
        let operation = record.operation()?;
        let transaction = &record.transaction;
        let hash = transaction.transaction.hash();
        let source = operation.source_account.as_ref();
        let source = source.unwrap_or(&transaction.transaction.transaction().source_account);
        let (source_account, source_muxed) = muxed::parts(source);
        let kind = operation.body.discriminant();
        Some(Operation {
            links: OperationLinks::new(links, record),
            id: record.id.to_string(),
            paging_token: record.id.to_string(),
            transaction_successful: transaction.is_successful(),
            source_account,
            source_account_muxed: source_muxed.as_ref().map(|(address, _)| address.clone()),
            source_account_muxed_id: source_muxed.as_ref().map(|(_, id)| id.to_string()),
            kind: name_of(kind),
            type_i: kind as i32,
            created_at: format::time(transaction.time_ms),
            transaction_hash: hash.to_string(),
            transaction: seen.transaction.as_ref().map(|whole| Box::new(Transaction::new(links, whole))),
            details: operation_details::details(record, source, &operation.body),
        })
    }
}

impl OperationLinks {
    fn new(links: &Links, record: &OperationRecord) -> Self {
        let id = record.id;
        OperationLinks {
            this: links.to(format!("/operations/{id}")),
            transaction: links.to(format!("/transactions/{}", record.transaction.transaction.hash())),
            effects: links.to(format!("/operations/{id}/effects")),
            succeeds: links.to(format!("/effects?order=desc&cursor={id}")),
            precedes: links.to(format!("/effects?order=asc&cursor={id}")),
        }
    }
}

/// The word for a kind of operation.
pub const fn name_of(kind: OperationType) -> &'static str {
    match kind {
        OperationType::CreateAccount => "create_account",
        OperationType::Payment => "payment",
        OperationType::PathPaymentStrictReceive => "path_payment_strict_receive",
        OperationType::ManageSellOffer => "manage_sell_offer",
        OperationType::CreatePassiveSellOffer => "create_passive_sell_offer",
        OperationType::SetOptions => "set_options",
        OperationType::ChangeTrust => "change_trust",
        OperationType::AllowTrust => "allow_trust",
        OperationType::AccountMerge => "account_merge",
        OperationType::Inflation => "inflation",
        OperationType::ManageData => "manage_data",
        OperationType::BumpSequence => "bump_sequence",
        OperationType::ManageBuyOffer => "manage_buy_offer",
        OperationType::PathPaymentStrictSend => "path_payment_strict_send",
        OperationType::CreateClaimableBalance => "create_claimable_balance",
        OperationType::ClaimClaimableBalance => "claim_claimable_balance",
        OperationType::BeginSponsoringFutureReserves => "begin_sponsoring_future_reserves",
        OperationType::EndSponsoringFutureReserves => "end_sponsoring_future_reserves",
        OperationType::RevokeSponsorship => "revoke_sponsorship",
        OperationType::Clawback => "clawback",
        OperationType::ClawbackClaimableBalance => "clawback_claimable_balance",
        OperationType::SetTrustLineFlags => "set_trust_line_flags",
        OperationType::LiquidityPoolDeposit => "liquidity_pool_deposit",
        OperationType::LiquidityPoolWithdraw => "liquidity_pool_withdraw",
        OperationType::InvokeHostFunction => "invoke_host_function",
        OperationType::ExtendFootprintTtl => "extend_footprint_ttl",
        OperationType::RestoreFootprint => "restore_footprint",
    }
}
