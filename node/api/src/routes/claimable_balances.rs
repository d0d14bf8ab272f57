//! `/claimable_balances`: what waits to be claimed.

use std::sync::Arc;

use axum::response::Response;
use carat_history::keys::List;
use carat_history::{BalanceCursor, BalanceFilter, Toid};
use stellar_xdr::LedgerEntry;

use crate::accept::{Form, OBJECT};
use crate::links::Links;
use crate::page::{Cursor, Record};
use crate::params;
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, json};
use crate::resources::claimable_balance::ClaimableBalance;
use crate::routes::collection::{self, Fetch, ScopeOf};
use crate::visibility::{Seen, View};

const FIELD: &str = "claimable_balance_id";

impl Cursor for BalanceCursor {
    fn place(&self) -> Option<Toid> {
        None
    }
}

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    let params = &request.params;
    let filter = BalanceFilter {
        claimant: params.account("claimant")?,
        sponsor: params.account("sponsor")?,
        asset: params.asset("asset")?,
    };
    let links = request.links.clone();
    let fetch: Fetch<BalanceCursor> = Arc::new(move |view, page| {
        view.balances(&filter, page)?.try_map(|entry| {
            let shown = shown(&links, view, &entry)?;
            Record::new(shown.paging_token(), &shown)
        })
    });
    collection::respond(request, collection::present, fetch).await
}

pub(crate) async fn show(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let id = params::balance(FIELD, &id)?;
    let links = request.links.clone();
    let balance = request.read(move |view| {
        collection::needs_history(view)?;
        let entry = view.balance(&id)?.ok_or(Kind::NOT_FOUND)?;
        shown(&links, view, &entry)
    });
    json(&balance.await?)
}

pub(crate) async fn transactions(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = params::balance(FIELD, &id)?;
    collection::transactions(request, ScopeOf::Balance(id)).await
}

pub(crate) async fn operations(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = params::balance(FIELD, &id)?;
    collection::operations(request, List::Operations, ScopeOf::Balance(id)).await
}

fn shown(links: &Links, view: &View<'_>, entry: &Seen<LedgerEntry>) -> Result<ClaimableBalance, Problem> {
    let modified = view.ledger_time_ms(entry.last_modified_ledger_seq)?;
    ClaimableBalance::new(links, entry, modified).ok_or_else(|| Kind::SERVER_ERROR.into())
}
