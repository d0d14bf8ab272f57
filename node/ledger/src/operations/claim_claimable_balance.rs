//! ClaimClaimableBalance: a claimant takes a balance.

use carat_types::PublicKey;
use stellar_xdr::{ClaimClaimableBalanceOp, ClaimClaimableBalanceResult as Code, Claimant};

use super::{Applied, Context};
use crate::balances::{Refusal, credit};
use crate::claimable_balance;

pub(super) fn apply(context: &mut Context<'_, '_>, op: &ClaimClaimableBalanceOp) -> Applied {
    let now = context.moment.close_time;
    let Context { ledger, source, .. } = context;
    let Some(balance) = claimable_balance::find(ledger, &op.balance_id)? else {
        return Err(Code::DoesNotExist.into());
    };
    let may_claim = balance.claimants.iter().any(|claimant| {
        let Claimant::ClaimantTypeV0(claimant) = claimant;
        PublicKey::from(&claimant.destination) == *source
            && claimable_balance::holds(&claimant.predicate, now)
    });
    if !may_claim {
        return Err(Code::CannotClaim.into());
    }
    if let Some(refusal) = credit(ledger, source, &balance.asset, balance.amount)? {
        return Err(match refusal {
            Refusal::NoLine => Code::NoTrust,
            Refusal::NotAuthorized => Code::NotAuthorized,
            Refusal::Full | Refusal::Underfunded => Code::LineFull,
        }
        .into());
    }
    // The source counts as changed whatever the asset.
    ledger.account_mut(source)?;
    Ok(claimable_balance::remove(ledger, &balance)?)
}
