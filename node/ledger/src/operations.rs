//! The operations: for each its threshold, its check without state, and its application, one file each.
//!
//! **Source**: ledger specification A.2, where the result codes and their order stand. What is not built yet
//! answers `opNOT_SUPPORTED`.

use std::collections::BTreeMap;

use carat_types::PublicKey;
use carat_types::transaction::{SignedTransaction, account_of};
use stellar_xdr::{
    AccountMergeResult, AllowTrustResult, BumpSequenceResult, ChangeTrustResult, ClawbackResult,
    CreateAccountResult, ManageDataResult, Operation, OperationBody, OperationResult, OperationResultTr,
    PaymentResult, SetOptionsResult, SetTrustLineFlagsResult,
};

use crate::error::StateError;
use crate::overlay::Overlay;
use crate::sponsorship::SubentryRefusal;
use crate::validity::Moment;

mod account_merge;
mod allow_trust;
mod bump_sequence;
mod change_trust;
mod clawback;
mod create_account;
mod manage_data;
mod payment;
mod set_options;
mod set_trust_line_flags;

pub(crate) use create_account::new_account;

/// Which of an account's thresholds an operation must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threshold {
    Low,
    Medium,
    High,
}

/// What an operation acts on and for whom.
pub(crate) struct Context<'a, 's> {
    pub(crate) ledger: &'a mut Overlay<'s>,
    pub(crate) moment: Moment,
    pub(crate) source: PublicKey,
    /// Highest sequence number of each source in this block, if an account is merged in it.
    pub(crate) highest_sequences: &'a BTreeMap<PublicKey, i64>,
}

/// Why an operation did not succeed.
#[derive(Debug)]
pub(crate) enum OperationError {
    /// Its result says so. In a box: a success should not carry its room.
    Failed(Box<OperationResult>),
    /// We failed.
    State(StateError),
}

impl OperationError {
    fn failed(result: OperationResult) -> Self {
        OperationError::Failed(Box::new(result))
    }
}

impl From<StateError> for OperationError {
    fn from(error: StateError) -> Self {
        OperationError::State(error)
    }
}

/// How an operation's application ended.
pub(crate) type Applied = Result<(), OperationError>;

/// Makes the result codes of an operation into results and errors.
macro_rules! result_codes {
    ($($variant:ident($codes:ty)),* $(,)?) => {$(
        impl From<$codes> for OperationError {
            fn from(code: $codes) -> Self {
                OperationError::failed(OperationResult::OpInner(OperationResultTr::$variant(code)))
            }
        }
    )*};
}

result_codes!(
    CreateAccount(CreateAccountResult),
    Payment(PaymentResult),
    SetOptions(SetOptionsResult),
    ChangeTrust(ChangeTrustResult),
    AllowTrust(AllowTrustResult),
    AccountMerge(AccountMergeResult),
    ManageData(ManageDataResult),
    BumpSequence(BumpSequenceResult),
    Clawback(ClawbackResult),
    SetTrustLineFlags(SetTrustLineFlagsResult),
);

/// The account for which an operation acts.
pub(crate) fn source(transaction: &SignedTransaction, operation: &Operation) -> PublicKey {
    operation.source_account.as_ref().map_or_else(|| transaction.source(), account_of)
}

/// The threshold that an operation's source must reach.
pub(crate) fn threshold(body: &OperationBody) -> Threshold {
    match body {
        OperationBody::AllowTrust(_)
        | OperationBody::Inflation
        | OperationBody::BumpSequence(_)
        | OperationBody::ClaimClaimableBalance(_)
        | OperationBody::SetTrustLineFlags(_)
        | OperationBody::ExtendFootprintTtl(_)
        | OperationBody::RestoreFootprint(_) => Threshold::Low,
        OperationBody::AccountMerge(_) => Threshold::High,
        OperationBody::SetOptions(options) => set_options::threshold(options),
        _ => Threshold::Medium,
    }
}

/// Whether the operation is built.
pub(crate) fn is_supported(body: &OperationBody) -> bool {
    matches!(success(body), OperationResult::OpInner(_))
}

/// The check without state.
///
/// **Returns** the result of the failed check, if it fails.
pub(crate) fn refusal(body: &OperationBody, source: &PublicKey) -> Option<OperationResult> {
    let checked = match body {
        OperationBody::CreateAccount(op) => create_account::check(op, source).map_err(OperationError::from),
        OperationBody::Payment(op) => payment::check(op).map_err(OperationError::from),
        OperationBody::SetOptions(op) => set_options::check(op, source).map_err(OperationError::from),
        OperationBody::ChangeTrust(op) => change_trust::check(op, source),
        OperationBody::AllowTrust(op) => allow_trust::check(op, source).map_err(OperationError::from),
        OperationBody::AccountMerge(to) => account_merge::check(to, source).map_err(OperationError::from),
        OperationBody::ManageData(op) => manage_data::check(op).map_err(OperationError::from),
        OperationBody::BumpSequence(op) => bump_sequence::check(op).map_err(OperationError::from),
        OperationBody::Clawback(op) => clawback::check(op, source).map_err(OperationError::from),
        OperationBody::SetTrustLineFlags(op) => {
            set_trust_line_flags::check(op, source).map_err(OperationError::from)
        }
        _ => return Some(OperationResult::OpNotSupported),
    };
    match checked {
        Err(OperationError::Failed(result)) => Some(*result),
        // Without state there is none to fail.
        Ok(()) | Err(OperationError::State(_)) => None,
    }
}

/// Applies an operation to the innermost level of the ledger. What a failed one wrote is the caller's to undo.
///
/// **Returns** the result, and whether it is a success.
pub(crate) fn apply(
    context: &mut Context<'_, '_>,
    operation: &Operation,
) -> Result<(OperationResult, bool), StateError> {
    let body = &operation.body;
    if !is_supported(body) {
        return Ok((OperationResult::OpNotSupported, false));
    }
    if context.ledger.account(&context.source)?.is_none() {
        return Ok((OperationResult::OpNoAccount, false));
    }
    if let Some(result) = refusal(body, &context.source) {
        return Ok((result, false));
    }
    let mut result = success(body);
    let applied = match body {
        OperationBody::CreateAccount(op) => create_account::apply(context, op),
        OperationBody::Payment(op) => payment::apply(context, op),
        OperationBody::SetOptions(op) => set_options::apply(context, op),
        OperationBody::ChangeTrust(op) => change_trust::apply(context, op),
        OperationBody::AllowTrust(op) => allow_trust::apply(context, op),
        OperationBody::AccountMerge(to) => account_merge::apply(context, to).map(|balance| {
            result = OperationResult::OpInner(OperationResultTr::AccountMerge(AccountMergeResult::Success(
                balance,
            )));
        }),
        OperationBody::ManageData(op) => manage_data::apply(context, op),
        OperationBody::BumpSequence(op) => bump_sequence::apply(context, op),
        OperationBody::Clawback(op) => clawback::apply(context, op),
        OperationBody::SetTrustLineFlags(op) => set_trust_line_flags::apply(context, op),
        _ => Err(OperationError::failed(OperationResult::OpNotSupported)),
    };
    match applied {
        Ok(()) => Ok((result, true)),
        Err(OperationError::Failed(result)) => Ok((*result, false)),
        Err(OperationError::State(error)) => Err(error),
    }
}

/// The results before any operation was applied: what clients see for those behind a failed check.
pub(crate) fn initial_results(transaction: &SignedTransaction) -> Vec<OperationResult> {
    transaction.operations().iter().map(|operation| success(&operation.body)).collect()
}

/// The result of success, as far as it is known beforehand.
fn success(body: &OperationBody) -> OperationResult {
    let result = match body {
        OperationBody::CreateAccount(_) => OperationResultTr::CreateAccount(CreateAccountResult::Success),
        OperationBody::Payment(_) => OperationResultTr::Payment(PaymentResult::Success),
        OperationBody::SetOptions(_) => OperationResultTr::SetOptions(SetOptionsResult::Success),
        OperationBody::ChangeTrust(_) => OperationResultTr::ChangeTrust(ChangeTrustResult::Success),
        OperationBody::AllowTrust(_) => OperationResultTr::AllowTrust(AllowTrustResult::Success),
        OperationBody::AccountMerge(_) => OperationResultTr::AccountMerge(AccountMergeResult::Success(0)),
        OperationBody::ManageData(_) => OperationResultTr::ManageData(ManageDataResult::Success),
        OperationBody::BumpSequence(_) => OperationResultTr::BumpSequence(BumpSequenceResult::Success),
        OperationBody::Clawback(_) => OperationResultTr::Clawback(ClawbackResult::Success),
        OperationBody::SetTrustLineFlags(_) => {
            OperationResultTr::SetTrustLineFlags(SetTrustLineFlagsResult::Success)
        }
        _ => return OperationResult::OpNotSupported,
    };
    OperationResult::OpInner(result)
}

/// The result of a refused subentry, with the operation's own code for a low reserve.
fn subentry_error(refusal: SubentryRefusal, low_reserve: impl Into<OperationError>) -> OperationError {
    match refusal {
        SubentryRefusal::TooMany => OperationError::failed(OperationResult::OpTooManySubentries),
        SubentryRefusal::LowReserve => low_reserve.into(),
    }
}

/// The source, which exists: [`apply`] has looked.
const NO_SOURCE: StateError =
    StateError::Inconsistent("the source of an operation vanished while it was applied");

/// Whether text may be shown: ASCII without control characters.
fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (0x20..0x7f).contains(byte))
}
