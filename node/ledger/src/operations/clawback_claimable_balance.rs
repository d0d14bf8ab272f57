//! ClawbackClaimableBalance: an issuer takes back a balance that nobody has claimed. The amount leaves the world.

use stellar_xdr::{ClawbackClaimableBalanceOp, ClawbackClaimableBalanceResult as Code};

use super::{Applied, Context};
use crate::{asset, balances, claimable_balance};

pub(super) fn apply(context: &mut Context<'_, '_>, op: &ClawbackClaimableBalanceOp) -> Applied {
    let Context { ledger, source, .. } = context;
    let Some(balance) = claimable_balance::find(ledger, &op.balance_id)? else {
        return Err(Code::DoesNotExist.into());
    };
    if asset::issuer(&balance.asset) != Some(*source) {
        return Err(Code::NotIssuer.into());
    }
    if !claimable_balance::is_clawback_enabled(&balance) {
        return Err(Code::NotClawbackEnabled.into());
    }
    ledger.account_mut(source)?;
    claimable_balance::remove(ledger, &balance)?;
    Ok(balances::change_supply(ledger, &balance.asset, i128::from(balance.amount).saturating_neg())?)
}
