//! Who pays the reserve of an entry: counts on the owner and, where an entry carries one, on its sponsor.
//!
//! Beginning, ending and revoking sponsorships come with a later stage; what is here keeps the counts right when
//! an entry that may carry a sponsor is made or goes. **Source**: ledger specification A.5.

use carat_types::PublicKey;
use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1Ext, AccountEntryExtensionV2, LedgerEntryExt,
    SponsorshipDescriptor,
};

use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::StateKey;
use crate::overlay::Overlay;
use crate::reserves;

/// Most subentries of an account.
const SUBENTRIES_MAX: u32 = 1000;

const COUNTS: StateError = StateError::Inconsistent("a count of subentries or sponsorships is too low");

/// Why an account cannot have one more subentry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubentryRefusal {
    TooMany,
    LowReserve,
}

/// Whether `account` may have one more subentry and keep its reserve.
fn subentry_refusal(account: &AccountEntry, base_reserve: u32) -> Option<SubentryRefusal> {
    let sum = u64::from(reserves::sponsorships(account).sponsoring)
        .saturating_add(account.num_sub_entries.into())
        .saturating_add(1);
    if account.num_sub_entries >= SUBENTRIES_MAX || sum > u32::MAX.into() {
        Some(SubentryRefusal::TooMany)
    } else if reserves::available(account, base_reserve) < i128::from(base_reserve) {
        Some(SubentryRefusal::LowReserve)
    } else {
        None
    }
}

/// Counts one more subentry of `account` at its own expense.
pub(crate) fn add_subentry(account: &mut AccountEntry, base_reserve: u32) -> Result<(), SubentryRefusal> {
    match subentry_refusal(account, base_reserve) {
        Some(refusal) => Err(refusal),
        None => {
            account.num_sub_entries = account.num_sub_entries.saturating_add(1);
            Ok(())
        }
    }
}

/// Removes a trustline or data entry of `owner` and releases its reserve.
pub(crate) fn remove_subentry(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    key: &StateKey,
) -> Result<(), StateError> {
    let sponsor = sponsor_of(ledger, key)?;
    ledger.remove(key)?;
    let account = ledger.account_mut(owner)?.ok_or(COUNTS)?;
    account.num_sub_entries = account.num_sub_entries.checked_sub(1).ok_or(COUNTS)?;
    release(ledger, owner, sponsor.as_ref(), 1)
}

/// Removes an account, whose own reserve is two entries'.
pub(crate) fn remove_account(ledger: &mut Overlay<'_>, id: &PublicKey) -> Result<(), StateError> {
    let key = StateKey::account(id);
    if let Some(sponsor) = sponsor_of(ledger, &key)? {
        count_sponsoring_down(ledger, &sponsor, 2)?;
    }
    ledger.remove(&key)
}

/// Removes the signer at `position` of an account and releases its reserve.
pub(crate) fn remove_signer(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    position: usize,
) -> Result<(), StateError> {
    let account = ledger.account_mut(owner)?.ok_or(COUNTS)?;
    let mut signers = account.signers.to_vec();
    if position >= signers.len() {
        return Err(StateError::Inconsistent("a signer to be removed is not there"));
    }
    signers.remove(position);
    account.signers = signers.try_into().map_err(|_| COUNTS)?;
    account.num_sub_entries = account.num_sub_entries.checked_sub(1).ok_or(COUNTS)?;
    let mut sponsor = None;
    if let Some(v2) = extension_v2(account) {
        let mut sponsors = v2.signer_sponsoring_i_ds.to_vec();
        if position < sponsors.len() {
            sponsor = sponsors.remove(position).0.map(|id| PublicKey::from(&id));
        }
        v2.signer_sponsoring_i_ds = sponsors.try_into().map_err(|_| COUNTS)?;
    }
    release(ledger, owner, sponsor.as_ref(), 1)
}

/// Notes that the new signer at `position` has no sponsor, in accounts that keep such notes.
pub(crate) fn note_unsponsored_signer(account: &mut AccountEntry, position: usize) -> Result<(), StateError> {
    if let Some(v2) = extension_v2(account) {
        let mut sponsors = v2.signer_sponsoring_i_ds.to_vec();
        sponsors.insert(position.min(sponsors.len()), SponsorshipDescriptor(None));
        v2.signer_sponsoring_i_ds = sponsors.try_into().map_err(|_| COUNTS)?;
    }
    Ok(())
}

fn sponsor_of(ledger: &mut Overlay<'_>, key: &StateKey) -> Result<Option<PublicKey>, StateError> {
    let Some(StateValue::Ledger(entry)) = ledger.get(key)? else { return Ok(None) };
    Ok(match &entry.ext {
        LedgerEntryExt::V1(v1) => v1.sponsoring_id.0.as_ref().map(PublicKey::from),
        LedgerEntryExt::V0 => None,
    })
}

/// Takes `reserves` off the counts of an owner and its sponsor, if there was one.
fn release(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    sponsor: Option<&PublicKey>,
    reserves: u32,
) -> Result<(), StateError> {
    let Some(sponsor) = sponsor else { return Ok(()) };
    let v2 = ledger.account_mut(owner)?.and_then(extension_v2).ok_or(COUNTS)?;
    v2.num_sponsored = v2.num_sponsored.checked_sub(reserves).ok_or(COUNTS)?;
    count_sponsoring_down(ledger, sponsor, reserves)
}

fn count_sponsoring_down(
    ledger: &mut Overlay<'_>,
    sponsor: &PublicKey,
    reserves: u32,
) -> Result<(), StateError> {
    let v2 = ledger.account_mut(sponsor)?.and_then(extension_v2).ok_or(COUNTS)?;
    v2.num_sponsoring = v2.num_sponsoring.checked_sub(reserves).ok_or(COUNTS)?;
    Ok(())
}

fn extension_v2(account: &mut AccountEntry) -> Option<&mut AccountEntryExtensionV2> {
    match &mut account.ext {
        AccountEntryExt::V1(v1) => match &mut v1.ext {
            AccountEntryExtensionV1Ext::V2(v2) => Some(v2),
            AccountEntryExtensionV1Ext::V0 => None,
        },
        AccountEntryExt::V0 => None,
    }
}
