//! Edge networks: homes of proposers are whole, acceptors open no door, and what was changed is found.

use super::*;
use crate::follower::{FollowerOptions, LaterEpoch, follower, validators_of};
use crate::layout;
use crate::newcomer::{Newcomer, join, join_proposer};
use crate::ports::Addresses;

fn options(out: &Path) -> InitOptions {
    InitOptions { proposers: 2, ..InitOptions::test(4, out) }
}

/// Four acceptors and two proposers in `net` of a folder of its own.
fn edge_network() -> (TempDir, PathBuf, Made) {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    let made = init(&options(&out)).expect("made");
    (folder, out, made)
}

#[test]
fn edge_network_is_whole_and_its_proposers_have_no_key_that_votes() {
    let (_folder, out, made) = edge_network();
    assert_eq!(failures(&verify(&out)), Vec::<String>::new());
    assert!(
        verify(&out)
            .to_string()
            .contains("4 validators and 2 proposers without a vote with 16 distinct keys")
    );
    let names: Vec<_> = made.homes.iter().filter_map(|home| home.file_name()?.to_str()).collect();
    assert_eq!(names, ["v0", "v1", "v2", "v3", "p0", "p1"]);
    let proposers = made.genesis.genesis.deployment.edge_proposers();
    for (home, listed) in made.homes[4..].iter().zip(proposers) {
        assert_eq!(failures(&verify(home)), Vec::<String>::new());
        assert!(!home.join("keys").join(KeyRole::Acceptor.file_name()).exists());
        let text = read(&home.join("keys").join(KeyRole::Proposer.file_name()));
        assert_eq!(key_file::read(KeyRole::Proposer, &text).expect("a key").public(), listed.proposer);
        assert_eq!(mode(&home.join("keys").join(KeyRole::Proposer.file_name())), 0o600);
        assert!(read(&home.join("node.toml")).contains("[api]"));
    }
    for home in &made.homes[..4] {
        let settings = read(&home.join("node.toml"));
        assert!(!settings.contains("[api]") && settings.contains("[metrics]"), "{settings}");
    }
    let summary = show(&made.genesis).expect("possible size");
    assert_eq!(summary.proposers, proposers);
    assert!(summary.to_string().contains("2 at the edge, no vote"), "{summary}");
}

#[test]
fn members_of_an_edge_network_log_in_at_its_proposers_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    let passphrase = Passphrase::new("four words are enough");
    let made = init(&InitOptions {
        visibility: Some(Visibility::Members),
        key_passphrase: Some(passphrase),
        ..options(&out)
    });
    let made = made.expect("made");
    for (home, logs_in) in made.homes.iter().zip([false, false, false, false, true, true]) {
        let keys = home.join("keys");
        assert!(keys.join(leaf::SALT_FILE).exists(), "{}", home.display());
        assert_eq!(keys.join("login.toml").exists(), logs_in, "{}", home.display());
        assert_eq!(read(&home.join("node.toml")).contains("[bank.login]"), logs_in, "{}", home.display());
        assert!(!read(&keys.join(KeyRole::Proposer.file_name())).contains("seed"), "encrypted");
        assert_eq!(failures(&verify(home)), Vec::<String>::new());
    }
}

#[test]
fn number_of_processes_that_no_set_of_signers_names_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    for proposers in [61, u16::MAX] {
        let error = init(&InitOptions { proposers, ..options(&out) }).expect_err("too many").to_string();
        assert!(error.contains(&proposers.to_string()), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "nothing was made");
}

/// Somebody who comes to the network in `net`, as a home in `folder`.
fn newcomer(net: &Path, folder: &Path, place: u16) -> Newcomer {
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    Newcomer {
        genesis: net.join(layout::GENESIS),
        name: "newcomer".to_owned(),
        place,
        out: folder.to_path_buf(),
        addresses: Addresses { network: address(1), api: address(2), metrics: address(3) },
        peers: vec![(0, address(4)), (5, address(5))],
        passphrase: None,
    }
}

#[test]
fn home_of_a_newcomer_is_that_of_its_kind() {
    let (folder, out, _) = edge_network();
    let (proposer, acceptor) = (folder.path().join("p2"), folder.path().join("v4"));
    let entry = join_proposer(&newcomer(&out, &proposer, 2)).expect("made");
    assert!(!proposer.join("keys").join(KeyRole::Acceptor.file_name()).exists());
    let text = read(&proposer.join("keys").join(KeyRole::Proposer.file_name()));
    assert_eq!(key_file::read(KeyRole::Proposer, &text).expect("a key").public(), entry.proposer);
    let settings = read(&proposer.join("node.toml"));
    assert!(settings.contains("proposer = 2") && settings.contains("[api]"), "{settings}");
    join(&newcomer(&out, &acceptor, 4)).expect("made");
    let settings = read(&acceptor.join("node.toml"));
    assert!(settings.contains("index = 4") && !settings.contains("[api]"), "{settings}");

    let together = folder.path().join("together");
    init(&InitOptions::test(4, together.clone())).expect("made");
    let nobodys = folder.path().join("nobodys");
    let refused = join_proposer(&newcomer(&together, &nobodys, 0)).expect_err("refused").to_string();
    assert!(refused.contains("--proposer") && refused.contains("hint"), "{refused}");
    assert!(!nobodys.exists(), "nothing was made");
}

#[test]
fn newcomers_behind_the_founders_of_either_list_are_no_failure() {
    let (_folder, out, _) = edge_network();
    let listed = "[[acceptors]]\nname = \"v4\"\nmetrics = \"http://127.0.0.1:1\"\n\
                  [[nodes]]\nname = \"p2\"\napi = \"http://127.0.0.1:2\"\nmetrics = \"http://127.0.0.1:3\"\n";
    let path = out.join(layout::NETWORK);
    fs::write(&path, format!("{}\n{listed}", read(&path))).expect("written");
    let report = verify(&out);
    assert_eq!(failures(&report), Vec::<String>::new());
    let text = report.to_string();
    for words in ["and 2 that came later", "v4 came later", "p2 came later"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}

/// Changes something in a sound edge network, and demands that exactly one check fails, with these words.
fn spoilt(change: impl FnOnce(&Path), expected: &[&str]) {
    let (_folder, out, _) = edge_network();
    change(&out);
    let failures = failures(&verify(&out));
    assert_eq!(failures.len(), 1, "{failures:#?}");
    for part in expected {
        assert!(failures[0].contains(part), "{} should contain {part}", failures[0]);
    }
    assert!(failures[0].contains("expected") && failures[0].contains("hint: "), "{failures:?}");
}

#[test]
fn home_of_a_proposer_that_was_spoilt_is_found() {
    let journal =
        |out: &Path, place: u16| out.join(format!("p{place}/data/journal/0000000000000001.journal"));
    spoilt(
        |out| replace(&out.join("p1/node.toml"), "proposer = 1", "proposer = 7"),
        &["validator.proposer: 7", "0 to 1"],
    );
    spoilt(
        |out| replace(&out.join("p1/node.toml"), "proposer = 1", "proposer = 1\nindex = 0"),
        &["Some(0)", "Some(1)", "validator.index or validator.proposer"],
    );
    spoilt(
        |out| replace(&out.join("p1/node.toml"), "index = 4", "index = 3"),
        &["[0, 1, 2, 3, 3]", "[0, 1, 2, 3, 4]"],
    );
    spoilt(
        |out| {
            fs::copy(out.join("v1/keys/proposer.key.json"), out.join("p1/keys/proposer.key.json"))
                .expect("copied");
        },
        &["public key", "as in the genesis file"],
    );
    spoilt(
        |out| {
            fs::copy(journal(out, 0), journal(out, 1)).expect("copied");
        },
        &["journal's proposer key"],
    );
    spoilt(
        |out| {
            let text = read(&out.join("network.toml"));
            let shorter = text.rsplit_once("\n[[nodes]]").expect("nodes").0.to_owned();
            fs::write(out.join("network.toml"), shorter).expect("written");
        },
        &["number of nodes: 1, expected 2"],
    );
    let (_folder, out, _) = edge_network();
    replace(&out.join("network.toml"), "home = \"p0\"", "home = \"p1\"");
    assert!(failures(&verify(&out))[0].contains("proposer 1, validator.index: 5, expected 4"));
}

#[test]
fn follower_of_an_edge_network_is_not_made() {
    let (_folder, out, _) = edge_network();
    let options = FollowerOptions {
        genesis: out.join("genesis.json"),
        out: out.join("f0"),
        validators: validators_of(&out).expect("a network's folder"),
        listen: "127.0.0.1:1".parse().expect("an address"),
        address: None,
        api: "127.0.0.1:2".parse().expect("an address"),
        metrics: "127.0.0.1:3".parse().expect("an address"),
        later: LaterEpoch::default(),
        salt: None,
        key_passphrase: None,
    };
    let refused = follower(&options).expect_err("refused").to_string();
    assert!(refused.contains("edge, with 2 proposers") && refused.contains("hint"), "{refused}");
}
