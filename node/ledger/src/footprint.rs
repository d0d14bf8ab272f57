//! Which entries a transaction says itself that it will use.
//!
//! Reading them for some transactions at a time lets the store look them up side by side. The list is a guess and nothing rests
//! on it: an entry that is missing here is read when it is used, one that is superfluous was read for nothing.

use carat_types::PublicKey;
use carat_types::transaction::{SignedTransaction, account_of};
use stellar_xdr::{Asset, OperationBody};

use crate::asset;
use crate::key::StateKey;
use crate::operations;

/// Transactions whose entries are read at a time: enough for a store to look them up side by side, few enough that what
/// was read is still in the processor's nearest cache when it is used.
pub(crate) const AT_A_TIME: usize = 16;

/// The accounts that it acts for or that pay for it: what it takes to check it.
pub(crate) fn sources(transaction: &SignedTransaction, found: &mut dyn FnMut(&StateKey)) {
    found(&StateKey::account(&transaction.source()));
    if transaction.fee_bump().is_some() {
        found(&StateKey::account(&transaction.fee_source()));
    }
    for operation in transaction.operations() {
        if let Some(source) = &operation.source_account {
            found(&StateKey::account(&account_of(source)));
        }
    }
}

/// The entries that its operations name, beside the [`sources`].
pub(crate) fn of_operations(transaction: &SignedTransaction, found: &mut dyn FnMut(&StateKey)) {
    for operation in transaction.operations() {
        let source = operations::source(transaction, operation);
        let (spends, destination, receives) = match &operation.body {
            OperationBody::Payment(op) => (&op.asset, account_of(&op.destination), &op.asset),
            OperationBody::PathPaymentStrictReceive(op) => {
                (&op.send_asset, account_of(&op.destination), &op.dest_asset)
            }
            OperationBody::PathPaymentStrictSend(op) => {
                (&op.send_asset, account_of(&op.destination), &op.dest_asset)
            }
            OperationBody::ManageSellOffer(op) => (&op.selling, source, &op.buying),
            OperationBody::ManageBuyOffer(op) => (&op.selling, source, &op.buying),
            OperationBody::CreatePassiveSellOffer(op) => (&op.selling, source, &op.buying),
            OperationBody::CreateAccount(op) => {
                (&Asset::Native, PublicKey::from(&op.destination), &Asset::Native)
            }
            _ => continue,
        };
        line(&source, spends, found);
        if destination != source {
            found(&StateKey::account(&destination));
        }
        line(&destination, receives, found);
    }
}

/// The coin is held in the account itself, and an issuer has no line of its own asset.
fn line(holder: &PublicKey, of: &Asset, found: &mut dyn FnMut(&StateKey)) {
    if asset::issuer(of).is_some_and(|issuer| issuer != *holder) {
        found(&StateKey::trustline(holder, of));
    }
}
