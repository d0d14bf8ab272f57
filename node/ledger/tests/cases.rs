//! What the ledger does in each case: a table of states, blocks, results and changes.
//!
//! A transaction is either *refused* (by the front door with the result shown, and dropped by the trim) or *applied*
//! with the result shown. Each case states all changes of the state, except that a transaction that is applied always
//! pays its fee and uses its sequence number: the tables name those too.

mod support;

use carat_ledger::{Ed25519, Moment, Pending, PolicyRefusal, admit};
use support::*;

/// One row.
pub(crate) struct Case {
    name: &'static str,
    given: World,
    block: Vec<Tx>,
    /// For each transaction of the block its result.
    expect: Vec<Expect>,
    /// All changes of the state.
    changes: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub(crate) enum Expect {
    /// The front door gives this result, and the trim drops it.
    Refused(&'static str),
    /// Admitted, and applied with this result.
    Applied(&'static str),
    /// Dropped for this reason because of what else is in the block.
    Dropped(&'static str),
}

use Expect::{Applied, Dropped, Refused};

mod cases_of {
    pub(crate) mod operations;
    pub(crate) mod trim;
    pub(crate) mod validity;
}

fn check(case: &Case) {
    let name = case.name;
    case.given.assert_sound(name);
    let outcome = case.given.apply(&case.block);
    let mut after = case.given.clone();
    after.state.apply(&outcome.delta);
    after.assert_sound(name);
    for (index, (transaction, expect)) in case.block.iter().zip(&case.expect).enumerate() {
        let envelope = transaction.signed();
        let admitted =
            admit(&case.given.state, MOMENT, &Ed25519, &envelope, Pending::default()).expect("readable");
        let applied = outcome.applied.iter().find(|applied| applied.batch_index as usize == index);
        let dropped = outcome.dropped.iter().find(|dropped| dropped.batch_index as usize == index);
        match expect {
            Refused(words) => {
                let refusal = admitted.expect_err(name);
                assert_eq!(
                    in_words(&refusal.result),
                    *words,
                    "{name}, transaction {index} at the front door"
                );
                assert!(applied.is_none() && dropped.is_some(), "{name}, transaction {index}: not dropped");
            }
            Applied(words) => {
                let applied =
                    applied.unwrap_or_else(|| panic!("{name}, transaction {index}: dropped: {dropped:?}"));
                assert_eq!(in_words(&applied.result), *words, "{name}, transaction {index}");
            }
            Dropped(reason) => {
                let dropped = dropped.unwrap_or_else(|| panic!("{name}, transaction {index}: applied"));
                assert_eq!(format!("{:?}", dropped.reason), *reason, "{name}, transaction {index}");
            }
        }
    }
    assert_eq!(case.block.len(), case.expect.len(), "{name}");
    let changes = changes_in_words(&case.given, &after);
    let mut expected: Vec<&str> = case.changes.to_vec();
    expected.sort_unstable();
    assert_eq!(changes, expected, "{name}");
    // One transaction alone that is applied must also be admitted.
    if let ([transaction], [Applied(_)]) = (case.block.as_slice(), case.expect.as_slice()) {
        let admitted = admit(&case.given.state, MOMENT, &Ed25519, &transaction.signed(), Pending::default())
            .expect("readable");
        assert!(admitted.is_ok(), "{name}: applied, but refused at the front door: {admitted:?}");
    }
}

fn check_all(cases: Vec<Case>) {
    let mut names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a name stands twice");
    // All failing rows are shown, not only the first.
    let failed: Vec<&str> = cases
        .iter()
        .filter(|case| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(case))).is_err())
        .map(|case| case.name)
        .collect();
    assert!(failed.is_empty(), "{} of {} rows failed: {failed:?}", failed.len(), cases.len());
}

#[test]
fn operations_give_the_results_and_changes_of_their_table() {
    check_all(cases_of::operations::table());
}

#[test]
fn transactions_are_valid_or_not_as_in_their_table() {
    check_all(cases_of::validity::table());
}

#[test]
fn the_trim_keeps_and_drops_as_in_its_table() {
    check_all(cases_of::trim::table());
}

/// Result codes that nothing can give, and why.
const NEVER_GIVEN: &[(&str, &str)] = &[
    ("Payment(NoIssuer)", "of protocols before 13"),
    ("ChangeTrust(SelfNotAllowed)", "MALFORMED since protocol 16"),
    ("AllowTrust(TrustNotRequired)", "of protocols before 16"),
    ("AllowTrust(SelfNotAllowed)", "MALFORMED since protocol 16"),
    ("ManageData(NotSupportedYet)", "of protocols before 2"),
    ("PathPaymentStrictReceive(NoIssuer", "of protocols before 13"),
    ("PathPaymentStrictSend(NoIssuer", "of protocols before 13"),
    ("ManageSellOffer(SellNoIssuer)", "of protocols before 13"),
    ("ManageSellOffer(BuyNoIssuer)", "of protocols before 13"),
    ("ManageBuyOffer(SellNoIssuer)", "of protocols before 13"),
    ("ManageBuyOffer(BuyNoIssuer)", "of protocols before 13"),
    ("ClaimClaimableBalance(TrustlineFrozen)", "of keys frozen by vote"),
    ("LiquidityPoolDeposit(TrustlineFrozen)", "of keys frozen by vote"),
    ("LiquidityPoolWithdraw(TrustlineFrozen)", "of keys frozen by vote"),
    ("InvokeHostFunction(InsufficientRefundableFee)", "of contracts that are programs"),
    ("SorobanInvalid", "of contracts"),
    ("FrozenKeyAccessed", "of keys frozen by vote"),
    ("InternalError", "of arithmetic that no input is known to lead to"),
];

#[test]
fn tables_have_a_row_for_every_result_code() {
    use stellar_xdr::*;
    let tables = [cases_of::operations::table(), cases_of::validity::table(), cases_of::trim::table()];
    let mut words: Vec<&str> = Vec::new();
    for case in tables.iter().flatten() {
        words.extend(case.expect.iter().map(|expect| match expect {
            Refused(words) | Applied(words) | Dropped(words) => *words,
        }));
    }
    let mut codes: Vec<String> = Vec::new();
    let mut of_operation = |operation: &str, names: &[&str]| {
        codes.extend(names.iter().map(|name| format!("{operation}({name}")));
    };
    of_operation("CreateAccount", &CreateAccountResult::VARIANTS_STR);
    of_operation("Payment", &PaymentResult::VARIANTS_STR);
    of_operation("SetOptions", &SetOptionsResult::VARIANTS_STR);
    of_operation("ChangeTrust", &ChangeTrustResult::VARIANTS_STR);
    of_operation("AllowTrust", &AllowTrustResult::VARIANTS_STR);
    of_operation("AccountMerge", &AccountMergeResult::VARIANTS_STR);
    of_operation("ManageData", &ManageDataResult::VARIANTS_STR);
    of_operation("BumpSequence", &BumpSequenceResult::VARIANTS_STR);
    of_operation("Clawback", &ClawbackResult::VARIANTS_STR);
    of_operation("SetTrustLineFlags", &SetTrustLineFlagsResult::VARIANTS_STR);
    of_operation("PathPaymentStrictReceive", &PathPaymentStrictReceiveResult::VARIANTS_STR);
    of_operation("PathPaymentStrictSend", &PathPaymentStrictSendResult::VARIANTS_STR);
    of_operation("ManageSellOffer", &ManageSellOfferResult::VARIANTS_STR);
    of_operation("ManageBuyOffer", &ManageBuyOfferResult::VARIANTS_STR);
    of_operation("CreateClaimableBalance", &CreateClaimableBalanceResult::VARIANTS_STR);
    of_operation("ClaimClaimableBalance", &ClaimClaimableBalanceResult::VARIANTS_STR);
    of_operation("ClawbackClaimableBalance", &ClawbackClaimableBalanceResult::VARIANTS_STR);
    of_operation("BeginSponsoringFutureReserves", &BeginSponsoringFutureReservesResult::VARIANTS_STR);
    of_operation("EndSponsoringFutureReserves", &EndSponsoringFutureReservesResult::VARIANTS_STR);
    of_operation("RevokeSponsorship", &RevokeSponsorshipResult::VARIANTS_STR);
    of_operation("LiquidityPoolDeposit", &LiquidityPoolDepositResult::VARIANTS_STR);
    of_operation("LiquidityPoolWithdraw", &LiquidityPoolWithdrawResult::VARIANTS_STR);
    of_operation("InvokeHostFunction", &InvokeHostFunctionResult::VARIANTS_STR);
    codes.extend(
        OperationResult::VARIANTS_STR.iter().filter(|name| **name != "OpInner").map(|name| (*name).into()),
    );
    // Success, failure and fee bumps have forms of their own.
    let forms = ["TxSuccess", "TxFailed", "TxFeeBumpInnerSuccess", "TxFeeBumpInnerFailed"];
    let plain = TransactionResultResult::VARIANTS_STR.iter().filter(|name| !forms.contains(name));
    let plain = plain.map(|name| name.trim_start_matches("Tx").to_owned());
    let one_row = |code: &str, given: bool| {
        let never = NEVER_GIVEN.iter().any(|(never, _)| never.starts_with(code));
        assert!(given != never, "{code}: {}", if given { "given after all" } else { "no row" });
    };
    codes.extend(["success ", "failed ", "bump(success ", "bump(failed "].map(str::to_owned));
    for code in codes {
        one_row(&code, words.iter().any(|words| words.contains(&code)));
    }
    for code in plain {
        one_row(&code, words.contains(&code.as_str()));
    }
}

#[test]
fn admitted_transaction_tells_the_pool_what_it_needs() {
    let world = World::new().account("alice", 1_000).account("bob", 100);
    let signed = tx("alice").op(pay("bob", 1, "native")).time(0, 2_000).bump("bob", 250).signed();
    // Bob cannot pay 250 of his 100.
    let refused = admit(&world.state, MOMENT, &Ed25519, &signed, Pending::default()).expect("readable");
    assert_eq!(in_words(&refused.expect_err("too poor").result), "InsufficientBalance");
    let world = world.account("bob", 1_000);
    let admitted =
        admit(&world.state, MOMENT, &Ed25519, &signed, Pending::default()).expect("readable").expect("fine");
    assert_eq!((admitted.source, admitted.fee_source), (id("alice"), id("bob")));
    assert_eq!((admitted.sequence, admitted.fee), (SEQUENCE + 1, 250));
    assert_eq!((admitted.operations, admitted.signatures, admitted.valid_until), (1, 2, Some(2_000)));
}

#[test]
fn use_of_a_sequence_number_is_noted_with_ledger_and_time() {
    use stellar_xdr::*;
    let mut world = World::new().account("alice", 1_000).account("bob", 500).account("carol", 500);
    let noted = |world: &World, name: &str| match world.read_account(&id(name)).expect("an account").ext {
        AccountEntryExt::V1(AccountEntryExtensionV1 {
            ext:
                AccountEntryExtensionV1Ext::V2(AccountEntryExtensionV2 {
                    ext: AccountEntryExtensionV2Ext::V3(v3),
                    ..
                }),
            ..
        }) => Some((v3.seq_ledger, v3.seq_time.0)),
        _ => None,
    };
    // Bob bumps to a number that he has long passed: no effect, but a use.
    let block =
        [tx("alice").op_by("bob", bump_sequence(3)).op(pay("carol", 1, "native")).by(&["alice", "bob"])];
    world.state.apply(&world.apply(&block).delta);
    for (name, note) in
        [("alice", Some((LEDGER, CLOSE_TIME))), ("bob", Some((LEDGER, CLOSE_TIME))), ("carol", None)]
    {
        assert_eq!(noted(&world, name), note, "{name}");
    }
    assert_eq!(world.read_account(&id("bob")).expect("bob").seq_num.0, SEQUENCE);
}

#[test]
fn account_of_no_member_creating_accounts_is_turned_away_and_fails_if_a_leader_takes_it_all_the_same() {
    let world = World::new().account("alice", 1_000).account("bank", 1_000).member("bank").restricted();
    let creation = tx("alice").op(create("new", 100));
    let refused =
        admit(&world.state, MOMENT, &Ed25519, &creation.signed(), Pending::default()).expect("readable");
    let refusal = refused.expect_err("no member");
    assert_eq!(
        (in_words(&refusal.result).as_str(), refusal.policy),
        ("NotSupported", Some(PolicyRefusal::NotAMember))
    );
    let outcome = world.apply(&[creation]);
    assert_eq!(in_words(&outcome.applied[0].result), "failed OpNotSupported");
    // Where admission is free, so is she; and so is whom a member created.
    let free = World::new().account("alice", 1_000).account("bank", 1_000).member("bank");
    let fostered = world.created_by("alice", "bank");
    for world in [free, fostered] {
        let creation = tx("alice").op(create("new", 100)).signed();
        assert!(
            admit(&world.state, MOMENT, &Ed25519, &creation, Pending::default()).expect("readable").is_ok()
        );
    }
}

#[test]
fn admission_counts_what_is_pending() {
    let world = World::new().account("alice", 350).account("bob", 100);
    let second = tx("alice").seq(2).op(pay("bob", 1, "native")).signed();
    let try_with = |pending| {
        let result = admit(&world.state, MOMENT, &Ed25519, &second, pending).expect("readable");
        result.map(|_| ()).map_err(|refusal| in_words(&refusal.result))
    };
    assert_eq!(try_with(Pending::default()), Err("BadSeq".to_owned()));
    assert_eq!(try_with(Pending { sequence: Some(SEQUENCE + 1), fees: 100 }), Ok(()));
    // 350 less the reserve of 20 is 330: with 231 pending, the fee of 100 is too much.
    assert_eq!(try_with(Pending { sequence: Some(SEQUENCE + 1), fees: 230 }), Ok(()));
    assert_eq!(
        try_with(Pending { sequence: Some(SEQUENCE + 1), fees: 231 }),
        Err("InsufficientBalance".to_owned())
    );
    let late = Moment { close_time: 2_001, ..MOMENT };
    let expired = tx("alice").op(pay("bob", 1, "native")).time(0, 2_000).signed();
    let refused = admit(&world.state, late, &Ed25519, &expired, Pending::default()).expect("readable");
    assert_eq!(in_words(&refused.expect_err("too late").result), "TooLate");
}
