//! The rows of a transaction: its record, and its place in every list in which it and its operations stand.
//!
//! They follow from the record alone, so that what was written once is found again to be removed.

use std::collections::{BTreeMap, BTreeSet};

use carat_types::Digest;
use carat_types::transaction::account_of;
use stellar_xdr::{LedgerEntryData, OperationBody};

use crate::candles::Candle;
use crate::keys::{self, List, Outcome, Owner};
use crate::participants;
use crate::query::Order;
use crate::record::TransactionRecord;
use crate::state_index::balance_id;
use crate::store::{Change, HistoryError, HistoryStore};
use crate::toid::{PartId, Toid};
use crate::view::{EntryPair, OperationView};
use crate::{effects, trades};

/// Candles of one pair that are removed with one write.
const CANDLES_AT_A_TIME: usize = 1_000;

/// The rows of transactions being gathered.
#[derive(Default)]
pub(crate) struct Rows {
    batch: Vec<Change>,
    /// What was traded, by pair of assets and minute.
    candles: BTreeMap<(Vec<u8>, u64), Candle>,
}

impl Rows {
    /// Adds them to a batch.
    pub(crate) fn new(batch: Vec<Change>) -> Self {
        Rows { batch, candles: BTreeMap::new() }
    }

    /// The batch that writes them.
    ///
    /// **Errors**: candles that cannot be read.
    pub(crate) fn finish(mut self, store: &dyn HistoryStore) -> Result<Vec<Change>, HistoryError> {
        for ((pair, minute), candle) in self.candles {
            let key = keys::candle(&pair, minute);
            let candle = match store.get(&key)? {
                Some(earlier) => Candle::from_stored(&earlier)?.then(candle),
                None => candle,
            };
            self.batch.push((key, Some(candle.to_stored())));
        }
        Ok(self.batch)
    }

    /// The batch that removes them. Of each pair that was traded all older candles go as well: that of the newest minute may hold
    /// trades that stay.
    ///
    /// **Errors**: candles that cannot be read.
    pub(crate) fn removal(self, store: &dyn HistoryStore) -> Result<Vec<Change>, HistoryError> {
        let mut batch: Vec<Change> = self.batch.into_iter().map(|(key, _)| (key, None)).collect();
        for (pair, minute) in self.candles.into_keys() {
            let older = keys::candle(&pair, 0)..keys::candle(&pair, minute);
            let older = store.scan(older, Order::Ascending, CANDLES_AT_A_TIME)?;
            batch.extend(older.into_iter().map(|(key, _)| (key, None)));
        }
        Ok(batch)
    }

    fn set(&mut self, key: Vec<u8>, value: impl Into<Vec<u8>>) {
        self.batch.push((key, Some(value.into())));
    }

    /// Adds the record and the entries of every list in which it and its operations stand; `changes` says what each
    /// operation changed.
    pub(crate) fn add_transaction<'a>(
        &mut self,
        record: &'a TransactionRecord,
        changes: impl Fn(usize) -> Vec<EntryPair<'a>>,
    ) {
        let outcome = if record.is_successful() { Outcome::Successful } else { Outcome::Failed };
        let transaction = &record.transaction;
        self.set(keys::transaction(record.id), record.to_stored());
        let id = record.id.get().to_be_bytes();
        self.set(keys::hash(transaction.hash()), id);
        if transaction.inner_hash() != transaction.hash() {
            self.set(keys::hash(transaction.inner_hash()), id);
        }
        let (charged, bid) = record.fees_per_operation();
        let fees = [charged.to_be_bytes(), bid.to_be_bytes()].concat();
        self.set(keys::entry(&Owner::All, List::Transactions, outcome, record.id), fees);
        let mut owners: BTreeSet<Owner> =
            participants::of_transaction(transaction).into_iter().map(Owner::Account).collect();
        for (operation, index) in transaction.operations().iter().zip(0usize..) {
            let view = record.operation_results().get(index).map(|result| OperationView {
                transaction,
                operation,
                result,
                changes: changes(index),
            });
            let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
            let id = record.id.with_operation(number);
            let shared = shared_owners(&operation.body, view.as_ref());
            let accounts = participants::of_operation(transaction, operation).into_iter().map(Owner::Account);
            for owner in accounts.chain([Owner::All]).chain(shared.iter().cloned()) {
                self.set(keys::entry(&owner, List::Operations, outcome, id), []);
                if participants::is_payment(operation) && matches!(owner, Owner::All | Owner::Account(_)) {
                    self.set(keys::entry(&owner, List::Payments, outcome, id), []);
                }
            }
            owners.extend(shared);
            if let Some(view) = view.filter(|_| outcome == Outcome::Successful) {
                self.add_effects(&view, id);
                self.add_trades(&view, id, record.time_ms);
            }
        }
        for owner in owners {
            self.set(keys::entry(&owner, List::Transactions, outcome, record.id), []);
        }
    }

    /// Only accounts and pools have lists of effects: all others are read off the operations.
    fn add_effects(&mut self, view: &OperationView<'_>, operation: Toid) {
        for (effect, number) in effects::of_operation(view).iter().zip(1u32..) {
            let id = PartId { operation, number };
            let account = Owner::Account(account_of(&effect.account));
            for owner in std::iter::once(account).chain(effect.kind.pool().map(Owner::Pool)) {
                self.set(keys::part(&owner, List::Effects, id), []);
            }
        }
    }

    fn add_trades(&mut self, view: &OperationView<'_>, operation: Toid, time_ms: u64) {
        for trade in trades::of_operation(view, operation) {
            for owner in trade.owners() {
                self.set(keys::part(&owner, List::Trades, trade.id(operation)), [trade.kind()]);
            }
            let (pair, in_order) = keys::pair(&trade.sold.0, &trade.bought.0);
            let candle = Candle::of_trade(trade.sold.1, trade.bought.1, trade.price);
            let candle = if in_order { candle } else { candle.inverted() };
            let key = (pair, time_ms / Candle::SPAN_MS);
            let earlier = self.candles.get(&key).copied();
            self.candles.insert(key, earlier.map_or(candle, |earlier| earlier.then(candle)));
        }
    }
}

/// The pools and claimable balances in whose lists an operation stands: those that it names and those that it changed.
fn shared_owners(body: &OperationBody, view: Option<&OperationView<'_>>) -> BTreeSet<Owner> {
    let pool = |id: &stellar_xdr::PoolId| Owner::Pool(Digest(id.0.0));
    let mut owners = BTreeSet::new();
    match body {
        OperationBody::ClaimClaimableBalance(op) => {
            _ = owners.insert(Owner::Balance(balance_id(&op.balance_id)))
        }
        OperationBody::ClawbackClaimableBalance(op) => {
            owners.insert(Owner::Balance(balance_id(&op.balance_id)));
        }
        OperationBody::LiquidityPoolDeposit(op) => _ = owners.insert(pool(&op.liquidity_pool_id)),
        OperationBody::LiquidityPoolWithdraw(op) => _ = owners.insert(pool(&op.liquidity_pool_id)),
        _ => {}
    }
    for pair in view.map(|view| view.changes.as_slice()).unwrap_or_default() {
        match pair.data() {
            Some(LedgerEntryData::LiquidityPool(entry)) => _ = owners.insert(pool(&entry.liquidity_pool_id)),
            Some(LedgerEntryData::ClaimableBalance(entry)) => {
                owners.insert(Owner::Balance(balance_id(&entry.balance_id)));
            }
            _ => {}
        }
    }
    owners
}
