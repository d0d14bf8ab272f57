//! Keys for an epoch to come: new ones for a validator that replaces its own, and the home of a validator that was not there
//! from the beginning. What the others vote on is the entry of the set that is printed.
//!
//! **Source**: consensus specification, section 11; decision record 50.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carat_storage::vault::Passphrase;
use carat_types::PublicKey;
use carat_types::genesis::GenesisValidator;

use crate::error::InitError;
use crate::files::{PLAIN_MODE, make_folder, sync_folder, write_new};
use crate::follower::read_genesis;
use crate::init::{Keys, give_birth, has_login, write_certificate, write_keys};
use crate::layout::{self, Kind};
use crate::ports::Addresses;

/// A validator that comes.
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
    /// Where the validators of the genesis file are, by their places there.
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
    let keys = Keys::new(None)?;
    let (home, key_folder) = (&newcomer.out, newcomer.out.join(layout::KEYS));
    make_folder(home)?;
    write_folder(&key_folder, &keys, has_login(&genesis), newcomer.passphrase.as_ref())?;
    write_new(&home.join(layout::GENESIS), PLAIN_MODE, &genesis.bytes)?;
    let settings = layout::home_text(
        Kind::Validator(newcomer.place),
        &newcomer.addresses,
        &newcomer.peers,
        has_login(&genesis),
    );
    write_new(&home.join(layout::SETTINGS), PLAIN_MODE, settings.as_bytes())?;
    let entry = keys.entry(&newcomer.name);
    give_birth(home, &genesis, newcomer.place, entry.acceptor)?;
    Ok(entry)
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
