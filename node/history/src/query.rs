//! Reading the index.

mod parts;
mod present;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use carat_types::{Digest, PublicKey};

pub use parts::{CandleQuery, EffectRecord, TradeFilter, TradeRecord};
pub use present::{
    AccountFilter, AccountState, AssetFilter, AssetRecord, BalanceCursor, BalanceFilter, OfferFilter,
};

use crate::keys::{self, List, Outcome, Owner};
use crate::record::{LedgerRecord, OperationRecord, Position, TransactionRecord};
use crate::store::{HistoryError, HistoryStore};
use crate::toid::Toid;

/// The direction of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery<C = Toid> {
    /// What lies strictly behind this id in the page's direction; `None` starts at the list's end.
    pub cursor: Option<C>,
    /// The direction.
    pub order: Order,
    /// The most records.
    pub limit: usize,
}

/// Which list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// What an account takes part in.
    Account(PublicKey),
    /// What stands in a ledger.
    Ledger(u32),
    /// What stands in a transaction.
    Transaction(Toid),
    /// What one operation led to.
    Operation(Toid),
    /// What a liquidity pool takes part in.
    Pool(Digest),
    /// What a claimable balance takes part in.
    Balance(Digest),
}

impl Scope {
    /// Whose list it is read from.
    fn owner(self) -> Owner {
        match self {
            Scope::Account(account) => Owner::Account(account),
            Scope::Pool(pool) => Owner::Pool(pool),
            Scope::Balance(balance) => Owner::Balance(balance),
            Scope::All | Scope::Ledger(_) | Scope::Transaction(_) | Scope::Operation(_) => Owner::All,
        }
    }

    /// The ids that lie in it.
    fn ids(self) -> Range<u64> {
        match self {
            Scope::All | Scope::Account(_) | Scope::Pool(_) | Scope::Balance(_) => 0..after(Toid::MAX),
            Scope::Ledger(ledger) => Toid::ledger_start(ledger).get()..after(Toid::ledger_end(ledger)),
            Scope::Transaction(id) => id.of_transaction().get()..after(id.transaction_end()),
            Scope::Operation(id) => id.get()..after(id),
        }
    }
}

fn after(id: Toid) -> u64 {
    id.get().saturating_add(1)
}

/// Fees of the last [`FeeStats::LEDGERS`] ledgers, for one operation each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeStats {
    /// The last ledger with a transaction or, without any, the one that is open.
    pub last_ledger: u32,
    /// Fees charged, ascending. **Units**: stroops.
    pub charged: Vec<i64>,
    /// Fees bid, ascending. **Units**: stroops.
    pub bid: Vec<i64>,
    /// Operations applied in those ledgers.
    pub operations: u64,
    /// Ledgers that were looked at.
    pub ledgers: u32,
}

impl FeeStats {
    /// How many ledgers back fees are looked at.
    pub const LEDGERS: u32 = 5;
    /// The most transactions looked at, the newest first.
    pub const TRANSACTIONS_MAX: usize = 20_000;
}

/// The index as it is read. Cheap to clone; never sees half a block.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn HistoryStore>,
    network_id: Digest,
}

impl History {
    /// Reads from `store`; `network_id` is that of the chain whose blocks were indexed.
    pub fn new(store: Arc<dyn HistoryStore>, network_id: Digest) -> Self {
        History { store, network_id }
    }

    /// Where the index stands; `None` before genesis is indexed.
    ///
    /// **Errors**: as of every reading method, a database that fails or holds damaged values.
    pub fn position(&self) -> Result<Option<Position>, HistoryError> {
        match self.store.get(keys::POSITION)? {
            Some(bytes) => Position::from_stored(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The transaction with this hash, or the fee bump around the transaction with this hash.
    pub fn transaction(&self, hash: &Digest) -> Result<Option<TransactionRecord>, HistoryError> {
        let Some(id) = self.store.get(&keys::hash(hash))? else { return Ok(None) };
        let id = <[u8; 8]>::try_from(id.as_slice()).ok().map(u64::from_be_bytes).and_then(Toid::from_u64);
        let id = id.ok_or_else(|| HistoryError::damaged("the id under a hash", "not an id"))?;
        self.transaction_at(id)
    }

    /// The transaction that holds this place.
    pub fn transaction_at(&self, id: Toid) -> Result<Option<TransactionRecord>, HistoryError> {
        match self.store.get(&keys::transaction(id.of_transaction()))? {
            Some(bytes) => TransactionRecord::from_stored(&self.network_id, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The operation at this place.
    pub fn operation(&self, id: Toid) -> Result<Option<OperationRecord>, HistoryError> {
        let Some(transaction) = self.transaction_at(id)? else { return Ok(None) };
        let operations = transaction.transaction.operations().len();
        let exists = id.operation() >= 1 && id.operation() as usize <= operations;
        Ok(exists.then(|| OperationRecord { id, transaction: Arc::new(transaction) }))
    }

    /// Whether an account, pool or claimable balance ever took part in a transaction.
    pub fn knows(&self, scope: Scope) -> Result<bool, HistoryError> {
        let page = PageQuery { cursor: None, order: Order::Ascending, limit: 1 };
        Ok(!self.page_of(List::Transactions, scope, page, true)?.is_empty())
    }

    /// A closed ledger.
    pub fn ledger(&self, sequence: u32) -> Result<Option<LedgerRecord>, HistoryError> {
        match self.store.get(&keys::ledger(sequence))? {
            Some(bytes) => LedgerRecord::from_stored(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// When a ledger closed or, while it is open, the time of its latest block. **Units**: milliseconds.
    pub fn ledger_time_ms(&self, sequence: u32) -> Result<Option<u64>, HistoryError> {
        if let Some(ledger) = self.ledger(sequence)? {
            return Ok(Some(ledger.time_ms));
        }
        Ok(self.position()?.filter(|open| open.ledger == sequence).map(|open| open.time_ms))
    }

    /// A page of closed ledgers.
    pub fn ledgers(&self, page: PageQuery) -> Result<Vec<LedgerRecord>, HistoryError> {
        let ids = ids_of(Scope::All, page);
        // The id of ledger n is n << 32: the first number not below a bound is the bound shifted, rounded up.
        let bound = |id: u64| keys::ledger(u32::try_from(id.div_ceil(1 << 32)).unwrap_or(u32::MAX));
        let pairs = self.store.scan(bound(ids.start)..bound(ids.end), page.order, page.limit)?;
        pairs.iter().map(|(_, value)| LedgerRecord::from_stored(value)).collect()
    }

    /// A page of transactions.
    pub fn transactions(
        &self,
        scope: Scope,
        page: PageQuery,
        include_failed: bool,
    ) -> Result<Vec<TransactionRecord>, HistoryError> {
        let ids = self.page_of(List::Transactions, scope, page, include_failed)?;
        ids.into_iter().filter_map(|id| self.listed(id).transpose()).collect()
    }

    /// A page of operations or, with [`List::Payments`], of those that are payments.
    pub fn operations(
        &self,
        list: List,
        scope: Scope,
        page: PageQuery,
        include_failed: bool,
    ) -> Result<Vec<OperationRecord>, HistoryError> {
        // Neighbours share their transaction, which is then read once.
        let mut read: BTreeMap<Toid, Arc<TransactionRecord>> = BTreeMap::new();
        let mut records = Vec::new();
        for id in self.page_of(list, scope, page, include_failed)? {
            let transaction = match read.get(&id.of_transaction()) {
                Some(transaction) => Arc::clone(transaction),
                None => match self.listed(id)? {
                    Some(transaction) => Arc::new(transaction),
                    None => continue,
                },
            };
            read.insert(id.of_transaction(), Arc::clone(&transaction));
            records.push(OperationRecord { id, transaction });
        }
        Ok(records)
    }

    /// What fees were paid lately.
    pub fn fee_stats(&self) -> Result<Option<FeeStats>, HistoryError> {
        let Some(position) = self.position()? else { return Ok(None) };
        let last = if position.transactions > 0 {
            position.ledger
        } else {
            position.last_closed().unwrap_or(position.ledger)
        };
        let first = last.saturating_sub(FeeStats::LEDGERS - 1).max(position.first_ledger);
        let ids = Toid::ledger_start(first).get()..Toid::ledger_end(last).get();
        let (mut charged, mut bid) = (Vec::new(), Vec::new());
        for outcome in [Outcome::Successful, Outcome::Failed] {
            let range = keys::entries(&Owner::All, List::Transactions, outcome, &ids);
            for (_, value) in self.store.scan(range, Order::Descending, FeeStats::TRANSACTIONS_MAX)? {
                let (pair, _) = value.as_chunks::<8>();
                let [one, other] = *pair else {
                    return Err(HistoryError::damaged("a fee", "not two numbers"));
                };
                charged.push(i64::from_be_bytes(one));
                bid.push(i64::from_be_bytes(other));
            }
        }
        charged.sort_unstable();
        bid.sort_unstable();
        let mut operations =
            if last == position.ledger { u64::from(position.counts.all_operations) } else { 0 };
        for sequence in first..=last {
            let closed = self.ledger(sequence)?;
            operations += closed.map_or(0, |ledger| u64::from(ledger.counts.all_operations));
        }
        let ledgers = last.saturating_sub(first) + 1;
        Ok(Some(FeeStats { last_ledger: last, charged, bid, operations, ledgers }))
    }

    fn page_of(
        &self,
        list: List,
        scope: Scope,
        page: PageQuery,
        include_failed: bool,
    ) -> Result<Vec<Toid>, HistoryError> {
        let owner = &scope.owner();
        let ids = ids_of(scope, page);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.entries(owner, list, Outcome::Successful, &ids, page)?;
        if include_failed {
            found.extend(self.entries(owner, list, Outcome::Failed, &ids, page)?);
            match page.order {
                Order::Ascending => found.sort_unstable(),
                Order::Descending => found.sort_unstable_by_key(|id| Reverse(*id)),
            }
            found.truncate(page.limit);
        }
        Ok(found)
    }

    fn entries(
        &self,
        owner: &Owner,
        list: List,
        outcome: Outcome,
        ids: &Range<u64>,
        page: PageQuery,
    ) -> Result<Vec<Toid>, HistoryError> {
        let pairs = self.store.scan(keys::entries(owner, list, outcome, ids), page.order, page.limit)?;
        let id =
            |key: &[u8]| keys::id_of_entry(key).ok_or_else(|| HistoryError::damaged("a list", "not an id"));
        pairs.iter().map(|(key, _)| id(key)).collect()
    }

    /// The transaction of an entry; that it exists is what the entry says. None where its ledger was forgotten meanwhile.
    fn listed(&self, id: Toid) -> Result<Option<TransactionRecord>, HistoryError> {
        if let Some(record) = self.transaction_at(id)? {
            return Ok(Some(record));
        }
        match self.position()? {
            Some(position) if id.ledger() < position.first_ledger => Ok(None),
            _ => Err(HistoryError::damaged("a list", format!("there is no transaction {id:?}"))),
        }
    }
}

/// The ids within `scope` that lie behind the page's cursor.
fn ids_of(scope: Scope, page: PageQuery) -> Range<u64> {
    let Range { mut start, mut end } = scope.ids();
    match (page.cursor, page.order) {
        (None, _) => {}
        (Some(cursor), Order::Ascending) => start = start.max(after(cursor)),
        (Some(cursor), Order::Descending) => end = end.min(cursor.get()),
    }
    start..end
}
