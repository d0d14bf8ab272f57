//! The routes put together, with what surrounds each request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, DATE};
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::context::Context;
use crate::pages;
use crate::problem::{Kind, Problem};
use crate::rate_limit::Allowance;
use crate::routes::{Access, Listener, ROUTES};
use crate::visibility::{Viewer, gate};

const LATEST_LEDGER: HeaderName = HeaderName::from_static("latest-ledger");
const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The address that a request came from, put there by the server.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub IpAddr);

/// Everything that answers to requests that come to `listener`.
pub fn router(context: &Arc<Context>, listener: Listener) -> Router {
    let is_test = context.node.network().is_test;
    let present = ROUTES.iter().filter(|route| route.access.exists(listener, is_test));
    let routes = present.fold(Router::new(), |router, route| {
        let handler = (route.handler)();
        router.route(
            route.path,
            if listener == Listener::Operator && route.access == Access::Operator {
                // Health needs no login where health is served; no record is behind such a route.
                handler.layer(Extension(Viewer::Operator))
            } else {
                handler
                    .layer(middleware::from_fn_with_state((Arc::clone(context), route.access), gate::enter))
            },
        )
    });
    routes
        .merge(pages::router())
        .fallback(|| async { Problem::from(Kind::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { Problem::from(Kind::METHOD_NOT_ALLOWED) })
        .with_state(Arc::clone(context))
        .layer(middleware::from_fn_with_state(Arc::clone(context), within_capacity))
        .layer(middleware::from_fn_with_state(Arc::clone(context), within_rate))
        .layer(middleware::from_fn_with_state(Arc::clone(context), common_headers))
        .layer(cors())
}

/// Anybody's page may ask: who asks is said by a token alone, which no page has that was not given it.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        // Of the header with the token "any" does not speak: it has to be named.
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::OPTIONS])
        .expose_headers([DATE, LATEST_LEDGER, RATE_LIMIT, RATE_REMAINING, RATE_RESET])
}

async fn common_headers(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(LATEST_LEDGER, HeaderValue::from(context.node.head().ledger));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, max-age=0"));
    }
    response
}

async fn within_rate(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let Some(limiter) = &context.limiter else { return next.run(request).await };
    let Some(PeerAddress(address)) = request.extensions().get().copied() else {
        return next.run(request).await;
    };
    let allowance = limiter.take(address, Instant::now());
    let mut response = if allowance.granted {
        next.run(request).await
    } else {
        Problem::from(Kind::RATE_LIMIT_EXCEEDED).retry_after(allowance.reset).into_response()
    };
    state_allowance(&mut response, limiter.limit().burst, &allowance);
    response
}

fn state_allowance(response: &mut Response, limit: u32, allowance: &Allowance) {
    let headers = response.headers_mut();
    headers.insert(RATE_LIMIT, HeaderValue::from(limit));
    headers.insert(RATE_REMAINING, HeaderValue::from(allowance.remaining));
    headers.insert(RATE_RESET, HeaderValue::from(allowance.reset.as_secs().max(1)));
}

/// Turns requests away beyond what the node allows at a time, and ends those that take too long. Submissions
/// have places and a patience of their own: they wait for the network, at little cost.
async fn within_capacity(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let submits = request.method() == Method::POST;
    let places = if submits { &context.submissions } else { &context.requests };
    let Ok(_place) = places.try_acquire() else {
        return Problem::from(Kind::SERVER_OVER_CAPACITY).retry_after(Duration::from_secs(1)).into_response();
    };
    if submits {
        return next.run(request).await;
    }
    match tokio::time::timeout(context.settings.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::from(Kind::TIMEOUT).into_response(),
    }
}

/// The same address without slashes at the end of its path: `/ledgers/` is `/ledgers`.
pub(crate) fn without_trailing_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().trim_end_matches('/');
    if path.len() == uri.path().len() || uri.path() == "/" {
        return None;
    }
    let path = if path.is_empty() { "/" } else { path };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    text.parse().ok()
}
