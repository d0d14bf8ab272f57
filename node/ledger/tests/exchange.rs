//! Crossings recorded from another implementation, where they are to be found, and what adjusting promises.

use std::io::Write as _;
use std::path::PathBuf;

use carat_ledger::exchange::{Exchange, Limits, Rounding, adjust, exchange};
use proptest::prelude::*;
use serde_json::Value;
use stellar_xdr::Price;

/// `CARAT_VECTORS`, or where the data lies beside a checkout.
fn vectors() -> Option<String> {
    let folder = std::env::var_os("CARAT_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")),
        PathBuf::from,
    );
    std::fs::read_to_string(folder.join("exchange.json")).ok()
}

#[test]
fn recorded_crossings_have_the_recorded_amounts() {
    let Some(vectors) = vectors() else {
        // Past the test runner, which keeps the output of passing tests to itself.
        let line = "SKIP recorded crossings: exchange.json is not here; CARAT_VECTORS names its folder";
        writeln!(std::io::stderr(), "{line}").expect("standard error");
        return;
    };
    let vectors: Vec<Value> = serde_json::from_str(&vectors).expect("a list");
    assert_eq!(vectors.len(), 24);
    for vector in vectors {
        let number = |name: &str| vector[name].as_i64().unwrap_or_else(|| panic!("{name} in {vector}"));
        let part = |index: usize| vector["price"][index].as_i64().and_then(|part| i32::try_from(part).ok());
        let price = Price { n: part(0).expect("a numerator"), d: part(1).expect("a denominator") };
        let rounding = match vector["rounding"].as_str() {
            Some("normal") => Rounding::Normal,
            Some("strict_receive") => Rounding::StrictReceive,
            Some("strict_send") => Rounding::StrictSend,
            other => panic!("rounding {other:?}"),
        };
        let limits = Limits {
            wheat_send: number("max_wheat_send"),
            wheat_receive: number("max_wheat_receive"),
            sheep_send: number("max_sheep_send"),
            sheep_receive: number("max_sheep_receive"),
        };
        let Exchange { wheat, sheep, .. } = exchange(&price, &limits, rounding).expect("a crossing");
        assert_eq!((wheat, sheep), (number("wheat_received"), number("sheep_sent")), "{vector}");
    }
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![0..2_000_i64, 0..=i64::MAX, (0..100_i64).prop_map(|less| i64::MAX - less)]
}

fn prices() -> impl Strategy<Value = Price> {
    let part = || prop_oneof![1..20_i32, 1..=i32::MAX, (0..9_i32).prop_map(|less| i32::MAX - less)];
    (part(), part()).prop_map(|(n, d)| Price { n, d })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn adjusting_twice_is_adjusting_once(price in prices(), sellable in amounts(), room in amounts()) {
        let once = adjust(&price, sellable, room).expect("an amount");
        prop_assert!(once <= sellable);
        prop_assert_eq!(adjust(&price, once, room).expect("an amount"), once);
    }

    #[test]
    fn exchange_keeps_every_limit_and_favours_who_stays(
        price in prices(),
        limits in [amounts(), amounts(), amounts(), amounts()],
        rounding in prop_oneof![Just(Rounding::Normal), Just(Rounding::StrictReceive)],
    ) {
        let [wheat_send, wheat_receive, sheep_send, sheep_receive] = limits;
        // As in a book: the offer is adjusted to what its owner can send and receive.
        let wheat_send = adjust(&price, wheat_send, sheep_receive).expect("an amount");
        let limits = Limits { wheat_send, wheat_receive, sheep_send, sheep_receive };
        let Exchange { wheat, sheep, wheat_stays } = exchange(&price, &limits, rounding).expect("in range");
        prop_assert!((0..=wheat_send.min(wheat_receive)).contains(&wheat));
        prop_assert!((0..=sheep_send.min(sheep_receive)).contains(&sheep));
        let (agreed, paid) = (i128::from(wheat) * i128::from(price.n), i128::from(sheep) * i128::from(price.d));
        let favours_who_stays = if wheat_stays { paid >= agreed } else { paid <= agreed };
        prop_assert!(favours_who_stays);
        if rounding == Rounding::Normal {
            prop_assert!(100 * (paid - agreed).abs() <= agreed, "more than 1 % off");
        }
    }
}
