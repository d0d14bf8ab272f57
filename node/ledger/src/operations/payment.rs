//! Payment: an amount of one asset from the source to a destination.

use stellar_xdr::{Asset, PaymentOp, PaymentResult as Code};

use super::{Applied, Context};
use crate::asset;
use crate::balances::{Refusal, credit, debit};
use carat_types::transaction::account_of;

pub(super) fn check(op: &PaymentOp) -> Result<(), Code> {
    if op.amount <= 0 || !asset::is_valid(&op.asset) {
        return Err(Code::Malformed);
    }
    Ok(())
}

/// The destination is credited before the source is debited, so that its errors win.
pub(super) fn apply(context: &mut Context<'_, '_>, op: &PaymentOp) -> Applied {
    let Context { ledger, source, .. } = context;
    let destination = account_of(&op.destination);
    if destination == *source && op.asset == Asset::Native {
        return Ok(());
    }
    // Credit can always be sent back to its issuer, even after the issuer's account is gone.
    let to_issuer = asset::issuer(&op.asset) == Some(destination);
    if !to_issuer && ledger.account(&destination)?.is_none() {
        return Err(Code::NoDestination.into());
    }
    if let Some(refusal) = credit(ledger, &destination, &op.asset, op.amount)? {
        return Err(match refusal {
            Refusal::NoLine => Code::NoTrust,
            Refusal::NotAuthorized => Code::NotAuthorized,
            Refusal::Full | Refusal::Underfunded => Code::LineFull,
        }
        .into());
    }
    if let Some(refusal) = debit(ledger, source, &op.asset, op.amount)? {
        return Err(match refusal {
            Refusal::NoLine => Code::SrcNoTrust,
            Refusal::NotAuthorized => Code::SrcNotAuthorized,
            Refusal::Full | Refusal::Underfunded => Code::Underfunded,
        }
        .into());
    }
    Ok(())
}
