//! A network whose founders' keys were never on one machine: each bank makes its own ([`crate::newcomer::next_keys`],
//! [`crate::edge::proposer_keys`]) and hands over what the genesis file is to say of them, one machine makes that file ([`found`]), and each
//! bank makes its home around its keys ([`home`]).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use carat_storage::key_file as key_at_rest;
use carat_storage::vault::Passphrase;
use carat_types::genesis::{Deployment, GenesisFile, GenesisProposer, GenesisValidator};
use carat_types::key_file::{self, KeyRole};
use carat_types::{LeafRule, PublicKey, leaf};
use zeroize::Zeroizing;

use crate::error::InitError;
use crate::files::{PLAIN_MODE, SECRET_MODE, disk, make_folder, sync_folder, write_new};
use crate::follower;
use crate::init::{
    InitOptions, appear, check, genesis_file, give_birth, has_login, parent, random_key, write_login_key,
};
use crate::layout::{self, Kind};
use crate::ports::Addresses;

/// What a founder's machine is to have.
#[derive(Clone, Debug)]
pub struct Founder {
    /// The genesis file of the network, which is copied.
    pub genesis: PathBuf,
    /// The folder of the keys that it lists for this process. It is moved into the home: no second home can be made of it.
    pub keys: PathBuf,
    /// The secret of the leaves, on a members' network.
    pub salt: Option<PathBuf>,
    /// The home to make; must be absent or empty, and on the file system of `keys`.
    pub out: PathBuf,
    /// Where it listens.
    pub addresses: Addresses,
    /// Where the other processes are by their numbers: the validators in the order of the genesis file, then its proposers.
    pub peers: Vec<(u16, SocketAddr)>,
    /// Encrypts the keys of the bank's login, on a members' network.
    pub passphrase: Option<Passphrase>,
    /// Lets the validator encrypt what it stores, under the passphrase of its key files.
    pub encrypt_store: bool,
}

/// What banks say of the keys that they keep.
#[derive(Clone, Debug, Default)]
pub struct Founders {
    /// The validators, in their order.
    pub validators: Vec<GenesisValidator>,
    /// The proposers of an edge network, in theirs; none, and each validator runs one.
    pub proposers: Vec<GenesisProposer>,
}

/// Makes the genesis file of a network of `founders` in a new folder; beside it, on a members' network, the secret that all of
/// them get. No other choice of `options` makes a file.
///
/// **Errors**: [`InitError`]; nothing is left behind.
pub fn found(options: &InitOptions, founders: Founders) -> Result<GenesisFile, InitError> {
    check(options)?;
    let deployment = match founders.proposers {
        proposers if proposers.is_empty() => Deployment::CoLocated,
        proposers => Deployment::Edge { proposers },
    };
    let (genesis, leaves) = genesis_file(options, founders.validators, deployment)?;
    appear(&options.out, |folder| {
        make_folder(folder)?;
        write_new(&folder.join(layout::GENESIS), PLAIN_MODE, &genesis.bytes)?;
        if let LeafRule::Salted(secret) = &leaves {
            write_new(&folder.join(leaf::SALT_FILE), SECRET_MODE, leaf::write(secret).as_bytes())?;
        }
        sync_folder(folder)
    })?;
    Ok(genesis)
}

/// The process of the genesis file that has the keys.
struct Own {
    kind: Kind,
    /// Its number among all processes, validators first.
    number: u16,
    /// The key to which its journal belongs.
    journals: PublicKey,
    /// Its keys of consensus.
    keys: Vec<(KeyRole, PublicKey)>,
    network: PublicKey,
}

impl Own {
    /// All processes that the genesis file lists.
    fn all(genesis: &GenesisFile) -> impl Iterator<Item = Own> {
        let proposers = genesis.genesis.deployment.edge_proposers();
        let is_edge = !proposers.is_empty();
        let validators = (0_u16..).zip(&genesis.genesis.validators).map(move |(place, listed)| Own {
            kind: if is_edge { Kind::Acceptor(place) } else { Kind::Validator(place) },
            number: place,
            journals: listed.acceptor,
            keys: vec![(KeyRole::Acceptor, listed.acceptor), (KeyRole::Proposer, listed.proposer)],
            network: listed.network,
        });
        let behind = u16::try_from(genesis.genesis.validators.len()).unwrap_or(u16::MAX);
        let proposers = (0_u16..).zip(proposers).map(move |(place, listed)| Own {
            kind: Kind::Proposer(place),
            number: behind.saturating_add(place),
            journals: listed.proposer,
            keys: vec![(KeyRole::Proposer, listed.proposer)],
            network: listed.network,
        });
        validators.chain(proposers)
    }

    /// Whether its bank's clients log in there.
    fn logs_in(&self, genesis: &GenesisFile) -> bool {
        has_login(genesis) && self.kind.serves_clients()
    }

    fn has(&self, role: KeyRole) -> bool {
        self.keys.iter().any(|(of, _)| *of == role)
    }
}

/// Makes the home of a founder around its keys.
///
/// The keys move last: until then nothing was done that cannot be done again, and afterwards nobody finds them to give the same
/// key a second journal.
///
/// **Returns** whose home it is.
///
/// **Errors**: keys that are a home's already or that the genesis file does not list together, peers that are not all others, a
/// secret of another network; the system's.
pub fn home(founder: &Founder) -> Result<Kind, InitError> {
    check_no_home(&founder.keys)?;
    let genesis = follower::read_genesis(&founder.genesis)?;
    let own = own_of(&founder.keys, &genesis)?;
    check_peers(&own, founder, &genesis)?;
    check_passphrase(founder, &own, &genesis)?;
    let salt = follower::salt(founder.salt.as_deref(), &genesis)?;
    let in_token = own.has(KeyRole::Acceptor) && !founder.keys.join(KeyRole::Acceptor.file_name()).exists();
    check_file_system(founder)?;
    appear(&founder.out, |folder| write_home(folder, founder, &genesis, &own, in_token))?;
    let completed = complete_keys(founder, own.logs_in(&genesis), salt.as_ref());
    let moved = completed.and_then(|()| move_keys(founder));
    if moved.is_err() {
        // Its journal belongs to keys that it has not got; if even that fails, the next attempt says so.
        let _ = fs::remove_dir_all(&founder.out);
        return moved.map(|()| own.kind);
    }
    sync_folder(&parent(&founder.keys))?;
    sync_folder(&founder.out)?;
    Ok(own.kind)
}

/// Keys in a home may have voted: what they signed stands in the journal there, and a second, empty one would let them vote again.
fn check_no_home(keys: &Path) -> Result<(), InitError> {
    // The folder as it is named and as it is: either may be the one in the home where the other is a link.
    let named = [keys.to_path_buf(), fs::canonicalize(keys).unwrap_or_default()];
    let around = named.iter().filter_map(|keys| keys.parent());
    let parts = around.flat_map(|folder| [layout::SETTINGS, layout::DATA].map(|name| folder.join(name)));
    let Some(found) = parts.into_iter().find(|part| part.exists()) else { return Ok(()) };
    Err(InitError::Choice {
        what: "--keys",
        seen: format!("{} beside {}, which is a home's", keys.display(), found.display()),
        expected: "keys that no home has, since their votes stand in the journal of that home (hint: start that home; \
                   keys that carat-genesis keys made lie in a folder away from node.toml and data)"
            .to_owned(),
    })
}

/// The process of the genesis file that has these keys: by the network key, which is always a file, and no other key may differ.
fn own_of(keys: &Path, genesis: &GenesisFile) -> Result<Own, InitError> {
    let wrong = |seen: String, expected: String| InitError::Choice { what: "--keys", seen, expected };
    let network = public_half(keys, KeyRole::Network)?.ok_or_else(|| {
        let expected =
            "the folder that carat-genesis keys made (hint: a home was made of it already, if it is gone)";
        wrong(format!("{} without {}", keys.display(), KeyRole::Network.file_name()), expected.to_owned())
    })?;
    let own = Own::all(genesis).find(|own| own.network == network).ok_or_else(|| {
        let expected = "a network key that the genesis file lists (hint: carat-genesis show)";
        wrong(format!("the folder of network key {network}"), expected.to_owned())
    })?;
    for (role, expected) in &own.keys {
        let seen = public_half(keys, *role)?;
        let elsewhere = seen.is_none() && *role == KeyRole::Acceptor;
        if seen != Some(*expected) && !elsewhere {
            let seen =
                seen.map_or_else(|| format!("no {}", role.file_name()), |key| format!("{role:?} key {key}"));
            let process = own.number;
            return Err(wrong(
                seen,
                format!("{expected}, which the genesis file lists for process {process}"),
            ));
        }
    }
    if !own.has(KeyRole::Acceptor) && public_half(keys, KeyRole::Acceptor)?.is_some() {
        let expected = "none in the folder of a proposer, which has no vote";
        return Err(wrong(KeyRole::Acceptor.file_name().to_owned(), expected.to_owned()));
    }
    Ok(own)
}

/// The public key of a file, encrypted or not; none where there is no such file.
fn public_half(keys: &Path, role: KeyRole) -> Result<Option<PublicKey>, InitError> {
    let path = keys.join(role.file_name());
    let text = match fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(disk("read", &path, error)),
    };
    let unusable = |error: &dyn std::fmt::Display| InitError::Choice {
        what: "--keys",
        seen: format!("{}: {error}", path.display()),
        expected: format!("the {role:?} key that carat-genesis keys made"),
    };
    match key_at_rest::named_key(role, &text).map_err(|error| unusable(&error))? {
        Some(named) => Ok(Some(named)),
        None => key_file::read(role, &text).map(|key| Some(key.public())).map_err(|error| unusable(&error)),
    }
}

/// Every other process once.
fn check_peers(own: &Own, founder: &Founder, genesis: &GenesisFile) -> Result<(), InitError> {
    let mut listed: Vec<u16> = founder.peers.iter().map(|(index, _)| *index).collect();
    listed.sort_unstable();
    let others: Vec<u16> = Own::all(genesis).map(|it| it.number).filter(|it| *it != own.number).collect();
    if listed == others {
        return Ok(());
    }
    let behind = match own.kind {
        Kind::Validator(_) => "",
        Kind::Acceptor(_) | Kind::Proposer(_) => "; proposers are numbered behind the validators",
    };
    Err(InitError::Choice {
        what: "--peer",
        seen: format!("given for {listed:?}"),
        expected: format!(
            "{others:?} once each, as these keys are those of process {} (hint: --peer 1=10.0.0.2:7000{behind})",
            own.number
        ),
    })
}

/// Whoever encrypts the validator's keys means those of the login too, under the one passphrase that a node has.
fn check_passphrase(founder: &Founder, own: &Own, genesis: &GenesisFile) -> Result<(), InitError> {
    let path = founder.keys.join(KeyRole::Network.file_name());
    let text = Zeroizing::new(fs::read_to_string(&path).map_err(|error| disk("read", &path, error))?);
    if !key_at_rest::is_encrypted(&text) {
        return Ok(());
    }
    match &founder.passphrase {
        Some(passphrase) => {
            let opened = key_at_rest::read_with(KeyRole::Network, &text, Some(passphrase));
            opened.map(drop).map_err(|error| InitError::Choice {
                what: "--encrypt-keys",
                seen: format!("given with a passphrase that does not open {}: {error}", path.display()),
                expected: "the passphrase of the validator's keys, which the node is to open all keys with"
                    .to_owned(),
            })
        }
        None if own.logs_in(genesis) => Err(InitError::Choice {
            what: "--encrypt-keys",
            seen: "absent".to_owned(),
            expected: "given, as the validator's keys are encrypted and the home gets those of the bank's login beside them".to_owned(),
        }),
        None => Ok(()),
    }
}

fn write_home(
    folder: &Path,
    founder: &Founder,
    genesis: &GenesisFile,
    own: &Own,
    in_token: bool,
) -> Result<(), InitError> {
    make_folder(folder)?;
    write_new(&folder.join(layout::GENESIS), PLAIN_MODE, &genesis.bytes)?;
    let mut settings = layout::home_text(own.kind, &founder.addresses, &founder.peers, own.logs_in(genesis));
    if in_token {
        settings.push_str(layout::TOKEN_TEXT);
    }
    if founder.encrypt_store {
        settings.push_str(layout::STORE_TEXT);
    }
    write_new(&folder.join(layout::SETTINGS), PLAIN_MODE, settings.as_bytes())?;
    give_birth(folder, genesis, own.number, own.journals)
}

/// Keys move in one step, or there might be two copies of them for a moment.
fn check_file_system(founder: &Founder) -> Result<(), InitError> {
    let device = |path: &Path| match fs::metadata(path) {
        Ok(found) => Ok(Some(found.dev())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk("look at", path, error)),
    };
    let home = std::path::absolute(parent(&founder.out))
        .map_err(|error| disk("find the folder of", &founder.out, error))?;
    // Folders above the home that are missing come to be where the first one is that is there.
    let mut above = home.ancestors().map(device);
    let of_home = above.find_map(Result::transpose).transpose()?;
    if device(&founder.keys)? == of_home {
        return Ok(());
    }
    Err(InitError::Choice {
        what: "--out",
        seen: format!("{} on another file system than {}", founder.out.display(), founder.keys.display()),
        expected: "a folder on the file system of the keys, which move into it (hint: move the folder of keys beside \
                   the home to be, and leave no copy)"
            .to_owned(),
    })
}

fn move_keys(founder: &Founder) -> Result<(), InitError> {
    let keys = founder.out.join(layout::KEYS);
    fs::rename(&founder.keys, &keys).map_err(|error| disk("move the keys to", &keys, error))
}

/// What a home's folder of keys holds besides: on a members' network the secret of the leaves and the keys of the login. What an
/// attempt that was cut short left there is made anew.
fn complete_keys(
    founder: &Founder,
    logs_in: bool,
    salt: Option<&Zeroizing<String>>,
) -> Result<(), InitError> {
    if let Some(salt) = salt {
        let path = founder.keys.join(leaf::SALT_FILE);
        make_way(&path)?;
        write_new(&path, SECRET_MODE, salt.as_bytes())?;
    }
    for name in [layout::CHALLENGE_KEY, layout::TOKEN_KEY].into_iter().filter(|_| logs_in) {
        let path = founder.keys.join(name);
        make_way(&path)?;
        write_login_key(&path, &random_key()?, founder.passphrase.as_ref())?;
    }
    sync_folder(&founder.keys)
}

fn make_way(path: &Path) -> Result<(), InitError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(disk("replace", path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
