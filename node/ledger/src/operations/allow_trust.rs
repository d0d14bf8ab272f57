//! AllowTrust (deprecated): an issuer authorizes a holder of its asset, or takes that back.

use carat_types::PublicKey;
use stellar_xdr::{AccountFlags, AllowTrustOp, AllowTrustResult as Code};

use super::revocation::revoke;
use super::set_options::has_flag;
use super::{Applied, Context, NO_SOURCE};
use crate::reserves::AUTHORIZATION;
use crate::{asset, reserves};

pub(super) fn check(op: &AllowTrustOp, source: &PublicKey) -> Result<(), Code> {
    let known = [0, reserves::TRUSTLINE_AUTHORIZED, reserves::TRUSTLINE_MAINTAIN].contains(&op.authorize);
    let own = PublicKey::from(&op.trustor) == *source;
    if !known || own || !asset::is_valid(&asset::of_allow_trust(op, source)) {
        return Err(Code::Malformed);
    }
    Ok(())
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &AllowTrustOp) -> Applied {
    let holder = PublicKey::from(&op.trustor);
    let Context { ledger, source, .. } = context;
    let issuer = ledger.account(source)?.ok_or(NO_SOURCE)?;
    let may_revoke = has_flag(issuer.flags, AccountFlags::RevocableFlag);
    if !may_revoke && op.authorize == 0 {
        return Err(Code::CantRevoke.into());
    }
    let asset = asset::of_allow_trust(op, source);
    let Some(line) = ledger.trustline_mut(&holder, &asset)? else {
        return Err(Code::NoTrustLine.into());
    };
    if !may_revoke && reserves::is_authorized(line) && op.authorize == reserves::TRUSTLINE_MAINTAIN {
        return Err(Code::CantRevoke.into());
    }
    let loses_all = line.flags & AUTHORIZATION != 0 && op.authorize == 0;
    let flags = line.flags & !AUTHORIZATION | op.authorize;
    if loses_all && let Some(refusal) = revoke(context, &holder, &asset)? {
        return Err(super::refused(refusal, Code::LowReserve));
    }
    if let Some(line) = context.ledger.trustline_mut(&holder, &asset)? {
        line.flags = flags;
    }
    Ok(())
}
