//! `/epochs`: who validates, what proves it, and who was convicted. Whoever may read anything may read this.

use axum::response::Response;

use crate::accept::{Form, OBJECT};
use crate::problem::Problem;
use crate::request::{Request, plain_json};
use crate::resources::epochs::Epochs;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let read = request.context.of_node(|node| Ok(Epochs::new(&node.network().epochs, &node.convictions()?)));
    plain_json(&read.await?)
}
