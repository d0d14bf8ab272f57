//! Which home follows, and which votes.

use std::fs;

use carat_genesis::init::InitOptions;
use carat_node::{FollowerHome, Home, Node};
use carat_types::genesis::Visibility;

use super::{add_follower, append, await_follower, follow, make_follower, pay_through, start_validators};
use crate::cluster::{Cluster, key};

fn refused_to_follow(cluster: &Cluster, index: usize) -> String {
    FollowerHome::read(&cluster.homes[index]).err().expect("refused").to_string()
}

fn refused_to_vote(cluster: &Cluster, index: usize) -> String {
    Home::read(&cluster.homes[index]).err().expect("refused").to_string()
}

fn check(error: &str, expected: &[&str]) {
    for part in expected {
        assert!(error.contains(part), "{error:?} should say {part:?}");
    }
}

#[tokio::test]
async fn home_with_a_journal_does_not_follow_and_a_followers_does_not_vote() {
    let mut cluster = Cluster::make(1);
    let follower = add_follower(&mut cluster);
    check(&refused_to_follow(&cluster, 0), &["holds a journal", "hint", "carat-node run"]);
    check(&refused_to_vote(&cluster, follower), &["no validator.index", "hint", "carat-node follow"]);
    FollowerHome::read(&cluster.homes[follower]).expect("follows");

    // A validator's key is no follower's, and its own entry is none among its followers.
    let (own, theirs) = ("keys/network.key.json", cluster.homes[0].join("keys/network.key.json"));
    fs::copy(theirs, cluster.homes[follower].join(own)).expect("copied");
    check(&refused_to_follow(&cluster, follower), &["the network key of a validator", "hint"]);
    let key = cluster.network.genesis.genesis.validators[0].network;
    append(&cluster.homes[0], &format!("[[followers.peers]]\nkey = \"{key}\"\naddress = \"127.0.0.1:1\"\n"));
    check(&refused_to_vote(&cluster, 0), &["followers.peers", &key.to_string(), "hint"]);

    // One that would ask nobody, or somebody who does not exist.
    let settings = cluster.homes[follower].join("node.toml");
    let text = fs::read_to_string(&settings).expect("settings");
    fs::write(&settings, text.replace("index = 0", "index = 1")).expect("writable");
    check(&refused_to_follow(&cluster, follower), &["validator 1 does not exist"]);
    let nobody = text.split("[[network.peers]]").next().expect("the rest");
    fs::write(&settings, nobody).expect("writable");
    check(&refused_to_follow(&cluster, follower), &["no validator to follow", "hint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_that_lost_its_journal_is_refused_a_vote_and_follows_in_its_home() {
    let mut cluster = Cluster::make(4);
    start_validators(&mut cluster, 0..4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster.stop_node(3).await;
    fs::rename(cluster.homes[3].join("data/journal"), cluster.homes[3].join("lost")).expect("renamed");
    let home = Home::read(&cluster.homes[3]).expect("all but the journal");
    let error = Node::start(home).await.err().expect("refused").to_string();
    check(&error, &["no journal", "hint", "carat-node follow"]);
    cluster.await_port_free(3).await;

    pay_through(&cluster, 0, 5).await;
    follow(&mut cluster, 3).await;
    let status = await_follower(&cluster).await;
    assert_eq!((&status["role"], &status["name"]), (&"follows, no vote".into(), &"v3".into()), "{status}");
    cluster.await_ready(3).await;
    let before = cluster.balance(3, &key(2)).await;
    pay_through(&cluster, 3, 7).await;
    assert_eq!(cluster.balance(3, &key(2)).await, before + 7);
    assert!(!cluster.homes[3].join("data/journal").exists(), "it has made none");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_of_a_members_network_needs_its_salt_and_proves_the_salted_root() {
    let visibility = Some(Visibility::Members);
    let mut cluster = Cluster::make_with(|out| InitOptions { visibility, ..InitOptions::test(1, out) });
    let salt = cluster.homes[0].join("keys/salt.json");
    let made = make_follower(&mut cluster, |options| options.salt = Some(salt));
    append(&cluster.homes[0], &made.lines());
    let (kept, away) = (cluster.homes[1].join("keys/salt.json"), cluster.homes[1].join("away"));
    fs::rename(&kept, &away).expect("renamed");
    check(&refused_to_follow(&cluster, 1), &["salt.json", "hint"]);
    fs::rename(&away, &kept).expect("renamed");
    start_validators(&mut cluster, 0..1).await;
    follow(&mut cluster, 1).await;
    // Each block that it executes gives the root that the validator sealed, or it would stop.
    await_follower(&cluster).await;
    cluster.await_ready(1).await;
    cluster.stop().await;
}
