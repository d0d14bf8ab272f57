//! The operator's listener: metrics, health, status, traces, and the pages with what they read. Bound to a loopback address by default; it shows
//! nothing secret and changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::evidence::{EvidenceRoom, Piece};
use crate::health::{Health, Readiness};
use crate::metrics::Metrics;
use crate::trace::{Entry, Trace};

/// What the listener shows.
#[derive(Clone)]
pub struct Admin {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// State in words and numbers.
    pub health: Arc<Health>,
    /// Recent messages.
    pub trace: Arc<Trace>,
    /// What convicts validators.
    pub evidence: Arc<EvidenceRoom>,
    /// The pages, and what they read: the routes of the REST interface that only read.
    pub reads: Router,
}

impl Admin {
    /// Serves `listener` until the task is cut off.
    pub async fn serve(self, listener: TcpListener) {
        if let Err(error) = axum::serve(listener, self.router()).await {
            tracing::error!(%error, "metrics and health are no longer served");
        }
    }

    fn router(self) -> Router {
        let reads = self.reads.clone();
        Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/status", get(status))
            .route("/consensus", get(consensus))
            .route("/consensus/trace", get(trace))
            .route("/evidence", get(evidence))
            .with_state(self)
            .fallback_service(reads)
    }
}

/// Binds the listener.
///
/// **Errors**: a taken or foreign address, with what to do.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, std::io::Error> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = "stop the process that holds it, or choose another port in the settings";
        std::io::Error::new(
            error.kind(),
            format!("cannot listen on {setting} = {address}: {error} (hint: {hint})"),
        )
    })
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.health.refresh(&admin.metrics);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics.encode()).into_response()
}

/// Alive: the event loop answers.
async fn livez(State(admin): State<Admin>) -> Response {
    match admin.health.stuck() {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Ready: agrees with a quorum and progresses.
async fn readyz(State(admin): State<Admin>) -> (StatusCode, Json<Readiness>) {
    let readiness = admin.health.readiness();
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness))
}

async fn status(State(admin): State<Admin>) -> Response {
    Json(admin.health.status()).into_response()
}

/// Why there is no block.
async fn consensus(State(admin): State<Admin>) -> Response {
    Json(admin.health.consensus()).into_response()
}

#[derive(Debug, Serialize)]
struct EvidenceAnswer {
    evidence: Vec<Piece>,
}

/// What convicts validators.
async fn evidence(State(admin): State<Admin>) -> Response {
    match admin.evidence.pieces() {
        Ok(evidence) => Json(EvidenceAnswer { evidence }).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct TraceQuery {
    slot: u64,
}

#[derive(Debug, Serialize)]
struct TraceAnswer {
    slot: u64,
    messages: Vec<Entry>,
}

async fn trace(State(admin): State<Admin>, Query(query): Query<TraceQuery>) -> Json<TraceAnswer> {
    Json(TraceAnswer { slot: query.slot, messages: admin.trace.of(carat_types::Slot(query.slot)) })
}
