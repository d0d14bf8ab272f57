//! One row at least for each result code of a transaction, and for each rule about who may sign.

use stellar_xdr::*;

use crate::support::*;
use crate::{Applied, Case, Expect, Refused};

const PAID: &str = "totals: fee pool +100";
const ONE_COIN: &[&str] = &["alice: balance -101, sequence +1", "bob: balance +1", PAID];
const SUCCESS: Expect = Applied("success Payment(Success)");

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

fn one_coin() -> Tx {
    tx("alice").op(pay("bob", 1, "native"))
}

pub(crate) fn table() -> Vec<Case> {
    [shape(), bounds(), sequence_numbers(), fees(), signatures(), signer_kinds(), fee_bumps(), admission()]
        .into_iter()
        .flatten()
        .collect()
}

fn refused(name: &'static str, transaction: Tx, words: &'static str) -> Case {
    row(name, two(), transaction, Refused(words), &[])
}

fn shape() -> Vec<Case> {
    let extra = |keys: &[SignerKey]| {
        let keys: VecM<SignerKey, 2> = keys.to_vec().try_into().expect("two");
        one_coin().conditions(|conditions| conditions.extra_signers = keys)
    };
    let mut resources = one_coin();
    resources.transaction.ext = TransactionExt::V1(SorobanTransactionData {
        ext: SorobanTransactionDataExt::V0,
        resources: SorobanResources {
            footprint: LedgerFootprint { read_only: VecM::default(), read_write: VecM::default() },
            instructions: 0,
            disk_read_bytes: 0,
            write_bytes: 0,
        },
        resource_fee: 0,
    });
    let call = OperationBody::RestoreFootprint(RestoreFootprintOp { ext: ExtensionPoint::V0 });
    let mut with_resources = tx("alice").op(call.clone());
    with_resources.transaction.ext = resources.transaction.ext.clone();
    let mut two_calls = tx("alice").op(call.clone()).op(call.clone());
    two_calls.transaction.ext = resources.transaction.ext.clone();
    vec![
        row("customer_of_the_source", two(), one_coin().muxed(9), SUCCESS, ONE_COIN),
        refused("no_operation", tx("alice"), "MissingOperation"),
        refused("extra_signer_twice", extra(&[key_of("bob"), key_of("bob")]), "Malformed"),
        refused("extra_signer_of_an_empty_payload", extra(&[payload_of("bob", b"")]), "Malformed"),
        refused("resources_without_a_contract", resources, "Malformed"),
        refused("contract_without_resources", tx("alice").op(call), "Malformed"),
        refused("contract_called_twice", two_calls, "Malformed"),
        refused("contract_call_that_is_not_built", with_resources, "failed OpNotSupported"),
    ]
}

fn bounds() -> Vec<Case> {
    let ledgers = |min_ledger, max_ledger| {
        one_coin()
            .conditions(|conditions| conditions.ledger_bounds = Some(LedgerBounds { min_ledger, max_ledger }))
    };
    let kept = |name, transaction| row(name, two(), transaction, SUCCESS, ONE_COIN);
    vec![
        kept("time_exactly_at_both_bounds", one_coin().time(CLOSE_TIME, CLOSE_TIME)),
        kept("time_without_upper_bound", one_coin().time(1, 0)),
        refused("time_too_early", one_coin().time(CLOSE_TIME + 1, 0), "TooEarly"),
        refused("time_too_late", one_coin().time(0, CLOSE_TIME - 1), "TooLate"),
        refused("time_early_before_late", one_coin().time(CLOSE_TIME + 1, CLOSE_TIME - 1), "TooEarly"),
        kept("ledger_at_the_first_and_before_the_last", ledgers(LEDGER, LEDGER + 1)),
        kept("ledger_without_upper_bound", ledgers(1, 0)),
        refused("ledger_too_early", ledgers(LEDGER + 1, 0), "TooEarly"),
        refused("ledger_too_late", ledgers(0, LEDGER), "TooLate"),
    ]
}

fn sequence_numbers() -> Vec<Case> {
    let now = i64::from(LEDGER) << 32;
    let least = |least, used: i64| {
        one_coin()
            .seq(used)
            .conditions(move |conditions| conditions.min_seq_num = Some(SequenceNumber(SEQUENCE + least)))
    };
    let used_at = |ledger: u32, time: u64| {
        two().with("alice", |alice| {
            alice.ext = AccountEntryExt::V1(AccountEntryExtensionV1 {
                liabilities: Liabilities { buying: 0, selling: 0 },
                ext: AccountEntryExtensionV1Ext::V2(AccountEntryExtensionV2 {
                    num_sponsored: 0,
                    num_sponsoring: 0,
                    signer_sponsoring_i_ds: VecM::default(),
                    ext: AccountEntryExtensionV2Ext::V3(AccountEntryExtensionV3 {
                        ext: ExtensionPoint::V0,
                        seq_ledger: ledger,
                        seq_time: TimePoint(time),
                    }),
                }),
            });
        })
    };
    let aged = |age, gap| {
        one_coin().conditions(|conditions| {
            conditions.min_seq_age = Duration(age);
            conditions.min_seq_ledger_gap = gap;
        })
    };
    const YOUNG: Expect = Refused("BadMinSeqAgeOrGap");
    vec![
        refused("sequence_used_before", one_coin().seq(0), "BadSeq"),
        refused("sequence_with_a_gap", one_coin().seq(2), "BadSeq"),
        row(
            "sequence_that_a_new_account_starts_with",
            two().sequence("alice", now - 1),
            one_coin().seq_is(now),
            Refused("BadSeq"),
            &[],
        ),
        row(
            "sequence_after_the_last_there_is",
            two().sequence("alice", i64::MAX),
            one_coin().seq_is(i64::MIN),
            Refused("BadSeq"),
            &[],
        ),
        row(
            "least_sequence_allows_a_gap",
            two(),
            least(-5, 3),
            SUCCESS,
            &["alice: balance -101, sequence +3", "bob: balance +1", PAID],
        ),
        refused("least_sequence_not_reached", least(1, 3), "BadSeq"),
        refused("least_sequence_does_not_allow_reuse", least(-5, 0), "BadSeq"),
        row("age_reached", used_at(3, CLOSE_TIME - 50), aged(50, 0), SUCCESS, ONE_COIN),
        row("age_not_reached", used_at(3, CLOSE_TIME - 50), aged(51, 0), YOUNG, &[]),
        row("age_beyond_all_time", two(), aged(u64::MAX, 0), YOUNG, &[]),
        row("gap_reached", used_at(LEDGER - 4, 0), aged(0, 4), SUCCESS, ONE_COIN),
        row("gap_not_reached", used_at(LEDGER - 4, 0), aged(0, 5), YOUNG, &[]),
        row("gap_beyond_all_ledgers", two(), aged(0, LEDGER + 1), YOUNG, &[]),
    ]
}

fn fees() -> Vec<Case> {
    vec![
        refused("fee_too_low", one_coin().fee(99), "InsufficientFee"),
        refused("fee_too_low_for_two", one_coin().op(pay("bob", 1, "native")).fee(199), "InsufficientFee"),
        row("fee_beyond_what_is_asked", two(), one_coin().fee(400), SUCCESS, ONE_COIN),
        refused("source_that_does_not_exist", tx("nobody").op(pay("bob", 1, "native")), "NoAccount"),
        refused("balance_below_the_fee_bid", one_coin().fee(981), "InsufficientBalance"),
        row("balance_just_at_the_fee_bid", two(), one_coin().fee(980), SUCCESS, ONE_COIN),
        row(
            "fee_counts_before_the_payment",
            World::new().account("alice", 120).account("bob", 500),
            one_coin(),
            Applied("failed Payment(Underfunded)"),
            &["alice: balance -100, sequence +1", PAID],
        ),
    ]
}

fn signatures() -> Vec<Case> {
    let two_of_three = || {
        two()
            .signer("alice", key_of("carol"), 1)
            .signer("alice", key_of("dave"), 1)
            .thresholds("alice", [1, 1, 2, 3])
    };
    let foreign = carat_types::transaction::sign_hash(&key("alice"), &carat_types::Digest([9; 32]));
    let mut short = carat_types::transaction::sign_hash(&key("alice"), &one_coin().inner_hash());
    short.signature = Signature([1; 63].try_into().expect("short"));
    let heavy = World::new()
        .account("alice", 1_000)
        .account("bob", 500)
        .signer("alice", key_of("carol"), 300)
        .thresholds("alice", [0, 0, 255, 255]);
    vec![
        refused("no_signature", one_coin().by(&[]), "BadAuth"),
        refused("signature_of_somebody_else", one_coin().by(&["bob"]), "BadAuth"),
        refused("signature_over_another_hash", one_coin().by(&[]).plus(foreign), "BadAuth"),
        refused("signature_of_another_length", one_coin().by(&[]).plus(short), "BadAuth"),
        refused("signature_that_nobody_needs", one_coin().by(&["alice", "bob"]), "BadAuthExtra"),
        refused("signature_twice", one_coin().by(&["alice", "alice"]), "BadAuthExtra"),
        row("two_of_three", two_of_three(), one_coin().by(&["dave", "carol"]), SUCCESS, ONE_COIN),
        // Low is reached, so the transaction may act, but its operation may not: dropped, not failed.
        row(
            "two_of_three_with_one",
            two_of_three(),
            one_coin().by(&["carol"]),
            Refused("failed OpBadAuth"),
            &[],
        ),
        row(
            "two_of_three_with_one_twice",
            two_of_three(),
            one_coin().by(&["carol", "carol"]),
            Refused("failed OpBadAuth"),
            &[],
        ),
        row(
            "two_of_three_with_all",
            two_of_three(),
            one_coin().by(&["carol", "dave", "alice"]),
            Refused("BadAuthExtra"),
            &[],
        ),
        row(
            "three_of_three_for_what_needs_high",
            two_of_three(),
            tx("alice").op(set_signer(key_of("carol"), 0)).by(&["carol", "dave", "alice"]),
            Applied("success SetOptions(Success)"),
            &["alice: balance -100, sequence +1, subentries -1, signers [1]", PAID],
        ),
        row(
            "two_of_three_for_what_needs_high",
            two_of_three(),
            tx("alice").op(set_signer(key_of("carol"), 0)).by(&["carol", "dave"]),
            Refused("failed OpBadAuth"),
            &[],
        ),
        row(
            "low_threshold_is_enough_to_bump_the_sequence",
            two_of_three(),
            tx("alice").op(bump_sequence(0)).by(&["carol"]),
            Applied("success BumpSequence(Success)"),
            &["alice: balance -100, sequence +1", PAID],
        ),
        row("threshold_of_zero_takes_a_signer", two(), one_coin().by(&[]), Refused("BadAuth"), &[]),
        row(
            "own_key_without_weight",
            two().signer("alice", key_of("carol"), 1).thresholds("alice", [0, 0, 0, 0]),
            one_coin(),
            Refused("BadAuth"),
            &[],
        ),
        row("weight_counts_at_most_255", heavy, one_coin().by(&["carol"]), SUCCESS, ONE_COIN),
    ]
}

fn signer_kinds() -> Vec<Case> {
    let by_nobody = || one_coin().by(&[]);
    let strict = |key| two().signer("alice", key, 1).thresholds("alice", [1, 1, 2, 2]);
    let alone = |key| two().signer("alice", key, 1).thresholds("alice", [0, 1, 1, 1]);
    let extra = |key: SignerKey| {
        one_coin().conditions(|conditions| conditions.extra_signers = [key].try_into().expect("one"))
    };
    let once = &["alice: balance -101, sequence +1, subentries -1, signers []", "bob: balance +1", PAID];
    let failing = tx("alice").op(pay("bob", 5_000, "native")).by(&[]);
    vec![
        row("key_as_signer", alone(key_of("carol")), one_coin().by(&["carol"]), SUCCESS, ONE_COIN),
        row(
            "preimage_as_signer",
            alone(hash_of(b"open")),
            by_nobody().plus(preimage(b"open")),
            SUCCESS,
            ONE_COIN,
        ),
        row(
            "preimage_of_another_hash",
            alone(hash_of(b"open")),
            by_nobody().plus(preimage(b"shut")),
            Refused("BadAuth"),
            &[],
        ),
        row(
            "preimage_and_key",
            strict(hash_of(b"open")),
            one_coin().plus(preimage(b"open")),
            SUCCESS,
            ONE_COIN,
        ),
        row(
            "payload_as_signer",
            alone(payload_of("carol", b"release 7")),
            by_nobody().plus(payload_signature("carol", b"release 7")),
            SUCCESS,
            ONE_COIN,
        ),
        row(
            "payload_shorter_than_its_hint",
            alone(payload_of("carol", b"7")),
            by_nobody().plus(payload_signature("carol", b"7")),
            SUCCESS,
            ONE_COIN,
        ),
        row(
            "payload_of_another_key",
            alone(payload_of("carol", b"release 7")),
            by_nobody().plus(payload_signature("dave", b"release 7")),
            Refused("BadAuth"),
            &[],
        ),
        row("pre_authorized", alone(pre_authorized(by_nobody().inner_hash())), by_nobody(), SUCCESS, once),
        row(
            "pre_authorized_is_used_up_by_failure",
            alone(pre_authorized(failing.inner_hash())),
            failing,
            Applied("failed Payment(Underfunded)"),
            &["alice: balance -100, sequence +1, subentries -1, signers []", PAID],
        ),
        row(
            "pre_authorized_does_not_excuse_a_superfluous_signature",
            two().signer("alice", pre_authorized(one_coin().inner_hash()), 1),
            one_coin(),
            Refused("BadAuthExtra"),
            &[],
        ),
        row("extra_signer", two(), extra(key_of("carol")).by(&["alice", "carol"]), SUCCESS, ONE_COIN),
        row("extra_signer_missing", two(), extra(key_of("carol")), Refused("BadAuth"), &[]),
        row("extra_preimage", two(), extra(hash_of(b"s")).plus(preimage(b"s")), SUCCESS, ONE_COIN),
    ]
}

fn fee_bumps() -> Vec<Case> {
    let poor = || World::new().account("alice", 25).account("bob", 500).account("carol", 1_000);
    let bumped = |fee| tx("alice").fee(0).op(pay("bob", 1, "native")).fee(0).bump("carol", fee);
    let paid = |fee| tx("alice").op(pay("bob", 1, "native")).fee(fee);
    let refused = |name, transaction, words| row(name, poor(), transaction, Refused(words), &[]);
    const BUMPED: &[&str] = &[
        "alice: balance -1, sequence +1",
        "bob: balance +1",
        "carol: balance -200",
        "totals: fee pool +200",
    ];
    vec![
        row(
            "fee_bump_pays_for_the_poor",
            poor(),
            bumped(200),
            Applied("bump(success Payment(Success))"),
            BUMPED,
        ),
        row(
            "fee_bump_charges_only_what_is_asked",
            poor(),
            bumped(900),
            Applied("bump(success Payment(Success))"),
            BUMPED,
        ),
        row(
            "fee_bump_of_one_s_own_transaction",
            two(),
            one_coin().bump("alice", 200),
            Applied("bump(success Payment(Success))"),
            &["alice: balance -201, sequence +1", "bob: balance +1", "totals: fee pool +200"],
        ),
        row(
            "fee_bump_of_a_failing_transaction",
            poor(),
            tx("alice").op(pay("bob", 6, "native")).fee(0).bump("carol", 200),
            Applied("bump(failed Payment(Underfunded))"),
            &["alice: sequence +1", "carol: balance -200", "totals: fee pool +200"],
        ),
        refused("fee_bump_below_the_base_fee", bumped(199), "InsufficientFee"),
        refused("fee_bump_below_the_inner_rate", paid(150).bump("carol", 299), "InsufficientFee"),
        row(
            "fee_bump_at_the_inner_rate",
            poor(),
            paid(150).bump("carol", 300),
            Applied("bump(success Payment(Success))"),
            BUMPED,
        ),
        refused("fee_bump_below_zero", bumped(-1), "Malformed"),
        refused("fee_bump_of_a_payer_that_does_not_exist", paid(0).bump("nobody", 200), "NoAccount"),
        refused("fee_bump_without_the_payer_s_signature", paid(0).bump_by("carol", 200, &[]), "BadAuth"),
        refused(
            "fee_bump_with_a_superfluous_signature",
            paid(0).bump_by("carol", 200, &["carol", "bob"]),
            "BadAuthExtra",
        ),
        refused("fee_bump_beyond_the_payer_s_means", bumped(981), "InsufficientBalance"),
        refused("fee_bump_of_a_bad_sequence", bumped(200).seq(5), "bump(BadSeq)"),
        refused("fee_bump_of_a_bad_signature", bumped(200).by(&["bob"]), "bump(BadAuth)"),
        refused(
            "fee_bump_of_a_malformed_operation",
            tx("alice").op(pay("bob", 0, "native")).fee(0).bump("carol", 200),
            "bump(failed Payment(Malformed))",
        ),
        row(
            "fee_bump_uses_up_the_payer_s_pre_authorization",
            {
                let inner = paid(0).bump("carol", 200);
                poor()
                    .signer("carol", pre_authorized(*inner.signed().hash()), 1)
                    .thresholds("carol", [0, 1, 1, 1])
            },
            paid(0).bump_by("carol", 200, &[]),
            Applied("bump(success Payment(Success))"),
            &[
                "alice: balance -1, sequence +1",
                "bob: balance +1",
                "carol: balance -200, subentries -1, signers []",
                "totals: fee pool +200",
            ],
        ),
    ]
}

fn admission() -> Vec<Case> {
    let bank = || two().account("bank", 1_000).member("bank");
    let deny = |world: World, name: &str| {
        let entry = format!("deny:{}", account_id(name));
        world.data("bank", &entry, "court order 7")
    };
    let suspended = || deny(bank().created_by("alice", "bank"), "alice");
    vec![
        row("suspended_source", suspended(), one_coin(), Refused("NotSupported"), &[]),
        row(
            "suspended_payer",
            suspended(),
            tx("bob").op(pay("bank", 1, "native")).fee(0).bump("alice", 200),
            Refused("NotSupported"),
            &[],
        ),
        row(
            "suspended_source_of_an_operation",
            suspended(),
            tx("bob").op_by("alice", pay("bob", 1, "native")).by(&["alice", "bob"]),
            Refused("NotSupported"),
            &[],
        ),
        row(
            "suspended_account_can_still_receive",
            suspended(),
            tx("bob").op(pay("alice", 1, "native")),
            SUCCESS,
            &["alice: balance +1", "bob: balance -101, sequence +1", PAID],
        ),
        row(
            "denied_by_a_member_that_did_not_create_it",
            deny(bank(), "alice"),
            one_coin(),
            SUCCESS,
            ONE_COIN,
        ),
    ]
}
