//! SetOptions: flags, thresholds, signers and home domain of an account.

use carat_types::PublicKey;
use stellar_xdr::{AccountEntry, AccountFlags, SetOptionsOp, SetOptionsResult as Code, Signer, SignerKey};

use super::{Applied, Context, NO_SOURCE, Threshold, is_printable};
use crate::error::StateError;
use crate::sponsorship;

const ALL_FLAGS: u32 = flag(AccountFlags::RequiredFlag)
    | flag(AccountFlags::RevocableFlag)
    | flag(AccountFlags::ImmutableFlag)
    | flag(AccountFlags::ClawbackEnabledFlag);

const SIGNERS_MAX: usize = 20;

/// Whether `flags` of an account contain `wanted`.
pub(super) fn has_flag(flags: u32, wanted: AccountFlags) -> bool {
    flags & flag(wanted) != 0
}

#[expect(clippy::cast_sign_loss, reason = "the flags of the wire format are 1, 2, 4 and 8")]
const fn flag(flag: AccountFlags) -> u32 {
    flag as i32 as u32
}

/// Whoever changes who may sign needs the high threshold.
pub(super) fn threshold(op: &SetOptionsOp) -> Threshold {
    let changes_control = op.master_weight.is_some()
        || op.low_threshold.is_some()
        || op.med_threshold.is_some()
        || op.high_threshold.is_some()
        || op.signer.is_some();
    if changes_control { Threshold::High } else { Threshold::Medium }
}

pub(super) fn check(op: &SetOptionsOp, source: &PublicKey) -> Result<(), Code> {
    let (set, clear) = (op.set_flags.unwrap_or(0), op.clear_flags.unwrap_or(0));
    if (set | clear) & !ALL_FLAGS != 0 {
        return Err(Code::UnknownFlag);
    }
    if set & clear != 0 {
        return Err(Code::BadFlags);
    }
    let bytes = [op.master_weight, op.low_threshold, op.med_threshold, op.high_threshold];
    if bytes.into_iter().flatten().any(|value| value > u8::MAX.into()) {
        return Err(Code::ThresholdOutOfRange);
    }
    if op.signer.as_ref().is_some_and(|signer| !is_good_signer(signer, source)) {
        return Err(Code::BadSigner);
    }
    if op.home_domain.as_ref().is_some_and(|domain| !is_printable(&domain.0)) {
        return Err(Code::InvalidHomeDomain);
    }
    Ok(())
}

/// Not the account's own key, and no weak one: ledger specification 0.9.
fn is_good_signer(signer: &Signer, source: &PublicKey) -> bool {
    let good_key = match &signer.key {
        SignerKey::Ed25519(key) => key.0 != source.0 && !PublicKey(key.0).is_weak(),
        SignerKey::Ed25519SignedPayload(payload) => {
            !payload.payload.is_empty() && !PublicKey(payload.ed25519.0).is_weak()
        }
        SignerKey::PreAuthTx(_) | SignerKey::HashX(_) => true,
    };
    good_key && signer.weight <= u8::MAX.into()
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &SetOptionsOp) -> Applied {
    let Context { ledger, source, .. } = context;
    if let Some(heir) = op.inflation_dest.as_ref().map(PublicKey::from)
        && heir != *source
        && ledger.account(&heir)?.is_none()
    {
        return Err(Code::InvalidInflation.into());
    }
    let account = ledger.account_mut(source)?.ok_or(NO_SOURCE)?;
    if let Some(heir) = &op.inflation_dest {
        account.inflation_dest = Some(heir.clone());
    }
    change_flags(account, op)?;
    if let Some(domain) = &op.home_domain {
        account.home_domain = domain.clone();
    }
    let values = [op.master_weight, op.low_threshold, op.med_threshold, op.high_threshold];
    for (threshold, value) in account.thresholds.0.iter_mut().zip(values) {
        if let Some(value) = value.and_then(|value| u8::try_from(value).ok()) {
            *threshold = value;
        }
    }
    match &op.signer {
        None => Ok(()),
        Some(signer) if signer.weight > 0 => put_signer(context, signer),
        Some(signer) => match position(account, &signer.key) {
            Ok(position) => Ok(sponsorship::remove_signer(ledger, source, position)?),
            Err(_) => Ok(()),
        },
    }
}

fn change_flags(account: &mut AccountEntry, op: &SetOptionsOp) -> Result<(), Code> {
    if op.clear_flags.is_none() && op.set_flags.is_none() {
        return Ok(());
    }
    let (set, clear) = (op.set_flags.unwrap_or(0), op.clear_flags.unwrap_or(0));
    if set | clear != 0 && has_flag(account.flags, AccountFlags::ImmutableFlag) {
        return Err(Code::CantChange);
    }
    account.flags = account.flags & !clear | set;
    let clawback = has_flag(account.flags, AccountFlags::ClawbackEnabledFlag);
    if clawback && !has_flag(account.flags, AccountFlags::RevocableFlag) {
        return Err(Code::AuthRevocableRequired);
    }
    Ok(())
}

/// Signers stand in the order of their keys.
pub(super) fn position(account: &AccountEntry, key: &SignerKey) -> Result<usize, usize> {
    account.signers.binary_search_by(|signer| signer.key.cmp(key))
}

fn put_signer(context: &mut Context<'_, '_>, signer: &Signer) -> Applied {
    const TOO_MANY: StateError = StateError::Inconsistent("an account has too many signers");
    let sponsor = context.sponsor_of_source();
    let Context { ledger, source, .. } = context;
    let account = ledger.account_mut(source)?.ok_or(NO_SOURCE)?;
    let mut signers = account.signers.to_vec();
    match position(account, &signer.key) {
        Ok(position) => {
            if let Some(present) = signers.get_mut(position) {
                present.weight = signer.weight;
            }
        }
        Err(_) if signers.len() >= SIGNERS_MAX => return Err(Code::TooManySigners.into()),
        Err(position) => {
            signers.insert(position, signer.clone());
            account.signers = signers.try_into().map_err(|_| TOO_MANY)?;
            sponsorship::note_new_signer(account, position)?;
            return sponsorship::add_signer(ledger, source, sponsor.as_ref(), position)?
                .map_err(|refusal| super::refused(refusal, Code::LowReserve));
        }
    }
    account.signers = signers.try_into().map_err(|_| TOO_MANY)?;
    Ok(())
}
