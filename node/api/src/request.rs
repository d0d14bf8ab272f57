//! A request, as the routes see it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::accept::{Form, negotiate};
use crate::caching;
use crate::context::Context;
use crate::links::Links;
use crate::params::Params;
use crate::problem::{Kind, Problem};
use crate::visibility::{View, Viewer};

/// What every route needs of its request.
pub(crate) struct Request {
    pub(crate) context: Arc<Context>,
    pub(crate) headers: HeaderMap,
    pub(crate) path: String,
    pub(crate) params: Params,
    pub(crate) links: Links,
    pub(crate) viewer: Viewer,
}

impl FromRequestParts<Arc<Context>> for Request {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        // Without a gate before it, nobody sees anything.
        let viewer = parts.extensions.get::<Viewer>().cloned().ok_or(Kind::UNAUTHORIZED)?;
        Ok(Request {
            viewer,
            params: Params::from_request_parts(parts, context).await?,
            context: Arc::clone(context),
            links: Links::of_request(&parts.headers),
            path: parts.uri.path().to_owned(),
            headers: parts.headers.clone(),
        })
    }
}

/// The parts of the path that a route names in braces.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = axum::extract::Path::from_request_parts(parts, state).await;
        let named = named.map_err(|refused| Problem::from(Kind::BAD_REQUEST).because(refused.body_text()))?;
        Ok(Path(named.0))
    }
}

impl Request {
    /// Reads what the viewer of this request may see.
    ///
    /// **Errors**: those of `read`; 500 if it does not come to an end.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.context.read(&self.viewer, read).await
    }

    /// The form in which the client wants the answer.
    ///
    /// **Errors**: none of those offered.
    pub(crate) fn accepts(&self, offered: &[Form]) -> Result<Form, Problem> {
        negotiate(&self.headers, offered)
    }

    /// Where a stream that was broken off shall go on.
    pub(crate) fn last_event(&self) -> Option<&str> {
        self.headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty())
    }
}

const HAL: &str = "application/hal+json; charset=utf-8";

/// An answer in JSON, with links.
pub(crate) fn json(resource: &impl Serialize) -> Result<Response, Problem> {
    json_as(HAL, resource)
}

/// The answer to `request` in JSON, with links, about what never changes again.
pub(crate) fn lasting_json(request: &Request, resource: &impl Serialize) -> Result<Response, Problem> {
    Ok(caching::lasting(request, HAL, serde_json::to_vec(resource).map_err(unwritable)?))
}

/// An answer in JSON that has no links.
pub(crate) fn plain_json(resource: &impl Serialize) -> Result<Response, Problem> {
    json_as("application/json; charset=utf-8", resource)
}

fn json_as(media_type: &'static str, resource: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(resource).map_err(unwritable)?;
    Ok(([("content-type", media_type)], body).into_response())
}

/// An answer that is the bytes themselves.
pub(crate) fn bytes(body: Vec<u8>) -> Response {
    ([("content-type", "application/octet-stream")], body).into_response()
}

/// A resource as the text of its JSON, its fields in their own order.
pub(crate) fn to_raw(resource: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    serde_json::value::to_raw_value(resource).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> Problem {
    tracing::error!(%error, "a resource cannot be written as JSON");
    Kind::SERVER_ERROR.into()
}
