//! Reading the present: accounts, offers, claimable balances, pools and assets after the last block indexed.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use carat_ledger::StateKey;
use carat_types::codec::{Decode, Reader};
use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    Asset, AssetCode4, AssetCode12, ClaimableBalanceId, Hash, LedgerEntry, LedgerEntryData, LedgerEntryType,
    LedgerKey, LedgerKeyClaimableBalance, LedgerKeyLiquidityPool, LedgerKeyOffer, LiquidityPoolEntryBody,
    PoolId, SignerKey, TrustLineAsset,
};

use super::{History, Order, PageQuery};
use crate::asset_stats::AssetStats;
use crate::keys;
use crate::record::xdr;
use crate::state;
use crate::state_index as rows;
use crate::store::{HistoryError, Pair};
use crate::toid::NotAnId;

/// An account and the entries that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// The account's own entry.
    pub account: LedgerEntry,
    /// Its trustlines, in the order of their keys.
    pub trustlines: Vec<LedgerEntry>,
    /// Its data entries, in the order of their names.
    pub data: Vec<LedgerEntry>,
}

/// Which accounts are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountFilter {
    /// Those that a key may sign for.
    Signer(SignerKey),
    /// Those with a trustline to an asset.
    Asset(Asset),
    /// Those with shares of a pool.
    Pool(Digest),
    /// Those of which an account pays for an entry.
    Sponsor(PublicKey),
}

/// Which offers are asked for; all that is set has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OfferFilter {
    /// Whose.
    pub seller: Option<PublicKey>,
    /// Who pays for the entry.
    pub sponsor: Option<PublicKey>,
    /// What it sells.
    pub selling: Option<Asset>,
    /// What it buys.
    pub buying: Option<Asset>,
}

/// Which claimable balances are asked for; all that is set has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BalanceFilter {
    /// Who may claim it.
    pub claimant: Option<PublicKey>,
    /// Who pays for the entry.
    pub sponsor: Option<PublicKey>,
    /// Of which asset.
    pub asset: Option<Asset>,
}

/// Which assets are asked for; all that is set has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AssetFilter {
    /// The code.
    pub code: Option<Vec<u8>>,
    /// Who issues it.
    pub issuer: Option<PublicKey>,
}

/// The place of a claimable balance in lists: its last change, then its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceCursor {
    /// The ledger of its last change.
    pub ledger: u32,
    /// Its id.
    pub id: Digest,
}

impl fmt::Display for BalanceCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-00000000{}", self.ledger, self.id)
    }
}

impl FromStr for BalanceCursor {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (ledger, id) = text.split_once('-').ok_or(NotAnId)?;
        let id = id.strip_prefix("00000000").ok_or(NotAnId)?;
        Ok(BalanceCursor {
            ledger: ledger.parse().map_err(|_| NotAnId)?,
            id: id.parse().map_err(|_| NotAnId)?,
        })
    }
}

/// An asset with its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetRecord {
    /// The asset.
    pub asset: Asset,
    /// Its figures.
    pub stats: AssetStats,
}

/// Rows that are read at a time where not every row makes a record.
const CHUNK: usize = 200;
/// Offers of one book that are looked at for its summary.
const BOOK_MAX: usize = 10_000;

impl History {
    /// An account with its entries.
    pub fn account(&self, id: &PublicKey) -> Result<Option<AccountState>, HistoryError> {
        let Some(account) = state::read(&*self.store, &StateKey::account(id))? else { return Ok(None) };
        Ok(Some(AccountState {
            account,
            trustlines: self.entries_of(LedgerEntryType::Trustline, id)?,
            data: self.entries_of(LedgerEntryType::Data, id)?,
        }))
    }

    /// The entries of one type that belong to an account: their keys begin with type and account.
    fn entries_of(&self, kind: LedgerEntryType, id: &PublicKey) -> Result<Vec<LedgerEntry>, HistoryError> {
        let account = xdr(&stellar_xdr::AccountId::from(*id));
        let prefix = keys::state(&[&kind_bytes(kind), account.as_slice()].concat());
        let pairs = self.store.scan(keys::with_prefix(&prefix), Order::Ascending, usize::MAX)?;
        let entries = pairs.iter().map(|(key, value)| state::entry_of_row(key, value));
        Ok(entries.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// A page of accounts, in the order of their ids.
    pub fn accounts(
        &self,
        filter: &AccountFilter,
        page: PageQuery<PublicKey>,
    ) -> Result<Vec<AccountState>, HistoryError> {
        let list = match filter {
            AccountFilter::Signer(key) => rows::signer(key),
            AccountFilter::Asset(asset) => rows::holders(asset),
            AccountFilter::Pool(pool) => rows::shareholders(pool),
            AccountFilter::Sponsor(sponsor) => rows::sponsored(sponsor),
        };
        let mut last = None;
        self.page_of_rows(&list, page.cursor.map(|id| id.0.to_vec()), page.order, page.limit, |key, _| {
            // A sponsor has a row for each entry: the account counts once.
            let id = PublicKey(array(key, list.len())?);
            if last.replace(id) == Some(id) { Ok(None) } else { self.account(&id) }
        })
    }

    /// An offer.
    pub fn offer(&self, id: u64) -> Result<Option<LedgerEntry>, HistoryError> {
        let row = [rows::offers(), id.to_be_bytes().to_vec()].concat();
        let Some(seller) = self.store.get(&row)? else { return Ok(None) };
        self.offer_of(&seller, id)
    }

    fn offer_of(&self, seller: &[u8], id: u64) -> Result<Option<LedgerEntry>, HistoryError> {
        let seller_id = PublicKey(array(seller, 0)?).into();
        let offer_id = i64::try_from(id).map_err(|error| HistoryError::damaged("an offer's id", error))?;
        let key = LedgerKey::Offer(LedgerKeyOffer { seller_id, offer_id });
        state::read(&*self.store, &StateKey::Ledger(key))
    }

    /// A page of offers, in the order of their ids.
    pub fn offers(
        &self,
        filter: &OfferFilter,
        page: PageQuery<u64>,
    ) -> Result<Vec<LedgerEntry>, HistoryError> {
        let list = match filter {
            OfferFilter { seller: Some(seller), .. } => rows::offers_of(seller),
            OfferFilter { sponsor: Some(sponsor), .. } => rows::offers_sponsored(sponsor),
            OfferFilter { selling: Some(asset), .. } => rows::offers_selling(asset),
            OfferFilter { buying: Some(asset), .. } => rows::offers_buying(asset),
            _ => rows::offers(),
        };
        let cursor = page.cursor.map(|id| id.to_be_bytes().to_vec());
        self.page_of_rows(&list, cursor, page.order, page.limit, |key, seller| {
            let id = u64::from_be_bytes(array(key, list.len())?);
            Ok(self.offer_of(seller, id)?.filter(|entry| filter.includes(entry)))
        })
    }

    /// The offers that sell `selling` for `buying`, in the order in which they are crossed.
    pub fn book(&self, selling: &Asset, buying: &Asset) -> Result<Vec<LedgerEntry>, HistoryError> {
        let list = rows::market(selling, buying);
        self.page_of_rows(&list, None, Order::Ascending, BOOK_MAX, |key, seller| {
            let id = u64::from_be_bytes(array(key, list.len().saturating_add(8))?);
            self.offer_of(seller, id)
        })
    }

    /// What can be had in the books for `selling`, at most `limit` assets.
    pub fn bought_with_offers_of(&self, selling: &Asset, limit: usize) -> Result<Vec<Asset>, HistoryError> {
        let list = rows::markets(selling);
        let mut range = keys::with_prefix(&list);
        let mut found: Vec<Asset> = Vec::new();
        while found.len() < limit {
            let rows = self.store.scan(range.clone(), Order::Ascending, 1)?;
            let Some((key, seller)) = rows.first() else { break };
            let id = key.last_chunk::<8>().map_or(0, |id| u64::from_be_bytes(*id));
            let Some(LedgerEntryData::Offer(offer)) = self.offer_of(seller, id)?.map(|entry| entry.data)
            else {
                break;
            };
            range.start = keys::beyond(&rows::market(selling, &offer.buying));
            found.push(offer.buying);
        }
        Ok(found)
    }

    /// A claimable balance.
    pub fn balance(&self, id: &Digest) -> Result<Option<LedgerEntry>, HistoryError> {
        let balance_id = ClaimableBalanceId::ClaimableBalanceIdTypeV0(Hash(id.0));
        let key = LedgerKey::ClaimableBalance(LedgerKeyClaimableBalance { balance_id });
        state::read(&*self.store, &StateKey::Ledger(key))
    }

    /// A page of claimable balances, in the order of their last change.
    pub fn balances(
        &self,
        filter: &BalanceFilter,
        page: PageQuery<BalanceCursor>,
    ) -> Result<Vec<LedgerEntry>, HistoryError> {
        let list = match filter {
            BalanceFilter { claimant: Some(claimant), .. } => rows::balances_for(claimant),
            BalanceFilter { sponsor: Some(sponsor), .. } => rows::balances_sponsored(sponsor),
            BalanceFilter { asset: Some(asset), .. } => rows::balances_of(asset),
            _ => rows::balances(),
        };
        let cursor = page.cursor.map(|cursor| [&cursor.ledger.to_be_bytes()[..], &cursor.id.0].concat());
        self.page_of_rows(&list, cursor, page.order, page.limit, |key, _| {
            let id = Digest(array(key, list.len().saturating_add(4))?);
            Ok(self.balance(&id)?.filter(|entry| filter.includes(entry)))
        })
    }

    /// A liquidity pool.
    pub fn pool(&self, id: &Digest) -> Result<Option<LedgerEntry>, HistoryError> {
        let liquidity_pool_id = PoolId(Hash(id.0));
        let key = LedgerKey::LiquidityPool(LedgerKeyLiquidityPool { liquidity_pool_id });
        state::read(&*self.store, &StateKey::Ledger(key))
    }

    /// A page of the pools that hold all of `reserves`, in the order of their ids.
    pub fn pools(
        &self,
        reserves: &[Asset],
        page: PageQuery<Digest>,
    ) -> Result<Vec<LedgerEntry>, HistoryError> {
        let list = match reserves.first() {
            Some(asset) => rows::pools_of(asset),
            None => keys::state(&kind_bytes(LedgerEntryType::LiquidityPool)),
        };
        let cursor = page.cursor.map(|id| id.0.to_vec());
        self.page_of_rows(&list, cursor, page.order, page.limit, |key, _| {
            let pool = self.pool(&Digest(array(key, list.len())?))?;
            Ok(pool.filter(|pool| reserves.iter().all(|asset| holds(pool, asset))))
        })
    }

    /// A page of the pools of which an account has shares.
    pub fn pools_with(
        &self,
        account: &PublicKey,
        page: PageQuery<Digest>,
    ) -> Result<Vec<LedgerEntry>, HistoryError> {
        let lines = self.entries_of(LedgerEntryType::Trustline, account)?;
        let mut ids: Vec<Digest> = lines.iter().filter_map(share_of).collect();
        ids.sort_unstable();
        match page.cursor {
            Some(cursor) if page.order == Order::Ascending => ids.retain(|id| *id > cursor),
            Some(cursor) => ids.retain(|id| *id < cursor),
            None => {}
        }
        if page.order == Order::Descending {
            ids.reverse();
        }
        let pools = ids.iter().take(page.limit).map(|id| self.pool(id));
        Ok(pools.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// A page of assets that somebody holds, by code, issuer and kind.
    pub fn assets(
        &self,
        filter: &AssetFilter,
        page: PageQuery<Asset>,
    ) -> Result<Vec<AssetRecord>, HistoryError> {
        let all = rows::all_asset_stats();
        let mut list = all.clone();
        if let Some(code) = &filter.code {
            let mut code = code.clone();
            code.resize(12, 0);
            list.extend(code);
        }
        let after = page.cursor.map(|asset| rows::asset_order(&asset));
        let own = list.len().saturating_sub(all.len());
        // A cursor of another code stands before or after the whole list.
        let (list_code, cursor) = (list.get(all.len()..).unwrap_or_default().to_vec(), after);
        let cursor = match cursor {
            Some(cursor) if own > 0 && !cursor.starts_with(&list_code) => {
                let behind = (cursor < list_code) == (page.order == Order::Ascending);
                if !behind {
                    return Ok(Vec::new());
                }
                None
            }
            Some(cursor) => Some(cursor.get(own..).unwrap_or_default().to_vec()),
            None => None,
        };
        self.page_of_rows(&list, cursor, page.order, page.limit, |key, value| {
            let mut input = Reader::new(key.get(all.len()..).unwrap_or_default());
            let record = AssetRecord { asset: asset_of(&mut input)?, stats: AssetStats::from_stored(value)? };
            let of_issuer = filter.issuer.is_none_or(|issuer| issuer_of(&record.asset) == Some(issuer));
            Ok(of_issuer.then_some(record))
        })
    }

    /// The account that issues an asset, if it still exists.
    pub fn issuer(&self, asset: &Asset) -> Result<Option<LedgerEntry>, HistoryError> {
        issuer_of(asset).map_or(Ok(None), |issuer| state::read(&*self.store, &StateKey::account(&issuer)))
    }

    /// The records that `read` makes of the rows with this prefix, behind the cursor.
    fn page_of_rows<T>(
        &self,
        prefix: &[u8],
        cursor: Option<Vec<u8>>,
        order: Order,
        limit: usize,
        mut read: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, HistoryError>,
    ) -> Result<Vec<T>, HistoryError> {
        let Range { mut start, mut end } = keys::with_prefix(prefix);
        match (cursor, order) {
            (None, _) => {}
            (Some(cursor), Order::Ascending) => start = keys::beyond(&[prefix, &cursor].concat()),
            (Some(cursor), Order::Descending) => end = [prefix, &cursor].concat(),
        }
        let mut found = Vec::new();
        loop {
            let pairs: Vec<Pair> = self.store.scan(start.clone()..end.clone(), order, CHUNK)?;
            for (key, value) in &pairs {
                found.extend(read(key, value)?);
                if found.len() >= limit {
                    return Ok(found);
                }
            }
            match pairs.last().filter(|_| pairs.len() == CHUNK) {
                None => return Ok(found),
                Some((key, _)) if order == Order::Ascending => start = [key.as_slice(), &[0]].concat(),
                Some((key, _)) => end.clone_from(key),
            }
        }
    }
}

impl OfferFilter {
    fn includes(&self, entry: &LedgerEntry) -> bool {
        let LedgerEntryData::Offer(offer) = &entry.data else { return false };
        let sponsor = rows::sponsor_of(entry).map(PublicKey::from);
        self.seller.is_none_or(|seller| seller == PublicKey::from(&offer.seller_id))
            && self.sponsor.is_none_or(|wanted| sponsor == Some(wanted))
            && self.selling.as_ref().is_none_or(|asset| *asset == offer.selling)
            && self.buying.as_ref().is_none_or(|asset| *asset == offer.buying)
    }
}

impl BalanceFilter {
    fn includes(&self, entry: &LedgerEntry) -> bool {
        let LedgerEntryData::ClaimableBalance(balance) = &entry.data else { return false };
        let sponsor = rows::sponsor_of(entry).map(PublicKey::from);
        let mut claimants = balance.claimants.iter();
        self.sponsor.is_none_or(|wanted| sponsor == Some(wanted))
            && self.asset.as_ref().is_none_or(|asset| *asset == balance.asset)
            && self.claimant.is_none_or(|wanted| {
                claimants.any(|stellar_xdr::Claimant::ClaimantTypeV0(claimant)| {
                    PublicKey::from(&claimant.destination) == wanted
                })
            })
    }
}

/// The account that issues an asset.
fn issuer_of(asset: &Asset) -> Option<PublicKey> {
    match asset {
        Asset::Native => None,
        Asset::CreditAlphanum4(asset) => Some((&asset.issuer).into()),
        Asset::CreditAlphanum12(asset) => Some((&asset.issuer).into()),
    }
}

fn holds(pool: &LedgerEntry, asset: &Asset) -> bool {
    let LedgerEntryData::LiquidityPool(pool) = &pool.data else { return false };
    let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
    body.params.asset_a == *asset || body.params.asset_b == *asset
}

fn share_of(line: &LedgerEntry) -> Option<Digest> {
    match &line.data {
        LedgerEntryData::Trustline(line) => match &line.asset {
            TrustLineAsset::PoolShare(pool) => Some(Digest(pool.0.0)),
            _ => None,
        },
        _ => None,
    }
}

/// The asset that stands in the key of its figures.
fn asset_of(input: &mut Reader<'_>) -> Result<Asset, HistoryError> {
    let code: [u8; 12] = input.array()?;
    let issuer = PublicKey(input.array()?).into();
    match u8::decode(input)? {
        1 => {
            let asset_code = AssetCode4(array(&code, 0)?);
            Ok(Asset::CreditAlphanum4(stellar_xdr::AlphaNum4 { asset_code, issuer }))
        }
        _ => Ok(Asset::CreditAlphanum12(stellar_xdr::AlphaNum12 { asset_code: AssetCode12(code), issuer })),
    }
}

fn kind_bytes(kind: LedgerEntryType) -> [u8; 4] {
    (kind as i32).to_be_bytes()
}

/// `N` bytes of a key.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], HistoryError> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    part.copied().ok_or_else(|| HistoryError::damaged("a row", "too short"))
}
