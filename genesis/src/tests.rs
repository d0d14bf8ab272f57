//! What is made is whole; what is changed afterwards is found, with value, expectation and hint.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use carat_storage::vault::{Passphrase, PassphraseSource};
use carat_storage::{Identity, Journal, identity_file};
use carat_types::genesis::{AssetRule, GenesisFile, Profile, Visibility};
use carat_types::key_file::{self, KeyRole};
use carat_types::{Digest, LeafRule, ValidatorId, leaf};
use tempfile::TempDir;

use crate::follower::validators_of;
use crate::init::{InitOptions, Made, init, test_root_key};
use crate::verify::{Report, verify};
use crate::{InitError, show};

mod edge;

/// A network of four in `net` of a folder of its own.
fn network() -> (TempDir, PathBuf, Made) {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    let made = init(&InitOptions::test(4, &out)).expect("made");
    (folder, out, made)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn failures(report: &Report) -> Vec<String> {
    report.checks.iter().filter_map(|check| check.problem.as_ref()).map(ToString::to_string).collect()
}

#[test]
fn network_of_every_size_is_whole_and_tolerates_its_share_of_faults() {
    for (validators, f, q) in [(1, 0, 1), (4, 1, 3), (5, 1, 4), (6, 1, 5), (7, 2, 5), (10, 3, 7)] {
        let folder = tempfile::tempdir().expect("folder");
        let out = folder.path().join("a/b/net");
        let made = init(&InitOptions::test(validators, &out)).expect("made");
        let report = verify(&out);
        assert_eq!(failures(&report), Vec::<String>::new(), "{validators}");
        assert_eq!(made.homes.len(), usize::from(validators));
        for home in &made.homes {
            assert_eq!(failures(&verify(home)), Vec::<String>::new());
        }
        let summary = show(&made.genesis).expect("possible size");
        assert_eq!((summary.n, summary.f, summary.q), (usize::from(validators), f, q));
        let leftovers = fs::read_dir(folder.path().join("a/b")).expect("readable").count();
        assert_eq!(leftovers, 1, "nothing but the network");
    }
}

#[test]
fn number_of_validators_that_tolerates_nothing_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    for validators in [0, 2, 3, 65] {
        let error = init(&InitOptions::test(validators, folder.path().join("net"))).expect_err("refused");
        assert!(matches!(error, InitError::Genesis(_)), "{error}");
        assert!(error.to_string().contains(&validators.to_string()), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "nothing was made");
}

#[test]
fn secrets_are_readable_by_their_owner_alone_and_stand_nowhere_else() {
    let (_folder, out, made) = network();
    let mut seeds = Vec::new();
    assert_eq!(mode(&out), 0o700);
    for home in &made.homes {
        assert_eq!((mode(home), mode(&home.join("keys")), mode(&home.join("data"))), (0o700, 0o700, 0o700));
        for role in KeyRole::ALL {
            let path = home.join("keys").join(role.file_name());
            assert_eq!(mode(&path), 0o600);
            let key = key_file::read(role, &read(&path)).expect("key");
            seeds.push(key.to_seed().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
    }
    seeds.sort();
    seeds.dedup();
    assert_eq!(seeds.len(), 12, "no key twice");
    let public = ["genesis.json", "network.toml", "v0/node.toml", "v0/keys/network.crt"];
    for text in public.map(|name| read(&out.join(name))) {
        assert!(seeds.iter().all(|seed| !text.contains(seed)));
    }
}

#[test]
fn two_networks_with_the_same_choices_share_neither_passphrase_nor_chain() {
    let (_a_folder, _, a) = network();
    let (_b_folder, _, b) = network();
    assert_ne!(a.genesis.chain_id, b.genesis.chain_id);
    assert_ne!(a.genesis.network_id(), b.genesis.network_id());
    let passphrase = &a.genesis.genesis.network_passphrase;
    let (_, digits) = passphrase.split_once("Carat test network ; ").expect("the default first");
    assert!(digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit()), "{passphrase}");
    assert_eq!(a.genesis.genesis.ledger.root_account, test_root_key(passphrase).public());
}

#[test]
fn settings_of_every_validator_name_all_others_where_they_listen() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    init(&InitOptions { base_port: Some(7100), ..InitOptions::test(4, &out) }).expect("made");
    let settings: toml::Table = read(&out.join("v2/node.toml")).parse().expect("TOML");
    let value = |path: [&str; 2]| settings[path[0]][path[1]].to_string();
    assert_eq!(value(["validator", "index"]), "2");
    assert_eq!(value(["validator", "genesis"]), "\"../genesis.json\"");
    assert_eq!(value(["network", "listen"]), "\"127.0.0.1:7106\"");
    assert_eq!(value(["api", "listen"]), "\"127.0.0.1:7107\"");
    assert_eq!(value(["metrics", "listen"]), "\"127.0.0.1:7108\"");
    let peers = settings["network"]["peers"].as_array().expect("list");
    let peers: Vec<String> =
        peers.iter().map(|peer| format!("{} {}", peer["index"], peer["address"])).collect();
    assert_eq!(peers, ["0 \"127.0.0.1:7100\"", "1 \"127.0.0.1:7103\"", "3 \"127.0.0.1:7109\""]);
    let network = read(&out.join("network.toml"));
    assert!(
        network.contains("api = \"http://127.0.0.1:7107\"\nmetrics = \"http://127.0.0.1:7108\""),
        "{network}"
    );
}

#[test]
fn journal_is_born_for_its_validator_and_chain_and_cannot_be_born_twice() {
    let (_folder, _, made) = network();
    let key = made.genesis.genesis.validators[1].acceptor;
    let own = Identity { chain_id: made.genesis.chain_id, key, validator: ValidatorId(1) };
    let journal = made.homes[1].join("data/journal");
    assert!(Journal::open(&journal, &Identity { validator: ValidatorId(2), ..own }).is_err());
    assert!(Journal::create(&journal, own).is_err());
    let (_journal, records) = Journal::open(&journal, &own).expect("born");
    assert!(records.is_empty());
    // Verification only reads, so it works beside the running validator that has the journal open.
    assert_eq!(failures(&verify(&made.homes[1])), Vec::<String>::new());
}

#[test]
fn folder_with_anything_in_it_is_not_touched() {
    let (_folder, out, made) = network();
    let again = init(&InitOptions::test(4, &out)).expect_err("occupied").to_string();
    assert!(again.contains("is not empty") && again.contains("hint:"), "{again}");
    assert_eq!(read(&out.join("genesis.json")).as_bytes(), made.genesis.bytes);

    let folder = tempfile::tempdir().expect("folder");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("made");
    init(&InitOptions::test(1, &empty)).expect("an empty folder will do");
    let unfinished = folder.path().join(".net.unfinished");
    fs::create_dir(&unfinished).expect("made");
    let error = init(&InitOptions::test(1, folder.path().join("net"))).expect_err("left over").to_string();
    assert!(error.contains(".net.unfinished") && error.contains("hint:"), "{error}");
    fs::write(folder.path().join("file"), "").expect("written");
    assert!(init(&InitOptions::test(1, folder.path().join("file"))).is_err());
}

#[test]
fn choices_that_make_no_network_are_refused_and_leave_nothing() {
    type Change = fn(&mut InitOptions, carat_types::PublicKey);
    let key = test_root_key("somebody").public();
    let base = |out: &Path| InitOptions::test(4, out);
    let cases: [(&str, Change); 9] = [
        ("--name is given 1 times, expected 4", |o, _| o.names = vec!["Bank A".into()]),
        ("--root-account", |o, key| o.root_account = Some(key)),
        ("--root-account is absent", |o, _| o.profile = Profile::Main),
        ("--base-port is 65530", |o, _| o.base_port = Some(65_530)),
        ("consensus.timeout_ms is 1", |o, _| o.consensus.timeout_ms = 1),
        ("consensus.checkpoint_interval is 0", |o, _| o.consensus.checkpoint_interval = 0),
        ("consensus.block.transactions is 4001", |o, _| o.consensus.block.transactions = 4_001),
        ("ledger.base_fee is 4000000000", |o, _| o.base_fee = 4_000_000_000),
        ("restricts admission", |o, key| {
            o.members = vec![key];
            o.admission_restricted = true;
        }),
    ];
    for (expected, change) in cases {
        let folder = tempfile::tempdir().expect("folder");
        let mut options = base(&folder.path().join("net"));
        change(&mut options, key);
        let error = init(&options).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error} should contain {expected}");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "{expected}");
    }
}

#[test]
fn main_network_is_founded_on_a_key_that_does_not_follow_from_its_passphrase() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    let founders = test_root_key("a secret of the founders").public();
    let bank = test_root_key("a bank").public();
    let options = InitOptions {
        profile: Profile::Main,
        root_account: Some(founders),
        names: ["Alpha", "Beta", "Gamma", "Delta"].map(String::from).to_vec(),
        members: vec![founders, bank],
        admission_restricted: true,
        ..InitOptions::test(4, &out)
    };
    let made = init(&options).expect("made");
    assert_eq!(failures(&verify(&out)), Vec::<String>::new());
    let text = show(&made.genesis).expect("possible").to_string();
    for expected in [
        "main network",
        "v3 Delta",
        "members create accounts; 2 members",
        "visibility   members",
        &crate::show::address(&bank),
    ] {
        assert!(text.contains(expected), "{text} should contain {expected}");
    }
    // Nobody could read it without a login: each home has one, with keys of its own.
    assert_eq!(
        made.genesis.genesis.visibility,
        Some(Visibility::Members),
        "said, though it follows from the profile"
    );
    let mut secrets = std::collections::BTreeSet::new();
    for home in &made.homes {
        let settings = read(&home.join("node.toml"));
        for (name, key) in [("login.toml", "signing_key"), ("token.toml", "token_key")] {
            let path = home.join("keys").join(name);
            assert_eq!(fs::metadata(&path).expect("made").permissions().mode() & 0o777, 0o600, "{name}");
            assert!(settings.contains(&format!("{key} = \"keys/{name}\"")), "{settings}");
            assert!(secrets.insert(read(&path)), "two logins share a key");
        }
    }
    // The same file with the public root key must not pass.
    let public = test_root_key(&made.genesis.genesis.network_passphrase).public();
    let forged = read(&out.join("genesis.json")).replace(&founders.to_string(), &public.to_string());
    fs::write(out.join("genesis.json"), forged).expect("written");
    let failures = failures(&verify(&out.join("genesis.json")));
    assert!(failures.iter().any(|failure| failure.contains("anybody could spend all coins")), "{failures:?}");
}

#[test]
fn visibility_follows_the_profile_unless_it_is_said() {
    let (_folder, out, made) = network();
    assert_eq!(made.genesis.genesis.visibility(), Visibility::Open);
    assert!(!out.join("v0/keys/login.toml").exists() && !read(&out.join("v0/node.toml")).contains("[bank]"));
    let text = read(&out.join("genesis.json"));
    assert!(
        !text.contains("auditors") && !text.contains("\"assets\""),
        "what is as before is not said: {text}"
    );
    let parse = |from: &str, to: &str| GenesisFile::parse(text.replacen(from, to, 1).as_bytes());
    let unsaid = parse("  \"visibility\": \"open\",\n", "").expect("a file of before");
    assert_eq!(
        (unsaid.genesis.visibility(), unsaid.genesis.ledger.assets),
        (Visibility::Open, AssetRule::Any)
    );
    let said = "\"profile\": \"test\",\n  \"trust\": \"bft\",\n  \"visibility\": \"open\"";
    let zeros = Digest::ZERO;
    let salted = format!("\"profile\": \"main\",\n  \"trust\": \"bft\",\n  \"salt_commitment\": \"{zeros}\"");
    assert_eq!(parse(said, &salted).expect("a main network").genesis.visibility(), Visibility::Members);
    // Proofs of a members' network are salted, and of no other.
    let unsalted = parse(said, "\"profile\": \"main\",\n  \"trust\": \"bft\"");
    let error = unsalted.expect_err("without a salt").to_string();
    assert!(error.contains("salt_commitment is absent") && error.contains("hint"), "{error}");
    let open = format!("{said},\n  \"salt_commitment\": \"{zeros}\"");
    let error = parse(said, &open).expect_err("a salt for nothing").to_string();
    assert!(
        error.contains(&format!("salt_commitment is {zeros}")) && error.contains("expected none"),
        "{error}"
    );
    let key = made.genesis.genesis.ledger.root_account;
    let auditor = format!("\"visibility\": \"open\",\n  \"auditors\": [\"{key}\"]");
    let error = parse("\"visibility\": \"open\"", &auditor).expect_err("an empty word").to_string();
    assert!(error.contains("auditors is 1") && error.contains("hint"), "{error}");
}

#[test]
fn members_network_has_one_salt_secret_in_every_home_and_its_commitment_in_the_genesis_file() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    let visibility = Some(Visibility::Members);
    let made = init(&InitOptions { visibility, ..InitOptions::test(4, &out) }).expect("made");
    let commitment = made.genesis.genesis.salt_commitment.expect("named");
    let texts: Vec<String> = made.homes.iter().map(|home| read(&home.join("keys/salt.json"))).collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "the same everywhere");
    assert_eq!(mode(&made.homes[3].join("keys/salt.json")), 0o600);
    let secret = leaf::read(&texts[0], &commitment).expect("the secret of this network");
    let file: serde_json::Value = serde_json::from_str(&texts[0]).expect("JSON");
    assert!(!read(&out.join("genesis.json")).contains(file["secret"].as_str().expect("text")));
    assert_eq!(
        crate::state::state_root(&made.genesis.genesis, &LeafRule::Salted(secret)).expect("a state"),
        made.genesis.genesis.state_root
    );
    assert_eq!(failures(&verify(&out)), Vec::<String>::new());
    assert_eq!(failures(&verify(&made.homes[1])), Vec::<String>::new());

    let path = made.homes[2].join("keys/salt.json");
    replace(&path, &texts[0][texts[0].len() - 10..texts[0].len() - 4], "000000");
    let found = failures(&verify(&out));
    assert!(found.len() == 1 && found[0].contains(&commitment.to_string()), "{found:?}");
    fs::remove_file(&path).expect("removed");
    assert!(!failures(&verify(&made.homes[2])).is_empty());
}

/// Changes something in a sound network, and demands that exactly one check fails, with these words.
fn spoilt(change: impl FnOnce(&Path, &Made), expected: &[&str]) {
    let (_folder, out, made) = network();
    change(&out, &made);
    let failures = failures(&verify(&out));
    assert_eq!(failures.len(), 1, "{failures:#?}");
    for part in expected {
        assert!(failures[0].contains(part), "{} should contain {part}", failures[0]);
    }
    assert!(failures[0].contains("expected") && failures[0].contains("hint: "), "{failures:?}");
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = read(path);
    assert!(text.contains(from), "{text} should contain {from}");
    fs::write(path, text.replacen(from, to, 1)).expect("written");
}

#[test]
fn home_that_was_spoilt_is_found_with_value_expectation_and_hint() {
    let key = |role: KeyRole| PathBuf::from("v1/keys").join(role.file_name());
    spoilt(
        |out, _| {
            let path = out.join(key(KeyRole::Acceptor));
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("changed");
        },
        &["mode: 0644", "expected 0600", "chmod 600"],
    );
    spoilt(
        |out, _| {
            fs::set_permissions(out.join("v1/keys"), fs::Permissions::from_mode(0o750)).expect("changed")
        },
        &["mode: 0750", "expected 0700"],
    );
    spoilt(
        |out, _| {
            let other = read(&out.join("v2/keys").join(KeyRole::Proposer.file_name()));
            fs::write(out.join(key(KeyRole::Proposer)), other).expect("written");
        },
        &["public key", "as in the genesis file", "another validator or network"],
    );
    spoilt(
        |out, _| {
            let other = read(&out.join(key(KeyRole::Acceptor)));
            fs::write(out.join(key(KeyRole::Proposer)), other).expect("written");
        },
        &["it holds the Acceptor key"],
    );
    spoilt(
        |out, _| {
            fs::copy(out.join("v2/keys/network.crt"), out.join("v1/keys/network.crt")).expect("copied");
        },
        &["certificate's key", "expected the network key"],
    );
    spoilt(
        |out, _| fs::write(out.join("v1/keys/network.crt"), "?").expect("written"),
        &["no Ed25519 certificate"],
    );
    spoilt(
        |out, _| replace(&out.join("v1/node.toml"), "index = 2", "index = 3"),
        &["[0, 3, 3]", "[0, 2, 3]"],
    );
    spoilt(
        |out, _| replace(&out.join("v1/node.toml"), "index = 1", "index = 9"),
        &["validator.index: 9", "0 to 3"],
    );
    spoilt(|out, _| replace(&out.join("v1/node.toml"), "[validator]", "[valid"), &["cannot be understood"]);
    spoilt(|out, _| replace(&out.join("v1/node.toml"), "../genesis.json", "nowhere.json"), &["nowhere.json"]);
    spoilt(
        |out, _| {
            let first = "index = 0\naddress = ";
            let text = read(&out.join("v1/node.toml"));
            let listen =
                text.split("[network]\nlisten = ").nth(1).and_then(|rest| rest.lines().next()).expect("it");
            let (before, after) = text.split_once(first).expect("a peer");
            let (_, after) = after.split_once('\n').expect("a line");
            fs::write(out.join("v1/node.toml"), format!("{before}{first}{listen}\n{after}"))
                .expect("written");
        },
        &["for validators 1 and 0", "one address for each"],
    );
}

#[test]
fn journal_that_is_lost_foreign_or_damaged_is_found() {
    let journal = |out: &Path, index: u16| out.join(format!("v{index}/data/journal"));
    let segment = "0000000000000001.journal";
    spoilt(
        |out, _| fs::remove_dir_all(journal(out, 1)).expect("removed"),
        &["journal: ", "must get a new key"],
    );
    spoilt(
        |out, _| fs::remove_file(journal(out, 1).join(segment)).expect("removed"),
        &["birth record: absent", "must get a new key"],
    );
    spoilt(
        |out, _| {
            fs::copy(journal(out, 2).join(segment), journal(out, 1).join(segment)).expect("copied");
        },
        &["journal's acceptor key", "another validator or network"],
    );
    spoilt(
        |out, _| fs::write(journal(out, 1).join(segment), [0; 100]).expect("written"),
        &["birth record: the header is damaged"],
    );
}

#[test]
fn network_description_that_does_not_fit_the_genesis_file_is_found() {
    spoilt(|out, _| fs::remove_file(out.join("network.toml")).expect("removed"), &["cannot be read"]);
    spoilt(
        |out, _| {
            let text = read(&out.join("network.toml"));
            let shorter = text.rsplit_once("\n[[nodes]]").expect("nodes").0.to_owned();
            fs::write(out.join("network.toml"), shorter).expect("written");
        },
        &["number of nodes: 3, expected 4"],
    );
    spoilt(
        |out, _| {
            let (_folder, other, _) = network();
            fs::copy(other.join("genesis.json"), out.join("other.json")).expect("copied");
            replace(&out.join("network.toml"), "genesis.json", "other.json");
        },
        &["names another genesis file"],
    );
}

#[test]
fn newcomer_behind_the_validators_of_the_genesis_file_is_no_failure() {
    let (_folder, out, _) = network();
    let newcomer =
        "\n[[nodes]]\nname = \"bank-e\"\napi = \"http://10.0.0.5:1\"\nmetrics = \"http://10.0.0.5:2\"\n";
    let text = read(&out.join("network.toml")) + newcomer;
    fs::write(out.join("network.toml"), text).expect("written");
    let report = verify(&out);
    assert_eq!(report.failures(), 0, "{report}");
    let report = report.to_string();
    assert!(report.contains("4 nodes, and 1 that came later") && report.contains("bank-e"), "{report}");
    assert_eq!(validators_of(&out).expect("four homes").len(), 4);
}

#[test]
fn homes_that_were_exchanged_are_found() {
    let (_folder, out, _) = network();
    replace(&out.join("network.toml"), "home = \"v1\"", "home = \"v2\"");
    let failures = failures(&verify(&out));
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("validator.index: 2, expected 1"), "{failures:?}");
    // A home that is on another machine is no failure.
    fs::rename(out.join("v3"), out.join("../v3")).expect("moved");
    assert!(verify(&out).to_string().contains("not on this machine"));
}

#[test]
fn genesis_file_with_any_constant_changed_is_refused() {
    let (_folder, out, made) = network();
    let text = read(&out.join("genesis.json"));
    let GenesisFile { genesis, .. } = &made.genesis;
    let [first, second] = [&genesis.validators[0], &genesis.validators[1]];
    let cases: [(&str, String, &str, &str); 8] = [
        ("a key twice", second.network.to_string(), &first.acceptor.to_string(), "repeated key"),
        ("a weak key", second.network.to_string(), &"0".repeat(64), "weak key"),
        ("not JSON", "{".into(), "", "cannot be read"),
        ("an unknown entry", "\"format\"".into(), "\"colour\": 1, \"format\"", "colour"),
        ("another format", "carat-genesis/1".into(), "carat-genesis/9", "carat-genesis/9"),
        (
            "a constant out of range",
            "\"drift_ms\": 5000".into(),
            "\"drift_ms\": 0",
            "consensus.drift_ms is 0",
        ),
        (
            "a fee that the root does not cover",
            "\"base_fee\": 100".into(),
            "\"base_fee\": 101",
            "state root: ",
        ),
        ("another passphrase", "Carat test".into(), "Carat best", "root account: "),
    ];
    for (case, from, to, expected) in cases {
        assert!(text.contains(&from), "{case}");
        fs::write(out.join("changed.json"), text.replacen(&from, to, 1)).expect("written");
        let failures = failures(&verify(&out.join("changed.json")));
        assert_eq!(failures.len(), 1, "{case}: {failures:?}");
        assert!(failures[0].contains(expected) && failures[0].contains("hint: "), "{case}: {failures:?}");
    }
    let failures = failures(&verify(&out.join("absent.json")));
    assert!(failures[0].contains("cannot be read"), "{failures:?}");
}

#[test]
fn keys_of_the_login_are_encrypted_as_the_validators_are() {
    let folder = tempfile::tempdir().expect("folder");
    let (out, words) = (folder.path().join("net"), "six random words in a row");
    let options = InitOptions {
        key_passphrase: Some(Passphrase::new(words)),
        visibility: Some(Visibility::Members),
        ..InitOptions::test(1, &out)
    };
    init(&options).expect("made");
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, words).expect("written");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("set");
    let source = PassphraseSource::of_keys(Some(passphrase));
    for name in ["login.toml", "token.toml"] {
        let path = out.join("v0/keys").join(name);
        let text = read(&path);
        assert!(text.contains("carat-identity-encrypted/1") && !text.contains("secret"), "{text}");
        assert_eq!(mode(&path), 0o600);
        let key = identity_file::read(&text, &source).expect("opens");
        assert!(text.contains(&crate::show::address(&key.public())), "{text}");
    }
    assert_eq!(failures(&verify(&out)), [""; 0]);
}

#[test]
fn encrypted_keys_are_found_in_their_places_without_being_opened() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("net");
    let passphrase = Passphrase::new("six random words in a row");
    let options =
        InitOptions { key_passphrase: Some(passphrase), encrypt_store: true, ..InitOptions::test(1, &out) };
    init(&options).expect("made");
    for role in KeyRole::ALL {
        let path = out.join("v0/keys").join(role.file_name());
        let text = read(&path);
        assert!(text.contains("carat-key-encrypted/1") && !text.contains("seed"), "{text}");
        assert_eq!(mode(&path), 0o600);
    }
    let settings: toml::Table = read(&out.join("v0/node.toml")).parse().expect("TOML");
    assert_eq!(settings["store"]["encryption"].as_str(), Some("values"));
    let report = verify(&out);
    assert_eq!(failures(&report), [""; 0]);

    let keys = out.join("v0/keys");
    let login = ["login.toml", "token.toml"].map(|name| keys.join(name));
    assert!(login.iter().all(|path| !path.exists()), "an open network has no login");
    fs::copy(keys.join("acceptor.key.json"), keys.join("proposer.key.json")).expect("copied");
    let found = failures(&verify(&out)).join("\n");
    assert!(found.contains("Acceptor") && found.contains("Proposer"), "{found}");
}
