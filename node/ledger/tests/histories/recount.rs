//! What must hold for the entries of a ledger, counted anew from nothing.

use std::collections::BTreeMap;

use carat_ledger::exchange::adjust;
use stellar_xdr::*;

use super::Entries;

/// What an account is counted to have, next to what its entry says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    subentries: u32,
    sponsored: u32,
    sponsoring: u32,
}

/// What offers bind of a holder's balance in an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Owed {
    buying: i128,
    selling: i128,
}

type Owing = BTreeMap<(AccountId, Asset), Owed>;

/// What is held of each asset: by accounts, in claimable balances, in pools.
pub(super) fn holdings(entries: &Entries) -> BTreeMap<Asset, i128> {
    let mut held: BTreeMap<Asset, i128> = BTreeMap::new();
    let mut add = |asset: Asset, amount: i64| *held.entry(asset).or_default() += i128::from(amount);
    for entry in entries.values() {
        match &entry.data {
            LedgerEntryData::Account(account) => add(Asset::Native, account.balance),
            LedgerEntryData::Trustline(line) => {
                if let Some(asset) = asset_of(&line.asset) {
                    add(asset, line.balance);
                }
            }
            LedgerEntryData::ClaimableBalance(balance) => add(balance.asset.clone(), balance.amount),
            LedgerEntryData::LiquidityPool(pool) => {
                let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(pool) = &pool.body;
                add(pool.params.asset_a.clone(), pool.reserve_a);
                add(pool.params.asset_b.clone(), pool.reserve_b);
            }
            _ => {}
        }
    }
    held
}

/// Liabilities are the sums over offers, no book is crossed, counts are right, nothing is below zero.
pub(super) fn assert_in_order(entries: &Entries, base_reserve: u32, what: &str) {
    let owed = owing(entries, what);
    assert_books_not_crossed(entries, what);
    let counts = counts(entries);
    let mut kept = Owing::new();
    for entry in entries.values() {
        match &entry.data {
            LedgerEntryData::Account(account) => {
                assert_eq!(
                    noted(account),
                    counts.get(&account.account_id).copied().unwrap_or_default(),
                    "{what}: counts of {:?}",
                    account.account_id
                );
                let owed = liabilities_of_account(account);
                note(&mut kept, &account.account_id, Asset::Native, owed);
                let noted = noted(account);
                let reserves = 2 + i128::from(noted.subentries) + i128::from(noted.sponsoring)
                    - i128::from(noted.sponsored);
                let free = i128::from(account.balance) - reserves * i128::from(base_reserve) - owed.selling;
                assert!(free >= 0, "{what}: {account:?} is {free} below its reserve");
                assert!(
                    i128::from(account.balance) + owed.buying <= i128::from(i64::MAX),
                    "{what}: {account:?}"
                );
            }
            LedgerEntryData::Trustline(line) => {
                let owed = liabilities_of_line(line);
                assert!(line.balance >= 0 && owed.selling <= i128::from(line.balance), "{what}: {line:?}");
                assert!(i128::from(line.balance) + owed.buying <= i128::from(line.limit), "{what}: {line:?}");
                if let Some(asset) = asset_of(&line.asset) {
                    note(&mut kept, &line.account_id, asset, owed);
                }
            }
            LedgerEntryData::ClaimableBalance(balance) => assert!(balance.amount > 0, "{what}: {balance:?}"),
            LedgerEntryData::LiquidityPool(pool) => assert_pool(entries, pool, what),
            _ => {}
        }
    }
    assert_eq!(kept, owed, "{what}: liabilities");
}

/// What all offers bind; on the way, that each could be taken whole and would be adjusted to itself.
fn owing(entries: &Entries, what: &str) -> Owing {
    let mut owing = Owing::new();
    for entry in entries.values() {
        let LedgerEntryData::Offer(offer) = &entry.data else { continue };
        assert!(offer.amount > 0, "{what}: {offer:?}");
        assert_eq!(adjust(&offer.price, offer.amount, i64::MAX), Ok(offer.amount), "{what}: {offer:?}");
        let (sold, bought) = in_all(offer);
        let (seller, selling, buying) = (&offer.seller_id, &offer.selling, &offer.buying);
        note(&mut owing, seller, selling.clone(), Owed { buying: 0, selling: sold });
        note(&mut owing, seller, buying.clone(), Owed { buying: bought, selling: 0 });
    }
    // Issuers owe nothing in their own asset.
    owing.retain(|(holder, asset), _| carat_ledger::asset::issuer(asset) != Some(holder.into()));
    owing
}

/// What an offer sells and buys if it is taken as a whole.
fn in_all(offer: &OfferEntry) -> (i128, i128) {
    let (amount, n, d) = (i128::from(offer.amount), i128::from(offer.price.n), i128::from(offer.price.d));
    let up = |a: i128, b: i128| (a + b - 1) / b;
    let value = (amount * n).min(i128::from(i64::MAX) * d);
    if n > d { (value / n, value / n * n / d) } else { (up(value / d * d, n), value / d) }
}

/// The lowest price of each book, times the lowest of the opposite one, is one at least.
///
/// Prices whose quotients are the same double could cross by less than that in one book; histories have none.
fn assert_books_not_crossed(entries: &Entries, what: &str) {
    let mut lowest: BTreeMap<(&Asset, &Asset), (i128, i128)> = BTreeMap::new();
    for entry in entries.values() {
        let LedgerEntryData::Offer(offer) = &entry.data else { continue };
        let (n, d) = (i128::from(offer.price.n), i128::from(offer.price.d));
        let lowest = lowest.entry((&offer.selling, &offer.buying)).or_insert((n, d));
        if n * lowest.1 < lowest.0 * d {
            *lowest = (n, d);
        }
    }
    for ((selling, buying), (n, d)) in &lowest {
        if let Some((other_n, other_d)) = lowest.get(&(*buying, *selling)) {
            assert!(n * other_n >= d * other_d, "{what}: the books of {selling:?} and {buying:?} cross");
        }
    }
}

/// Subentries and sponsorships, from entries alone.
fn counts(entries: &Entries) -> BTreeMap<AccountId, Counts> {
    let mut counts: BTreeMap<AccountId, Counts> = BTreeMap::new();
    for entry in entries.values() {
        // Owner, reserves, and whether they count as subentries.
        let (owner, reserves, is_subentry) = match &entry.data {
            LedgerEntryData::Account(account) => (Some(&account.account_id), 2, false),
            LedgerEntryData::Trustline(line) => match line.asset {
                TrustLineAsset::PoolShare(_) => (Some(&line.account_id), 2, true),
                _ => (Some(&line.account_id), 1, true),
            },
            LedgerEntryData::Offer(offer) => (Some(&offer.seller_id), 1, true),
            LedgerEntryData::Data(data) => (Some(&data.account_id), 1, true),
            LedgerEntryData::ClaimableBalance(balance) => {
                (None, u32::try_from(balance.claimants.len()).expect("few"), false)
            }
            _ => continue,
        };
        let sponsor = match &entry.ext {
            LedgerEntryExt::V1(v1) => v1.sponsoring_id.0.as_ref(),
            LedgerEntryExt::V0 => None,
        };
        if let Some(owner) = owner {
            let counts = counts.entry(owner.clone()).or_default();
            counts.subentries += if is_subentry { reserves } else { 0 };
            counts.sponsored += if sponsor.is_some() { reserves } else { 0 };
        }
        if let Some(sponsor) = sponsor {
            counts.entry(sponsor.clone()).or_default().sponsoring += reserves;
        }
        if let LedgerEntryData::Account(account) = &entry.data {
            count_signers(&mut counts, account);
        }
    }
    counts
}

fn count_signers(counts: &mut BTreeMap<AccountId, Counts>, account: &AccountEntry) {
    let signers = u32::try_from(account.signers.len()).expect("few");
    counts.entry(account.account_id.clone()).or_default().subentries += signers;
    let Some(v2) = extension(account) else { return };
    assert_eq!(v2.signer_sponsoring_i_ds.len(), account.signers.len(), "{account:?}");
    for sponsor in v2.signer_sponsoring_i_ds.iter().filter_map(|sponsor| sponsor.0.as_ref()) {
        counts.entry(account.account_id.clone()).or_default().sponsored += 1;
        counts.entry(sponsor.clone()).or_default().sponsoring += 1;
    }
}

/// What the account's entry says of itself.
fn noted(account: &AccountEntry) -> Counts {
    let (sponsored, sponsoring) =
        extension(account).map_or((0, 0), |v2| (v2.num_sponsored, v2.num_sponsoring));
    Counts { subentries: account.num_sub_entries, sponsored, sponsoring }
}

fn extension(account: &AccountEntry) -> Option<&AccountEntryExtensionV2> {
    match &account.ext {
        AccountEntryExt::V1(AccountEntryExtensionV1 { ext: AccountEntryExtensionV1Ext::V2(v2), .. }) => {
            Some(v2)
        }
        _ => None,
    }
}

fn liabilities_of_account(account: &AccountEntry) -> Owed {
    match &account.ext {
        AccountEntryExt::V1(v1) => owed(&v1.liabilities),
        AccountEntryExt::V0 => Owed::default(),
    }
}

fn liabilities_of_line(line: &TrustLineEntry) -> Owed {
    match &line.ext {
        TrustLineEntryExt::V1(v1) => owed(&v1.liabilities),
        TrustLineEntryExt::V0 => Owed::default(),
    }
}

fn owed(liabilities: &Liabilities) -> Owed {
    assert!(liabilities.buying >= 0 && liabilities.selling >= 0, "{liabilities:?}");
    Owed { buying: liabilities.buying.into(), selling: liabilities.selling.into() }
}

/// Adds to what is owed; nothing is noted of those who owe nothing.
fn note(owing: &mut Owing, holder: &AccountId, asset: Asset, by: Owed) {
    if by != Owed::default() {
        let owed = owing.entry((holder.clone(), asset)).or_default();
        owed.buying += by.buying;
        owed.selling += by.selling;
    }
}

/// Shares and lines of a pool are those of its holders, and no pool is without.
fn assert_pool(entries: &Entries, pool: &LiquidityPoolEntry, what: &str) {
    let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
    let (mut shares, mut lines) = (0, 0);
    for entry in entries.values() {
        if let LedgerEntryData::Trustline(line) = &entry.data
            && line.asset == TrustLineAsset::PoolShare(pool.liquidity_pool_id.clone())
        {
            shares += line.balance;
            lines += 1;
        }
    }
    assert_eq!((body.total_pool_shares, body.pool_shares_trust_line_count), (shares, lines), "{what}");
    assert!(lines > 0 && body.reserve_a >= 0 && body.reserve_b >= 0, "{what}: {body:?}");
    let has_reserves = body.reserve_a > 0 && body.reserve_b > 0;
    assert!(shares == 0 || has_reserves, "{what}: shares of nothing: {body:?}");
}

fn asset_of(line: &TrustLineAsset) -> Option<Asset> {
    match line {
        TrustLineAsset::CreditAlphanum4(code) => Some(Asset::CreditAlphanum4(code.clone())),
        TrustLineAsset::CreditAlphanum12(code) => Some(Asset::CreditAlphanum12(code.clone())),
        TrustLineAsset::Native | TrustLineAsset::PoolShare(_) => None,
    }
}
