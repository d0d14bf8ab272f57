//! The order in which a block's transactions are applied.
//!
//! **Source**: ledger specification A.3(1) with the sort key of 0.4: one queue an account, sorted by sequence
//! number; the first of all queues, then the second of all, and so on; inside such a round by a key that the leader
//! of the block cannot steer.

use carat_types::Digest;
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
    fn of(&self, transaction: &SignedTransaction) -> Digest {
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

/// Sorts transactions, each with what belongs to it, into the order of application.
pub(crate) fn sort<T>(items: Vec<T>, transaction: impl Fn(&T) -> &SignedTransaction, key: SortKey) -> Vec<T> {
    let mut queued: Vec<(T, Digest)> = items
        .into_iter()
        .map(|item| {
            let digest = key.of(transaction(&item));
            (item, digest)
        })
        .collect();
    queued.sort_by_cached_key(|(item, _)| {
        let transaction = transaction(item);
        (transaction.source(), transaction.sequence(), *transaction.full_hash())
    });
    let mut rounds = Vec::with_capacity(queued.len());
    let (mut account, mut round) = (None, 0_usize);
    for (item, digest) in queued {
        let source = transaction(&item).source();
        round = if account == Some(source) { round.saturating_add(1) } else { 0 };
        account = Some(source);
        rounds.push((round, digest, item));
    }
    rounds.sort_by_key(|(round, digest, _)| (*round, *digest));
    rounds.into_iter().map(|(_, _, item)| item).collect()
}
