//! Every collection: pages both ways, filters, streams, over the market of the index's tests.

use serde_json::Value;

use super::node::Staged;
use super::{Api, address, key, market};

/// The id of the pool, as it stands in paths.
fn pool() -> String {
    carat_types::Digest(market::pool_id().0.0).to_string()
}

/// An asset in three parameters.
pub(super) fn asset(prefix: &str, code: &str) -> String {
    let issuer = address(key(1).public());
    let (name, kind) = (format!("{prefix}asset"), "credit_alphanum4");
    format!("{name}_type={kind}&{name}_code={code}&{name}_issuer={issuer}")
}

async fn first(api: &Api, path: &str, field: &str) -> String {
    let record = api.get(path).await.records().remove(0);
    record[field].as_str().unwrap_or_else(|| panic!("no {field}: {record}")).to_owned()
}

/// A path of this route that leads to something.
pub(super) async fn example(api: &Api, route: &str) -> String {
    let two = address(key(2).public());
    let mut path = route
        .replace("{account_id}", &two)
        .replace("{sequence}", "2")
        .replace("{liquidity_pool_id}", &pool())
        .replace("{ledger_key}", &super::state_proofs::account_key(2))
        .replace("{key}", "kept");
    if path.contains("{hash}") {
        path = path.replace("{hash}", &first(api, "/transactions?order=desc", "hash").await);
    }
    if path.contains("{claimable_balance_id}") {
        path = path.replace("{claimable_balance_id}", &first(api, "/claimable_balances", "id").await);
    }
    if path.contains("{offer_id}") {
        path = path.replace("{offer_id}", &first(api, "/offers", "id").await);
    }
    if path.contains("{id}") {
        path = path.replace("{id}", &first(api, "/operations?order=desc", "id").await);
    }
    let issuer = address(key(1).public());
    match route {
        "/accounts" => format!("{path}?asset=USD%3A{issuer}"),
        "/order_book" => format!("{path}?{}&{}", asset("selling_", "EUR"), asset("buying_", "USD")),
        "/trade_aggregations" => {
            format!("{path}?{}&{}&resolution=60000", asset("base_", "EUR"), asset("counter_", "USD"))
        }
        "/paths" | "/paths/strict-receive" => {
            let to = asset("destination_", "EUR");
            format!("{path}?source_account={two}&destination_amount=1&{to}")
        }
        "/paths/strict-send" => {
            format!("{path}?{}&source_amount=1&destination_assets=EUR%3A{issuer}", asset("source_", "USD"))
        }
        _ => path,
    }
}

/// A path of each collection.
async fn collections(api: &Api) -> Vec<String> {
    let mut paths = Vec::new();
    for route in crate::routes::ROUTES {
        if route.streams && route.methods.contains(&"GET") {
            let path = example(api, route.path).await;
            if api.get(&path).await.ok().get("_embedded").is_some() {
                paths.push(path);
            }
        }
    }
    paths
}

fn tokens(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["paging_token"].as_str().expect("text").to_owned()).collect()
}

fn with(path: &str, query: &str) -> String {
    format!("{path}{}{query}", if path.contains('?') { '&' } else { '?' })
}

async fn follow(api: &Api, link: &Value) -> Value {
    let href = link["href"].as_str().expect("a link");
    api.get(href.strip_prefix("http://node.example:8000").expect("the address that was asked")).await.ok()
}

fn records(page: &Value) -> Vec<Value> {
    page["_embedded"]["records"].as_array().expect("records").clone()
}

#[tokio::test]
async fn every_collection_pages_both_ways_without_gap_or_overlap() {
    let api = Api::market();
    let paths = collections(&api).await;
    assert!(paths.len() >= 30, "{paths:?}");
    for path in paths {
        let whole = tokens(&api.get(&with(&path, "limit=200")).await.records());
        assert!(!whole.is_empty(), "{path} shows nothing");
        for (order, limit) in [("asc", 1), ("desc", 1), ("asc", 3), ("desc", 3)] {
            let mut page = api.get(&with(&path, &format!("order={order}&limit={limit}"))).await.ok();
            let mut walked = Vec::new();
            while !records(&page).is_empty() {
                walked.extend(tokens(&records(&page)));
                assert!(walked.len() <= whole.len(), "{path} {order}: pages overlap");
                if order == "desc" && walked.len() == whole.len() && path == "/ledgers" {
                    // Behind the first ledger there is nothing, not an empty page: as Horizon has it.
                    break;
                }
                page = follow(&api, &page["_links"]["next"]).await;
            }
            let mut expected = whole.clone();
            if order == "desc" {
                expected.reverse();
            }
            assert_eq!(walked, expected, "{path} {order} {limit}");
        }
        // The link back from the second page leads to the first, turned round.
        let second = api.get(&with(&path, "limit=1")).await.ok();
        let second = follow(&api, &second["_links"]["next"]).await;
        if !records(&second).is_empty() {
            let back = follow(&api, &second["_links"]["prev"]).await;
            assert_eq!(tokens(&records(&back)), whole[..1], "{path}");
        }
    }
}

#[tokio::test]
async fn every_collection_streams_and_goes_on_after_the_last_event() {
    let api = Api::market();
    for path in collections(&api).await {
        let whole = tokens(&api.get(&with(&path, "limit=200")).await.records());
        let mut events = super::streams::Events::open(&api, &path, None).await;
        assert_eq!(events.record().await.id.as_ref(), whole.first(), "{path}");
        if whole.len() > 1 {
            let from = with(&path, "cursor=");
            let mut events =
                super::streams::Events::open(&api, &from, whole.first().map(String::as_str)).await;
            assert_eq!(
                events.record().await.id,
                Some(whole[1].clone()),
                "{path}: the header overrides the cursor"
            );
        }
    }
}

#[tokio::test]
async fn filters_select() {
    let api = Api::market();
    let account = |number: u8| address(key(number).public());
    let (one, two, three) = (account(1), account(2), account(3));
    let (eur, usd) = (asset("selling_", "EUR"), asset("buying_", "USD"));
    let id = first(&api, &format!("/offers?seller={three}"), "id").await;
    for (path, expected) in [
        (format!("/accounts?signer={two}"), 1),
        (format!("/accounts?sponsor={two}"), 1),
        (format!("/accounts?asset=EUR%3A{one}"), 2),
        (format!("/accounts?liquidity_pool={}", pool()), 1),
        ("/assets".to_owned(), 2),
        ("/assets?asset_code=EUR".to_owned(), 1),
        (format!("/assets?asset_issuer={one}"), 2),
        (format!("/assets?asset_issuer={two}"), 0),
        ("/offers".to_owned(), 4),
        (format!("/offers?seller={two}"), 2),
        (format!("/offers?{eur}&{usd}"), 1),
        (format!("/offers?selling=EUR%3A{one}&buying=USD%3A{one}"), 1),
        ("/offers?selling=native".to_owned(), 2),
        (format!("/offers?sponsor={two}"), 1),
        (format!("/accounts/{three}/offers"), 2),
        ("/claimable_balances".to_owned(), 1),
        (format!("/claimable_balances?claimant={three}"), 1),
        (format!("/claimable_balances?claimant={two}"), 0),
        (format!("/claimable_balances?sponsor={two}"), 1),
        ("/claimable_balances?asset=native".to_owned(), 1),
        (format!("/claimable_balances?asset=USD%3A{one}"), 0),
        ("/liquidity_pools".to_owned(), 1),
        (format!("/liquidity_pools?reserves=EUR%3A{one}%2CUSD%3A{one}"), 1),
        ("/liquidity_pools?reserves=native".to_owned(), 0),
        (format!("/liquidity_pools?account={three}"), 1),
        (format!("/liquidity_pools?account={two}"), 0),
        ("/trades".to_owned(), 4),
        ("/trades?trade_type=orderbook".to_owned(), 3),
        ("/trades?trade_type=liquidity_pool".to_owned(), 1),
        (format!("/trades?offer_id={id}"), 3),
        (format!("/offers/{id}/trades"), 3),
        (format!("/trades?{}&{}", asset("base_", "USD"), asset("counter_", "EUR")), 4),
        (format!("/accounts/{three}/trades"), 3),
        (format!("/liquidity_pools/{}/trades", pool()), 1),
        (format!("/liquidity_pools/{}/operations", pool()), 4),
        (format!("/liquidity_pools/{}/effects", pool()), 4),
    ] {
        assert_eq!(api.get(&path).await.records().len(), expected, "{path}");
    }
    for (path, field) in [
        ("/offers?selling=EUR", "selling"),
        ("/offers?seller=GABC", "seller"),
        ("/assets?asset_code=A-B", "asset_code"),
        ("/claimable_balances?asset=1", "asset"),
        ("/liquidity_pools?reserves=native,native,native", "reserves"),
        ("/trades?trade_type=none", "trade_type"),
        ("/trades?base_asset_type=native", "counter_asset_type"),
        ("/order_book?selling_asset_type=native", "buying_asset_type"),
        ("/offers/0x1", "offer_id"),
        ("/liquidity_pools/12", "liquidity_pool_id"),
        ("/claimable_balances/12", "claimable_balance_id"),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        assert_eq!(answer.json()["extras"]["invalid_field"], field, "{path}");
    }
    assert_eq!(api.get("/accounts").await.json()["title"], "Invalid Accounts Parameters");
}

#[tokio::test]
async fn order_book_sums_what_is_offered_at_a_price() {
    let api = Api::market();
    let path = example(&api, "/order_book").await;
    let book = api.get(&path).await.ok();
    // 100 EUR were offered at 1.1 USD; 50, 10 and 5 were taken.
    assert_eq!(book["asks"][0]["price"], "1.1000000");
    assert_eq!(book["asks"][0]["amount"], "35.0000000");
    assert_eq!(
        (book["asks"].as_array().map(Vec::len), book["bids"].as_array().map(Vec::len)),
        (Some(1), Some(0))
    );
    let turned = format!("/order_book?{}&{}", asset("selling_", "USD"), asset("buying_", "EUR"));
    let turned = api.get(&turned).await.ok();
    assert_eq!(turned["bids"][0]["price_r"], serde_json::json!({ "n": 10, "d": 11 }));
}

#[tokio::test]
async fn aggregations_show_volume_and_prices() {
    let api = Api::market();
    let path = example(&api, "/trade_aggregations").await;
    let spans = api.get(&path).await.records();
    assert_eq!(spans.len(), 1, "all within a minute");
    assert_eq!((&spans[0]["trade_count"], &spans[0]["open"]), (&"4".into(), &"1.1000000".into()));
    assert_eq!(spans[0]["base_volume"], "65.9860764");
    let next = api.get(&path).await.ok()["_links"]["next"].clone();
    assert_eq!(records(&follow(&api, &next).await).len(), 0);
    assert_eq!(api.get(&path.replace("60000", "61000")).await.status, 400);
}

#[tokio::test]
async fn present_is_refused_where_no_sound_index_is_kept() {
    let api = Api::market();
    let mut paths = collections(&api).await;
    for route in [
        "/order_book",
        "/trade_aggregations",
        "/offers/{offer_id}",
        "/liquidity_pools/{liquidity_pool_id}",
        "/claimable_balances/{claimable_balance_id}",
        "/fee_stats",
    ] {
        paths.push(example(&api, route).await);
    }
    for (staged, status, kind) in
        [(Staged::NoHistory, 404, "history_not_kept"), (Staged::HistoryFailed, 503, "stale_history")]
    {
        api.node.stage(staged);
        for path in &paths {
            let answer = api.get(path).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text);
            assert!(answer.json()["type"].as_str().expect("text").ends_with(kind), "{path}");
        }
    }
    // What needs no index is answered as before.
    api.get(&format!("/accounts/{}", address(key(2).public()))).await.ok();
}
