//! Event streams, read as clients read them.

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use carat_types::builder::operation::payment;
use futures::StreamExt as _;
use serde_json::Value;
use stellar_xdr::Asset;

use super::{Api, COIN, address, key, settings};
use crate::context::Settings;

/// A stream of events, as far as it was read.
pub(super) struct Events {
    body: BodyDataStream,
    buffer: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    event: Option<String>,
    retry: Option<String>,
    pub(super) data: Value,
}

impl Events {
    pub(super) async fn open(api: &Api, path: &str, last_event: Option<&str>) -> Self {
        let mut request = Request::get(path).header("accept", "text/event-stream");
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        let response = api.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let mut events = Events { body: response.into_body().into_data_stream(), buffer: String::new() };
        let hello = events.next().await.expect("hello");
        assert_eq!((hello.event.as_deref(), hello.retry.as_deref()), (Some("open"), Some("1000")));
        assert_eq!(hello.data, "hello");
        events
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        while !self.buffer.contains("\n\n") {
            let chunk = tokio::time::timeout(super::PATIENCE, self.body.next()).await.expect("an event");
            let chunk = chunk?.expect("no error on the way");
            self.buffer.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
        let (text, rest) = self.buffer.split_once("\n\n").expect("seen above");
        let mut event = Event::default();
        for line in text.lines() {
            let (name, value) = line.split_once(": ").expect("a field");
            match name {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.event = Some(value.to_owned()),
                "retry" => event.retry = Some(value.to_owned()),
                "data" => event.data = serde_json::from_str(value).expect("JSON"),
                other => panic!("unknown field {other}"),
            }
        }
        self.buffer = rest.to_owned();
        Some(event)
    }

    pub(super) async fn record(&mut self) -> Event {
        let event = self.next().await.expect("a record");
        assert_eq!(event.event, None, "{event:?}");
        event
    }

    async fn byebye(&mut self) {
        let event = self.next().await.expect("byebye");
        assert_eq!((event.event.as_deref(), event.retry.as_deref()), (Some("close"), Some("10")));
        assert_eq!(event.data, "byebye");
        assert_eq!(self.next().await, None, "nothing follows");
    }
}

fn pay(api: &Api, amount: i64) -> String {
    let records = api.node.block(60, |chain| {
        vec![chain.signed(&key(1), vec![payment(key(2).public(), Asset::Native, amount)])]
    });
    records[0].id.with_operation(1).to_string()
}

#[tokio::test]
async fn payments_come_as_they_are_applied() {
    let api = Api::funded();
    let mut events = Events::open(&api, "/payments?cursor=now", None).await;
    let first = pay(&api, COIN);
    let event = events.record().await;
    assert_eq!(event.id.as_deref(), Some(first.as_str()));
    assert_eq!(event.data["amount"], "1.0000000");
    assert_eq!(event.data["paging_token"], first);
    let (second, third) = (pay(&api, 2 * COIN), pay(&api, 3 * COIN));
    assert_eq!(events.record().await.id, Some(second));
    assert_eq!(events.record().await.id, Some(third), "none is left out when two come at once");
}

#[tokio::test]
async fn stream_without_cursor_begins_with_what_is_there() {
    let api = Api::funded();
    let mut events = Events::open(&api, "/payments", None).await;
    assert_eq!(events.record().await.data["type"], "create_account");
    assert_eq!(events.record().await.data["type"], "create_account");
    let next = pay(&api, COIN);
    assert_eq!(events.record().await.id, Some(next));
}

#[tokio::test]
async fn stream_of_an_account_holds_nothing_of_others() {
    let api = Api::funded();
    let path = format!("/accounts/{}/payments?cursor=now", address(key(2).public()));
    let mut events = Events::open(&api, &path, None).await;
    api.node
        .block(60, |chain| vec![chain.signed(&key(1), vec![payment(chain.root.public(), Asset::Native, 7)])]);
    let to_bob = pay(&api, COIN);
    assert_eq!(events.record().await.id, Some(to_bob));
}

#[tokio::test]
async fn last_event_id_overrides_the_cursor() {
    let api = Api::funded();
    let (first, second) = (pay(&api, 1), pay(&api, 2));
    let mut events = Events::open(&api, "/payments?cursor=now", Some(&first)).await;
    assert_eq!(events.record().await.id, Some(second));
}

#[tokio::test]
async fn stream_ends_at_its_limit_and_goes_on_where_it_ended() {
    let api = Api::funded();
    let ids: Vec<String> = (1..=5).map(|amount| pay(&api, amount)).collect();
    let mut seen = Vec::new();
    let mut last = None;
    for _ in 0..3 {
        let mut events = Events::open(&api, "/payments?cursor=0&limit=3", last.as_deref()).await;
        for _ in 0..3 {
            if seen.len() == 7 {
                break;
            }
            let event = events.record().await;
            last.clone_from(&event.id);
            seen.push(event.id.expect("an id"));
        }
        if seen.len() % 3 == 0 {
            events.byebye().await;
        }
    }
    assert_eq!(seen[2..], ids[..], "two creations, then the payments, each once");
}

#[tokio::test]
async fn ledgers_come_when_they_close() {
    let api = Api::funded();
    let mut events = Events::open(&api, "/ledgers?cursor=now", None).await;
    api.node.block(300, |_| vec![]);
    assert_eq!(events.record().await.data["sequence"], 2);
    api.node.block(300, |_| vec![]);
    assert_eq!(events.record().await.data["sequence"], 3);
}

#[tokio::test]
async fn account_comes_again_when_it_has_changed() {
    let api = Api::funded();
    let mut events = Events::open(&api, &format!("/accounts/{}", address(key(2).public())), None).await;
    assert_eq!(events.record().await.data["balances"][0]["balance"], "1000.0000000");
    api.node
        .block(60, |chain| vec![chain.signed(&key(1), vec![payment(chain.root.public(), Asset::Native, 7)])]);
    pay(&api, COIN);
    let event = events.record().await;
    assert_eq!(event.data["balances"][0]["balance"], "1001.0000000", "what others did is not told");
    assert_eq!(event.id, None);
}

#[tokio::test]
async fn stream_says_goodbye_when_its_time_is_over() {
    let duration = std::time::Duration::ZERO;
    let api = Api::with(true, Settings { stream_duration: duration, ..settings() });
    let mut events = Events::open(&api, "/payments?cursor=now", None).await;
    events.byebye().await;
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let api = Api::funded();
    let mut events = Events::open(&api, "/transactions?cursor=now", None).await;
    api.stopping.send_replace(true);
    events.byebye().await;
}

#[tokio::test]
async fn error_before_the_first_event_is_a_problem_report() {
    let api = Api::funded();
    let answer =
        api.get_as(&format!("/accounts/{}/payments", address(key(9).public())), "text/event-stream").await;
    assert_eq!(answer.status, 404);
    let answer = api.get_as("/payments?limit=0", "text/event-stream").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn every_route_that_claims_to_stream_does() {
    let api = Api::market();
    for route in crate::routes::ROUTES {
        let path = super::collections::example(&api, route.path).await;
        let request = Request::get(&path).header("accept", "text/event-stream");
        let response = api.send(request.body(Body::empty()).expect("a request")).await;
        let streams = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event"));
        assert_eq!(streams, route.streams, "{path}");
    }
}
