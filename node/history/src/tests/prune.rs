//! Forgetting old ledgers: nothing of them is left, and nothing else is touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use carat_types::builder::operation::{create_account, payment};
use carat_types::{LeafRule, Slot};
use stellar_xdr::Asset;

use super::all;
use super::chain::{COIN, Chain, key};
use super::collections::market_chain;
use crate::store::Pair;
use crate::{HistoryStore, Indexer, Order, Scope, Toid, keys};

fn rows(store: &dyn HistoryStore) -> Vec<Pair> {
    store.scan(Vec::new()..vec![u8::MAX], Order::Ascending, usize::MAX).expect("memory")
}

/// The ledger that a row is of; none for the state, for candles and for the index's own two.
fn ledger_of(row: &Pair) -> Option<u32> {
    let (key, value) = row;
    let id = match key.first()? {
        b'l' => return Some(u32::from_be_bytes(key[1..].try_into().expect("a number"))),
        b't' => keys::id_of_entry(key),
        b'h' => Toid::from_u64(u64::from_be_bytes(value[..].try_into().expect("an id"))),
        b'g' | b'a' | b'p' | b'b' | b'o' | b'q' => {
            // Effects and trades, lists 3 and 4, have a number behind the id.
            let length = match key[0] {
                b'g' => 1,
                b'o' => 9,
                b'q' => key.len() - if is_part(key) { 14 } else { 10 },
                _ => 33,
            };
            match key[length] {
                3 | 4 => keys::id_of_part(key).map(|part| part.operation),
                _ => keys::id_of_entry(key),
            }
        }
        _ => return None,
    };
    Some(id.expect("an id").ledger())
}

/// Lists of two assets are lists of trades.
fn is_part(key: &[u8]) -> bool {
    key[0] == b'q'
}

/// Prunes until nothing goes any more, `at_a_time` transactions each time.
fn prune(chain: &Chain, last: Slot, at_a_time: usize) -> Indexer {
    let mut indexer = Indexer::open(Arc::clone(&chain.store)).expect("a sound store");
    let first = |indexer: &Indexer| indexer.position().expect("indexed").first_ledger;
    loop {
        let before = first(&indexer);
        let gone = indexer.prune(&chain.network_id, last, at_a_time).expect("a sound index");
        assert!(gone <= at_a_time && first(&indexer) <= before + 1, "a bounded part at a time");
        if gone == 0 && first(&indexer) == before {
            return indexer;
        }
    }
}

#[test]
fn ledgers_that_are_forgotten_leave_no_rows_and_the_others_keep_theirs() {
    let whole = market_chain();
    let before = rows(&*whole.store);
    let ledgers = whole.history.ledgers(all()).expect("a sound index");
    assert!(ledgers.len() > 20, "{} ledgers", ledgers.len());
    for (until, at_a_time) in
        [(0, 1), (ledgers.len() / 2, 1), (ledgers.len() / 2, 7), (ledgers.len() - 1, 100)]
    {
        let chain = market_chain();
        let indexer = prune(&chain, ledgers[until].last_slot, at_a_time);
        let first = ledgers[until].sequence + 1;
        assert_eq!(indexer.position().expect("indexed").first_ledger, first);
        let after: BTreeSet<Pair> = rows(&*chain.store).into_iter().collect();
        for row in &before {
            match ledger_of(row) {
                Some(ledger) => assert_eq!(after.contains(row), ledger >= first, "{:?}", row.0),
                None if matches!(row.0[0], b'm' | b'c') => {}
                None => assert!(after.contains(row), "the state is not concerned"),
            }
        }
        indexer.check_state(&LeafRule::Open).expect("the copy of the state is whole");
    }
}

#[test]
fn candles_older_than_the_newest_that_is_forgotten_go() {
    let chain = market_chain();
    let candles = |chain: &Chain| rows(&*chain.store).iter().filter(|row| row.0[0] == b'c').count();
    let before = candles(&chain);
    prune(&chain, chain.header.slot, 100);
    let pairs: BTreeSet<Vec<u8>> = rows(&*chain.store)
        .iter()
        .filter(|row| row.0[0] == b'c')
        .map(|row| row.0[..row.0.len() - 8].to_vec())
        .collect();
    assert_eq!(candles(&chain), pairs.len(), "one of each pair is left");
    assert!(before > pairs.len(), "{before} candles of {} pairs", pairs.len());
}

#[test]
fn ledger_with_a_block_that_is_kept_stays() {
    let mut chain = Chain::new(&[]);
    let create = chain.signed(&chain.root, vec![create_account(key(1).public().into(), 1_000 * COIN)]);
    chain.block(250, &[create]);
    let middle = chain.header.slot;
    let pays = chain.signed(&key(1), vec![payment(chain.root.public(), Asset::Native, COIN)]);
    chain.block(1, &[pays]);
    chain.block(250, &[]);
    let indexer = prune(&chain, middle, 100);
    assert_eq!(indexer.position().expect("indexed").first_ledger, 2, "the second block is of ledger 2 too");
    assert_eq!(chain.history.transactions(Scope::All, all(), true).expect("a sound index").len(), 2);
    prune(&chain, middle.next(), 100);
    assert_eq!(chain.history.transactions(Scope::All, all(), true).expect("a sound index"), []);
    assert!(!chain.history.knows(Scope::Account(key(1).public())).expect("a sound index"));
}
