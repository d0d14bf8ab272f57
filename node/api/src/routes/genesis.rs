//! `/genesis`: the genesis file, byte for byte, so that a receipt can be verified against its hash. Whoever
//! does not trust this node takes the file from somewhere else.

use axum::response::{IntoResponse, Response};

use crate::accept::{Form, OBJECT};
use crate::problem::Problem;
use crate::request::Request;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let text = request.context.node.network().genesis.to_string();
    Ok(([("content-type", "application/json; charset=utf-8")], text).into_response())
}
