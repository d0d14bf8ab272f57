//! Effects on trustlines and on the pools behind them.

use carat_types::transaction::account_of;
use stellar_xdr::{
    AllowTrustOp, Asset, AssetCode, ChangeTrustAsset, ChangeTrustOp, LedgerEntryData, LiquidityPoolEntry,
    LiquidityPoolEntryBody, OperationBody, PoolId, SetTrustLineFlagsOp, TrustLineAsset, TrustLineFlags,
};

use super::{Amount, Authorization, EffectKind, Effects, as_balance};
use crate::view::OperationView;

impl Effects<'_> {
    pub(super) fn change_trust(&mut self) {
        let OperationBody::ChangeTrust(ChangeTrustOp { limit, line }) = &self.view.operation.body else {
            return;
        };
        let limit = *limit;
        // A line to a pool changes those to its assets too: they count the pools that need them.
        let line = self.view.changes.iter().find_map(|pair| match pair.data() {
            Some(LedgerEntryData::Trustline(entry)) if is_line(&entry.asset, line) => {
                Some((pair.fate()?, entry.asset.clone()))
            }
            _ => None,
        });
        let Some((fate, asset)) = line else { return };
        self.on_source(EffectKind::Trustline { fate, asset, limit });
        for pair in &self.view.changes {
            match (pair.before.map(|entry| &entry.data), pair.after.map(|entry| &entry.data)) {
                (None, Some(LedgerEntryData::LiquidityPool(pool))) => {
                    self.on_source(EffectKind::PoolCreated { pool: Box::new(pool.clone()) });
                }
                (Some(LedgerEntryData::LiquidityPool(pool)), None) => {
                    self.on_source(EffectKind::PoolRemoved { pool: pool.liquidity_pool_id.clone() });
                }
                _ => {}
            }
        }
    }

    pub(super) fn allow_trust(&mut self, op: &AllowTrustOp) {
        let issuer = account_of(self.view.source());
        let asset = match &op.asset {
            AssetCode::CreditAlphanum4(code) => Asset::CreditAlphanum4(stellar_xdr::AlphaNum4 {
                asset_code: code.clone(),
                issuer: issuer.into(),
            }),
            AssetCode::CreditAlphanum12(code) => Asset::CreditAlphanum12(stellar_xdr::AlphaNum12 {
                asset_code: code.clone(),
                issuer: issuer.into(),
            }),
        };
        let bit = |flag: TrustLineFlags| (flag as i32).unsigned_abs();
        let (full, maintain) =
            (bit(TrustLineFlags::AuthorizedFlag), bit(TrustLineFlags::AuthorizedToMaintainLiabilitiesFlag));
        let (how, set, clear) = match op.authorize {
            flags if flags & full != 0 => (Authorization::Full, full, 0),
            flags if flags & maintain != 0 => (Authorization::MaintainLiabilities, maintain, 0),
            _ => (Authorization::None, 0, full | maintain),
        };
        let trustor = (&op.trustor).into();
        self.on_source(EffectKind::TrustlineAuthorized { how, trustor, asset: asset.clone() });
        self.on_source(EffectKind::TrustlineFlagsUpdated { trustor, asset, set, clear });
        self.revoked_shares();
    }

    pub(super) fn set_trust_line_flags(&mut self, op: &SetTrustLineFlagsOp) {
        let (trustor, asset) = ((&op.trustor).into(), op.asset.clone());
        let (set, clear) = (op.set_flags, op.clear_flags);
        self.on_source(EffectKind::TrustlineFlagsUpdated { trustor, asset, set, clear });
        self.revoked_shares();
    }

    /// Pools from which the trustor's shares were redeemed, because it may no longer hold what is in them.
    fn revoked_shares(&mut self) {
        let pools: Vec<(LiquidityPoolEntry, [Amount; 2], i64)> =
            self.view.changes.iter().filter_map(|pair| pool_delta(pair.before, pair.after, -1)).collect();
        for (pool, amounts, shares) in pools {
            let balances = self.view.changes.iter().filter(|pair| pair.before.is_none());
            let balances: Vec<_> =
                balances.filter_map(|pair| pair.after).filter_map(|entry| as_balance(&entry.data)).collect();
            let revoked = amounts.into_iter().filter_map(|(asset, amount)| {
                let balance =
                    balances.iter().find(|balance| balance.asset == asset && balance.amount == amount)?;
                Some(((asset, amount), balance.balance_id.clone()))
            });
            let revoked = revoked.collect();
            self.on_source(EffectKind::PoolRevoked { pool: Box::new(pool), revoked, shares });
        }
        self.created_balances(false);
    }

    /// A deposit (`sign` 1) or a withdrawal (-1).
    pub(super) fn pool_changed(&mut self, sign: i64) {
        let Some((pool, amounts, shares)) = self.view.pool_moved(sign) else { return };
        let pool = Box::new(pool);
        self.on_source(match sign {
            1 => EffectKind::PoolDeposited { pool, deposited: amounts, shares },
            _ => EffectKind::PoolWithdrew { pool, received: amounts, shares },
        });
    }

    /// A pool as the operation left it.
    pub(super) fn pool_after(&self, id: &PoolId) -> Option<LiquidityPoolEntry> {
        self.view.changes.iter().filter_map(|pair| pair.after).find_map(|entry| match &entry.data {
            LedgerEntryData::LiquidityPool(pool) if pool.liquidity_pool_id == *id => Some(pool.clone()),
            _ => None,
        })
    }
}

/// Whether a trustline that an operation changed is the one that it names.
fn is_line(asset: &TrustLineAsset, named: &ChangeTrustAsset) -> bool {
    match (asset, named) {
        (TrustLineAsset::Native, ChangeTrustAsset::Native) => true,
        (TrustLineAsset::CreditAlphanum4(one), ChangeTrustAsset::CreditAlphanum4(other)) => one == other,
        (TrustLineAsset::CreditAlphanum12(one), ChangeTrustAsset::CreditAlphanum12(other)) => one == other,
        // One operation changes one line to a pool.
        (TrustLineAsset::PoolShare(_), ChangeTrustAsset::PoolShare(_)) => true,
        _ => false,
    }
}

impl OperationView<'_> {
    /// The first pool that the operation changed, with what came in (`sign` 1) or went out (-1): both reserves, and
    /// shares.
    pub fn pool_moved(&self, sign: i64) -> Option<(LiquidityPoolEntry, [Amount; 2], i64)> {
        self.changes.iter().find_map(|pair| pool_delta(pair.before, pair.after, sign))
    }
}

/// A pool that was changed, with what came in (`sign` 1) or went out (-1): both reserves, and shares.
fn pool_delta(
    before: Option<&stellar_xdr::LedgerEntry>,
    after: Option<&stellar_xdr::LedgerEntry>,
    sign: i64,
) -> Option<(LiquidityPoolEntry, [Amount; 2], i64)> {
    let (LedgerEntryData::LiquidityPool(before), LedgerEntryData::LiquidityPool(after)) =
        (&before?.data, &after?.data)
    else {
        return None;
    };
    let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(old) = &before.body;
    let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(new) = &after.body;
    let moved = |old: i64, new: i64| new.saturating_sub(old).saturating_mul(sign);
    let amounts = [
        (new.params.asset_a.clone(), moved(old.reserve_a, new.reserve_a)),
        (new.params.asset_b.clone(), moved(old.reserve_b, new.reserve_b)),
    ];
    Some((after.clone(), amounts, moved(old.total_pool_shares, new.total_pool_shares)))
}
