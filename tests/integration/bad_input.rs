//! Envelopes that are none, or not of this network: a clear problem report, and nothing changes.

use carat_types::builder::operation;
use carat_types::transaction::network_id;
use serde_json::Value;
use stellar_xdr::{Asset, Limits, WriteXdr};

use crate::cluster::{Cluster, id, key};

fn base64(envelope: &stellar_xdr::TransactionEnvelope) -> String {
    envelope.to_xdr_base64(Limits::none()).expect("encodes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_envelopes_are_refused_with_their_codes_and_change_nothing() {
    let cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    let before = cluster.balance(0, &key(1)).await;
    let pay = || vec![operation::payment(id(&key(1)), Asset::Native, 1)];
    let good = cluster.build(&key(1), pay()).await;
    let bytes = good.to_xdr(Limits::none()).expect("encodes");

    let encode = |bytes: &[u8]| base64_of(bytes);
    let truncated = encode(&bytes[..bytes.len() - 3]);
    let trailing = encode(&[bytes.as_slice(), &[0, 0, 0, 0]].concat());
    let oversized = encode(&vec![0; 150_000]);
    for (name, tx) in [
        ("truncated", truncated.as_str()),
        ("trailing", &trailing),
        ("oversized", &oversized),
        ("no base64", "%%%"),
        ("empty", ""),
    ] {
        let (status, body) = cluster.post(0, "/transactions", tx).await;
        assert_eq!(status, 400, "{name}: {body}");
        let kind = body["type"].as_str().unwrap_or_default();
        assert!(kind.ends_with("transaction_malformed") || kind.ends_with("bad_request"), "{name}: {body}");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 20), "{name}: {body}");
    }

    let other_network = network_id("Another network ; 2026");
    let foreign = carat_types::builder::TransactionBuilder::new(id(&key(1)), cluster.sequence(&key(1)).await)
        .expect("a sequence number")
        .fee_per_operation(1_000)
        .operation(operation::payment(id(&key(1)), Asset::Native, 1))
        .sign(&other_network, &[&key(1)])
        .expect("signs");
    check_code(&cluster, &base64(&foreign), "tx_bad_auth").await;
    let mut twice = good.clone();
    cluster.sign(&mut twice, &key(9));
    check_code(&cluster, &base64(&twice), "tx_bad_auth_extra").await;
    let late = cluster.build_at(&key(1), 5, pay());
    check_code(&cluster, &base64(&late), "tx_bad_seq").await;
    let stranger = cluster.build_at(&key(8), 5, pay());
    check_code(&cluster, &base64(&stranger), "tx_no_source_account").await;

    assert_eq!(cluster.balance(0, &key(1)).await, before, "no fee was taken");
    let (status, body) = cluster.post(0, "/transactions", &base64(&good)).await;
    assert_eq!(status, 200, "the good one still goes: {body}");
    cluster.stop().await;
}

async fn check_code(cluster: &Cluster, tx: &str, code: &str) {
    let (status, body) = cluster.post(0, "/transactions", tx).await;
    assert_eq!(status, 400, "{body}");
    let seen: &Value = &body["extras"]["result_codes"]["transaction"];
    assert_eq!(seen, code, "{body}");
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
