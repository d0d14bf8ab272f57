//! Test and main networks: what holds on the one is worth nothing on the other.

use carat_genesis::init::InitOptions;
use carat_types::builder::operation;
use carat_types::genesis::{Profile, Visibility};
use stellar_xdr::{Asset, Limits, TransactionEnvelope, WriteXdr};

use crate::cluster::{Cluster, address, id, key};

const COIN: i64 = 10_000_000;
/// A sequence number that the account has on both networks, so that it alone refuses nothing.
const SEQUENCE: i64 = 1 << 50;

/// A main network of one validator, open so that only the profile makes a difference. Key 9 is the founders'.
async fn main_network() -> Cluster {
    let cluster = Cluster::start_with(|out| InitOptions {
        profile: Profile::Main,
        root_account: Some(key(9).public()),
        visibility: Some(Visibility::Open),
        ..InitOptions::test(1, out)
    })
    .await;
    for number in [1, 2] {
        let create = operation::create_account(id(&key(number)), 1_000 * COIN);
        let envelope = cluster.build(&key(9), vec![create]).await;
        cluster.client.submit(envelope).await.expect("settles");
    }
    cluster
}

async fn test_network() -> Cluster {
    let cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster
}

fn base64(envelope: &TransactionEnvelope) -> String {
    envelope.to_xdr_base64(Limits::none()).expect("encodes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_of_one_network_is_refused_by_the_other_and_settles_at_home() {
    let networks = [test_network().await, main_network().await];
    let pay = || vec![operation::payment(id(&key(2)), Asset::Native, 7)];
    let mut envelopes = Vec::new();
    for network in &networks {
        let bump = network.build(&key(1), vec![operation::bump_sequence(SEQUENCE)]).await;
        network.client.submit(bump).await.expect("settles");
        envelopes.push(base64(&network.build_at(&key(1), SEQUENCE, pay())));
    }
    for (home, other) in [(0, 1), (1, 0)] {
        let before = networks[other].balance(0, &key(2)).await;
        let (status, body) = networks[other].post(0, "/transactions", &envelopes[home]).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(body["extras"]["result_codes"]["transaction"], "tx_bad_auth", "{body}");
        assert_eq!(networks[other].balance(0, &key(2)).await, before);
    }
    // Refused for their network alone: at home the same bytes settle.
    for (network, envelope) in networks.iter().zip(&envelopes) {
        let before = network.balance(0, &key(2)).await;
        let (status, body) = network.post(0, "/transactions", envelope).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(network.balance(0, &key(2)).await, before + 7);
    }
    for network in networks {
        network.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn main_network_has_no_friendbot_and_no_public_root_key() {
    let cluster = main_network().await;
    let (status, _) = cluster.get(0, &format!("/friendbot?addr={}", address(&key(3)))).await;
    assert_eq!(status, 404);
    let public = carat_types::transaction::test_root_key(cluster.network.passphrase());
    let (status, _) = cluster.get(0, &format!("/accounts/{}", address(&public))).await;
    assert_eq!(status, 404, "the key that follows from the passphrase holds nothing");
    let (status, _) = cluster.get(0, &format!("/accounts/{}", address(&key(9)))).await;
    assert_eq!(status, 200, "the founders' key holds the coins");
    cluster.stop().await;
}
