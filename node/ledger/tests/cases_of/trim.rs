//! Ways into and out of the trim that need more than one transaction in a block.

use crate::support::*;
use crate::{Applied, Case, Dropped};

fn two() -> World {
    World::new().account("alice", 1_000).account("bob", 500)
}

fn one_coin(sequence: i64) -> Tx {
    tx("alice").seq(sequence).op(pay("bob", 1, "native"))
}

pub(crate) fn table() -> Vec<Case> {
    [chains(), interplay()].into_iter().flatten().collect()
}

fn chains() -> Vec<Case> {
    let success = Applied("success Payment(Success)");
    vec![
        Case {
            name: "chain_in_the_wrong_order_of_the_batch",
            given: two(),
            block: vec![one_coin(3), one_coin(1), one_coin(2)],
            expect: vec![success; 3],
            changes: &["alice: balance -303, sequence +3", "bob: balance +3", "totals: fee pool +300"],
        },
        Case {
            name: "chain_with_a_gap_ends_before_it",
            given: two(),
            block: vec![one_coin(1), one_coin(3)],
            expect: vec![success, Dropped("Invalid(TxBadSeq)")],
            changes: &["alice: balance -101, sequence +1", "bob: balance +1", "totals: fee pool +100"],
        },
        Case {
            name: "chain_behind_an_invalid_link_is_dropped",
            given: two(),
            block: vec![one_coin(1).by(&["bob"]), one_coin(2)],
            expect: vec![Dropped("Invalid(TxBadAuth)"), Dropped("Invalid(TxBadSeq)")],
            changes: &[],
        },
        Case {
            name: "same_transaction_twice_counts_once",
            given: two(),
            block: vec![one_coin(1), one_coin(1)],
            expect: vec![success, Dropped("Duplicate")],
            changes: &["alice: balance -101, sequence +1", "bob: balance +1", "totals: fee pool +100"],
        },
        Case {
            name: "same_transaction_with_other_signatures_counts_once",
            given: two(),
            block: vec![one_coin(1).by(&["alice", "bob"]), one_coin(1)],
            expect: vec![Dropped("Invalid(TxBadAuthExtra)"), Dropped("Duplicate")],
            changes: &[],
        },
        Case {
            // Which one stays is decided by the full hashes; both would be worth as much.
            name: "two_transactions_with_one_sequence_number",
            given: two(),
            block: {
                let mut pair = vec![one_coin(1).memo("a"), one_coin(1).memo("b")];
                pair.sort_by_key(|transaction| *transaction.signed().full_hash());
                pair
            },
            expect: vec![success, Dropped("Invalid(TxBadSeq)")],
            changes: &["alice: balance -101, sequence +1", "bob: balance +1", "totals: fee pool +100"],
        },
        Case {
            name: "fees_ahead_count_against_the_balance",
            given: World::new().account("alice", 320).account("bob", 500),
            block: vec![one_coin(1).fee(150), one_coin(2).fee(151)],
            expect: vec![success, Dropped("Invalid(TxInsufficientBalance)")],
            changes: &["alice: balance -101, sequence +1", "bob: balance +1", "totals: fee pool +100"],
        },
        Case {
            name: "fees_ahead_count_against_the_payer_of_a_bump",
            given: two().account("carol", 420),
            block: vec![one_coin(1).bump("carol", 200), one_coin(2).bump("carol", 201)],
            expect: vec![
                Applied("bump(success Payment(Success))"),
                Dropped("Invalid(TxInsufficientBalance)"),
            ],
            changes: &[
                "alice: balance -1, sequence +1",
                "bob: balance +1",
                "carol: balance -200",
                "totals: fee pool +200",
            ],
        },
    ]
}

fn interplay() -> Vec<Case> {
    let success = Applied("success Payment(Success)");
    vec![
        Case {
            // Valid at the start of the block, so kept; what comes before it changes that, so it fails at its cost.
            name: "signer_removed_by_the_transaction_before",
            given: two().signer("alice", key_of("carol"), 1).thresholds("alice", [1, 1, 1, 1]),
            block: vec![tx("alice").op(set_signer(key_of("carol"), 0)), one_coin(2).by(&["carol"])],
            expect: vec![Applied("success SetOptions(Success)"), Applied("BadAuth")],
            changes: &[
                "alice: balance -200, sequence +2, subentries -1, signers []",
                "totals: fee pool +200",
            ],
        },
        Case {
            name: "threshold_raised_by_the_transaction_before",
            given: two(),
            block: vec![tx("alice").op(options(|op| op.med_threshold = Some(2))), one_coin(2)],
            expect: vec![Applied("success SetOptions(Success)"), Applied("failed OpBadAuth")],
            changes: &["alice: balance -200, sequence +2, thresholds [1, 0, 2, 0]", "totals: fee pool +200"],
        },
        Case {
            name: "source_merged_by_the_transaction_before",
            given: two(),
            block: vec![tx("alice").op(merge("bob")), one_coin(2)],
            expect: vec![Applied("success AccountMerge(Success(800))"), Applied("NoAccount")],
            changes: &["alice: gone", "bob: balance +800", "totals: fee pool +200"],
        },
        Case {
            name: "sequence_bumped_by_the_transaction_before",
            given: two(),
            block: vec![tx("alice").op(bump_sequence(SEQUENCE + 9)), one_coin(2)],
            expect: vec![Applied("success BumpSequence(Success)"), Applied("BadSeq")],
            changes: &["alice: balance -200, sequence +9", "totals: fee pool +200"],
        },
        Case {
            name: "money_spent_by_the_transaction_before",
            given: two(),
            block: vec![tx("alice").op(pay("bob", 780, "native")), one_coin(2)],
            expect: vec![success, Applied("failed Payment(Underfunded)")],
            changes: &["alice: balance -980, sequence +2", "bob: balance +780", "totals: fee pool +200"],
        },
        Case {
            // The trim looks at the state at the start of the block; the use of the number before counts at its cost.
            name: "age_asked_for_after_a_transaction_of_the_same_block",
            given: two(),
            block: vec![one_coin(1), one_coin(2).conditions(|conditions| conditions.min_seq_ledger_gap = 1)],
            expect: vec![success, Applied("BadMinSeqAgeOrGap")],
            changes: &["alice: balance -201, sequence +2", "bob: balance +1", "totals: fee pool +200"],
        },
        Case {
            name: "account_created_in_the_block_cannot_act_in_it",
            given: {
                let mut world = two();
                world.name("new");
                world
            },
            block: vec![
                tx("alice").op(create("new", 500)),
                tx("new").seq_is((i64::from(LEDGER) << 32) + 1).op(pay("bob", 1, "native")),
            ],
            expect: vec![Applied("success CreateAccount(Success)"), Dropped("Invalid(TxNoAccount)")],
            changes: &["alice: balance -600, sequence +1", "new: new account 500", "totals: fee pool +100"],
        },
        Case {
            name: "member_suspends_from_the_next_block_on",
            given: two().account("bank", 1_000).member("bank").created_by("alice", "bank"),
            block: vec![
                tx("bank").op(data(&format!("deny:{}", account_id("alice")), Some("x"))),
                one_coin(1),
            ],
            expect: vec![Applied("success ManageData(Success)"), success],
            changes: &[
                "alice: balance -101, sequence +1",
                "bank/data deny:alice: new \"x\"",
                "bank: balance -100, sequence +1, subentries +1",
                "bob: balance +1",
                "totals: fee pool +200",
            ],
        },
        Case {
            name: "account_that_is_no_member_s_may_not_create_accounts",
            given: two().account("bank", 1_000).member("bank").restricted(),
            block: vec![tx("alice").op_by("new", create("other", 100)).by(&["alice", "new"])],
            expect: vec![Applied("failed OpNoAccount")],
            changes: &["alice: balance -100, sequence +1", "totals: fee pool +100"],
        },
    ]
}
