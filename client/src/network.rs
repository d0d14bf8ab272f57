//! The description of a network: its genesis file, and where its nodes are.
//!
//! `carat-genesis init` writes it as `network.toml`; nothing secret stands in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carat_types::genesis::{GenesisError, GenesisFile};
use carat_types::{PublicKey, Quorum};
use serde::Deserialize;
use thiserror::Error;

/// Name of the description in a network's folder.
pub const FILE_NAME: &str = "network.toml";

/// A network that a client may speak to.
#[derive(Clone, Debug)]
pub struct Network {
    /// Folder of the description; paths in it are relative to here.
    pub folder: PathBuf,
    /// The genesis file: the one thing that is trusted.
    pub genesis: GenesisFile,
    /// Where clients go, in the order of the genesis file: the validators, or the proposers of an edge network.
    pub nodes: Vec<NodeAddress>,
    /// The validators of an edge network, which no client reaches; none where the nodes are the validators.
    pub acceptors: Vec<NodeAddress>,
}

/// Where one node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Short name: `v0`.
    pub name: String,
    /// Its home folder, where it runs on this machine.
    pub home: PathBuf,
    /// Address of its REST interface, without a slash at the end; empty for an acceptor of an edge network, which has none.
    pub api: String,
    /// Address of its metrics and health, without a slash at the end.
    pub metrics: String,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    genesis: PathBuf,
    nodes: Vec<FileNode>,
    #[serde(default)]
    acceptors: Vec<FileAcceptor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileNode {
    name: String,
    home: PathBuf,
    api: String,
    metrics: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAcceptor {
    name: String,
    home: PathBuf,
    metrics: String,
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
        let file: File = toml::from_str(&text).map_err(|error| syntax(error.to_string()))?;
        let genesis = read_genesis(&folder.join(&file.genesis))?;
        check_counts(&file, &genesis).map_err(syntax)?;
        let address = |name: String, home: PathBuf, api: &str, metrics: &str| NodeAddress {
            name,
            home: folder.join(home),
            api: api.trim_end_matches('/').to_owned(),
            metrics: metrics.trim_end_matches('/').to_owned(),
        };
        let nodes = file.nodes.into_iter();
        let nodes = nodes.map(|node| address(node.name, node.home, &node.api, &node.metrics)).collect();
        let acceptors = file.acceptors.into_iter();
        let acceptors = acceptors.map(|node| address(node.name, node.home, "", &node.metrics)).collect();
        Ok(Network { nodes, acceptors, genesis, folder })
    }

    /// Every process of the network by its number: validators first, then the proposers of an edge network.
    pub fn processes(&self) -> impl Iterator<Item = &NodeAddress> {
        self.acceptors.iter().chain(&self.nodes)
    }

    /// Whether proposers are processes of their own, to which alone clients go.
    pub fn is_edge(&self) -> bool {
        !self.genesis.genesis.deployment.is_co_located()
    }

    /// The network key that the node in this place must show.
    pub fn key_of(&self, node: usize) -> Option<PublicKey> {
        let genesis = &self.genesis.genesis;
        match self.is_edge() {
            true => genesis.deployment.edge_proposers().get(node).map(|it| it.network),
            false => genesis.validators.get(node).map(|it| it.network),
        }
    }

    /// The native entrance of the node in this place, which is at the address and port of its REST interface, and the key that it
    /// must show; none where there is no such node.
    ///
    /// **Errors**: [`NetworkError::Entrance`].
    pub fn entrance(&self, node: usize) -> Result<Option<(SocketAddr, PublicKey)>, NetworkError> {
        let Some((listed, key)) = self.nodes.get(node).zip(self.key_of(node)) else { return Ok(None) };
        let host = listed.api.strip_prefix("http://").unwrap_or(&listed.api);
        let address = host.parse().map_err(|_| NetworkError::Entrance { host: host.to_owned() })?;
        Ok(Some((address, key)))
    }

    /// The native entrances of all nodes.
    ///
    /// **Errors**: [`NetworkError::Entrance`].
    pub fn entrances(&self) -> Result<Vec<(SocketAddr, PublicKey)>, NetworkError> {
        (0..self.nodes.len()).filter_map(|node| self.entrance(node).transpose()).collect()
    }

    /// Among so many nodes one is correct: f+1 validators, and all proposers of an edge network, of which all but one may lie.
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

/// Validators are nodes, or acceptors beside the nodes where these are proposers.
fn check_counts(file: &File, genesis: &GenesisFile) -> Result<(), String> {
    let (n, proposers) =
        (genesis.genesis.validators.len(), genesis.genesis.deployment.edge_proposers().len());
    let (nodes, acceptors) = (file.nodes.len(), file.acceptors.len());
    match proposers {
        0 if (nodes, acceptors) != (n, 0) => Err(format!(
            "it lists {nodes} nodes and {acceptors} acceptors, the genesis file {n} validators that are nodes"
        )),
        1.. if (nodes, acceptors) != (proposers, n) => Err(format!(
            "it lists {nodes} nodes and {acceptors} acceptors, the genesis file {proposers} proposers that are nodes and {n} \
             validators that are acceptors"
        )),
        _ => Ok(()),
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
mod tests {
    use carat_types::SecretKey;
    use carat_types::genesis::{Deployment, GenesisProposer};

    use super::*;
    use crate::fixture::{PASSPHRASE, genesis_of};

    fn nodes(kind: &str, letter: char, count: u16) -> String {
        let api = |port| {
            if kind == "nodes" { format!("api = \"http://127.0.0.1:{port}/\"\n") } else { String::new() }
        };
        let node = |i: u16| {
            format!(
                "[[{kind}]]\nname = \"{letter}{i}\"\nhome = \"{letter}{i}\"\n{}metrics = \"http://127.0.0.1:{}\"\n",
                api(i),
                i
            )
        };
        (0..count).map(node).collect()
    }

    /// A network of four validators with `proposers` of their own, described by these lists.
    fn load(proposers: u8, lists: &str) -> Result<Network, NetworkError> {
        let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
        let mut genesis = genesis_of(PASSPHRASE).genesis;
        let listed = (0..proposers).map(|i| GenesisProposer {
            name: format!("p{i}"),
            proposer: key(50 + i),
            network: key(60 + i),
        });
        if proposers > 0 {
            genesis.deployment = Deployment::Edge { proposers: listed.collect() };
        }
        let folder = tempfile::tempdir().expect("a folder");
        let json = serde_json::to_vec(&genesis).expect("serialises");
        std::fs::write(folder.path().join("genesis.json"), json).expect("written");
        let text = format!("genesis = \"genesis.json\"\n{lists}");
        std::fs::write(folder.path().join(FILE_NAME), text).expect("written");
        Network::load(folder.path())
    }

    #[test]
    fn clients_of_an_edge_network_go_to_its_proposers_of_which_all_but_one_may_lie() {
        let network = load(3, &(nodes("acceptors", 'v', 4) + &nodes("nodes", 'p', 3))).expect("described");
        let names: Vec<_> = network.processes().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["v0", "v1", "v2", "v3", "p0", "p1", "p2"]);
        assert_eq!((network.is_edge(), network.one_correct()), (true, 3));
        assert_eq!(network.key_of(1), Some(SecretKey::from_seed(&[61; 32]).public()));
        assert_eq!(network.key_of(3), None);
        let together = load(0, &nodes("nodes", 'v', 4)).expect("described");
        assert_eq!((together.is_edge(), together.one_correct()), (false, 2));
        assert_eq!(together.key_of(1), Some(SecretKey::from_seed(&[31; 32]).public()));
    }

    #[test]
    fn description_that_does_not_fit_the_deployment_is_refused() {
        let cases = [
            (3, nodes("nodes", 'v', 4), "4 nodes and 0 acceptors, the genesis file 3 proposers"),
            (3, nodes("acceptors", 'v', 4) + &nodes("nodes", 'p', 2), "2 nodes and 4 acceptors"),
            (0, nodes("acceptors", 'v', 4) + &nodes("nodes", 'v', 4), "4 nodes and 4 acceptors"),
            (0, nodes("nodes", 'v', 3), "3 nodes and 0 acceptors, the genesis file 4 validators"),
        ];
        for (proposers, lists, expected) in cases {
            let error = load(proposers, &lists).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
