//! What a validator does for its followers, and what it does not: asked by a raw peer, who may say anything.

use carat_network::{BindConfig, Event, Inbox, Lane, Limits, Network, NetworkConfig, Peer};
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::message::{Data, Fetch, Frame, Message, Status};
use carat_types::{Epoch, SecretKey, Slot};

use super::{append, metric, start_validators};
use crate::cluster::{Cluster, PATIENCE, eventually};

const VALIDATOR: u16 = 0;

/// A peer of validator 0 with this key.
fn raw_peer(cluster: &Cluster, key: &SecretKey) -> (Network, Inbox) {
    let settings = carat_node::Settings::load(&cluster.homes[0]).expect("valid");
    let validator = &cluster.network.genesis.genesis.validators[0];
    let bind = BindConfig {
        me: 1,
        identity: key.clone().into(),
        chain_id: cluster.network.genesis.chain_id,
        listen: ([127, 0, 0, 1], 0).into(),
        limits: Limits::default(),
    };
    let address = settings.network.listen;
    let peers = vec![Peer { index: VALIDATOR, key: validator.network, address }];
    Network::start(NetworkConfig { bind, peers }).expect("starts")
}

fn list(cluster: &Cluster, key: &SecretKey, network: &Network) {
    let (key, address) = (key.public(), network.local_address());
    append(&cluster.homes[0], &format!("[[followers.peers]]\nkey = \"{key}\"\naddress = \"{address}\"\n"));
}

fn ask(network: &Network, fetch: Fetch) {
    send(network, Message::Fetch(fetch));
}

fn send(network: &Network, message: Message) {
    network.send(VALIDATOR, Lane::Urgent, Frame { epoch: Epoch(0), message }.to_bytes().into());
}

/// The next message of the validator.
async fn next(inbox: &mut Inbox) -> Message {
    let frame = async {
        loop {
            match inbox.recv().await.expect("open") {
                Event::Frame(frame) => return Frame::from_bytes(&frame.payload).expect("decodes").message,
                Event::Up { .. } | Event::Down { .. } => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, frame).await.expect("an answer")
}

/// Where the validator says that it stands when it reaches a follower: it does so at each new connection.
async fn greeted(inbox: &mut Inbox) {
    let greeting = next(inbox).await;
    assert!(matches!(greeting, Message::Status(_)), "{}", greeting.name());
}

/// The blocks of one answer, and the position behind them.
async fn answer(inbox: &mut Inbox) -> (Vec<u64>, Status) {
    let mut slots = Vec::new();
    loop {
        match next(inbox).await {
            Message::Data(Data::Block(block)) => slots.push(block.block.header.slot.0),
            Message::Status(status) if !slots.is_empty() => return (slots, status),
            Message::Status(_) => {}
            other => panic!("a follower was sent {}", other.name()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stranger_is_refused_by_the_validator_until_it_is_listed() {
    let mut cluster = Cluster::make(1);
    let key = SecretKey::from_seed(&[77; 32]);
    start_validators(&mut cluster, 0..1).await;
    let (network, inbox) = raw_peer(&cluster, &key);
    eventually("its key is refused", async || {
        let failures = &network.stats().peers[&VALIDATOR].failures;
        failures.iter().any(|(kind, count)| kind.label() == "key" && *count > 0)
    })
    .await;
    assert!(!network.stats().peers[&VALIDATOR].inbound_up, "nobody dials it either");
    drop(inbox);
    cluster.stop_node(0).await;
    list(&cluster, &key, &network);
    cluster.start_node(0).await.expect("starts");
    eventually("it is let in", async || network.stats().peers[&VALIDATOR].outbound_up).await;
    network.shutdown().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_answers_one_question_at_a_time_says_where_it_stands_and_holds_what_is_not_sealed() {
    let mut cluster = Cluster::make(1);
    let key = SecretKey::from_seed(&[77; 32]);
    let (network, mut inbox) = raw_peer(&cluster, &key);
    list(&cluster, &key, &network);
    start_validators(&mut cluster, 0..1).await;
    greeted(&mut inbox).await;
    eventually("both sides are connected", async || {
        let stats = &network.stats().peers[&VALIDATOR];
        stats.outbound_up && stats.inbound_up
    })
    .await;
    ask(&network, Fetch::Blocks(Slot(1)));
    let (blocks, status) = answer(&mut inbox).await;
    assert!(blocks.iter().copied().eq(1..=blocks.len() as u64), "{blocks:?}");
    assert!(status.last_executed.0 >= blocks.len() as u64, "{status:?}");

    // A question for what is far ahead is held; the next one takes its place.
    ask(&network, Fetch::Blocks(Slot(1_000_000)));
    ask(&network, Fetch::Blocks(Slot(1)));
    let (blocks, status) = answer(&mut inbox).await;
    assert_eq!(blocks.first(), Some(&1));
    // A question for the next block is answered when it is sealed, without being put again.
    let wanted = status.last_executed.next();
    ask(&network, Fetch::Blocks(wanted));
    let (blocks, _) = answer(&mut inbox).await;
    assert_eq!(blocks.first(), Some(&wanted.0), "no answer before");

    // What is not for followers is counted and goes nowhere.
    send(&network, Message::Status(Status { last_executed: Slot(u64::MAX), ..Status::default() }));
    network.send(VALIDATOR, Lane::Bulk, b"no frame of ours".to_vec().into());
    for reason in ["not_theirs", "undecodable"] {
        let line = format!("followers_refused_total{{reason=\"{reason}\"}} 1\n");
        eventually("it is counted", async || metric(&cluster, 0, &line).await).await;
    }
    let status = cluster.status(0).await;
    assert_ne!(status["peers_at"].as_u64(), Some(u64::MAX), "the replica has not heard it: {status}");
    network.shutdown().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_over_its_budget_waits_and_is_answered_later() {
    let mut cluster = Cluster::make(1);
    let key = SecretKey::from_seed(&[77; 32]);
    let (network, mut inbox) = raw_peer(&cluster, &key);
    append(&cluster.homes[0], "[followers]\nbytes_per_second = 65536\n");
    list(&cluster, &key, &network);
    start_validators(&mut cluster, 0..1).await;
    greeted(&mut inbox).await;
    let mut answers = 0;
    let delayed = async || !metric(&cluster, 0, "followers_delayed_total 0\n").await;
    // Each answer costs a kilobyte at least.
    while !delayed().await {
        for _ in 0..16 {
            ask(&network, Fetch::Blocks(Slot(1)));
            let (blocks, _) = answer(&mut inbox).await;
            assert_eq!(blocks.first(), Some(&1), "late, and whole");
            answers += 1;
        }
        assert!(answers < 10_000, "no budget is kept");
    }
    network.shutdown().await;
    cluster.stop().await;
}
