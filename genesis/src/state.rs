//! The state with which the ledger begins.

use carat_ledger::genesis::{GenesisStateError, genesis_entries};
use carat_ledger::root::StateTree;
use carat_types::Digest;
use carat_types::genesis::Genesis;

/// Root of the state tree of ledger 1, from the constants of the genesis file alone.
///
/// **Errors**: constants under which the ledger could not live.
pub fn state_root(genesis: &Genesis) -> Result<Digest, GenesisStateError> {
    let entries = genesis_entries(&genesis.ledger, &genesis.consensus.block)?;
    Ok(StateTree::build(entries).root())
}
