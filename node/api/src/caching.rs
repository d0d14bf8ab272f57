//! Answers that may be kept: what is final does not change, so a proxy in front may answer for the node, and a client that has
//! the answer is told that it is still the same. **Source**: RFC 9111 and RFC 9110, section 13.1.2.
//!
//! **Invariant**: on a members' network nothing may be kept: the same address shows each viewer something else.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use carat_types::genesis::Visibility;
use carat_types::hash::sha256;

use crate::request::Request;

/// A proxy keeps it for an hour. A browser asks again each time, because a network for trials may be made anew at the same
/// address, and is answered with nothing.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=0, s-maxage=3600");

/// The links of an answer are of this scheme.
const FORWARDED_SCHEME: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// An answer that never changes, or 304 to who has it.
pub(crate) fn lasting(request: &Request, media_type: &'static str, body: Vec<u8>) -> Response {
    if request.context.node.network().visibility != Visibility::Open {
        return ([(CONTENT_TYPE, media_type)], body).into_response();
    }
    let mut response = tagged(&request.headers, media_type, body);
    response.headers_mut().insert(CACHE_CONTROL, KEPT);
    response.headers_mut().append(VARY, FORWARDED_SCHEME.into());
    response
}

/// An answer with a tag of its bytes, or 304 to who has them.
pub(crate) fn tagged(headers: &HeaderMap, media_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
    let body = body.into();
    let tag = format!("\"{}\"", sha256(&[&body]));
    let mut response = match has(headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(CONTENT_TYPE, media_type)], body).into_response(),
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Whether the client says that it has the answer with this tag. The comparison is the weak one: a proxy that compresses
/// makes tags weak.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
