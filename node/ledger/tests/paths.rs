//! Path finding against brute force: every sequence of assets is paid for real, and what it led to compared.

mod support;

use std::cell::Cell;
use std::collections::BTreeMap;

use carat_ledger::path::{Bounds, Found, Holding, Path, holdings, strict_receive, strict_send};
use carat_ledger::state::EntryBytes;
use carat_ledger::{MemoryState, StateError, StateRead};
use proptest::prelude::*;
use stellar_xdr::{
    ClaimAtom, OperationBody, OperationResult, OperationResultTr, PathPaymentStrictReceiveResult,
    PathPaymentStrictSendResult, TransactionResultResult,
};
use support::*;

const ASSETS: [&str; 5] = ["native", "EUR:anchor", "GBP:anchor", "SILVER:anchor", "USD:anchor"];
/// As far as the brute force goes.
const BOUNDS: Bounds = Bounds { hops: 4, work: usize::MAX, paths_per_asset: usize::MAX };

/// A payer and a payee who can hold everything, and makers without offers yet.
fn world() -> World {
    let mut world = World::new().account("anchor", 100_000);
    for name in ["payer", "payee", "x", "y"] {
        world = world.account(name, 10_000_000);
        for of in &ASSETS[1..] {
            world = world.line(name, of, 500_000);
        }
    }
    world
}

#[derive(Clone, Debug)]
struct Market {
    offers: Vec<Offered>,
    pools: Vec<Pooled>,
}

/// Seller, sold asset, step to the bought one, amount, price.
type Offered = (bool, usize, usize, i64, (i32, i32));
/// Asset, step to the other, reserves.
type Pooled = (usize, usize, i64, i64);

fn markets() -> impl Strategy<Value = Market> {
    let assets = || (0..ASSETS.len(), 1..ASSETS.len());
    let offer = (any::<bool>(), assets(), 1_i64..400, (1_i32..9, 1_i32..9))
        .prop_map(|(seller, (selling, step), amount, price)| (seller, selling, step, amount, price));
    let pool =
        (assets(), 50_i64..900, 50_i64..900).prop_map(|((a, step), first, second)| (a, step, first, second));
    (prop::collection::vec(offer, 0..24), prop::collection::vec(pool, 0..3))
        .prop_map(|(offers, pools)| Market { offers, pools })
}

/// The world with these offers and pools, as far as they can be made.
fn with(market: &Market) -> World {
    let mut world = world();
    let mut used = BTreeMap::new();
    let mut acts: Vec<(&str, OperationBody)> = Vec::new();
    for (seller, selling, step, amount, price) in &market.offers {
        let buying = ASSETS[(selling + step) % ASSETS.len()];
        acts.push((if *seller { "x" } else { "y" }, sell(0, *amount, ASSETS[*selling], buying, *price)));
    }
    for (a, step, first, second) in &market.pools {
        let (mut a, mut b) = (ASSETS[*a], ASSETS[(a + step) % ASSETS.len()]);
        if asset(a) > asset(b) {
            (a, b) = (b, a);
        }
        acts.push(("anchor", join(a, b, i64::MAX)));
        acts.push(("anchor", deposit(pool(a, b), (*first, *second), (1, 1_000), (1_000, 1))));
    }
    for (who, act) in acts {
        let sequence = used.entry(who).or_insert(0);
        *sequence += 1;
        let outcome = world.apply(&[tx(who).seq(*sequence).op(act)]);
        world.state.apply(&outcome.delta);
    }
    world
}

/// All sequences of distinct assets with at most four hops.
fn all_paths() -> Vec<Vec<&'static str>> {
    let mut all: Vec<Vec<&str>> = ASSETS.iter().map(|asset| vec![*asset]).collect();
    let mut from = 0;
    for _ in 0..BOUNDS.hops {
        let to = all.len();
        for index in from..to {
            for next in ASSETS {
                if !all[index].contains(&next) {
                    let longer = [all[index].as_slice(), &[next]].concat();
                    all.push(longer);
                }
            }
        }
        from = to;
    }
    all
}

/// What a path payment delivers, if what is sent is fixed, or takes, if not; none if it fails.
fn paid(world: &World, path: &[&str], op: OperationBody) -> Option<i64> {
    let outcome = world.apply(&[tx("payer").op(op)]);
    let TransactionResultResult::TxSuccess(results) = &outcome.applied.first()?.result.result else {
        return None;
    };
    let OperationResult::OpInner(result) = results.first()? else { return None };
    match result {
        OperationResultTr::PathPaymentStrictSend(PathPaymentStrictSendResult::Success(done)) => {
            Some(done.last.amount)
        }
        OperationResultTr::PathPaymentStrictReceive(PathPaymentStrictReceiveResult::Success(done)) => {
            let sent = asset(path[0]);
            let of_first_hop = done.offers.iter().filter_map(|claim| match claim {
                ClaimAtom::OrderBook(claim) => (claim.asset_bought == sent).then_some(claim.amount_bought),
                ClaimAtom::LiquidityPool(claim) => {
                    (claim.asset_bought == sent).then_some(claim.amount_bought)
                }
                ClaimAtom::V0(_) => None,
            });
            Some(if path.len() == 1 { done.last.amount } else { of_first_hop.sum() })
        }
        _ => None,
    }
}

fn path_of(names: &[&str], sent: i64, received: i64) -> Path {
    Path { assets: names.iter().map(|name| asset(name)).collect(), sent, received }
}

/// The assets that the operation names: both ends, even if they are the same.
fn operands<'a>(path: &[&'a str]) -> Vec<&'a str> {
    if path.len() == 1 { vec![path[0], path[0]] } else { path.to_vec() }
}

/// Sorted as the search promises.
fn sorted(mut paths: Vec<Path>, sends: bool) -> Vec<Path> {
    paths.sort_by_key(|path| {
        let (end, merit) = match sends {
            true => (path.assets.last().cloned(), -path.received),
            false => (path.assets.first().cloned(), path.sent),
        };
        (end, merit, path.assets.len(), path.assets.clone())
    });
    paths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn sending_finds_what_brute_force_finds(market in markets(), source in 0..ASSETS.len(), amount in 1_i64..300) {
        let world = with(&market);
        let expected: Vec<Path> = all_paths()
            .into_iter()
            .filter(|path| path[0] == ASSETS[source])
            .filter_map(|path| {
                let op = spend("payee", amount, 1, &operands(&path));
                Some(path_of(&path, amount, paid(&world, &path, op)?))
            })
            .collect();
        let ends = ASSETS.map(asset);
        let found = strict_send(&world.state, &ends[source], amount, &ends, &BOUNDS).expect("readable");
        prop_assert_eq!(found, Found { paths: sorted(expected, true), complete: true });
    }

    #[test]
    fn receiving_finds_what_brute_force_finds(market in markets(), end in 0..ASSETS.len(), amount in 1_i64..300) {
        let world = with(&market);
        let expected: Vec<Path> = all_paths()
            .into_iter()
            .filter(|path| path.last() == Some(&ASSETS[end]))
            .filter_map(|path| {
                let op = deliver("payee", amount, i64::MAX, &operands(&path));
                Some(path_of(&path, paid(&world, &path, op)?, amount))
            })
            .collect();
        let sources = ASSETS.map(|name| (asset(name), i64::MAX));
        let payer = id("payer");
        let found =
            strict_receive(&world.state, Some(&payer), &sources, &asset(ASSETS[end]), amount, &BOUNDS);
        prop_assert_eq!(found.expect("readable"), Found { paths: sorted(expected, false), complete: true });
    }

    #[test]
    fn less_work_finds_less_and_says_so(market in markets(), amount in 1_i64..300, work in 0_usize..120) {
        let world = with(&market);
        let ends = ASSETS.map(asset);
        let all = strict_send(&world.state, &ends[0], amount, &ends, &BOUNDS).expect("readable").paths;
        let bounds = Bounds { work, ..BOUNDS };
        let found = strict_send(&world.state, &ends[0], amount, &ends, &bounds).expect("readable");
        prop_assert!(found.paths.iter().all(|path| all.contains(path)), "{:?}", found);
        prop_assert!(!found.complete || found.paths == all, "{:?}", found);
        let again = strict_send(&world.state, &ends[0], amount, &ends, &bounds).expect("readable");
        prop_assert_eq!(again, found);
    }
}

/// Dollars for euros over the book, and cheaper over pounds.
fn two_ways() -> World {
    let market = Market {
        offers: vec![(true, 4, 2, 400, (3, 1)), (true, 2, 4, 400, (1, 1)), (false, 4, 3, 400, (2, 1))],
        pools: Vec::new(),
    };
    with(&market)
}

#[test]
fn best_path_comes_first_and_the_rest_is_cut() {
    let (euro, dollar) = (asset("EUR:anchor"), asset("USD:anchor"));
    let world = two_ways();
    let direct = path_of(&["EUR:anchor", "USD:anchor"], 60, 20);
    let over_pounds = path_of(&["EUR:anchor", "GBP:anchor", "USD:anchor"], 60, 30);
    let ask = |bounds: &Bounds| {
        let found = strict_send(&world.state, &euro, 60, std::slice::from_ref(&dollar), bounds);
        found.expect("readable")
    };
    assert_eq!(ask(&BOUNDS), Found { paths: vec![over_pounds.clone(), direct.clone()], complete: true });
    assert_eq!(ask(&Bounds { paths_per_asset: 1, ..BOUNDS }).paths, [over_pounds]);
    assert_eq!(ask(&Bounds { hops: 1, ..BOUNDS }).paths, [direct]);
    assert_eq!(ask(&Bounds { hops: 0, ..BOUNDS }).paths, []);
    assert_eq!(ask(&Bounds { work: 0, ..BOUNDS }), Found { paths: Vec::new(), complete: false });
}

#[test]
fn payer_s_own_offers_and_means_leave_paths_out() {
    let (euro, dollar) = (asset("EUR:anchor"), asset("USD:anchor"));
    let world = two_ways();
    let ask = |payer: Option<&str>, most: i64| {
        let payer = payer.map(id);
        let sources = [(euro.clone(), most)];
        let found = strict_receive(&world.state, payer.as_ref(), &sources, &dollar, 30, &BOUNDS);
        found.expect("readable").paths
    };
    let over_pounds = path_of(&["EUR:anchor", "GBP:anchor", "USD:anchor"], 60, 30);
    let direct = path_of(&["EUR:anchor", "USD:anchor"], 90, 30);
    assert_eq!(ask(None, 59), []);
    assert_eq!(ask(None, 60), std::slice::from_ref(&over_pounds));
    assert_eq!(ask(None, 89), std::slice::from_ref(&over_pounds));
    assert_eq!(ask(None, 90), [over_pounds, direct.clone()]);
    // X made the direct offer and one of the two others, Y the third.
    assert_eq!(ask(Some("y"), 90), [direct]);
    assert_eq!(ask(Some("x"), 90), []);
}

#[test]
fn holdings_are_what_an_account_may_pay_with() {
    let world = World::new()
        .account("anchor", 1_000)
        .holder("alice", "EUR:anchor", 50)
        .line_with("alice", "GBP:anchor", 50, |line| line.flags = 2)
        .line("alice", "USD:anchor", 70)
        .after(&[tx("alice").op(sell(0, 20, "USD:anchor", "native", (1, 1)))]);
    let held = |name: &str, available| Holding { asset: asset(name), available };
    let found = holdings(&world.state, &id("alice")).expect("readable");
    // 10,000 less a fee, and six reserves.
    assert_eq!(found, [held("native", 9_840), held("EUR:anchor", 50), held("USD:anchor", 50)]);
    assert_eq!(holdings(&world.state, &id("nobody")).expect("readable"), []);
    assert_eq!(holdings(&world.state, &id("anchor")).expect("readable"), [held("native", 980)]);
}

/// Counts the entries that are read.
struct Counting<'a>(&'a MemoryState, Cell<usize>);

impl StateRead for Counting<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.1.set(self.1.get() + 1);
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError> {
        let found = self.0.scan(prefix, after, limit)?;
        self.1.set(self.1.get() + found.len() + 1);
        Ok(found)
    }
}

#[test]
fn search_in_a_market_where_everything_trades_for_everything_reads_no_more_than_its_bound_allows() {
    let mut world = World::new().account("anchor", 100_000);
    let names: Vec<String> = (0..24).map(|number| format!("A{number:02}:anchor")).collect();
    let pairs = names.iter().flat_map(|a| names.iter().map(move |b| (a, b))).filter(|(a, b)| a != b);
    // Eighty offers a transaction; the issuer has no lines and no bounds.
    let offers: Vec<OperationBody> = pairs.map(|(a, b)| sell(0, 1_000, a, b, (11, 10))).collect();
    world = world.with("anchor", |account| account.balance = 1_000_000);
    for (number, offers) in (1..).zip(offers.chunks(80)) {
        let transaction = offers.iter().fold(tx("anchor").seq(number), |tx, offer| tx.op(offer.clone()));
        world.state.apply(&world.apply(&[transaction]).delta);
    }
    let ends: Vec<_> = names.iter().map(|name| asset(name)).collect();
    let mut before = 0;
    for work in [60, 550, 10_000] {
        let state = Counting(&world.state, Cell::new(0));
        let bounds = Bounds { hops: 5, work, paths_per_asset: 5 };
        let found = strict_send(&state, &ends[0], 50, &ends[1..2], &bounds).expect("readable");
        assert!(!found.complete, "there are 175,560 paths of five hops");
        // What was read once stands in the overlay: more work reads less than as much more.
        let read = state.1.get();
        assert!(read > before && read <= 3 * work, "{read} entries for work of {work}");
        // Where looking at all the books would take more work than there is, some is kept for using them.
        assert!((1..=5).contains(&found.paths.len()), "{work}: {found:?}");
        assert!(found.paths.windows(2).all(|two| two[0].received >= two[1].received));
        before = read;
    }
}
