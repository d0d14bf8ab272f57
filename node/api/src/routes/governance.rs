//! `/governance`: what the validators propose and have decided. Whoever may read anything may read this.

use axum::response::Response;

use crate::accept::{Form, OBJECT};
use crate::problem::{Kind, Problem};
use crate::request::{Request, plain_json};
use crate::resources::governance::Governance;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let read = request.context.of_node(|node| {
        let state = node.governance()?.ok_or(Kind::NOT_FOUND)?;
        Ok(Governance::new(node.network(), &state))
    });
    plain_json(&read.await?)
}
