//! Keys for an epoch to come: new ones for a validator that replaces its own, and the home of a validator that was not there
//! from the beginning. What the others vote on is the entry of the set that is printed.
//!
//! **Source**: consensus specification, section 11; decision record 50.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carat_storage::vault::Passphrase;
use carat_types::PublicKey;
use carat_types::genesis::{GenesisFile, GenesisProposer, GenesisValidator};

use crate::edge;
use crate::error::InitError;
use crate::files::{PLAIN_MODE, make_folder, sync_folder, write_new};
use crate::follower::read_genesis;
use crate::init::{Keys, give_birth, has_login, write_certificate, write_keys};
use crate::layout::{self, Kind};
use crate::ports::Addresses;

/// A validator that comes, or a proposer of an edge network.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The genesis file of the network.
    pub genesis: PathBuf,
    /// The name that its set gives it.
    pub name: String,
    /// Its place in that set, from 0.
    pub place: u16,
    /// The home to make; must be absent.
    pub out: PathBuf,
    /// Where it listens.
    pub addresses: Addresses,
    /// Where the processes of the genesis file are, by their numbers there: validators first, then the proposers of an edge network.
    pub peers: Vec<(u16, SocketAddr)>,
    /// Encrypts its key files.
    pub passphrase: Option<Passphrase>,
}

/// Makes three key files in a new folder; two, where the acceptor key was made elsewhere, in a token.
///
/// **Returns** what a set says of them.
///
/// **Errors**: the folder is there already; the system's.
pub fn next_keys(
    out: &Path,
    name: &str,
    acceptor: Option<PublicKey>,
    passphrase: Option<&Passphrase>,
) -> Result<GenesisValidator, InitError> {
    let keys = Keys::new(acceptor)?;
    write_folder(out, &keys, false, passphrase)?;
    Ok(keys.entry(name))
}

/// Makes the home of a validator that comes: settings, keys, the birth record of its journal.
///
/// **Returns** what its set says of it.
///
/// **Errors**: the folder is there already; no genesis file; the system's.
pub fn join(newcomer: &Newcomer) -> Result<GenesisValidator, InitError> {
    let genesis = read_genesis(&newcomer.genesis)?;
    let is_edge = !genesis.genesis.deployment.is_co_located();
    let kind = if is_edge { Kind::Acceptor(newcomer.place) } else { Kind::Validator(newcomer.place) };
    let keys = Keys::new(None)?;
    make_folder(&newcomer.out)?;
    let login = has_login(&genesis) && kind.serves_clients();
    write_folder(&newcomer.out.join(layout::KEYS), &keys, login, newcomer.passphrase.as_ref())?;
    let entry = keys.entry(&newcomer.name);
    furnish(newcomer, kind, &genesis, entry.acceptor)?;
    Ok(entry)
}

/// Makes the home of a proposer that comes to an edge network, in the same way.
///
/// **Returns** what its set says of it.
///
/// **Errors**: a network whose validators order; the folder is there already; the system's.
pub fn join_proposer(newcomer: &Newcomer) -> Result<GenesisProposer, InitError> {
    let genesis = read_genesis(&newcomer.genesis)?;
    if genesis.genesis.deployment.is_co_located() {
        return Err(InitError::Choice {
            what: "--proposer",
            seen: "given".to_owned(),
            expected: "absent, as each validator of this network runs a proposer of its own (hint: no vote changes that)".to_owned(),
        });
    }
    make_folder(&newcomer.out)?;
    let (folder, passphrase) = (newcomer.out.join(layout::KEYS), newcomer.passphrase.as_ref());
    let entry = edge::new_keys(&folder, &newcomer.name, has_login(&genesis), passphrase)?;
    furnish(newcomer, Kind::Proposer(newcomer.place), &genesis, entry.proposer)?;
    Ok(entry)
}

/// What a home has beside its keys. The number in its journal's birth record is that of the place for which it was made; the set of an
/// epoch finds it by its key.
fn furnish(newcomer: &Newcomer, kind: Kind, genesis: &GenesisFile, key: PublicKey) -> Result<(), InitError> {
    let Newcomer { out, addresses, peers, place, .. } = newcomer;
    write_new(&out.join(layout::GENESIS), PLAIN_MODE, &genesis.bytes)?;
    let login = has_login(genesis) && kind.serves_clients();
    let settings = layout::home_text(kind, addresses, peers, login);
    write_new(&out.join(layout::SETTINGS), PLAIN_MODE, settings.as_bytes())?;
    give_birth(out, genesis, *place, key)
}

fn write_folder(
    folder: &Path,
    keys: &Keys,
    login: bool,
    passphrase: Option<&Passphrase>,
) -> Result<(), InitError> {
    make_folder(folder)?;
    write_keys(folder, keys, login, passphrase)?;
    write_certificate(folder, keys)?;
    sync_folder(folder)
}
