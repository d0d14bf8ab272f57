//! Rows of the three kinds of offers.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

const EUR: &str = "EUR:anchor";
const NATIVE: &str = "native";

/// Alice and Bob hold coins and euros; the anchor's account exists.
pub(super) fn market() -> World {
    World::new().account("anchor", 10_000).holder("alice", EUR, 1_000).holder("bob", EUR, 1_000)
}

pub(super) fn table() -> Vec<Case> {
    let mut rows = [selling(), buying(), passive_ones(), work()].into_iter().flatten().collect::<Vec<_>>();
    rows.extend(failures("ManageSellOffer", |id, amount, sold, bought, at| {
        sell(id, amount, sold, bought, at)
    }));
    rows.extend(failures("ManageBuyOffer", |id, amount, sold, bought, (n, d)| {
        buy(id, amount, bought, sold, (d, n))
    }));
    rows
}

/// Text for a table that is made by a loop.
fn lasting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// The codes that selling and buying have in common. The price is in what is bought for one of what is sold.
fn failures(kind: &str, op: fn(i64, i64, &str, &str, (i32, i32)) -> OperationBody) -> Vec<Case> {
    let holds = |flags: u32, balance: i64, limit: i64| {
        World::new().account("anchor", 10_000).account("alice", 10_000).line_with(
            "alice",
            EUR,
            balance,
            |line| {
                (line.flags, line.limit) = (flags, limit);
            },
        )
    };
    let poor = World::new().account("anchor", 10_000).account("alice", 130).line("alice", EUR, 50);
    let own = market().after(&[tx("alice").op(sell(0, 10, NATIVE, EUR, (1, 1)))]);
    let none = || World::new().account("anchor", 10_000).account("alice", 10_000);
    let table = [
        ("amount_below_0", market(), op(0, -1, EUR, NATIVE, (1, 1)), "Malformed"),
        ("nothing_new", market(), op(0, 0, EUR, NATIVE, (1, 1)), "Malformed"),
        ("one_asset_for_itself", market(), op(0, 5, EUR, EUR, (1, 1)), "Malformed"),
        ("price_of_0", market(), op(0, 5, EUR, NATIVE, (0, 1)), "Malformed"),
        ("price_below_0", market(), op(0, 5, EUR, NATIVE, (1, -1)), "Malformed"),
        ("id_below_0", market(), op(-1, 5, EUR, NATIVE, (1, 1)), "Malformed"),
        ("bad_code", market(), op(0, 5, "E-R:anchor", NATIVE, (1, 1)), "Malformed"),
        ("sells_what_it_has_no_line_for", none(), op(0, 5, EUR, NATIVE, (1, 1)), "SellNoTrust"),
        ("buys_what_it_has_no_line_for", none(), op(0, 5, NATIVE, EUR, (1, 1)), "BuyNoTrust"),
        ("sells_without_authorization", holds(2, 50, 99), op(0, 5, EUR, NATIVE, (1, 1)), "SellNotAuthorized"),
        ("buys_without_authorization", holds(2, 50, 99), op(0, 5, NATIVE, EUR, (1, 1)), "BuyNotAuthorized"),
        (
            "sells_nothing_without_authorization",
            holds(0, 0, 99),
            op(0, 5, EUR, NATIVE, (1, 1)),
            "Underfunded",
        ),
        ("sells_more_than_it_has", holds(1, 50, 99), op(0, 51, EUR, NATIVE, (1, 1)), "Underfunded"),
        ("buys_more_than_it_has_room_for", holds(1, 50, 99), op(0, 50, NATIVE, EUR, (1, 1)), "LineFull"),
        ("buys_into_a_full_line", holds(1, 99, 99), op(0, 1, NATIVE, EUR, (1, 3)), "LineFull"),
        ("offer_that_is_not_there", market(), op(7, 5, EUR, NATIVE, (1, 1)), "NotFound"),
        ("low_reserve", poor, op(0, 5, EUR, NATIVE, (1, 1)), "LowReserve"),
        ("crosses_itself", own, op(0, 5, EUR, NATIVE, (1, 1)), "CrossSelf"),
    ];
    table
        .into_iter()
        .map(|(name, given, op, code)| {
            let name = lasting(format!("{kind}_{name}"));
            let expect = lasting(format!("failed {kind}({code})"));
            match code {
                "Malformed" => row(name, given, tx("alice").op(op), Refused(expect), &[]),
                _ => row(name, given, tx("alice").op(op), Applied(expect), &[ALICE_PAID, PAID]),
            }
        })
        .collect()
}

fn selling() -> Vec<Case> {
    let bob_sells = |amount, at| market().after(&[tx("bob").op(sell(0, amount, NATIVE, EUR, at))]);
    let selling = |name, given, op: OperationBody, expect, changes| {
        row(name, given, tx("alice").op(op), Applied(expect), changes)
    };
    let sponsored = vec![
        tx("bob")
            .op(sponsor("alice"))
            .op_by("alice", sell(0, 10, EUR, NATIVE, (3, 1)))
            .op_by("alice", end_sponsoring())
            .by(&["bob", "alice"]),
    ];
    vec![
        selling(
            "offer_put_in_the_book",
            market(),
            sell(0, 10, EUR, NATIVE, (3, 2)),
            "success ManageSellOffer(Success created 10)",
            &[
                "alice/EUR: selling +10",
                "alice/offer 1: new offer 10 EUR for native at 3/2",
                "alice: balance -100, sequence +1, subentries +1, buying +15",
                "totals: fee pool +100, ids +1",
            ],
        ),
        selling(
            "offer_taken_in_full",
            bob_sells(30, (1, 2)),
            sell(0, 20, EUR, NATIVE, (1, 1)),
            "success ManageSellOffer(Success #1 30 for 15, created 5)",
            &[
                "alice/EUR: balance -15, selling +5",
                "alice/offer 2: new offer 5 EUR for native at 1/1",
                "alice: balance -70, sequence +1, subentries +1, buying +5",
                "bob/EUR: balance +15, buying -15",
                "bob/offer 1: gone",
                "bob: balance -30, subentries -1, selling -30",
                "totals: fee pool +100, ids +1",
            ],
        ),
        selling(
            "offer_taken_in_part",
            bob_sells(30, (1, 2)),
            sell(0, 10, EUR, NATIVE, (2, 1)),
            "success ManageSellOffer(Success #1 20 for 10, deleted)",
            &[
                "alice/EUR: balance -10",
                "alice: balance -80, sequence +1",
                "bob/EUR: balance +10, buying -10",
                "bob/offer 1: amount -20",
                "bob: balance -20, selling -20",
                PAID,
            ],
        ),
        selling(
            "offers_out_of_reach_stay",
            bob_sells(30, (2, 1)),
            sell(0, 10, EUR, NATIVE, (1, 1)),
            "success ManageSellOffer(Success created 10)",
            &[
                "alice/EUR: selling +10",
                "alice/offer 2: new offer 10 EUR for native at 1/1",
                "alice: balance -100, sequence +1, subentries +1, buying +10",
                "totals: fee pool +100, ids +1",
            ],
        ),
        selling(
            "offers_of_one_price_are_taken_by_age",
            market().holder("carol", EUR, 0).after(&[
                tx("carol").op(sell(0, 5, NATIVE, EUR, (2, 2))),
                tx("bob").op(sell(0, 5, NATIVE, EUR, (1, 1))),
            ]),
            sell(0, 6, EUR, NATIVE, (1, 1)),
            "success ManageSellOffer(Success #1 5 for 5, #2 1 for 1, deleted)",
            &[
                "alice/EUR: balance -6",
                "alice: balance -94, sequence +1",
                "bob/EUR: balance +1, buying -1",
                "bob/offer 2: amount -1",
                "bob: balance -1, selling -1",
                "carol/EUR: balance +5, buying -5",
                "carol/offer 1: gone",
                "carol: balance -5, subentries -1, selling -5",
                PAID,
            ],
        ),
        selling(
            "offer_updated",
            market().after(&[tx("alice").op(sell(0, 10, EUR, NATIVE, (3, 1)))]),
            sell(1, 7, EUR, NATIVE, (4, 1)),
            "success ManageSellOffer(Success updated 7)",
            &[
                "alice/EUR: selling -3",
                "alice/offer 1: amount -3, EUR for native at 4/1",
                "alice: balance -100, sequence +1, buying -2",
                PAID,
            ],
        ),
        selling(
            "offer_turned_round",
            market().after(&[tx("alice").op(sell(0, 10, EUR, NATIVE, (3, 1)))]),
            sell(1, 7, NATIVE, EUR, (4, 1)),
            "success ManageSellOffer(Success updated 7)",
            &[
                "alice/EUR: buying +28, selling -10",
                "alice/offer 1: amount -3, native for EUR at 4/1",
                "alice: balance -100, sequence +1, buying -30, selling +7",
                PAID,
            ],
        ),
        selling(
            "offer_deleted",
            market().after(&[tx("alice").op(sell(0, 10, EUR, NATIVE, (3, 1)))]),
            sell(1, 0, EUR, NATIVE, (3, 1)),
            "success ManageSellOffer(Success deleted)",
            &[
                "alice/EUR: selling -10",
                "alice/offer 1: gone",
                "alice: balance -100, sequence +1, subentries -1, buying -30",
                PAID,
            ],
        ),
        selling(
            "sponsored_offer_deleted",
            market().after(&sponsored),
            sell(1, 0, EUR, NATIVE, (3, 1)),
            "success ManageSellOffer(Success deleted)",
            &[
                "alice/EUR: selling -10",
                "alice/offer 1: gone",
                "alice: balance -100, sequence +1, subentries -1, buying -30, sponsored -1",
                "bob: sponsoring -1",
                PAID,
            ],
        ),
        row(
            "sponsored_offer_made",
            market(),
            sponsored[0].clone(),
            Applied(
                "success BeginSponsoringFutureReserves(Success) ManageSellOffer(Success created 10) EndSponsoringFutureReserves(Success)",
            ),
            &[
                "alice/EUR: selling +10",
                "alice/offer 1: new offer 10 EUR for native at 3/1",
                "alice: subentries +1, buying +30, sponsored +1",
                "bob: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300, ids +1",
            ],
        ),
        row(
            "issuer_sells_what_it_issues",
            bob_sells(30, (1, 2)),
            tx("anchor").op(sell(0, 15, EUR, NATIVE, (1, 1))),
            Applied("success ManageSellOffer(Success #1 30 for 15, deleted)"),
            &[
                "anchor: balance -70, sequence +1",
                "bob/EUR: balance +15, buying -15",
                "bob/offer 1: gone",
                "bob: balance -30, subentries -1, selling -30",
                "supply EUR: +15",
                PAID,
            ],
        ),
        row(
            "issuer_buys_back",
            market().after(&[tx("bob").op(sell(0, 10, EUR, NATIVE, (3, 1)))]),
            tx("anchor").op(sell(0, 30, NATIVE, EUR, (1, 3))),
            Applied("success ManageSellOffer(Success #1 10 for 30, deleted)"),
            &[
                "anchor: balance -130, sequence +1",
                "bob/EUR: balance -10, selling -10",
                "bob/offer 1: gone",
                "bob: balance +30, subentries -1, buying -30",
                "supply EUR: -10",
                PAID,
            ],
        ),
        selling(
            "offer_too_small_for_its_price_is_nothing",
            market(),
            sell(0, 1, EUR, NATIVE, (1, 3)),
            "success ManageSellOffer(Success deleted)",
            &[ALICE_PAID, PAID],
        ),
    ]
}

fn buying() -> Vec<Case> {
    let bob_sells = |amount, at| market().after(&[tx("bob").op(sell(0, amount, NATIVE, EUR, at))]);
    vec![
        row(
            "offer_to_buy_put_in_the_book",
            market(),
            tx("alice").op(buy(0, 30, NATIVE, EUR, (1, 3))),
            Applied("success ManageBuyOffer(Success created 10)"),
            &[
                "alice/EUR: selling +10",
                "alice/offer 1: new offer 10 EUR for native at 3/1",
                "alice: balance -100, sequence +1, subentries +1, buying +30",
                "totals: fee pool +100, ids +1",
            ],
        ),
        row(
            "offer_to_buy_ends_with_what_it_bought",
            bob_sells(30, (1, 2)),
            tx("alice").op(buy(0, 20, NATIVE, EUR, (1, 1))),
            Applied("success ManageBuyOffer(Success #1 20 for 10, deleted)"),
            &[
                "alice/EUR: balance -10",
                "alice: balance -80, sequence +1",
                "bob/EUR: balance +10, buying -10",
                "bob/offer 1: amount -20",
                "bob: balance -20, selling -20",
                PAID,
            ],
        ),
        row(
            "offer_to_buy_more_than_there_is",
            bob_sells(30, (1, 2)),
            tx("alice").op(buy(0, 40, NATIVE, EUR, (1, 1))),
            Applied("success ManageBuyOffer(Success #1 30 for 15, created 10)"),
            &[
                "alice/EUR: balance -15, selling +10",
                "alice/offer 2: new offer 10 EUR for native at 1/1",
                "alice: balance -70, sequence +1, subentries +1, buying +10",
                "bob/EUR: balance +15, buying -15",
                "bob/offer 1: gone",
                "bob: balance -30, subentries -1, selling -30",
                "totals: fee pool +100, ids +1",
            ],
        ),
    ]
}

fn passive_ones() -> Vec<Case> {
    let bob_sells = |at| market().after(&[tx("bob").op(sell(0, 30, NATIVE, EUR, at))]);
    vec![
        row(
            "passive_offer_does_not_cross_its_own_price",
            bob_sells((1, 1)),
            tx("alice").op(passive(10, EUR, NATIVE, (1, 1))),
            Applied("success ManageSellOffer(Success created 10)"),
            &[
                "alice/EUR: selling +10",
                "alice/offer 2: new offer 10 EUR for native at 1/1",
                "alice: balance -100, sequence +1, subentries +1, buying +10",
                "totals: fee pool +100, ids +1",
            ],
        ),
        row(
            "passive_offer_crosses_a_better_price",
            bob_sells((1, 2)),
            tx("alice").op(passive(10, EUR, NATIVE, (1, 1))),
            Applied("success ManageSellOffer(Success #1 20 for 10, deleted)"),
            &[
                "alice/EUR: balance -10",
                "alice: balance -80, sequence +1",
                "bob/EUR: balance +10, buying -10",
                "bob/offer 1: amount -20",
                "bob: balance -20, selling -20",
                PAID,
            ],
        ),
        row(
            "passive_offer_stays_passive_when_it_is_updated",
            bob_sells((2, 1)).after(&[tx("alice").op(passive(10, EUR, NATIVE, (1, 1)))]),
            tx("alice").op(sell(2, 10, EUR, NATIVE, (1, 2))),
            Applied("success ManageSellOffer(Success updated 10)"),
            &["alice/offer 2: EUR for native at 1/2", "alice: balance -100, sequence +1, buying -5", PAID],
        ),
        row(
            "passive_offer_of_nothing",
            market(),
            tx("alice").op(passive(0, EUR, NATIVE, (1, 1))),
            Refused("failed ManageSellOffer(Malformed)"),
            &[],
        ),
    ]
}

/// 1,001 offers of one coin each.
fn crowded() -> World {
    let mut transactions = Vec::new();
    for (name, count) in [("bob", 6), ("carol", 4), ("dave", 1)] {
        for _ in 0..count {
            let many = if name == "dave" { 1 } else { 100 };
            transactions.push((0..many).fold(tx(name), |tx, _| tx.op(sell(0, 1, NATIVE, EUR, (1, 1)))));
        }
    }
    ["bob", "carol", "dave"]
        .iter()
        .fold(World::new().account("anchor", 10_000).holder("alice", EUR, 5_000), |world, name| {
            world.account(name, 200_000).line(name, EUR, 1)
        })
        .after(&transactions)
}

fn work() -> Vec<Case> {
    vec![
        row(
            "offer_that_crosses_too_many",
            crowded(),
            tx("alice").op(sell(0, 1_001, EUR, NATIVE, (1, 1))),
            Applied("failed OpExceededWorkLimit"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "payment_that_crosses_too_many",
            crowded(),
            tx("alice").op(deliver("bob", 1_001, 2_000, &[EUR, NATIVE])),
            Applied("failed OpExceededWorkLimit"),
            &[ALICE_PAID, PAID],
        ),
    ]
}
