//! Sealed payloads: delivered to the parties' nodes over mutual TLS, kept through restarts, erased.

use carat_client::delivery::{self, DeliveryError, Node};
use carat_client::payload;
use carat_network::entrance::Dialler;
use carat_types::builder::operation;
use carat_types::codec::Encode as _;
use carat_types::sealed_payload::{DATA_NAME, ERASED, FOLDER, SealedPayload};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, SecretKey};
use stellar_xdr::{Asset, Hash, Limits, Memo, TransactionEnvelope, WriteXdr as _};

use crate::cluster::{Cluster, id, key};

const SENDER: u8 = 1;
const RECIPIENT: u8 = 2;
const STRANGER: u8 = 3;

fn dialler(cluster: &Cluster, as_key: &SecretKey) -> Dialler {
    Dialler::new(as_key, &cluster.network.genesis.chain_id).expect("a socket")
}

fn node(cluster: &Cluster, index: usize) -> Node {
    let api = cluster.network.nodes[index].api.strip_prefix("http://").expect("http");
    let key = cluster.network.genesis.genesis.validators[index].network;
    Node { address: api.parse().expect("numeric"), key }
}

/// Pays with the memo of a payload for the recipient. **Returns** the payload and the transaction's hash.
async fn pay_with_payload(cluster: &Cluster, message: &[u8]) -> (SealedPayload, Digest) {
    let network_id = cluster.network.genesis.network_id();
    let to = [payload::public_key(&key(RECIPIENT))];
    let sealed = payload::seal(network_id, message, &to).expect("sealed");
    let payment = operation::payment(id(&key(RECIPIENT)), Asset::Native, 1);
    let mut envelope = cluster.build(&key(SENDER), vec![payment]).await;
    if let TransactionEnvelope::Tx(v1) = &mut envelope {
        v1.tx.memo = Memo::Hash(Hash(sealed.memo().0));
        v1.signatures = Vec::new().try_into().expect("none");
    }
    cluster.sign(&mut envelope, &key(SENDER));
    let hash = *SignedTransaction::from_envelope(&network_id, envelope.clone()).expect("fits").hash();
    let (status, answer) =
        cluster.post(0, "/transactions", &envelope.to_xdr_base64(Limits::none()).expect("written")).await;
    assert_eq!(status, 200, "{answer}");
    (sealed, hash)
}

fn declined(result: Result<impl std::fmt::Debug, DeliveryError>) -> String {
    match result {
        Err(DeliveryError::Declined { words, .. }) => words,
        other => panic!("declined, and not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payload_reaches_its_recipient_alone_survives_a_restart_and_is_erased() {
    let mut cluster = Cluster::start(4).await;
    for number in [SENDER, RECIPIENT, STRANGER] {
        cluster.fund(0, &key(number)).await;
    }
    cluster.assert_same_state().await;
    let [sender, recipient, stranger] =
        [SENDER, RECIPIENT, STRANGER].map(|number| dialler(&cluster, &key(number)));
    let message = b"<Document>pacs.008</Document>";
    let (sealed, hash) = pay_with_payload(&cluster, message).await;
    let (other, _) = pay_with_payload(&cluster, message).await;
    cluster.assert_same_state().await;
    let memo = sealed.memo();

    // Only the source of the transaction delivers, and only what its memo names.
    let words = declined(delivery::deliver(&stranger, node(&cluster, 1), hash, sealed.clone()).await);
    assert!(words.contains("not of the account that delivers"), "{words}");
    let words = declined(delivery::deliver(&sender, node(&cluster, 1), hash, other).await);
    assert!(words.contains("another memo"), "{words}");
    let mut altered = sealed.clone();
    altered.body.0[40] ^= 1;
    let words = declined(delivery::deliver(&sender, node(&cluster, 1), hash, altered).await);
    assert!(words.contains("another memo"), "{words}");
    delivery::deliver(&sender, node(&cluster, 1), hash, sealed.clone()).await.expect("kept");
    delivery::deliver(&sender, node(&cluster, 1), hash, sealed.clone()).await.expect("kept once");

    // Who has published no key of a recipient is told that there is nothing.
    for dialler in [&recipient, &stranger] {
        let words = declined(delivery::fetch(dialler, node(&cluster, 1), memo).await);
        assert!(words.contains("no payload"), "{words}");
    }
    for number in [RECIPIENT, STRANGER] {
        let published = payload::public_key(&key(number));
        let publish = operation::manage_data(DATA_NAME, Some(&published.0)).expect("short");
        let envelope = cluster.build(&key(number), vec![publish]).await;
        let text = envelope.to_xdr_base64(Limits::none()).expect("written");
        assert_eq!(cluster.post(0, "/transactions", &text).await.0, 200);
    }
    cluster.assert_same_state().await;
    let words = declined(delivery::fetch(&stranger, node(&cluster, 1), memo).await);
    assert!(words.contains("no payload"), "{words}");

    // The node stops and starts again.
    cluster.stop_node(1).await;
    cluster.start_node(1).await.expect("starts again");
    cluster.await_ready(1).await;
    let fetched = delivery::fetch(&recipient, node(&cluster, 1), memo).await.expect("kept for it");
    assert_eq!(fetched.to_bytes(), sealed.to_bytes());
    let network_id = cluster.network.genesis.network_id();
    let opened = payload::open(&fetched, &network_id, Some(&memo), &key(RECIPIENT)).expect("opened");
    assert_eq!(opened.as_slice(), message);

    // Erased by law: gone, not brought back, and the ledger stands.
    let folder = cluster.network.nodes[1].home.join("data").join(FOLDER);
    std::fs::write(folder.join(format!("{memo}{ERASED}")), b"").expect("marked");
    std::fs::remove_file(folder.join(memo.to_string())).expect("it was kept there");
    let words = declined(delivery::fetch(&recipient, node(&cluster, 1), memo).await);
    assert!(words.contains("no payload"), "{words}");
    let words = declined(delivery::deliver(&sender, node(&cluster, 1), hash, sealed).await);
    assert!(words.contains("erased"), "{words}");
    let (status, record) = cluster.get(1, &format!("/transactions/{hash}")).await;
    assert_eq!((status, record["memo_type"].as_str()), (200, Some("hash")), "{record}");
    cluster.assert_same_state().await;
    cluster.stop().await;
}
