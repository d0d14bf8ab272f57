//! Outcomes as the stable code strings of the REST interface.
//!
//! The names follow from the wire format's own by one rule, but for a few that clients have always known
//! otherwise. **Source**: ledger specification B.3.

use std::fmt;

use serde::Serialize;
use stellar_xdr::{
    InnerTransactionResultResult, OperationResult, OperationResultTr, TransactionResult,
    TransactionResultResult,
};

/// The codes of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether it did what it says.
    pub successful: bool,
    /// Code of the transaction.
    pub transaction: String,
    /// Code of the transaction inside a fee bump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_transaction: Option<String>,
    /// Codes of the operations, in order.
    pub operations: Vec<String>,
    /// What was paid for it. **Units**: stroops.
    pub fee_charged: i64,
}

impl Outcome {
    /// The codes of `result`.
    pub fn of(result: &TransactionResult) -> Self {
        use TransactionResultResult as R;
        let (inner_transaction, operations): (_, &[OperationResult]) = match &result.result {
            R::TxSuccess(operations) | R::TxFailed(operations) => (None, operations.as_slice()),
            R::TxFeeBumpInnerSuccess(inner) | R::TxFeeBumpInnerFailed(inner) => {
                use InnerTransactionResultResult as I;
                let operations = match &inner.result.result {
                    I::TxSuccess(operations) | I::TxFailed(operations) => operations.as_slice(),
                    _ => &[],
                };
                (Some(transaction_code(inner.result.result.name())), operations)
            }
            _ => (None, &[]),
        };
        Outcome {
            successful: matches!(result.result, R::TxSuccess(_) | R::TxFeeBumpInnerSuccess(_)),
            transaction: transaction_code(result.result.name()),
            inner_transaction,
            operations: operations.iter().map(operation_code).collect(),
            fee_charged: result.fee_charged,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.transaction)?;
        if let Some(inner) = &self.inner_transaction {
            write!(f, " / {inner}")?;
        }
        write!(f, " [{}]", self.operations.join(", "))
    }
}

fn transaction_code(name: &str) -> String {
    match name {
        "TxNoAccount" => "tx_no_source_account".into(),
        "TxBadMinSeqAgeOrGap" => "tx_bad_minseq_age_or_gap".into(),
        _ => snake(name),
    }
}

fn operation_code(result: &OperationResult) -> String {
    let OperationResult::OpInner(inner) = result else {
        return match result.name() {
            "OpNoAccount" => "op_no_source_account".into(),
            name => snake(name),
        };
    };
    use OperationResultTr as T;
    let name = match inner {
        T::CreateAccount(result) => result.name(),
        T::Payment(result) => result.name(),
        T::SetOptions(result) => result.name(),
        T::ChangeTrust(result) => result.name(),
        T::AllowTrust(result) => result.name(),
        T::AccountMerge(result) => result.name(),
        T::ManageData(result) => result.name(),
        T::BumpSequence(result) => result.name(),
        T::Clawback(result) => result.name(),
        T::SetTrustLineFlags(result) => result.name(),
        // No other operation is executed by this version, so none can stand in a valid receipt.
        other => other.name(),
    };
    irregular(inner, name).map_or_else(|| format!("op_{}", snake(name)), str::to_owned)
}

/// The names that the rule would get wrong.
fn irregular(operation: &OperationResultTr, name: &str) -> Option<&'static str> {
    use OperationResultTr as T;
    Some(match (operation, name) {
        (T::CreateAccount(_), "AlreadyExist") => "op_already_exists",
        (T::ChangeTrust(_), "NotAuthMaintainLiabilities") => "op_not_aut_maintain_liabilities",
        (T::AllowTrust(_) | T::SetTrustLineFlags(_), "NoTrustLine") => "op_no_trustline",
        (T::AllowTrust(_), "TrustNotRequired") => "op_not_required",
        (T::AccountMerge(_), "SeqnumTooFar") => "op_seq_num_too_far",
        (T::ManageData(_), "NameNotFound") => "op_data_name_not_found",
        (T::ManageData(_), "InvalidName") => "op_data_invalid_name",
        _ => return None,
    })
}

/// `TxBadAuth` as `tx_bad_auth`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use stellar_xdr::{
        AccountMergeResult, CreateAccountResult, InnerTransactionResult, InnerTransactionResultExt,
        InnerTransactionResultPair, ManageDataResult, PaymentResult, TransactionResultExt,
    };

    use super::*;

    fn check(result: TransactionResultResult, expected: &str) {
        let result = TransactionResult { fee_charged: 100, result, ext: TransactionResultExt::V0 };
        assert_eq!(Outcome::of(&result).to_string(), expected);
    }

    fn failed(operations: Vec<OperationResult>) -> TransactionResultResult {
        TransactionResultResult::TxFailed(operations.try_into().expect("few"))
    }

    #[test]
    fn outcome_has_the_codes_that_clients_know() {
        use OperationResult::OpInner;
        use OperationResultTr as T;
        check(TransactionResultResult::TxNoAccount, "tx_no_source_account []");
        check(TransactionResultResult::TxBadMinSeqAgeOrGap, "tx_bad_minseq_age_or_gap []");
        check(TransactionResultResult::TxBadAuthExtra, "tx_bad_auth_extra []");
        check(failed(vec![OperationResult::OpBadAuth]), "tx_failed [op_bad_auth]");
        check(failed(vec![OperationResult::OpNoAccount]), "tx_failed [op_no_source_account]");
        let table = [
            (T::Payment(PaymentResult::Success), "op_success"),
            (T::Payment(PaymentResult::SrcNoTrust), "op_src_no_trust"),
            (T::CreateAccount(CreateAccountResult::AlreadyExist), "op_already_exists"),
            (T::AccountMerge(AccountMergeResult::NoAccount), "op_no_account"),
            (T::AccountMerge(AccountMergeResult::SeqnumTooFar), "op_seq_num_too_far"),
            (T::ManageData(ManageDataResult::NameNotFound), "op_data_name_not_found"),
        ];
        for (operation, code) in table {
            check(failed(vec![OpInner(operation)]), &format!("tx_failed [{code}]"));
        }
    }

    #[test]
    fn outcome_of_a_fee_bump_names_both_transactions() {
        let inner = InnerTransactionResult {
            fee_charged: 0,
            result: InnerTransactionResultResult::TxBadSeq,
            ext: InnerTransactionResultExt::V0,
        };
        let pair = InnerTransactionResultPair { transaction_hash: stellar_xdr::Hash([7; 32]), result: inner };
        check(
            TransactionResultResult::TxFeeBumpInnerFailed(pair),
            "tx_fee_bump_inner_failed / tx_bad_seq []",
        );
    }
}
