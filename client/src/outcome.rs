//! Outcomes as the stable code strings of the REST interface.

use std::fmt;

use carat_types::result_codes::ResultCodes;
use serde::Serialize;
use stellar_xdr::{TransactionResult, TransactionResultResult};

/// What became of a transaction, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether it did what it says.
    pub successful: bool,
    /// The codes.
    #[serde(flatten)]
    pub codes: ResultCodes,
    /// What was paid for it. **Units**: stroops.
    pub fee_charged: i64,
}

impl Outcome {
    /// The words for `result`.
    pub fn of(result: &TransactionResult) -> Self {
        use TransactionResultResult as R;
        Outcome {
            successful: matches!(result.result, R::TxSuccess(_) | R::TxFeeBumpInnerSuccess(_)),
            codes: ResultCodes::of(result),
            fee_charged: result.fee_charged,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.codes.transaction)?;
        if let Some(inner) = self.codes.inner_transaction {
            write!(f, " / {inner}")?;
        }
        if !self.codes.operations.is_empty() {
            write!(f, " [{}]", self.codes.operations.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stellar_xdr::{
        InnerTransactionResult, InnerTransactionResultExt, InnerTransactionResultPair,
        InnerTransactionResultResult, OperationResult, OperationResultTr, PaymentResult,
        TransactionResultExt,
    };

    use super::*;

    fn check(result: TransactionResultResult, successful: bool, expected: &str) {
        let result = TransactionResult { fee_charged: 100, result, ext: TransactionResultExt::V0 };
        let outcome = Outcome::of(&result);
        assert_eq!((outcome.successful, outcome.to_string().as_str()), (successful, expected));
    }

    #[test]
    fn outcome_in_words_names_all_parts_that_there_are() {
        let payment = |result| OperationResult::OpInner(OperationResultTr::Payment(result));
        let list = |results: Vec<OperationResult>| results.try_into().expect("few");
        let (good, bad) = (payment(PaymentResult::Success), payment(PaymentResult::LineFull));
        check(TransactionResultResult::TxSuccess(list(vec![good.clone()])), true, "tx_success [op_success]");
        let failed = TransactionResultResult::TxFailed(list(vec![good, bad]));
        check(failed, false, "tx_failed [op_success, op_line_full]");
        check(TransactionResultResult::TxBadAuth, false, "tx_bad_auth");
        let inner = InnerTransactionResult {
            fee_charged: 0,
            result: InnerTransactionResultResult::TxBadSeq,
            ext: InnerTransactionResultExt::V0,
        };
        let pair = InnerTransactionResultPair { transaction_hash: stellar_xdr::Hash([7; 32]), result: inner };
        let bumped = TransactionResultResult::TxFeeBumpInnerFailed(pair);
        check(bumped, false, "tx_fee_bump_inner_failed / tx_bad_seq");
    }
}
