//! Who pays the reserve of an entry: counts on the owner and, where an entry carries one, on its sponsor.
//!
//! Between the operations that begin and end it, one account pays for whatever entries another makes. **Source**:
//! ledger specification A.5.

use std::collections::BTreeMap;

use carat_types::PublicKey;
use stellar_xdr::{AccountEntry, LedgerEntryExt, SponsorshipDescriptor};

use crate::entry::StateValue;
use crate::error::StateError;
use crate::extension::{account_v2, sponsored_by, with_account_v2};
use crate::key::StateKey;
use crate::overlay::Overlay;
use crate::reserves;

/// Most subentries of an account.
const SUBENTRIES_MAX: u32 = 1000;
/// Reserves that an account itself takes.
const ACCOUNT_RESERVES: u32 = 2;

const COUNTS: StateError = StateError::Inconsistent("a count of subentries or sponsorships is too low");
const OVERFLOW: StateError = StateError::Inconsistent("a count of sponsorships is too high");
const NO_OWNER: StateError =
    StateError::Inconsistent("the owner of an entry, or its sponsor, does not exist");
const SIGNERS: StateError = StateError::Inconsistent("the signers of an account and their sponsors differ");

/// Who pays for whom at this point of a transaction: the sponsor of each sponsored account.
pub(crate) type Sponsors = BTreeMap<PublicKey, PublicKey>;

/// Why an entry cannot be made, or its reserve not paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The owner has too many subentries.
    TooManySubentries,
    /// Who would pay has not enough above its own reserve.
    LowReserve,
    /// Who would pay sponsors too much.
    TooManySponsoring,
}

/// Whether it is allowed; inside, the state was readable.
type Verdict<T> = Result<Result<T, Refusal>, StateError>;

/// Counts a new subentry of `owner` that takes so many reserves.
///
/// **Returns** the extension that the entry is to carry.
pub(crate) fn add_subentry(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    sponsor: Option<&PublicKey>,
    reserves: u32,
) -> Verdict<LedgerEntryExt> {
    let base_reserve = ledger.totals().base_reserve;
    let account = ledger.account_mut(owner)?.ok_or(NO_OWNER)?;
    if has_too_many_subentries(account, reserves) {
        return Ok(Err(Refusal::TooManySubentries));
    }
    let ext = match sponsor {
        None if !can_pay(account, base_reserve, reserves) => return Ok(Err(Refusal::LowReserve)),
        None => LedgerEntryExt::V0,
        Some(sponsor) => {
            if let Err(refusal) = take_over(ledger, sponsor, reserves)? {
                return Ok(Err(refusal));
            }
            count_sponsored(ledger, owner, reserves)?;
            sponsored_by(descriptor(sponsor))
        }
    };
    let account = ledger.account_mut(owner)?.ok_or(NO_OWNER)?;
    account.num_sub_entries = account.num_sub_entries.checked_add(reserves).ok_or(OVERFLOW)?;
    Ok(Ok(ext))
}

/// Counts an entry that belongs to nobody, at the expense of `payer`.
///
/// **Returns** the extension that the entry is to carry.
pub(crate) fn add_unowned(
    ledger: &mut Overlay<'_>,
    payer: &PublicKey,
    reserves: u32,
) -> Verdict<LedgerEntryExt> {
    let taken = take_over(ledger, payer, reserves)?;
    Ok(taken.map(|()| sponsored_by(descriptor(payer))))
}

/// The same without a look at what `payer` can afford: for entries that replace others of the same cost.
pub(crate) fn add_unowned_unchecked(
    ledger: &mut Overlay<'_>,
    payer: &PublicKey,
    reserves: u32,
) -> Result<LedgerEntryExt, StateError> {
    count_sponsoring(ledger, payer, reserves)?;
    Ok(sponsored_by(descriptor(payer)))
}

/// Takes over the two reserves of an account that is about to be made.
///
/// **Returns** the extension that its entry is to carry.
pub(crate) fn add_account(
    ledger: &mut Overlay<'_>,
    account: &mut AccountEntry,
    sponsor: Option<&PublicKey>,
) -> Verdict<LedgerEntryExt> {
    let Some(sponsor) = sponsor else {
        let base_reserve = ledger.totals().base_reserve;
        let enough = i128::from(account.balance) >= reserves::minimum_balance(account, base_reserve);
        return Ok(if enough { Ok(LedgerEntryExt::V0) } else { Err(Refusal::LowReserve) });
    };
    if let Err(refusal) = take_over(ledger, sponsor, ACCOUNT_RESERVES)? {
        return Ok(Err(refusal));
    }
    add_sponsored(account, ACCOUNT_RESERVES)?;
    Ok(Ok(sponsored_by(descriptor(sponsor))))
}

/// Counts the signer at `position`, which was just put there, in accounts that keep notes with an empty one.
pub(crate) fn add_signer(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    sponsor: Option<&PublicKey>,
    position: usize,
) -> Verdict<()> {
    let ext = add_subentry(ledger, owner, sponsor, 1)?;
    if let (Ok(_), Some(sponsor)) = (&ext, sponsor) {
        let account = ledger.account_mut(owner)?.ok_or(NO_OWNER)?;
        set_signer_sponsor(account, position, descriptor(sponsor))?;
    }
    Ok(ext.map(|_| ()))
}

/// Removes an entry of `owner` that takes so many reserves, and releases them.
pub(crate) fn remove_subentry(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    key: &StateKey,
    reserves: u32,
) -> Result<(), StateError> {
    let sponsor = sponsor_of(ledger, key)?;
    ledger.remove(key)?;
    release_subentry(ledger, owner, sponsor.as_ref(), reserves)
}

/// Releases the reserves of a subentry of `owner`.
pub(crate) fn release_subentry(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    sponsor: Option<&PublicKey>,
    reserves: u32,
) -> Result<(), StateError> {
    let account = ledger.account_mut(owner)?.ok_or(COUNTS)?;
    account.num_sub_entries = account.num_sub_entries.checked_sub(reserves).ok_or(COUNTS)?;
    if let Some(sponsor) = sponsor {
        remove_sponsored(account, reserves)?;
        count_sponsoring_down(ledger, sponsor, reserves)?;
    }
    Ok(())
}

/// Removes an entry that belongs to nobody, and releases its reserves.
pub(crate) fn remove_unowned(
    ledger: &mut Overlay<'_>,
    key: &StateKey,
    reserves: u32,
) -> Result<(), StateError> {
    if let Some(sponsor) = sponsor_of(ledger, key)? {
        count_sponsoring_down(ledger, &sponsor, reserves)?;
    }
    ledger.remove(key)
}

/// Removes an account and releases its own reserves.
pub(crate) fn remove_account(ledger: &mut Overlay<'_>, id: &PublicKey) -> Result<(), StateError> {
    let key = StateKey::account(id);
    if let Some(sponsor) = sponsor_of(ledger, &key)? {
        count_sponsoring_down(ledger, &sponsor, ACCOUNT_RESERVES)?;
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
    account.signers = signers.try_into().map_err(|_| SIGNERS)?;
    let mut sponsor = None;
    if let Some(v2) = account_v2(account) {
        let mut sponsors = v2.signer_sponsoring_i_ds.to_vec();
        if position < sponsors.len() {
            sponsor = sponsors.remove(position).0.map(|id| PublicKey::from(&id));
        }
        v2.signer_sponsoring_i_ds = sponsors.try_into().map_err(|_| SIGNERS)?;
    }
    release_subentry(ledger, owner, sponsor.as_ref(), 1)
}

/// Makes room for a note on the sponsor of the new signer at `position`, in accounts that keep such notes.
pub(crate) fn note_new_signer(account: &mut AccountEntry, position: usize) -> Result<(), StateError> {
    if let Some(v2) = account_v2(account) {
        let mut sponsors = v2.signer_sponsoring_i_ds.to_vec();
        sponsors.insert(position.min(sponsors.len()), SponsorshipDescriptor(None));
        v2.signer_sponsoring_i_ds = sponsors.try_into().map_err(|_| SIGNERS)?;
    }
    Ok(())
}

/// Notes who pays for the signer at `position`.
pub(crate) fn set_signer_sponsor(
    account: &mut AccountEntry,
    position: usize,
    sponsor: SponsorshipDescriptor,
) -> Result<(), StateError> {
    with_account_v2(account, |v2| {
        let mut sponsors = v2.signer_sponsoring_i_ds.to_vec();
        *sponsors.get_mut(position).ok_or(SIGNERS)? = sponsor;
        v2.signer_sponsoring_i_ds = sponsors.try_into().map_err(|_| SIGNERS)?;
        Ok(())
    })?
}

/// Who pays the reserve of an entry, if it is not its owner.
pub(crate) fn sponsor_of(ledger: &mut Overlay<'_>, key: &StateKey) -> Result<Option<PublicKey>, StateError> {
    let Some(StateValue::Ledger(entry)) = ledger.get(key)? else { return Ok(None) };
    Ok(sponsor_in(&entry.ext))
}

/// The sponsor that an entry's extension names.
pub(crate) fn sponsor_in(ext: &LedgerEntryExt) -> Option<PublicKey> {
    match ext {
        LedgerEntryExt::V1(v1) => v1.sponsoring_id.0.as_ref().map(PublicKey::from),
        LedgerEntryExt::V0 => None,
    }
}

pub(crate) fn descriptor(sponsor: &PublicKey) -> SponsorshipDescriptor {
    SponsorshipDescriptor(Some((*sponsor).into()))
}

/// Whether an account could pay so many reserves more.
pub(crate) fn can_pay(account: &AccountEntry, base_reserve: u32, reserves: u32) -> bool {
    reserves::available(account, base_reserve) >= i128::from(base_reserve).saturating_mul(reserves.into())
}

/// Lets `sponsor` pay so many reserves more, if it can.
pub(crate) fn take_over(ledger: &mut Overlay<'_>, sponsor: &PublicKey, reserves: u32) -> Verdict<()> {
    let base_reserve = ledger.totals().base_reserve;
    let account = ledger.account_mut(sponsor)?.ok_or(NO_OWNER)?;
    if !can_pay(account, base_reserve, reserves) {
        return Ok(Err(Refusal::LowReserve));
    }
    if sponsoring_and_subentries(account, reserves) > u32::MAX.into() {
        return Ok(Err(Refusal::TooManySponsoring));
    }
    count_sponsoring(ledger, sponsor, reserves)?;
    Ok(Ok(()))
}

pub(crate) fn count_sponsored(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    reserves: u32,
) -> Result<(), StateError> {
    add_sponsored(ledger.account_mut(owner)?.ok_or(NO_OWNER)?, reserves)
}

pub(crate) fn count_sponsored_down(
    ledger: &mut Overlay<'_>,
    owner: &PublicKey,
    reserves: u32,
) -> Result<(), StateError> {
    remove_sponsored(ledger.account_mut(owner)?.ok_or(COUNTS)?, reserves)
}

pub(crate) fn count_sponsoring_down(
    ledger: &mut Overlay<'_>,
    sponsor: &PublicKey,
    reserves: u32,
) -> Result<(), StateError> {
    let v2 = ledger.account_mut(sponsor)?.and_then(account_v2).ok_or(COUNTS)?;
    v2.num_sponsoring = v2.num_sponsoring.checked_sub(reserves).ok_or(COUNTS)?;
    Ok(())
}

fn count_sponsoring(ledger: &mut Overlay<'_>, sponsor: &PublicKey, reserves: u32) -> Result<(), StateError> {
    let account = ledger.account_mut(sponsor)?.ok_or(NO_OWNER)?;
    with_account_v2(account, |v2| {
        v2.num_sponsoring = v2.num_sponsoring.checked_add(reserves).ok_or(OVERFLOW)?;
        Ok(())
    })?
}

fn add_sponsored(account: &mut AccountEntry, reserves: u32) -> Result<(), StateError> {
    with_account_v2(account, |v2| {
        v2.num_sponsored = v2.num_sponsored.checked_add(reserves).ok_or(OVERFLOW)?;
        Ok(())
    })?
}

fn remove_sponsored(account: &mut AccountEntry, reserves: u32) -> Result<(), StateError> {
    let v2 = account_v2(account).ok_or(COUNTS)?;
    v2.num_sponsored = v2.num_sponsored.checked_sub(reserves).ok_or(COUNTS)?;
    Ok(())
}

fn has_too_many_subentries(account: &AccountEntry, reserves: u32) -> bool {
    account.num_sub_entries > SUBENTRIES_MAX.saturating_sub(reserves)
        || sponsoring_and_subentries(account, reserves) > u32::MAX.into()
}

fn sponsoring_and_subentries(account: &AccountEntry, more: u32) -> u64 {
    u64::from(reserves::sponsorships(account).sponsoring)
        .saturating_add(account.num_sub_entries.into())
        .saturating_add(more.into())
}
