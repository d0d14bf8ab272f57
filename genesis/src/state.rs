//! The state with which the ledger begins.

use carat_ledger::genesis::{GenesisStateError, state_entries};
use carat_ledger::root::StateTree;
use carat_types::genesis::Genesis;
use carat_types::{Digest, LeafRule};

/// Root of the state tree of ledger 1, from the constants of the genesis file and, on a members' network, its secret.
///
/// **Errors**: constants under which the ledger could not live.
pub fn state_root(genesis: &Genesis, leaves: &LeafRule) -> Result<Digest, GenesisStateError> {
    let entries = state_entries(genesis)?;
    Ok(StateTree::build(leaves, entries).root())
}
