//! The native entrance: many transactions in a frame, each answered with a proof or with a reason.

use carat_client::native::{Native, Reply};
use carat_client::outcome::Outcome;
use carat_network::entrance::Dialler;
use carat_types::SecretKey;
use carat_types::batch::Envelope;
use carat_types::builder::operation;
use carat_types::receipt::{Receipt, Verifier};
use carat_types::transaction::SignedTransaction;
use stellar_xdr::{Limits, ReadXdr as _, TransactionEnvelope, TransactionResult, WriteXdr as _};

use crate::cluster::{Cluster, id, key};

async fn connect(cluster: &Cluster, index: usize, as_key: &SecretKey) -> Native {
    let genesis = &cluster.network.genesis;
    let dialler = Dialler::new(as_key, &genesis.chain_id).expect("a socket");
    let server = genesis.genesis.validators[index].network;
    Native::connect(&dialler, address(cluster, index), server).await.expect("a session")
}

fn address(cluster: &Cluster, index: usize) -> std::net::SocketAddr {
    let api = &cluster.network.nodes[index].api;
    api.strip_prefix("http://").expect("http").parse().expect("numeric")
}

/// Hands in at once what was built.
async fn submit(cluster: &Cluster, native: &Native, envelope: TransactionEnvelope) -> Reply {
    let bytes = envelope.to_xdr(Limits::none()).expect("written");
    let network_id = cluster.network.genesis.network_id();
    let hash = *SignedTransaction::from_envelope(&network_id, envelope).expect("fits").hash();
    native.submit(hash, Envelope(bytes.into())).await
}

/// The result that a receipt proves, checked against the genesis file alone.
fn proved(cluster: &Cluster, reply: Reply) -> (Box<Receipt>, TransactionResult) {
    let Reply::Receipt(receipt) = reply else { panic!("no receipt: {reply:?}") };
    let mut verifier = Verifier::new(&cluster.network.genesis).expect("possible");
    let verdict = verifier.check(&receipt).expect("holds");
    let result = TransactionResult::from_xdr(verdict.result.expect("proved"), Limits::none());
    (receipt, result.expect("a result"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_entrance_answers_each_transaction_with_its_proof_or_its_reason() {
    let cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.assert_same_state().await;
    let native = connect(&cluster, 0, &key(1)).await;
    let sequence = cluster.sequence(&key(1)).await;
    let pay = |number: i64, to: u8, stroops| {
        let payment = operation::payment(id(&key(to)), stellar_xdr::Asset::Native, stroops);
        cluster.build_at(&key(1), sequence + number, vec![payment])
    };
    // Forty in a row of one account, all handed in before the first is settled: the last one pays an account that is not
    // there.
    let many = (0..40).map(|number| pay(number, if number == 39 { 2 } else { 1 }, 1));
    let replies = submit_all(&cluster, &native, many.collect()).await;
    for (number, reply) in replies.into_iter().enumerate() {
        let (_, result) = proved(&cluster, reply);
        assert_eq!(Outcome::of(&result).successful, number != 39, "{number}: {result:?}");
    }
    // The same bytes again: the same outcome, proved again.
    let (again, _) = proved(&cluster, submit(&cluster, &native, pay(0, 1, 1)).await);
    let (and_again, _) = proved(&cluster, submit(&cluster, &native, pay(0, 1, 1)).await);
    assert_eq!(again, and_again);
    // Other bytes with a used sequence number: refused, with the code.
    let Reply::Refused(result, _) = submit(&cluster, &native, pay(0, 1, 2)).await else { panic!("refused") };
    let result = TransactionResult::from_xdr(result, Limits::none()).expect("a result");
    assert!(Outcome::of(&result).to_string().contains("tx_bad_seq"), "{result:?}");
    // No transaction at all: an answer too, and the session stands.
    let malformed = native.submit(carat_types::Digest::ZERO, Envelope(vec![1, 2, 3].into())).await;
    assert!(matches!(malformed, Reply::Malformed(_)), "{malformed:?}");
    proved(&cluster, submit(&cluster, &native, pay(40, 1, 1)).await);
    cluster.assert_same_state().await;
    cluster.stop().await;
}

/// The same with many at once.
async fn submit_all(cluster: &Cluster, native: &Native, many: Vec<TransactionEnvelope>) -> Vec<Reply> {
    let mut tasks = Vec::new();
    let network_id = cluster.network.genesis.network_id();
    for envelope in many {
        let bytes = envelope.to_xdr(Limits::none()).expect("written");
        let hash = *SignedTransaction::from_envelope(&network_id, envelope).expect("fits").hash();
        let native = native.clone();
        tasks.push(tokio::spawn(async move { native.submit(hash, Envelope(bytes.into())).await }));
    }
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.expect("no panic"));
    }
    replies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_entrance_knows_whom_it_lets_in() {
    let cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    let genesis = &cluster.network.genesis;
    // A key without an account is told so.
    let stranger = connect(&cluster, 0, &key(9)).await;
    let envelope = cluster.build(&key(1), vec![operation::bump_sequence(0)]).await;
    let Reply::Lost(words) = submit(&cluster, &stranger, envelope.clone()).await else { panic!("lost") };
    assert!(words.contains("no account of this ledger has the key") && words.contains("hint"), "{words}");
    assert!(stranger.has_ended());
    // A client that expects another validator's key sends it nothing.
    let dialler = Dialler::new(&key(1), &genesis.chain_id).expect("a socket");
    let other = Native::connect(&dialler, address(&cluster, 0), key(3).public()).await;
    assert!(other.expect_err("refused").to_string().contains("expected"));
    // Nor does one of another chain.
    let dialler = Dialler::new(&key(1), &carat_types::Digest([7; 32])).expect("a socket");
    let server = genesis.genesis.validators[0].network;
    assert!(Native::connect(&dialler, address(&cluster, 0), server).await.is_err());
    // The account's own key settles.
    let native = connect(&cluster, 0, &key(1)).await;
    proved(&cluster, submit(&cluster, &native, envelope).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_entrance_says_when_a_key_has_too_much_under_way() {
    let mut cluster = Cluster::make(4);
    // Alone, a validator of four settles nothing: what is handed in stays under way.
    let settings = cluster.homes[0].join("node.toml");
    let text =
        std::fs::read_to_string(&settings).expect("settings") + "\n[entrance]\nunder_way_per_key = 3\n";
    std::fs::write(&settings, text).expect("written");
    for index in 0..4 {
        cluster.start_node(index).await.expect("starts");
    }
    for index in 0..4 {
        cluster.await_ready(index).await;
    }
    cluster.fund(0, &key(1)).await;
    let sequence = cluster.sequence(&key(1)).await;
    for index in 1..4 {
        cluster.stop_node(index).await;
    }
    let native = connect(&cluster, 0, &key(1)).await;
    let bump = |number: i64| cluster.build_at(&key(1), sequence + number, vec![operation::bump_sequence(0)]);
    // Handed in from left to right.
    let fourth = tokio::select! {
        biased;
        reply = submit(&cluster, &native, bump(0)) => panic!("nothing settles: {reply:?}"),
        reply = submit(&cluster, &native, bump(1)) => panic!("nothing settles: {reply:?}"),
        reply = submit(&cluster, &native, bump(2)) => panic!("nothing settles: {reply:?}"),
        reply = submit(&cluster, &native, bump(3)) => reply,
    };
    let Reply::Busy(pause, words) = fourth else { panic!("busy: {fourth:?}") };
    assert!(!pause.is_zero() && words.contains("3 transactions under way"), "{words}");
    cluster.stop().await;
}
