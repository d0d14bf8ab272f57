//! The chronicle: behind the loop, one thread that indexes blocks for readers and wakes those who wait for one.
//!
//! Indexing can be switched off; then it only wakes. While the index keeps up it takes the executor's word for what each
//! operation changed; a block that waited as a number is applied again (decision records 16 and 20). A waiting submission is woken when its
//! transaction is in the index *and* its block is sealed by f+1 validators, so that the answer comes with a receipt
//! (decision record 5).
//!
//! Settlement never waits for it: where it falls behind, blocks wait as numbers and are read back from the store. And
//! it never stops settlement: an index that fails or disagrees with the chain is reported and no longer served, while
//! the validator works on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use carat_history::{
    ExecutedBlock, Execution, History, HistoryError, Indexer, MemoryStore, Position, Toid, TransactionRecord,
    delta_digest,
};
use carat_ledger::{Applied, BlockOutcome, SignatureOracle};
use carat_storage::store::{Store, StoreError};
use carat_types::genesis::GenesisFile;
use carat_types::header::Header;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, LeafRule, Slot};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};

use crate::entrance::Event;
use crate::metrics::Metrics;
use crate::retention::{Kept, Retention};

/// Transactions whose blocks may wait whole, some kilobytes each; blocks behind them wait as numbers, and to index such a
/// block costs several times as much.
const WHOLE_TRANSACTIONS_MAX: usize = 16_384;
/// Old blocks that are dropped for each new block where not all are kept; transactions in the history: these, and two for
/// each new one.
const PRUNED_BLOCKS: usize = 4;
const PRUNED_TRANSACTIONS: usize = 64;
/// Blocks that wait for their seals with what records are made of.
const UNSEALED_MAX: usize = 16;

/// What happened.
#[derive(Debug)]
pub enum Chapter {
    /// A block was executed and written.
    Block {
        /// Its header.
        header: Box<Header>,
        /// What the ledger made of it.
        outcome: Box<BlockOutcome>,
    },
    /// The same, to be read back from the store.
    Stored {
        /// The block.
        slot: Slot,
        /// What it changed in the state.
        delta: Digest,
    },
    /// A block has f+1 seals, and they are kept.
    Sealed(Slot),
    /// A fetched state took the place of the state; the executor waits until this is dropped.
    Installed(SyncSender<()>),
}

/// Where the executor says what happened. Never blocks.
#[derive(Clone, Debug)]
pub struct Chapters {
    chapters: Sender<Chapter>,
    waiting: Arc<Backlog>,
}

/// What was told and is not indexed yet.
#[derive(Debug, Default)]
struct Backlog {
    blocks: AtomicUsize,
    /// Transactions of the blocks that wait whole.
    whole: AtomicUsize,
}

impl Chapters {
    /// A block was executed and written.
    pub fn block(&self, header: Header, outcome: BlockOutcome) {
        self.waiting.blocks.fetch_add(1, Ordering::Relaxed);
        self.tell(if self.waiting.whole.load(Ordering::Relaxed) < WHOLE_TRANSACTIONS_MAX {
            self.waiting.whole.fetch_add(outcome.applied.len(), Ordering::Relaxed);
            Chapter::Block { header: Box::new(header), outcome: Box::new(outcome) }
        } else {
            Chapter::Stored { slot: header.slot, delta: delta_digest(&outcome.delta) }
        });
    }

    /// A block has f+1 seals, and they are kept.
    pub fn sealed(&self, slot: Slot) {
        self.tell(Chapter::Sealed(slot));
    }

    /// A fetched state took the place of the state. Returns when the history has taken it over: execution must not change
    /// it before.
    pub fn installed(&self) {
        let (done, taken_over) = sync_channel(0);
        self.tell(Chapter::Installed(done));
        // Ends with an error either way: nothing is sent.
        let _ = taken_over.recv();
    }

    /// The chronicle may have stopped: then only history is missing, and the process says so elsewhere.
    fn tell(&self, chapter: Chapter) {
        if self.chapters.send(chapter).is_err() {
            tracing::debug!("the chronicle has stopped");
        }
    }
}

/// Why the chronicle stopped.
#[derive(Debug, Error)]
pub enum ChronicleError {
    /// The index failed.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored block cannot be read back.
    #[error("block {slot} cannot be read back for the history: {reason}")]
    Unreadable {
        /// The block.
        slot: Slot,
        /// Why.
        reason: String,
    },
}

/// Callers who wait for transactions.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Who waits until it is executed, sealed and indexed, so that what is read next shows it.
    callers: Mutex<BTreeMap<Digest, Vec<oneshot::Sender<Settled>>>>,
    /// Sessions of the native entrance, which want its receipt alone and do not wait for the index.
    sessions: Mutex<BTreeMap<Digest, Vec<UnboundedSender<Event>>>>,
}

/// What became of a transaction: its record, if it was applied and the record is at hand.
pub type Settled = Option<Arc<TransactionRecord>>;

impl Waiting {
    /// A signal for when the transaction is applied, indexed and sealed, or can no longer succeed. Giving the receiver up
    /// costs nothing.
    pub fn for_transaction(&self, hash: Digest) -> oneshot::Receiver<Settled> {
        let (caller, signal) = oneshot::channel();
        let mut callers = lock(&self.callers);
        let of_this = callers.entry(hash).or_default();
        of_this.retain(|caller| !caller.is_closed());
        of_this.push(caller);
        signal
    }

    /// The session hears when the transaction is sealed, or can no longer succeed.
    pub fn for_session(&self, hash: Digest, events: UnboundedSender<Event>) {
        let mut sessions = lock(&self.sessions);
        let of_this = sessions.entry(hash).or_default();
        of_this.retain(|session| !session.is_closed());
        of_this.push(events);
    }

    /// Forgets those who gave up.
    pub fn tidy(&self) {
        lock(&self.callers).retain(|_, callers| {
            callers.retain(|caller| !caller.is_closed());
            !callers.is_empty()
        });
        lock(&self.sessions).retain(|_, sessions| {
            sessions.retain(|session| !session.is_closed());
            !sessions.is_empty()
        });
    }

    /// These are executed, and their block is sealed.
    pub fn sealed(&self, transactions: &[Digest]) {
        self.tell_sessions(transactions, Event::Sealed);
    }

    /// These can no longer succeed, or another took their place.
    pub fn give_up(&self, transactions: &[Digest]) {
        self.tell_sessions(transactions, Event::GivenUp);
        self.wake(transactions.iter().map(|hash| (*hash, || None)));
    }

    fn tell_sessions(&self, transactions: &[Digest], event: impl Fn(Digest) -> Event) {
        let mut sessions = lock(&self.sessions);
        for hash in transactions {
            for session in sessions.remove(hash).unwrap_or_default() {
                // One that has ended meanwhile needs no word.
                let _ = session.send(event(*hash));
            }
        }
    }

    /// These are executed, sealed and indexed.
    fn wake<R: FnOnce() -> Settled>(&self, settled: impl IntoIterator<Item = (Digest, R)>) {
        let mut callers = lock(&self.callers);
        for (hash, record) in settled {
            let Some(of_this) = callers.remove(&hash) else { continue };
            let record = record();
            for caller in of_this {
                // A caller who gave up meanwhile needs no signal.
                let _ = caller.send(record.clone());
            }
        }
    }
}

/// The transactions of a block that is not sealed yet.
enum Unsealed {
    /// With their records, or without any: then whoever waits looks it up.
    Listed(Vec<(Digest, Settled)>),
    /// Where no history is kept. Few ask, so that records are made when somebody does.
    Applied { header: Box<Header>, applied: Vec<Applied> },
}

impl Unsealed {
    fn transactions(&self) -> usize {
        match self {
            Unsealed::Listed(list) => list.len(),
            Unsealed::Applied { applied, .. } => applied.len(),
        }
    }

    /// Without what takes memory.
    fn without_records(self) -> Self {
        Unsealed::Listed(match self {
            Unsealed::Listed(list) => list.into_iter().map(|(hash, _)| (hash, None)).collect(),
            Unsealed::Applied { applied, .. } => {
                applied.iter().map(|applied| (*applied.transaction.hash(), None)).collect()
            }
        })
    }

    /// The block is sealed.
    fn wake(self, waiting: &Waiting) {
        match self {
            Unsealed::Listed(list) => {
                waiting.wake(list.into_iter().map(|(hash, record)| (hash, move || record)));
            }
            Unsealed::Applied { header, applied } => {
                let record = |(index, applied): (u32, Applied)| {
                    let header = &header;
                    let Applied { transaction, result, .. } = applied;
                    (*transaction.hash(), move || {
                        let record = TransactionRecord::without_changes(header, index, transaction, result);
                        Some(Arc::new(record))
                    })
                };
                waiting.wake((0..).zip(applied).map(record));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The chronicle's things.
pub struct Chronicle {
    store: Arc<Store>,
    genesis: Arc<GenesisFile>,
    leaves: LeafRule,
    /// The one writer of the index; none where no history is kept, or no longer.
    indexer: Option<Indexer>,
    /// Knows the signatures of blocks that were just executed.
    signatures: Arc<dyn SignatureOracle + Send + Sync>,
    waiting: Arc<Waiting>,
    indexed: watch::Sender<Toid>,
    /// Whether the index was given up.
    halted: Arc<AtomicBool>,
    /// Which old blocks are dropped; none, and all are kept.
    retention: Option<Retention>,
    metrics: Arc<Metrics>,
}

/// What a chronicle is opened with.
pub struct Sources {
    /// Blocks, and the column of the index.
    pub store: Arc<Store>,
    /// The genesis file.
    pub genesis: Arc<GenesisFile>,
    /// How the leaves of the state are hashed.
    pub leaves: LeafRule,
    /// Who answers whether a signature is valid.
    pub signatures: Arc<dyn SignatureOracle + Send + Sync>,
    /// Who waits.
    pub waiting: Arc<Waiting>,
    /// Which blocks are kept; none, and all are.
    pub kept: Option<Kept>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Chronicle {
    /// Opens the index, if one is kept, where it last stood still, and indexes what came since.
    pub fn start(sources: Sources, keep: bool) -> Self {
        let (indexed, _) = watch::channel(Toid::default());
        let Sources { store, genesis, leaves, signatures, waiting, kept, metrics } = sources;
        let retention = kept.map(|kept| Retention::new(kept, Arc::clone(&metrics)));
        let (indexer, halted) = (None, Arc::default());
        let mut chronicle = Chronicle {
            store,
            genesis,
            leaves,
            indexer,
            signatures,
            waiting,
            indexed,
            halted,
            retention,
            metrics,
        };
        if keep && let Err(error) = chronicle.open() {
            chronicle.halt(&error);
        }
        chronicle
    }

    /// The greatest id that was executed and, where history is kept, indexed.
    pub fn indexed(&self) -> watch::Receiver<Toid> {
        self.indexed.subscribe()
    }

    /// Set once the index was given up.
    pub fn halted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.halted)
    }

    /// The index as readers see it; an empty one where none is kept.
    pub fn history(&self) -> History {
        let network_id = self.genesis.network_id();
        match &self.indexer {
            Some(_) => History::new(Arc::new(self.store.history()), network_id),
            None => History::new(Arc::new(MemoryStore::default()), network_id),
        }
    }

    /// Follows, on a thread of its own, until the last [`Chapters`] is gone.
    ///
    /// **Errors**: [`ChronicleError::Unreadable`] and the store's; those of the index only end the index.
    pub fn run(mut self, chapters: &Followed) -> Result<(), ChronicleError> {
        let mut unsealed: BTreeMap<Slot, Unsealed> = BTreeMap::new();
        while let Ok(chapter) = chapters.list.recv() {
            let (slot, block) = match chapter {
                Chapter::Block { header, outcome } => {
                    chapters.waiting.whole.fetch_sub(outcome.applied.len(), Ordering::Relaxed);
                    (header.slot, self.take(header, *outcome))
                }
                Chapter::Stored { slot, delta } => (slot, self.read_back(slot, delta)?),
                Chapter::Installed(_done) => {
                    unsealed.clear();
                    self.begin_again_or_pass()?;
                    continue;
                }
                Chapter::Sealed(slot) => {
                    if let Some(block) = unsealed.remove(&slot) {
                        block.wake(&self.waiting);
                    }
                    continue;
                }
            };
            let applied = block.transactions();
            // Records of blocks that nobody seals would pile up; whoever waits for these looks them up.
            let keep = unsealed.len() < UNSEALED_MAX;
            unsealed.insert(slot, if keep { block } else { block.without_records() });
            let behind = chapters.waiting.blocks.fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
            self.metrics.history_behind_blocks.set(i64::try_from(behind).unwrap_or(i64::MAX));
            self.prune(slot, applied)?;
        }
        Ok(())
    }

    /// A block as the executor left it.
    fn take(&mut self, header: Box<Header>, outcome: BlockOutcome) -> Unsealed {
        if let Some(records) = self.index_or_pass(&header, Execution::Recorded(&outcome)) {
            let listed = |record: TransactionRecord| (*record.transaction.hash(), Some(Arc::new(record)));
            return Unsealed::Listed(records.into_iter().map(listed).collect());
        }
        let block = Unsealed::Applied { header, applied: outcome.applied };
        // Indexed before a crash: whoever waits looks it up. Else the block is all that is known.
        if self.indexer.is_some() { block.without_records() } else { block }
    }

    /// A block that waited as a number.
    fn read_back(&mut self, slot: Slot, delta: Digest) -> Result<Unsealed, ChronicleError> {
        let (header, transactions) = stored_block(&self.store, &self.genesis.network_id(), slot)?;
        let signatures = Arc::clone(&self.signatures);
        let again =
            Execution::Again { transactions: &transactions, signatures: &*signatures, delta: Some(delta) };
        self.index_or_pass(&header, again);
        let listed = transactions.iter().map(|transaction| (*transaction.hash(), None));
        Ok(Unsealed::Listed(listed.collect()))
    }

    fn open(&mut self) -> Result<(), ChronicleError> {
        let indexer = Indexer::open(Arc::new(self.store.history()))?;
        let now = indexer.position().map(Position::now).unwrap_or_default();
        self.indexed.send_replace(now);
        let indexer = self.indexer.insert(indexer);
        indexer.check_state(&self.leaves)?;
        self.catch_up()
    }

    /// The index is no longer written nor served; the validator works on.
    fn halt(&mut self, error: &ChronicleError) {
        tracing::error!(
            %error,
            "history stopped and is no longer served (hint: stop the validator and run carat-node rebuild-history)"
        );
        self.indexer = None;
        self.halted.store(true, Ordering::Release);
        self.metrics.history_halted.set(1);
    }

    /// Indexes the blocks that the store has and the index has not: after a crash, or from the first block on.
    fn catch_up(&mut self) -> Result<(), ChronicleError> {
        let tip = self.store.tip().slot;
        let base = self.store.base()?.map(|base| base.slot);
        if base.is_some_and(|base| self.indexer.as_ref().is_some_and(|indexer| indexer.next_slot() <= base)) {
            self.begin_at_tip()?;
        }
        let mut unchecked = false;
        while let Some(slot) = self.indexer.as_ref().map(Indexer::next_slot).filter(|slot| *slot <= tip) {
            if slot == Slot(0) {
                self.begin()?;
            } else {
                let (header, transactions) = stored_block(&self.store, &self.genesis.network_id(), slot)?;
                let signatures = Arc::clone(&self.signatures);
                let again =
                    Execution::Again { transactions: &transactions, signatures: &*signatures, delta: None };
                self.index(&header, again)?;
            }
            unchecked = true;
        }
        match &self.indexer {
            Some(indexer) if unchecked => Ok(indexer.check_state(&self.leaves)?),
            _ => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), ChronicleError> {
        let Some(indexer) = &mut self.indexer else { return Ok(()) };
        let state = carat_ledger::state_entries(&self.genesis.genesis)
            .map_err(|error| unreadable(Slot(0), &error.to_string()))?;
        let now = indexer.begin(&self.genesis.header(), state.into_iter().collect())?.now();
        self.indexed.send_replace(now);
        Ok(())
    }

    /// The blocks between the index and a fetched state are not there: the index begins with that state.
    fn begin_again_or_pass(&mut self) -> Result<(), ChronicleError> {
        if self.indexer.is_some()
            && let Err(error) = self.begin_at_tip()
        {
            self.halt(&error);
        }
        if self.indexer.is_none() {
            let header = self.tip_header()?;
            self.pass(&header, usize::try_from(self.tip_transactions()?).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn begin_at_tip(&mut self) -> Result<(), ChronicleError> {
        let column = self.store.history();
        column.clear()?;
        let mut indexer = Indexer::open(Arc::new(column))?;
        let (header, applied) = (self.tip_header()?, self.tip_transactions()?);
        let state = self.store.state_entries();
        let state = state.map(|entry| entry.map_err(|error| HistoryError::Store(Box::new(error))));
        let now = indexer.begin_at(&header, applied, state)?.now();
        indexer.check_state(&self.leaves)?;
        tracing::info!(
            slot = header.slot.0,
            "the history begins here: the state after this block was fetched"
        );
        self.indexed.send_replace(now);
        self.indexer = Some(indexer);
        Ok(())
    }

    fn tip_header(&self) -> Result<Header, ChronicleError> {
        let tip = self.store.tip().slot;
        self.store.header(tip)?.ok_or_else(|| unreadable(tip, "its header is missing"))
    }

    /// How many transactions the newest block applied.
    fn tip_transactions(&self) -> Result<u32, ChronicleError> {
        Ok(self.store.applied_at_tip()?)
    }

    /// Indexes a block, or goes on without an index.
    fn index_or_pass(&mut self, header: &Header, execution: Execution<'_>) -> Option<Vec<TransactionRecord>> {
        let applied = execution.applied();
        let indexed = self.index(header, execution).unwrap_or_else(|error| {
            self.halt(&error);
            None
        });
        if self.indexer.is_none() {
            self.pass(header, applied);
        }
        indexed
    }

    /// Indexes a block.
    ///
    /// **Returns** its records; none where no index is kept, or this block is in it.
    fn index(
        &mut self,
        header: &Header,
        execution: Execution<'_>,
    ) -> Result<Option<Vec<TransactionRecord>>, ChronicleError> {
        let Some(indexer) = &mut self.indexer else { return Ok(None) };
        // After a crash the executor may come to a block that is indexed already.
        if header.slot < indexer.next_slot() {
            return Ok(None);
        }
        let rows = indexer.rows();
        let records = indexer.index(&ExecutedBlock { header, execution })?;
        self.metrics.history_rows_total.inc_by(indexer.rows().saturating_sub(rows));
        self.indexed.send_replace(indexer.position().map(Position::now).unwrap_or_default());
        Ok(Some(records))
    }

    /// Drops a few of the oldest blocks, and their history, where not all are kept: more than came with the block `newest`, so that
    /// it ends, and few enough that new ones are not kept waiting. Everything up to `newest` is indexed.
    fn prune(&mut self, newest: Slot, applied: usize) -> Result<(), ChronicleError> {
        let Some(retention) = &mut self.retention else { return Ok(()) };
        let (store, base) = (&self.store, self.store.base()?.map(|base| base.slot));
        let time = |slot| Ok::<_, StoreError>(store.header(slot)?.map(|header| header.time_ms));
        let oldest = match retention.droppable(base.unwrap_or_default(), newest, time)? {
            Some(droppable) => store.prune(&droppable, PRUNED_BLOCKS)?,
            None => base.map(Slot::next),
        };
        self.metrics
            .store_oldest_block
            .set(oldest.map_or(1, |slot| i64::try_from(slot.0).unwrap_or(i64::MAX)));
        let (Some(oldest), Some(indexer)) = (oldest, &mut self.indexer) else { return Ok(()) };
        let dropped = Slot(oldest.0.saturating_sub(1));
        let transactions = applied.saturating_mul(2).saturating_add(PRUNED_TRANSACTIONS);
        let pruned = indexer.prune(&self.genesis.network_id(), dropped, transactions);
        if let Err(error) = pruned {
            self.halt(&error.into());
        }
        Ok(())
    }

    /// Goes on without an index.
    fn pass(&self, header: &Header, applied: usize) {
        let applied = u32::try_from(applied).unwrap_or(u32::MAX);
        let last = header.first_transaction.saturating_add(applied);
        let last = Toid::new(header.ledger, last, Toid::OPERATIONS_MAX);
        self.indexed.send_replace(last.unwrap_or_else(|| Toid::ledger_end(header.ledger)));
    }
}

/// What a chronicle follows.
#[derive(Debug)]
pub struct Followed {
    list: Receiver<Chapter>,
    waiting: Arc<Backlog>,
}

/// Two ends: where chapters are told, and where they are followed.
pub fn chapters() -> (Chapters, Followed) {
    let (chapters, list) = channel();
    let waiting = Arc::<Backlog>::default();
    (Chapters { chapters, waiting: Arc::clone(&waiting) }, Followed { list, waiting })
}

/// What building the index again came to.
#[derive(Clone, Copy, Debug)]
pub struct Rebuilt {
    /// Blocks that were indexed.
    pub blocks: u64,
    /// Keys that were written.
    pub rows: u64,
    /// **Units**: seconds.
    pub seconds: f64,
}

/// Throws the index away and builds it again from the blocks.
///
/// **Errors**: see [`ChronicleError`].
pub fn rebuild(sources: Sources) -> Result<Rebuilt, ChronicleError> {
    sources.store.history().clear()?;
    let started = Instant::now();
    let mut chronicle = Chronicle::start(sources, false);
    chronicle.open()?;
    let (blocks, rows) =
        chronicle.indexer.as_ref().map_or((0, 0), |indexer| (indexer.next_slot().0, indexer.rows()));
    Ok(Rebuilt { blocks, rows, seconds: started.elapsed().as_secs_f64() })
}

/// A stored block's header, and the transactions that it applied.
fn stored_block(
    store: &Store,
    network_id: &Digest,
    slot: Slot,
) -> Result<(Header, Vec<Arc<SignedTransaction>>), ChronicleError> {
    let block = store.block(slot)?.ok_or_else(|| unreadable(slot, "it is missing"))?;
    let execution = store.execution(slot)?.ok_or_else(|| unreadable(slot, "its outcomes are missing"))?;
    let envelopes: Vec<_> = block.payload.envelopes().collect();
    let decode = |place: u32| {
        let envelope = usize::try_from(place).ok().and_then(|place| envelopes.get(place));
        let envelope = envelope.ok_or_else(|| unreadable(slot, "an outcome has no envelope"))?;
        let transaction = SignedTransaction::decode(network_id, &envelope.0);
        transaction.map(Arc::new).map_err(|error| unreadable(slot, &error.to_string()))
    };
    let transactions = execution.outcomes.iter().map(|outcome| decode(outcome.envelope));
    Ok((block.header, transactions.collect::<Result<_, _>>()?))
}

fn unreadable(slot: Slot, reason: &str) -> ChronicleError {
    ChronicleError::Unreadable { slot, reason: reason.to_owned() }
}
