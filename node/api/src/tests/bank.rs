//! What the node serves for its bank, through the routes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use carat_types::builder::operation::{by, create_account, payment};
use carat_types::transaction::{decode_envelope, sign_envelope};
use carat_types::{PublicKey, SecretKey};
use serde_json::{Value, json};
use stellar_xdr::{Asset, MuxedAccount, MuxedAccountMed25519, Uint256};

use super::chain::{COIN, PASSPHRASE};
use super::{Answer, Api, address, key, settings};
use crate::bank::{Bank, BankSettings, LoginKeys, Place};
use crate::context::Settings;

fn bank() -> Arc<Bank> {
    let bank: BankSettings = toml::from_str(
        "domain = \"bank.example\"\ndirectory = \"d\"\n[login]\nsigning_key = \"s\"\ntoken_key = \"t\"\n",
    )
    .expect("settings");
    let place = Place { passphrase: PASSPHRASE, validator: Some(("v0", key(9).public())) };
    let directory = format!(
        "[[record]]\nname = \"alice\"\naccount = \"{}\"\n\
         [[record]]\nname = \"bob\"\naccount = \"{1}\"\nmemo_type = \"id\"\nmemo = \"7\"\n\
         [[record]]\nname = \"carol\"\naccount = \"{1}\"\nmemo_type = \"id\"\nmemo = \"8\"\n\
         [[forward]]\nforward_type = \"bank_account\"\naccount = \"{1}\"\n",
        address(key(1).public()),
        address(key(2).public())
    );
    let keys = LoginKeys { challenges: key(100), tokens: key(101) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later").as_secs();
    Arc::new(Bank::new(&bank, place, Some(&directory), Some(keys), now).expect("good"))
}

fn api() -> Api {
    let api = Api::with(true, Settings { bank: Some(bank()), ..settings() });
    api.node.block(300, |chain| {
        let create = |number: u8| create_account(key(number).public().into(), 1_000 * COIN);
        vec![chain.signed(&chain.root, vec![create(1), create(2)])]
    });
    api
}

#[track_caller]
fn refused(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    let reason = answer.json()["error"].as_str().expect("an error").to_owned();
    assert!(reason.contains(word), "{reason} should say {word}");
}

#[tokio::test]
async fn node_without_a_bank_serves_nothing_of_it() {
    let api = Api::new();
    for path in ["/.well-known/stellar.toml", "/.well-known/jwks.json", "/federation?q=a&type=name", "/auth"]
    {
        refused(&api.get(path).await, 404, "serves no");
    }
    refused(&api.post("/auth", "transaction=AAAA").await, 404, "serves no");
}

#[tokio::test]
async fn stellar_toml_is_text_that_every_page_may_read() {
    let request = Request::get("/.well-known/stellar.toml").header("origin", "https://wallet.example");
    let answer = Answer::of(api().send(request.body(Body::empty()).expect("a request")).await).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let file: Value = toml::from_str(&answer.text).expect("TOML");
    assert_eq!(file["FEDERATION_SERVER"], "https://bank.example/federation");
    assert_eq!(file["SIGNING_KEY"], address(key(100).public()));
}

#[tokio::test]
async fn names_are_found_forwards_and_backwards() {
    let api = api();
    let id = address(key(1).public());
    let alice = json!({"stellar_address": "alice*bank.example", "account_id": id});
    assert_eq!(api.get("/federation?q=alice*bank.example&type=name").await.ok(), alice);
    assert_eq!(api.get(&format!("/federation?q={id}&type=id")).await.ok(), alice);
    // The second payment says which of the customers who share the account pays.
    let shared = key(2).public();
    let customer = MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: 8, ed25519: Uint256(shared.0) });
    let records = api.node.block(100, |chain| {
        let pay = |to: PublicKey| payment(to, Asset::Native, COIN);
        let mut of_customer = chain.signed(&key(2), vec![pay(key(1).public())]);
        if let stellar_xdr::TransactionEnvelope::Tx(envelope) = &mut of_customer {
            envelope.tx.source_account = customer.clone();
            envelope.signatures = Default::default();
        }
        sign_envelope(&chain.network_id, &mut of_customer, &[&key(2)]).expect("one");
        vec![chain.signed(&key(1), vec![by(key(1).public(), pay(shared))]), of_customer]
    });
    let by_source = |source: PublicKey| {
        let record = records.iter().find(|record| record.transaction.source() == source).expect("applied");
        format!("/federation?q={}&type=txid", record.transaction.hash())
    };
    assert_eq!(api.get(&by_source(key(1).public())).await.ok(), alice);
    assert_eq!(api.get(&by_source(shared)).await.ok()["stellar_address"], "carol*bank.example");
    let forwarded = api.get("/federation?type=forward&forward_type=bank_account").await.ok();
    assert_eq!(forwarded["account_id"], address(shared));
    let table = [
        ("q=dave*bank.example&type=name".to_owned(), 404, "no such name"),
        (format!("q={}&type=id", address(shared)), 404, "more than one"),
        (format!("q={}&type=txid", "0".repeat(64)), 404, "no such name"),
        ("q=GA&type=id".to_owned(), 400, "expected an address"),
        ("q=zz&type=txid".to_owned(), 400, "hash"),
        ("q=alice*bank.example&type=email".to_owned(), 400, "type"),
        ("type=forward&forward_type=pigeon".to_owned(), 400, "forward_type"),
    ];
    for (query, status, word) in table {
        refused(&api.get(&format!("/federation?{query}")).await, status, word);
    }
}

/// A challenge for account 1 with the signatures of `signers`.
async fn answered(api: &Api, signers: &[SecretKey]) -> String {
    let path = format!("/auth?account={}&home_domain=bank.example", address(key(1).public()));
    let given = api.get(&path).await.ok();
    assert_eq!(given["network_passphrase"], PASSPHRASE);
    let text = given["transaction"].as_str().expect("text");
    let mut envelope = decode_envelope(&STANDARD.decode(text).expect("base64")).expect("an envelope");
    let signers: Vec<&SecretKey> = signers.iter().collect();
    sign_envelope(&api.node.chain().network_id, &mut envelope, &signers).expect("few");
    crate::format::xdr(&envelope)
}

async fn post_json(api: &Api, transaction: &str) -> Answer {
    let body = json!({ "transaction": transaction }).to_string();
    let request = Request::post("/auth").header("content-type", "application/json; charset=utf-8");
    Answer::of(api.send(request.body(Body::from(body)).expect("a request")).await).await
}

#[tokio::test]
async fn challenge_signed_by_the_account_gives_one_token_in_either_form() {
    let api = api();
    for json in [true, false] {
        let text = answered(&api, &[key(1)]).await;
        let form =
            format!("transaction={}", text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
        let given = if json { post_json(&api, &text).await } else { api.post("/auth", form).await }.ok();
        let token = given["token"].as_str().expect("a token");
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(claims["sub"], address(key(1).public()));
        refused(&post_json(&api, &text).await, 400, "answered before");
    }
    let keys = api.get("/.well-known/jwks.json").await.ok();
    assert_eq!(keys["keys"][0]["x"], URL_SAFE_NO_PAD.encode(key(101).public().0));
}

#[tokio::test]
async fn what_proves_nothing_gives_no_token() {
    let api = api();
    refused(&post_json(&api, &answered(&api, &[]).await).await, 400, "no signer");
    refused(&post_json(&api, &answered(&api, &[key(2)]).await).await, 400, "none of the account's signers");
    refused(&post_json(&api, "AAAA").await, 400, "no valid challenge");
    refused(&api.post("/auth", "tx=AAAA").await, 400, "transaction");
    refused(&api.get("/auth").await, 400, "account");
    refused(&api.get("/auth?account=GA").await, 400, "account");
}
