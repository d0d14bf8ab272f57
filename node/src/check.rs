//! `carat-node check`: whether a node could start, and with which settings.

#![expect(clippy::print_stdout, reason = "the answer of a command")]

use std::path::Path;

use carat_node::machine::Machine;
use carat_node::role::Role;
use carat_node::settings::followers::FOLLOWERS_MAX;
use carat_node::{FollowerHome, Home, NodeError, Settings};
use carat_storage::Encryption;
use carat_storage::store::Store;

/// Checks a home, a validator's, a proposer's of an edge network, or a follower's. A validator's without its journal is refused, with a hint.
pub(crate) fn run(folder: &Path) -> Result<(), NodeError> {
    let effective = Settings::effective(folder)?;
    let settings = Settings::load(folder)?;
    let (index, proposer) = (settings.validator.index, settings.validator.proposer);
    match (index, proposer) {
        (Some(index), _) => println!("settings     valid, validator {index}"),
        (None, Some(proposer)) => {
            println!("settings     valid, proposer {proposer} of an edge network, no vote")
        }
        (None, None) => println!("settings     valid, follows without a vote"),
    }
    for setting in &effective {
        println!("  {:<34} {:<28} {}", setting.key, setting.value, setting.origin);
    }
    match index.or(proposer) {
        Some(_) => member(folder),
        None => follower(folder),
    }?;
    let machine = Machine::here();
    println!("machine      {machine}");
    for warning in machine.warnings() {
        println!("warning      {warning}");
    }
    Ok(())
}

fn member(folder: &Path) -> Result<(), NodeError> {
    let home = Home::read(folder)?;
    println!("chain        {}", home.genesis().chain_id);
    keys(&home);
    match home.role() {
        Role::Acceptor => println!("clients      none reach it: an acceptor of an edge network"),
        Role::Proposer => println!("clients      at {}", home.settings().api.listen),
        Role::Validator | Role::Follower => {
            let followers = &home.settings().followers;
            println!(
                "followers    {} of at most {FOLLOWERS_MAX}, {} bytes a second each",
                followers.peers.len(),
                followers.bytes_per_second
            );
        }
    }
    tls(&home)?;
    let (_journal, records, store) = home.open()?;
    println!("journal      {} records", records.len());
    tell_store(&home, &store)
}

fn keys(home: &Home) {
    if home.role() == Role::Proposer {
        println!(
            "keys         proposer and network, as the genesis file lists them, readable by their owner alone"
        );
        return;
    }
    match &home.settings().validator.signer {
        Some(signer) => {
            println!("keys         three, as the genesis file lists them, with the signer at {signer}")
        }
        None if home.settings().validator.token.is_some() => {
            println!(
                "keys         as the genesis file lists them, in a token that signs, and in files readable by their owner alone"
            )
        }
        None => println!("keys         three, as the genesis file lists them, readable by their owner alone"),
    }
}

fn follower(folder: &Path) -> Result<(), NodeError> {
    let follower = FollowerHome::read(folder)?;
    let home = follower.home();
    println!("chain        {}", home.genesis().chain_id);
    println!("key          {}, the network's, readable by its owner alone", home.network_key());
    println!("follows      {} validators", home.settings().network.peers.len());
    tls(home)?;
    tell_store(home, &follower.open()?)
}

fn tls(home: &Home) -> Result<(), NodeError> {
    if let Some((listen, _)) = home.https()? {
        println!("tls          at {listen}, certificate and key fit");
    }
    Ok(())
}

fn tell_store(home: &Home, store: &Store) -> Result<(), NodeError> {
    let tip = store.tip();
    store.state_tree(home.leaves())?;
    println!("store        block {}, header {}, state root verified", tip.slot, tip.header);
    println!("at rest      {}", at_rest(home.settings().store.encryption));
    Ok(())
}

fn at_rest(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::None => "store and journal are in the clear",
        Encryption::Values => {
            "values of the store and records of the journal are encrypted (AES-256-GCM), their keys open"
        }
    }
}
