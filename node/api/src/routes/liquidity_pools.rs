//! `/liquidity_pools`, and what pools take part in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::response::Response;
use carat_history::keys::List;
use carat_history::{PageQuery, Toid, TradeFilter};
use carat_types::Digest;
use stellar_xdr::LedgerEntry;

use crate::accept::{Form, OBJECT};
use crate::links::Links;
use crate::page::{Cursor, Record};
use crate::params;
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, json};
use crate::resources::liquidity_pool::LiquidityPool;
use crate::routes::collection::{self, Fetch, ScopeOf};
use crate::visibility::{Seen, View};

const FIELD: &str = "liquidity_pool_id";
/// A pool has two reserves.
const RESERVES_MAX: usize = 2;

/// The place of a pool in a list: its id.
#[derive(Clone, Debug)]
struct PoolCursor(Digest);

impl FromStr for PoolCursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        params::pool("cursor", text).map(PoolCursor)
    }
}

impl fmt::Display for PoolCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Cursor for PoolCursor {
    fn place(&self) -> Option<Toid> {
        None
    }
}

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    let reserves = request.params.assets("reserves", RESERVES_MAX)?;
    let account = request.params.account("account")?;
    let links = request.links.clone();
    let fetch: Fetch<PoolCursor> = Arc::new(move |view, page| {
        let PageQuery { cursor, order, limit } = page;
        let page = PageQuery { cursor: cursor.map(|cursor| cursor.0), order, limit };
        let part = view.pools(account.as_ref(), &reserves, page)?.at(PoolCursor);
        part.try_map(|entry| {
            let pool = shown(&links, view, &entry)?;
            Record::new(pool.id(), &pool)
        })
    });
    collection::respond(request, collection::present, fetch).await
}

pub(crate) async fn show(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let id = params::pool(FIELD, &id)?;
    let links = request.links.clone();
    let pool = request.read(move |view| {
        collection::needs_history(view)?;
        let entry = view.pool(&id)?.ok_or(Kind::NOT_FOUND)?;
        shown(&links, view, &entry)
    });
    json(&pool.await?)
}

pub(crate) async fn transactions(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = params::pool(FIELD, &id)?;
    collection::transactions(request, ScopeOf::Pool(id)).await
}

pub(crate) async fn operations(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = params::pool(FIELD, &id)?;
    collection::operations(request, List::Operations, ScopeOf::Pool(id)).await
}

pub(crate) async fn effects(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = params::pool(FIELD, &id)?;
    collection::effects(request, ScopeOf::Pool(id)).await
}

pub(crate) async fn trades(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = params::pool(FIELD, &id)?;
    collection::trades(request, TradeFilter::Pool(id), Some(ScopeOf::Pool(id))).await
}

fn shown(links: &Links, view: &View<'_>, entry: &Seen<LedgerEntry>) -> Result<LiquidityPool, Problem> {
    let modified = view.ledger_time_ms(entry.last_modified_ledger_seq)?;
    LiquidityPool::new(links, entry, modified).ok_or_else(|| Kind::SERVER_ERROR.into())
}
