//! What a client of the native entrance has under way, and how much it may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey};

use crate::replies::Subscription;

/// What each key may have under way, over all its sessions.
#[derive(Debug)]
pub(super) struct Quota {
    per_key: usize,
    taken: Mutex<BTreeMap<PublicKey, usize>>,
}

impl Quota {
    pub(super) fn new(per_key: usize) -> Self {
        Quota { per_key, taken: Mutex::default() }
    }

    /// What a client is told that asks for more.
    pub(super) fn words(&self) -> String {
        format!("a key may have {} transactions under way at a validator, and this one has", self.per_key)
    }

    fn take(&self, key: &PublicKey) -> bool {
        let mut taken = lock(&self.taken);
        let of_key = taken.entry(*key).or_default();
        let has_room = *of_key < self.per_key;
        *of_key = of_key.saturating_add(usize::from(has_room));
        has_room
    }

    fn give_back(&self, key: &PublicKey, count: usize) {
        let mut taken = lock(&self.taken);
        if let Some(of_key) = taken.get_mut(key) {
            *of_key = of_key.saturating_sub(count);
            if *of_key == 0 {
                taken.remove(key);
            }
        }
    }
}

/// The transactions of one session that wait for their outcome. Gives its share of the quota back when dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    quota: Arc<Quota>,
    key: PublicKey,
    expected: Mutex<BTreeMap<Digest, Expected>>,
}

/// A transaction that waits for its outcome.
#[derive(Debug)]
pub(super) struct Expected {
    /// The transaction.
    pub(super) transaction: Arc<SignedTransaction>,
    /// The client's numbers: more than one if it sent the same bytes again.
    pub(super) numbers: Vec<u64>,
    /// What its client hears before the outcome; ends with it.
    subscriptions: Vec<Subscription>,
    deadline: Instant,
}

/// What became of a transaction that wants to be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is.
    First,
    /// It was already; the number is answered with the others.
    Joined,
    /// The key has too many.
    NoRoom,
}

impl UnderWay {
    pub(super) fn new(quota: Arc<Quota>, key: PublicKey) -> Self {
        UnderWay { quota, key, expected: Mutex::default() }
    }

    pub(super) fn begin(
        &self,
        (number, subscription): (u64, Option<Subscription>),
        transaction: &Arc<SignedTransaction>,
        patience: Duration,
    ) -> Begun {
        if !self.quota.take(&self.key) {
            return Begun::NoRoom;
        }
        let mut expected = lock(&self.expected);
        if let Some(same) = expected.get_mut(transaction.hash()) {
            same.numbers.push(number);
            same.subscriptions.extend(subscription);
            return Begun::Joined;
        }
        let (deadline, subscriptions) = (Instant::now() + patience, Vec::from_iter(subscription));
        let new =
            Expected { transaction: Arc::clone(transaction), numbers: vec![number], subscriptions, deadline };
        expected.insert(*transaction.hash(), new);
        Begun::First
    }

    /// A transaction that is under way.
    pub(super) fn transaction(&self, hash: &Digest) -> Option<Arc<SignedTransaction>> {
        lock(&self.expected).get(hash).map(|expected| Arc::clone(&expected.transaction))
    }

    /// The numbers of a transaction that has its outcome. None if it was answered already.
    pub(super) fn end(&self, hash: &Digest) -> Option<Vec<u64>> {
        let ended = lock(&self.expected).remove(hash)?;
        self.quota.give_back(&self.key, ended.numbers.len());
        Some(ended.numbers)
    }

    /// The numbers of those that were waited for long enough, which is the end of waiting for them.
    pub(super) fn overdue(&self) -> Vec<u64> {
        let now = Instant::now();
        let overdue: Vec<Digest> = {
            let expected = lock(&self.expected);
            expected.iter().filter(|(_, it)| it.deadline <= now).map(|(hash, _)| *hash).collect()
        };
        overdue.iter().filter_map(|hash| self.end(hash)).flatten().collect()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let left = lock(&self.expected).values().map(|expected| expected.numbers.len()).sum();
        self.quota.give_back(&self.key, left);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::transaction;

    #[test]
    fn quota_of_a_key_holds_over_its_sessions_and_comes_back() {
        let quota = Arc::new(Quota::new(2));
        let (key, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let (one, two) = (UnderWay::new(Arc::clone(&quota), key), UnderWay::new(Arc::clone(&quota), key));
        let long = Duration::from_secs(60);
        assert_eq!(one.begin((1, None), &transaction(1), long), Begun::First);
        assert_eq!(two.begin((1, None), &transaction(2), long), Begun::First);
        assert_eq!(one.begin((2, None), &transaction(3), long), Begun::NoRoom);
        assert_eq!(
            UnderWay::new(Arc::clone(&quota), other).begin((1, None), &transaction(3), long),
            Begun::First
        );
        assert_eq!(one.end(transaction(1).hash()), Some(vec![1]));
        assert_eq!(one.end(transaction(1).hash()), None, "answered once");
        assert_eq!(one.begin((2, None), &transaction(3), long), Begun::First);
        drop((one, two));
        assert!(lock(&quota.taken).is_empty(), "nothing is left of ended sessions");
    }

    #[test]
    fn same_bytes_again_are_answered_together_and_late_ones_once() {
        let quota = Arc::new(Quota::new(9));
        let under_way = UnderWay::new(Arc::clone(&quota), PublicKey([1; 32]));
        assert_eq!(under_way.begin((7, None), &transaction(1), Duration::ZERO), Begun::First);
        assert_eq!(under_way.begin((8, None), &transaction(1), Duration::ZERO), Begun::Joined);
        assert_eq!(under_way.begin((9, None), &transaction(2), Duration::from_secs(60)), Begun::First);
        assert_eq!(under_way.overdue(), [7, 8]);
        assert!(under_way.overdue().is_empty() && under_way.transaction(transaction(1).hash()).is_none());
        assert_eq!(lock(&quota.taken).values().copied().collect::<Vec<_>>(), [1]);
    }
}
