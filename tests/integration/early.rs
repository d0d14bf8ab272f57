//! Outcomes before the seals: one TREPLY, a quorum of them, and who is told none.

use carat_client::native::{Native, Reply};
use carat_client::outcome::Outcome;
use carat_client::receipt::{to_text, verify_text};
use carat_client::{Believed, Early, EarlyRule, Finality};
use carat_network::entrance::Dialler;
use carat_types::SecretKey;
use carat_types::batch::Envelope;
use carat_types::builder::operation;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::receipt::{Assumption, Rule, Verifier};
use carat_types::submission::{Answer, NoRepliesCode, Request, Submission, VERSION, VERSION_WITHOUT_REPLIES};
use carat_types::transaction::SignedTransaction;
use stellar_xdr::{Limits, TransactionEnvelope, WriteXdr as _};
use tokio::sync::mpsc::unbounded_channel;

use crate::cluster::{Cluster, PATIENCE, id, key};

/// A payment that is believed by the rule; one whose seals were as soon is followed by the next.
async fn pay_early(cluster: &Cluster, rule: EarlyRule) -> Early {
    let paying = async {
        loop {
            let payment = operation::payment(id(&key(2)), stellar_xdr::Asset::Native, 1);
            let envelope = cluster.build(&key(1), vec![payment]).await;
            match cluster.client.submit_early(rule, &key(1), envelope).await.expect("believed") {
                Believed::Early(early) => return *early,
                Believed::Sealed(finality) => assert_eq!(finality.verdict.rule, Rule::Seal),
            }
            // The next sequence number is known when all have executed this one.
            cluster.assert_same_state().await;
        }
    };
    tokio::time::timeout(PATIENCE, paying).await.expect("TREPLYs before the seals")
}

/// What the receipt's text proves to who holds the genesis file alone, and that no character of it can be changed.
fn verified_offline(cluster: &Cluster, believed: &Finality) -> (Rule, Assumption) {
    let genesis = &cluster.network.genesis;
    let text = to_text(&believed.receipt).into_bytes();
    let verdict = verify_text(&text, genesis).expect("holds");
    assert_eq!((&verdict, verdict.transaction), (&believed.verdict, believed.hash));
    for place in (0..text.len()).step_by(7) {
        let mut tampered = text.clone();
        tampered[place] ^= 1;
        assert!(verify_text(&tampered, genesis).is_err(), "character {place}");
    }
    (verdict.rule, verdict.assumption)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_believed_by_each_rule_before_the_seals_which_say_the_same() {
    let cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(1, &key(2)).await;
    cluster.assert_same_state().await;
    let rules = [
        (EarlyRule::Tentative, (Rule::Reply, Assumption::OneWord)),
        (EarlyRule::QuorumTentative, (Rule::QuorumReplies, Assumption::AtMostDishonest(1))),
    ];
    for (rule, expected) in rules {
        let early = pay_early(&cluster, rule).await;
        assert!(Outcome::of(&early.believed.result).successful);
        assert_eq!(verified_offline(&cluster, &early.believed), expected);
        let (hash, ledger) = (early.believed.hash, early.believed.verdict.ledger);
        let sealed = early.sealed(&cluster.client).await.expect("the same");
        assert_eq!((sealed.hash, sealed.verdict.ledger, sealed.verdict.rule), (hash, ledger, Rule::Seal));
        cluster.assert_same_state().await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_of_the_older_version_settles_and_subscribes_to_nothing() {
    let cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    let older = dialler(&cluster, VERSION_WITHOUT_REPLIES);
    let (address, server) = cluster_entrance(&cluster, 0);
    let native = Native::connect(&older, address, server).await.expect("a session");
    let (hash, envelope) = transaction(&cluster, &key(1)).await;
    let (words, _heard) = unbounded_channel();
    let refused = native.submit_tentatively(hash, envelope.clone(), words).await;
    assert!(matches!(refused, Reply::NoReplies("older_version", _)), "{refused:?}");
    let Reply::Receipt(receipt) = native.submit(hash, envelope.clone()).await else { panic!("settles") };
    let mut verifier = Verifier::new(&cluster.network.genesis).expect("possible");
    assert_eq!(verifier.check(&receipt).expect("holds").rule, Rule::Seal);
    // A program that subscribes all the same breaks the rules of its version.
    let (mut reading, mut writing) = older.dial(address, server).await.expect("a session").split();
    let request = Request::Tentative(Submission { first: 0, envelopes: vec![envelope] });
    writing.send(request.to_bytes()).await.expect("sent");
    let told = tokio::time::timeout(PATIENCE, reading.next()).await.expect("told").expect_err("broken off");
    assert!(told.to_string().contains("older version"), "{told}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_that_subscribes_without_end_is_refused_with_a_stable_code() {
    let mut cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    let (_, envelope) = transaction(&cluster, &key(1)).await;
    // Alone, a validator of four settles nothing: what is handed in stays under way.
    for index in 1..4 {
        cluster.stop_node(index).await;
    }
    let (address, server) = cluster_entrance(&cluster, 0);
    let session = dialler(&cluster, VERSION).dial(address, server).await.expect("a session");
    let (mut reading, mut writing) = session.split();
    let request = Request::Tentative(Submission { first: 0, envelopes: vec![envelope; 257] });
    writing.send(request.to_bytes()).await.expect("sent");
    let frame = tokio::time::timeout(PATIENCE, reading.next()).await.expect("told").expect("a session");
    match Answer::from_bytes(&frame.expect("an answer")).expect("decodes") {
        Answer::NoReplies(none) => {
            assert_eq!((none.number, none.code), (256, NoRepliesCode::TooManySubscriptions));
            assert_eq!(none.code.name(), "too_many_subscriptions");
            assert!(none.words.as_str().contains("256 subscriptions"), "{:?}", none.words);
        }
        other => panic!("a refusal: {other:?}"),
    }
    cluster.stop().await;
}

fn dialler(cluster: &Cluster, version: u32) -> Dialler {
    Dialler::of_version(&key(1), &cluster.network.genesis.chain_id, version).expect("a socket")
}

/// Where a validator's native entrance is, and its key.
pub(crate) fn cluster_entrance(
    cluster: &Cluster,
    index: usize,
) -> (std::net::SocketAddr, carat_types::PublicKey) {
    let api = &cluster.network.nodes[index].api;
    let address = api.strip_prefix("http://").expect("http").parse().expect("numeric");
    (address, cluster.network.genesis.genesis.validators[index].network)
}

/// A transaction of an account, with its hash.
pub(crate) async fn transaction(cluster: &Cluster, of: &SecretKey) -> (carat_types::Digest, Envelope) {
    let envelope: TransactionEnvelope = cluster.build(of, vec![operation::bump_sequence(0)]).await;
    let bytes = envelope.to_xdr(Limits::none()).expect("written");
    let network_id = cluster.network.genesis.network_id();
    let hash = *SignedTransaction::from_envelope(&network_id, envelope).expect("fits").hash();
    (hash, Envelope(bytes.into()))
}
