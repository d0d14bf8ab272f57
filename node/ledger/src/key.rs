//! Names of state entries, and their bytes.
//!
//! Entries of the wire format are named by the XDR of their ledger key, whose first four bytes are a number
//! below 1000. Ours begin with a kind of 1000 or more; the rest is XDR as well. Kinds are never used again.

use std::hash::{Hash, Hasher};

use carat_types::PublicKey;
use stellar_xdr::{
    AccountId, Asset, AssetType, ClaimableBalanceId, LedgerEntryType, LedgerKey, LedgerKeyAccount,
    LedgerKeyClaimableBalance, LedgerKeyData, LedgerKeyLiquidityPool, LedgerKeyOffer, LedgerKeyTrustLine,
    Limited, Limits, PoolId, ReadXdr, String64, TrustLineAsset, WriteXdr,
};

use crate::error::StateError;

const KIND_TOTALS: u32 = 1000;
const KIND_SUPPLY: u32 = 1001;
const KIND_MEMBER: u32 = 1002;
const KIND_CREATOR: u32 = 1003;
const KIND_BOOK: u32 = 1004;
const KIND_OFFER_SELLER: u32 = 1005;
const KIND_CLAIM: u32 = 1006;
const KIND_ASSET_POOL: u32 = 1007;
const KIND_GOVERNANCE: u32 = 1008;
const KIND_ACCOUNTABILITY: u32 = 1009;

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
    /// The place of an offer in its order book; who sells is its value.
    Book(BookPlace),
    /// Who made the offer with this id.
    OfferSeller(i64),
    /// That an account is among those who may claim a balance.
    Claim(PublicKey, ClaimableBalanceId),
    /// That a pool holds an asset.
    AssetPool(Asset, PoolId),
    /// What the validators propose and have decided; one entry, on chains with governance.
    Governance,
    /// Which validators were convicted, and the sets that evidence is checked against; one entry, once there is any.
    Accountability,
}

/// The place of an offer among all offers: book by book, best first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookPlace {
    /// What the offer sells.
    pub selling: Asset,
    /// What it takes for it.
    pub buying: Asset,
    /// The rank of its price: the bits of the IEEE quotient n/d.
    pub rank: u64,
    /// Its id: of equal ranks the older comes first.
    pub offer_id: i64,
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
            StateKey::Governance => KIND_GOVERNANCE.hash(state),
            StateKey::Accountability => KIND_ACCOUNTABILITY.hash(state),
            StateKey::Supply(asset) => asset.hash(state),
            StateKey::Member(id) | StateKey::Creator(id) | StateKey::Claim(id, _) => state.write(&id.0),
            StateKey::Book(place) => (place.offer_id, place.rank).hash(state),
            StateKey::OfferSeller(id) => id.hash(state),
            StateKey::AssetPool(asset, pool) => (asset, pool).hash(state),
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
        StateKey::line(holder, &asset)
    }

    /// The name of a line, of whatever it is for.
    pub fn line(holder: &PublicKey, asset: &TrustLineAsset) -> Self {
        let (account_id, asset) = (AccountId::from(*holder), asset.clone());
        StateKey::Ledger(LedgerKey::Trustline(LedgerKeyTrustLine { account_id, asset }))
    }

    /// The name of a data entry.
    pub fn data(owner: &PublicKey, name: &String64) -> Self {
        StateKey::Ledger(LedgerKey::Data(LedgerKeyData {
            account_id: AccountId::from(*owner),
            data_name: name.clone(),
        }))
    }

    /// The name of an offer.
    pub fn offer(seller: &PublicKey, offer_id: i64) -> Self {
        let seller_id = AccountId::from(*seller);
        StateKey::Ledger(LedgerKey::Offer(LedgerKeyOffer { seller_id, offer_id }))
    }

    /// The name of a balance that others may claim.
    pub fn claimable_balance(balance_id: ClaimableBalanceId) -> Self {
        StateKey::Ledger(LedgerKey::ClaimableBalance(LedgerKeyClaimableBalance { balance_id }))
    }

    /// The name of a pool.
    pub fn pool(liquidity_pool_id: PoolId) -> Self {
        StateKey::Ledger(LedgerKey::LiquidityPool(LedgerKeyLiquidityPool { liquidity_pool_id }))
    }

    /// The name of the line on which an account holds shares of a pool.
    pub fn pool_line(holder: &PublicKey, pool: PoolId) -> Self {
        StateKey::line(holder, &TrustLineAsset::PoolShare(pool))
    }

    /// What the key bytes of an account's entries of one type begin with: its trustlines, offers, or data.
    pub fn owned_prefix(kind: LedgerEntryType, owner: &PublicKey) -> Vec<u8> {
        let mut bytes = xdr(&kind);
        bytes.extend(xdr(&AccountId::from(*owner)));
        bytes
    }

    /// What the key bytes of an account's lines of pool shares begin with.
    pub fn pool_lines_prefix(holder: &PublicKey) -> Vec<u8> {
        let mut bytes = StateKey::owned_prefix(LedgerEntryType::Trustline, holder);
        bytes.extend(xdr(&AssetType::PoolShare));
        bytes
    }

    /// What the key bytes of the places begin with of all offers that sell an asset, or of one book.
    pub fn book_prefix(selling: &Asset, buying: Option<&Asset>) -> Vec<u8> {
        let mut bytes = tagged(KIND_BOOK, selling);
        bytes.extend(buying.map(xdr).unwrap_or_default());
        bytes
    }

    /// What the key bytes of the claims of an account begin with.
    pub fn claims_prefix(claimant: &PublicKey) -> Vec<u8> {
        tagged(KIND_CLAIM, &AccountId::from(*claimant))
    }

    /// What the key bytes of the pools of an asset begin with.
    pub fn asset_pools_prefix(asset: &Asset) -> Vec<u8> {
        tagged(KIND_ASSET_POOL, asset)
    }

    /// The key bytes: what stores keep and the state tree hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TYPICAL_BYTES);
        self.append_to(&mut bytes);
        bytes
    }

    /// Appends the key bytes.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            StateKey::Ledger(key) => append_xdr(bytes, key),
            StateKey::Totals => bytes.extend(KIND_TOTALS.to_be_bytes()),
            StateKey::Governance => bytes.extend(KIND_GOVERNANCE.to_be_bytes()),
            StateKey::Accountability => bytes.extend(KIND_ACCOUNTABILITY.to_be_bytes()),
            StateKey::Supply(asset) => append_tagged(bytes, KIND_SUPPLY, asset),
            StateKey::Member(id) => append_tagged(bytes, KIND_MEMBER, &AccountId::from(*id)),
            StateKey::Creator(id) => append_tagged(bytes, KIND_CREATOR, &AccountId::from(*id)),
            StateKey::Book(place) => {
                append_tagged(bytes, KIND_BOOK, &place.selling);
                append_xdr(bytes, &place.buying);
                bytes.extend(place.rank.to_be_bytes());
                bytes.extend(place.offer_id.to_be_bytes());
            }
            StateKey::OfferSeller(id) => append_tagged(bytes, KIND_OFFER_SELLER, id),
            StateKey::Claim(id, balance) => {
                append_tagged(bytes, KIND_CLAIM, &AccountId::from(*id));
                append_xdr(bytes, balance);
            }
            StateKey::AssetPool(asset, pool) => {
                append_tagged(bytes, KIND_ASSET_POOL, asset);
                append_xdr(bytes, pool);
            }
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
            KIND_GOVERNANCE if rest.is_empty() => Ok(StateKey::Governance),
            KIND_ACCOUNTABILITY if rest.is_empty() => Ok(StateKey::Accountability),
            KIND_SUPPLY => Asset::from_xdr(rest, STORED).map(StateKey::Supply).map_err(own),
            KIND_MEMBER => account(rest).map(StateKey::Member).map_err(own),
            KIND_CREATOR => account(rest).map(StateKey::Creator).map_err(own),
            KIND_BOOK => book_place(rest).map(StateKey::Book).map_err(own),
            KIND_OFFER_SELLER => i64::from_xdr(rest, STORED).map(StateKey::OfferSeller).map_err(own),
            KIND_CLAIM => {
                let (id, balance) = pair::<AccountId, _>(rest).map_err(own)?;
                Ok(StateKey::Claim(PublicKey::from(&id), balance))
            }
            KIND_ASSET_POOL => {
                let (asset, pool) = pair(rest).map_err(own)?;
                Ok(StateKey::AssetPool(asset, pool))
            }
            0..KIND_TOTALS => {
                let key = LedgerKey::from_xdr(bytes, STORED).map(StateKey::Ledger).map_err(own)?;
                // The library reads every number but 1 as false; the keys of contracts have such flags.
                let is_ours = key.to_bytes() == bytes;
                is_ours.then_some(key).ok_or_else(|| corrupt("a flag that is neither 0 nor 1".into()))
            }
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
    let mut bytes = Vec::with_capacity(TYPICAL_BYTES);
    append_xdr(&mut bytes, value);
    bytes
}

pub(crate) fn append_xdr(bytes: &mut Vec<u8>, value: &impl WriteXdr) {
    let mut bytes = Limited::new(bytes, Limits::none());
    // Writing to memory without limits has no way to fail.
    let written = value.write_xdr(&mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Room that most keys, entries and results fit in.
pub(crate) const TYPICAL_BYTES: usize = 192;

fn append_tagged(bytes: &mut Vec<u8>, kind: u32, value: &impl WriteXdr) {
    bytes.extend(kind.to_be_bytes());
    append_xdr(bytes, value);
}

fn tagged(kind: u32, value: &impl WriteXdr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(TYPICAL_BYTES);
    append_tagged(&mut bytes, kind, value);
    bytes
}

/// Reads a value that takes all of the bytes.
pub(crate) fn from_whole<T: ReadXdr>(bytes: &[u8]) -> Result<T, stellar_xdr::Error> {
    all_of(bytes, T::read_xdr)
}

fn account(bytes: &[u8]) -> Result<PublicKey, stellar_xdr::Error> {
    AccountId::from_xdr(bytes, STORED).map(|id| PublicKey::from(&id))
}

fn book_place(bytes: &[u8]) -> Result<BookPlace, stellar_xdr::Error> {
    all_of(bytes, |input| {
        Ok(BookPlace {
            selling: Asset::read_xdr(input)?,
            buying: Asset::read_xdr(input)?,
            rank: u64::read_xdr(input)?,
            offer_id: i64::read_xdr(input)?,
        })
    })
}

fn pair<A: ReadXdr, B: ReadXdr>(bytes: &[u8]) -> Result<(A, B), stellar_xdr::Error> {
    all_of(bytes, |input| Ok((A::read_xdr(input)?, B::read_xdr(input)?)))
}

/// Reads bytes to their end.
fn all_of<'b, T>(
    bytes: &'b [u8],
    read: impl FnOnce(&mut Limited<&'b [u8]>) -> Result<T, stellar_xdr::Error>,
) -> Result<T, stellar_xdr::Error> {
    let mut input = Limited::new(bytes, STORED);
    let value = read(&mut input)?;
    if input.inner.is_empty() { Ok(value) } else { Err(stellar_xdr::Error::Invalid) }
}

#[cfg(test)]
mod tests;
