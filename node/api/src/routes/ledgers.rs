//! `/ledgers`: closed ledgers, and what stands in them.

use std::sync::Arc;

use axum::response::Response;
use carat_history::Toid;
use carat_history::keys::List;

use crate::accept::{Form, OBJECT};
use crate::page::Record;
use crate::params;
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, lasting_json};
use crate::resources::ledger::Ledger;
use crate::routes::collection::{self, Fetch, LAST_LEDGER, ScopeOf};

const FIELD: &str = "ledger_id";

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    let links = request.links.clone();
    let fetch: Fetch = Arc::new(move |view, page| {
        let token = |sequence: u32| Toid::ledger_start(sequence);
        let part = view.ledgers(page)?;
        part.try_map(|record| Record::new(token(record.sequence), &Ledger::new(&links, &record)))
    });
    collection::respond(request, LAST_LEDGER, fetch).await
}

pub(crate) async fn show(Path(sequence): Path<String>, request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let sequence = params::ledger(FIELD, &sequence)?;
    let links = request.links.clone();
    let ledger = request.read(move |view| {
        if sequence < collection::position(view.node())?.first_ledger {
            return Err(Kind::BEFORE_HISTORY.into());
        }
        let record = view.ledger(sequence)?.ok_or(Kind::NOT_FOUND)?;
        Ok(Ledger::new(&links, &record))
    });
    lasting_json(&request, &ledger.await?)
}

pub(crate) async fn transactions(
    Path(sequence): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let sequence = params::ledger(FIELD, &sequence)?;
    collection::transactions(request, ScopeOf::Ledger(sequence)).await
}

pub(crate) async fn operations(Path(sequence): Path<String>, request: Request) -> Result<Response, Problem> {
    let sequence = params::ledger(FIELD, &sequence)?;
    collection::operations(request, List::Operations, ScopeOf::Ledger(sequence)).await
}

pub(crate) async fn payments(Path(sequence): Path<String>, request: Request) -> Result<Response, Problem> {
    let sequence = params::ledger(FIELD, &sequence)?;
    collection::operations(request, List::Payments, ScopeOf::Ledger(sequence)).await
}

pub(crate) async fn effects(Path(sequence): Path<String>, request: Request) -> Result<Response, Problem> {
    let sequence = params::ledger(FIELD, &sequence)?;
    collection::effects(request, ScopeOf::Ledger(sequence)).await
}
