//! The description of a network: its genesis file, and where its nodes are.
//!
//! `carat-genesis init` writes it as `network.toml`; nothing secret stands in it.

use std::path::{Path, PathBuf};

use carat_types::genesis::{GenesisError, GenesisFile};
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
    /// The nodes, in the order of the genesis file.
    pub nodes: Vec<NodeAddress>,
}

/// Where one node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Short name: `v0`.
    pub name: String,
    /// Its home folder, where it runs on this machine.
    pub home: PathBuf,
    /// Address of its REST interface, without a slash at the end.
    pub api: String,
    /// Address of its metrics and health, without a slash at the end.
    pub metrics: String,
}

/// Why a network cannot be described.
#[derive(Debug, Error)]
pub enum NetworkError {
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileNode {
    name: String,
    home: PathBuf,
    api: String,
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
        let (seen, expected) = (file.nodes.len(), genesis.genesis.validators.len());
        if seen != expected {
            return Err(syntax(format!("it lists {seen} nodes, the genesis file {expected} validators")));
        }
        let nodes = file.nodes.into_iter().map(|node| NodeAddress {
            name: node.name,
            home: folder.join(node.home),
            api: node.api.trim_end_matches('/').to_owned(),
            metrics: node.metrics.trim_end_matches('/').to_owned(),
        });
        Ok(Network { nodes: nodes.collect(), genesis, folder })
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
