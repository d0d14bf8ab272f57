//! Measures how many payments one core applies in a second, without signatures, over accounts in memory.
//!
//! `cargo run --release -p carat-ledger --example apply_rate [ACCOUNTS [BLOCKS]]`. Each block holds 2,000 payments of
//! an issued asset between random accounts. Prints the rate without and with keeping the state root, by the time that
//! this thread spent on a processor, so that a busy machine does not blur it.

use std::collections::BTreeSet;
#[expect(clippy::disallowed_types, reason = "a store that costs as little as can be; never iterated")]
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use carat_ledger::state::EntryBytes;
use carat_ledger::{
    BlockInput, MemoryState, SignatureOracle, SortKey, StateDelta, StateError, StateKey, StateRead,
    StateTree, StateValue, Totals, apply,
};
use carat_types::hash::{m, sha256};
use carat_types::signature::Claim;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    AccountEntry, AccountEntryExt, AlphaNum4, Asset, AssetCode4, DecoratedSignature, LedgerEntry,
    LedgerEntryData, LedgerEntryExt, Memo, Operation, OperationBody, PaymentOp, Preconditions,
    SequenceNumber, Signature, SignatureHint, String32, Thresholds, Transaction, TransactionEnvelope,
    TransactionExt, TransactionV1Envelope, TrustLineAsset, TrustLineEntry, TrustLineEntryExt, VecM,
};

const PAYMENTS: usize = 2_000;

/// Finds every signature valid: they are measured elsewhere.
struct Anything;

impl SignatureOracle for Anything {
    fn is_valid(&self, _: Claim<'_>) -> bool {
        true
    }
}

/// Entries by key bytes: what is measured should be the ledger, not the store.
#[expect(clippy::disallowed_types, reason = "a store that costs as little as can be; never iterated")]
struct Store {
    entries: HashMap<Vec<u8>, Vec<u8>>,
    /// The names of what is looked for in order: everything but accounts and trustlines.
    ordered: BTreeSet<Vec<u8>>,
}

impl StateRead for Store {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let keys = self.ordered.range::<[u8], _>((from, Bound::Unbounded));
        let keys = keys.take_while(|key| key.starts_with(prefix)).take(limit);
        Ok(keys.map(|key| (key.clone(), self.entries[key].clone())).collect())
    }
}

fn is_ordered(key: &[u8]) -> bool {
    !matches!(key, [0, 0, 0, 0 | 1, ..])
}

impl Store {
    fn apply(&mut self, delta: StateDelta) {
        for (key, value) in delta {
            match value {
                Some(value) => {
                    if is_ordered(&key) {
                        self.ordered.insert(key.clone());
                    }
                    self.entries.insert(key, value);
                }
                None => {
                    self.ordered.remove(&key);
                    self.entries.remove(&key);
                }
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (accounts, blocks): (usize, usize) = (number(100_000), number(50));
    let ids: Vec<PublicKey> = (0..accounts).map(|n| PublicKey(sha256(&[&n.to_be_bytes()]).0)).collect();
    let state = state(&ids);
    let start = on_processor();
    let mut tree = StateTree::build(state.entries());
    report(&format!("tree of {} entries built", tree.len()), on_processor() - start, tree.len());
    let mut store = Store {
        entries: state.entries().map(|(key, value)| (key.to_vec(), value.to_vec())).collect(),
        ordered: state.entries().map(|(key, _)| key.to_vec()).filter(|key| is_ordered(key)).collect(),
    };
    drop(state);

    let mut sequences = vec![0_i64; accounts];
    let (mut applying, mut rooting) = (Duration::ZERO, Duration::ZERO);
    let mut applied = 0;
    for number in 0..blocks {
        let envelopes = payments(&ids, &mut sequences, number);
        let block = BlockInput {
            sort_key: SortKey::Prefix(Digest([1; 32])),
            ledger_seq: 2,
            time_ms: 1_000,
            envelopes: &envelopes,
            signatures: &Anything,
            record_changes: false,
        };
        let start = on_processor();
        let outcome = apply(&store, &block).expect("sound state");
        applying += on_processor() - start;
        assert!(outcome.dropped.is_empty(), "{:?}", outcome.dropped.first());
        applied += outcome.applied.len();
        let start = on_processor();
        tree.update(&outcome.delta);
        rooting += on_processor() - start;
        store.apply(outcome.delta);
    }
    report("payments applied", applying, applied);
    report("payments applied, with the state root", applying + rooting, applied);
}

/// Time that this thread has spent on a processor; Linux keeps it to the nanosecond.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text.split(' ').next().and_then(|figure| figure.parse().ok()).expect("a figure");
    Duration::from_nanos(nanoseconds)
}

#[expect(clippy::print_stdout, reason = "the output of the program")]
fn report(what: &str, took: Duration, count: usize) {
    let rate = count as f64 / took.as_secs_f64();
    println!("{what}: {count} in {:.3} s, {rate:.0}/s", took.as_secs_f64());
}

fn asset() -> Asset {
    Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(*b"EUR\0"), issuer: PublicKey([9; 32]).into() })
}

/// Every account holds coins and the asset.
fn state(ids: &[PublicKey]) -> MemoryState {
    let mut state = MemoryState::default();
    let mut put = |key: StateKey, data| {
        let entry = LedgerEntry { last_modified_ledger_seq: 1, data, ext: LedgerEntryExt::V0 };
        state.insert(&key, &StateValue::Ledger(entry));
    };
    let Asset::CreditAlphanum4(code) = asset() else { return MemoryState::default() };
    for id in ids {
        let account = AccountEntry {
            account_id: (*id).into(),
            balance: 1_000_000_000,
            seq_num: SequenceNumber(0),
            num_sub_entries: 1,
            inflation_dest: None,
            flags: 0,
            home_domain: String32::default(),
            thresholds: Thresholds([1, 0, 0, 0]),
            signers: VecM::default(),
            ext: AccountEntryExt::V0,
        };
        put(StateKey::account(id), LedgerEntryData::Account(account));
        let line = TrustLineEntry {
            account_id: (*id).into(),
            asset: TrustLineAsset::CreditAlphanum4(code.clone()),
            balance: 1_000_000,
            limit: i64::MAX,
            flags: 1,
            ext: TrustLineEntryExt::V0,
        };
        put(StateKey::trustline(id, &asset()), LedgerEntryData::Trustline(line));
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
    state.insert(&StateKey::Totals, &StateValue::Totals(totals));
    state.insert(&StateKey::Supply(asset()), &StateValue::Supply(i128::from(count) * 1_000_000));
    state
}

fn payments(ids: &[PublicKey], sequences: &mut [i64], block: usize) -> Vec<Arc<SignedTransaction>> {
    let network = Digest([3; 32]);
    let pick = |label: &'static str, n: usize| {
        let digest = m(label, &[&block.to_be_bytes(), &n.to_be_bytes()]);
        let bytes: [u8; 8] = digest.0[..8].try_into().expect("eight bytes");
        usize::try_from(u64::from_be_bytes(bytes) % ids.len() as u64).expect("an index")
    };
    (0..PAYMENTS)
        .map(|n| {
            let (from, to) = (pick("from", n), pick("to", n));
            sequences[from] += 1;
            let operation = PaymentOp { destination: ids[to].into(), asset: asset(), amount: 1 };
            let tx = Transaction {
                source_account: ids[from].into(),
                fee: 100,
                seq_num: SequenceNumber(sequences[from]),
                cond: Preconditions::None,
                memo: Memo::None,
                operations: vec![Operation { source_account: None, body: OperationBody::Payment(operation) }]
                    .try_into()
                    .expect("one"),
                ext: TransactionExt::V0,
            };
            let signature = DecoratedSignature {
                hint: SignatureHint(ids[from].hint()),
                signature: Signature([0; 64].try_into().expect("64 bytes")),
            };
            let signatures: VecM<_, 20> = vec![signature].try_into().expect("one");
            let envelope = TransactionEnvelope::Tx(TransactionV1Envelope { tx, signatures });
            Arc::new(SignedTransaction::from_envelope(&network, envelope).expect("short"))
        })
        .collect()
}
