//! Random markets: offers, path payments and pools against a second market that shares no code with the first.

#[path = "oracle/crossing.rs"]
mod oracle;
mod support;

use std::collections::BTreeMap;

use carat_ledger::exchange::{Exchange, Limits, Rounding, exchange};
use carat_ledger::{StateKey, StateValue};
use oracle::{Account, COIN, Exact, FEE, Line, Manage, Market, Mode, Offer, Pay, Size};
use proptest::prelude::*;
use stellar_xdr::{
    AccountEntry, Asset, LedgerEntry, LedgerEntryData, LiquidityPoolEntryBody, Price, TrustLineAsset,
};
use support::*;

const NAMES: [&str; 5] = ["anchor", "a", "b", "c", "poor"];
const ASSETS: [&str; 4] = ["native", "EUR:anchor", "GBP:anchor", "USD:anchor"];

/// An operation before it is known which offers there are.
#[derive(Clone, Debug)]
enum Plan {
    /// With a pick among the offers of the moment, if it is not a new one.
    Manage(Manage, Option<prop::sample::Index>),
    Pay(Pay),
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1_i64..200, 3 => 1_i64..3_000, 1 => prop::sample::select(vec![i64::MAX, i64::MAX / 3, 1 << 40])]
}

fn prices() -> impl Strategy<Value = (i32, i32)> {
    // The last two differ, but not as quotients of doubles.
    let odd = vec![(1, i32::MAX), (i32::MAX, 1), (i32::MAX, i32::MAX - 1), (i32::MAX - 1, i32::MAX - 2)];
    prop_oneof![8 => (1_i32..8, 1_i32..8), 2 => (90_i32..110, 90_i32..110), 1 => prop::sample::select(odd)]
}

fn pairs() -> impl Strategy<Value = (usize, usize)> {
    (0..ASSETS.len(), 1..ASSETS.len()).prop_map(|(first, step)| (first, (first + step) % ASSETS.len()))
}

fn managing() -> impl Strategy<Value = Plan> {
    let id = prop::option::weighted(0.25, any::<prop::sample::Index>());
    (0..NAMES.len(), pairs(), amounts(), prices(), 0_u8..8, id).prop_map(
        |(who, (selling, buying), amount, price, kind, id)| {
            let size = match kind {
                0..4 => Size::Sells(amount),
                4..6 => Size::Buys(amount),
                // Deletion, of an offer that is there.
                6 if id.is_some() => Size::Sells(0),
                _ => Size::Sells(amount),
            };
            let passive = kind == 7 && id.is_none();
            Plan::Manage(Manage { who, id: 0, selling, buying, size, price, passive }, id)
        },
    )
}

fn paying() -> impl Strategy<Value = Plan> {
    let path = prop::collection::vec(0..ASSETS.len(), 2..5);
    (0..NAMES.len(), 0..NAMES.len(), path, amounts(), amounts(), any::<bool>()).prop_map(
        |(who, to, path, amount, bound, receives)| {
            let exact = match receives {
                true => Exact::Receive { amount, send_max: bound.saturating_mul(4) },
                false => Exact::Send { amount, receive_min: bound / 8 + 1 },
            };
            Plan::Pay(Pay { who, to, path, exact })
        },
    )
}

fn plans() -> impl Strategy<Value = Plan> {
    prop_oneof![3 => managing(), 1 => paying()]
}

fn body(plan: &Plan) -> (usize, stellar_xdr::OperationBody) {
    match plan {
        Plan::Manage(op, _) => {
            let (selling, buying) = (ASSETS[op.selling], ASSETS[op.buying]);
            let body = match op.size {
                Size::Sells(amount) if op.passive => passive(amount, selling, buying, op.price),
                Size::Sells(amount) => sell(op.id, amount, selling, buying, op.price),
                Size::Buys(amount) => buy(op.id, amount, buying, selling, op.price),
            };
            (op.who, body)
        }
        Plan::Pay(op) => {
            let path: Vec<&str> = op.path.iter().map(|asset| ASSETS[*asset]).collect();
            let body = match op.exact {
                Exact::Receive { amount, send_max } => deliver(NAMES[op.to], amount, send_max, &path),
                Exact::Send { amount, receive_min } => spend(NAMES[op.to], amount, receive_min, &path),
            };
            (op.who, body)
        }
    }
}

/// Everybody can trade, within limits; one is short of coins, one may only keep offers in one asset.
fn world() -> World {
    let mut world = World::new().account("anchor", 100_000);
    for (name, coins) in [("a", 50_000), ("b", 50_000), ("c", 50_000), ("poor", 3_000)] {
        world = world.account(name, coins);
        for of in &ASSETS[1..] {
            if (name, *of) != ("c", "USD:anchor") {
                world = world.line_with(name, of, 2_000, |line| line.limit = 4_000);
            }
        }
    }
    let deposits = [("EUR:anchor", "GBP:anchor", (900, 700)), ("native", "USD:anchor", (500, 500))];
    let deposits = deposits.map(|(a, b, amounts)| {
        tx("anchor").op(join(a, b, 10_000)).op(deposit(pool(a, b), amounts, (1, 1_000), (1_000, 1)))
    });
    world.flag_line("b", "GBP:anchor", 2).after(&deposits)
}

/// What the second market would be of a state.
fn market(world: &World) -> Market {
    let number = |asset: &Asset| {
        ASSETS.iter().position(|name| support::asset(name) == *asset).expect("one of the assets")
    };
    let account_number =
        |of: &stellar_xdr::AccountId| NAMES.iter().position(|name| account_id(name) == *of).expect("known");
    let nobody = Account { coins: 0, lines: BTreeMap::new(), other_reserves: 0 };
    let mut market = Market {
        accounts: vec![nobody; NAMES.len()],
        offers: BTreeMap::new(),
        pools: BTreeMap::new(),
        ids_used: i64::try_from(world.totals().id_pool).expect("few"),
    };
    for (key, value) in world.state.entries() {
        let key = StateKey::from_bytes(key).expect("our key");
        let Ok(StateValue::Ledger(LedgerEntry { data, .. })) = StateValue::from_bytes(&key, value) else {
            continue;
        };
        match data {
            LedgerEntryData::Account(AccountEntry { account_id, balance, .. }) => {
                market.accounts[account_number(&account_id)].coins = balance;
            }
            LedgerEntryData::Trustline(line) => {
                let account = &mut market.accounts[account_number(&line.account_id)];
                match &line.asset {
                    TrustLineAsset::CreditAlphanum4(code) => {
                        let asset = number(&Asset::CreditAlphanum4(code.clone()));
                        let (balance, limit, flags) = (line.balance, line.limit, line.flags);
                        account.lines.insert(asset, Line { balance, limit, flags });
                    }
                    _ => account.other_reserves += 2,
                }
            }
            LedgerEntryData::Offer(offer) => {
                let Price { n, d } = offer.price;
                let (seller, passive) = (account_number(&offer.seller_id), offer.flags == 1);
                let (selling, buying) = (number(&offer.selling), number(&offer.buying));
                let offer =
                    (offer.offer_id, Offer { seller, selling, buying, n, d, amount: offer.amount, passive });
                market.offers.extend([offer]);
            }
            LedgerEntryData::LiquidityPool(pool) => {
                let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(pool) = pool.body;
                let pair = (number(&pool.params.asset_a), number(&pool.params.asset_b));
                market.pools.insert(pair, (pool.reserve_a, pool.reserve_b));
            }
            other => panic!("{other:?}"),
        }
    }
    market
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn market_and_oracle_agree_after_every_operation(plans in prop::collection::vec(plans(), 1..60)) {
        let mut world = world();
        let mut model = market(&world);
        let mut used = [0; NAMES.len()];
        for (number, mut plan) in plans.into_iter().enumerate() {
            if let Plan::Manage(op, Some(pick)) = &mut plan {
                let ids: Vec<i64> = model.offers.keys().copied().collect();
                op.id = if ids.is_empty() { 77 } else { ids[pick.index(ids.len())] };
                // Mostly one's own.
                if let (Some(offer), true) = (model.offers.get(&op.id), number % 5 != 0) {
                    op.who = offer.seller;
                }
            }
            let (who, body) = body(&plan);
            if model.spendable_coins(who) < i128::from(FEE) {
                continue;
            }
            let words = match &plan {
                Plan::Manage(op, _) => model.manage(op),
                Plan::Pay(op) => model.pay(op),
            };
            used[who] += 1;
            let outcome = world.apply(&[tx(NAMES[who]).seq(used[who]).op(body)]);
            prop_assert_eq!(outcome.applied.len(), 1, "{:?}: {:?}", plan, outcome.dropped.first());
            prop_assert_eq!(in_words(&outcome.applied[0].result), words, "{:?}", plan);
            world.state.apply(&outcome.delta);
            prop_assert_eq!(&market(&world), &model, "{:?}", plan);
        }
        world.assert_sound("after a random market");
    }

    #[test]
    fn exchange_and_oracle_agree(
        price in prices(),
        limits in [amounts(), amounts(), amounts(), amounts()],
        rounding in prop::sample::select(vec![Rounding::Normal, Rounding::StrictReceive, Rounding::StrictSend]),
    ) {
        let [wheat_send, wheat_receive, sheep_send, sheep_receive] = limits;
        let mode = match rounding {
            Rounding::Normal => Mode::Offer,
            Rounding::StrictReceive => Mode::Receive,
            Rounding::StrictSend => Mode::Send,
        };
        let wheat_receive = if mode == Mode::Send { i64::MAX } else { wheat_receive };
        let sheep_send = if mode == Mode::Receive { i64::MAX } else { sheep_send };
        let limits = Limits { wheat_send, wheat_receive, sheep_send, sheep_receive };
        // Neither side of an offer that is in a book rounds to nothing.
        prop_assume!(mode == Mode::Offer || {
            let adjusted = carat_ledger::exchange::adjust(&Price { n: price.0, d: price.1 }, wheat_send, sheep_receive);
            adjusted == Ok(wheat_send)
        });
        let expected = oracle::exchange(mode, price, (wheat_send, wheat_receive), (sheep_send, sheep_receive));
        let Exchange { wheat, sheep, wheat_stays } =
            exchange(&Price { n: price.0, d: price.1 }, &limits, rounding).expect("in range");
        prop_assert_eq!((wheat, sheep, wheat_stays), expected);
    }
}

#[test]
fn oracle_has_the_recorded_amounts() {
    let folder = std::env::var_os("CARAT_VECTORS").map_or_else(
        || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")),
        std::path::PathBuf::from,
    );
    // `tests/exchange.rs` says so if they are not here.
    let Ok(vectors) = std::fs::read_to_string(folder.join("exchange.json")) else { return };
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&vectors).expect("a list");
    assert_eq!(vectors.len(), 24);
    for vector in vectors {
        let number = |name: &str| vector[name].as_i64().expect("a number");
        let part = |index: usize| vector["price"][index].as_i64().and_then(|part| i32::try_from(part).ok());
        let mode = match vector["rounding"].as_str() {
            Some("normal") => Mode::Offer,
            Some("strict_receive") => Mode::Receive,
            _ => Mode::Send,
        };
        let wheat_max = (number("max_wheat_send"), number("max_wheat_receive"));
        let sheep_max = (number("max_sheep_send"), number("max_sheep_receive"));
        let price = (part(0).expect("a numerator"), part(1).expect("a denominator"));
        let (wheat, sheep, _) = oracle::exchange(mode, price, wheat_max, sheep_max);
        assert_eq!((wheat, sheep), (number("wheat_received"), number("sheep_sent")), "{vector}");
    }
}

#[test]
fn quotients_that_cannot_be_told_apart_go_by_age_in_both_markets() {
    let near = [(i32::MAX - 1, i32::MAX - 2), (i32::MAX, i32::MAX - 1)];
    assert!(
        near[1].0 as i64 * (near[0].1 as i64) < near[0].0 as i64 * (near[1].1 as i64),
        "the later is lower"
    );
    let mut world = world();
    let mut model = market(&world);
    let plans = near.map(|price| Manage {
        who: 1,
        id: 0,
        selling: 1,
        buying: COIN,
        size: Size::Sells(10),
        price,
        passive: false,
    });
    let taker = Manage { who: 2, selling: COIN, buying: 1, price: (1, 1), ..plans[0].clone() };
    let taker = Manage { size: Size::Sells(15), price: (1, 2), ..taker };
    for plan in plans.into_iter().chain([taker]) {
        let words = model.manage(&plan);
        let (who, body) = body(&Plan::Manage(plan, None));
        let outcome = world.apply(&[tx(NAMES[who]).op(body)]);
        assert_eq!(in_words(&outcome.applied[0].result), words);
        world.state.apply(&outcome.delta);
        world = world.sequence(NAMES[who], SEQUENCE);
    }
    assert_eq!(market(&world), model);
    assert!(!model.offers.contains_key(&1) && model.offers.contains_key(&2), "{model:?}");
}
