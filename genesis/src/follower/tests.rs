//! The home of a follower: whole, its secrets its owner's alone, and refused where it could follow nobody.

use std::os::unix::fs::PermissionsExt as _;

use carat_types::SecretKey;
use carat_types::epoch::write_handovers;
use tempfile::TempDir;

use super::*;
use crate::init::{InitOptions, init};

/// What makes options wrong.
type Change = fn(&mut FollowerOptions);

fn network(visibility: Visibility) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("net");
    init(&InitOptions { visibility: Some(visibility), ..InitOptions::test(4, &out) }).expect("a network");
    folder
}

fn options(folder: &TempDir) -> FollowerOptions {
    let net = folder.path().join("net");
    FollowerOptions {
        out: folder.path().join("f0"),
        genesis: net.join(layout::GENESIS),
        validators: validators_of(&net).expect("a network's folder"),
        listen: ([0, 0, 0, 0], 7_100).into(),
        address: Some(([10, 0, 0, 9], 7_100).into()),
        api: ([127, 0, 0, 1], 8_100).into(),
        metrics: ([127, 0, 0, 1], 9_200).into(),
        later: LaterEpoch::default(),
        salt: None,
        key_passphrase: None,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn home_of_a_follower_lists_all_validators_and_its_key_is_its_owners_alone() {
    let folder = network(Visibility::Open);
    let made = follower(&options(&folder)).expect("made");
    let home = folder.path().join("f0");
    let settings = fs::read_to_string(home.join(layout::SETTINGS)).expect("settings");
    assert!(!settings.contains("\nindex = 4"), "{settings}");
    for (index, address) in validators_of(&folder.path().join("net")).expect("a network's folder") {
        assert!(settings.contains(&format!("index = {index}\naddress = \"{address}\"")), "{settings}");
    }
    let key = home.join("keys/network.key.json");
    assert_eq!((mode(&home), mode(&key)), (0o700, 0o600));
    let text = fs::read_to_string(&key).expect("readable");
    let read: SecretKey = key_file::read(KeyRole::Network, &text).expect("a key file");
    assert_eq!(read.public(), made.key);
    assert_eq!(fs::read(home.join(layout::GENESIS)).expect("copied"), made.genesis.bytes);
    assert!(!home.join("data/journal").exists(), "it has no vote to remember");
    assert!(!home.join("keys/acceptor.key.json").exists());
    let expected = format!("[[followers.peers]]\nkey = \"{}\"\naddress = \"10.0.0.9:7100\"\n", made.key);
    assert_eq!(made.lines(), expected);
    let error = follower(&options(&folder)).expect_err("there is one already");
    assert!(error.to_string().contains("is not empty"), "{error}");
}

#[test]
fn follower_of_nobody_or_at_no_address_is_not_made() {
    let folder = network(Visibility::Open);
    let cases: [(&str, Change); 6] = [
        ("--validator is absent", |options| options.validators.clear()),
        ("--validator is 4", |options| _ = options.validators.insert(4, options.listen)),
        ("--address is 0.0.0.0:7100", |options| options.address = None),
        ("holds no handovers", |options| options.later.handovers = Some(options.genesis.clone())),
        ("--handovers is", |options| options.later.handovers = Some(options.out.join("nothing"))),
        ("cannot read", |options| options.genesis = options.out.join("nothing")),
    ];
    for (expected, change) in cases {
        let mut options = options(&folder);
        change(&mut options);
        let error = follower(&options).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error} should say {expected}");
        assert!(!options.out.exists(), "nothing is left behind");
    }
    let error = validators_of(folder.path()).expect_err("no network").to_string();
    assert!(error.contains("network.toml"), "{error}");
}

#[test]
fn follower_of_a_members_network_is_handed_its_salt_and_no_other() {
    let (folder, other) = (network(Visibility::Members), network(Visibility::Members));
    let salt = |folder: &TempDir| Some(folder.path().join("net/v0/keys/salt.json"));
    for salt in [None, salt(&other)] {
        let error = follower(&FollowerOptions { salt, ..options(&folder) }).expect_err("refused").to_string();
        assert!(error.contains("--salt") && error.contains("hint"), "{error}");
        assert!(!folder.path().join("f0").exists(), "nothing is left behind");
    }
    follower(&FollowerOptions { salt: salt(&folder), ..options(&folder) }).expect("made");
    let keys = folder.path().join("f0/keys");
    for name in ["salt.json", "login.toml", "token.toml", "network.key.json"] {
        assert_eq!(mode(&keys.join(name)), 0o600, "{name}");
    }
    let settings = fs::read_to_string(folder.path().join("f0/node.toml")).expect("settings");
    assert!(settings.contains("[bank.login]"), "{settings}");
}

#[test]
fn follower_of_newcomers_alone_lists_them_by_their_keys_and_holds_the_handovers() {
    let folder = network(Visibility::Open);
    let handovers = folder.path().join("handovers");
    fs::write(&handovers, write_handovers(&[])).expect("written");
    let (key, address) = (random_key().expect("a key").public(), SocketAddr::from(([10, 0, 0, 5], 7_000)));
    let mut options = options(&folder);
    options.validators.clear();
    options.later = LaterEpoch { handovers: Some(handovers.clone()), newcomers: [(key, address)].into() };
    follower(&options).expect("made");
    let settings = fs::read_to_string(options.out.join(layout::SETTINGS)).expect("settings");
    assert!(
        settings.contains(&format!("[[network.newcomers]]\nkey = \"{key}\"\naddress = \"{address}\"\n")),
        "{settings}"
    );
    let kept = fs::read(options.out.join(layout::DATA).join(carat_handovers::FILE_NAME)).expect("copied");
    assert_eq!(kept, fs::read(&handovers).expect("there"));
}
