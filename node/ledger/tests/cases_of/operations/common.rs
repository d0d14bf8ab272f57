//! Rows about operations in general, and about entries that carry a sponsor.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

pub(super) fn table() -> Vec<Case> {
    [sponsored_entries(), any_operation()].into_iter().flatten().collect()
}

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
