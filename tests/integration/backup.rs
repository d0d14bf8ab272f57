//! Backups of a running validator, and what becomes of a validator that is restored from one.

use std::fs;
use std::path::{Path, PathBuf};

use carat_node::backup::{self, FILE, Making};
use carat_node::home::Place;
use carat_storage::vault::Passphrase;
use carat_types::LeafRule;

use crate::cluster::{Cluster, key};

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple")
}

/// Makes a backup as its own process would: off the threads that serve the validators.
async fn create(cluster: &Cluster, index: usize, making: Making) -> PathBuf {
    let (home, out) = (cluster.homes[index].clone(), cluster.path().join("backup"));
    let made = tokio::task::spawn_blocking(move || {
        backup::create(&home, &out, &making, &mut |_, _| ()).map(|_| out)
    })
    .await;
    made.expect("no panic").expect("a backup")
}

/// Restores the store of validator `index`, whose old one is moved away.
fn restore(cluster: &Cluster, index: usize, folder: &Path) -> backup::Restored {
    let data = cluster.homes[index].join("data");
    fs::rename(data.join("store"), data.join("old-store")).expect("moved away");
    backup::restore(&cluster.homes[index], folder, Some(&passphrase()), false, &mut |_, _| ())
        .expect("restored")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_restored_beside_its_journal_catches_up_and_votes() {
    let mut cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    let encrypted = Making { passphrase: Some(passphrase()), ..Making::default() };
    cluster.await_caught_up(3).await;
    let folder = create(&cluster, 3, encrypted).await;
    assert!(!cluster.homes[3].join("data/backup.checkpoint").exists(), "the copy went with the connection");
    for amount in 1..=20 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    cluster.stop_node(3).await;
    let restored = restore(&cluster, 3, &folder);
    assert!(restored.journal && restored.report.encrypted);
    assert!(restored.report.transactions >= 2, "{:?}", restored.report);
    cluster.start_node(3).await.expect("starts");
    cluster.await_ready(3).await;
    // Three of four are a quorum: the restored one must vote.
    cluster.stop_node(2).await;
    cluster.pay(&key(1), &key(2), 21).await;
    cluster.assert_same_state().await;
    assert_eq!(cluster.balance(3, &key(2)).await, cluster.balance(0, &key(2)).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_restored_without_its_journal_never_starts() {
    let mut cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    // Any validator's backup will do for any other.
    let folder = create(&cluster, 0, Making { passphrase: Some(passphrase()), ..Making::default() }).await;
    cluster.stop_node(3).await;
    let data = cluster.homes[3].join("data");
    fs::remove_dir_all(data.join("journal")).expect("lost");
    assert!(!restore(&cluster, 3, &folder).journal);
    let error = cluster.start_node(3).await.expect_err("refused").to_string();
    assert!(error.contains("no journal") && error.contains("hint"), "{error}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_with_a_flipped_bit_or_a_missing_end_is_refused_with_a_sentence() {
    let mut cluster = Cluster::start(1).await;
    cluster.fund(0, &key(1)).await;
    let folder = create(&cluster, 0, Making::default()).await;
    let genesis = Place::read(&cluster.homes[0]).expect("readable").genesis().clone();
    backup::verify(&folder, &genesis, &LeafRule::Open, None, false, &mut |_, _| ()).expect("sound");
    let whole = fs::read(folder.join(FILE)).expect("readable");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (what, bytes) in [("flipped", &flipped[..]), ("cut", &whole[..whole.len() - 40])] {
        fs::write(folder.join(FILE), bytes).expect("written");
        let error = backup::verify(&folder, &genesis, &LeafRule::Open, None, false, &mut |_, _| ())
            .expect_err(what)
            .to_string();
        assert!(error.contains(FILE) && error.contains("hint:"), "{what}: {error}");
    }
    // While a validator runs, or where a store is, nothing is restored.
    fs::write(folder.join(FILE), &whole).expect("written");
    let error = backup::restore(&cluster.homes[0], &folder, None, false, &mut |_, _| ())
        .expect_err("occupied")
        .to_string();
    assert!(error.contains("holds a store already"), "{error}");
    // A stopped validator is backed up from its own files, here as far as they are proven.
    cluster.stop_node(0).await;
    let stopped = cluster.path().join("stopped");
    let written = backup::create(
        &cluster.homes[0],
        &stopped,
        &Making { unsealed: true, ..Making::default() },
        &mut |_, _| (),
    );
    let written = written.expect("a backup");
    let report =
        backup::verify(&stopped, &genesis, &LeafRule::Open, None, true, &mut |_, _| ()).expect("sound");
    assert_eq!(report.tip, written.tip.slot);
    let again = backup::create(&cluster.homes[0], &stopped, &Making::default(), &mut |_, _| ())
        .expect_err("there")
        .to_string();
    assert!(again.contains("there already"), "{again}");
}
