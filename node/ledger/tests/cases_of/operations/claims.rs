//! Rows of claimable balances.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

const EUR: &str = "EUR:anchor";
const ANY: ClaimPredicate = ClaimPredicate::Unconditional;

fn market() -> World {
    super::offers::market()
}

pub(super) fn table() -> Vec<Case> {
    [creation(), predicates(), claiming(), clawing_back()].into_iter().flatten().collect()
}

fn before(time: i64) -> ClaimPredicate {
    ClaimPredicate::BeforeAbsoluteTime(time)
}

fn within(seconds: i64) -> ClaimPredicate {
    ClaimPredicate::BeforeRelativeTime(seconds)
}

fn not(predicate: ClaimPredicate) -> ClaimPredicate {
    ClaimPredicate::Not(Some(Box::new(predicate)))
}

fn both(a: ClaimPredicate, b: ClaimPredicate) -> ClaimPredicate {
    ClaimPredicate::And(vec![a, b].try_into().expect("two"))
}

fn either(a: ClaimPredicate, b: ClaimPredicate) -> ClaimPredicate {
    ClaimPredicate::Or(vec![a, b].try_into().expect("two"))
}

fn creation() -> Vec<Case> {
    let setting = |name, given, op, expect, changes| row(name, given, tx("alice").op(op), expect, changes);
    const MALFORMED: Expect = Refused("failed CreateClaimableBalance(Malformed)");
    let one = |predicate| set_aside(5, EUR, &[("bob", predicate)]);
    let half = |half: fn(VecM<ClaimPredicate, 2>) -> ClaimPredicate| half(vec![ANY].try_into().expect("one"));
    let poor = World::new()
        .account("anchor", 10_000)
        .account("alice", 135)
        .line("alice", EUR, 50)
        .account("bob", 100);
    let loaded = |flags| market().flag_line("alice", EUR, flags);
    let sponsored = tx("bob")
        .op(sponsor("alice"))
        .op_by("alice", one(ANY))
        .op_by("alice", end_sponsoring())
        .by(&["bob", "alice"]);
    vec![
        setting(
            "balance_set_aside",
            market(),
            set_aside(5, EUR, &[("bob", ANY), ("anchor", within(9))]),
            Applied("success CreateClaimableBalance(Success)"),
            &[
                "alice/EUR: balance -5",
                "alice: balance -100, sequence +1, sponsoring +2",
                "balance: new 5 EUR for 2",
                PAID,
            ],
        ),
        setting(
            "coins_set_aside",
            market(),
            set_aside(5, "native", &[("bob", ANY)]),
            Applied("success CreateClaimableBalance(Success)"),
            &["alice: balance -105, sequence +1, sponsoring +1", "balance: new 5 native for 1", PAID],
        ),
        setting(
            "balance_inherits_clawback",
            loaded(5),
            one(ANY),
            Applied("success CreateClaimableBalance(Success)"),
            &[
                "alice/EUR: balance -5",
                "alice: balance -100, sequence +1, sponsoring +1",
                "balance: new 5 EUR for 1 clawback",
                PAID,
            ],
        ),
        row(
            "issuer_sets_aside",
            market().flags("anchor", REVOCABLE | CLAWBACK),
            tx("anchor").op(one(ANY)),
            Applied("success CreateClaimableBalance(Success)"),
            &[
                "anchor: balance -100, sequence +1, sponsoring +1",
                "balance: new 5 EUR for 1 clawback",
                "supply EUR: +5",
                PAID,
            ],
        ),
        row(
            "balance_set_aside_at_a_sponsor_s_expense",
            market(),
            sponsored,
            Applied(
                "success BeginSponsoringFutureReserves(Success) CreateClaimableBalance(Success) EndSponsoringFutureReserves(Success)",
            ),
            &[
                "alice/EUR: balance -5",
                "balance: new 5 EUR for 1",
                "bob: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        setting("balance_of_nothing", market(), set_aside(0, EUR, &[("bob", ANY)]), MALFORMED, &[]),
        setting("balance_for_nobody", market(), set_aside(5, EUR, &[]), MALFORMED, &[]),
        setting(
            "balance_for_one_twice",
            market(),
            set_aside(5, EUR, &[("bob", ANY), ("bob", within(3))]),
            MALFORMED,
            &[],
        ),
        setting(
            "balance_of_a_bad_code",
            market(),
            set_aside(5, "E-R:anchor", &[("bob", ANY)]),
            MALFORMED,
            &[],
        ),
        setting("predicate_without_an_inside", market(), one(ClaimPredicate::Not(None)), MALFORMED, &[]),
        setting("predicate_of_half_an_and", market(), one(half(ClaimPredicate::And)), MALFORMED, &[]),
        setting("predicate_of_half_an_or", market(), one(half(ClaimPredicate::Or)), MALFORMED, &[]),
        setting("predicate_of_a_time_below_0", market(), one(before(-1)), MALFORMED, &[]),
        setting("predicate_of_seconds_below_0", market(), one(within(-1)), MALFORMED, &[]),
        setting("predicate_too_deep", market(), one(not(not(not(not(ANY))))), MALFORMED, &[]),
        setting(
            "predicate_as_deep_as_can_be",
            market(),
            one(not(not(not(ANY)))),
            Applied("success CreateClaimableBalance(Success)"),
            &[
                "alice/EUR: balance -5",
                "alice: balance -100, sequence +1, sponsoring +1",
                "balance: new 5 EUR for 1",
                PAID,
            ],
        ),
        setting(
            "balance_of_low_reserve",
            poor,
            one(ANY),
            Applied("failed CreateClaimableBalance(LowReserve)"),
            &[ALICE_PAID, PAID],
        ),
        setting(
            "balance_without_a_line",
            market(),
            set_aside(5, "USD:anchor", &[("bob", ANY)]),
            Applied("failed CreateClaimableBalance(NoTrust)"),
            &[ALICE_PAID, PAID],
        ),
        setting(
            "balance_without_authorization",
            loaded(2),
            one(ANY),
            Applied("failed CreateClaimableBalance(NotAuthorized)"),
            &[ALICE_PAID, PAID],
        ),
        setting(
            "balance_beyond_one_s_means",
            market(),
            set_aside(1_001, EUR, &[("bob", ANY)]),
            Applied("failed CreateClaimableBalance(Underfunded)"),
            &[ALICE_PAID, PAID],
        ),
        setting(
            "coins_set_aside_beyond_one_s_means",
            market(),
            set_aside(9_871, "native", &[("bob", ANY)]),
            Applied("failed CreateClaimableBalance(Underfunded)"),
            &[ALICE_PAID, PAID],
        ),
    ]
}

/// Balances are set aside and claimed at second 1,000.
fn predicates() -> Vec<Case> {
    let table = [
        ("whenever", ANY, true),
        ("before_the_next_second", before(1_001), true),
        ("before_this_second", before(1_000), false),
        ("within_a_second", within(1), true),
        ("within_no_time", within(0), false),
        ("within_all_time", within(i64::MAX), true),
        ("not_before_this_second", not(before(1_000)), true),
        ("not_whenever", not(ANY), false),
        ("both", both(ANY, before(1_001)), true),
        ("one_of_both", both(ANY, before(999)), false),
        ("either", either(before(999), within(5)), true),
        ("neither", either(before(999), not(ANY)), false),
        ("nested", not(both(either(before(1), ANY), within(0))), true),
    ];
    table
        .into_iter()
        .map(|(name, predicate, holds)| {
            let name: &'static str = Box::leak(format!("claim_{name}").into_boxed_str());
            let given = market().after(&[tx("alice").op(set_aside(5, EUR, &[("bob", predicate)]))]);
            let claim = tx("bob").op(claim(balance_of("alice")));
            match holds {
                true => row(
                    name,
                    given,
                    claim,
                    Applied("success ClaimClaimableBalance(Success)"),
                    &[
                        "alice: sponsoring -1",
                        "balance: gone",
                        "bob/EUR: balance +5",
                        "bob: balance -100, sequence +1",
                        PAID,
                    ],
                ),
                false => row(
                    name,
                    given,
                    claim,
                    Applied("failed ClaimClaimableBalance(CannotClaim)"),
                    &["bob: balance -100, sequence +1", PAID],
                ),
            }
        })
        .collect()
}

fn claiming() -> Vec<Case> {
    let set =
        |of: &str, claimant: &str| market().after(&[tx("alice").op(set_aside(5, of, &[(claimant, ANY)]))]);
    let claiming = |name, given, claimant: &str, expect, changes| {
        row(name, given, tx(claimant).op(claim(balance_of("alice"))), Applied(expect), changes)
    };
    const BOB_PAID: &str = "bob: balance -100, sequence +1";
    vec![
        claiming(
            "coins_claimed",
            set("native", "bob"),
            "bob",
            "success ClaimClaimableBalance(Success)",
            &["alice: sponsoring -1", "balance: gone", "bob: balance -95, sequence +1", PAID],
        ),
        claiming(
            "balance_claimed_by_who_set_it_aside",
            set(EUR, "alice"),
            "alice",
            "success ClaimClaimableBalance(Success)",
            &[
                "alice/EUR: balance +5",
                "alice: balance -100, sequence +1, sponsoring -1",
                "balance: gone",
                PAID,
            ],
        ),
        claiming(
            "balance_claimed_by_its_issuer",
            set(EUR, "anchor"),
            "anchor",
            "success ClaimClaimableBalance(Success)",
            &["alice: sponsoring -1", ANCHOR_PAID, "balance: gone", "supply EUR: -5", PAID],
        ),
        claiming(
            "claim_of_nothing",
            market(),
            "bob",
            "failed ClaimClaimableBalance(DoesNotExist)",
            &[BOB_PAID, PAID],
        ),
        claiming(
            "claim_of_what_is_for_somebody_else",
            set(EUR, "anchor"),
            "bob",
            "failed ClaimClaimableBalance(CannotClaim)",
            &[BOB_PAID, PAID],
        ),
        claiming(
            "claim_without_a_line",
            set(EUR, "carol").account("carol", 500),
            "carol",
            "failed ClaimClaimableBalance(NoTrust)",
            &["carol: balance -100, sequence +1", PAID],
        ),
        claiming(
            "claim_without_authorization",
            set(EUR, "bob").flag_line("bob", EUR, 2),
            "bob",
            "failed ClaimClaimableBalance(NotAuthorized)",
            &[BOB_PAID, PAID],
        ),
        claiming(
            "claim_without_room",
            set(EUR, "bob").limit_line("bob", EUR, 1_004),
            "bob",
            "failed ClaimClaimableBalance(LineFull)",
            &[BOB_PAID, PAID],
        ),
        row(
            "balance_set_aside_and_claimed_in_one_transaction",
            market(),
            tx("alice").op(set_aside(5, EUR, &[("alice", ANY)])).op(claim(balance_of("alice"))),
            Applied("success CreateClaimableBalance(Success) ClaimClaimableBalance(Success)"),
            &["alice: balance -200, sequence +1", "totals: fee pool +200"],
        ),
    ]
}

fn clawing_back() -> Vec<Case> {
    let set = |of: &str, flags| {
        market().flag_line("alice", EUR, flags).after(&[tx("alice").op(set_aside(5, of, &[("bob", ANY)]))])
    };
    let clawing = |name, given, who: &str, expect, changes| {
        row(name, given, tx(who).op(clawback_balance(balance_of("alice"))), Applied(expect), changes)
    };
    vec![
        clawing(
            "balance_clawed_back",
            set(EUR, 5),
            "anchor",
            "success ClawbackClaimableBalance(Success)",
            &["alice: sponsoring -1", ANCHOR_PAID, "balance: gone", "supply EUR: -5", PAID],
        ),
        clawing(
            "clawback_of_no_balance",
            market(),
            "anchor",
            "failed ClawbackClaimableBalance(DoesNotExist)",
            &[ANCHOR_PAID, PAID],
        ),
        clawing(
            "clawback_of_somebody_else_s_asset",
            set(EUR, 5),
            "alice",
            "failed ClawbackClaimableBalance(NotIssuer)",
            &[ALICE_PAID, PAID],
        ),
        clawing(
            "clawback_of_coins",
            set("native", 5),
            "anchor",
            "failed ClawbackClaimableBalance(NotIssuer)",
            &[ANCHOR_PAID, PAID],
        ),
        clawing(
            "clawback_of_a_free_balance",
            set(EUR, 1),
            "anchor",
            "failed ClawbackClaimableBalance(NotClawbackEnabled)",
            &[ANCHOR_PAID, PAID],
        ),
    ]
}
