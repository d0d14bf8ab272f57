//! `/epochs`: who validates, and what proves it. Whoever may read anything may read this.

use axum::response::Response;

use crate::accept::{Form, OBJECT};
use crate::problem::Problem;
use crate::request::{Request, plain_json};
use crate::resources::epochs::Epochs;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    plain_json(&Epochs::new(&request.context.node.network().epochs))
}
