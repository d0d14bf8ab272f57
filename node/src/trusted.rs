//! What a check starts from: the genesis file, from where the operator trusts it, and the secret that salts a members' state.

use std::path::PathBuf;

use carat_node::NodeError;
use carat_node::home::{Place, read_genesis};
use carat_types::genesis::GenesisFile;
use carat_types::{LeafRule, leaf};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Trusted {
    /// The network's genesis file, from where you trust it; not the copy beside a backup
    #[arg(long, required_unless_present = "home")]
    genesis: Option<PathBuf>,
    /// Home folder whose genesis file is taken
    #[arg(long, env = "CARAT_HOME", conflicts_with = "genesis")]
    home: Option<PathBuf>,
    /// File with the secret that salts the leaves of a members' network; by default the one in the home's key folder
    #[arg(long)]
    salt: Option<PathBuf>,
}

impl Trusted {
    /// The genesis file.
    pub(crate) fn genesis(&self) -> Result<GenesisFile, NodeError> {
        match (&self.genesis, &self.home) {
            (Some(path), _) => read_genesis(path),
            (None, home) => Ok(Place::read(home.as_deref().unwrap_or("".as_ref()))?.genesis().clone()),
        }
    }

    /// How the leaves of its state are hashed.
    pub(crate) fn leaves(&self, genesis: &GenesisFile) -> Result<LeafRule, NodeError> {
        match (&self.salt, &self.genesis, &self.home) {
            (Some(path), ..) => Ok(carat_node::salt::read(path, genesis)?),
            (None, None, Some(home)) => Place::read(home)?.leaves(),
            _ => Ok(carat_node::salt::read(leaf::SALT_FILE.as_ref(), genesis)?),
        }
    }
}
