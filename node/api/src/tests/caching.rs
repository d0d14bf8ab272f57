//! What a proxy and a client may keep. That a members' network lets nothing be kept is in `visibility`.

use axum::body::Body;
use axum::http::Request;

use super::{Answer, Api};

impl Api {
    async fn get_with(&self, path: &str, header: &str, value: &str) -> Answer {
        let request = Request::get(path).header("host", "node.example:8000").header(header, value);
        Answer::of(self.send(request.body(Body::empty()).expect("a request")).await).await
    }
}

/// Addresses of what never changes.
async fn lasting(api: &Api) -> Vec<String> {
    let transaction = api.get("/transactions").await.records()[0].clone();
    let hash = transaction["hash"].as_str().expect("text").to_owned();
    let operation = api.get("/operations").await.records()[0]["id"].as_str().expect("text").to_owned();
    let ledger = transaction["ledger"].to_string();
    vec![
        format!("/ledgers/{ledger}"),
        format!("/transactions/{hash}"),
        format!("/operations/{operation}"),
        "/genesis".to_owned(),
    ]
}

/// An open network with a ledger that is closed.
fn closed() -> Api {
    let api = Api::funded();
    api.node.block(1_000, |_| vec![]);
    api
}

#[tokio::test]
async fn lasting_answers_may_be_kept_by_proxies_and_are_the_same_at_every_time() {
    let api = closed();
    for path in lasting(&api).await {
        let first = api.get(&path).await;
        first.ok();
        assert_eq!(first.header("cache-control"), "public, max-age=0, s-maxage=3600", "{path}");
        assert!(
            first.headers.get_all("vary").iter().any(|value| value.as_bytes() == b"x-forwarded-proto"),
            "{path}"
        );
        api.node.block(1_000, |_| vec![]);
        let second = api.get(&path).await;
        assert_eq!(first.text, second.text, "{path}");
        assert_eq!(first.header("etag"), second.header("etag"), "{path}");
    }
}

#[tokio::test]
async fn whoever_has_a_lasting_answer_is_told_that_it_is_the_same() {
    let api = closed();
    for path in lasting(&api).await {
        let tag = api.get(&path).await.header("etag").to_owned();
        let known = [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()];
        for value in known {
            let answer = api.get_with(&path, "if-none-match", &value).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (304, ""), "{path}: {value}");
            assert_eq!(answer.header("etag"), tag);
            assert_eq!(answer.header("cache-control"), "public, max-age=0, s-maxage=3600");
        }
        for value in ["\"other\"", "", "W/\"\"", &tag[1..tag.len() - 1]] {
            let answer = api.get_with(&path, "if-none-match", value).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}: {value}");
        }
    }
}

#[tokio::test]
async fn links_of_another_scheme_are_another_answer() {
    let api = closed();
    let path = lasting(&api).await.remove(0);
    let plain = api.get(&path).await.header("etag").to_owned();
    let forwarded = api.get_with(&path, "x-forwarded-proto", "https").await;
    assert!(forwarded.text.contains("https://node.example"));
    assert_ne!(plain, forwarded.header("etag"));
}

#[tokio::test]
async fn what_changes_or_is_not_there_may_not_be_kept() {
    let api = closed();
    for path in ["/", "/ledgers", "/ledgers/999999", "/fee_stats", "/transactions", "/assets"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-cache, no-store, max-age=0", "{path}");
        assert!(!answer.headers.contains_key("etag"), "{path}");
    }
}
