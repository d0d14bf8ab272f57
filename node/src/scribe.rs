//! The journal's thread: performs effects in order, and nothing behind a `Persist` before it is durable.
//!
//! It takes all the effect lists that wait, appends their records, syncs once, and only then sends. So a sync
//! is shared by whatever gathered while the last one ran. The only effects that a record is never moved in
//! front of are `SyncBlocks` and `Compact`: what they make durable or delete belongs between records.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use carat_consensus::effect::Effect;
use carat_consensus::record::Record;
use carat_network::{Lane, Network};
use carat_storage::journal::{Journal, JournalError, Record as JournalRecord};
use carat_storage::store::{Store, StoreError};
use carat_types::codec::Encode;
use carat_types::message::{Data, Fetch, Frame, Message};
use carat_types::{Epoch, Slot, ValidatorId};
use thiserror::Error;

use crate::executor::Task;
use crate::front_door::FrontDoor;
use crate::metrics::Metrics;
use crate::replies::Replies;
use crate::signer::courier::Ask;
use crate::snapshots::Snapshots;
use crate::trace::Trace;

/// Everything that effects need.
pub struct Scribe {
    /// Where votes are remembered.
    pub journal: Journal,
    /// Where blocks are.
    pub store: Arc<Store>,
    /// Learns what is ordered.
    pub front_door: Arc<FrontDoor>,
    /// Who executes.
    pub executor: Sender<Task>,
    /// The way to the signer; none where the keys are in this process.
    pub signer: Option<Sender<Ask>>,
    /// The way to the other processes.
    pub network: Arc<Network>,
    /// States for validators that are far behind.
    pub snapshots: Arc<Snapshots>,
    /// Who is told TREPLYs.
    pub(crate) replies: Arc<Replies>,
    /// Recent messages.
    pub trace: Arc<Trace>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// All processes of the network but this one.
    pub others: Vec<ValidatorId>,
    /// The epoch that frames name.
    pub epoch: Epoch,
}

/// What stops the scribe, and with it the process.
#[derive(Debug, Error)]
pub enum ScribeError {
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store could not be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Scribe {
    /// Performs effects until their source ends.
    ///
    /// **Errors**: a failed write; nothing behind it was sent.
    pub fn run(mut self, lists: &Receiver<Vec<Effect>>) -> Result<(), ScribeError> {
        while let Ok(mut effects) = lists.recv() {
            effects.extend(lists.try_iter().flatten());
            self.perform(effects)?;
        }
        Ok(())
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), ScribeError> {
        let mut rest = effects.as_slice();
        while !rest.is_empty() {
            let end = rest.iter().position(is_barrier).unwrap_or(rest.len());
            let (run, barrier) = rest.split_at(end);
            self.append_and_sync(run)?;
            run.iter().try_for_each(|effect| self.perform_one(effect))?;
            rest = match barrier.split_first() {
                Some((barrier, behind)) => {
                    self.perform_barrier(barrier)?;
                    behind
                }
                None => barrier,
            };
        }
        Ok(())
    }

    fn append_and_sync(&mut self, run: &[Effect]) -> Result<(), ScribeError> {
        let mut records = 0;
        for effect in run {
            if let Effect::Persist(record) = effect {
                self.journal.append(&record.to_bytes(), record.slot().unwrap_or_default())?;
                records += 1;
            }
        }
        if records > 0 {
            let started = Instant::now();
            self.journal.sync()?;
            self.metrics.storage_journal_sync_seconds.observe(started.elapsed().as_secs_f64());
            self.metrics.storage_journal_records_total.inc_by(records);
        }
        Ok(())
    }

    fn perform_barrier(&mut self, effect: &Effect) -> Result<(), ScribeError> {
        match effect {
            Effect::SyncBlocks { slot } => {
                tracing::debug!(slot = slot.0, "blocks become durable");
                self.store.sync()?;
                self.metrics.note_memory(self.store.memory());
            }
            Effect::Compact { stable, carry } => {
                let carry: Vec<JournalRecord> = carry.iter().map(journal_record).collect();
                self.journal.compact(*stable, &carry)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn perform_one(&self, effect: &Effect) -> Result<(), ScribeError> {
        match effect {
            Effect::Send { to, message } => self.send(*to, message),
            Effect::Broadcast(message) => self.broadcast(message),
            Effect::Execute(execute) => {
                self.front_door.ordered(&execute.ordered);
                self.hand_over(Task::Execute(execute.clone()));
            }
            Effect::Sealed { certificate, .. } => self.hand_over(Task::Sealed(certificate.clone())),
            Effect::ArchiveNewView(new_view) => self.store.put_new_view(self.epoch, new_view)?,
            Effect::KeepEvidence(evidence) => self.store.put_evidence(evidence)?,
            Effect::Serve { to, fetch } => self.serve(*to, fetch)?,
            Effect::BeginTransfer(offer) => self.hand_over(Task::BeginTransfer(Arc::clone(offer))),
            Effect::KeepChunk(chunk) => self.hand_over(Task::KeepChunk(Arc::clone(chunk))),
            Effect::InstallState(offer) => self.hand_over(Task::Install(Arc::clone(offer))),
            Effect::Persist(Record::Stable(checkpoint)) => {
                self.snapshots.stable(checkpoint);
                self.ask_signer(Ask::Stable(checkpoint.header.slot));
            }
            Effect::Sign(statement) => self.ask_signer(Ask::Sign(statement.clone())),
            Effect::ExecuteTentatively(execute) => {
                self.hand_over(Task::ExecuteTentatively(execute.clone()));
            }
            Effect::DropTentative => self.hand_over(Task::DropTentative),
            Effect::Reply(reply) => self.replies.signed(reply),
            // Done before (records), at once by the event loop (timers, reports), or as a barrier.
            Effect::Persist(_)
            | Effect::SyncBlocks { .. }
            | Effect::Compact { .. }
            | Effect::SetTimer { .. }
            | Effect::CancelTimer(_)
            | Effect::Reject { .. }
            | Effect::Report(_)
            | Effect::EpochEnds(_)
            | Effect::Halt(_) => {}
        }
        Ok(())
    }

    /// The executor outlives the scribe but for a failure of its own, which stops the process anyway.
    fn hand_over(&self, task: Task) {
        if self.executor.send(task).is_err() {
            tracing::debug!("the executor has stopped");
        }
    }

    /// The signer's thread outlives the scribe but for a failure of its own, which stops the process anyway.
    fn ask_signer(&self, ask: Ask) {
        if let Some(signer) = &self.signer
            && signer.send(ask).is_err()
        {
            tracing::debug!("the signer's thread has stopped");
        }
    }

    fn send(&self, to: ValidatorId, message: &Message) {
        self.trace.left(Some(to), message);
        self.network.send(to.0, lane(message), encode(self.epoch, message));
    }

    fn broadcast(&self, message: &Message) {
        self.trace.left(None, message);
        let (lane, bytes) = (lane(message), encode(self.epoch, message));
        for to in &self.others {
            self.network.send(to.0, lane, bytes.clone());
        }
    }

    /// Answers a peer that is behind, with no more than one reply may take.
    fn serve(&self, to: ValidatorId, fetch: &Fetch) -> Result<(), StoreError> {
        match fetch {
            Fetch::Payload(digest) => {
                let slot = self.store.slot_of_value(digest)?;
                let block = slot.map(|slot| self.store.block(slot)).transpose()?.flatten();
                if let Some(block) = block {
                    self.send(to, &Message::Data(Data::Payload(block.payload)));
                }
            }
            Fetch::Blocks(from) => _ = send_blocks((&self.store, &self.network), self.epoch, to, *from)?,
            Fetch::Snapshot(_) | Fetch::Chunk(_) => self.snapshots.serve(to, fetch)?,
            // Votes are the replica's to answer for.
            Fetch::HighestVotes(_) => {}
        }
        Ok(())
    }
}

/// Sends sealed blocks from `from` upward, as many as one answer may hold.
///
/// **Returns** their bytes: none where that block is not sealed, or not kept any more.
///
/// **Errors**: the store's.
pub(crate) fn send_blocks(
    (store, network): (&Store, &Network),
    epoch: Epoch,
    to: ValidatorId,
    from: Slot,
) -> Result<usize, StoreError> {
    let mut bytes = 0;
    for slot in (from.0..).take(BLOCKS_AT_ONCE).map(Slot) {
        let Some(block) = store.certified_block(slot)? else { break };
        let frame = encode(epoch, &Message::Data(Data::Block(Arc::new(block))));
        bytes += frame.len();
        network.send(to.0, Lane::Bulk, frame);
        if bytes >= BYTES_AT_ONCE {
            break;
        }
    }
    Ok(bytes)
}

/// Blocks served for one request; the peer asks again from where it then stands.
const BLOCKS_AT_ONCE: usize = 64;
/// Bytes of blocks served for one request: what fits the peer's inbox.
const BYTES_AT_ONCE: usize = 4 << 20;

fn is_barrier(effect: &Effect) -> bool {
    matches!(effect, Effect::SyncBlocks { .. } | Effect::Compact { .. })
}

/// A record as the journal keeps it.
pub(crate) fn journal_record(record: &Record) -> JournalRecord {
    JournalRecord { slot: record.slot().unwrap_or(Slot(0)), bytes: record.to_bytes() }
}

/// Votes and what moves views go first; whatever may be long goes beside them.
pub fn lane(message: &Message) -> Lane {
    match message {
        Message::Prepare(_)
        | Message::Commit(_)
        | Message::Seal(_)
        | Message::Status(_)
        | Message::Fetch(_)
        | Message::BodiesHeld(_)
        | Message::Announcement(_) => Lane::Urgent,
        Message::Proposal(_)
        | Message::ViewChange(_)
        | Message::NewView(_)
        | Message::Data(_)
        | Message::Transactions(_)
        | Message::Body(_) => Lane::Bulk,
    }
}

/// One message as a frame of an epoch.
pub fn encode(epoch: Epoch, message: &Message) -> bytes::Bytes {
    Frame { epoch, message: message.clone() }.to_bytes().into()
}
