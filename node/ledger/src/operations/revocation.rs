//! What goes when a holder loses all authorization for an asset: its offers in the asset, and its shares of pools that
//! hold the asset, which become claimable balances of both assets.
//!
//! **Source**: ledger specification A.2, SetTrustLineFlags.

use carat_types::PublicKey;
use stellar_xdr::{
    Asset, ClaimPredicate, Claimant, ClaimantV0, HashIdPreimage, HashIdPreimageRevokeId, LedgerEntryType,
    LedgerKey, PoolId, SequenceNumber,
};

use super::{Context, OperationError};
use crate::error::StateError;
use crate::key::StateKey;
use crate::order_book::{self, Listed};
use crate::sponsorship::{self, Refusal};
use crate::{asset, balances, claimable_balance, liabilities, liquidity_pool, reserves};

/// Removes offers and shares.
///
/// **Returns** why the reserve of a claimable balance cannot be paid, if so; then all of it is to be undone.
pub(super) fn revoke(
    context: &mut Context<'_, '_>,
    holder: &PublicKey,
    asset: &Asset,
) -> Result<Option<Refusal>, OperationError> {
    remove_offers(context, holder, asset)?;
    for key in context.ledger.listed(&StateKey::pool_lines_prefix(holder))? {
        let StateKey::Ledger(LedgerKey::Trustline(line)) = &key else { continue };
        let stellar_xdr::TrustLineAsset::PoolShare(id) = &line.asset else { continue };
        let pool = liquidity_pool::existing(context.ledger, id)?;
        let uses_asset = [&pool.params.asset_a, &pool.params.asset_b].contains(&asset);
        if uses_asset && let Some(refusal) = redeem(context, holder, id)? {
            return Ok(Some(refusal));
        }
    }
    Ok(None)
}

fn remove_offers(
    context: &mut Context<'_, '_>,
    holder: &PublicKey,
    asset: &Asset,
) -> Result<(), OperationError> {
    const VANISHED: StateError = StateError::Inconsistent("a listed offer is not there");
    let ledger = &mut *context.ledger;
    for key in ledger.listed(&StateKey::owned_prefix(LedgerEntryType::Offer, holder))? {
        let StateKey::Ledger(LedgerKey::Offer(name)) = &key else { continue };
        let Listed { offer, ext } = order_book::find(ledger, holder, name.offer_id)?.ok_or(VANISHED)?;
        if offer.buying == *asset || offer.selling == *asset {
            liabilities::release(ledger, &offer)?;
            order_book::remove(ledger, &offer)?;
            let sponsor = sponsorship::sponsor_in(&ext);
            sponsorship::release_subentry(ledger, holder, sponsor.as_ref(), 1)?;
        }
    }
    Ok(())
}

/// Turns a holder's shares of a pool into claimable balances, and closes the line.
fn redeem(
    context: &mut Context<'_, '_>,
    holder: &PublicKey,
    id: &PoolId,
) -> Result<Option<Refusal>, OperationError> {
    const NO_LINE: StateError = StateError::Inconsistent("a listed line of pool shares is not there");
    let key = StateKey::pool_line(holder, id.clone());
    let ledger = &mut *context.ledger;
    let line = ledger.line_mut(&key)?.ok_or(NO_LINE)?;
    let (shares, reserves) = (line.balance, reserves::line_reserves(&line.asset));
    // Whoever paid for the line pays for the balances.
    let payer = sponsorship::sponsor_of(ledger, &key)?.unwrap_or(*holder);
    sponsorship::remove_subentry(ledger, holder, &key, reserves)?;
    if shares != 0 {
        let pool = liquidity_pool::existing(ledger, id)?;
        let a = liquidity_pool::worth(shares, pool.total_pool_shares, pool.reserve_a)?;
        let b = liquidity_pool::worth(shares, pool.total_pool_shares, pool.reserve_b)?;
        for (asset, amount) in [(&pool.params.asset_a, a), (&pool.params.asset_b, b)] {
            if let Some(refusal) = pay_out(context, holder, &payer, id, asset, amount)? {
                return Ok(Some(refusal));
            }
        }
        liquidity_pool::update(context.ledger, id, |pool| {
            pool.total_pool_shares = pool.total_pool_shares.checked_sub(shares)?;
            pool.reserve_a = pool.reserve_a.checked_sub(a)?;
            pool.reserve_b = pool.reserve_b.checked_sub(b)?;
            Some(())
        })?;
    }
    liquidity_pool::remove_line(context.ledger, holder, id)?;
    Ok(None)
}

/// Sets one asset of the pool aside for the holder. What is the holder's own asset is redeemed.
fn pay_out(
    context: &mut Context<'_, '_>,
    holder: &PublicKey,
    payer: &PublicKey,
    pool: &PoolId,
    asset: &Asset,
    amount: i64,
) -> Result<Option<Refusal>, OperationError> {
    const NO_LINE: StateError = StateError::Inconsistent("a holder of pool shares lacks a line of an asset");
    let ledger = &mut *context.ledger;
    if amount == 0 {
        return Ok(None);
    }
    if asset::issuer(asset).as_ref() == Some(holder) {
        balances::change_supply(ledger, asset, i128::from(amount).saturating_neg())?;
        return Ok(None);
    }
    let is_clawback_enabled = match asset {
        Asset::Native => false,
        _ => {
            let line = ledger.trustline_mut(holder, asset)?.ok_or(NO_LINE)?;
            line.flags & reserves::TRUSTLINE_CLAWBACK != 0
        }
    };
    let id = claimable_balance::id_of(&HashIdPreimage::PoolRevokeOpId(HashIdPreimageRevokeId {
        source_account: context.transaction.source().into(),
        seq_num: SequenceNumber(context.transaction.sequence()),
        op_num: context.index,
        liquidity_pool_id: pool.clone(),
        asset: asset.clone(),
    }));
    let claimant = ClaimantV0 { destination: (*holder).into(), predicate: ClaimPredicate::Unconditional };
    let claimants = vec![Claimant::ClaimantTypeV0(claimant)];
    let balance = claimable_balance::new(id, claimants, asset, amount, is_clawback_enabled)?;
    // The reserves of the line are free again, and as many as the two balances take: nothing to check, unless somebody
    // else pays at this point of the transaction.
    let ext = match context.sponsors.get(payer).copied() {
        None => sponsorship::add_unowned_unchecked(context.ledger, payer, 1)?,
        Some(sponsor) => {
            context.ledger.account_mut(payer)?;
            match sponsorship::add_unowned(context.ledger, &sponsor, 1)? {
                Ok(ext) => ext,
                Err(refusal) => return Ok(Some(refusal)),
            }
        }
    };
    claimable_balance::insert(context.ledger, balance, ext)?;
    Ok(None)
}
