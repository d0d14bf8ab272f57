//! Descriptions of networks: those that fit the genesis file, those that do not, and what handovers make of them.

use carat_types::epoch::write_handovers;
use carat_types::genesis::{Deployment, GenesisProposer, GenesisValidator};
use carat_types::{Epoch, SecretKey};

use super::*;
use crate::fixture::{PASSPHRASE, genesis_of, handovers, handovers_to, validator};

fn nodes(kind: &str, letter: char, count: u16) -> String {
    let api = |port| {
        if kind == "nodes" { format!("api = \"http://127.0.0.1:{port}/\"\n") } else { String::new() }
    };
    let node = |i: u16| {
        format!(
            "[[{kind}]]\nname = \"{letter}{i}\"\nhome = \"{letter}{i}\"\n{}metrics = \"http://127.0.0.1:{}\"\n",
            api(i),
            i
        )
    };
    (0..count).map(node).collect()
}

/// A folder with a network of four validators with `proposers` of their own, described by these lists.
fn described(proposers: u8, lists: &str) -> tempfile::TempDir {
    let mut genesis = genesis_of(PASSPHRASE).genesis;
    if proposers > 0 {
        genesis.deployment = edge(0..proposers);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let json = serde_json::to_vec(&genesis).expect("serialises");
    std::fs::write(folder.path().join("genesis.json"), json).expect("written");
    let text = format!("genesis = \"genesis.json\"\n{lists}");
    std::fs::write(folder.path().join(FILE_NAME), text).expect("written");
    folder
}

/// Proposers with these numbers.
fn edge(numbers: std::ops::Range<u8>) -> Deployment {
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    let proposer = |number| GenesisProposer {
        name: format!("edge {number}"),
        proposer: key(50 + number),
        network: key(60 + number),
    };
    Deployment::Edge { proposers: numbers.map(proposer).collect() }
}

fn load(proposers: u8, lists: &str) -> Result<Network, NetworkError> {
    Network::load(described(proposers, lists).path())
}

/// The founders as `carat-genesis init` lists them, and behind them these newcomers.
fn with_newcomers(names: &[&str]) -> String {
    let ports = 70..;
    let entry = |(port, name): (u16, &&str)| {
        format!(
            "[[nodes]]\nname = \"{name}\"\napi = \"http://127.0.0.1:{port}\"\nmetrics = \"http://127.0.0.1:{port}1\"\n"
        )
    };
    nodes("nodes", 'v', 4) + &ports.zip(names).map(entry).collect::<String>()
}

fn validators(numbers: std::ops::Range<u8>) -> Vec<GenesisValidator> {
    numbers.map(validator).collect()
}

fn names(nodes: &[NodeAddress]) -> Vec<&str> {
    nodes.iter().map(|node| node.name.as_str()).collect()
}

fn network_key(number: u8) -> Option<PublicKey> {
    Some(validator(number).network)
}

#[test]
fn clients_of_an_edge_network_go_to_its_proposers_of_which_all_but_one_may_lie() {
    let network = load(3, &(nodes("acceptors", 'v', 4) + &nodes("nodes", 'p', 3))).expect("described");
    let names: Vec<_> = network.processes().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["v0", "v1", "v2", "v3", "p0", "p1", "p2"]);
    assert_eq!((network.is_edge(), network.one_correct()), (true, 3));
    assert_eq!(network.key_of(1), Some(SecretKey::from_seed(&[61; 32]).public()));
    assert_eq!(network.key_of(3), None);
    let together = load(0, &nodes("nodes", 'v', 4)).expect("described");
    assert_eq!((together.is_edge(), together.one_correct()), (false, 2));
    assert_eq!(together.key_of(1), Some(SecretKey::from_seed(&[31; 32]).public()));
}

#[test]
fn description_that_does_not_fit_the_deployment_is_refused() {
    let cases = [
        (3, nodes("nodes", 'v', 4), "4 nodes and 0 acceptors, the genesis file 3 proposers"),
        (3, nodes("acceptors", 'v', 4) + &nodes("nodes", 'p', 2), "2 nodes and 4 acceptors"),
        (0, nodes("acceptors", 'v', 4) + &nodes("nodes", 'v', 4), "4 nodes and 4 acceptors"),
        (0, nodes("nodes", 'v', 3), "3 nodes and 0 acceptors, the genesis file 4 validators"),
    ];
    for (proposers, lists, expected) in cases {
        let error = load(proposers, &lists).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error} should contain {expected}");
    }
}

#[test]
fn newest_epoch_says_who_validates_with_which_keys_and_how_many_are_one_correct() {
    let network = load(0, &with_newcomers(&["bank 4", "bank 7"])).expect("described");
    assert_eq!((network.nodes.len(), network.one_correct()), (4, 2));
    assert_eq!(names(&network.others), ["bank 4", "bank 7"]);
    assert!(network.notes()[0].contains("bank 4 is no validator of epoch 0"), "{:?}", network.notes());
    // One comes; then the founder in the first place goes, and two come of which nothing is described.
    let chain = handovers(&network.genesis, &[validators(0..5), validators(1..7)], 2);
    let first = network.follow(&chain[..1]).expect("holds").expect("news");
    assert_eq!(names(&first.nodes), ["v0", "v1", "v2", "v3", "bank 4"]);
    assert_eq!((first.key_of(4), first.one_correct()), (network_key(4), 2));
    let second = first.follow(&chain).expect("holds").expect("news");
    assert_eq!(names(&second.nodes), ["v1", "v2", "v3", "bank 4", "bank 5", "bank 6"]);
    assert_eq!((second.key_of(0), second.key_of(5)), (network_key(1), network_key(6)));
    assert_eq!(second.epochs().present(), Epoch(2));
    assert_eq!(names(&second.others), ["bank 7", "v0"]);
    let entrances = second.entrances().expect("numeric");
    let keys: Vec<_> = entrances.iter().map(|(_, key)| Some(*key)).collect();
    assert_eq!(keys, [network_key(1), network_key(2), network_key(3), network_key(4)]);
    assert!(!second.nodes[5].is_reachable() && second.entrance(5).expect("none").is_none());
    let notes = second.notes().join("\n");
    for words in [
        "bank 5 is a validator of epoch 2 and network.toml has no address of it",
        "with name = \"bank 6\"",
        "v0 is no validator any more in epoch 2",
        "bank 7 is no validator of epoch 2",
    ] {
        assert!(notes.contains(words), "{words} is not in {notes}");
    }
    // What is known already, or less, is no news.
    assert!(second.follow(&chain[..1]).expect("holds").is_none());
    // Three of seven may lie less than two of five.
    let seven = second.follow(&handovers(
        &network.genesis,
        &[validators(0..5), validators(1..7), validators(1..8)],
        2,
    ));
    assert_eq!(seven.expect("holds").expect("news").one_correct(), 3);
}

#[test]
fn newest_epoch_of_an_edge_network_says_who_orders_and_who_votes() {
    let newcomers = "[[acceptors]]\nname = \"bank 4\"\nmetrics = \"http://127.0.0.1:71\"\n\
                     [[nodes]]\nname = \"edge 2\"\napi = \"http://127.0.0.1:72\"\nmetrics = \"http://127.0.0.1:73\"\n";
    let network = load(2, &(nodes("acceptors", 'v', 4) + &nodes("nodes", 'p', 2) + newcomers));
    let network = network.expect("described");
    // A proposer and a validator come; then the founder among the proposers goes, and one comes that nothing describes.
    let sets = [(validators(0..5), edge(0..3)), (validators(1..5), edge(1..4))];
    let chain = handovers_to(&network.genesis, sets, 2);
    let first = network.follow(&chain[..1]).expect("holds").expect("news");
    assert_eq!(names(&first.nodes), ["p0", "p1", "edge 2"]);
    assert_eq!(names(&first.acceptors), ["v0", "v1", "v2", "v3", "bank 4"]);
    assert_eq!(first.notes(), Vec::<String>::new());
    let second = first.follow(&chain).expect("holds").expect("news");
    assert_eq!(names(&second.nodes), ["p1", "edge 2", "edge 3"]);
    assert_eq!(names(&second.acceptors), ["v1", "v2", "v3", "bank 4"]);
    assert_eq!((second.one_correct(), names(&second.others)), (3, vec!["p0"]));
    assert_eq!(second.key_of(2), Some(SecretKey::from_seed(&[63; 32]).public()));
    assert!(!second.nodes[2].is_reachable() && second.acceptors[3].metrics.ends_with(":71"));
    let notes = second.notes().join("\n");
    for words in [
        "edge 3 is a proposer of epoch 2 and network.toml has no address of it",
        "p0 is no proposer any more in epoch 2",
        "v0 is no validator any more in epoch 2",
    ] {
        assert!(notes.contains(words), "{words} is not in {notes}");
    }
}

#[test]
fn address_is_found_by_key_and_by_name_and_serves_one_validator() {
    let network = load(0, &with_newcomers(&["bank 2"])).expect("described");
    let named = |number, name: &str| GenesisValidator { name: name.to_owned(), ..validator(number) };
    // Founder 0 has another name, somebody new has that of founder 0; 1 has new keys; 2 is described anew.
    let set =
        vec![named(0, "renamed"), named(5, "bank 0"), named(6, "bank 1"), named(2, "bank 2"), validator(3)];
    let next = network.follow(&handovers(&network.genesis, &[set], 2)).expect("holds").expect("news");
    assert_eq!(names(&next.nodes), ["v0", "bank 0", "v1", "bank 2", "v3"]);
    let reachable: Vec<bool> = next.nodes.iter().map(NodeAddress::is_reachable).collect();
    assert_eq!(reachable, [true, false, true, true, true]);
    assert_eq!(next.nodes[3].api, "http://127.0.0.1:70");
    assert_eq!((next.key_of(0), next.key_of(2)), (network_key(0), network_key(6)));
    assert_eq!(next.notes().len(), 1, "nobody has left: {:?}", next.notes());
    let twice = load(0, &with_newcomers(&["bank 4", "bank 4"])).expect_err("refused").to_string();
    assert!(twice.contains("bank 4 more than once") && twice.contains("hint"), "{twice}");
}

#[test]
fn handovers_beside_the_description_are_followed_and_wrong_ones_refused_with_a_sentence() {
    let folder = described(0, &with_newcomers(&["bank 4"]));
    let network = Network::load(folder.path()).expect("described");
    let other = genesis_of("another network");
    let few = handovers(&network.genesis, &[validators(0..5)], 1);
    let stranger = handovers(&other, &[validators(0..5)], 2);
    let good = handovers(&network.genesis, &[validators(0..5)], 2);
    let file = folder.path().join(HANDOVERS);
    let cases = [
        (write_handovers(&few), "handover 0 does not hold"),
        (write_handovers(&stranger), "it is of chain"),
        (b"nothing".to_vec(), "holds no handovers"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(&file, bytes).expect("written");
        let error = Network::load(folder.path()).expect_err("refused").to_string();
        assert!(error.contains(expected) && error.contains("hint"), "{error}");
    }
    std::fs::write(&file, write_handovers(&good)).expect("written");
    let later = Network::load(folder.path()).expect("follows");
    assert_eq!((later.epochs().present(), later.nodes.len()), (Epoch(1), 5));
}

#[test]
fn handovers_that_are_kept_become_more_and_never_fewer() {
    let folder = described(0, &with_newcomers(&[]));
    let network = Network::load(folder.path()).expect("described");
    assert!(!network.keep_handovers().expect("nothing to keep"));
    let chain = handovers(&network.genesis, &[validators(0..5), validators(1..5)], 2);
    let first = network.follow(&chain[..1]).expect("holds").expect("news");
    let second = network.follow(&chain).expect("holds").expect("news");
    assert!(first.keep_handovers().expect("written"));
    assert!(second.keep_handovers().expect("written"));
    assert!(!first.keep_handovers().expect("there is more"));
    assert!(!second.keep_handovers().expect("as many"));
    let kept = Network::load(folder.path()).expect("follows");
    assert_eq!(kept.epochs().handovers(), chain);
    let files = std::fs::read_dir(folder.path()).expect("listed").count();
    assert_eq!(files, 3, "nothing unfinished is left");
    std::fs::write(folder.path().join(HANDOVERS), b"spoilt").expect("written");
    assert!(first.keep_handovers().expect("written"), "what cannot be read is worth nothing");
}
