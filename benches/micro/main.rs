//! What the hot paths cost, each by itself: `cargo bench -p carat-benches --bench micro [-- FILTER]`.
//!
//! codec, hashing, signatures one by one and in batches, applying a block, its state root, receipts, the journal, writing
//! a block in the clear and encrypted, a round trip by QUIC. Blocks are of 500 payments of an issued asset over 1,000 accounts. The disk is that of
//! the temporary folder (`TMPDIR`).

mod chain;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use carat_ledger::{BlockOutcome, StateTree, apply};
use carat_network::{BindConfig, Event, Inbox, Lane, Limits, Network, Peer};
use carat_storage::journal::Journal;
use carat_storage::store::Store;
use carat_storage::vault::Passphrase;
use carat_types::block::Block;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::hash::{m, sha256};
use carat_types::merkle::Tree;
use carat_types::signature::{Claim, KnownKeys, verify, verify_batch};
use carat_types::transaction::{SignedTransaction, decode_envelope, transaction_hash};
use carat_types::{Digest, PublicKey, SecretKey, Signature, Slot, batch::Payload};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use chain::{Chain, NETWORK_ID, PAYMENTS, genesis, identity, payload};

/// The allocator of `carat-node`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Blocks that are written before a store is begun anew.
const BLOCKS: usize = 32;

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    codec(&mut criterion);
    hashing(&mut criterion);
    signatures(&mut criterion);
    ledger(&mut criterion);
    journal(&mut criterion);
    block_write(&mut criterion);
    quic(&mut criterion);
    criterion.final_summary();
}

fn codec(criterion: &mut Criterion) {
    let envelopes = Chain::new().payments();
    let payload = payload(1, &envelopes);
    let bytes = payload.to_bytes();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(PAYMENTS as u64));
    group.bench_function("payload of 500, encode", |bench| bench.iter(|| black_box(&payload).to_bytes()));
    group.bench_function("payload of 500, decode", |bench| {
        bench.iter(|| Payload::from_bytes(black_box(&bytes)).expect("valid"));
    });
    group.throughput(Throughput::Elements(1));
    let envelope = envelopes[0].bytes();
    group.bench_function("transaction, decode and hash", |bench| {
        bench.iter(|| SignedTransaction::decode(&NETWORK_ID, black_box(envelope)).expect("valid"));
    });
    group.finish();
}

fn hashing(criterion: &mut Criterion) {
    let envelopes = Chain::new().payments();
    let envelope = decode_envelope(envelopes[0].bytes()).expect("valid");
    let leaves: Vec<Digest> = envelopes.iter().map(|envelope| *envelope.hash()).collect();
    let kib = [5; 1_024];
    let mut group = criterion.benchmark_group("hashing");
    group.bench_function("inner node", |bench| {
        bench.iter(|| m("node", &[&black_box(leaves[0]).0, &leaves[1].0]));
    });
    group.bench_function("transaction hash", |bench| {
        bench.iter(|| transaction_hash(&NETWORK_ID, black_box(&envelope)));
    });
    group.bench_function("1 KiB", |bench| bench.iter(|| sha256(&[black_box(&kib)])));
    group.throughput(Throughput::Elements(PAYMENTS as u64));
    group.bench_function("Merkle tree of 500", |bench| {
        bench.iter_batched(|| leaves.clone(), Tree::of, BatchSize::SmallInput);
    });
    group.finish();
}

fn signatures(criterion: &mut Criterion) {
    let message = [6; 32];
    let sign = |number: u32| {
        let key = SecretKey::from_seed(&sha256(&[&number.to_be_bytes()]).0);
        (key.public(), key.sign(&message))
    };
    let signed: Vec<(PublicKey, Signature)> = (0..1_024).map(sign).collect();
    let claim = |(key, signature)| Claim { key, message: &message, signature };
    let claims: Vec<Claim<'_>> = signed.iter().map(|(key, signature)| claim((key, signature))).collect();
    let key = SecretKey::from_seed(&[8; 32]);
    let mut group = criterion.benchmark_group("signatures");
    group.throughput(Throughput::Elements(1));
    group.bench_function("sign", |bench| bench.iter(|| key.sign(black_box(&message))));
    group.bench_function("verify one", |bench| bench.iter(|| assert!(verify(black_box(claims[0])))));
    for count in [16, 64, 256, 1_024] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(
            BenchmarkId::new("verify batch, new keys", count),
            &claims[..count],
            |bench, claims| {
                bench.iter(|| assert!(verify_batch(black_box(claims), &mut KnownKeys::default())));
            },
        );
        let mut keys = KnownKeys::default();
        group.bench_with_input(BenchmarkId::new("verify batch", count), &claims[..count], |bench, claims| {
            bench.iter(|| assert!(verify_batch(black_box(claims), &mut keys)));
        });
    }
    group.finish();
}

fn ledger(criterion: &mut Criterion) {
    let mut chain = Chain::new();
    let envelopes = chain.payments();
    let input = chain.input(&envelopes);
    let outcome = apply(&chain.state, &input).expect("sound");
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(PAYMENTS as u64));
    group.bench_function("apply 500 payments", |bench| {
        bench.iter(|| apply(black_box(&chain.state), &input).expect("sound"));
    });
    group.bench_function("state root of 500 payments", |bench| {
        let tree = || StateTree::clone(&chain.tree);
        bench.iter_batched_ref(tree, |tree| tree.update(&outcome.delta), BatchSize::LargeInput);
    });
    group.finish();
}

fn journal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal");
    for bytes in [200, 4 << 10, 64 << 10] {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("journal");
        Journal::create(&home, identity()).expect("made");
        let (mut journal, _) = Journal::open(&home, &identity()).expect("opened");
        let record = vec![0x5a; bytes];
        let mut slot = 0;
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("append and sync", bytes), |bench| {
            bench.iter(|| {
                slot += 1;
                journal.append(&record, Slot(slot)).expect("written");
                journal.sync().expect("synced");
            });
        });
    }
    group.finish();
}

fn block_write(criterion: &mut Criterion) {
    let mut chain = Chain::new();
    let base = std::mem::take(&mut chain.made);
    let next = |_| {
        let envelopes = chain.payments();
        chain.execute(&envelopes)
    };
    let blocks: Vec<_> = (0..BLOCKS).map(next).collect();
    let passphrase = Passphrase::new("correct horse battery staple");
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(PAYMENTS as u64));
    let start = Instant::now();
    let elapsed = || start.elapsed();
    let settings = [("", None), (", values encrypted", Some(&passphrase))];
    for (setting, passphrase) in settings {
        group.bench_function(format!("write a block of 500 payments{setting}"), |bench| {
            bench.iter_custom(|count| time_block_writes(&base, &blocks, passphrase, &elapsed, count));
        });
    }
    group.sample_size(10).throughput(Throughput::Elements((BLOCKS * PAYMENTS) as u64));
    for (setting, passphrase) in settings {
        let name = format!("write {BLOCKS} blocks of 500 payments{setting}, processor time");
        group.bench_function(name, |bench| {
            let blocks_of = |rounds| rounds * BLOCKS as u64;
            bench.iter_custom(|rounds| {
                time_block_writes(&base, &blocks, passphrase, &processor_time, blocks_of(rounds))
            });
        });
    }
    group.finish();
}

/// What this process has used, with the threads of the database: other work on the machine does not count. In steps of 10 ms.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, behind_name) = stat.rsplit_once(')').expect("a name in brackets");
    // Fields 14 and 15: ticks in user mode and in the kernel.
    let ticks =
        behind_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

type Executed = (Block, BlockOutcome);

fn time_block_writes(
    base: &[Executed],
    blocks: &[Executed],
    passphrase: Option<&Passphrase>,
    now: &dyn Fn() -> Duration,
    count: u64,
) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = usize::try_from(count).expect("few");
    while left > 0 {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), &identity(), passphrase, genesis).expect("opened");
        for (block, outcome) in base {
            store.commit_block(block, outcome).expect("written");
        }
        let count = left.min(BLOCKS);
        let start = now();
        for (block, outcome) in &blocks[..count] {
            store.commit_block(block, outcome).expect("written");
        }
        took += now().saturating_sub(start);
        left -= count;
    }
    took
}

fn quic(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (a, mut inbox) = runtime.block_on(pair());
    let mut group = criterion.benchmark_group("quic");
    for bytes in [200, 1_024, 64 << 10] {
        let frame = Bytes::from(vec![1; bytes]);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("round trip", bytes), |bench| {
            bench.iter(|| {
                a.send(2, Lane::Urgent, frame.clone());
                runtime.block_on(next(&mut inbox))
            });
        });
    }
    group.finish();
}

/// Two ends in this process, of which the second sends back what it gets.
async fn pair() -> (Network, Inbox) {
    let secret = |me: u8| SecretKey::from_seed(&[me; 32]);
    let bind = |me: u8| {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let (chain_id, limits) = (Digest::ZERO, Limits::default());
        Network::bind(BindConfig { me: me.into(), identity: secret(me).into(), chain_id, listen, limits })
            .expect("bound")
    };
    let (a, b) = (bind(1), bind(2));
    let peer = |index: u8, address| Peer { index: index.into(), key: secret(index).public(), address };
    let (to_a, to_b) = (peer(1, a.local_address()), peer(2, b.local_address()));
    let (a, mut a_inbox) = a.start(&[to_b]).expect("started");
    let (b, mut b_inbox) = b.start(&[to_a]).expect("started");
    tokio::spawn(async move {
        loop {
            let frame = next(&mut b_inbox).await;
            b.send(1, Lane::Urgent, frame);
        }
    });
    a.send(2, Lane::Urgent, Bytes::from_static(b"warm"));
    next(&mut a_inbox).await;
    (a, a_inbox)
}

async fn next(inbox: &mut Inbox) -> Bytes {
    loop {
        if let Event::Frame(incoming) = inbox.recv().await.expect("open") {
            return incoming.payload;
        }
    }
}
