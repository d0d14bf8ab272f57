//! The pool: admitted transactions that wait to be ordered and executed, and those whose turn has not come.
//!
//! A place is taken until a final slot orders the transaction; until that slot is executed it stays here, so that what
//! follows it can be checked, and takes no place. Bounded for each account, for the own clients, and for each validator that spreads what its clients brought, so
//! that nobody fills another's place. One transaction for each (source, sequence).
//!
//! The own clients find as much room as others surely give to what this validator spreads. A body of which they took a part would be
//! proposed by nobody, its transactions would wait until they are found one by one, and the leader would be blamed (decision record 64).

#[expect(
    clippy::disallowed_types,
    reason = "looked up; what is iterated comes once each, in whatever order"
)]
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use carat_ledger::Pending;
use carat_types::batch::Envelope;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey, ValidatorId};
use foldhash::fast::RandomState;

/// Transactions of one account that may wait.
const PER_ACCOUNT_MAX: usize = 1_000;
/// Entries for each place, those that are ordered included: while the execution falls behind by more, nobody finds room.
const ENTRIES_PER_PLACE: usize = 2;
/// Of what another validator lets in from its clients, this one may hold so many times as much: it may learn later what is ordered.
const PEER_PLACES: usize = 2;
/// Transactions whose turn has not come, of all accounts.
const PARKED_MAX: usize = 4_096;

/// One admitted transaction.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The transaction.
    pub transaction: Arc<SignedTransaction>,
    /// Monotonic microseconds at which it was admitted, or last looked at again.
    pub looked_at_us: u64,
    /// Who gossiped it; none for a client of this node.
    pub origin: Option<ValidatorId>,
    /// Whether a final slot orders it: then it waits for its execution alone.
    pub ordered: bool,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// By keys that others choose, with a secret of this process.
#[expect(clippy::disallowed_types, reason = "looked up; what is iterated comes once each, in whatever order")]
type Table<K, V> = HashMap<K, V, RandomState>;

/// What waits of one account.
#[derive(Debug, Default)]
struct Account {
    /// As a source: sequence numbers and hashes, in their order.
    queue: VecDeque<(i64, Digest)>,
    /// As a payer: the most that waiting transactions may take. **Units**: stroops.
    fees: i64,
}

impl Account {
    fn enqueue(&mut self, sequence: i64, hash: Digest) {
        match self.queue.binary_search_by_key(&sequence, |(it, _)| *it) {
            Ok(place) => {
                self.queue.remove(place);
                self.queue.insert(place, (sequence, hash));
            }
            Err(place) => self.queue.insert(place, (sequence, hash)),
        }
    }

    fn leave_queue(&mut self, sequence: i64) {
        if let Ok(place) = self.queue.binary_search_by_key(&sequence, |(it, _)| *it) {
            self.queue.remove(place);
        }
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.fees <= 0
    }
}

/// The pool itself; plain data, locked by the front door.
#[derive(Debug)]
pub struct Pool {
    entries_max: usize,
    /// Places of the clients of one validator.
    share: usize,
    entries: Table<Digest, Entry>,
    /// The same transactions, for whoever meets their bytes again.
    read: Table<Envelope, Arc<SignedTransaction>>,
    /// Those of whom something waits.
    accounts: Table<PublicKey, Account>,
    /// Places taken: by the own clients, and by those of others.
    origins: BTreeMap<Option<ValidatorId>, usize>,
    parked: BTreeMap<(PublicKey, i64), (Arc<SignedTransaction>, Option<ValidatorId>)>,
}

impl Pool {
    /// A pool of `capacity` places on a network of `validators`.
    pub fn new(capacity: usize, validators: usize) -> Self {
        Pool {
            entries_max: capacity.saturating_mul(ENTRIES_PER_PLACE),
            share: (capacity / validators.max(1)).max(1),
            entries: Table::default(),
            read: Table::default(),
            accounts: Table::default(),
            origins: BTreeMap::new(),
            parked: BTreeMap::new(),
        }
    }

    /// Number of admitted transactions.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a transaction with this hash waits or is parked.
    pub fn holds(&self, transaction: &SignedTransaction) -> bool {
        let parked = self.parked.get(&(transaction.source(), transaction.sequence()));
        self.entries.contains_key(transaction.hash())
            || parked.is_some_and(|(it, _)| it.hash() == transaction.hash())
    }

    /// The transaction of these bytes, if it is here: it need not be decoded again.
    pub fn reading(&self, envelope: &Envelope) -> Option<Arc<SignedTransaction>> {
        self.read.get(envelope).map(Arc::clone)
    }

    /// What waits in front of a new transaction.
    pub fn ahead_of(&self, transaction: &SignedTransaction) -> Pending {
        Pending {
            sequence: self.last_sequence(&transaction.source()),
            fees: self.accounts.get(&transaction.fee_source()).map_or(0, |payer| payer.fees),
        }
    }

    /// The highest sequence number that waits for an account.
    pub fn last_sequence(&self, source: &PublicKey) -> Option<i64> {
        self.accounts.get(source)?.queue.back().map(|(sequence, _)| *sequence)
    }

    /// Whether a further transaction of this source and origin has a place.
    ///
    /// **Errors**: [`Full`].
    pub fn room(&self, source: &PublicKey, origin: Option<ValidatorId>) -> Result<(), Full> {
        let of_account = self.accounts.get(source).map_or(0, |account| account.queue.len());
        let of_origin = self.origins.get(&origin).copied().unwrap_or(0);
        let places = if origin.is_some() { self.share.saturating_mul(PEER_PLACES) } else { self.share };
        let full =
            self.entries.len() >= self.entries_max || of_account >= PER_ACCOUNT_MAX || of_origin >= places;
        if full { Err(Full) } else { Ok(()) }
    }

    /// A final slot orders these.
    pub fn mark_ordered(&mut self, hashes: &[Digest]) {
        for hash in hashes {
            if let Some(entry) = self.entries.get_mut(hash)
                && !std::mem::replace(&mut entry.ordered, true)
            {
                let origin = entry.origin;
                self.leave_origin(origin);
            }
        }
    }

    /// A block did not apply this one after all: it waits again.
    pub fn unmark_ordered(&mut self, hash: &Digest) {
        if let Some(entry) = self.entries.get_mut(hash)
            && std::mem::replace(&mut entry.ordered, false)
        {
            *self.origins.entry(entry.origin).or_default() += 1;
        }
    }

    fn leave_origin(&mut self, origin: Option<ValidatorId>) {
        if let Some(count) = self.origins.get_mut(&origin) {
            *count = count.saturating_sub(1);
        }
    }

    /// Takes in an admitted transaction.
    pub fn insert(&mut self, entry: Entry) {
        let transaction = &entry.transaction;
        let payer = self.accounts.entry(transaction.fee_source()).or_default();
        payer.fees = payer.fees.saturating_add(transaction.fee());
        let source = self.accounts.entry(transaction.source()).or_default();
        source.enqueue(transaction.sequence(), *transaction.hash());
        *self.origins.entry(entry.origin).or_default() += 1;
        self.read.insert(transaction.envelope().clone(), Arc::clone(transaction));
        self.entries.insert(*transaction.hash(), entry);
    }

    /// Takes out a transaction, whatever became of it.
    pub fn remove(&mut self, hash: &Digest) -> Option<Entry> {
        let entry = self.entries.remove(hash)?;
        let transaction = &entry.transaction;
        self.read.remove(transaction.envelope());
        let (source, payer) = (transaction.source(), transaction.fee_source());
        let fee = transaction.fee();
        Self::change(&mut self.accounts, payer, |account| account.fees = account.fees.saturating_sub(fee));
        Self::change(&mut self.accounts, source, |account| account.leave_queue(transaction.sequence()));
        if !entry.ordered {
            self.leave_origin(entry.origin);
        }
        Some(entry)
    }

    /// Changes what waits of an account, and forgets one of which nothing waits any more.
    fn change(accounts: &mut Table<PublicKey, Account>, id: PublicKey, change: impl FnOnce(&mut Account)) {
        if let MapEntry::Occupied(mut account) = accounts.entry(id) {
            change(account.get_mut());
            if account.get().is_idle() {
                account.remove();
            }
        }
    }

    /// Takes out everything of `source` up to `sequence`: the account's number has passed it.
    ///
    /// **Returns** the hashes of what was taken out.
    pub fn pass(&mut self, source: &PublicKey, sequence: i64) -> Vec<Digest> {
        let queue = self.accounts.get(source).map(|account| account.queue.iter());
        let passed = queue.into_iter().flatten().take_while(|(number, _)| *number <= sequence);
        let passed: Vec<Digest> = passed.map(|(_, hash)| *hash).collect();
        passed.iter().for_each(|hash| drop(self.remove(hash)));
        let parked: Vec<i64> = self
            .parked
            .range((*source, i64::MIN)..=(*source, sequence))
            .map(|((_, sequence), _)| *sequence)
            .collect();
        parked.iter().for_each(|sequence| drop(self.parked.remove(&(*source, *sequence))));
        passed
    }

    /// Keeps a transaction whose turn has not come; it arms no timer and may be lost.
    ///
    /// **Returns** whether there was room.
    pub fn park(&mut self, transaction: Arc<SignedTransaction>, origin: Option<ValidatorId>) -> bool {
        let room = self.parked.len() < PARKED_MAX;
        if room {
            self.parked.insert((transaction.source(), transaction.sequence()), (transaction, origin));
        }
        room
    }

    /// Takes out the parked transaction of `source` with this sequence number.
    pub fn unpark(
        &mut self,
        source: &PublicKey,
        sequence: i64,
    ) -> Option<(Arc<SignedTransaction>, Option<ValidatorId>)> {
        self.parked.remove(&(*source, sequence))
    }

    /// At most `count` transactions that nobody looked at since `before_us`; they count as looked at `now_us`, so that
    /// the next call goes on with the others.
    pub fn neglected(&mut self, before_us: u64, now_us: u64, count: usize) -> Vec<Entry> {
        let neglected =
            self.entries.values_mut().filter(|entry| !entry.ordered && entry.looked_at_us <= before_us);
        let neglected = neglected.take(count);
        neglected
            .map(|entry| {
                entry.looked_at_us = now_us;
                entry.clone()
            })
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use carat_types::SecretKey;
    use carat_types::builder::{TransactionBuilder, operation};

    use super::*;

    pub(crate) fn transaction(sequence: i64) -> Arc<SignedTransaction> {
        let key = SecretKey::from_seed(&[1; 32]);
        let builder = TransactionBuilder::new(key.public(), sequence).expect("small");
        let envelope = builder.operation(operation::bump_sequence(99)).sign(&Digest::ZERO, &[&key]);
        Arc::new(SignedTransaction::from_envelope(&Digest::ZERO, envelope.expect("builds")).expect("fits"))
    }

    fn pool_of(sequences: std::ops::Range<i64>) -> Pool {
        let mut pool = Pool::new(100, 4);
        for sequence in sequences {
            pool.insert(Entry {
                transaction: transaction(sequence),
                looked_at_us: 5,
                origin: (sequence > 2).then_some(ValidatorId(1)),
                ordered: false,
            });
        }
        pool
    }

    #[test]
    fn neglected_transactions_come_once_until_their_time_is_over_again() {
        let mut pool = pool_of(0..5);
        assert!(pool.neglected(4, 10, 9).is_empty(), "too young");
        assert_eq!(pool.neglected(5, 10, 3).len(), 3);
        assert_eq!(pool.neglected(5, 10, 3).len(), 2, "the others");
        assert!(pool.neglected(5, 10, 3).is_empty());
        assert_eq!(pool.neglected(10, 20, 9).len(), 5, "all again, later");
    }

    #[test]
    fn what_is_ordered_takes_no_place_until_it_waits_again() {
        let mut pool = Pool::new(4, 2);
        let insert = |pool: &mut Pool, sequence, origin| {
            let transaction = transaction(sequence);
            pool.insert(Entry { transaction, looked_at_us: 5, origin, ordered: false });
        };
        let (peer, source) = (Some(ValidatorId(1)), transaction(0).source());
        for (sequence, origin) in [(0, None), (1, None), (2, peer), (3, peer)] {
            assert_eq!(pool.room(&source, origin), Ok(()), "{sequence}");
            insert(&mut pool, sequence, origin);
        }
        assert_eq!((pool.room(&source, None), pool.room(&source, peer)), (Err(Full), Ok(())));
        let ordered = [*transaction(0).hash(), *transaction(2).hash()];
        pool.mark_ordered(&ordered);
        pool.mark_ordered(&ordered);
        assert_eq!(pool.room(&source, None), Ok(()));
        assert_eq!(pool.neglected(9, 9, 9).len(), 2, "nobody looks after the others");
        for (sequence, origin) in [(4, peer), (5, peer), (6, peer)] {
            insert(&mut pool, sequence, origin);
        }
        assert_eq!(pool.room(&source, peer), Err(Full));
        pool.remove(&ordered[0]);
        pool.unmark_ordered(&ordered[1]);
        pool.unmark_ordered(&ordered[1]);
        assert_eq!((pool.origins[&None], pool.origins[&peer]), (1, 5));
        // However much is ordered and not executed, the pool is bounded.
        let all: Vec<Digest> = pool.entries.keys().copied().collect();
        pool.mark_ordered(&all);
        assert_eq!(pool.room(&source, None), Ok(()));
        (7..9).for_each(|sequence| insert(&mut pool, sequence, None));
        pool.mark_ordered(&[*transaction(7).hash(), *transaction(8).hash()]);
        assert_eq!((pool.origins[&None], pool.room(&source, None)), (0, Err(Full)));
    }

    #[test]
    fn what_one_validator_lets_in_from_its_clients_finds_room_at_all_others() {
        let (mut own, mut other) = (Pool::new(40, 4), Pool::new(40, 4));
        let (origin, stranger) = (Some(ValidatorId(0)), Some(ValidatorId(3)));
        let source = transaction(0).source();
        let fill = |pool: &mut Pool, origin, first: i64| {
            let mut sequence = first;
            while pool.room(&source, origin).is_ok() {
                pool.insert(Entry {
                    transaction: transaction(sequence),
                    looked_at_us: 5,
                    origin,
                    ordered: false,
                });
                sequence += 1;
            }
            sequence - first
        };
        // Whatever a liar and its own clients have brought.
        fill(&mut other, stranger, 100);
        fill(&mut other, None, 200);
        let let_in = fill(&mut own, None, 0);
        assert_eq!(let_in, 10);
        // It has heard of half of them already that they are ordered, and lets in more; the other has not.
        assert!(fill(&mut other, origin, 0) >= let_in + let_in / 2);
    }

    #[test]
    fn transaction_is_found_by_equal_bytes_until_it_leaves() {
        let mut pool = pool_of(0..2);
        let (first, other) = (transaction(0), transaction(2));
        let again = Envelope(first.bytes().into());
        assert_eq!(pool.reading(&again).as_deref(), Some(&*first));
        assert_eq!(pool.reading(other.envelope()), None);
        pool.remove(first.hash());
        assert_eq!((pool.reading(&again), pool.read.len()), (None, pool.len()));
    }

    #[test]
    fn account_counts_what_waits_in_whatever_order_it_came_and_went() {
        let mut pool = Pool::new(100, 4);
        let source = transaction(0).source();
        let fees = |pool: &Pool| pool.ahead_of(&transaction(9)).fees;
        for number in [3, 0, 4, 1] {
            let transaction = transaction(number);
            pool.insert(Entry { transaction, looked_at_us: 5, origin: None, ordered: false });
        }
        let all = fees(&pool);
        assert_eq!(all, transaction(0).fee() * 4);
        assert_eq!(pool.last_sequence(&source), Some(transaction(4).sequence()));
        pool.remove(transaction(4).hash());
        assert_eq!(pool.last_sequence(&source), Some(transaction(3).sequence()), "whatever came last");
        let passed = [*transaction(0).hash(), *transaction(1).hash()];
        assert_eq!(pool.pass(&source, transaction(2).sequence()), passed);
        assert_eq!((fees(&pool), pool.len()), (all / 4, 1));
        pool.remove(transaction(3).hash());
        assert!(pool.accounts.is_empty(), "nothing is kept of an account of which nothing waits");
    }

    #[test]
    fn remove_of_the_last_transaction_of_an_account_leaves_no_trace() {
        let mut pool = pool_of(0..2);
        let source = transaction(0).source();
        assert_eq!(pool.last_sequence(&source), Some(transaction(1).sequence()));
        assert_eq!(pool.pass(&source, transaction(1).sequence()).len(), 2);
        assert!(pool.is_empty());
        assert_eq!(pool.ahead_of(&transaction(2)), Pending { sequence: None, fees: 0 });
    }
}
