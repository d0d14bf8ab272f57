//! The native entrance: sessions of clients that bring many transactions, each answered with the proofs of its outcome.
//!
//! A client is the holder of an account's key: the account must be on the ledger when the session begins. What a key may
//! have under way is bounded over all its sessions; what it has under way is all that a session can fill memory with,
//! since each transaction is answered once. A transaction takes the same way as one that comes by REST: the porter, the
//! front door, execution and seals; its answer does not wait for the index of a history.

mod answers;
mod payloads;
mod under_way;

use std::sync::Arc;
use std::time::Duration;

use carat_api::port::Submission;
use carat_ledger::StateError;
use carat_network::entrance::{Entrance, Reading, Session, Writing};
use carat_types::codec::{Decode as _, DecodeError, Encode as _};
use carat_types::genesis::Trust;
use carat_types::submission::{
    Answer, Busy, Malformed, NoReplies, NoRepliesCode, Request, Submission as Handed, VERSION, Words,
};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::front_door::Verdict;
use crate::metrics::Metrics;
use crate::payloads::Payloads;
use crate::replies::{EarlyWord, Replies, SUBSCRIPTIONS_MAX, Subscriber, Subscription, TooMany};
use crate::rest::{RETRY_AFTER, Rest};
use crate::state_view::account_sequence;
use under_way::{Begun, Quota, UnderWay};

/// What a session hears of its transactions.
#[derive(Debug)]
pub enum Event {
    /// The front door did not let one in.
    Verdict(Digest, Box<Result<Verdict, StateError>>),
    /// One is executed, and its block is sealed.
    Sealed(Digest),
    /// One can no longer succeed, or another took its place.
    GivenUp(Digest),
    /// What became of one after a second look.
    Became(Digest, Box<Submission>),
    /// This validator's word on one that is not final yet.
    Replied(Box<EarlyWord>),
    /// To be sent as it is.
    Said(Box<Answer>),
}

/// How often sessions look at what has waited too long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Events that are answered together.
const EVENTS_MAX: usize = 1_024;
/// Numbers of one session that may wait for an answer; while there are so many its frames are not read. At least
/// those of one frame.
const UNANSWERED_MAX: usize = 4_096;

/// A payload waits until everything before it is answered, and is answered before anything else is read: a session
/// holds one in memory.
const PAYLOAD_ROOM: usize = UNANSWERED_MAX;

/// What all sessions share.
pub(crate) struct Door {
    rest: Arc<Rest>,
    payloads: Arc<Payloads>,
    replies: Arc<Replies>,
    /// How long a transaction is waited for.
    patience: Duration,
    quota: Arc<Quota>,
    metrics: Arc<Metrics>,
}

/// One client.
struct Client {
    /// Its key, which is that of an account.
    key: PublicKey,
    events: UnboundedSender<Event>,
    /// The version that its program speaks.
    version: u32,
    subscriber: Subscriber,
    under_way: UnderWay,
    /// Numbers that may still come before others are answered.
    room: Semaphore,
}

impl Door {
    /// A door in front of `rest` and `payloads`, at which a key may have `per_key` transactions under way.
    pub(crate) fn new(
        rest: Arc<Rest>,
        payloads: Arc<Payloads>,
        replies: Arc<Replies>,
        (patience, per_key): (Duration, usize),
        metrics: Arc<Metrics>,
    ) -> Self {
        Door { rest, payloads, replies, patience, quota: Arc::new(Quota::new(per_key)), metrics }
    }

    /// Serves clients until the socket is gone.
    pub(crate) async fn serve(self, mut entrance: Entrance) {
        let door = Arc::new(self);
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                session = entrance.next() => {
                    let Some(session) = session else { return };
                    sessions.spawn(Arc::clone(&door).session(session));
                }
                Some(_) = sessions.join_next() => {}
            }
        }
    }

    async fn session(self: Arc<Self>, session: Session) {
        let key = session.key;
        if let Err(words) = self.admit(&key) {
            self.metrics.entrance_refused_total.with_label_values(&["no_account"]).inc();
            return session.refuse(&words);
        }
        tracing::debug!(%key, address = %session.address, "session at the native entrance");
        self.metrics.entrance_sessions.inc();
        let (events, heard) = unbounded_channel();
        let under_way = UnderWay::new(Arc::clone(&self.quota), key);
        let client = Client {
            key,
            version: session.version,
            subscriber: Subscriber::new(events.clone()),
            events,
            under_way,
            room: Semaphore::new(UNANSWERED_MAX),
        };
        let (reading, writing) = session.split();
        tokio::select! {
            () = self.listen(&client, reading) => {}
            () = self.answer(&client, heard, writing) => {}
        }
        self.metrics.entrance_sessions.dec();
    }

    /// Whether a key may submit here, or a sentence that says why not.
    fn admit(&self, key: &PublicKey) -> Result<(), String> {
        match account_sequence(&*self.rest.store, key) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(format!(
                "no account of this ledger has the key {key} (hint: connect with the key of an account, or create it first)"
            )),
            Err(error) => {
                tracing::error!(%error, "an account could not be read");
                Err("the state cannot be read now; try another validator".to_owned())
            }
        }
    }

    async fn listen(&self, client: &Client, mut reading: Reading) {
        // A lost connection and a frame without end are the network's to tell.
        while let Ok(Some(frame)) = reading.next().await {
            if let Err(error) = self.take(client, &frame).await {
                self.metrics.entrance_refused_total.with_label_values(&["undecodable"]).inc();
                return reading.break_off(&format!("a frame that is no request: {error}"));
            }
        }
    }

    /// Hands in what a frame holds.
    async fn take(&self, client: &Client, frame: &[u8]) -> Result<(), DecodeError> {
        match Request::from_bytes(frame)? {
            Request::Submission(submission) => self.submit(client, submission, false).await,
            Request::Tentative(_) if client.version < VERSION => {
                return Err(DecodeError::Invalid(
                    "a subscription to TREPLYs in a session of an older version",
                ));
            }
            Request::Tentative(submission) => self.submit(client, submission, true).await,
            Request::Keep(delivery) => {
                client.wait_for_room(PAYLOAD_ROOM).await;
                client.say(self.keep(client.key, delivery).await);
            }
            Request::Fetch(wanted) => {
                client.wait_for_room(PAYLOAD_ROOM).await;
                client.say(self.fetch(client.key, wanted).await);
            }
        }
        Ok(())
    }

    /// Hands in the transactions of a frame; with a subscription to this validator's word on each, if the client wants that.
    async fn submit(&self, client: &Client, submission: Handed, tentatively: bool) {
        client.wait_for_room(submission.envelopes.len()).await;
        let not_ready = self.rest.not_ready();
        let mut let_in = Vec::with_capacity(submission.envelopes.len());
        for (number, envelope) in (submission.first..).zip(submission.envelopes) {
            let transaction = match SignedTransaction::read(&self.rest.network.network_id, &envelope) {
                Ok(transaction) => Arc::new(transaction),
                Err(error) => {
                    let words = Words::new(error.to_string());
                    client.say(Answer::Malformed(Malformed { number, words }));
                    continue;
                }
            };
            if let Some(reason) = &not_ready {
                client.say(busy(number, reason.clone()));
                continue;
            }
            let subscription = match tentatively.then(|| self.subscribe(client, &transaction, number)) {
                Some(Err(none)) => {
                    client.say(Answer::NoReplies(none));
                    continue;
                }
                Some(Ok(subscription)) => Some(subscription),
                None => None,
            };
            match client.under_way.begin((number, subscription), &transaction, self.patience) {
                Begun::First => let_in.push(transaction),
                Begun::Joined => {}
                Begun::NoRoom => client.say(busy(number, self.quota.words())),
            }
        }
        self.ring(client, let_in);
    }

    /// Has the client hear this validator's word on an envelope, before it is handed in.
    fn subscribe(
        &self,
        client: &Client,
        transaction: &SignedTransaction,
        number: u64,
    ) -> Result<Subscription, NoReplies> {
        let none = |code, words: String| Err(NoReplies { number, code, words: Words::new(words) });
        if self.rest.genesis.genesis.trust == Trust::Crash {
            return none(
                NoRepliesCode::TrustIsCrash,
                "trust is crash, under which no validator sends TREPLY: FAST makes a slot final one step earlier (hint: submit \
                 without, and the receipt says FAST)"
                    .to_owned(),
            );
        }
        if !self.rest.health.role.has_vote() {
            return none(
                NoRepliesCode::NoVote,
                "this node has no vote and sends no TREPLY (hint: subscribe at validators; an edge network has none that clients \
                 reach)"
                    .to_owned(),
            );
        }
        let subscribed = self.replies.subscribe(&client.subscriber, *transaction.full_hash(), number);
        subscribed.or_else(|TooMany| {
            let words = format!(
                "a session may have {SUBSCRIPTIONS_MAX} subscriptions to TREPLYs, and this one has (hint: wait for outcomes, or \
                 submit without)"
            );
            none(NoRepliesCode::TooManySubscriptions, words)
        })
    }

    fn ring(&self, client: &Client, transactions: Vec<Arc<SignedTransaction>>) {
        let hashes: Vec<Digest> = transactions.iter().map(|transaction| *transaction.hash()).collect();
        for hash in &hashes {
            // Before they are handed in: their block may be there before this task runs again.
            self.rest.waiting.for_session(*hash, client.events.clone());
        }
        if !hashes.is_empty() && !self.rest.bell.submit_many(transactions, client.events.clone()) {
            hashes
                .into_iter()
                .for_each(|hash| client.hear(Event::Verdict(hash, Box::new(Ok(Verdict::Full)))));
        }
    }

    /// Sends what is heard until the client is gone.
    async fn answer(&self, client: &Client, mut heard: UnboundedReceiver<Event>, mut writing: Writing) {
        let mut looks = interval(LOOK_EVERY);
        let mut events = Vec::new();
        loop {
            let answers = tokio::select! {
                _ = heard.recv_many(&mut events, EVENTS_MAX) => self.answers(client, events.drain(..)),
                _ = looks.tick() => client.under_way.overdue().into_iter().map(Answer::Open).collect(),
            };
            for answer in answers {
                self.count(&answer);
                if writing.send(answer.to_bytes()).await.is_err() {
                    return;
                }
                client.room.add_permits(answer.numbers().len());
            }
        }
    }

    fn count(&self, answer: &Answer) {
        let kind = match answer {
            Answer::Settled(_) => "settled",
            Answer::Refused(_) => "refused",
            Answer::Busy(_) => "busy",
            Answer::Open(_) => "open",
            Answer::Malformed(_) => "malformed",
            Answer::Kept(_) => "kept",
            Answer::Fetched(_) => "fetched",
            Answer::Declined(_) => "declined",
            Answer::Replied(_) => "replied",
            Answer::NoReplies(none) => none.code.name(),
        };
        // A TREPLY ends no number, and is of one.
        let numbers = u64::try_from(answer.numbers().len().max(1)).unwrap_or(u64::MAX);
        self.metrics.entrance_answers_total.with_label_values(&[kind]).inc_by(numbers);
    }
}

impl Client {
    fn hear(&self, event: Event) {
        // The receiver lives as long as the session.
        let _ = self.events.send(event);
    }

    fn say(&self, answer: Answer) {
        self.hear(Event::Said(Box::new(answer)));
    }

    /// Waits until so many more numbers may wait for an answer. Answering makes room.
    async fn wait_for_room(&self, numbers: usize) {
        let permits = u32::try_from(numbers).unwrap_or(u32::MAX);
        if let Ok(taken) = self.room.acquire_many(permits).await {
            taken.forget();
        }
    }
}

fn busy(number: u64, words: String) -> Answer {
    let retry_after_ms = u32::try_from(RETRY_AFTER.as_millis()).unwrap_or(u32::MAX);
    Answer::Busy(Busy { number, retry_after_ms, words: Words::new(words) })
}
