//! An edge network from end to end: acceptors that no client reaches, and proposers without a vote that serve the clients.

mod epochs;

use std::fs;
use std::path::Path;

use carat_client::EarlyRule;
use carat_client::native::{Native, Reply};
use carat_genesis::init::InitOptions;
use carat_network::entrance::Dialler;
use carat_node::{FollowerHome, Home, Settings};
use carat_storage::vault::PassphraseSource;
use carat_types::batch::Envelope;
use carat_types::builder::operation;
use carat_types::receipt::Verifier;
use carat_types::transaction::SignedTransaction;
use stellar_xdr::{Limits, WriteXdr as _};

use crate::cluster::{Cluster, eventually, key};
use crate::early::transaction;
use crate::start_up::{check, refusal, set_passphrase};

/// The numbers of the proposers, behind four acceptors.
const PROPOSERS: [usize; 2] = [4, 5];

fn two_proposers(out: &Path) -> InitOptions {
    InitOptions { proposers: 2, ..InitOptions::test(4, out) }
}

/// The number of the process that a running node takes for its leader.
async fn leader(cluster: &Cluster, observer: usize) -> usize {
    let leader = cluster.status(observer).await["leader"].as_u64().expect("a leader");
    usize::try_from(leader).expect("small")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_network_settles_through_its_proposers_and_outlives_the_one_that_leads() {
    let mut cluster = Cluster::start_with(two_proposers).await;
    for process in PROPOSERS {
        let status = cluster.status(process).await;
        assert_eq!(status["proposer"].as_u64(), Some(process as u64 - 4), "{status}");
        assert!(status.get("validator").is_none(), "{status}");
        assert!(status["role"].as_str().expect("a role").ends_with("no vote"), "{status}");
    }
    assert_eq!(cluster.status(0).await["role"], "acceptor");

    cluster.fund(4, &key(1)).await;
    cluster.fund(4, &key(2)).await;
    // Each is proved by the seals of acceptors, whichever proposer it went through.
    cluster.pay(&key(1), &key(2), 10).await;
    cluster.assert_same_state().await;

    let leading = leader(&cluster, 0).await;
    assert!(PROPOSERS.contains(&leading), "{leading} leads");
    let other = PROPOSERS.into_iter().find(|process| *process != leading).expect("two of them");
    cluster.stop_node(leading).await;
    cluster.pay(&key(1), &key(2), 20).await;
    let leads = |status: &serde_json::Value| status["leader"].as_u64() == Some(other as u64);
    cluster.await_status(other, "the one that leads", leads).await;
    let after = cluster.balance(other, &key(2)).await;

    cluster.start_node(leading).await.expect("starts again, with its journal");
    cluster.await_caught_up(leading).await;
    cluster.await_ready(leading).await;
    cluster.pay(&key(2), &key(1), 5).await;
    cluster.assert_same_state().await;
    assert_eq!(cluster.balance(leading, &key(1)).await, cluster.balance(other, &key(1)).await);
    assert!(cluster.balance(leading, &key(2)).await < after, "it was paid out of, and a fee was taken");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_reach_proposers_and_no_acceptor() {
    let cluster = Cluster::start_with(two_proposers).await;
    let genesis = &cluster.network.genesis;
    cluster.fund(5, &key(1)).await;
    cluster.assert_same_state().await;

    // The native entrance of a proposer, pinned to its key of the genesis file.
    let proposer = &genesis.genesis.deployment.edge_proposers()[1];
    let entrance =
        cluster.network.nodes[5].api.strip_prefix("http://").expect("http").parse().expect("numeric");
    let dialler = Dialler::new(&key(1), &genesis.chain_id).expect("a socket");
    let native = Native::connect(&dialler, entrance, proposer.network).await.expect("a session");
    let envelope = cluster.build(&key(1), vec![operation::bump_sequence(0)]).await;
    let bytes = envelope.to_xdr(Limits::none()).expect("written");
    let hash = *SignedTransaction::from_envelope(&genesis.network_id(), envelope).expect("fits").hash();
    let reply = native.submit(hash, Envelope(bytes.into())).await;
    let Reply::Receipt(receipt) = reply else { panic!("no receipt: {reply:?}") };
    Verifier::new(genesis).expect("possible").check(&receipt).expect("holds");
    // It has no vote, and so no word before the seals.
    let (hash, envelope) = transaction(&cluster, &key(1)).await;
    let (words, _heard) = tokio::sync::mpsc::unbounded_channel();
    let reply = native.submit_tentatively(hash, envelope, words).await;
    assert!(matches!(reply, Reply::NoReplies("no_vote", _)), "{reply:?}");
    let envelope = cluster.build(&key(1), vec![operation::bump_sequence(0)]).await;
    let refused = cluster.client.submit_early(EarlyRule::Tentative, &key(1), envelope).await;
    let words = refused.expect_err("refused").to_string();
    assert!(words.starts_with("clients of an edge network reach its proposers"), "{words}");

    // An acceptor listens for its peers and its operator. Where validators of other networks serve clients nobody is.
    let settings = Settings::load(&cluster.homes[0]).expect("valid");
    let mut clients = settings.network.listen;
    clients.set_port(settings.network.listen.port() + 1);
    assert!(std::net::TcpStream::connect(clients).is_err(), "no REST interface");
    let serves_clients = |process: usize| cluster.nodes[process].as_ref().expect("it runs").serves_clients();
    assert_eq!((0..6).filter(|process| serves_clients(*process)).collect::<Vec<_>>(), PROPOSERS);
    let acceptor = genesis.genesis.validators[0].network;
    let refused = "network_refused_total{reason=\"protocol\"}";
    let before = cluster.metric(0, refused).await;
    assert!(
        Native::connect(&dialler, settings.network.listen, acceptor).await.is_err(),
        "it knows no clients"
    );
    eventually("the refusal is counted", async || cluster.metric(0, refused).await > before).await;
    cluster.stop().await;
}

/// The error of reading the home of process `index` with `lines` behind its settings.
fn refused_with(cluster: &Cluster, index: usize, lines: &str) -> String {
    let path = cluster.homes[index].join("node.toml");
    let text = fs::read_to_string(&path).expect("readable");
    fs::write(&path, format!("{text}\n{lines}\n")).expect("written");
    let error = Home::read(&cluster.homes[index]).map(|_| ()).expect_err("refused").to_string();
    fs::write(&path, text).expect("written");
    Home::read(&cluster.homes[index]).expect("as it was made");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_another_role_are_refused() {
    let cluster = Cluster::make_with(two_proposers);
    let key = key(7).public();
    let served = format!("[[followers.peers]]\nkey = \"{key}\"\naddress = \"127.0.0.1:9\"");
    let cases = [
        (0, "[api]\nlisten = \"127.0.0.1:9\"".to_owned(), "api.listen is 127.0.0.1:9"),
        (0, "[api]\nrequests_per_second = 5".to_owned(), "api.requests_per_second is 5"),
        (0, "[api.tls]\nlisten = \"127.0.0.1:9\"".to_owned(), "api.tls.listen"),
        (0, "[entrance]\nenabled = true".to_owned(), "entrance.enabled is true"),
        (0, "[bank]\ndomain = \"bank.example\"".to_owned(), "bank.domain"),
        (0, served.clone(), "followers.peers[0]"),
        (4, served, "followers.peers[0]"),
        (4, "[validator.token]\nmodule = \"m\"\nlabel = \"t\"".to_owned(), "validator.token.label"),
    ];
    for (index, lines, expected) in cases {
        let refused = refused_with(&cluster, index, &lines);
        check(&refused, &[expected, "node.toml", "expected nothing at", "of an edge network", "hint"]);
    }
    let own = "[[network.peers]]\nindex = 4\naddress = \"127.0.0.1:9\"";
    check(&refused_with(&cluster, 4, own), &["network.peers lists 4", "own number"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn home_says_which_command_starts_it() {
    let mut cluster = Cluster::make_with(two_proposers);
    let read = |index: usize| Home::read(&cluster.homes[index]).expect("readable");
    let told =
        |refused: Result<Home, carat_node::NodeError>| refused.map(|_| ()).expect_err("refused").to_string();
    check(&told(read(4).of_validator()), &["proposer \"p0\"", "no vote", "hint", "carat-node propose"]);
    check(&told(read(1).of_proposer()), &["validator 1", "which votes", "hint", "carat-node run"]);
    read(4).of_proposer().expect("a proposer's");
    read(1).of_validator().expect("a validator's");
    let follows = FollowerHome::read(&cluster.homes[4]).map(|_| ()).expect_err("refused").to_string();
    check(&follows, &["2 proposers", "expected \"co-located\"", "hint"]);

    let path = cluster.homes[5].join("node.toml");
    let text = fs::read_to_string(&path).expect("readable");
    fs::write(&path, text.replacen("proposer = 1", "proposer = 2", 1)).expect("written");
    check(&refusal(&mut cluster, 5).await, &["proposer 2", "lists 2", "hint"]);
    // With the place of the other its keys are foreign, and so would be its journal.
    fs::write(&path, text.replacen("proposer = 1", "proposer = 0", 1)).expect("written");
    check(&refusal(&mut cluster, 5).await, &["hint"]);
    fs::write(&path, &text).expect("written");
    // What it may have led stands in its journal (J7): without it the key never proposes again.
    let journal = cluster.homes[5].join("data/journal");
    fs::rename(&journal, cluster.homes[5].join("elsewhere")).expect("renamed");
    check(&refusal(&mut cluster, 5).await, &["journal", "hint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_key_files_of_a_proposer_are_encrypted_at_rest() {
    use carat_node::home::Place;
    use carat_node::key_change::{Change, apply};

    let cluster = Cluster::make_with(two_proposers);
    let home = &cluster.homes[4];
    let source = PassphraseSource::of_keys(Some(set_passphrase(&cluster, 4, "six random words in a row")));
    let place = Place::read(home).expect("readable");
    let change = Change::Encrypt(source.demand().expect("long"));
    assert_eq!(apply(&place, &source, &change).expect("encrypted").len(), 2);
    for file in ["proposer.key.json", "network.key.json"] {
        assert!(
            !fs::read_to_string(home.join("keys").join(file)).expect("readable").contains("seed"),
            "{file}"
        );
    }
    Home::read(home).expect("opened with its passphrase").open().expect("its journal is there");
}
