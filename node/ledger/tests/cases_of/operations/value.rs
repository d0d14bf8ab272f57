//! Rows of the operations that move value.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

pub(super) fn table() -> Vec<Case> {
    [create_account(), payment(), clawback_rows(), account_merge()].into_iter().flatten().collect()
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
            anchored()
                .line("bob", "EUR:anchor", 0)
                .line("alice", "EUR:anchor", 50)
                .after(&[tx("alice").op(sell(0, 30, "EUR:anchor", "native", (1, 1)))]),
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
            // Bob has 400 left and means to buy as much as there is room for.
            two().after(&[tx("bob").op(sell(0, i64::MAX - 400, "OWN:bob", "native", (1, 1)))]),
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
        row(
            "clawback_from_oneself_by_a_customer_s_address",
            euros(),
            tx("anchor").op(OperationBody::Clawback(ClawbackOp {
                asset: asset("EUR:anchor"),
                from: MuxedAccount::MuxedEd25519(MuxedAccountMed25519 {
                    id: 1,
                    ed25519: Uint256(id("anchor").0),
                }),
                amount: 1,
            })),
            Applied("failed Clawback(NoTrust)"),
            &[ANCHOR_PAID, PAID],
        ),
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
            two().after(&[tx("bob").op(sell(0, i64::MAX - 1_000, "OWN:bob", "native", (1, 1)))]),
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
