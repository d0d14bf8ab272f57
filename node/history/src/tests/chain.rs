//! A small chain for tests: the real ledger on a state in memory, and the index behind it.

use std::sync::Arc;

use carat_ledger::{
    Applied, BlockInput, Ed25519, MemoryState, SortKey, StateKey, StateTree, StateValue, Totals, apply,
    genesis_entries,
};
use carat_types::batch::BlockLimits;
use carat_types::builder::TransactionBuilder;
use carat_types::genesis::LedgerConstants;
use carat_types::hash::{h, sha256};
use carat_types::header::{Header, ledger_of, prefix_digest};
use carat_types::transaction::{SignedTransaction, network_id, test_root_key};
use carat_types::{Digest, LeafRule, PublicKey, SecretKey};
use stellar_xdr::{LedgerEntryData, Operation, TransactionEnvelope};

use carat_history::{
    ExecutedBlock, Execution, History, HistoryStore, Indexer, MemoryStore, Order, delta_digest,
};

pub(crate) const PASSPHRASE: &str = "Carat test network ; 0123456789abcdef";
/// Time of genesis: the start of a ledger's window.
pub(crate) const GENESIS_MS: u64 = 1_800_000_000_000;
pub(crate) const COIN: i64 = 10_000_000;

pub(crate) struct Chain {
    pub(crate) state: MemoryState,
    pub(crate) header: Header,
    pub(crate) history: History,
    pub(crate) store: Arc<dyn HistoryStore>,
    pub(crate) root: SecretKey,
    pub(crate) network_id: Digest,
    indexer: Indexer,
    /// Learns by applying each block again.
    second: (Indexer, Arc<dyn HistoryStore>),
    /// Transactions applied in the last block.
    applied: u32,
}

/// Everything in a store.
fn all(store: &dyn HistoryStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    store.scan(Vec::new()..vec![u8::MAX], Order::Ascending, usize::MAX).expect("a sound store")
}

/// The key number `number` of a test.
pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

impl Chain {
    /// A chain whose genesis file lists these accounts as members.
    pub(crate) fn new(members: &[PublicKey]) -> Self {
        let root = test_root_key(PASSPHRASE);
        let constants = LedgerConstants {
            total_coins: 1_000_000_000 * COIN,
            base_fee: 100,
            base_reserve: 5_000_000,
            protocol_version: 27,
            root_account: root.public(),
            admission_restricted: false,
            members: members.to_vec(),
            assets: carat_types::genesis::AssetRule::Any,
        };
        let entries: Vec<_> =
            genesis_entries(&constants, &BlockLimits::default()).expect("genesis").into_iter().collect();
        let state = MemoryState::new(entries.clone());
        let chain_id = sha256(&[b"genesis of a test"]);
        let header = Header::genesis(chain_id, GENESIS_MS, root_of(&state));
        let store: Arc<dyn HistoryStore> = Arc::new(MemoryStore::default());
        let second: Arc<dyn HistoryStore> = Arc::new(MemoryStore::default());
        let network_id = network_id(PASSPHRASE);
        let mut chain = Chain {
            state,
            header,
            history: History::new(Arc::clone(&store), network_id),
            indexer: Indexer::open(Arc::clone(&store)).expect("an empty store"),
            second: (Indexer::open(Arc::clone(&second)).expect("an empty store"), second),
            store,
            root,
            network_id,
            applied: 0,
        };
        chain.indexer.begin(&chain.header, entries.clone()).expect("an empty index");
        chain.second.0.begin(&chain.header, entries).expect("an empty index");
        chain
    }

    /// Executes and indexes a block `after_ms` after the last one; all envelopes must pass the trim.
    pub(crate) fn block(&mut self, after_ms: u64, envelopes: &[TransactionEnvelope]) -> Vec<Applied> {
        let decode = |envelope: &TransactionEnvelope| {
            Arc::new(
                SignedTransaction::from_envelope(&self.network_id, envelope.clone()).expect("an envelope"),
            )
        };
        let envelopes: Vec<_> = envelopes.iter().map(decode).collect();
        let time_ms = self.header.time_ms + after_ms;
        let ledger = ledger_of(self.header.ledger, self.header.time_ms, time_ms);
        let input = BlockInput {
            sort_key: SortKey::Prefix(self.header.prefix),
            ledger_seq: ledger,
            chain_id: self.header.chain_id,
            epoch: self.header.epoch,
            slot: self.header.slot.next(),
            time_ms,
            envelopes: &envelopes,
            signatures: &Ed25519,
            record_changes: true,
        };
        let outcome = apply(&self.state, &input).expect("the state is sound");
        assert_eq!(outcome.dropped, [], "every envelope of a test passes the trim");
        self.state.apply(&outcome.delta);
        let slot = self.header.slot.next();
        let batch = h("batch", &[&slot.0.to_be_bytes()]);
        self.header = Header {
            slot,
            ledger,
            first_transaction: if ledger == self.header.ledger {
                self.header.first_transaction + self.applied
            } else {
                0
            },
            parent: self.header.hash(),
            batch,
            prefix: prefix_digest(&self.header.prefix, slot, &batch),
            time_ms,
            state_root: root_of(&self.state),
            outcomes_root: outcome.outcomes_root,
            drops_root: outcome.drops_root,
            ..self.header.clone()
        };
        self.applied = u32::try_from(outcome.applied.len()).expect("few");
        let transactions: Vec<_> =
            outcome.applied.iter().map(|applied| Arc::clone(&applied.transaction)).collect();
        let recorded = Execution::Recorded(&outcome);
        let delta = Some(delta_digest(&outcome.delta));
        let again = Execution::Again { transactions: &transactions, signatures: &Ed25519, delta };
        for (indexer, execution) in [(&mut self.indexer, recorded), (&mut self.second.0, again)] {
            let block = ExecutedBlock { header: &self.header, execution };
            indexer.index(&block).expect("the next block");
        }
        assert!(
            all(&*self.store) == all(&*self.second.1),
            "recorded or applied again, the bytes are the same"
        );
        outcome.applied
    }

    /// A transaction of `source` with its next sequence number, signed by its own key.
    pub(crate) fn signed(&self, source: &SecretKey, operations: Vec<Operation>) -> TransactionEnvelope {
        self.builder(source, operations).sign(&self.network_id, &[source]).expect("well-formed")
    }

    /// The same before it is signed.
    pub(crate) fn builder(&self, source: &SecretKey, operations: Vec<Operation>) -> TransactionBuilder {
        let source = source.public();
        let builder =
            TransactionBuilder::new(source, self.sequence(&source)).expect("a next sequence number");
        operations.into_iter().fold(builder, TransactionBuilder::operation)
    }

    pub(crate) fn sequence(&self, account: &PublicKey) -> i64 {
        let entry = self.state.value(&StateKey::account(account)).expect("a sound state");
        match entry {
            Some(StateValue::Ledger(entry)) => match entry.data {
                LedgerEntryData::Account(account) => account.seq_num.0,
                other => panic!("no account: {other:?}"),
            },
            other => panic!("no account {account}: {other:?}"),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        match self.state.value(&StateKey::Totals).expect("a sound state") {
            Some(StateValue::Totals(totals)) => totals,
            other => panic!("no totals: {other:?}"),
        }
    }
}

fn root_of(state: &MemoryState) -> Digest {
    StateTree::build(&LeafRule::Open, state.entries()).root()
}
