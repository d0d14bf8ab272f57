//! Ways to pay: what is found can be paid, for just that.

use carat_types::builder::amount::parse;
use carat_types::builder::market::{path_payment_strict_receive, path_payment_strict_send};
use serde_json::Value;
use stellar_xdr::{Asset, Operation};

use super::collections::{asset, example};
use super::market::{self, eur, usd};
use super::{Api, address, key};

fn asset_of(fields: &Value, prefix: &str) -> Asset {
    match fields[format!("{prefix}asset_code")].as_str() {
        None => Asset::Native,
        Some("EUR") => eur(),
        Some("USD") => usd(),
        Some(other) => panic!("no such asset: {other}"),
    }
}

fn amount(path: &Value, field: &str) -> i64 {
    parse(path[field].as_str().expect("text")).expect("an amount")
}

fn between(path: &Value) -> Vec<Asset> {
    path["path"].as_array().expect("a list").iter().map(|asset| asset_of(asset, "")).collect()
}

/// Pays as 2, and tells whether that succeeded.
fn pays(api: &Api, payment: Operation) -> bool {
    api.node.block(1, |chain| vec![market::signed(chain, &[2], vec![payment])])[0].is_successful()
}

#[tokio::test]
async fn what_is_found_for_an_amount_sent_arrives_and_no_more() {
    let path = example(&Api::market(), "/paths/strict-send").await;
    let found = Api::market().get(&path).await.records();
    assert!(!found.is_empty());
    for path in &found {
        let pay = |least: i64| {
            let from = (asset_of(path, "source_"), amount(path, "source_amount"));
            let to = (asset_of(path, "destination_"), least);
            path_payment_strict_send(key(3).public(), from, to, between(path)).expect("a short way")
        };
        let arrives = amount(path, "destination_amount");
        let api = Api::market();
        assert!(!pays(&api, pay(arrives + 1)), "{path}: no more arrives");
        assert!(pays(&api, pay(arrives)), "{path}");
    }
}

#[tokio::test]
async fn what_is_found_for_an_amount_received_is_enough_and_no_less() {
    let two = address(key(2).public());
    let native = format!(
        "/paths/strict-receive?source_account={two}&destination_asset_type=native&destination_amount=0.1"
    );
    let mut ways = Vec::new();
    for path in [example(&Api::market(), "/paths/strict-receive").await, native] {
        ways.extend(Api::market().get(&path).await.records());
    }
    assert!(ways.iter().any(|path| !between(path).is_empty()), "one leads over a third currency: {ways:?}");
    for path in &ways {
        let (from, to) = (asset_of(path, "source_"), asset_of(path, "destination_"));
        let pay = |most: i64| {
            let to = (to.clone(), amount(path, "destination_amount"));
            path_payment_strict_receive(key(3).public(), (from.clone(), most), to, between(path))
                .expect("a short way")
        };
        let costs = amount(path, "source_amount");
        let api = Api::market();
        assert!(from == to || !pays(&api, pay(costs - 1)), "{path}: less is not enough");
        assert!(pays(&api, pay(costs)), "{path}");
    }
}

#[tokio::test]
async fn path_question_that_is_unclear_is_refused() {
    let api = Api::market();
    let (two, nobody) = (address(key(2).public()), address(key(9).public()));
    let send = format!("/paths/strict-send?{}&source_amount=1", asset("source_", "USD"));
    let many = vec!["native"; 16].join(",");
    for (path, status, field) in [
        (send.clone(), 400, "destination_assets"),
        (format!("{send}&destination_assets=native&destination_account={two}"), 400, "destination_assets"),
        (format!("{send}&destination_assets={many}"), 400, "destination_assets"),
        (send.replace("source_amount=1", "source_amount=0"), 400, "source_amount"),
        ("/paths/strict-send?source_amount=1&destination_assets=native".to_owned(), 400, "source_asset_type"),
        ("/paths?destination_asset_type=native&destination_amount=1".to_owned(), 400, "source_assets"),
        (format!("{send}&destination_account={nobody}"), 404, ""),
    ] {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert_eq!(answer.json()["extras"]["invalid_field"].as_str().unwrap_or_default(), field, "{path}");
    }
    assert_eq!(api.get(&format!("{send}&destination_account={two}")).await.status, 200);
}
