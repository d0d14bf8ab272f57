//! Finality receipts of executed blocks, made when they are asked for.
//!
//! Who submits wants a receipt of each transaction, and soon: what all receipts of a block share is read, hashed and
//! checked once, and kept for the newest blocks. **Source**: consensus specification, section 13.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use carat_api::port::{CheckedReceipt, NodeError};
use carat_storage::store::{Execution, Store, StoreError};
use carat_types::certificate::SealCertificate;
use carat_types::codec::Encode;
use carat_types::epoch::{Epochs, Handover};
use carat_types::genesis::GenesisFile;
use carat_types::header::Header;
use carat_types::merkle::{Path, Tree};
use carat_types::quorum::ImpossibleSize;
use carat_types::receipt::{Receipt, ResultBytes, ResultProof, Verifier};
use carat_types::submission::SettledBlock;
use carat_types::{Digest, Slot};

/// Blocks that are kept ready. Their clients ask within milliseconds of the seals.
const RECENT_MAX: usize = 8;

/// Makes receipts and checks them.
pub(crate) struct Receipts {
    store: Arc<Store>,
    /// What leads to the set that sealed a block.
    epochs: Arc<Epochs>,
    recent: Mutex<VecDeque<Arc<SealedBlock>>>,
    verifier: Mutex<Verifier>,
}

/// What the receipts of one block share.
pub(crate) struct SealedBlock {
    /// The block's header.
    pub(crate) header: Header,
    /// The seals on it.
    pub(crate) seals: SealCertificate,
    execution: Execution,
    tree: Tree,
}

/// What the receipt of one transaction is made of.
pub(crate) struct OutcomeProof {
    /// What it shares with the others of its block.
    pub(crate) block: Arc<SealedBlock>,
    /// Hash of its envelope.
    pub(crate) envelope: Digest,
    /// Its result.
    pub(crate) result: ResultBytes,
    /// From its outcome to the header's outcomes root.
    pub(crate) path: Path,
}

impl Receipts {
    /// Of the blocks in `store`.
    ///
    /// **Errors**: the genesis file lists an impossible set of validators.
    pub(crate) fn new(
        store: Arc<Store>,
        genesis: &GenesisFile,
        epochs: Arc<Epochs>,
    ) -> Result<Self, ImpossibleSize> {
        let verifier = Mutex::new(Verifier::new(genesis)?);
        Ok(Receipts { store, epochs, recent: Mutex::default(), verifier })
    }

    /// The receipt of an applied transaction; none while its block is not sealed.
    ///
    /// **Errors**: the store's; a receipt that does not hold.
    pub(crate) fn of(&self, transaction: &Digest) -> Result<Option<CheckedReceipt>, NodeError> {
        let Some(OutcomeProof { block, envelope, result, path }) = self.proof(transaction)? else {
            return Ok(None);
        };
        let receipt = Receipt::of_result(ResultProof {
            transaction: *transaction,
            envelope,
            result,
            path,
            header: block.header.clone(),
            seals: block.seals.clone(),
        })
        .after(self.handovers(&block.header));
        let mut verifier = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = verifier.verify(&receipt.to_bytes()).map_err(|error| NodeError::Other(error.into()))?;
        Ok(Some(CheckedReceipt { receipt, verdict }))
    }

    /// What the receipts of one block share, for the native entrance.
    pub(crate) fn shared(&self, block: &SealedBlock) -> SettledBlock {
        let (header, seals) = (block.header.clone(), block.seals.clone());
        let handovers = self.handovers(&header);
        SettledBlock { handovers, header, seals, outcomes: Vec::new() }
    }

    /// What leads from the genesis file to the set that seals a block.
    pub(crate) fn handovers(&self, header: &Header) -> Vec<Handover> {
        self.epochs.handovers_before(header.epoch).to_vec()
    }

    /// What that receipt is made of, unchecked.
    ///
    /// **Errors**: the store's.
    pub(crate) fn proof(&self, transaction: &Digest) -> Result<Option<OutcomeProof>, NodeError> {
        let Some(place) = self.store.transaction(transaction).map_err(failed)? else { return Ok(None) };
        let Some(block) = self.block(place.slot).map_err(failed)? else { return Ok(None) };
        let index = usize::try_from(place.outcome).unwrap_or(usize::MAX);
        let (Some(path), Some(outcome)) = (block.tree.path(index), block.execution.outcomes.get(index))
        else {
            return Ok(None);
        };
        let (envelope, result) = (outcome.envelope_hash, outcome.result.clone());
        Ok(Some(OutcomeProof { block, envelope, result, path }))
    }

    /// A block with its seals; none while it has none.
    fn block(&self, slot: Slot) -> Result<Option<Arc<SealedBlock>>, StoreError> {
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = recent().iter().rev().find(|block| block.header.slot == slot) {
            return Ok(Some(Arc::clone(block)));
        }
        let Some(seals) = self.store.certificate(slot)? else { return Ok(None) };
        let (Some(header), Some(execution)) = (self.store.header(slot)?, self.store.execution(slot)?) else {
            return Ok(None);
        };
        let tree = Tree::of(execution.outcomes.iter().map(|outcome| outcome.leaf()).collect());
        let block = Arc::new(SealedBlock { header, seals, execution, tree });
        let mut recent = recent();
        if recent.len() >= RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&block));
        Ok(Some(block))
    }
}

fn failed(error: StoreError) -> NodeError {
    NodeError::Other(error.into())
}
