//! ChangeTrust: opens, changes and closes the line on which an account holds an asset, or shares of a pool.

use carat_types::PublicKey;
use stellar_xdr::{
    AccountFlags, Asset, ChangeTrustAsset, ChangeTrustOp, ChangeTrustResult as Code, LedgerEntryData,
    LiquidityPoolConstantProductParameters, LiquidityPoolParameters, OperationResult, TrustLineAsset,
    TrustLineEntry, TrustLineEntryExt, TrustLineEntryV1Ext,
};

use super::set_options::has_flag;
use super::{Applied, Context, OperationError};
use crate::key::StateKey;
use crate::{asset, liquidity_pool, reserves, sponsorship};

pub(super) fn check(op: &ChangeTrustOp, source: &PublicKey) -> Result<(), Code> {
    let valid = match (&op.line, asset::of_change_trust(&op.line)) {
        (_, Some(of)) => of != Asset::Native && asset::is_valid(&of) && asset::issuer(&of) != Some(*source),
        (ChangeTrustAsset::PoolShare(parameters), None) => is_valid_pool(parameters),
        (_, None) => false,
    };
    if op.limit >= 0 && valid { Ok(()) } else { Err(Code::Malformed) }
}

fn is_valid_pool(parameters: &LiquidityPoolParameters) -> bool {
    let LiquidityPoolParameters::LiquidityPoolConstantProduct(pool) = parameters;
    asset::is_valid(&pool.asset_a)
        && asset::is_valid(&pool.asset_b)
        && pool.asset_a < pool.asset_b
        && pool.fee == liquidity_pool::FEE
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &ChangeTrustOp) -> Applied {
    let line_asset = trustline_asset(&op.line);
    let key = StateKey::line(&context.source, &line_asset);
    let Some(line) = context.ledger.line_mut(&key)? else {
        return match op.limit {
            0 => Err(Code::InvalidLimit.into()),
            _ => open(context, op, line_asset),
        };
    };
    let owed = i128::from(line.balance).saturating_add(reserves::line_liabilities(line).buying.into());
    if i128::from(op.limit) < owed {
        return Err(Code::InvalidLimit.into());
    }
    if op.limit > 0 {
        line.limit = op.limit;
        return match asset::of_change_trust(&op.line) {
            Some(of) if issuer_flags(context, &of)?.is_none() => Err(Code::NoIssuer.into()),
            _ => Ok(()),
        };
    }
    if is_used_by_pool(line) {
        return Err(Code::CannotDelete.into());
    }
    let Context { ledger, source, .. } = context;
    sponsorship::remove_subentry(ledger, source, &key, reserves::line_reserves(&line_asset))?;
    match line_asset {
        TrustLineAsset::PoolShare(pool) => Ok(liquidity_pool::remove_line(ledger, source, &pool)?),
        _ => Ok(()),
    }
}

fn open(context: &mut Context<'_, '_>, op: &ChangeTrustOp, line_asset: TrustLineAsset) -> Applied {
    let mut flags = 0;
    if let Some(of) = asset::of_change_trust(&op.line) {
        let Some(issuer) = issuer_flags(context, &of)? else { return Err(Code::NoIssuer.into()) };
        if !has_flag(issuer, AccountFlags::RequiredFlag) {
            // Without a line nobody holds the asset, in whatever form: this is the only door (docs/ledger.md, assets).
            if context.ledger.totals().authorised_assets_only() {
                return Err(OperationError::failed(OperationResult::OpNotSupported));
            }
            flags |= reserves::TRUSTLINE_AUTHORIZED;
        }
        if has_flag(issuer, AccountFlags::ClawbackEnabledFlag) {
            flags |= reserves::TRUSTLINE_CLAWBACK;
        }
    }
    if let ChangeTrustAsset::PoolShare(LiquidityPoolParameters::LiquidityPoolConstantProduct(pool)) = &op.line
    {
        join_pool(context, pool)?;
    }
    let sponsor = context.sponsor_of_source();
    let Context { ledger, source, .. } = context;
    let reserves = reserves::line_reserves(&line_asset);
    let ext = sponsorship::add_subentry(ledger, source, sponsor.as_ref(), reserves)?
        .map_err(|refusal| super::refused(refusal, Code::LowReserve))?;
    let key = StateKey::line(source, &line_asset);
    let line = TrustLineEntry {
        account_id: (*source).into(),
        asset: line_asset,
        balance: 0,
        limit: op.limit,
        flags,
        ext: TrustLineEntryExt::V0,
    };
    Ok(ledger.create(&key, LedgerEntryData::Trustline(line), ext)?)
}

/// Whoever holds shares of a pool has lines of both its assets, and keeps them as long.
fn join_pool(context: &mut Context<'_, '_>, pool: &LiquidityPoolConstantProductParameters) -> Applied {
    let Context { ledger, source, .. } = context;
    for of in [&pool.asset_a, &pool.asset_b] {
        if *of != Asset::Native && asset::issuer(of) != Some(*source) {
            let Some(line) = ledger.trustline(source, of)? else {
                return Err(Code::TrustLineMissing.into());
            };
            if !reserves::may_keep_offers(line) {
                return Err(Code::NotAuthMaintainLiabilities.into());
            }
            liquidity_pool::count_use(ledger, source, of, 1)?;
        }
    }
    Ok(liquidity_pool::add_line(ledger, pool)?)
}

/// The flags of the asset's issuer, none if there is no such account.
fn issuer_flags(context: &mut Context<'_, '_>, asset: &Asset) -> Result<Option<u32>, OperationError> {
    let Some(issuer) = asset::issuer(asset) else { return Ok(None) };
    Ok(context.ledger.account(&issuer)?.map(|account| account.flags))
}

fn trustline_asset(line: &ChangeTrustAsset) -> TrustLineAsset {
    match line {
        ChangeTrustAsset::Native => TrustLineAsset::Native,
        ChangeTrustAsset::CreditAlphanum4(code) => TrustLineAsset::CreditAlphanum4(code.clone()),
        ChangeTrustAsset::CreditAlphanum12(code) => TrustLineAsset::CreditAlphanum12(code.clone()),
        ChangeTrustAsset::PoolShare(LiquidityPoolParameters::LiquidityPoolConstantProduct(pool)) => {
            TrustLineAsset::PoolShare(liquidity_pool::id_of(pool))
        }
    }
}

fn is_used_by_pool(line: &TrustLineEntry) -> bool {
    match &line.ext {
        TrustLineEntryExt::V1(v1) => {
            matches!(&v1.ext, TrustLineEntryV1Ext::V2(v2) if v2.liquidity_pool_use_count != 0)
        }
        TrustLineEntryExt::V0 => false,
    }
}
