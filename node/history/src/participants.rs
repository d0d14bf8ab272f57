//! Whose history an operation belongs to.
//!
//! The account that acts, the account that is acted upon, and for a transaction also who pays its fee.

use std::collections::BTreeSet;

use carat_types::PublicKey;
use carat_types::transaction::{SignedTransaction, account_of};
use stellar_xdr::{Claimant, LedgerKey, Operation, OperationBody, RevokeSponsorshipOp};

/// The account that an operation acts for: its own source, else the transaction's.
pub fn source_of(transaction: &SignedTransaction, operation: &Operation) -> PublicKey {
    operation.source_account.as_ref().map_or_else(|| transaction.source(), account_of)
}

/// The accounts in whose lists the operation stands.
pub fn of_operation(transaction: &SignedTransaction, operation: &Operation) -> BTreeSet<PublicKey> {
    let mut accounts = BTreeSet::from([source_of(transaction, operation)]);
    match &operation.body {
        OperationBody::CreateAccount(op) => _ = accounts.insert((&op.destination).into()),
        OperationBody::Payment(op) => _ = accounts.insert(account_of(&op.destination)),
        OperationBody::PathPaymentStrictReceive(op) => _ = accounts.insert(account_of(&op.destination)),
        OperationBody::PathPaymentStrictSend(op) => _ = accounts.insert(account_of(&op.destination)),
        OperationBody::AllowTrust(op) => _ = accounts.insert((&op.trustor).into()),
        OperationBody::SetTrustLineFlags(op) => _ = accounts.insert((&op.trustor).into()),
        OperationBody::AccountMerge(destination) => _ = accounts.insert(account_of(destination)),
        OperationBody::Clawback(op) => _ = accounts.insert(account_of(&op.from)),
        OperationBody::BeginSponsoringFutureReserves(op) => {
            accounts.insert((&op.sponsored_id).into());
        }
        OperationBody::CreateClaimableBalance(op) => {
            let destinations =
                op.claimants.iter().map(|Claimant::ClaimantTypeV0(claimant)| &claimant.destination);
            accounts.extend(destinations.map(PublicKey::from));
        }
        OperationBody::RevokeSponsorship(RevokeSponsorshipOp::LedgerEntry(key)) => {
            accounts.extend(owner_of(key));
        }
        OperationBody::RevokeSponsorship(RevokeSponsorshipOp::Signer(signer)) => {
            accounts.insert((&signer.account_id).into());
        }
        // In these the source alone takes part.
        OperationBody::ManageSellOffer(_)
        | OperationBody::CreatePassiveSellOffer(_)
        | OperationBody::ManageBuyOffer(_)
        | OperationBody::SetOptions(_)
        | OperationBody::ChangeTrust(_)
        | OperationBody::Inflation
        | OperationBody::ManageData(_)
        | OperationBody::BumpSequence(_)
        | OperationBody::ClaimClaimableBalance(_)
        | OperationBody::EndSponsoringFutureReserves
        | OperationBody::ClawbackClaimableBalance(_)
        | OperationBody::LiquidityPoolDeposit(_)
        | OperationBody::LiquidityPoolWithdraw(_)
        | OperationBody::InvokeHostFunction(_)
        | OperationBody::ExtendFootprintTtl(_)
        | OperationBody::RestoreFootprint(_) => {}
    }
    accounts
}

/// The accounts in whose lists the transaction stands.
pub fn of_transaction(transaction: &SignedTransaction) -> BTreeSet<PublicKey> {
    let mut accounts = BTreeSet::from([transaction.source(), transaction.fee_source()]);
    for operation in transaction.operations() {
        accounts.extend(of_operation(transaction, operation));
    }
    accounts
}

/// Whether the operation stands in the lists of payments.
pub fn is_payment(operation: &Operation) -> bool {
    matches!(
        operation.body,
        OperationBody::CreateAccount(_)
            | OperationBody::Payment(_)
            | OperationBody::PathPaymentStrictReceive(_)
            | OperationBody::PathPaymentStrictSend(_)
            | OperationBody::AccountMerge(_)
    )
}

fn owner_of(key: &LedgerKey) -> Option<PublicKey> {
    match key {
        LedgerKey::Account(key) => Some((&key.account_id).into()),
        LedgerKey::Data(key) => Some((&key.account_id).into()),
        LedgerKey::Offer(key) => Some((&key.seller_id).into()),
        LedgerKey::Trustline(key) => Some((&key.account_id).into()),
        _ => None,
    }
}
