//! Building transactions: operations, the rules of their shape, and their signatures.
//!
//! What is built is the wire format's own [`TransactionEnvelope`]; nothing here decides whether a ledger will
//! accept it. Reading order: [`amount`], [`asset`], [`price`], [`operation`], [`market`],
//! [`claimable`], then [`TransactionBuilder`].
//!
//! **Source**: ledger specification A.2 (operations), A.4 (preconditions, fee bump).

pub mod amount;
pub mod asset;
pub mod claimable;
pub mod market;
pub mod operation;
pub mod price;

use stellar_xdr::{
    FeeBumpTransaction, FeeBumpTransactionEnvelope, FeeBumpTransactionExt, FeeBumpTransactionInnerTx, Memo,
    MuxedAccount, Operation, Preconditions, PreconditionsV2, SequenceNumber, TimeBounds, TimePoint,
    Transaction, TransactionEnvelope, TransactionExt, TransactionV1Envelope, VecM,
};
use thiserror::Error;

use crate::hash::Digest;
use crate::signature::SecretKey;
use crate::transaction::{EnvelopeError, sign_envelope};

/// The most operations that a transaction may have.
pub const OPERATIONS_MAX: usize = stellar_xdr::MAX_OPS_PER_TX as usize;

/// Why a transaction cannot be built as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// No operation, or too many.
    #[error("a transaction has 1 to {OPERATIONS_MAX} operations, this one {0}")]
    Operations(usize),
    /// A sequence number has no successor, or a fee has no room in its field.
    #[error("{what} is {value}, more than the format can carry")]
    TooLarge {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: i128,
    },
    /// A fee bump of something that is no plain transaction.
    #[error("only a transaction that is no fee bump itself, in the v1 form, can be fee-bumped")]
    NotBumpable,
    /// A text or value too long for its field.
    #[error("{what} has {seen} bytes; at most {most} are allowed")]
    TooLong {
        /// Which field.
        what: &'static str,
        /// Bytes given.
        seen: usize,
        /// Bytes allowed.
        most: usize,
    },
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] EnvelopeError),
}

/// Collects the parts of a transaction.
#[derive(Clone, Debug)]
pub struct TransactionBuilder {
    source: MuxedAccount,
    sequence: i64,
    fee_per_operation: u32,
    memo: Memo,
    preconditions: PreconditionsV2,
    operations: Vec<Operation>,
}

impl TransactionBuilder {
    /// A transaction of `source`, which is at sequence number `current`: the transaction uses the next one.
    ///
    /// **Errors**: no number follows `current`.
    pub fn new(source: impl Into<MuxedAccount>, current: i64) -> Result<Self, BuildError> {
        let what = "the sequence number";
        let sequence =
            current.checked_add(1).ok_or(BuildError::TooLarge { what, value: i128::from(current) })?;
        Ok(TransactionBuilder {
            source: source.into(),
            sequence,
            fee_per_operation: 100,
            memo: Memo::None,
            preconditions: PreconditionsV2::default(),
            operations: Vec::new(),
        })
    }

    /// The most that each operation may cost. **Units**: stroops. 100 if not said.
    #[must_use]
    pub fn fee_per_operation(mut self, stroops: u32) -> Self {
        self.fee_per_operation = stroops;
        self
    }

    /// Adds an operation.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Sets the memo.
    #[must_use]
    pub fn memo(mut self, memo: Memo) -> Self {
        self.memo = memo;
        self
    }

    /// Valid only in ledgers that close from `min` to `max`, 0 meaning "for ever". **Units**: seconds since 1970.
    #[must_use]
    pub fn time_bounds(mut self, min: u64, max: u64) -> Self {
        let bounds = TimeBounds { min_time: TimePoint(min), max_time: TimePoint(max) };
        self.preconditions.time_bounds = Some(bounds);
        self
    }

    /// All other preconditions; replaces time bounds that were set.
    #[must_use]
    pub fn preconditions(mut self, preconditions: PreconditionsV2) -> Self {
        self.preconditions = preconditions;
        self
    }

    /// The envelope, without signatures.
    ///
    /// **Errors**: [`BuildError::Operations`]; a fee that has no room in 32 bits.
    pub fn build(self) -> Result<TransactionEnvelope, BuildError> {
        let count = self.operations.len();
        let operations: VecM<Operation, { stellar_xdr::MAX_OPS_PER_TX }> =
            self.operations.try_into().map_err(|_| BuildError::Operations(count))?;
        if operations.is_empty() {
            return Err(BuildError::Operations(0));
        }
        let tx = Transaction {
            source_account: self.source,
            fee: fee(self.fee_per_operation, count)?,
            seq_num: SequenceNumber(self.sequence),
            cond: shortest(self.preconditions),
            memo: self.memo,
            operations,
            ext: TransactionExt::V0,
        };
        Ok(TransactionEnvelope::Tx(TransactionV1Envelope { tx, signatures: VecM::default() }))
    }

    /// The envelope with the signatures of `keys`.
    ///
    /// **Errors**: as [`TransactionBuilder::build`]; more than 20 keys.
    pub fn sign(self, network_id: &Digest, keys: &[&SecretKey]) -> Result<TransactionEnvelope, BuildError> {
        let mut envelope = self.build()?;
        sign_envelope(network_id, &mut envelope, keys)?;
        Ok(envelope)
    }
}

/// A fee bump: `fee_source` pays for `inner`, which keeps its signatures, up to `fee_per_operation` for each
/// operation and one more. Not yet signed by the fee source.
///
/// **Errors**: [`BuildError::NotBumpable`].
pub fn fee_bump(
    fee_source: impl Into<MuxedAccount>,
    fee_per_operation: u32,
    inner: TransactionEnvelope,
) -> Result<TransactionEnvelope, BuildError> {
    let TransactionEnvelope::Tx(inner) = inner else { return Err(BuildError::NotBumpable) };
    let operations = i64::try_from(inner.tx.operations.len()).unwrap_or(i64::MAX);
    let tx = FeeBumpTransaction {
        fee_source: fee_source.into(),
        fee: i64::from(fee_per_operation).saturating_mul(operations.saturating_add(1)),
        inner_tx: FeeBumpTransactionInnerTx::Tx(inner),
        ext: FeeBumpTransactionExt::V0,
    };
    Ok(TransactionEnvelope::TxFeeBump(FeeBumpTransactionEnvelope { tx, signatures: VecM::default() }))
}

/// A text memo.
///
/// **Errors**: more than 28 bytes.
pub fn text_memo(text: &str) -> Result<Memo, BuildError> {
    let too_long = |_| BuildError::TooLong { what: "the memo", seen: text.len(), most: 28 };
    text.as_bytes().to_vec().try_into().map(Memo::Text).map_err(too_long)
}

fn fee(per_operation: u32, operations: usize) -> Result<u32, BuildError> {
    let fee = u128::from(per_operation).saturating_mul(operations as u128);
    let value = i128::try_from(fee).unwrap_or(i128::MAX);
    u32::try_from(fee).map_err(|_| BuildError::TooLarge { what: "the fee in stroops", value })
}

/// The shortest form that says the same: older clients read no other than they need.
fn shortest(preconditions: PreconditionsV2) -> Preconditions {
    let time_bounds = preconditions.time_bounds.clone();
    let only_time = PreconditionsV2 { time_bounds: time_bounds.clone(), ..PreconditionsV2::default() };
    match time_bounds {
        None if preconditions == only_time => Preconditions::None,
        Some(bounds) if preconditions == only_time => Preconditions::Time(bounds),
        _ => Preconditions::V2(preconditions),
    }
}

#[cfg(test)]
mod tests;
