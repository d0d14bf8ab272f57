//! Submitting, as clients do it.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use carat_types::builder::fee_bump;
use carat_types::builder::operation::{create_account, manage_data, payment};
use carat_types::codec::Decode as _;
use carat_types::receipt::{Proof, Receipt};
use carat_types::transaction::sign_envelope;
use serde_json::{Value, json};
use stellar_xdr::{Asset, ReadXdr, TransactionResult};

use super::node::Staged;
use super::state_proofs::account_key;
use super::{Answer, Api, COIN, address, form, hash_of, key};
use crate::format;
use crate::port::Refusal;

fn result_of(code: i32) -> TransactionResult {
    let bytes = [100_i64.to_be_bytes().as_slice(), &code.to_be_bytes(), &[0; 4]].concat();
    TransactionResult::from_xdr(bytes, stellar_xdr::Limits::none()).expect("a result without operations")
}

#[track_caller]
fn problem(answer: &Answer, status: u16, kind: &str) -> Value {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    let problem = answer.json();
    assert!(problem["type"].as_str().expect("text").ends_with(kind), "{problem}");
    problem["extras"].clone()
}

#[tokio::test]
async fn payment_is_answered_with_its_transaction() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 5 * COIN);
    let hash = hash_of(&api.node.chain(), &envelope);
    let answer = api.submit(&envelope).await.ok();
    assert_eq!(answer["hash"], hash);
    assert_eq!(answer["successful"], true);
    assert_eq!(answer["envelope_xdr"], format::xdr(&envelope));
    assert_eq!(answer["ledger"], 2);
    let asked = api.get(&format!("/transactions/{hash}")).await.ok();
    assert_eq!(asked["paging_token"], answer["paging_token"]);
    let bob = api.get(&format!("/accounts/{}", address(key(2).public()))).await.ok();
    assert_eq!(bob["balances"][0]["balance"], "1005.0000000", "who asks next sees the payment");
}

#[tokio::test]
async fn submission_that_wants_bytes_is_answered_with_the_receipt_of_success_and_of_failure() {
    let api = Api::funded();
    for amount in [5 * COIN, 5_000 * COIN] {
        let envelope = api.pay(&api.node.chain(), amount);
        let request = Request::post("/transactions")
            .header("accept", "application/octet-stream")
            .body(Body::from(form(&envelope)))
            .expect("a request");
        let answer = api.send(request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        let Proof::Result(proof) = Receipt::from_bytes(&bytes).expect("a receipt").proof else {
            panic!("no outcome");
        };
        assert_eq!(proof.transaction.to_string(), hash_of(&api.node.chain(), &envelope));
        let path = format!("/transactions/{}/receipt", proof.transaction);
        let request = Request::get(path).header("accept", "application/octet-stream").body(Body::empty());
        let answer = api.send(request.expect("a request")).await;
        let again = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        assert_eq!(bytes, again);
    }
}

#[tokio::test]
async fn envelope_in_the_query_string_is_taken_as_well() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    let path = format!("/transactions?{}", form(&envelope));
    let request = Request::post(path).body(Body::empty()).expect("a request");
    assert_eq!(api.send(request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn same_envelope_again_gives_the_same_outcome() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    let first = api.submit(&envelope).await.ok();
    let second = api.submit(&envelope).await.ok();
    assert_eq!(first, second);
}

#[tokio::test]
async fn applied_failure_shows_the_codes_of_each_operation() {
    let api = Api::funded();
    let operations = vec![
        payment(key(2).public(), Asset::Native, 1),
        payment(key(2).public(), Asset::Native, 5_000 * COIN),
    ];
    let envelope = api.node.chain().signed(&key(1), operations);
    let extras = problem(&api.submit(&envelope).await, 400, "transaction_failed");
    assert_eq!(
        extras["result_codes"],
        json!({
            "transaction": "tx_failed",
            "operations": ["op_success", "op_underfunded"],
        })
    );
    assert_eq!(extras["envelope_xdr"], format::xdr(&envelope));
    let again = api.submit(&envelope).await.text;
    let codes = r#""result_codes":{"transaction":"tx_failed","operations":["op_success","op_underfunded"]}"#;
    assert!(again.contains(codes), "fields keep their order: {again}");
    let result = extras["result_xdr"].as_str().expect("text");
    TransactionResult::from_xdr_base64(result, stellar_xdr::Limits::none()).expect("XDR");
}

#[tokio::test]
async fn failed_fee_bump_shows_the_inner_code_too() {
    let api = Api::funded();
    let envelope = {
        let chain = api.node.chain();
        let inner = chain.signed(&key(1), vec![payment(key(2).public(), Asset::Native, 5_000 * COIN)]);
        let mut outer = fee_bump(key(2).public(), 200, inner).expect("bumpable");
        sign_envelope(&chain.network_id, &mut outer, &[&key(2)]).expect("signed");
        outer
    };
    let extras = problem(&api.submit(&envelope).await, 400, "transaction_failed");
    assert_eq!(
        extras["result_codes"],
        json!({
            "transaction": "tx_fee_bump_inner_failed",
            "inner_transaction": "tx_failed",
            "operations": ["op_underfunded"],
        })
    );
}

#[tokio::test]
async fn refusal_at_the_door_shows_its_code() {
    let api = Api::funded();
    let envelope = {
        let chain = api.node.chain();
        let builder = chain.builder(&key(1), vec![payment(key(2).public(), Asset::Native, 1)]);
        builder.sign(&chain.network_id, &[&key(2)]).expect("well-formed")
    };
    let extras = problem(&api.submit(&envelope).await, 400, "transaction_failed");
    assert_eq!(extras["result_codes"], json!({ "transaction": "tx_bad_auth" }));
    assert!(extras.get("reason").is_none());
}

#[tokio::test]
async fn refusal_by_the_consortium_shows_its_reason() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    let reason = Some("only members may do this".to_owned());
    api.node.stage(Staged::Refuses(Refusal { result: result_of(-12), reason: reason.clone() }));
    let extras = problem(&api.submit(&envelope).await, 400, "transaction_failed");
    assert_eq!(extras["result_codes"]["transaction"], "tx_not_supported");
    assert_eq!(extras["reason"], json!(reason));
    let answer = api.post("/transactions_async", form(&envelope)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["reason"], json!(reason));
}

#[tokio::test]
async fn full_queue_says_when_to_come_back() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    api.node.stage(Staged::Busy);
    let answer = api.submit(&envelope).await;
    problem(&answer, 503, "server_over_capacity");
    assert_eq!(answer.header("retry-after"), "2");
    let answer = api.post("/transactions_async", form(&envelope)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["tx_status"], "TRY_AGAIN_LATER");
    assert_eq!(answer.header("retry-after"), "2");
}

#[tokio::test]
async fn unknown_outcome_gives_the_hash_to_ask_for() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    let hash = hash_of(&api.node.chain(), &envelope);
    api.node.stage(Staged::TimesOut);
    let extras = problem(&api.submit(&envelope).await, 504, "transaction_submission_timeout");
    assert_eq!(extras["hash"], hash);
    assert_eq!(extras["envelope_xdr"], format::xdr(&envelope));
}

#[tokio::test]
async fn node_that_stops_keeps_nobody_waiting_for_what_its_peers_may_settle() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    api.node.stage(Staged::NeverAnswers);
    let funding = format!("/friendbot?addr={}", address(key(9).public()));
    let proving = format!("/state_proofs/{}", account_key(1));
    let stopping = async { api.stopping.send_replace(true) };
    let all = async { tokio::join!(api.submit(&envelope), api.get(&funding), api.get(&proving), stopping) };
    let answers = tokio::time::timeout(super::PATIENCE, all).await.expect("answers");
    problem(&answers.0, 504, "transaction_submission_timeout");
    problem(&answers.1, 504, "timeout");
    problem(&answers.2, 504, "timeout");
}

#[tokio::test]
async fn node_that_is_behind_takes_no_transactions() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    api.node.stage(Staged::NotReady);
    for path in ["/transactions", "/transactions_async"] {
        let answer = api.post(path, form(&envelope)).await;
        let extras = problem(&answer, 503, "stale_history");
        assert_eq!(extras["reason"], "no quorum for 12 s");
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn what_is_no_envelope_is_echoed_with_the_reason() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    let text = format::xdr(&envelope);
    let truncated = &text[..text.len() - 8];
    let long = format!("{text}AAAA");
    for body in ["", "tx=", "tx=!!!", "other=1", &format!("tx={truncated}"), &format!("tx={long}"), "tx=AAAA"]
    {
        for path in ["/transactions", "/transactions_async"] {
            let extras = problem(&api.post(path, body.to_owned()).await, 400, "transaction_malformed");
            assert!(extras["envelope_xdr"].is_string(), "{body}");
            assert!(extras["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{body}");
        }
    }
}

#[tokio::test]
async fn envelope_for_another_network_is_refused_for_its_signature() {
    let api = Api::funded();
    let envelope = {
        let chain = api.node.chain();
        let builder = chain.builder(&key(1), vec![payment(key(2).public(), Asset::Native, 1)]);
        builder
            .sign(&carat_types::transaction::network_id("another network"), &[&key(1)])
            .expect("well-formed")
    };
    let extras = problem(&api.submit(&envelope).await, 400, "transaction_failed");
    assert_eq!(extras["result_codes"]["transaction"], "tx_bad_auth");
}

#[tokio::test]
async fn body_of_another_type_is_refused() {
    let api = Api::funded();
    for media_type in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let request = Request::post("/transactions").header("content-type", media_type);
        let request = request.body(Body::from("{}")).expect("a request");
        problem(&Answer::of(api.send(request).await).await, 415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn envelopes_longer_than_an_address_may_be_are_read() {
    let api = Api::funded();
    let envelope = {
        let chain = api.node.chain();
        let bytes = vec![7; 64];
        let entry = |number: usize| manage_data(&format!("{number:064}"), Some(&bytes)).expect("64 bytes");
        chain.signed(&key(1), (0..100).map(entry).collect())
    };
    assert_eq!(api.submit(&envelope).await.ok()["operation_count"], 100);
    let long = "A".repeat(130_000);
    let extras =
        problem(&api.post("/transactions", format!("tx={long}")).await, 400, "transaction_malformed");
    assert_eq!(extras["envelope_xdr"], long);
}

#[tokio::test]
async fn body_over_the_limit_is_refused_unread() {
    let api = Api::funded();
    let answer = api.post("/transactions", vec![b'a'; 600 * 1024]).await;
    problem(&answer, 413, "payload_too_large");
}

#[tokio::test]
async fn asynchronous_submission_is_pending_then_a_duplicate() {
    let api = Api::funded();
    let envelope = api.pay(&api.node.chain(), 1);
    let hash = hash_of(&api.node.chain(), &envelope);
    let first = api.post("/transactions_async", form(&envelope)).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.json(), json!({ "tx_status": "PENDING", "hash": hash }));
    let second = api.post("/transactions_async", form(&envelope)).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert_eq!(second.json(), json!({ "tx_status": "DUPLICATE", "hash": hash }));
}

#[tokio::test]
async fn asynchronous_submission_that_is_refused_shows_the_result() {
    let api = Api::funded();
    let envelope = {
        let chain = api.node.chain();
        let operation = create_account(key(7).public().into(), COIN);
        chain.builder(&key(1), vec![operation]).build().expect("well-formed")
    };
    let answer = api.post("/transactions_async", form(&envelope)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let body = answer.json();
    assert_eq!(body["tx_status"], "ERROR");
    let result = body["error_result_xdr"].as_str().expect("text");
    let result = TransactionResult::from_xdr_base64(result, stellar_xdr::Limits::none()).expect("XDR");
    assert_eq!(result.result.name(), "TxBadAuth");
}

#[tokio::test]
async fn friendbot_funds_an_account_once() {
    let api = Api::new();
    let account = address(key(6).public());
    let answer = api.get(&format!("/friendbot?addr={account}")).await.ok();
    assert_eq!(answer["successful"], true);
    let shown = api.get(&format!("/accounts/{account}")).await.ok();
    assert_eq!(shown["balances"][0]["balance"], "10000.0000000");
    let extras = problem(&api.post("/friendbot", format!("addr={account}")).await, 400, "transaction_failed");
    assert_eq!(extras["result_codes"]["operations"], json!(["op_already_exists"]));
}
