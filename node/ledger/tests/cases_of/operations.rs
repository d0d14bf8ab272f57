//! One row at least for each result code that the operations of stage 1 can give.
//!
//! Not in the table, because nothing can give them: Payment NO_ISSUER, ChangeTrust SELF_NOT_ALLOWED, AllowTrust
//! TRUST_NOT_REQUIRED and SELF_NOT_ALLOWED, ManageData NOT_SUPPORTED_YET (of earlier protocols); ChangeTrust
//! TRUST_LINE_MISSING and NOT_AUTH_MAINTAIN_LIABILITIES (of pool shares); LOW_RESERVE of AllowTrust and
//! SetTrustLineFlags, and opTOO_MANY_SPONSORING (of sponsored claimable balances); opEXCEEDED_WORK_LIMIT (of offers).

use carat_types::PublicKey;
use stellar_xdr::*;

use crate::support::*;
use crate::{Applied, Case, Expect, Refused};

const PAID: &str = "totals: fee pool +100";
const ALICE_PAID: &str = "alice: balance -100, sequence +1";
const ANCHOR_PAID: &str = "anchor: balance -100, sequence +1";
/// A point of order one.
const WEAK: PublicKey = PublicKey([
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

const REQUIRED: u32 = 1;
const REVOCABLE: u32 = 2;
const IMMUTABLE: u32 = 4;
const CLAWBACK: u32 = 8;

fn row(
    name: &'static str,
    given: World,
    transaction: Tx,
    expect: Expect,
    changes: &'static [&'static str],
) -> Case {
    Case { name, given, block: vec![transaction], expect: vec![expect], changes }
}

fn two() -> World {
    World::new().account("alice", 1_000).account("bob", 500)
}

fn euros() -> World {
    two().account("anchor", 1_000).line("alice", "EUR:anchor", 50).line("bob", "EUR:anchor", 7)
}

pub(crate) fn table() -> Vec<Case> {
    [
        create_account(),
        payment(),
        set_options(),
        signers(),
        change_trust(),
        allow_trust(),
        set_trust_line_flags(),
        clawback_rows(),
        account_merge(),
        manage_data(),
        bump_sequence_rows(),
        sponsored_entries(),
        any_operation(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn create_account() -> Vec<Case> {
    let mut world = two();
    world.name("new");
    let restricted = || two().account("bank", 1_000).member("bank").restricted();
    let weak =
        OperationBody::CreateAccount(CreateAccountOp { destination: WEAK.into(), starting_balance: 100 });
    let mut named = restricted().created_by("alice", "bank");
    named.name("new");
    let mut by_bank = restricted();
    by_bank.name("new");
    vec![
        row(
            "create_account_success",
            world.clone(),
            tx("alice").op(create("new", 300)),
            Applied("success CreateAccount(Success)"),
            &["alice: balance -400, sequence +1", "new: new account 300", PAID],
        ),
        row(
            "create_account_negative_balance",
            two(),
            tx("alice").op(create("new", -1)),
            Refused("failed CreateAccount(Malformed)"),
            &[],
        ),
        row(
            "create_account_of_oneself",
            two(),
            tx("alice").op(create("alice", 100)),
            Refused("failed CreateAccount(Malformed)"),
            &[],
        ),
        row(
            "create_account_of_a_weak_key",
            two(),
            tx("alice").op(weak),
            Refused("failed CreateAccount(Malformed)"),
            &[],
        ),
        row(
            "create_account_underfunded",
            two(),
            tx("alice").op(create("new", 881)),
            Applied("failed CreateAccount(Underfunded)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "create_account_with_all_but_the_reserve",
            world.clone(),
            tx("alice").op(create("new", 880)),
            Applied("success CreateAccount(Success)"),
            &["alice: balance -980, sequence +1", "new: new account 880", PAID],
        ),
        row(
            "create_account_low_reserve",
            two(),
            tx("alice").op(create("new", 19)),
            Applied("failed CreateAccount(LowReserve)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "create_account_low_reserve_before_underfunded",
            World::new().account("alice", 125),
            tx("alice").op(create("new", 19)),
            Applied("failed CreateAccount(LowReserve)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "create_account_with_nothing_where_no_reserve_is_asked",
            world.clone().parameters(0, 0),
            tx("alice").op(create("new", 0)).fee(0),
            Applied("success CreateAccount(Success)"),
            &["alice: sequence +1", "new: new account 0"],
        ),
        row(
            "create_account_already_exist",
            two(),
            tx("alice").op(create("bob", 100)),
            Applied("failed CreateAccount(AlreadyExist)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "create_account_by_a_member",
            by_bank,
            tx("bank").op(create("new", 100)),
            Applied("success CreateAccount(Success)"),
            &["bank: balance -200, sequence +1", "creator of new: bank", "new: new account 100", PAID],
        ),
        row(
            "create_account_by_an_account_that_a_member_created",
            named,
            tx("alice").op(create("new", 100)),
            Applied("success CreateAccount(Success)"),
            &["alice: balance -200, sequence +1", "new: new account 100", PAID],
        ),
    ]
}

fn payment() -> Vec<Case> {
    let payment = |name, given, amount, of, expect, changes| {
        row(name, given, tx("alice").op(pay("bob", amount, of)), expect, changes)
    };
    let anchored = || two().account("anchor", 1_000);
    let bad_code = OperationBody::Payment(PaymentOp {
        destination: id("bob").into(),
        asset: Asset::CreditAlphanum4(AlphaNum4 {
            asset_code: AssetCode4(*b"E\0R\0"),
            issuer: account_id("anchor"),
        }),
        amount: 1,
    });
    let muxed = OperationBody::Payment(PaymentOp {
        destination: MuxedAccount::MuxedEd25519(MuxedAccountMed25519 {
            id: 77,
            ed25519: Uint256(id("bob").0),
        }),
        asset: Asset::Native,
        amount: 10,
    });
    vec![
        payment(
            "payment_of_coins",
            two(),
            10,
            "native",
            Applied("success Payment(Success)"),
            &["alice: balance -110, sequence +1", "bob: balance +10", PAID],
        ),
        row(
            "payment_to_a_customer_s_address",
            two(),
            tx("alice").op(muxed),
            Applied("success Payment(Success)"),
            &["alice: balance -110, sequence +1", "bob: balance +10", PAID],
        ),
        payment(
            "payment_of_an_asset",
            euros(),
            50,
            "EUR:anchor",
            Applied("success Payment(Success)"),
            &[ALICE_PAID, "alice/EUR: balance -50", "bob/EUR: balance +50", PAID],
        ),
        payment("payment_of_nothing", two(), 0, "native", Refused("failed Payment(Malformed)"), &[]),
        row(
            "payment_of_a_bad_code",
            two(),
            tx("alice").op(bad_code),
            Refused("failed Payment(Malformed)"),
            &[],
        ),
        payment(
            "payment_underfunded",
            two(),
            881,
            "native",
            Applied("failed Payment(Underfunded)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_of_all_but_the_reserve",
            two(),
            880,
            "native",
            Applied("success Payment(Success)"),
            &["alice: balance -980, sequence +1", "bob: balance +880", PAID],
        ),
        payment(
            "payment_asset_underfunded",
            euros(),
            51,
            "EUR:anchor",
            Applied("failed Payment(Underfunded)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_of_what_offers_would_sell",
            anchored().line("bob", "EUR:anchor", 0).line_with("alice", "EUR:anchor", 50, |line| {
                line.ext = TrustLineEntryExt::V1(TrustLineEntryV1 {
                    liabilities: Liabilities { buying: 0, selling: 30 },
                    ext: TrustLineEntryV1Ext::V0,
                });
            }),
            21,
            "EUR:anchor",
            Applied("failed Payment(Underfunded)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_source_no_trust",
            anchored().line("bob", "EUR:anchor", 0),
            1,
            "EUR:anchor",
            Applied("failed Payment(SrcNoTrust)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_source_not_authorized",
            anchored()
                .line("bob", "EUR:anchor", 0)
                .line_with("alice", "EUR:anchor", 5, |line| line.flags = 2),
            1,
            "EUR:anchor",
            Applied("failed Payment(SrcNotAuthorized)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "payment_no_destination",
            two(),
            tx("alice").op(pay("nobody", 1, "native")),
            Applied("failed Payment(NoDestination)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_no_trust",
            anchored().line("alice", "EUR:anchor", 5),
            1,
            "EUR:anchor",
            Applied("failed Payment(NoTrust)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_not_authorized",
            anchored()
                .line("alice", "EUR:anchor", 5)
                .line_with("bob", "EUR:anchor", 0, |line| line.flags = 0),
            1,
            "EUR:anchor",
            Applied("failed Payment(NotAuthorized)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_line_full",
            anchored()
                .line("alice", "EUR:anchor", 5)
                .line_with("bob", "EUR:anchor", 7, |line| line.limit = 7),
            1,
            "EUR:anchor",
            Applied("failed Payment(LineFull)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_of_coins_line_full",
            two().with("bob", |bob| {
                bob.ext = AccountEntryExt::V1(AccountEntryExtensionV1 {
                    liabilities: Liabilities { buying: i64::MAX - 500, selling: 0 },
                    ext: AccountEntryExtensionV1Ext::V0,
                });
            }),
            1,
            "native",
            Applied("failed Payment(LineFull)"),
            &[ALICE_PAID, PAID],
        ),
        payment(
            "payment_destination_s_error_wins",
            anchored(),
            1,
            "EUR:anchor",
            Applied("failed Payment(NoTrust)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "payment_of_coins_to_oneself_beyond_the_balance",
            two(),
            tx("alice").op(pay("alice", 5_000, "native")),
            Applied("success Payment(Success)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "payment_from_the_issuer_issues",
            anchored().line("bob", "EUR:anchor", 0),
            tx("anchor").op(pay("bob", 1_000_000, "EUR:anchor")),
            Applied("success Payment(Success)"),
            &[ANCHOR_PAID, "bob/EUR: balance +1000000", "supply EUR: new 1000000", PAID],
        ),
        row(
            "payment_to_the_issuer_redeems",
            euros(),
            tx("alice").op(pay("anchor", 20, "EUR:anchor")),
            Applied("success Payment(Success)"),
            &[ALICE_PAID, "alice/EUR: balance -20", "supply EUR: -20", PAID],
        ),
        row(
            "payment_of_the_last_unit_to_an_issuer_that_is_gone",
            two().line("alice", "EUR:anchor", 20),
            tx("alice").op(pay("anchor", 20, "EUR:anchor")),
            Applied("success Payment(Success)"),
            &[ALICE_PAID, "alice/EUR: balance -20", "supply EUR: gone", PAID],
        ),
    ]
}

fn set_options() -> Vec<Case> {
    let set = |name, given, change: fn(&mut SetOptionsOp), expect, changes| {
        row(name, given, tx("alice").op(options(change)), expect, changes)
    };
    let domain = |text: &[u8]| Some(String32(text.try_into().expect("short")));
    vec![
        row(
            "set_options_everything_at_once",
            two(),
            tx("alice").op(options(|op| {
                op.inflation_dest = Some(account_id("bob"));
                op.set_flags = Some(REQUIRED | REVOCABLE);
                op.master_weight = Some(9);
                op.low_threshold = Some(1);
                op.med_threshold = Some(2);
                op.high_threshold = Some(3);
                op.home_domain = domain(b"bank.example");
            })),
            Applied("success SetOptions(Success)"),
            &[
                "alice: balance -100, sequence +1, flags +3, thresholds [9, 1, 2, 3], domain bank.example, inflation destination",
                PAID,
            ],
        ),
        set(
            "set_options_clears_flags",
            two().flags("alice", REQUIRED | REVOCABLE),
            |op| op.clear_flags = Some(REVOCABLE),
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, flags -2", PAID],
        ),
        set(
            "set_options_bad_flags",
            two(),
            |op| (op.set_flags, op.clear_flags) = (Some(REVOCABLE), Some(REVOCABLE)),
            Refused("failed SetOptions(BadFlags)"),
            &[],
        ),
        set(
            "set_options_unknown_flag",
            two(),
            |op| op.set_flags = Some(16),
            Refused("failed SetOptions(UnknownFlag)"),
            &[],
        ),
        set(
            "set_options_invalid_inflation",
            two(),
            |op| op.inflation_dest = Some(account_id("nobody")),
            Applied("failed SetOptions(InvalidInflation)"),
            &[ALICE_PAID, PAID],
        ),
        set(
            "set_options_cant_change",
            two().flags("alice", IMMUTABLE),
            |op| op.set_flags = Some(REVOCABLE),
            Applied("failed SetOptions(CantChange)"),
            &[ALICE_PAID, PAID],
        ),
        set(
            "set_options_cant_change_immutable_itself",
            two().flags("alice", IMMUTABLE),
            |op| op.clear_flags = Some(IMMUTABLE),
            Applied("failed SetOptions(CantChange)"),
            &[ALICE_PAID, PAID],
        ),
        set(
            "set_options_threshold_out_of_range",
            two(),
            |op| op.med_threshold = Some(256),
            Refused("failed SetOptions(ThresholdOutOfRange)"),
            &[],
        ),
        set(
            "set_options_master_weight_out_of_range",
            two(),
            |op| op.master_weight = Some(256),
            Refused("failed SetOptions(ThresholdOutOfRange)"),
            &[],
        ),
        row(
            "set_options_invalid_home_domain",
            two(),
            tx("alice").op(options(|op| op.home_domain = domain(b"bank\n"))),
            Refused("failed SetOptions(InvalidHomeDomain)"),
            &[],
        ),
        set(
            "set_options_auth_revocable_required",
            two(),
            |op| op.set_flags = Some(CLAWBACK),
            Applied("failed SetOptions(AuthRevocableRequired)"),
            &[ALICE_PAID, PAID],
        ),
        set(
            "set_options_clawback_with_revocable",
            two(),
            |op| op.set_flags = Some(CLAWBACK | REVOCABLE),
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, flags +10", PAID],
        ),
    ]
}

fn signers() -> Vec<Case> {
    let put = |name, given, key, weight, expect, changes| {
        row(name, given, tx("alice").op(set_signer(key, weight)), expect, changes)
    };
    let full = (0..20_u8).fold(two(), |world, n| world.signer("alice", hash_of(&[n]), 1));
    vec![
        put(
            "signer_added",
            two(),
            key_of("carol"),
            3,
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, subentries +1, signers [3]", PAID],
        ),
        put(
            "signer_changed",
            two().signer("alice", key_of("carol"), 3),
            key_of("carol"),
            4,
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, signers [4]", PAID],
        ),
        put(
            "signer_removed",
            two().signer("alice", key_of("carol"), 3),
            key_of("carol"),
            0,
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, subentries -1, signers []", PAID],
        ),
        put(
            "signer_removed_that_is_not_there",
            two(),
            key_of("carol"),
            0,
            Applied("success SetOptions(Success)"),
            &[ALICE_PAID, PAID],
        ),
        put(
            "signers_stand_in_the_order_of_their_kinds",
            two().signer("alice", hash_of(b"x"), 3).signer("alice", payload_of("carol", b"p"), 4),
            key_of("carol"),
            1,
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, subentries +1, signers [1, 3, 4]", PAID],
        ),
        put(
            "signer_is_the_account_itself",
            two(),
            key_of("alice"),
            1,
            Refused("failed SetOptions(BadSigner)"),
            &[],
        ),
        put("signer_too_heavy", two(), key_of("carol"), 256, Refused("failed SetOptions(BadSigner)"), &[]),
        put(
            "signer_of_a_weak_key",
            two(),
            SignerKey::Ed25519(Uint256(WEAK.0)),
            1,
            Refused("failed SetOptions(BadSigner)"),
            &[],
        ),
        put(
            "signer_of_an_empty_payload",
            two(),
            payload_of("carol", b""),
            1,
            Refused("failed SetOptions(BadSigner)"),
            &[],
        ),
        put(
            "too_many_signers",
            full,
            key_of("carol"),
            1,
            Applied("failed SetOptions(TooManySigners)"),
            &[ALICE_PAID, PAID],
        ),
        put(
            "signer_low_reserve",
            World::new().account("alice", 129),
            key_of("carol"),
            1,
            Applied("failed SetOptions(LowReserve)"),
            &[ALICE_PAID, PAID],
        ),
        put(
            "signer_with_just_the_reserve",
            World::new().account("alice", 130),
            key_of("carol"),
            1,
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, subentries +1, signers [1]", PAID],
        ),
        put(
            "signer_too_many_subentries",
            World::new().account("alice", 100_000).with("alice", |alice| alice.num_sub_entries = 1_000),
            key_of("carol"),
            1,
            Applied("failed OpTooManySubentries"),
            &[ALICE_PAID, PAID],
        ),
    ]
}

fn change_trust() -> Vec<Case> {
    let trusting = |name, given, limit, expect, changes| {
        row(name, given, tx("alice").op(trust("EUR:anchor", limit)), expect, changes)
    };
    let anchored = || two().account("anchor", 1_000);
    let used_by_pool = |line: &mut TrustLineEntry| {
        line.ext = TrustLineEntryExt::V1(TrustLineEntryV1 {
            liabilities: Liabilities { buying: 0, selling: 0 },
            ext: TrustLineEntryV1Ext::V2(TrustLineEntryExtensionV2 {
                liquidity_pool_use_count: 1,
                ext: TrustLineEntryExtensionV2Ext::V0,
            }),
        });
    };
    let pool = OperationBody::ChangeTrust(ChangeTrustOp {
        line: ChangeTrustAsset::PoolShare(LiquidityPoolParameters::LiquidityPoolConstantProduct(
            LiquidityPoolConstantProductParameters {
                asset_a: Asset::Native,
                asset_b: asset("EUR:anchor"),
                fee: 30,
            },
        )),
        limit: 1,
    });
    const OPENED: &str = "alice: balance -100, sequence +1, subentries +1";
    vec![
        trusting(
            "trustline_opened",
            anchored(),
            900,
            Applied("success ChangeTrust(Success)"),
            &[OPENED, "alice/EUR: new line 0 limit 900 flags 1", PAID],
        ),
        trusting(
            "trustline_of_a_careful_issuer_starts_unauthorized",
            anchored().flags("anchor", REQUIRED),
            900,
            Applied("success ChangeTrust(Success)"),
            &[OPENED, "alice/EUR: new line 0 limit 900 flags 0", PAID],
        ),
        trusting(
            "trustline_inherits_clawback",
            anchored().flags("anchor", REVOCABLE | CLAWBACK),
            900,
            Applied("success ChangeTrust(Success)"),
            &[OPENED, "alice/EUR: new line 0 limit 900 flags 5", PAID],
        ),
        trusting(
            "trustline_limit_changed",
            euros(),
            50,
            Applied("success ChangeTrust(Success)"),
            &[ALICE_PAID, "alice/EUR: limit -999950", PAID],
        ),
        trusting(
            "trustline_closed",
            anchored().line("alice", "EUR:anchor", 0),
            0,
            Applied("success ChangeTrust(Success)"),
            &["alice: balance -100, sequence +1, subentries -1", "alice/EUR: gone", PAID],
        ),
        trusting(
            "trustline_to_a_vanished_issuer_closed",
            two().line("alice", "EUR:anchor", 0),
            0,
            Applied("success ChangeTrust(Success)"),
            &["alice: balance -100, sequence +1, subentries -1", "alice/EUR: gone", PAID],
        ),
        trusting(
            "change_trust_negative_limit",
            anchored(),
            -1,
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_the_coin",
            anchored(),
            tx("alice").op(trust("native", 1)),
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_one_s_own_asset",
            anchored(),
            tx("anchor").op(trust("EUR:anchor", 1)),
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_a_bad_code",
            anchored(),
            tx("alice").op(trust("E-R:anchor", 1)),
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_pool_shares",
            anchored(),
            tx("alice").op(pool),
            Refused("failed OpNotSupported"),
            &[],
        ),
        trusting(
            "change_trust_no_issuer",
            two(),
            9,
            Applied("failed ChangeTrust(NoIssuer)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_limit_of_a_vanished_issuer",
            two().line("alice", "EUR:anchor", 1),
            9,
            Applied("failed ChangeTrust(NoIssuer)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_limit_below_balance",
            euros(),
            49,
            Applied("failed ChangeTrust(InvalidLimit)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_close_with_balance",
            euros(),
            0,
            Applied("failed ChangeTrust(InvalidLimit)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_close_what_is_not_open",
            anchored(),
            0,
            Applied("failed ChangeTrust(InvalidLimit)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_low_reserve",
            World::new().account("alice", 129).account("anchor", 100),
            9,
            Applied("failed ChangeTrust(LowReserve)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_too_many_subentries",
            World::new()
                .account("alice", 100_000)
                .with("alice", |alice| alice.num_sub_entries = 1_000)
                .account("anchor", 100),
            9,
            Applied("failed OpTooManySubentries"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_cannot_delete",
            anchored().line_with("alice", "EUR:anchor", 0, used_by_pool),
            0,
            Applied("failed ChangeTrust(CannotDelete)"),
            &[ALICE_PAID, PAID],
        ),
    ]
}

fn allow_trust() -> Vec<Case> {
    let allowing = |name, issuer_flags, line_flags, authorize, expect, changes| {
        let given = two().account("anchor", 1_000).flags("anchor", issuer_flags).line_with(
            "alice",
            "EUR:anchor",
            5,
            |line| line.flags = line_flags,
        );
        row(name, given, tx("anchor").op(allow("alice", *b"EUR\0", authorize)), expect, changes)
    };
    vec![
        allowing(
            "allow_trust_authorizes",
            REQUIRED,
            0,
            1,
            Applied("success AllowTrust(Success)"),
            &[ANCHOR_PAID, "alice/EUR: flags +1", PAID],
        ),
        allowing(
            "allow_trust_revokes",
            REVOCABLE,
            1,
            0,
            Applied("success AllowTrust(Success)"),
            &[ANCHOR_PAID, "alice/EUR: flags -1", PAID],
        ),
        allowing(
            "allow_trust_keeps_clawback",
            REVOCABLE,
            5,
            2,
            Applied("success AllowTrust(Success)"),
            &[ANCHOR_PAID, "alice/EUR: flags +1", PAID],
        ),
        allowing(
            "allow_trust_cant_revoke",
            REQUIRED,
            1,
            0,
            Applied("failed AllowTrust(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        allowing(
            "allow_trust_cant_reduce",
            REQUIRED,
            1,
            2,
            Applied("failed AllowTrust(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        allowing("allow_trust_both_kinds", REVOCABLE, 1, 3, Refused("failed AllowTrust(Malformed)"), &[]),
        row(
            "allow_trust_of_a_bad_code",
            euros(),
            tx("anchor").op(allow("alice", *b"E\0R\0", 1)),
            Refused("failed AllowTrust(Malformed)"),
            &[],
        ),
        row(
            "allow_trust_of_oneself",
            euros(),
            tx("anchor").op(allow("anchor", *b"EUR\0", 1)),
            Refused("failed AllowTrust(Malformed)"),
            &[],
        ),
        row(
            "allow_trust_no_trust_line",
            euros(),
            tx("anchor").op(allow("alice", *b"USD\0", 1)),
            Applied("failed AllowTrust(NoTrustLine)"),
            &[ANCHOR_PAID, PAID],
        ),
    ]
}

fn set_trust_line_flags() -> Vec<Case> {
    let setting = |name, issuer_flags, flags, (set, clear), expect, changes| {
        let given = two().account("anchor", 1_000).flags("anchor", issuer_flags).line_with(
            "alice",
            "EUR:anchor",
            5,
            |line| line.flags = flags,
        );
        row(name, given, tx("anchor").op(line_flags("alice", "EUR:anchor", set, clear)), expect, changes)
    };
    const MALFORMED: Expect = Refused("failed SetTrustLineFlags(Malformed)");
    const SUCCESS: Expect = Applied("success SetTrustLineFlags(Success)");
    let from =
        |name, source, of| row(name, euros(), tx(source).op(line_flags("alice", of, 1, 0)), MALFORMED, &[]);
    vec![
        setting("line_authorized", REQUIRED, 0, (1, 0), SUCCESS, &[ANCHOR_PAID, "alice/EUR: flags +1", PAID]),
        setting(
            "line_deauthorized",
            REVOCABLE,
            1,
            (0, 1),
            SUCCESS,
            &[ANCHOR_PAID, "alice/EUR: flags -1", PAID],
        ),
        setting(
            "line_upgraded_without_revocable",
            REQUIRED,
            2,
            (1, 2),
            SUCCESS,
            &[ANCHOR_PAID, "alice/EUR: flags -1", PAID],
        ),
        setting(
            "line_freed_of_clawback",
            REQUIRED,
            5,
            (0, 4),
            SUCCESS,
            &[ANCHOR_PAID, "alice/EUR: flags -4", PAID],
        ),
        setting(
            "line_flags_cant_revoke",
            REQUIRED,
            1,
            (0, 1),
            Applied("failed SetTrustLineFlags(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        setting(
            "line_flags_cant_reduce",
            REQUIRED,
            1,
            (2, 1),
            Applied("failed SetTrustLineFlags(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        setting(
            "line_flags_invalid_state",
            REVOCABLE,
            1,
            (2, 0),
            Applied("failed SetTrustLineFlags(InvalidState)"),
            &[ANCHOR_PAID, PAID],
        ),
        setting("line_flags_set_and_cleared", REVOCABLE, 1, (1, 1), MALFORMED, &[]),
        setting("line_flags_both_kinds", REVOCABLE, 0, (3, 0), MALFORMED, &[]),
        setting("line_flags_clawback_set", REVOCABLE, 0, (4, 0), MALFORMED, &[]),
        setting("line_flags_unknown", REVOCABLE, 0, (0, 8), MALFORMED, &[]),
        from("line_flags_of_another_s_asset", "bob", "EUR:anchor"),
        from("line_flags_of_the_coin", "anchor", "native"),
        from("line_flags_of_a_bad_code", "anchor", "E-R:anchor"),
        row(
            "line_flags_of_oneself",
            euros(),
            tx("anchor").op(line_flags("anchor", "EUR:anchor", 1, 0)),
            MALFORMED,
            &[],
        ),
        row(
            "line_flags_no_trust_line",
            euros(),
            tx("anchor").op(line_flags("alice", "USD:anchor", 1, 0)),
            Applied("failed SetTrustLineFlags(NoTrustLine)"),
            &[ANCHOR_PAID, PAID],
        ),
    ]
}

fn clawback_rows() -> Vec<Case> {
    let clawing = |name, flags, amount, expect, changes| {
        let given =
            two().account("anchor", 1_000).line_with("alice", "EUR:anchor", 50, |line| line.flags = flags);
        row(name, given, tx("anchor").op(clawback("alice", amount, "EUR:anchor")), expect, changes)
    };
    const MALFORMED: Expect = Refused("failed Clawback(Malformed)");
    let from =
        |name, source, of, who| row(name, euros(), tx(source).op(clawback(who, 1, of)), MALFORMED, &[]);
    vec![
        clawing(
            "clawback_of_all",
            5,
            50,
            Applied("success Clawback(Success)"),
            &[ANCHOR_PAID, "alice/EUR: balance -50", "supply EUR: gone", PAID],
        ),
        clawing(
            "clawback_does_not_ask_for_authorization",
            4,
            10,
            Applied("success Clawback(Success)"),
            &[ANCHOR_PAID, "alice/EUR: balance -10", "supply EUR: -10", PAID],
        ),
        clawing("clawback_underfunded", 5, 51, Applied("failed Clawback(Underfunded)"), &[ANCHOR_PAID, PAID]),
        clawing(
            "clawback_not_enabled",
            1,
            10,
            Applied("failed Clawback(NotClawbackEnabled)"),
            &[ANCHOR_PAID, PAID],
        ),
        clawing("clawback_of_nothing", 5, 0, MALFORMED, &[]),
        from("clawback_from_oneself", "anchor", "EUR:anchor", "anchor"),
        from("clawback_of_the_coin", "anchor", "native", "alice"),
        from("clawback_of_another_s_asset", "bob", "EUR:anchor", "alice"),
        from("clawback_of_a_bad_code", "anchor", "E-R:anchor", "alice"),
        row(
            "clawback_no_trust",
            euros(),
            tx("anchor").op(clawback("alice", 1, "USD:anchor")),
            Applied("failed Clawback(NoTrust)"),
            &[ANCHOR_PAID, PAID],
        ),
    ]
}

fn account_merge() -> Vec<Case> {
    let merging =
        |name, given, expect, changes| row(name, given, tx("alice").op(merge("bob")), expect, changes);
    let now = i64::from(LEDGER) << 32;
    let sponsor = |account: &mut AccountEntry| {
        account.ext = AccountEntryExt::V1(AccountEntryExtensionV1 {
            liabilities: Liabilities { buying: 0, selling: 0 },
            ext: AccountEntryExtensionV1Ext::V2(AccountEntryExtensionV2 {
                num_sponsored: 0,
                num_sponsoring: 1,
                signer_sponsoring_i_ds: VecM::default(),
                ext: AccountEntryExtensionV2Ext::V0,
            }),
        });
    };
    let full = |account: &mut AccountEntry| {
        account.ext = AccountEntryExt::V1(AccountEntryExtensionV1 {
            liabilities: Liabilities { buying: i64::MAX - 1_000, selling: 0 },
            ext: AccountEntryExtensionV1Ext::V0,
        });
    };
    let member = || two().account("bank", 100).member("bank").created_by("alice", "bank");
    vec![
        merging(
            "account_merged",
            two(),
            Applied("success AccountMerge(Success(900))"),
            &["alice: gone", "bob: balance +900", PAID],
        ),
        merging(
            "account_merged_with_its_signers",
            two().signer("alice", key_of("carol"), 1).signer("alice", key_of("dave"), 1),
            Applied("success AccountMerge(Success(900))"),
            &["alice: gone", "bob: balance +900", PAID],
        ),
        merging(
            "account_merged_forgets_its_creator",
            member(),
            Applied("success AccountMerge(Success(900))"),
            &["alice: gone", "bob: balance +900", "creator of alice: gone", PAID],
        ),
        row(
            "account_merged_into_itself",
            two(),
            tx("alice").op(merge("alice")),
            Refused("failed AccountMerge(Malformed)"),
            &[],
        ),
        row(
            "account_merged_into_nobody",
            two(),
            tx("alice").op(merge("nobody")),
            Applied("failed AccountMerge(NoAccount)"),
            &[ALICE_PAID, PAID],
        ),
        merging(
            "account_merge_immutable",
            two().flags("alice", IMMUTABLE),
            Applied("failed AccountMerge(ImmutableSet)"),
            &[ALICE_PAID, PAID],
        ),
        merging(
            "account_merge_with_a_trustline",
            two().line("alice", "EUR:anchor", 0),
            Applied("failed AccountMerge(HasSubEntries)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "account_merge_sequence_too_far",
            two().sequence("alice", now),
            tx("alice").seq_is(now + 1).op(merge("bob")),
            Applied("failed AccountMerge(SeqnumTooFar)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "account_merge_with_the_last_sequence_that_is_near",
            two().sequence("alice", now - 2),
            tx("alice").seq_is(now - 1).op(merge("bob")),
            Applied("success AccountMerge(Success(900))"),
            &["alice: gone", "bob: balance +900", PAID],
        ),
        merging(
            "account_merge_destination_full",
            two().with("bob", full),
            Applied("failed AccountMerge(DestFull)"),
            &[ALICE_PAID, PAID],
        ),
        merging(
            "account_merge_of_a_sponsor",
            two().with("alice", sponsor),
            Applied("failed AccountMerge(IsSponsor)"),
            &[ALICE_PAID, PAID],
        ),
        Case {
            name: "account_merge_with_a_higher_sequence_in_the_same_block",
            given: two(),
            block: vec![
                tx("alice").op(merge("bob")),
                tx("alice").seq_is(now + 5).op(pay("bob", 1, "native")).conditions(|conditions| {
                    conditions.min_seq_num = Some(SequenceNumber(0));
                }),
            ],
            expect: vec![Applied("failed AccountMerge(SeqnumTooFar)"), Applied("success Payment(Success)")],
            changes: &[
                "alice: balance -201, sequence +21474836485",
                "bob: balance +1",
                "totals: fee pool +200",
            ],
        },
    ]
}

fn manage_data() -> Vec<Case> {
    let managing = |name, given, entry, value, expect, changes| {
        row(name, given, tx("alice").op(data(entry, value)), expect, changes)
    };
    vec![
        managing(
            "data_set",
            two(),
            "motto",
            Some("pay"),
            Applied("success ManageData(Success)"),
            &["alice: balance -100, sequence +1, subentries +1", "alice/data motto: new \"pay\"", PAID],
        ),
        managing(
            "data_changed",
            two().data("alice", "motto", "pay"),
            "motto",
            Some("settle"),
            Applied("success ManageData(Success)"),
            &[ALICE_PAID, "alice/data motto: \"settle\"", PAID],
        ),
        managing(
            "data_deleted",
            two().data("alice", "motto", "pay"),
            "motto",
            None,
            Applied("success ManageData(Success)"),
            &["alice: balance -100, sequence +1, subentries -1", "alice/data motto: gone", PAID],
        ),
        managing(
            "data_name_not_found",
            two(),
            "motto",
            None,
            Applied("failed ManageData(NameNotFound)"),
            &[ALICE_PAID, PAID],
        ),
        managing("data_name_empty", two(), "", Some("x"), Refused("failed ManageData(InvalidName)"), &[]),
        managing(
            "data_name_with_a_bell",
            two(),
            "a\u{7}",
            Some("x"),
            Refused("failed ManageData(InvalidName)"),
            &[],
        ),
        managing(
            "data_low_reserve",
            World::new().account("alice", 129),
            "motto",
            Some("x"),
            Applied("failed ManageData(LowReserve)"),
            &[ALICE_PAID, PAID],
        ),
        managing(
            "data_too_many_subentries",
            World::new().account("alice", 100_000).with("alice", |alice| alice.num_sub_entries = 1_000),
            "motto",
            Some("x"),
            Applied("failed OpTooManySubentries"),
            &[ALICE_PAID, PAID],
        ),
    ]
}

fn bump_sequence_rows() -> Vec<Case> {
    let bumping =
        |name, to, expect, changes| row(name, two(), tx("alice").op(bump_sequence(to)), expect, changes);
    vec![
        bumping(
            "sequence_bumped",
            SEQUENCE + 9,
            Applied("success BumpSequence(Success)"),
            &["alice: balance -100, sequence +9", PAID],
        ),
        bumping("sequence_bumped_backward", 3, Applied("success BumpSequence(Success)"), &[ALICE_PAID, PAID]),
        bumping("sequence_bumped_below_zero", -1, Refused("failed BumpSequence(BadSeq)"), &[]),
    ]
}

/// Sponsorships come with a later stage, but entries may carry them: counts must stay right.
fn sponsored_entries() -> Vec<Case> {
    let line = carat_ledger::StateKey::trustline(&id("alice"), &asset("EUR:anchor"));
    let name = carat_ledger::StateKey::data(&id("alice"), &string64("motto"));
    let alice = carat_ledger::StateKey::account(&id("alice"));
    let with_signer =
        two().signer("alice", key_of("carol"), 1).sponsorships("alice", 1, 0).with("alice", |alice| {
            let AccountEntryExt::V1(v1) = &mut alice.ext else { panic!("sponsored") };
            let AccountEntryExtensionV1Ext::V2(v2) = &mut v1.ext else { panic!("sponsored") };
            v2.signer_sponsoring_i_ds =
                vec![SponsorshipDescriptor(Some(account_id("bob")))].try_into().expect("one");
        });
    vec![
        row(
            "sponsored_trustline_closed",
            two()
                .line("alice", "EUR:anchor", 0)
                .sponsor_of(&line, "bob")
                .sponsorships("alice", 1, 0)
                .sponsorships("bob", 0, 1),
            tx("alice").op(trust("EUR:anchor", 0)),
            Applied("success ChangeTrust(Success)"),
            &[
                "alice/EUR: gone",
                "alice: balance -100, sequence +1, subentries -1, sponsored -1",
                "bob: sponsoring -1",
                PAID,
            ],
        ),
        row(
            "sponsored_data_deleted",
            two()
                .data("alice", "motto", "pay")
                .sponsor_of(&name, "bob")
                .sponsorships("alice", 1, 0)
                .sponsorships("bob", 0, 1),
            tx("alice").op(data("motto", None)),
            Applied("success ManageData(Success)"),
            &[
                "alice/data motto: gone",
                "alice: balance -100, sequence +1, subentries -1, sponsored -1",
                "bob: sponsoring -1",
                PAID,
            ],
        ),
        row(
            "sponsored_signer_removed",
            with_signer.sponsorships("bob", 0, 1),
            tx("alice").op(set_signer(key_of("carol"), 0)),
            Applied("success SetOptions(Success)"),
            &[
                "alice: balance -100, sequence +1, subentries -1, signers [], sponsored -1",
                "bob: sponsoring -1",
                PAID,
            ],
        ),
        row(
            "sponsored_account_merged",
            two().sponsor_of(&alice, "bob").sponsorships("alice", 2, 0).sponsorships("bob", 0, 2),
            tx("alice").op(merge("bob")),
            Applied("success AccountMerge(Success(900))"),
            &["alice: gone", "bob: balance +900, sponsoring -2", PAID],
        ),
        row(
            "sponsored_account_may_spend_all",
            two().sponsorships("alice", 2, 0),
            tx("alice").op(pay("bob", 900, "native")),
            Applied("success Payment(Success)"),
            &["alice: balance -1000, sequence +1", "bob: balance +900", PAID],
        ),
        row(
            "sponsor_keeps_the_reserve_of_others",
            two().sponsorships("alice", 0, 3),
            tx("alice").op(pay("bob", 851, "native")),
            Applied("failed Payment(Underfunded)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "signer_added_to_an_account_that_notes_sponsors",
            two().signer("alice", hash_of(b"x"), 1).sponsorships("alice", 0, 0),
            tx("alice").op(set_signer(key_of("carol"), 1)).op(set_signer(hash_of(b"x"), 0)),
            Applied("success SetOptions(Success) SetOptions(Success)"),
            &["alice: balance -200, sequence +1, signers [1]", "totals: fee pool +200"],
        ),
    ]
}

fn any_operation() -> Vec<Case> {
    vec![
        row(
            "operation_that_is_not_built",
            two(),
            tx("alice").op(OperationBody::Inflation),
            Refused("failed OpNotSupported"),
            &[],
        ),
        row(
            "operation_of_another_source_without_its_signature",
            two(),
            tx("alice").op_by("bob", pay("alice", 1, "native")),
            Refused("failed OpBadAuth"),
            &[],
        ),
        row(
            "operation_of_another_source_with_its_signature",
            two(),
            tx("alice").op_by("bob", pay("alice", 1, "native")).by(&["alice", "bob"]),
            Applied("success Payment(Success)"),
            &["alice: balance -99, sequence +1", "bob: balance -1", PAID],
        ),
        row(
            "operation_of_a_source_that_does_not_exist",
            two(),
            tx("alice").op_by("new", pay("alice", 1, "native")).by(&["alice", "new"]),
            Applied("failed OpNoAccount"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "operation_of_a_source_that_the_one_before_creates",
            {
                let mut world = two();
                world.name("new");
                world
            },
            tx("alice").op(create("new", 200)).op_by("new", pay("bob", 30, "native")).by(&["alice", "new"]),
            Applied("success CreateAccount(Success) Payment(Success)"),
            &[
                "alice: balance -400, sequence +1",
                "bob: balance +30",
                "new: new account 170",
                "totals: fee pool +200",
            ],
        ),
        row(
            "operations_after_a_failed_one_are_tried_and_undone",
            two(),
            tx("alice")
                .op(pay("bob", 1, "native"))
                .op(pay("bob", 9_999, "native"))
                .op(data("motto", Some("x"))),
            Applied("failed Payment(Success) Payment(Underfunded) ManageData(Success)"),
            &["alice: balance -300, sequence +1", "totals: fee pool +300"],
        ),
        row(
            "operation_after_its_source_was_merged",
            two(),
            tx("alice").op(merge("bob")).op(pay("bob", 1, "native")),
            Applied("failed AccountMerge(Success(800)) OpNoAccount"),
            &["alice: balance -200, sequence +1", "totals: fee pool +200"],
        ),
    ]
}
