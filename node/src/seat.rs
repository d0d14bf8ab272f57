//! The place of a validator, or of a proposer of an edge network, in the set of the present epoch, and the folder of the keys that it
//! has there.
//!
//! In epoch 0 the settings name the place. Later the acceptor key does: places move when a validator comes or goes, and whoever
//! replaces keys puts the new ones into the folder `next` beside the old ones, where they wait for their epoch.

use std::path::PathBuf;

use carat_storage::journal::Journal;
use carat_storage::{Identity, key_file};
use carat_types::epoch::Epochs;
use carat_types::genesis::{GenesisFile, GenesisProposer, GenesisValidator};
use carat_types::key_file::KeyRole;
use carat_types::{Epoch, PublicKey, ValidatorId};

use crate::error::NodeError;
use crate::home::{JOURNAL, behind_processes};
use crate::settings::Settings;

/// In the folder of the key files: those that the set of a later epoch names.
pub(crate) const NEXT_KEYS: &str = "next";

/// What the set says of a process.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// It votes.
    Validator(GenesisValidator),
    /// It orders for an edge network, and has no vote.
    Proposer(GenesisProposer),
    /// Nothing: it only follows.
    Nobody,
}

impl Entry {
    /// The validator that it is, if it is one.
    pub(crate) fn validator(&self) -> Option<&GenesisValidator> {
        match self {
            Entry::Validator(entry) => Some(entry),
            Entry::Proposer(_) | Entry::Nobody => None,
        }
    }

    /// Whether it has a proposer key.
    pub(crate) fn orders(&self) -> bool {
        !matches!(self, Entry::Nobody)
    }

    /// Its name for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Entry::Validator(entry) => &entry.name,
            Entry::Proposer(entry) => &entry.name,
            Entry::Nobody => "follower",
        }
    }
}

/// Where a process sits.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// Its number among all processes and its key of consensus, as journal and store name it: a validator's acceptor key, a
    /// proposer's of an edge network the only one that it has.
    pub(crate) identity: Identity,
    /// What the set says of it.
    pub(crate) entry: Entry,
    /// The folder with these keys.
    pub(crate) keys: PathBuf,
}

impl Seat {
    /// Finds the own place in the present epoch.
    ///
    /// **Errors**: the set does not list this process; a journal that cannot be read.
    pub(crate) fn find(
        settings: &Settings,
        genesis: &GenesisFile,
        epochs: &Epochs,
    ) -> Result<Self, NodeError> {
        if let Some(place) = settings.validator.proposer {
            return Seat::proposers(settings, genesis, epochs, place);
        }
        let Some(first) = settings.validator.index else {
            return Ok(Seat::nobodys(settings, genesis, epochs));
        };
        let validators = &epochs.set().validators;
        let index = match epochs.present() {
            Epoch(0) => usize::from(first),
            epoch => {
                let own = own_keys(settings, genesis, first)?;
                let place = |key: &PublicKey| validators.iter().position(|listed| listed.acceptor == *key);
                own.iter().find_map(place).ok_or_else(|| NodeError::NotListed {
                    epoch,
                    after: epochs.last_slot_before(epoch),
                    own: own.first().copied(),
                })?
            }
        };
        let count = validators.len();
        let no_place = NodeError::Index { index: first, count };
        let entry = validators.get(index).ok_or(no_place)?.clone();
        let validator = ValidatorId(u16::try_from(index).unwrap_or(u16::MAX));
        let identity = Identity { chain_id: genesis.chain_id, key: entry.acceptor, validator };
        let next = settings.validator.keys.join(NEXT_KEYS);
        let keys = match holds(&next, &entry) {
            true => next,
            false => settings.validator.keys.clone(),
        };
        Ok(Seat { identity, entry: Entry::Validator(entry), keys })
    }

    /// That of a proposer of an edge network, whose sets stay those of the genesis file.
    fn proposers(
        settings: &Settings,
        genesis: &GenesisFile,
        epochs: &Epochs,
        place: u16,
    ) -> Result<Self, NodeError> {
        let listed = genesis.genesis.deployment.edge_proposers();
        let no_place = NodeError::ProposerPlace { place, count: listed.len() };
        let entry = listed.get(usize::from(place)).ok_or(no_place)?.clone();
        let validator = epochs.validators().process_of(ValidatorId(place));
        let identity = Identity { chain_id: genesis.chain_id, key: entry.proposer, validator };
        Ok(Seat { identity, entry: Entry::Proposer(entry), keys: settings.validator.keys.clone() })
    }

    /// That of a node that follows. What it keeps is anybody's: it has no key of consensus, and its store says nothing of it.
    fn nobodys(settings: &Settings, genesis: &GenesisFile, epochs: &Epochs) -> Self {
        let (key, validator) = (PublicKey([0; 32]), behind_processes(epochs));
        let identity = Identity { chain_id: genesis.chain_id, key, validator };
        Seat { identity, entry: Entry::Nobody, keys: settings.validator.keys.clone() }
    }
}

/// The acceptor keys that may be this validator's, those first that it has had for the shortest time.
fn own_keys(settings: &Settings, genesis: &GenesisFile, first: u16) -> Result<Vec<PublicKey>, NodeError> {
    let keys = &settings.validator.keys;
    let of_file = |folder: PathBuf| claimed(&folder, KeyRole::Acceptor);
    let journal = Journal::owner(&settings.validator.data.join(JOURNAL))?.map(|identity| identity.key);
    let listed = genesis.genesis.validators.get(usize::from(first));
    let own = [of_file(keys.join(NEXT_KEYS)), of_file(keys.clone()), journal, listed.map(|it| it.acceptor)];
    Ok(own.into_iter().flatten().collect())
}

/// Whether the key files in a folder claim to be those of `entry`.
fn holds(folder: &std::path::Path, entry: &GenesisValidator) -> bool {
    let wanted = [entry.acceptor, entry.proposer, entry.network].map(Some);
    KeyRole::ALL.map(|role| claimed(folder, role)) == wanted
}

fn claimed(folder: &std::path::Path, role: KeyRole) -> Option<PublicKey> {
    let text = std::fs::read_to_string(folder.join(role.file_name())).ok()?;
    key_file::claimed_key(role, &text).ok()
}
