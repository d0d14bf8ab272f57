//! InvokeHostFunction: calls of the chain's own contract, which is part of the ledger. Other contracts are not built.

use carat_types::Digest;
use carat_types::accountability::Acquittal;
use carat_types::governance::{self, Call};
use stellar_xdr::{
    Hash, InvokeHostFunctionOp, InvokeHostFunctionResult as Code, OperationResult, OperationResultTr,
};

use super::{Context, OperationError, Outcome};
use crate::governance::{Refusal, call};

/// The call that an operation makes of this chain's own contract, as this version of the rules knows it.
pub(super) fn native(op: &InvokeHostFunctionOp, chain_id: &Digest, version: u32) -> Option<Call> {
    let (contract, call) = Call::read(op, version)?;
    (contract == governance::contract_id(chain_id)).then_some(call)
}

pub(super) fn check(op: &InvokeHostFunctionOp, version: u32) -> Result<(), Code> {
    match Call::read(op, version) {
        Some((_, Call::Propose { change, .. })) if !change.is_in_range() => Err(Code::Malformed),
        _ => Ok(()),
    }
}

/// Makes the call. Its result is the id of the proposal, or of the evidence.
pub(super) fn apply(context: &mut Context<'_, '_>, op: &InvokeHostFunctionOp) -> Outcome {
    let Context { ledger, source, moment, .. } = context;
    let Some(made) = native(op, &moment.chain_id, ledger.totals().protocol_version) else {
        return Err(OperationError::failed(OperationResult::OpNotSupported));
    };
    let result = match call(ledger, source, &made, *moment)? {
        Ok(id) => Code::Success(Hash(id.0)),
        Err(Refusal::NotPossible | Refusal::Acquitted(Acquittal::ProvesNothing)) => {
            return Err(Code::Trapped.into());
        }
        Err(Refusal::NotOpen | Refusal::Acquitted(Acquittal::UnknownEpoch)) => {
            return Err(Code::EntryArchived.into());
        }
        Err(Refusal::Blocked | Refusal::Acquitted(Acquittal::Recorded)) => {
            return Err(Code::ResourceLimitExceeded.into());
        }
    };
    Ok(OperationResultTr::InvokeHostFunction(result))
}
