//! BeginSponsoringFutureReserves and EndSponsoringFutureReserves: between the two, the source of the first pays the
//! reserves of what the source of the second makes. A transaction that leaves one open fails as a whole.

use carat_types::PublicKey;
use stellar_xdr::{
    BeginSponsoringFutureReservesOp, BeginSponsoringFutureReservesResult as BeginCode,
    EndSponsoringFutureReservesResult as EndCode,
};

use super::{Applied, Context};

pub(super) fn check_begin(op: &BeginSponsoringFutureReservesOp, source: &PublicKey) -> Result<(), BeginCode> {
    if PublicKey::from(&op.sponsored_id) == *source { Err(BeginCode::Malformed) } else { Ok(()) }
}

pub(super) fn begin(context: &mut Context<'_, '_>, op: &BeginSponsoringFutureReservesOp) -> Applied {
    let sponsored = PublicKey::from(&op.sponsored_id);
    let (source, sponsors) = (context.source, &mut *context.sponsors);
    if sponsors.contains_key(&sponsored) {
        return Err(BeginCode::AlreadySponsored.into());
    }
    // Nobody sponsors and is sponsored at the same time.
    if sponsors.contains_key(&source) || sponsors.values().any(|sponsor| *sponsor == sponsored) {
        return Err(BeginCode::Recursive.into());
    }
    sponsors.insert(sponsored, source);
    Ok(())
}

pub(super) fn end(context: &mut Context<'_, '_>) -> Applied {
    match context.sponsors.remove(&context.source) {
        Some(_) => Ok(()),
        None => Err(EndCode::NotSponsored.into()),
    }
}
