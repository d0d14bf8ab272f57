//! Names of state entries, and their bytes.
//!
//! Entries of the wire format are named by the XDR of their ledger key, whose first four bytes are a number
//! below 1000. Ours begin with a kind of 1000 or more; the rest is XDR as well. Kinds are never used again.

use std::hash::{Hash, Hasher};

use carat_types::PublicKey;
use stellar_xdr::{
    AccountId, Asset, LedgerKey, LedgerKeyAccount, LedgerKeyData, LedgerKeyTrustLine, Limited, Limits,
    ReadXdr, String64, TrustLineAsset, WriteXdr,
};

use crate::error::StateError;

const KIND_TOTALS: u32 = 1000;
const KIND_SUPPLY: u32 = 1001;
const KIND_MEMBER: u32 = 1002;
const KIND_CREATOR: u32 = 1003;

/// The name of a state entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKey {
    /// An entry of the wire format.
    Ledger(LedgerKey),
    /// The ledger's totals; one entry.
    Totals,
    /// How much of an asset its issuer has put into the world.
    Supply(Asset),
    /// That an account is a member's.
    Member(PublicKey),
    /// The member that created an account; absent for all other accounts.
    Creator(PublicKey),
}

/// Entries of payments are looked up a dozen times each, so their names are hashed in one or two long pieces; the
/// derived form would hash every field and discriminant by itself, at ten times the cost.
impl Hash for StateKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            StateKey::Ledger(LedgerKey::Account(key)) => state.write(&PublicKey::from(&key.account_id).0),
            StateKey::Ledger(LedgerKey::Trustline(key)) => {
                state.write(&PublicKey::from(&key.account_id).0);
                match &key.asset {
                    TrustLineAsset::CreditAlphanum4(asset) => {
                        state.write(&asset.asset_code.0);
                        state.write(&PublicKey::from(&asset.issuer).0);
                    }
                    other => other.hash(state),
                }
            }
            StateKey::Ledger(key) => key.hash(state),
            StateKey::Totals => KIND_TOTALS.hash(state),
            StateKey::Supply(asset) => asset.hash(state),
            StateKey::Member(id) | StateKey::Creator(id) => state.write(&id.0),
        }
    }
}

impl StateKey {
    /// The name of an account.
    pub fn account(id: &PublicKey) -> Self {
        StateKey::Ledger(LedgerKey::Account(LedgerKeyAccount { account_id: AccountId::from(*id) }))
    }

    /// The name of a trustline.
    pub fn trustline(holder: &PublicKey, asset: &Asset) -> Self {
        let asset = match asset {
            Asset::Native => TrustLineAsset::Native,
            Asset::CreditAlphanum4(code) => TrustLineAsset::CreditAlphanum4(code.clone()),
            Asset::CreditAlphanum12(code) => TrustLineAsset::CreditAlphanum12(code.clone()),
        };
        StateKey::Ledger(LedgerKey::Trustline(LedgerKeyTrustLine {
            account_id: AccountId::from(*holder),
            asset,
        }))
    }

    /// The name of a data entry.
    pub fn data(owner: &PublicKey, name: &String64) -> Self {
        StateKey::Ledger(LedgerKey::Data(LedgerKeyData {
            account_id: AccountId::from(*owner),
            data_name: name.clone(),
        }))
    }

    /// The key bytes: what stores keep and the state tree hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            StateKey::Ledger(key) => xdr(key),
            StateKey::Totals => KIND_TOTALS.to_be_bytes().to_vec(),
            StateKey::Supply(asset) => tagged(KIND_SUPPLY, asset),
            StateKey::Member(id) => tagged(KIND_MEMBER, &AccountId::from(*id)),
            StateKey::Creator(id) => tagged(KIND_CREATOR, &AccountId::from(*id)),
        }
    }

    /// Reads key bytes.
    ///
    /// **Errors**: [`StateError::Corrupt`] for bytes that [`StateKey::to_bytes`] never makes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let corrupt = |reason: String| StateError::Corrupt { key: hex(bytes), reason };
        let (kind, rest) = bytes.split_first_chunk().ok_or_else(|| corrupt("too short".into()))?;
        let own = |error: stellar_xdr::Error| corrupt(error.to_string());
        match u32::from_be_bytes(*kind) {
            KIND_TOTALS if rest.is_empty() => Ok(StateKey::Totals),
            KIND_SUPPLY => Asset::from_xdr(rest, STORED).map(StateKey::Supply).map_err(own),
            KIND_MEMBER => account(rest).map(StateKey::Member).map_err(own),
            KIND_CREATOR => account(rest).map(StateKey::Creator).map_err(own),
            0..KIND_TOTALS => LedgerKey::from_xdr(bytes, STORED).map(StateKey::Ledger).map_err(own),
            kind => Err(corrupt(format!("unknown kind {kind}"))),
        }
    }
}

/// Bounds for what we wrote ourselves: deep enough for any entry, and a damaged length cannot take all memory.
pub(crate) const STORED: Limits = Limits { depth: 500, len: 1 << 24 };

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn xdr(value: &impl WriteXdr) -> Vec<u8> {
    let mut bytes = Limited::new(Vec::with_capacity(TYPICAL_BYTES), Limits::none());
    // Writing to memory without limits has no way to fail.
    let written = value.write_xdr(&mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes.inner
}

/// Room that most keys, entries and results fit in.
const TYPICAL_BYTES: usize = 192;

fn tagged(kind: u32, value: &impl WriteXdr) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(xdr(value));
    bytes
}

fn account(bytes: &[u8]) -> Result<PublicKey, stellar_xdr::Error> {
    AccountId::from_xdr(bytes, STORED).map(|id| PublicKey::from(&id))
}

#[cfg(test)]
mod tests;
