//! `/openapi.json`: this interface described for programs.

use axum::response::{IntoResponse, Response};

use crate::accept::{Form, OBJECT};
use crate::openapi;
use crate::problem::Problem;
use crate::request::Request;

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    Ok(([("content-type", "application/json; charset=utf-8")], openapi::text()).into_response())
}
