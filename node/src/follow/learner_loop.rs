//! The event loop of a node that follows: the only thread that touches the learner. Inputs in, questions and blocks out.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock};

use carat_consensus::{Effect, Input, Learner, VerifiedMessage};
use carat_network::Network;
use carat_storage::store::{Store, StoreError};
use carat_types::message::Status;
use carat_types::{Epoch, Slot, ValidatorId};

use crate::clock::Clock;
use crate::core_loop::{Standing, Stop, report_catching_up};
use crate::diagnosis::Heard;
use crate::executor::Task;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::scribe::{encode, lane};
use crate::timers::Timers;
use crate::trace::Trace;

/// The loop's surroundings.
pub(super) struct LearnerLoop {
    /// The state machine.
    pub(super) learner: Learner,
    /// The queue in.
    pub(super) mailbox: Arc<Mailbox>,
    /// The way to the validators.
    pub(super) network: Arc<Network>,
    /// Who executes.
    pub(super) executor: Sender<Task>,
    /// What is made durable now and then.
    pub(super) store: Arc<Store>,
    /// The epoch that frames name.
    pub(super) epoch: Epoch,
    /// Blocks become durable once in so many slots.
    pub(super) checkpoint_interval: u64,
    /// The clocks.
    pub(super) clock: Clock,
    /// Counters.
    pub(super) metrics: Arc<Metrics>,
    /// Recent messages.
    pub(super) trace: Arc<Trace>,
    /// What others may know.
    pub(super) standing: Arc<RwLock<Standing>>,
    /// What each validator last said of itself.
    pub(super) peers: BTreeMap<ValidatorId, Heard>,
}

impl LearnerLoop {
    /// Runs until the mailbox is closed or the learner takes no more input.
    ///
    /// **Returns** why it takes none, if so.
    ///
    /// **Errors**: the last sync of the store.
    pub(super) fn run(mut self, first: Vec<Effect>) -> Result<Option<Stop>, StoreError> {
        let mut timers = Timers::start(self.clock);
        let mut effects = first;
        loop {
            if let Some(stop) = self.perform(&mut timers, effects) {
                return Ok(Some(stop));
            }
            self.publish();
            let Some(inputs) = self.mailbox.take(Some(timers.next())) else { return Ok(None) };
            effects = Vec::new();
            for input in inputs {
                self.note(&input)?;
                effects.extend(self.learner.handle(timers.now(), input));
            }
            for timer in timers.due() {
                effects.extend(self.learner.handle(timers.now(), Input::Timer(timer)));
            }
        }
    }

    /// A learner persists nothing: every effect may be performed at once, in order.
    fn perform(&self, timers: &mut Timers, effects: Vec<Effect>) -> Option<Stop> {
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, after_us } => timers.set(timer, after_us),
                Effect::Send { to, message } => {
                    self.trace.left(Some(to), &message);
                    self.network.send(to.0, lane(&message), encode(self.epoch, &message));
                }
                Effect::Execute(execute) => self.hand_over(Task::Execute(execute)),
                Effect::BeginTransfer(offer) => self.hand_over(Task::BeginTransfer(offer)),
                Effect::KeepChunk(chunk) => self.hand_over(Task::KeepChunk(chunk)),
                Effect::InstallState(offer) => self.hand_over(Task::Install(offer)),
                Effect::Reject { from, reason } => {
                    self.metrics.consensus_rejections_total.with_label_values(&[reason.name()]).inc();
                    tracing::debug!(peer = %from, reason = reason.name(), "message refused");
                }
                Effect::Report(report) => report_catching_up(&report),
                Effect::Halt(halt) => return Some(Stop::Halt(halt)),
                Effect::EpochEnds(last) => return Some(Stop::EpochEnds(last)),
                // What binds an acceptor: a learner has no such effect.
                _ => {}
            }
        }
        None
    }

    /// The executor outlives this loop but for a failure of its own, which stops the process anyway.
    fn hand_over(&self, task: Task) {
        if self.executor.send(task).is_err() {
            tracing::debug!("the executor has stopped");
        }
    }

    /// Notes what a validator says of itself, and makes blocks durable once a checkpoint interval.
    fn note(&mut self, input: &Input) -> Result<(), StoreError> {
        match input {
            Input::Message { from, message: VerifiedMessage::Status(status) }
            | Input::OtherEpoch { from, message: VerifiedMessage::Status(status), .. } => {
                let heard = self.peers.entry(*from).or_default();
                (heard.status, heard.at_us) = (*status, self.clock.monotonic_us());
            }
            Input::Executed(executed) if executed.slot.0.checked_rem(self.checkpoint_interval) == Some(0) => {
                self.store.sync()?;
                self.metrics.note_memory(self.store.memory());
            }
            _ => {}
        }
        Ok(())
    }

    fn publish(&self) {
        let executed = self.learner.last_executed();
        let now_us = self.clock.monotonic_us();
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        let progressed = executed > standing.last_executed || standing.progressed_at_us == 0;
        *standing = Standing {
            status: Status { last_final: executed, last_executed: executed, ..Status::default() },
            last_final: executed,
            last_executed: executed,
            stable: Slot(0),
            pending: usize::try_from(self.metrics.pool_pending.get()).unwrap_or(0),
            peers_at: self.learner.honest_sources_at().max(executed),
            peers_in: Some(self.learner.honest_sources_in()).filter(|epoch| *epoch > self.epoch),
            peers: self.peers.clone(),
            progressed_at_us: if progressed { now_us } else { standing.progressed_at_us },
            published_at_us: now_us,
            ..Standing::default()
        };
    }
}
