//! A chain of real blocks: 1,000 accounts that pay each other an issued asset, made by real transactions.

use std::sync::Arc;

use carat_ledger::{
    BlockInput, BlockOutcome, MemoryState, SignatureOracle, SortKey, StateTree, apply, genesis_entries,
};
use carat_storage::Identity;
use carat_storage::store::Genesis;
use carat_types::batch::{Batch, BlockLimits, Body, Payload, Value};
use carat_types::block::Block;
use carat_types::builder::{TransactionBuilder, asset, operation};
use carat_types::genesis::LedgerConstants;
use carat_types::header::{Header, prefix_digest};
use carat_types::signature::Claim;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, LeafRule, PublicKey, SecretKey, ValidatorId};
use stellar_xdr::{AccountId, Asset, Operation};

/// Payments in a block.
pub(crate) const PAYMENTS: usize = 500;
const ACCOUNTS: u32 = 1_000;
const OPERATIONS: usize = 100;
pub(crate) const NETWORK_ID: Digest = Digest([7; 32]);

/// Finds every signature valid: signatures are measured by themselves.
pub(crate) struct Anything;

impl SignatureOracle for Anything {
    fn is_valid(&self, _: Claim<'_>) -> bool {
        true
    }
}

pub(crate) fn identity() -> Identity {
    Identity { chain_id: Digest([3; 32]), key: PublicKey([4; 32]), validator: ValidatorId(1) }
}

struct Holder {
    key: SecretKey,
    sequence: i64,
}

/// What a validator holds in memory while blocks are executed; the same every time.
pub(crate) struct Chain {
    holders: Vec<Holder>,
    eur: Asset,
    pub(crate) state: MemoryState,
    pub(crate) tree: StateTree,
    newest: Header,
    /// The blocks that made the accounts.
    pub(crate) made: Vec<(Block, BlockOutcome)>,
}

impl Chain {
    /// Accounts that hold and trust the asset.
    pub(crate) fn new() -> Self {
        let genesis = genesis();
        let tree = StateTree::build(&LeafRule::Open, genesis.entries.iter().map(|(key, value)| (key, value)));
        let holder = |number: u32| {
            let mut seed = [1; 32];
            seed[..4].copy_from_slice(&number.to_be_bytes());
            Holder { key: SecretKey::from_seed(&seed), sequence: 0 }
        };
        let mut root = Holder { key: root(), sequence: 0 };
        let eur = asset::issued("EUR", account(&root)).expect("valid");
        let state = MemoryState::new(genesis.entries);
        let holders = (0..ACCOUNTS).map(holder).collect();
        let mut chain = Chain { holders, eur, state, tree, newest: genesis.header, made: Vec::new() };

        let accounts: Vec<AccountId> = chain.holders.iter().map(account).collect();
        let create = |account: &AccountId| operation::create_account(account.clone(), 1_000_000_000);
        chain.by(&mut root, &accounts, create);
        let birth = i64::from(chain.newest.ledger) << 32;
        chain.holders.iter_mut().for_each(|holder| holder.sequence = birth);
        let eur = chain.eur.clone();
        for part in 0..2 {
            let trust = |_: usize| operation::change_trust(eur.clone(), i64::MAX);
            let half = part * PAYMENTS..(part + 1) * PAYMENTS;
            let envelopes: Vec<_> = half.map(|who| chain.holders[who].sign(vec![trust(who)])).collect();
            chain.make(&envelopes);
        }
        chain.by(&mut root, &accounts, |account| operation::payment(account.clone(), eur.clone(), 1_000_000));
        chain
    }

    fn by(&mut self, who: &mut Holder, accounts: &[AccountId], operation: impl Fn(&AccountId) -> Operation) {
        let operations = accounts.chunks(OPERATIONS).map(|some| some.iter().map(&operation).collect());
        let envelopes: Vec<_> = operations.map(|operations| who.sign(operations)).collect();
        self.make(&envelopes);
    }

    fn make(&mut self, envelopes: &[Arc<SignedTransaction>]) {
        let made = self.execute(envelopes);
        self.made.push(made);
    }

    /// The next payments, each by another account.
    pub(crate) fn payments(&mut self) -> Vec<Arc<SignedTransaction>> {
        let eur = self.eur.clone();
        let payee = |who: usize| account(&self.holders[self.holders.len() - 1 - who]);
        let payees: Vec<AccountId> = (0..PAYMENTS).map(payee).collect();
        let pays = self.holders.iter_mut().zip(payees);
        pays.map(|(payer, payee)| payer.sign(vec![operation::payment(payee, eur.clone(), 1)])).collect()
    }

    /// The envelopes as the ledger takes them.
    pub(crate) fn input<'a>(&self, envelopes: &'a [Arc<SignedTransaction>]) -> BlockInput<'a> {
        BlockInput {
            sort_key: SortKey::Prefix(self.newest.prefix),
            ledger_seq: self.newest.ledger + 1,
            chain_id: self.newest.chain_id,
            epoch: self.newest.epoch,
            slot: self.newest.slot.next(),
            time_ms: self.newest.time_ms + 1_000,
            envelopes,
            signatures: &Anything,
            record_changes: false,
        }
    }

    /// Executes the next block.
    pub(crate) fn execute(&mut self, envelopes: &[Arc<SignedTransaction>]) -> (Block, BlockOutcome) {
        let outcome = apply(&self.state, &self.input(envelopes)).expect("the state is sound");
        assert!(outcome.dropped.is_empty() && outcome.applied.len() == envelopes.len());
        self.state.apply(&outcome.delta);
        let below = &self.newest;
        let (slot, time_ms) = (below.slot.next(), below.time_ms + 1_000);
        let payload = payload(time_ms, envelopes);
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

/// The envelopes as one body.
pub(crate) fn payload(time_ms: u64, envelopes: &[Arc<SignedTransaction>]) -> Arc<Payload> {
    let envelopes = envelopes.iter().map(|envelope| envelope.envelope().clone()).collect();
    let body = Arc::new(Body { envelopes });
    let batch = Batch { time_ms, bodies: vec![body.digest()] };
    Arc::new(Payload { value: Value::Batch(batch), bodies: vec![body] })
}

impl Holder {
    fn sign(&mut self, operations: Vec<Operation>) -> Arc<SignedTransaction> {
        let builder = TransactionBuilder::new(self.key.public(), self.sequence).expect("a small number");
        self.sequence += 1;
        let builder = operations.into_iter().fold(builder, TransactionBuilder::operation);
        let envelope = builder.sign(&NETWORK_ID, &[&self.key]).expect("signs");
        Arc::new(SignedTransaction::from_envelope(&NETWORK_ID, envelope).expect("decodes"))
    }
}

fn account(holder: &Holder) -> AccountId {
    AccountId::from(holder.key.public())
}

fn root() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

/// What the chain begins with.
pub(crate) fn genesis() -> Genesis {
    let constants = LedgerConstants {
        total_coins: 1_000_000_000_000_000_000,
        base_fee: 100,
        base_reserve: 5_000_000,
        protocol_version: 27,
        root_account: root().public(),
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
