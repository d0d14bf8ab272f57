//! The pages under `/ui/`, and the state of the network that one of them shows.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;

use super::streams::Events;
use super::{Answer, Api, settings};
use crate::app::router;
use crate::context::Context;
use crate::resources::network::NetworkState;
use crate::routes::Listener;

/// What the pages may weigh together. **Units**: bytes.
const WEIGHT_MAX: usize = 100_000;

/// Names of the files that `text` asks for.
fn references(text: &str) -> Vec<String> {
    let quoted = text.split('"').filter(|part| part.starts_with("/ui/") || part.starts_with("./"));
    quoted.map(|path| path.replace("./", "/ui/")).filter(|path| path.contains('.')).collect()
}

#[tokio::test]
async fn page_and_all_that_it_asks_for_are_served_under_a_strict_policy_and_weigh_little() {
    let api = Api::new();
    let mut open = vec!["/ui".to_owned(), "/ui/".to_owned()];
    let mut seen = std::collections::BTreeSet::new();
    let mut weight = 0;
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = api.get_as(&path, "*/*").await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        weight += answer.text.len();
        assert!(
            !answer.text.contains(" style=\"") && !answer.text.contains(" onclick="),
            "{path} has inline code"
        );
        open.extend(references(&answer.text));
    }
    assert!(seen.len() > 8, "the modules were followed: {seen:?}");
    assert!(weight <= WEIGHT_MAX, "{weight} bytes");
}

#[tokio::test]
async fn page_that_has_not_changed_is_not_sent_again() {
    let api = Api::new();
    let first = api.get_as("/ui/style.css", "*/*").await;
    let request = Request::get("/ui/style.css").header("if-none-match", first.header("etag"));
    let second = Answer::of(api.send(request.body(Body::empty()).expect("a request")).await).await;
    assert_eq!((second.status.as_u16(), second.text.len()), (304, 0));
    assert_eq!(api.get("/ui/../Cargo.toml").await.status, 404);
    assert_eq!(api.get("/ui/none.js").await.status, 404);
}

#[tokio::test]
async fn network_is_followed_state_by_state() {
    let api = Api::new();
    let state = |ledger| Arc::new(NetworkState { ledger, ..NetworkState::default() });
    api.node.network_state.send_replace(state(5));
    assert_eq!(api.get("/network").await.ok()["ledger"], 5);
    let mut events = Events::open(&api, "/network", None).await;
    assert_eq!(events.record().await.data["ledger"], 5);
    api.node.network_state.send_replace(state(6));
    assert_eq!(events.record().await.data["ledger"], 6);
}

#[tokio::test]
async fn main_network_shows_its_state_at_the_operators_listener_alone_where_nothing_is_submitted() {
    let api = Api::with(false, settings());
    assert_eq!(api.get("/network").await.status, 404);
    let stopping = api.stopping.subscribe();
    let context = Context::new(api.node.clone(), settings(), stopping);
    let operators = Api { router: router(&context, Listener::Operator), ..api };
    assert_eq!(operators.get("/network").await.status, 200);
    assert_eq!(operators.get("/ledgers").await.status, 200);
    assert_eq!(operators.post("/transactions", "tx=AAAA").await.status, 404);
}
