//! Pools that hold two assets and trade one for the other, so that the product of their reserves never falls.
//!
//! **Source**: ledger specification A.6. A trade costs 0.3 %, which stays in the pool.

use carat_types::PublicKey;
use carat_types::hash::sha256;
use stellar_xdr::{
    Asset, Hash, LedgerEntryData, LiquidityPoolConstantProductParameters, LiquidityPoolEntry,
    LiquidityPoolEntryBody, LiquidityPoolEntryConstantProduct, LiquidityPoolParameters, PoolId,
};

use crate::arithmetic::{Round, geometric_mean, multiply_divide, product, scaled_quotient};
use crate::crossing::Order;
use crate::entry::StateValue;
use crate::error::{Fault, StateError};
use crate::exchange::Rounding;
use crate::extension::with_line_v2;
use crate::key::{StateKey, xdr};
use crate::overlay::Overlay;

/// The fee of every pool. **Units**: ten-thousandths.
pub(crate) const FEE: i32 = 30;
const WHOLE: u32 = 10_000;
const WITHOUT_FEE: u32 = 9_970;

/// What a pool would give and take.
pub(crate) struct Quote {
    pub(crate) pool: PoolId,
    pub(crate) sheep: i64,
    pub(crate) wheat: i64,
}

/// The id of the pool with these parameters.
pub fn id_of(parameters: &LiquidityPoolConstantProductParameters) -> PoolId {
    let parameters = LiquidityPoolParameters::LiquidityPoolConstantProduct(parameters.clone());
    PoolId(Hash(sha256(&[&xdr(&parameters)]).0))
}

/// The id of the pool of two assets, in either order.
pub fn id_of_pair(a: &Asset, b: &Asset) -> PoolId {
    let (asset_a, asset_b) = (a.min(b).clone(), a.max(b).clone());
    id_of(&LiquidityPoolConstantProductParameters { asset_a, asset_b, fee: FEE })
}

/// A pool, as it is.
pub(crate) fn find(
    ledger: &mut Overlay<'_>,
    id: &PoolId,
) -> Result<Option<LiquidityPoolEntryConstantProduct>, StateError> {
    Ok(ledger.get(&StateKey::pool(id.clone()))?.and_then(StateValue::as_pool).map(|pool| {
        let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(pool) = &pool.body;
        pool.clone()
    }))
}

/// A pool that must be there because somebody has a line for its shares.
pub(crate) fn existing(
    ledger: &mut Overlay<'_>,
    id: &PoolId,
) -> Result<LiquidityPoolEntryConstantProduct, StateError> {
    find(ledger, id)?.ok_or(NO_POOL)
}

/// Changes a pool.
pub(crate) fn update(
    ledger: &mut Overlay<'_>,
    id: &PoolId,
    change: impl FnOnce(&mut LiquidityPoolEntryConstantProduct) -> Option<()>,
) -> Result<(), StateError> {
    const OVERFLOW: StateError =
        StateError::Inconsistent("a pool left its range after its limits were checked");
    match ledger.entry_mut(&StateKey::pool(id.clone()))?.map(|entry| &mut entry.data) {
        Some(LedgerEntryData::LiquidityPool(pool)) => {
            let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(pool) = &mut pool.body;
            change(pool).ok_or(OVERFLOW)
        }
        _ => Err(NO_POOL),
    }
}

const NO_POOL: StateError =
    StateError::Inconsistent("there is a line of shares of a pool that does not exist");

/// What the pool of two assets would trade for a payment, if it can serve all of it.
pub(crate) fn quote(ledger: &mut Overlay<'_>, order: &Order<'_>) -> Result<Option<Quote>, StateError> {
    let id = id_of_pair(order.sheep, order.wheat);
    let Some(pool) = find(ledger, &id)? else { return Ok(None) };
    let (sheep_reserve, wheat_reserve) = match *order.sheep == pool.params.asset_a {
        true => (pool.reserve_a, pool.reserve_b),
        false => (pool.reserve_b, pool.reserve_a),
    };
    let amounts = match order.rounding {
        _ if sheep_reserve <= 0 || wheat_reserve <= 0 => None,
        Rounding::StrictSend => given(order.sheep_max, sheep_reserve, wheat_reserve),
        Rounding::StrictReceive => asked(order.wheat_max, sheep_reserve, wheat_reserve),
        Rounding::Normal => None,
    };
    Ok(amounts.map(|(sheep, wheat)| Quote { pool: id, sheep, wheat }))
}

/// What the pool gives for exactly this much.
fn given(sheep: i64, sheep_reserve: i64, wheat_reserve: i64) -> Option<(i64, i64)> {
    sheep_reserve.checked_add(sheep)?;
    let by = product(sheep_reserve, WHOLE.into()).checked_add(product(sheep, WITHOUT_FEE.into()))?;
    let wheat = scaled_quotient(WITHOUT_FEE, product(wheat_reserve, sheep), by, Round::Down)?;
    (wheat > 0).then_some((sheep, wheat))
}

/// What the pool asks for exactly this much.
fn asked(wheat: i64, sheep_reserve: i64, wheat_reserve: i64) -> Option<(i64, i64)> {
    let rest = wheat_reserve.checked_sub(wheat).filter(|rest| *rest > 0)?;
    let by = product(rest, WITHOUT_FEE.into());
    let sheep = scaled_quotient(WHOLE, product(sheep_reserve, wheat), by, Round::Up)?;
    sheep_reserve.checked_add(sheep)?;
    Some((sheep, wheat))
}

/// Makes the trade that was quoted.
pub(crate) fn trade(ledger: &mut Overlay<'_>, order: &Order<'_>, quote: &Quote) -> Result<(), StateError> {
    update(ledger, &quote.pool, |pool| {
        let (into, out_of) = match *order.sheep == pool.params.asset_a {
            true => (&mut pool.reserve_a, &mut pool.reserve_b),
            false => (&mut pool.reserve_b, &mut pool.reserve_a),
        };
        *into = into.checked_add(quote.sheep)?;
        *out_of = out_of.checked_sub(quote.wheat)?;
        Some(())
    })
}

/// What so many shares of a pool are worth in a reserve of it.
pub(crate) fn worth(shares: i64, total: i64, reserve: i64) -> Result<i64, Fault> {
    const TOO_MANY: Fault = Fault("somebody holds more shares of a pool than there are");
    let worth = if shares > total { None } else { multiply_divide(shares, reserve, total, Round::Down) };
    worth.ok_or(TOO_MANY)
}

/// The first shares of a pool.
pub(crate) fn first_shares(a: i64, b: i64) -> i64 {
    geometric_mean(a, b)
}

/// Counts one more line of shares of a pool, which begins with the first.
pub(crate) fn add_line(
    ledger: &mut Overlay<'_>,
    parameters: &LiquidityPoolConstantProductParameters,
) -> Result<(), StateError> {
    let id = id_of(parameters);
    if find(ledger, &id)?.is_some() {
        return update(ledger, &id, |pool| {
            pool.pool_shares_trust_line_count = pool.pool_shares_trust_line_count.checked_add(1)?;
            Some(())
        });
    }
    for asset in [&parameters.asset_a, &parameters.asset_b] {
        ledger.put(&StateKey::AssetPool(asset.clone(), id.clone()), StateValue::Listed)?;
    }
    let body = LiquidityPoolEntryBody::LiquidityPoolConstantProduct(LiquidityPoolEntryConstantProduct {
        params: parameters.clone(),
        reserve_a: 0,
        reserve_b: 0,
        total_pool_shares: 0,
        pool_shares_trust_line_count: 1,
    });
    let pool = LiquidityPoolEntry { liquidity_pool_id: id.clone(), body };
    ledger.create(&StateKey::pool(id), LedgerEntryData::LiquidityPool(pool), stellar_xdr::LedgerEntryExt::V0)
}

/// Counts one line less, of `holder`: on the lines of the two assets, and of the pool, which ends with the last.
pub(crate) fn remove_line(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    id: &PoolId,
) -> Result<(), StateError> {
    let pool = existing(ledger, id)?;
    for asset in [&pool.params.asset_a, &pool.params.asset_b] {
        count_use(ledger, holder, asset, -1)?;
    }
    if pool.pool_shares_trust_line_count > 1 {
        return update(ledger, id, |pool| {
            pool.pool_shares_trust_line_count = pool.pool_shares_trust_line_count.checked_sub(1)?;
            Some(())
        });
    }
    for asset in [&pool.params.asset_a, &pool.params.asset_b] {
        ledger.remove(&StateKey::AssetPool(asset.clone(), id.clone()))?;
    }
    ledger.remove(&StateKey::pool(id.clone()))
}

/// Counts a pool more or less that uses the holder's line of an asset. Issuers and the coin have no lines.
pub(crate) fn count_use(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    asset: &Asset,
    by: i32,
) -> Result<(), StateError> {
    const COUNT: StateError = StateError::Inconsistent("the pools that use a line are counted wrongly");
    if *asset == Asset::Native || crate::asset::issuer(asset).as_ref() == Some(holder) {
        return Ok(());
    }
    let line = ledger.trustline_mut(holder, asset)?.ok_or(COUNT)?;
    with_line_v2(line, |v2| {
        let count = v2.liquidity_pool_use_count.checked_add(by).filter(|count| *count >= 0);
        v2.liquidity_pool_use_count = count.ok_or(COUNT)?;
        Ok(())
    })
}
