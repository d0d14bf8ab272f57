//! Who follows goes over to the next set of validators, awake or asleep, and proves what was sealed in both epochs.

use std::fs;
use std::path::Path;

use carat_ledger::NEWEST_PROTOCOL;
use carat_node::FollowerHome;
use carat_types::Epoch;
use carat_types::receipt::Receipt;

use super::{
    Rest, add_follower, append, await_follower, eventually, follow, make_follower, pay_through,
    start_validators,
};
use crate::cluster::{Cluster, PATIENCE, key};
use crate::epochs::{decide, end_of_epoch, founders, go_over_together, newcomer};
use crate::governance::swift;

/// The epoch that a follower proves has ended: it goes over, as its process does.
async fn follower_goes_over(cluster: &mut Cluster, follower: usize, epoch: Epoch) {
    let last = end_of_epoch(cluster, follower).await;
    cluster.nodes[follower].take().expect("it runs").hand_over(&last).await.expect("handed over");
    follow(cluster, follower).await;
    assert_eq!(cluster.nodes[follower].as_ref().expect("it runs").epochs().present(), epoch);
}

/// A payment through the follower, once it knows what validator 1 has executed now; its receipt walks over so many handovers.
async fn settles_through(cluster: &Cluster, follower: usize, over: usize) {
    let slot = cluster.status(1).await["slot"].as_u64();
    cluster.await_status(follower, "as far as a validator", |status| status["slot"].as_u64() >= slot).await;
    cluster.await_ready(follower).await;
    let hash = pay_through(cluster, follower, 5).await.parse().expect("a digest");
    let rest = Rest::new(&cluster.network.nodes[follower].api, Rest::pool().expect("a pool"));
    eventually("the follower has the receipt", async || {
        let Ok(Some(bytes)) = rest.receipt(&hash, PATIENCE).await else { return false };
        let receipt = <Receipt as carat_types::codec::Decode>::from_bytes(&bytes).expect("decodes");
        assert_eq!(receipt.handovers.len(), over);
        Receipt::verify(&bytes, &cluster.network.genesis).is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_goes_over_to_a_larger_set_awake_and_to_a_smaller_one_that_it_slept_into() {
    let mut cluster = Cluster::make_with(|out| swift(4, NEWEST_PROTOCOL, out));
    let mut set = founders(&cluster);
    set.validators.push(newcomer(&mut cluster, 4));
    let follower = add_follower(&mut cluster);
    // The home for whoever leaves, later on.
    let leavers = make_follower(&mut cluster, |_| {});
    (0..5).for_each(|index| append(&cluster.homes[index], &leavers.lines()));
    let leaver = follower + 1;
    start_validators(&mut cluster, 0..4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    follow(&mut cluster, follower).await;
    settles_through(&cluster, follower, 0).await;

    // Five of whom one is new: what was the follower's number is a validator's now.
    decide(&cluster, &set, &[1, 2]).await;
    go_over_together(&mut cluster, &[0, 1, 2, 3]).await;
    let file = Path::new("data").join(carat_handovers::FILE_NAME);
    fs::copy(cluster.homes[0].join(&file), cluster.homes[4].join(&file)).expect("given to it");
    start_validators(&mut cluster, 4..5).await;
    follower_goes_over(&mut cluster, follower, Epoch(1)).await;
    settles_through(&cluster, follower, 1).await;

    // The founder in the first place goes while the follower sleeps.
    cluster.stop_node(follower).await;
    set.epoch = Epoch(2);
    set.validators.remove(0);
    decide(&cluster, &set, &[1, 2, 4]).await;
    let last = end_of_epoch(&mut cluster, 0).await;
    cluster.nodes[0].take().expect("it runs").hand_over(&last).await.expect("handed over");
    go_over_together(&mut cluster, &[1, 2, 3, 4]).await;
    follow(&mut cluster, follower).await;
    follower_goes_over(&mut cluster, follower, Epoch(2)).await;
    settles_through(&cluster, follower, 2).await;
    assert_eq!(cluster.balance(follower, &key(2)).await, cluster.balance(1, &key(2)).await);

    // What the validator that left has goes on in the home of a follower.
    let (from, to) = (cluster.homes[0].join("data"), cluster.homes[leaver].join("data"));
    for what in ["store", carat_handovers::FILE_NAME] {
        fs::rename(from.join(what), to.join(what)).expect("moved");
    }
    follow(&mut cluster, leaver).await;
    settles_through(&cluster, leaver, 2).await;

    // Who knew that one alone follows nobody any more.
    cluster.stop_node(leaver).await;
    let settings = cluster.homes[leaver].join("node.toml");
    let text = fs::read_to_string(&settings).expect("settings");
    let peers: Vec<&str> = text.split("[[network.peers]]").collect();
    fs::write(&settings, peers[..2].join("[[network.peers]]")).expect("writable");
    let refused = FollowerHome::read(&cluster.homes[leaver]).err().expect("refused").to_string();
    assert!(refused.contains("epoch 2") && refused.contains("hint"), "{refused}");
    cluster.stop().await;
}

/// The home of a validator without a journal follows its key to another place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_that_lost_its_journal_follows_over_the_end_of_an_epoch_to_its_next_place() {
    let mut cluster = Cluster::make_with(|out| swift(4, NEWEST_PROTOCOL, out));
    start_validators(&mut cluster, 0..4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster.stop_node(3).await;
    fs::rename(cluster.homes[3].join("data/journal"), cluster.homes[3].join("lost")).expect("renamed");
    cluster.await_port_free(3).await;
    follow(&mut cluster, 3).await;
    await_follower(&cluster).await;

    let mut set = founders(&cluster);
    set.validators.rotate_right(1);
    decide(&cluster, &set, &[1, 2]).await;
    go_over_together(&mut cluster, &[0, 1, 2]).await;
    follower_goes_over(&mut cluster, 3, Epoch(1)).await;
    settles_through(&cluster, 3, 1).await;
    cluster.stop().await;
}
