//! The home of a node that follows: a follower's own, or that of a validator whose journal is lost.

use std::path::Path;

use carat_network::NetworkKey;
use carat_storage::store::Store;
use carat_types::key_file::KeyRole;

use crate::error::NodeError;
use crate::home::{Home, Place, signer_link};
use crate::keys::{KeysError, OwnKeys, VoteKeys, read_file};
use crate::role::Role;

/// What a start without a vote reads. There is no journal in it, and no key of consensus is read.
pub struct FollowerHome(pub(crate) Home);

impl FollowerHome {
    /// Reads settings, genesis file and network key.
    ///
    /// **Errors**: whatever does not fit together, with what to do; a journal: whoever has one votes, or may vote again.
    pub fn read(folder: &Path) -> Result<Self, NodeError> {
        let place = Place::read(folder)?;
        let proposers = place.genesis.genesis.deployment.edge_proposers().len();
        if proposers > 0 {
            return Err(NodeError::FollowsEdge { proposers });
        }
        if place.has_journal() {
            return Err(NodeError::HasJournal { path: place.journal_folder() });
        }
        check_sources(&place)?;
        let keys = OwnKeys { network: network_key(&place)?, votes: VoteKeys::Nowhere };
        let home = Home::furnish(place, keys, Role::Follower)?;
        if home.peers().is_empty() {
            return Err(NodeError::NobodyLeft { epoch: home.epoch() });
        }
        Ok(FollowerHome(home))
    }

    /// Opens the store, or makes it from the genesis file.
    ///
    /// **Errors**: damaged or foreign data, with what to do.
    pub fn open(&self) -> Result<Store, NodeError> {
        self.0.open_without_journal()
    }

    /// The settings, and what else is in every home.
    pub fn home(&self) -> &Home {
        &self.0
    }
}

/// Whom it asks: validators of the genesis file, each once, as the settings were checked to list them.
fn check_sources(place: &Place) -> Result<(), NodeError> {
    let (peers, count) = (&place.settings.network.peers, place.genesis.genesis.validators.len());
    match peers.iter().find(|peer| usize::from(peer.index) >= count) {
        Some(peer) => Err(NodeError::Index { index: peer.index, count }),
        None if peers.is_empty() => Err(NodeError::NobodyToFollow),
        None => Ok(()),
    }
}

/// The key by which validators know this node: a validator's is that of the genesis file.
fn network_key(place: &Place) -> Result<NetworkKey, NodeError> {
    let own = place.seat.entry.validator();
    if let Some(listed) = own
        && let Some(link) = signer_link(place, listed)?
    {
        return Ok(link.network_key()?);
    }
    let path = place.seat.keys.join(KeyRole::Network.file_name());
    let key = read_file(&path, KeyRole::Network, &place.passphrase())?;
    let seen = key.public();
    match own {
        Some(listed) if listed.network != seen => {
            let (expected, name) = (listed.network, listed.name.clone());
            Err(KeysError::Foreign { path, seen, expected, name }.into())
        }
        None if place.epochs.set().validators.iter().any(|validator| validator.network == seen) => {
            Err(KeysError::OfValidator { path, seen }.into())
        }
        _ => Ok(key.into()),
    }
}
