//! Followers: nodes without a vote that this validator serves with blocks and states, and whose clients' transactions it spreads.
//!
//! One thread reads the store for them. Nothing of theirs reaches the replica. Each has a budget of bytes, and one open question:
//! a newer one takes its place. A question for the next block is held until that block is sealed, and where the validator stands
//! is said behind each answer, so that a follower asks once a block and is one way of the network behind.
//! **Source**: decision record 41, points 4 to 7.

mod budget;

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carat_network::{Event, Incoming, Lane, Network, Peer};
use carat_storage::store::{Store, StoreError};
use carat_types::codec::Decode as _;
use carat_types::message::{Fetch, Frame, Message, Status, Transactions};
use carat_types::snapshot::CHUNK_BYTES;
use carat_types::{Epoch, Slot, ValidatorId};

use crate::clock::Clock;
use crate::core_loop::Standing;
use crate::metrics::Metrics;
use crate::porter::Bell;
use crate::scribe::{encode, send_blocks};
use crate::settings::FollowersSettings;
use crate::snapshots::Snapshots;
use budget::Budget;

/// What an answer is charged at least: reading costs, whatever is found.
const ANSWER_BYTES_MIN: usize = 1_024;
/// How often this thread looks around where nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// What this thread is told.
#[derive(Debug)]
pub enum Task {
    /// Something of a follower.
    Event(Event),
    /// A block is sealed by f+1 validators, and kept with its seals.
    Sealed(Slot),
}

/// What it works with.
pub(crate) struct Surroundings {
    /// Blocks.
    pub(crate) store: Arc<Store>,
    /// The way to the followers.
    pub(crate) network: Arc<Network>,
    /// States.
    pub(crate) snapshots: Arc<Snapshots>,
    /// Where their clients' transactions go.
    pub(crate) bell: Bell,
    /// Where this validator stands.
    pub(crate) standing: Arc<RwLock<Standing>>,
    /// The epoch that frames name.
    pub(crate) epoch: Epoch,
    /// The clocks.
    pub(crate) clock: Clock,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
}

/// Serves all followers.
pub(crate) struct FollowerServer {
    around: Surroundings,
    /// The number of the first one. It also stands for all of them in the pool.
    first: u16,
    followers: Vec<Follower>,
}

/// One follower.
struct Follower {
    number: ValidatorId,
    connected: bool,
    question: Option<Question>,
    budget: Budget,
}

/// What a follower wants to know.
struct Question {
    fetch: Fetch,
    /// It is for a block that is not sealed yet.
    held: bool,
    /// It was counted as waiting for the budget.
    delayed: bool,
}

/// Why a frame of a follower does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Undecodable,
    OtherEpoch,
    /// Votes, and whatever else is not for who has none.
    NotTheirs,
    OverBudget,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Refusal::Undecodable => "undecodable",
            Refusal::OtherEpoch => "other_epoch",
            Refusal::NotTheirs => "not_theirs",
            Refusal::OverBudget => "over_budget",
        }
    }
}

/// What a frame of a follower is for.
#[derive(Debug)]
enum Request {
    Question(Fetch),
    Transactions(Transactions),
}

impl Request {
    fn read(bytes: &[u8], epoch: Epoch) -> Result<Self, Refusal> {
        let frame = Frame::from_bytes(bytes).map_err(|_| Refusal::Undecodable)?;
        match frame.message {
            // A question means the same in whatever epoch it was put: a follower may have slept over the end of one.
            Message::Fetch(fetch @ (Fetch::Blocks(_) | Fetch::Snapshot(_) | Fetch::Chunk(_))) => {
                Ok(Request::Question(fetch))
            }
            _ if frame.epoch != epoch => Err(Refusal::OtherEpoch),
            Message::Transactions(transactions) => Ok(Request::Transactions(transactions)),
            _ => Err(Refusal::NotTheirs),
        }
    }
}

impl FollowerServer {
    /// For these followers, whose numbers follow on each other.
    pub(crate) fn new(around: Surroundings, peers: &[Peer], settings: &FollowersSettings) -> Self {
        let now_us = around.clock.monotonic_us();
        let follower = |peer: &Peer| Follower {
            number: ValidatorId(peer.index),
            connected: false,
            question: None,
            budget: Budget::new(settings.bytes_per_second, now_us),
        };
        let first = peers.first().map_or(u16::MAX, |peer| peer.index);
        FollowerServer { around, first, followers: peers.iter().map(follower).collect() }
    }

    /// Works until nobody can tell it anything any more.
    ///
    /// **Errors**: the store's.
    pub(crate) fn run(mut self, tasks: &Receiver<Task>) -> Result<(), StoreError> {
        loop {
            let due = self.answer_all()?;
            match tasks.recv_timeout(due) {
                Ok(task) => self.take(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn take(&mut self, task: Task) {
        match task {
            Task::Event(Event::Up { peer }) => self.connected(peer, true),
            Task::Event(Event::Down { peer }) => self.connected(peer, false),
            Task::Event(Event::Frame(frame)) => {
                let follower = frame.peer;
                if let Err(refusal) = self.on_frame(frame) {
                    let metrics = &self.around.metrics;
                    metrics.followers_refused_total.with_label_values(&[refusal.name()]).inc();
                    tracing::debug!(follower, reason = refusal.name(), "frame of a follower refused");
                }
            }
            Task::Sealed(slot) => {
                for question in self.followers.iter_mut().filter_map(|follower| follower.question.as_mut()) {
                    question.held &= !matches!(question.fetch, Fetch::Blocks(from) if from <= slot);
                }
            }
        }
    }

    fn connected(&mut self, peer: u16, up: bool) {
        if let Some(follower) = self.of(peer) {
            follower.connected = up;
        }
        let connected = self.followers.iter().filter(|follower| follower.connected).count();
        self.around.metrics.followers_connected.set(i64::try_from(connected).unwrap_or(i64::MAX));
        tracing::info!(follower = peer, reachable = up, "a follower");
        if up {
            // Whatever was sent before may be lost.
            self.around.say_position(ValidatorId(peer));
        }
    }

    fn of(&mut self, peer: u16) -> Option<&mut Follower> {
        self.followers.get_mut(usize::from(peer.checked_sub(self.first)?))
    }

    fn on_frame(&mut self, frame: Incoming) -> Result<(), Refusal> {
        let (together, now_us) = (ValidatorId(self.first), self.around.clock.monotonic_us());
        let request = Request::read(&frame.payload, self.around.epoch)?;
        let Some(follower) = self.of(frame.peer) else { return Ok(()) };
        match request {
            Request::Question(fetch) => {
                follower.question = Some(Question { fetch, held: false, delayed: false });
            }
            Request::Transactions(Transactions { envelopes }) => {
                // It forwards again what is not settled.
                if !follower.budget.wait(now_us).is_zero() {
                    return Err(Refusal::OverBudget);
                }
                follower.budget.charge(frame.payload.len());
                self.around.bell.gossip(together, frame, envelopes);
            }
        }
        Ok(())
    }

    /// Answers what may be answered now. **Returns** when to look again, if nothing is told before.
    fn answer_all(&mut self) -> Result<Duration, StoreError> {
        let mut due = IDLE;
        for follower in &mut self.followers {
            if let Some(wait) = follower.answer(&self.around)? {
                due = due.min(wait);
            }
        }
        Ok(due)
    }
}

impl Follower {
    /// Answers the open question, if it can be answered and the budget allows it. **Returns** how long it waits for that.
    fn answer(&mut self, around: &Surroundings) -> Result<Option<Duration>, StoreError> {
        let Some(question) = self.question.as_mut().filter(|question| !question.held) else {
            return Ok(None);
        };
        let wait = self.budget.wait(around.clock.monotonic_us());
        if !wait.is_zero() {
            if !std::mem::replace(&mut question.delayed, true) {
                around.metrics.followers_delayed_total.inc();
            }
            return Ok(Some(wait));
        }
        match around.answer(self.number, &question.fetch)? {
            None => question.held = true,
            Some(bytes) => {
                self.question = None;
                self.budget.charge(bytes);
                around.metrics.followers_bytes_total.inc_by(bytes as u64);
            }
        }
        Ok(None)
    }
}

impl Surroundings {
    /// **Returns** what the answer cost; none if there is none yet.
    fn answer(&self, to: ValidatorId, fetch: &Fetch) -> Result<Option<usize>, StoreError> {
        let (kind, bytes) = match fetch {
            Fetch::Blocks(from) => {
                let bytes = send_blocks((&self.store, &self.network), self.epoch, to, *from)?;
                if bytes == 0 && !self.is_gone(*from)? {
                    return Ok(None);
                }
                ("blocks", bytes)
            }
            Fetch::Chunk(_) => {
                // Another thread sends it.
                self.snapshots.serve(to, fetch)?;
                self.count("chunk");
                return Ok(Some(CHUNK_BYTES));
            }
            _ => {
                self.snapshots.serve(to, fetch)?;
                ("offer", 0)
            }
        };
        self.say_position(to);
        self.count(kind);
        Ok(Some(bytes.max(ANSWER_BYTES_MIN)))
    }

    fn count(&self, kind: &str) {
        self.metrics.followers_answers_total.with_label_values(&[kind]).inc();
    }

    /// Whether a block was here and is not kept any more: then there is nothing to wait for.
    fn is_gone(&self, slot: Slot) -> Result<bool, StoreError> {
        Ok(slot <= self.store.tip().slot && self.store.block(slot)?.is_none())
    }

    /// Behind what was sent before, on the same lane.
    fn say_position(&self, to: ValidatorId) {
        let status = self.standing.read().unwrap_or_else(PoisonError::into_inner).status;
        let status = Status { last_executed: self.store.tip().slot, ..status };
        self.network.send(to.0, Lane::Bulk, encode(self.epoch, &Message::Status(status)));
    }
}

#[cfg(test)]
mod tests;
