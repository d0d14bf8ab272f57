//! The file `network.toml`: its form, and whether it fits the genesis file.

use std::path::{Path, PathBuf};

use carat_types::genesis::GenesisFile;
use serde::Deserialize;

use super::NodeAddress;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) genesis: PathBuf,
    nodes: Vec<FileNode>,
    #[serde(default)]
    acceptors: Vec<FileAcceptor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileNode {
    name: String,
    /// Absent where the node is on another machine.
    #[serde(default)]
    home: PathBuf,
    api: String,
    metrics: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAcceptor {
    name: String,
    /// Absent where the node is on another machine.
    #[serde(default)]
    home: PathBuf,
    metrics: String,
}

/// The addresses that a description has.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    /// Of the nodes that clients reach: validators, or proposers where they are processes of their own.
    pub(super) nodes: Listed,
    /// Of the validators of an edge network.
    pub(super) acceptors: Listed,
}

/// The addresses of one kind of node.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    /// Of those in the genesis file, in its order.
    pub(super) founders: Vec<NodeAddress>,
    /// Of those that came later, by the names that their sets give them.
    pub(super) newcomers: Vec<NodeAddress>,
}

impl Listed {
    /// The first `founders` of a list are those of the genesis file.
    ///
    /// **Errors**: a newcomer stands there twice.
    fn of(mut list: Vec<NodeAddress>, founders: usize) -> Result<Self, String> {
        let newcomers = list.split_off(founders.min(list.len()));
        check_names(&newcomers)?;
        Ok(Listed { founders: list, newcomers })
    }
}

impl File {
    /// The addresses in it, paths relative to `folder`.
    ///
    /// **Errors**: what does not fit the genesis file.
    pub(super) fn addresses(self, folder: &Path, genesis: &GenesisFile) -> Result<Addresses, String> {
        check_counts(&self, genesis)?;
        let address = |name: String, home: PathBuf, api: &str, metrics: &str| NodeAddress {
            name,
            home: if home == Path::new("") { home } else { folder.join(home) },
            api: api.trim_end_matches('/').to_owned(),
            metrics: metrics.trim_end_matches('/').to_owned(),
        };
        let nodes = self.nodes.into_iter();
        let nodes = nodes.map(|node| address(node.name, node.home, &node.api, &node.metrics));
        let acceptors = self.acceptors.into_iter();
        let acceptors = acceptors.map(|node| address(node.name, node.home, "", &node.metrics));
        let (nodes_founded, acceptors_founded) = founded(genesis);
        Ok(Addresses {
            nodes: Listed::of(nodes.collect(), nodes_founded)?,
            acceptors: Listed::of(acceptors.collect(), acceptors_founded)?,
        })
    }
}

/// How many nodes the genesis file has for clients, and how many acceptors beside them.
fn founded(genesis: &GenesisFile) -> (usize, usize) {
    let n = genesis.genesis.validators.len();
    match genesis.genesis.deployment.edge_proposers().len() {
        0 => (n, 0),
        proposers => (proposers, n),
    }
}

/// Validators are nodes, or they are acceptors beside the nodes where these are proposers; in either list those that came later stand
/// behind those of the genesis file.
fn check_counts(file: &File, genesis: &GenesisFile) -> Result<(), String> {
    let (n, proposers) =
        (genesis.genesis.validators.len(), genesis.genesis.deployment.edge_proposers().len());
    let (nodes, acceptors) = (file.nodes.len(), file.acceptors.len());
    match proposers {
        0 if nodes < n || acceptors != 0 => Err(format!(
            "it lists {nodes} nodes and {acceptors} acceptors, the genesis file {n} validators that are nodes (hint: those of the \
             genesis file come first and in its order, also who left; newcomers behind them)"
        )),
        1.. if nodes < proposers || acceptors < n => Err(format!(
            "it lists {nodes} nodes and {acceptors} acceptors, the genesis file {proposers} proposers that are nodes and {n} \
             validators that are acceptors (hint: those of the genesis file come first and in its order, also who left; newcomers \
             behind them)"
        )),
        _ => Ok(()),
    }
}

/// A newcomer's address is found by its name, and so is listed once.
fn check_names(newcomers: &[NodeAddress]) -> Result<(), String> {
    let mut names: Vec<&str> = newcomers.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[&str]>::first) {
        Some(name) => Err(format!(
            "it lists {name} more than once behind those of the genesis file, expected once (hint: keep the address that \
             is in use)"
        )),
        None => Ok(()),
    }
}
