//! Random histories of the whole ledger, and what must hold after every transaction of them.
//!
//! A history is a world, a seed and a number of operations; equal seeds give equal histories. Every transaction's
//! recorded changes are played to a second copy of the entries, and that copy is recounted from nothing: liabilities from
//! offers, subentries and sponsorships from entries, books from offers, holdings from balances. After every block the
//! copy must be the state.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_ledger::{
    Applied, BlockInput, BlockOutcome, EntryChange, SignatureOracle, SortKey, StateKey, StateTree,
    StateValue, apply,
};
use carat_types::signature::Claim;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, Epoch, LeafRule, PublicKey};
use stellar_xdr::*;

use crate::support::{CHAIN_ID, SLOT, World, asset, deposit, join, network, pool, tx};

mod actions;
mod recount;

pub(crate) use actions::Dice;

/// All accounts; the first two issue, the last two may come and go.
pub(crate) const NAMES: [&str; 10] = ["anchor", "mint", "a", "b", "c", "d", "e", "f", "g", "h"];
pub(crate) const ASSETS: [&str; 5] = ["native", "EUR:anchor", "USD:anchor", "GBP:mint", "SILVER:mint"];

/// Entries of the wire format by their names.
pub(crate) type Entries = BTreeMap<LedgerKey, LedgerEntry>;

/// What became of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) operations: usize,
    pub(crate) transactions: usize,
    pub(crate) succeeded: usize,
    pub(crate) dropped: usize,
    pub(crate) blocks: usize,
    /// Offers and pools that were crossed.
    pub(crate) trades: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.operations += other.operations;
        self.transactions += other.transactions;
        self.succeeded += other.succeeded;
        self.dropped += other.dropped;
        self.blocks += other.blocks;
        self.trades += other.trades;
    }
}

/// Signatures are other tests' business.
struct Anything;

impl SignatureOracle for Anything {
    fn is_valid(&self, _: Claim<'_>) -> bool {
        true
    }
}

/// Plays the history of a seed until so many operations were applied.
///
/// **Panics** where anything does not hold, with the seed.
pub(crate) fn play(seed: u64, operations: usize) -> Tally {
    let mut dice = Dice::new(seed);
    let mut world = world(&mut dice);
    let mut tree = StateTree::build(&LeafRule::Open, world.state.entries());
    let mut entries = entries_of(&world);
    let mut tally = Tally::default();
    let (mut ledger_seq, mut time) = (10, 1_000);
    while tally.operations < operations {
        let what = format!("seed {seed}, block {}", tally.blocks);
        ledger_seq += 1;
        time += dice.below(4);
        let envelopes = actions::block(&mut dice, &entries);
        let block = BlockInput {
            sort_key: SortKey::Prefix(Digest([dice.number::<u8>(256); 32])),
            ledger_seq,
            chain_id: CHAIN_ID,
            epoch: Epoch(0),
            slot: SLOT,
            time_ms: time * 1_000,
            envelopes: &envelopes,
            signatures: &Anything,
            record_changes: true,
        };
        let outcome = apply(&world.state, &block).unwrap_or_else(|error| panic!("{what}: {error}"));
        follow(&mut entries, &outcome, world.totals().base_reserve, &what);
        world.state.apply(&outcome.delta);
        tree.update(&outcome.delta);
        count(&mut tally, &outcome);
        assert_eq!(entries_of(&world), entries, "{what}: recorded changes are not what changed");
        if tally.blocks.is_multiple_of(64) || tally.operations >= operations {
            assert_eq!(
                tree.root(),
                StateTree::build(&LeafRule::Open, world.state.entries()).root(),
                "{what}: root"
            );
            world.assert_sound(&what);
        }
        assert_supply(&world, &entries, &what);
    }
    tally
}

/// Plays the changes of a block, transaction by transaction, and recounts after each.
fn follow(entries: &mut Entries, outcome: &BlockOutcome, base_reserve: u32, what: &str) {
    let coins = recount::holdings(entries).get(&Asset::Native).copied().unwrap_or(0);
    let mut fees = 0;
    for applied in &outcome.applied {
        play_changes(entries, &applied.changes.fee, what);
        fees += i128::from(applied.result.fee_charged);
    }
    for applied in &outcome.applied {
        let what = format!("{what}, after {:?} with {:?}", operations_of(applied), applied.result.result);
        play_changes(entries, &applied.changes.before_operations, &what);
        for changes in &applied.changes.operations {
            play_changes(entries, changes, &what);
        }
        recount::assert_in_order(entries, base_reserve, &what);
        let now = recount::holdings(entries).get(&Asset::Native).copied().unwrap_or(0);
        assert_eq!(now + fees, coins, "{what}: coins");
    }
}

fn operations_of(applied: &Applied) -> Vec<&OperationBody> {
    applied.transaction.operations().iter().map(|operation| &operation.body).collect()
}

fn play_changes(entries: &mut Entries, changes: &[EntryChange], what: &str) {
    for change in changes {
        assert_eq!(entries.get(change.key()), change.before(), "{what}: the entry before a change");
        match change.after() {
            Some(after) => entries.insert(change.key().clone(), after.clone()),
            None => entries.remove(change.key()),
        };
    }
}

/// The supply that the state notes is what everybody holds.
fn assert_supply(world: &World, entries: &Entries, what: &str) {
    let held = recount::holdings(entries);
    for of in ASSETS.iter().skip(1).map(|name| asset(name)) {
        let supply = match world.state.value(&StateKey::Supply(of.clone())).expect("readable") {
            Some(StateValue::Supply(supply)) => supply,
            _ => 0,
        };
        assert_eq!(held.get(&of).copied().unwrap_or(0), supply, "{what}: {of:?}");
    }
}

fn count(tally: &mut Tally, outcome: &BlockOutcome) {
    tally.blocks += 1;
    tally.dropped += outcome.dropped.len();
    for applied in &outcome.applied {
        tally.transactions += 1;
        tally.operations += applied.transaction.operations().len();
        let results = match &applied.result.result {
            TransactionResultResult::TxSuccess(results) => results.as_slice(),
            TransactionResultResult::TxInternalError => panic!("a fault: {:?}", operations_of(applied)),
            _ => continue,
        };
        tally.succeeded += 1;
        tally.trades += results.iter().map(trades).sum::<usize>();
    }
}

fn trades(result: &OperationResult) -> usize {
    use OperationResultTr as Tr;
    let OperationResult::OpInner(result) = result else { return 0 };
    match result {
        Tr::ManageSellOffer(ManageSellOfferResult::Success(done))
        | Tr::ManageBuyOffer(ManageBuyOfferResult::Success(done)) => done.offers_claimed.len(),
        Tr::PathPaymentStrictReceive(PathPaymentStrictReceiveResult::Success(done)) => done.offers.len(),
        Tr::PathPaymentStrictSend(PathPaymentStrictSendResult::Success(done)) => done.offers.len(),
        _ => 0,
    }
}

fn entries_of(world: &World) -> Entries {
    world
        .state
        .entries()
        .filter_map(|(key, value)| {
            let key = StateKey::from_bytes(key).expect("our key");
            match (StateValue::from_bytes(&key, value).expect("our value"), key) {
                (StateValue::Ledger(entry), StateKey::Ledger(key)) => Some((key, entry)),
                _ => None,
            }
        })
        .collect()
}

/// Issuers with flags, holders with lines that are not too wide, somebody poor.
fn world(dice: &mut Dice) -> World {
    let mut world = World::new();
    for name in &NAMES[..8] {
        let coins = if *name == "f" { 30_000 } else { 50_000_000 };
        world = world.account(name, coins);
    }
    world = world.flags("anchor", 2 | 8).flags("mint", [0, 2, 2 | 1][dice.index(3)]);
    for name in &NAMES[2..8] {
        for of in &ASSETS[1..] {
            if dice.below(5) != 0 {
                let balance = dice.number::<i64>(5_000);
                let flags = if *of == "EUR:anchor" { 1 | 4 } else { 1 };
                world = world.line_with(name, of, balance, |line| (line.limit, line.flags) = (20_000, flags));
            }
        }
    }
    let pools = [("native", "EUR:anchor"), ("EUR:anchor", "USD:anchor")].map(|(a, b)| {
        let amounts = (500 + dice.number::<i64>(3_000), 500 + dice.number::<i64>(3_000));
        tx("anchor").op(join(a, b, i64::MAX)).op(deposit(pool(a, b), amounts, (1, 1_000), (1_000, 1)))
    });
    world.after(&pools).parameters(100, [0, 10, 100][dice.index(3)])
}

/// An envelope with one signature for each account that acts.
fn envelope(
    source: &PublicKey,
    sequence: i64,
    operations: Vec<(PublicKey, OperationBody)>,
) -> Arc<SignedTransaction> {
    let mut signers = vec![*source];
    for (who, _) in &operations {
        if !signers.contains(who) {
            signers.push(*who);
        }
    }
    let signatures: Vec<DecoratedSignature> = signers
        .iter()
        .map(|id| DecoratedSignature {
            hint: SignatureHint(id.hint()),
            signature: Signature([0; 64].try_into().expect("64 bytes")),
        })
        .collect();
    let operations: Vec<Operation> = operations
        .into_iter()
        .map(|(who, body)| Operation { source_account: (who != *source).then(|| who.into()), body })
        .collect();
    let tx = Transaction {
        source_account: (*source).into(),
        fee: 100 * u32::try_from(operations.len()).expect("few"),
        seq_num: SequenceNumber(sequence),
        cond: Preconditions::None,
        memo: Memo::None,
        operations: operations.try_into().expect("few"),
        ext: TransactionExt::V0,
    };
    let signatures = signatures.try_into().expect("few");
    let envelope = TransactionEnvelope::Tx(TransactionV1Envelope { tx, signatures });
    Arc::new(SignedTransaction::from_envelope(&network(), envelope).expect("short"))
}
