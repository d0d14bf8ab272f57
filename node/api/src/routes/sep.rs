//! What the routes of a bank share: their errors have a form of their own, an object with `error`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::bank::Bank;
use crate::problem::Problem;
use crate::request::Request;

/// An answer that is no success, in the form that SEP-2 and SEP-10 want.
#[derive(Debug)]
pub(crate) struct SepError {
    status: StatusCode,
    reason: String,
}

impl SepError {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        SepError { status, reason: reason.into() }
    }

    /// The node's bank has set up nothing of that kind.
    pub(crate) fn absent(what: &str) -> Self {
        SepError::new(StatusCode::NOT_FOUND, format!("this node serves no {what}"))
    }
}

impl From<Problem> for SepError {
    fn from(problem: Problem) -> Self {
        SepError::new(problem.status(), problem.reason())
    }
}

impl IntoResponse for SepError {
    fn into_response(self) -> Response {
        let mut response = plain_json(&json!({ "error": self.reason }));
        *response.status_mut() = self.status;
        response
    }
}

/// An answer in plain JSON.
pub(crate) fn plain_json(value: &impl Serialize) -> Response {
    // Our own structs have string keys only, so there is no way to fail.
    let body = serde_json::to_vec(value).unwrap_or_default();
    ([("content-type", "application/json; charset=utf-8")], body).into_response()
}

/// The node's bank, if it has set anything up.
pub(crate) fn bank(request: &Request, what: &str) -> Result<Arc<Bank>, SepError> {
    request.context.settings.bank.clone().ok_or_else(|| SepError::absent(what))
}

/// The time. **Units**: seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
