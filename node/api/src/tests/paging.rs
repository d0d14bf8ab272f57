//! Pages: order, limit, cursor, links.

use carat_types::builder::operation::payment;
use serde_json::Value;
use stellar_xdr::Asset;

use super::{Api, address, key};

fn ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["id"].as_str().expect("text").to_owned()).collect()
}

/// The path and query of a link.
fn href(link: &Value) -> String {
    let href = link["href"].as_str().expect("a link");
    assert!(link.get("templated").is_none(), "{href}");
    href.strip_prefix("http://node.example:8000").expect("the address that was asked").to_owned()
}

fn paid(api: &Api, payments: i64) {
    for amount in 1..=payments {
        api.node.block(60, |chain| {
            vec![chain.signed(&key(1), vec![payment(key(2).public(), Asset::Native, amount)])]
        });
    }
}

#[tokio::test]
async fn page_has_ten_records_unless_asked_otherwise() {
    let api = Api::funded();
    paid(&api, 15);
    assert_eq!(api.get("/payments").await.records().len(), 10);
    assert_eq!(api.get("/payments?limit=3").await.records().len(), 3);
    assert_eq!(api.get("/payments?limit=200").await.records().len(), 17);
}

#[tokio::test]
async fn next_links_lead_through_everything_once() {
    let api = Api::funded();
    paid(&api, 9);
    let whole = ids(&api.get("/operations?limit=200").await.records());
    for order in ["asc", "desc"] {
        let mut path = format!("/operations?limit=4&order={order}");
        let mut walked = Vec::new();
        loop {
            let page = api.get(&path).await;
            let records = page.records();
            if records.is_empty() {
                break;
            }
            walked.extend(ids(&records));
            path = href(&page.json()["_links"]["next"]);
        }
        if order == "desc" {
            walked.reverse();
        }
        assert_eq!(walked, whole, "{order}");
    }
}

#[tokio::test]
async fn prev_link_leads_back() {
    let api = Api::funded();
    paid(&api, 9);
    let first = api.get("/payments?limit=3").await;
    let second = api.get(&href(&first.json()["_links"]["next"])).await;
    let back = api.get(&href(&second.json()["_links"]["prev"])).await;
    let mut reversed = ids(&back.records());
    reversed.reverse();
    assert_eq!(reversed, ids(&first.records()));
    assert_eq!(href(&second.json()["_links"]["prev"]).matches("order=desc").count(), 1);
}

#[tokio::test]
async fn links_keep_the_other_parameters_encoded() {
    let api = Api::funded();
    let page = api.get("/payments?include_failed=true&X-Client-Name=a%26b&limit=1").await.ok();
    let this = href(&page["_links"]["self"]);
    assert_eq!(this, "/payments?include_failed=true&X-Client-Name=a%26b&cursor=&limit=1&order=asc");
    let next = href(&page["_links"]["next"]);
    assert!(next.contains("cursor=8589938689"), "{next}");
}

#[tokio::test]
async fn empty_page_keeps_its_cursor() {
    let api = Api::funded();
    let page = api.get("/payments?cursor=99999999999999").await;
    assert_eq!(page.records(), Vec::<Value>::new());
    assert!(href(&page.json()["_links"]["next"]).contains("cursor=99999999999999"));
}

#[tokio::test]
async fn cursor_now_lies_after_everything_known() {
    let api = Api::funded();
    assert_eq!(api.get("/payments?cursor=now").await.records().len(), 0);
    assert_eq!(api.get("/payments?cursor=now&order=desc").await.records().len(), 2);
    assert_eq!(api.get("/ledgers?cursor=now").await.records().len(), 0);
    assert_eq!(api.get("/ledgers?cursor=now&order=desc").await.records().len(), 1);
    api.node.block(300, |_| vec![]);
    assert_eq!(api.get("/ledgers?order=desc&limit=1").await.records()[0]["sequence"], 2);
}

#[tokio::test]
async fn collections_of_a_ledger_and_of_an_account_hold_their_own() {
    let api = Api::funded();
    api.node.block(300, |chain| {
        let pays = chain.signed(&key(1), vec![payment(key(2).public(), Asset::Native, 1)]);
        let fails = chain.signed(&key(2), vec![payment(key(1).public(), Asset::Native, i64::MAX)]);
        vec![pays, fails]
    });
    let count = |path: String| {
        let api = &api;
        async move { api.get(&path).await.records().len() }
    };
    for name in ["transactions", "operations", "payments"] {
        assert_eq!(count(format!("/ledgers/3/{name}")).await, 1, "{name}");
        assert_eq!(count(format!("/ledgers/3/{name}?include_failed=true")).await, 2, "{name}");
        assert_eq!(count(format!("/ledgers/1/{name}")).await, 0, "{name}");
    }
    let bob = address(key(2).public());
    assert_eq!(count(format!("/accounts/{bob}/payments")).await, 2);
    assert_eq!(count(format!("/accounts/{bob}/payments?include_failed=true")).await, 3);
    let failed = api.get("/transactions?include_failed=true&order=desc&limit=200").await.records();
    let failed = failed.iter().find(|record| record["successful"] == false).expect("one failed");
    let hash = failed["hash"].as_str().expect("text");
    assert_eq!(
        count(format!("/transactions/{hash}/operations")).await,
        1,
        "failed ones are shown to who names them"
    );
    assert_eq!(count(format!("/transactions/{hash}/payments")).await, 1);
}
