//! LiquidityPoolWithdraw: gives shares of a pool back for what they are worth of both its assets.

use stellar_xdr::{LiquidityPoolWithdrawOp, LiquidityPoolWithdrawResult as Code};

use super::{Applied, Context};
use crate::balances::shift;
use crate::error::{Fault, StateError};
use crate::key::StateKey;
use crate::{liquidity_pool, reserves};

pub(super) fn check(op: &LiquidityPoolWithdrawOp) -> Result<(), Code> {
    let well_formed = op.amount > 0 && op.min_amount_a >= 0 && op.min_amount_b >= 0;
    if well_formed { Ok(()) } else { Err(Code::Malformed) }
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &LiquidityPoolWithdrawOp) -> Applied {
    const OVERFLOW: Fault = Fault("a withdrawal takes more shares than there are");
    let Context { ledger, source, .. } = context;
    let id = &op.liquidity_pool_id;
    let key = StateKey::pool_line(source, id.clone());
    let Some(line) = ledger.line_mut(&key)? else { return Err(Code::NoTrust.into()) };
    if reserves::line_available(line) < i128::from(op.amount) {
        return Err(Code::Underfunded.into());
    }
    let pool = liquidity_pool::existing(ledger, id)?;
    let a = liquidity_pool::worth(op.amount, pool.total_pool_shares, pool.reserve_a)?;
    let b = liquidity_pool::worth(op.amount, pool.total_pool_shares, pool.reserve_b)?;
    let sides = [(&pool.params.asset_a, a, op.min_amount_a), (&pool.params.asset_b, b, op.min_amount_b)];
    for (asset, amount, least) in sides {
        if amount < least {
            return Err(Code::UnderMinimum.into());
        }
        if !shift(ledger, source, asset, amount)? {
            return Err(Code::LineFull.into());
        }
    }
    let line = ledger.line_mut(&key)?.ok_or(StateError::Inconsistent("a line of pool shares vanished"))?;
    line.balance = line.balance.checked_sub(op.amount).ok_or(OVERFLOW)?;
    Ok(liquidity_pool::update(ledger, id, |pool| {
        pool.total_pool_shares = pool.total_pool_shares.checked_sub(op.amount)?;
        pool.reserve_a = pool.reserve_a.checked_sub(a)?;
        pool.reserve_b = pool.reserve_b.checked_sub(b)?;
        Some(())
    })?)
}
