//! Settling payments: one validator, four validators, a dead leader, the proof of an outcome.

use carat_types::codec::Encode;
use carat_types::receipt::Receipt;

use crate::cluster::{Cluster, eventually, key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_of_one_settles_payments() {
    let cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    let before = cluster.balance(0, &key(2)).await;
    cluster.pay(&key(1), &key(2), 70_000_000).await;
    assert_eq!(cluster.balance(0, &key(2)).await, before + 70_000_000);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_validators_settle_while_the_leader_is_gone() {
    let mut cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(1, &key(2)).await;
    cluster.pay(&key(1), &key(2), 1).await;
    // A slot is executed when COMMIT was sent for it, and written as it is when it is final.
    let written = r#"ledger_tentative_total{outcome="written"}"#;
    eventually("a block executed ahead of its finality", async || cluster.metric(1, written).await > 0).await;
    let leader = cluster.status(1).await["leader"].as_u64().expect("a leader");
    let leader = usize::try_from(leader).expect("small");
    cluster.stop_node(leader).await;
    // The client asks f+1 validators and then all: one that is gone costs nothing but time.
    cluster.pay(&key(1), &key(2), 2).await;
    let other = (leader + 1) % 4;
    cluster.await_status(other, "under a new leader", |status| status["view"].as_u64() > Some(0)).await;
    cluster.start_node(leader).await.expect("starts again");
    cluster.await_ready(leader).await;
    cluster.pay(&key(2), &key(1), 1).await;
    cluster.assert_same_state().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_proves_the_outcome_and_no_changed_byte_passes() {
    let cluster = Cluster::start(4).await;
    cluster.fund(2, &key(3)).await;
    let operation = carat_types::builder::operation::bump_sequence(0);
    let envelope = cluster.build(&key(3), vec![operation]).await;
    let finality = cluster.client.submit(envelope).await.expect("settles");
    let genesis = &cluster.network.genesis;
    let verdict = Receipt::verify(&finality.receipt, genesis).expect("holds");
    assert_eq!(verdict.transaction, finality.hash);
    assert_eq!(
        verdict.assumption.to_string(),
        "holds if at most 1 of this epoch's validators are, or ever become, dishonest"
    );
    for position in 0..finality.receipt.len() {
        let mut changed = finality.receipt.clone();
        changed[position] ^= 1;
        assert!(Receipt::verify(&changed, genesis).is_err(), "byte {position} of {}", changed.len());
    }
    // Another network's genesis file does not vouch for it.
    let stranger = Cluster::make(4);
    let error = Receipt::verify(&finality.receipt, &stranger.network.genesis).expect_err("refused");
    assert!(error.to_string().contains("hint"), "{error}");
    // Fewer than f+1 seals prove nothing.
    let mut receipt =
        <Receipt as carat_types::codec::Decode>::from_bytes(&finality.receipt).expect("decodes");
    if let carat_types::receipt::Proof::Result(proof) = &mut receipt.proof {
        proof.seals.signatures.truncate(1);
        proof.seals.signers = proof.seals.signers.iter().take(1).collect();
    }
    assert!(Receipt::verify(&receipt.to_bytes(), genesis).is_err());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn same_bytes_sent_often_and_everywhere_execute_once() {
    let cluster = Cluster::start(4).await;
    cluster.fund(0, &key(4)).await;
    cluster.fund(0, &key(5)).await;
    // Only a validator that has executed the account's creation admits its transactions.
    cluster.assert_same_state().await;
    let before = cluster.balance(0, &key(5)).await;
    let payment =
        carat_types::builder::operation::payment(crate::cluster::id(&key(5)), stellar_xdr::Asset::Native, 11);
    let envelope = cluster.build(&key(4), vec![payment]).await;
    let bytes =
        stellar_xdr::WriteXdr::to_xdr_base64(&envelope, stellar_xdr::Limits::none()).expect("encodes");
    let answers = futures_join((0..8).map(|index| cluster.post(index % 4, "/transactions", &bytes))).await;
    for (status, body) in &answers {
        assert_eq!(*status, 200, "{body}");
        assert_eq!(body["hash"], answers[0].1["hash"]);
        assert_eq!(body["ledger"], answers[0].1["ledger"]);
    }
    cluster.assert_same_state().await;
    for index in 0..4 {
        assert_eq!(cluster.balance(index, &key(5)).await, before + 11);
    }
    let (status, again) = cluster.post(2, "/transactions", &bytes).await;
    assert_eq!((status, &again["hash"]), (200, &answers[0].1["hash"]), "its outcome again");
    cluster.stop().await;
}

/// All answers, asked for at the same time.
async fn futures_join<T>(questions: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = questions.map(Box::pin).collect();
    let mut answers: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (question, answer) in pending.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(value) = question.as_mut().poll(context)
            {
                *answer = Some(value);
            }
        }
        if answers.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Each validator admits another transaction with the same sequence number. One is executed; who sent another learns at
/// once that it never will be, and why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn competing_transactions_one_is_executed_and_the_others_are_told() {
    let cluster = Cluster::start(4).await;
    cluster.fund(0, &key(6)).await;
    cluster.fund(0, &key(7)).await;
    cluster.assert_same_state().await;
    let before = cluster.balance(0, &key(7)).await;
    let sequence = cluster.sequence(&key(6)).await;
    let competing: Vec<String> = (1..=4)
        .map(|stroops| {
            let to = crate::cluster::id(&key(7));
            let payment = carat_types::builder::operation::payment(to, stellar_xdr::Asset::Native, stroops);
            let envelope = cluster.build_at(&key(6), sequence, vec![payment]);
            stellar_xdr::WriteXdr::to_xdr_base64(&envelope, stellar_xdr::Limits::none()).expect("encodes")
        })
        .collect();
    let posts =
        competing.iter().enumerate().map(|(index, bytes)| cluster.post(index, "/transactions", bytes));
    let answers = futures_join(posts).await;
    let mut paid = Vec::new();
    for ((status, body), stroops) in answers.iter().zip(1..) {
        match status {
            200 => paid.push(stroops),
            _ => assert_eq!(body["extras"]["result_codes"]["transaction"], "tx_bad_seq", "{status} {body}"),
        }
    }
    assert_eq!(paid.len(), 1, "{answers:?}");
    cluster.assert_same_state().await;
    assert_eq!(cluster.balance(2, &key(7)).await, before + paid[0]);
    cluster.stop().await;
}
