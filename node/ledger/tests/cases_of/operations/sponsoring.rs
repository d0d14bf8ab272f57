//! Rows of sponsored reserves.

use carat_ledger::StateKey;
use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

const EUR: &str = "EUR:anchor";
const ANY: ClaimPredicate = ClaimPredicate::Unconditional;

fn market() -> World {
    super::offers::market().account("carol", 1_000)
}

pub(super) fn table() -> Vec<Case> {
    [sandwiches(), entries_made(), revocations(), signers()].into_iter().flatten().collect()
}

/// Bob pays for what Alice does.
fn at_bob_s_expense(op: OperationBody) -> Tx {
    tx("bob").op(sponsor("alice")).op_by("alice", op).op_by("alice", end_sponsoring()).by(&["bob", "alice"])
}

fn sandwiches() -> Vec<Case> {
    const BOB_PAID_TWO: &[&str] = &["bob: balance -200, sequence +1", "totals: fee pool +200"];
    vec![
        row(
            "sponsorship_of_nothing",
            market(),
            tx("bob").op(sponsor("alice")).op_by("alice", end_sponsoring()).by(&["bob", "alice"]),
            Applied("success BeginSponsoringFutureReserves(Success) EndSponsoringFutureReserves(Success)"),
            BOB_PAID_TWO,
        ),
        row(
            "sponsorship_of_oneself",
            market(),
            tx("bob").op(sponsor("bob")),
            Refused("failed BeginSponsoringFutureReserves(Malformed)"),
            &[],
        ),
        row(
            "sponsorship_left_open",
            market(),
            tx("bob").op(sponsor("alice")),
            Applied("BadSponsorship"),
            &["bob: balance -100, sequence +1", PAID],
        ),
        row(
            "sponsorship_begun_twice",
            market(),
            tx("bob").op(sponsor("alice")).op_by("carol", sponsor("alice")).by(&["bob", "carol"]),
            Applied(
                "failed BeginSponsoringFutureReserves(Success) BeginSponsoringFutureReserves(AlreadySponsored)",
            ),
            BOB_PAID_TWO,
        ),
        row(
            "sponsored_account_that_sponsors",
            market(),
            tx("bob").op(sponsor("alice")).op_by("alice", sponsor("carol")).by(&["bob", "alice"]),
            Applied("failed BeginSponsoringFutureReserves(Success) BeginSponsoringFutureReserves(Recursive)"),
            BOB_PAID_TWO,
        ),
        row(
            "sponsor_that_is_to_be_sponsored",
            market(),
            tx("bob").op(sponsor("alice")).op_by("carol", sponsor("bob")).by(&["bob", "carol"]),
            Applied("failed BeginSponsoringFutureReserves(Success) BeginSponsoringFutureReserves(Recursive)"),
            BOB_PAID_TWO,
        ),
        row(
            "end_of_no_sponsorship",
            market(),
            tx("bob").op(end_sponsoring()),
            Applied("failed EndSponsoringFutureReserves(NotSponsored)"),
            &["bob: balance -100, sequence +1", PAID],
        ),
        row(
            "merge_of_an_account_that_sponsors_just_now",
            market(),
            tx("carol")
                .op(sponsor("alice"))
                .op(merge("bob"))
                .op_by("alice", end_sponsoring())
                .by(&["carol", "alice"]),
            Applied(
                "failed BeginSponsoringFutureReserves(Success) AccountMerge(IsSponsor) EndSponsoringFutureReserves(Success)",
            ),
            &["carol: balance -300, sequence +1", "totals: fee pool +300"],
        ),
    ]
}

fn entries_made() -> Vec<Case> {
    let success = |middle: &str| -> Expect {
        let words = format!(
            "success BeginSponsoringFutureReserves(Success) {middle} EndSponsoringFutureReserves(Success)"
        );
        Applied(Box::leak(words.into_boxed_str()))
    };
    let failure = |middle: &str| -> Expect {
        let words = format!(
            "failed BeginSponsoringFutureReserves(Success) {middle} EndSponsoringFutureReserves(Success)"
        );
        Applied(Box::leak(words.into_boxed_str()))
    };
    let new =
        tx("bob").op(sponsor("new")).op(create("new", 0)).op_by("new", end_sponsoring()).by(&["bob", "new"]);
    let poor_sponsor =
        || World::new().account("anchor", 10_000).holder("alice", EUR, 100).account("bob", 325);
    let busy_sponsor =
        || market().with("bob", |bob| bob.balance = 100_000_000_000).sponsorships("bob", 0, u32::MAX - 1);
    const BOB_PAID_THREE: &[&str] = &["bob: balance -300, sequence +1", "totals: fee pool +300"];
    vec![
        row(
            "sponsored_account_made_without_coins",
            {
                let mut world = market();
                world.name("new");
                world
            },
            new.clone(),
            success("CreateAccount(Success)"),
            &["bob: balance -300, sequence +1, sponsoring +2", "new: new account 0", "totals: fee pool +300"],
        ),
        row(
            "sponsored_account_of_a_poor_sponsor",
            {
                let mut world = poor_sponsor();
                world.name("new");
                world
            },
            new,
            Applied("failed BeginSponsoringFutureReserves(Success) CreateAccount(LowReserve) OpNoAccount"),
            BOB_PAID_THREE,
        ),
        row(
            "sponsored_trustline",
            market(),
            at_bob_s_expense(trust("USD:anchor", 9)),
            success("ChangeTrust(Success)"),
            &[
                "alice/USD: new line 0 limit 9 flags 1",
                "alice: subentries +1, sponsored +1",
                "bob: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "sponsored_data",
            market(),
            at_bob_s_expense(data("motto", Some("pay"))),
            success("ManageData(Success)"),
            &[
                "alice/data motto: new \"pay\"",
                "alice: subentries +1, sponsored +1",
                "bob: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "sponsored_signer",
            market(),
            at_bob_s_expense(set_signer(key_of("carol"), 1)),
            success("SetOptions(Success)"),
            &[
                "alice: subentries +1, signers [1], sponsored +1",
                "bob: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "sponsored_signer_among_others",
            market().signer("alice", hash_of(b"x"), 1),
            at_bob_s_expense(set_signer(key_of("carol"), 1)),
            success("SetOptions(Success)"),
            &[
                "alice: subentries +1, signers [1, 1], sponsored +1",
                "bob: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "sponsored_data_of_a_poor_sponsor",
            poor_sponsor().with("bob", |bob| bob.balance = 320),
            at_bob_s_expense(data("motto", Some("pay"))),
            failure("ManageData(LowReserve)"),
            BOB_PAID_THREE,
        ),
        row(
            "sponsored_data_of_a_busy_sponsor",
            busy_sponsor(),
            at_bob_s_expense(data("motto", Some("pay"))),
            failure("OpTooManySponsoring"),
            BOB_PAID_THREE,
        ),
        row(
            "sponsored_data_of_an_account_with_too_many_subentries",
            market().with("alice", |alice| (alice.num_sub_entries, alice.balance) = (1_000, 100_000)),
            at_bob_s_expense(data("motto", Some("pay"))),
            failure("OpTooManySubentries"),
            BOB_PAID_THREE,
        ),
    ]
}

fn revocations() -> Vec<Case> {
    let note = StateKey::data(&id("alice"), &string64("motto"));
    let own = || market().after(&[tx("alice").op(data("motto", Some("pay")))]);
    let sponsored = || market().after(&[at_bob_s_expense(data("motto", Some("pay")))]);
    let balance = || market().after(&[tx("alice").op(set_aside(5, EUR, &[("bob", ANY), ("carol", ANY)]))]);
    let balance_key = StateKey::claimable_balance(balance_of("alice"));
    let alice = StateKey::account(&id("alice"));
    let revoking = |name, given, who: &str, key: &StateKey, expect, changes| {
        row(name, given, tx(who).op(revoke(key)), expect, changes)
    };
    // Carol pays for what the revoking account would have to pay for.
    let at_carol_s_expense = |who: &str, key: &StateKey| {
        tx("carol").op(sponsor(who)).op_by(who, revoke(key)).op_by(who, end_sponsoring()).by(&["carol", who])
    };
    const DONE: Expect = Applied("success RevokeSponsorship(Success)");
    const PASSED: Expect = Applied(
        "success BeginSponsoringFutureReserves(Success) RevokeSponsorship(Success) EndSponsoringFutureReserves(Success)",
    );
    const BOB_PAID: &str = "bob: balance -100, sequence +1";
    let malformed = |name, key: LedgerKey| {
        row(
            name,
            market(),
            tx("alice").op(revoke(&StateKey::Ledger(key))),
            Refused("failed RevokeSponsorship(Malformed)"),
            &[],
        )
    };
    let offer_key =
        |id: i64| LedgerKey::Offer(LedgerKeyOffer { seller_id: account_id("alice"), offer_id: id });
    let line_key =
        |asset| LedgerKey::Trustline(LedgerKeyTrustLine { account_id: account_id("anchor"), asset });
    let Asset::CreditAlphanum4(euro) = asset(EUR) else { return Vec::new() };
    let data_key = |name: &str| {
        LedgerKey::Data(LedgerKeyData { account_id: account_id("alice"), data_name: string64(name) })
    };
    vec![
        revoking(
            "sponsorship_given_back",
            sponsored(),
            "bob",
            &note,
            DONE,
            &[
                "alice/data motto: unsponsored",
                "alice: sponsored -1",
                "bob: balance -100, sequence +1, sponsoring -1",
                PAID,
            ],
        ),
        revoking("sponsorship_that_is_none_given_back", own(), "alice", &note, DONE, &[ALICE_PAID, PAID]),
        revoking(
            "sponsorship_revoked_by_the_owner",
            sponsored(),
            "alice",
            &note,
            Applied("failed RevokeSponsorship(NotSponsor)"),
            &[ALICE_PAID, PAID],
        ),
        revoking(
            "sponsorship_that_is_none_revoked_by_a_stranger",
            own(),
            "bob",
            &note,
            Applied("failed RevokeSponsorship(NotSponsor)"),
            &[BOB_PAID, PAID],
        ),
        revoking(
            "sponsorship_of_nothing_revoked",
            market(),
            "bob",
            &note,
            Applied("failed RevokeSponsorship(DoesNotExist)"),
            &[BOB_PAID, PAID],
        ),
        revoking(
            "sponsorship_given_back_to_a_poor_owner",
            sponsored().with("alice", |alice| alice.balance = 35),
            "bob",
            &note,
            Applied("failed RevokeSponsorship(LowReserve)"),
            &[BOB_PAID, PAID],
        ),
        revoking(
            "balance_given_back",
            balance(),
            "alice",
            &balance_key,
            Applied("failed RevokeSponsorship(OnlyTransferable)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "sponsorship_passed_on",
            sponsored(),
            at_carol_s_expense("bob", &note),
            PASSED,
            &[
                "alice/data motto: sponsored",
                "bob: sponsoring -1",
                "carol: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "sponsorship_begun_for_an_entry_that_is_there",
            own(),
            at_carol_s_expense("alice", &note),
            PASSED,
            &[
                "alice/data motto: sponsored",
                "alice: sponsored +1",
                "carol: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "balance_passed_on",
            balance(),
            at_carol_s_expense("alice", &balance_key),
            PASSED,
            &[
                "alice: sponsoring -2",
                "balance: sponsored",
                "carol: balance -300, sequence +1, sponsoring +2",
                "totals: fee pool +300",
            ],
        ),
        row(
            "account_passed_on",
            market(),
            at_carol_s_expense("alice", &alice),
            PASSED,
            &[
                "alice: sponsored +2, sponsored",
                "carol: balance -300, sequence +1, sponsoring +2",
                "totals: fee pool +300",
            ],
        ),
        row(
            "account_given_back",
            market().sponsor_of(&alice, "bob").sponsorships("alice", 2, 0).sponsorships("bob", 0, 2),
            tx("bob").op(revoke(&alice)),
            DONE,
            &["alice: sponsored -2, unsponsored", "bob: balance -100, sequence +1, sponsoring -2", PAID],
        ),
        row(
            "sponsorship_passed_on_to_a_poor_sponsor",
            sponsored().with("carol", |carol| carol.balance = 325),
            at_carol_s_expense("bob", &note),
            Applied(
                "failed BeginSponsoringFutureReserves(Success) RevokeSponsorship(LowReserve) EndSponsoringFutureReserves(Success)",
            ),
            &["carol: balance -300, sequence +1", "totals: fee pool +300"],
        ),
        row(
            "sponsorship_passed_on_to_a_busy_sponsor",
            sponsored().with("carol", |carol| carol.balance = 100_000_000_000).sponsorships(
                "carol",
                0,
                u32::MAX,
            ),
            at_carol_s_expense("bob", &note),
            Applied(
                "failed BeginSponsoringFutureReserves(Success) OpTooManySponsoring EndSponsoringFutureReserves(Success)",
            ),
            &["carol: balance -300, sequence +1", "totals: fee pool +300"],
        ),
        row(
            "sponsorship_passed_to_the_owner_itself",
            sponsored(),
            tx("alice")
                .op(sponsor("bob"))
                .op_by("bob", revoke(&note))
                .op_by("bob", end_sponsoring())
                .by(&["alice", "bob"]),
            PASSED,
            &[
                "alice/data motto: unsponsored",
                "alice: balance -300, sequence +1, sponsored -1",
                "bob: sponsoring -1",
                "totals: fee pool +300",
            ],
        ),
        malformed("revocation_of_a_line_of_coins", line_key(TrustLineAsset::Native)),
        malformed("revocation_of_an_issuer_s_line", line_key(TrustLineAsset::CreditAlphanum4(euro))),
        malformed("revocation_of_offer_0", offer_key(0)),
        malformed("revocation_of_nameless_data", data_key("")),
        malformed(
            "revocation_of_a_pool",
            LedgerKey::LiquidityPool(LedgerKeyLiquidityPool { liquidity_pool_id: PoolId(Hash([0; 32])) }),
        ),
    ]
}

fn signers() -> Vec<Case> {
    let carol = || key_of("carol");
    let own = || market().after(&[tx("alice").op(set_signer(carol(), 1))]);
    let sponsored = || market().after(&[at_bob_s_expense(set_signer(carol(), 1))]);
    let by_carol = |who: &str| {
        tx("carol")
            .op(sponsor(who))
            .op_by(who, revoke_signer("alice", carol()))
            .op_by(who, end_sponsoring())
            .by(&["carol", who])
    };
    const PASSED: Expect = Applied(
        "success BeginSponsoringFutureReserves(Success) RevokeSponsorship(Success) EndSponsoringFutureReserves(Success)",
    );
    const BOB_PAID: &str = "bob: balance -100, sequence +1";
    let by_bob = |name, given, expect, changes| {
        row(name, given, tx("bob").op(revoke_signer("alice", carol())), Applied(expect), changes)
    };
    vec![
        by_bob(
            "signer_given_back",
            sponsored(),
            "success RevokeSponsorship(Success)",
            &["alice: sponsored -1", "bob: balance -100, sequence +1, sponsoring -1", PAID],
        ),
        by_bob(
            "signer_of_somebody_else_given_back",
            own(),
            "failed RevokeSponsorship(NotSponsor)",
            &[BOB_PAID, PAID],
        ),
        by_bob(
            "signer_that_is_none_given_back",
            market(),
            "failed RevokeSponsorship(DoesNotExist)",
            &[BOB_PAID, PAID],
        ),
        row(
            "signer_of_nobody_given_back",
            market(),
            tx("bob").op(revoke_signer("nobody", carol())),
            Applied("failed RevokeSponsorship(DoesNotExist)"),
            &[BOB_PAID, PAID],
        ),
        row(
            "signer_without_sponsor_given_back",
            own(),
            tx("alice").op(revoke_signer("alice", carol())),
            Applied("success RevokeSponsorship(Success)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "signer_passed_on",
            sponsored(),
            by_carol("bob"),
            PASSED,
            &[
                "bob: sponsoring -1",
                "carol: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        // Carol signs for Alice too, so that Alice's own signature would be one too many.
        row(
            "signer_sponsored_afterwards",
            own(),
            by_carol("alice").by(&["carol"]),
            PASSED,
            &[
                "alice: sponsored +1",
                "carol: balance -300, sequence +1, sponsoring +1",
                "totals: fee pool +300",
            ],
        ),
        row(
            "sponsored_signer_taken_off",
            sponsored(),
            tx("alice").op(set_signer(carol(), 0)),
            Applied("success SetOptions(Success)"),
            &[
                "alice: balance -100, sequence +1, subentries -1, signers [], sponsored -1",
                "bob: sponsoring -1",
                PAID,
            ],
        ),
    ]
}
