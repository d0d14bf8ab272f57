//! CreateClaimableBalance: sets an amount aside for whichever claimant takes it first.

use std::collections::BTreeSet;

use stellar_xdr::{
    AccountFlags, Asset, ClaimPredicate, Claimant, ClaimantV0, CreateClaimableBalanceOp,
    CreateClaimableBalanceResult as Code, HashIdPreimage, HashIdPreimageOperationId, OperationResultTr,
    SequenceNumber,
};

use super::set_options::has_flag;
use super::{Context, NO_SOURCE, OperationError, Outcome};
use crate::balances::{Refusal, debit};
use crate::error::StateError;
use crate::sponsorship;
use crate::{asset, claimable_balance, reserves};

pub(super) fn check(op: &CreateClaimableBalanceOp) -> Result<(), Code> {
    let mut seen = BTreeSet::new();
    let well_formed = asset::is_valid(&op.asset)
        && op.amount > 0
        && !op.claimants.is_empty()
        && op.claimants.iter().all(|claimant| {
            let Claimant::ClaimantTypeV0(ClaimantV0 { destination, predicate }) = claimant;
            seen.insert(destination) && claimable_balance::is_well_formed(predicate)
        });
    if well_formed { Ok(()) } else { Err(Code::Malformed) }
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &CreateClaimableBalanceOp) -> Outcome {
    let payer = context.sponsor_of_source().unwrap_or(context.source);
    let id = claimable_balance::id_of(&HashIdPreimage::OpId(HashIdPreimageOperationId {
        source_account: context.transaction.source().into(),
        seq_num: SequenceNumber(context.transaction.sequence()),
        op_num: context.index,
    }));
    let now = context.moment.close_time;
    let Context { ledger, source, .. } = context;
    // The source counts as changed whatever the asset.
    ledger.account_mut(source)?;
    let is_clawback_enabled = is_clawback_enabled(context, &op.asset)?;
    let Context { ledger, source, .. } = context;
    if let Some(refusal) = debit(ledger, source, &op.asset, op.amount)? {
        return Err(match refusal {
            Refusal::NoLine => Code::NoTrust,
            Refusal::NotAuthorized => Code::NotAuthorized,
            Refusal::Full | Refusal::Underfunded => Code::Underfunded,
        }
        .into());
    }
    let claimants: Result<Vec<_>, StateError> = op
        .claimants
        .iter()
        .map(|claimant| {
            let Claimant::ClaimantTypeV0(ClaimantV0 { destination, predicate }) = claimant;
            let predicate: ClaimPredicate = claimable_balance::absolute(predicate, now)?;
            Ok(Claimant::ClaimantTypeV0(ClaimantV0 { destination: destination.clone(), predicate }))
        })
        .collect();
    let balance = claimable_balance::new(id.clone(), claimants?, &op.asset, op.amount, is_clawback_enabled)?;
    let ext = sponsorship::add_unowned(ledger, &payer, claimable_balance::reserves(&balance))?;
    let ext = ext.map_err(|refusal| super::refused(refusal, Code::LowReserve))?;
    claimable_balance::insert(ledger, balance, ext)?;
    Ok(OperationResultTr::CreateClaimableBalance(Code::Success(id)))
}

/// Whether the balance inherits clawback: from the line, or from the issuer that sets its own asset aside.
fn is_clawback_enabled(context: &mut Context<'_, '_>, asset: &Asset) -> Result<bool, OperationError> {
    let Context { ledger, source, .. } = context;
    match asset::issuer(asset) {
        None => Ok(false),
        Some(issuer) if issuer == *source => {
            let account = ledger.account(source)?.ok_or(NO_SOURCE)?;
            Ok(has_flag(account.flags, AccountFlags::ClawbackEnabledFlag))
        }
        Some(_) => {
            let line = ledger.trustline(source, asset)?;
            Ok(line.is_some_and(|line| line.flags & reserves::TRUSTLINE_CLAWBACK != 0))
        }
    }
}
