//! Makes the home of a node that follows without a vote, and says what each validator's operator adds to his settings.
//!
//! Like a network, it is made in a folder beside the one asked for and appears there at once, complete. What a follower holds is
//! no secret of the consortium but for the salt of a members' network, which a member must have handed over.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carat_network::certificate::certificate_pem;
use carat_storage::key_file as key_at_rest;
use carat_storage::vault::Passphrase;
use carat_types::epoch::{Epochs, write_handovers};
use carat_types::genesis::{GenesisError, GenesisFile, Visibility};
use carat_types::key_file::{self, KeyRole};
use carat_types::{PublicKey, SecretKey, leaf};
use zeroize::Zeroizing;

use crate::error::InitError;
use crate::files::{PLAIN_MODE, SECRET_MODE, disk, make_folder, sync_folder, write_new};
use crate::init::{appear, random_key, write_login_key};
use crate::layout::{self, NetworkDescription, NodeSettings};

/// The choices of a follower.
#[derive(Clone, Debug)]
pub struct FollowerOptions {
    /// Home to make.
    pub out: PathBuf,
    /// The genesis file, which is copied.
    pub genesis: PathBuf,
    /// The validators to ask, by their places in the genesis file, and where they are.
    pub validators: BTreeMap<u16, SocketAddr>,
    /// What the genesis file does not say of the validators of a later epoch.
    pub later: LaterEpoch,
    /// UDP address to listen on.
    pub listen: SocketAddr,
    /// Where validators reach it; none, and it is `listen`.
    pub address: Option<SocketAddr>,
    /// TCP address for clients.
    pub api: SocketAddr,
    /// TCP address for its operator.
    pub metrics: SocketAddr,
    /// The secret of the leaves, on a members' network.
    pub salt: Option<PathBuf>,
    /// The key file is encrypted with this; none, and it is plain.
    pub key_passphrase: Option<Passphrase>,
}

/// How a follower begins in a later epoch than that of the genesis file.
#[derive(Clone, Debug, Default)]
pub struct LaterEpoch {
    /// The file of handovers that leads there; none, and it begins in that of the genesis file, whose blocks somebody must keep.
    pub handovers: Option<PathBuf>,
    /// Where validators are that no genesis file lists, by their network keys.
    pub newcomers: BTreeMap<PublicKey, SocketAddr>,
}

/// What was made.
#[derive(Debug)]
pub struct MadeFollower {
    /// The genesis file.
    pub genesis: GenesisFile,
    /// Its network key.
    pub key: PublicKey,
    /// Where validators reach it.
    pub address: SocketAddr,
}

impl MadeFollower {
    /// What the operator of each validator adds to its `node.toml`.
    pub fn lines(&self) -> String {
        format!("[[followers.peers]]\nkey = \"{}\"\naddress = \"{}\"\n", self.key, self.address)
    }
}

/// The keys of a follower.
struct Keys {
    network: SecretKey,
    /// Of the login without which nobody reads a members' network.
    login: Option<(SecretKey, SecretKey)>,
}

/// Makes the home.
///
/// **Errors**: [`InitError`]; nothing is left behind.
pub fn follower(options: &FollowerOptions) -> Result<MadeFollower, InitError> {
    let genesis = read_genesis(&options.genesis)?;
    check_deployment(&genesis)?;
    check_validators(options, &genesis)?;
    let address = reachable(options)?;
    let salt = salt(options.salt.as_deref(), &genesis)?;
    let handovers = options.later.handovers.as_deref().map(|path| handovers(path, &genesis)).transpose()?;
    let members_only = genesis.genesis.visibility() == Visibility::Members;
    let login = if members_only { Some((random_key()?, random_key()?)) } else { None };
    let keys = Keys { network: random_key()?, login };

    appear(&options.out, |home| {
        write_home(home, options, &genesis, &keys, salt.as_ref())?;
        let data = home.join(layout::DATA);
        make_folder(&data)?;
        if let Some(handovers) = &handovers {
            write_new(&data.join(carat_handovers::FILE_NAME), PLAIN_MODE, handovers)?;
        }
        sync_folder(&data)
    })?;
    Ok(MadeFollower { genesis, key: keys.network.public(), address })
}

/// Where the validators of a network's folder are, as their homes there say.
///
/// **Errors**: a folder that is none.
pub fn validators_of(network: &Path) -> Result<BTreeMap<u16, SocketAddr>, InitError> {
    let path = network.join(layout::NETWORK);
    let description: NetworkDescription = read_toml(&path)?;
    // Whoever came later stands behind them, and is in no genesis file.
    let founders = read_genesis(&network.join(&description.genesis))?.genesis.validators.len();
    let home = |home: &Path| {
        let settings: NodeSettings = read_toml(&network.join(home).join(layout::SETTINGS))?;
        Ok(settings.validator.index.map(|index| (index, settings.network.listen)))
    };
    description.nodes.iter().take(founders).filter_map(|node| home(&node.home).transpose()).collect()
}

fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, InitError> {
    let text = fs::read_to_string(path).map_err(|error| disk("read", path, error))?;
    toml::from_str(&text).map_err(|error| InitError::Choice {
        what: "--network",
        seen: format!("a folder with {}: {}", path.display(), error.message()),
        expected: "a folder that carat-genesis init made (hint: name the file and the validators by --genesis and --validator)"
            .to_owned(),
    })
}

pub(crate) fn read_genesis(path: &Path) -> Result<GenesisFile, InitError> {
    let bytes = fs::read(path).map_err(|error| disk("read", path, error))?;
    Ok(GenesisFile::parse(&bytes)?)
}

/// Acceptors of an edge network serve nobody but proposers, and these show all that a follower would.
fn check_deployment(genesis: &GenesisFile) -> Result<(), InitError> {
    match genesis.genesis.deployment.edge_proposers().len() {
        0 => Ok(()),
        proposers => Err(InitError::Choice {
            what: "deployment",
            seen: format!("edge, with {proposers} proposers"),
            expected:
                "co-located to follow it (hint: a proposer of an edge network executes and shows everything: \
                       docs/operations/edge.md)"
                    .to_owned(),
        }),
    }
}

fn check_validators(options: &FollowerOptions, genesis: &GenesisFile) -> Result<(), InitError> {
    let count = genesis.genesis.validators.len();
    let strange = options.validators.keys().find(|index| usize::from(**index) >= count);
    let seen = match strange {
        Some(index) => index.to_string(),
        None if options.validators.is_empty() && options.later.newcomers.is_empty() => "absent".to_owned(),
        None => return Ok(()),
    };
    Err(InitError::Choice {
        what: "--validator",
        seen,
        expected: format!(
            "at least one validator's place below {count}, =, and its UDP address (hint: name all of them)"
        ),
    })
}

/// The bytes of a file of handovers, which must lead on from the genesis file.
fn handovers(path: &Path, genesis: &GenesisFile) -> Result<Vec<u8>, InitError> {
    let mut epochs = Epochs::of(genesis).map_err(GenesisError::from)?;
    if carat_handovers::follow(path, &mut epochs)? {
        return Ok(write_handovers(epochs.handovers()));
    }
    Err(InitError::Choice {
        what: "--handovers",
        seen: path.display().to_string(),
        expected: "a file that exists (hint: carat epochs fetch --out FILE)".to_owned(),
    })
}

/// What validators are to dial.
fn reachable(options: &FollowerOptions) -> Result<SocketAddr, InitError> {
    let address = options.address.unwrap_or(options.listen);
    match address.ip().is_unspecified() || address.port() == 0 {
        false => Ok(address),
        true => Err(InitError::Choice {
            what: "--address",
            seen: address.to_string(),
            expected: "an address and port that validators can reach (hint: --listen may be 0.0.0.0, --address may not)".to_owned(),
        }),
    }
}

/// The text of the secret's file, which must be this network's.
pub(crate) fn salt(
    path: Option<&Path>,
    genesis: &GenesisFile,
) -> Result<Option<Zeroizing<String>>, InitError> {
    let Some(commitment) = &genesis.genesis.salt_commitment else { return Ok(None) };
    let wrong = |seen: String| InitError::Choice {
        what: "--salt",
        seen,
        expected: format!(
            "the file with the secret of commitment {commitment} (hint: {} of any validator of this members' network, or of its founding; \
             with it and the state, neighbours' balances are read)",
            leaf::SALT_FILE
        ),
    };
    let path = path.ok_or_else(|| wrong("absent".to_owned()))?;
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| disk("read", path, error))?);
    let secret =
        leaf::read(&text, commitment).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
    Ok(Some(Zeroizing::new(leaf::write(&secret).to_string())))
}

fn write_home(
    home: &Path,
    options: &FollowerOptions,
    genesis: &GenesisFile,
    keys: &Keys,
    salt: Option<&Zeroizing<String>>,
) -> Result<(), InitError> {
    make_folder(home)?;
    write_new(&home.join(layout::GENESIS), PLAIN_MODE, &genesis.bytes)?;
    let mut settings =
        layout::follower_text(options.listen, options.api, options.metrics, &options.validators);
    settings.push_str(&layout::newcomers_text(&options.later.newcomers));
    if keys.login.is_some() {
        settings.push_str(&layout::login_text(options.api));
    }
    write_new(&home.join(layout::SETTINGS), PLAIN_MODE, settings.as_bytes())?;
    write_keys(&home.join(layout::KEYS), keys, salt, options.key_passphrase.as_ref())?;
    sync_folder(home)
}

fn write_keys(
    folder: &Path,
    keys: &Keys,
    salt: Option<&Zeroizing<String>>,
    passphrase: Option<&Passphrase>,
) -> Result<(), InitError> {
    make_folder(folder)?;
    let role = KeyRole::Network;
    let text = match passphrase {
        Some(passphrase) => Zeroizing::new(key_at_rest::write_encrypted(role, &keys.network, passphrase)?),
        None => key_file::write(role, &keys.network),
    };
    write_new(&folder.join(role.file_name()), SECRET_MODE, text.as_bytes())?;
    let certificate = certificate_pem(&keys.network)?;
    write_new(&folder.join(layout::CERTIFICATE), PLAIN_MODE, certificate.as_bytes())?;
    if let Some(salt) = salt {
        write_new(&folder.join(leaf::SALT_FILE), SECRET_MODE, salt.as_bytes())?;
    }
    if let Some((challenges, tokens)) = &keys.login {
        for (name, key) in [(layout::CHALLENGE_KEY, challenges), (layout::TOKEN_KEY, tokens)] {
            write_login_key(&folder.join(name), key, passphrase)?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests;
