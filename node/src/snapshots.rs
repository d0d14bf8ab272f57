//! States for validators that are far behind: kept at the same slots by all, sent to whoever asks.
//!
//! After a snapshot slot the database is held still for one thread, which costs next to nothing. Only when somebody asks
//! does that thread put the keys in the order of the state tree, and from then on it sends chunks, each with its proof.
//! Two such threads exist at most: the newest, and one that somebody is being served by. What a peer can ask for waits in
//! a short queue, and is dropped beyond: it asks again.
//! **Source**: consensus specification, section 11 (state transfer); decision record 28.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use carat_consensus::is_snapshot_slot;
use carat_ledger::SnapshotPlan;
use carat_network::{Lane, Network};
use carat_storage::store::{StateSnapshot, Store, StoreError};
use carat_types::epoch::EpochSet;
use carat_types::genesis::ConsensusConstants;
use carat_types::message::{ChunkRequest, Data, Fetch, Message, StableCheckpoint};
use carat_types::snapshot::{CHUNK_BYTES, SnapshotOffer, StateChunk};
use carat_types::{Epoch, LeafRule, Slot, ValidatorId};

use crate::scribe::encode;

/// A state that nobody has asked for so long is let go for a newer one.
const IDLE: Duration = Duration::from_secs(60);
/// One that is asked for all the time, when it is so many snapshots old: by then it helps nobody.
const OLDEST: usize = 32;
/// Requests that may wait for one thread.
const QUEUE: usize = 16;

/// The states that this validator can send.
pub struct Snapshots {
    store: Arc<Store>,
    network: Arc<Network>,
    params: ConsensusConstants,
    /// The epoch that frames name.
    epoch: Epoch,
    leaves: LeafRule,
    held: Mutex<Vec<Held>>,
    /// The newest checkpoint of a snapshot slot: it may be known to be stable before it is executed here.
    newest: Mutex<Option<StableCheckpoint>>,
    /// Those of states that were let go may still be at work.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A state that is held still.
struct Held {
    slot: Slot,
    requests: SyncSender<Request>,
    /// Its header with q seals, once they are together.
    stable: Option<StableCheckpoint>,
    asked: Option<Instant>,
    /// How many newer ones there have been.
    age: usize,
}

enum Request {
    /// Somebody was offered this state: get ready.
    Prepare,
    Chunk {
        to: ValidatorId,
        request: ChunkRequest,
    },
}

impl Snapshots {
    /// None are held yet.
    pub fn new(store: Arc<Store>, network: Arc<Network>, set: &EpochSet, leaves: LeafRule) -> Self {
        let (params, epoch) = (set.consensus, set.epoch);
        let (held, newest, threads) = (Mutex::default(), Mutex::default(), Mutex::default());
        Snapshots { store, network, params, epoch, leaves, held, newest, threads }
    }

    /// An epoch begins with this checkpoint, or a node starts that stands there: who comes without a state has no other one to fetch
    /// before the first snapshot slot.
    pub fn begins(&self, base: &StableCheckpoint) {
        let slot = base.header.slot;
        if self.store.tip().slot != slot {
            return;
        }
        self.hold(slot);
        if let Some(held) = self.lock().iter_mut().find(|held| held.slot == slot) {
            held.stable = Some(base.clone());
        }
    }

    /// The block of `slot` has just been written, and the next one is not: holds its state, if it is one to be held.
    pub fn executed(&self, slot: Slot) {
        if is_snapshot_slot(&self.params, slot) {
            self.hold(slot);
        }
    }

    fn hold(&self, slot: Slot) {
        let (requests, queue) = sync_channel(QUEUE);
        let (held, is_held) = sync_channel(0);
        let (network, epoch, leaves) = (Arc::clone(&self.network), self.epoch, self.leaves.clone());
        let server = Server { network, slot, epoch, leaves };
        let store = Arc::clone(&self.store);
        let thread = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let snapshot = store.snapshot();
            // The executor waits for this, and may go on whether it worked or not.
            let _ = held.send(());
            if let Err(error) = snapshot.and_then(|snapshot| server.run(&snapshot, &queue)) {
                tracing::error!(%error, slot = slot.0, "a state cannot be sent to validators that are behind");
            }
        });
        match thread {
            Ok(thread) => self.remember(thread),
            Err(error) => {
                return tracing::warn!(%error, "no thread for a state of validators that are behind");
            }
        }
        let _ = is_held.recv();
        let mut held = self.lock();
        let stable = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stable = stable.filter(|checkpoint| checkpoint.header.slot == slot);
        held.iter_mut().for_each(|older| older.age += 1);
        let now = Instant::now();
        held.retain(|older| {
            older.age < OLDEST && older.asked.is_some_and(|asked| now.duration_since(asked) < IDLE)
        });
        // Of several that are asked for the oldest is the one that somebody is in the middle of.
        held.truncate(1);
        held.push(Held { slot, requests, stable, asked: None, age: 0 });
    }

    fn remember(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|earlier| !earlier.is_finished());
        threads.push(thread);
    }

    /// A checkpoint has q seals.
    pub fn stable(&self, checkpoint: &StableCheckpoint) {
        let slot = checkpoint.header.slot;
        if !is_snapshot_slot(&self.params, slot) {
            return;
        }
        let mut held = self.lock();
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(checkpoint.clone());
        if let Some(held) = held.iter_mut().find(|held| held.slot == slot) {
            held.stable = Some(checkpoint.clone());
        }
    }

    /// Answers a peer that asks for a state or for a part of one.
    ///
    /// **Errors**: the store's.
    pub fn serve(&self, to: ValidatorId, fetch: &Fetch) -> Result<(), StoreError> {
        match fetch {
            Fetch::Snapshot(above) => {
                if let Some(offer) = self.offer(*above)? {
                    self.network.send(
                        to.0,
                        Lane::Bulk,
                        encode(self.epoch, &Message::Data(Data::Snapshot(Arc::new(offer)))),
                    );
                }
            }
            Fetch::Chunk(request) => {
                self.ask(request.slot, Request::Chunk { to, request: *request });
            }
            Fetch::Payload(_) | Fetch::Blocks(_) | Fetch::HighestVotes(_) => {}
        }
        Ok(())
    }

    /// The state that is being served, if it is of use; else the newest.
    fn offer(&self, above: Slot) -> Result<Option<SnapshotOffer>, StoreError> {
        let stable: Vec<StableCheckpoint> =
            self.lock().iter().filter_map(|held| held.stable.clone()).collect();
        for base in stable.into_iter().filter(|base| base.header.slot > above) {
            let slot = base.header.slot;
            let next = self.store.header(slot.next())?.zip(self.store.certificate(slot.next())?);
            let Some((next, next_seals)) = next else { continue };
            self.ask(slot, Request::Prepare);
            return Ok(Some(SnapshotOffer { base, next, next_seals }));
        }
        Ok(None)
    }

    fn ask(&self, slot: Slot, request: Request) {
        let mut held = self.lock();
        let Some(held) = held.iter_mut().find(|held| held.slot == slot) else { return };
        held.asked = Some(Instant::now());
        match held.requests.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => tracing::debug!(slot = slot.0, "a request for a state was dropped"),
            // It has said why.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Snapshots {
    /// The threads hold the store: whoever opens it next must find it closed.
    fn drop(&mut self) {
        self.lock().clear();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::warn!("a thread that sent a state did not end well");
            }
        }
    }
}

/// What serves one state.
struct Server {
    network: Arc<Network>,
    slot: Slot,
    epoch: Epoch,
    leaves: LeafRule,
}

impl Server {
    /// Works until the state is let go.
    fn run(self, snapshot: &StateSnapshot<'_>, requests: &Receiver<Request>) -> Result<(), StoreError> {
        let mut plan = None;
        while let Ok(request) = requests.recv() {
            let plan = match &plan {
                Some(plan) => plan,
                None => plan.insert(SnapshotPlan::build(&self.leaves, snapshot.entries(), CHUNK_BYTES)?),
            };
            if let Request::Chunk { to, request } = request
                && let Some(chunk) = self.chunk(snapshot, plan, &request)?
            {
                let frame = encode(self.epoch, &Message::Data(Data::Chunk(Arc::new(chunk))));
                self.network.send(to.0, Lane::Bulk, frame);
            }
        }
        Ok(())
    }

    fn chunk(
        &self,
        snapshot: &StateSnapshot<'_>,
        plan: &SnapshotPlan,
        request: &ChunkRequest,
    ) -> Result<Option<StateChunk>, StoreError> {
        plan.chunk(self.slot, &request.from, |keys| {
            let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
            snapshot.values(&keys)
        })
    }
}
