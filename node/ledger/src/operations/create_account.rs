//! CreateAccount: a new account with a starting balance from its creator.

use carat_types::PublicKey;
use stellar_xdr::{
    AccountEntry, AccountEntryExt, CreateAccountOp, CreateAccountResult as Code, LedgerEntryData,
    OperationResult, SequenceNumber, String32, Thresholds, VecM,
};

use super::{Applied, Context, NO_SOURCE, OperationError};
use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::StateKey;
use crate::{members, reserves, sequence, sponsorship};

pub(super) fn check(op: &CreateAccountOp, source: &PublicKey) -> Result<(), Code> {
    let destination = PublicKey::from(&op.destination);
    // Whoever knew no secret for a weak key could still sign for it: ledger specification 0.9.
    if op.starting_balance < 0 || destination == *source || destination.is_weak() {
        return Err(Code::Malformed);
    }
    Ok(())
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &CreateAccountOp) -> Applied {
    let sponsor = context.sponsors.get(&PublicKey::from(&op.destination)).copied();
    let Context { ledger, source, .. } = context;
    if !members::may_create_accounts(ledger, source)? {
        return Err(OperationError::failed(OperationResult::OpNotSupported));
    }
    let destination = PublicKey::from(&op.destination);
    if ledger.account(&destination)?.is_some() {
        return Err(Code::AlreadyExist.into());
    }
    let mut account =
        new_account(&destination, op.starting_balance, sequence::starting(context.moment.ledger_seq));
    let base_reserve = ledger.totals().base_reserve;
    let ext = sponsorship::add_account(ledger, &mut account, sponsor.as_ref())?
        .map_err(|refusal| super::refused(refusal, Code::LowReserve))?;
    let creator = ledger.account_mut(source)?.ok_or(NO_SOURCE)?;
    if reserves::available(creator, base_reserve) < i128::from(op.starting_balance) {
        return Err(Code::Underfunded.into());
    }
    creator.balance = creator
        .balance
        .checked_sub(op.starting_balance)
        .ok_or(StateError::Inconsistent("an account's available balance exceeds its balance"))?;
    ledger.create(&StateKey::account(&destination), LedgerEntryData::Account(account), ext)?;
    if members::is_member(ledger, source)? {
        ledger.put(&StateKey::Creator(destination), StateValue::Creator(*source))?;
    }
    Ok(())
}

/// An account with one key of weight 1 and no thresholds.
pub(crate) fn new_account(id: &PublicKey, balance: i64, sequence: i64) -> AccountEntry {
    AccountEntry {
        account_id: (*id).into(),
        balance,
        seq_num: SequenceNumber(sequence),
        num_sub_entries: 0,
        inflation_dest: None,
        flags: 0,
        home_domain: String32::default(),
        thresholds: Thresholds([1, 0, 0, 0]),
        signers: VecM::default(),
        ext: AccountEntryExt::V0,
    }
}
