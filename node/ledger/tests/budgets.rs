//! The bounds on signature checks: for one transaction's signatures, and for a block.

mod support;

use std::sync::Arc;

use carat_ledger::{BlockInput, DropReason, SignatureOracle, apply};
use carat_types::signature::Claim;
use stellar_xdr::TransactionResultCode;
use support::*;

/// Counts what it is asked, and finds all valid, so that the tests need not make 20,000 signatures.
#[derive(Default)]
struct Counting(std::cell::Cell<u32>);

impl SignatureOracle for Counting {
    fn is_valid(&self, _: Claim<'_>) -> bool {
        self.0.set(self.0.get() + 1);
        true
    }
}

const SIGNERS: usize = 20;

/// An account all whose twenty signers must sign for everything.
fn world(accounts: usize) -> World {
    let mut world = World::new().account("bob", 1_000);
    for account in 0..accounts {
        let name = format!("a{account}");
        world = world.account(&name, 1_000_000).thresholds(&name, [0, 20, 20, 20]);
        for signer in 0..SIGNERS {
            world = world.signer(&name, key_of(&format!("s{signer}")), 1);
        }
    }
    world
}

/// Costs twenty verifications for the transaction and twenty for each operation.
fn costly(account: usize, operations: usize) -> Tx {
    let names: Vec<String> = (0..SIGNERS).map(|signer| format!("s{signer}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let start = tx(&format!("a{account}")).by(&names);
    (0..operations).fold(start, |transaction, _| transaction.op(pay("bob", 1, "native")))
}

#[test]
fn transaction_that_needs_a_thousand_verifications_is_kept_and_one_more_operation_is_too_much() {
    let world = world(2);
    for (operations, dropped) in
        [(49, None), (50, Some(DropReason::Invalid(TransactionResultCode::TxFailed)))]
    {
        let envelopes = [costly(0, operations).signed()];
        let outcome =
            apply(&world.state, &BlockInput { signatures: &Counting::default(), ..block(&envelopes) })
                .expect("sound state");
        assert_eq!(outcome.dropped.first().map(|drop| drop.reason), dropped, "{operations} operations");
    }
}

#[test]
fn block_that_has_cost_twenty_thousand_verifications_drops_the_rest() {
    let world = world(22);
    let envelopes: Vec<Arc<_>> = (0..22).map(|account| costly(account, 49).signed()).collect();
    let oracle = Counting::default();
    let outcome =
        apply(&world.state, &BlockInput { signatures: &oracle, ..block(&envelopes) }).expect("sound state");
    assert_eq!(outcome.applied.len(), 20);
    let reasons: Vec<DropReason> = outcome.dropped.iter().map(|drop| drop.reason).collect();
    assert_eq!(reasons, [DropReason::Verifications; 2]);
    // The rule counts a question for the transaction and each operation; each signature is looked up once, in the trim.
    assert_eq!(oracle.0.get(), 20 * 20);
}
