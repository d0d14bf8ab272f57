//! Validators that change parameters of a running network by vote, and one that meets rules that it does not know.

use std::path::Path;

use carat_client::outcome::Outcome;
use carat_genesis::init::InitOptions;
use carat_ledger::NEWEST_PROTOCOL;
use carat_node::NodeError;
use carat_types::governance::{Call, Change, Parameter};
use carat_types::key_file::{self, KeyRole};
use carat_types::{Digest, SecretKey};
use serde_json::Value;

use crate::cluster::{Cluster, key};

/// Of a network that reaches a decided slot within seconds: checkpoints 4 slots apart, 8 open, 20 slots a second when idle.
pub(crate) fn swift(validators: u16, protocol_version: u32, out: &Path) -> InitOptions {
    let mut options = InitOptions { protocol_version, ..InitOptions::test(validators, out) };
    options.consensus.checkpoint_interval = 4;
    options.consensus.window = 8;
    options.consensus.heartbeat_ms = 50;
    options
}

/// Starts such a network.
pub(crate) async fn start(validators: u16, protocol_version: u32) -> Cluster {
    let cluster = Cluster::start_with(|out| swift(validators, protocol_version, out)).await;
    cluster.fund(0, &key(1)).await;
    cluster
}

/// The key with which a validator votes, and governs.
pub(crate) fn acceptor(cluster: &Cluster, index: usize) -> SecretKey {
    let path = cluster.homes[index].join("keys").join(KeyRole::Acceptor.file_name());
    let text = std::fs::read_to_string(path).expect("a key file");
    key_file::read(KeyRole::Acceptor, &text).expect("a plain key")
}

/// Validator `index` says something, and account 1 pays; in words what came of it.
pub(crate) async fn speak(cluster: &Cluster, index: usize, call: impl FnOnce(&SecretKey) -> Call) -> String {
    let genesis = &cluster.network.genesis;
    let speaker = acceptor(cluster, index);
    let account = genesis.genesis.governance.expect("made with governance");
    let operation = call(&speaker).operation(&genesis.chain_id, &account);
    let mut envelope = cluster.build(&key(1), vec![operation]).await;
    cluster.sign(&mut envelope, &speaker);
    let finality = cluster.client.submit(envelope).await.expect("settles");
    Outcome::of(&finality.result).to_string()
}

async fn propose(cluster: &Cluster, index: usize, parameter: Parameter, value: u32) -> String {
    let change = Change::Value { parameter, value };
    let call = |key: &SecretKey| Call::Propose { signer: key.public(), change, valid_until: u64::MAX };
    speak(cluster, index, call).await
}

pub(crate) async fn approve(cluster: &Cluster, index: usize, proposal: &str) -> String {
    let proposal = Digest(hex::decode(proposal).expect("hexadecimal").try_into().expect("32 bytes"));
    speak(cluster, index, |key| Call::Approve { signer: key.public(), proposal }).await
}

/// What validator `index` knows, once it has executed all that anybody has now.
pub(crate) async fn governance(cluster: &Cluster, index: usize) -> Value {
    cluster.await_caught_up(index).await;
    let (status, state) = cluster.get(index, "/governance").await;
    assert_eq!(status, 200, "{state}");
    state
}

/// Waits until a validator has executed a slot.
async fn reach(cluster: &Cluster, index: usize, slot: u64) {
    cluster.await_status(index, "as far", |status| status["slot"].as_u64() >= Some(slot)).await;
}

/// The slot from which on the decided change is in force.
fn from_slot(state: &Value) -> u64 {
    let text = state["scheduled"]["from_slot"].as_str().unwrap_or_else(|| panic!("nothing decided: {state}"));
    text.parse().expect("a slot")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quorum_changes_fee_and_version_of_a_running_network() {
    let cluster = start(4, NEWEST_PROTOCOL - 1).await;
    let before = governance(&cluster, 0).await;
    assert_eq!((&before["threshold"], &before["base_fee"]), (&3.into(), &100.into()), "{before}");
    for (parameter, name, value) in [
        (Parameter::BaseFee, "base_fee", 300),
        (Parameter::ProtocolVersion, "protocol_version", NEWEST_PROTOCOL),
    ] {
        let done = propose(&cluster, 0, parameter, value).await;
        assert!(done.contains("success"), "{done}");
        let open = governance(&cluster, 0).await;
        let id = open["proposals"][0]["id"].as_str().expect("one is open").to_owned();
        assert_eq!(open["proposals"][0]["approvals"].as_array().map(Vec::len), Some(1), "{open}");
        approve(&cluster, 1, &id).await;
        let again = approve(&cluster, 1, &id).await;
        assert!(again.contains("function_trapped"), "{again}");
        let third = approve(&cluster, 2, &id).await;
        assert!(third.contains("success"), "{third}");
        let decided = governance(&cluster, 2).await;
        // Decided, or in force already: a slow test is no failed one.
        if !decided["scheduled"].is_null() {
            let from = from_slot(&decided);
            assert_eq!(from % 4, 1, "above a checkpoint");
            for index in 0..4 {
                reach(&cluster, index, from).await;
            }
        }
        for index in 0..4 {
            let state = governance(&cluster, index).await;
            assert_eq!(
                (&state[name], &state["scheduled"]),
                (&value.into(), &Value::Null),
                "{index}: {state}"
            );
        }
    }
    // The header that clients of the wire format see, and the root document.
    cluster.fund(1, &key(2)).await;
    cluster.pay(&key(1), &key(2), 1).await;
    cluster.assert_same_state().await;
    cluster.await_histories(&[3]).await;
    let (_, root) = cluster.get(3, "/").await;
    assert_eq!(root["current_protocol_version"], NEWEST_PROTOCOL, "{root}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_that_no_build_knows_stops_the_node_with_a_sentence_before_the_block_and_at_every_start() {
    let mut cluster = start(1, NEWEST_PROTOCOL).await;
    // The quorum of one decides by proposing.
    propose(&cluster, 0, Parameter::ProtocolVersion, NEWEST_PROTOCOL + 1).await;
    let mut node = cluster.nodes[0].take().expect("it runs");
    let error = node.failed().await;
    let sentence = error.to_string();
    assert!(sentence.contains(&format!("protocol version {}", NEWEST_PROTOCOL + 1)), "{sentence}");
    assert!(sentence.contains("hint: upgrade this node"), "{sentence}");
    let warned = cluster.metric(0, "ledger_unknown_protocol_slot").await;
    assert!(sentence.contains(&format!("slot {warned} ")), "{warned}, known beforehand: {sentence}");
    let _ = node.stop().await;
    cluster.await_port_free(0).await;
    let refused = cluster.start_node(0).await.expect_err("the next block is of that version");
    assert!(matches!(refused, NodeError::Protocol(_)), "{refused}");
    assert_eq!(refused.to_string(), sentence);
}
