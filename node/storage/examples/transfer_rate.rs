//! Measures how fast a validator without a state fetches one, beside how fast the ledger was made.
//!
//! `cargo run --release -p carat-storage --example transfer_rate [ACCOUNTS]`, by default 100,000 accounts. One store executes
//! the blocks that create them, a thousand in each, without checking signatures, which flatters it. Another one takes the state from it
//! as it would from a peer: put in order, cut, encoded, decoded, proved, written, put in place, its tree built. Both on
//! disk, one thread each way, no network in between. Prints accounts a second, by the clock: made, sent, taken, and fetched,
//! which is sending and taking one after the other; validators do both at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carat_ledger::{
    BlockInput, BlockOutcome, SignatureOracle, SnapshotPlan, SortKey, StateTree, apply, genesis_entries,
};
use carat_storage::Identity;
use carat_storage::store::{Genesis, Store, StoreError};
use carat_types::batch::{Batch, BlockLimits, Body, Payload, Value};
use carat_types::block::Block;
use carat_types::builder::{TransactionBuilder, operation};
use carat_types::certificate::Certificate;
use carat_types::codec::{Decode, Encode};
use carat_types::genesis::{AssetRule, LedgerConstants};
use carat_types::hash::sha256;
use carat_types::header::{Header, prefix_digest};
use carat_types::message::{Seal, StableCheckpoint};
use carat_types::signature::Claim;
use carat_types::snapshot::{CHUNK_BYTES, Progress, SnapshotOffer, StateChunk};
use carat_types::transaction::{SignedTransaction, network_id, test_root_key};
use carat_types::{Digest, LeafRule, PublicKey, SecretKey, ValidatorId};
use stellar_xdr::{TransactionResult, TransactionResultResult};

const PASSPHRASE: &str = "rate of a transfer";
/// Accounts that one transaction creates, and transactions of a block.
const OPERATIONS: u64 = 100;
const TRANSACTIONS: u64 = 10;

/// Finds every signature valid.
struct Anything;

impl SignatureOracle for Anything {
    fn is_valid(&self, _: Claim<'_>) -> bool {
        true
    }
}

type Failure = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "a program that reports figures")]
fn main() -> Result<(), Failure> {
    let accounts: u64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let blocks = accounts / (OPERATIONS * TRANSACTIONS);
    let folder = tempfile::tempdir()?;
    let server = Store::open(&folder.path().join("server"), &identity(), None, genesis)?;
    let (header, made) = make(&server, blocks)?;
    let joiner = Store::open(&folder.path().join("joiner"), &identity(), None, genesis)?;
    let Fetched { chunks, sent, taken } = fetch(&server, &joiner, &header)?;
    let fetched = sent + taken;
    let rate = |time: Duration| accounts as f64 / time.as_secs_f64();
    println!("{accounts} accounts in {blocks} blocks, {chunks} chunks");
    println!("accounts a second, made {:.0}, sent {:.0}, taken {:.0}", rate(made), rate(sent), rate(taken));
    println!("fetched {:.0}", rate(fetched));
    println!("times as fast: {:.1}", rate(fetched) / rate(made));
    Ok(())
}

fn identity() -> Identity {
    Identity { chain_id: Digest([3; 32]), key: PublicKey([4; 32]), validator: ValidatorId(1) }
}

fn genesis() -> Genesis {
    let constants = LedgerConstants {
        total_coins: i64::MAX,
        base_fee: 100,
        base_reserve: 5_000_000,
        protocol_version: 23,
        root_account: test_root_key(PASSPHRASE).public(),
        admission_restricted: false,
        members: Vec::new(),
        assets: AssetRule::Any,
    };
    let entries = genesis_entries(&constants, &BlockLimits::default()).expect("sound constants");
    let state_root =
        StateTree::build(&LeafRule::Open, entries.iter().map(|(key, value)| (key, value))).root();
    Genesis {
        header: Header::genesis(identity().chain_id, 1_000_000, state_root),
        entries,
        leaves: LeafRule::Open,
    }
}

/// Executes blocks that create accounts. **Returns** the last header, and the time without that of making transactions.
fn make(store: &Store, blocks: u64) -> Result<(Header, Duration), Failure> {
    let mut tree = store.state_tree(&LeafRule::Open)?;
    let mut parent = genesis().header;
    let mut time = Duration::ZERO;
    for number in 0..blocks {
        let envelopes = transactions(number)?;
        let bodies = envelopes.iter().map(|it| Arc::new(Body { envelopes: vec![it.envelope().clone()] }));
        let bodies: Vec<Arc<Body>> = bodies.collect();
        let time_ms = parent.time_ms + 1_000;
        let batch = Batch { time_ms, bodies: bodies.iter().map(|body| body.digest()).collect() };
        let payload = Arc::new(Payload { value: Value::Batch(batch), bodies });
        let started = Instant::now();
        let input = BlockInput {
            sort_key: SortKey::Prefix(parent.prefix),
            ledger_seq: parent.ledger + 1,
            chain_id: parent.chain_id,
            epoch: parent.epoch,
            slot: parent.slot.next(),
            time_ms,
            envelopes: &envelopes,
            signatures: &Anything,
            record_changes: false,
        };
        let outcome = apply(store, &input)?;
        succeeded(&outcome)?;
        let slot = parent.slot.next();
        let header = Header {
            slot,
            ledger: parent.ledger + 1,
            parent: parent.hash(),
            batch: payload.value.digest(),
            prefix: prefix_digest(&parent.prefix, slot, &payload.value.digest()),
            time_ms,
            state_root: tree.update(&outcome.delta),
            outcomes_root: outcome.outcomes_root,
            drops_root: outcome.drops_root,
            ..parent
        };
        store.commit_block(&Block { header: header.clone(), payload }, &outcome)?;
        time += started.elapsed();
        parent = header;
    }
    store.sync()?;
    Ok((parent, time))
}

/// Accounts that were not created would be made very fast.
fn succeeded(outcome: &BlockOutcome) -> Result<(), Failure> {
    let failed = outcome.applied.iter().find(|it| !is_success(&it.result));
    match (failed, outcome.dropped.first()) {
        (None, None) => Ok(()),
        (failed, dropped) => {
            let (result, reason) = (failed.map(|it| &it.result), dropped.map(|it| it.reason));
            Err(format!("not all was applied: {result:?}, {reason:?}").into())
        }
    }
}

fn is_success(result: &TransactionResult) -> bool {
    matches!(result.result, TransactionResultResult::TxSuccess(_))
}

fn transactions(block: u64) -> Result<Vec<Arc<SignedTransaction>>, Failure> {
    let (network, root) = (network_id(PASSPHRASE), test_root_key(PASSPHRASE));
    let mut made = Vec::new();
    for number in block * TRANSACTIONS..(block + 1) * TRANSACTIONS {
        let sequence = i64::try_from(number)?;
        let mut builder = TransactionBuilder::new(root.public(), sequence)?;
        for account in number * OPERATIONS..(number + 1) * OPERATIONS {
            let key = SecretKey::from_seed(&sha256(&[&account.to_be_bytes()]).0).public();
            builder = builder.operation(operation::create_account(key.into(), 100_000_000));
        }
        let envelope = builder.sign(&network, &[&root])?;
        made.push(Arc::new(SignedTransaction::from_envelope(&network, envelope)?));
    }
    Ok(made)
}

/// A state was taken over.
struct Fetched {
    chunks: usize,
    /// The time of the one who has it.
    sent: Duration,
    /// And of the one who wants it.
    taken: Duration,
}

fn fetch(server: &Store, joiner: &Store, header: &Header) -> Result<Fetched, Failure> {
    let (started, mut taken) = (Instant::now(), Duration::ZERO);
    let snapshot = server.snapshot()?;
    let plan = SnapshotPlan::build(&LeafRule::Open, snapshot.entries(), CHUNK_BYTES)?;
    let offer = offer(header);
    joiner.begin_transfer(&offer)?;
    let mut next = Progress::At(Digest::ZERO);
    while let Progress::At(from) = next {
        let values = |keys: &[Box<[u8]>]| -> Result<_, StoreError> {
            snapshot.values(&keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>())
        };
        let chunk = plan.chunk(header.slot, &from, values)?.ok_or("no chunk begins there")?;
        let bytes = chunk.to_bytes();
        let arrived = Instant::now();
        let received = StateChunk::from_bytes(&bytes)?;
        if received.root(&LeafRule::Open) != Some(header.state_root) {
            return Err("a chunk does not prove itself".into());
        }
        joiner.keep_chunk(&received)?;
        next = received.end();
        taken += arrived.elapsed();
    }
    let sent = started.elapsed().saturating_sub(taken);
    let whole = Instant::now();
    joiner.install_state(&offer, &LeafRule::Open)?;
    Ok(Fetched { chunks: plan.len(), sent, taken: taken + whole.elapsed() })
}

/// Without seals: they cost nothing beside a state.
fn offer(header: &Header) -> SnapshotOffer {
    let next = Header { slot: header.slot.next(), parent: header.hash(), ..header.clone() };
    let seals = |of: &Header| Certificate::assemble(Seal { slot: of.slot, header: of.hash() }, []);
    let base = StableCheckpoint { header: header.clone(), certificate: seals(header) };
    SnapshotOffer { base, next_seals: seals(&next), next }
}
