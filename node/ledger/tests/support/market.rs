//! What must hold for offers, balances and pools in any state, found out anew from the entries alone.

use std::collections::{BTreeMap, BTreeSet};

use carat_ledger::{MemoryState, StateKey, StateValue};
use carat_types::PublicKey;
use stellar_xdr::*;

/// Liabilities equal offers, indices equal what they list, no book is crossed, shares add up.
pub(crate) fn assert_in_order(state: &MemoryState, what: &str) {
    let mut offers = Vec::new();
    let (mut listed, mut lists) = (BTreeSet::new(), BTreeSet::new());
    let mut kept: BTreeMap<(PublicKey, Asset), (i128, i128)> = BTreeMap::new();
    let (mut shares, mut pools) = (BTreeMap::new(), BTreeMap::new());
    for (bytes, value) in state.entries() {
        let key = StateKey::from_bytes(bytes).expect("our key");
        assert_eq!(key.to_bytes(), bytes, "{what}: a key has one form");
        let value = StateValue::from_bytes(&key, value).expect("our value");
        let is_single = matches!(key, StateKey::Governance | StateKey::Accountability);
        if bytes >= 1_004_u32.to_be_bytes().as_slice() && !is_single {
            lists.insert(bytes.to_vec());
        }
        let StateValue::Ledger(entry) = value else { continue };
        match entry.data {
            LedgerEntryData::Account(account) => {
                if let AccountEntryExt::V1(v1) = &account.ext {
                    note(&mut kept, &account.account_id, Asset::Native, &v1.liabilities);
                }
            }
            LedgerEntryData::Trustline(line) => match (asset_of(&line.asset), &line.asset, &line.ext) {
                (Some(asset), _, TrustLineEntryExt::V1(v1)) => {
                    note(&mut kept, &line.account_id, asset, &v1.liabilities);
                }
                (None, TrustLineAsset::PoolShare(pool), _) => {
                    let (held, lines) = shares.entry(pool.clone()).or_insert((0, 0));
                    *held += line.balance;
                    *lines += 1;
                }
                _ => {}
            },
            LedgerEntryData::Offer(offer) => {
                let seller = PublicKey::from(&offer.seller_id);
                let rank = (f64::from(offer.price.n) / f64::from(offer.price.d)).to_bits();
                let (selling, buying) = (offer.selling.clone(), offer.buying.clone());
                let place = carat_ledger::key::BookPlace { selling, buying, rank, offer_id: offer.offer_id };
                listed.insert(StateKey::Book(place).to_bytes());
                listed.insert(StateKey::OfferSeller(offer.offer_id).to_bytes());
                assert_eq!(key, StateKey::offer(&seller, offer.offer_id), "{what}");
                offers.push(offer);
            }
            LedgerEntryData::ClaimableBalance(balance) => {
                for Claimant::ClaimantTypeV0(claimant) in balance.claimants.iter() {
                    let claimant = PublicKey::from(&claimant.destination);
                    listed.insert(StateKey::Claim(claimant, balance.balance_id.clone()).to_bytes());
                }
            }
            LedgerEntryData::LiquidityPool(pool) => {
                let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = pool.body;
                for asset in [&body.params.asset_a, &body.params.asset_b] {
                    let key = StateKey::AssetPool(asset.clone(), pool.liquidity_pool_id.clone());
                    listed.insert(key.to_bytes());
                }
                assert!(body.reserve_a >= 0 && body.reserve_b >= 0, "{what}: {body:?}");
                let figures = (body.total_pool_shares, body.pool_shares_trust_line_count);
                pools.insert(pool.liquidity_pool_id, figures);
            }
            _ => {}
        }
    }
    assert_eq!(lists, listed, "{what}: indices");
    assert_eq!(shares, pools, "{what}: shares of pools");
    assert_not_crossed(&offers, what);
    let mut owed: BTreeMap<(PublicKey, Asset), (i128, i128)> = BTreeMap::new();
    for offer in &offers {
        assert!(offer.amount > 0, "{what}: {offer:?}");
        let seller = PublicKey::from(&offer.seller_id);
        let (sold, bought) = in_all(offer);
        add(&mut owed, seller, &offer.buying, (bought, 0));
        add(&mut owed, seller, &offer.selling, (0, sold));
    }
    assert_eq!(kept, owed, "{what}: liabilities");
}

/// What an offer sells and buys if it is taken as a whole, by fractions in place of cases.
fn in_all(offer: &OfferEntry) -> (i128, i128) {
    let (amount, n, d) = (i128::from(offer.amount), i128::from(offer.price.n), i128::from(offer.price.d));
    let value = (amount * n).min(i128::from(i64::MAX) * d);
    let div_up = |a: i128, b: i128| (a + b - 1) / b;
    if n > d { (value / n, value / n * n / d) } else { (div_up(value / d * d, n), value / d) }
}

fn assert_not_crossed(offers: &[OfferEntry], what: &str) {
    for offer in offers {
        for other in offers {
            let opposite = offer.selling == other.buying && offer.buying == other.selling;
            let product = i128::from(offer.price.n) * i128::from(other.price.n);
            let crossed = product < i128::from(offer.price.d) * i128::from(other.price.d);
            assert!(!(opposite && crossed), "{what}: {offer:?} crosses {other:?}");
        }
    }
}

fn note(
    kept: &mut BTreeMap<(PublicKey, Asset), (i128, i128)>,
    holder: &AccountId,
    asset: Asset,
    liabilities: &Liabilities,
) {
    let figures = (liabilities.buying.into(), liabilities.selling.into());
    if figures != (0, 0) {
        kept.insert((PublicKey::from(holder), asset), figures);
    }
}

/// Issuers owe nothing in their own asset.
fn add(
    owed: &mut BTreeMap<(PublicKey, Asset), (i128, i128)>,
    holder: PublicKey,
    asset: &Asset,
    (buying, selling): (i128, i128),
) {
    if carat_ledger::asset::issuer(asset) != Some(holder) && (buying, selling) != (0, 0) {
        let sum = owed.entry((holder, asset.clone())).or_default();
        *sum = (sum.0 + buying, sum.1 + selling);
    }
}

fn asset_of(line: &TrustLineAsset) -> Option<Asset> {
    match line {
        TrustLineAsset::CreditAlphanum4(code) => Some(Asset::CreditAlphanum4(code.clone())),
        TrustLineAsset::CreditAlphanum12(code) => Some(Asset::CreditAlphanum12(code.clone())),
        TrustLineAsset::Native | TrustLineAsset::PoolShare(_) => None,
    }
}
