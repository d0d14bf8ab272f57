//! ChangeTrust: opens, changes and closes the line on which an account holds an asset.

use carat_types::PublicKey;
use stellar_xdr::{
    AccountFlags, Asset, ChangeTrustAsset, ChangeTrustOp, ChangeTrustResult as Code, LedgerEntryData,
    OperationResult, TrustLineAsset, TrustLineEntry, TrustLineEntryExt, TrustLineEntryV1Ext,
};

use super::set_options::has_flag;
use super::{Applied, Context, NO_SOURCE, OperationError, subentry_error};
use crate::key::StateKey;
use crate::{asset, reserves, sponsorship};

pub(super) fn check(op: &ChangeTrustOp, source: &PublicKey) -> Applied {
    if op.limit < 0 {
        return Err(Code::Malformed.into());
    }
    // Shares of pools come with the pools.
    let Some(asset) = asset::of_change_trust(&op.line) else {
        return Err(OperationError::failed(OperationResult::OpNotSupported));
    };
    if asset == Asset::Native || !asset::is_valid(&asset) || asset::issuer(&asset) == Some(*source) {
        return Err(Code::Malformed.into());
    }
    Ok(())
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &ChangeTrustOp) -> Applied {
    let Some(asset) = asset::of_change_trust(&op.line) else {
        return Err(OperationError::failed(OperationResult::OpNotSupported));
    };
    match context.ledger.trustline(&context.source, &asset)? {
        Some(line) => {
            let owed =
                i128::from(line.balance).saturating_add(reserves::line_liabilities(line).buying.into());
            if i128::from(op.limit) < owed {
                return Err(Code::InvalidLimit.into());
            }
            if op.limit > 0 {
                set_limit(context, &asset, op.limit)
            } else if is_used_by_pool(line) {
                Err(Code::CannotDelete.into())
            } else {
                let key = StateKey::trustline(&context.source, &asset);
                Ok(sponsorship::remove_subentry(context.ledger, &context.source, &key)?)
            }
        }
        None if op.limit == 0 => Err(Code::InvalidLimit.into()),
        None => open(context, &asset, op),
    }
}

fn set_limit(context: &mut Context<'_, '_>, asset: &Asset, limit: i64) -> Applied {
    if issuer_flags(context, asset)?.is_none() {
        return Err(Code::NoIssuer.into());
    }
    if let Some(line) = context.ledger.trustline_mut(&context.source, asset)? {
        line.limit = limit;
    }
    Ok(())
}

fn open(context: &mut Context<'_, '_>, asset: &Asset, op: &ChangeTrustOp) -> Applied {
    let Some(issuer) = issuer_flags(context, asset)? else { return Err(Code::NoIssuer.into()) };
    let mut flags = 0;
    if !has_flag(issuer, AccountFlags::RequiredFlag) {
        flags |= reserves::TRUSTLINE_AUTHORIZED;
    }
    if has_flag(issuer, AccountFlags::ClawbackEnabledFlag) {
        flags |= reserves::TRUSTLINE_CLAWBACK;
    }
    let Context { ledger, source, .. } = context;
    let base_reserve = ledger.totals().base_reserve;
    let account = ledger.account_mut(source)?.ok_or(NO_SOURCE)?;
    sponsorship::add_subentry(account, base_reserve)
        .map_err(|refusal| subentry_error(refusal, Code::LowReserve))?;
    let line = TrustLineEntry {
        account_id: (*source).into(),
        asset: trustline_asset(&op.line),
        balance: 0,
        limit: op.limit,
        flags,
        ext: TrustLineEntryExt::V0,
    };
    Ok(ledger.create(&StateKey::trustline(source, asset), LedgerEntryData::Trustline(line))?)
}

/// The flags of the asset's issuer, none if there is no such account.
fn issuer_flags(context: &mut Context<'_, '_>, asset: &Asset) -> Result<Option<u32>, OperationError> {
    let Some(issuer) = asset::issuer(asset) else { return Ok(None) };
    Ok(context.ledger.account(&issuer)?.map(|account| account.flags))
}

fn trustline_asset(line: &ChangeTrustAsset) -> TrustLineAsset {
    match line {
        ChangeTrustAsset::CreditAlphanum4(code) => TrustLineAsset::CreditAlphanum4(code.clone()),
        ChangeTrustAsset::CreditAlphanum12(code) => TrustLineAsset::CreditAlphanum12(code.clone()),
        ChangeTrustAsset::Native | ChangeTrustAsset::PoolShare(_) => TrustLineAsset::Native,
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
