//! Evidence that a validator has kept is served, with the highest alarm, and holds for whoever has the genesis file.

use std::sync::Arc;

use base64::Engine as _;
use carat_node::Home;
use carat_types::certificate::Certificate;
use carat_types::codec::Decode as _;
use carat_types::evidence::{Contradiction, Evidence};
use carat_types::key_file::{self, KeyRole};
use carat_types::message::{Ballot, NewView, Prepare, Signed, SignedBody, SignerRole, ViewChange};
use carat_types::validators::{Ed25519, ValidatorSet};
use carat_types::{Digest, SignerSet, Slot, ValidatorId, View};

use crate::cluster::Cluster;

/// Signs with the key of a validator of the cluster, in epoch 0.
fn sign<B: SignedBody>(cluster: &Cluster, signer: u16, body: B) -> Signed<B> {
    sign_in(cluster, &cluster.network.genesis.validators().expect("four"), signer, body)
}

/// Signs with the key of a validator of the cluster, or of a proposer of an edge network, which has this place in a set as well.
pub(crate) fn sign_in<B: SignedBody>(
    cluster: &Cluster,
    set: &ValidatorSet,
    signer: u16,
    body: B,
) -> Signed<B> {
    let (role, process) = match B::SIGNER {
        SignerRole::Acceptor => (KeyRole::Acceptor, ValidatorId(signer)),
        SignerRole::Proposer => (KeyRole::Proposer, set.process_of(ValidatorId(signer))),
    };
    let file = cluster.homes[process.index()].join("keys").join(role.file_name());
    let text = std::fs::read_to_string(file).expect("a key file");
    let key = key_file::read(role, &text).expect("a key");
    let signature = key.sign(&set.domain().signing_bytes(&body));
    Signed { signer: ValidatorId(signer), body, signature }
}

/// Validators 0 to 2 voted for a value, and of them 1 and 2 denied it before view 1.
fn contradiction(cluster: &Cluster) -> Evidence {
    let value = Digest([7; 32]);
    let vote = Prepare(Ballot { view: View(0), slot: Slot(9), digest: value, prefix: value });
    let signatures = (0..3).map(|id| (ValidatorId(id), sign(cluster, id, vote).signature));
    let fast = Certificate::assemble(vote, signatures);
    let change = |id| sign(cluster, id, ViewChange { view: View(1), stable: None, reports: Vec::new() });
    let view_changes = (1..4).map(|id| Arc::new(change(id))).collect();
    let new_view = Arc::new(sign(cluster, 1, NewView { view: View(1), view_changes }));
    Evidence::Contradiction(Contradiction { fast, new_view })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contradicted_fast_value_is_served_with_its_liars_and_is_the_highest_alarm() {
    let mut cluster = Cluster::start(4).await;
    assert_eq!(cluster.operator(0, "/evidence").await["evidence"], serde_json::json!([]));
    cluster.stop_node(0).await;
    let evidence = contradiction(&cluster);
    let (journal, _, store) = Home::read(&cluster.homes[0]).expect("a home").open().expect("sound");
    store.put_evidence(&evidence).expect("writes");
    drop((journal, store));
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;

    let answer = cluster.operator(0, "/evidence").await;
    let piece = &answer["evidence"][0];
    assert_eq!((&piece["code"], &piece["convicted"]), (&"FAST".into(), &serde_json::json!([1, 2])));
    let bytes = base64::engine::general_purpose::STANDARD.decode(piece["bytes"].as_str().expect("text"));
    let shown = Evidence::from_bytes(&bytes.expect("base64")).expect("evidence");
    let set = cluster.network.genesis.validators().expect("four");
    let convicted = shown.verify(&set, &Ed25519);
    assert_eq!((&shown, convicted), (&evidence, Ok(SignerSet::from_iter([1, 2].map(ValidatorId)))));
    for page in ["/status", "/consensus"] {
        let alarm = &cluster.operator(0, page).await["alarms"][0];
        assert!(alarm.as_str().is_some_and(|it| it.contains("FAST is contradicted: slot 9")), "{alarm}");
    }
    assert_eq!(cluster.operator(1, "/status").await["alarms"], serde_json::json!([]), "nobody told it");
    cluster.stop().await;
}
