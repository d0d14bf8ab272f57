//! What the index derives from the market: each list against a naive one.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_ledger::{Ed25519, StateKey, StateValue};
use carat_types::{Digest, LeafRule};
use stellar_xdr::Asset;

use super::chain::{COIN, Chain, GENESIS_MS, key};
use super::market::{self, eur, usd};
use crate::asset_stats::{self, AssetStats};
use crate::{
    AccountFilter, AssetFilter, BalanceFilter, Candle, CandleQuery, ExecutedBlock, Execution, HistoryError,
    Indexer, Maker, OfferFilter, Order, PageQuery, PartId, Scope, TradeFilter, TradeKind, keys, state_index,
};

/// Each step of the market in a ledger of its own; `check` sees the chain after each.
fn market_with(mut check: impl FnMut(&Chain)) -> Chain {
    let mut chain = Chain::new(&[]);
    market::open(|signers, operations| {
        let envelope = market::signed(&chain, signers, operations);
        let applied = chain.block(30_000, &[envelope]).remove(0);
        check(&chain);
        applied.result.result
    });
    chain
}

pub(super) fn market_chain() -> Chain {
    market_with(|_| {})
}

fn whole<C>(order: Order) -> PageQuery<C> {
    PageQuery { cursor: None, order, limit: 1_000 }
}

fn number_of(account: &carat_types::PublicKey) -> Option<u8> {
    (1..=5).find(|number| key(*number).public() == *account)
}

#[test]
fn copy_of_the_state_is_the_state_and_its_rows_are_those_of_its_entries() {
    let chain = market_with(|chain| {
        let scan = |prefix: &[u8]| {
            chain.store.scan(keys::with_prefix(prefix), Order::Ascending, usize::MAX).expect("memory")
        };
        let copy: Vec<_> = scan(b"s").into_iter().map(|(key, value)| (key[1..].to_vec(), value)).collect();
        let state: Vec<_> =
            chain.state.entries().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(copy, state);
        let (mut rows, mut stats) = (BTreeMap::new(), BTreeMap::<_, AssetStats>::new());
        for (key, value) in &state {
            let key = StateKey::from_bytes(key).expect("our key");
            let StateValue::Ledger(entry) = StateValue::from_bytes(&key, value).expect("our value") else {
                continue;
            };
            rows.extend(state_index::rows(&entry));
            for (asset, part) in asset_stats::parts(&entry) {
                stats.entry(state_index::asset_stats(&asset)).or_default().add(&part, 1);
            }
        }
        rows.extend(stats.into_iter().map(|(row, stats)| (row, stats.to_stored())));
        assert_eq!(scan(b"x").into_iter().collect::<BTreeMap<_, _>>(), rows);
    });
    let indexer = Indexer::open(Arc::clone(&chain.store)).expect("a sound store");
    indexer.check_state(&LeafRule::Open).expect("the copy agrees with the header");
}

#[test]
fn damaged_copy_of_the_state_is_found() {
    let chain = market_chain();
    let row = keys::state(&StateKey::account(&key(2).public()).to_bytes());
    let other =
        chain.store.get(&keys::state(&StateKey::account(&key(3).public()).to_bytes())).expect("memory");
    chain.store.write(vec![(row, other)]).expect("memory");
    let indexer = Indexer::open(Arc::clone(&chain.store)).expect("a sound position");
    let error = indexer.check_state(&LeafRule::Open).expect_err("another account's entry");
    assert!(matches!(error, HistoryError::Diverged { what: "state root", .. }), "{error}");
    assert!(
        error.to_string().contains("hint: stop the validator and run carat-node rebuild-history"),
        "{error}"
    );
}

#[test]
fn block_that_gives_something_else_than_the_validators_agreed_on_is_refused() {
    let chain = market_chain();
    let mut indexer = Indexer::open(Arc::clone(&chain.store)).expect("a sound store");
    let before = chain.history.position().expect("a sound index");
    let mut header = chain.header.clone();
    header.slot = chain.header.slot.next();
    header.outcomes_root = carat_types::merkle::empty();
    for (outcomes_root, delta, what) in [
        (Digest([1; 32]), None, "outcomes root"),
        (header.outcomes_root, Some(Digest([2; 32])), "digest of the state's change"),
    ] {
        let header = carat_types::header::Header { outcomes_root, ..header.clone() };
        let execution = Execution::Again { transactions: &[], signatures: &Ed25519, delta };
        let block = ExecutedBlock { header: &header, execution };
        let error = indexer.index(&block).expect_err("another outcome");
        assert!(matches!(error, HistoryError::Diverged { what: seen, .. } if seen == what), "{error}");
        assert_eq!(chain.history.position().expect("a sound index"), before, "nothing was written");
    }
}

#[test]
fn effects_of_accounts_are_together_all_effects() {
    let chain = market_chain();
    let of = |scope, order| chain.history.effects(scope, whole(order)).expect("a sound index");
    let all = of(Scope::All, Order::Ascending);
    assert!(all.len() > 70, "{}", all.len());
    let mut parts: Vec<_> = (0..=5)
        .map(|number| if number == 0 { chain.root.public() } else { key(number).public() })
        .flat_map(|account| of(Scope::Account(account), Order::Ascending))
        .collect();
    parts.sort_by_key(|effect| effect.id);
    assert_eq!(parts, all);
    let mut back = of(Scope::All, Order::Descending);
    back.reverse();
    assert_eq!(back, all);
    let pool = Digest(market::pool_id().0.0);
    let pools: Vec<_> = all.into_iter().filter(|effect| effect.effect.kind.pool().is_some()).collect();
    assert_eq!(of(Scope::Pool(pool), Order::Ascending), pools);
    assert_eq!(pools.len(), 4, "created, deposited, withdrew, traded");
}

#[test]
fn effects_page_within_an_operation_in_both_directions() {
    let chain = market_chain();
    let all: Vec<PartId> = chain
        .history
        .effects(Scope::All, whole(Order::Ascending))
        .expect("sound")
        .iter()
        .map(|it| it.id)
        .collect();
    for scope in [Scope::All, Scope::Account(key(2).public())] {
        for order in [Order::Ascending, Order::Descending] {
            let expected: Vec<PartId> = chain
                .history
                .effects(scope, whole(order))
                .expect("sound")
                .iter()
                .map(|effect| effect.id)
                .collect();
            for limit in [1, 2, 7] {
                let (mut walked, mut cursor) = (Vec::new(), None);
                loop {
                    let page =
                        chain.history.effects(scope, PageQuery { cursor, order, limit }).expect("sound");
                    let Some(last) = page.last() else { break };
                    cursor = Some(last.id);
                    walked.extend(page.iter().map(|effect| effect.id));
                    assert!(walked.len() <= all.len(), "pages overlap");
                }
                assert_eq!(walked, expected, "{scope:?} {order:?} {limit}");
            }
        }
    }
}

#[test]
fn trades_are_listed_for_both_sides_the_pair_the_offer_and_the_pool() {
    let chain = market_chain();
    let of = |filter: &TradeFilter, kind| {
        chain.history.trades(filter, kind, whole(Order::Ascending)).expect("a sound index")
    };
    let all = of(&TradeFilter::All, TradeKind::All);
    let shown: Vec<String> = all
        .iter()
        .map(|record| {
            let trade = &record.trade;
            let maker = match &trade.maker {
                Maker::Offer { seller, .. } => format!("{:?}", number_of(seller).expect("a trader")),
                Maker::Pool { fee_bp, .. } => format!("pool at {fee_bp}"),
            };
            let asset = |asset: &Asset| carat_types::builder::asset::format(asset)[..3].to_owned();
            let ((sold, given), (bought, got)) = (&trade.sold, &trade.bought);
            let taker = number_of(&trade.taker).expect("a trader");
            format!("{taker} takes {given} {} of {maker} for {got} {}", asset(sold), asset(bought))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "2 takes 500000000 EUR of 3 for 550000000 USD",
            "2 takes 100000000 EUR of 3 for 110000000 USD",
            "2 takes 50000000 EUR of 3 for 55000000 USD",
            "2 takes 9860764 EUR of pool at 30 for 10000000 USD",
        ]
    );
    assert_eq!(all.iter().map(|record| record.trade.price).collect::<Vec<_>>()[..3], [(11, 10); 3]);
    let Maker::Offer { id, .. } = all[0].trade.maker else { panic!("an offer") };
    let pool = Digest(market::pool_id().0.0);
    for (filter, expected) in [
        (TradeFilter::Account(key(2).public()), 4),
        (TradeFilter::Account(key(3).public()), 3),
        (TradeFilter::Account(key(1).public()), 0),
        (TradeFilter::Offer(id), 3),
        (TradeFilter::Pool(pool), 1),
        (TradeFilter::Pair(eur(), usd()), 4),
        (TradeFilter::Pair(usd(), eur()), 4),
        (TradeFilter::Pair(usd(), Asset::Native), 0),
    ] {
        assert_eq!(of(&filter, TradeKind::All).len(), expected, "{filter:?}");
    }
    assert_eq!(of(&TradeFilter::All, TradeKind::OrderBook).len(), 3);
    assert_eq!(of(&TradeFilter::All, TradeKind::Pool).len(), 1);
}

#[test]
fn candles_add_up_what_was_traded_in_their_span() {
    let chain = market_chain();
    let trades =
        chain.history.trades(&TradeFilter::Pair(eur(), usd()), TradeKind::All, whole(Order::Ascending));
    let trades = trades.expect("a sound index");
    for (base, counter) in [(eur(), usd()), (usd(), eur())] {
        for minutes in [1, 5, 60] {
            let span = minutes * 60_000;
            let mut naive: BTreeMap<u64, Candle> = BTreeMap::new();
            for record in &trades {
                let trade = &record.trade;
                let candle = Candle::of_trade(trade.sold.1, trade.bought.1, trade.price);
                let candle = if trade.sold.0 == base { candle } else { candle.inverted() };
                let start = record.time_ms / span * span;
                let sum = naive.get(&start).map_or(candle, |sum| sum.then(candle));
                naive.insert(start, sum);
            }
            let query = |order, limit| CandleQuery {
                base: base.clone(),
                counter: counter.clone(),
                start_ms: 0,
                end_ms: GENESIS_MS * 2,
                span_ms: span,
                offset_ms: 0,
                order,
                limit,
            };
            let candles = |order, limit| chain.history.candles(&query(order, limit)).expect("a sound index");
            assert_eq!(candles(Order::Ascending, 100), naive.clone().into_iter().collect::<Vec<_>>());
            assert_eq!(candles(Order::Descending, 100), naive.clone().into_iter().rev().collect::<Vec<_>>());
            assert_eq!(
                candles(Order::Descending, 1).first(),
                naive.iter().next_back().map(|(a, b)| (*a, *b)).as_ref()
            );
        }
    }
}

#[test]
fn candle_has_first_last_highest_and_lowest_price() {
    let one = |price| Candle::of_trade(2, 3, price);
    let sum = one((3, 2)).then(one((2, 1))).then(one((1, 1))).then(one((5, 4)));
    assert_eq!((sum.open, sum.close, sum.high, sum.low), ((3, 2), (5, 4), (2, 1), (1, 1)));
    assert_eq!((sum.trades, sum.base_volume, sum.counter_volume), (4, 8, 12));
    let turned = sum.inverted();
    assert_eq!((turned.high, turned.low, turned.base_volume), ((1, 1), (1, 2), 12));
    assert_eq!(turned.inverted(), sum);
    assert_eq!(Candle::from_stored(&sum.to_stored()).expect("its own bytes"), sum);
}

#[test]
fn assets_are_listed_with_what_is_held_of_them() {
    let chain = market_chain();
    let list = |filter: AssetFilter, order| {
        let records = chain.history.assets(&filter, whole(order)).expect("a sound index");
        records.into_iter().map(|record| (record.asset, record.stats)).collect::<Vec<_>>()
    };
    let all = list(AssetFilter::default(), Order::Ascending);
    assert_eq!(all.iter().map(|(asset, _)| asset.clone()).collect::<Vec<_>>(), [eur(), usd()]);
    let issued = |stats: &AssetStats| {
        stats.authorized.amount
            + stats.maintaining.amount
            + stats.unauthorized.amount
            + stats.claimable.amount
            + stats.pools.amount
    };
    let coins = |coins: i64| i128::from(coins * COIN);
    assert_eq!(issued(&all[0].1), coins(1_000), "EUR: what 1 issued");
    assert_eq!(issued(&all[1].1), coins(1_499) - 8, "USD: but for what was clawed back");
    assert_eq!((all[1].1.authorized.count, all[1].1.claimable.count, all[1].1.pools.count), (2, 0, 1));
    let of_code = AssetFilter { code: Some(b"USD".to_vec()), ..AssetFilter::default() };
    assert_eq!(list(of_code, Order::Descending), all[1..]);
    let of_issuer = AssetFilter { issuer: Some(key(2).public()), ..AssetFilter::default() };
    assert_eq!(list(of_issuer, Order::Ascending), []);
}

#[test]
fn entries_of_the_present_are_found_by_what_they_have_in_common() {
    let chain = market_chain();
    let history = &chain.history;
    let offers = |filter: OfferFilter| history.offers(&filter, whole(Order::Ascending)).expect("sound").len();
    let of = |number: u8| Some(key(number).public());
    assert_eq!(offers(OfferFilter::default()), 4);
    assert_eq!(offers(OfferFilter { sponsor: of(2), ..OfferFilter::default() }), 1);
    assert_eq!(offers(OfferFilter { seller: of(2), ..OfferFilter::default() }), 2);
    assert_eq!(offers(OfferFilter { selling: Some(eur()), ..OfferFilter::default() }), 1);
    assert_eq!(offers(OfferFilter { buying: Some(usd()), ..OfferFilter::default() }), 2);
    assert_eq!(offers(OfferFilter { seller: of(2), selling: Some(eur()), ..OfferFilter::default() }), 0);
    let balances =
        |filter: BalanceFilter| history.balances(&filter, whole(Order::Ascending)).expect("sound").len();
    assert_eq!(balances(BalanceFilter::default()), 1);
    assert_eq!(balances(BalanceFilter { claimant: of(3), ..BalanceFilter::default() }), 1);
    assert_eq!(balances(BalanceFilter { claimant: of(2), ..BalanceFilter::default() }), 0);
    assert_eq!(balances(BalanceFilter { sponsor: of(2), ..BalanceFilter::default() }), 1);
    assert_eq!(balances(BalanceFilter { asset: Some(usd()), ..BalanceFilter::default() }), 0);
    let accounts = |filter: AccountFilter| {
        let states = history.accounts(&filter, whole(Order::Ascending)).expect("sound").into_iter();
        let ids = states.filter_map(|state| match state.account.data {
            stellar_xdr::LedgerEntryData::Account(account) => number_of(&(&account.account_id).into()),
            _ => None,
        });
        let mut ids: Vec<u8> = ids.collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(accounts(AccountFilter::Asset(usd())), [2, 3]);
    assert_eq!(accounts(AccountFilter::Pool(Digest(market::pool_id().0.0))), [3]);
    assert_eq!(accounts(AccountFilter::Sponsor(key(2).public())), [4]);
    let signer = stellar_xdr::SignerKey::HashX(stellar_xdr::Uint256([7; 32]));
    assert_eq!(accounts(AccountFilter::Signer(signer)), [4]);
    let pools = |reserves: &[Asset]| history.pools(reserves, whole(Order::Ascending)).expect("sound").len();
    assert_eq!((pools(&[]), pools(&[eur()]), pools(&[usd(), eur()]), pools(&[Asset::Native])), (1, 1, 1, 0));
    let with =
        |number: u8| history.pools_with(&key(number).public(), whole(Order::Ascending)).expect("sound").len();
    assert_eq!((with(3), with(2)), (1, 0));
}
