//! Evidence that is submitted to the ledger: on record at all validators, and the ground of the next set of validators.

use carat_client::evidence::prepare;
use carat_client::outcome::Outcome;
use carat_ledger::NEWEST_PROTOCOL;
use carat_node::Home;
use carat_types::accountability::without_convicted;
use carat_types::epoch::{EpochSet, Epochs};
use carat_types::evidence::{Both, Evidence};
use carat_types::message::{Ballot, Prepare, Seal};
use carat_types::{Digest, Epoch, PublicKey, Slot, View};
use serde_json::Value;

use crate::cluster::{Cluster, key};
use crate::epochs::{decide, founders, go_over_together, pay_after};
use crate::evidence::sign_in;
use crate::governance::start;

/// Two SEALs of one validator for one slot, made with its key.
fn seals(cluster: &Cluster, set: &EpochSet, signer: u16) -> Evidence {
    let validators = set.validators(cluster.network.genesis.chain_id).expect("a possible size");
    let seal =
        |header| sign_in(cluster, &validators, signer, Seal { slot: Slot(9), header: Digest([header; 32]) });
    Evidence::Seals(Both { first: seal(1), second: seal(2) })
}

/// Two votes of one validator for one view and slot, made with its key.
fn votes(cluster: &Cluster, set: &EpochSet, signer: u16) -> Evidence {
    let validators = set.validators(cluster.network.genesis.chain_id).expect("a possible size");
    let vote = |value| {
        let digest = Digest([value; 32]);
        let ballot = Ballot { view: View(0), slot: Slot(9), digest, prefix: digest };
        sign_in(cluster, &validators, signer, Prepare(ballot))
    };
    Evidence::Votes(Both { first: vote(1), second: vote(2) })
}

/// Account 1, which is no validator's, submits evidence and pays for it.
///
/// **Returns** the transaction's hash, and in words what came of it.
async fn submit(cluster: &Cluster, epochs: &Epochs, evidence: &Evidence) -> (Digest, String) {
    let genesis = &cluster.network.genesis;
    let prepared = prepare(genesis, epochs, NEWEST_PROTOCOL, evidence.clone()).expect("holds");
    let envelope = cluster.build(&key(1), vec![prepared.operation]).await;
    let finality = cluster.client.submit(envelope).await.expect("settles");
    (finality.hash, Outcome::of(&finality.result).to_string())
}

/// What a validator shows on record, once it has executed all that anybody has now.
async fn on_record(cluster: &Cluster, index: usize) -> Vec<Value> {
    cluster.await_caught_up(index).await;
    let (status, epochs) = cluster.get(index, "/epochs").await;
    assert_eq!(status, 200, "{epochs}");
    epochs["convictions"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn convict_is_on_record_at_all_validators_and_voted_out_of_the_next_set() {
    let mut cluster = start(5, NEWEST_PROTOCOL).await;
    cluster.fund(0, &key(2)).await;
    cluster.assert_same_state().await;
    let genesis = cluster.network.genesis.clone();
    let mut epochs = Epochs::of(&genesis).expect("five");
    let evidence = seals(&cluster, epochs.set(), 4);
    let (hash, done) = submit(&cluster, &epochs, &evidence).await;
    assert_eq!(done, "tx_success [op_success]");
    cluster.assert_same_state().await;
    let (_, again) = submit(&cluster, &epochs, &evidence).await;
    assert_eq!(again, "tx_failed [resource_limit_exceeded]");
    let mut convicted: Vec<PublicKey> = Vec::new();
    for index in 0..5 {
        let shown = on_record(&cluster, index).await;
        let [conviction] = &shown[..] else { panic!("{index}: {shown:?}") };
        let name = epochs.set().validators[4].name.as_str();
        assert_eq!((&conviction["name"], &conviction["code"]), (&name.into(), &"E5".into()), "{conviction}");
        assert_eq!(conviction["evidence"], evidence.id().to_string());
        convicted.push(serde_json::from_value(conviction["key"].clone()).expect("a key"));
    }
    // History tells what the call was about.
    cluster.await_histories(&[0]).await;
    let (_, operations) = cluster.get(0, &format!("/transactions/{hash}/operations")).await;
    let call = &operations["_embedded"]["records"][0]["governance"];
    assert_eq!((&call["call"], &call["code"]), (&"evidence".into(), &"E5".into()), "{operations}");

    let drafted = without_convicted(epochs.set(), &convicted);
    assert_eq!(drafted, EpochSet { validators: drafted.validators.clone(), ..founders(&cluster) });
    assert_eq!(drafted.validators, founders(&cluster).validators[..4]);
    decide(&cluster, &drafted, &[1, 2, 3]).await;
    go_over_together(&mut cluster, &[0, 1, 2, 3]).await;
    cluster.stop_node(4).await;
    pay_after(&cluster, 1).await;
    cluster.assert_same_state().await;

    // The ledger keeps the set of an epoch that begins, so that evidence of it needs no file.
    epochs = Home::read(&cluster.homes[0]).expect("a home").epochs().clone();
    assert_eq!(epochs.present(), Epoch(1));
    for evidence in [votes(&cluster, epochs.set(), 3), votes(&cluster, &founders_of_epoch_0(&cluster), 2)] {
        let (_, done) = submit(&cluster, &epochs, &evidence).await;
        assert_eq!(done, "tx_success [op_success]");
        cluster.assert_same_state().await;
    }
    for index in 0..4 {
        let places: Vec<Value> =
            on_record(&cluster, index).await.iter().map(|it| it["place"].clone()).collect();
        assert_eq!(places, [4, 3, 2], "{index}");
    }
    // Every block is executed again from the genesis file on.
    cluster.stop_node(3).await;
    let home = Home::read(&cluster.homes[3]).expect("a home");
    home.replay(|_, _| {}).expect("leads there");
    cluster.stop().await;
}

fn founders_of_epoch_0(cluster: &Cluster) -> EpochSet {
    EpochSet { epoch: Epoch(0), ..founders(cluster) }
}
