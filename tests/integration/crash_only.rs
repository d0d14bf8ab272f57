//! A network whose genesis file says `trust = crash`: Byzantine-Proposer Fast Paxos, from end to end.

use carat_client::EarlyRule;
use carat_client::native::{Native, Reply};
use carat_network::entrance::Dialler;
use carat_types::builder::operation;
use carat_types::genesis::Trust;
use carat_types::receipt::{Assumption, Receipt, Rule};

use crate::cluster::{Cluster, key};
use crate::early::{cluster_entrance, transaction};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_where_fast_decides_settles_while_its_leader_is_gone_and_says_what_it_rests_on() {
    let mut cluster = Cluster::start_trusting(4, Trust::Crash).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(1, &key(2)).await;
    let bump = operation::bump_sequence(0);
    let finality = cluster.client.submit(cluster.build(&key(1), vec![bump]).await).await.expect("settles");
    let verdict = Receipt::verify(&finality.receipt, &cluster.network.genesis).expect("holds");
    assert_eq!((verdict.rule, verdict.assumption), (Rule::Fast, Assumption::CrashOnly));

    // Nobody sends TREPLY here: who wants one is told so, and of FAST, by client and node alike.
    let (hash, envelope) = transaction(&cluster, &key(1)).await;
    let early = operation::bump_sequence(0);
    let early = cluster.build(&key(1), vec![early]).await;
    let refused = cluster.client.submit_early(EarlyRule::Tentative, &key(1), early).await;
    let words = refused.expect_err("refused").to_string();
    assert!(words.starts_with("trust is crash, under which no validator sends TREPLY: FAST"), "{words}");
    let dialler = Dialler::new(&key(1), &cluster.network.genesis.chain_id).expect("a socket");
    let (address, server) = cluster_entrance(&cluster, 0);
    let native = Native::connect(&dialler, address, server).await.expect("a session");
    let (words, _heard) = tokio::sync::mpsc::unbounded_channel();
    let refused = native.submit_tentatively(hash, envelope, words).await;
    assert!(
        matches!(&refused, Reply::NoReplies("trust_is_crash", words) if words.contains("FAST")),
        "{refused:?}"
    );

    let status = cluster.status(1).await;
    assert_eq!(status["trust"], "crash");
    assert_eq!(status["assumption"], "FAST: holds if validators are crash-only");
    let by_fast = |entry: &serde_json::Value| {
        entry["detail"].as_str().is_some_and(|it| it.starts_with("FAST") && it.contains("crash-only"))
    };
    // The client has the word of a quorum, of which validator 1 need not be.
    let trace = cluster
        .await_trace(1, verdict.slot.0, "final by FAST", |messages| messages.iter().any(by_fast))
        .await;
    let kinds: Vec<&str> = trace.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert!(kinds.contains(&"PREPARE") && !kinds.contains(&"COMMIT"), "{kinds:?}");

    let leader = usize::try_from(status["leader"].as_u64().expect("a leader")).expect("small");
    cluster.stop_node(leader).await;
    cluster.pay(&key(1), &key(2), 2).await;
    let other = (leader + 1) % 4;
    cluster.await_status(other, "under a new leader", |status| status["view"].as_u64() > Some(0)).await;
    cluster.start_node(leader).await.expect("starts again");
    cluster.await_ready(leader).await;
    cluster.pay(&key(2), &key(1), 1).await;
    cluster.assert_same_state().await;
    cluster.stop().await;
}
