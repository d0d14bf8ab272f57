//! Replay: every block from the genesis file on is executed again, and everything that its header says is compared with what
//! comes out. Needs no network, no clock and no other validator, and believes nothing but the genesis file.
//!
//! What the blocks are: the order of the value that was decided (`batch`, `prefix`). What they say: the outcomes, the drops and
//! the state. A certificate of f+1 seals proves that validators said the same. **Source**: consensus specification, section 11.

use std::sync::Arc;

use carat_ledger::{ApplyError, BlockInput, Ed25519, MemoryState, SortKey, StateTree};
use carat_storage::store::{Store, StoreError};
use carat_types::block::Block;
use carat_types::certificate::SealCertificate;
use carat_types::genesis::GenesisFile;
use carat_types::governance::Change;
use carat_types::header::Header;
use carat_types::quorum::ImpossibleSize;
use carat_types::transaction::SignedTransaction;
use carat_types::validators::{self, ValidatorSet};
use carat_types::{Digest, LeafRule, Slot};
use thiserror::Error;

/// Where the blocks come from.
pub trait Blocks {
    /// The newest block's slot.
    fn last(&self) -> Slot;
    /// A block as it was decided.
    ///
    /// **Errors**: the store's.
    fn block(&self, slot: Slot) -> Result<Option<Block>, StoreError>;
    /// Its seals, if they are kept.
    ///
    /// **Errors**: the store's.
    fn certificate(&self, slot: Slot) -> Result<Option<SealCertificate>, StoreError>;
}

impl Blocks for Store {
    fn last(&self) -> Slot {
        self.tip().slot
    }

    fn block(&self, slot: Slot) -> Result<Option<Block>, StoreError> {
        Store::block(self, slot)
    }

    fn certificate(&self, slot: Slot) -> Result<Option<SealCertificate>, StoreError> {
        Store::certificate(self, slot)
    }
}

/// Why the blocks do not lead from the genesis file to their end.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The blocks cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The genesis file lists an impossible number of validators.
    #[error(transparent)]
    Size(#[from] ImpossibleSize),
    /// The genesis file's state cannot be made.
    #[error("the genesis file's state cannot be made: {0}")]
    Genesis(String),
    /// There is no such block.
    #[error(
        "block {0} is not stored here, expected every block from 1 on (hint: a validator that fetched a state, or that \
         prunes, lacks the older ones; replay where all are kept)"
    )]
    Missing(Slot),
    /// A block says something else than comes out.
    #[error(
        "block {slot}: its header says {what} {seen}, expected {expected} by execution (hint: keep this data folder, and \
         compare the block with other validators': carat audit roots)"
    )]
    Differs {
        /// The block.
        slot: Slot,
        /// Which part of the header.
        what: &'static str,
        /// What the header says.
        seen: String,
        /// What comes out.
        expected: String,
    },
    /// The payload is not what was decided.
    #[error(
        "block {slot}: {reason} (hint: keep this data folder; the block was changed after it was decided)"
    )]
    Payload {
        /// The block.
        slot: Slot,
        /// What does not fit.
        reason: String,
    },
    /// The seals prove nothing.
    #[error("block {slot}: its seals do not hold: {reason}")]
    Seals {
        /// The block.
        slot: Slot,
        /// Why.
        reason: String,
    },
    /// The ledger failed.
    #[error("block {slot}: {error}")]
    Apply {
        /// The block.
        slot: Slot,
        /// Why.
        error: ApplyError,
    },
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Blocks that were executed.
    pub blocks: u64,
    /// Of these, how many f+1 validators sealed. The newest may not be yet.
    pub sealed: u64,
    /// Transactions that were applied.
    pub transactions: u64,
    /// Hash of the last header.
    pub header: Digest,
    /// Root of the state after it.
    pub state_root: Digest,
}

/// Executes all `blocks` from the genesis file on; `progress` hears of each.
///
/// **Errors**: see [`ReplayError`]; the first block that does not fit ends it.
pub fn replay(
    genesis: &GenesisFile,
    leaves: &LeafRule,
    blocks: &impl Blocks,
    mut progress: impl FnMut(Slot),
) -> Result<Replayed, ReplayError> {
    let mut replica = Replay::begin(genesis, leaves)?;
    for slot in (1..=blocks.last().0).map(Slot) {
        let block = blocks.block(slot)?.ok_or(ReplayError::Missing(slot))?;
        replica.take(&block, blocks.certificate(slot)?.as_ref())?;
        progress(slot);
    }
    Ok(replica.done())
}

/// The state of a replay after some block.
pub struct Replay {
    network_id: Digest,
    set: ValidatorSet,
    tip: Header,
    /// Transactions that the last block applied.
    tip_transactions: u32,
    state: MemoryState,
    tree: StateTree,
    done: Replayed,
}

impl Replay {
    /// The state of the genesis file.
    ///
    /// **Errors**: one whose state cannot be made, or is not the one that it names.
    pub fn begin(genesis: &GenesisFile, leaves: &LeafRule) -> Result<Self, ReplayError> {
        let constants = &genesis.genesis;
        let entries = carat_ledger::state_entries(constants)
            .map_err(|error| ReplayError::Genesis(error.to_string()))?;
        let tree = StateTree::build(leaves, entries.iter().map(|(key, value)| (key, value)));
        let tip = genesis.header();
        same(Slot(0), "state root", tip.state_root, tree.root())?;
        let done =
            Replayed { blocks: 0, sealed: 0, transactions: 0, header: tip.hash(), state_root: tree.root() };
        let state = MemoryState::new(entries);
        let (network_id, set) = (genesis.network_id(), genesis.validators()?);
        Ok(Replay { network_id, set, tip, tip_transactions: 0, state, tree, done })
    }

    /// Executes the next block and checks its seals, if they are known.
    ///
    /// **Errors**: a block that does not fit.
    pub fn take(&mut self, block: &Block, seals: Option<&SealCertificate>) -> Result<(), ReplayError> {
        self.execute(block)?;
        seals.map_or(Ok(()), |seals| self.check_seals(seals))
    }

    /// What it has come to.
    pub fn done(&self) -> Replayed {
        Replayed { header: self.tip.hash(), state_root: self.tip.state_root, ..self.done }
    }

    fn execute(&mut self, block: &Block) -> Result<(), ReplayError> {
        let (header, slot) = (&block.header, block.header.slot);
        let expected = self.place(block)?;
        same(slot, "chain", header.chain_id, expected.chain_id)?;
        same(slot, "parent", header.parent, expected.parent)?;
        same(slot, "value", header.batch, expected.batch)?;
        same(slot, "prefix", header.prefix, expected.prefix)?;
        same(slot, "time", header.time_ms, expected.time_ms)?;
        same(slot, "ledger", header.ledger, expected.ledger)?;
        same(slot, "first transaction", header.first_transaction, expected.first_transaction)?;
        if expected.epoch != self.set.domain().epoch {
            self.begin_epoch(&expected)?;
        }
        let envelopes = self.decode(block)?;
        let input = BlockInput {
            sort_key: SortKey::Prefix(self.tip.prefix),
            ledger_seq: expected.ledger,
            chain_id: expected.chain_id,
            epoch: expected.epoch,
            slot,
            time_ms: expected.time_ms,
            envelopes: &envelopes,
            signatures: &Ed25519,
            record_changes: false,
        };
        let outcome =
            carat_ledger::apply(&self.state, &input).map_err(|error| ReplayError::Apply { slot, error })?;
        same(slot, "outcomes root", header.outcomes_root, outcome.outcomes_root)?;
        same(slot, "drops root", header.drops_root, outcome.drops_root)?;
        same(slot, "state root", header.state_root, self.tree.update(&outcome.delta))?;
        let whole = Header {
            outcomes_root: outcome.outcomes_root,
            drops_root: outcome.drops_root,
            epoch_end: outcome.epoch_end.clone(),
            state_root: self.tree.root(),
            ..expected
        };
        // What is compared above names the difference; this leaves out nothing.
        same(slot, "hash", header.hash(), whole.hash())?;
        self.state.apply(&outcome.delta);
        self.tip_transactions = u32::try_from(outcome.applied.len()).unwrap_or(u32::MAX);
        self.tip = whole;
        self.done.blocks += 1;
        self.done.transactions += u64::from(self.tip_transactions);
        Ok(())
    }

    /// The next block is the first of an epoch: its seals are by the set that the votes have put into the state.
    fn begin_epoch(&mut self, first: &Header) -> Result<(), ReplayError> {
        let slot = first.slot;
        let refused = |reason: &str| ReplayError::Seals { slot, reason: reason.to_owned() };
        let governance = carat_ledger::governance::read(&self.state)
            .map_err(|error| ReplayError::Apply { slot, error: error.into() })?;
        match governance.and_then(|it| it.scheduled).map(|scheduled| scheduled.change) {
            Some(Change::Set(set)) if set.epoch == first.epoch => {
                self.set = set.validators(first.chain_id)?;
                Ok(())
            }
            _ => Err(refused("the state names no set for its epoch")),
        }
    }

    /// The header that follows from the tip and from what was decided, but for what execution gives.
    fn place(&self, block: &Block) -> Result<Header, ReplayError> {
        let slot = self.tip.slot.next();
        same(slot, "slot", block.header.slot, slot)?;
        if !block.payload.is_consistent() {
            let reason = "its bodies are not those that its value names".to_owned();
            return Err(ReplayError::Payload { slot, reason });
        }
        Ok(self.tip.above(self.tip_transactions, &block.payload.value))
    }

    fn decode(&self, block: &Block) -> Result<Vec<Arc<SignedTransaction>>, ReplayError> {
        let decode = |envelope: &carat_types::batch::Envelope| {
            SignedTransaction::decode(&self.network_id, &envelope.0)
                .map(Arc::new)
                .map_err(|error| ReplayError::Payload { slot: block.header.slot, reason: error.to_string() })
        };
        block.payload.envelopes().map(decode).collect()
    }

    fn check_seals(&mut self, certificate: &SealCertificate) -> Result<(), ReplayError> {
        let slot = self.tip.slot;
        let refused = |reason: String| ReplayError::Seals { slot, reason };
        let (seen, expected) = (certificate.body.header, self.tip.hash());
        if seen != expected {
            return Err(refused(format!("they are of header {seen}, expected {expected}")));
        }
        let needed = self.set.quorum().one_correct();
        certificate
            .verify(&self.set, &validators::Ed25519, needed)
            .map_err(|error| refused(error.to_string()))?;
        self.done.sealed += 1;
        Ok(())
    }
}

fn same<T>(slot: Slot, what: &'static str, seen: T, expected: T) -> Result<(), ReplayError>
where
    T: PartialEq + std::fmt::Display,
{
    if seen == expected {
        return Ok(());
    }
    Err(ReplayError::Differs { slot, what, seen: seen.to_string(), expected: expected.to_string() })
}
