//! What all collections have in common: a page, or a stream of what follows its cursor.

use std::sync::Arc;

use axum::response::Response;
use carat_history::keys::List;
use carat_history::{PageQuery, PartId, Position, Scope, Toid, TradeFilter, TradeKind};
use carat_types::{Digest, PublicKey};
use serde_json::value::RawValue;

use crate::accept::{Form, STREAMABLE};
use crate::context::Context;
use crate::page::{self, Cursor, Page, Record};
use crate::port::{HistoryState, Node};
use crate::problem::{Kind, Problem};
use crate::request::{Request, json};
use crate::resources::effect::Effect;
use crate::resources::operation::Operation;
use crate::resources::trade::Trade;
use crate::resources::transaction::Transaction;
use crate::stream::{self, Source};
use crate::visibility::{Part, View, Viewer};

/// Reads a page of a collection, as its viewer sees it.
pub(crate) type Fetch<C = Toid> =
    Arc<dyn Fn(&View<'_>, PageQuery<C>) -> Result<Part<Record, C>, Problem> + Send + Sync>;

/// Reads an object as it stands, as its viewer sees it.
pub(crate) type Show = Arc<dyn Fn(&View<'_>) -> Result<Box<RawValue>, Problem> + Send + Sync>;

/// The cursor that `now` stands for; none in lists of the present, which have no end in time.
pub(crate) type Now<C> = fn(&Position) -> Option<C>;

/// After everything that is indexed, also in the ledger that is still open.
pub(crate) const LAST_TRANSACTION: Now<Toid> = |position| Some(position.now());
/// After the last closed ledger.
pub(crate) const LAST_LEDGER: Now<Toid> =
    |position| Some(Toid::ledger_end(position.last_closed().unwrap_or(0)));
/// After all that operations led to.
pub(crate) const LAST_PART: Now<PartId> = |position| Some(PartId::after(position.now()));

/// A list of the present: nothing in it is `now`.
pub(crate) fn present<C>(_: &Position) -> Option<C> {
    None
}

/// Answers with the page, or the stream, that the request asks for.
pub(crate) async fn respond<C: Cursor>(
    request: Request,
    now: Now<C>,
    fetch: Fetch<C>,
) -> Result<Response, Problem> {
    let form = request.accepts(STREAMABLE)?;
    let context = Arc::clone(&request.context);
    let position = request.read(|view| position(view.node())).await?;
    let page = page::query(&request.params, request.last_event(), now(&position))?;
    page::within_history(&page, position.first_ledger)?;
    if form == Form::EventStream {
        let limit = page.limit;
        let source = Collection { context: Arc::clone(&context), viewer: request.viewer, page, fetch };
        return stream::respond(&context, source, limit).await;
    }
    let asked = page.clone();
    let part = request.read(move |view| fetch(view, asked)).await?;
    if part.cut && part.records.is_empty() {
        // A page without records would say that there are none, and a cursor would be that of a stranger's record.
        let reason =
            "too much that concerns others lies between; ask for the lists of an account, or from the end on";
        return Err(Problem::from(Kind::TIMEOUT).because(reason));
    }
    json(&Page::new(&request.links, &request.path, &request.params, &page, part.records))
}

/// Where the index stands.
///
/// **Errors**: 404 where none is kept, 503 while it has not begun and after it has failed.
pub(crate) fn position(node: &dyn Node) -> Result<Position, Problem> {
    match node.history_state() {
        HistoryState::Kept => {}
        HistoryState::NotKept => return Err(Kind::HISTORY_NOT_KEPT.into()),
        HistoryState::Halted => {
            let reason = "the history of this node failed and has to be rebuilt by its operator";
            return Err(Problem::from(Kind::STALE_HISTORY).because(reason));
        }
    }
    node.history()
        .position()?
        .ok_or_else(|| Problem::from(Kind::STALE_HISTORY).because("the node has not indexed its genesis yet"))
}

/// Refuses objects that are read off the index where there is none.
///
/// **Errors**: as [`position`].
pub(crate) fn needs_history(view: &View<'_>) -> Result<(), Problem> {
    position(view.node()).map(drop)
}

struct Collection<C> {
    context: Arc<Context>,
    viewer: Viewer,
    page: PageQuery<C>,
    fetch: Fetch<C>,
}

impl<C: Cursor> Source for Collection<C> {
    async fn next(&mut self, limit: usize) -> Result<Vec<Record>, Problem> {
        loop {
            let (fetch, page) = (Arc::clone(&self.fetch), PageQuery { limit, ..self.page.clone() });
            let part = self.context.read(&self.viewer, move |view| fetch(view, page)).await?;
            // What the viewer may not see is not looked at again.
            self.page.cursor = part.read_to.or(self.page.cursor.take());
            if !part.records.is_empty() || !part.cut {
                return Ok(part.records);
            }
        }
    }
}

/// The transactions of `scope`, as its request wants them.
pub(crate) async fn transactions(request: Request, scope: ScopeOf) -> Result<Response, Problem> {
    let include_failed = request.params.flag("include_failed")?;
    let links = request.links.clone();
    let fetch: Fetch = Arc::new(move |view, page| {
        let part = view.transactions(scope.resolve(view)?, page, include_failed)?;
        let part = part.try_map(|record| Record::new(record.id, &Transaction::new(&links, &record)))?;
        scope.must_exist(view, &part.records)?;
        Ok(part)
    });
    respond(request, LAST_TRANSACTION, fetch).await
}

/// The operations of `scope`, or of these its payments, as its request wants them.
pub(crate) async fn operations(request: Request, list: List, scope: ScopeOf) -> Result<Response, Problem> {
    // Who asks for one transaction knows whether it failed.
    let one_transaction = matches!(scope, ScopeOf::Transaction(_));
    let include_failed = request.params.flag("include_failed")? || one_transaction;
    let join = join(&request)?;
    let links = request.links.clone();
    let fetch: Fetch = Arc::new(move |view, page| {
        let part = view.operations(list, scope.resolve(view)?, page, include_failed, join)?;
        let part = part.try_map(|seen| {
            let operation = Operation::new(&links, &seen).ok_or(Kind::SERVER_ERROR)?;
            Record::new(seen.record.id, &operation)
        })?;
        scope.must_exist(view, &part.records)?;
        Ok(part)
    });
    respond(request, LAST_TRANSACTION, fetch).await
}

/// The effects of `scope`.
pub(crate) async fn effects(request: Request, scope: ScopeOf) -> Result<Response, Problem> {
    let links = request.links.clone();
    let fetch: Fetch<PartId> = Arc::new(move |view, page| {
        let part = view.effects(scope.resolve(view)?, page)?;
        let part = part.try_map(|record| Record::new(record.id, &Effect::new(&links, &record)))?;
        scope.must_exist(view, &part.records)?;
        Ok(part)
    });
    respond(request, LAST_PART, fetch).await
}

/// The trades that `filter` names; those of two assets are seen from the first.
pub(crate) async fn trades(
    request: Request,
    filter: TradeFilter,
    exists: Option<ScopeOf>,
) -> Result<Response, Problem> {
    let kind = match request.params.get("trade_type") {
        None | Some("all") => TradeKind::All,
        Some("orderbook") => TradeKind::OrderBook,
        Some("liquidity_pool" | "liquidity_pools") => TradeKind::Pool,
        Some(_) => {
            let accepted = "Accepted values: all, orderbook, liquidity_pool";
            return Err(Problem::invalid_field("trade_type", accepted));
        }
    };
    let links = request.links.clone();
    let fetch: Fetch<PartId> = Arc::new(move |view, page| {
        let base = match &filter {
            TradeFilter::Pair(base, _) => Some(base),
            _ => None,
        };
        let part = view.trades(&filter, kind, page)?;
        let part = part.try_map(|record| Record::new(record.id, &Trade::new(&links, &record, base)))?;
        exists.map_or(Ok(()), |scope| scope.must_exist(view, &part.records))?;
        Ok(part)
    });
    respond(request, LAST_PART, fetch).await
}

/// Whether transactions shall be shown within their operations.
pub(crate) fn join(request: &Request) -> Result<bool, Problem> {
    match request.params.get("join") {
        None => Ok(false),
        Some("transactions") => Ok(true),
        Some(_) => Err(Problem::invalid_field("join", "Accepted values: transactions")),
    }
}

/// What a collection belongs to, as its path names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ScopeOf {
    /// Everything.
    All,
    /// An account.
    Account(PublicKey),
    /// A ledger.
    Ledger(u32),
    /// A transaction, by its hash.
    Transaction(Digest),
    /// An operation.
    Operation(Toid),
    /// A liquidity pool.
    Pool(Digest),
    /// A claimable balance.
    Balance(Digest),
}

impl ScopeOf {
    /// The scope in the index.
    ///
    /// **Errors**: 404 for what is not there or not to be seen, 410 for what was there before this index began.
    fn resolve(self, view: &View<'_>) -> Result<Scope, Problem> {
        match self {
            ScopeOf::All => Ok(Scope::All),
            ScopeOf::Account(account) => Ok(Scope::Account(account)),
            ScopeOf::Ledger(sequence) => {
                let position = position(view.node())?;
                match sequence {
                    _ if sequence < position.first_ledger => Err(Kind::BEFORE_HISTORY.into()),
                    _ if sequence > position.ledger => Err(Kind::NOT_FOUND.into()),
                    _ => Ok(Scope::Ledger(sequence)),
                }
            }
            ScopeOf::Transaction(hash) => {
                let id = view.place_of(&hash)?.ok_or(Kind::NOT_FOUND)?;
                Ok(Scope::Transaction(id))
            }
            ScopeOf::Operation(id) => {
                if id.ledger() < position(view.node())?.first_ledger {
                    return Err(Kind::BEFORE_HISTORY.into());
                }
                view.operation(id, false)?.ok_or(Kind::NOT_FOUND)?;
                Ok(Scope::Operation(id))
            }
            ScopeOf::Pool(pool) => Ok(Scope::Pool(pool)),
            ScopeOf::Balance(balance) => Ok(Scope::Balance(balance)),
        }
    }

    /// An account, pool or balance of which the viewer never saw anything has no collections, not empty ones.
    pub(crate) fn must_exist(self, view: &View<'_>, shown: &[Record]) -> Result<(), Problem> {
        if !shown.is_empty() {
            return Ok(());
        }
        let known = match self {
            ScopeOf::Account(account) => {
                view.knows(Scope::Account(account), || Ok(view.account(&account)?.is_some()))?
            }
            ScopeOf::Pool(pool) => view.knows(Scope::Pool(pool), || Ok(false))?,
            ScopeOf::Balance(balance) => view.knows(Scope::Balance(balance), || Ok(false))?,
            _ => true,
        };
        if known { Ok(()) } else { Err(Kind::NOT_FOUND.into()) }
    }
}

/// Records that the state of one object gives when it changes.
const OBJECT_STREAM_LIMIT: usize = 10;

/// An object that is sent again whenever it has changed.
struct Object {
    context: Arc<Context>,
    viewer: Viewer,
    show: Show,
    last: Option<Box<RawValue>>,
}

impl Source for Object {
    async fn next(&mut self, _limit: usize) -> Result<Vec<Record>, Problem> {
        let show = Arc::clone(&self.show);
        let body = self.context.read(&self.viewer, move |view| show(view)).await?;
        if self.last.as_ref().is_some_and(|last| last.get() == body.get()) {
            return Ok(Vec::new());
        }
        self.last = Some(body.clone());
        Ok(vec![Record { paging_token: String::new(), body }])
    }
}

/// Answers with the object, or with a stream of its changes.
pub(crate) async fn object(request: Request, show: Show) -> Result<Response, Problem> {
    let context = Arc::clone(&request.context);
    if request.accepts(STREAMABLE)? == Form::EventStream {
        let source = Object { context: Arc::clone(&context), viewer: request.viewer, show, last: None };
        return stream::respond(&context, source, OBJECT_STREAM_LIMIT).await;
    }
    json(&request.read(move |view| show(view)).await?)
}
