//! The order in which a block's transactions are applied.
//!
//! **Source**: ledger specification A.3(1) with the sort key of 0.4: one queue an account, sorted by sequence
//! number; the first of all queues, then the second of all, and so on; inside such a round by a key that the leader
//! of the block cannot steer.

use carat_types::Digest;
use std::sync::Arc;

use carat_types::hash::h;
use carat_types::transaction::SignedTransaction;

/// What transactions of one round are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// `H("order", c(s-1) | full hash)`: the rule of this chain, with the prefix digest of the slot before.
    Prefix(Digest),
    /// The full hash XOR a transaction set's hash: the rule under which recorded closes were made.
    SetHash(Digest),
}

impl SortKey {
    /// The key of a transaction.
    pub(crate) fn of(&self, transaction: &SignedTransaction) -> Digest {
        let full_hash = transaction.full_hash();
        match self {
            SortKey::Prefix(prefix) => h("order", &[&prefix.0, &full_hash.0]),
            SortKey::SetHash(set) => {
                let mut key = *full_hash;
                key.0.iter_mut().zip(set.0).for_each(|(byte, with)| *byte ^= with);
                key
            }
        }
    }
}

/// A transaction, its position among the block's envelopes, and its sort key.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) batch_index: u32,
    pub(crate) transaction: Arc<SignedTransaction>,
    pub(crate) key: Digest,
}

/// Brings transactions into the order of application.
pub(crate) fn sort(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by_cached_key(|candidate| {
        let transaction = &candidate.transaction;
        (transaction.source(), transaction.sequence(), *transaction.full_hash())
    });
    let mut rounds = Vec::with_capacity(candidates.len());
    let (mut account, mut round) = (None, 0_usize);
    for candidate in candidates {
        let source = candidate.transaction.source();
        round = if account == Some(source) { round.saturating_add(1) } else { 0 };
        account = Some(source);
        rounds.push((round, candidate));
    }
    rounds.sort_by_key(|(round, candidate)| (*round, candidate.key));
    rounds.into_iter().map(|(_, candidate)| candidate).collect()
}
