//! An operation that took effect, with everything that is known about it: the material of effects and trades.

use carat_types::transaction::SignedTransaction;
use stellar_xdr::{
    ClaimAtom, CreateClaimableBalanceResult, LedgerEntry, LedgerEntryChange, LedgerEntryChanges, Limits,
    ManageBuyOfferResult, ManageOfferSuccessResult, ManageOfferSuccessResultOffer, ManageSellOfferResult,
    MuxedAccount, Operation, OperationResult, OperationResultTr, PathPaymentStrictReceiveResult,
    PathPaymentStrictSendResult, ReadXdr, TransactionMeta,
};

use crate::record::TransactionRecord;
use crate::store::HistoryError;

/// An entry as an operation found and left it.
#[derive(Clone, Copy, Debug)]
pub struct EntryPair<'a> {
    /// Before; none if the operation made it.
    pub before: Option<&'a LedgerEntry>,
    /// After; none if the operation removed it.
    pub after: Option<&'a LedgerEntry>,
}

/// An operation that took effect.
#[derive(Clone, Debug)]
pub struct OperationView<'a> {
    /// Its transaction.
    pub transaction: &'a SignedTransaction,
    /// Itself.
    pub operation: &'a Operation,
    /// Its result.
    pub result: &'a OperationResult,
    /// What it changed.
    pub changes: Vec<EntryPair<'a>>,
}

impl<'a> OperationView<'a> {
    /// The account that it acts for.
    pub fn source(&self) -> &'a MuxedAccount {
        let own = self.operation.source_account.as_ref();
        own.unwrap_or(&self.transaction.transaction().source_account)
    }

    /// The inner part of its result.
    pub fn inner_result(&self) -> Option<&'a OperationResultTr> {
        match self.result {
            OperationResult::OpInner(inner) => Some(inner),
            _ => None,
        }
    }

    /// The offers and pools that it traded with, in order.
    pub fn claims(&self) -> &'a [ClaimAtom] {
        self.inner_result().map(claims_of).unwrap_or_default()
    }

    /// The offer that it left in the book.
    pub fn own_offer(&self) -> Option<i64> {
        let success = self.inner_result().and_then(offer_success)?;
        match &success.offer {
            ManageOfferSuccessResultOffer::Created(offer) | ManageOfferSuccessResultOffer::Updated(offer) => {
                Some(offer.offer_id)
            }
            ManageOfferSuccessResultOffer::Deleted => None,
        }
    }

    /// The claimable balance that it created.
    pub fn created_balance(&self) -> Option<&'a stellar_xdr::ClaimableBalanceId> {
        match self.inner_result() {
            Some(OperationResultTr::CreateClaimableBalance(CreateClaimableBalanceResult::Success(id))) => {
                Some(id)
            }
            _ => None,
        }
    }
}

/// The offers and pools that a result says were traded with.
pub fn claims_of(result: &OperationResultTr) -> &[ClaimAtom] {
    match result {
        OperationResultTr::PathPaymentStrictReceive(PathPaymentStrictReceiveResult::Success(success)) => {
            &success.offers
        }
        OperationResultTr::PathPaymentStrictSend(PathPaymentStrictSendResult::Success(success)) => {
            &success.offers
        }
        other => offer_success(other).map(|success| success.offers_claimed.as_slice()).unwrap_or_default(),
    }
}

fn offer_success(result: &OperationResultTr) -> Option<&ManageOfferSuccessResult> {
    match result {
        OperationResultTr::ManageSellOffer(ManageSellOfferResult::Success(success))
        | OperationResultTr::CreatePassiveSellOffer(ManageSellOfferResult::Success(success))
        | OperationResultTr::ManageBuyOffer(ManageBuyOfferResult::Success(success)) => Some(success),
        _ => None,
    }
}

/// What the operations of a transaction changed, decoded from its record.
#[derive(Clone, Debug, Default)]
pub struct DecodedChanges {
    operations: Vec<LedgerEntryChanges>,
}

impl DecodedChanges {
    /// Decodes the changes of a record.
    ///
    /// **Errors**: [`HistoryError::Damaged`].
    pub fn of(record: &TransactionRecord) -> Result<Self, HistoryError> {
        if record.meta.is_empty() {
            return Ok(DecodedChanges::default());
        }
        let limits = Limits { depth: 500, len: record.meta.len() };
        let meta = TransactionMeta::from_xdr(&record.meta, limits);
        match meta.map_err(|error| HistoryError::damaged("the changes of a transaction", error))? {
            TransactionMeta::V4(meta) => {
                let operations = meta.operations.iter().map(|operation| operation.changes.clone()).collect();
                Ok(DecodedChanges { operations })
            }
            _ => Err(HistoryError::damaged("the changes of a transaction", "another version")),
        }
    }

    /// What operation `index` (from 0) changed.
    pub fn operation(&self, index: usize) -> Vec<EntryPair<'_>> {
        let Some(LedgerEntryChanges(changes)) = self.operations.get(index) else { return Vec::new() };
        let mut pairs = Vec::with_capacity(changes.len());
        let mut before = None;
        for change in changes.iter() {
            match change {
                LedgerEntryChange::State(entry) => before = Some(entry),
                LedgerEntryChange::Updated(entry)
                | LedgerEntryChange::Created(entry)
                | LedgerEntryChange::Restored(entry) => {
                    pairs.push(EntryPair { before: before.take(), after: Some(entry) });
                }
                LedgerEntryChange::Removed(_) => pairs.push(EntryPair { before: before.take(), after: None }),
            }
        }
        pairs
    }
}

impl TransactionRecord {
    /// Operation `index` (from 0) with what it changed; none if the transaction has no such operation or failed.
    pub fn view<'a>(&'a self, index: usize, changes: &'a DecodedChanges) -> Option<OperationView<'a>> {
        if !self.is_successful() {
            return None;
        }
        Some(OperationView {
            transaction: &self.transaction,
            operation: self.transaction.operations().get(index)?,
            result: self.operation_results().get(index)?,
            changes: changes.operation(index),
        })
    }
}
