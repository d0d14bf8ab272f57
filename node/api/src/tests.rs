//! The routes, driven as clients drive them, in front of the real ledger and index.

mod activity;
mod bank;
mod caching;
mod certificates;
#[path = "../../history/src/tests/chain.rs"]
mod chain;
mod collections;
mod description;
mod effects;
mod errors;
mod formats;
#[path = "../../history/src/tests/market.rs"]
mod market;
mod node;
mod openapi;
mod pages;
mod paging;
mod paths;
mod resources;
mod serving;
mod state_proofs;
mod streams;
mod submission;
mod visibility;
mod worlds;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Router, response::Response};
use carat_types::PublicKey;
use carat_types::builder::operation::{create_account, payment};
use carat_types::transaction::SignedTransaction;
use serde_json::Value;
use stellar_xdr::{Asset, TransactionEnvelope};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::app::router;
use crate::context::{Context, Settings};
use crate::routes::Listener;
use chain::{COIN, Chain, key};
use node::TestNode;

/// How long a test waits for what never comes if there is a bug.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node with its routes.
#[derive(Clone)]
struct Api {
    node: Arc<TestNode>,
    router: Router,
    stopping: Arc<watch::Sender<bool>>,
    /// What every request carries, where the network asks for it.
    token: Option<String>,
}

impl Api {
    fn new() -> Self {
        Self::with(true, settings())
    }

    fn with(is_test: bool, settings: Settings) -> Self {
        Self::of(TestNode::new(is_test), settings)
    }

    fn of(node: Arc<TestNode>, settings: Settings) -> Self {
        let (stopping, stopped) = watch::channel(false);
        let context = Context::new(node.clone(), settings, stopped);
        Api { node, router: router(&context, Listener::Public), stopping: Arc::new(stopping), token: None }
    }

    /// With alice (1) and bob (2), who have 1,000 coins each.
    fn funded() -> Self {
        let api = Self::new();
        api.node.block(300, |chain| {
            let create = |number: u8| create_account(key(number).public().into(), 1_000 * COIN);
            vec![chain.signed(&chain.root, vec![create(1), create(2)])]
        });
        api
    }

    /// With the market of the index's tests, each step in a ledger of its own.
    fn market() -> Self {
        let api = Self::new();
        market::open(|signers, operations| {
            let mut records = api.node.block(300, |chain| vec![market::signed(chain, signers, operations)]);
            records.remove(0).result.result
        });
        api.node.block(300, |_| vec![]);
        api
    }

    async fn send(&self, mut request: Request<Body>) -> Response {
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", value);
        }
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_as(path, "application/json").await
    }

    async fn get_as(&self, path: &str, accept: &str) -> Answer {
        let request = Request::get(path).header("accept", accept).header("host", "node.example:8000");
        Answer::of(self.send(request.body(Body::empty()).expect("a request")).await).await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        Answer::of(self.send(request.body(body.into()).expect("a request")).await).await
    }

    async fn submit(&self, envelope: &TransactionEnvelope) -> Answer {
        self.post("/transactions", form(envelope)).await
    }

    fn pay(&self, chain: &Chain, amount: i64) -> TransactionEnvelope {
        chain.signed(&key(1), vec![payment(key(2).public(), Asset::Native, amount)])
    }
}

fn settings() -> Settings {
    Settings { stream_duration: Duration::from_secs(3_600), ..Settings::default() }
}

/// The form in which clients send an envelope.
fn form(envelope: &TransactionEnvelope) -> String {
    let text = crate::format::xdr(envelope);
    format!("tx={}", text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))
}

fn address(key: PublicKey) -> String {
    stellar_xdr::AccountId::from(key).to_string()
}

fn hash_of(chain: &Chain, envelope: &TransactionEnvelope) -> String {
    SignedTransaction::from_envelope(&chain.network_id, envelope.clone()).expect("short").hash().to_string()
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.expect("a body");
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The answer's JSON, which must be a success.
    #[track_caller]
    fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers));
        value.to_str().expect("text")
    }

    #[track_caller]
    fn records(&self) -> Vec<Value> {
        self.ok()["_embedded"]["records"].as_array().expect("records").clone()
    }
}
