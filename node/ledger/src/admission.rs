//! Admission: whether the front door takes a transaction, by the same check as the trim.

use carat_types::PublicKey;
use carat_types::transaction::SignedTransaction;
use stellar_xdr::{OperationBody, TransactionResult, TransactionResultCode as Code};

use crate::authorization::SignatureOracle;
use crate::error::StateError;
use crate::members;
use crate::operations;
use crate::overlay::Overlay;
use crate::results;
use crate::state::StateRead;
use crate::trim;
use crate::validity::{self, Check, Moment, Pending, fee_asked};

/// What the pool needs to know of an admitted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The account whose sequence number is used.
    pub source: PublicKey,
    /// The sequence number.
    pub sequence: i64,
    /// The account that pays.
    pub fee_source: PublicKey,
    /// The most that it pays. **Units**: stroops.
    pub fee: i64,
    /// The last close time at which it can execute, if it says so. **Units**: seconds since 1970.
    pub valid_until: Option<u64>,
    /// Number of operations.
    pub operations: usize,
    /// Signatures that its check costs: see [`validity::signature_cost`].
    pub signatures: usize,
}

/// Why the front door does not take a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The result that clients see.
    pub result: TransactionResult,
    /// Why the network's admission rule refuses it; none where the result says all.
    pub policy: Option<PolicyRefusal>,
}

/// A refusal by the consortium's rules rather than by the ledger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// See [`crate::trim::DropReason::Suspended`].
    #[error("an account that the transaction acts for is suspended by the member that created it")]
    Suspended,
    /// See ledger specification 0.5.
    #[error("only a member of this network, or an account that a member created, may create accounts")]
    NotAMember,
}

/// Checks a transaction against the last executed state and what is pending before it.
///
/// `moment` is that of the next block as far as it is known: a later close time can only make a transaction late.
/// **Errors**: the state cannot be read. A refused transaction is no error of ours: see the inner result.
pub fn admit(
    state: &impl StateRead,
    moment: Moment,
    oracle: &dyn SignatureOracle,
    transaction: &SignedTransaction,
    pending: Pending,
) -> Result<Result<Admitted, Refusal>, StateError> {
    let ledger = &mut Overlay::new(&state, moment.ledger_seq)?;
    if let Some(policy) = policy_refusal(ledger, transaction)? {
        let result = results::refused(Code::TxNotSupported, 0);
        return Ok(Err(Refusal { result, policy: Some(policy) }));
    }
    let fee_asked = fee_asked(ledger.totals(), transaction);
    let (check, _) = validity::check(ledger, moment, oracle, transaction, pending)?;
    let result = match check {
        Check::Valid => return Ok(Ok(Admitted::of(transaction, ledger.totals().protocol_version))),
        Check::Outer(code, fee) => results::refused(code, fee),
        Check::Inner(verdict) => results::result(transaction, fee_asked, verdict),
    };
    Ok(Err(Refusal { result, policy: None }))
}

impl Admitted {
    /// What the pool needs to know of a transaction under this version of the rules.
    pub fn of(transaction: &SignedTransaction, version: u32) -> Self {
        Admitted {
            source: transaction.source(),
            sequence: transaction.sequence(),
            fee_source: transaction.fee_source(),
            fee: transaction.fee(),
            valid_until: validity::expiry(transaction),
            operations: transaction.operations().len(),
            signatures: validity::signature_cost(transaction, version),
        }
    }
}

fn policy_refusal(
    ledger: &mut Overlay<'_>,
    transaction: &SignedTransaction,
) -> Result<Option<PolicyRefusal>, StateError> {
    if trim::suspended(ledger, transaction)? {
        return Ok(Some(PolicyRefusal::Suspended));
    }
    for operation in transaction.operations() {
        let source = operations::source(transaction, operation);
        let creates = matches!(operation.body, OperationBody::CreateAccount(_));
        // A source that does not exist yet may be created by a member in this very transaction.
        if creates && ledger.account(&source)?.is_some() && !members::may_create_accounts(ledger, &source)? {
            return Ok(Some(PolicyRefusal::NotAMember));
        }
    }
    Ok(None)
}
