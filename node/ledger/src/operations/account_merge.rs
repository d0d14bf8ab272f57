//! AccountMerge: an account gives all its coins to another and ceases to exist.

use carat_types::PublicKey;
use carat_types::transaction::account_of;
use stellar_xdr::{AccountFlags, AccountMergeResult as Code, Asset, MuxedAccount};

use super::set_options::has_flag;
use super::{Context, NO_SOURCE, OperationError};
use crate::balances::credit;
use crate::key::StateKey;
use crate::{reserves, sequence, sponsorship};

pub(super) fn check(to: &MuxedAccount, source: &PublicKey) -> Result<(), Code> {
    if account_of(to) == *source { Err(Code::Malformed) } else { Ok(()) }
}

/// **Returns** the coins that went over.
pub(super) fn apply(context: &mut Context<'_, '_>, to: &MuxedAccount) -> Result<i64, OperationError> {
    let Context { ledger, moment, source, highest_sequences, sponsors, .. } = context;
    let destination = account_of(to);
    // The destination counts as changed even if nothing goes over.
    if ledger.account_mut(&destination)?.is_none() {
        return Err(Code::NoAccount.into());
    }
    let account = ledger.account(source)?.ok_or(NO_SOURCE)?;
    if has_flag(account.flags, AccountFlags::ImmutableFlag) {
        return Err(Code::ImmutableSet.into());
    }
    let signers = account.signers.len();
    if usize::try_from(account.num_sub_entries) != Ok(signers) {
        return Err(Code::HasSubEntries.into());
    }
    // An account made again under this name would start here: no number may be used twice.
    let restart = sequence::starting(moment.ledger_seq);
    let highest = highest_sequences.get(source).copied().unwrap_or(i64::MIN);
    if account.seq_num.0.max(highest) >= restart {
        return Err(Code::SeqnumTooFar.into());
    }
    let sponsors_at_this_point = sponsors.values().any(|sponsor| sponsor == source);
    if sponsors_at_this_point || reserves::sponsorships(account).sponsoring > 0 {
        return Err(Code::IsSponsor.into());
    }
    let balance = account.balance;
    for position in (0..signers).rev() {
        sponsorship::remove_signer(ledger, source, position)?;
    }
    if balance > 0 && credit(ledger, &destination, &Asset::Native, balance)?.is_some() {
        return Err(Code::DestFull.into());
    }
    sponsorship::remove_account(ledger, source)?;
    if ledger.totals().has_members() {
        ledger.remove(&StateKey::Creator(*source))?;
    }
    Ok(balance)
}
