//! What was paid lately: read off the newest payments of the index, and remembered from one question to the next.
//!
//! The index has no figures of payments by asset or pair, and keeping them for every chain that was ever run would cost every
//! block. So the newest [`PAYMENTS_MAX`] payments of the last day are looked at, which is said in the answer, and a question
//! reads only what came since the one before.

use std::collections::VecDeque;

use carat_history::keys::List;
use carat_history::{History, HistoryError, OperationRecord, Order, PageQuery, Scope, Toid};
use carat_types::PublicKey;
use carat_types::result_codes;
use carat_types::transaction::account_of;
use stellar_xdr::{
    AccountMergeResult, Asset, OperationBody, OperationResult, OperationResultTr, PathPaymentStrictSendResult,
};

/// Payments that are remembered.
pub(crate) const PAYMENTS_MAX: usize = 10_000;
/// How far back they go. **Units**: milliseconds.
pub(crate) const WINDOW_MS: u64 = 24 * 3_600 * 1_000;
/// Payments that are read at once.
const PAGE: usize = 500;

/// One payment, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: Toid,
    pub(crate) time_ms: u64,
    /// The asset that arrives.
    pub(crate) asset: Asset,
    pub(crate) from: PublicKey,
    pub(crate) to: PublicKey,
    /// What arrived, or why nothing did.
    pub(crate) outcome: Result<i64, &'static str>,
}

/// The payments that are remembered, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    payments: VecDeque<Payment>,
    /// The last operation looked at.
    seen: Option<Toid>,
    /// Whether older payments were left out for their number.
    cut: bool,
}

impl Activity {
    /// Reads what came since, and forgets what is older than the window before `now_ms`.
    ///
    /// **Errors**: the index cannot be read.
    pub(crate) fn refresh(&mut self, history: &History, now_ms: u64) -> Result<(), HistoryError> {
        match self.seen {
            None => self.read_back(history)?,
            Some(seen) => self.read_on(history, seen)?,
        }
        let start = now_ms.saturating_sub(WINDOW_MS);
        while self.payments.front().is_some_and(|payment| payment.time_ms < start) {
            self.payments.pop_front();
            self.cut = false;
        }
        Ok(())
    }

    /// The payments, oldest first.
    pub(crate) fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.payments.iter()
    }

    /// Whether nothing of the window is missing.
    pub(crate) fn is_complete(&self) -> bool {
        !self.cut
    }

    /// The first question: the newest, from the end.
    fn read_back(&mut self, history: &History) -> Result<(), HistoryError> {
        let page = |cursor, limit| PageQuery { cursor, order: Order::Descending, limit };
        let mut cursor = None;
        while self.payments.len() < PAYMENTS_MAX {
            let records = history.operations(List::Payments, Scope::All, page(cursor, PAGE), true)?;
            self.seen = self.seen.max(records.first().map(|record| record.id)).or(Some(Toid::default()));
            let Some(last) = records.last() else { return Ok(()) };
            cursor = Some(last.id);
            records.iter().filter_map(payment).for_each(|payment| self.payments.push_front(payment));
        }
        self.cut = true;
        Ok(())
    }

    /// Later questions: what came after.
    fn read_on(&mut self, history: &History, mut seen: Toid) -> Result<(), HistoryError> {
        for _ in 0..PAYMENTS_MAX.div_ceil(PAGE) {
            let page = PageQuery { cursor: Some(seen), order: Order::Ascending, limit: PAGE };
            let records = history.operations(List::Payments, Scope::All, page, true)?;
            let Some(last) = records.last() else { return Ok(()) };
            seen = last.id;
            self.seen = Some(seen);
            self.payments.extend(records.iter().filter_map(payment));
            while self.payments.len() > PAYMENTS_MAX {
                self.payments.pop_front();
                self.cut = true;
            }
        }
        // More came than is remembered: what lies between is of no use.
        *self = Activity::default();
        self.read_back(history)
    }
}

/// The payment that an operation made or tried; none where it failed only because another of its transaction did.
fn payment(record: &OperationRecord) -> Option<Payment> {
    let transaction = &record.transaction.transaction;
    let operation = transaction.operations().get(record.index())?;
    let from = carat_history::participants::source_of(transaction, operation);
    let result = record.result();
    let inner = match result {
        Some(OperationResult::OpInner(inner)) => Some(inner),
        _ => None,
    };
    let (asset, to, amount) = match &operation.body {
        OperationBody::CreateAccount(op) => (Asset::Native, (&op.destination).into(), op.starting_balance),
        OperationBody::Payment(op) => (op.asset.clone(), account_of(&op.destination), op.amount),
        OperationBody::PathPaymentStrictReceive(op) => {
            (op.dest_asset.clone(), account_of(&op.destination), op.dest_amount)
        }
        OperationBody::PathPaymentStrictSend(op) => {
            let received = match inner {
                Some(OperationResultTr::PathPaymentStrictSend(PathPaymentStrictSendResult::Success(
                    success,
                ))) => success.last.amount,
                _ => 0,
            };
            (op.dest_asset.clone(), account_of(&op.destination), received)
        }
        OperationBody::AccountMerge(destination) => {
            let moved = match inner {
                Some(OperationResultTr::AccountMerge(AccountMergeResult::Success(moved))) => *moved,
                _ => 0,
            };
            (Asset::Native, account_of(destination), moved)
        }
        _ => return None,
    };
    let outcome = match (record.transaction.is_successful(), result.map(result_codes::operation)) {
        (true, _) => Ok(amount),
        (false, Some("op_success")) => return None,
        (false, Some(code)) => Err(code),
        (false, None) => Err(result_codes::ResultCodes::of(&record.transaction.result).transaction),
    };
    Some(Payment { id: record.id, time_ms: record.transaction.time_ms, asset, from, to, outcome })
}
