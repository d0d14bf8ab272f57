//! `/operations` and `/payments`.

use axum::response::Response;
use carat_history::Toid;
use carat_history::keys::List;

use crate::accept::{Form, OBJECT};
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, lasting_json};
use crate::resources::operation::Operation;
use crate::routes::collection::{self, ScopeOf};

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    collection::operations(request, List::Operations, ScopeOf::All).await
}

pub(crate) async fn payments(request: Request) -> Result<Response, Problem> {
    collection::operations(request, List::Payments, ScopeOf::All).await
}

pub(crate) async fn show(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let id = id_of(&id)?;
    let join = collection::join(&request)?;
    let links = request.links.clone();
    let operation = request.read(move |view| {
        if id.ledger() < collection::position(view.node())?.first_ledger {
            return Err(Kind::BEFORE_HISTORY.into());
        }
        let seen = view.operation(id, join)?.ok_or(Kind::NOT_FOUND)?;
        Operation::new(&links, &seen).ok_or_else(|| Kind::NOT_FOUND.into())
    });
    lasting_json(&request, &operation.await?)
}

pub(crate) async fn effects(Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    collection::effects(request, ScopeOf::Operation(id)).await
}

pub(crate) async fn all_effects(request: Request) -> Result<Response, Problem> {
    collection::effects(request, ScopeOf::All).await
}

fn id_of(text: &str) -> Result<Toid, Problem> {
    text.parse().map_err(|_| Problem::invalid_field("id", "Operation ID must be an integer higher than 0"))
}
