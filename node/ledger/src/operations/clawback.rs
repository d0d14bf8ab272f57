//! Clawback: an issuer takes back what a holder has of its asset. The amount leaves the world.

use carat_types::PublicKey;
use carat_types::transaction::account_of;
use stellar_xdr::{Asset, ClawbackOp, ClawbackResult as Code, MuxedAccount};

use super::{Applied, Context};
use crate::error::StateError;
use crate::{asset, balances, reserves};

pub(super) fn check(op: &ClawbackOp, source: &PublicKey) -> Result<(), Code> {
    let own_asset =
        op.asset != Asset::Native && asset::is_valid(&op.asset) && asset::issuer(&op.asset) == Some(*source);
    // Its own address alone: one with a customer's number passes, and fails for the lack of a trustline.
    if !own_asset || op.amount < 1 || op.from == MuxedAccount::from(*source) {
        return Err(Code::Malformed);
    }
    Ok(())
}

/// Authorization is not asked; what the holder's offers would sell is respected.
pub(super) fn apply(context: &mut Context<'_, '_>, op: &ClawbackOp) -> Applied {
    let ledger = &mut *context.ledger;
    let Some(line) = ledger.trustline_mut(&account_of(&op.from), &op.asset)? else {
        return Err(Code::NoTrust.into());
    };
    if line.flags & reserves::TRUSTLINE_CLAWBACK == 0 {
        return Err(Code::NotClawbackEnabled.into());
    }
    if reserves::line_available(line) < i128::from(op.amount) {
        return Err(Code::Underfunded.into());
    }
    line.balance = line
        .balance
        .checked_sub(op.amount)
        .ok_or(StateError::Inconsistent("a trustline's available balance exceeds its balance"))?;
    Ok(balances::change_supply(ledger, &op.asset, i128::from(op.amount).saturating_neg())?)
}
