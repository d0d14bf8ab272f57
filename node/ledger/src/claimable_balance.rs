//! Balances that wait for one of several claimants: their ids, when they can be claimed, and the list of claims.
//!
//! **Source**: ledger specification A.2. "Before T" means that the close time is below T.

use carat_types::PublicKey;
use carat_types::hash::sha256;
use stellar_xdr::{
    Asset, ClaimPredicate, ClaimableBalanceEntry, ClaimableBalanceEntryExt, ClaimableBalanceEntryExtensionV1,
    ClaimableBalanceEntryExtensionV1Ext, ClaimableBalanceFlags, ClaimableBalanceId, Claimant, Hash,
    HashIdPreimage, LedgerEntryData, LedgerEntryExt,
};

use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::{StateKey, xdr};
use crate::overlay::Overlay;
use crate::sponsorship;

/// How deep predicates may be nested.
const DEPTH_MAX: u32 = 4;

#[expect(clippy::cast_sign_loss, reason = "the flag of the wire format is 1")]
const CLAWBACK: u32 = ClaimableBalanceFlags::ClaimableBalanceClawbackEnabledFlag as i32 as u32;

/// The id that follows from what makes the balance.
pub(crate) fn id_of(origin: &HashIdPreimage) -> ClaimableBalanceId {
    ClaimableBalanceId::ClaimableBalanceIdTypeV0(Hash(sha256(&[&xdr(origin)]).0))
}

/// A new balance.
pub(crate) fn new(
    balance_id: ClaimableBalanceId,
    claimants: Vec<Claimant>,
    asset: &Asset,
    amount: i64,
    is_clawback_enabled: bool,
) -> Result<ClaimableBalanceEntry, StateError> {
    let claimants = claimants
        .try_into()
        .map_err(|_| StateError::Inconsistent("a balance has more claimants than it can have"))?;
    let ext = match is_clawback_enabled {
        false => ClaimableBalanceEntryExt::V0,
        true => ClaimableBalanceEntryExt::V1(ClaimableBalanceEntryExtensionV1 {
            ext: ClaimableBalanceEntryExtensionV1Ext::V0,
            flags: CLAWBACK,
        }),
    };
    Ok(ClaimableBalanceEntry { balance_id, claimants, asset: asset.clone(), amount, ext })
}

/// The reserves that a balance takes: one for each claimant.
pub(crate) fn reserves(balance: &ClaimableBalanceEntry) -> u32 {
    u32::try_from(balance.claimants.len()).unwrap_or(u32::MAX)
}

/// Whether the issuer may take the balance back.
pub(crate) fn is_clawback_enabled(balance: &ClaimableBalanceEntry) -> bool {
    match &balance.ext {
        ClaimableBalanceEntryExt::V1(v1) => v1.flags & CLAWBACK != 0,
        ClaimableBalanceEntryExt::V0 => false,
    }
}

/// The balance with this id.
pub(crate) fn find(
    ledger: &mut Overlay<'_>,
    id: &ClaimableBalanceId,
) -> Result<Option<ClaimableBalanceEntry>, StateError> {
    let key = StateKey::claimable_balance(id.clone());
    Ok(ledger.get(&key)?.and_then(StateValue::as_claimable_balance).cloned())
}

/// Adds a balance and lists its claims.
pub(crate) fn insert(
    ledger: &mut Overlay<'_>,
    balance: ClaimableBalanceEntry,
    ext: LedgerEntryExt,
) -> Result<(), StateError> {
    for key in claims(&balance) {
        ledger.put(&key, StateValue::Listed)?;
    }
    let key = StateKey::claimable_balance(balance.balance_id.clone());
    ledger.create(&key, LedgerEntryData::ClaimableBalance(balance), ext)
}

/// Removes a balance with its claims, and releases its reserves.
pub(crate) fn remove(ledger: &mut Overlay<'_>, balance: &ClaimableBalanceEntry) -> Result<(), StateError> {
    for key in claims(balance) {
        ledger.remove(&key)?;
    }
    let key = StateKey::claimable_balance(balance.balance_id.clone());
    sponsorship::remove_unowned(ledger, &key, reserves(balance))
}

fn claims(balance: &ClaimableBalanceEntry) -> impl Iterator<Item = StateKey> {
    balance.claimants.iter().map(|claimant| {
        let Claimant::ClaimantTypeV0(claimant) = claimant;
        StateKey::Claim(PublicKey::from(&claimant.destination), balance.balance_id.clone())
    })
}

/// Whether a predicate is complete, not too deep, and names no time below 0.
pub(crate) fn is_well_formed(predicate: &ClaimPredicate) -> bool {
    is_well_formed_from(predicate, 1)
}

fn is_well_formed_from(predicate: &ClaimPredicate, depth: u32) -> bool {
    let deeper = |inner: &ClaimPredicate| is_well_formed_from(inner, depth.saturating_add(1));
    depth <= DEPTH_MAX
        && match predicate {
            ClaimPredicate::Unconditional => true,
            ClaimPredicate::And(both) | ClaimPredicate::Or(both) => {
                both.len() == 2 && both.iter().all(deeper)
            }
            ClaimPredicate::Not(inner) => inner.as_deref().is_some_and(deeper),
            ClaimPredicate::BeforeAbsoluteTime(time) | ClaimPredicate::BeforeRelativeTime(time) => *time >= 0,
        }
}

/// The predicate with times counted from `now` made into points of time.
pub(crate) fn absolute(predicate: &ClaimPredicate, now: u64) -> Result<ClaimPredicate, StateError> {
    const TWO: StateError = StateError::Inconsistent("a predicate has more than two parts");
    let both = |parts: &[ClaimPredicate]| -> Result<_, StateError> {
        let parts: Result<Vec<_>, _> = parts.iter().map(|part| absolute(part, now)).collect();
        parts?.try_into().map_err(|_| TWO)
    };
    Ok(match predicate {
        ClaimPredicate::And(parts) => ClaimPredicate::And(both(parts)?),
        ClaimPredicate::Or(parts) => ClaimPredicate::Or(both(parts)?),
        ClaimPredicate::Not(inner) => {
            let inner = inner.as_deref().map(|inner| absolute(inner, now)).transpose()?;
            ClaimPredicate::Not(inner.map(Box::new))
        }
        ClaimPredicate::BeforeRelativeTime(seconds) => {
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            ClaimPredicate::BeforeAbsoluteTime(now.saturating_add(*seconds))
        }
        ClaimPredicate::Unconditional | ClaimPredicate::BeforeAbsoluteTime(_) => predicate.clone(),
    })
}

/// Whether a predicate of a balance holds.
pub(crate) fn holds(predicate: &ClaimPredicate, now: u64) -> bool {
    match predicate {
        ClaimPredicate::Unconditional => true,
        ClaimPredicate::And(both) => both.iter().all(|part| holds(part, now)),
        ClaimPredicate::Or(either) => either.iter().any(|part| holds(part, now)),
        ClaimPredicate::Not(inner) => !inner.as_deref().is_some_and(|inner| holds(inner, now)),
        ClaimPredicate::BeforeAbsoluteTime(time) => u64::try_from(*time).is_ok_and(|time| now < time),
        // Balances hold points of time alone.
        ClaimPredicate::BeforeRelativeTime(_) => false,
    }
}
