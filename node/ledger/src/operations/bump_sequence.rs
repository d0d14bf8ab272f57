//! BumpSequence: raises an account's sequence number, and so voids what it signed for the numbers between.

use stellar_xdr::{BumpSequenceOp, BumpSequenceResult as Code, SequenceNumber};

use super::{Applied, Context, NO_SOURCE};
use crate::sequence;

pub(super) fn check(op: &BumpSequenceOp) -> Result<(), Code> {
    if op.bump_to.0 < 0 { Err(Code::BadSeq) } else { Ok(()) }
}

/// A number that is no higher succeeds without effect, but counts as a use of the sequence number.
pub(super) fn apply(context: &mut Context<'_, '_>, op: &BumpSequenceOp) -> Applied {
    let account = context.ledger.account_mut(&context.source)?.ok_or(NO_SOURCE)?;
    sequence::note_use(account, context.moment.ledger_seq, context.moment.close_time)?;
    account.seq_num = SequenceNumber(account.seq_num.0.max(op.bump_to.0));
    Ok(())
}
