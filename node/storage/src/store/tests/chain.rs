//! A chain of real blocks to store: the root account of a test network changes its data, block by block.

use std::sync::Arc;

use carat_ledger::{
    BlockInput, BlockOutcome, Ed25519, MemoryState, SortKey, StateTree, apply, genesis_entries,
};
use carat_types::batch::{Batch, BlockLimits, Body, Payload, Value};
use carat_types::block::Block;
use carat_types::builder::TransactionBuilder;
use carat_types::genesis::LedgerConstants;
use carat_types::header::{Header, prefix_digest};
use carat_types::transaction::{SignedTransaction, network_id, test_root_key};
use carat_types::{Digest, LeafRule, PublicKey, SecretKey, ValidatorId};
use stellar_xdr::{DataValue, ManageDataOp, Operation, OperationBody, String64};

use crate::Identity;
use crate::store::Genesis;

const PASSPHRASE: &str = "storage tests";

pub(in crate::store) fn identity() -> Identity {
    Identity { chain_id: Digest([3; 32]), key: PublicKey([4; 32]), validator: ValidatorId(1) }
}

/// What a validator holds in memory while blocks are executed; the same every time.
pub(in crate::store) struct Chain {
    root: SecretKey,
    state: MemoryState,
    tree: StateTree,
    /// The root account's sequence number.
    sequence: i64,
    pub(super) newest: Header,
}

impl Chain {
    pub(in crate::store) fn new() -> Self {
        let genesis = Self::genesis();
        let tree = StateTree::build(&LeafRule::Open, genesis.entries.iter().map(|(key, value)| (key, value)));
        let state = MemoryState::new(genesis.entries);
        Chain { root: test_root_key(PASSPHRASE), state, tree, sequence: 0, newest: genesis.header }
    }

    pub(in crate::store) fn genesis() -> Genesis {
        let constants = LedgerConstants {
            total_coins: 1_000_000_000_000,
            base_fee: 100,
            base_reserve: 0,
            protocol_version: 23,
            root_account: test_root_key(PASSPHRASE).public(),
            admission_restricted: false,
            members: Vec::new(),
            assets: carat_types::genesis::AssetRule::Any,
        };
        let entries = genesis_entries(&constants, &BlockLimits::default()).expect("sound constants");
        let state_root =
            StateTree::build(&LeafRule::Open, entries.iter().map(|(key, value)| (key, value))).root();
        let header = Header::genesis(identity().chain_id, 1_000_000, state_root);
        Genesis { header, entries, leaves: LeafRule::Open }
    }

    /// Executes the next block: two transactions that are applied and one that is dropped.
    pub(in crate::store) fn next(&mut self) -> (Block, BlockOutcome) {
        let transactions = [self.sequence, self.sequence + 1, 1 << 40].map(|used| self.transaction(used));
        self.sequence += 2;
        self.execute(&transactions)
    }

    /// Executes a block without transactions.
    pub(super) fn next_empty(&mut self) -> (Block, BlockOutcome) {
        self.execute(&[])
    }

    fn transaction(&self, sequence: i64) -> Arc<SignedTransaction> {
        // Long enough that blocks fill a disk, and different in every transaction.
        let seed = sequence.to_be_bytes().repeat(8);
        let data = ManageDataOp {
            data_name: String64(format!("entry {}", sequence % 50).try_into().expect("short")),
            data_value: Some(DataValue(seed.try_into().expect("64 bytes"))),
        };
        let operation = Operation { source_account: None, body: OperationBody::ManageData(data) };
        let network = network_id(PASSPHRASE);
        let built = TransactionBuilder::new(self.root.public(), sequence).expect("a small number");
        let envelope = built.operation(operation).sign(&network, &[&self.root]).expect("signs");
        Arc::new(SignedTransaction::from_envelope(&network, envelope).expect("decodes"))
    }

    fn execute(&mut self, envelopes: &[Arc<SignedTransaction>]) -> (Block, BlockOutcome) {
        let below = &self.newest;
        let (slot, time_ms) = (below.slot.next(), below.time_ms + 1_000);
        let bodies =
            envelopes.iter().map(|envelope| Arc::new(Body { envelopes: vec![envelope.envelope().clone()] }));
        let bodies: Vec<Arc<Body>> = bodies.collect();
        let batch = Batch { time_ms, bodies: bodies.iter().map(|body| body.digest()).collect() };
        let payload = Arc::new(Payload { value: Value::Batch(batch), bodies });
        let input = BlockInput {
            sort_key: SortKey::Prefix(below.prefix),
            ledger_seq: below.ledger + 1,
            chain_id: below.chain_id,
            epoch: below.epoch,
            slot,
            time_ms,
            envelopes,
            signatures: &Ed25519,
            record_changes: false,
        };
        let outcome = apply(&self.state, &input).expect("the state is sound");
        self.state.apply(&outcome.delta);
        let header = Header {
            slot,
            ledger: below.ledger + 1,
            parent: below.hash(),
            batch: payload.value.digest(),
            prefix: prefix_digest(&below.prefix, slot, &payload.value.digest()),
            time_ms,
            state_root: self.tree.update(&outcome.delta),
            outcomes_root: outcome.outcomes_root,
            drops_root: outcome.drops_root,
            ..below.clone()
        };
        self.newest = header.clone();
        (Block { header, payload }, outcome)
    }
}
