//! RevokeSponsorship: passes the reserve of an entry or signer back to its owner, on to another sponsor, or to a
//! sponsor for the first time.
//!
//! Who pays now must be the source: the sponsor, or the owner where there is none. Who pays then is the account that
//! sponsors the source at this point, unless that is the owner; if nobody does, the owner.

use carat_types::PublicKey;
use stellar_xdr::{
    LedgerEntry, LedgerEntryData, LedgerKey, RevokeSponsorshipOp, RevokeSponsorshipOpSigner,
    RevokeSponsorshipResult as Code, SponsorshipDescriptor, TrustLineAsset,
};

use super::{Applied, Context, NO_SOURCE, OperationError, is_printable, set_options};
use crate::entry::StateValue;
use crate::error::StateError;
use crate::extension::{account_v2, set_sponsor};
use crate::key::StateKey;
use crate::sponsorship::{self, Refusal, descriptor, sponsor_in};
use crate::{asset, claimable_balance};

pub(super) fn check(op: &RevokeSponsorshipOp) -> Result<(), Code> {
    let RevokeSponsorshipOp::LedgerEntry(key) = op else { return Ok(()) };
    let well_formed = match key {
        LedgerKey::Account(_) | LedgerKey::ClaimableBalance(_) => true,
        LedgerKey::Trustline(line) => match asset::of_trustline(&line.asset) {
            Some(of) => {
                of != stellar_xdr::Asset::Native
                    && asset::is_valid(&of)
                    && asset::issuer(&of) != Some(PublicKey::from(&line.account_id))
            }
            None => matches!(line.asset, TrustLineAsset::PoolShare(_)),
        },
        LedgerKey::Offer(offer) => offer.offer_id > 0,
        LedgerKey::Data(data) => !data.data_name.0.is_empty() && is_printable(&data.data_name.0),
        _ => false,
    };
    if well_formed { Ok(()) } else { Err(Code::Malformed) }
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &RevokeSponsorshipOp) -> Applied {
    match op {
        RevokeSponsorshipOp::LedgerEntry(key) => entry(context, key),
        RevokeSponsorshipOp::Signer(of) => signer(context, of),
    }
}

/// Who pays a reserve before and after, and for whom.
struct Payers {
    /// None for balances that wait for claimants.
    owner: Option<PublicKey>,
    before: Option<PublicKey>,
    after: Option<PublicKey>,
    reserves: u32,
}

fn entry(context: &mut Context<'_, '_>, key: &LedgerKey) -> Applied {
    let key = StateKey::Ledger(key.clone());
    let Some(StateValue::Ledger(found)) = context.ledger.get(&key)? else {
        return Err(Code::DoesNotExist.into());
    };
    let (owner, reserves) = owner_and_reserves(found)?;
    let before = sponsor_in(&found.ext);
    let after = payer_afterwards(context, owner.or(before), before.or(owner))?;
    if after.is_none() && owner.is_none() {
        return Err(Code::OnlyTransferable.into());
    }
    // The entry counts as changed even if the same account goes on paying.
    let entry = context.ledger.entry_mut(&key)?.ok_or(NO_SOURCE)?;
    if before.is_some() || after.is_some() {
        set_sponsor(entry, SponsorshipDescriptor(after.map(Into::into)));
    }
    pass_on(context, &Payers { owner, before, after, reserves })
}

fn signer(context: &mut Context<'_, '_>, of: &RevokeSponsorshipOpSigner) -> Applied {
    let owner = PublicKey::from(&of.account_id);
    let Some(account) = context.ledger.account_mut(&owner)? else {
        return Err(Code::DoesNotExist.into());
    };
    let Ok(position) = set_options::position(account, &of.signer_key) else {
        return Err(Code::DoesNotExist.into());
    };
    let before = account_v2(account)
        .and_then(|v2| v2.signer_sponsoring_i_ds.get(position))
        .and_then(|sponsor| sponsor.0.as_ref().map(PublicKey::from));
    let after = payer_afterwards(context, Some(owner), before.or(Some(owner)))?;
    if before.is_some() || after.is_some() {
        let account = context.ledger.account_mut(&owner)?.ok_or(NO_SOURCE)?;
        let sponsor = after.as_ref().map_or(SponsorshipDescriptor(None), descriptor);
        sponsorship::set_signer_sponsor(account, position, sponsor)?;
    }
    pass_on(context, &Payers { owner: Some(owner), before, after, reserves: 1 })
}

/// The sponsor afterwards; none if the owner pays. Fails unless the source pays now.
fn payer_afterwards(
    context: &mut Context<'_, '_>,
    owner: Option<PublicKey>,
    payer: Option<PublicKey>,
) -> Result<Option<PublicKey>, OperationError> {
    if payer != Some(context.source) {
        return Err(Code::NotSponsor.into());
    }
    Ok(context.sponsor_of_source().filter(|sponsor| Some(*sponsor) != owner))
}

/// Moves the counts. What the entry says is written already; a failure undoes both.
fn pass_on(context: &mut Context<'_, '_>, payers: &Payers) -> Applied {
    let Payers { owner, before, after, reserves } = payers;
    let ledger = &mut *context.ledger;
    match (before, after) {
        (None, None) => {}
        (Some(before), Some(after)) => {
            ledger.account_mut(before)?;
            sponsorship::take_over(ledger, after, *reserves)?.map_err(refused)?;
            sponsorship::count_sponsoring_down(ledger, before, *reserves)?;
        }
        (Some(before), None) => {
            let owner = owner.as_ref().ok_or(NO_SOURCE)?;
            let base_reserve = ledger.totals().base_reserve;
            let account = ledger.account_mut(owner)?.ok_or(NO_SOURCE)?;
            if !sponsorship::can_pay(account, base_reserve, *reserves) {
                return Err(Code::LowReserve.into());
            }
            sponsorship::count_sponsored_down(ledger, owner, *reserves)?;
            sponsorship::count_sponsoring_down(ledger, before, *reserves)?;
        }
        (None, Some(after)) => {
            sponsorship::take_over(ledger, after, *reserves)?.map_err(refused)?;
            if let Some(owner) = owner {
                sponsorship::count_sponsored(ledger, owner, *reserves)?;
            }
        }
    }
    Ok(())
}

fn refused(refusal: Refusal) -> OperationError {
    super::refused(refusal, Code::LowReserve)
}

fn owner_and_reserves(entry: &LedgerEntry) -> Result<(Option<PublicKey>, u32), OperationError> {
    const UNOWNED: StateError = StateError::Inconsistent("an entry of this kind has no reserve");
    let (owner, reserves) = match &entry.data {
        LedgerEntryData::Account(account) => (&account.account_id, 2),
        LedgerEntryData::Trustline(line) => (&line.account_id, crate::reserves::line_reserves(&line.asset)),
        LedgerEntryData::Offer(offer) => (&offer.seller_id, 1),
        LedgerEntryData::Data(data) => (&data.account_id, 1),
        LedgerEntryData::ClaimableBalance(balance) => {
            return Ok((None, claimable_balance::reserves(balance)));
        }
        _ => return Err(OperationError::State(UNOWNED)),
    };
    Ok((Some(PublicKey::from(owner)), reserves))
}
