//! The operations: for each its threshold, its check without state, and its application, one file each.
//!
//! **Source**: ledger specification A.2, where the result codes and their order stand. What is not built yet
//! answers `opNOT_SUPPORTED`.

use std::collections::BTreeMap;

use carat_types::governance::Call;
use carat_types::transaction::{SignedTransaction, account_of};
use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    AccountMergeResult, AllowTrustResult, BeginSponsoringFutureReservesResult, BumpSequenceResult,
    ChangeTrustResult, ClaimClaimableBalanceResult, ClawbackClaimableBalanceResult, ClawbackResult,
    CreateAccountResult, CreateClaimableBalanceResult, EndSponsoringFutureReservesResult, Hash,
    InvokeHostFunctionResult, LiquidityPoolDepositResult, LiquidityPoolWithdrawResult, ManageBuyOfferResult,
    ManageDataResult, ManageSellOfferResult, Operation, OperationBody, OperationResult, OperationResultTr,
    PathPaymentStrictReceiveResult, PathPaymentStrictSendResult, PaymentResult, RevokeSponsorshipResult,
    SetOptionsResult, SetTrustLineFlagsResult,
};

use crate::error::{Fault, StateError};
use crate::overlay::Overlay;
use crate::sponsorship::{Refusal, Sponsors};
use crate::validity::Moment;

mod account_merge;
mod allow_trust;
mod bump_sequence;
mod change_trust;
mod claim_claimable_balance;
mod clawback;
mod clawback_claimable_balance;
mod create_account;
mod create_claimable_balance;
mod invoke_host_function;
mod liquidity_pool_deposit;
mod liquidity_pool_withdraw;
mod manage_data;
mod manage_offer;
mod path_payment;
mod payment;
mod revocation;
mod revoke_sponsorship;
mod set_options;
mod set_trust_line_flags;
mod sponsoring_future_reserves;

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
    /// Who pays for whose new entries at this point of the transaction.
    pub(crate) sponsors: &'a mut Sponsors,
    pub(crate) transaction: &'a SignedTransaction,
    /// Position of the operation in its transaction.
    pub(crate) index: u32,
}

impl Context<'_, '_> {
    /// Who pays for new entries of the source at this point, if not the source.
    fn sponsor_of_source(&self) -> Option<PublicKey> {
        self.sponsors.get(&self.source).copied()
    }
}

/// Why an operation did not succeed.
#[derive(Debug)]
pub(crate) enum OperationError {
    /// Its result says so. In a box: a success should not carry its room.
    Failed(Box<OperationResult>),
    /// It met what its arithmetic rules out, see [`Fault`]: the whole transaction fails.
    Fault,
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

impl From<Fault> for OperationError {
    fn from(_: Fault) -> Self {
        OperationError::Fault
    }
}

/// How the application of an operation ended whose success is a word.
type Applied = Result<(), OperationError>;
/// How the application of an operation ended whose success says more.
type Outcome = Result<OperationResultTr, OperationError>;

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
    CreateClaimableBalance(CreateClaimableBalanceResult),
    ClaimClaimableBalance(ClaimClaimableBalanceResult),
    ClawbackClaimableBalance(ClawbackClaimableBalanceResult),
    BeginSponsoringFutureReserves(BeginSponsoringFutureReservesResult),
    EndSponsoringFutureReserves(EndSponsoringFutureReservesResult),
    RevokeSponsorship(RevokeSponsorshipResult),
    LiquidityPoolDeposit(LiquidityPoolDepositResult),
    LiquidityPoolWithdraw(LiquidityPoolWithdrawResult),
    InvokeHostFunction(InvokeHostFunctionResult),
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

/// Whether the operation is built, and what it calls is on this chain and known to this version of the rules.
pub(crate) fn is_supported(body: &OperationBody, chain_id: &Digest, version: u32) -> bool {
    match body {
        OperationBody::InvokeHostFunction(op) => {
            invoke_host_function::native(op, chain_id, version).is_some()
        }
        _ => matches!(success(body, version), OperationResult::OpInner(_)),
    }
}

/// The check without state.
///
/// **Returns** the result of the failed check, if it fails.
pub(crate) fn refusal(body: &OperationBody, source: &PublicKey, version: u32) -> Option<OperationResult> {
    match check(body, source, version) {
        Err(OperationError::Failed(result)) => Some(*result),
        // Without state and arithmetic there is nothing else to fail.
        Ok(()) | Err(OperationError::Fault | OperationError::State(_)) => None,
    }
}

fn check(body: &OperationBody, source: &PublicKey, version: u32) -> Applied {
    match body {
        OperationBody::CreateAccount(op) => create_account::check(op, source)?,
        OperationBody::Payment(op) => payment::check(op)?,
        OperationBody::PathPaymentStrictReceive(op) => {
            path_payment::check(&path_payment::strict_receive(op))?
        }
        OperationBody::PathPaymentStrictSend(op) => path_payment::check(&path_payment::strict_send(op))?,
        OperationBody::ManageSellOffer(op) => manage_offer::check(&manage_offer::sell(op))?,
        OperationBody::ManageBuyOffer(op) => manage_offer::check(&manage_offer::buy(op))?,
        OperationBody::CreatePassiveSellOffer(op) => manage_offer::check(&manage_offer::passive(op))?,
        OperationBody::SetOptions(op) => set_options::check(op, source)?,
        OperationBody::ChangeTrust(op) => change_trust::check(op, source)?,
        OperationBody::AllowTrust(op) => allow_trust::check(op, source)?,
        OperationBody::AccountMerge(to) => account_merge::check(to, source)?,
        OperationBody::ManageData(op) => manage_data::check(op)?,
        OperationBody::BumpSequence(op) => bump_sequence::check(op)?,
        OperationBody::CreateClaimableBalance(op) => create_claimable_balance::check(op)?,
        OperationBody::BeginSponsoringFutureReserves(op) => {
            sponsoring_future_reserves::check_begin(op, source)?
        }
        OperationBody::RevokeSponsorship(op) => revoke_sponsorship::check(op)?,
        OperationBody::Clawback(op) => clawback::check(op, source)?,
        OperationBody::SetTrustLineFlags(op) => set_trust_line_flags::check(op, source)?,
        OperationBody::LiquidityPoolDeposit(op) => liquidity_pool_deposit::check(op)?,
        OperationBody::LiquidityPoolWithdraw(op) => liquidity_pool_withdraw::check(op)?,
        OperationBody::ClaimClaimableBalance(_)
        | OperationBody::ClawbackClaimableBalance(_)
        | OperationBody::EndSponsoringFutureReserves => {}
        OperationBody::InvokeHostFunction(op) => invoke_host_function::check(op, version)?,
        OperationBody::Inflation
        | OperationBody::ExtendFootprintTtl(_)
        | OperationBody::RestoreFootprint(_) => {
            return Err(OperationError::failed(OperationResult::OpNotSupported));
        }
    }
    Ok(())
}

/// How an operation ended.
pub(crate) enum Ended {
    Succeeded(OperationResult),
    Failed(OperationResult),
    /// The transaction fails as a whole.
    Fault,
}

/// Applies an operation to the innermost level of the ledger. What a failed one wrote is the caller's to undo.
pub(crate) fn apply(context: &mut Context<'_, '_>, operation: &Operation) -> Result<Ended, StateError> {
    let (body, version) = (&operation.body, context.ledger.totals().protocol_version);
    if !is_supported(body, &context.moment.chain_id, version) {
        return Ok(Ended::Failed(OperationResult::OpNotSupported));
    }
    if context.ledger.account(&context.source)?.is_none() {
        return Ok(Ended::Failed(OperationResult::OpNoAccount));
    }
    if let Some(result) = refusal(body, &context.source, version) {
        return Ok(Ended::Failed(result));
    }
    match perform(context, body) {
        Ok(result) => Ok(Ended::Succeeded(result)),
        Err(OperationError::Failed(result)) => Ok(Ended::Failed(*result)),
        Err(OperationError::Fault) => Ok(Ended::Fault),
        Err(OperationError::State(error)) => Err(error),
    }
}

fn perform(context: &mut Context<'_, '_>, body: &OperationBody) -> Result<OperationResult, OperationError> {
    let says_more = match body {
        OperationBody::PathPaymentStrictReceive(op) => {
            path_payment::apply(context, &path_payment::strict_receive(op))?
        }
        OperationBody::PathPaymentStrictSend(op) => {
            path_payment::apply(context, &path_payment::strict_send(op))?
        }
        OperationBody::ManageSellOffer(op) => manage_offer::apply(context, &manage_offer::sell(op))?,
        OperationBody::ManageBuyOffer(op) => manage_offer::apply(context, &manage_offer::buy(op))?,
        OperationBody::CreatePassiveSellOffer(op) => {
            manage_offer::apply(context, &manage_offer::passive(op))?
        }
        OperationBody::CreateClaimableBalance(op) => create_claimable_balance::apply(context, op)?,
        OperationBody::InvokeHostFunction(op) => invoke_host_function::apply(context, op)?,
        OperationBody::AccountMerge(to) => {
            let balance = account_merge::apply(context, to)?;
            OperationResultTr::AccountMerge(AccountMergeResult::Success(balance))
        }
        _ => {
            perform_plainly(context, body)?;
            return Ok(success(body, context.ledger.totals().protocol_version));
        }
    };
    Ok(OperationResult::OpInner(says_more))
}

/// The operations whose success is a word.
fn perform_plainly(context: &mut Context<'_, '_>, body: &OperationBody) -> Applied {
    match body {
        OperationBody::CreateAccount(op) => create_account::apply(context, op),
        OperationBody::Payment(op) => payment::apply(context, op),
        OperationBody::SetOptions(op) => set_options::apply(context, op),
        OperationBody::ChangeTrust(op) => change_trust::apply(context, op),
        OperationBody::AllowTrust(op) => allow_trust::apply(context, op),
        OperationBody::ManageData(op) => manage_data::apply(context, op),
        OperationBody::BumpSequence(op) => bump_sequence::apply(context, op),
        OperationBody::ClaimClaimableBalance(op) => claim_claimable_balance::apply(context, op),
        OperationBody::BeginSponsoringFutureReserves(op) => sponsoring_future_reserves::begin(context, op),
        OperationBody::EndSponsoringFutureReserves => sponsoring_future_reserves::end(context),
        OperationBody::RevokeSponsorship(op) => revoke_sponsorship::apply(context, op),
        OperationBody::Clawback(op) => clawback::apply(context, op),
        OperationBody::ClawbackClaimableBalance(op) => clawback_claimable_balance::apply(context, op),
        OperationBody::SetTrustLineFlags(op) => set_trust_line_flags::apply(context, op),
        OperationBody::LiquidityPoolDeposit(op) => liquidity_pool_deposit::apply(context, op),
        OperationBody::LiquidityPoolWithdraw(op) => liquidity_pool_withdraw::apply(context, op),
        _ => Err(OperationError::failed(OperationResult::OpNotSupported)),
    }
}

/// The results before any operation was applied: what clients see for those behind a failed check.
pub(crate) fn initial_results(transaction: &SignedTransaction, version: u32) -> Vec<OperationResult> {
    transaction.operations().iter().map(|operation| success(&operation.body, version)).collect()
}

/// The result of success, as far as it is known beforehand: what it says of amounts and offers is empty.
fn success(body: &OperationBody, version: u32) -> OperationResult {
    use OperationResultTr as Tr;
    let result = match body {
        OperationBody::CreateAccount(_) => Tr::CreateAccount(CreateAccountResult::Success),
        OperationBody::Payment(_) => Tr::Payment(PaymentResult::Success),
        OperationBody::PathPaymentStrictReceive(_) => {
            Tr::PathPaymentStrictReceive(PathPaymentStrictReceiveResult::default())
        }
        OperationBody::PathPaymentStrictSend(_) => {
            Tr::PathPaymentStrictSend(PathPaymentStrictSendResult::default())
        }
        // A passive offer's result is of this kind as well: see `manage_offer::passive`.
        OperationBody::ManageSellOffer(_) | OperationBody::CreatePassiveSellOffer(_) => {
            Tr::ManageSellOffer(ManageSellOfferResult::default())
        }
        OperationBody::ManageBuyOffer(_) => Tr::ManageBuyOffer(ManageBuyOfferResult::default()),
        OperationBody::SetOptions(_) => Tr::SetOptions(SetOptionsResult::Success),
        OperationBody::ChangeTrust(_) => Tr::ChangeTrust(ChangeTrustResult::Success),
        OperationBody::AllowTrust(_) => Tr::AllowTrust(AllowTrustResult::Success),
        OperationBody::AccountMerge(_) => Tr::AccountMerge(AccountMergeResult::Success(0)),
        OperationBody::ManageData(_) => Tr::ManageData(ManageDataResult::Success),
        OperationBody::BumpSequence(_) => Tr::BumpSequence(BumpSequenceResult::Success),
        OperationBody::CreateClaimableBalance(_) => {
            Tr::CreateClaimableBalance(CreateClaimableBalanceResult::default())
        }
        OperationBody::ClaimClaimableBalance(_) => {
            Tr::ClaimClaimableBalance(ClaimClaimableBalanceResult::Success)
        }
        OperationBody::BeginSponsoringFutureReserves(_) => {
            Tr::BeginSponsoringFutureReserves(BeginSponsoringFutureReservesResult::Success)
        }
        OperationBody::EndSponsoringFutureReserves => {
            Tr::EndSponsoringFutureReserves(EndSponsoringFutureReservesResult::Success)
        }
        OperationBody::RevokeSponsorship(_) => Tr::RevokeSponsorship(RevokeSponsorshipResult::Success),
        OperationBody::Clawback(_) => Tr::Clawback(ClawbackResult::Success),
        OperationBody::ClawbackClaimableBalance(_) => {
            Tr::ClawbackClaimableBalance(ClawbackClaimableBalanceResult::Success)
        }
        OperationBody::SetTrustLineFlags(_) => Tr::SetTrustLineFlags(SetTrustLineFlagsResult::Success),
        OperationBody::LiquidityPoolDeposit(_) => {
            Tr::LiquidityPoolDeposit(LiquidityPoolDepositResult::Success)
        }
        OperationBody::LiquidityPoolWithdraw(_) => {
            Tr::LiquidityPoolWithdraw(LiquidityPoolWithdrawResult::Success)
        }
        OperationBody::InvokeHostFunction(op) if Call::read(op, version).is_some() => {
            Tr::InvokeHostFunction(InvokeHostFunctionResult::Success(Hash::default()))
        }
        OperationBody::Inflation
        | OperationBody::InvokeHostFunction(_)
        | OperationBody::ExtendFootprintTtl(_)
        | OperationBody::RestoreFootprint(_) => return OperationResult::OpNotSupported,
    };
    OperationResult::OpInner(result)
}

/// Why an entry or its reserve was refused, with the operation's own code for a low reserve.
fn refused(refusal: Refusal, low_reserve: impl Into<OperationError>) -> OperationError {
    match refusal {
        Refusal::LowReserve => low_reserve.into(),
        Refusal::TooManySubentries => OperationError::failed(OperationResult::OpTooManySubentries),
        Refusal::TooManySponsoring => OperationError::failed(OperationResult::OpTooManySponsoring),
    }
}

/// The source, which exists: [`apply`] has looked.
const NO_SOURCE: StateError =
    StateError::Inconsistent("the source of an operation vanished while it was applied");

/// Whether text may be shown: ASCII without control characters.
fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (0x20..0x7f).contains(byte))
}
