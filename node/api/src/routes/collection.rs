//! What all collections have in common: a page, or a stream of what follows its cursor.

use std::sync::Arc;

use axum::response::Response;
use carat_history::keys::List;
use carat_history::{PageQuery, Position, Scope, Toid};
use carat_types::PublicKey;
use serde_json::value::RawValue;

use crate::accept::{Form, STREAMABLE};
use crate::context::Context;
use crate::page::{self, Page, Record};
use crate::port::Node;
use crate::problem::{Kind, Problem};
use crate::request::{Request, json};
use crate::resources::operation::Operation;
use crate::resources::transaction::Transaction;
use crate::stream::{self, Source};

/// Reads a page of a collection.
pub(crate) type Fetch = Arc<dyn Fn(&dyn Node, PageQuery) -> Result<Vec<Record>, Problem> + Send + Sync>;

/// Reads an object as it stands.
pub(crate) type Show = Arc<dyn Fn(&dyn Node) -> Result<Box<RawValue>, Problem> + Send + Sync>;

/// Which cursor `now` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// After everything that is indexed, also in the ledger that is still open.
    LastTransaction,
    /// After the last closed ledger.
    LastLedger,
}

/// Answers with the page, or the stream, that the request asks for.
pub(crate) async fn respond(request: Request, now: Now, fetch: Fetch) -> Result<Response, Problem> {
    let form = request.accepts(STREAMABLE)?;
    let context = Arc::clone(&request.context);
    let position = context.read(position).await?;
    let cursor_now = match now {
        Now::LastTransaction => position.now(),
        Now::LastLedger => Toid::ledger_end(position.last_closed().unwrap_or(0)),
    };
    let page = page::query(&request.params, request.last_event(), cursor_now)?;
    page::within_history(&page, position.first_ledger)?;
    if form == Form::EventStream {
        let source = Collection { context: Arc::clone(&context), page, fetch };
        return stream::respond(&context, source, page.limit).await;
    }
    let records = context.read(move |node| fetch(node, page)).await?;
    json(&Page::new(&request.links, &request.path, &request.params, &page, records))
}

/// Where the index stands.
///
/// **Errors**: 503 while it has not begun.
pub(crate) fn position(node: &dyn Node) -> Result<Position, Problem> {
    node.history()
        .position()?
        .ok_or_else(|| Problem::from(Kind::STALE_HISTORY).because("the node has not indexed its genesis yet"))
}

struct Collection {
    context: Arc<Context>,
    page: PageQuery,
    fetch: Fetch,
}

impl Source for Collection {
    async fn next(&mut self, limit: usize) -> Result<Vec<Record>, Problem> {
        let (fetch, page) = (Arc::clone(&self.fetch), PageQuery { limit, ..self.page });
        let records = self.context.read(move |node| fetch(node, page)).await?;
        if let Some(last) = records.last() {
            let cursor = last.paging_token.parse().map_err(|error| {
                tracing::error!(%error, token = last.paging_token, "a record's cursor is no id");
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
    respond(request, Now::LastTransaction, fetch).await
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
    respond(request, Now::LastTransaction, fetch).await
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
    Transaction(carat_types::Digest),
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
        }
    }

    /// An account of which nothing was ever seen has no collections, not empty ones.
    fn must_exist(self, node: &dyn Node, shown: &[Record]) -> Result<(), Problem> {
        match self {
            ScopeOf::Account(account) if shown.is_empty() => {
                let known = node.history().knows(&account)? || node.account(&account)?.is_some();
                if known { Ok(()) } else { Err(Kind::NOT_FOUND.into()) }
            }
            _ => Ok(()),
        }
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
