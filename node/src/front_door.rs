//! The front door: every transaction, from a client or by gossip, is admitted here or nowhere.
//!
//! Admission is the ledger's full check against the last executed state and what waits already. What is
//! admitted goes to the replica, and, if a client brought it, to all other validators.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use carat_consensus::{Input, PendingTransaction, SpreadBody};
use carat_ledger::{Moment, Refusal, StateError, admit, governance, signature_cost};
use carat_storage::store::Store;
use carat_types::batch::{Body, Envelope, Payload};
use carat_types::header::{Header, ledger_of};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey, ValidatorId};
use stellar_xdr::TransactionResultResult;
use tokio::sync::mpsc::UnboundedSender;

use crate::chronicle::Waiting;
use crate::clock::{Clock, wall_ms};
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::pool::{Entry, Pool};
use crate::signatures::SignatureCache;
use crate::state_view::account_sequence;

/// Everything that admission needs.
pub struct FrontDoor {
    /// The last executed state.
    pub store: Arc<Store>,
    /// Signatures that were checked.
    pub signatures: Arc<SignatureCache>,
    /// Header of the last executed block.
    pub tip: Arc<RwLock<Header>>,
    /// The way to the replica. Its last source is this node's own clients.
    pub mailbox: Arc<Mailbox>,
    /// The way to the other validators.
    pub gossip: UnboundedSender<Envelope>,
    /// Whether what clients bring is spread in bodies, by the replica, or gossiped.
    pub spreads_bodies: AtomicBool,
    /// What waits.
    pub pool: Mutex<Pool>,
    /// Clients who wait: they learn at once when theirs can no longer succeed.
    pub waiting: Arc<Waiting>,
    /// This validator: the mailbox source for its own clients.
    pub me: ValidatorId,
    /// Under what number all followers' transactions count together, as those of one more validator.
    pub followers: ValidatorId,
    /// The clocks.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What the front door did with a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Handed to the replica.
    Admitted,
    /// Waits for its predecessor.
    Parked,
    /// Is waiting already.
    Duplicate,
    /// Would not be executed, and why.
    Refused(Box<Refusal>),
    /// No room: try again later.
    Full,
}

/// How a transaction reaches the other validators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The replica puts it into a body.
    InBody,
    /// By gossip.
    Gossiped,
    /// It came from one of them, who spreads it.
    BySender,
}

/// How long a transaction waits before it is looked at and gossiped again: well below the first view time-out.
const RECHECK_AFTER: Duration = Duration::from_millis(400);
/// How far ahead of its turn a transaction may be to be parked: not further than an account may have waiting.
const PARKED_GAPS: std::ops::RangeInclusive<i64> = 2..=1_000;
/// Transactions that are looked at again in one sweep.
const RECHECK_COUNT: usize = 1_024;

impl FrontDoor {
    /// Admits a client's transaction and spreads it. Behind the last of some comes [`FrontDoor::wake`].
    ///
    /// **Errors**: the state cannot be read.
    pub fn submit(&self, transaction: &Arc<SignedTransaction>) -> Result<Verdict, StateError> {
        let way = self.way(None);
        let verdict = self.admit(transaction, None, way)?;
        self.spread(transaction, &verdict, way);
        Ok(verdict)
    }

    /// Admits what a validator gossips, or a follower forwards: that is spread, as if a client had brought it here. Nobody waits
    /// for an answer. Behind the last of some comes [`FrontDoor::wake`].
    ///
    /// **Errors**: the state cannot be read.
    pub fn gossiped(
        &self,
        from: ValidatorId,
        transaction: &Arc<SignedTransaction>,
    ) -> Result<(), StateError> {
        let way = self.way(Some(from));
        let verdict = self.admit(transaction, Some(from), way)?;
        self.spread(transaction, &verdict, way);
        Ok(())
    }

    /// Has the replica look at what was admitted.
    pub fn wake(&self) {
        self.mailbox.wake();
    }

    /// The transactions of a payload's envelopes: those that wait here as they were read when they came, none for the others.
    pub fn readings(&self, payload: &Payload) -> Vec<Option<Arc<SignedTransaction>>> {
        let pool = self.lock();
        payload.envelopes().map(|envelope| pool.reading(envelope)).collect()
    }

    /// A body with what its transactions cost, by which a leader fills a block.
    ///
    /// **Errors**: the state cannot be read.
    pub fn weigh<'a>(
        &self,
        body: Arc<Body>,
        transactions: impl Iterator<Item = &'a SignedTransaction>,
    ) -> Result<SpreadBody, StateError> {
        let version = governance::protocol_version(&*self.store)?;
        let (mut operations, mut signatures) = (0_usize, 0_usize);
        for transaction in transactions {
            operations = operations.saturating_add(transaction.operations().len());
            signatures = signatures.saturating_add(signature_cost(transaction, version));
        }
        let count = |sum| u32::try_from(sum).unwrap_or(u32::MAX);
        let (operations, signatures) = (count(operations), count(signatures));
        Ok(SpreadBody { digest: body.digest(), body, operations, signatures })
    }

    /// Hands in a body that a validator spread, after its transactions.
    pub fn body(&self, from: ValidatorId, body: SpreadBody) {
        self.mailbox.offer(from.index(), [Input::Body { from, body }]);
    }

    /// From now on the replica spreads what clients bring in bodies, or it is gossiped.
    pub fn spread_bodies(&self, are_spread: bool) {
        self.mailbox.answer(Input::SpreadBodies(are_spread));
        self.spreads_bodies.store(are_spread, Ordering::Relaxed);
    }

    /// Gossips what the replica does not spread: all of it, or what waits for its predecessor.
    fn spread(&self, transaction: &SignedTransaction, verdict: &Verdict, way: Way) {
        let is_gossiped = match verdict {
            Verdict::Admitted => way == Way::Gossiped,
            Verdict::Parked => way != Way::BySender,
            _ => false,
        };
        if is_gossiped {
            self.gossip(transaction);
        }
    }

    /// How what came from there is spread at this moment. Asked once for each transaction: version 29 may come into force at any time.
    fn way(&self, origin: Option<ValidatorId>) -> Way {
        match (self.is_own(origin), self.spreads_bodies.load(Ordering::Relaxed)) {
            (false, _) => Way::BySender,
            (true, true) => Way::InBody,
            (true, false) => Way::Gossiped,
        }
    }

    /// Whether this node spreads what came from there.
    fn is_own(&self, origin: Option<ValidatorId>) -> bool {
        origin.is_none_or(|origin| origin == self.followers)
    }

    fn admit(
        &self,
        transaction: &Arc<SignedTransaction>,
        origin: Option<ValidatorId>,
        way: Way,
    ) -> Result<Verdict, StateError> {
        let verdict = self.decide(transaction, origin, way)?;
        self.count(match &verdict {
            Verdict::Admitted => "admitted",
            Verdict::Parked => "parked",
            Verdict::Duplicate => "duplicate",
            Verdict::Refused(_) => "refused",
            Verdict::Full => "full",
        });
        if verdict == Verdict::Admitted {
            self.unpark_behind(transaction)?;
        }
        Ok(verdict)
    }

    fn decide(
        &self,
        transaction: &Arc<SignedTransaction>,
        origin: Option<ValidatorId>,
        way: Way,
    ) -> Result<Verdict, StateError> {
        let pending = {
            let pool = self.lock();
            if pool.holds(transaction) {
                return Ok(Verdict::Duplicate);
            }
            if pool.room(&transaction.source(), origin).is_err() {
                return Ok(Verdict::Full);
            }
            pool.ahead_of(transaction)
        };
        // The costly part, signatures, is outside the lock. Of two transactions with one sequence number that
        // are checked at the same time, the second is refused below.
        let admitted = match admit(&*self.store, self.moment(), &*self.signatures, transaction, pending)? {
            Ok(admitted) => admitted,
            Err(refusal) if self.is_early(&refusal, transaction, pending.sequence)? => {
                let parked = self.lock().park(Arc::clone(transaction), origin);
                return Ok(if parked { Verdict::Parked } else { Verdict::Full });
            }
            Err(refusal) => return Ok(Verdict::Refused(Box::new(refusal))),
        };
        let pending_transaction = PendingTransaction {
            hash: *transaction.hash(),
            source: transaction.source().0,
            sequence: transaction.sequence(),
            valid_until: admitted.valid_until,
            envelope: transaction.envelope().clone(),
            operations: u32::try_from(transaction.operations().len()).unwrap_or(u32::MAX),
            signatures: u32::try_from(admitted.signatures).unwrap_or(u32::MAX),
        };
        let input = match way {
            Way::InBody => Input::Submitted(pending_transaction),
            Way::Gossiped | Way::BySender => Input::Admitted(pending_transaction),
        };
        let mut pool = self.lock();
        if pool.ahead_of(transaction).sequence != pending.sequence {
            drop(pool);
            return self.decide(transaction, origin, way);
        }
        pool.insert(Entry {
            transaction: Arc::clone(transaction),
            looked_at_us: self.clock.monotonic_us(),
            origin,
            ordered: false,
        });
        // Under the lock, which `settle` takes before the replica learns what was settled: so the replica never hears of a
        // transaction after it has left the pool, when nothing would ever take it away again.
        self.mailbox.leave(origin.unwrap_or(self.me).index(), input);
        Ok(Verdict::Admitted)
    }

    /// Admits the parked transactions whose turn has come.
    fn unpark_behind(&self, transaction: &SignedTransaction) -> Result<(), StateError> {
        let mut next = transaction.sequence().saturating_add(1);
        loop {
            let Some((parked, origin)) = self.lock().unpark(&transaction.source(), next) else {
                return Ok(());
            };
            if self.decide(&parked, origin, self.way(origin))? != Verdict::Admitted {
                return Ok(());
            }
            next = next.saturating_add(1);
        }
    }

    /// A final slot orders these: they make room, though they are executed later.
    pub fn ordered(&self, transactions: &[Digest]) {
        self.lock().mark_ordered(transactions);
    }

    /// After a block: takes out what it settled.
    ///
    /// `applied` is what it applied, `dropped` what its trim dropped; of these stays what may still succeed.
    ///
    /// **Returns** the ids that need no more ordering.
    ///
    /// **Errors**: the state cannot be read.
    pub fn settle(
        &self,
        applied: &[Arc<SignedTransaction>],
        dropped: &[Arc<SignedTransaction>],
    ) -> Result<Vec<Digest>, StateError> {
        let mut settled: Vec<Digest> = Vec::with_capacity(applied.len());
        let mut given_up = Vec::new();
        {
            let mut pool = self.lock();
            for transaction in applied {
                settled.push(*transaction.hash());
                pool.remove(transaction.hash());
                given_up.extend(pool.pass(&transaction.source(), transaction.sequence()));
            }
            self.metrics.pool_pending.set(i64::try_from(pool.len()).unwrap_or(i64::MAX));
        }
        for transaction in dropped {
            if self.is_still_admissible(transaction)? {
                self.lock().unmark_ordered(transaction.hash());
            } else {
                self.lock().remove(transaction.hash());
                given_up.push(*transaction.hash());
            }
        }
        self.waiting.give_up(&given_up);
        settled.extend(given_up);
        for transaction in applied {
            self.unpark_behind(transaction)?;
        }
        self.wake();
        Ok(settled)
    }

    /// Looks again at what has waited for long: gossips it again, or gives it up if it can no longer succeed, so
    /// that nobody blames the leader for it.
    ///
    /// **Errors**: the state cannot be read.
    pub fn sweep(&self) -> Result<(), StateError> {
        let patience = u64::try_from(RECHECK_AFTER.as_micros()).unwrap_or(u64::MAX);
        let now = self.clock.monotonic_us();
        let mut given_up = Vec::new();
        let neglected = self.lock().neglected(now.saturating_sub(patience), now, RECHECK_COUNT);
        for entry in neglected {
            if self.is_still_admissible(&entry.transaction)? {
                if self.is_own(entry.origin) {
                    self.gossip(&entry.transaction);
                }
            } else {
                self.lock().remove(entry.transaction.hash());
                given_up.push(*entry.transaction.hash());
            }
        }
        if !given_up.is_empty() {
            self.waiting.give_up(&given_up);
            self.mailbox.answer(Input::Withdrawn(given_up));
        }
        Ok(())
    }

    /// Whether a transaction could be executed if its predecessors were.
    fn is_still_admissible(&self, transaction: &SignedTransaction) -> Result<bool, StateError> {
        let account = account_sequence(&*self.store, &transaction.source())?;
        let predecessor = transaction.sequence().saturating_sub(1);
        if account.is_none_or(|sequence| sequence > predecessor) {
            return Ok(false);
        }
        let pending = carat_ledger::Pending { sequence: Some(predecessor), fees: 0 };
        Ok(admit(&*self.store, self.moment(), &*self.signatures, transaction, pending)?.is_ok())
    }

    /// The sequence number that the account's next transaction must have, with what waits taken into account.
    ///
    /// **Errors**: the state cannot be read.
    pub fn next_sequence(&self, account: &PublicKey) -> Result<Option<i64>, StateError> {
        let executed = account_sequence(&*self.store, account)?;
        let waiting = self.lock().last_sequence(account);
        Ok(executed.map(|executed| waiting.unwrap_or(executed).max(executed).saturating_add(1)))
    }

    /// Whether a refusal only says that predecessors are missing, which may be on their way.
    fn is_early(
        &self,
        refusal: &Refusal,
        transaction: &SignedTransaction,
        waiting: Option<i64>,
    ) -> Result<bool, StateError> {
        if !matches!(refusal.result.result, TransactionResultResult::TxBadSeq) {
            return Ok(false);
        }
        let executed = account_sequence(&*self.store, &transaction.source())?;
        let gap = waiting.or(executed).map(|reached| transaction.sequence().saturating_sub(reached));
        Ok(gap.is_some_and(|gap| PARKED_GAPS.contains(&gap)))
    }

    /// Ledger and time of a block that would be proposed now.
    fn moment(&self) -> Moment {
        let tip = self.tip.read().unwrap_or_else(PoisonError::into_inner);
        let time_ms = wall_ms().max(tip.time_ms.saturating_add(1));
        Moment {
            ledger_seq: ledger_of(tip.ledger, tip.time_ms, time_ms),
            close_time: time_ms / 1_000,
            epoch: tip.epoch,
            slot: tip.slot.next(),
            chain_id: tip.chain_id,
        }
    }

    fn gossip(&self, transaction: &SignedTransaction) {
        if self.gossip.send(transaction.envelope().clone()).is_err() {
            tracing::debug!("the gossip task has stopped");
        }
    }

    fn count(&self, outcome: &str) {
        self.metrics.pool_submissions_total.with_label_values(&[outcome]).inc();
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
