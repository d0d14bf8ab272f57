//! Nodes without a vote: they prove what they show, forward what they are brought, and validators serve them within bounds.

mod epochs;
mod home;
mod served;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carat_client::network::NodeAddress;
use carat_client::rest::Rest;
use carat_genesis::follower::{FollowerOptions, LaterEpoch, MadeFollower, follower, validators_of};
use carat_genesis::init::InitOptions;
use carat_node::{FollowerHome, Node};
use carat_types::builder::operation;
use carat_types::genesis::ConsensusConstants;
use carat_types::receipt::Receipt;
use serde_json::Value;
use stellar_xdr::{Limits, WriteXdr as _};

use crate::cluster::{Cluster, PATIENCE, eventually, free_ports, id, key};

/// Adds a follower to a network that does not run yet, as its operators would. **Returns** its number among the nodes.
fn add_follower(cluster: &mut Cluster) -> usize {
    let made = make_follower(cluster, |_| {});
    let number = cluster.homes.len() - 1;
    (0..number).for_each(|index| append(&cluster.homes[index], &made.lines()));
    number
}

/// Makes the home of a follower that nobody knows yet, the last of the nodes from now on.
fn make_follower(cluster: &mut Cluster, change: impl FnOnce(&mut FollowerOptions)) -> MadeFollower {
    let base = free_ports(1);
    let at = |offset: u16| SocketAddr::from(([127, 0, 0, 1], base + offset));
    let home = cluster.path().with_file_name(format!("f{}", cluster.homes.len()));
    let mut options = FollowerOptions {
        out: home.clone(),
        genesis: cluster.path().join("genesis.json"),
        validators: validators_of(&cluster.path()).expect("a network's folder"),
        listen: at(0),
        address: None,
        api: at(1),
        metrics: at(2),
        later: LaterEpoch::default(),
        salt: None,
        key_passphrase: None,
    };
    change(&mut options);
    let made = follower(&options).expect("a home");
    let (api, metrics) = (format!("http://{}", at(1)), format!("http://{}", at(2)));
    cluster.network.nodes.push(NodeAddress { name: "follower".to_owned(), home: home.clone(), api, metrics });
    cluster.homes.push(home);
    cluster.nodes.push(None);
    made
}

fn append(home: &Path, text: &str) {
    let path: PathBuf = home.join("node.toml");
    let settings = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(path, format!("{settings}\n{text}")).expect("writable");
}

async fn follow(cluster: &mut Cluster, index: usize) {
    let home = FollowerHome::read(&cluster.homes[index]).expect("sound");
    cluster.nodes[index] = Some(Node::follow(home).await.expect("follows"));
}

async fn start_validators(cluster: &mut Cluster, validators: std::ops::Range<usize>) {
    for index in validators.clone() {
        cluster.start_node(index).await.expect("starts");
    }
    for index in validators {
        cluster.await_ready(index).await;
    }
}

/// Waits until the last of the nodes has proved what validator 0 has executed now.
async fn await_follower(cluster: &Cluster) -> Value {
    let slot = cluster.status(0).await["slot"].as_u64();
    let index = cluster.nodes.len() - 1;
    cluster.await_status(index, "as far as the validators", |status| status["slot"].as_u64() >= slot).await
}

/// Pays through the REST interface of a node and waits for the outcome. **Returns** the transaction's hash.
async fn pay_through(cluster: &Cluster, index: usize, stroops: i64) -> String {
    let payment = operation::payment(id(&key(2)), stellar_xdr::Asset::Native, stroops);
    let envelope = cluster.build(&key(1), vec![payment]).await;
    let envelope = envelope.to_xdr_base64(Limits::none()).expect("encodes");
    let (status, answer) = cluster.post(index, "/transactions", &envelope).await;
    assert_eq!(status, 200, "{answer}");
    answer["hash"].as_str().expect("a hash").to_owned()
}

async fn metric(cluster: &Cluster, index: usize, line: &str) -> bool {
    let rest = Rest::new(&cluster.network.nodes[index].metrics, Rest::pool().expect("a pool"));
    rest.text("/metrics", PATIENCE).await.is_ok_and(|metrics| metrics.contains(line))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_shows_what_is_sealed_and_goes_on_after_a_restart_and_without_the_validator_that_it_asked() {
    let mut cluster = Cluster::make(4);
    let follower = add_follower(&mut cluster);
    start_validators(&mut cluster, 0..4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    follow(&mut cluster, follower).await;
    let hash = pay_through(&cluster, 0, 5).await;
    let status = await_follower(&cluster).await;
    assert_eq!(status["role"], "follows, no vote", "{status}");
    cluster.await_ready(follower).await;
    eventually("it is counted", async || metric(&cluster, 0, "followers_connected 1").await).await;

    // Its receipt is proof, for whoever has the genesis file.
    let digest = hash.parse().expect("a digest");
    let rest = Rest::new(&cluster.network.nodes[follower].api, Rest::pool().expect("a pool"));
    eventually("the follower has the receipt", async || {
        let receipt = rest.receipt(&digest, PATIENCE).await;
        receipt.is_ok_and(|bytes| {
            bytes.is_some_and(|bytes| Receipt::verify(&bytes, &cluster.network.genesis).is_ok())
        })
    })
    .await;
    assert_eq!(cluster.balance(follower, &key(2)).await, cluster.balance(0, &key(2)).await);

    // A restart goes on behind the last block, and missed ones are fetched.
    cluster.stop_node(follower).await;
    for amount in 1..=5 {
        pay_through(&cluster, 0, amount).await;
    }
    follow(&mut cluster, follower).await;
    await_follower(&cluster).await;
    cluster.await_ready(follower).await;

    // Each of them can go: another one is asked.
    for gone in [1, 2, 3] {
        cluster.stop_node(gone).await;
        pay_through(&cluster, 0, 7).await;
        await_follower(&cluster).await;
        cluster.start_node(gone).await.expect("starts again");
        cluster.await_ready(gone).await;
    }
    assert_eq!(cluster.balance(follower, &key(2)).await, cluster.balance(0, &key(2)).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_through_a_follower_of_one_validator_settles_and_is_answered_when_its_block_is_sealed() {
    let mut cluster = Cluster::make(4);
    // It asks the last validator alone, which spreads what it forwards to the leader and the others.
    let made = make_follower(&mut cluster, |options| options.validators.retain(|index, _| *index == 3));
    append(&cluster.homes[3].clone(), &made.lines());
    start_validators(&mut cluster, 0..4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster.await_caught_up(3).await;
    follow(&mut cluster, 4).await;
    await_follower(&cluster).await;
    cluster.await_ready(4).await;
    let before = cluster.balance(4, &key(2)).await;
    let hash = pay_through(&cluster, 4, 11).await;
    assert_eq!(cluster.balance(4, &key(2)).await, before + 11, "answered when it is shown here");
    for validator in 0..4 {
        cluster.await_caught_up(validator).await;
        assert_eq!(cluster.balance(validator, &key(2)).await, before + 11, "validator {validator}");
    }
    // What a follower refuses, it refuses against its own state, and forwards nothing.
    let payment = operation::payment(id(&key(2)), stellar_xdr::Asset::Native, 1);
    let stale = cluster.build_at(&key(1), 1, vec![payment]).to_xdr_base64(Limits::none()).expect("encodes");
    let (status, answer) = cluster.post(4, "/transactions", &stale).await;
    assert_eq!(
        (status, &answer["extras"]["result_codes"]["transaction"]),
        (400, &"tx_bad_seq".into()),
        "{answer}"
    );
    assert_eq!(cluster.get(4, &format!("/transactions/{hash}")).await.0, 200);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_follower_fetches_a_state_where_the_blocks_are_not_kept_any_more_and_starts_again_on_it() {
    // A state is kept every 32 slots; who misses more than 48 wants one.
    let consensus =
        ConsensusConstants { checkpoint_interval: 4, window: 16, ..ConsensusConstants::default() };
    let mut cluster = Cluster::make_with(|out| InitOptions { consensus, ..InitOptions::test(1, out) });
    let follower = add_follower(&mut cluster);
    append(&cluster.homes[0], "[store]\nkeep_blocks = 64\n");
    start_validators(&mut cluster, 0..1).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    for amount in 1..=120 {
        pay_through(&cluster, 0, amount).await;
    }
    eventually("the first blocks are dropped", async || {
        !metric(&cluster, 0, "store_oldest_block 0\n").await
            && !metric(&cluster, 0, "store_oldest_block 1\n").await
    })
    .await;
    follow(&mut cluster, follower).await;
    await_follower(&cluster).await;
    cluster.await_ready(follower).await;
    pay_through(&cluster, follower, 3).await;
    assert!(
        !metric(&cluster, 0, "followers_answers_total{answer=\"chunk\"} 0\n").await,
        "it asked for chunks"
    );

    cluster.stop_node(follower).await;
    let home = FollowerHome::read(&cluster.homes[follower]).expect("sound");
    let base = home.open().expect("sound").base().expect("readable");
    assert!(base.is_some_and(|base| base.slot.0 > 1), "it fetched a state: {base:?}");
    follow(&mut cluster, follower).await;
    await_follower(&cluster).await;
    assert_eq!(cluster.balance(follower, &key(2)).await, cluster.balance(0, &key(2)).await);
    cluster.stop().await;
}
