//! Whose a record is: the accounts that may see it. Pure.
//!
//! A record is that of the accounts that act in it and are acted upon, and of the issuers of its assets. The table in
//! docs/privacy.md has a row for each function.

use std::collections::BTreeSet;

use carat_history::participants;
use carat_history::view::{DecodedChanges, EntryPair, claims_of};
use carat_history::{
    EffectKind, EffectRecord, HistoryError, Maker, OperationRecord, TradeRecord, TransactionRecord,
};
use carat_types::signature::{Claim, Signature, verify};
use carat_types::transaction::account_of;
use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    AccountEntry, Asset, ChangeTrustAsset, ClaimAtom, Claimant, DecoratedSignature, LedgerEntry,
    LedgerEntryData, LedgerEntryExt, LedgerKey, LiquidityPoolEntry, LiquidityPoolEntryBody,
    LiquidityPoolParameters, OperationBody, OperationResult, SignerKey, TrustLineAsset,
};

/// Accounts that may see a record.
pub(super) type Stakeholders = BTreeSet<PublicKey>;

/// Who issues an asset; nobody the native coin.
pub(super) fn issuer(asset: &Asset) -> Option<PublicKey> {
    match asset {
        Asset::Native => None,
        Asset::CreditAlphanum4(asset) => Some((&asset.issuer).into()),
        Asset::CreditAlphanum12(asset) => Some((&asset.issuer).into()),
    }
}

/// Who issues what a line holds; nobody a share of a pool, which `pool` answers for.
pub(super) fn issuer_of_line(asset: &TrustLineAsset) -> Option<PublicKey> {
    match asset {
        TrustLineAsset::Native | TrustLineAsset::PoolShare(_) => None,
        TrustLineAsset::CreditAlphanum4(asset) => Some((&asset.issuer).into()),
        TrustLineAsset::CreditAlphanum12(asset) => Some((&asset.issuer).into()),
    }
}

/// Of an operation: its participants, and the issuers of the assets that it names.
pub(super) fn of_operation(record: &OperationRecord) -> Stakeholders {
    let Some(operation) = record.operation() else { return Stakeholders::new() };
    let mut found = participants::of_operation(&record.transaction.transaction, operation);
    found.extend(issuers_named(&operation.body));
    found
}

/// The issuers of the assets in an operation's own words.
fn issuers_named(body: &OperationBody) -> Vec<PublicKey> {
    let assets: Vec<&Asset> = match body {
        OperationBody::Payment(op) => vec![&op.asset],
        OperationBody::PathPaymentStrictReceive(op) => {
            [&op.send_asset, &op.dest_asset].into_iter().chain(op.path.iter()).collect()
        }
        OperationBody::PathPaymentStrictSend(op) => {
            [&op.send_asset, &op.dest_asset].into_iter().chain(op.path.iter()).collect()
        }
        OperationBody::ManageSellOffer(op) => vec![&op.selling, &op.buying],
        OperationBody::CreatePassiveSellOffer(op) => vec![&op.selling, &op.buying],
        OperationBody::ManageBuyOffer(op) => vec![&op.selling, &op.buying],
        OperationBody::CreateClaimableBalance(op) => vec![&op.asset],
        OperationBody::Clawback(op) => vec![&op.asset],
        OperationBody::SetTrustLineFlags(op) => vec![&op.asset],
        OperationBody::ChangeTrust(op) => return issuers_of_trust(&op.line),
        // These name no asset: `issuers_changed` finds that of a balance or pool.
        _ => Vec::new(),
    };
    assets.into_iter().filter_map(issuer).collect()
}

fn issuers_of_trust(line: &ChangeTrustAsset) -> Vec<PublicKey> {
    match line {
        ChangeTrustAsset::Native => Vec::new(),
        ChangeTrustAsset::CreditAlphanum4(asset) => vec![(&asset.issuer).into()],
        ChangeTrustAsset::CreditAlphanum12(asset) => vec![(&asset.issuer).into()],
        ChangeTrustAsset::PoolShare(LiquidityPoolParameters::LiquidityPoolConstantProduct(pool)) => {
            [&pool.asset_a, &pool.asset_b].into_iter().filter_map(issuer).collect()
        }
    }
}

/// The issuers of the assets in the entries that an operation changed, where changes are known.
///
/// **Errors**: damaged changes.
pub(super) fn issuers_changed(record: &OperationRecord) -> Result<Stakeholders, HistoryError> {
    let changes = DecodedChanges::of(&record.transaction)?;
    let pairs = changes.operation(record.index());
    let entries = pairs.iter().flat_map(|EntryPair { before, after }| [*before, *after]).flatten();
    Ok(entries.flat_map(issuers_of_entry).collect())
}

fn issuers_of_entry(entry: &LedgerEntry) -> Vec<PublicKey> {
    let issuers = match &entry.data {
        LedgerEntryData::Trustline(line) => return issuer_of_line(&line.asset).into_iter().collect(),
        LedgerEntryData::LiquidityPool(pool) => return pool_issuers(pool),
        LedgerEntryData::Offer(offer) => [issuer(&offer.selling), issuer(&offer.buying)],
        LedgerEntryData::ClaimableBalance(balance) => [issuer(&balance.asset), None],
        _ => [None, None],
    };
    issuers.into_iter().flatten().collect()
}

/// Of what one operation claimed in the books and pools: for each claim its maker, and the issuers of both assets. Who
/// sees all of these, or acts in the operation, sees its result.
pub(super) fn of_claims(result: &OperationResult) -> Vec<Stakeholders> {
    let OperationResult::OpInner(inner) = result else { return Vec::new() };
    let claim = |atom: &ClaimAtom| {
        let (maker, sold, bought) = match atom {
            ClaimAtom::V0(atom) => {
                (Some(PublicKey(atom.seller_ed25519.0)), &atom.asset_sold, &atom.asset_bought)
            }
            ClaimAtom::OrderBook(atom) => {
                (Some(PublicKey::from(&atom.seller_id)), &atom.asset_sold, &atom.asset_bought)
            }
            ClaimAtom::LiquidityPool(atom) => (None, &atom.asset_sold, &atom.asset_bought),
        };
        maker.into_iter().chain(issuer(sold)).chain(issuer(bought)).collect()
    };
    claims_of(inner).iter().map(claim).collect()
}

/// Of a transaction as a whole, whatever its operations: whose sequence number it uses, and who pays its fee. Both have
/// signed all of it.
pub(super) fn of_envelope(record: &TransactionRecord) -> Stakeholders {
    Stakeholders::from([record.transaction.source(), record.transaction.fee_source()])
}

/// Whether `key` signed the transaction, or the fee bump around it. Verified: the four bytes of a hint can be chosen.
pub(super) fn signed_by(record: &TransactionRecord, key: &PublicKey) -> bool {
    let signed = &record.transaction;
    let by = |hash: &Digest, signatures: &[DecoratedSignature]| {
        signatures.iter().any(|signature| is_signature(key, hash, signature))
    };
    match signed.fee_bump() {
        Some(bump) => by(signed.hash(), &bump.signatures) || by(signed.inner_hash(), signed.signatures()),
        None => by(signed.hash(), signed.signatures()),
    }
}

/// Whether a signature is the one of `key` over `hash`.
pub(super) fn is_signature(key: &PublicKey, hash: &Digest, signature: &DecoratedSignature) -> bool {
    if signature.hint.0 != key.hint() {
        return false;
    }
    let Ok(bytes) = <[u8; 64]>::try_from(signature.signature.0.as_slice()) else { return false };
    verify(Claim { key, message: hash.as_bytes(), signature: &Signature(bytes) })
}

/// Of an effect: the account that it is on, and the issuers of its assets.
pub(super) fn of_effect(record: &EffectRecord) -> Stakeholders {
    let mut found = Stakeholders::from([account_of(&record.effect.account)]);
    let assets: Vec<&Asset> = match &record.effect.kind {
        EffectKind::AccountCredited((asset, _)) | EffectKind::AccountDebited((asset, _)) => vec![asset],
        EffectKind::Trustline { asset, .. } => {
            found.extend(issuer_of_line(asset));
            Vec::new()
        }
        EffectKind::TrustlineAuthorized { asset, .. } | EffectKind::TrustlineFlagsUpdated { asset, .. } => {
            vec![asset]
        }
        EffectKind::Trade { sold, bought, .. } => vec![&sold.0, &bought.0],
        EffectKind::BalanceCreated { amount, .. }
        | EffectKind::BalanceClaimantCreated { amount, .. }
        | EffectKind::BalanceClaimed { amount, .. } => vec![&amount.0],
        EffectKind::PoolDeposited { pool, .. }
        | EffectKind::PoolWithdrew { pool, .. }
        | EffectKind::PoolTrade { pool, .. }
        | EffectKind::PoolCreated { pool }
        | EffectKind::PoolRevoked { pool, .. } => {
            found.extend(pool_issuers(pool));
            Vec::new()
        }
        // What concerns the account alone.
        EffectKind::AccountCreated { .. }
        | EffectKind::AccountRemoved
        | EffectKind::ThresholdsUpdated { .. }
        | EffectKind::HomeDomainUpdated(_)
        | EffectKind::FlagsUpdated { .. }
        | EffectKind::InflationDestinationUpdated(_)
        | EffectKind::Signer { .. }
        | EffectKind::Data { .. }
        | EffectKind::SequenceBumped { .. }
        | EffectKind::BalanceClawedBack { .. }
        | EffectKind::Sponsorship { .. }
        | EffectKind::PoolRemoved { .. } => Vec::new(),
    };
    found.extend(assets.into_iter().filter_map(issuer));
    found
}

/// Of a trade: both sides, and the issuers of both assets.
pub(super) fn of_trade(record: &TradeRecord) -> Stakeholders {
    let trade = &record.trade;
    let maker = match &trade.maker {
        Maker::Offer { seller, .. } => Some(*seller),
        Maker::Pool { .. } => None,
    };
    let issuers = [issuer(&trade.sold.0), issuer(&trade.bought.0)];
    issuers.into_iter().flatten().chain(maker).chain([trade.taker]).collect()
}

/// Of an entry of the present that has a list of its own: an offer, a claimable balance, a pool.
///
/// A pool's holders are not in its entry: who has a line of its shares sees it as well.
pub(super) fn of_entry(entry: &LedgerEntry) -> Stakeholders {
    let mut found: Stakeholders = issuers_of_entry(entry).into_iter().collect();
    match &entry.data {
        LedgerEntryData::Offer(offer) => _ = found.insert((&offer.seller_id).into()),
        LedgerEntryData::ClaimableBalance(balance) => {
            let claimant =
                |Claimant::ClaimantTypeV0(claimant): &Claimant| PublicKey::from(&claimant.destination);
            found.extend(balance.claimants.iter().map(claimant));
            // Who pays for a balance is who set it aside.
            found.extend(sponsor(entry));
        }
        _ => {}
    }
    found
}

/// Of a key, whatever stands under it: whose entry it would be, and the issuer of what a line would hold. Claimable balances
/// and pools do not say in their keys whose they are.
pub(super) fn of_key(key: &LedgerKey) -> Stakeholders {
    match key {
        LedgerKey::Account(key) => [(&key.account_id).into()].into(),
        LedgerKey::Trustline(key) => {
            issuer_of_line(&key.asset).into_iter().chain([(&key.account_id).into()]).collect()
        }
        LedgerKey::Offer(key) => [(&key.seller_id).into()].into(),
        LedgerKey::Data(key) => [(&key.account_id).into()].into(),
        _ => Stakeholders::new(),
    }
}

/// Of an account: itself, and the keys that may sign for it.
pub(super) fn of_account(entry: &AccountEntry) -> Stakeholders {
    let signers = entry.signers.iter().filter_map(|signer| match &signer.key {
        SignerKey::Ed25519(key) => Some(PublicKey(key.0)),
        _ => None,
    });
    signers.chain([(&entry.account_id).into()]).collect()
}

fn sponsor(entry: &LedgerEntry) -> Option<PublicKey> {
    match &entry.ext {
        LedgerEntryExt::V0 => None,
        LedgerEntryExt::V1(extension) => extension.sponsoring_id.0.as_ref().map(PublicKey::from),
    }
}

/// The issuers of what a pool holds.
fn pool_issuers(pool: &LiquidityPoolEntry) -> Vec<PublicKey> {
    let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
    [&body.params.asset_a, &body.params.asset_b].into_iter().filter_map(issuer).collect()
}
