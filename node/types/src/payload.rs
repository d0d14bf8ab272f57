//! The check of a payload that needs neither ledger state nor clock: sizes, limits, canonical envelopes.
//!
//! It is the same at every validator, so that all agree which proposals may be voted for. Whatever depends on
//! state is an outcome of execution, never a reason to refuse a value. **Source**: consensus specification,
//! end of section 3.

use std::sync::Arc;

use thiserror::Error;

use crate::batch::{Batch, BlockLimits, Payload, Value, WellFormed};
use crate::hash::Digest;
use crate::transaction::{EnvelopeError, SignedTransaction};

/// A payload's transactions, decoded once for checking and for execution.
pub type Transactions = Vec<Arc<SignedTransaction>>;

/// Why no validator votes for a payload.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The bodies are not those that the batch names.
    #[error("the bodies are not those that the batch names")]
    Inconsistent,
    /// More of something than a block may hold.
    #[error("{what}: {seen}, at most {limit} in a block")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many.
        seen: usize,
        /// The limit.
        limit: usize,
    },
    /// A body without envelopes.
    #[error("body {0} is empty")]
    EmptyBody(usize),
    /// An envelope that is no transaction.
    #[error("envelope {index}: {error}")]
    Envelope {
        /// Its position among all envelopes.
        index: usize,
        /// What is wrong.
        error: EnvelopeError,
    },
}

/// Checks a payload.
///
/// **Returns** the payload as well-formed, and its transactions in the order of its envelopes.
///
/// **Errors**: see [`Malformed`].
pub fn check(
    payload: Arc<Payload>,
    network_id: &Digest,
    limits: &BlockLimits,
) -> Result<(WellFormed, Transactions), Malformed> {
    if !payload.is_consistent() {
        return Err(Malformed::Inconsistent);
    }
    if let Value::Batch(batch) = &payload.value {
        at_most("bodies", batch.bodies.len(), Batch::BODIES_MAX)?;
    }
    if let Some(empty) = payload.bodies.iter().position(|body| body.envelopes.is_empty()) {
        return Err(Malformed::EmptyBody(empty));
    }
    let count = payload.bodies.iter().map(|body| body.envelopes.len()).sum();
    at_most("transactions", count, as_usize(limits.transactions))?;
    let bytes = payload.bodies.iter().map(|body| body.bytes()).sum();
    at_most("bytes", bytes, as_usize(limits.bytes))?;
    let transactions = decode_all(&payload, network_id)?;
    let operations = transactions.iter().map(|transaction| transaction.operations().len()).sum();
    at_most("operations", operations, as_usize(limits.operations))?;
    let signatures = transactions.iter().map(|transaction| transaction.signature_count()).sum();
    at_most("signatures", signatures, as_usize(limits.signatures))?;
    Ok((WellFormed::trusted(payload), transactions))
}

fn decode_all(payload: &Payload, network_id: &Digest) -> Result<Transactions, Malformed> {
    let decode = |(index, envelope): (usize, &crate::batch::Envelope)| {
        SignedTransaction::decode(network_id, &envelope.0)
            .map(Arc::new)
            .map_err(|error| Malformed::Envelope { index, error })
    };
    payload.envelopes().enumerate().map(decode).collect()
}

fn at_most(what: &'static str, seen: usize, limit: usize) -> Result<(), Malformed> {
    if seen <= limit { Ok(()) } else { Err(Malformed::Limit { what, seen, limit }) }
}

fn as_usize(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
