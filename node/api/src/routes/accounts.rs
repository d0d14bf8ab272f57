//! `/accounts/{account_id}` and what belongs to it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::response::Response;
use carat_history::keys::List;
use carat_history::{AccountFilter, AccountState, PageQuery, Toid, TradeFilter};
use carat_types::PublicKey;
use stellar_xdr::Asset;

use crate::accept::Form;
use crate::links::Links;
use crate::page::{Cursor, Record};
use crate::params;
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, bytes, to_raw};
use crate::resources::account::{Account, Data, Holdings};
use crate::resources::fields;
use crate::routes::collection::{self, Fetch, ScopeOf, Show};
use crate::routes::offers;
use crate::visibility::{Seen, SeenAccount, View};

const FIELD: &str = "account_id";

/// The place of an account in a list: its id.
#[derive(Clone, Debug)]
struct AccountCursor(PublicKey);

impl FromStr for AccountCursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        params::account("cursor", text).map(AccountCursor)
    }
}

impl fmt::Display for AccountCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fields::address(&self.0))
    }
}

impl Cursor for AccountCursor {
    fn place(&self) -> Option<Toid> {
        None
    }
}

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    let filter = filter(&request)?;
    let links = request.links.clone();
    let fetch: Fetch<AccountCursor> = Arc::new(move |view, page| {
        let PageQuery { cursor, order, limit } = page;
        let page = PageQuery { cursor: cursor.map(|cursor| cursor.0), order, limit };
        let part = view.accounts(&filter, page)?.at(AccountCursor);
        part.try_map(|seen| match seen {
            SeenAccount::Whole(state) => {
                let shown = whole(view, &links, &state)?;
                Record::new(shown.id(), &shown)
            }
            SeenAccount::Holdings(state) => {
                let shown = Holdings::new(&state).ok_or(Kind::SERVER_ERROR)?;
                Record::new(shown.id(), &shown)
            }
        })
    });
    collection::respond(request, collection::present, fetch).await
}

/// Exactly one of the four filters.
fn filter(request: &Request) -> Result<AccountFilter, Problem> {
    let params = &request.params;
    let mut named = Vec::new();
    if let Some(text) = params.get("signer") {
        let key = text.parse().map_err(|_| Problem::invalid_field("signer", "Signer is not valid"))?;
        named.push(AccountFilter::Signer(key));
    }
    named.extend(params.account("sponsor")?.map(AccountFilter::Sponsor));
    match params.asset("asset")? {
        Some(Asset::Native) => {
            return Err(Problem::invalid_field("asset", "you can't filter by asset: native"));
        }
        other => named.extend(other.map(AccountFilter::Asset)),
    }
    if let Some(text) = params.get("liquidity_pool") {
        named.push(AccountFilter::Pool(params::pool("liquidity_pool", text)?));
    }
    let filter = named.pop().filter(|_| named.is_empty());
    filter.ok_or_else(|| Kind::INVALID_ACCOUNTS_PARAMS.into())
}

pub(crate) async fn show(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    let links = request.links.clone();
    let show: Show = Arc::new(move |view| match view.account(&account)?.ok_or(Kind::NOT_FOUND)? {
        SeenAccount::Whole(state) => to_raw(&whole(view, &links, &state)?),
        SeenAccount::Holdings(state) => to_raw(&Holdings::new(&state).ok_or(Kind::SERVER_ERROR)?),
    });
    collection::object(request, show).await
}

pub(crate) async fn data(
    Path((id, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    let name: Arc<str> = name.into();
    let form = request.accepts(&[Form::Hal, Form::Json, Form::EventStream, Form::Raw])?;
    if form == Form::Raw {
        let value = request.read(move |view| {
            let (_, value) = Data::find(&state_of(view, &account)?, &name).ok_or(Kind::NOT_FOUND)?;
            Ok(value)
        });
        return Ok(bytes(value.await?));
    }
    let show: Show = Arc::new(move |view| {
        let (shown, _) = Data::find(&state_of(view, &account)?, &name).ok_or(Kind::NOT_FOUND)?;
        to_raw(&shown)
    });
    collection::object(request, show).await
}

pub(crate) async fn transactions(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    collection::transactions(request, ScopeOf::Account(account)).await
}

pub(crate) async fn operations(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    collection::operations(request, List::Operations, ScopeOf::Account(account)).await
}

pub(crate) async fn payments(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    collection::operations(request, List::Payments, ScopeOf::Account(account)).await
}

pub(crate) async fn effects(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    collection::effects(request, ScopeOf::Account(account)).await
}

pub(crate) async fn trades(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    collection::trades(request, TradeFilter::Account(account), Some(ScopeOf::Account(account))).await
}

pub(crate) async fn offers(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    offers::of_account(request, account).await
}

/// The account's state, where the viewer may see all of it.
fn state_of(view: &View<'_>, account: &PublicKey) -> Result<Seen<AccountState>, Problem> {
    match view.account(account)? {
        Some(SeenAccount::Whole(state)) => Ok(state),
        _ => Err(Kind::NOT_FOUND.into()),
    }
}

fn whole(view: &View<'_>, links: &Links, state: &Seen<AccountState>) -> Result<Account, Problem> {
    let modified = view.ledger_time_ms(state.account.last_modified_ledger_seq)?;
    Account::new(links, state, modified).ok_or_else(|| Kind::SERVER_ERROR.into())
}
