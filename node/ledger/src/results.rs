//! Putting together the results that clients see.

use carat_types::transaction::SignedTransaction;
use stellar_xdr::{
    Hash, InnerTransactionResult, InnerTransactionResultExt, InnerTransactionResultPair,
    InnerTransactionResultResult, OperationResult, TransactionResult, TransactionResultCode,
    TransactionResultExt, TransactionResultResult, VecM,
};

/// What became of the transaction that acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All operations succeeded.
    Success(Vec<OperationResult>),
    /// An operation failed, or its signatures did not suffice.
    Failed(Vec<OperationResult>),
    /// It did not come to operations.
    Refused(TransactionResultCode),
}

impl Verdict {
    /// The result code of the transaction that acts.
    pub(crate) fn code(&self) -> TransactionResultCode {
        match self {
            Verdict::Success(_) => TransactionResultCode::TxSuccess,
            Verdict::Failed(_) => TransactionResultCode::TxFailed,
            Verdict::Refused(code) => *code,
        }
    }
}

/// The result of a transaction, wrapped for a fee bump. The inner part of a fee bump reports no fee.
pub(crate) fn result(
    transaction: &SignedTransaction,
    fee_charged: i64,
    verdict: Verdict,
) -> TransactionResult {
    let result = match transaction.fee_bump() {
        None => plain(verdict),
        Some(_) => {
            let succeeded = matches!(verdict, Verdict::Success(_));
            let inner = InnerTransactionResultPair {
                transaction_hash: Hash(transaction.inner_hash().0),
                result: InnerTransactionResult {
                    fee_charged: 0,
                    result: inner(verdict),
                    ext: InnerTransactionResultExt::V0,
                },
            };
            if succeeded {
                TransactionResultResult::TxFeeBumpInnerSuccess(inner)
            } else {
                TransactionResultResult::TxFeeBumpInnerFailed(inner)
            }
        }
    };
    TransactionResult { fee_charged, result, ext: TransactionResultExt::V0 }
}

/// The result of an envelope refused for its outer part.
pub(crate) fn refused(code: TransactionResultCode, fee_charged: i64) -> TransactionResult {
    TransactionResult { fee_charged, result: plain(Verdict::Refused(code)), ext: TransactionResultExt::V0 }
}

/// A list whose length no type bounds holds any vector.
fn list(results: Vec<OperationResult>) -> VecM<OperationResult> {
    results.try_into().unwrap_or_default()
}

macro_rules! by_code {
    ($union:ident, $verdict:expr) => {
        match $verdict {
            Verdict::Success(results) => $union::TxSuccess(list(results)),
            Verdict::Failed(results) => $union::TxFailed(list(results)),
            Verdict::Refused(code) => match code {
                TransactionResultCode::TxTooEarly => $union::TxTooEarly,
                TransactionResultCode::TxTooLate => $union::TxTooLate,
                TransactionResultCode::TxMissingOperation => $union::TxMissingOperation,
                TransactionResultCode::TxBadSeq => $union::TxBadSeq,
                TransactionResultCode::TxBadAuth => $union::TxBadAuth,
                TransactionResultCode::TxInsufficientBalance => $union::TxInsufficientBalance,
                TransactionResultCode::TxNoAccount => $union::TxNoAccount,
                TransactionResultCode::TxInsufficientFee => $union::TxInsufficientFee,
                TransactionResultCode::TxBadAuthExtra => $union::TxBadAuthExtra,
                TransactionResultCode::TxNotSupported => $union::TxNotSupported,
                TransactionResultCode::TxBadSponsorship => $union::TxBadSponsorship,
                TransactionResultCode::TxBadMinSeqAgeOrGap => $union::TxBadMinSeqAgeOrGap,
                TransactionResultCode::TxMalformed => $union::TxMalformed,
                TransactionResultCode::TxSorobanInvalid => $union::TxSorobanInvalid,
                TransactionResultCode::TxFrozenKeyAccessed => $union::TxFrozenKeyAccessed,
                // These carry operations or an inner result, and no refusal is made of them.
                TransactionResultCode::TxSuccess
                | TransactionResultCode::TxFailed
                | TransactionResultCode::TxFeeBumpInnerSuccess
                | TransactionResultCode::TxFeeBumpInnerFailed
                | TransactionResultCode::TxInternalError => $union::TxInternalError,
            },
        }
    };
}

fn plain(verdict: Verdict) -> TransactionResultResult {
    by_code!(TransactionResultResult, verdict)
}

fn inner(verdict: Verdict) -> InnerTransactionResultResult {
    by_code!(InnerTransactionResultResult, verdict)
}
