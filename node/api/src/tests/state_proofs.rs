//! `/state_proofs`: what is given, in which forms, and what is not. Who is given what is a row of the leak matrix.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carat_ledger::StateKey;
use carat_types::builder::asset::issued;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::state_proof::ProofEnd;
use carat_types::state_receipt::StateReceipt;
use stellar_xdr::{String64, StringM};

use super::node::Staged;
use super::worlds::{AUDITOR, OWNER, with_business};
use super::{Api, key, market};

pub(super) fn account_key(number: u8) -> String {
    hex::encode(StateKey::account(&key(number).public()).to_bytes())
}

pub(super) fn data_key(number: u8, name: &str) -> String {
    let name = String64(StringM::try_from(name).expect("short"));
    hex::encode(StateKey::data(&key(number).public(), &name).to_bytes())
}

pub(super) fn line_key(number: u8, code: &str) -> String {
    let asset = issued(code, key(1).public().into()).expect("a code");
    hex::encode(StateKey::trustline(&key(number).public(), &asset).to_bytes())
}

pub(super) fn pool_key() -> String {
    hex::encode(StateKey::pool(market::pool_id()).to_bytes())
}

/// The key of a data entry that an account has not, and whose absence can be proved although leaves are salted.
pub(super) async fn provably_absent(auditor: &Api, number: u8) -> String {
    for name in 0..100 {
        let key = data_key(number, &format!("absent {name}"));
        if auditor.get(&format!("/state_proofs/{key}")).await.status == StatusCode::OK {
            return key;
        }
    }
    panic!("none of a hundred keys ends in an empty place");
}

#[tokio::test]
async fn proof_of_an_entry_leads_to_the_state_root_of_its_header_and_has_two_forms() {
    let api = Api::market();
    let path = format!("/state_proofs/{}", account_key(2));
    let answer = api.get(&path).await.ok();
    let bytes = STANDARD.decode(answer["proof"].as_str().expect("text")).expect("base64");
    let receipt = StateReceipt::from_bytes(&bytes).expect("a state receipt");
    let value = receipt.value.as_ref().expect("there");
    assert_eq!(receipt.proof.root(&receipt.key, value), Some(receipt.header.state_root));
    assert_eq!((&answer["present"], &answer["ledger_key"]), (&true.into(), &account_key(2).into()));
    assert_eq!(answer["entry_xdr"], STANDARD.encode(value));
    let request = axum::http::Request::get(&path).header("accept", "application/octet-stream");
    let raw = api.send(request.body(axum::body::Body::empty()).expect("a request")).await;
    let raw = axum::body::to_bytes(raw.into_body(), 1 << 20).await.expect("a body");
    assert_eq!(StateReceipt::from_bytes(&raw), Ok(receipt));
}

#[tokio::test]
async fn absence_is_proved_on_an_open_network_whatever_stands_beside() {
    let api = Api::market();
    for number in 200..220 {
        let answer = api.get(&format!("/state_proofs/{}", account_key(number))).await.ok();
        let bytes = STANDARD.decode(answer["proof"].as_str().expect("text")).expect("base64");
        let receipt = StateReceipt::from_bytes(&bytes).expect("a state receipt");
        assert_eq!(receipt.proof.root_without(&receipt.key), Some(receipt.header.state_root));
        assert_eq!((&answer["present"], &answer["entry_xdr"]), (&false.into(), &serde_json::Value::Null));
    }
}

#[tokio::test]
async fn members_are_shown_no_other_entrys_leaf() {
    let api = with_business();
    let auditor = api.logged_in(&key(AUDITOR)).await;
    let (mut proved, mut not_provable) = (0, 0);
    for name in 0..60 {
        let answer =
            auditor.get(&format!("/state_proofs/{}", data_key(OWNER, &format!("none {name}")))).await;
        if answer.status == StatusCode::NOT_FOUND {
            not_provable += 1;
            assert!(answer.text.contains("would show no other entry"), "{}", answer.text);
            continue;
        }
        let bytes = STANDARD.decode(answer.ok()["proof"].as_str().expect("text")).expect("base64");
        assert_eq!(StateReceipt::from_bytes(&bytes).expect("a state receipt").proof.end, ProofEnd::Empty);
        proved += 1;
    }
    assert!(proved > 0 && not_provable > 0, "{proved} and {not_provable}");
    let owner = api.logged_in(&key(OWNER)).await;
    let answer = owner.get(&format!("/state_proofs/{}", account_key(OWNER))).await.ok();
    let bytes = STANDARD.decode(answer["proof"].as_str().expect("text")).expect("base64");
    let receipt = StateReceipt::from_bytes(&bytes).expect("a state receipt");
    assert!(matches!(receipt.proof.end, ProofEnd::Salted(_)), "{:?}", receipt.proof.end);
    assert_eq!(receipt.to_bytes(), bytes);
}

#[tokio::test]
async fn question_that_cannot_be_answered_says_why() {
    let api = Api::market();
    let path = format!("/state_proofs/{}", account_key(2));
    for (staged, status) in
        [(Staged::Busy, StatusCode::SERVICE_UNAVAILABLE), (Staged::TimesOut, StatusCode::GATEWAY_TIMEOUT)]
    {
        api.node.stage(staged);
        assert_eq!(api.get(&path).await.status, status);
    }
    for bad in ["zz", "ABCD", "abc", &"00".repeat(513)] {
        let answer = api.get(&format!("/state_proofs/{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(answer.json()["extras"]["invalid_field"], "ledger_key");
    }
}
