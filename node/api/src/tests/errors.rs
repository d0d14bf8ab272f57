//! What is answered to requests that cannot be met.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::{Answer, Api, address, key, settings};
use crate::app::PeerAddress;
use crate::context::Settings;
use crate::problem::{KNOWN_TYPES, Kind};
use crate::rate_limit::RateLimit;
use crate::routes::{Access, ROUTES};

#[track_caller]
fn check(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json; charset=utf-8");
    let problem = answer.json();
    assert!(problem["type"].as_str().expect("text").ends_with(kind), "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
}

#[tokio::test]
async fn unknown_route_is_not_found() {
    let api = Api::new();
    for path in ["/nothing", "/account", "/ledgers/1/nothing", "/offers/1/nothing"] {
        check(&api.get(path).await, 404, "not_found");
    }
}

#[tokio::test]
async fn unknown_records_are_not_found() {
    let api = Api::funded();
    let nobody = address(key(9).public());
    let hash = "0".repeat(64);
    for path in [
        format!("/accounts/{nobody}"),
        format!("/accounts/{nobody}/payments"),
        format!("/accounts/{nobody}/transactions"),
        format!("/accounts/{}/data/none", address(key(1).public())),
        format!("/transactions/{hash}"),
        format!("/transactions/{hash}/operations"),
        format!("/transactions/{hash}/receipt"),
        "/ledgers/2".to_owned(),
        "/ledgers/99".to_owned(),
        "/ledgers/99/payments".to_owned(),
        "/operations/8589938690".to_owned(),
        "/operations/8589938699".to_owned(),
    ] {
        let answer = api.get(&path).await;
        if path != "/operations/8589938690" {
            check(&answer, 404, "not_found");
        } else {
            answer.ok();
        }
    }
}

#[tokio::test]
async fn bad_parameter_is_named_with_the_reason() {
    let api = Api::funded();
    let alice = address(key(1).public());
    for (path, field, reason) in [
        ("/accounts/GABC", "account_id", "Account ID must start with `G` and contain 56 alphanum characters"),
        (
            "/accounts/GABC/payments",
            "account_id",
            "Account ID must start with `G` and contain 56 alphanum characters",
        ),
        ("/transactions/xyz", "tx_id", "Transaction hash must be a hex-encoded, lowercase SHA-256 hash"),
        (
            "/transactions/xyz/receipt",
            "tx_id",
            "Transaction hash must be a hex-encoded, lowercase SHA-256 hash",
        ),
        ("/ledgers/0", "ledger_id", "Ledger ID must be an integer higher than 0"),
        ("/ledgers/-1", "ledger_id", "Ledger ID must be an integer higher than 0"),
        ("/ledgers/2147483648", "ledger_id", "Ledger ID must be an integer higher than 0"),
        ("/ledgers/x/payments", "ledger_id", "Ledger ID must be an integer higher than 0"),
        ("/operations/abc", "id", "Operation ID must be an integer higher than 0"),
        ("/payments?limit=0", "limit", "invalid limit: non-positive value provided"),
        ("/payments?limit=-5", "limit", "invalid limit: non-positive value provided"),
        ("/payments?limit=201", "limit", "invalid limit: value provided that is over limit max of 200"),
        ("/payments?limit=many", "limit", "unparseable value"),
        ("/payments?order=up", "order", "order: invalid value"),
        ("/payments?cursor=-1", "cursor", "cursor: invalid value"),
        ("/payments?cursor=abc", "cursor", "cursor: invalid value"),
        ("/payments?cursor=99999999999999999999", "cursor", "cursor: invalid value"),
        ("/payments?include_failed=maybe", "include_failed", "Filter should be true or false"),
        ("/operations?join=effects", "join", "Accepted values: transactions"),
        ("/friendbot", "addr", "Account ID must start with `G` and contain 56 alphanum characters"),
        ("/friendbot?addr=SABC", "addr", "Account ID must start with `G` and contain 56 alphanum characters"),
    ] {
        let answer = api.get(path).await;
        check(&answer, 400, "bad_request");
        let extras = &answer.json()["extras"];
        assert_eq!(extras["invalid_field"], field, "{path}");
        assert_eq!(extras["reason"], reason, "{path}");
    }
    api.get(&format!("/accounts/{alice}")).await.ok();
}

#[tokio::test]
async fn path_that_is_no_text_is_refused_by_a_report() {
    let api = Api::new();
    for path in ["/accounts/%d0", "/claimable_balances/a%d0b/operations", "/ledgers/%ff"] {
        check(&api.get(path).await, 400, "bad_request");
    }
}

#[tokio::test]
async fn muxed_address_is_no_account_id() {
    let api = Api::funded();
    let muxed = "MAAAAAAAAAAAAAB7BQ2L7E5NBWMXDUCMZSIPOBKRDSBYVLMXGSSKF6YNPIB7Y77ITLVL6";
    check(&api.get(&format!("/accounts/{muxed}")).await, 400, "bad_request");
}

#[tokio::test]
async fn wrong_method_is_refused_with_the_right_ones() {
    let api = Api::new();
    for (method, path, allow) in [
        ("DELETE", "/ledgers", "GET,HEAD"),
        ("PUT", "/transactions", "GET,HEAD,POST"),
        ("GET", "/transactions_async", "POST"),
        ("POST", "/", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let answer = Answer::of(api.send(request).await).await;
        check(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn unacceptable_form_is_refused() {
    let api = Api::funded();
    let alice = address(key(1).public());
    check(&api.get_as("/", "image/png").await, 406, "not_acceptable");
    check(&api.get_as("/fee_stats", "text/event-stream").await, 406, "not_acceptable");
    check(&api.get_as("/ledgers/1", "text/html").await, 406, "not_acceptable");
    check(&api.get_as(&format!("/accounts/{alice}"), "text/html").await, 406, "not_acceptable");
}

#[tokio::test]
async fn page_before_history_is_gone_when_read_backwards() {
    let api = Api::funded();
    check(&api.get("/payments?order=desc&cursor=4294967296").await, 410, "before_history");
    check(&api.get("/operations/17").await, 410, "before_history");
    assert_eq!(api.get("/payments?order=asc&cursor=1").await.records().len(), 2);
}

#[tokio::test]
async fn rate_limit_is_stated_and_kept_for_each_address() {
    let limit = RateLimit { burst: 2, period: Duration::from_secs(3_600) };
    let api = Api::with(true, Settings { rate_limit: Some(limit), ..settings() });
    let ask = |address: &'static str| {
        let mut request = Request::get("/fee_stats").body(Body::empty()).expect("a request");
        request.extensions_mut().insert(PeerAddress(address.parse().expect("ip")));
        let api = &api;
        async move { Answer::of(api.send(request).await).await }
    };
    let first = ask("192.0.2.1").await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("2", "1"));
    assert_eq!(ask("192.0.2.1").await.status, StatusCode::OK);
    let refused = ask("192.0.2.1").await;
    check(&refused, 429, "rate_limit_exceeded");
    assert!(refused.header("retry-after").parse::<u64>().expect("seconds") > 1_000);
    assert_eq!(ask("192.0.2.2").await.status, StatusCode::OK);
}

#[tokio::test]
async fn request_beyond_capacity_is_turned_away_with_a_time() {
    let api = Api::with(true, Settings { requests_max: 0, submissions_max: 0, ..settings() });
    for answer in [api.get("/ledgers").await, api.post("/transactions", "tx=AAAA").await] {
        check(&answer, 503, "server_over_capacity");
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn stream_beyond_capacity_is_turned_away_with_a_time() {
    let api = Api::with(true, Settings { streams_max: 0, ..settings() });
    let answer = api.get_as("/ledgers", "text/event-stream").await;
    check(&answer, 503, "server_over_capacity");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn friendbot_exists_on_test_networks_only() {
    let api = Api::with(false, settings());
    check(&api.get(&format!("/friendbot?addr={}", address(key(5).public()))).await, 404, "not_found");
    let root = api.get("/").await.ok();
    assert!(root["_links"].get("friendbot").is_none());
}

#[test]
fn every_route_states_who_may_use_it_and_is_unique() {
    let mut seen = std::collections::BTreeSet::new();
    for route in ROUTES {
        assert!(seen.insert(route.path), "{} is listed twice", route.path);
        assert!(!route.methods.is_empty(), "{}", route.path);
        let writes = route.methods.contains(&"POST");
        match route.access {
            Access::Public | Access::Operator => {
                assert!(!writes, "{} is public, and so must only be read", route.path)
            }
            Access::Submission | Access::TestNetwork => assert!(writes, "{}", route.path),
            // What somebody needs who has not logged in yet.
            Access::Login => {
                assert!(route.path == "/auth" || route.path.starts_with("/.well-known/"), "{}", route.path);
            }
        }
    }
}

#[test]
fn problem_types_are_unique_and_known_ones_keep_their_identifiers() {
    let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(Kind::identifier).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    assert_eq!(Kind::TRANSACTION_FAILED.identifier(), format!("{KNOWN_TYPES}transaction_failed"));
    assert_eq!(Kind::METHOD_NOT_ALLOWED.identifier(), "urn:carat:problem:method_not_allowed");
}
