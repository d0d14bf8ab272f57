//! What the index keeps, and its bytes.
//!
//! Values are written with the codec of consensus messages, XDR within as a byte string. They never leave the
//! node: a change of format means that the index is built again.

use std::sync::Arc;

use carat_ledger::Totals;
use carat_types::Digest;
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::header::Header;
use carat_types::ids::Slot;
use carat_types::transaction::SignedTransaction;
use stellar_xdr::{
    LedgerHeader, Limits, Operation, OperationResult, ReadXdr, TransactionResult, TransactionResultResult,
    WriteXdr,
};

use crate::store::HistoryError;
use crate::toid::Toid;

/// A transaction that the ledger applied, with or without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    /// Its place in history.
    pub id: Toid,
    /// When its block was made. **Units**: milliseconds since 1970.
    pub time_ms: u64,
    /// The envelope.
    pub transaction: Arc<SignedTransaction>,
    /// The outcome.
    pub result: TransactionResult,
    /// XDR of what it changed (`TransactionMeta`); empty where changes were not recorded.
    pub meta: Vec<u8>,
    /// XDR of what charging its fee changed (`LedgerEntryChanges`); empty where changes were not recorded.
    pub fee_meta: Vec<u8>,
}

/// One operation of an applied transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRecord {
    /// Its place in history.
    pub id: Toid,
    /// The transaction.
    pub transaction: Arc<TransactionRecord>,
}

/// A closed ledger: a run of slots in one window of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRecord {
    /// Its number; genesis is 1.
    pub sequence: u32,
    /// Hash of the header of its last block.
    pub hash: Digest,
    /// Hash of the header of the last block of the ledger before; zero for the first.
    pub previous_hash: Digest,
    /// Its last slot.
    pub last_slot: Slot,
    /// Time of its last block. **Units**: milliseconds since 1970.
    pub time_ms: u64,
    /// What was applied in it.
    pub counts: Counts,
    /// The header in the form that clients of the wire format know.
    pub header: LedgerHeader,
}

/// How much a ledger applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Transactions with success.
    pub successful: u32,
    /// Transactions without.
    pub failed: u32,
    /// Operations of transactions with success.
    pub operations: u32,
    /// Operations of all.
    pub all_operations: u32,
}

/// The place of the index in the chain: the last block indexed, and its ledger as far as it has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last slot indexed.
    pub slot: Slot,
    /// Hash of its header.
    pub hash: Digest,
    /// Its ledger, still open.
    pub ledger: u32,
    /// Time of its block. **Units**: milliseconds since 1970.
    pub time_ms: u64,
    /// Transactions of the open ledger so far.
    pub transactions: u32,
    /// The first ledger that the index knows.
    pub first_ledger: u32,
    /// Hash of the last block of the ledger before.
    pub previous_hash: Digest,
    /// The consensus prefix digest c(s) of the last slot.
    pub prefix: Digest,
    /// State root after the last slot.
    pub state_root: Digest,
    /// Outcomes roots of the open ledger's slots, at most one for each millisecond of its window.
    pub outcomes_roots: Vec<Digest>,
    /// What the open ledger applied so far.
    pub counts: Counts,
    /// The ledger's totals now.
    pub totals: Totals,
}

impl Position {
    /// The greatest id that is indexed: the cursor `now` of everything but ledgers.
    pub fn now(&self) -> Toid {
        Toid::new(self.ledger, self.transactions, Toid::OPERATIONS_MAX)
            .unwrap_or_else(|| Toid::ledger_end(self.ledger))
    }

    /// The last closed ledger, if there is one.
    pub fn last_closed(&self) -> Option<u32> {
        self.ledger.checked_sub(1).filter(|ledger| *ledger >= self.first_ledger)
    }
}

impl TransactionRecord {
    /// The record of what the block with this header applied at place `index`, from 0, without what it changed.
    pub fn without_changes(
        header: &Header,
        index: u32,
        transaction: Arc<SignedTransaction>,
        result: TransactionResult,
    ) -> Self {
        let number = header.first_transaction.saturating_add(index).saturating_add(1);
        TransactionRecord {
            id: Toid::new(header.ledger, number, 0).unwrap_or_default(),
            time_ms: header.time_ms,
            transaction,
            result,
            meta: Vec::new(),
            fee_meta: Vec::new(),
        }
    }

    /// Whether its operations took effect.
    pub fn is_successful(&self) -> bool {
        matches!(
            self.result.result,
            TransactionResultResult::TxSuccess(_) | TransactionResultResult::TxFeeBumpInnerSuccess(_)
        )
    }

    /// The number of its ledger.
    pub fn ledger(&self) -> u32 {
        self.id.ledger()
    }

    /// The results of its operations; empty where it failed before them.
    pub fn operation_results(&self) -> &[OperationResult] {
        use stellar_xdr::InnerTransactionResultResult as Inner;
        match &self.result.result {
            TransactionResultResult::TxSuccess(results) | TransactionResultResult::TxFailed(results) => {
                results
            }
            TransactionResultResult::TxFeeBumpInnerSuccess(pair)
            | TransactionResultResult::TxFeeBumpInnerFailed(pair) => match &pair.result.result {
                Inner::TxSuccess(results) | Inner::TxFailed(results) => results,
                _ => &[],
            },
            _ => &[],
        }
    }

    /// Fee charged and fee bid for one operation, rounded up. **Units**: stroops.
    pub fn fees_per_operation(&self) -> (i64, i64) {
        let operations = self.transaction.fee_operations().max(1);
        let each = |fee: i64| fee.saturating_add(operations - 1) / operations;
        (each(self.result.fee_charged), each(self.transaction.fee()))
    }

    /// The stored form.
    pub(crate) fn to_stored(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.id.get().encode(&mut out);
        self.time_ms.encode(&mut out);
        encode_blob(self.transaction.bytes(), &mut out);
        encode_blob(&xdr(&self.result), &mut out);
        encode_blob(&self.meta, &mut out);
        encode_blob(&self.fee_meta, &mut out);
        out
    }

    /// Reads the stored form.
    ///
    /// **Errors**: [`HistoryError::Damaged`].
    pub(crate) fn from_stored(network_id: &Digest, bytes: &[u8]) -> Result<Self, HistoryError> {
        let mut input = Reader::new(bytes);
        let id = Toid::from_u64(u64::decode(&mut input)?)
            .ok_or_else(|| HistoryError::damaged("a transaction", "id out of range"))?;
        let time_ms = u64::decode(&mut input)?;
        let transaction = SignedTransaction::decode(network_id, blob(&mut input)?)
            .map_err(|error| HistoryError::damaged("an envelope", error))?;
        let result = from_xdr::<TransactionResult>("a result", blob(&mut input)?)?;
        let meta = blob(&mut input)?.to_vec();
        let fee_meta = blob(&mut input)?.to_vec();
        Ok(TransactionRecord { id, time_ms, transaction: Arc::new(transaction), result, meta, fee_meta })
    }
}

impl OperationRecord {
    /// The operation.
    pub fn operation(&self) -> Option<&Operation> {
        self.transaction.transaction.operations().get(self.index())
    }

    /// Its result; `None` where the transaction failed before its operations.
    pub fn result(&self) -> Option<&OperationResult> {
        self.transaction.operation_results().get(self.index())
    }

    /// Its place in the transaction, from 0.
    pub fn index(&self) -> usize {
        self.id.operation().saturating_sub(1) as usize
    }
}

impl LedgerRecord {
    /// The stored form.
    pub(crate) fn to_stored(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.sequence.encode(&mut out);
        self.hash.encode(&mut out);
        self.previous_hash.encode(&mut out);
        self.last_slot.encode(&mut out);
        self.time_ms.encode(&mut out);
        encode_counts(&self.counts, &mut out);
        encode_blob(&xdr(&self.header), &mut out);
        out
    }

    /// Reads the stored form.
    ///
    /// **Errors**: [`HistoryError::Damaged`].
    pub(crate) fn from_stored(bytes: &[u8]) -> Result<Self, HistoryError> {
        let mut input = Reader::new(bytes);
        Ok(LedgerRecord {
            sequence: Decode::decode(&mut input)?,
            hash: Decode::decode(&mut input)?,
            previous_hash: Decode::decode(&mut input)?,
            last_slot: Decode::decode(&mut input)?,
            time_ms: Decode::decode(&mut input)?,
            counts: decode_counts(&mut input)?,
            header: from_xdr("a ledger header", blob(&mut input)?)?,
        })
    }
}

impl Position {
    /// The stored form.
    pub(crate) fn to_stored(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.slot.encode(&mut out);
        self.hash.encode(&mut out);
        self.ledger.encode(&mut out);
        self.time_ms.encode(&mut out);
        self.transactions.encode(&mut out);
        self.first_ledger.encode(&mut out);
        self.previous_hash.encode(&mut out);
        self.prefix.encode(&mut out);
        self.state_root.encode(&mut out);
        encode_blob(&self.outcomes_roots.iter().flat_map(|root| root.0).collect::<Vec<_>>(), &mut out);
        encode_counts(&self.counts, &mut out);
        self.totals.encode(&mut out);
        out
    }

    /// Reads the stored form.
    ///
    /// **Errors**: [`HistoryError::Damaged`].
    pub(crate) fn from_stored(bytes: &[u8]) -> Result<Self, HistoryError> {
        let mut input = Reader::new(bytes);
        Ok(Position {
            slot: Decode::decode(&mut input)?,
            hash: Decode::decode(&mut input)?,
            ledger: Decode::decode(&mut input)?,
            time_ms: Decode::decode(&mut input)?,
            transactions: Decode::decode(&mut input)?,
            first_ledger: Decode::decode(&mut input)?,
            previous_hash: Decode::decode(&mut input)?,
            prefix: Decode::decode(&mut input)?,
            state_root: Decode::decode(&mut input)?,
            outcomes_roots: blob(&mut input)?.as_chunks::<32>().0.iter().copied().map(Digest).collect(),
            counts: decode_counts(&mut input)?,
            totals: Decode::decode(&mut input)?,
        })
    }
}

/// The longest byte string in a record: the changes of the largest transaction stay far below.
const BLOB_MAX: u32 = 16 * 1024 * 1024;

fn encode_blob(bytes: &[u8], out: &mut Vec<u8>) {
    // Longer than a u32 cannot be: every part has a limit of its own long before.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).encode(out);
    out.extend_from_slice(bytes);
}

fn blob<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = input.count("byte string", BLOB_MAX)?;
    input.take(length)
}

fn encode_counts(counts: &Counts, out: &mut Vec<u8>) {
    let Counts { successful, failed, operations, all_operations } = *counts;
    [successful, failed, operations, all_operations].iter().for_each(|count| count.encode(out));
}

fn decode_counts(input: &mut Reader<'_>) -> Result<Counts, DecodeError> {
    Ok(Counts {
        successful: Decode::decode(input)?,
        failed: Decode::decode(input)?,
        operations: Decode::decode(input)?,
        all_operations: Decode::decode(input)?,
    })
}

/// The XDR of a value that was decoded or built within its type's limits.
pub(crate) fn xdr(value: &impl WriteXdr) -> Vec<u8> {
    // Writing to memory without limits has no way to fail.
    value.to_xdr(Limits::none()).unwrap_or_default()
}

fn from_xdr<T: ReadXdr>(what: &'static str, bytes: &[u8]) -> Result<T, HistoryError> {
    let limits = Limits { depth: 500, len: bytes.len() };
    T::from_xdr(bytes, limits).map_err(|error| HistoryError::damaged(what, error))
}
