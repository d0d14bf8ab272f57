//! The executor: turns final slots into blocks, one after another, on a thread of its own.
//!
//! With nothing else to do it executes the slot above ahead of its finality (`ahead.rs`); when that slot is final with the
//! same value, it is written as it is. It is the only writer of blocks and state. **Invariant** I12: a header is a pure function of the parent's
//! state and header and the payload; nothing of this process but its checked signatures goes in.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use carat_consensus::effect::Finality;
use carat_consensus::{Execute, ExecuteTentatively, Executed, Input, TentativelyExecuted};
use carat_ledger::{
    ApplyError, BlockInput, BlockOutcome, SortKey, StateError, StateKey, StateTree, governance,
};
use carat_storage::store::{Store, StoreError};
use carat_types::batch::{Envelope, Payload};
use carat_types::block::Block;
use carat_types::certificate::SealCertificate;
use carat_types::header::Header;
use carat_types::snapshot::{SnapshotOffer, StateChunk};
use carat_types::transaction::{EnvelopeError, SignedTransaction};
use carat_types::{Digest, Slot, View};
use thiserror::Error;

use crate::ahead::{Ahead, Overlay};
use crate::chronicle::Chapters;
use crate::followers;
use crate::front_door::FrontDoor;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::parts::Served;
use crate::proofs::Proofs;
use crate::replies::Replies;
use crate::signatures::SignatureCache;
use crate::trace::Trace;
use crate::upgrade_notice::UpgradeNotice;

/// What the executor is told.
#[derive(Debug)]
pub enum Task {
    /// A slot is final.
    Execute(Box<Execute>),
    /// A slot may be executed before it is final.
    ExecuteTentatively(Box<ExecuteTentatively>),
    /// What was executed so is not to be final.
    DropTentative,
    /// A block is sealed by f+1 validators.
    Sealed(SealCertificate),
    /// The state after another block is being fetched.
    BeginTransfer(Arc<SnapshotOffer>),
    /// A checked part of it.
    KeepChunk(Arc<StateChunk>),
    /// It is whole.
    Install(Arc<SnapshotOffer>),
}

/// What stops the executor, and with it the process.
#[derive(Debug, Error)]
pub enum ExecutorError {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A final payload holds what no validator votes for.
    #[error("slot {slot} is final and holds an envelope that is none: {error}")]
    Envelope {
        /// The slot.
        slot: Slot,
        /// What is wrong.
        error: EnvelopeError,
    },
    /// What was executed tentatively could not be undone.
    #[error(
        "undoing what was executed above slot {slot} gave state root {root}, the state has {expected} (hint: a fault of \
         this program or of memory; start again, and report it)"
    )]
    Undo {
        /// The tip.
        slot: Slot,
        /// Root of the tree.
        root: Digest,
        /// That of the tip's header.
        expected: Digest,
    },
    /// Execution gave another block than f+1 validators sealed.
    #[error(
        "execution of slot {slot} gave header {own}, but validators sealed {sealed} (hint: this validator's state or \
         program differs; stop it, keep its data folder for analysis, and rebuild it from its peers)"
    )]
    Diverged {
        /// The slot.
        slot: Slot,
        /// Hash of the own header.
        own: Digest,
        /// Hash of the sealed header.
        sealed: Digest,
    },
}

/// The executor's things.
pub struct Executor {
    /// Blocks and state.
    pub store: Arc<Store>,
    /// The tree over the state.
    pub tree: StateTree,
    /// Header of the last block.
    pub tip: Header,
    /// Transactions that the last block applied.
    pub tip_transactions: u32,
    /// The network that transactions sign.
    pub network_id: Digest,
    /// Signatures that were checked.
    pub signatures: Arc<SignatureCache>,
    /// Learns what was settled.
    pub front_door: Arc<FrontDoor>,
    /// The way back to the replica.
    pub mailbox: Arc<Mailbox>,
    /// Whether what each operation changed is recorded, for the history.
    pub record_changes: bool,
    /// Learns what happened.
    pub chronicle: Chapters,
    /// The last header, for others to read.
    pub shared_tip: Arc<RwLock<Header>>,
    /// Who is served what is made here; none where nobody is, at a node that follows.
    pub(crate) served: Option<Served>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Recent messages.
    pub trace: Arc<Trace>,
    /// Warns of rules to come that this build does not know.
    pub upgrades: UpgradeNotice,
    /// Who waits for proofs of the state.
    pub proofs: Arc<Proofs>,
    /// What the newest blocks applied that are not sealed yet.
    pub unsealed: BTreeMap<Slot, Vec<Digest>>,
    /// What is executed ahead of its finality.
    pub(crate) ahead: Ahead,
    /// Who is told the word of this validator on that.
    pub(crate) replies: Arc<Replies>,
}

/// Blocks of which is remembered what they applied until they are sealed. Behind them clients are told at their next
/// question.
const UNSEALED_MAX: usize = 1_024;

impl Executor {
    /// Works until its source ends.
    ///
    /// **Errors**: see [`ExecutorError`]; the block in question was not written.
    pub fn run(mut self, tasks: &Receiver<Task>) -> Result<(), ExecutorError> {
        self.look_at_version()?;
        while let Some(task) = self.next_task(tasks)? {
            match task {
                Task::Execute(execute) => self.execute(&execute)?,
                Task::ExecuteTentatively(execute) => self.ahead.queue(*execute, self.tip.slot),
                Task::DropTentative => self.drop_tentative()?,
                Task::Sealed(certificate) => self.sealed(certificate)?,
                Task::BeginTransfer(offer) => self.store.begin_transfer(&offer)?,
                Task::KeepChunk(chunk) => {
                    self.store.keep_chunk(&chunk)?;
                    self.mailbox.answer(Input::ChunkKept);
                }
                Task::Install(offer) => self.install(&offer)?,
            }
        }
        Ok(())
    }

    /// The next task; before there is none to wait for, the slot above the tip is executed.
    ///
    /// **Returns** none when the source has ended.
    fn next_task(&mut self, tasks: &Receiver<Task>) -> Result<Option<Task>, ExecutorError> {
        match tasks.try_recv() {
            Ok(task) => return Ok(Some(task)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {}
        }
        self.execute_ahead()?;
        Ok(tasks.recv().ok())
    }

    /// Executes the slot above the tip, if that may be done and was not.
    fn execute_ahead(&mut self) -> Result<(), ExecutorError> {
        if let Some(execute) = self.ahead.due(&self.tip) {
            let overlay = self.compute(execute.slot, execute.payload.payload(), execute.parent_prefix)?;
            self.offer_reply(execute.view, &overlay);
            self.ahead.keep(overlay);
        }
        Ok(())
    }

    /// Nothing that was executed ahead, or waits for it, is to be final.
    fn drop_tentative(&mut self) -> Result<(), ExecutorError> {
        self.ahead.forget_waiting();
        self.undo()
    }

    /// A block above the tip; the tree is the one behind it then.
    fn compute(
        &mut self,
        slot: Slot,
        payload: &Payload,
        parent_prefix: Digest,
    ) -> Result<Overlay, ExecutorError> {
        let started = Instant::now();
        let envelopes = self.transactions(slot, payload)?;
        let (mut header, outcome) = self.apply(payload, parent_prefix, &envelopes)?;
        header.state_root = self.tree.update(&outcome.delta);
        Ok(Overlay { header, outcome, took: started.elapsed() })
    }

    /// The tree is the tip's again.
    fn undo(&mut self) -> Result<(), ExecutorError> {
        let Some(root) = self.ahead.undo(&mut self.tree, &*self.store)? else { return Ok(()) };
        self.metrics.ledger_tentative_total.with_label_values(&["undone"]).inc();
        let (slot, expected) = (self.tip.slot, self.tip.state_root);
        if root == expected { Ok(()) } else { Err(ExecutorError::Undo { slot, root, expected }) }
    }

    /// The block of a final slot: the one that was executed ahead, or another that is executed now.
    fn block_of(&mut self, execute: &Execute) -> Result<Overlay, ExecutorError> {
        if let Some(overlay) = self.ahead.confirm(execute.slot, &execute.prefix) {
            self.metrics.ledger_tentative_total.with_label_values(&["written"]).inc();
            return Ok(overlay);
        }
        self.undo()?;
        let late = self.ahead.late(execute.slot, &execute.prefix);
        let block = self.compute(execute.slot, execute.payload.payload(), execute.parent_prefix)?;
        if let Some(view) = late {
            // The SEALs are two steps away: it is worth the word.
            self.offer_reply(view, &block);
        }
        Ok(block)
    }

    /// Has the replica sign TREPLY on a block, where somebody waits for it.
    fn offer_reply(&self, view: View, block: &Overlay) {
        if self.replies.executed(view, &block.header, &block.outcome.applied) {
            let (slot, header) = (block.header.slot, block.header.hash());
            self.mailbox.answer(Input::TentativelyExecuted(TentativelyExecuted { view, slot, header }));
        }
    }

    fn execute(&mut self, execute: &Execute) -> Result<(), ExecutorError> {
        let payload = execute.payload.payload();
        let Overlay { header, outcome, took } = self.block_of(execute)?;
        let started = Instant::now();
        let junk_bytes = self.junk_bytes(execute, &outcome)?;
        if let Finality::Sealed(certified) = &execute.finality {
            let (own, sealed) = (header.hash(), certified.certificate.body.header);
            if own != sealed {
                return Err(ExecutorError::Diverged { slot: execute.slot, own, sealed });
            }
        }
        let block = Block { header, payload: Arc::clone(payload) };
        self.store.commit_block(&block, &outcome)?;
        self.metrics.ledger_apply_seconds.observe((took + started.elapsed()).as_secs_f64());
        if outcome.delta.contains_key(&StateKey::Governance.to_bytes()) {
            self.look_at_version()?;
        }
        if let Some(served) = &self.served {
            served.snapshots.executed(execute.slot);
        }
        self.proofs.executed(&block.header, &self.tree, &*self.store)?;
        self.publish(block.header, outcome, junk_bytes)?;
        if let Finality::Sealed(certified) = &execute.finality {
            self.sealed(certified.certificate.clone())?;
        }
        Ok(())
    }

    /// The state that was fetched takes the place of the present one.
    fn install(&mut self, offer: &SnapshotOffer) -> Result<(), ExecutorError> {
        self.ahead = Ahead::default();
        // Two trees at a time are one too many for the memory.
        let leaves = self.tree.rule().clone();
        self.tree = StateTree::build(&leaves, std::iter::empty::<([u8; 0], [u8; 0])>());
        self.tree = self.store.install_state(offer, &leaves)?;
        self.look_at_version()?;
        let header = &offer.base.header;
        self.tip = header.clone();
        self.tip_transactions = offer.base_transactions();
        *self.shared_tip.write().unwrap_or_else(PoisonError::into_inner) = header.clone();
        self.unsealed.clear();
        self.chronicle.installed();
        self.trace.step(header.slot, "INSTALLED", format!("state root {}", header.state_root.short()));
        self.mailbox.answer(Input::Installed(Box::new(header.clone())));
        Ok(())
    }

    /// What follows from the version of the rules, beside execution.
    fn look_at_version(&mut self) -> Result<(), StateError> {
        self.upgrades.look(&*self.store)?;
        // A node that follows has no replica: it hands on what clients bring.
        if self.served.is_some() {
            self.front_door.spread_bodies(governance::spreads_bodies(&*self.store)?);
        }
        Ok(())
    }

    /// The payload's transactions. Most were read when they were let in.
    fn transactions(
        &self,
        slot: Slot,
        payload: &Payload,
    ) -> Result<Vec<Arc<SignedTransaction>>, ExecutorError> {
        let read = |(envelope, known): (&Envelope, Option<Arc<SignedTransaction>>)| match known {
            Some(transaction) => Ok(transaction),
            None => SignedTransaction::read(&self.network_id, envelope).map(Arc::new),
        };
        let known = self.front_door.readings(payload);
        let transactions: Result<Vec<_>, _> = payload.envelopes().zip(known).map(read).collect();
        transactions.map_err(|error| ExecutorError::Envelope { slot, error })
    }

    /// The block's header, but for its state root, and what the ledger made of it. **Source**: section 11.
    fn apply(
        &self,
        payload: &Payload,
        parent_prefix: Digest,
        envelopes: &[Arc<SignedTransaction>],
    ) -> Result<(Header, BlockOutcome), ExecutorError> {
        let place = self.tip.above(self.tip_transactions, &payload.value);
        let input = BlockInput {
            sort_key: SortKey::Prefix(parent_prefix),
            ledger_seq: place.ledger,
            chain_id: place.chain_id,
            epoch: place.epoch,
            slot: place.slot,
            time_ms: place.time_ms,
            envelopes,
            signatures: &*self.signatures,
            record_changes: self.record_changes,
        };
        let outcome = carat_ledger::apply(&*self.store, &input)?;
        let header = Header {
            outcomes_root: outcome.outcomes_root,
            drops_root: outcome.drops_root,
            epoch_end: outcome.epoch_end.clone(),
            state_root: Digest::ZERO,
            ..place
        };
        Ok((header, outcome))
    }

    /// What the leader should never have proposed, in bytes; the store is still that before the block.
    fn junk_bytes(&self, execute: &Execute, outcome: &BlockOutcome) -> Result<u64, ExecutorError> {
        if outcome.dropped.is_empty() {
            return Ok(0);
        }
        let since = self.store.header(execute.stable)?.map_or(0, |header| header.ledger);
        let envelopes: Vec<_> = execute.payload.payload().envelopes().collect();
        let mut bytes = 0;
        for dropped in &outcome.dropped {
            if dropped.was_never_signed(&*self.store, since)? {
                let place = usize::try_from(dropped.batch_index).unwrap_or(usize::MAX);
                bytes += envelopes.get(place).map_or(0, |envelope| envelope.0.len() as u64);
            }
        }
        Ok(bytes)
    }

    /// Tells everybody who waits for this block: the pool, the replica, history.
    fn publish(
        &mut self,
        header: Header,
        outcome: BlockOutcome,
        junk_bytes: u64,
    ) -> Result<(), ExecutorError> {
        self.tip_transactions = u32::try_from(outcome.applied.len()).unwrap_or(u32::MAX);
        self.tip = header.clone();
        self.ahead.forget_through(header.slot);
        *self.shared_tip.write().unwrap_or_else(PoisonError::into_inner) = header.clone();
        self.count(&outcome);
        let applied: Vec<_> =
            outcome.applied.iter().map(|applied| Arc::clone(&applied.transaction)).collect();
        let dropped: Vec<_> =
            outcome.dropped.iter().map(|dropped| Arc::clone(&dropped.transaction)).collect();
        let settled = self.front_door.settle(&applied, &dropped)?;
        self.unsealed.insert(header.slot, applied.iter().map(|transaction| *transaction.hash()).collect());
        if self.unsealed.len() > UNSEALED_MAX {
            self.unsealed.pop_first();
        }
        let executed = Executed { slot: header.slot, header: header.clone(), settled, junk_bytes };
        self.mailbox.answer(Input::Executed(executed));
        self.trace.step(
            header.slot,
            "EXECUTED",
            format!("{} applied, state root {}", applied.len(), header.state_root.short()),
        );
        self.chronicle.block(header, outcome);
        Ok(())
    }

    fn sealed(&mut self, certificate: SealCertificate) -> Result<(), ExecutorError> {
        self.store.put_certificate(&certificate)?;
        self.proofs.sealed(&certificate);
        if let Some(transactions) = self.unsealed.remove(&certificate.body.slot) {
            self.front_door.waiting.sealed(&transactions);
        }
        self.chronicle.sealed(certificate.body.slot);
        if let Some(followers) = self.served.as_ref().and_then(|served| served.followers.as_ref())
            && followers.send(followers::Task::Sealed(certificate.body.slot)).is_err()
        {
            tracing::debug!("the thread of followers has stopped");
        }
        Ok(())
    }

    fn count(&self, outcome: &BlockOutcome) {
        let failed = outcome.applied.iter().filter(|applied| !is_success(&applied.result)).count() as u64;
        let succeeded = (outcome.applied.len() as u64).saturating_sub(failed);
        self.metrics.ledger_transactions_total.with_label_values(&["success"]).inc_by(succeeded);
        self.metrics.ledger_transactions_total.with_label_values(&["failed"]).inc_by(failed);
        self.metrics.ledger_dropped_total.inc_by(outcome.dropped.len() as u64);
    }
}

fn is_success(result: &stellar_xdr::TransactionResult) -> bool {
    use stellar_xdr::TransactionResultResult as Result;
    matches!(result.result, Result::TxSuccess(_) | Result::TxFeeBumpInnerSuccess(_))
}

#[cfg(test)]
mod tests;
