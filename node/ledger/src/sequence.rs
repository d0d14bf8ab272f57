//! Sequence numbers: the first of a new account, and the note that an account keeps of their use.

use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1Ext, AccountEntryExtensionV2Ext,
    AccountEntryExtensionV3, ExtensionPoint, TimePoint,
};

use crate::error::StateError;
use crate::extension::with_account_v2;

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
    with_account_v2(account, |v2| v2.ext = AccountEntryExtensionV2Ext::V3(v3))
}
