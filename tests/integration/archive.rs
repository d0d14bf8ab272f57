//! Archives of blocks: written beside a running validator, checked and executed with the genesis file alone.

use std::fs;
use std::path::{Path, PathBuf};

use carat_genesis::init::InitOptions;
use carat_node::archive::{self, Exported, Imported, Step};
use carat_node::home::Place;
use carat_node::{Home, NodeError};
use carat_storage::vault::Passphrase;
use carat_types::genesis::{ConsensusConstants, GenesisFile};
use carat_types::{Digest, LeafRule, Slot};

use crate::cluster::{Cluster, eventually, key};

/// As its own process would: off the threads that serve the validators.
async fn export(cluster: &Cluster, index: usize) -> Exported {
    let (home, out) = (cluster.homes[index].clone(), folder(cluster));
    let passphrase = passphrase();
    let exported = tokio::task::spawn_blocking(move || {
        archive::export(&home, &out, 5, Some(&passphrase), &mut |_, _| ())
    });
    exported.await.expect("no panic").expect("an archive")
}

fn folder(cluster: &Cluster) -> PathBuf {
    cluster.path().join("archives")
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple")
}

fn refusal(folder: &Path, genesis: &GenesisFile) -> String {
    let refused = archive::verify(folder, genesis, Some(&passphrase()), |_, _| {});
    refused.expect_err("refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archives_of_two_validators_join_and_lead_from_the_genesis_file_to_the_state() {
    let cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    for amount in 1..=10 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    let first = export(&cluster, 0).await;
    assert!(first.files.len() >= 2 && first.bytes > 0, "{first:?}");
    for amount in 11..=20 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    // Any validator goes on where another stopped.
    let second = export(&cluster, 1).await;
    assert!(second.last > first.last && !second.files.is_empty(), "{second:?}");
    let genesis = Place::read(&cluster.homes[0]).expect("readable").genesis().clone();
    let mut heard = Vec::new();
    let report =
        archive::verify(&folder(&cluster), &genesis, Some(&passphrase()), |slot, _| heard.push(slot));
    let report = report.expect("sound");
    assert_eq!((report.first, report.last), (Slot(1), second.last));
    assert_eq!(heard, (1..=second.last.0).map(Slot).collect::<Vec<_>>());
    let (again, replayed) =
        archive::replay(&folder(&cluster), &genesis, &LeafRule::Open, Some(&passphrase()), |_, _| {})
            .expect("leads there");
    assert_eq!((again, replayed.header, replayed.blocks), (report, report.header, report.last.0));
    assert_eq!(replayed.transactions, report.transactions);
    refuses_what_does_not_fit(&folder(&cluster), &genesis);
    cluster.stop().await;
}

fn refuses_what_does_not_fit(folder: &Path, genesis: &GenesisFile) {
    let other = GenesisFile { chain_id: Digest([7; 32]), ..genesis.clone() };
    assert!(refusal(folder, &other).contains("it is of chain"));
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("listed").map(|entry| entry.expect("listed").path()).collect();
    files.sort();
    let whole = fs::read(&files[1]).expect("readable");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for bytes in [&flipped[..], &whole[..whole.len() - 40]] {
        fs::write(&files[1], bytes).expect("written");
        let error = refusal(folder, genesis);
        let name = files[1].file_name().expect("a name").to_string_lossy().into_owned();
        assert!(error.contains(&name) && error.contains("hint:"), "{error}");
    }
    // The name says what is not in it.
    fs::copy(&files[0], &files[1]).expect("copied");
    assert!(refusal(folder, genesis).contains("its name says"));
    fs::remove_file(&files[1]).expect("removed");
    assert!(refusal(folder, genesis).contains("do not join"));
    let empty = folder.join("empty");
    fs::create_dir(&empty).expect("made");
    assert!(refusal(&empty, genesis).contains("are none"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archive_from_a_later_block_is_proven_and_not_executed() {
    let cluster = Cluster::start_with(|out| InitOptions::test(1, out)).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    for amount in 1..=10 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    let exported = export(&cluster, 0).await;
    fs::remove_file(&exported.files[0]).expect("removed");
    let genesis = Place::read(&cluster.homes[0]).expect("readable").genesis().clone();
    let report = archive::verify(&folder(&cluster), &genesis, Some(&passphrase()), |_, _| {}).expect("sound");
    assert!(report.first > Slot(1), "{report:?}");
    let refused =
        archive::replay(&folder(&cluster), &genesis, &LeafRule::Open, Some(&passphrase()), |_, _| {});
    let refused = refused.expect_err("what is below is not there").to_string();
    assert!(refused.contains("slot") && refused.contains("expected 1"), "{refused}");
    cluster.stop().await;
}

fn import(cluster: &Cluster, heard: impl FnMut(Step, Slot, Slot)) -> Result<Imported, NodeError> {
    archive::import(&cluster.homes[0], &folder(cluster), Some(&passphrase()), heard)
}

/// What the settings say of the store.
fn set_store(cluster: &Cluster, store: &str) {
    let path = cluster.homes[0].join("node.toml");
    let text = fs::read_to_string(&path).expect("settings");
    let text = text.split("\n[store]").next().expect("a first part");
    fs::write(&path, format!("{text}\n[store]\n{store}\n")).expect("writable");
}

/// A validator of small windows, and the first transaction.
async fn with_small_windows() -> (Cluster, String) {
    let consensus =
        ConsensusConstants { checkpoint_interval: 4, window: 16, ..ConsensusConstants::default() };
    let cluster = Cluster::start_with(|out| InitOptions { consensus, ..InitOptions::test(1, out) }).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    cluster.await_histories(&[0]).await;
    let first = cluster.get(0, "/transactions?order=asc&limit=1").await.1;
    let first = first["_embedded"]["records"][0]["hash"].as_str().expect("a hash").to_owned();
    (cluster, first)
}

/// A validator that dropped its oldest blocks, all of which are archived, and still runs. **Returns** the first transaction.
async fn with_dropped_blocks() -> (Cluster, String) {
    let (mut cluster, first) = with_small_windows().await;
    for amount in 1..=40 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    export(&cluster, 0).await;
    cluster.stop_node(0).await;
    set_store(&cluster, "keep_blocks = 64");
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;
    for amount in 41..=90 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    await_dropped(&cluster, &first).await;
    export(&cluster, 0).await;
    (cluster, first)
}

async fn await_dropped(cluster: &Cluster, transaction: &str) {
    eventually("the transaction is dropped", async || {
        cluster.pay(&key(1), &key(2), 7).await;
        cluster.get(0, &format!("/transactions/{transaction}")).await.0 != 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_dropped_when_they_are_archived_and_not_before() {
    let (mut cluster, first) = with_small_windows().await;
    cluster.stop_node(0).await;
    set_store(&cluster, "keep_blocks = 64\narchive = \"../archives\"");
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;
    for amount in 1..=90 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    cluster.await_histories(&[0]).await;
    assert_eq!(cluster.get(0, "/").await.1["history_elder_ledger"], 1);
    assert_eq!(cluster.get(0, &format!("/transactions/{first}")).await.0, 200);
    export(&cluster, 0).await;
    await_dropped(&cluster, &first).await;
    let genesis = Place::read(&cluster.homes[0]).expect("readable").genesis().clone();
    let report = archive::verify(&folder(&cluster), &genesis, Some(&passphrase()), |_, _| {}).expect("sound");
    assert_eq!(report.first, Slot(1), "what was dropped is archived");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_a_validator_dropped_are_put_back_from_archives() {
    let (mut cluster, first) = with_dropped_blocks().await;
    let refused = import(&cluster, |_, _, _| {}).expect_err("it runs").to_string();
    assert!(refused.contains("in use by another process") && refused.contains("stop the"), "{refused}");
    cluster.stop_node(0).await;
    set_store(&cluster, "");
    let files = archived_files(&cluster);
    refuses_to_put_back_what_does_not_fit(&cluster, &files);
    // Without the oldest file the others are put back; the next call goes on there, as after a crash between two files.
    let aside = cluster.path().join("aside");
    fs::rename(&files[0], &aside).expect("moved");
    let part = import(&cluster, |_, _, _| {}).expect("put back");
    assert!(part.blocks > 0 && part.oldest > Slot(1) && !part.drops, "{part:?}");
    cluster.start_node(0).await.expect("starts with some");
    cluster.await_ready(0).await;
    cluster.pay(&key(1), &key(2), 7).await;
    cluster.stop_node(0).await;
    fs::rename(&aside, &files[0]).expect("moved back");
    let mut heard = Vec::new();
    let rest = import(&cluster, |step, done, of| heard.push((step, done, of))).expect("put back");
    assert_eq!((rest.blocks, rest.oldest), (part.oldest.0 - 1, Slot(1)));
    assert_eq!(heard.last(), Some(&(Step::PutBack, Slot(rest.blocks), Slot(rest.blocks))));
    assert_eq!(import(&cluster, |_, _, _| {}).expect("nothing is missing").blocks, 0);
    // What is there now leads from the genesis file to the state, and makes the history again.
    let home = Home::read(&cluster.homes[0]).expect("sound");
    let replayed = home.replay(|_, _| {}).expect("leads there");
    assert!(replayed.blocks > part.blocks, "{replayed:?}");
    home.rebuild_history().expect("rebuilt");
    drop(home);
    cluster.start_node(0).await.expect("starts");
    cluster.await_ready(0).await;
    cluster.await_histories(&[0]).await;
    assert_eq!(cluster.get(0, &format!("/transactions/{first}")).await.0, 200);
    assert_eq!(cluster.get(0, &format!("/transactions/{first}/receipt")).await.0, 200);
    cluster.pay(&key(1), &key(2), 7).await;
    cluster.stop().await;
}

fn archived_files(cluster: &Cluster) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder(cluster)).expect("listed");
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.expect("listed").path()).collect();
    files.sort();
    files
}

fn refuses_to_put_back_what_does_not_fit(cluster: &Cluster, files: &[PathBuf]) {
    let refusal = || import(cluster, |_, _, _| {}).expect_err("refused").to_string();
    let (begin, rest) = files.split_at(1);
    let aside = cluster.path().join("aside");
    fs::create_dir(&aside).expect("made");
    let away = |file: &PathBuf| aside.join(file.file_name().expect("a name"));
    rest.iter().for_each(|file| fs::rename(file, away(file)).expect("moved"));
    assert!(refusal().contains("end with block"), "what is between is not there");
    rest.iter().for_each(|file| fs::rename(away(file), file).expect("moved back"));
    fs::remove_dir(&aside).expect("removed");
    let whole = fs::read(&begin[0]).expect("readable");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&begin[0], flipped).expect("written");
    assert!(refusal().contains("hint:"), "every file is checked before the first block is put back");
    fs::write(&begin[0], whole).expect("written");
}
