//! Validators that change by vote while the network settles: one epoch ends, the next begins.

use std::io::Write as _;
use std::path::Path;

use carat_genesis::newcomer::next_keys;
use carat_genesis::{Addresses, Newcomer};
use carat_ledger::NEWEST_PROTOCOL;
use carat_node::backup::{self, Making};
use carat_node::{Home, NodeError, Settings, archive, handovers};
use carat_types::epoch::EpochSet;
use carat_types::genesis::GenesisValidator;
use carat_types::governance::{Call, Change};
use carat_types::message::StableCheckpoint;
use carat_types::receipt::{Assumption, Receipt};
use carat_types::{Epoch, LeafRule};

use crate::cluster::{Cluster, PATIENCE, key};
use crate::governance::{approve, governance, speak, start};

/// The set of the first epoch.
pub(crate) fn founders(cluster: &Cluster) -> EpochSet {
    let genesis = &cluster.network.genesis.genesis;
    EpochSet { epoch: Epoch(1), validators: genesis.validators.clone(), consensus: genesis.consensus }
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
    let open = governance(cluster, 0).await;
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

/// A payment whose receipt walks over `handovers` handovers.
pub(crate) async fn pay_after(cluster: &Cluster, handovers: usize) {
    let payment = carat_types::builder::operation::payment(
        crate::cluster::id(&key(2)),
        stellar_xdr::Asset::Native,
        70_000_000,
    );
    let envelope = cluster.build(&key(1), vec![payment]).await;
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
    std::fs::remove_file(out.join(handovers::FILE)).expect("it was there");
    for verdict in verified() {
        let refused = verdict.expect_err("its last seals are by nobody");
        assert!(refused.contains("the handovers lead to epoch 0"), "{refused}");
    }
    // Without the handovers the journal is of an epoch that nothing proves.
    let handovers = cluster.homes[3].join("data").join(handovers::FILE);
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
    let free = || {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        socket.local_addr().expect("bound")
    };
    let (network, api, metrics) = (free(), free(), free());
    let home = cluster.path().join(format!("v{place}"));
    let peers = (0..4).map(|index| {
        let settings = Settings::load(&cluster.homes[usize::from(index)]).expect("valid");
        (index, settings.network.listen)
    });
    let newcomer = Newcomer {
        genesis: cluster.path().join("genesis.json"),
        name: "newcomer".to_owned(),
        place,
        out: home.clone(),
        addresses: Addresses { network, api, metrics },
        peers: peers.collect(),
        passphrase: None,
    };
    let entry = carat_genesis::newcomer::join(&newcomer).expect("a home");
    for other in &cluster.homes {
        let line = format!("\n[[network.newcomers]]\nkey = \"{}\"\naddress = \"{network}\"\n", entry.network);
        let mut settings =
            std::fs::OpenOptions::new().append(true).open(other.join("node.toml")).expect("settings");
        settings.write_all(line.as_bytes()).expect("written");
    }
    cluster.homes.push(home.clone());
    cluster.nodes.push(None);
    let node = carat_client::network::NodeAddress {
        name: format!("v{place}"),
        home,
        api: format!("http://{api}"),
        metrics: format!("http://{metrics}"),
    };
    cluster.network.nodes.push(node);
    entry
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
    let file = Path::new("data").join(handovers::FILE);
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
    // Its key is worth nothing now: three of four are the quorum, and it is none of them.
    cluster.stop_node(1).await;
    pay_after(&cluster, 2).await;
    cluster.stop().await;
}
