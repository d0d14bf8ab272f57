//! Validators that change by vote while the network settles: one epoch ends, the next begins.

use std::io::Write as _;
use std::path::Path;

use carat_client::{Believed, Client, EarlyRule, Network};
use carat_genesis::newcomer::next_keys;
use carat_genesis::{Addresses, Newcomer};
use carat_ledger::NEWEST_PROTOCOL;
use carat_node::backup::{self, Making};
use carat_node::{Home, NodeError, Settings, archive};
use carat_types::epoch::EpochSet;
use carat_types::genesis::GenesisValidator;
use carat_types::governance::{Call, Change};
use carat_types::message::StableCheckpoint;
use carat_types::receipt::{Assumption, Receipt};
use carat_types::{Epoch, LeafRule, PublicKey};
use stellar_xdr::TransactionEnvelope;

use crate::cluster::{Cluster, PATIENCE, key};
use crate::governance::{approve, governance, speak, start};

/// The set of the first epoch.
pub(crate) fn founders(cluster: &Cluster) -> EpochSet {
    let genesis = &cluster.network.genesis.genesis;
    EpochSet { epoch: Epoch(1), ..genesis.first_set() }
}

/// Validator 0 proposes a set, and others approve it.
pub(crate) async fn decide(cluster: &Cluster, set: &EpochSet, approve_too: &[usize]) {
    let change = Change::Set(Box::new(set.clone()));
    let proposed = speak(cluster, 0, |key| Call::Propose {
        signer: key.public(),
        change: change.clone(),
        valid_until: u64::MAX,
    })
    .await;
    assert!(proposed.contains("success"), "{proposed}");
    if approve_too.is_empty() {
        return;
    }
    let open = governance(cluster, cluster.serving()).await;
    let id = open["proposals"][0]["id"].as_str().unwrap_or_else(|| panic!("none is open: {open}")).to_owned();
    for index in approve_too {
        let approved = approve(cluster, *index, &id).await;
        assert!(approved.contains("success"), "{approved}");
    }
}

/// Waits until the epoch of a validator has ended.
pub(crate) async fn end_of_epoch(cluster: &mut Cluster, index: usize) -> std::sync::Arc<StableCheckpoint> {
    let failed = cluster.nodes[index].as_mut().expect("it runs").failed();
    match tokio::time::timeout(PATIENCE, failed).await.expect("the epoch ends") {
        NodeError::EpochEnded(last) => last,
        error => panic!("validator {index}: {error}"),
    }
}

/// A validator goes over to the next epoch, as its process does.
pub(crate) async fn go_over(cluster: &mut Cluster, index: usize) {
    let last = end_of_epoch(cluster, index).await;
    cluster.nodes[index].take().expect("it runs").hand_over(&last).await.expect("handed over");
    cluster.start_node(index).await.expect("starts in the next epoch");
}

/// A payment of account 1 to account 2.
async fn payment(cluster: &Cluster) -> TransactionEnvelope {
    let payment = carat_types::builder::operation::payment(
        crate::cluster::id(&key(2)),
        stellar_xdr::Asset::Native,
        70_000_000,
    );
    cluster.build(&key(1), vec![payment]).await
}

/// A payment whose receipt walks over `handovers` handovers.
pub(crate) async fn pay_after(cluster: &Cluster, handovers: usize) {
    let envelope = payment(cluster).await;
    let finality = cluster.client.submit(envelope).await.expect("settles");
    let receipt = <Receipt as carat_types::codec::Decode>::from_bytes(&finality.receipt).expect("decodes");
    assert_eq!(receipt.handovers.len(), handovers);
    let verdict = Receipt::verify(&finality.receipt, &cluster.network.genesis).expect("holds");
    assert!(matches!(verdict.assumption, Assumption::AtMostDishonestInEach(_)), "{}", verdict.assumption);
    let without = receipt.after(Vec::new());
    let refused = Receipt::verify(&carat_types::codec::Encode::to_bytes(&without), &cluster.network.genesis);
    refused.expect_err("its set is none of the genesis file");
}

/// The validators that run go over, and are ready then.
pub(crate) async fn go_over_together(cluster: &mut Cluster, validators: &[usize]) {
    for index in validators {
        go_over(cluster, *index).await;
    }
    for index in validators {
        cluster.await_ready(*index).await;
    }
}

/// A client that has the genesis file and the address of one node, a founder or the newcomer: it knows nothing of later epochs,
/// and where it looks for the others nobody listens.
fn client_of_one(cluster: &Cluster, reached: usize) -> Client {
    let folder = tempfile::tempdir().expect("a folder");
    let genesis = cluster.path().join("genesis.json");
    let mut text = format!("genesis = {genesis:?}\n");
    for (index, node) in
        cluster.network.nodes.iter().enumerate().filter(|(index, _)| *index < 4 || *index == reached)
    {
        let name = if index < 4 { &node.name } else { "newcomer" };
        let api = if index == reached { &node.api } else { "http://127.0.0.1:1" };
        text.push_str(&format!(
            "[[nodes]]\nname = {name:?}\napi = {api:?}\nmetrics = \"http://127.0.0.1:1\"\n"
        ));
    }
    std::fs::write(folder.path().join("network.toml"), text).expect("written");
    let network = Network::load(folder.path()).expect("described");
    Client::new(network).expect("a client").patience(PATIENCE / 4, PATIENCE)
}

/// Pays through one node, at its native entrance and by REST, each time as a client that knows nothing else. Verifies what comes back.
///
/// **Returns** what the clients know then.
async fn pay_through(cluster: &Cluster, reached: usize) -> [Client; 2] {
    let genesis = &cluster.network.genesis;
    // The word of a validator before the seals is told at its native entrance alone, to who expects the key that it shows. Each try
    // is a new client's: it must come to know that key before it turns to REST.
    let believed = async {
        loop {
            let client = client_of_one(cluster, reached);
            let envelope = payment(cluster).await;
            let told = client.submit_early(EarlyRule::Tentative, &key(1), envelope).await.expect("believed");
            if let Believed::Early(early) = told {
                return (client, early);
            }
            cluster.assert_same_state().await;
        }
    };
    let (native, early) = tokio::time::timeout(PATIENCE, believed).await.expect("a word before the seals");
    Receipt::verify(&early.believed.receipt, genesis).expect("holds");
    let sealed = early.sealed(&native).await.expect("the same");
    Receipt::verify(&sealed.receipt, genesis).expect("holds");
    cluster.assert_same_state().await;
    let rest = client_of_one(cluster, reached);
    let finality = rest.submit(payment(cluster).await).await.expect("settles");
    Receipt::verify(&finality.receipt, genesis).expect("holds");
    cluster.assert_same_state().await;
    [native, rest]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_validator_are_replaced_by_vote_and_the_network_settles_on() {
    let mut cluster = start(4, NEWEST_PROTOCOL).await;
    cluster.fund(0, &key(2)).await;
    cluster.assert_same_state().await;
    let mut set = founders(&cluster);
    let next = cluster.homes[3].join("keys/next");
    let old = set.validators[3].clone();
    set.validators[3] = next_keys(&next, &old.name, None, None).expect("made");
    // One sleeps over the end of the epoch.
    cluster.stop_node(2).await;
    cluster.start_node(2).await.expect("starts again");
    cluster.await_ready(2).await;
    decide(&cluster, &set, &[1, 2]).await;
    cluster.stop_node(2).await;
    go_over_together(&mut cluster, &[0, 1, 3]).await;
    pay_after(&cluster, 1).await;
    cluster.start_node(2).await.expect("starts in the epoch that it knows");
    go_over(&mut cluster, 2).await;
    cluster.await_ready(2).await;
    // Three of four are a quorum: the new key votes.
    cluster.stop_node(1).await;
    pay_after(&cluster, 1).await;
    cluster.start_node(1).await.expect("starts again");
    cluster.await_ready(1).await;
    // A client with the genesis file alone learns of the new network key, which the native entrance shows.
    cluster.await_caught_up(3).await;
    assert_eq!(client_of_one(&cluster, 3).network().key_of(3), Some(old.network));
    for client in pay_through(&cluster, 3).await {
        assert_eq!(client.network().epochs().present(), Epoch(1));
        assert_eq!(client.network().key_of(3), Some(set.validators[3].network));
    }
    // A restart is in the new epoch, with its journal; the old epoch's is gone.
    for index in 0..4 {
        cluster.stop_node(index).await;
    }
    for index in 0..4 {
        cluster.start_node(index).await.expect("starts again");
    }
    for index in 0..4 {
        cluster.await_ready(index).await;
    }
    pay_after(&cluster, 1).await;
    // Every block of both epochs leads from the genesis file to the state.
    cluster.assert_same_state().await;
    cluster.stop_node(3).await;
    let home = Home::read(&cluster.homes[3]).expect("a home");
    assert_eq!(home.epochs().present(), Epoch(1));
    let replayed = home.replay(|_, _| {}).expect("leads there");
    assert!(replayed.sealed > 0);
    // So do a backup and an archive, by the handovers beside them.
    let (out, genesis) = (cluster.path().join("copies"), home.genesis().clone());
    backup::create(&cluster.homes[3], &out, &Making::default(), &mut |_, _| ()).expect("a backup");
    archive::export(&cluster.homes[3], &out, 1_000, None, &mut |_, _| ()).expect("an archive");
    let verified = || {
        let of_backup =
            backup::verify(&out, &genesis, &LeafRule::Open, None, false, &mut |_, _| ()).map(|_| ());
        let of_archive = archive::verify(&out, &genesis, None, |_, _| {}).map(|_| ());
        [of_backup, of_archive].map(|verdict| verdict.map_err(|error| error.to_string()))
    };
    assert_eq!(verified(), [Ok(()), Ok(())]);
    std::fs::remove_file(out.join(carat_handovers::FILE_NAME)).expect("it was there");
    for verdict in verified() {
        let refused = verdict.expect_err("its last seals are by nobody");
        assert!(refused.contains("the handovers lead to epoch 0"), "{refused}");
    }
    // Without the handovers the journal is of an epoch that nothing proves.
    let handovers = cluster.homes[3].join("data").join(carat_handovers::FILE_NAME);
    let kept = std::fs::read(&handovers).expect("there");
    std::fs::remove_file(&handovers).expect("lost");
    let refused = cluster.start_node(3).await.expect_err("refused").to_string();
    assert!(refused.contains("hint"), "{refused}");
    let mut damaged = kept.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    std::fs::write(&handovers, damaged).expect("damaged");
    let refused = cluster.start_node(3).await.expect_err("refused").to_string();
    assert!(refused.contains("hint"), "{refused}");
    cluster.stop().await;
}

/// The power goes between the steps by which a validator with new keys begins its epoch: each start goes on from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_while_an_epoch_begins_leads_into_it() {
    let mut cluster = start(1, NEWEST_PROTOCOL).await;
    let mut set = founders(&cluster);
    let home = cluster.homes[0].clone();
    set.validators[0] = next_keys(&home.join("keys/next"), "other", None, None).expect("made");
    decide(&cluster, &set, &[]).await;
    let last = end_of_epoch(&mut cluster, 0).await;
    cluster.nodes[0].take().expect("it runs").hand_over(&last).await.expect("handed over");
    // The handovers are written, and nothing else is: this is where a start begins.
    let (journal, old) = (home.join("data/journal"), home.join("old-journal"));
    copy_folder(&journal, &old);
    drop(Home::read(&home).expect("a home").open().expect("begins the epoch"));
    // The store is the new key's, the journal still the old one's.
    std::fs::remove_dir_all(&journal).expect("removed");
    copy_folder(&old, &journal);
    cluster.start_node(0).await.expect("begins it again");
    cluster.await_ready(0).await;
    cluster.fund(0, &key(2)).await;
    pay_after(&cluster, 1).await;
    // The old journal never comes back into its own: the new key has voted.
    cluster.stop_node(0).await;
    cluster.start_node(0).await.expect("starts again");
    cluster.await_ready(0).await;
    cluster.stop().await;
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// A validator that is in no genesis file: its home, and what the others must know of it.
pub(crate) fn newcomer(cluster: &mut Cluster, place: u16) -> GenesisValidator {
    let made = newcomer_to_be(cluster, format!("v{place}"), place);
    let entry = carat_genesis::newcomer::join(&made).expect("a home");
    introduce(cluster, made, entry.network);
    entry
}

/// Where one listens who is in no genesis file, and whom it knows.
pub(crate) fn newcomer_to_be(cluster: &Cluster, folder: String, place: u16) -> Newcomer {
    let free = || {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        socket.local_addr().expect("bound")
    };
    let (network, api, metrics) = (free(), free(), free());
    let genesis = &cluster.network.genesis;
    let founders = genesis.validators().expect("possible").processes();
    let peers = founders.map(|process| {
        let settings = Settings::load(&cluster.homes[process.index()]).expect("valid");
        (process.0, settings.network.listen)
    });
    Newcomer {
        genesis: cluster.path().join("genesis.json"),
        name: "newcomer".to_owned(),
        place,
        out: cluster.path().join(folder),
        addresses: Addresses { network, api, metrics },
        peers: peers.collect(),
        passphrase: None,
    }
}

/// Everybody is told where a newcomer with this network key is.
pub(crate) fn introduce(cluster: &mut Cluster, newcomer: Newcomer, key: PublicKey) {
    let Newcomer { out: home, addresses: Addresses { network, api, metrics }, .. } = newcomer;
    for other in &cluster.homes {
        let line = format!("\n[[network.newcomers]]\nkey = \"{key}\"\naddress = \"{network}\"\n");
        let mut settings =
            std::fs::OpenOptions::new().append(true).open(other.join("node.toml")).expect("settings");
        settings.write_all(line.as_bytes()).expect("written");
    }
    cluster.homes.push(home.clone());
    cluster.nodes.push(None);
    let name = home.file_name().expect("named").to_string_lossy().into_owned();
    let (api, metrics) = (format!("http://{api}"), format!("http://{metrics}"));
    cluster.network.nodes.push(carat_client::network::NodeAddress { name, home, api, metrics });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_comes_and_votes_and_another_goes() {
    let mut cluster = start(4, NEWEST_PROTOCOL).await;
    cluster.fund(0, &key(2)).await;
    cluster.assert_same_state().await;
    let mut set = founders(&cluster);
    set.validators.push(newcomer(&mut cluster, 4));
    // Before its epoch it is nobody.
    let early = cluster.start_node(4).await.expect_err("no validator yet").to_string();
    assert!(early.contains("hint"), "{early}");
    decide(&cluster, &set, &[1, 2]).await;
    go_over_together(&mut cluster, &[0, 1, 2, 3]).await;
    pay_after(&cluster, 1).await;
    let file = Path::new("data").join(carat_handovers::FILE_NAME);
    std::fs::copy(cluster.homes[0].join(&file), cluster.homes[4].join(&file)).expect("given to it");
    cluster.start_node(4).await.expect("starts in its first epoch");
    cluster.await_ready(4).await;
    // Four of five are a quorum.
    cluster.stop_node(3).await;
    pay_after(&cluster, 1).await;
    cluster.start_node(3).await.expect("starts again");
    cluster.await_ready(3).await;
    cluster.assert_same_state().await;

    // The founder in the first place goes: everybody moves up.
    set.epoch = Epoch(2);
    set.validators.remove(0);
    decide(&cluster, &set, &[1, 2, 4]).await;
    let last = end_of_epoch(&mut cluster, 0).await;
    cluster.nodes[0].take().expect("it runs").hand_over(&last).await.expect("handed over");
    let gone = cluster.start_node(0).await.expect_err("no validator any more").to_string();
    assert!(gone.contains("no validator of epoch 2") && gone.contains("hint"), "{gone}");
    go_over_together(&mut cluster, &[1, 2, 3, 4]).await;
    pay_after(&cluster, 2).await;
    // A client that knew the founders learned of them by the receipts that it verified.
    let network = cluster.client.network();
    let names: Vec<&str> = network.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!((network.epochs().present(), names), (Epoch(2), vec!["v1", "v2", "v3", "newcomer"]));
    let notes = network.notes().join("\n");
    assert!(notes.contains("v0 is no validator any more") && notes.contains("no address of it"), "{notes}");
    // One that has the newcomer's address, and else the genesis file alone, pays through it.
    cluster.await_caught_up(4).await;
    for client in pay_through(&cluster, 4).await {
        assert_eq!(client.network().epochs().present(), Epoch(2));
        assert_eq!(client.network().key_of(3), Some(set.validators[3].network));
    }
    // Its key is worth nothing now: three of four are the quorum, and it is none of them.
    cluster.stop_node(1).await;
    pay_after(&cluster, 2).await;
    cluster.stop().await;
}
