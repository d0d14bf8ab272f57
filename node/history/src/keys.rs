//! The keys of the index.
//!
//! | key | value |
//! |---|---|
//! | `m` | the index's place: last slot, and the ledger that is still open ([`crate::record::Position`]) |
//! | `l` u32 ledger | [`crate::record::LedgerRecord`] of a closed ledger |
//! | `t` u64 id | [`crate::record::TransactionRecord`] |
//! | `h` hash | u64 id of the transaction with that hash, or whose inner transaction has it |
//! | `g` u8 list, u8 outcome, u64 id | an entry of a list over everything |
//! | `a` account, u8 list, u8 outcome, u64 id | an entry of a list of one account |
//!
//! Numbers are big-endian, so that the order of keys is the order of ids and a page is a range. What failed
//! has lists of its own: a page without it costs no more however much has failed. Entries have no value, but
//! for the list of all transactions, where it is the fee bid and charged for one operation.

use std::ops::Range;

use carat_types::{Digest, PublicKey};

use crate::toid::Toid;

/// The key of the index's place.
pub const POSITION: &[u8] = b"m";

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// Transactions.
    Transactions = 0,
    /// All operations.
    Operations = 1,
    /// The operations that move value from account to account.
    Payments = 2,
}

/// Whose list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Everybody's.
    All,
    /// One account's.
    Account(PublicKey),
}

/// Whether the transaction succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It did.
    Successful = 0,
    /// It paid its fee and changed nothing else.
    Failed = 1,
}

/// The key of a closed ledger.
pub fn ledger(sequence: u32) -> Vec<u8> {
    [b"l".as_slice(), &sequence.to_be_bytes()].concat()
}

/// The key of a transaction.
pub fn transaction(id: Toid) -> Vec<u8> {
    [b"t".as_slice(), &id.get().to_be_bytes()].concat()
}

/// The key that leads from a hash to a transaction.
pub fn hash(hash: &Digest) -> Vec<u8> {
    [b"h".as_slice(), &hash.0].concat()
}

/// The key of one entry of a list.
pub fn entry(owner: Owner, list: List, outcome: Outcome, id: Toid) -> Vec<u8> {
    let mut key = list_prefix(owner, list, outcome);
    key.extend(id.get().to_be_bytes());
    key
}

/// The keys of the entries of a list whose ids lie in `ids`.
pub fn entries(owner: Owner, list: List, outcome: Outcome, ids: &Range<u64>) -> Range<Vec<u8>> {
    let bound = |id: u64| {
        let mut key = list_prefix(owner, list, outcome);
        key.extend(id.to_be_bytes());
        key
    };
    bound(ids.start)..bound(ids.end)
}

/// The id at the end of the key of an entry.
pub fn id_of_entry(key: &[u8]) -> Option<Toid> {
    let (_, id) = key.split_last_chunk::<8>()?;
    Toid::from_u64(u64::from_be_bytes(*id))
}

fn list_prefix(owner: Owner, list: List, outcome: Outcome) -> Vec<u8> {
    let mut key = Vec::with_capacity(43);
    match owner {
        Owner::All => key.push(b'g'),
        Owner::Account(account) => {
            key.push(b'a');
            key.extend(account.0);
        }
    }
    key.push(list as u8);
    key.push(outcome as u8);
    key
}
