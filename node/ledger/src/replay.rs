//! Replaying recorded closes of another implementation: the same transactions must have the same results and change
//! the same entries in the same way.
//!
//! A recording is a sequence of frames: a four-byte length with the highest bit set, then a `LedgerCloseMeta`. It
//! starts at the second ledger of a network whose genesis is [`RECORDED_PASSPHRASE`]'s. Nothing is trimmed, and the
//! order is drawn from the transaction set's hash, as recorded. **Source**: ledger specification C.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::batch::BlockLimits;
use carat_types::genesis::LedgerConstants;
use carat_types::hash::sha256;
use carat_types::transaction::{EnvelopeError, SignedTransaction, network_id, test_root_key};
use carat_types::{Digest, Epoch, Slot};
use stellar_xdr::{
    GeneralizedTransactionSet, LedgerCloseMeta, LedgerCloseMetaV2, LedgerEntry, LedgerEntryChange,
    LedgerEntryChanges, LedgerKey, ReadXdr, TransactionEnvelope, TransactionMeta, TransactionPhase,
    TransactionResultMetaV1, TxSetComponent,
};
use thiserror::Error;

use crate::apply::{Applied, BlockInput, apply_untrimmed};
use crate::authorization::Ed25519;
use crate::entry::{StateValue, Totals};
use crate::error::ApplyError;
use crate::genesis::{GenesisStateError, genesis_entries};
use crate::key::{STORED, StateKey, xdr};
use crate::operations;
use crate::order::SortKey;
use crate::overlay::EntryChange;
use crate::state::MemoryState;

/// The passphrase of the network on which the recordings were made.
pub const RECORDED_PASSPHRASE: &str = "(V) (;,,;) (V)";

/// Why a recording could not be replayed to its end.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// Not frames of closes.
    #[error("the recording is damaged at byte {at}: {reason}")]
    Damaged {
        /// Where the frame begins.
        at: usize,
        /// What is wrong.
        reason: String,
    },
    /// The recording uses a form of close that the recorded streams do not have.
    #[error("the recording holds {0}, which this replay does not know")]
    Unknown(&'static str),
    /// A recorded envelope that we would not decode.
    #[error("a recorded envelope is refused: {0}")]
    Envelope(#[from] EnvelopeError),
    /// See [`GenesisStateError`].
    #[error(transparent)]
    Genesis(#[from] GenesisStateError),
    /// See [`ApplyError`].
    #[error("ledger {ledger_seq} cannot be applied: {error}")]
    Apply {
        /// The ledger.
        ledger_seq: u32,
        /// Why.
        error: ApplyError,
    },
}

/// How a replay ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Transactions compared.
    pub transactions: usize,
    /// What differed, in words.
    pub mismatches: Vec<String>,
    /// Whether the recording needs operations that are not built; then nothing was compared.
    pub unsupported: bool,
}

/// Replays one recording from its genesis.
///
/// **Errors**: it cannot be read or applied. A difference is no error: see [`Replayed::mismatches`].
pub fn replay(recording: &[u8]) -> Result<Replayed, ReplayError> {
    let closes = frames(recording)?;
    let network = network_id(RECORDED_PASSPHRASE);
    let mut blocks = Vec::with_capacity(closes.len());
    for close in &closes {
        blocks.push((close, envelopes(&network, close)?));
    }
    let mut report = Replayed::default();
    if blocks.iter().flat_map(|(_, envelopes)| envelopes).any(|envelope| needs_more(envelope)) {
        report.unsupported = true;
        return Ok(report);
    }
    let Some(first) = closes.first() else { return Ok(report) };
    let mut state = genesis(first.ledger_header.header.ledger_version)?;
    for (close, envelopes) in blocks {
        replay_close(&mut state, close, &envelopes, &mut report)?;
    }
    Ok(report)
}

fn frames(recording: &[u8]) -> Result<Vec<LedgerCloseMetaV2>, ReplayError> {
    let mut closes = Vec::new();
    let mut rest = recording;
    while !rest.is_empty() {
        let damaged = |reason: &str| ReplayError::Damaged {
            at: recording.len().saturating_sub(rest.len()),
            reason: reason.to_owned(),
        };
        let (length, after) = rest.split_first_chunk().ok_or_else(|| damaged("a length is cut off"))?;
        let length = u32::from_be_bytes(*length);
        if length >> 31 == 0 {
            return Err(damaged("a length lacks its highest bit"));
        }
        let length = usize::try_from(length & 0x7fff_ffff).map_err(|_| damaged("a frame is too long"))?;
        let (frame, after) = after.split_at_checked(length).ok_or_else(|| damaged("a frame is cut off"))?;
        match LedgerCloseMeta::from_xdr(frame, STORED).map_err(|error| damaged(&error.to_string()))? {
            LedgerCloseMeta::V2(close) => closes.push(close),
            LedgerCloseMeta::V0(_) | LedgerCloseMeta::V1(_) => {
                return Err(ReplayError::Unknown("an old close"));
            }
        }
        rest = after;
    }
    Ok(closes)
}

fn envelopes(
    network: &Digest,
    close: &LedgerCloseMetaV2,
) -> Result<Vec<Arc<SignedTransaction>>, ReplayError> {
    let GeneralizedTransactionSet::V1(set) = &close.tx_set;
    let mut all: Vec<&TransactionEnvelope> = Vec::new();
    for phase in set.phases.iter() {
        match phase {
            TransactionPhase::V0(components) => {
                for TxSetComponent::TxsetCompTxsMaybeDiscountedFee(component) in components.iter() {
                    if component.base_fee != Some(close.ledger_header.header.base_fee.into()) {
                        return Err(ReplayError::Unknown("a transaction set with a base fee of its own"));
                    }
                    all.extend(component.txs.iter());
                }
            }
            TransactionPhase::V1(parallel) if parallel.execution_stages.is_empty() => {}
            TransactionPhase::V1(_) => return Err(ReplayError::Unknown("parallel transactions")),
        }
    }
    let decode = |envelope| Ok(Arc::new(SignedTransaction::decode(network, &xdr(envelope))?));
    all.into_iter().map(decode).collect()
}

fn needs_more(transaction: &SignedTransaction) -> bool {
    let mut operations = transaction.operations().iter();
    operations.any(|operation| !operations::is_supported(&operation.body, &Digest::ZERO, 0))
}

fn genesis(protocol_version: u32) -> Result<MemoryState, GenesisStateError> {
    let constants = LedgerConstants {
        total_coins: 1_000_000_000_000_000_000,
        base_fee: 100,
        base_reserve: 100_000_000,
        protocol_version,
        root_account: test_root_key(RECORDED_PASSPHRASE).public(),
        admission_restricted: false,
        members: Vec::new(),
        assets: carat_types::genesis::AssetRule::Any,
    };
    Ok(MemoryState::new(genesis_entries(&constants, &BlockLimits::default())?))
}

fn replay_close(
    state: &mut MemoryState,
    close: &LedgerCloseMetaV2,
    envelopes: &[Arc<SignedTransaction>],
    report: &mut Replayed,
) -> Result<(), ReplayError> {
    let header = &close.ledger_header.header;
    let ledger_seq = header.ledger_seq;
    let block = BlockInput {
        sort_key: SortKey::SetHash(sha256(&[&xdr(&close.tx_set)])),
        ledger_seq,
        chain_id: Digest::ZERO,
        epoch: Epoch(0),
        slot: Slot(ledger_seq.into()),
        time_ms: header.scp_value.close_time.0.saturating_mul(1000),
        envelopes,
        signatures: &Ed25519,
        record_changes: true,
    };
    let failed = |error| ReplayError::Apply { ledger_seq, error };
    let outcome = apply_untrimmed(state, &block).map_err(failed)?;
    state.apply(&outcome.delta);
    if outcome.applied.len() != close.tx_processing.len() {
        let (ours, theirs) = (outcome.applied.len(), close.tx_processing.len());
        report
            .mismatches
            .push(format!("ledger {ledger_seq}: {ours} transactions applied, {theirs} recorded"));
    }
    for (index, (ours, theirs)) in outcome.applied.iter().zip(close.tx_processing.iter()).enumerate() {
        report.transactions = report.transactions.saturating_add(1);
        for difference in differences(ours, theirs)? {
            report.mismatches.push(format!("ledger {ledger_seq}, transaction {index}: {difference}"));
        }
    }
    let totals = state.value(&StateKey::Totals).map_err(|error| failed(error.into()))?;
    if let Some(StateValue::Totals(Totals { fee_pool, total_coins, .. })) = totals
        && (fee_pool, total_coins) != (header.fee_pool, header.total_coins)
    {
        report.mismatches.push(format!(
            "ledger {ledger_seq}: fee pool {fee_pool} and total {total_coins}, recorded {} and {}",
            header.fee_pool, header.total_coins
        ));
    }
    Ok(())
}

fn differences(ours: &Applied, theirs: &TransactionResultMetaV1) -> Result<Vec<String>, ReplayError> {
    let TransactionMeta::V4(meta) = &theirs.tx_apply_processing else {
        return Err(ReplayError::Unknown("changes in an old form"));
    };
    let mut differences = Vec::new();
    if ours.transaction.hash().0 != theirs.result.transaction_hash.0 {
        differences.push(format!(
            "hash {}, recorded {:?}",
            ours.transaction.hash(),
            theirs.result.transaction_hash
        ));
    }
    if ours.result != theirs.result.result {
        differences.push(format!("result {:?}, recorded {:?}", ours.result, theirs.result.result));
    }
    compare("fee", &ours.changes.fee, &theirs.fee_processing, &mut differences);
    compare("before operations", &ours.changes.before_operations, &meta.tx_changes_before, &mut differences);
    if ours.changes.operations.len() != meta.operations.len() {
        let (ours, theirs) = (ours.changes.operations.len(), meta.operations.len());
        differences.push(format!("{ours} operations with changes, recorded {theirs}"));
    }
    for (ours, theirs) in ours.changes.operations.iter().zip(meta.operations.iter()) {
        compare("operation", ours, &theirs.changes, &mut differences);
    }
    compare("after operations", &[], &meta.tx_changes_after, &mut differences);
    Ok(differences)
}

/// An entry's value before and after.
type BeforeAfter<'a> = (Option<&'a LedgerEntry>, Option<&'a LedgerEntry>);

/// Compares changes entry by entry; the order in which they are listed means nothing.
fn compare(step: &str, ours: &[EntryChange], theirs: &LedgerEntryChanges, differences: &mut Vec<String>) {
    let ours: BTreeMap<LedgerKey, BeforeAfter<'_>> =
        ours.iter().map(|change| (change.key().clone(), (change.before(), change.after()))).collect();
    let mut recorded: BTreeMap<LedgerKey, BeforeAfter<'_>> = BTreeMap::new();
    for change in theirs.0.iter() {
        match change {
            LedgerEntryChange::State(entry) => recorded.entry(entry.to_key()).or_default().0 = Some(entry),
            LedgerEntryChange::Created(entry)
            | LedgerEntryChange::Updated(entry)
            | LedgerEntryChange::Restored(entry) => {
                recorded.entry(entry.to_key()).or_default().1 = Some(entry)
            }
            LedgerEntryChange::Removed(key) => recorded.entry(key.clone()).or_default().1 = None,
        }
    }
    if ours != recorded {
        differences.push(format!("{step}: changes {ours:?}, recorded {recorded:?}"));
    }
}
