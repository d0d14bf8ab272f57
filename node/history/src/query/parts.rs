//! Reading what operations led to: effects, trades, candles.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use carat_types::PublicKey;
use stellar_xdr::Asset;

use super::{History, Order, PageQuery, Scope, after};
use crate::candles::Candle;
use crate::effects::{self, Effect};
use crate::keys::{self, List, Owner};
use crate::record::TransactionRecord;
use crate::store::HistoryError;
use crate::toid::{PartId, Toid};
use crate::trades::{self, Trade, TradeKind};
use crate::view::DecodedChanges;

/// An effect with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectRecord {
    /// Its place in history.
    pub id: PartId,
    /// When its block was made. **Units**: milliseconds since 1970.
    pub time_ms: u64,
    /// The effect.
    pub effect: Effect,
}

/// A trade with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeRecord {
    /// Its place in history.
    pub id: PartId,
    /// When its block was made. **Units**: milliseconds since 1970.
    pub time_ms: u64,
    /// The trade.
    pub trade: Trade,
}

/// Whose trades are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TradeFilter {
    /// All.
    All,
    /// Those of an account.
    Account(PublicKey),
    /// Those with a pool.
    Pool(carat_types::Digest),
    /// Those of an offer.
    Offer(u64),
    /// Those of two assets.
    Pair(Asset, Asset),
}

/// Which candles are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandleQuery {
    /// The asset that is priced.
    pub base: Asset,
    /// The asset that it is priced in.
    pub counter: Asset,
    /// From then on. **Units**: as all here, milliseconds since 1970.
    pub start_ms: u64,
    /// Up to then, and not then.
    pub end_ms: u64,
    /// The span of a candle: whole minutes.
    pub span_ms: u64,
    /// Where spans begin, counted from 1970: whole minutes below the span.
    pub offset_ms: u64,
    /// The direction.
    pub order: Order,
    /// The most candles.
    pub limit: usize,
}

/// Rows that are read at a time where it is not known how many make a page.
const CHUNK: usize = 200;

/// Transactions that were read for a page; neighbours in a list often share theirs.
struct Transactions<'h> {
    history: &'h History,
    read: BTreeMap<Toid, Arc<(TransactionRecord, DecodedChanges)>>,
}

impl Transactions<'_> {
    /// None where its ledger was forgotten meanwhile.
    fn of(&mut self, id: Toid) -> Result<Option<Arc<(TransactionRecord, DecodedChanges)>>, HistoryError> {
        let id = id.of_transaction();
        if let Some(read) = self.read.get(&id) {
            return Ok(Some(Arc::clone(read)));
        }
        let Some(record) = self.history.listed(id)? else { return Ok(None) };
        let changes = DecodedChanges::of(&record)?;
        let read = Arc::new((record, changes));
        // A page has at most 200 records: what was read for it stays within that.
        self.read.insert(id, Arc::clone(&read));
        Ok(Some(read))
    }

    /// The effects of an operation, numbered from 1; none where its ledger was forgotten meanwhile.
    fn effects(&mut self, operation: Toid) -> Result<Option<Vec<EffectRecord>>, HistoryError> {
        let Some(read) = self.of(operation)? else { return Ok(None) };
        let (record, changes) = &*read;
        let index = usize::try_from(operation.operation()).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(view) = record.view(index, changes) else { return Ok(Some(Vec::new())) };
        let numbered = (1u32..).zip(effects::of_operation(&view));
        let time_ms = record.time_ms;
        let effects = numbered.map(|(number, effect)| EffectRecord {
            id: PartId { operation, number },
            time_ms,
            effect,
        });
        Ok(Some(effects.collect()))
    }
}

impl History {
    fn transactions_read(&self) -> Transactions<'_> {
        Transactions { history: self, read: BTreeMap::new() }
    }

    /// A page of effects.
    pub fn effects(&self, scope: Scope, page: PageQuery<PartId>) -> Result<Vec<EffectRecord>, HistoryError> {
        match scope {
            Scope::Account(_) | Scope::Pool(_) => self.listed_effects(scope, page),
            _ => self.derived_effects(scope, page),
        }
    }

    /// Effects that have a list.
    fn listed_effects(
        &self,
        scope: Scope,
        page: PageQuery<PartId>,
    ) -> Result<Vec<EffectRecord>, HistoryError> {
        let range = part_range(&scope.owner(), List::Effects, scope, &page);
        let mut transactions = self.transactions_read();
        let mut found = Vec::new();
        for (key, _) in self.store.scan(range, page.order, page.limit)? {
            let id =
                keys::id_of_part(&key).ok_or_else(|| HistoryError::damaged("a list", "not an effect"))?;
            let Some(effects) = transactions.effects(id.operation)? else { continue };
            let effect = effects.into_iter().find(|effect| effect.id == id);
            let missing = || HistoryError::damaged("a list", format!("there is no effect {id:?}"));
            found.push(effect.ok_or_else(missing)?);
        }
        Ok(found)
    }

    /// Effects read off the operations in their order.
    fn derived_effects(
        &self,
        scope: Scope,
        page: PageQuery<PartId>,
    ) -> Result<Vec<EffectRecord>, HistoryError> {
        let mut found = Vec::new();
        let mut ids = operation_range(scope, &page);
        while found.len() < page.limit && !ids.is_empty() {
            let range = keys::entries(&Owner::All, List::Operations, keys::Outcome::Successful, &ids);
            let rows = self.store.scan(range, page.order, CHUNK)?;
            let mut transactions = self.transactions_read();
            for (key, _) in &rows {
                let id =
                    keys::id_of_entry(key).ok_or_else(|| HistoryError::damaged("a list", "not an id"))?;
                let mut effects = transactions.effects(id)?.unwrap_or_default();
                if page.order == Order::Descending {
                    effects.reverse();
                }
                found.extend(effects.into_iter().filter(|effect| page.is_behind(&effect.id)));
                match page.order {
                    Order::Ascending => ids.start = after(id),
                    Order::Descending => ids.end = id.get(),
                }
                if found.len() >= page.limit {
                    break;
                }
            }
            if rows.len() < CHUNK {
                break;
            }
        }
        found.truncate(page.limit);
        Ok(found)
    }

    /// A page of trades.
    pub fn trades(
        &self,
        filter: &TradeFilter,
        kind: TradeKind,
        page: PageQuery<PartId>,
    ) -> Result<Vec<TradeRecord>, HistoryError> {
        let owner = match filter {
            TradeFilter::All => Owner::All,
            TradeFilter::Account(account) => Owner::Account(*account),
            TradeFilter::Pool(pool) => Owner::Pool(*pool),
            TradeFilter::Offer(offer) => Owner::Offer(*offer),
            TradeFilter::Pair(one, other) => Owner::Pair(keys::pair(one, other).0),
        };
        let mut transactions = self.transactions_read();
        let mut found = Vec::new();
        let mut page = page;
        loop {
            let range = part_range(&owner, List::Trades, Scope::All, &page);
            let rows = self.store.scan(range, page.order, CHUNK)?;
            for (key, value) in &rows {
                let id =
                    keys::id_of_part(key).ok_or_else(|| HistoryError::damaged("a list", "not a trade"))?;
                page.cursor = Some(id);
                if kind.includes(value) {
                    found.extend(trade_at(&mut transactions, id)?);
                }
                if found.len() >= page.limit {
                    return Ok(found);
                }
            }
            if rows.len() < CHUNK {
                return Ok(found);
            }
        }
    }

    /// Candles with at least one trade, each with the time at which its span begins.
    pub fn candles(&self, query: &CandleQuery) -> Result<Vec<(u64, Candle)>, HistoryError> {
        let (pair, in_order) = keys::pair(&query.base, &query.counter);
        let span = query.span_ms.max(Candle::SPAN_MS);
        let start_of = |time_ms: u64| {
            let since = time_ms.saturating_sub(query.offset_ms);
            (since / span).saturating_mul(span).saturating_add(query.offset_ms)
        };
        let mut minutes = query.start_ms / Candle::SPAN_MS..query.end_ms.div_ceil(Candle::SPAN_MS);
        let mut found: Vec<(u64, Candle)> = Vec::new();
        // A span is complete when a minute of the next one is met: so one more than the limit is gathered.
        while found.len() <= query.limit && !minutes.is_empty() {
            let range = keys::candle(&pair, minutes.start)..keys::candle(&pair, minutes.end);
            let rows = self.store.scan(range, query.order, CHUNK)?;
            for (key, value) in &rows {
                let minute = key.last_chunk::<8>().map_or(0, |minute| u64::from_be_bytes(*minute));
                let candle = Candle::from_stored(value)?;
                let candle = if in_order { candle } else { candle.inverted() };
                let start = start_of(minute.saturating_mul(Candle::SPAN_MS));
                match found.last_mut().filter(|(last, _)| *last == start) {
                    Some((_, sum)) if query.order == Order::Ascending => *sum = sum.then(candle),
                    Some((_, sum)) => *sum = candle.then(*sum),
                    None => found.push((start, candle)),
                }
                match query.order {
                    Order::Ascending => minutes.start = minute.saturating_add(1),
                    Order::Descending => minutes.end = minute,
                }
            }
            if rows.len() < CHUNK {
                break;
            }
        }
        found.truncate(query.limit);
        Ok(found)
    }
}

/// None where its ledger was forgotten meanwhile.
fn trade_at(transactions: &mut Transactions<'_>, id: PartId) -> Result<Option<TradeRecord>, HistoryError> {
    let Some(read) = transactions.of(id.operation)? else { return Ok(None) };
    let (record, changes) = &*read;
    let index = usize::try_from(id.operation.operation()).unwrap_or(usize::MAX).saturating_sub(1);
    let missing = || HistoryError::damaged("a list", format!("there is no trade {id:?}"));
    let view = record.view(index, changes).ok_or_else(missing)?;
    let trade = trades::of_operation(&view, id.operation).into_iter().find(|trade| trade.number == id.number);
    Ok(Some(TradeRecord { id, time_ms: record.time_ms, trade: trade.ok_or_else(missing)? }))
}

impl PageQuery<PartId> {
    fn is_behind(&self, id: &PartId) -> bool {
        match (&self.cursor, self.order) {
            (None, _) => true,
            (Some(cursor), Order::Ascending) => id > cursor,
            (Some(cursor), Order::Descending) => id < cursor,
        }
    }
}

/// The operations of `scope` that may have something behind the page's cursor: the cursor's own is among them.
fn operation_range(scope: Scope, page: &PageQuery<PartId>) -> Range<u64> {
    let Range { mut start, mut end } = scope.ids();
    match (page.cursor, page.order) {
        (None, _) => {}
        (Some(cursor), Order::Ascending) => start = start.max(cursor.operation.get()),
        (Some(cursor), Order::Descending) => end = end.min(after(cursor.operation)),
    }
    start..end
}

/// The keys of a list of effects or trades behind the page's cursor.
fn part_range(owner: &Owner, list: List, scope: Scope, page: &PageQuery<PartId>) -> Range<Vec<u8>> {
    let mut range = keys::entries(owner, list, keys::Outcome::Successful, &scope.ids());
    match (page.cursor, page.order) {
        (None, _) => {}
        (Some(cursor), Order::Ascending) => {
            let next = [keys::part(owner, list, cursor), vec![0]].concat();
            range.start = range.start.max(next);
        }
        (Some(cursor), Order::Descending) => range.end = range.end.min(keys::part(owner, list, cursor)),
    }
    range
}
