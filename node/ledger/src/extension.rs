//! Parts of entries that appear with their first use: liabilities, counts of sponsorships, use by pools.

use std::mem::replace;

use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1, AccountEntryExtensionV1Ext,
    AccountEntryExtensionV2, AccountEntryExtensionV2Ext, LedgerEntry, LedgerEntryExt, LedgerEntryExtensionV1,
    LedgerEntryExtensionV1Ext, Liabilities, SponsorshipDescriptor, TrustLineEntry, TrustLineEntryExt,
    TrustLineEntryExtensionV2, TrustLineEntryExtensionV2Ext, TrustLineEntryV1, TrustLineEntryV1Ext,
};

use crate::error::StateError;

const NONE: Liabilities = Liabilities { buying: 0, selling: 0 };

/// Changes the first extension of an account; adds it if need be.
pub(crate) fn with_account_v1<R>(
    account: &mut AccountEntry,
    change: impl FnOnce(&mut AccountEntryExtensionV1) -> R,
) -> R {
    let mut v1 = match replace(&mut account.ext, AccountEntryExt::V0) {
        AccountEntryExt::V1(v1) => v1,
        AccountEntryExt::V0 => {
            AccountEntryExtensionV1 { liabilities: NONE, ext: AccountEntryExtensionV1Ext::V0 }
        }
    };
    let result = change(&mut v1);
    account.ext = AccountEntryExt::V1(v1);
    result
}

/// Changes the second extension of an account, which notes a sponsor for each signer; adds it if need be.
///
/// **Errors**: more signers than an account can have.
pub(crate) fn with_account_v2<R>(
    account: &mut AccountEntry,
    change: impl FnOnce(&mut AccountEntryExtensionV2) -> R,
) -> Result<R, StateError> {
    let nobody = vec![SponsorshipDescriptor(None); account.signers.len()];
    let nobody = nobody
        .try_into()
        .map_err(|_| StateError::Inconsistent("an account has more signers than it can have"))?;
    Ok(with_account_v1(account, |v1| {
        let mut v2 = match replace(&mut v1.ext, AccountEntryExtensionV1Ext::V0) {
            AccountEntryExtensionV1Ext::V2(v2) => v2,
            AccountEntryExtensionV1Ext::V0 => AccountEntryExtensionV2 {
                num_sponsored: 0,
                num_sponsoring: 0,
                signer_sponsoring_i_ds: nobody,
                ext: AccountEntryExtensionV2Ext::V0,
            },
        };
        let result = change(&mut v2);
        v1.ext = AccountEntryExtensionV1Ext::V2(v2);
        result
    }))
}

/// The second extension of an account that has it.
pub(crate) fn account_v2(account: &mut AccountEntry) -> Option<&mut AccountEntryExtensionV2> {
    match &mut account.ext {
        AccountEntryExt::V1(v1) => match &mut v1.ext {
            AccountEntryExtensionV1Ext::V2(v2) => Some(v2),
            AccountEntryExtensionV1Ext::V0 => None,
        },
        AccountEntryExt::V0 => None,
    }
}

/// Changes the first extension of a trustline; adds it if need be.
pub(crate) fn with_line_v1<R>(
    line: &mut TrustLineEntry,
    change: impl FnOnce(&mut TrustLineEntryV1) -> R,
) -> R {
    let mut v1 = match replace(&mut line.ext, TrustLineEntryExt::V0) {
        TrustLineEntryExt::V1(v1) => v1,
        TrustLineEntryExt::V0 => TrustLineEntryV1 { liabilities: NONE, ext: TrustLineEntryV1Ext::V0 },
    };
    let result = change(&mut v1);
    line.ext = TrustLineEntryExt::V1(v1);
    result
}

/// Changes the second extension of a trustline, which counts the pools that use it; adds it if need be.
pub(crate) fn with_line_v2<R>(
    line: &mut TrustLineEntry,
    change: impl FnOnce(&mut TrustLineEntryExtensionV2) -> R,
) -> R {
    with_line_v1(line, |v1| {
        let mut v2 = match replace(&mut v1.ext, TrustLineEntryV1Ext::V0) {
            TrustLineEntryV1Ext::V2(v2) => v2,
            TrustLineEntryV1Ext::V0 => TrustLineEntryExtensionV2 {
                liquidity_pool_use_count: 0,
                ext: TrustLineEntryExtensionV2Ext::V0,
            },
        };
        let result = change(&mut v2);
        v1.ext = TrustLineEntryV1Ext::V2(v2);
        result
    })
}

/// Notes who pays the reserve of an entry; none takes the note away but leaves the place for it.
pub(crate) fn set_sponsor(entry: &mut LedgerEntry, sponsor: SponsorshipDescriptor) {
    match &mut entry.ext {
        LedgerEntryExt::V1(v1) => v1.sponsoring_id = sponsor,
        LedgerEntryExt::V0 => entry.ext = sponsored_by(sponsor),
    }
}

/// The extension of an entry whose reserve somebody pays.
pub(crate) fn sponsored_by(sponsoring_id: SponsorshipDescriptor) -> LedgerEntryExt {
    LedgerEntryExt::V1(LedgerEntryExtensionV1 { sponsoring_id, ext: LedgerEntryExtensionV1Ext::V0 })
}
