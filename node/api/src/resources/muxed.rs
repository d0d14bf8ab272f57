//! Accounts that may carry a customer's number: shown as the account, and the number where there is one.

use serde_json::{Map, Value};
use stellar_xdr::{MuxedAccount, Uint256};

/// The account's own address, and for a muxed one its M-address and number.
pub fn parts(account: &MuxedAccount) -> (String, Option<(String, u64)>) {
    match account {
        MuxedAccount::Ed25519(_) => (account.to_string(), None),
        MuxedAccount::MuxedEd25519(muxed) => {
            let plain = MuxedAccount::Ed25519(Uint256(muxed.ed25519.0)).to_string();
            (plain, Some((account.to_string(), muxed.id)))
        }
    }
}

/// Adds `name` and, for a muxed account, `name_muxed` and `name_muxed_id`.
pub fn add(fields: &mut Map<String, Value>, name: &str, account: &MuxedAccount) {
    let (plain, muxed) = parts(account);
    fields.insert(name.to_owned(), plain.into());
    if let Some((address, id)) = muxed {
        fields.insert(format!("{name}_muxed"), address.into());
        fields.insert(format!("{name}_muxed_id"), id.to_string().into());
    }
}
