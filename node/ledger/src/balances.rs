//! Moving value: what a holder is credited and debited, and the supply that issuers move.
//!
//! An issuer has no balance of its own asset: paying from it issues, paying to it redeems.
//! **Source**: ledger specification 0.7 and A.5.

use carat_types::PublicKey;
use stellar_xdr::{AccountEntry, Asset, TrustLineEntry};

use crate::asset;
use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::StateKey;
use crate::overlay::Overlay;
use crate::reserves;

/// Why a holder cannot be credited or debited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No trustline; for the coin no account.
    NoLine,
    /// The issuer has not authorized the holder to pay and receive.
    NotAuthorized,
    /// No room to receive.
    Full,
    /// Not enough to spend.
    Underfunded,
}

const OVERFLOW: StateError = StateError::Inconsistent("a balance left its range after its limit was checked");

/// Credits `amount` > 0 to `holder`.
pub(crate) fn credit(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    asset: &Asset,
    amount: i64,
) -> Result<Option<Refusal>, StateError> {
    if asset::issuer(asset).as_ref() == Some(holder) {
        change_supply(ledger, asset, i128::from(amount).saturating_neg())?;
        return Ok(None);
    }
    if *asset == Asset::Native {
        let Some(account) = ledger.account_mut(holder)? else { return Ok(Some(Refusal::NoLine)) };
        if i128::from(amount) > reserves::room(account) {
            return Ok(Some(Refusal::Full));
        }
        account.balance = account.balance.checked_add(amount).ok_or(OVERFLOW)?;
        return Ok(None);
    }
    let Some(line) = ledger.trustline_mut(holder, asset)? else { return Ok(Some(Refusal::NoLine)) };
    if !reserves::is_authorized(line) {
        return Ok(Some(Refusal::NotAuthorized));
    }
    if i128::from(amount) > reserves::line_room(line) {
        return Ok(Some(Refusal::Full));
    }
    line.balance = line.balance.checked_add(amount).ok_or(OVERFLOW)?;
    Ok(None)
}

/// Debits `amount` > 0 from `holder`, who keeps the reserve and what offers would sell.
pub(crate) fn debit(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    asset: &Asset,
    amount: i64,
) -> Result<Option<Refusal>, StateError> {
    if asset::issuer(asset).as_ref() == Some(holder) {
        change_supply(ledger, asset, amount.into())?;
        return Ok(None);
    }
    if *asset == Asset::Native {
        let base_reserve = ledger.totals().base_reserve;
        let Some(account) = ledger.account_mut(holder)? else { return Ok(Some(Refusal::NoLine)) };
        if i128::from(amount) > reserves::available(account, base_reserve) {
            return Ok(Some(Refusal::Underfunded));
        }
        account.balance = account.balance.checked_sub(amount).ok_or(OVERFLOW)?;
        return Ok(None);
    }
    let Some(line) = ledger.trustline_mut(holder, asset)? else { return Ok(Some(Refusal::NoLine)) };
    if !reserves::is_authorized(line) {
        return Ok(Some(Refusal::NotAuthorized));
    }
    if i128::from(amount) > reserves::line_available(line) {
        return Ok(Some(Refusal::Underfunded));
    }
    line.balance = line.balance.checked_sub(amount).ok_or(OVERFLOW)?;
    Ok(None)
}

/// Changes what a holder has, by an offer or a pool: only the right to keep offers is asked, not that to pay.
///
/// **Returns** whether there was enough, and room enough. The entry counts as changed even by 0.
pub(crate) fn shift(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    asset: &Asset,
    by: i64,
) -> Result<bool, StateError> {
    if asset::issuer(asset).as_ref() == Some(holder) {
        change_supply(ledger, asset, i128::from(by).saturating_neg())?;
        return Ok(true);
    }
    if *asset == Asset::Native {
        let base_reserve = ledger.totals().base_reserve;
        let Some(account) = ledger.account_mut(holder)? else { return Ok(false) };
        let fits = if by < 0 {
            i128::from(by).saturating_neg() <= reserves::available(account, base_reserve)
        } else {
            i128::from(by) <= reserves::room(account)
        };
        if by != 0 && fits {
            account.balance = account.balance.checked_add(by).ok_or(OVERFLOW)?;
        }
        return Ok(by == 0 || fits);
    }
    let Some(line) = ledger.trustline_mut(holder, asset)? else { return Ok(false) };
    let fits = if by < 0 {
        i128::from(by).saturating_neg() <= reserves::line_available(line)
    } else {
        i128::from(by) <= reserves::line_room(line)
    };
    if by == 0 || (reserves::may_keep_offers(line) && fits) {
        line.balance = line.balance.checked_add(by).ok_or(OVERFLOW)?;
        return Ok(true);
    }
    Ok(false)
}

/// What a holder can sell by an offer: 0 without the right to keep offers.
pub(crate) fn sellable(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    asset: &Asset,
) -> Result<i64, StateError> {
    let base_reserve = ledger.totals().base_reserve;
    let of_account = |account: &AccountEntry| reserves::available(account, base_reserve);
    open_to_offers(ledger, holder, asset, of_account, reserves::line_available)
}

/// What a holder has room for by an offer: 0 without the right to keep offers.
pub(crate) fn receivable(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    asset: &Asset,
) -> Result<i64, StateError> {
    open_to_offers(ledger, holder, asset, reserves::room, reserves::line_room)
}

/// What is open to offers: of an issuer's own asset everything, else what account or line say, and never less than 0.
fn open_to_offers(
    ledger: &mut Overlay<'_>,
    holder: &PublicKey,
    asset: &Asset,
    of_account: impl Fn(&AccountEntry) -> i128,
    of_line: impl Fn(&TrustLineEntry) -> i128,
) -> Result<i64, StateError> {
    if asset::issuer(asset).as_ref() == Some(holder) {
        return Ok(i64::MAX);
    }
    let most = if *asset == Asset::Native {
        ledger.account(holder)?.map_or(0, of_account)
    } else {
        let line = ledger.trustline(holder, asset)?.filter(|line| reserves::may_keep_offers(line));
        line.map_or(0, of_line)
    };
    Ok(i64::try_from(most.max(0)).unwrap_or(i64::MAX))
}

/// Moves the supply of an issued asset. An asset of which nothing is left in the world has no entry.
pub(crate) fn change_supply(ledger: &mut Overlay<'_>, asset: &Asset, by: i128) -> Result<(), StateError> {
    let key = StateKey::Supply(asset.clone());
    let before = match ledger.get(&key)? {
        Some(StateValue::Supply(amount)) => *amount,
        _ => 0,
    };
    match before.checked_add(by).ok_or(OVERFLOW)? {
        0 => ledger.remove(&key),
        after => ledger.put(&key, StateValue::Supply(after)),
    }
}
