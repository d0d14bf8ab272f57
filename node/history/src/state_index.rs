//! Rows that lead to state entries: by signer, by asset, by sponsor, by market, and so on.
//!
//! All rows of an entry are a pure function of the entry, so that a change of the entry is a difference of rows.
//!
//! | row | value | order within the list |
//! |---|---|---|
//! | `xs` signer, account | | account |
//! | `xh` asset, account: holds it | | account |
//! | `xl` pool, account: has a share | | account |
//! | `xn` sponsor, account, state key: pays for that entry of the account | | account |
//! | `xi` u64 offer | seller | offer |
//! | `xo` seller, `xe` selling, `xf` buying, `xg` sponsor, each with u64 offer | seller | offer |
//! | `xm` selling, buying, price, u64 offer | seller | as the book is crossed: price, then offer |
//! | `xc`, `xd` asset, `xj` claimant, `xk` sponsor, each with u32 ledger, balance | | last change |
//! | `xr` asset, pool: is a reserve of it | | pool |
//! | `xz` code, issuer, kind | [`crate::asset_stats::AssetStats`] | code, issuer, kind |

use std::collections::BTreeMap;

use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1Ext, AccountId, Asset, ClaimableBalanceEntry,
    ClaimableBalanceId, Claimant, LedgerEntry, LedgerEntryData, LedgerEntryExt, LiquidityPoolEntryBody,
    OfferEntry, Price, SignerKey, Thresholds, TrustLineAsset, TrustLineEntry, Uint256,
};

use crate::record::xdr;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// The accounts that `key` may sign for.
pub fn signer(key: &SignerKey) -> Vec<u8> {
    [b"xs".as_slice(), &xdr(key)].concat()
}

/// The accounts with a trustline to `asset`.
pub fn holders(asset: &Asset) -> Vec<u8> {
    [b"xh".as_slice(), &xdr(asset)].concat()
}

/// The accounts with shares of `pool`.
pub fn shareholders(pool: &Digest) -> Vec<u8> {
    [b"xl".as_slice(), &pool.0].concat()
}

/// The accounts that `sponsor` pays an entry for.
pub fn sponsored(sponsor: &PublicKey) -> Vec<u8> {
    [b"xn".as_slice(), &sponsor.0].concat()
}

/// All offers.
pub fn offers() -> Vec<u8> {
    b"xi".to_vec()
}

/// The offers of `seller`.
pub fn offers_of(seller: &PublicKey) -> Vec<u8> {
    [b"xo".as_slice(), &seller.0].concat()
}

/// The offers that sell `asset`.
pub fn offers_selling(asset: &Asset) -> Vec<u8> {
    [b"xe".as_slice(), &xdr(asset)].concat()
}

/// The offers that buy `asset`.
pub fn offers_buying(asset: &Asset) -> Vec<u8> {
    [b"xf".as_slice(), &xdr(asset)].concat()
}

/// The offers that `sponsor` pays for.
pub fn offers_sponsored(sponsor: &PublicKey) -> Vec<u8> {
    [b"xg".as_slice(), &sponsor.0].concat()
}

/// The offers that sell anything for anything, by what they sell; then by what they buy.
pub fn markets(selling: &Asset) -> Vec<u8> {
    [b"xm".as_slice(), &xdr(selling)].concat()
}

/// The offers that sell `selling` for `buying`, best price first.
pub fn market(selling: &Asset, buying: &Asset) -> Vec<u8> {
    [b"xm".as_slice(), &xdr(selling), &xdr(buying)].concat()
}

/// All claimable balances.
pub fn balances() -> Vec<u8> {
    b"xc".to_vec()
}

/// The claimable balances of `asset`.
pub fn balances_of(asset: &Asset) -> Vec<u8> {
    [b"xd".as_slice(), &xdr(asset)].concat()
}

/// The claimable balances that `claimant` is named in.
pub fn balances_for(claimant: &PublicKey) -> Vec<u8> {
    [b"xj".as_slice(), &claimant.0].concat()
}

/// The claimable balances that `sponsor` pays for.
pub fn balances_sponsored(sponsor: &PublicKey) -> Vec<u8> {
    [b"xk".as_slice(), &sponsor.0].concat()
}

/// The pools with a reserve of `asset`.
pub fn pools_of(asset: &Asset) -> Vec<u8> {
    [b"xr".as_slice(), &xdr(asset)].concat()
}

/// The figures of all assets.
pub fn all_asset_stats() -> Vec<u8> {
    b"xz".to_vec()
}

/// The figures of one asset; the native coin has none.
pub fn asset_stats(asset: &Asset) -> Vec<u8> {
    let mut row = all_asset_stats();
    row.extend(asset_order(asset));
    row
}

/// What assets are listed by: code, issuer, kind.
pub fn asset_order(asset: &Asset) -> Vec<u8> {
    let (code, issuer, kind) = match asset {
        Asset::Native => return vec![0; 45],
        Asset::CreditAlphanum4(asset) => (asset.asset_code.0.as_slice(), &asset.issuer, 1),
        Asset::CreditAlphanum12(asset) => (asset.asset_code.0.as_slice(), &asset.issuer, 2),
    };
    let mut order = code.to_vec();
    order.resize(12, 0);
    order.extend(PublicKey::from(issuer).0);
    order.push(kind);
    order
}

/// The account that pays for an entry, where another one does.
pub fn sponsor_of(entry: &LedgerEntry) -> Option<&AccountId> {
    match &entry.ext {
        LedgerEntryExt::V0 => None,
        LedgerEntryExt::V1(extension) => extension.sponsoring_id.0.as_ref(),
    }
}

/// The signers of an account that others pay for, with who does.
pub fn sponsored_signers(account: &AccountEntry) -> Vec<(&SignerKey, &AccountId)> {
    let AccountEntryExt::V1(first) = &account.ext else { return Vec::new() };
    let AccountEntryExtensionV1Ext::V2(second) = &first.ext else { return Vec::new() };
    let sponsors = second.signer_sponsoring_i_ds.iter();
    account
        .signers
        .iter()
        .zip(sponsors)
        .filter_map(|(signer, sponsor)| sponsor.0.as_ref().map(|sponsor| (&signer.key, sponsor)))
        .collect()
}

/// The id in a claimable balance's name.
pub fn balance_id(id: &ClaimableBalanceId) -> Digest {
    let ClaimableBalanceId::ClaimableBalanceIdTypeV0(hash) = id;
    Digest(hash.0)
}

/// All rows that lead to an entry.
pub(crate) fn rows(entry: &LedgerEntry) -> Rows {
    let mut rows = Rows::new();
    let sponsor = sponsor_of(entry).map(PublicKey::from);
    match &entry.data {
        LedgerEntryData::Account(account) => of_account(account, sponsor, &mut rows),
        LedgerEntryData::Trustline(line) => of_trustline(line, sponsor, &mut rows),
        LedgerEntryData::Data(data) => {
            let name = data.data_name.as_slice();
            add_sponsored(sponsor, &data.account_id, &[b"d".as_slice(), name].concat(), &mut rows);
        }
        LedgerEntryData::Offer(offer) => of_offer(offer, sponsor, &mut rows),
        LedgerEntryData::ClaimableBalance(balance) => {
            of_balance(balance, entry.last_modified_ledger_seq, sponsor, &mut rows);
        }
        LedgerEntryData::LiquidityPool(pool) => {
            let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
            for asset in [&body.params.asset_a, &body.params.asset_b] {
                rows.insert([pools_of(asset), pool.liquidity_pool_id.0.0.to_vec()].concat(), Vec::new());
            }
        }
        _ => {}
    }
    rows
}

fn add_sponsored(sponsor: Option<PublicKey>, account: &AccountId, what: &[u8], rows: &mut Rows) {
    if let Some(sponsor) = sponsor {
        let account = PublicKey::from(account);
        rows.insert([&sponsored(&sponsor), account.0.as_slice(), what].concat(), Vec::new());
    }
}

fn of_account(account: &AccountEntry, sponsor: Option<PublicKey>, rows: &mut Rows) {
    let id = PublicKey::from(&account.account_id);
    let Thresholds([master, ..]) = account.thresholds;
    let own = (master > 0).then_some(SignerKey::Ed25519(Uint256(id.0)));
    for key in account.signers.iter().map(|signer| &signer.key).chain(&own) {
        rows.insert([signer(key), id.0.to_vec()].concat(), Vec::new());
    }
    add_sponsored(sponsor, &account.account_id, b"a", rows);
    for (key, sponsor) in sponsored_signers(account) {
        let what = [b"s".as_slice(), &xdr(key)].concat();
        add_sponsored(Some(sponsor.into()), &account.account_id, &what, rows);
    }
}

fn of_trustline(line: &TrustLineEntry, sponsor: Option<PublicKey>, rows: &mut Rows) {
    let id = PublicKey::from(&line.account_id).0.to_vec();
    let list = match &line.asset {
        TrustLineAsset::Native => return,
        TrustLineAsset::CreditAlphanum4(asset) => holders(&Asset::CreditAlphanum4(asset.clone())),
        TrustLineAsset::CreditAlphanum12(asset) => holders(&Asset::CreditAlphanum12(asset.clone())),
        TrustLineAsset::PoolShare(pool) => shareholders(&Digest(pool.0.0)),
    };
    rows.insert([list, id].concat(), Vec::new());
    add_sponsored(sponsor, &line.account_id, &[b"t".as_slice(), &xdr(&line.asset)].concat(), rows);
}

fn of_offer(offer: &OfferEntry, sponsor: Option<PublicKey>, rows: &mut Rows) {
    let seller = PublicKey::from(&offer.seller_id);
    let id = offer.offer_id.to_be_bytes();
    let mut add = |list: Vec<u8>| rows.insert([list, id.to_vec()].concat(), seller.0.to_vec());
    add(offers());
    add(offers_of(&seller));
    add(offers_selling(&offer.selling));
    add(offers_buying(&offer.buying));
    add([market(&offer.selling, &offer.buying), price_order(&offer.price).to_vec()].concat());
    if let Some(sponsor) = sponsor {
        add(offers_sponsored(&sponsor));
    }
}

/// Prices in the order in which the ledger crosses them: by their quotient as an IEEE double, whose bits order
/// as the values do where they are positive. **Source**: ledger specification A.6, "Book order".
fn price_order(price: &Price) -> [u8; 8] {
    (f64::from(price.n) / f64::from(price.d)).to_bits().to_be_bytes()
}

fn of_balance(balance: &ClaimableBalanceEntry, ledger: u32, sponsor: Option<PublicKey>, rows: &mut Rows) {
    let place = [ledger.to_be_bytes().as_slice(), &balance_id(&balance.balance_id).0].concat();
    let mut add = |list: Vec<u8>| rows.insert([list, place.clone()].concat(), Vec::new());
    add(balances());
    add(balances_of(&balance.asset));
    for Claimant::ClaimantTypeV0(claimant) in balance.claimants.iter() {
        add(balances_for(&(&claimant.destination).into()));
    }
    if let Some(sponsor) = sponsor {
        add(balances_sponsored(&sponsor));
    }
}
