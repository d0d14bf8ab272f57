//! What a validator refuses to start with, and what it tells the operator.

use std::fs;

use carat_node::{Home, Node, Settings};

use crate::cluster::Cluster;

/// The error of starting validator `index`, as the operator reads it. Its port is free again afterwards.
pub(crate) async fn refusal(cluster: &mut Cluster, index: usize) -> String {
    let error = refusal_now(cluster, index).await;
    cluster.await_port_free(index).await;
    error
}

/// As [`refusal`], for a test that holds the port itself.
async fn refusal_now(cluster: &mut Cluster, index: usize) -> String {
    match cluster.start_node(index).await {
        Ok(()) => panic!("validator {index} started"),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn check(error: &str, expected: &[&str]) {
    for part in expected {
        assert!(error.contains(part), "{error:?} should say {part:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_port_is_named_with_a_hint() {
    let mut cluster = Cluster::make(1);
    let settings = Settings::load(&cluster.homes[0]).expect("valid");
    let _taken = std::net::TcpListener::bind(settings.api.listen).expect("free");
    let error = refusal(&mut cluster, 0).await;
    check(&error, &["api.listen", &settings.api.listen.to_string(), "hint:"]);
    drop(_taken);
    let _taken = std::net::UdpSocket::bind(settings.network.listen).expect("free");
    let error = refusal_now(&mut cluster, 0).await;
    check(&error, &[&settings.network.listen.to_string(), "hint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_genesis_file_does_not_match_the_data_folder() {
    let mut cluster = Cluster::make(1);
    let path = cluster.path().join("genesis.json");
    let text = fs::read_to_string(&path).expect("readable");
    // Not a word has changed, and still it is another chain: the id is over the bytes.
    fs::write(&path, format!("{text}\n")).expect("writable");
    let error = refusal(&mut cluster, 0).await;
    check(&error, &["chain", "hint"]);
    fs::write(&path, text).expect("writable");
    cluster.start_node(0).await.expect("the right file starts");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn genesis_with_another_state_than_its_root_is_refused() {
    let mut cluster = Cluster::make(1);
    let path = cluster.path().join("genesis.json");
    let text = fs::read_to_string(&path).expect("readable");
    let mut genesis: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    genesis["ledger"]["base_fee"] = 101.into();
    fs::write(&path, genesis.to_string()).expect("writable");
    check(&refusal(&mut cluster, 0).await, &["state root", "hint"]);
    genesis["ledger"]["colour"] = "blue".into();
    fs::write(&path, genesis.to_string()).expect("writable");
    check(&refusal(&mut cluster, 0).await, &["colour", "hint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_without_its_journal_never_starts() {
    let mut cluster = Cluster::make(1);
    let journal = cluster.homes[0].join("data/journal");
    fs::rename(&journal, cluster.homes[0].join("elsewhere")).expect("renamed");
    check(&refusal(&mut cluster, 0).await, &["journal", "hint"]);
    fs::create_dir(&journal).expect("made");
    check(&refusal(&mut cluster, 0).await, &["birth record", "hint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journal_and_keys_of_another_validator_are_refused() {
    let mut cluster = Cluster::make(4);
    let (ours, theirs) = (cluster.homes[0].clone(), cluster.homes[1].clone());
    fs::rename(ours.join("data"), ours.join("own-data")).expect("renamed");
    fs::rename(theirs.join("data"), ours.join("data")).expect("renamed");
    check(&refusal(&mut cluster, 0).await, &["journal", "hint"]);
    fs::rename(ours.join("keys"), ours.join("own-keys")).expect("renamed");
    fs::rename(theirs.join("keys"), ours.join("keys")).expect("renamed");
    check(&refusal(&mut cluster, 0).await, &["genesis file lists", "hint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut cluster = Cluster::make(1);
    let path = cluster.homes[0].join("keys/acceptor.key.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    check(&refusal(&mut cluster, 0).await, &["640", "600", "hint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_process_on_one_data_folder_is_refused() {
    let mut cluster = Cluster::start(1).await;
    let home = Home::read(&cluster.homes[0]).expect("readable");
    let error = home.open().map(|_| ()).expect_err("in use").to_string();
    check(&error, &["in use", "hint"]);
    cluster.stop_node(0).await;
    let node = Node::start(home).await.expect("free now");
    node.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_database_is_refused() {
    let mut cluster = Cluster::start(1).await;
    cluster.fund(0, &crate::cluster::key(1)).await;
    cluster.stop_node(0).await;
    let database = cluster.homes[0].join("data/store/rocksdb");
    let current = fs::read(database.join("CURRENT")).expect("readable");
    fs::remove_file(database.join("CURRENT")).expect("removed");
    check(&refusal(&mut cluster, 0).await, &["hint"]);
    fs::write(database.join("CURRENT"), current).expect("written");
    cluster.start_node(0).await.expect("whole again");
    cluster.stop().await;
}

/// Writes a passphrase file beside the homes and names it in the settings of validator `index`.
pub(crate) fn set_passphrase(cluster: &Cluster, index: usize, passphrase: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = cluster.path().join(format!("passphrase-{index}"));
    fs::write(&path, format!("{passphrase}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    let settings = cluster.homes[index].join("node.toml");
    let text = fs::read_to_string(&settings).expect("readable");
    if !text.contains("passphrase_file") {
        let named = format!("[validator]\npassphrase_file = {:?}\n", path.display().to_string());
        fs::write(&settings, text.replacen("[validator]\n", &named, 1)).expect("written");
    }
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_keys_start_with_their_passphrase_and_no_other() {
    use std::os::unix::fs::PermissionsExt as _;

    use carat_node::home::Place;
    use carat_node::key_change::{Change, apply};

    let mut cluster = Cluster::make(1);
    let home = cluster.homes[0].clone();
    let place = Place::read(&home).expect("readable");
    let source = carat_storage::vault::PassphraseSource::of_keys(Some(set_passphrase(
        &cluster,
        0,
        "six random words in a row",
    )));
    apply(&place, &source, &Change::Encrypt(source.demand().expect("long"))).expect("encrypted");
    let path = home.join("keys/acceptor.key.json");
    assert!(!fs::read_to_string(&path).expect("readable").contains("seed"));
    cluster.start_node(0).await.expect("starts with its passphrase");
    cluster.stop_node(0).await;

    set_passphrase(&cluster, 0, "six other words in a row");
    check(&refusal(&mut cluster, 0).await, &["acceptor.key.json", "passphrase is not the one", "hint"]);
    set_passphrase(&cluster, 0, "six random words in a row");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    check(&refusal(&mut cluster, 0).await, &["644", "600", "hint"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    apply(&place, &source, &Change::Decrypt).expect("in the clear");
    assert!(fs::read_to_string(&path).expect("readable").contains("seed"));
    cluster.start_node(0).await.expect("starts without a passphrase");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_network_starts_with_its_salt_secret_and_no_other() {
    use std::os::unix::fs::PermissionsExt as _;

    use carat_genesis::init::InitOptions;
    use carat_types::genesis::Visibility;

    let members = |out: &std::path::Path| InitOptions {
        visibility: Some(Visibility::Members),
        ..InitOptions::test(1, out)
    };
    let (mut cluster, other) = (Cluster::make_with(members), Cluster::make_with(members));
    let file = |cluster: &Cluster| cluster.homes[0].join("keys/salt.json");
    let commitment = |cluster: &Cluster| {
        let genesis = carat_node::home::read_genesis(&cluster.path().join("genesis.json")).expect("readable");
        genesis.genesis.salt_commitment.expect("a members' network").to_string()
    };
    let (path, own) = (file(&cluster), fs::read(file(&cluster)).expect("made with the network"));
    fs::remove_file(&path).expect("removed");
    check(&refusal(&mut cluster, 0).await, &["salt.json", &commitment(&cluster), "hint"]);
    fs::write(&path, fs::read(file(&other)).expect("readable")).expect("written");
    check(&refusal(&mut cluster, 0).await, &["mode 644", "expected 600", "hint"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    let (seen, expected) = (commitment(&other), commitment(&cluster));
    check(&refusal(&mut cluster, 0).await, &[&format!("{seen}, expected {expected}"), "hint"]);
    // A file that claims the right commitment for another secret.
    let liar = String::from_utf8(fs::read(&path).expect("readable")).expect("text").replace(&seen, &expected);
    fs::write(&path, liar).expect("written");
    check(&refusal(&mut cluster, 0).await, &[&format!("{seen}, expected {expected}")]);
    fs::write(&path, own).expect("written");
    cluster.start_node(0).await.expect("starts with its own");
    cluster.stop().await;
}
