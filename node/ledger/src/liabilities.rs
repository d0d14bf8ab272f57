//! What an account's offers would buy and sell, kept on the account and its trustlines so that nothing else spends it.
//!
//! **Source**: ledger specification A.5 and A.6. Invariant: the liabilities of a holder in an asset are the sums
//! over its offers.

use carat_types::PublicKey;
use stellar_xdr::{Asset, Liabilities, OfferEntry};

use crate::asset;
use crate::error::{Fault, StateError};
use crate::exchange::offer_liabilities;
use crate::extension::{with_account_v1, with_line_v1};
use crate::operations::OperationError;
use crate::overlay::Overlay;
use crate::reserves;

/// Adds the liabilities of an offer to those of its owner.
pub(crate) fn acquire(ledger: &mut Overlay<'_>, offer: &OfferEntry) -> Result<(), OperationError> {
    let Liabilities { buying, selling } = offer_liabilities(&offer.price, offer.amount)?;
    change(ledger, offer, buying, selling)
}

/// Takes the liabilities of an offer off those of its owner.
pub(crate) fn release(ledger: &mut Overlay<'_>, offer: &OfferEntry) -> Result<(), OperationError> {
    let Liabilities { buying, selling } = offer_liabilities(&offer.price, offer.amount)?;
    change(ledger, offer, buying.saturating_neg(), selling.saturating_neg())
}

fn change(
    ledger: &mut Overlay<'_>,
    offer: &OfferEntry,
    buying: i64,
    selling: i64,
) -> Result<(), OperationError> {
    let seller = PublicKey::from(&offer.seller_id);
    let buying_only = Liabilities { buying, selling: 0 };
    let selling_only = Liabilities { buying: 0, selling };
    add(ledger, &seller, &offer.buying, &buying_only)?;
    add(ledger, &seller, &offer.selling, &selling_only)
}

/// Changes a holder's liabilities in an asset. The entry counts as changed even if they stay as they are.
fn add(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    of: &Asset,
    by: &Liabilities,
) -> Result<(), OperationError> {
    const NO_ENTRY: StateError = StateError::Inconsistent("an offer's owner lacks an account or trustline");
    const UNAUTHORIZED: Fault = Fault("an offer's owner may not keep offers in its asset");
    if asset::issuer(of).as_ref() == Some(holder) {
        return Ok(());
    }
    let base_reserve = ledger.totals().base_reserve;
    let is_change = by.buying != 0 || by.selling != 0;
    if *of == Asset::Native {
        let account = ledger.account_mut(holder)?.ok_or(NO_ENTRY)?;
        if is_change {
            let room = i128::from(i64::MAX).saturating_sub(account.balance.into());
            let most =
                i128::from(account.balance).saturating_sub(reserves::minimum_balance(account, base_reserve));
            let sum = within(reserves::account_liabilities(account), by, room, most)?;
            with_account_v1(account, |v1| v1.liabilities = sum);
        }
    } else {
        let line = ledger.trustline_mut(holder, of)?.ok_or(NO_ENTRY)?;
        if is_change {
            if !reserves::may_keep_offers(line) {
                return Err(UNAUTHORIZED.into());
            }
            let room = i128::from(line.limit).saturating_sub(line.balance.into());
            let sum = within(reserves::line_liabilities(line), by, room, line.balance.into())?;
            with_line_v1(line, |v1| v1.liabilities = sum);
        }
    }
    Ok(())
}

/// The sum, each part that changes between 0 and its bound.
fn within(now: &Liabilities, by: &Liabilities, room: i128, most: i128) -> Result<Liabilities, Fault> {
    Ok(Liabilities {
        buying: sum(now.buying, by.buying, room)?,
        selling: sum(now.selling, by.selling, most)?,
    })
}

fn sum(now: i64, by: i64, most: i128) -> Result<i64, Fault> {
    const OUT_OF_RANGE: Fault = Fault("liabilities leave the range of their holder's balance");
    match now.checked_add(by) {
        _ if by == 0 => Ok(now),
        Some(sum) if sum >= 0 && i128::from(sum) <= most => Ok(sum),
        _ => Err(OUT_OF_RANGE),
    }
}
