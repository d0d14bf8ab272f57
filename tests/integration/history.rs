//! The history of a validator: switched off, behind, damaged, built again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use carat_history::keys;
use carat_node::Home;
use serde_json::Value;

use crate::cluster::{Cluster, address, key};

/// What the collections show.
async fn shown(cluster: &Cluster) -> Vec<(u16, Value)> {
    let mut shown = Vec::new();
    for path in ["/transactions", "/operations", "/payments", "/effects"] {
        shown.push(cluster.get(0, &format!("{path}?limit=200")).await);
    }
    shown
}

async fn status_of(cluster: &Cluster, path: &str) -> (u16, String) {
    let (status, body) = cluster.get(0, path).await;
    (
        status,
        body["type"].as_str().unwrap_or_default().rsplit(['/', ':']).next().unwrap_or_default().to_owned(),
    )
}

fn set_history(cluster: &Cluster, enabled: bool) {
    let path = cluster.homes[0].join("node.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    let text = text.split("\n[history]").next().expect("a first part").to_owned();
    std::fs::write(&path, text).expect("writable");
    let mut file = OpenOptions::new().append(true).open(&path).expect("writable");
    write!(file, "\n[history]\nenabled = {enabled}\n").expect("writable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_that_was_off_knows_everything_when_it_is_on_again() {
    let mut cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    cluster.stop_node(0).await;
    set_history(&cluster, false);
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;
    cluster.fund(0, &key(2)).await;
    cluster.pay(&key(1), &key(2), 70_000_000).await;
    assert_eq!(status_of(&cluster, "/effects").await, (404, "history_not_kept".to_owned()));
    assert_eq!(cluster.get(0, &format!("/accounts/{}", address(&key(2)))).await.0, 200);
    cluster.stop_node(0).await;
    set_history(&cluster, true);
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;
    cluster.await_histories(&[0]).await;
    let (_, payments) = cluster.get(0, &format!("/accounts/{}/payments", address(&key(2)))).await;
    let types: Vec<&Value> = payments["_embedded"]["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| &record["type"])
        .collect();
    assert_eq!(types, ["create_account", "payment"], "also what happened while it was off");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_history_is_reported_not_served_and_rebuilt_while_the_validator_settles_on() {
    let mut cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster.pay(&key(1), &key(2), 70_000_000).await;
    let before = shown(&cluster).await;
    assert!(before.iter().all(|(status, _)| *status == 200), "{before:?}");
    cluster.stop_node(0).await;
    {
        let (_journal, _, store) = Home::read(&cluster.homes[0]).expect("sound").open().expect("sound");
        let column = Arc::new(store).history();
        let copy = keys::with_prefix(&keys::state(&[]));
        let (row, _) = column.scan(copy, false, 1).expect("readable").remove(0);
        column.write(vec![(row, None)]).expect("writable");
    }
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;
    assert_eq!(status_of(&cluster, "/effects").await, (503, "stale_history".to_owned()));
    // The client waits for a receipt, and asks for the account: neither needs the history.
    cluster.pay(&key(1), &key(2), 1).await;
    cluster.stop_node(0).await;
    let rebuilt = Home::read(&cluster.homes[0]).expect("sound").rebuild_history().expect("blocks suffice");
    assert!(rebuilt.blocks > 3 && rebuilt.rows > rebuilt.blocks, "{rebuilt:?}");
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;
    cluster.await_histories(&[0]).await;
    for ((_, before), (status, after)) in before.iter().zip(shown(&cluster).await) {
        let (before, after) = (&before["_embedded"]["records"], &after["_embedded"]["records"]);
        let (before, after) = (before.as_array().expect("records"), after.as_array().expect("records"));
        assert_eq!((status, &after[..before.len()]), (200, &before[..]), "what was there is there again");
        assert!(after.len() > before.len(), "and what came since");
    }
    cluster.stop().await;
}
