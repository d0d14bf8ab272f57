//! The proposers of an edge network: their keys, their homes, and the deployment that the genesis file names. **Source**: consensus
//! specification, section 1; decision records 51 and 55.

use std::path::Path;

use carat_network::certificate::certificate_pem;
use carat_storage::vault::Passphrase;
use carat_types::SecretKey;
use carat_types::genesis::{Deployment, GenesisFile, GenesisProposer};
use carat_types::key_file::KeyRole;

use crate::error::InitError;
use crate::files::{PLAIN_MODE, make_folder, sync_folder, write_new};
use crate::init::{InitOptions, give_birth, has_login, random_key, write_key, write_login_key};
use crate::layout::{self, Kind, proposer_home_name};
use crate::ports::Addresses;

/// The keys of one proposer. It has none that votes.
pub(crate) struct ProposerKeys {
    proposer: SecretKey,
    network: SecretKey,
    /// Of the login without which nobody reads a members' network.
    challenges: SecretKey,
    tokens: SecretKey,
}

impl ProposerKeys {
    pub(crate) fn new() -> Result<Self, InitError> {
        Ok(ProposerKeys {
            proposer: random_key()?,
            network: random_key()?,
            challenges: random_key()?,
            tokens: random_key()?,
        })
    }

    /// What the genesis file says of them.
    fn entry(&self, name: &str) -> GenesisProposer {
        GenesisProposer {
            name: name.to_owned(),
            proposer: self.proposer.public(),
            network: self.network.public(),
        }
    }
}

/// Makes the two key files of a proposer in a new folder.
///
/// **Returns** what the genesis file is to say of them.
///
/// **Errors**: the folder is there already; the system's.
pub fn proposer_keys(
    out: &Path,
    name: &str,
    passphrase: Option<&Passphrase>,
) -> Result<GenesisProposer, InitError> {
    new_keys(out, name, false, passphrase)
}

/// The same, with those of its bank's login if there is one.
pub(crate) fn new_keys(
    out: &Path,
    name: &str,
    login: bool,
    passphrase: Option<&Passphrase>,
) -> Result<GenesisProposer, InitError> {
    let keys = ProposerKeys::new()?;
    write_keys(out, login, &keys, passphrase)?;
    Ok(keys.entry(name))
}

/// Where proposers run: in these processes, or with the validators where there are none.
pub(crate) fn deployment(keys: &[ProposerKeys]) -> Deployment {
    if keys.is_empty() {
        return Deployment::CoLocated;
    }
    let proposers = (0_u16..).zip(keys).map(|(place, keys)| keys.entry(&proposer_home_name(place)));
    Deployment::Edge { proposers: proposers.collect() }
}

/// Makes the home of proposer `place` in the network's folder: settings, keys, journal.
pub(crate) fn write_home(
    folder: &Path,
    place: u16,
    genesis: &GenesisFile,
    keys: &ProposerKeys,
    addresses: &[Addresses],
    options: &InitOptions,
) -> Result<(), InitError> {
    let home = folder.join(proposer_home_name(place));
    let number = options.validators.saturating_add(place);
    let mut settings = layout::settings_text(Kind::Proposer(place), number, addresses).unwrap_or_default();
    if options.encrypt_store {
        settings.push_str(layout::STORE_TEXT);
    }
    let own = addresses.get(usize::from(number));
    if let Some(own) = own.filter(|_| has_login(genesis)) {
        settings.push_str(&layout::login_text(own.api));
    }
    make_folder(&home)?;
    write_new(&home.join(layout::SETTINGS), PLAIN_MODE, settings.as_bytes())?;
    write_keys(&home.join(layout::KEYS), has_login(genesis), keys, options.key_passphrase.as_ref())?;
    give_birth(&home, genesis, number, keys.proposer.public())
}

fn write_keys(
    folder: &Path,
    login: bool,
    keys: &ProposerKeys,
    passphrase: Option<&Passphrase>,
) -> Result<(), InitError> {
    make_folder(folder)?;
    let certificate = certificate_pem(&keys.network)?;
    write_new(&folder.join(layout::CERTIFICATE), PLAIN_MODE, certificate.as_bytes())?;
    for (role, key) in [(KeyRole::Proposer, &keys.proposer), (KeyRole::Network, &keys.network)] {
        write_key(folder, role, key, passphrase)?;
    }
    if login {
        write_login_key(&folder.join(layout::CHALLENGE_KEY), &keys.challenges, passphrase)?;
        write_login_key(&folder.join(layout::TOKEN_KEY), &keys.tokens, passphrase)?;
    }
    sync_folder(folder)
}
