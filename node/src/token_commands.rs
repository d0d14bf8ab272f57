//! `carat-node key token`: keys of consensus in a token, for the founding of a network or before a validator moves to one.

use std::path::PathBuf;

use carat_node::NodeError;
use carat_node::keys::read_file;
use carat_node::token::{TokenSettings, ceremony};
use carat_storage::vault::PassphraseSource;
use carat_types::key_file::KeyRole;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a key in the token, which never leaves it, and print its public key for the genesis file
    Create(Place),
    /// Bring the key of a key file into the token; the file is left as it is
    Import {
        #[command(flatten)]
        place: Place,
        /// The key file
        #[arg(long)]
        file: PathBuf,
        /// Whose key it is
        #[arg(long, value_enum, default_value = "acceptor")]
        role: Role,
        /// File with the passphrase of an encrypted key file, readable by its owner alone; else CARAT_PASSPHRASE_FILE,
        /// CARAT_PASSPHRASE, or the systemd credential carat-passphrase
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Have the token prove a key by a signature, and print its public key
    Show(Place),
}

/// The keys that may be in a token.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Votes
    Acceptor,
    /// Orders
    Proposer,
}

#[derive(Debug, Args)]
struct Place {
    /// The PKCS#11 library of the token's maker
    #[arg(long)]
    module: PathBuf,
    /// The token's label
    #[arg(long)]
    token: String,
    /// The key's label in the token
    #[arg(long, default_value = "acceptor")]
    label: String,
    /// File with the PIN, readable by its owner alone; else CARAT_TOKEN_PIN_FILE, CARAT_TOKEN_PIN, or the systemd credential
    /// carat-token-pin
    #[arg(long)]
    pin_file: Option<PathBuf>,
}

impl Token {
    #[expect(clippy::print_stdout, reason = "the answer of a command")]
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let public_key = match self.command {
            TokenCommand::Create(place) => ceremony::create(&place.settings(), &place.label)?,
            TokenCommand::Show(place) => ceremony::show(&place.settings(), &place.label)?,
            TokenCommand::Import { place, file, role, passphrase_file } => {
                let role = match role {
                    Role::Acceptor => KeyRole::Acceptor,
                    Role::Proposer => KeyRole::Proposer,
                };
                let key = read_file(&file, role, &PassphraseSource::of_keys(passphrase_file))?;
                ceremony::import(&place.settings(), &place.label, &key)?;
                key.public()
            }
        };
        println!("{public_key}");
        Ok(())
    }
}

impl Place {
    fn settings(&self) -> TokenSettings {
        TokenSettings {
            module: self.module.clone(),
            label: self.token.clone(),
            acceptor: self.label.clone(),
            proposer: None,
            pin_file: self.pin_file.clone(),
        }
    }
}
