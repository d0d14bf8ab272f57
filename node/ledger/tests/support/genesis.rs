//! The genesis file of four validators, whose acceptors are the council.

use carat_ledger::NEWEST_PROTOCOL;
use carat_types::Digest;
use carat_types::genesis::{
    AssetRule, ConsensusConstants, Deployment, FORMAT, Genesis, GenesisValidator, LedgerConstants, Profile,
    Trust,
};

use super::{BASE_FEE, BASE_RESERVE, id};

/// The validators, by the names of their acceptors.
pub(crate) const VALIDATORS: [&str; 4] = ["one", "two", "three", "four"];

/// The name of a validator's proposer.
pub(crate) fn proposer_of(validator: &str) -> String {
    format!("{validator}, proposer")
}

/// The contents of the file.
pub(crate) fn genesis() -> Genesis {
    let validator = |name: &str| GenesisValidator {
        name: name.to_owned(),
        acceptor: id(name),
        proposer: id(&proposer_of(name)),
        network: id(&format!("{name}, network")),
    };
    Genesis {
        format: FORMAT.to_owned(),
        network_passphrase: "carat ledger tests".to_owned(),
        profile: Profile::Test,
        trust: Trust::Bft,
        visibility: None,
        auditors: Vec::new(),
        salt_commitment: None,
        time_ms: 0,
        validators: VALIDATORS.map(validator).to_vec(),
        deployment: Deployment::default(),
        consensus: ConsensusConstants::default(),
        ledger: LedgerConstants {
            total_coins: 1_000_000,
            base_fee: BASE_FEE,
            base_reserve: BASE_RESERVE,
            protocol_version: NEWEST_PROTOCOL,
            root_account: id("root"),
            admission_restricted: false,
            members: Vec::new(),
            assets: AssetRule::Any,
        },
        governance: Some(id("council")),
        state_root: Digest::ZERO,
    }
}
