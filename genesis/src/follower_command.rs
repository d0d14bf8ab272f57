//! `carat-genesis follower`: its options and what it prints.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use carat_genesis::follower::{FollowerOptions, LaterEpoch, MadeFollower, follower, validators_of};
use carat_genesis::layout;
use carat_storage::vault::PassphraseSource;
use carat_types::PublicKey;
use clap::Args;

use crate::{Output, pair, print_json, validator};

#[derive(Args)]
pub(crate) struct FollowerArgs {
    /// Home to make; must be absent or empty
    #[arg(long)]
    out: PathBuf,
    /// The network's folder, where it lies on this machine: its genesis file and the addresses of its validators are taken
    #[arg(long, required_unless_present = "genesis", conflicts_with_all = ["genesis", "validators"])]
    network: Option<PathBuf>,
    /// The genesis file, which is copied
    #[arg(long)]
    genesis: Option<PathBuf>,
    /// Where a validator is, as its place in the genesis file and its UDP address: 0=10.0.0.1:7000. Repeatable
    #[arg(long = "validator", value_parser = validator)]
    validators: Vec<(u16, SocketAddr)>,
    /// Where a validator is that the genesis file does not list, as its network key and its UDP address: KEY=10.0.0.5:7000. Repeatable
    #[arg(long = "newcomer", value_parser = newcomer)]
    newcomers: Vec<(PublicKey, SocketAddr)>,
    /// File of handovers (carat epochs fetch), to begin in the epoch to which they lead, with a state of it
    #[arg(long)]
    handovers: Option<PathBuf>,
    /// UDP address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// UDP address at which validators reach it [default: that of --listen]
    #[arg(long)]
    address: Option<SocketAddr>,
    /// TCP address of the REST interface
    #[arg(long, default_value = "127.0.0.1:8000")]
    api: SocketAddr,
    /// TCP address of metrics and health
    #[arg(long, default_value = "127.0.0.1:9100")]
    metrics: SocketAddr,
    /// File with the secret of the leaves (keys/salt.json of any validator), on a members' network
    #[arg(long)]
    salt: Option<PathBuf>,
    /// Encrypt the key file with the passphrase of --passphrase-file, CARAT_PASSPHRASE or the credential carat-passphrase
    #[arg(long)]
    encrypt_keys: bool,
    /// File with that passphrase, readable by its owner alone
    #[arg(long, requires = "encrypt_keys")]
    passphrase_file: Option<PathBuf>,
}

impl FollowerArgs {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode, String> {
        let options = self.options()?;
        let made = follower(&options).map_err(|error| error.to_string())?;
        match output {
            Output::Json => print_json(&serde_json::json!({
                "home": options.out, "chain_id": made.genesis.chain_id.to_string(), "key": made.key.to_string(),
                "address": made.address.to_string(), "lines": made.lines(),
            }))?,
            Output::Text => tell(&options, &made),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn options(self) -> Result<FollowerOptions, String> {
        let source = PassphraseSource::of_keys(self.passphrase_file);
        let key_passphrase =
            self.encrypt_keys.then(|| source.demand()).transpose().map_err(|error| error.to_string())?;
        let (genesis, validators) = match (self.network, self.genesis) {
            (Some(network), _) => {
                (network.join(layout::GENESIS), validators_of(&network).map_err(|error| error.to_string())?)
            }
            (None, genesis) => {
                (genesis.unwrap_or_default(), self.validators.into_iter().collect::<BTreeMap<_, _>>())
            }
        };
        Ok(FollowerOptions {
            out: self.out,
            genesis,
            validators,
            later: LaterEpoch {
                handovers: self.handovers,
                newcomers: self.newcomers.into_iter().collect::<BTreeMap<_, _>>(),
            },
            listen: self.listen,
            address: self.address,
            api: self.api,
            metrics: self.metrics,
            salt: self.salt,
            key_passphrase,
        })
    }
}

fn tell(options: &FollowerOptions, made: &MadeFollower) {
    println!("{}: follows chain {}", options.out.display(), made.genesis.chain_id);
    println!("  settings, network key (readable by its owner alone), genesis file");
    println!("the operator of each validator adds to node.toml, and restarts it:\n");
    println!("{}", made.lines());
    println!("start: carat-node follow --home {}", options.out.display());
}

fn newcomer(text: &str) -> Result<(PublicKey, SocketAddr), String> {
    pair(text, "the network key of a validator as 64 hex digits, =, and its numeric address with its port")
}
