//! Rows of the operations on an account's own entries: options, signers, data, sequence number.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

pub(super) fn table() -> Vec<Case> {
    [set_options(), signers(), manage_data(), bump_sequence_rows()].into_iter().flatten().collect()
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
