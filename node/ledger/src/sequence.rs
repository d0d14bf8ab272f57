//! Sequence numbers: the first of a new account, and the note that an account keeps of their use.

use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1, AccountEntryExtensionV1Ext,
    AccountEntryExtensionV2, AccountEntryExtensionV2Ext, AccountEntryExtensionV3, ExtensionPoint,
    Liabilities, SponsorshipDescriptor, TimePoint,
};

use crate::error::StateError;

/// The sequence number of an account that is created in ledger `ledger_seq`; no transaction may use it.
pub fn starting(ledger_seq: u32) -> i64 {
    i64::from(ledger_seq) << 32
}

/// The ledger and close time at which an account's sequence number was last used; zeros if it never was.
pub(crate) fn last_use(account: &AccountEntry) -> (u32, u64) {
    if let AccountEntryExt::V1(v1) = &account.ext
        && let AccountEntryExtensionV1Ext::V2(v2) = &v1.ext
        && let AccountEntryExtensionV2Ext::V3(v3) = &v2.ext
    {
        return (v3.seq_ledger, v3.seq_time.0);
    }
    (0, 0)
}

/// Notes a use of the account's sequence number; adds the extensions that the note lives in.
pub(crate) fn note_use(
    account: &mut AccountEntry,
    ledger_seq: u32,
    close_time: u64,
) -> Result<(), StateError> {
    let v3 = AccountEntryExtensionV3 {
        ext: ExtensionPoint::V0,
        seq_ledger: ledger_seq,
        seq_time: TimePoint(close_time),
    };
    let mut v1 = match std::mem::replace(&mut account.ext, AccountEntryExt::V0) {
        AccountEntryExt::V1(v1) => v1,
        AccountEntryExt::V0 => AccountEntryExtensionV1 {
            liabilities: Liabilities { buying: 0, selling: 0 },
            ext: AccountEntryExtensionV1Ext::V0,
        },
    };
    let mut v2 = match v1.ext {
        AccountEntryExtensionV1Ext::V2(v2) => v2,
        AccountEntryExtensionV1Ext::V0 => AccountEntryExtensionV2 {
            num_sponsored: 0,
            num_sponsoring: 0,
            signer_sponsoring_i_ds: vec![SponsorshipDescriptor(None); account.signers.len()]
                .try_into()
                .map_err(|_| StateError::Inconsistent("an account has too many signers"))?,
            ext: AccountEntryExtensionV2Ext::V0,
        },
    };
    v2.ext = AccountEntryExtensionV2Ext::V3(v3);
    v1.ext = AccountEntryExtensionV1Ext::V2(v2);
    account.ext = AccountEntryExt::V1(v1);
    Ok(())
}
