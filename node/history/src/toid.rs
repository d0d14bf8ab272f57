//! Total-order ids: one number for the place of a ledger, a transaction or an operation in history.
//!
//! `ledger << 32 | transaction << 12 | operation`; transactions and operations count from 1 within what holds
//! them, and 0 names the holder itself. Transactions go on counting through the slots of one ledger.
//! **Source**: ledger specification B.2; consensus specification, section 11.

use std::fmt;
use std::str::FromStr;

/// A place in history. At most `i64::MAX`, so that it fits the signed ids of the wire format's clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Toid(u64);

const TRANSACTION_BITS: u32 = 20;
const OPERATION_BITS: u32 = 12;

impl Toid {
    /// The most transactions of a ledger: 250 slots of 4,000 transactions stay below.
    pub const TRANSACTIONS_MAX: u32 = (1 << TRANSACTION_BITS) - 1;
    /// The largest number of an operation; an envelope holds at most 100.
    pub const OPERATIONS_MAX: u32 = (1 << OPERATION_BITS) - 1;
    /// The greatest id.
    pub const MAX: Toid = Toid(i64::MAX as u64);

    /// The id of operation `operation` of transaction `transaction` of ledger `ledger`.
    ///
    /// **Returns** `None` where a number does not fit: a ledger of 31 bits, a transaction of 20, an operation
    /// of 12.
    pub fn new(ledger: u32, transaction: u32, operation: u32) -> Option<Self> {
        let fits = ledger <= i32::MAX as u32
            && transaction <= Self::TRANSACTIONS_MAX
            && operation <= Self::OPERATIONS_MAX;
        fits.then_some(Self::from_parts(ledger, transaction, operation))
    }

    /// The id of a ledger: below everything in it.
    pub fn ledger_start(ledger: u32) -> Self {
        Self::from_parts(ledger.min(i32::MAX as u32), 0, 0)
    }

    /// The greatest id of a ledger: a cursor after everything in it.
    pub fn ledger_end(ledger: u32) -> Self {
        Self::from_parts(ledger.min(i32::MAX as u32), Self::TRANSACTIONS_MAX, Self::OPERATIONS_MAX)
    }

    const fn from_parts(ledger: u32, transaction: u32, operation: u32) -> Self {
        Toid(((ledger as u64) << 32) | ((transaction as u64) << OPERATION_BITS) | operation as u64)
    }

    /// The id that a number stands for, if it is not too large for one.
    pub fn from_u64(value: u64) -> Option<Self> {
        (value <= Self::MAX.0).then_some(Toid(value))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The ledger.
    pub const fn ledger(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The transaction's place in the ledger, from 1; 0 for the ledger itself.
    pub const fn transaction(self) -> u32 {
        low_half(self.0 >> OPERATION_BITS) & Self::TRANSACTIONS_MAX
    }

    /// The operation's place in the transaction, from 1; 0 for the transaction itself.
    pub const fn operation(self) -> u32 {
        low_half(self.0) & Self::OPERATIONS_MAX
    }

    /// The id of the transaction that holds this operation.
    #[must_use]
    pub const fn of_transaction(self) -> Self {
        Self::from_parts(self.ledger(), self.transaction(), 0)
    }

    /// The id of operation `operation` (from 1) of this transaction.
    #[must_use]
    pub const fn with_operation(self, operation: u32) -> Self {
        let operation = if operation > Self::OPERATIONS_MAX { Self::OPERATIONS_MAX } else { operation };
        Self::from_parts(self.ledger(), self.transaction(), operation)
    }

    /// The greatest id of this transaction: a cursor after everything in it.
    #[must_use]
    pub const fn transaction_end(self) -> Self {
        self.with_operation(Self::OPERATIONS_MAX)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn low_half(value: u64) -> u32 {
    value as u32
}

impl fmt::Display for Toid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Toid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Toid({}.{}.{})", self.ledger(), self.transaction(), self.operation())
    }
}

/// The text is no id: not a decimal number, or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: a decimal number up to {} is expected", Toid::MAX)]
pub struct NotAnId;

impl FromStr for Toid {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = if digits { text.parse().ok() } else { None };
        value.and_then(Toid::from_u64).ok_or(NotAnId)
    }
}

/// The place of one of the several things that an operation led to: an effect, counted from 1, or a trade,
/// counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartId {
    /// The operation.
    pub operation: Toid,
    /// The place within it.
    pub number: u32,
}

impl PartId {
    /// After all that operations up to this one led to.
    pub fn after(operation: Toid) -> Self {
        PartId { operation, number: u32::MAX }
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.operation, self.number)
    }
}

impl fmt::Debug for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}-{}", self.operation, self.number)
    }
}

impl FromStr for PartId {
    type Err = NotAnId;

    /// Reads `operation-number`; an operation alone stands for the end of what it led to.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let Some((operation, number)) = text.split_once('-') else { return text.parse().map(PartId::after) };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { number.parse().ok() } else { None };
        Ok(PartId { operation: operation.parse()?, number: number.ok_or(NotAnId)? })
    }
}
