//! What was paid lately.

use std::sync::Arc;

use carat_types::builder::operation::payment;
use serde_json::{Value, json};
use stellar_xdr::Asset;

use super::{Api, COIN, address, key, settings};
use crate::app::router;
use crate::context::Context;
use crate::routes::Listener;

/// `from` pays `to`, in a block of its own.
fn pay(api: &Api, from: u8, to: u8, amount: i64) {
    api.node.block(300, |chain| {
        vec![chain.signed(&key(from), vec![payment(key(to).public(), Asset::Native, amount)])]
    });
}

async fn native(api: &Api) -> Value {
    api.get("/activity?asset=native").await.ok()
}

#[tokio::test]
async fn payments_are_added_up_by_asset_and_pair_and_failures_by_their_code() {
    let api = Api::funded();
    pay(&api, 1, 2, 5 * COIN);
    pay(&api, 1, 2, 7 * COIN);
    pay(&api, 2, 1, COIN);
    pay(&api, 2, 1, 5_000 * COIN);
    let seen = native(&api).await;
    // Alice and bob were given 1,000 each by the root account.
    let figures = &seen["assets"][0];
    let expected = json!({
        "asset": "native", "payments": 5, "amount": "2013.0000000", "largest": "1000.0000000", "median": "7.0000000",
        "failed": [{ "result_code": "op_underfunded", "count": 1 }],
    });
    assert_eq!(*figures, expected);
    let alice = address(key(1).public());
    let row =
        seen["participants"].as_array().expect("rows").iter().find(|row| row["account"] == alice.as_str());
    let expected = json!({
        "account": alice, "payments": 4, "paid": "12.0000000", "received": "1001.0000000", "net": "989.0000000",
    });
    assert_eq!(row, Some(&expected));
    let to_bob =
        json!({ "from": alice, "to": address(key(2).public()), "payments": 2, "amount": "12.0000000" });
    assert!(seen["pairs"].as_array().expect("pairs").contains(&to_bob), "{seen}");
    assert_eq!(seen["complete"], true);
}

#[tokio::test]
async fn what_is_read_bit_by_bit_is_what_is_read_at_once() {
    let api = Api::funded();
    native(&api).await;
    for amount in 1..=4 {
        pay(&api, 1, 2, amount * COIN);
        native(&api).await;
    }
    let context = Context::new(api.node.clone(), settings(), api.stopping.subscribe());
    let fresh = Api {
        router: router(&context, Listener::Public),
        node: Arc::clone(&api.node),
        stopping: api.stopping.clone(),
        token: None,
    };
    let (bit_by_bit, at_once) = (native(&api).await, native(&fresh).await);
    assert_eq!(bit_by_bit, at_once);
    assert_eq!(at_once["assets"][0]["payments"], 6);
}

#[tokio::test]
async fn payment_of_the_day_before_is_forgotten() {
    let api = Api::funded();
    pay(&api, 1, 2, COIN);
    assert_eq!(native(&api).await["assets"][0]["payments"], 3);
    api.node.block(24 * 3_600 * 1_000 + 1, |_| vec![]);
    assert_eq!(native(&api).await["assets"], json!([]));
}
