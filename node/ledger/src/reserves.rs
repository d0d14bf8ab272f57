//! What an account must keep, and what it may spend and receive.
//!
//! **Source**: ledger specification A.5. All figures are in stroops or ten-millionths of an asset's unit. Results
//! are i128, in which nothing here can overflow: reserves alone reach 2^65.

use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1Ext, Liabilities, TrustLineAsset, TrustLineEntry,
    TrustLineEntryExt, TrustLineFlags,
};

const NO_LIABILITIES: Liabilities = Liabilities { buying: 0, selling: 0 };

/// Entries whose reserve an account pays for others, and others for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sponsorships {
    pub(crate) sponsored: u32,
    pub(crate) sponsoring: u32,
}

pub(crate) fn sponsorships(account: &AccountEntry) -> Sponsorships {
    match &account.ext {
        AccountEntryExt::V1(v1) => match &v1.ext {
            AccountEntryExtensionV1Ext::V2(v2) => {
                Sponsorships { sponsored: v2.num_sponsored, sponsoring: v2.num_sponsoring }
            }
            AccountEntryExtensionV1Ext::V0 => Sponsorships::default(),
        },
        AccountEntryExt::V0 => Sponsorships::default(),
    }
}

/// What the account must keep: reserves of the account itself (two), its subentries, and by sponsorships.
pub fn minimum_balance(account: &AccountEntry, base_reserve: u32) -> i128 {
    let Sponsorships { sponsored, sponsoring } = sponsorships(account);
    let entries = 2_i128
        .saturating_add(account.num_sub_entries.into())
        .saturating_add(sponsoring.into())
        .saturating_sub(sponsored.into());
    entries.saturating_mul(base_reserve.into())
}

/// The coins that the account may spend: balance less reserve less what its offers would sell. May be negative.
pub fn available(account: &AccountEntry, base_reserve: u32) -> i128 {
    i128::from(account.balance)
        .saturating_sub(minimum_balance(account, base_reserve))
        .saturating_sub(account_liabilities(account).selling.into())
}

/// The coins that the account has room for.
pub(crate) fn room(account: &AccountEntry) -> i128 {
    i128::from(i64::MAX)
        .saturating_sub(account.balance.into())
        .saturating_sub(account_liabilities(account).buying.into())
}

/// What the holder may spend of the asset, whether authorized or not.
pub(crate) fn line_available(line: &TrustLineEntry) -> i128 {
    i128::from(line.balance).saturating_sub(line_liabilities(line).selling.into())
}

/// What the holder has room for of the asset, whether authorized or not.
pub(crate) fn line_room(line: &TrustLineEntry) -> i128 {
    i128::from(line.limit)
        .saturating_sub(line.balance.into())
        .saturating_sub(line_liabilities(line).buying.into())
}

/// What the account's offers would buy and sell.
pub(crate) fn account_liabilities(account: &AccountEntry) -> &Liabilities {
    match &account.ext {
        AccountEntryExt::V1(v1) => &v1.liabilities,
        AccountEntryExt::V0 => &NO_LIABILITIES,
    }
}

/// What the holder's offers would buy and sell of the asset.
pub(crate) fn line_liabilities(line: &TrustLineEntry) -> &Liabilities {
    match &line.ext {
        TrustLineEntryExt::V1(v1) => &v1.liabilities,
        TrustLineEntryExt::V0 => &NO_LIABILITIES,
    }
}

/// Whether the holder may pay and receive.
pub(crate) fn is_authorized(line: &TrustLineEntry) -> bool {
    line.flags & TRUSTLINE_AUTHORIZED != 0
}

/// Whether the holder may keep offers, and sell and buy by them. Shares of pools are always free.
pub(crate) fn may_keep_offers(line: &TrustLineEntry) -> bool {
    matches!(line.asset, TrustLineAsset::PoolShare(_)) || line.flags & AUTHORIZATION != 0
}

/// The reserves that a line takes: one, and two for shares of a pool.
pub(crate) fn line_reserves(asset: &TrustLineAsset) -> u32 {
    if matches!(asset, TrustLineAsset::PoolShare(_)) { 2 } else { 1 }
}

/// The holder may pay and receive.
pub(crate) const TRUSTLINE_AUTHORIZED: u32 = trustline_flag(TrustLineFlags::AuthorizedFlag);
/// The holder may keep offers, but neither pay nor receive.
pub(crate) const TRUSTLINE_MAINTAIN: u32 =
    trustline_flag(TrustLineFlags::AuthorizedToMaintainLiabilitiesFlag);
/// Both together: without either, the holder has lost all authorization.
pub(crate) const AUTHORIZATION: u32 = TRUSTLINE_AUTHORIZED | TRUSTLINE_MAINTAIN;
/// The issuer may take back what the holder has.
pub(crate) const TRUSTLINE_CLAWBACK: u32 = trustline_flag(TrustLineFlags::TrustlineClawbackEnabledFlag);

#[expect(clippy::cast_sign_loss, reason = "the flags of the wire format are 1, 2 and 4")]
const fn trustline_flag(flag: TrustLineFlags) -> u32 {
    flag as i32 as u32
}
