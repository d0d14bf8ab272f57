//! `carat keys`: the named identities.

use std::io::{IsTerminal as _, Read as _};

use carat_client::keystore::{self, Identity};
use carat_network::certificate::{certificate_pem, key_pem};
use carat_types::transaction::test_root_key;
use clap::Subcommand;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Failure, Session, output};

/// What can be done with identities.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new key
    Generate {
        /// Name of the identity
        name: String,
        /// Not random: the root key of a test network, which its passphrase tells everybody
        #[arg(long)]
        seed_from_passphrase: bool,
    },
    /// Keep an address, or a secret from standard input
    Add {
        /// Name of the identity
        name: String,
        /// The address, if only that is known; else the secret is read from standard input
        #[arg(long, value_name = "G...")]
        address: Option<String>,
    },
    /// All identities
    List,
    /// One identity's address
    Show {
        /// Name of the identity
        name: String,
    },
    /// The certificate of one identity's account, and its key, as PEM: for programs that read a members' network over TLS
    Certificate {
        /// Name of the identity
        name: String,
        /// Yes, show the secret
        #[arg(long)]
        yes: bool,
    },
    /// One identity's secret
    Export {
        /// Name of the identity
        name: String,
        /// Yes, show the secret
        #[arg(long)]
        yes: bool,
    },
}

/// Does it.
pub(crate) fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let store = session.keys()?;
    match command {
        Command::Generate { name, seed_from_passphrase } => {
            let key = if seed_from_passphrase {
                test_root_key(session.network()?.passphrase())
            } else {
                keystore::generate()?
            };
            show(session, &store.add_secret(&name, &key)?);
        }
        Command::Add { name, address: Some(address) } => {
            show(session, &store.add_address(&name, keystore::parse_address(&address)?)?);
        }
        Command::Add { name, address: None } => {
            show(session, &store.add_secret(&name, &keystore::parse_secret(read_secret()?.trim())?)?);
        }
        Command::List => {
            let identities = store.list()?;
            let values: Vec<Value> = identities.iter().map(value).collect();
            let rows = identities.iter().map(|identity| {
                let kept = if identity.secret.is_some() { "yes" } else { "no" };
                vec![identity.name.clone(), keystore::address(&identity.public), kept.to_owned()]
            });
            session.output.rows(&values, &["name", "address", "secret"], rows.collect());
        }
        Command::Show { name } => show(session, &store.get(&name)?),
        Command::Export { yes: false, .. } | Command::Certificate { yes: false, .. } => {
            return Err(Failure::usage("the secret would be shown (hint: say --yes if that is meant)"));
        }
        Command::Certificate { name, yes: true } => {
            let identity = store.get(&name)?;
            let secret = identity.secret()?;
            let failed = |error: carat_network::NetworkError| Failure::failed(error.to_string());
            output::line(certificate_pem(secret).map_err(failed)?.trim_end());
            output::line(key_pem(secret).map_err(failed)?.trim_end());
        }
        Command::Export { name, yes: true } => {
            output::line(&keystore::secret_text(store.get(&name)?.secret()?));
        }
    }
    Ok(())
}

fn show(session: &Session, identity: &Identity) {
    let fields = [("name", identity.name.clone()), ("address", keystore::address(&identity.public))];
    session.output.fields(&value(identity), &fields);
}

fn value(identity: &Identity) -> Value {
    json!({
        "name": identity.name,
        "address": keystore::address(&identity.public),
        "secret": identity.secret.is_some(),
    })
}

/// A secret from standard input. A terminal would show it, and nobody would know what to type.
fn read_secret() -> Result<Zeroizing<String>, Failure> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        return Err(Failure::usage(
            "the secret is read from standard input, which is a terminal (hint: carat keys add NAME < FILE)",
        ));
    }
    let mut text = Zeroizing::new(String::new());
    input.read_to_string(&mut text)?;
    Ok(text)
}
