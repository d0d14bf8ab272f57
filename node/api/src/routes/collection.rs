//! What all collections have in common: a page, or a stream of what follows its cursor.

use std::sync::Arc;

use axum::response::Response;
use carat_history::keys::List;
use carat_history::{History, PageQuery, PartId, Position, Scope, Toid, TradeFilter, TradeKind};
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

/// Reads a page of a collection.
pub(crate) type Fetch<C = Toid> =
    Arc<dyn Fn(&dyn Node, PageQuery<C>) -> Result<Vec<Record>, Problem> + Send + Sync>;

/// Reads an object as it stands.
pub(crate) type Show = Arc<dyn Fn(&dyn Node) -> Result<Box<RawValue>, Problem> + Send + Sync>;

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
    let position = context.read(position).await?;
    let page = page::query(&request.params, request.last_event(), now(&position))?;
    page::within_history(&page, position.first_ledger)?;
    if form == Form::EventStream {
        let limit = page.limit;
        let source = Collection { context: Arc::clone(&context), page, fetch };
        return stream::respond(&context, source, limit).await;
    }
    let asked = page.clone();
    let records = context.read(move |node| fetch(node, asked)).await?;
    json(&Page::new(&request.links, &request.path, &request.params, &page, records))
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

/// The index, for objects that are read off it.
///
/// **Errors**: as [`position`].
pub(crate) fn history(node: &dyn Node) -> Result<&History, Problem> {
    position(node)?;
    Ok(node.history())
}

struct Collection<C> {
    context: Arc<Context>,
    page: PageQuery<C>,
    fetch: Fetch<C>,
}

impl<C: Cursor> Source for Collection<C> {
    async fn next(&mut self, limit: usize) -> Result<Vec<Record>, Problem> {
        let (fetch, page) = (Arc::clone(&self.fetch), PageQuery { limit, ..self.page.clone() });
        let records = self.context.read(move |node| fetch(node, page)).await?;
        if let Some(last) = records.last() {
            let cursor = last.paging_token.parse().map_err(|_| {
                tracing::error!(token = last.paging_token, "a record's cursor is no cursor");
                Problem::from(Kind::SERVER_ERROR)
            })?;
            self.page.cursor = Some(cursor);
        }
        Ok(records)
    }
}

/// The transactions of `scope`, as its request wants them.
pub(crate) async fn transactions(request: Request, scope: ScopeOf) -> Result<Response, Problem> {
    let include_failed = request.params.flag("include_failed")?;
    let links = request.links.clone();
    let fetch: Fetch = Arc::new(move |node, page| {
        let records = node.history().transactions(scope.resolve(node)?, page, include_failed)?;
        let shown = records.iter().map(|record| Record::new(record.id, &Transaction::new(&links, record)));
        let shown: Vec<Record> = shown.collect::<Result<_, _>>()?;
        scope.must_exist(node, &shown)?;
        Ok(shown)
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
    let fetch: Fetch = Arc::new(move |node, page| {
        let records = node.history().operations(list, scope.resolve(node)?, page, include_failed)?;
        let shown = records.iter().filter_map(|record| {
            Operation::new(&links, record, join).map(|operation| Record::new(record.id, &operation))
        });
        let shown: Vec<Record> = shown.collect::<Result<_, _>>()?;
        scope.must_exist(node, &shown)?;
        Ok(shown)
    });
    respond(request, LAST_TRANSACTION, fetch).await
}

/// The effects of `scope`.
pub(crate) async fn effects(request: Request, scope: ScopeOf) -> Result<Response, Problem> {
    let links = request.links.clone();
    let fetch: Fetch<PartId> = Arc::new(move |node, page| {
        let records = node.history().effects(scope.resolve(node)?, page)?;
        let shown = records.iter().map(|record| Record::new(record.id, &Effect::new(&links, record)));
        let shown: Vec<Record> = shown.collect::<Result<_, _>>()?;
        scope.must_exist(node, &shown)?;
        Ok(shown)
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
    let fetch: Fetch<PartId> = Arc::new(move |node, page| {
        let base = match &filter {
            TradeFilter::Pair(base, _) => Some(base),
            _ => None,
        };
        let records = node.history().trades(&filter, kind, page)?;
        let shown = records.iter().map(|record| Record::new(record.id, &Trade::new(&links, record, base)));
        let shown: Vec<Record> = shown.collect::<Result<_, _>>()?;
        exists.map_or(Ok(()), |scope| scope.must_exist(node, &shown))?;
        Ok(shown)
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
    /// **Errors**: 404 for what is not there, 410 for what was there before this index began.
    fn resolve(self, node: &dyn Node) -> Result<Scope, Problem> {
        match self {
            ScopeOf::All => Ok(Scope::All),
            ScopeOf::Account(account) => Ok(Scope::Account(account)),
            ScopeOf::Ledger(sequence) => {
                let position = position(node)?;
                match sequence {
                    _ if sequence < position.first_ledger => Err(Kind::BEFORE_HISTORY.into()),
                    _ if sequence > position.ledger => Err(Kind::NOT_FOUND.into()),
                    _ => Ok(Scope::Ledger(sequence)),
                }
            }
            ScopeOf::Transaction(hash) => {
                let record = node.history().transaction(&hash)?.ok_or(Kind::NOT_FOUND)?;
                Ok(Scope::Transaction(record.id))
            }
            ScopeOf::Operation(id) => {
                if id.ledger() < position(node)?.first_ledger {
                    return Err(Kind::BEFORE_HISTORY.into());
                }
                node.history().operation(id)?.ok_or(Kind::NOT_FOUND)?;
                Ok(Scope::Operation(id))
            }
            ScopeOf::Pool(pool) => Ok(Scope::Pool(pool)),
            ScopeOf::Balance(balance) => Ok(Scope::Balance(balance)),
        }
    }

    /// An account, pool or balance of which nothing was ever seen has no collections, not empty ones.
    pub(crate) fn must_exist(self, node: &dyn Node, shown: &[Record]) -> Result<(), Problem> {
        if !shown.is_empty() {
            return Ok(());
        }
        let history = node.history();
        let known = match self {
            ScopeOf::Account(account) => {
                history.knows(Scope::Account(account))? || node.account(&account)?.is_some()
            }
            ScopeOf::Pool(pool) => history.knows(Scope::Pool(pool))?,
            ScopeOf::Balance(balance) => history.knows(Scope::Balance(balance))?,
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
    show: Show,
    last: Option<Box<RawValue>>,
}

impl Source for Object {
    async fn next(&mut self, _limit: usize) -> Result<Vec<Record>, Problem> {
        let show = Arc::clone(&self.show);
        let body = self.context.read(move |node| show(node)).await?;
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
        let source = Object { context: Arc::clone(&context), show, last: None };
        return stream::respond(&context, source, OBJECT_STREAM_LIMIT).await;
    }
    json(&context.read(move |node| show(node)).await?)
}
