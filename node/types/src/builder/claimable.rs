//! Balances that somebody may claim under a condition, such as the leg of a trade that waits, or money in escrow.

use stellar_xdr::{
    AccountId, Asset, ClaimClaimableBalanceOp, ClaimPredicate, ClaimableBalanceId, Claimant, ClaimantV0,
    ClawbackClaimableBalanceOp, CreateClaimableBalanceOp, Operation, OperationBody, VecM,
};

use super::BuildError;
use super::operation::plain;

/// The most that may claim one balance.
pub const CLAIMANTS_MAX: usize = 10;

/// Sets `amount` aside for the claimants: the first to claim, while its condition holds, gets all.
///
/// **Errors**: more than ten claimants. The predicates' depth is for the ledger to judge.
pub fn create_claimable_balance(
    asset: Asset,
    amount: i64,
    claimants: Vec<(AccountId, ClaimPredicate)>,
) -> Result<Operation, BuildError> {
    let value = claimants.len() as i128;
    let claimants: Vec<Claimant> = claimants
        .into_iter()
        .map(|(destination, predicate)| Claimant::ClaimantTypeV0(ClaimantV0 { destination, predicate }))
        .collect();
    let claimants: VecM<Claimant, 10> =
        claimants.try_into().map_err(|_| BuildError::TooLarge { what: "the number of claimants", value })?;
    let op = CreateClaimableBalanceOp { asset, amount, claimants };
    Ok(plain(OperationBody::CreateClaimableBalance(op)))
}

/// Claims a balance.
pub fn claim_claimable_balance(balance_id: ClaimableBalanceId) -> Operation {
    plain(OperationBody::ClaimClaimableBalance(ClaimClaimableBalanceOp { balance_id }))
}

/// Takes back, as its issuer, an asset that waits to be claimed.
pub fn clawback_claimable_balance(balance_id: ClaimableBalanceId) -> Operation {
    plain(OperationBody::ClawbackClaimableBalance(ClawbackClaimableBalanceOp { balance_id }))
}

/// Claimable before a time. **Units**: seconds since 1970.
pub fn before(time: i64) -> ClaimPredicate {
    ClaimPredicate::BeforeAbsoluteTime(time)
}

/// Claimable from a time on. **Units**: seconds since 1970.
pub fn from(time: i64) -> ClaimPredicate {
    ClaimPredicate::Not(Some(Box::new(before(time))))
}

/// Claimable while both conditions hold.
pub fn both(one: ClaimPredicate, other: ClaimPredicate) -> ClaimPredicate {
    // Two fit into a list of two.
    ClaimPredicate::And([one, other].try_into().unwrap_or_default())
}
