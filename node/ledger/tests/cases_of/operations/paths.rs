//! Rows of the path payments.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

const EUR: &str = "EUR:anchor";
const USD: &str = "USD:anchor";
const NATIVE: &str = "native";

/// Alice holds euros; Bob can hold dollars; the maker sells dollars at two euros, and coins at a dollar.
fn market() -> World {
    World::new()
        .account("anchor", 10_000)
        .holder("alice", EUR, 1_000)
        .holder("bob", USD, 100)
        .holder("maker", USD, 500)
        .line("maker", EUR, 500)
        .after(&[tx("maker").op(sell(0, 200, USD, EUR, (2, 1))).op(sell(0, 300, NATIVE, USD, (1, 1)))])
}

pub(super) fn table() -> Vec<Case> {
    let mut rows = successes();
    rows.extend(failures("PathPaymentStrictReceive", "OverSendmax", |to, received, sent, path| {
        deliver(to, received, sent, path)
    }));
    rows.extend(failures("PathPaymentStrictSend", "UnderDestmin", |to, received, sent, path| {
        spend(to, sent, received, path)
    }));
    rows
}

fn lasting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn failures(kind: &str, bound: &str, op: fn(&str, i64, i64, &[&str]) -> OperationBody) -> Vec<Case> {
    let flagged = |holder: &str, of: &str, flags: u32| market().flag_line(holder, of, flags);
    let full = market().limit_line("bob", USD, 105);
    let own = market().after(&[
        tx("alice").op(trust(USD, 900)),
        tx("maker").op(pay("alice", 50, USD)),
        tx("alice").op(sell(0, 50, USD, EUR, (1, 1))),
    ]);
    // The end that is fixed is settled first, so its error wins.
    let fixed_end = if kind == "PathPaymentStrictReceive" { "NoTrust" } else { "Underfunded" };
    let table = [
        ("of_nothing", market(), op("bob", 0, 20, &[EUR, USD]), "Malformed"),
        ("for_nothing", market(), op("bob", 10, 0, &[EUR, USD]), "Malformed"),
        ("of_a_bad_code", market(), op("bob", 10, 20, &["E-R:anchor", USD]), "Malformed"),
        ("over_a_bad_code", market(), op("bob", 10, 20, &[EUR, "E-R:anchor", USD]), "Malformed"),
        ("of_which_both_ends_fail", market(), op("bob", 10, 1_001, &[EUR, EUR, EUR]), fixed_end),
        (
            "beyond_one_s_means",
            market().holder("carol", EUR, 5),
            op("carol", 1_001, 1_001, &[EUR, EUR]),
            "Underfunded",
        ),
        ("without_a_line", market(), op("bob", 10, 20, &[USD, NATIVE]), "SrcNoTrust"),
        (
            "without_authorization",
            flagged("alice", EUR, 2),
            op("bob", 10, 20, &[EUR, USD]),
            "SrcNotAuthorized",
        ),
        ("to_nobody", market(), op("nobody", 10, 20, &[EUR, USD]), "NoDestination"),
        ("to_somebody_without_a_line", market(), op("alice", 10, 20, &[EUR, USD]), "NoTrust"),
        (
            "to_somebody_without_authorization",
            flagged("bob", USD, 2),
            op("bob", 10, 20, &[EUR, USD]),
            "NotAuthorized",
        ),
        ("to_somebody_without_room", full, op("bob", 6, 12, &[EUR, USD]), "LineFull"),
        ("without_offers", market(), op("bob", 10, 20, &[EUR, NATIVE, USD]), "TooFewOffers"),
        ("beyond_all_offers", market(), op("bob", 201, 402, &[EUR, USD]), "TooFewOffers"),
        ("over_one_s_own_offer", own, op("bob", 10, 20, &[EUR, USD]), "OfferCrossSelf"),
        ("beyond_the_bound", market(), op("bob", 11, 20, &[EUR, USD]), bound),
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

fn successes() -> Vec<Case> {
    let paying = |name, given, op: OperationBody, expect, changes| {
        row(name, given, tx("alice").op(op), Applied(expect), changes)
    };
    // 1,000 euros and 520 dollars in a pool: as good as the book for a little, which suffices; worse for much.
    let pooled = || {
        market().flag_line("maker", EUR, 1).after(&[
            tx("anchor").op(pay("maker", 600, EUR)).op(pay("maker", 600, USD)),
            tx("maker").op(join(EUR, USD, 900)).op(deposit(pool(EUR, USD), (1_000, 520), (1, 9), (9, 1))),
        ])
    };
    let redemption = World::new().account("alice", 1_000).line("alice", EUR, 50);
    vec![
        paying(
            "payment_delivers_over_an_offer",
            market(),
            deliver("bob", 10, 20, &[EUR, USD]),
            "success PathPaymentStrictReceive(Success #1 10 for 20, 10)",
            &[
                "alice/EUR: balance -20",
                ALICE_PAID,
                "bob/USD: balance +10",
                "maker/EUR: balance +20, buying -20",
                "maker/USD: balance -10, selling -10",
                "maker/offer 1: amount -10",
                PAID,
            ],
        ),
        paying(
            "payment_spends_over_an_offer",
            market(),
            spend("bob", 21, 10, &[EUR, USD]),
            "success PathPaymentStrictSend(Success #1 10 for 21, 10)",
            &[
                "alice/EUR: balance -21",
                ALICE_PAID,
                "bob/USD: balance +10",
                "maker/EUR: balance +21, buying -20",
                "maker/USD: balance -10, selling -10",
                "maker/offer 1: amount -10",
                PAID,
            ],
        ),
        paying(
            "payment_delivers_over_two_offers",
            market(),
            deliver("bob", 10, 20, &[EUR, USD, NATIVE]),
            "success PathPaymentStrictReceive(Success #1 10 for 20, #2 10 for 10, 10)",
            &[
                "alice/EUR: balance -20",
                ALICE_PAID,
                "bob: balance +10",
                "maker/EUR: balance +20, buying -20",
                "maker/USD: buying -10, selling -10",
                "maker/offer 1: amount -10",
                "maker/offer 2: amount -10",
                "maker: balance -10, selling -10",
                PAID,
            ],
        ),
        paying(
            "payment_spends_over_two_offers",
            market(),
            spend("bob", 20, 10, &[EUR, USD, NATIVE]),
            "success PathPaymentStrictSend(Success #1 10 for 20, #2 10 for 10, 10)",
            &[
                "alice/EUR: balance -20",
                ALICE_PAID,
                "bob: balance +10",
                "maker/EUR: balance +20, buying -20",
                "maker/USD: buying -10, selling -10",
                "maker/offer 1: amount -10",
                "maker/offer 2: amount -10",
                "maker: balance -10, selling -10",
                PAID,
            ],
        ),
        paying(
            "payment_skips_an_asset_named_twice",
            market(),
            deliver("bob", 10, 20, &[EUR, EUR, USD, USD]),
            "success PathPaymentStrictReceive(Success #1 10 for 20, 10)",
            &[
                "alice/EUR: balance -20",
                ALICE_PAID,
                "bob/USD: balance +10",
                "maker/EUR: balance +20, buying -20",
                "maker/USD: balance -10, selling -10",
                "maker/offer 1: amount -10",
                PAID,
            ],
        ),
        paying(
            "payment_of_one_asset_over_a_path",
            market().holder("carol", EUR, 0),
            deliver("carol", 10, 10, &[EUR, EUR]),
            "success PathPaymentStrictReceive(Success 10)",
            &["alice/EUR: balance -10", ALICE_PAID, "carol/EUR: balance +10", PAID],
        ),
        paying(
            "payment_to_a_vanished_issuer",
            redemption.clone(),
            deliver("anchor", 10, 10, &[EUR, EUR]),
            "success PathPaymentStrictReceive(Success 10)",
            &["alice/EUR: balance -10", ALICE_PAID, "supply EUR: -10", PAID],
        ),
        paying(
            "payment_to_a_vanished_issuer_that_spends",
            redemption,
            spend("anchor", 10, 10, &[EUR, EUR]),
            "success PathPaymentStrictSend(Success 10)",
            &["alice/EUR: balance -10", ALICE_PAID, "supply EUR: -10", PAID],
        ),
        paying(
            "payment_delivers_through_a_pool_as_good_as_the_book",
            pooled(),
            deliver("bob", 10, 25, &[EUR, USD]),
            "success PathPaymentStrictReceive(Success pool 10 for 20, 10)",
            &["alice/EUR: balance -20", ALICE_PAID, "bob/USD: balance +10", "pool: a +20, b -10", PAID],
        ),
        paying(
            "payment_delivers_over_a_better_book",
            pooled(),
            deliver("bob", 100, 205, &[EUR, USD]),
            "success PathPaymentStrictReceive(Success #1 100 for 200, 100)",
            &[
                "alice/EUR: balance -200",
                ALICE_PAID,
                "bob/USD: balance +100",
                "maker/EUR: balance +200, buying -200",
                "maker/USD: balance -100, selling -100",
                "maker/offer 1: amount -100",
                PAID,
            ],
        ),
        paying(
            "payment_spends_through_a_pool_as_good_as_the_book",
            pooled(),
            spend("bob", 20, 1, &[EUR, USD]),
            "success PathPaymentStrictSend(Success pool 10 for 20, 10)",
            &["alice/EUR: balance -20", ALICE_PAID, "bob/USD: balance +10", "pool: a +20, b -10", PAID],
        ),
        paying(
            "payment_spends_through_the_pool_what_the_book_cannot_serve",
            pooled(),
            spend("bob", 900, 1, &[EUR, USD]),
            "success PathPaymentStrictSend(Success pool 245 for 900, 245)",
            &["alice/EUR: balance -900", ALICE_PAID, "bob/USD: balance +245", "pool: a +900, b -245", PAID],
        ),
    ]
}
