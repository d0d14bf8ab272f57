//! Conservation: nothing of an asset appears or vanishes but by its issuer's hand, checked after every block.
//!
//! Operations move an asset's supply entry where an issuer issues, redeems or claws back. Here the holdings are
//! added up from the entries themselves, so that a fault in an operation shows as a difference between the two.
//! **Source**: ledger specification 0.7.

use std::collections::BTreeMap;

use stellar_xdr::{Asset, LedgerEntry, LedgerEntryData, LiquidityPoolEntryBody};

use crate::asset;
use crate::entry::{StateValue, Totals};
use crate::error::{ApplyError, StateError};
use crate::key::StateKey;
use crate::overlay::Differences;

const OVERFLOW: StateError = StateError::Inconsistent("a sum of holdings left its range");

/// Holdings and supply of an asset; changes of a block, or totals of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sum over all holders, for the coin with the fee pool. **Units**: ten-millionths of the asset's unit.
    pub holdings: i128,
    /// The supply entry, for the coin the total. **Units**: ten-millionths of the asset's unit.
    pub supply: i128,
}

impl Figures {
    /// Whether holdings and supply agree.
    pub fn agree(&self) -> bool {
        self.holdings == self.supply
    }
}

/// Checks that a block conserves every asset that it touches.
///
/// **Errors**: [`ApplyError::Conservation`] for the first asset that it does not.
pub(crate) fn assert_conserved(differences: &Differences) -> Result<(), ApplyError> {
    let mut changes: BTreeMap<Asset, Figures> = BTreeMap::new();
    for (key, before, now) in differences.iter() {
        if let Some(value) = before {
            add(&mut changes, key, value, -1)?;
        }
        if let Some(value) = now {
            add(&mut changes, key, value, 1)?;
        }
    }
    match changes.into_iter().find(|(_, figures)| !figures.agree()) {
        None => Ok(()),
        Some((asset, Figures { holdings, supply })) => {
            Err(ApplyError::Conservation { asset: Box::new(asset), holdings, supply })
        }
    }
}

/// Adds up all holdings of a state and compares them with the supply entries.
///
/// **Returns** the figures of every asset, and of the coin as [`Asset::Native`]; see [`Figures::agree`].
/// **Errors**: an entry that does not decode.
pub fn audit_supply<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = (K, V)>,
) -> Result<BTreeMap<Asset, Figures>, StateError> {
    let mut totals = BTreeMap::new();
    for (key, value) in entries {
        let key = StateKey::from_bytes(key.as_ref())?;
        let value = StateValue::from_bytes(&key, value.as_ref())?;
        add(&mut totals, &key, &value, 1)?;
    }
    Ok(totals)
}

/// Adds what an entry holds or says, `sign` times.
fn add(
    figures: &mut BTreeMap<Asset, Figures>,
    key: &StateKey,
    value: &StateValue,
    sign: i128,
) -> Result<(), StateError> {
    let mut hold = |asset: Asset, amount: i64| {
        let figures = figures.entry(asset).or_default();
        plus(&mut figures.holdings, i128::from(amount), sign)
    };
    match (key, value) {
        (_, StateValue::Ledger(LedgerEntry { data, .. })) => match data {
            LedgerEntryData::Account(account) => hold(Asset::Native, account.balance),
            LedgerEntryData::Trustline(line) => match asset::of_trustline(&line.asset) {
                Some(asset) => hold(asset, line.balance),
                // Shares of a pool are no asset of an issuer; what they stand for is counted in the pool.
                None => Ok(()),
            },
            LedgerEntryData::ClaimableBalance(balance) => hold(balance.asset.clone(), balance.amount),
            LedgerEntryData::LiquidityPool(pool) => {
                let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(pool) = &pool.body;
                hold(pool.params.asset_a.clone(), pool.reserve_a)?;
                hold(pool.params.asset_b.clone(), pool.reserve_b)
            }
            _ => Ok(()),
        },
        (_, StateValue::Totals(Totals { fee_pool, total_coins, .. })) => {
            hold(Asset::Native, *fee_pool)?;
            plus(&mut figures.entry(Asset::Native).or_default().supply, (*total_coins).into(), sign)
        }
        (StateKey::Supply(asset), StateValue::Supply(amount)) => {
            plus(&mut figures.entry(asset.clone()).or_default().supply, *amount, sign)
        }
        _ => Ok(()),
    }
}

fn plus(sum: &mut i128, amount: i128, sign: i128) -> Result<(), StateError> {
    let amount = amount.checked_mul(sign).ok_or(OVERFLOW)?;
    *sum = sum.checked_add(amount).ok_or(OVERFLOW)?;
    Ok(())
}

#[cfg(test)]
mod tests;
