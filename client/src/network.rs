//! The description of a network: its genesis file, where its nodes are, and who validates now.
//!
//! `carat-genesis init` writes it as `network.toml`; nothing secret stands in it. Beside it stands the file `handovers` once the
//! validators have changed: they prove the present set against the genesis file. **Source**: decision record 59.

mod description;
mod members;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use carat_handovers::{FILE_NAME as HANDOVERS, HandoversError};
use carat_types::epoch::{BrokenChain, Epochs, Handover};
use carat_types::genesis::{GenesisError, GenesisFile};
use carat_types::quorum::ImpossibleSize;
use carat_types::validators::Ed25519;
use carat_types::{PublicKey, Quorum};
use thiserror::Error;

use description::{Addresses, Listed};
use members::{Kind, Members};

/// Name of the description in a network's folder.
pub const FILE_NAME: &str = "network.toml";

/// A network that a client may speak to.
#[derive(Clone, Debug)]
pub struct Network {
    /// Folder of the description; paths in it are relative to here.
    pub folder: PathBuf,
    /// The genesis file: the one thing that is trusted.
    pub genesis: GenesisFile,
    /// Where clients go: the validators of the newest epoch that is known, in their order, or its proposers on an edge network.
    /// One whose address the description does not have stands there without one: it counts all the same.
    pub nodes: Vec<NodeAddress>,
    /// The validators of an edge network, which no client reaches; none where the nodes are the validators.
    pub acceptors: Vec<NodeAddress>,
    /// Described nodes that validate, or order for an edge network, no more or not yet: nobody's word is asked of them, though they may
    /// bring handovers.
    pub others: Vec<NodeAddress>,
    addresses: Addresses,
    epochs: Epochs,
    notes: Vec<String>,
}

/// Where one node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Short name: `v0`.
    pub name: String,
    /// Its home folder, where it runs on this machine; else empty.
    pub home: PathBuf,
    /// Address of its REST interface, without a slash at the end; empty for an acceptor of an edge network, which has none, and for
    /// a validator whose address is not known.
    pub api: String,
    /// Address of its metrics and health, without a slash at the end; empty for a validator whose address is not known.
    pub metrics: String,
}

impl NodeAddress {
    /// Whether clients can reach it.
    pub fn is_reachable(&self) -> bool {
        !self.api.is_empty()
    }
}

/// Why a network cannot be described.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// A node's address that names no socket.
    #[error("{host} is not a numeric address and port (hint: the native entrance needs one in network.toml)")]
    Entrance {
        /// What stands there.
        host: String,
    },
    /// A file that cannot be read.
    #[error(
        "{path} cannot be read: {source} (hint: make a network with carat-genesis init, or name another with --network)"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A description of another shape.
    #[error("{path} describes no network: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A genesis file that cannot be used.
    #[error("{path}: {source}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// Why.
        source: GenesisError,
    },
    /// Handovers that cannot be used.
    #[error(transparent)]
    Handovers(#[from] HandoversError),
}

impl Network {
    /// Reads the description at `path`: the file itself, or a folder that holds `network.toml`.
    ///
    /// **Errors**: [`NetworkError`].
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let text = String::from_utf8_lossy(&read(&path)?).into_owned();
        let syntax = |reason: String| NetworkError::Syntax { path: path.clone(), reason };
        let file: description::File = toml::from_str(&text).map_err(|error| syntax(error.to_string()))?;
        let genesis_path = folder.join(&file.genesis);
        let genesis = read_genesis(&genesis_path)?;
        let addresses = file.addresses(&folder, &genesis).map_err(syntax)?;
        // A genesis file that was read lists a possible set.
        let impossible = |source| NetworkError::Genesis { path: genesis_path, source };
        let mut epochs = Epochs::of(&genesis).map_err(|error| impossible(error.into()))?;
        carat_handovers::follow(&folder.join(HANDOVERS), &mut epochs)?;
        Ok(Network::in_epoch(folder, genesis, addresses, epochs))
    }

    /// A network of these nodes, in the order of the genesis file, in its epoch 0.
    ///
    /// **Errors**: the genesis file lists an impossible set.
    pub fn of(
        folder: PathBuf,
        genesis: GenesisFile,
        nodes: Vec<NodeAddress>,
    ) -> Result<Self, ImpossibleSize> {
        let nodes = Listed { founders: nodes, ..Listed::default() };
        let addresses = Addresses { nodes, ..Addresses::default() };
        let epochs = Epochs::of(&genesis)?;
        Ok(Network::in_epoch(folder, genesis, addresses, epochs))
    }

    fn in_epoch(folder: PathBuf, genesis: GenesisFile, addresses: Addresses, epochs: Epochs) -> Self {
        let is_edge = epochs.set().is_edge();
        let kind = if is_edge { Kind::Proposers } else { Kind::Validators };
        let Members { nodes, others, mut notes } = members::members(kind, &addresses.nodes, &epochs);
        let mut acceptors = Vec::new();
        if is_edge {
            let members = members::members(Kind::Acceptors, &addresses.acceptors, &epochs);
            acceptors = members.nodes;
            notes.extend(members.notes);
        }
        Network { folder, genesis, nodes, acceptors, others, addresses, epochs, notes }
    }

    /// The network in the epoch to which these handovers lead, from epoch 0 on; none where that is no news.
    ///
    /// **Errors**: one of them does not hold.
    pub fn follow(&self, handovers: &[Handover]) -> Result<Option<Self>, BrokenChain> {
        if handovers.len() <= self.epochs.handovers().len() {
            return Ok(None);
        }
        let mut epochs = self.epochs.clone();
        epochs.follow(handovers, &Ed25519)?;
        let (folder, genesis) = (self.folder.clone(), self.genesis.clone());
        Ok(Some(Network::in_epoch(folder, genesis, self.addresses.clone(), epochs)))
    }

    /// Who validates, and who did, as far as it is known.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// What the description does not know of the present epoch, in sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Keeps the handovers beside the description. A file that holds as many or more stays as it is.
    ///
    /// **Returns** whether it was written.
    ///
    /// **Errors**: the system's.
    pub fn keep_handovers(&self) -> Result<bool, HandoversError> {
        let (path, known) = (self.folder.join(HANDOVERS), self.epochs.handovers());
        // What cannot be read is worth less than what is known.
        let there = carat_handovers::read(&path).ok().flatten().map_or(0, |there| there.len());
        if there >= known.len() {
            return Ok(false);
        }
        carat_handovers::write(&path, known)?;
        Ok(true)
    }

    /// Every process of the network by its number: validators first, then the proposers of an edge network.
    pub fn processes(&self) -> impl Iterator<Item = &NodeAddress> {
        self.acceptors.iter().chain(&self.nodes)
    }

    /// Whether proposers are processes of their own, to which alone clients go.
    pub fn is_edge(&self) -> bool {
        self.epochs.set().is_edge()
    }

    /// The network key that the node in this place must show.
    pub fn key_of(&self, node: usize) -> Option<PublicKey> {
        match self.is_edge() {
            true => self.epochs.set().proposers().get(node).map(|it| it.network),
            false => self.epochs.set().validators.get(node).map(|it| it.network),
        }
    }

    /// The native entrance of the node in this place, which is at the address and port of its REST interface, and the key that it
    /// must show; none where there is no such node, or no address of it.
    ///
    /// **Errors**: [`NetworkError::Entrance`].
    pub fn entrance(&self, node: usize) -> Result<Option<(SocketAddr, PublicKey)>, NetworkError> {
        let Some((listed, key)) = self.nodes.get(node).zip(self.key_of(node)) else { return Ok(None) };
        if !listed.is_reachable() {
            return Ok(None);
        }
        let host = listed.api.strip_prefix("http://").unwrap_or(&listed.api);
        let address = host.parse().map_err(|_| NetworkError::Entrance { host: host.to_owned() })?;
        Ok(Some((address, key)))
    }

    /// The native entrances of all nodes whose addresses are known.
    ///
    /// **Errors**: [`NetworkError::Entrance`].
    pub fn entrances(&self) -> Result<Vec<(SocketAddr, PublicKey)>, NetworkError> {
        (0..self.nodes.len()).filter_map(|node| self.entrance(node).transpose()).collect()
    }

    /// Among so many nodes one is correct: f+1 validators of the present epoch, and all proposers of an edge network, of which all but one may lie.
    pub fn one_correct(&self) -> usize {
        let n = self.nodes.len();
        if self.is_edge() { n } else { Quorum::of(n).map_or(n, |quorum| quorum.one_correct()) }
    }

    /// The passphrase that every signature is bound to.
    pub fn passphrase(&self) -> &str {
        &self.genesis.genesis.network_passphrase
    }

    /// The node called `name`.
    pub fn node(&self, name: &str) -> Option<&NodeAddress> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

/// Reads and checks a genesis file.
///
/// **Errors**: [`NetworkError`].
pub fn read_genesis(path: &Path) -> Result<GenesisFile, NetworkError> {
    let bytes = read(path)?;
    GenesisFile::parse(&bytes).map_err(|source| NetworkError::Genesis { path: path.to_path_buf(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, NetworkError> {
    std::fs::read(path).map_err(|source| NetworkError::Read { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests;
