//! The keys of the index.
//!
//! | key | value |
//! |---|---|
//! | `v` | u32 version of this table |
//! | `m` | the index's place: last slot, and the ledger that is still open ([`crate::record::Position`]) |
//! | `l` u32 ledger | [`crate::record::LedgerRecord`] of a closed ledger |
//! | `t` u64 id | [`crate::record::TransactionRecord`] |
//! | `h` hash | u64 id of the transaction with that hash, or whose inner transaction has it |
//! | `g` u8 list, u8 outcome, id | an entry of a list over everything |
//! | `a` account, u8 list, u8 outcome, id | an entry of a list of one account |
//! | `p` pool, `b` balance, `o` u64 offer, each with u8 list, u8 outcome, id | of one pool, claimable balance, offer |
//! | `q` asset, asset, u8 list, u8 outcome, id | of two assets in their canonical order |
//! | `c` asset, asset, u64 minute | what was traded in that minute ([`crate::candles::Candle`]) |
//! | `s` state key | a state entry after the last block indexed, as the ledger's own store keeps it |
//! | `x` ... | which state entries have something in common ([`crate::state_index`]) |
//!
//! Numbers are big-endian, so that the order of keys is the order of ids and a page is a range. An id is a u64
//! ([`Toid`]); in lists of effects and trades a u32 follows, the place within the operation. What failed has
//! lists of its own: a page without it costs no more however much has failed. Entries have no value, but for the
//! list of all transactions, where it is the fee bid and charged for one operation, and lists of trades, where
//! it is the kind of trade.

use std::ops::Range;

use carat_types::{Digest, PublicKey};
use stellar_xdr::Asset;

use crate::record::xdr;
use crate::toid::{PartId, Toid};

/// The key of the version.
pub const VERSION: &[u8] = b"v";
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
    /// What operations did to accounts.
    Effects = 3,
    /// What was exchanged.
    Trades = 4,
}

/// Whose list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Everybody's.
    All,
    /// One account's.
    Account(PublicKey),
    /// One liquidity pool's.
    Pool(Digest),
    /// One claimable balance's.
    Balance(Digest),
    /// One offer's.
    Offer(u64),
    /// That of two assets; see [`pair`].
    Pair(Vec<u8>),
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

/// The key of a state entry.
pub fn state(key: &[u8]) -> Vec<u8> {
    [b"s".as_slice(), key].concat()
}

/// Two assets in the order in which they name a list; true if that is the order given.
///
/// The native coin comes first, then codes of four letters, then of twelve; within these code, then issuer.
pub fn pair(one: &Asset, other: &Asset) -> (Vec<u8>, bool) {
    let in_order = one <= other;
    let (first, second) = if in_order { (one, other) } else { (other, one) };
    ([xdr(first), xdr(second)].concat(), in_order)
}

/// The key of what two assets traded in one minute.
pub fn candle(pair: &[u8], minute: u64) -> Vec<u8> {
    [b"c".as_slice(), pair, &minute.to_be_bytes()].concat()
}

/// The key of one entry of a list.
pub fn entry(owner: &Owner, list: List, outcome: Outcome, id: Toid) -> Vec<u8> {
    let mut key = list_prefix(owner, list, outcome);
    key.extend(id.get().to_be_bytes());
    key
}

/// The key of one entry of a list of effects or trades.
pub fn part(owner: &Owner, list: List, id: PartId) -> Vec<u8> {
    let mut key = list_prefix(owner, list, Outcome::Successful);
    key.extend(id.operation.get().to_be_bytes());
    key.extend(id.number.to_be_bytes());
    key
}

/// The keys of the entries of a list whose ids lie in `ids`.
pub fn entries(owner: &Owner, list: List, outcome: Outcome, ids: &Range<u64>) -> Range<Vec<u8>> {
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

/// The id at the end of the key of an effect or trade.
pub fn id_of_part(key: &[u8]) -> Option<PartId> {
    let (rest, number) = key.split_last_chunk::<4>()?;
    Some(PartId { operation: id_of_entry(rest)?, number: u32::from_be_bytes(*number) })
}

/// All keys that begin with `prefix` and go on with anything after `after`.
pub fn after(prefix: &[u8], after: &[u8]) -> Range<Vec<u8>> {
    // The least key above `prefix | after` is that key with a zero behind it.
    [prefix, after, &[0]].concat()..beyond(prefix)
}

/// All keys that begin with `prefix`.
pub fn with_prefix(prefix: &[u8]) -> Range<Vec<u8>> {
    prefix.to_vec()..beyond(prefix)
}

/// The least key above all that begin with `prefix`; no prefix of ours is all ones.
pub fn beyond(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

fn list_prefix(owner: &Owner, list: List, outcome: Outcome) -> Vec<u8> {
    let mut key = Vec::with_capacity(47);
    match owner {
        Owner::All => key.push(b'g'),
        Owner::Account(account) => {
            key.push(b'a');
            key.extend(account.0);
        }
        Owner::Pool(pool) => {
            key.push(b'p');
            key.extend(pool.0);
        }
        Owner::Balance(balance) => {
            key.push(b'b');
            key.extend(balance.0);
        }
        Owner::Offer(offer) => {
            key.push(b'o');
            key.extend(offer.to_be_bytes());
        }
        Owner::Pair(pair) => {
            key.push(b'q');
            key.extend(pair);
        }
    }
    key.push(list as u8);
    key.push(outcome as u8);
    key
}
