//! The figures of an asset: who holds how much of it, in which form.

use carat_types::codec::{Decode, DecodeError, Reader};
use stellar_xdr::{
    Asset, LedgerEntry, LedgerEntryData, LiquidityPoolEntryBody, TrustLineAsset, TrustLineFlags,
};

use crate::store::HistoryError;

/// The figures of one asset. **Units**: amounts in ten-millionths of the asset's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AssetStats {
    /// Holders that may do anything, and what they hold.
    pub authorized: Held,
    /// Holders that may keep offers only.
    pub maintaining: Held,
    /// Holders that may do nothing.
    pub unauthorized: Held,
    /// Claimable balances.
    pub claimable: Held,
    /// Liquidity pools.
    pub pools: Held,
}

/// A number of holders and what they hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Held {
    /// How many.
    pub count: i64,
    /// How much.
    pub amount: i128,
}

impl Held {
    fn one(amount: i64) -> Self {
        Held { count: 1, amount: i128::from(amount) }
    }
}

impl AssetStats {
    fn all(&self) -> [Held; 5] {
        [self.authorized, self.maintaining, self.unauthorized, self.claimable, self.pools]
    }

    fn of([authorized, maintaining, unauthorized, claimable, pools]: [Held; 5]) -> Self {
        AssetStats { authorized, maintaining, unauthorized, claimable, pools }
    }

    /// Adds `sign` times the other figures.
    pub(crate) fn add(&mut self, other: &AssetStats, sign: i8) {
        let mut sums = self.all();
        for (sum, part) in sums.iter_mut().zip(other.all()) {
            sum.count += part.count * i64::from(sign);
            sum.amount += part.amount * i128::from(sign);
        }
        *self = AssetStats::of(sums);
    }

    pub(crate) fn to_stored(self) -> Vec<u8> {
        let mut out = Vec::new();
        for held in self.all() {
            out.extend(held.count.to_be_bytes());
            out.extend(held.amount.to_be_bytes());
        }
        out
    }

    pub(crate) fn from_stored(bytes: &[u8]) -> Result<Self, HistoryError> {
        let mut input = Reader::new(bytes);
        let mut held = || -> Result<Held, DecodeError> {
            Ok(Held { count: i64::decode(&mut input)?, amount: i128::from_be_bytes(input.array()?) })
        };
        Ok(AssetStats::of([held()?, held()?, held()?, held()?, held()?]))
    }
}

/// What an entry adds to the figures of the assets in it.
pub(crate) fn parts(entry: &LedgerEntry) -> Vec<(Asset, AssetStats)> {
    let zero = AssetStats::default();
    match &entry.data {
        LedgerEntryData::Trustline(line) => {
            let asset = match &line.asset {
                TrustLineAsset::CreditAlphanum4(asset) => Asset::CreditAlphanum4(asset.clone()),
                TrustLineAsset::CreditAlphanum12(asset) => Asset::CreditAlphanum12(asset.clone()),
                TrustLineAsset::Native | TrustLineAsset::PoolShare(_) => return Vec::new(),
            };
            let has = |flag: TrustLineFlags| line.flags & (flag as i32).unsigned_abs() != 0;
            let held = Held::one(line.balance);
            let stats = if has(TrustLineFlags::AuthorizedFlag) {
                AssetStats { authorized: held, ..zero }
            } else if has(TrustLineFlags::AuthorizedToMaintainLiabilitiesFlag) {
                AssetStats { maintaining: held, ..zero }
            } else {
                AssetStats { unauthorized: held, ..zero }
            };
            vec![(asset, stats)]
        }
        LedgerEntryData::ClaimableBalance(balance) if balance.asset != Asset::Native => {
            let claimable = Held::one(balance.amount);
            vec![(balance.asset.clone(), AssetStats { claimable, ..zero })]
        }
        LedgerEntryData::LiquidityPool(pool) => {
            let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
            let reserves = [(&body.params.asset_a, body.reserve_a), (&body.params.asset_b, body.reserve_b)];
            let issued = reserves.into_iter().filter(|(asset, _)| **asset != Asset::Native);
            issued
                .map(|(asset, amount)| (asset.clone(), AssetStats { pools: Held::one(amount), ..zero }))
                .collect()
        }
        _ => Vec::new(),
    }
}
