//! `carat-node key`: key files encrypted at rest, and back; keys in tokens.

use std::path::{Path, PathBuf};

use carat_node::NodeError;
use carat_node::home::Place;
use carat_node::key_change::{self, Change};
use carat_storage::vault::PassphraseSource;
use clap::{Args, Subcommand};

use crate::token_commands::Token;

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Encrypt the key files, and those of the bank's login, under a passphrase
    Encrypt(Files),
    /// Write them in the clear again
    Decrypt(Files),
    /// Encrypt them under another passphrase
    Change {
        #[command(flatten)]
        files: Files,
        /// File with the new passphrase, readable by its owner alone
        #[arg(long)]
        new_passphrase_file: PathBuf,
    },
    /// Keys in a token, by PKCS#11: make one there, bring one in, or look at one
    Token(Token),
}

#[derive(Debug, Args)]
struct Files {
    /// Home folder with node.toml
    #[arg(long, env = "CARAT_HOME")]
    home: PathBuf,
    /// File with the passphrase, readable by its owner alone; else validator.passphrase_file, CARAT_PASSPHRASE_FILE,
    /// CARAT_PASSPHRASE, or the systemd credential carat-passphrase
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
}

impl Key {
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            KeyCommand::Token(token) => Ok(token.run()?),
            KeyCommand::Encrypt(files) => files.change(|source| Ok(Change::Encrypt(source.demand()?))),
            KeyCommand::Decrypt(files) => files.change(|_| Ok(Change::Decrypt)),
            KeyCommand::Change { files, new_passphrase_file } => {
                let new = PassphraseSource::of_keys(Some(new_passphrase_file));
                files.change(|_| Ok(Change::Reencrypt(new.demand()?)))
            }
        }
    }
}

impl Files {
    #[expect(clippy::print_stdout, reason = "the answer of a command")]
    fn change(
        self,
        change: impl FnOnce(&PassphraseSource) -> Result<Change, NodeError>,
    ) -> Result<(), NodeError> {
        let place = Place::read(&self.home)?;
        let source = match self.passphrase_file {
            Some(file) => PassphraseSource::of_keys(Some(file)),
            None => place.passphrase(),
        };
        for written in key_change::apply(&place, &source, &change(&source)?)? {
            let state = if written.encrypted { "encrypted (AES-256-GCM)" } else { "in the clear" };
            let whose = written.public_key.map_or("key of what is stored".to_owned(), |key| key.to_string());
            println!("{:<40} {:<24} {}", shown(&written.path), state, whose);
        }
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
