//! SetTrustLineFlags: an issuer sets and clears the flags of a holder's trustline.

use carat_types::PublicKey;
use stellar_xdr::{AccountFlags, Asset, SetTrustLineFlagsOp, SetTrustLineFlagsResult as Code};

use super::revocation::revoke;
use super::set_options::has_flag;
use super::{Applied, Context, NO_SOURCE};
use crate::asset;
use crate::reserves::{AUTHORIZATION, TRUSTLINE_AUTHORIZED, TRUSTLINE_CLAWBACK};

pub(super) fn check(op: &SetTrustLineFlagsOp, source: &PublicKey) -> Result<(), Code> {
    let own_asset =
        op.asset != Asset::Native && asset::is_valid(&op.asset) && asset::issuer(&op.asset) == Some(*source);
    let other_holder = PublicKey::from(&op.trustor) != *source;
    let consistent = op.set_flags & op.clear_flags == 0;
    // Clawback can be taken off a line, but only opening the line puts it on.
    let settable = op.set_flags & !AUTHORIZATION == 0 && op.set_flags & AUTHORIZATION != AUTHORIZATION;
    let clearable = op.clear_flags & !(AUTHORIZATION | TRUSTLINE_CLAWBACK) == 0;
    if own_asset && other_holder && consistent && settable && clearable {
        Ok(())
    } else {
        Err(Code::Malformed)
    }
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &SetTrustLineFlagsOp) -> Applied {
    let holder = PublicKey::from(&op.trustor);
    let Context { ledger, source, .. } = context;
    let issuer = ledger.account(source)?.ok_or(NO_SOURCE)?;
    let may_revoke = has_flag(issuer.flags, AccountFlags::RevocableFlag);
    let revokes = op.clear_flags & AUTHORIZATION != 0 && op.set_flags & TRUSTLINE_AUTHORIZED == 0;
    if revokes && !may_revoke {
        return Err(Code::CantRevoke.into());
    }
    let Some(line) = ledger.trustline_mut(&holder, &op.asset)? else {
        return Err(Code::NoTrustLine.into());
    };
    let flags = line.flags & !op.clear_flags | op.set_flags;
    if flags & AUTHORIZATION == AUTHORIZATION {
        return Err(Code::InvalidState.into());
    }
    let loses_all = line.flags & AUTHORIZATION != 0 && flags & AUTHORIZATION == 0;
    if loses_all && let Some(refusal) = revoke(context, &holder, &op.asset)? {
        return Err(super::refused(refusal, Code::LowReserve));
    }
    if let Some(line) = context.ledger.trustline_mut(&holder, &op.asset)? {
        line.flags = flags;
    }
    Ok(())
}
