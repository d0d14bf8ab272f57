//! Blocks of the real ledger, indexed and asked for.

pub(crate) mod chain;
mod collections;
pub(crate) mod market;
mod prune;

use std::sync::Arc;

use carat_types::builder::asset::issued;
use carat_types::builder::operation::{account_merge, by, change_trust, create_account, payment};
use carat_types::builder::{fee_bump, text_memo};
use carat_types::transaction::sign_envelope;
use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    Asset, LedgerEntryChanges, Limits, MuxedAccount, MuxedAccountMed25519, ReadXdr, TransactionMeta, Uint256,
};

use crate::keys::List;
use crate::record::Position;
use crate::{
    ExecutedBlock, Execution, FeeStats, HistoryError, Indexer, MemoryStore, Order, PageQuery, Scope, Toid,
};
use chain::{COIN, Chain, GENESIS_MS, key};

fn page(order: Order, cursor: Option<Toid>, limit: usize) -> PageQuery {
    PageQuery { cursor, order, limit }
}

fn all() -> PageQuery {
    page(Order::Ascending, None, 100)
}

fn toid(ledger: u32, transaction: u32, operation: u32) -> Toid {
    Toid::new(ledger, transaction, operation).expect("small numbers")
}

/// Ledger 2: alice and bob are created in one transaction. Ledger 2, next slot: a payment and a failing one.
/// Ledger 3: empty.
fn small_chain() -> Chain {
    let mut chain = Chain::new(&[]);
    let (alice, bob) = (key(1).public(), key(2).public());
    let create = vec![create_account(alice.into(), 1_000 * COIN), create_account(bob.into(), 10 * COIN)];
    let create = chain.signed(&chain.root, create);
    chain.block(250, &[create]);
    let pays = chain.signed(&key(1), vec![payment(bob, Asset::Native, COIN)]);
    let fails = chain.signed(&key(2), vec![payment(alice, Asset::Native, 1_000_000 * COIN)]);
    chain.block(1, &[pays, fails]);
    chain.block(250, &[]);
    chain
}

fn ids_of_operations(chain: &Chain, list: List, scope: Scope, page: PageQuery, failed: bool) -> Vec<Toid> {
    let records = chain.history.operations(list, scope, page, failed).expect("a sound index");
    records.iter().map(|record| record.id).collect()
}

#[test]
fn toid_packs_and_unpacks_its_parts() {
    let id = toid(7, 3, 2);
    assert_eq!(id.get(), (7 << 32) | (3 << 12) | 2);
    assert_eq!((id.ledger(), id.transaction(), id.operation()), (7, 3, 2));
    assert_eq!(id.of_transaction(), toid(7, 3, 0));
    assert_eq!(id.transaction_end(), toid(7, 3, Toid::OPERATIONS_MAX));
    assert_eq!(Toid::new(1 << 31, 0, 0), None);
    assert_eq!(Toid::new(1, 1 << 20, 0), None);
    assert_eq!(Toid::new(1, 0, 1 << 12), None);
    assert_eq!(Toid::ledger_end(i32::MAX as u32), Toid::MAX);
}

#[test]
fn toid_text_is_a_plain_decimal_number() {
    for (text, parsed) in [
        ("0", Some(0)),
        ("9223372036854775807", Some(i64::MAX as u64)),
        ("9223372036854775808", None),
        ("-1", None),
        ("+1", None),
        ("", None),
        ("12-1", None),
        (" 1", None),
    ] {
        assert_eq!(text.parse::<Toid>().ok().map(Toid::get), parsed, "{text:?}");
    }
}

#[test]
fn transactions_count_on_through_the_slots_of_a_ledger() {
    let chain = small_chain();
    let records = chain.history.transactions(Scope::All, all(), true).expect("a sound index");
    let ids: Vec<Toid> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids, [toid(2, 1, 0), toid(2, 2, 0), toid(2, 3, 0)]);
    assert_eq!(
        records.iter().map(|record| record.time_ms).collect::<Vec<_>>(),
        [GENESIS_MS + 250, GENESIS_MS + 251, GENESIS_MS + 251]
    );
}

#[test]
fn failed_transactions_are_listed_only_if_asked_for() {
    let chain = small_chain();
    let with = chain.history.transactions(Scope::All, all(), true).expect("a sound index");
    let without = chain.history.transactions(Scope::All, all(), false).expect("a sound index");
    assert_eq!((with.len(), without.len()), (3, 2));
    assert!(without.iter().all(crate::TransactionRecord::is_successful));
    let failed = with.iter().find(|record| !record.is_successful()).expect("one failed");
    assert_eq!(ids_of_operations(&chain, List::Operations, Scope::All, all(), false).len(), 3);
    assert_eq!(ids_of_operations(&chain, List::Operations, Scope::All, all(), true).len(), 4);
    let own = Scope::Transaction(failed.id);
    assert_eq!(ids_of_operations(&chain, List::Operations, own, all(), true), [failed.id.with_operation(1)]);
}

#[test]
fn account_lists_hold_what_the_account_takes_part_in() {
    let chain = small_chain();
    let root = Scope::Account(chain.root.public());
    let bob = Scope::Account(key(2).public());
    let of = |scope| ids_of_operations(&chain, List::Payments, scope, all(), false);
    assert_eq!(of(root), [toid(2, 1, 1), toid(2, 1, 2)], "both creations are the root's");
    let payment = ids_of_operations(&chain, List::Payments, Scope::Account(key(1).public()), all(), false);
    assert_eq!(payment.len(), 2, "alice was created, and paid");
    assert_eq!(of(bob).len(), 2, "bob was created, and paid");
    assert_eq!(of(bob).first(), Some(&toid(2, 1, 2)));
    assert!(chain.history.knows(Scope::Account(key(1).public())).expect("a sound index"));
    assert!(!chain.history.knows(Scope::Account(key(9).public())).expect("a sound index"));
}

#[test]
fn pages_forwards_and_backwards_join_without_gap_or_overlap() {
    let mut chain = small_chain();
    for _ in 0..7 {
        let pays = chain.signed(&key(1), vec![payment(key(2).public(), Asset::Native, 1)]);
        let fails = chain.signed(&key(2), vec![payment(key(1).public(), Asset::Native, 1_000_000 * COIN)]);
        chain.block(100, &[pays, fails]);
    }
    for failed in [false, true] {
        let whole = ids_of_operations(&chain, List::Operations, Scope::All, all(), failed);
        for limit in 1..=4 {
            for order in [Order::Ascending, Order::Descending] {
                let mut cursor = None;
                let mut walked = Vec::new();
                loop {
                    let part = ids_of_operations(
                        &chain,
                        List::Operations,
                        Scope::All,
                        page(order, cursor, limit),
                        failed,
                    );
                    let Some(last) = part.last() else { break };
                    assert!(part.len() <= limit);
                    cursor = Some(*last);
                    walked.extend(part);
                    assert!(walked.len() <= whole.len(), "pages overlap: limit {limit}, {order:?}");
                }
                if order == Order::Descending {
                    walked.reverse();
                }
                assert_eq!(walked, whole, "limit {limit}, {order:?}, failed {failed}");
            }
        }
    }
}

#[test]
fn ledger_is_listed_when_a_slot_of_a_later_window_is_indexed() {
    let mut chain = Chain::new(&[]);
    assert_eq!(chain.history.ledger(1).expect("a sound index"), None, "genesis is still open");
    chain.block(10, &[]);
    assert_eq!(chain.history.ledger(1).expect("a sound index"), None, "the same window");
    let last_of_first = chain.header.clone();
    chain.block(250, &[]);
    let ledger = chain.history.ledger(1).expect("a sound index").expect("closed now");
    assert_eq!(ledger.hash, last_of_first.hash());
    assert_eq!(ledger.last_slot, last_of_first.slot);
    assert_eq!(ledger.previous_hash, Digest::ZERO);
    assert_eq!(ledger.header.bucket_list_hash.0, last_of_first.state_root.0);
    assert_eq!(ledger.header.scp_value.tx_set_hash.0, last_of_first.prefix.0);
    assert_eq!(ledger.header.scp_value.close_time.0, (GENESIS_MS + 10) / 1_000);
    assert_eq!(ledger.header.ledger_seq, 1);
    assert_eq!(ledger.header.total_coins, chain.totals().total_coins);
    assert_eq!(chain.history.ledger(2).expect("a sound index"), None, "the open one");
    chain.block(1_000, &[]);
    let second = chain.history.ledger(2).expect("a sound index").expect("closed now");
    assert_eq!(second.previous_hash, ledger.hash);
    assert_eq!(second.header.previous_ledger_hash.0, ledger.hash.0);
}

#[test]
fn ledger_counts_its_transactions_and_operations_over_all_its_slots() {
    let mut chain = small_chain();
    chain.block(250, &[]);
    let next = chain.history.ledger(3).expect("a sound index").expect("closed");
    assert_eq!(next.counts, crate::record::Counts::default(), "each ledger counts for itself");
    let ledger = chain.history.ledger(2).expect("a sound index").expect("closed");
    let counts = ledger.counts;
    assert_eq!((counts.successful, counts.failed), (2, 1));
    assert_eq!((counts.operations, counts.all_operations), (3, 4));
    assert_eq!(ledger.header.fee_pool, 400);
}

#[test]
fn ledgers_page_in_both_directions() {
    let mut chain = Chain::new(&[]);
    (0..5).for_each(|_| {
        chain.block(250, &[]);
    });
    let list = |order, cursor, limit| {
        let ledgers = chain.history.ledgers(page(order, cursor, limit)).expect("a sound index");
        ledgers.iter().map(|ledger| ledger.sequence).collect::<Vec<_>>()
    };
    assert_eq!(list(Order::Ascending, None, 100), [1, 2, 3, 4, 5]);
    assert_eq!(list(Order::Descending, None, 2), [5, 4]);
    assert_eq!(list(Order::Ascending, Some(Toid::ledger_start(2)), 2), [3, 4]);
    assert_eq!(list(Order::Descending, Some(Toid::ledger_start(3)), 9), [2, 1]);
    assert_eq!(list(Order::Ascending, Some(toid(2, 5, 1)), 1), [3], "a cursor within a ledger");
    assert_eq!(list(Order::Descending, Some(toid(2, 5, 1)), 1), [2], "a cursor within a ledger");
    assert_eq!(list(Order::Ascending, Some(Toid::MAX), 1), [0; 0]);
}

#[test]
fn fee_bump_is_found_by_both_hashes_and_listed_for_its_payer() {
    let mut chain = small_chain();
    let (alice, bob) = (key(1), key(2));
    let inner = chain.signed(&bob, vec![payment(alice.public(), Asset::Native, 5)]);
    let mut outer = fee_bump(alice.public(), 300, inner).expect("bumpable");
    sign_envelope(&chain.network_id, &mut outer, &[&alice]).expect("signed");
    let applied = chain.block(300, &[outer]);
    let transaction = &applied.first().expect("kept").transaction;
    let by_outer = chain.history.transaction(transaction.hash()).expect("a sound index").expect("there");
    let by_inner =
        chain.history.transaction(transaction.inner_hash()).expect("a sound index").expect("there");
    assert_eq!(by_outer, by_inner);
    assert!(by_outer.is_successful());
    assert_eq!(by_outer.operation_results().len(), 1);
    assert_eq!(by_outer.fees_per_operation(), (100, 300));
    let of_payer =
        chain.history.transactions(Scope::Account(alice.public()), all(), false).expect("a sound index");
    assert_eq!(of_payer.last(), Some(&by_outer));
}

#[test]
fn muxed_participants_are_listed_under_their_account() {
    let mut chain = small_chain();
    let muxed = |account: PublicKey| {
        MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: 77, ed25519: Uint256(account.0) })
    };
    let to_muxed = payment(muxed(key(2).public()), Asset::Native, 5);
    let envelope = chain.signed(&chain.root, vec![by(muxed(chain.root.public()), to_muxed)]);
    chain.block(300, &[envelope]);
    let bobs = ids_of_operations(&chain, List::Payments, Scope::Account(key(2).public()), all(), false);
    assert_eq!(bobs.len(), 3);
}

#[test]
fn merge_is_a_payment_and_issuing_is_too_but_trust_is_not() {
    let mut chain = small_chain();
    let (alice, bob) = (key(1), key(2));
    let euro = issued("EUR", alice.public().into()).expect("a code");
    let trust = chain.signed(&bob, vec![change_trust(euro.clone(), 100 * COIN)]);
    chain.block(300, &[trust]);
    let issue = chain.signed(&alice, vec![payment(bob.public(), euro.clone(), COIN)]);
    chain.block(300, &[issue]);
    let back = vec![
        payment(alice.public(), euro.clone(), COIN),
        change_trust(euro, 0),
        account_merge(alice.public()),
    ];
    let back = chain.signed(&bob, back);
    let applied = chain.block(300, &[back]);
    assert!(format!("{:?}", applied[0].result.result).starts_with("TxSuccess"), "{:?}", applied[0].result);
    let bobs = Scope::Account(bob.public());
    let payments = ids_of_operations(&chain, List::Payments, bobs, all(), false);
    let operations = ids_of_operations(&chain, List::Operations, bobs, all(), false);
    assert_eq!((payments.len(), operations.len()), (5, 7));
}

#[test]
fn changes_become_meta_that_clients_can_read() {
    let chain = small_chain();
    for record in chain.history.transactions(Scope::All, all(), true).expect("a sound index") {
        let meta = TransactionMeta::from_xdr(&record.meta, Limits::none()).expect("XDR");
        let TransactionMeta::V4(meta) = meta else { panic!("V4 expected") };
        let operations = if record.is_successful() { record.transaction.operations().len() } else { 0 };
        assert_eq!(meta.operations.len(), operations);
        assert!(!meta.tx_changes_before.is_empty());
        let fee = LedgerEntryChanges::from_xdr(&record.fee_meta, Limits::none()).expect("XDR");
        assert_eq!(fee.len(), 2, "the payer before and after");
    }
}

#[test]
fn fee_stats_look_at_the_last_ledgers_with_what_failed() {
    let mut chain = small_chain();
    let fees = chain.history.fee_stats().expect("a sound index").expect("indexed");
    assert_eq!((fees.last_ledger, fees.charged.clone(), fees.bid.clone()), (2, vec![100; 3], vec![100; 3]));
    assert_eq!((fees.operations, fees.ledgers), (4, 2));
    let generous =
        chain.builder(&key(1), vec![payment(key(2).public(), Asset::Native, 1)]).fee_per_operation(700);
    let generous = generous.memo(text_memo("generous").expect("short")).sign(&chain.network_id, &[&key(1)]);
    chain.block(250, &[generous.expect("well-formed")]);
    (0..4).for_each(|_| {
        chain.block(250, &[]);
    });
    let fees = chain.history.fee_stats().expect("a sound index").expect("indexed");
    assert_eq!((fees.charged, fees.bid), (vec![100], vec![700]), "the older ledgers are out of sight");
    assert_eq!(fees.ledgers, FeeStats::LEDGERS);
}

#[test]
fn index_goes_on_after_a_restart_where_it_stopped() {
    let chain = small_chain();
    let reopened = Indexer::open(Arc::clone(&chain.store)).expect("a sound store");
    assert_eq!(reopened.next_slot(), chain.header.slot.next());
    assert_eq!(reopened.position(), chain.history.position().expect("a sound index").as_ref());
}

#[test]
fn index_refuses_blocks_out_of_turn_and_writes_nothing_of_them() {
    let chain = small_chain();
    let mut indexer = Indexer::open(Arc::clone(&chain.store)).expect("a sound store");
    let before = chain.history.position().expect("a sound index");
    let mut skipped = chain.header.clone();
    skipped.slot = chain.header.slot.plus(2);
    let mut other_ledger = chain.header.clone();
    other_ledger.slot = chain.header.slot.next();
    other_ledger.ledger += 2;
    for (header, problem) in [
        (&skipped, "slot 4 expected, slot 5 given"),
        (&chain.header, "slot 4 expected, slot 3 given"),
        (&other_ledger, "after ledger 3, ledger 5 was given"),
    ] {
        let execution =
            Execution::Again { transactions: &[], signatures: &carat_ledger::Ed25519, delta: None };
        let block = ExecutedBlock { header, execution };
        let error = indexer.index(&block).expect_err("out of turn").to_string();
        assert!(error.ends_with(problem), "{error}");
    }
    assert_eq!(chain.history.position().expect("a sound index"), before);
}

#[test]
fn rebuilt_index_equals_the_first_one() {
    // The same blocks give the same bytes: the index can be thrown away.
    let (one, other) = (small_chain(), small_chain());
    let dump =
        |chain: &Chain| chain.store.scan(vec![]..vec![0xff], Order::Ascending, usize::MAX).expect("memory");
    assert_eq!(dump(&one), dump(&other));
}

#[test]
fn damaged_values_are_named_and_never_guessed() {
    let chain = small_chain();
    let record = chain.history.transactions(Scope::All, all(), true).expect("a sound index").remove(0);
    chain.store.write(vec![(crate::keys::transaction(record.id), Some(vec![1, 2, 3]))]).expect("memory");
    let error = chain.history.transaction_at(record.id).expect_err("damaged");
    assert!(matches!(error, HistoryError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("hint: "), "{error}");
    chain.store.write(vec![(crate::keys::POSITION.to_vec(), Some(vec![7]))]).expect("memory");
    assert!(matches!(Indexer::open(Arc::clone(&chain.store)), Err(HistoryError::Damaged { .. })));
}

#[test]
fn position_survives_its_stored_form() {
    let position = small_chain().history.position().expect("a sound index").expect("indexed");
    assert_eq!(Position::from_stored(&position.to_stored()).expect("its own bytes"), position);
    let empty = crate::History::new(Arc::new(MemoryStore::default()), Digest::ZERO);
    assert_eq!(empty.position().expect("an empty index"), None);
}
