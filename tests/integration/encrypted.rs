//! A network whose validators encrypt what they store.

use std::fs;
use std::path::Path;

use carat_genesis::init::InitOptions;
use carat_node::backup::{self, Making};
use carat_node::home::Place;
use carat_node::key_change::{Change, apply};
use carat_storage::vault::{Passphrase, PassphraseSource};
use carat_types::builder::operation;

use crate::cluster::{Cluster, key};
use crate::start_up::{check, refusal, set_passphrase};

const ENCRYPTED: &str = "[store]\nencryption = \"values\"\n";
const CLEAR: &str = "[store]\nencryption = \"none\"\n";

fn of(index: usize) -> String {
    format!("six random words of bank {index}")
}

async fn start() -> Cluster {
    let mut cluster =
        Cluster::make_with(|out| InitOptions { encrypt_store: true, ..InitOptions::test(4, out) });
    check(
        &refusal(&mut cluster, 0).await,
        &["the passphrase of store and journal: no passphrase was given", "hint: "],
    );
    (0..4).for_each(|index| _ = set_passphrase(&cluster, index, &of(index)));
    cluster.started().await
}

/// Whether a file of a folder holds these bytes.
fn shows(folder: &Path, bytes: &[u8]) -> bool {
    let entries = fs::read_dir(folder).expect("lists").map(|entry| entry.expect("lists"));
    entries.into_iter().any(|entry| match entry.file_type().expect("known").is_dir() {
        true => shows(&entry.path(), bytes),
        // The socket is none, and a running database deletes files of its own.
        false => fs::read(entry.path()).is_ok_and(|it| it.windows(bytes.len()).any(|window| window == bytes)),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn value_that_is_settled_is_in_no_file_of_an_encrypted_validator() {
    let mut cluster = start().await;
    cluster.fund(0, &key(1)).await;
    let (name, value) = ("the name of a row", b"seventeen francs for the old clock");
    let entry = operation::manage_data(name, Some(value)).expect("short");
    let envelope = cluster.build(&key(1), vec![entry]).await;
    let finality = cluster.client.submit(envelope).await.expect("settles");
    assert!(carat_client::outcome::Outcome::of(&finality.result).successful);
    cluster.assert_same_state().await;
    let homes = cluster.homes.clone();
    // In the journals, which no checkpoint has cut yet, and in the databases.
    for home in &homes {
        assert!(!shows(&home.join("data"), value), "{}", home.display());
    }
    // What is looked for would be found: keys of rows are in the clear.
    assert!(homes.iter().any(|home| shows(&home.join("data"), name.as_bytes())));
    let data = homes[0].join("data");
    assert!(data.join("journal/data.key").exists() && data.join("store/rocksdb/data.key").exists());
    for index in 0..4 {
        cluster.stop_node(index).await;
    }
    assert!(homes.iter().all(|home| !shows(&home.join("data"), value)));
}

/// Says in the settings of validator `index` what is to be encrypted.
fn set_encryption(cluster: &Cluster, index: usize, from: &str, to: &str) {
    let path = cluster.homes[index].join("node.toml");
    let text = fs::read_to_string(&path).expect("readable");
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replacen(from, to, 1)).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_of_encrypted_stores_settles_and_each_opens_as_it_was_made_alone() {
    let mut cluster = start().await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    for amount in 1..=10 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    cluster.stop_node(3).await;
    set_passphrase(&cluster, 3, &of(2));
    check(&refusal(&mut cluster, 3).await, &["data.key", "the passphrase is not the one", "hint: "]);
    set_passphrase(&cluster, 3, &of(3));
    set_encryption(&cluster, 3, ENCRYPTED, CLEAR);
    check(
        &refusal(&mut cluster, 3).await,
        &["was made with \"values\"", "store.encryption is \"none\"", "hint: "],
    );
    set_encryption(&cluster, 3, CLEAR, ENCRYPTED);

    // The passphrase of everything that is encrypted in a home changes at once.
    let place = Place::read(&cluster.homes[3]).expect("readable");
    let old = PassphraseSource::of_keys(Some(cluster.path().join("passphrase-3")));
    let written = apply(&place, &old, &Change::Reencrypt(Passphrase::new(of(7)))).expect("changed");
    let data_keys = written.iter().filter(|it| it.path.ends_with("data.key") && it.public_key.is_none());
    assert_eq!(data_keys.count(), 2, "{written:?}");
    check(&refusal(&mut cluster, 3).await, &["the passphrase is not the one"]);
    set_passphrase(&cluster, 3, &of(7));
    cluster.start_node(3).await.expect("starts");
    cluster.await_ready(3).await;
    // Three of four are a quorum: the one that came back must vote.
    cluster.stop_node(2).await;
    cluster.pay(&key(1), &key(2), 11).await;
    cluster.assert_same_state().await;
    assert_eq!(cluster.balance(3, &key(2)).await, cluster.balance(0, &key(2)).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_store_becomes_one_in_the_clear_by_backup_and_restore() {
    let mut cluster = start().await;
    cluster.fund(0, &key(1)).await;
    let (home, out) = (cluster.homes[3].clone(), cluster.path().join("backup"));
    let folder = out.clone();
    let made = tokio::task::spawn_blocking(move || {
        backup::create(&home, &folder, &Making::default(), &mut |_, _| ())
    })
    .await;
    made.expect("no panic").expect("a backup of the running validator");
    cluster.stop_node(3).await;
    set_encryption(&cluster, 3, ENCRYPTED, CLEAR);
    let data = cluster.homes[3].join("data");
    fs::rename(data.join("store"), data.join("old-store")).expect("moved away");
    assert!(backup::restore(&cluster.homes[3], &out, None, false, &mut |_, _| ()).expect("restored").journal);
    assert!(!data.join("store/rocksdb/data.key").exists());
    cluster.start_node(3).await.expect("starts");
    cluster.await_ready(3).await;
    cluster.fund(0, &key(2)).await;
    cluster.assert_same_state().await;
    cluster.stop().await;
}
