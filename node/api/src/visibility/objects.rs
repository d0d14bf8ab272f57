//! Single records as a viewer sees them.

use std::collections::BTreeSet;
use std::sync::Arc;

use carat_history::paths::{Found, PathEnd, PathQuery};
use carat_history::{
    AccountState, AssetRecord, Candle, CandleQuery, FeeStats, LedgerRecord, OperationRecord, Position, Toid,
    TransactionRecord,
};
use carat_types::{Digest, PublicKey};
use stellar_xdr::{AccountEntry, Asset, LedgerEntry, LedgerEntryData, TrustLineAsset};

use super::{Seen, View, Viewer, stakeholders};
use crate::port::CheckedReceipt;
use crate::problem::Problem;

/// An operation, and its transaction where that is asked for and seen.
#[derive(Clone, Debug)]
pub(crate) struct SeenOperation {
    pub(crate) record: Seen<OperationRecord>,
    pub(crate) transaction: Option<Seen<TransactionRecord>>,
}

/// An account.
#[derive(Clone, Debug)]
pub(crate) enum SeenAccount {
    /// All of it.
    Whole(Seen<AccountState>),
    /// What it holds of the viewer's own assets, and nothing else of it.
    Holdings(Seen<AccountState>),
}

/// An asset with its issuer's account, if that still exists.
#[derive(Clone, Debug)]
pub(crate) struct SeenAsset {
    pub(crate) record: Seen<AssetRecord>,
    pub(crate) issuer: Option<AccountEntry>,
    /// Whether its figures are shown in all their parts, or their sum alone.
    pub(crate) in_parts: bool,
}

impl View<'_> {
    /// The record, if one of its stakeholders is the viewer's.
    pub(super) fn if_owned<T>(
        &self,
        stakeholders: &BTreeSet<PublicKey>,
        record: T,
    ) -> Result<Option<Seen<T>>, Problem> {
        Ok(self.owns_any(stakeholders)?.then_some(Seen(record)))
    }

    /// A transaction as a whole: to who signed it, and to who may see each of its operations with what it claimed.
    /// What it changed shows the positions of everybody in it, and is for those alone who see everything.
    pub(super) fn whole(
        &self,
        record: TransactionRecord,
    ) -> Result<Option<Seen<TransactionRecord>>, Problem> {
        if self.sees_everything() {
            return Ok(Some(Seen(record)));
        }
        let record = Arc::new(record);
        if !self.sees_all_of(&record)? {
            return Ok(None);
        }
        Ok(Some(without_changes(&record)))
    }

    fn sees_all_of(&self, record: &Arc<TransactionRecord>) -> Result<bool, Problem> {
        if self.has_signed(record)? {
            return Ok(true);
        }
        for operation in operations_of(record) {
            if !self.sees_operation(&operation)? || !self.sees_claims(&operation)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the viewer's signature is under all of it.
    fn has_signed(&self, record: &TransactionRecord) -> Result<bool, Problem> {
        if self.owns_any(&stakeholders::of_envelope(record))? {
            return Ok(true);
        }
        Ok(match self.viewer {
            Viewer::Holder { account, .. } => stakeholders::signed_by(record, account),
            _ => false,
        })
    }

    fn sees_operation(&self, record: &OperationRecord) -> Result<bool, Problem> {
        Ok(self.owns_any(&stakeholders::of_operation(record))?
            || self.owns_any(&stakeholders::issuers_changed(record)?)?)
    }

    fn sees_claims(&self, record: &OperationRecord) -> Result<bool, Problem> {
        for claim in record.result().map(stakeholders::of_claims).unwrap_or_default() {
            if !self.owns_any(&claim)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn seen_operation(
        &self,
        record: OperationRecord,
        join: bool,
    ) -> Result<Option<SeenOperation>, Problem> {
        if !self.sees_everything()
            && !self.has_signed(&record.transaction)?
            && !self.sees_operation(&record)?
        {
            return Ok(None);
        }
        let transaction = match join {
            true => self.whole((*record.transaction).clone())?,
            false => None,
        };
        Ok(Some(SeenOperation { record: Seen(record), transaction }))
    }

    pub(super) fn seen_entry(&self, entry: LedgerEntry) -> Result<Option<Seen<LedgerEntry>>, Problem> {
        self.if_owned(&stakeholders::of_entry(&entry), entry)
    }

    pub(super) fn seen_pool(&self, entry: LedgerEntry) -> Result<Option<Seen<LedgerEntry>>, Problem> {
        if self.owns_any(&stakeholders::of_entry(&entry))? || self.has_shares(&entry)? {
            return Ok(Some(Seen(entry)));
        }
        Ok(None)
    }

    /// Whether the account that logged in has shares of the pool.
    fn has_shares(&self, pool: &LedgerEntry) -> Result<bool, Problem> {
        let (Viewer::Holder { account, .. }, LedgerEntryData::LiquidityPool(pool)) =
            (self.viewer, &pool.data)
        else {
            return Ok(false);
        };
        let Some(state) = self.node.account(account)? else { return Ok(false) };
        let shares = TrustLineAsset::PoolShare(pool.liquidity_pool_id.clone());
        Ok(state.trustlines.iter().any(|entry| match &entry.data {
            LedgerEntryData::Trustline(line) => line.asset == shares,
            _ => false,
        }))
    }

    pub(super) fn seen_account(&self, mut state: AccountState) -> Result<Option<SeenAccount>, Problem> {
        let LedgerEntryData::Account(entry) = &state.account.data else { return Ok(None) };
        if self.owns_any(&stakeholders::of_account(entry))? {
            return Ok(Some(SeenAccount::Whole(Seen(state))));
        }
        let mut held = Vec::new();
        for line in std::mem::take(&mut state.trustlines) {
            let LedgerEntryData::Trustline(entry) = &line.data else { continue };
            if let Some(issuer) = stakeholders::issuer_of_line(&entry.asset)
                && self.owns(&issuer)?
            {
                held.push(line);
            }
        }
        if held.is_empty() {
            return Ok(None);
        }
        state.trustlines = held;
        state.data.clear();
        Ok(Some(SeenAccount::Holdings(Seen(state))))
    }

    pub(super) fn seen_asset(&self, record: AssetRecord) -> Result<Option<SeenAsset>, Problem> {
        let in_parts = match (self.viewer, stakeholders::issuer(&record.asset)) {
            (Viewer::Everything, _) => true,
            (Viewer::Holder { .. }, Some(issuer)) => self.owns(&issuer)?,
            (Viewer::Holder { .. }, None) => false,
            (Viewer::Operator | Viewer::Nobody, _) => return Ok(None),
        };
        let issuer = match self.node.history().issuer(&record.asset)?.map(|entry| entry.data) {
            Some(LedgerEntryData::Account(account)) => Some(account),
            _ => None,
        };
        Ok(Some(SeenAsset { record: Seen(record), issuer, in_parts }))
    }
}

impl View<'_> {
    /// An applied transaction, found by its hash or that of the transaction within it.
    pub(crate) fn transaction(&self, hash: &Digest) -> Result<Option<Seen<TransactionRecord>>, Problem> {
        match self.node.transaction(hash)? {
            Some(record) => self.whole(record),
            None => Ok(None),
        }
    }

    /// The place of a transaction of which the viewer sees some operation.
    pub(crate) fn place_of(&self, hash: &Digest) -> Result<Option<Toid>, Problem> {
        let Some(record) = self.node.history().transaction(hash)? else { return Ok(None) };
        let record = Arc::new(record);
        if self.sees_everything() || self.has_signed(&record)? {
            return Ok(Some(record.id));
        }
        for operation in operations_of(&record) {
            if self.sees_operation(&operation)? {
                return Ok(Some(record.id));
            }
        }
        Ok(None)
    }

    /// An operation by its id.
    pub(crate) fn operation(&self, id: Toid, join: bool) -> Result<Option<SeenOperation>, Problem> {
        match self.node.history().operation(id)? {
            Some(record) => self.seen_operation(record, join),
            None => Ok(None),
        }
    }

    /// The receipt of a transaction, and whether the transaction is applied. A receipt proves the whole result.
    pub(crate) fn receipt(&self, hash: &Digest) -> Result<(Option<Seen<CheckedReceipt>>, bool), Problem> {
        // A fee bump is known by its inner hash as well; its outcome stands under its own.
        let (own, known) = match self.node.transaction(hash)? {
            Some(record) => {
                let own = *record.transaction.hash();
                if self.whole(record)?.is_none() {
                    return Ok((None, false));
                }
                (own, true)
            }
            None if self.sees_everything() => (*hash, false),
            None => return Ok((None, false)),
        };
        Ok((self.node.receipt(&own)?.map(Seen), known))
    }

    /// An account with its entries.
    pub(crate) fn account(&self, id: &PublicKey) -> Result<Option<SeenAccount>, Problem> {
        match self.node.account(id)? {
            Some(state) => self.seen_account(state),
            None => Ok(None),
        }
    }

    /// When a ledger closed or, while it is open, the time of its latest block. **Units**: milliseconds.
    pub(crate) fn ledger_time_ms(&self, sequence: u32) -> Result<Option<u64>, Problem> {
        Ok(self.node.history().ledger_time_ms(sequence)?)
    }

    /// A closed ledger.
    pub(crate) fn ledger(&self, sequence: u32) -> Result<Option<Seen<LedgerRecord>>, Problem> {
        Ok(self.node.history().ledger(sequence)?.map(Seen))
    }

    /// An offer.
    pub(crate) fn offer(&self, id: u64) -> Result<Option<Seen<LedgerEntry>>, Problem> {
        match self.node.history().offer(id)? {
            Some(entry) => self.seen_entry(entry),
            None => Ok(None),
        }
    }

    /// A claimable balance.
    pub(crate) fn balance(&self, id: &Digest) -> Result<Option<Seen<LedgerEntry>>, Problem> {
        match self.node.history().balance(id)? {
            Some(entry) => self.seen_entry(entry),
            None => Ok(None),
        }
    }

    /// A liquidity pool.
    pub(crate) fn pool(&self, id: &Digest) -> Result<Option<Seen<LedgerEntry>>, Problem> {
        match self.node.history().pool(id)? {
            Some(entry) => self.seen_pool(entry),
            None => Ok(None),
        }
    }

    /// The offers that sell one asset for another, best first.
    pub(crate) fn book(&self, selling: &Asset, buying: &Asset) -> Result<Vec<Seen<LedgerEntry>>, Problem> {
        let offers = self.node.history().book(selling, buying)?;
        let seen = offers.into_iter().map(|entry| self.seen_entry(entry));
        Ok(seen.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Ways to pay. They are quotes over all offers, without names or sizes: what a path payment would find out.
    pub(crate) fn paths(&self, query: &PathQuery) -> Result<Option<Seen<Found>>, Problem> {
        let (PathQuery::Send { to: end, .. } | PathQuery::Receive { from: end, .. }) = query;
        let may_ask = match (self.viewer, end) {
            (Viewer::Operator | Viewer::Nobody, _) => false,
            // What an account could be paid in is what it holds.
            (_, PathEnd::Account(account)) => self.owns(account)?,
            (_, PathEnd::Assets(_)) => true,
        };
        Ok(if may_ask { self.node.paths(query)?.map(Seen) } else { None })
    }

    /// Volumes and prices of two assets: to the issuers of one of them. With a single trade in a minute they are that
    /// trade.
    pub(crate) fn candles(&self, query: &CandleQuery) -> Result<Vec<(u64, Seen<Candle>)>, Problem> {
        let issuers = [&query.base, &query.counter].into_iter().filter_map(stakeholders::issuer).collect();
        if !self.owns_any(&issuers)? {
            return Ok(Vec::new());
        }
        let candles = self.node.history().candles(query)?;
        Ok(candles.into_iter().map(|(start, candle)| (start, Seen(candle))).collect())
    }

    /// Fees of the last ledgers: what others bid is theirs, so that a holder learns the base fee alone.
    pub(crate) fn fee_stats(&self) -> Result<Option<(Seen<FeeStats>, Position)>, Problem> {
        let history = self.node.history();
        let (Some(position), Some(mut fees)) = (history.position()?, history.fee_stats()?) else {
            return Ok(None);
        };
        if !self.sees_everything() {
            fees.charged.clear();
            fees.bid.clear();
        }
        Ok(Some((Seen(fees), position)))
    }
}

fn operations_of(record: &Arc<TransactionRecord>) -> impl Iterator<Item = OperationRecord> {
    let ids = (1..).zip(record.transaction.operations()).map(|(number, _)| record.id.with_operation(number));
    ids.map(|id| OperationRecord { id, transaction: Arc::clone(record) })
}

pub(super) fn without_changes(record: &TransactionRecord) -> Seen<TransactionRecord> {
    Seen(TransactionRecord { meta: Vec::new(), fee_meta: Vec::new(), ..record.clone() })
}
