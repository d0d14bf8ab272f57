//! The place of a validator, or of a proposer of an edge network, in the set of the present epoch, and the folder of the keys that it
//! has there.
//!
//! In epoch 0 the settings name the place. Later the key of consensus does, a validator's acceptor key or the proposer's: places move when
//! somebody comes or goes, and whoever replaces keys puts the new ones into the folder `next` beside the old ones, where they wait for
//! their epoch.

use std::path::{Path, PathBuf};

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
        match (settings.validator.proposer, settings.validator.index) {
            (Some(first), _) => Seat::proposers(settings, genesis, epochs, first),
            (None, Some(first)) => Seat::validators(settings, genesis, epochs, first),
            (None, None) => Ok(Seat::nobodys(settings, genesis, epochs)),
        }
    }

    /// That of a validator.
    fn validators(
        settings: &Settings,
        genesis: &GenesisFile,
        epochs: &Epochs,
        first: u16,
    ) -> Result<Self, NodeError> {
        let founder = genesis.genesis.validators.get(usize::from(first)).map(|it| it.acceptor);
        let listed = &epochs.set().validators;
        let acceptors: Vec<PublicKey> = listed.iter().map(|it| it.acceptor).collect();
        let index = place(settings, epochs, first, (KeyRole::Acceptor, founder), &acceptors)?;
        let no_place = NodeError::Index { index: first, count: listed.len() };
        let entry = listed.get(index).ok_or(no_place)?.clone();
        let validator = ValidatorId(u16::try_from(index).unwrap_or(u16::MAX));
        let identity = Identity { chain_id: genesis.chain_id, key: entry.acceptor, validator };
        let wanted = [entry.acceptor, entry.proposer, entry.network].map(Some);
        let keys = folder_of(settings, &|folder| KeyRole::ALL.map(|role| claimed(folder, role)) == wanted);
        Ok(Seat { identity, entry: Entry::Validator(entry), keys })
    }

    /// That of a proposer of an edge network.
    fn proposers(
        settings: &Settings,
        genesis: &GenesisFile,
        epochs: &Epochs,
        first: u16,
    ) -> Result<Self, NodeError> {
        let founders = genesis.genesis.deployment.edge_proposers();
        let founder = founders.get(usize::from(first)).map(|it| it.proposer);
        let listed = epochs.set().proposers();
        let proposers: Vec<PublicKey> = listed.iter().map(|it| it.proposer).collect();
        let place = place(settings, epochs, first, (KeyRole::Proposer, founder), &proposers)?;
        let no_place = NodeError::ProposerPlace { place: first, count: listed.len() };
        let entry = listed.get(place).ok_or(no_place)?.clone();
        let place = ValidatorId(u16::try_from(place).unwrap_or(u16::MAX));
        let validator = epochs.validators().process_of(place);
        let identity = Identity { chain_id: genesis.chain_id, key: entry.proposer, validator };
        let wanted = [entry.proposer, entry.network].map(Some);
        let roles = [KeyRole::Proposer, KeyRole::Network];
        let keys = folder_of(settings, &|folder| roles.map(|role| claimed(folder, role)) == wanted);
        Ok(Seat { identity, entry: Entry::Proposer(entry), keys })
    }

    /// That of a node that follows. What it keeps is anybody's: it has no key of consensus, and its store says nothing of it.
    fn nobodys(settings: &Settings, genesis: &GenesisFile, epochs: &Epochs) -> Self {
        let (key, validator) = (PublicKey([0; 32]), behind_processes(epochs));
        let identity = Identity { chain_id: genesis.chain_id, key, validator };
        Seat { identity, entry: Entry::Nobody, keys: settings.validator.keys.clone() }
    }
}

/// The own place among the keys that the present set lists for a role: in epoch 0 the one that the settings name, `first`; later that of the
/// key of consensus, as there is no other name that stays.
fn place(
    settings: &Settings,
    epochs: &Epochs,
    first: u16,
    (role, founder): (KeyRole, Option<PublicKey>),
    listed: &[PublicKey],
) -> Result<usize, NodeError> {
    let epoch = epochs.present();
    if epoch == Epoch(0) {
        return Ok(usize::from(first));
    }
    let own = own_keys(settings, role, founder)?;
    let found = own.iter().find_map(|key| listed.iter().position(|listed| listed == key));
    let (kind, name) = match role {
        KeyRole::Acceptor => ("validator", "acceptor"),
        _ => ("proposer", "proposer"),
    };
    found.ok_or_else(|| NodeError::NotListed {
        kind,
        role: name,
        epoch,
        after: epochs.last_slot_before(epoch),
        own: own.first().copied(),
    })
}

/// The keys of a role that may be this process's, those first that it has had for the shortest time.
fn own_keys(
    settings: &Settings,
    role: KeyRole,
    founder: Option<PublicKey>,
) -> Result<Vec<PublicKey>, NodeError> {
    let keys = &settings.validator.keys;
    let of_file = |folder: PathBuf| claimed(&folder, role);
    let journal = Journal::owner(&settings.validator.data.join(JOURNAL))?.map(|identity| identity.key);
    let own = [of_file(keys.join(NEXT_KEYS)), of_file(keys.clone()), journal, founder];
    Ok(own.into_iter().flatten().collect())
}

/// The folder of the keys that the present set lists: `next`, if the files there claim to be those.
fn folder_of(settings: &Settings, holds: &dyn Fn(&Path) -> bool) -> PathBuf {
    let next = settings.validator.keys.join(NEXT_KEYS);
    if holds(&next) { next } else { settings.validator.keys.clone() }
}

fn claimed(folder: &Path, role: KeyRole) -> Option<PublicKey> {
    let text = std::fs::read_to_string(folder.join(role.file_name())).ok()?;
    key_file::claimed_key(role, &text).ok()
}
