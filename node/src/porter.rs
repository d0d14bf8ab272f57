//! The porter: one thread that brings transactions to the front door, all that have gathered at a time, so that the
//! signatures of many are checked in one batch. Nobody waits for a batch to fill: while one is let in the next gathers,
//! so it is one transaction on an idle node and some hundred on a busy one.

use std::sync::Arc;

use carat_consensus::SpreadBody;
use carat_ledger::StateError;
use carat_network::Incoming;
use carat_types::batch::{Body, Envelope};
use carat_types::signature::KnownKeys;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, ValidatorId};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{mpsc, oneshot};

use crate::entrance::Event;
use crate::front_door::{FrontDoor, Verdict};
use crate::guesses;
use crate::metrics::Metrics;
use crate::signatures::SignatureCache;

/// Arrivals that may wait. Those of peers hold their share of the network's budget for so long.
const ARRIVALS_MAX: usize = 4_096;
/// Transactions of one round.
const ROUND: usize = 512;

type Answer = oneshot::Sender<Result<Verdict, StateError>>;

/// Who brought transactions.
enum Arrival {
    /// A client, who waits for the verdict.
    Client { transaction: Arc<SignedTransaction>, answer: Answer },
    /// A client at the native entrance, who learns only of what is not let in.
    Session { transactions: Vec<Arc<SignedTransaction>>, events: UnboundedSender<Event> },
    /// A peer. Its frame is kept until they are let in: that bounds what a peer can make wait here.
    Peer { from: ValidatorId, frame: Incoming, envelopes: Vec<Envelope> },
    /// A peer, in a body; its frame is kept likewise.
    Body { from: ValidatorId, frame: Incoming, body: Arc<Body> },
}

/// The way to the porter.
#[derive(Clone)]
pub struct Bell {
    arrivals: mpsc::Sender<Arrival>,
    metrics: Arc<Metrics>,
}

impl Bell {
    /// Hands in a client's transaction.
    ///
    /// **Errors**: the state cannot be read.
    pub async fn submit(&self, transaction: &Arc<SignedTransaction>) -> Result<Verdict, StateError> {
        let (answer, verdict) = oneshot::channel();
        let arrival = Arrival::Client { transaction: Arc::clone(transaction), answer };
        match self.arrivals.try_send(arrival) {
            // Without an answer the node is stopping; the client comes back to another.
            Ok(()) => verdict.await.unwrap_or(Ok(Verdict::Full)),
            Err(_) => Ok(Verdict::Full),
        }
    }

    /// Hands in what a client brought in one frame. False where there is no room.
    pub fn submit_many(
        &self,
        transactions: Vec<Arc<SignedTransaction>>,
        events: UnboundedSender<Event>,
    ) -> bool {
        self.arrivals.try_send(Arrival::Session { transactions, events }).is_ok()
    }

    /// Hands in what a peer gossips; it counts as brought by `from`. Where there is no room it is dropped: its validator gossips it again.
    pub fn gossip(&self, from: ValidatorId, frame: Incoming, envelopes: Vec<Envelope>) {
        let count = u64::try_from(envelopes.len()).unwrap_or(u64::MAX);
        if self.arrivals.try_send(Arrival::Peer { from, frame, envelopes }).is_err() {
            self.metrics.pool_submissions_total.with_label_values(&["full"]).inc_by(count);
        }
    }

    /// Hands in a body that a peer spreads. Where there is no room it is dropped: its validator gossips what is in it.
    pub fn body(&self, from: ValidatorId, frame: Incoming, body: Arc<Body>) {
        let count = u64::try_from(body.envelopes.len()).unwrap_or(u64::MAX);
        if self.arrivals.try_send(Arrival::Body { from, frame, body }).is_err() {
            self.metrics.pool_submissions_total.with_label_values(&["full"]).inc_by(count);
        }
    }
}

/// The porter's things.
pub struct Porter {
    arrivals: mpsc::Receiver<Arrival>,
    network_id: Digest,
    front_door: Arc<FrontDoor>,
    signatures: Arc<SignatureCache>,
    keys: KnownKeys,
    metrics: Arc<Metrics>,
}

/// Who stands at the door in one round.
#[derive(Default)]
struct Round {
    visitors: Vec<Visitor>,
    /// They keep their share of the budget until the round is over.
    frames: Vec<Incoming>,
    /// They follow their transactions.
    bodies: Vec<(ValidatorId, SpreadBody)>,
}

/// A transaction at the door, and who brought it.
struct Visitor {
    transaction: Arc<SignedTransaction>,
    origin: Origin,
}

enum Origin {
    Client(Answer),
    Session(UnboundedSender<Event>),
    Peer(ValidatorId),
}

impl Porter {
    /// A porter and the way to it.
    pub fn new(
        network_id: Digest,
        front_door: Arc<FrontDoor>,
        signatures: Arc<SignatureCache>,
        metrics: Arc<Metrics>,
    ) -> (Porter, Bell) {
        let (bell, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let bell = Bell { arrivals: bell, metrics: Arc::clone(&metrics) };
        (Porter { arrivals, network_id, front_door, signatures, keys: KnownKeys::default(), metrics }, bell)
    }

    /// Works until nobody can ring any more.
    pub fn run(mut self) {
        while let Some(first) = self.arrivals.blocking_recv() {
            let mut round = Round::default();
            let mut next = Some(first);
            while let Some(arrival) = next {
                self.welcome(arrival, &mut round);
                next = if round.visitors.len() < ROUND { self.arrivals.try_recv().ok() } else { None };
            }
            let transactions = round.visitors.iter().map(|visitor| &*visitor.transaction);
            guesses::check_ahead(&self.signatures, &mut self.keys, transactions);
            round.visitors.into_iter().for_each(|visitor| self.let_in(visitor));
            self.front_door.wake();
            round.bodies.into_iter().for_each(|(from, body)| self.front_door.body(from, body));
        }
    }

    fn welcome(&self, arrival: Arrival, round: &mut Round) {
        let visitors = &mut round.visitors;
        match arrival {
            Arrival::Client { transaction, answer } => {
                visitors.push(Visitor { transaction, origin: Origin::Client(answer) });
            }
            Arrival::Session { transactions, events } => {
                let visitor = |transaction| Visitor { transaction, origin: Origin::Session(events.clone()) };
                visitors.extend(transactions.into_iter().map(visitor));
            }
            Arrival::Peer { from, frame, envelopes } => {
                visitors.extend(envelopes.iter().filter_map(|envelope| self.visitor(from, envelope)));
                round.frames.push(frame);
            }
            Arrival::Body { from, frame, body } => {
                let first = visitors.len();
                visitors.extend(body.envelopes.iter().filter_map(|envelope| self.visitor(from, envelope)));
                let known = visitors.get(first..).unwrap_or_default();
                // A body with an envelope that is no transaction is never voted for.
                if known.len() == body.envelopes.len() {
                    let transactions = known.iter().map(|visitor| &*visitor.transaction);
                    match self.front_door.weigh(body, transactions) {
                        Ok(body) => round.bodies.push((from, body)),
                        Err(error) => tracing::error!(%error, "a body could not be weighed"),
                    }
                }
                round.frames.push(frame);
            }
        }
    }

    /// What a peer brings, if it is a transaction.
    fn visitor(&self, from: ValidatorId, envelope: &Envelope) -> Option<Visitor> {
        let Ok(transaction) = SignedTransaction::read(&self.network_id, envelope) else {
            self.metrics.pool_submissions_total.with_label_values(&["refused"]).inc();
            return None;
        };
        Some(Visitor { transaction: Arc::new(transaction), origin: Origin::Peer(from) })
    }

    fn let_in(&self, visitor: Visitor) {
        match visitor.origin {
            Origin::Client(answer) => {
                // A client that gave up needs no answer.
                let _ = answer.send(self.front_door.submit(&visitor.transaction));
            }
            Origin::Session(events) => {
                let verdict = self.front_door.submit(&visitor.transaction);
                if !matches!(verdict, Ok(Verdict::Admitted | Verdict::Parked | Verdict::Duplicate)) {
                    // A session that has ended needs no answer.
                    let _ = events.send(Event::Verdict(*visitor.transaction.hash(), Box::new(verdict)));
                }
            }
            Origin::Peer(peer) => {
                if let Err(error) = self.front_door.gossiped(peer, &visitor.transaction) {
                    tracing::error!(%error, "a gossiped transaction could not be checked");
                }
            }
        }
    }
}
