//! Values of state entries, and their bytes.

use carat_types::PublicKey;
use carat_types::accountability::Accountability;
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::governance::Governance;
use stellar_xdr::{
    AccountEntry, ClaimableBalanceEntry, LedgerEntry, LedgerEntryData, LiquidityPoolEntry, OfferEntry,
    TrustLineEntry,
};

use crate::error::StateError;
use crate::key::{StateKey, TYPICAL_BYTES, append_xdr, from_whole, hex};

/// The value of a state entry. Which kind it is follows from its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all values are of the large kind, and shared ones are behind an Arc"
)]
pub enum StateValue {
    /// An entry of the wire format; its bytes are XDR.
    Ledger(LedgerEntry),
    /// The ledger's totals.
    Totals(Totals),
    /// Units of an asset in the world. **Units**: ten-millionths of the asset's unit.
    Supply(i128),
    /// The account in the key is a member's.
    Member,
    /// The member that created the account in the key.
    Creator(PublicKey),
    /// Who made the offer that the key names.
    Seller(PublicKey),
    /// Nothing but that the key is there: an entry of a list.
    Listed,
    /// What the validators propose and have decided.
    Governance(Box<Governance>),
    /// Which validators were convicted, and the sets that evidence is checked against.
    Accountability(Box<Accountability>),
}

/// The reserved leaf: everything about the ledger that is no entry of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// All coins: what accounts hold and the fee pool. **Units**: stroops.
    pub total_coins: i64,
    /// Fees paid so far. **Units**: stroops.
    pub fee_pool: i64,
    /// The last id given to an offer.
    pub id_pool: u64,
    /// Fee of one operation. **Units**: stroops.
    pub base_fee: u32,
    /// Reserve of one entry. **Units**: stroops.
    pub base_reserve: u32,
    /// Most transactions in a block.
    pub max_transactions: u32,
    /// Most operations in a block.
    pub max_operations: u32,
    /// Version of the ledger's rules.
    pub protocol_version: u32,
    /// [`Totals::FLAG_MEMBERS`], [`Totals::FLAG_ADMISSION_RESTRICTED`] and [`Totals::FLAG_AUTHORISED_ASSETS`].
    pub flags: u32,
}

impl Totals {
    /// The network has members; they can suspend accounts that they created.
    pub const FLAG_MEMBERS: u32 = 1;
    /// Only members, and accounts that members created, may create accounts.
    pub const FLAG_ADMISSION_RESTRICTED: u32 = 2;

    /// Only assets may be held whose issuer authorises each holder.
    pub const FLAG_AUTHORISED_ASSETS: u32 = 4;

    /// Whether the network has members.
    pub fn has_members(&self) -> bool {
        self.flags & Self::FLAG_MEMBERS != 0
    }

    /// Whether only members, and accounts that members created, may create accounts.
    pub fn admission_restricted(&self) -> bool {
        self.flags & Self::FLAG_ADMISSION_RESTRICTED != 0
    }

    /// Whether only assets may be held whose issuer authorises each holder.
    pub fn authorised_assets_only(&self) -> bool {
        self.flags & Self::FLAG_AUTHORISED_ASSETS != 0
    }
}

impl Encode for Totals {
    fn encode(&self, out: &mut Vec<u8>) {
        self.total_coins.encode(out);
        self.fee_pool.encode(out);
        self.id_pool.encode(out);
        for field in [
            self.base_fee,
            self.base_reserve,
            self.max_transactions,
            self.max_operations,
            self.protocol_version,
            self.flags,
        ] {
            field.encode(out);
        }
    }
}

impl Decode for Totals {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Totals {
            total_coins: Decode::decode(input)?,
            fee_pool: Decode::decode(input)?,
            id_pool: Decode::decode(input)?,
            base_fee: Decode::decode(input)?,
            base_reserve: Decode::decode(input)?,
            max_transactions: Decode::decode(input)?,
            max_operations: Decode::decode(input)?,
            protocol_version: Decode::decode(input)?,
            flags: Decode::decode(input)?,
        })
    }
}

impl StateValue {
    /// The account, if this is one.
    pub fn as_account(&self) -> Option<&AccountEntry> {
        match self {
            StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Account(account), .. }) => Some(account),
            _ => None,
        }
    }

    /// The account to be changed, if this is one.
    pub(crate) fn as_account_mut(&mut self) -> Option<&mut AccountEntry> {
        match self {
            StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Account(account), .. }) => Some(account),
            _ => None,
        }
    }

    /// The trustline, if this is one.
    pub fn as_trustline(&self) -> Option<&TrustLineEntry> {
        match self {
            StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Trustline(line), .. }) => Some(line),
            _ => None,
        }
    }

    /// The trustline to be changed, if this is one.
    pub(crate) fn as_trustline_mut(&mut self) -> Option<&mut TrustLineEntry> {
        match self {
            StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Trustline(line), .. }) => Some(line),
            _ => None,
        }
    }

    /// The offer, if this is one.
    pub fn as_offer(&self) -> Option<&OfferEntry> {
        match self {
            StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Offer(offer), .. }) => Some(offer),
            _ => None,
        }
    }

    /// The claimable balance, if this is one.
    pub fn as_claimable_balance(&self) -> Option<&ClaimableBalanceEntry> {
        match self {
            StateValue::Ledger(LedgerEntry { data: LedgerEntryData::ClaimableBalance(balance), .. }) => {
                Some(balance)
            }
            _ => None,
        }
    }

    /// The pool, if this is one.
    pub fn as_pool(&self) -> Option<&LiquidityPoolEntry> {
        match self {
            StateValue::Ledger(LedgerEntry { data: LedgerEntryData::LiquidityPool(pool), .. }) => Some(pool),
            _ => None,
        }
    }

    /// The value bytes: what stores keep and the state tree hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TYPICAL_BYTES);
        self.append_to(&mut bytes);
        bytes
    }

    /// Appends the value bytes.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            StateValue::Ledger(entry) => append_xdr(bytes, entry),
            StateValue::Totals(totals) => totals.encode(bytes),
            StateValue::Supply(amount) => bytes.extend(amount.to_be_bytes()),
            StateValue::Member | StateValue::Listed => {}
            StateValue::Creator(id) | StateValue::Seller(id) => id.encode(bytes),
            StateValue::Governance(governance) => governance.encode(bytes),
            StateValue::Accountability(accountability) => accountability.encode(bytes),
        }
    }

    /// Reads the value bytes of the entry named `key`.
    ///
    /// **Errors**: [`StateError::Corrupt`].
    pub fn from_bytes(key: &StateKey, bytes: &[u8]) -> Result<Self, StateError> {
        let value = match key {
            StateKey::Ledger(_) => {
                from_whole(bytes).map(StateValue::Ledger).map_err(|error| error.to_string())
            }
            StateKey::Totals => {
                Totals::from_bytes(bytes).map(StateValue::Totals).map_err(|error| error.to_string())
            }
            StateKey::Governance => Governance::from_bytes(bytes)
                .map(|governance| StateValue::Governance(Box::new(governance)))
                .map_err(|error| error.to_string()),
            StateKey::Accountability => Accountability::from_bytes(bytes)
                .map(|accountability| StateValue::Accountability(Box::new(accountability)))
                .map_err(|error| error.to_string()),
            StateKey::Supply(_) => <[u8; 16]>::try_from(bytes)
                .map(|bytes| StateValue::Supply(i128::from_be_bytes(bytes)))
                .map_err(|_| format!("a supply has 16 bytes, not {}", bytes.len())),
            StateKey::Member(_) if bytes.is_empty() => Ok(StateValue::Member),
            StateKey::Claim(..) | StateKey::AssetPool(..) if bytes.is_empty() => Ok(StateValue::Listed),
            StateKey::Member(_) | StateKey::Claim(..) | StateKey::AssetPool(..) => {
                Err(format!("{} bytes where none belong", bytes.len()))
            }
            StateKey::Creator(_) => {
                PublicKey::from_bytes(bytes).map(StateValue::Creator).map_err(|error| error.to_string())
            }
            StateKey::Book(_) | StateKey::OfferSeller(_) => {
                PublicKey::from_bytes(bytes).map(StateValue::Seller).map_err(|error| error.to_string())
            }
        };
        value.map_err(|reason| StateError::Corrupt { key: hex(&key.to_bytes()), reason })
    }
}
