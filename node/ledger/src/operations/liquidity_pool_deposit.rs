//! LiquidityPoolDeposit: puts both assets into a pool, at its price, for shares of it.

use std::cmp::Ordering;

use carat_types::PublicKey;
use stellar_xdr::{
    Asset, LiquidityPoolDepositOp, LiquidityPoolDepositResult as Code, LiquidityPoolEntryConstantProduct,
    Price,
};

use super::{Applied, Context, OperationError};
use crate::arithmetic::{Round, multiply_divide, product};
use crate::balances::shift;
use crate::error::{Fault, StateError};
use crate::key::StateKey;
use crate::overlay::Overlay;
use crate::{asset, liquidity_pool, price, reserves};

pub(super) fn check(op: &LiquidityPoolDepositOp) -> Result<(), Code> {
    let well_formed = op.max_amount_a > 0
        && op.max_amount_b > 0
        && price::is_valid(&op.min_price)
        && price::is_valid(&op.max_price)
        && price::compare(&op.min_price, &op.max_price) != Ordering::Greater;
    if well_formed { Ok(()) } else { Err(Code::Malformed) }
}

/// What goes in and what comes out.
struct Deposit {
    a: i64,
    b: i64,
    shares: i64,
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &LiquidityPoolDepositOp) -> Applied {
    const UNSETTLED: Fault =
        Fault("a deposit takes more than its source has, or gives more than it has room for");
    let Context { ledger, source, .. } = context;
    let id = &op.liquidity_pool_id;
    let key = StateKey::pool_line(source, id.clone());
    let Some(line) = ledger.line_mut(&key)? else { return Err(Code::NoTrust.into()) };
    let shares_room = reserves::line_room(line);
    let pool = liquidity_pool::existing(ledger, id)?;
    let assets = (&pool.params.asset_a, &pool.params.asset_b);
    let is_authorized = touch(ledger, source, assets.0)? & touch(ledger, source, assets.1)?;
    if !is_authorized {
        return Err(Code::NotAuthorized.into());
    }
    let available = (available(ledger, source, assets.0)?, available(ledger, source, assets.1)?);
    let Deposit { a, b, shares } = sized(&pool, op)?;
    if available.0 < i128::from(a) || available.1 < i128::from(b) {
        return Err(Code::Underfunded.into());
    }
    if is_bad_price(a, b, op) {
        return Err(Code::BadPrice.into());
    }
    if shares_room < i128::from(shares) {
        return Err(Code::LineFull.into());
    }
    let full = || OperationError::from(Code::PoolFull);
    let reserve_a = pool.reserve_a.checked_add(a).ok_or_else(full)?;
    let reserve_b = pool.reserve_b.checked_add(b).ok_or_else(full)?;
    let total = pool.total_pool_shares.checked_add(shares).ok_or_else(full)?;
    let settled = shift(ledger, source, assets.0, a.saturating_neg())?
        && shift(ledger, source, assets.1, b.saturating_neg())?;
    if !settled {
        return Err(UNSETTLED.into());
    }
    let line = ledger.line_mut(&key)?.ok_or(StateError::Inconsistent("a line of pool shares vanished"))?;
    line.balance = line.balance.checked_add(shares).ok_or(UNSETTLED)?;
    Ok(liquidity_pool::update(ledger, id, |pool| {
        (pool.reserve_a, pool.reserve_b, pool.total_pool_shares) = (reserve_a, reserve_b, total);
        Some(())
    })?)
}

/// The deposit that the limits allow: both in full for an empty pool, else in the proportion of its reserves.
fn sized(
    pool: &LiquidityPoolEntryConstantProduct,
    op: &LiquidityPoolDepositOp,
) -> Result<Deposit, OperationError> {
    const OVERFLOW: Fault = Fault("a deposit leaves the range of its limits");
    let (max_a, max_b, total) = (op.max_amount_a, op.max_amount_b, pool.total_pool_shares);
    if total == 0 {
        return Ok(Deposit { a: max_a, b: max_b, shares: liquidity_pool::first_shares(max_a, max_b) });
    }
    let by_a = multiply_divide(total, max_a, pool.reserve_a, Round::Down);
    let by_b = multiply_divide(total, max_b, pool.reserve_b, Round::Down);
    let shares = by_a.into_iter().chain(by_b).min().ok_or(OVERFLOW)?;
    let a = multiply_divide(shares, pool.reserve_a, total, Round::Up).ok_or(OVERFLOW)?;
    let b = multiply_divide(shares, pool.reserve_b, total, Round::Up).ok_or(OVERFLOW)?;
    Ok(Deposit { a, b, shares })
}

fn is_bad_price(a: i64, b: i64, op: &LiquidityPoolDepositOp) -> bool {
    let compared = |price: &Price| product(a, price.d.into()).cmp(&product(b, price.n.into()));
    a == 0
        || b == 0
        || compared(&op.min_price) == Ordering::Less
        || compared(&op.max_price) == Ordering::Greater
}

/// Counts the line of an asset as changed.
///
/// **Returns** whether the holder may pay from it.
fn touch(ledger: &mut Overlay<'_>, holder: &PublicKey, of: &Asset) -> Result<bool, OperationError> {
    const NO_LINE: StateError = StateError::Inconsistent("a holder of pool shares lacks a line of an asset");
    if *of == Asset::Native || asset::issuer(of).as_ref() == Some(holder) {
        return Ok(true);
    }
    Ok(reserves::is_authorized(ledger.trustline_mut(holder, of)?.ok_or(NO_LINE)?))
}

/// What the holder has of an asset to spend; below 0 for an account below its reserve.
fn available(ledger: &mut Overlay<'_>, holder: &PublicKey, of: &Asset) -> Result<i128, OperationError> {
    if asset::issuer(of).as_ref() == Some(holder) {
        return Ok(i64::MAX.into());
    }
    let base_reserve = ledger.totals().base_reserve;
    Ok(if *of == Asset::Native {
        ledger.account_mut(holder)?.map_or(0, |account| reserves::available(account, base_reserve))
    } else {
        ledger.trustline(holder, of)?.map_or(0, reserves::line_available)
    })
}
