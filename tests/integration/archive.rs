//! Archives of blocks: written beside a running validator, checked and executed with the genesis file alone.

use std::fs;
use std::path::{Path, PathBuf};

use carat_genesis::init::InitOptions;
use carat_node::archive::{self, Exported};
use carat_node::home::Place;
use carat_storage::vault::Passphrase;
use carat_types::genesis::GenesisFile;
use carat_types::{Digest, LeafRule, Slot};

use crate::cluster::{Cluster, key};

/// As its own process would: off the threads that serve the validators.
async fn export(cluster: &Cluster, index: usize) -> Exported {
    let (home, out) = (cluster.homes[index].clone(), folder(cluster));
    let passphrase = passphrase();
    let exported = tokio::task::spawn_blocking(move || archive::export(&home, &out, 5, Some(&passphrase)));
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
    assert!(refusal(folder, genesis).contains("it has the blocks"));
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
