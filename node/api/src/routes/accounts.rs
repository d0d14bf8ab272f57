//! `/accounts/{account_id}` and what belongs to it.

use std::sync::Arc;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use carat_history::keys::List;
use carat_types::PublicKey;

use crate::accept::Form;
use crate::params;
use crate::port::Node;
use crate::problem::{Kind, Problem};
use crate::request::{Request, to_raw};
use crate::resources::account::{Account, Data};
use crate::routes::collection::{self, ScopeOf, Show};

const FIELD: &str = "account_id";

pub(crate) async fn show(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let account = params::account(FIELD, &id)?;
    let links = request.links.clone();
    let show: Show = Arc::new(move |node| {
        let state = state_of(node, &account)?;
        let modified = node.history().ledger_time_ms(state.account.last_modified_ledger_seq)?;
        let shown = Account::new(&links, &state, modified).ok_or(Kind::SERVER_ERROR)?;
        to_raw(&shown)
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
        let bytes = request.context.read(move |node| {
            let (_, bytes) = Data::find(&state_of(node, &account)?, &name).ok_or(Kind::NOT_FOUND)?;
            Ok(bytes)
        });
        return Ok(([("content-type", "application/octet-stream")], bytes.await?).into_response());
    }
    let show: Show = Arc::new(move |node| {
        let (shown, _) = Data::find(&state_of(node, &account)?, &name).ok_or(Kind::NOT_FOUND)?;
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

fn state_of(node: &dyn Node, account: &PublicKey) -> Result<crate::port::Account, Problem> {
    node.account(account)?.ok_or_else(|| Kind::NOT_FOUND.into())
}
