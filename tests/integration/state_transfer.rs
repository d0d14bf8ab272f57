//! A validator without its store fetches the state from the others and goes on with them.

use std::path::Path;

use carat_genesis::init::InitOptions;
use carat_node::Home;
use carat_types::LeafRule;
use carat_types::builder::operation;
use carat_types::genesis::{ConsensusConstants, Visibility};
use stellar_xdr::{Limits, WriteXdr as _};

use crate::cluster::{Cluster, id, key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_that_lost_its_store_fetches_the_state_and_is_counted_again() {
    // A state is kept every 32 slots; who misses more than 48 wants one.
    let consensus =
        ConsensusConstants { checkpoint_interval: 4, window: 16, ..ConsensusConstants::default() };
    let mut cluster = Cluster::start_with(|out| InitOptions { consensus, ..InitOptions::test(4, out) }).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster.stop_node(3).await;
    std::fs::remove_dir_all(cluster.homes[3].join("data/store")).expect("it had a store");
    for amount in 1..=100 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    let ahead = cluster.status(0).await["slot"].as_u64().expect("a slot");
    cluster.start_node(3).await.expect("starts with its journal alone");
    cluster.await_status(3, "caught up", |status| status["slot"].as_u64() >= Some(ahead)).await;
    cluster.await_ready(3).await;
    cluster.assert_same_state().await;
    assert_eq!(cluster.balance(3, &key(2)).await, cluster.balance(0, &key(2)).await);
    // It did not execute what was before, and says so.
    let (_, root) = cluster.get(3, "/").await;
    let elder = root["history_elder_ledger"].as_u64().expect("a ledger");
    assert!(elder > 1, "{root}");
    let (status, _) = cluster.get(3, &format!("/ledgers/{}", elder - 1)).await;
    assert_eq!(status, 410);
    // The others need it now, and its history goes on.
    cluster.stop_node(2).await;
    let before = cluster.balance(3, &key(2)).await;
    cluster.pay(&key(1), &key(2), 7).await;
    cluster.assert_same_state().await;
    assert_eq!(cluster.balance(3, &key(2)).await, before + 7);
    // Its store opens again, and it goes on from there.
    cluster.stop_node(3).await;
    cluster.start_node(2).await.expect("starts again");
    cluster.start_node(3).await.expect("starts on the fetched state");
    cluster.await_ready(3).await;
    // Answered when it is in this validator's history.
    let payment = operation::payment(id(&key(2)), stellar_xdr::Asset::Native, 8);
    let envelope = cluster.build(&key(1), vec![payment]).await;
    let envelope = envelope.to_xdr_base64(Limits::none()).expect("encodes");
    let (status, answer) = cluster.post(3, "/transactions", &envelope).await;
    assert_eq!(status, 200, "{answer}");
    cluster.assert_same_state().await;
    let (status, payments) = cluster
        .get(3, &format!("/accounts/{}/payments?order=desc&limit=1", crate::cluster::address(&key(2))))
        .await;
    assert_eq!(status, 200, "{payments}");
    assert_eq!(payments["_embedded"]["records"][0]["amount"], "0.0000008", "{payments}");
    cluster.stop().await;
}

/// The chunks hold no salt: the receiver makes them from its own secret, or the root would be another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_of_a_members_network_fetches_a_state_whose_leaves_are_salted() {
    let consensus = ConsensusConstants {
        checkpoint_interval: 4,
        window: 16,
        heartbeat_ms: 20,
        ..ConsensusConstants::default()
    };
    let visibility = Some(Visibility::Members);
    let members = |out: &Path| InitOptions { consensus, visibility, ..InitOptions::test(4, out) };
    let mut cluster = Cluster::start_with(members).await;
    cluster.stop_node(3).await;
    std::fs::remove_dir_all(cluster.homes[3].join("data/store")).expect("it had a store");
    // Idle leaders propose: blocks without payments carry the state on as well.
    cluster.await_status(0, "far ahead", |status| status["slot"].as_u64() >= Some(100)).await;
    // Without the third of them nothing is ordered until the fourth is back: the state that it is offered stays the newest.
    cluster.stop_node(2).await;
    cluster.start_node(3).await.expect("starts with its journal alone");
    cluster.await_status(3, "caught up", |status| status["slot"].as_u64() >= Some(100)).await;
    cluster.await_ready(3).await;
    cluster.stop_node(3).await;
    let home = Home::read(&cluster.homes[3]).expect("sound");
    let (_journal, _, store) = home.open().expect("sound");
    assert!(store.base().expect("readable").is_some(), "it fetched a state");
    store.state_tree(home.leaves()).expect("the salted root of its newest block");
    store.state_tree(&LeafRule::Open).expect_err("no open one");
    drop(store);
    cluster.stop().await;
}
