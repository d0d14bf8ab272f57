//! The web pages under `/ui/`: files in the program, served as they are.
//!
//! They hold no data: what they show they ask of the routes, with whatever right the reader has there. Nothing is loaded
//! from elsewhere, and the policy below keeps it so in the reader's browser.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;

use crate::caching::tagged;
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::request::Path;

/// What a page may do: run our scripts, wear our styles, and ask the address that it came from. No inline code, no frames,
/// no forms that leave.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file.
struct File {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($name:literal: $media_type:expr),* $(,)?) => {
        &[$(File { name: $name, media_type: $media_type, text: include_str!(concat!("../pages/", $name)) }),*]
    };
}

/// All files.
const FILES: &[File] = files! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": SCRIPT,
    "api.js": SCRIPT,
    "dom.js": SCRIPT,
    "format.js": SCRIPT,
    "chart.js": SCRIPT,
    "link.js": SCRIPT,
    "assets.js": SCRIPT,
    "network.js": SCRIPT,
    "explorer.js": SCRIPT,
    "receipt.js": SCRIPT,
    "things.js": SCRIPT,
    "verify.js": SCRIPT,
};

/// The routes of the pages.
pub(crate) fn router() -> Router<Arc<Context>> {
    let index = || get(|headers: HeaderMap| async move { show("index.html", &headers) });
    let file = |Path(name): Path<String>, headers: HeaderMap| async move { show(&name, &headers) };
    // The REST interface's server takes `/ui/` for `/ui`; the operator's listener does not.
    Router::new().route("/ui", index()).route("/ui/", index()).route("/ui/{file}", get(file))
}

fn show(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.name == name).ok_or(Kind::NOT_FOUND)?;
    let mut response = tagged(headers, file.media_type, file.text);
    let fixed = [
        // Asked for again each time, and answered with nothing while it is the same: a new program's pages are seen at once.
        (CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("content-security-policy"), POLICY),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (header, value) in fixed {
        response.headers_mut().insert(header, HeaderValue::from_static(value));
    }
    Ok(response)
}
