//! `carat-genesis home` and `carat-genesis init --founder`: options and what they print.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use carat_genesis::founding::{self, Founder, Founders};
use carat_genesis::layout::Kind;
use carat_genesis::{InitOptions, layout, show};
use carat_types::genesis::Visibility;
use carat_types::leaf;
use clap::Args;

use crate::{AddressArgs, Encryption, Output, print_json, validator};

#[derive(Args)]
pub(crate) struct HomeArgs {
    /// The genesis file of the network, which is copied
    #[arg(long)]
    genesis: PathBuf,
    /// The folder that `carat-genesis keys` made; it is moved into the home
    #[arg(long)]
    keys: PathBuf,
    /// The home to make; must be absent or empty
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    addresses: AddressArgs,
    /// Another validator by its place in the genesis file, and its address: 0=10.0.0.1:7000. Each of them once; in an edge network the
    /// proposers too, numbered behind the validators
    #[arg(long = "peer", value_parser = validator)]
    peers: Vec<(u16, SocketAddr)>,
    /// File with the secret of the leaves, which `init --founder` made, on a members' network
    #[arg(long)]
    salt: Option<PathBuf>,
    /// Let the validator encrypt what it stores, under the passphrase that its start finds for the key files
    #[arg(long)]
    encrypt_store: bool,
    #[command(flatten)]
    encryption: Encryption,
}

impl HomeArgs {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode, String> {
        let founder = Founder {
            passphrase: self.encryption.passphrase()?,
            genesis: self.genesis,
            keys: self.keys,
            salt: self.salt,
            out: self.out,
            addresses: self.addresses.into(),
            peers: self.peers,
            encrypt_store: self.encrypt_store,
        };
        let kind = founding::home(&founder).map_err(|error| error.to_string())?;
        let home = founder.out.display();
        let (whose, place, start) = match kind {
            Kind::Validator(place) | Kind::Acceptor(place) => ("validator", place, "run"),
            Kind::Proposer(place) => ("proposer", place, "propose"),
        };
        match output {
            Output::Json => print_json(&serde_json::json!({ "home": founder.out, whose: place }))?,
            Output::Text => println!(
                "{home}: home of {whose} {place}; the keys are in it now\ncheck: carat-genesis verify {home}\nstart: \
                 carat-node {start} --home {home}"
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What `carat-genesis keys` printed for each validator, and for each proposer of an edge network.
pub(crate) fn read_founders(validators: &[PathBuf], proposers: &[PathBuf]) -> Result<Founders, String> {
    let validator = |path: &PathBuf| read("--founder", path, "name, acceptor, proposer, network");
    let proposer = |path: &PathBuf| read("--edge-founder", path, "name, proposer, network, with --proposer");
    Ok(Founders {
        validators: validators.iter().map(validator).collect::<Result<_, _>>()?,
        proposers: proposers.iter().map(proposer).collect::<Result<_, _>>()?,
    })
}

fn read<T: serde::de::DeserializeOwned>(option: &str, path: &Path, expected: &str) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        format!(
            "{option} is {} with {error}, expected what carat-genesis keys printed: {expected}",
            path.display()
        )
    })
}

/// Makes the genesis file of a network whose founders keep their keys.
pub(crate) fn run_found(
    options: &InitOptions,
    founders: Founders,
    output: Output,
) -> Result<ExitCode, String> {
    let genesis = founding::found(options, founders).map_err(|error| error.to_string())?;
    let summary = show(&genesis).map_err(|error| error.to_string())?;
    if output == Output::Json {
        print_json(&summary)?;
        return Ok(ExitCode::SUCCESS);
    }
    let out = options.out.display();
    println!("{out}: chain {}", summary.chain_id);
    println!("  {}  the same bytes for every validator and auditor", layout::GENESIS);
    if genesis.genesis.visibility() == Visibility::Members {
        println!("  {}  the secret of this network's leaves, for its validators alone", leaf::SALT_FILE);
    }
    println!(
        "n = {}, f = {}, q = {}; passphrase: {}",
        summary.n, summary.f, summary.q, summary.network_passphrase
    );
    if !summary.proposers.is_empty() {
        println!("{} proposers at the edge, without a vote", summary.proposers.len());
    }
    println!("each bank, where its keys are: carat-genesis home --genesis {} --keys …", layout::GENESIS);
    Ok(ExitCode::SUCCESS)
}
