//! TREPLYs for clients: who has subscribed, what was executed ahead of its finality, and the words of this validator on it.
//!
//! A block of which nobody waits for a transaction costs no signature. A subscription is to an envelope, signatures and all: on
//! a network whose records are for members nobody learns of another's transaction here, who does not hold the very bytes.
//! **Source**: consensus specification, section 11; decision records 52 and 56.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carat_ledger::Applied;
use carat_types::header::Header;
use carat_types::merkle::{Path, Tree};
use carat_types::message::{Signed, TentativeReply};
use carat_types::receipt::ResultBytes;
use carat_types::{Digest, Slot, View};
use tokio::sync::mpsc::UnboundedSender;

use crate::entrance::Event;

/// Subscriptions that one session may have at a time.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 256;
/// TREPLYs that one subscription is told: of as many views as a transaction outlives in reason.
const TOLD_MAX: u32 = 8;
/// Blocks that wait for the signature of this validator. A replica says at most one at a time; older ones are of views that were left.
const UNSIGNED_MAX: usize = 16;

/// Whom this validator tells its TREPLYs.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// By the hash of the envelope, and by the number of the subscription.
    wanted: BTreeMap<Digest, BTreeMap<u64, Listener>>,
    next: u64,
    /// What was executed and is not signed yet.
    unsigned: BTreeMap<(View, Slot), Unsigned>,
}

/// Who has subscribed.
#[derive(Debug)]
struct Listener {
    /// The client's number of the transaction.
    number: u64,
    events: UnboundedSender<Event>,
    told: u32,
}

/// A block, as far as somebody waits for it.
#[derive(Debug)]
struct Unsigned {
    header: Header,
    outcomes: Vec<WantedOutcome>,
}

/// The outcome of a transaction that somebody waits for.
#[derive(Clone, Debug)]
pub(crate) struct WantedOutcome {
    /// Hash of its envelope.
    pub(crate) envelope: Digest,
    /// Its result.
    pub(crate) result: ResultBytes,
    /// From its outcome to the header's outcomes root.
    pub(crate) path: Path,
}

/// What a client is told before its transaction is final.
#[derive(Clone, Debug)]
pub struct EarlyWord {
    /// The client's number.
    pub(crate) number: u64,
    /// The block's header.
    pub(crate) header: Header,
    /// The word on it.
    pub(crate) reply: Signed<TentativeReply>,
    /// What became of the transaction, if the block becomes final.
    pub(crate) outcome: WantedOutcome,
}

/// A session, as it subscribes.
#[derive(Debug)]
pub(crate) struct Subscriber {
    events: UnboundedSender<Event>,
    held: Arc<AtomicUsize>,
}

/// A session has as many subscriptions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// A subscription, which ends when this is dropped.
pub(crate) struct Subscription {
    replies: Arc<Replies>,
    envelope: Digest,
    id: u64,
    held: Arc<AtomicUsize>,
}

impl Subscriber {
    /// A session without subscriptions, which hears at `events`.
    pub(crate) fn new(events: UnboundedSender<Event>) -> Self {
        Subscriber { events, held: Arc::default() }
    }
}

impl Replies {
    /// From now on `session` hears what this validator says of an envelope.
    ///
    /// **Errors**: the session has [`SUBSCRIPTIONS_MAX`].
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        session: &Subscriber,
        envelope: Digest,
        number: u64,
    ) -> Result<Subscription, TooMany> {
        // Only the session's own reading adds to it.
        if session.held.load(Ordering::Acquire) >= SUBSCRIPTIONS_MAX {
            return Err(TooMany);
        }
        session.held.fetch_add(1, Ordering::AcqRel);
        let mut book = self.lock();
        let id = book.next;
        book.next = id.wrapping_add(1);
        let listener = Listener { number, events: session.events.clone(), told: 0 };
        book.wanted.entry(envelope).or_default().insert(id, listener);
        Ok(Subscription { replies: Arc::clone(self), envelope, id, held: Arc::clone(&session.held) })
    }

    /// A block was executed that need not be final yet.
    ///
    /// **Returns** whether somebody waits for what it holds, so that the validator is to sign.
    pub(crate) fn executed(&self, view: View, header: &Header, applied: &[Applied]) -> bool {
        let places = self.wanted_places(applied);
        if places.is_empty() {
            return false;
        }
        let tree = Tree::of(applied.iter().map(Applied::leaf).collect());
        let outcome = |place: usize| {
            let (applied, path) = (applied.get(place)?, tree.path(place)?);
            let (envelope, result) =
                (*applied.transaction.full_hash(), ResultBytes(applied.result_xdr.clone()));
            Some(WantedOutcome { envelope, result, path })
        };
        let outcomes = places.into_iter().filter_map(outcome).collect();
        let mut book = self.lock();
        book.unsigned.insert((view, header.slot), Unsigned { header: header.clone(), outcomes });
        if book.unsigned.len() > UNSIGNED_MAX {
            book.unsigned.pop_first();
        }
        true
    }

    fn wanted_places(&self, applied: &[Applied]) -> Vec<usize> {
        let book = self.lock();
        if book.wanted.is_empty() {
            return Vec::new();
        }
        let is_wanted = |applied: &Applied| book.wanted.contains_key(applied.transaction.full_hash());
        applied.iter().enumerate().filter(|(_, it)| is_wanted(it)).map(|(place, _)| place).collect()
    }

    /// This validator has signed: those who wait are told.
    pub(crate) fn signed(&self, reply: &Signed<TentativeReply>) {
        let mut book = self.lock();
        let Some(Unsigned { header, outcomes }) = book.unsigned.remove(&(reply.body.view, reply.body.slot))
        else {
            return;
        };
        if header.hash() != reply.body.header {
            return;
        }
        for outcome in outcomes {
            let listeners = book.wanted.get_mut(&outcome.envelope).into_iter().flat_map(BTreeMap::values_mut);
            for listener in listeners.filter(|listener| listener.told < TOLD_MAX) {
                listener.told += 1;
                let (number, header, outcome) = (listener.number, header.clone(), outcome.clone());
                let word = EarlyWord { number, header, reply: reply.clone(), outcome };
                // A session that has ended meanwhile needs no word.
                let _ = listener.events.send(Event::Replied(Box::new(word)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut book = self.replies.lock();
        if let Some(listeners) = book.wanted.get_mut(&self.envelope) {
            listeners.remove(&self.id);
            if listeners.is_empty() {
                book.wanted.remove(&self.envelope);
            }
        }
        self.held.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("envelope", &self.envelope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use carat_types::receipt::outcome_leaf;
    use carat_types::{Signature, ValidatorId};
    use stellar_xdr::{TransactionResult, TransactionResultExt, TransactionResultResult};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::pool::tests::transaction;

    fn applied(sequence: i64) -> Applied {
        let result = TransactionResultResult::TxBadAuth;
        Applied {
            batch_index: 0,
            transaction: transaction(sequence),
            result: TransactionResult { fee_charged: 100, result, ext: TransactionResultExt::V0 },
            result_xdr: vec![7],
            changes: carat_ledger::Changes::default(),
        }
    }

    fn block(applied: &[Applied]) -> Header {
        let leaves: Vec<Digest> = applied.iter().map(Applied::leaf).collect();
        let outcomes_root = carat_types::merkle::root(&leaves);
        Header { slot: Slot(9), outcomes_root, ..Header::genesis(Digest([7; 32]), 1_000, Digest::ZERO) }
    }

    fn word(view: u64, header: Digest) -> Signed<TentativeReply> {
        let body = TentativeReply { view: View(view), slot: Slot(9), header };
        Signed { signer: ValidatorId(2), body, signature: Signature([0; 64]) }
    }

    fn heard(events: &mut UnboundedReceiver<Event>) -> Vec<EarlyWord> {
        let mut words = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let Event::Replied(word) = event {
                words.push(*word);
            }
        }
        words
    }

    #[test]
    fn who_waits_is_told_the_outcome_with_its_proof_and_nobody_else_is() {
        let (replies, blocks) = (Arc::new(Replies::default()), [applied(1), applied(2), applied(3)]);
        let header = block(&blocks);
        assert!(!replies.executed(View(4), &header, &blocks), "nobody waits: nothing is signed");
        let (events, mut mine) = unbounded_channel();
        let session = Subscriber::new(events);
        let envelope = *blocks[1].transaction.full_hash();
        let held = replies.subscribe(&session, envelope, 77).expect("room");
        assert!(replies.executed(View(4), &header, &blocks));
        replies.signed(&word(4, Digest([1; 32])));
        assert!(heard(&mut mine).is_empty(), "a word on another header");
        assert!(replies.executed(View(4), &header, &blocks));
        replies.signed(&word(5, header.hash()));
        assert!(heard(&mut mine).is_empty(), "of a view in which nothing was executed");
        replies.signed(&word(4, header.hash()));
        let words = heard(&mut mine);
        assert_eq!((words.len(), words[0].number), (1, 77));
        let outcome = &words[0].outcome;
        let leaf = outcome_leaf(blocks[1].transaction.hash(), &outcome.envelope, &outcome.result.0);
        assert_eq!(outcome.path.root(&leaf), header.outcomes_root);
        drop(held);
        assert!(!replies.executed(View(4), &header, &blocks), "the subscription has ended");
    }

    #[test]
    fn session_fills_no_memory_with_subscriptions_nor_with_what_it_does_not_read() {
        let replies = Arc::new(Replies::default());
        let (events, mut heard_events) = unbounded_channel();
        let session = Subscriber::new(events);
        let blocks = [applied(1)];
        let (header, envelope) = (block(&blocks), *blocks[0].transaction.full_hash());
        let subscribe = |number| replies.subscribe(&session, envelope, number);
        let mut held: Vec<Subscription> =
            (0..SUBSCRIPTIONS_MAX as u64).map(|number| subscribe(number).expect("room")).collect();
        assert_eq!(subscribe(999).err(), Some(TooMany));
        held.truncate(1);
        held.push(subscribe(1_000).expect("room again"));
        for view in 0..1_000 {
            assert!(replies.executed(View(view), &header, &blocks));
        }
        assert!(replies.lock().unsigned.len() <= UNSIGNED_MAX);
        for view in 0..1_000 {
            replies.executed(View(view), &header, &blocks);
            replies.signed(&word(view, header.hash()));
        }
        assert_eq!(heard(&mut heard_events).len(), 2 * TOLD_MAX as usize);
        drop(held);
        assert!(replies.lock().wanted.is_empty());
    }
}
