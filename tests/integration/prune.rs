//! Validators that keep only their newest blocks.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use carat_genesis::init::InitOptions;
use carat_node::Home;
use carat_node::backup::{self, Making};
use carat_types::LeafRule;
use carat_types::genesis::ConsensusConstants;

use crate::cluster::{Cluster, key};

fn keep_blocks(home: &Path, blocks: u64) {
    let mut file = OpenOptions::new().append(true).open(home.join("node.toml")).expect("settings");
    write!(file, "\n[store]\nkeep_blocks = {blocks}\n").expect("writable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_that_keeps_its_newest_blocks_settles_on_and_says_where_it_begins() {
    let consensus =
        ConsensusConstants { checkpoint_interval: 4, window: 16, ..ConsensusConstants::default() };
    let mut cluster = Cluster::start_with(|out| InitOptions { consensus, ..InitOptions::test(4, out) }).await;
    cluster.stop_node(3).await;
    keep_blocks(&cluster.homes[3], 63);
    let refused = Home::read(&cluster.homes[3]).err().expect("refused").to_string();
    assert!(refused.contains("store.keep_blocks is 63, expected at least 64"), "{refused}");
    let settings = std::fs::read_to_string(cluster.homes[3].join("node.toml")).expect("settings");
    std::fs::write(cluster.homes[3].join("node.toml"), settings.replace("= 63", "= 64")).expect("writable");
    cluster.start_node(3).await.expect("starts");
    cluster.await_ready(3).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    for amount in 1..=150 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    // On a fast machine so many blocks make one ledger, and readers are shown whole ledgers: the last payments have their own.
    for amount in 151..=153 {
        cluster.await_histories(&[0, 3]).await;
        cluster.pay(&key(1), &key(2), amount).await;
    }
    cluster.assert_same_state().await;
    cluster.await_histories(&[0, 3]).await;
    // What is older is gone there, and the answer says so.
    let (_, root) = cluster.get(3, "/").await;
    let elder = root["history_elder_ledger"].as_u64().expect("a ledger");
    assert!(elder > 1, "{root}");
    assert_eq!(cluster.get(3, &format!("/ledgers/{}", elder - 1)).await.0, 410);
    assert_eq!(cluster.get(0, &format!("/ledgers/{}", elder - 1)).await.0, 200, "the others keep all");
    let (status, payments) = cluster.get(3, "/payments?order=asc&limit=200").await;
    let all = cluster.get(0, "/payments?order=asc&limit=200").await.1;
    let ids = |page: &serde_json::Value| -> Vec<String> {
        let records = page["_embedded"]["records"].as_array().expect("records");
        records.iter().map(|record| record["id"].to_string()).collect()
    };
    assert_eq!(status, 200);
    let (kept, all) = (ids(&payments), ids(&all));
    assert!(kept.len() < all.len() && !kept.is_empty(), "{} of {} payments", kept.len(), all.len());
    assert!(all.ends_with(&kept), "the newest, as the others have them");
    // A backup of it is proven as any other, and its store opens again.
    let (home, out) = (cluster.homes[3].clone(), cluster.path().join("backup"));
    let made =
        tokio::task::spawn_blocking(move || backup::create(&home, &out, &Making::default(), &mut |_, _| ()));
    made.await.expect("no panic").expect("a backup");
    let genesis = Home::read(&cluster.homes[3]).expect("sound").genesis().clone();
    let report = backup::verify(
        &cluster.path().join("backup"),
        &genesis,
        &LeafRule::Open,
        None,
        false,
        &mut |_, _| (),
    )
    .expect("proven");
    assert!(report.base.0 > 1 && report.blocks < 150, "{report:?}");
    cluster.stop_node(3).await;
    cluster.start_node(3).await.expect("starts again");
    cluster.await_ready(3).await;
    cluster.stop_node(2).await;
    cluster.pay(&key(1), &key(2), 7).await;
    cluster.start_node(2).await.expect("starts again");
    cluster.assert_same_state().await;
    cluster.stop().await;
}
