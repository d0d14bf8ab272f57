//! `/network`: the network as this validator observes it.

use axum::response::Response;

use crate::accept::{Form, STREAMABLE};
use crate::problem::Problem;
use crate::request::{Request, plain_json};
use crate::stream;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let state = request.context.node.network_state();
    if request.accepts(STREAMABLE)? == Form::EventStream {
        return stream::follow(&request.context, state);
    }
    let state = std::sync::Arc::clone(&state.borrow());
    plain_json(state.as_ref())
}
