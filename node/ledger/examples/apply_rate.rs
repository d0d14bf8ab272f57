//! Measures how many payments, offers and path payments one core applies in a second, without signatures, over accounts
//! in memory.
//!
//! `cargo run --release -p carat-ledger --example apply_rate [ACCOUNTS [BLOCKS [KIND]]]`, by default 100,000 accounts and
//! 50 blocks of each kind; a kind is `payments`, `offers` or `paths`. Each block holds 2,000 transactions of one operation between random accounts:
//!
//! - payments of an issued asset;
//! - offers at prices around one, about half of which trade at once;
//! - payments that convert one asset into another, every second one over the coin in between, over books of 400 offers.
//!
//! Prints the rates without and with keeping the state root, and what is left of the first without the store, by the time that this thread spent on a processor, so that a
//! busy machine blurs it less.

use std::cell::Cell;
use std::collections::BTreeSet;
#[expect(clippy::disallowed_types, reason = "a store that costs as little as can be; never iterated")]
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use carat_ledger::state::EntryBytes;
use carat_ledger::{
    BlockInput, SignatureOracle, SortKey, StateDelta, StateError, StateKey, StateRead, StateTree, StateValue,
    Totals, apply,
};
use carat_types::hash::{m, sha256};
use carat_types::signature::Claim;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, Epoch, LeafRule, PublicKey, Slot};
use rustix::time::{ClockId, clock_gettime};
use stellar_xdr::{
    AccountEntry, AccountEntryExt, AlphaNum4, Asset, AssetCode4, DecoratedSignature, LedgerEntry,
    LedgerEntryData, LedgerEntryExt, ManageSellOfferOp, Memo, Operation, OperationBody,
    PathPaymentStrictSendOp, PaymentOp, Preconditions, Price, SequenceNumber, Signature, SignatureHint,
    String32, Thresholds, Transaction, TransactionEnvelope, TransactionExt, TransactionResultResult,
    TransactionV1Envelope, TrustLineAsset, TrustLineEntry, TrustLineEntryExt, VecM,
};

/// The allocator of `carat-node`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Transactions of a block.
const TRANSACTIONS: usize = 2_000;
/// Offers in each book when path payments begin.
const MAKERS: usize = 400;

/// Finds every signature valid: they are measured elsewhere.
struct Anything;

impl SignatureOracle for Anything {
    fn is_valid(&self, _: Claim<'_>) -> bool {
        true
    }
}

/// Entries by key bytes: what is measured should be the ledger, not the store.
#[expect(clippy::disallowed_types, reason = "a store that costs as little as can be; never iterated")]
#[derive(Default)]
struct Store {
    /// Where the entry with this hash of its key is.
    places: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
    entries: Vec<Entry>,
    free: Vec<usize>,
    /// The names of what is looked for in order: everything but accounts and trustlines.
    ordered: BTreeSet<Vec<u8>>,
    /// What reading many at once took: over a million accounts it is mostly waiting for memory.
    reading: Cell<Duration>,
}

/// Key and value side by side, in whole cache lines.
#[repr(align(64))]
struct Entry {
    key_length: u16,
    value_length: u16,
    bytes: [u8; 252],
}

impl Entry {
    fn new(key: &[u8], value: &[u8]) -> Self {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short");
        let mut entry = Entry { key_length: length(key), value_length: length(value), bytes: [0; 252] };
        entry.bytes[..key.len()].copy_from_slice(key);
        entry.bytes[key.len()..][..value.len()].copy_from_slice(value);
        entry
    }

    /// The value, if this is the key.
    fn value(&self, key: &[u8]) -> Vec<u8> {
        let (own, rest) = self.bytes.split_at(self.key_length.into());
        assert_eq!(own, key, "two keys have one hash");
        rest[..self.value_length.into()].to_vec()
    }
}

/// A quick hash: the keys of this program are no enemy's.
fn hash(key: &[u8]) -> u64 {
    key.chunks(8).fold(0, |hash: u64, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// A hasher for what is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole hashes are hashed")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl StateRead for Store {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.places.get(&hash(key)).map(|place| self.entries[*place].value(key)))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let start = on_processor();
        // In two passes, so that the processor waits for many at a time.
        let places: Vec<Option<usize>> =
            keys.iter().map(|key| self.places.get(&hash(key)).copied()).collect();
        let values = places.iter().zip(keys);
        let values = values.map(|(place, key)| place.map(|place| self.entries[place].value(key))).collect();
        self.reading.set(self.reading.get() + (on_processor() - start));
        Ok(values)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let keys = self.ordered.range::<[u8], _>((from, Bound::Unbounded));
        let keys = keys.take_while(|key| key.starts_with(prefix)).take(limit);
        keys.map(|key| Ok((key.clone(), self.get(key)?.unwrap_or_default()))).collect()
    }
}

fn is_ordered(key: &[u8]) -> bool {
    !matches!(key, [0, 0, 0, 0 | 1, ..])
}

impl Store {
    fn apply(&mut self, delta: &StateDelta) {
        for (key, value) in delta {
            match value {
                Some(value) => self.put(key, value),
                None => self.remove(key),
            }
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        let entry = Entry::new(key, value);
        if let Some(place) = self.places.get(&hash(key)) {
            self.entries[*place] = entry;
            return;
        }
        let place = self.free.pop().unwrap_or(self.entries.len());
        match self.entries.get_mut(place) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        self.places.insert(hash(key), place);
        if is_ordered(key) {
            self.ordered.insert(key.to_vec());
        }
    }

    fn remove(&mut self, key: &[u8]) {
        self.free.extend(self.places.remove(&hash(key)));
        self.ordered.remove(key);
    }
}

/// What every transaction of a block does.
#[derive(Clone, Copy)]
enum Kind {
    Payments,
    Offers,
    Paths,
    /// Fills the books for paths.
    Makers,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (accounts, blocks): (usize, usize) = (number(100_000), number(50));
    let ids: Vec<PublicKey> = (0..accounts).map(|n| PublicKey(sha256(&[&n.to_be_bytes()]).0)).collect();
    let delta = state(&ids);
    let start = on_processor();
    let tree = StateTree::build(
        &LeafRule::Open,
        delta.iter().map(|(key, value)| (key, value.as_deref().unwrap_or_default())),
    );
    report(&format!("tree of {} entries built", tree.len()), on_processor() - start, tree.len());
    let mut store = Store::default();
    store.apply(&delta);
    drop(delta);

    let mut bench = Bench { sequences: vec![0; accounts], ids, store, tree, blocks_made: 0 };
    let only = std::env::args().nth(3);
    let wanted = |kind: &str| only.as_deref().is_none_or(|only| only == kind);
    if wanted("payments") {
        bench.run("payments", Kind::Payments, blocks);
    }
    if wanted("offers") {
        bench.run("offers", Kind::Offers, blocks);
    }
    if wanted("paths") {
        bench.block(Kind::Makers);
        bench.run("path payments", Kind::Paths, blocks);
    }
}

/// A ledger and who acts on it.
struct Bench {
    ids: Vec<PublicKey>,
    sequences: Vec<i64>,
    store: Store,
    tree: StateTree,
    blocks_made: usize,
}

/// What a block took.
struct Took {
    applying: Duration,
    /// Of it in the store.
    reading: Duration,
    rooting: Duration,
    applied: usize,
    succeeded: usize,
}

impl Bench {
    fn run(&mut self, what: &str, kind: Kind, blocks: usize) {
        let took: Vec<Took> = (0..blocks).map(|_| self.block(kind)).collect();
        let sum = |of: fn(&Took) -> usize| took.iter().map(of).sum::<usize>();
        let (applied, succeeded) = (sum(|took| took.applied), sum(|took| took.succeeded));
        let share = 100.0 * succeeded as f64 / applied as f64;
        assert!(share > 90.0, "only {share:.1} % of the {what} succeeded");
        let without = took.iter().map(|took| took.applying).collect();
        let with = took.iter().map(|took| took.applying + took.rooting).collect();
        let beside_the_store = took.iter().map(|took| took.applying.saturating_sub(took.reading)).collect();
        report_blocks(&format!("{what} applied, {share:.1} % with success"), without, applied);
        report_blocks(
            &format!("{what} applied, reading many entries at once left out"),
            beside_the_store,
            applied,
        );
        report_blocks(&format!("{what} applied, with the state root"), with, applied);
    }

    fn block(&mut self, kind: Kind) -> Took {
        self.blocks_made += 1;
        let envelopes = self.envelopes(kind);
        let block = BlockInput {
            sort_key: SortKey::Prefix(Digest([1; 32])),
            ledger_seq: 2,
            chain_id: Digest::ZERO,
            epoch: Epoch(0),
            slot: Slot(1),
            time_ms: 1_000,
            envelopes: &envelopes,
            signatures: &Anything,
            record_changes: false,
        };
        let start = on_processor();
        let outcome = apply(&self.store, &block).expect("sound state");
        let applying = on_processor() - start;
        let reading = self.store.reading.take();
        assert!(outcome.dropped.is_empty(), "{:?}", outcome.dropped.first());
        let succeeded =
            |result: &TransactionResultResult| matches!(result, TransactionResultResult::TxSuccess(_));
        let succeeded = outcome.applied.iter().filter(|applied| succeeded(&applied.result.result)).count();
        let start = on_processor();
        self.tree.update(&outcome.delta);
        let rooting = on_processor() - start;
        self.store.apply(&outcome.delta);
        Took { applying, reading, rooting, applied: outcome.applied.len(), succeeded }
    }

    fn envelopes(&mut self, kind: Kind) -> Vec<Arc<SignedTransaction>> {
        let count = if matches!(kind, Kind::Makers) { 6 * MAKERS } else { TRANSACTIONS };
        (0..count)
            .map(|n| {
                let from =
                    if matches!(kind, Kind::Makers) { n } else { self.pick("from", n) % self.ids.len() };
                let body = match kind {
                    Kind::Payments => self.payment(n),
                    Kind::Offers => self.offer(n),
                    Kind::Paths => self.path_payment(n),
                    Kind::Makers => maker(n),
                };
                self.sequences[from] += 1;
                envelope(&self.ids[from], self.sequences[from], body)
            })
            .collect()
    }

    /// A number that depends on nothing but the block, the purpose and the position.
    fn pick(&self, label: &'static str, n: usize) -> usize {
        let digest = m(label, &[&self.blocks_made.to_be_bytes(), &n.to_be_bytes()]);
        usize::from_be_bytes(digest.0[..8].try_into().expect("eight bytes"))
    }

    fn somebody(&self, n: usize) -> &PublicKey {
        &self.ids[self.pick("to", n) % self.ids.len()]
    }

    fn payment(&self, n: usize) -> OperationBody {
        OperationBody::Payment(PaymentOp {
            destination: (*self.somebody(n)).into(),
            asset: asset(*b"EUR\0"),
            amount: 1,
        })
    }

    /// Sells one of two assets for the other, at 0.95 to 1.05.
    fn offer(&self, n: usize) -> OperationBody {
        let price = i32::try_from(95 + self.pick("price", n) % 11).expect("small");
        let (one, other) = (asset(*b"EUR\0"), asset(*b"USD\0"));
        let (selling, buying) = if n.is_multiple_of(2) { (one, other) } else { (other, one) };
        sell(selling, buying, 100, price)
    }

    /// Turns one asset into another, every second one over the coin.
    fn path_payment(&self, n: usize) -> OperationBody {
        let (one, other) = (asset(*b"EUR\0"), asset(*b"USD\0"));
        let (send_asset, dest_asset) = if (n / 2).is_multiple_of(2) { (one, other) } else { (other, one) };
        let between = if n.is_multiple_of(2) { vec![] } else { vec![Asset::Native] };
        OperationBody::PathPaymentStrictSend(PathPaymentStrictSendOp {
            send_asset,
            send_amount: 100,
            destination: (*self.somebody(n)).into(),
            dest_asset,
            dest_min: 1,
            path: between.try_into().expect("at most one"),
        })
    }
}

/// Large offers around 1.2, so that nobody's books cross, in every direction between three assets.
fn maker(n: usize) -> OperationBody {
    let assets = [asset(*b"EUR\0"), asset(*b"USD\0"), Asset::Native];
    let (selling, buying) = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)][n % 6];
    let price = 110 + i32::try_from(n / 6 % 20).expect("small");
    sell(assets[selling].clone(), assets[buying].clone(), 100_000, price)
}

fn sell(selling: Asset, buying: Asset, amount: i64, percent: i32) -> OperationBody {
    let price = Price { n: percent, d: 100 };
    OperationBody::ManageSellOffer(ManageSellOfferOp { selling, buying, amount, price, offer_id: 0 })
}

/// Time that this thread has spent on a processor, to the nanosecond. (`/proc/thread-self/schedstat` is as of the last
/// tick of the scheduler for a thread that is not switched: 4 ms, a quarter of a block.)
fn on_processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).expect("less than a second");
    Duration::new(u64::try_from(time.tv_sec).expect("not negative"), nanoseconds)
}

#[expect(clippy::print_stdout, reason = "the output of the program")]
fn report(what: &str, took: Duration, count: usize) {
    let rate = count as f64 / took.as_secs_f64();
    println!("{what}: {count} in {:.3} s, {rate:.0}/s", took.as_secs_f64());
}

/// Reports all blocks, and the median one: beside other programs it wavers less.
#[expect(clippy::print_stdout, reason = "the output of the program")]
fn report_blocks(what: &str, mut blocks: Vec<Duration>, count: usize) {
    let (sum, of_each) = (blocks.iter().sum::<Duration>(), count as f64 / blocks.len() as f64);
    blocks.sort_unstable();
    let rate = |took: Duration| of_each / took.as_secs_f64();
    let (median, fastest) = (rate(blocks[blocks.len() / 2]), rate(blocks[0]));
    let all = count as f64 / sum.as_secs_f64();
    println!(
        "{what}: {count} in {:.3} s, {all:.0}/s; median block {median:.0}/s, fastest {fastest:.0}/s",
        sum.as_secs_f64()
    );
}

fn asset(code: [u8; 4]) -> Asset {
    Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(code), issuer: PublicKey([9; 32]).into() })
}

/// Every account holds coins and both assets.
fn state(ids: &[PublicKey]) -> StateDelta {
    let mut state = StateDelta::new();
    let mut put = |key: StateKey, value: StateValue| state.insert(key.to_bytes(), Some(value.to_bytes()));
    let ledger =
        |data| StateValue::Ledger(LedgerEntry { last_modified_ledger_seq: 1, data, ext: LedgerEntryExt::V0 });
    for id in ids {
        let account = AccountEntry {
            account_id: (*id).into(),
            balance: 1_000_000_000,
            seq_num: SequenceNumber(0),
            num_sub_entries: 2,
            inflation_dest: None,
            flags: 0,
            home_domain: String32::default(),
            thresholds: Thresholds([1, 0, 0, 0]),
            signers: VecM::default(),
            ext: AccountEntryExt::V0,
        };
        put(StateKey::account(id), ledger(LedgerEntryData::Account(account)));
        for of in [asset(*b"EUR\0"), asset(*b"USD\0")] {
            let Asset::CreditAlphanum4(code) = &of else { continue };
            let line = TrustLineEntry {
                account_id: (*id).into(),
                asset: TrustLineAsset::CreditAlphanum4(code.clone()),
                balance: 1_000_000,
                limit: i64::MAX,
                flags: 1,
                ext: TrustLineEntryExt::V0,
            };
            put(StateKey::trustline(id, &of), ledger(LedgerEntryData::Trustline(line)));
        }
    }
    let count = i64::try_from(ids.len()).expect("few");
    let totals = Totals {
        total_coins: count * 1_000_000_000,
        fee_pool: 0,
        id_pool: 0,
        base_fee: 100,
        base_reserve: 100,
        max_transactions: 4_000,
        max_operations: 8_000,
        protocol_version: 28,
        flags: 0,
    };
    put(StateKey::Totals, StateValue::Totals(totals));
    for of in [asset(*b"EUR\0"), asset(*b"USD\0")] {
        put(StateKey::Supply(of), StateValue::Supply(i128::from(count) * 1_000_000));
    }
    state
}

fn envelope(source: &PublicKey, sequence: i64, body: OperationBody) -> Arc<SignedTransaction> {
    let operations = vec![Operation { source_account: None, body }];
    let tx = Transaction {
        source_account: (*source).into(),
        fee: 100,
        seq_num: SequenceNumber(sequence),
        cond: Preconditions::None,
        memo: Memo::None,
        operations: operations.try_into().expect("one"),
        ext: TransactionExt::V0,
    };
    let signature = DecoratedSignature {
        hint: SignatureHint(source.hint()),
        signature: Signature([0; 64].try_into().expect("64 bytes")),
    };
    let signatures: VecM<_, 20> = vec![signature].try_into().expect("one");
    let envelope = TransactionEnvelope::Tx(TransactionV1Envelope { tx, signatures });
    Arc::new(SignedTransaction::from_envelope(&Digest([3; 32]), envelope).expect("short"))
}
