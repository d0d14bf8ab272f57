//! The words for result codes. They are irregular, and clients match on them; so they are data, one row each.
//!
//! **Source**: ledger specification B.3 and A.2.

use stellar_xdr::{
    InnerTransactionResultResult, OperationResult, OperationResultTr, OperationType, TransactionResult,
    TransactionResultCode, TransactionResultResult,
};

use serde::Serialize;

/// The words for the codes of one result type: that for code -i at place i.
type Words = &'static [&'static str];

/// Codes of transactions from 1 (a fee bump whose inner transaction succeeded) downwards.
const TRANSACTION: Words = &[
    "tx_fee_bump_inner_success",
    "tx_success",
    "tx_failed",
    "tx_too_early",
    "tx_too_late",
    "tx_missing_operation",
    "tx_bad_seq",
    "tx_bad_auth",
    "tx_insufficient_balance",
    "tx_no_source_account",
    "tx_insufficient_fee",
    "tx_bad_auth_extra",
    "tx_internal_error",
    "tx_not_supported",
    "tx_fee_bump_inner_failed",
    "tx_bad_sponsorship",
    "tx_bad_minseq_age_or_gap",
    "tx_malformed",
    "tx_soroban_invalid",
    "tx_frozen_key_accessed",
];

/// Codes of operations that did not get as far as their own rules; the first says that they did.
const OPERATION: Words = &[
    "op_inner",
    "op_bad_auth",
    "op_no_source_account",
    "op_not_supported",
    "op_too_many_subentries",
    "op_exceeded_work_limit",
    "op_too_many_sponsoring",
];

/// The words for the codes of an operation's own rules.
const fn words_of(operation: OperationType) -> Words {
    match operation {
        OperationType::CreateAccount => {
            &["op_success", "op_malformed", "op_underfunded", "op_low_reserve", "op_already_exists"]
        }
        OperationType::Payment => &[
            "op_success",
            "op_malformed",
            "op_underfunded",
            "op_src_no_trust",
            "op_src_not_authorized",
            "op_no_destination",
            "op_no_trust",
            "op_not_authorized",
            "op_line_full",
            "op_no_issuer",
        ],
        OperationType::PathPaymentStrictReceive => &[
            "op_success",
            "op_malformed",
            "op_underfunded",
            "op_src_no_trust",
            "op_src_not_authorized",
            "op_no_destination",
            "op_no_trust",
            "op_not_authorized",
            "op_line_full",
            "op_no_issuer",
            "op_too_few_offers",
            "op_cross_self",
            "op_over_source_max",
        ],
        OperationType::ManageSellOffer | OperationType::CreatePassiveSellOffer => &[
            "op_success",
            "op_malformed",
            "op_sell_no_trust",
            "op_buy_no_trust",
            "sell_not_authorized",
            "buy_not_authorized",
            "op_line_full",
            "op_underfunded",
            "op_cross_self",
            "op_sell_no_issuer",
            "buy_no_issuer",
            "op_offer_not_found",
            "op_low_reserve",
        ],
        OperationType::SetOptions => &[
            "op_success",
            "op_low_reserve",
            "op_too_many_signers",
            "op_bad_flags",
            "op_invalid_inflation",
            "op_cant_change",
            "op_unknown_flag",
            "op_threshold_out_of_range",
            "op_bad_signer",
            "op_invalid_home_domain",
            "op_auth_revocable_required",
        ],
        OperationType::ChangeTrust => &[
            "op_success",
            "op_malformed",
            "op_no_issuer",
            "op_invalid_limit",
            "op_low_reserve",
            "op_self_not_allowed",
            "op_trust_line_missing",
            "op_cannot_delete",
            "op_not_aut_maintain_liabilities",
        ],
        OperationType::AllowTrust => &[
            "op_success",
            "op_malformed",
            "op_no_trust",
            "op_not_required",
            "op_cant_revoke",
            "op_self_not_allowed",
            "op_low_reserve",
        ],
        OperationType::AccountMerge => &[
            "op_success",
            "op_malformed",
            "op_no_account",
            "op_immutable_set",
            "op_has_sub_entries",
            "op_seq_num_too_far",
            "op_dest_full",
            "op_is_sponsor",
        ],
        OperationType::Inflation => &["op_success", "op_not_time"],
        OperationType::ManageData => &[
            "op_success",
            "op_not_supported_yet",
            "op_data_name_not_found",
            "op_low_reserve",
            "op_data_invalid_name",
        ],
        OperationType::BumpSequence => &["op_success", "op_bad_seq"],
        OperationType::ManageBuyOffer => &[
            "op_success",
            "op_malformed",
            "op_sell_no_trust",
            "op_buy_no_trust",
            "sell_not_authorized",
            "buy_not_authorized",
            "op_line_full",
            "op_underfunded",
            "op_cross_self",
            "op_sell_no_issuer",
            "buy_no_issuer",
            "op_offer_not_found",
            "op_low_reserve",
        ],
        OperationType::PathPaymentStrictSend => &[
            "op_success",
            "op_malformed",
            "op_underfunded",
            "op_src_no_trust",
            "op_src_not_authorized",
            "op_no_destination",
            "op_no_trust",
            "op_not_authorized",
            "op_line_full",
            "op_no_issuer",
            "op_too_few_offers",
            "op_cross_self",
            "op_under_dest_min",
        ],
        OperationType::CreateClaimableBalance => &[
            "op_success",
            "op_malformed",
            "op_low_reserve",
            "op_no_trust",
            "op_not_authorized",
            "op_underfunded",
        ],
        OperationType::ClaimClaimableBalance => &[
            "op_success",
            "op_does_not_exist",
            "op_cannot_claim",
            "op_line_full",
            "op_no_trust",
            "op_not_authorized",
            "op_trustline_frozen",
        ],
        OperationType::BeginSponsoringFutureReserves => {
            &["op_success", "op_malformed", "op_already_sponsored", "op_recursive"]
        }
        OperationType::EndSponsoringFutureReserves => &["op_success", "op_not_sponsored"],
        OperationType::RevokeSponsorship => &[
            "op_success",
            "op_does_not_exist",
            "op_not_sponsor",
            "op_low_reserve",
            "op_only_transferable",
            "op_malformed",
        ],
        OperationType::Clawback => {
            &["op_success", "op_malformed", "op_not_clawback_enabled", "op_no_trust", "op_underfunded"]
        }
        OperationType::ClawbackClaimableBalance => {
            &["op_success", "op_does_not_exist", "op_no_issuer", "op_not_clawback_enabled"]
        }
        OperationType::SetTrustLineFlags => &[
            "op_success",
            "op_malformed",
            "op_no_trust",
            "op_cant_revoke",
            "op_invalid_state",
            "op_low_reserve",
        ],
        OperationType::LiquidityPoolDeposit => &[
            "op_success",
            "op_malformed",
            "op_no_trust",
            "op_not_authorized",
            "op_underfunded",
            "op_line_full",
            "op_bad_price",
            "op_pool_full",
            "op_trustline_frozen",
        ],
        OperationType::LiquidityPoolWithdraw => &[
            "op_success",
            "op_malformed",
            "op_no_trust",
            "op_underfunded",
            "op_line_full",
            "op_under_minimum",
            "op_trustline_frozen",
        ],
        OperationType::InvokeHostFunction => &[
            "op_success",
            "op_malformed",
            "function_trapped",
            "resource_limit_exceeded",
            "entry_archived",
            "insufficient_refundable_fee",
        ],
        OperationType::ExtendFootprintTtl => {
            &["op_success", "op_malformed", "resource_limit_exceeded", "insufficient_refundable_fee"]
        }
        OperationType::RestoreFootprint => {
            &["op_success", "op_malformed", "resource_limit_exceeded", "insufficient_refundable_fee"]
        }
    }
}

/// The result codes of a transaction, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResultCodes {
    /// The transaction's.
    pub transaction: &'static str,
    /// That of the transaction within a fee bump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_transaction: Option<&'static str>,
    /// The operations', where the transaction got as far.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<&'static str>,
}

impl ResultCodes {
    /// The words for a result.
    pub fn of(result: &TransactionResult) -> Self {
        let (inner, operations): (Option<&'static str>, &[OperationResult]) = match &result.result {
            TransactionResultResult::TxSuccess(results) | TransactionResultResult::TxFailed(results) => {
                (None, results)
            }
            TransactionResultResult::TxFeeBumpInnerSuccess(pair)
            | TransactionResultResult::TxFeeBumpInnerFailed(pair) => {
                let inner = &pair.result.result;
                let operations: &[OperationResult] = match inner {
                    InnerTransactionResultResult::TxSuccess(results)
                    | InnerTransactionResultResult::TxFailed(results) => results,
                    _ => &[],
                };
                (Some(transaction(inner.discriminant())), operations)
            }
            _ => (None, &[]),
        };
        ResultCodes {
            transaction: transaction(result.result.discriminant()),
            inner_transaction: inner,
            operations: operations.iter().map(operation).collect(),
        }
    }
}

/// The word for a transaction's code.
pub fn transaction(code: TransactionResultCode) -> &'static str {
    word(TRANSACTION, 1_i32.saturating_sub(code as i32))
}

/// The word for an operation's result.
pub fn operation(result: &OperationResult) -> &'static str {
    match result {
        OperationResult::OpInner(inner) => own_rule(inner),
        other => word(OPERATION, (other.discriminant() as i32).saturating_neg()),
    }
}

fn own_rule(result: &OperationResultTr) -> &'static str {
    word(words_of(result.discriminant()), code_of(result).saturating_neg())
}

/// Every code has a word, which a test proves; the fall-back keeps a new code from stopping the node.
fn word(words: Words, place: i32) -> &'static str {
    usize::try_from(place).ok().and_then(|place| words.get(place)).copied().unwrap_or("op_unknown")
}

macro_rules! codes {
    ($result:expr; $($operation:ident)*) => {
        match $result {
            $(OperationResultTr::$operation(result) => result.discriminant() as i32,)*
        }
    };
}

fn code_of(result: &OperationResultTr) -> i32 {
    codes!(result;
        CreateAccount Payment PathPaymentStrictReceive ManageSellOffer CreatePassiveSellOffer SetOptions ChangeTrust
        AllowTrust AccountMerge Inflation ManageData BumpSequence ManageBuyOffer PathPaymentStrictSend
        CreateClaimableBalance ClaimClaimableBalance BeginSponsoringFutureReserves EndSponsoringFutureReserves
        RevokeSponsorship Clawback ClawbackClaimableBalance SetTrustLineFlags LiquidityPoolDeposit
        LiquidityPoolWithdraw InvokeHostFunction ExtendFootprintTtl RestoreFootprint)
}

#[cfg(test)]
mod tests;
