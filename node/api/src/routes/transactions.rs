//! `/transactions`: what was applied, and the proof of it.

use std::time::Duration;

use axum::response::Response;
use carat_history::keys::List;
use carat_types::codec::Encode as _;

use crate::accept::{Form, OBJECT, OBJECT_OR_BYTES};
use crate::params;
use crate::problem::{Kind, Problem};
use crate::request::{Path, Request, bytes, json, lasting_json};
use crate::resources::receipt::Receipt;
use crate::resources::transaction::Transaction;
use crate::routes::collection::{self, ScopeOf};

const FIELD: &str = "tx_id";

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    collection::transactions(request, ScopeOf::All).await
}

pub(crate) async fn show(Path(hash): Path<String>, request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let hash = params::transaction_hash(FIELD, &hash)?;
    let links = request.links.clone();
    let transaction = request.read(move |view| {
        let record = view.transaction(&hash)?.ok_or(Kind::NOT_FOUND)?;
        Ok(Transaction::under(&links, &record, &hash))
    });
    lasting_json(&request, &transaction.await?)
}

pub(crate) async fn operations(Path(hash): Path<String>, request: Request) -> Result<Response, Problem> {
    let hash = params::transaction_hash(FIELD, &hash)?;
    collection::operations(request, List::Operations, ScopeOf::Transaction(hash)).await
}

pub(crate) async fn payments(Path(hash): Path<String>, request: Request) -> Result<Response, Problem> {
    let hash = params::transaction_hash(FIELD, &hash)?;
    collection::operations(request, List::Payments, ScopeOf::Transaction(hash)).await
}

pub(crate) async fn effects(Path(hash): Path<String>, request: Request) -> Result<Response, Problem> {
    let hash = params::transaction_hash(FIELD, &hash)?;
    collection::effects(request, ScopeOf::Transaction(hash)).await
}

pub(crate) async fn receipt(Path(hash): Path<String>, request: Request) -> Result<Response, Problem> {
    let form = request.accepts(OBJECT_OR_BYTES)?;
    let hash = params::transaction_hash(FIELD, &hash)?;
    let receipt = request.read(move |view| {
        let (receipt, known) = view.receipt(&hash)?;
        let receipt = receipt.ok_or_else(|| match known {
            false => Problem::from(Kind::NOT_FOUND),
            // The seals of a block follow it within milliseconds.
            true => Problem::from(Kind::NOT_FOUND)
                .because("the transaction is applied, but its block is not sealed yet")
                .retry_after(Duration::from_secs(1)),
        })?;
        Ok(receipt)
    });
    let receipt = receipt.await?;
    match form {
        Form::Raw => Ok(bytes(receipt.receipt.to_bytes())),
        _ => json(&Receipt::new(&request.links, &receipt)),
    }
}
