//! Stopping and starting: nothing acknowledged is lost, a late validator catches up.

use crate::cluster::{Cluster, key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_validators_stopped_and_started_keep_what_they_acknowledged() {
    let mut cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(3, &key(2)).await;
    // What one validator has answered, another may not have executed yet.
    cluster.assert_same_state().await;
    let before = cluster.balance(0, &key(2)).await;
    cluster.pay(&key(1), &key(2), 5).await;
    for index in 0..4 {
        cluster.stop_node(index).await;
    }
    for index in 0..4 {
        cluster.start_node(index).await.expect("starts again");
    }
    for index in 0..4 {
        cluster.await_ready(index).await;
    }
    cluster.assert_same_state().await;
    for index in 0..4 {
        assert_eq!(cluster.balance(index, &key(2)).await, before + 5, "validator {index}");
    }
    cluster.pay(&key(1), &key(2), 6).await;
    cluster.assert_same_state().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_that_missed_more_than_a_window_catches_up_by_certified_blocks() {
    let mut cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster.stop_node(3).await;
    let missed = cluster.status(0).await["slot"].as_u64().expect("a slot");
    // One slot a payment: more than two checkpoints, so that the others have forgotten their votes.
    for amount in 1..=150 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    let ahead = cluster.status(0).await["slot"].as_u64().expect("a slot");
    assert!(ahead > missed + 130, "{missed} to {ahead}");
    cluster.start_node(3).await.expect("starts again");
    cluster.await_status(3, "caught up", |status| status["slot"].as_u64() >= Some(ahead)).await;
    cluster.await_ready(3).await;
    cluster.assert_same_state().await;
    assert_eq!(cluster.balance(3, &key(2)).await, cluster.balance(0, &key(2)).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_without_a_quorum_says_so_and_is_ready_again_with_it() {
    let mut cluster = Cluster::start(4).await;
    cluster.stop_node(2).await;
    cluster.stop_node(3).await;
    let alone = cluster.await_status(0, "without a quorum", |status| status["state"] == "no-quorum").await;
    assert_eq!(alone["ready"], false);
    let reasons = alone["reasons"].to_string();
    assert!(reasons.contains("reaches 2 validators with itself, 3 are needed"), "{reasons}");
    cluster.start_node(2).await.expect("starts again");
    cluster.await_ready(0).await;
    cluster.await_ready(2).await;
    cluster.stop().await;
}
