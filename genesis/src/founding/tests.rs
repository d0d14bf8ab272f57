//! Homes that banks made around keys of their own are whole; keys are never given a second journal.

use std::fs;
use std::path::{Path, PathBuf};

use carat_storage::vault::Passphrase;
use carat_types::Digest;
use carat_types::genesis::{Genesis, GenesisValidator, Visibility};
use carat_types::key_file::KeyRole;
use carat_types::leaf::SALT_FILE;
use tempfile::TempDir;

use super::{Founder, Founders, found, home};
use crate::edge::proposer_keys;
use crate::layout::Kind;
use crate::newcomer::next_keys;
use crate::verify::verify;
use crate::{Addresses, InitError, InitOptions, layout};

/// Four banks with keys of their own, each in a folder of its own.
struct Banks {
    folder: TempDir,
    entries: Vec<GenesisValidator>,
}

impl Banks {
    fn new() -> Self {
        Banks::with(|keys, name| next_keys(keys, name, None, None).expect("keys"))
    }

    fn with(make: impl Fn(&Path, &str) -> GenesisValidator) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let bank = |index: u16| {
            fs::create_dir(folder.path().join(format!("bank{index}"))).expect("folder");
            make(&folder.path().join(format!("bank{index}/keys")), &format!("bank {index}"))
        };
        let entries = (0..4).map(bank).collect();
        Banks { folder, entries }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The genesis file of all four, in `net`.
    fn found(&self, visibility: Visibility) -> Genesis {
        let test = InitOptions::test(4, self.path("net"));
        let options = InitOptions { visibility: Some(visibility), ..test };
        let founders = Founders { validators: self.entries.clone(), ..Founders::default() };
        found(&options, founders).expect("founded").genesis
    }

    /// What bank `index` asks for when it makes its home.
    fn founder(&self, index: u16) -> Founder {
        let at = |port: u16| format!("127.0.0.1:{}", 7000 + port).parse().expect("address");
        let salt = self.path("net").join(SALT_FILE);
        Founder {
            genesis: self.path("net").join(layout::GENESIS),
            keys: self.path(&format!("bank{index}/keys")),
            salt: salt.exists().then_some(salt),
            out: self.path(&format!("bank{index}/home")),
            addresses: Addresses { network: at(index), api: at(index + 10), metrics: at(index + 20) },
            peers: (0..4).filter(|peer| *peer != index).map(|peer| (peer, at(peer))).collect(),
            passphrase: None,
            encrypt_store: false,
        }
    }
}

fn failures(home: &Path) -> Vec<String> {
    verify(home).checks.iter().filter_map(|check| check.problem.as_ref()).map(ToString::to_string).collect()
}

fn refusal(result: Result<Kind, InitError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn homes_around_keys_that_were_never_together_are_whole() {
    for visibility in [Visibility::Open, Visibility::Members] {
        let banks = Banks::new();
        let genesis = banks.found(visibility);
        assert_eq!(genesis.validators, banks.entries);
        let made = fs::read_dir(banks.path("net")).expect("folder").count();
        assert_eq!(made, if visibility == Visibility::Members { 2 } else { 1 }, "no key, no home");
        for index in 0..4 {
            let founder = banks.founder(index);
            assert_eq!(home(&founder).expect("made"), Kind::Validator(index));
            assert_eq!(failures(&founder.out), Vec::<String>::new(), "{visibility:?} {index}");
            let login = founder.out.join(layout::KEYS).join(layout::CHALLENGE_KEY);
            assert_eq!(login.exists(), visibility == Visibility::Members);
        }
    }
}

#[test]
fn keys_are_gone_once_a_home_has_them() {
    let banks = Banks::new();
    banks.found(Visibility::Open);
    let founder = banks.founder(2);
    home(&founder).expect("made");
    assert!(!founder.keys.exists());
    let again = refusal(home(&Founder { out: banks.path("bank2/second"), ..founder }));
    assert!(again.contains("a home was made of it already"), "{again}");
    assert!(!banks.path("bank2/second").exists());
}

#[test]
fn keys_of_a_home_stay_with_the_journal_of_their_votes() {
    let banks = Banks::new();
    banks.found(Visibility::Members);
    let founder = banks.founder(1);
    home(&founder).expect("made");
    let keys = founder.out.join(layout::KEYS);
    let login = fs::read(keys.join(layout::CHALLENGE_KEY)).expect("file");
    let link = banks.path("bank1/link");
    std::os::unix::fs::symlink(&keys, &link).expect("linked");
    let second = Founder { keys: keys.clone(), out: banks.path("bank1/second"), ..founder.clone() };
    for settings_are_there in [true, false] {
        for named in [keys.clone(), link.clone(), keys.join(".")] {
            let refused = refusal(home(&Founder { keys: named, ..second.clone() }));
            assert!(refused.contains("their votes stand in the journal of that home"), "{refused}");
        }
        assert_eq!(failures(&founder.out).is_empty(), settings_are_there);
        fs::remove_file(founder.out.join(layout::SETTINGS)).ok();
    }
    assert_eq!(fs::read(keys.join(layout::CHALLENGE_KEY)).expect("file"), login);
    assert!(!second.out.exists());
}

#[test]
fn attempt_that_was_cut_short_before_the_keys_moved_is_made_again() {
    let banks = Banks::new();
    banks.found(Visibility::Members);
    let founder = banks.founder(1);
    // What the first attempt had put beside the keys.
    for name in [SALT_FILE, layout::CHALLENGE_KEY, layout::TOKEN_KEY] {
        fs::write(founder.keys.join(name), "half").expect("written");
    }
    home(&founder).expect("made");
    assert_eq!(failures(&founder.out), Vec::<String>::new());
    let login = founder.out.join(layout::KEYS).join(layout::TOKEN_KEY);
    assert_ne!(fs::read_to_string(login).expect("file"), "half");
}

#[test]
fn attempt_that_failed_before_the_keys_moved_leaves_no_home_and_is_made_again() {
    let banks = Banks::new();
    banks.found(Visibility::Members);
    let founder = banks.founder(1);
    let in_the_way = founder.keys.join(layout::CHALLENGE_KEY);
    fs::create_dir(&in_the_way).expect("folder");
    let refused = refusal(home(&founder));
    assert!(refused.contains("cannot replace"), "{refused}");
    assert!(!founder.out.exists() && founder.keys.exists());
    fs::remove_dir(in_the_way).expect("removed");
    home(&founder).expect("made");
    assert_eq!(failures(&founder.out), Vec::<String>::new());
}

#[test]
fn home_on_another_file_system_than_the_keys_is_not_begun() {
    let banks = Banks::new();
    banks.found(Visibility::Open);
    // It is never that of a temporary folder.
    let out = PathBuf::from("/proc/carat/home");
    let refused = refusal(home(&Founder { out, ..banks.founder(1) }));
    assert!(refused.contains("on another file system"), "{refused}");
    home(&Founder { out: banks.path("bank1/deeper/home"), ..banks.founder(1) }).expect("made");
}

#[test]
fn keys_that_the_genesis_file_does_not_list_together_are_refused() {
    let banks = Banks::new();
    banks.found(Visibility::Open);
    let stranger = banks.path("stranger");
    next_keys(&stranger, "stranger", None, None).expect("keys");
    let founder = banks.founder(0);
    let refused = refusal(home(&Founder { keys: stranger.clone(), ..founder.clone() }));
    assert!(refused.contains("a network key that the genesis file lists"), "{refused}");

    let acceptor = KeyRole::Acceptor.file_name();
    fs::copy(stranger.join(acceptor), founder.keys.join(acceptor)).expect("copied");
    let refused = refusal(home(&founder));
    assert!(refused.contains(&format!("expected {}", banks.entries[0].acceptor)), "{refused}");

    let banks = Banks::new();
    banks.found(Visibility::Open);
    fs::remove_file(banks.path("bank0/keys").join(KeyRole::Proposer.file_name())).expect("removed");
    let refused = refusal(home(&banks.founder(0)));
    assert!(refused.contains("no proposer.key.json"), "{refused}");
    assert!(!banks.path("bank0/home").exists() && banks.path("bank0/keys").exists());
}

#[test]
fn every_other_validator_is_to_be_named_once() {
    let banks = Banks::new();
    banks.found(Visibility::Open);
    let mut founder = banks.founder(3);
    founder.peers.pop();
    let refused = refusal(home(&founder));
    assert!(refused.contains("given for [0, 1], expected [0, 1, 2] once each"), "{refused}");
    assert!(founder.keys.exists() && !founder.out.exists());
}

#[test]
fn home_of_a_members_network_needs_the_secret_of_this_network() {
    let banks = Banks::new();
    let genesis = banks.found(Visibility::Members);
    assert_ne!(genesis.salt_commitment, Some(Digest::ZERO));
    let refused = refusal(home(&Founder { salt: None, ..banks.founder(0) }));
    assert!(refused.contains("--salt is absent"), "{refused}");
    let other = Banks::new();
    other.found(Visibility::Members);
    let salt = Some(other.path("net").join(SALT_FILE));
    let refused = refusal(home(&Founder { salt, ..banks.founder(0) }));
    assert!(refused.contains("--salt is"), "{refused}");
}

#[test]
fn encrypted_keys_want_a_passphrase_for_those_of_the_login() {
    let passphrase = || Passphrase::new("of many words".to_owned());
    let banks = Banks::with(|keys, name| next_keys(keys, name, None, Some(&passphrase())).expect("keys"));
    banks.found(Visibility::Members);
    let refused = refusal(home(&banks.founder(0)));
    assert!(refused.contains("--encrypt-keys is absent"), "{refused}");
    let other = Some(Passphrase::new("of other words".to_owned()));
    let refused = refusal(home(&Founder { passphrase: other, ..banks.founder(0) }));
    assert!(
        refused.contains("does not open") && refused.contains("the passphrase is not the one"),
        "{refused}"
    );
    let founder = Founder { passphrase: Some(passphrase()), ..banks.founder(0) };
    assert!(founder.keys.exists() && !founder.out.exists());
    home(&founder).expect("made");
    let login = founder.out.join(layout::KEYS).join(layout::CHALLENGE_KEY);
    assert!(!fs::read_to_string(login).expect("file").contains("seed ="));
    assert_eq!(failures(&founder.out), Vec::<String>::new());
}

#[test]
fn acceptor_key_in_a_token_is_named_by_its_public_half() {
    let token = carat_types::SecretKey::from_seed(&[7; 32]).public();
    let banks = Banks::with(|keys, name| {
        let acceptor = (name == "bank 1").then_some(token);
        next_keys(keys, name, acceptor, None).expect("keys")
    });
    assert_eq!(banks.found(Visibility::Open).validators[1].acceptor, token);
    let founder = banks.founder(1);
    home(&founder).expect("made");
    assert!(!founder.out.join(layout::KEYS).join(KeyRole::Acceptor.file_name()).exists());
    let settings = fs::read_to_string(founder.out.join(layout::SETTINGS)).expect("settings");
    assert!(settings.contains("[validator.token]"), "{settings}");
}

/// Two more banks run a proposer each.
fn edge_banks(visibility: Visibility) -> (Banks, Genesis) {
    let banks = Banks::new();
    let proposer = |place: u16| {
        fs::create_dir(banks.path(&format!("bank{}", 4 + place))).expect("folder");
        let keys = banks.path(&format!("bank{}/keys", 4 + place));
        proposer_keys(&keys, &format!("edge {place}"), None).expect("keys")
    };
    let founders = Founders { validators: banks.entries.clone(), proposers: (0..2).map(proposer).collect() };
    let test = InitOptions { proposers: 2, ..InitOptions::test(4, banks.path("net")) };
    let options = InitOptions { visibility: Some(visibility), ..test };
    let genesis = found(&options, founders.clone()).expect("founded").genesis;
    assert_eq!(genesis.deployment.edge_proposers(), founders.proposers);
    (banks, genesis)
}

/// What bank `index` of six asks for.
fn edge_founder(banks: &Banks, index: u16) -> Founder {
    let at = |port: u16| format!("127.0.0.1:{}", 7000 + port).parse().expect("address");
    let peers = (0..6).filter(|peer| *peer != index).map(|peer| (peer, at(peer))).collect();
    Founder { peers, ..banks.founder(index) }
}

#[test]
fn edge_network_is_founded_by_banks_whose_keys_were_never_together() {
    for visibility in [Visibility::Open, Visibility::Members] {
        let (banks, _) = edge_banks(visibility);
        for index in 0..6 {
            let founder = edge_founder(&banks, index);
            let kind = home(&founder).expect("made");
            assert_eq!(kind, if index < 4 { Kind::Acceptor(index) } else { Kind::Proposer(index - 4) });
            assert_eq!(failures(&founder.out), Vec::<String>::new(), "{visibility:?} {index}");
            let settings = fs::read_to_string(founder.out.join(layout::SETTINGS)).expect("settings");
            assert_eq!(settings.contains("[api]"), index >= 4, "clients go to proposers alone");
            let login = founder.out.join(layout::KEYS).join(layout::CHALLENGE_KEY);
            assert_eq!(login.exists(), index >= 4 && visibility == Visibility::Members);
        }
    }
}

#[test]
fn home_of_an_edge_network_wants_every_process_and_no_vote_at_a_proposer() {
    let (banks, _) = edge_banks(Visibility::Open);
    let refused = refusal(home(&banks.founder(4)));
    assert!(
        refused.contains("expected [0, 1, 2, 3, 5] once each") && refused.contains("behind"),
        "{refused}"
    );
    let founder = edge_founder(&banks, 5);
    let acceptor = founder.keys.join(KeyRole::Acceptor.file_name());
    fs::copy(banks.path("bank0/keys").join(KeyRole::Acceptor.file_name()), &acceptor).expect("copied");
    let refused = refusal(home(&founder));
    assert!(refused.contains("acceptor.key.json, expected none"), "{refused}");
    fs::remove_file(acceptor).expect("removed");
    home(&founder).expect("made");
}
