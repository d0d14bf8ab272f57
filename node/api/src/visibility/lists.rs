//! Lists as a viewer sees them: what it may not see is left out, and pages are filled up behind it.

use carat_history::keys::List;
use carat_history::{
    AccountFilter, AccountState, AssetFilter, BalanceCursor, BalanceFilter, EffectRecord, HistoryError,
    LedgerRecord, OfferFilter, Order, PageQuery, PartId, Scope, Toid, TradeFilter, TradeKind, TradeRecord,
    TransactionRecord,
};
use carat_types::{Digest, PublicKey};
use stellar_xdr::{Asset, LedgerEntry, LedgerEntryData};

use super::objects::{SeenAccount, SeenAsset, SeenOperation};
use super::{Seen, View, stakeholders};
use crate::problem::Problem;

/// A part of a list.
#[derive(Clone, Debug)]
pub(crate) struct Part<T, C> {
    /// What may be seen of it.
    pub(crate) records: Vec<T>,
    /// The last record that was looked at, seen or not. It must not be shown: it may be a stranger's.
    pub(crate) read_to: Option<C>,
    /// Whether it ends because enough was looked at, and not because it is full or the list is at its end.
    pub(crate) cut: bool,
}

impl<T, C> Part<T, C> {
    /// The same part, each record in another form.
    ///
    /// **Errors**: the first that `form` gives.
    pub(crate) fn try_map<U>(self, form: impl FnMut(T) -> Result<U, Problem>) -> Result<Part<U, C>, Problem> {
        let records = self.records.into_iter().map(form).collect::<Result<_, _>>()?;
        Ok(Part { records, read_to: self.read_to, cut: self.cut })
    }
}

impl<T, C> Part<T, C> {
    /// The same part, with places in another form.
    pub(crate) fn at<D>(self, form: impl FnOnce(C) -> D) -> Part<T, D> {
        Part { records: self.records, read_to: self.read_to.map(form), cut: self.cut }
    }
}

/// Records that are looked at for one page; a viewer that sees little would else have the whole chain read.
pub(crate) const READ_MAX: usize = 5_000;
/// Records that are read at a time where not every one is seen.
const CHUNK: usize = 200;

impl View<'_> {
    /// A page of what `seen` lets through.
    fn filtered<T, S, C: Clone>(
        &self,
        page: PageQuery<C>,
        read: impl Fn(PageQuery<C>) -> Result<Vec<T>, HistoryError>,
        place: impl Fn(&T) -> C,
        mut seen: impl FnMut(T) -> Result<Option<S>, Problem>,
    ) -> Result<Part<S, C>, Problem> {
        let mut part = Part { records: Vec::new(), read_to: None, cut: false };
        let mut cursor = page.cursor;
        let mut left = READ_MAX;
        // Most lists are the viewer's own, and then the first read is the page.
        let mut limit = page.limit;
        while part.records.len() < page.limit {
            let rows = read(PageQuery { cursor: cursor.clone(), order: page.order, limit })?;
            let (count, full) = (rows.len(), rows.len() == limit);
            for row in rows {
                cursor = Some(place(&row));
                part.records.extend(seen(row)?);
                if part.records.len() == page.limit {
                    break;
                }
            }
            part.read_to.clone_from(&cursor);
            left = left.saturating_sub(count);
            if !full || left == 0 {
                part.cut = full && part.records.len() < page.limit;
                break;
            }
            limit = CHUNK;
        }
        Ok(part)
    }

    /// Transactions.
    pub(crate) fn transactions(
        &self,
        scope: Scope,
        page: PageQuery,
        include_failed: bool,
    ) -> Result<Part<Seen<TransactionRecord>, Toid>, Problem> {
        let read = |page| self.node.history().transactions(scope, page, include_failed);
        self.filtered(page, read, |record| record.id, |record| self.whole(record))
    }

    /// Operations or payments; with `join` each has its transaction, where the viewer may see all of it.
    pub(crate) fn operations(
        &self,
        list: List,
        scope: Scope,
        page: PageQuery,
        include_failed: bool,
        join: bool,
    ) -> Result<Part<SeenOperation, Toid>, Problem> {
        let read = |page| self.node.history().operations(list, scope, page, include_failed);
        self.filtered(page, read, |record| record.id, |record| self.seen_operation(record, join))
    }

    /// Effects.
    pub(crate) fn effects(
        &self,
        scope: Scope,
        page: PageQuery<PartId>,
    ) -> Result<Part<Seen<EffectRecord>, PartId>, Problem> {
        let read = |page| self.node.history().effects(scope, page);
        self.filtered(
            page,
            read,
            |record| record.id,
            |record| self.if_owned(&stakeholders::of_effect(&record), record),
        )
    }

    /// Trades.
    pub(crate) fn trades(
        &self,
        filter: &TradeFilter,
        kind: TradeKind,
        page: PageQuery<PartId>,
    ) -> Result<Part<Seen<TradeRecord>, PartId>, Problem> {
        let read = |page| self.node.history().trades(filter, kind, page);
        self.filtered(
            page,
            read,
            |record| record.id,
            |record| self.if_owned(&stakeholders::of_trade(&record), record),
        )
    }

    /// Closed ledgers: whoever has logged in sees the headers.
    pub(crate) fn ledgers(&self, page: PageQuery) -> Result<Part<Seen<LedgerRecord>, Toid>, Problem> {
        let read = |page| self.node.history().ledgers(page);
        self.filtered(
            page,
            read,
            |record| Toid::ledger_start(record.sequence),
            |record| Ok(Some(Seen(record))),
        )
    }

    /// Accounts.
    pub(crate) fn accounts(
        &self,
        filter: &AccountFilter,
        page: PageQuery<PublicKey>,
    ) -> Result<Part<SeenAccount, PublicKey>, Problem> {
        let read = |page| self.node.history().accounts(filter, page);
        self.filtered(page, read, id_of, |state| self.seen_account(state))
    }

    /// Assets: whoever has logged in as the holder of an account sees the supplies.
    pub(crate) fn assets(
        &self,
        filter: &AssetFilter,
        page: PageQuery<Asset>,
    ) -> Result<Part<SeenAsset, Asset>, Problem> {
        let read = |page| self.node.history().assets(filter, page);
        self.filtered(page, read, |record| record.asset.clone(), |record| self.seen_asset(record))
    }

    /// Offers.
    pub(crate) fn offers(
        &self,
        filter: &OfferFilter,
        page: PageQuery<u64>,
    ) -> Result<Part<Seen<LedgerEntry>, u64>, Problem> {
        let read = |page| self.node.history().offers(filter, page);
        self.filtered(page, read, offer_id, |entry| self.seen_entry(entry))
    }

    /// Claimable balances.
    pub(crate) fn balances(
        &self,
        filter: &BalanceFilter,
        page: PageQuery<BalanceCursor>,
    ) -> Result<Part<Seen<LedgerEntry>, BalanceCursor>, Problem> {
        let read = |page| self.node.history().balances(filter, page);
        self.filtered(page, read, balance_place, |entry| self.seen_entry(entry))
    }

    /// The pools that hold all of `reserves`, or those of which `account` has shares.
    pub(crate) fn pools(
        &self,
        account: Option<&PublicKey>,
        reserves: &[Asset],
        page: PageQuery<Digest>,
    ) -> Result<Part<Seen<LedgerEntry>, Digest>, Problem> {
        let read = |page| match account {
            Some(account) => self.node.history().pools_with(account, page),
            None => self.node.history().pools(reserves, page),
        };
        self.filtered(page, read, pool_id, |entry| self.seen_pool(entry))
    }

    /// Whether the viewer knows of the account, pool or claimable balance: it is there, and it is the viewer's or has
    /// dealt with the viewer.
    pub(crate) fn knows(
        &self,
        scope: Scope,
        also: impl FnOnce() -> Result<bool, Problem>,
    ) -> Result<bool, Problem> {
        if self.sees_everything() {
            return Ok(self.node.history().knows(scope)? || also()?);
        }
        let page = PageQuery { cursor: None, order: Order::Ascending, limit: 1 };
        Ok(!self.operations(List::Operations, scope, page, true, false)?.records.is_empty() || also()?)
    }
}

fn id_of(state: &AccountState) -> PublicKey {
    match &state.account.data {
        LedgerEntryData::Account(entry) => (&entry.account_id).into(),
        // A list of accounts holds nothing else.
        _ => PublicKey([0; 32]),
    }
}

fn offer_id(entry: &LedgerEntry) -> u64 {
    match &entry.data {
        LedgerEntryData::Offer(offer) => offer.offer_id.unsigned_abs(),
        _ => 0,
    }
}

fn balance_place(entry: &LedgerEntry) -> BalanceCursor {
    let id = match &entry.data {
        LedgerEntryData::ClaimableBalance(balance) => {
            let stellar_xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(hash) = &balance.balance_id;
            Digest(hash.0)
        }
        _ => Digest::ZERO,
    };
    BalanceCursor { ledger: entry.last_modified_ledger_seq, id }
}

fn pool_id(entry: &LedgerEntry) -> Digest {
    match &entry.data {
        LedgerEntryData::LiquidityPool(pool) => Digest(pool.liquidity_pool_id.0.0),
        _ => Digest::ZERO,
    }
}
