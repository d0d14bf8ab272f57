//! `/genesis`: the genesis file, byte for byte, so that a receipt can be verified against its hash. Whoever
//! does not trust this node takes the file from somewhere else.

use axum::response::Response;

use crate::accept::{Form, OBJECT};
use crate::caching::lasting;
use crate::problem::Problem;
use crate::request::Request;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let text = request.context.node.network().genesis.to_string();
    Ok(lasting(&request, "application/json; charset=utf-8", text.into_bytes()))
}
