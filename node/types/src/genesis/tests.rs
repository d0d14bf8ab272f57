//! Where proposers run: what a genesis file says of it, and which files are refused.

use super::*;
use crate::epoch::tests::{genesis, secret};
use crate::ids::ValidatorId;
use crate::message::SignerRole;

pub(crate) fn proposer(number: u8) -> GenesisProposer {
    let (proposer, network) = (secret(number, 101).public(), secret(number, 102).public());
    GenesisProposer { name: format!("edge {number}"), proposer, network }
}

fn edge(proposers: Vec<GenesisProposer>) -> Genesis {
    Genesis { deployment: Deployment::Edge { proposers }, ..genesis().genesis }
}

fn parse(genesis: &Genesis) -> Result<GenesisFile, GenesisError> {
    GenesisFile::parse(&serde_json::to_vec(genesis).expect("serialises"))
}

/// The chain id of every network that was made before is over bytes that do not name a deployment.
#[test]
fn file_that_does_not_name_its_deployment_is_co_located_and_stays_as_it_was() {
    let file = genesis();
    assert!(!String::from_utf8_lossy(&file.bytes).contains("deployment"));
    assert_eq!(file.genesis.deployment, Deployment::CoLocated);
    let set = file.validators().expect("four");
    assert_eq!((set.proposers(), set.processes().count()), (4, 4));
}

#[test]
fn edge_network_has_the_proposers_of_its_file() {
    let file = parse(&edge((0..3).map(proposer).collect())).expect("an edge network");
    let text = String::from_utf8_lossy(&file.bytes).into_owned();
    assert!(text.contains("\"deployment\":{\"edge\":{\"proposers\":[{\"name\":\"edge 0\""), "{text}");
    let set = file.validators().expect("four and three");
    assert_eq!((set.proposers(), set.quorum().n(), set.processes().count()), (3, 4, 7));
    assert_eq!(set.key(ValidatorId(2), SignerRole::Proposer), Some(&proposer(2).proposer));
    assert_ne!(file.chain_id, genesis().chain_id);
}

#[test]
fn edge_networks_that_cannot_be_are_refused() {
    let own = genesis().genesis.validators[1].acceptor;
    let table: [(&str, Genesis, &str); 5] = [
        ("nobody orders", edge(Vec::new()), "0 edge proposers beside 4 validators; expected 1 or more"),
        ("too many", edge((0..61).map(proposer).collect()), "61 edge proposers"),
        ("one key twice", edge(vec![proposer(0), proposer(0)]), "repeated key"),
        (
            "a validator's key",
            edge(vec![GenesisProposer { network: own, ..proposer(0) }]),
            "edge proposer \"edge 0\", network: repeated key",
        ),
        (
            "a key without a secret",
            edge(vec![GenesisProposer { proposer: PublicKey([0xff; 32]), ..proposer(0) }]),
            "edge proposer \"edge 0\", proposer: weak key",
        ),
    ];
    for (what, genesis, expected) in table {
        let error = parse(&genesis).expect_err(what).to_string();
        assert!(error.contains(expected) && error.contains("hint"), "{what}: {error}");
    }
}
