//! `/offers`: what stands in the books.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::response::Response;
use carat_history::{OfferFilter, PageQuery, Toid, TradeFilter};
use carat_types::PublicKey;
use stellar_xdr::LedgerEntry;

use crate::accept::{Form, OBJECT};
use crate::links::Links;
use crate::page::{Cursor, Record};
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, json};
use crate::resources::offer::Offer;
use crate::routes::collection::{self, Fetch, ScopeOf};
use crate::visibility::{Seen, View};

const FIELD: &str = "offer_id";

/// The place of an offer in a list: its id.
#[derive(Clone, Debug)]
struct OfferCursor(u64);

impl FromStr for OfferCursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        id_of("cursor", text).map(OfferCursor)
    }
}

impl fmt::Display for OfferCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Cursor for OfferCursor {
    fn place(&self) -> Option<Toid> {
        None
    }
}

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    let params = &request.params;
    // An asset may be named in one word or in three.
    let asset = |name: &str| match params.asset(name)? {
        Some(asset) => Ok(Some(asset)),
        None => params.typed_asset(&format!("{name}_")),
    };
    let filter = OfferFilter {
        seller: params.account("seller")?,
        sponsor: params.account("sponsor")?,
        selling: asset("selling")?,
        buying: asset("buying")?,
    };
    filtered(request, filter, None).await
}

pub(crate) async fn of_account(request: Request, account: PublicKey) -> Result<Response, Problem> {
    let filter = OfferFilter { seller: Some(account), ..OfferFilter::default() };
    filtered(request, filter, Some(ScopeOf::Account(account))).await
}

async fn filtered(
    request: Request,
    filter: OfferFilter,
    exists: Option<ScopeOf>,
) -> Result<Response, Problem> {
    let links = request.links.clone();
    let fetch: Fetch<OfferCursor> = Arc::new(move |view, page| {
        let PageQuery { cursor, order, limit } = page;
        let page = PageQuery { cursor: cursor.map(|cursor| cursor.0), order, limit };
        let part = view.offers(&filter, page)?.at(OfferCursor).try_map(|entry| {
            let offer = shown(&links, view, &entry)?;
            Record::new(offer.id(), &offer)
        })?;
        exists.map_or(Ok(()), |scope| scope.must_exist(view, &part.records))?;
        Ok(part)
    });
    collection::respond(request, collection::present, fetch).await
}

pub(crate) async fn show(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let id = id_of(FIELD, &id)?;
    let links = request.links.clone();
    let offer = request.read(move |view| {
        collection::needs_history(view)?;
        let entry = view.offer(id)?.ok_or(Kind::NOT_FOUND)?;
        shown(&links, view, &entry)
    });
    json(&offer.await?)
}

pub(crate) async fn trades(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = id_of(FIELD, &id)?;
    collection::trades(request, TradeFilter::Offer(id), None).await
}

fn shown(links: &Links, view: &View<'_>, entry: &Seen<LedgerEntry>) -> Result<Offer, Problem> {
    let modified = view.ledger_time_ms(entry.last_modified_ledger_seq)?;
    Offer::new(links, entry, modified).ok_or_else(|| Kind::SERVER_ERROR.into())
}

fn id_of(field: &str, text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = if digits { text.parse().ok() } else { None };
    id.filter(|id| *id <= i64::MAX as u64)
        .ok_or_else(|| Problem::invalid_field(field, "Offer ID must be an integer higher than 0"))
}
