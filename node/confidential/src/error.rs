//! Why a claim is refused, and why none can be made.

use thiserror::Error;

/// Why a claim is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Bytes that are not the one encoding of a point.
    #[error("{0} is not the canonical encoding of a point")]
    NotAPoint(&'static str),
    /// The identity where it would make a proof worthless.
    #[error("{0} is the identity")]
    Identity(&'static str),
    /// Bytes that are not the one encoding of a scalar.
    #[error("{0} is not a canonical scalar")]
    NotAScalar(&'static str),
    /// Not as many of something as the statement has.
    #[error("{what}: {seen} seen, {expected} expected")]
    Shape {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        seen: usize,
        /// How many there must be.
        expected: usize,
    },
    /// The proof proves something else.
    #[error("the proof does not hold")]
    DoesNotHold,
}

/// Why no proof can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProveError {
    /// More than there is.
    #[error("the amount of {amount} is more than the balance of {balance}")]
    Overdraft {
        /// What is to be moved.
        amount: u64,
        /// What is there.
        balance: u128,
    },
    /// The balance after it would not fit into 64 bits.
    #[error("a balance of {0} does not fit into 64 bits")]
    TooMuch(u128),
    /// The old balance is not an encryption of what the caller says, to the caller's key.
    #[error(
        "the old balance does not hold the amount given, or is another's: it changed, or the key is wrong"
    )]
    WrongBalance,
    /// Something handed in is no point, or the number of auditors is not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
