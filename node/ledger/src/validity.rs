//! Whether a transaction may act: the checks of A.4 in their order, for the front door, the trim and execution.
//!
//! **Source**: ledger specification A.4. The order of the checks is the clients' contract: the first that fails
//! names the result.

use carat_types::governance::Call;
use carat_types::transaction::{SignedTransaction, account_of};
use carat_types::{Digest, Epoch, PublicKey, Slot};
use stellar_xdr::{
    AccountEntry, LedgerBounds, Operation, OperationBody, OperationResult, Preconditions, PreconditionsV2,
    SignerKey, TimeBounds, Transaction, TransactionExt, TransactionResultCode as Code, Uint256,
};

use crate::authorization::{SignatureOracle, Signatures};
use crate::entry::Totals;
use crate::error::StateError;
use crate::operations::{self, Threshold};
use crate::overlay::Overlay;
use crate::results::Verdict;
use crate::{reserves, sequence};

/// Most that a contract transaction may declare for resources. **Units**: stroops.
const RESOURCE_FEE_MAX: i64 = 1 << 50;

/// When and under what parameters transactions are checked and applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The ledger that the block belongs to.
    pub ledger_seq: u32,
    /// Close time. **Units**: whole seconds since 1970.
    pub close_time: u64,
    /// The epoch of the slot.
    pub epoch: Epoch,
    /// The slot of the block.
    pub slot: Slot,
    /// The chain, whose own contract is called by an id that names it.
    pub chain_id: Digest,
}

/// What is pending before a transaction and so changes what it meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The sequence number that pending transactions bring the source to, if there are any.
    pub sequence: Option<i64>,
    /// The most that pending transactions may take from the fee source. **Units**: stroops.
    pub fees: i64,
}

/// How a full check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Valid,
    /// The outer part of a fee bump is refused. With the fee that the result names.
    Outer(Code, i64),
    /// The transaction that acts is refused or would fail.
    Inner(Verdict),
}

/// How far the common checks came. At execution, what happens to the sequence number depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Common {
    /// Refused, and the sequence number is not used.
    Refused(Code),
    /// Refused, but the sequence number is used.
    RefusedLate(Code),
    Valid,
}

/// The fee that the base fee asks for so many operations. **Units**: stroops.
fn minimum_fee(base_fee: u32, operations: i64) -> i64 {
    i64::from(base_fee).saturating_mul(operations.max(1))
}

/// The fee that a transaction must offer. **Units**: stroops.
pub(crate) fn fee_asked(totals: &Totals, transaction: &SignedTransaction) -> i64 {
    minimum_fee(totals.base_fee, fee_operations(transaction, totals.protocol_version))
}

/// Number of operations that the fee is counted by: a signature that an operation brings along counts as one more.
fn fee_operations(transaction: &SignedTransaction, version: u32) -> i64 {
    transaction.fee_operations().saturating_add(signature_checks(transaction, version).into())
}

/// Signatures that the check of a transaction costs: those in its envelope, and those that its operations bring along. A leader fills
/// a block by it, so that the trim, which counts both, finds room for the whole block.
pub fn signature_cost(transaction: &SignedTransaction, version: u32) -> usize {
    let brought = usize::try_from(signature_checks(transaction, version)).unwrap_or(usize::MAX);
    transaction.signature_count().saturating_add(brought)
}

/// Signatures that operations bring along, for evidence: they are verified when it is executed.
fn signature_checks(transaction: &SignedTransaction, version: u32) -> u32 {
    let checks = |operation: &Operation| match &operation.body {
        OperationBody::InvokeHostFunction(op) => {
            Call::read(op, version).map_or(0, |(_, call)| call.signature_checks())
        }
        _ => 0,
    };
    transaction.operations().iter().fold(0, |sum: u32, operation| sum.saturating_add(checks(operation)))
}

/// The full check of an envelope against a state that does not change meanwhile.
///
/// **Returns** how it ended and the number of Ed25519 verifications by the rule.
pub(crate) fn check(
    ledger: &mut Overlay<'_>,
    moment: Moment,
    oracle: &dyn SignatureOracle,
    transaction: &SignedTransaction,
    pending: Pending,
) -> Result<(Check, u32), StateError> {
    if !fees_are_well_formed(transaction, ledger.totals().protocol_version) {
        return Ok((Check::Outer(Code::TxMalformed, 0), 0));
    }
    let mut verifications = 0;
    if transaction.fee_bump().is_some() {
        let (refusal, cost) = check_outer(ledger, oracle, transaction, pending.fees)?;
        verifications = cost;
        if let Some((code, fee)) = refusal {
            return Ok((Check::Outer(code, fee), verifications));
        }
    }
    let mut signatures = Signatures::of_inner(oracle, transaction);
    let check = check_inner(ledger, moment, transaction, pending, &mut signatures)?;
    verifications = verifications.saturating_add(signatures.verifications());
    if check == Check::Valid {
        let version = ledger.totals().protocol_version;
        verifications = verifications.saturating_add(signature_checks(transaction, version));
    }
    Ok((check, verifications))
}

fn check_inner(
    ledger: &mut Overlay<'_>,
    moment: Moment,
    transaction: &SignedTransaction,
    pending: Pending,
    signatures: &mut Signatures<'_>,
) -> Result<Check, StateError> {
    let charge = transaction.fee_bump().is_none().then(|| transaction.fee().saturating_add(pending.fees));
    match common(ledger, moment, transaction, pending.sequence, charge, signatures)? {
        Common::Refused(code) | Common::RefusedLate(code) => return Ok(Check::Inner(Verdict::Refused(code))),
        Common::Valid => {}
    }
    let version = ledger.totals().protocol_version;
    for (index, operation) in transaction.operations().iter().enumerate() {
        let source = operations::source(transaction, operation);
        let refusal = if !operations::is_supported(&operation.body, &moment.chain_id, version) {
            Some(OperationResult::OpNotSupported)
        } else if let Some(refusal) = signature_refusal(ledger, transaction, index, signatures)? {
            Some(refusal)
        } else {
            operations::refusal(&operation.body, &source, version)
        };
        if let Some(refusal) = refusal {
            let mut results = operations::initial_results(transaction, version);
            if let Some(result) = results.get_mut(index) {
                *result = refusal;
            }
            return Ok(Check::Inner(Verdict::Failed(results)));
        }
    }
    if !signatures.all_used() {
        return Ok(Check::Inner(Verdict::Refused(Code::TxBadAuthExtra)));
    }
    Ok(Check::Valid)
}

/// The checks on the outer part of a fee bump.
fn check_outer(
    ledger: &mut Overlay<'_>,
    oracle: &dyn SignatureOracle,
    transaction: &SignedTransaction,
    pending_fees: i64,
) -> Result<(Option<(Code, i64)>, u32), StateError> {
    let Some(bump) = transaction.fee_bump() else { return Ok((None, 0)) };
    let needed = fee_asked(ledger.totals(), transaction);
    let fee_bid = inclusion_fee(transaction);
    if fee_bid < needed {
        return Ok((Some((Code::TxInsufficientFee, needed)), 0));
    }
    if let Some(fee) = fee_to_outbid(transaction, ledger.totals()) {
        return Ok((Some((Code::TxInsufficientFee, fee)), 0));
    }
    let base_reserve = ledger.totals().base_reserve;
    let Some(payer) = ledger.account(&transaction.fee_source())? else {
        return Ok((Some((Code::TxNoAccount, needed)), 0));
    };
    let mut signatures = Signatures::new(oracle, transaction.hash(), &bump.signatures, &bump.signers);
    let [_, low, ..] = payer.thresholds.0;
    let refusal = if !signatures.reach(payer, low) {
        Some(Code::TxBadAuth)
    } else if reserves::available(payer, base_reserve)
        < i128::from(bump.fee).saturating_add(pending_fees.into())
    {
        Some(Code::TxInsufficientBalance)
    } else if !signatures.all_used() {
        Some(Code::TxBadAuthExtra)
    } else {
        None
    };
    Ok((refusal.map(|code| (code, needed)), signatures.verifications()))
}

/// The fee that would be enough, if a fee bump offers less for an operation than the transaction in it.
fn fee_to_outbid(transaction: &SignedTransaction, totals: &Totals) -> Option<i64> {
    let inner_operations = fee_operations(transaction, totals.protocol_version).saturating_sub(1);
    let (outer_least, inner_least) = (
        i128::from(fee_asked(totals, transaction)),
        i128::from(minimum_fee(totals.base_fee, inner_operations)),
    );
    let outer_bid = i128::from(inclusion_fee(transaction));
    let inner_bid =
        i128::from(transaction.transaction().fee).saturating_sub(resource_fee(transaction).into());
    let needed = inner_bid.saturating_mul(outer_least);
    if outer_bid.saturating_mul(inner_least) >= needed {
        return None;
    }
    // Rounded up. The divisor is not 0: with it, the inequality would have held.
    let fee = needed.saturating_add(inner_least.saturating_sub(1)).checked_div(inner_least)?;
    Some(i64::try_from(fee).unwrap_or(i64::MAX))
}

/// The checks that the front door, the trim and execution have in common.
///
/// `charge` is what the source must be able to pay; at execution it has paid and 0 is left; none if another
/// account pays.
pub(crate) fn common(
    ledger: &mut Overlay<'_>,
    moment: Moment,
    transaction: &SignedTransaction,
    sequence: Option<i64>,
    charge: Option<i64>,
    signatures: &mut Signatures<'_>,
) -> Result<Common, StateError> {
    let totals = *ledger.totals();
    let version = totals.protocol_version;
    if let Some(code) =
        static_refusal(transaction.transaction(), version).or_else(|| bounds_refusal(transaction, moment))
    {
        return Ok(Common::Refused(code));
    }
    let pays_too_little = inclusion_fee(transaction) < fee_asked(&totals, transaction);
    if charge.is_some() && pays_too_little {
        return Ok(Common::Refused(Code::TxInsufficientFee));
    }
    let Some(source) = ledger.account(&transaction.source())? else {
        return Ok(Common::Refused(Code::TxNoAccount));
    };
    let conditions = conditions(transaction.transaction());
    let current = sequence.unwrap_or(source.seq_num.0);
    if !sequence_fits(transaction.sequence(), current, conditions, moment.ledger_seq) {
        return Ok(Common::Refused(Code::TxBadSeq));
    }
    if too_early_for_account(source, conditions, moment) {
        return Ok(Common::RefusedLate(Code::TxBadMinSeqAgeOrGap));
    }
    let [_, low, ..] = source.thresholds.0;
    let extra: &[SignerKey] = conditions.map_or(&[], |conditions| &conditions.extra_signers);
    if !(signatures.reach(source, low) && signatures.reach_all(extra)) {
        return Ok(Common::RefusedLate(Code::TxBadAuth));
    }
    if charge.is_some_and(|charge| reserves::available(source, totals.base_reserve) < i128::from(charge)) {
        return Ok(Common::RefusedLate(Code::TxInsufficientBalance));
    }
    Ok(Common::Valid)
}

/// Why the signatures do not suffice for an operation, if they do not.
pub(crate) fn signature_refusal(
    ledger: &mut Overlay<'_>,
    transaction: &SignedTransaction,
    index: usize,
    signatures: &mut Signatures<'_>,
) -> Result<Option<OperationResult>, StateError> {
    let Some(operation) = transaction.operations().get(index) else { return Ok(None) };
    if let OperationBody::InvokeHostFunction(op) = &operation.body
        && let Some((_, call)) = Call::read(op, ledger.totals().protocol_version)
    {
        // Whoever speaks has signed. Its weight is counted by the contract, over all who approve. Evidence speaks for itself.
        let signer = call.signer().map(|signer| SignerKey::Ed25519(Uint256(signer.0)));
        return Ok((!signatures.reach_all(signer.as_slice())).then_some(OperationResult::OpBadAuth));
    }
    let source = operations::source(transaction, operation);
    let Some(account) = ledger.account(&source)? else {
        // The operation may be preceded by one that creates its source, which has one key then: its own.
        return Ok(match &operation.source_account {
            None => Some(OperationResult::OpNoAccount),
            Some(address) => (!signatures.reach_without_account(&account_of(address)))
                .then_some(OperationResult::OpBadAuth),
        });
    };
    let [_, low, medium, high] = account.thresholds.0;
    let needed = match operations::threshold(&operation.body) {
        Threshold::Low => low,
        Threshold::Medium => medium,
        Threshold::High => high,
    };
    Ok((!signatures.reach(account, needed)).then_some(OperationResult::OpBadAuth))
}

/// What a transaction is refused for whatever the state: extra signers, operations, shape of contract calls.
fn static_refusal(transaction: &Transaction, version: u32) -> Option<Code> {
    if let Some(conditions) = conditions(transaction) {
        let twice = matches!(conditions.extra_signers.as_slice(), [first, second] if first == second);
        let empty = |key: &SignerKey| matches!(key, SignerKey::Ed25519SignedPayload(signer) if signer.payload.is_empty());
        if twice || conditions.extra_signers.iter().any(empty) {
            return Some(Code::TxMalformed);
        }
    }
    let contract_calls =
        transaction.operations.iter().filter(|operation| is_contract_call(&operation.body, version)).count();
    let with_resources = matches!(transaction.ext, TransactionExt::V1(_));
    match (transaction.operations.len(), contract_calls) {
        (0, _) => Some(Code::TxMissingOperation),
        (_, 0) => with_resources.then_some(Code::TxMalformed),
        (1, 1) => None,
        _ => Some(Code::TxMalformed),
    }
}

/// Whether the operation calls a contract that is a program. Native contracts declare no resources, and several calls of
/// them may stand in one transaction (ledger specification 0.6).
fn is_contract_call(body: &OperationBody, version: u32) -> bool {
    match body {
        OperationBody::InvokeHostFunction(op) => Call::read(op, version).is_none(),
        OperationBody::ExtendFootprintTtl(_) | OperationBody::RestoreFootprint(_) => true,
        _ => false,
    }
}

/// Fees that are not negative, and resources declared exactly where a contract is called.
fn fees_are_well_formed(transaction: &SignedTransaction, version: u32) -> bool {
    let inner = transaction.transaction();
    let calls_contract =
        inner.operations.first().is_some_and(|operation| is_contract_call(&operation.body, version));
    let resources_fit = match &inner.ext {
        TransactionExt::V1(data) => !calls_contract || (0..=RESOURCE_FEE_MAX).contains(&data.resource_fee),
        TransactionExt::V0 => !calls_contract,
    };
    transaction.fee() >= 0 && resources_fit
}

fn resource_fee(transaction: &SignedTransaction) -> i64 {
    match &transaction.transaction().ext {
        TransactionExt::V1(data) => data.resource_fee,
        TransactionExt::V0 => 0,
    }
}

/// What is bid for inclusion: the fee without what is declared for resources.
fn inclusion_fee(transaction: &SignedTransaction) -> i64 {
    transaction.fee().saturating_sub(resource_fee(transaction))
}

fn bounds_refusal(transaction: &SignedTransaction, moment: Moment) -> Option<Code> {
    let time = time_bounds(transaction.transaction());
    let ledgers = ledger_bounds(transaction.transaction());
    let early = time.is_some_and(|time| time.min_time.0 > moment.close_time)
        || ledgers.is_some_and(|ledgers| ledgers.min_ledger > moment.ledger_seq);
    let late = time.is_some_and(|time| time.max_time.0 != 0 && time.max_time.0 < moment.close_time)
        || ledgers.is_some_and(|ledgers| ledgers.max_ledger != 0 && ledgers.max_ledger <= moment.ledger_seq);
    if early {
        Some(Code::TxTooEarly)
    } else if late {
        Some(Code::TxTooLate)
    } else {
        None
    }
}

fn sequence_fits(used: i64, current: i64, conditions: Option<&PreconditionsV2>, ledger_seq: u32) -> bool {
    if used == sequence::starting(ledger_seq) {
        return false;
    }
    match conditions.and_then(|conditions| conditions.min_seq_num.as_ref()) {
        Some(least) => least.0 <= current && current < used,
        None => current.checked_add(1) == Some(used),
    }
}

fn too_early_for_account(
    account: &AccountEntry,
    conditions: Option<&PreconditionsV2>,
    moment: Moment,
) -> bool {
    let Some(conditions) = conditions else { return false };
    let (ledger, time) = sequence::last_use(account);
    let too_young =
        moment.close_time.checked_sub(conditions.min_seq_age.0).is_none_or(|latest| latest < time);
    let too_near =
        moment.ledger_seq.checked_sub(conditions.min_seq_ledger_gap).is_none_or(|latest| latest < ledger);
    too_young || too_near
}

fn conditions(transaction: &Transaction) -> Option<&PreconditionsV2> {
    match &transaction.cond {
        Preconditions::V2(conditions) => Some(conditions),
        Preconditions::None | Preconditions::Time(_) => None,
    }
}

fn time_bounds(transaction: &Transaction) -> Option<&TimeBounds> {
    match &transaction.cond {
        Preconditions::None => None,
        Preconditions::Time(bounds) => Some(bounds),
        Preconditions::V2(conditions) => conditions.time_bounds.as_ref(),
    }
}

fn ledger_bounds(transaction: &Transaction) -> Option<&LedgerBounds> {
    conditions(transaction).and_then(|conditions| conditions.ledger_bounds.as_ref())
}

/// The close time after which the transaction can never execute, if there is one.
pub(crate) fn expiry(transaction: &SignedTransaction) -> Option<u64> {
    time_bounds(transaction.transaction()).map(|bounds| bounds.max_time.0).filter(|time| *time != 0)
}

/// The account behind every address for which the transaction acts: its source and its operations' sources.
pub(crate) fn acting_accounts(transaction: &SignedTransaction) -> Vec<PublicKey> {
    let mut accounts = vec![transaction.source()];
    for operation in transaction.operations() {
        let source = operations::source(transaction, operation);
        if !accounts.contains(&source) {
            accounts.push(source);
        }
    }
    accounts
}
