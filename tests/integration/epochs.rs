//! Validators that change by vote while the network settles: one epoch ends, the next begins.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use carat_ledger::NEWEST_PROTOCOL;
use carat_node::NodeError;
use carat_types::epoch::EpochSet;
use carat_types::genesis::GenesisValidator;
use carat_types::governance::{Call, Change};
use carat_types::key_file::{self, KeyRole};
use carat_types::message::StableCheckpoint;
use carat_types::receipt::{Assumption, Receipt};
use carat_types::{Epoch, SecretKey};

use crate::cluster::{Cluster, PATIENCE, key};
use crate::governance::{approve, governance, speak, start};

/// The set of the first epoch.
fn founders(cluster: &Cluster) -> EpochSet {
    let genesis = &cluster.network.genesis.genesis;
    EpochSet { epoch: Epoch(1), validators: genesis.validators.clone(), consensus: genesis.consensus }
}

/// Three keys, in files as a validator has them. **Returns** what a set says of them.
fn make_keys(folder: &Path, name: &str, number: u8) -> GenesisValidator {
    std::fs::create_dir_all(folder).expect("made");
    let public = KeyRole::ALL.map(|role| {
        let secret = SecretKey::from_seed(&[number, role as u8].repeat(16).try_into().expect("32 bytes"));
        let mut file = std::fs::OpenOptions::new();
        let file = file.write(true).create_new(true).mode(0o600).open(folder.join(role.file_name()));
        let text = key_file::write(role, &secret);
        std::io::Write::write_all(&mut file.expect("new"), text.as_bytes()).expect("written");
        secret.public()
    });
    let [acceptor, proposer, network] = public;
    GenesisValidator { name: name.to_owned(), acceptor, proposer, network }
}

/// Three of four validators decide on a set.
async fn decide(cluster: &Cluster, set: &EpochSet) {
    let change = Change::Set(Box::new(set.clone()));
    let proposed = speak(cluster, 0, |key| Call::Propose {
        signer: key.public(),
        change: change.clone(),
        valid_until: u64::MAX,
    })
    .await;
    assert!(proposed.contains("success"), "{proposed}");
    let open = governance(cluster, 0).await;
    let id = open["proposals"][0]["id"].as_str().unwrap_or_else(|| panic!("none is open: {open}")).to_owned();
    for index in [1, 2] {
        let approved = approve(cluster, index, &id).await;
        assert!(approved.contains("success"), "{approved}");
    }
}

/// Waits until the epoch of a validator has ended.
async fn end_of_epoch(cluster: &mut Cluster, index: usize) -> std::sync::Arc<StableCheckpoint> {
    let failed = cluster.nodes[index].as_mut().expect("it runs").failed();
    match tokio::time::timeout(PATIENCE, failed).await.expect("the epoch ends") {
        NodeError::EpochEnded(last) => last,
        error => panic!("validator {index}: {error}"),
    }
}

/// A validator goes over to the next epoch, as its process does.
async fn go_over(cluster: &mut Cluster, index: usize) {
    let last = end_of_epoch(cluster, index).await;
    cluster.nodes[index].take().expect("it runs").hand_over(&last).await.expect("handed over");
    cluster.start_node(index).await.expect("starts in the next epoch");
}

/// A payment whose receipt walks over `handovers` handovers.
async fn pay_after(cluster: &Cluster, handovers: usize) {
    let payment = carat_types::builder::operation::payment(
        crate::cluster::id(&key(2)),
        stellar_xdr::Asset::Native,
        70_000_000,
    );
    let envelope = cluster.build(&key(1), vec![payment]).await;
    let finality = cluster.client.submit(envelope).await.expect("settles");
    let receipt = <Receipt as carat_types::codec::Decode>::from_bytes(&finality.receipt).expect("decodes");
    assert_eq!(receipt.handovers.len(), handovers);
    let verdict = Receipt::verify(&finality.receipt, &cluster.network.genesis).expect("holds");
    assert_eq!(verdict.assumption, Assumption::AtMostDishonestInEach(1));
    let without = receipt.after(Vec::new());
    let refused = Receipt::verify(&carat_types::codec::Encode::to_bytes(&without), &cluster.network.genesis);
    refused.expect_err("its set is none of the genesis file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_validator_are_replaced_by_vote_and_the_network_settles_on() {
    let mut cluster = start(4, NEWEST_PROTOCOL).await;
    cluster.fund(0, &key(2)).await;
    let mut set = founders(&cluster);
    set.validators[3] = make_keys(&cluster.homes[3].join("keys/next"), &set.validators[3].name, 77);
    decide(&cluster, &set).await;
    for index in 0..4 {
        go_over(&mut cluster, index).await;
    }
    for index in 0..4 {
        cluster.await_ready(index).await;
    }
    pay_after(&cluster, 1).await;
    // Three of four are a quorum: the new key votes.
    cluster.stop_node(2).await;
    pay_after(&cluster, 1).await;
    cluster.start_node(2).await.expect("starts again");
    cluster.await_ready(2).await;
    cluster.assert_same_state().await;
    // A restart is in the new epoch, with its journal; the old epoch's is gone.
    for index in 0..4 {
        cluster.stop_node(index).await;
    }
    for index in 0..4 {
        cluster.start_node(index).await.expect("starts again");
    }
    for index in 0..4 {
        cluster.await_ready(index).await;
    }
    pay_after(&cluster, 1).await;
    // Every block of both epochs leads from the genesis file to the state.
    cluster.assert_same_state().await;
    cluster.stop_node(3).await;
    let home = carat_node::Home::read(&cluster.homes[3]).expect("a home");
    assert_eq!(home.epochs().present(), Epoch(1));
    let replayed = home.replay(|_, _| {}).expect("leads there");
    assert!(replayed.sealed > 0);
    cluster.stop().await;
}
