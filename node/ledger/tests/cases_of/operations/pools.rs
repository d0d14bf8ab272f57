//! Rows of liquidity pools, and of what becomes of offers and shares when a holder loses all authorization.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

const EUR: &str = "EUR:anchor";
const USD: &str = "USD:anchor";
const NATIVE: &str = "native";
const WIDE: ((i32, i32), (i32, i32)) = ((1, 1_000), (1_000, 1));

fn market() -> World {
    super::offers::market()
}

/// Alice and Bob have lines for shares.
fn joined() -> World {
    market().after(&[tx("alice").op(join(NATIVE, EUR, 900)), tx("bob").op(join(NATIVE, EUR, 900))])
}

/// Bob has put 400 coins and 100 euros in.
fn pooled() -> World {
    joined().after(&[tx("bob").op(put(400, 100))])
}

fn put(coins: i64, euros: i64) -> OperationBody {
    deposit(pool(NATIVE, EUR), (coins, euros), WIDE.0, WIDE.1)
}

fn take(shares: i64, least: (i64, i64)) -> OperationBody {
    withdraw(pool(NATIVE, EUR), shares, least)
}

pub(super) fn table() -> Vec<Case> {
    [lines(), deposits(), withdrawals(), deauthorization()].into_iter().flatten().collect()
}

fn by_alice(
    name: &'static str,
    given: World,
    op: OperationBody,
    expect: &'static str,
    changes: &'static [&'static str],
) -> Case {
    let expect = if expect.contains("Malformed") { Refused(expect) } else { Applied(expect) };
    row(name, given, tx("alice").op(op), expect, changes)
}

const ALICE_AND_FEE: &[&str] = &[ALICE_PAID, PAID];

fn lines() -> Vec<Case> {
    let wrong_fee = OperationBody::ChangeTrust(ChangeTrustOp {
        line: ChangeTrustAsset::PoolShare(LiquidityPoolParameters::LiquidityPoolConstantProduct(
            LiquidityPoolConstantProductParameters { asset_a: Asset::Native, asset_b: asset(EUR), fee: 31 },
        )),
        limit: 9,
    });
    let poor = || World::new().account("anchor", 10_000).account("alice", 149).line("alice", EUR, 5);
    vec![
        by_alice(
            "pool_founded",
            market(),
            join(NATIVE, EUR, 9),
            "success ChangeTrust(Success)",
            &[
                "alice/EUR: pools +1",
                "alice/shares: new line 0 limit 9 flags 0",
                "alice: balance -100, sequence +1, subentries +2",
                "pool: new pool",
                PAID,
            ],
        ),
        by_alice(
            "pool_joined",
            market().after(&[tx("bob").op(join(NATIVE, EUR, 9))]),
            join(NATIVE, EUR, 9),
            "success ChangeTrust(Success)",
            &[
                "alice/EUR: pools +1",
                "alice/shares: new line 0 limit 9 flags 0",
                "alice: balance -100, sequence +1, subentries +2",
                "pool: lines +1",
                PAID,
            ],
        ),
        by_alice(
            "pool_left",
            joined(),
            join(NATIVE, EUR, 0),
            "success ChangeTrust(Success)",
            &[
                "alice/EUR: pools -1",
                "alice/shares: gone",
                "alice: balance -100, sequence +1, subentries -2",
                "pool: lines -1",
                PAID,
            ],
        ),
        by_alice(
            "pool_left_by_the_last",
            market().after(&[tx("alice").op(join(NATIVE, EUR, 9))]),
            join(NATIVE, EUR, 0),
            "success ChangeTrust(Success)",
            &[
                "alice/EUR: pools -1",
                "alice/shares: gone",
                "alice: balance -100, sequence +1, subentries -2",
                "pool: gone",
                PAID,
            ],
        ),
        by_alice(
            "limit_of_pool_shares_changed",
            joined(),
            join(NATIVE, EUR, 5),
            "success ChangeTrust(Success)",
            &["alice/shares: limit -895", ALICE_PAID, PAID],
        ),
        row(
            "pool_joined_by_the_issuer",
            market(),
            tx("anchor").op(join(NATIVE, EUR, 9)),
            Applied("success ChangeTrust(Success)"),
            &[
                "anchor/shares: new line 0 limit 9 flags 0",
                "anchor: balance -100, sequence +1, subentries +2",
                "pool: new pool",
                PAID,
            ],
        ),
        row(
            "pool_left_with_shares",
            pooled(),
            tx("bob").op(join(NATIVE, EUR, 0)),
            Applied("failed ChangeTrust(InvalidLimit)"),
            &["bob: balance -100, sequence +1", PAID],
        ),
        by_alice(
            "line_that_a_pool_uses_closed",
            joined().after(&[tx("alice").op(pay("bob", 1_000, EUR))]),
            trust(EUR, 0),
            "failed ChangeTrust(CannotDelete)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "pool_joined_without_a_line",
            market(),
            join(NATIVE, "USD:anchor", 9),
            "failed ChangeTrust(TrustLineMissing)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "pool_joined_without_authorization",
            market().flag_line("alice", EUR, 0),
            join(NATIVE, EUR, 9),
            "failed ChangeTrust(NotAuthMaintainLiabilities)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "pool_joined_with_half_authorization",
            market().flag_line("alice", EUR, 2),
            join(NATIVE, EUR, 9),
            "success ChangeTrust(Success)",
            &[
                "alice/EUR: pools +1",
                "alice/shares: new line 0 limit 9 flags 0",
                "alice: balance -100, sequence +1, subentries +2",
                "pool: new pool",
                PAID,
            ],
        ),
        by_alice(
            "pool_joined_with_too_little",
            poor(),
            join(NATIVE, EUR, 9),
            "failed ChangeTrust(LowReserve)",
            ALICE_AND_FEE,
        ),
        by_alice("pool_of_one_asset", market(), join(EUR, EUR, 9), "failed ChangeTrust(Malformed)", &[]),
        by_alice(
            "pool_in_the_wrong_order",
            market(),
            join(EUR, NATIVE, 9),
            "failed ChangeTrust(Malformed)",
            &[],
        ),
        by_alice("pool_of_another_fee", market(), wrong_fee, "failed ChangeTrust(Malformed)", &[]),
        by_alice(
            "pool_of_a_bad_code",
            market(),
            join(NATIVE, "E-R:anchor", 9),
            "failed ChangeTrust(Malformed)",
            &[],
        ),
    ]
}

fn deposits() -> Vec<Case> {
    let priced = |least, most| deposit(pool(NATIVE, EUR), (400, 100), least, most);
    // The issuer has no bounds of its own. Its first deposit leaves room for one euro more.
    let nearly_full = market().line("alice", USD, 10).after(&[
        tx("anchor").op(join(EUR, USD, i64::MAX)),
        tx("anchor").op(deposit(pool(EUR, USD), (i64::MAX - 1, i64::MAX / 3), WIDE.0, WIDE.1)),
        tx("alice").op(join(EUR, USD, 900)),
    ]);
    let one_share = deposit(pool(EUR, USD), (3, 1), WIDE.0, WIDE.1);
    vec![
        by_alice(
            "first_deposit",
            joined(),
            put(400, 100),
            "success LiquidityPoolDeposit(Success)",
            &[
                "alice/EUR: balance -100",
                "alice/shares: balance +200",
                "alice: balance -500, sequence +1",
                "pool: a +400, b +100, shares +200",
                PAID,
            ],
        ),
        by_alice(
            "deposit_bounded_by_the_first_asset",
            pooled(),
            put(40, 100),
            "success LiquidityPoolDeposit(Success)",
            &[
                "alice/EUR: balance -10",
                "alice/shares: balance +20",
                "alice: balance -140, sequence +1",
                "pool: a +40, b +10, shares +20",
                PAID,
            ],
        ),
        by_alice(
            "deposit_bounded_by_the_second_asset",
            pooled(),
            put(400, 7),
            "success LiquidityPoolDeposit(Success)",
            &[
                "alice/EUR: balance -7",
                "alice/shares: balance +14",
                "alice: balance -128, sequence +1",
                "pool: a +28, b +7, shares +14",
                PAID,
            ],
        ),
        row(
            "deposit_of_the_issuer",
            pooled().after(&[tx("anchor").op(join(NATIVE, EUR, 900))]),
            tx("anchor").op(put(40, 10)),
            Applied("success LiquidityPoolDeposit(Success)"),
            &[
                "anchor/shares: balance +20",
                "anchor: balance -140, sequence +1",
                "pool: a +40, b +10, shares +20",
                "supply EUR: +10",
                PAID,
            ],
        ),
        by_alice("deposit_of_nothing", joined(), put(0, 5), "failed LiquidityPoolDeposit(Malformed)", &[]),
        by_alice("deposit_of_half", joined(), put(5, 0), "failed LiquidityPoolDeposit(Malformed)", &[]),
        by_alice(
            "deposit_at_a_price_of_0",
            joined(),
            priced((0, 1), (9, 1)),
            "failed LiquidityPoolDeposit(Malformed)",
            &[],
        ),
        by_alice(
            "deposit_up_to_a_price_of_0",
            joined(),
            priced((1, 1), (9, 0)),
            "failed LiquidityPoolDeposit(Malformed)",
            &[],
        ),
        by_alice(
            "deposit_between_prices_turned_round",
            joined(),
            priced((5, 1), (4, 1)),
            "failed LiquidityPoolDeposit(Malformed)",
            &[],
        ),
        by_alice(
            "deposit_without_a_line_of_shares",
            market(),
            put(4, 1),
            "failed LiquidityPoolDeposit(NoTrust)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "deposit_without_authorization",
            joined().flag_line("alice", EUR, 2),
            put(4, 1),
            "failed LiquidityPoolDeposit(NotAuthorized)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "first_deposit_beyond_one_s_means",
            joined(),
            put(400, 1_001),
            "failed LiquidityPoolDeposit(Underfunded)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "deposit_beyond_one_s_means",
            pooled(),
            put(9_900, 2_000),
            "failed LiquidityPoolDeposit(Underfunded)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "deposit_below_the_price",
            joined(),
            priced((5, 1), (6, 1)),
            "failed LiquidityPoolDeposit(BadPrice)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "deposit_above_the_price",
            pooled(),
            priced((2, 1), (3, 1)),
            "failed LiquidityPoolDeposit(BadPrice)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "deposit_too_small_for_a_share",
            pooled(),
            put(1, 1),
            "failed LiquidityPoolDeposit(BadPrice)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "deposit_beyond_the_limit_of_shares",
            joined(),
            put(2_000, 500),
            "failed LiquidityPoolDeposit(LineFull)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "deposit_into_a_full_pool",
            nearly_full,
            one_share,
            "failed LiquidityPoolDeposit(PoolFull)",
            ALICE_AND_FEE,
        ),
    ]
}

fn withdrawals() -> Vec<Case> {
    let by_bob = |name, given, op: OperationBody, expect, changes| {
        row(name, given, tx("bob").op(op), Applied(expect), changes)
    };
    const BOB_AND_FEE: &[&str] = &["bob: balance -100, sequence +1", PAID];
    vec![
        by_bob(
            "withdrawal_of_a_part",
            pooled(),
            take(33, (66, 16)),
            "success LiquidityPoolWithdraw(Success)",
            &[
                "bob/EUR: balance +16",
                "bob/shares: balance -33",
                "bob: balance -34, sequence +1",
                "pool: a -66, b -16, shares -33",
                PAID,
            ],
        ),
        by_bob(
            "withdrawal_of_all",
            pooled(),
            take(200, (0, 0)),
            "success LiquidityPoolWithdraw(Success)",
            &[
                "bob/EUR: balance +100",
                "bob/shares: balance -200",
                "bob: balance +300, sequence +1",
                "pool: a -400, b -100, shares -200",
                PAID,
            ],
        ),
        by_alice(
            "withdrawal_of_nothing",
            pooled(),
            take(0, (0, 0)),
            "failed LiquidityPoolWithdraw(Malformed)",
            &[],
        ),
        by_alice(
            "withdrawal_for_less_than_nothing",
            pooled(),
            take(1, (-1, 0)),
            "failed LiquidityPoolWithdraw(Malformed)",
            &[],
        ),
        by_alice(
            "withdrawal_for_less_than_nothing_of_the_second",
            pooled(),
            take(1, (0, -1)),
            "failed LiquidityPoolWithdraw(Malformed)",
            &[],
        ),
        by_alice(
            "withdrawal_without_shares",
            pooled(),
            take(1, (0, 0)),
            "failed LiquidityPoolWithdraw(Underfunded)",
            ALICE_AND_FEE,
        ),
        by_alice(
            "withdrawal_without_a_line_of_shares",
            market(),
            take(1, (0, 0)),
            "failed LiquidityPoolWithdraw(NoTrust)",
            ALICE_AND_FEE,
        ),
        by_bob(
            "withdrawal_under_its_minimum",
            pooled(),
            take(33, (67, 16)),
            "failed LiquidityPoolWithdraw(UnderMinimum)",
            BOB_AND_FEE,
        ),
        by_bob(
            "withdrawal_under_its_second_minimum",
            pooled(),
            take(33, (66, 17)),
            "failed LiquidityPoolWithdraw(UnderMinimum)",
            BOB_AND_FEE,
        ),
        by_bob(
            "withdrawal_without_room",
            pooled().limit_line("bob", EUR, 915),
            take(33, (0, 0)),
            "failed LiquidityPoolWithdraw(LineFull)",
            BOB_AND_FEE,
        ),
    ]
}

fn deauthorization() -> Vec<Case> {
    let offers = market().flags("anchor", REVOCABLE).after(&[
        tx("bob").op(sell(0, 10, EUR, NATIVE, (1, 1))),
        tx("bob").op(sell(0, 10, NATIVE, EUR, (2, 1))),
        tx("bob").op(trust("USD:anchor", 50)),
        tx("bob").op(sell(0, 10, NATIVE, "USD:anchor", (2, 1))),
    ]);
    let shares = || pooled().flags("anchor", REVOCABLE);
    let of_alice = shares().flag_line("bob", EUR, 5);
    let sponsored = |pays: i64| shares().account("carol", pays);
    let in_a_sandwich = |op: OperationBody| {
        tx("anchor")
            .op_by("carol", sponsor("bob"))
            .op(op)
            .op_by("bob", end_sponsoring())
            .by(&["anchor", "carol", "bob"])
    };
    let forbid = || line_flags("bob", EUR, 0, 1);
    const ANCHOR_PAID_THREE: &[&str] = &["anchor: balance -300, sequence +1", "totals: fee pool +300"];
    vec![
        row(
            "deauthorization_deletes_offers_in_the_asset_alone",
            offers.clone(),
            tx("anchor").op(forbid()),
            Applied("success SetTrustLineFlags(Success)"),
            &[
                ANCHOR_PAID,
                "bob/EUR: flags -1, buying -20, selling -10",
                "bob/offer 1: gone",
                "bob/offer 2: gone",
                "bob: subentries -2, buying -10, selling -10",
                PAID,
            ],
        ),
        row(
            "deauthorization_by_allow_trust_deletes_offers",
            offers.clone(),
            tx("anchor").op(allow("bob", *b"EUR\0", 0)),
            Applied("success AllowTrust(Success)"),
            &[
                ANCHOR_PAID,
                "bob/EUR: flags -1, buying -20, selling -10",
                "bob/offer 1: gone",
                "bob/offer 2: gone",
                "bob: subentries -2, buying -10, selling -10",
                PAID,
            ],
        ),
        row(
            "half_deauthorization_keeps_offers",
            offers,
            tx("anchor").op(line_flags("bob", EUR, 2, 1)),
            Applied("success SetTrustLineFlags(Success)"),
            &[ANCHOR_PAID, "bob/EUR: flags +1", PAID],
        ),
        row(
            "deauthorization_redeems_shares",
            shares(),
            tx("anchor").op(forbid()),
            Applied("success SetTrustLineFlags(Success)"),
            &[
                ANCHOR_PAID,
                "balance: new 100 EUR for 1",
                "balance: new 400 native for 1",
                "bob/EUR: flags -1, pools -1",
                "bob/shares: gone",
                "bob: subentries -2, sponsoring +2",
                "pool: a -400, b -100, shares -200, lines -1",
                PAID,
            ],
        ),
        row(
            "deauthorization_redeems_shares_with_clawback",
            of_alice,
            tx("anchor").op(forbid()),
            Applied("success SetTrustLineFlags(Success)"),
            &[
                ANCHOR_PAID,
                "balance: new 100 EUR for 1 clawback",
                "balance: new 400 native for 1",
                "bob/EUR: flags -1, pools -1",
                "bob/shares: gone",
                "bob: subentries -2, sponsoring +2",
                "pool: a -400, b -100, shares -200, lines -1",
                PAID,
            ],
        ),
        row(
            "deauthorization_of_who_holds_a_line_without_shares",
            shares(),
            tx("anchor").op(line_flags("alice", EUR, 0, 1)),
            Applied("success SetTrustLineFlags(Success)"),
            &[
                "alice/EUR: flags -1, pools -1",
                "alice/shares: gone",
                "alice: subentries -2",
                ANCHOR_PAID,
                "pool: lines -1",
                PAID,
            ],
        ),
        row(
            "deauthorization_at_a_sponsor_s_expense",
            sponsored(500),
            in_a_sandwich(forbid()),
            Applied(
                "success BeginSponsoringFutureReserves(Success) SetTrustLineFlags(Success) EndSponsoringFutureReserves(Success)",
            ),
            &[
                "anchor: balance -300, sequence +1",
                "balance: new 100 EUR for 1",
                "balance: new 400 native for 1",
                "bob/EUR: flags -1, pools -1",
                "bob/shares: gone",
                "bob: subentries -2",
                "carol: sponsoring +2",
                "pool: a -400, b -100, shares -200, lines -1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "deauthorization_at_a_poor_sponsor_s_expense",
            sponsored(39),
            in_a_sandwich(forbid()),
            Applied(
                "failed BeginSponsoringFutureReserves(Success) SetTrustLineFlags(LowReserve) EndSponsoringFutureReserves(Success)",
            ),
            ANCHOR_PAID_THREE,
        ),
        row(
            "allow_trust_at_a_poor_sponsor_s_expense",
            sponsored(39),
            in_a_sandwich(allow("bob", *b"EUR\0", 0)),
            Applied(
                "failed BeginSponsoringFutureReserves(Success) AllowTrust(LowReserve) EndSponsoringFutureReserves(Success)",
            ),
            ANCHOR_PAID_THREE,
        ),
    ]
}
