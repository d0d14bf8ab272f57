//! A validator as a whole: puts the parts together, starts their threads, and stops them in order.
//!
//! ```text
//! peers -> network -> inbound (2 threads) -> mailbox -> core loop -> scribe -> network -> peers
//! clients -> REST, entrance -> porter -> front door --^  ^            \-> executor -> chronicle -> clients
//!                                             \------------------------------/
//! ```
//!
//! Stopping goes the same way: the mailbox closes, and each thread ends when its source does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use carat_api::{ConnectionLimits, Listener};
use carat_consensus::effect::Halt;
use carat_consensus::{ChainTip, KeptTransfer, LOOK_BACK_WINDOWS, RecentBlock, Record, Replica};
use carat_network::{BindConfig, Entrance, Event, Https, Inbox, Incoming, Lane, Limits, Network};
use carat_storage::journal::Journal;
use carat_storage::store::Store;
use carat_types::epoch::Epochs;
use carat_types::message::{Message, StableCheckpoint};
use carat_types::validators::Ed25519;
use carat_types::{Epoch, Slot};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::chronicle::{Chronicle, Sources, Waiting};
use crate::clock::Clock;
use crate::control::Control;
use crate::core_loop::{CoreLoop, Standing, Stop};
use crate::entrance::Door;
use crate::error::NodeError;
use crate::evidence::EvidenceRoom;
use crate::executor::Executor;
use crate::front_door::FrontDoor;
use crate::handovers;
use crate::health::Health;
use crate::home::Home;
use crate::https::SecureDoor;
use crate::inbound::Inbound;
use crate::keys::VoteKeys;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::payloads::Payloads;
use crate::pool::Pool;
use crate::porter::{Bell, Porter};
use crate::proofs::Proofs;
use crate::pulse::Pulse;
use crate::receipts::Receipts;
use crate::rest::{Rest, SharedRest};
use crate::scribe::{Scribe, encode};
use crate::signatures::SignatureCache;
use crate::signer::courier::{Ask, Courier};
use crate::snapshots::Snapshots;
use crate::trace::Trace;

/// Threads that decode and check what peers send.
const INBOUND_THREADS: usize = 2;
/// How often the pool looks at what waits for long.
const SWEEP_EVERY: Duration = Duration::from_millis(200);

/// How long the sockets of an epoch that is over may still be held.
const SOCKETS_PATIENCE: Duration = Duration::from_secs(60);

/// A running validator.
pub struct Node {
    mailbox: Arc<Mailbox>,
    store: Arc<Store>,
    epochs: Arc<Epochs>,
    data: PathBuf,
    /// The addresses of QUIC.
    sockets: Vec<SocketAddr>,
    network: Arc<Network>,
    stopping: watch::Sender<bool>,
    failures: mpsc::UnboundedReceiver<NodeError>,
    threads: Vec<JoinHandle<()>>,
    api: tokio::task::JoinHandle<()>,
    /// Everything that may be cut off at any moment: the operator's listener, gossip, the feeding of the
    /// checking threads, which end when it does.
    tasks: JoinSet<()>,
}

/// Where others than validators come in, bound before anything is started.
struct Listeners {
    api: TcpListener,
    https: Option<(TcpListener, Https)>,
    metrics: TcpListener,
    entrance: Option<Entrance>,
}

impl Node {
    /// Starts a validator. Must be called inside a tokio runtime.
    ///
    /// **Errors**: damaged or foreign data, a taken port; nothing was signed or sent then.
    pub async fn start(home: Home) -> Result<Self, NodeError> {
        let clock = Clock::start();
        let api = admin::bind(home.settings.api.listen, "api.listen").await?;
        let https = match home.https()? {
            Some((listen, https)) => Some((admin::bind(listen, "api.tls.listen").await?, https)),
            None => None,
        };
        let metrics = admin::bind(home.settings.metrics.listen, "metrics.listen").await?;
        let bound = Network::bind(BindConfig {
            me: home.identity.validator.0,
            identity: home.keys.network.clone(),
            chain_id: home.genesis.chain_id,
            listen: home.settings.network.listen,
            limits: Limits::default(),
        })?;
        let entrance = home.entrance().as_ref().map(Entrance::bind).transpose()?;
        let (journal, records, store) = home.open()?;
        let parts = Parts::new(&home, clock, store)?;
        let (network, inbox) = bound.start(&home.peers())?;
        let listeners = Listeners { api, https, metrics, entrance };
        parts.run(&home, journal, records, (Arc::new(network), inbox), listeners)
    }

    /// Waits until a part fails; never returns while all is well.
    pub async fn failed(&mut self) -> NodeError {
        self.failures.recv().await.unwrap_or(NodeError::Stopped)
    }

    /// Goes over to the next epoch, after [`NodeError::EpochEnded`]: stops, and writes who validates next beside the store. The
    /// next start of this home is in that epoch.
    ///
    /// Written last of all: a start that finds it begins the journal anew, so the blocks of the epoch must be durable.
    ///
    /// **Errors**: those of stopping; the handovers cannot be written.
    pub async fn hand_over(self, last: &StableCheckpoint) -> Result<(), NodeError> {
        let (store, epochs, data) = (Arc::clone(&self.store), Arc::clone(&self.epochs), self.data.clone());
        let sockets = self.sockets.clone();
        self.stop().await?;
        let epochs = handovers::follow(&epochs, &store, last)?;
        handovers::write(&data, &epochs)?;
        // QUIC lets its sockets go on a task of its own. Where that takes longer, the next start says which is taken.
        let _ = tokio::time::timeout(SOCKETS_PATIENCE, released(sockets)).await;
        Ok(())
    }

    /// Stops: lets requests finish, closes the mailbox, and waits for every thread.
    ///
    /// **Errors**: the last sync of the store.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.stopping.send_replace(true);
        if self.api.await.is_err() {
            tracing::warn!("the REST interface did not end well");
        }
        self.mailbox.close();
        self.tasks.shutdown().await;
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().map(JoinHandle::join).all(|it| it.is_ok())
        });
        if !joined.await.unwrap_or(false) {
            tracing::warn!("a thread did not end well");
        }
        self.store.sync()?;
        if let Ok(network) = Arc::try_unwrap(self.network) {
            network.shutdown().await;
        }
        Ok(())
    }
}

/// What the threads share.
struct Parts {
    clock: Clock,
    metrics: Arc<Metrics>,
    trace: Arc<Trace>,
    mailbox: Arc<Mailbox>,
    store: Arc<Store>,
    signatures: Arc<SignatureCache>,
    waiting: Arc<Waiting>,
    standing: Arc<RwLock<Standing>>,
    /// Whether somebody signs.
    signs: Arc<AtomicBool>,
    tip: Arc<RwLock<carat_types::header::Header>>,
    proofs: Arc<Proofs>,
}

impl Parts {
    fn new(home: &Home, clock: Clock, store: Store) -> Result<Self, NodeError> {
        let metrics = Arc::new(Metrics::new()?);
        let me = home.identity.validator;
        let tip = store.header(store.tip().slot)?.ok_or(NodeError::NoTip)?;
        Ok(Parts {
            clock,
            trace: Arc::new(Trace::new(me, clock)),
            mailbox: Arc::new(Mailbox::new(home.validators().ids().count())),
            store: Arc::new(store),
            signatures: Arc::new(SignatureCache::new(Arc::clone(&metrics))),
            waiting: Arc::default(),
            standing: Arc::default(),
            signs: Arc::new(AtomicBool::new(true)),
            tip: Arc::new(RwLock::new(tip)),
            proofs: Arc::default(),
            metrics,
        })
    }

    fn run(
        self,
        home: &Home,
        journal: Journal,
        records: Vec<Record>,
        (network, inbox): (Arc<Network>, Inbox),
        listeners: Listeners,
    ) -> Result<Node, NodeError> {
        let (failed, failures) = mpsc::unbounded_channel();
        let mut threads = Threads { failed, handles: Vec::new() };
        let (gossip, envelopes) = mpsc::unbounded_channel();
        let front_door = Arc::new(self.front_door(home, gossip));
        let health = Arc::new(self.health(home, Arc::clone(&network)));
        let chronicle = self.chronicle(home);
        let (history, indexed, halted) = (chronicle.history(), chronicle.indexed(), chronicle.halted());

        let (effects, effect_lists) = channel();
        let (tasks, task_list) = channel();
        let (chapters, chapter_list) = crate::chronicle::chapters();
        let (core, first) = self.core_loop(home, records, effects)?;
        let snapshots = Snapshots::new(
            Arc::clone(&self.store),
            Arc::clone(&network),
            home.epochs.set(),
            home.leaves.clone(),
        );
        let snapshots = Arc::new(snapshots);
        let executor = self.executor(home, Arc::clone(&front_door), chapters, Arc::clone(&snapshots))?;
        let signer = self.courier(home, &mut threads)?;
        let scribe = self.scribe(
            home,
            journal,
            Arc::clone(&front_door),
            (tasks, signer),
            Arc::clone(&network),
            snapshots,
        );

        threads.spawn("chronicle", move || Ok(chronicle.run(&chapter_list)?))?;
        threads.spawn("executor", move || Ok(executor.run(&task_list)?))?;
        threads.spawn("scribe", move || Ok(scribe.run(&effect_lists)?))?;
        let (porter, bell) = Porter::new(
            home.genesis.network_id(),
            Arc::clone(&front_door),
            Arc::clone(&self.signatures),
            Arc::clone(&self.metrics),
        );
        threads.spawn("porter", move || {
            porter.run();
            Ok(())
        })?;
        let frames = self.inbound(home, &bell, &mut threads)?;
        threads.spawn("core", move || match core.run(first) {
            Some(Stop::Halt(halt)) => Err(NodeError::Halted(describe(&halt))),
            Some(Stop::EpochEnds(last)) => Err(NodeError::EpochEnded(last)),
            None => Ok(()),
        })?;

        let (stopping, stop) = watch::channel(false);
        let evidence =
            Arc::new(EvidenceRoom { store: Arc::clone(&self.store), epochs: Arc::clone(&home.epochs) });
        let (observed, network_state) = watch::channel(Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(self.pulse(home, &health, &evidence).run(observed));
        tasks.spawn(route(
            inbox,
            frames,
            Arc::clone(&health),
            Arc::clone(&network),
            Arc::clone(&self.standing),
            home.epoch(),
        ));
        tasks.spawn(crate::gossip::run(home.epoch(), envelopes, Arc::clone(&network)));
        tasks.spawn(sweep(Arc::clone(&front_door), Arc::clone(&self.waiting)));
        let receipts = Receipts::new(Arc::clone(&self.store), &home.genesis, Arc::clone(&home.epochs))?;
        let rest = Rest {
            network: home.public_facts(),
            genesis: Arc::clone(&home.genesis),
            store: Arc::clone(&self.store),
            receipts,
            proofs: Arc::clone(&self.proofs),
            history,
            keeps_history: home.settings.history.enabled,
            history_halted: halted,
            indexed,
            front_door,
            bell,
            waiting: Arc::clone(&self.waiting),
            tip: Arc::clone(&self.tip),
            network_state,
            health: Arc::clone(&health),
        };
        let rest = Arc::new(rest);
        self.control(home, &mut tasks);
        if let Some(entrance) = listeners.entrance {
            tasks.spawn(self.door(home, &rest)?.serve(entrance));
        }
        let rest = Arc::new(SharedRest(rest));
        let reads = carat_api::Context::new(rest.clone(), home.api_settings(), stop.clone());
        let admin = Admin {
            metrics: Arc::clone(&self.metrics),
            health,
            trace: Arc::clone(&self.trace),
            evidence,
            reads: carat_api::router(&reads, Listener::Operator),
        };
        tasks.spawn(admin.serve(listeners.metrics));
        let secure = listeners.https.map(|(listener, https)| {
            let door = Arc::new(SecureDoor::new(https, Arc::clone(&self.metrics)));
            if let Some(files) = home.certificate_files() {
                tasks.spawn(Arc::clone(&door).follow(files));
            }
            (listener, door as Arc<dyn carat_api::Secure>)
        });
        let api = tokio::spawn(carat_api::serve(
            carat_api::Doors { plain: listeners.api, secure },
            rest,
            home.api_settings(),
            ConnectionLimits::default(),
            stop,
        ));
        Ok(Node {
            mailbox: self.mailbox,
            store: self.store,
            epochs: Arc::clone(&home.epochs),
            data: home.settings.validator.data.clone(),
            sockets: home.sockets(),
            network,
            stopping,
            failures,
            threads: threads.handles,
            api,
            tasks,
        })
    }

    /// The operator's socket. A validator works without it: no backup can be made while it runs.
    fn control(&self, home: &Home, tasks: &mut JoinSet<()>) {
        match Control::bind(&home.settings.validator.data, Arc::clone(&self.store)) {
            Ok(control) => {
                tasks.spawn(control.serve());
            }
            Err(error) => tracing::warn!(
                %error,
                "there is no operator's socket, so no backup while this runs (hint: the path of validator.data must be shorter \
                 than about 90 characters, and the folder writable)"
            ),
        }
    }

    fn door(&self, home: &Home, rest: &Arc<Rest>) -> Result<Door, NodeError> {
        let data = &home.settings.validator.data;
        let payloads =
            Payloads::open(data).map_err(|error| NodeError::file(data, "open the payloads of", error))?;
        let patience = Duration::from_millis(home.settings.api.submit_timeout_ms);
        let per_key = home.settings.entrance.under_way_per_key;
        Ok(Door::new(Arc::clone(rest), Arc::new(payloads), patience, per_key, Arc::clone(&self.metrics)))
    }

    fn front_door(
        &self,
        home: &Home,
        gossip: mpsc::UnboundedSender<carat_types::batch::Envelope>,
    ) -> FrontDoor {
        let capacity = usize::try_from(home.constants().pool).unwrap_or(usize::MAX);
        FrontDoor {
            store: Arc::clone(&self.store),
            signatures: Arc::clone(&self.signatures),
            tip: Arc::clone(&self.tip),
            mailbox: Arc::clone(&self.mailbox),
            gossip,
            pool: Mutex::new(Pool::new(capacity, home.validators().ids().count())),
            waiting: Arc::clone(&self.waiting),
            me: home.identity.validator,
            clock: self.clock,
            metrics: Arc::clone(&self.metrics),
        }
    }

    fn health(&self, home: &Home, network: Arc<Network>) -> Health {
        let constants = home.constants();
        let patience_ms = constants.heartbeat_ms.saturating_add(constants.timeout_ms.saturating_mul(2));
        Health {
            index: home.identity.validator.0,
            name: home.name.clone(),
            quorum: home.quorum(),
            trust: home.genesis.genesis.trust,
            patience_us: patience_ms.saturating_mul(1_000),
            checkpoint_interval: constants.checkpoint_interval,
            standing: Arc::clone(&self.standing),
            tip: Arc::clone(&self.tip),
            store: Arc::clone(&self.store),
            connected: Mutex::default(),
            peers: home
                .validators()
                .ids()
                .filter(|id| *id != home.identity.validator)
                .map(|id| id.0)
                .collect(),
            network,
            signs: Arc::clone(&self.signs),
            clock: self.clock,
        }
    }

    fn pulse(&self, home: &Home, health: &Arc<Health>, evidence: &Arc<EvidenceRoom>) -> Pulse {
        Pulse {
            health: Arc::clone(health),
            metrics: Arc::clone(&self.metrics),
            trace: Arc::clone(&self.trace),
            evidence: Arc::clone(evidence),
            store: Arc::clone(&self.store),
            names: home.epochs.set().validators.iter().map(|validator| validator.name.clone()).collect(),
            clock: self.clock,
        }
    }

    fn chronicle(&self, home: &Home) -> Chronicle {
        let sources = Sources {
            store: Arc::clone(&self.store),
            genesis: Arc::clone(&home.genesis),
            leaves: home.leaves.clone(),
            signatures: Arc::clone(&self.signatures) as Arc<_>,
            waiting: Arc::clone(&self.waiting),
            keep_blocks: home.settings.store.keep_blocks,
            metrics: Arc::clone(&self.metrics),
        };
        Chronicle::start(sources, home.settings.history.enabled)
    }

    fn core_loop(
        &self,
        home: &Home,
        records: Vec<Record>,
        effects: Sender<Vec<carat_consensus::Effect>>,
    ) -> Result<(CoreLoop, Vec<carat_consensus::Effect>), NodeError> {
        let params = *home.constants();
        let config = carat_consensus::Config {
            me: home.identity.validator,
            validators: home.validators().clone(),
            params,
            trust: home.genesis.genesis.trust,
            signer: home.keys.signer(),
            authenticator: Arc::new(Ed25519),
            genesis_header: home.genesis.header(),
            base: home.epochs.base().map(Arc::new),
            fetches_states: home.settings.catch_up.snapshots.into(),
            leaves: home.leaves.clone(),
        };
        let tip = self.chain_tip(params.window)?;
        let (replica, first) = Replica::start(config, self.clock.now(), records, tip)?;
        tracing::info!(state = replica.describe(), "replica recovered");
        let core = CoreLoop {
            replica,
            mailbox: Arc::clone(&self.mailbox),
            effects,
            clock: self.clock,
            metrics: Arc::clone(&self.metrics),
            trace: Arc::clone(&self.trace),
            standing: Arc::clone(&self.standing),
            peers: BTreeMap::new(),
            left: None,
            quorum: home.quorum(),
        };
        Ok((core, first))
    }

    /// The end of the stored chain, as the replica wants it: two windows of blocks, and older ones that are not sealed.
    fn chain_tip(&self, window: u64) -> Result<ChainTip, NodeError> {
        let header = self.tip.read().unwrap_or_else(PoisonError::into_inner).clone();
        let back = |windows: u64| {
            header.slot.0.saturating_sub(window.saturating_mul(windows)).saturating_add(1).max(1)
        };
        let first = back(2);
        let mut recent = Vec::new();
        // Below a state that was fetched there are no blocks.
        let base = self.store.base()?.map_or(0, |base| base.slot.0);
        for slot in (back(LOOK_BACK_WINDOWS).max(base)..=header.slot.0).map(Slot) {
            let sealed = self.store.certificate(slot)?.is_some();
            if slot.0 >= first || !sealed {
                let header = self.store.header(slot)?.ok_or(NodeError::NoTip)?;
                recent.push(RecentBlock { header, sealed });
            }
        }
        let transfer = self.store.transfer()?;
        let transfer = transfer.map(|it| KeptTransfer { offer: Arc::new(it.offer), progress: it.progress });
        Ok(ChainTip { header, recent, transfer })
    }

    fn executor(
        &self,
        home: &Home,
        front_door: Arc<FrontDoor>,
        chronicle: crate::chronicle::Chapters,
        snapshots: Arc<Snapshots>,
    ) -> Result<Executor, NodeError> {
        let tip = self.tip.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Executor {
            tree: self.store.state_tree(&home.leaves)?,
            store: Arc::clone(&self.store),
            tip,
            tip_transactions: self.store.applied_at_tip()?,
            network_id: home.genesis.network_id(),
            signatures: Arc::clone(&self.signatures),
            front_door,
            mailbox: Arc::clone(&self.mailbox),
            record_changes: home.settings.history.enabled,
            chronicle,
            shared_tip: Arc::clone(&self.tip),
            snapshots,
            metrics: Arc::clone(&self.metrics),
            trace: Arc::clone(&self.trace),
            proofs: Arc::clone(&self.proofs),
            unsealed: BTreeMap::new(),
        })
    }

    /// The thread between the scribe and the signer; none where the keys are in this process.
    fn courier(&self, home: &Home, threads: &mut Threads) -> Result<Option<Sender<Ask>>, NodeError> {
        self.metrics.signer_present.set(1);
        let VoteKeys::Elsewhere(signatory) = &home.keys.votes else { return Ok(None) };
        let courier = Courier {
            signatory: signatory.clone(),
            domain: *home.validators().domain(),
            mailbox: Arc::clone(&self.mailbox),
            present: Arc::clone(&self.signs),
            metrics: Arc::clone(&self.metrics),
        };
        let (asks, ask_list) = channel();
        threads.spawn("signer", move || courier.run(&ask_list))?;
        Ok(Some(asks))
    }

    fn scribe(
        &self,
        home: &Home,
        journal: Journal,
        front_door: Arc<FrontDoor>,
        (executor, signer): (Sender<crate::executor::Task>, Option<Sender<Ask>>),
        network: Arc<Network>,
        snapshots: Arc<Snapshots>,
    ) -> Scribe {
        Scribe {
            journal,
            front_door,
            store: Arc::clone(&self.store),
            executor,
            signer,
            network,
            snapshots,
            trace: Arc::clone(&self.trace),
            metrics: Arc::clone(&self.metrics),
            others: home.validators().ids().filter(|id| *id != home.identity.validator).collect(),
            epoch: home.epoch(),
        }
    }

    /// Starts the checking threads. **Returns** their queues.
    fn inbound(
        &self,
        home: &Home,
        bell: &Bell,
        threads: &mut Threads,
    ) -> Result<Vec<Sender<Incoming>>, NodeError> {
        let mut queues = Vec::new();
        for _ in 0..INBOUND_THREADS {
            let (frames, queue): (Sender<Incoming>, Receiver<Incoming>) = channel();
            let inbound = Inbound {
                validators: home.validators().clone(),
                network_id: home.genesis.network_id(),
                limits: home.constants().block,
                mailbox: Arc::clone(&self.mailbox),
                bell: bell.clone(),
                trace: Arc::clone(&self.trace),
                metrics: Arc::clone(&self.metrics),
            };
            threads.spawn("inbound", move || {
                inbound.run(&queue);
                Ok(())
            })?;
            queues.push(frames);
        }
        Ok(queues)
    }
}

/// The threads of a node; what ends one with an error stops the process.
struct Threads {
    failed: mpsc::UnboundedSender<NodeError>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    fn spawn(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(), NodeError> + Send + 'static,
    ) -> Result<(), NodeError> {
        let failed = self.failed.clone();
        let guarded = move || {
            // A panic is a defect of ours: the process must not go on without one of its parts.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let failure = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => NodeError::Panicked(name),
            };
            // Nobody listens any more when the node is being stopped.
            let _ = failed.send(failure);
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(guarded)?;
        self.handles.push(thread);
        Ok(())
    }
}

/// Waits until nobody holds these UDP addresses.
async fn released(sockets: Vec<SocketAddr>) {
    for address in sockets {
        while std::net::UdpSocket::bind(address).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Brings frames to the thread of their peer, and tells who is reachable.
async fn route(
    mut inbox: Inbox,
    queues: Vec<Sender<Incoming>>,
    health: Arc<Health>,
    network: Arc<Network>,
    standing: Arc<RwLock<Standing>>,
    epoch: Epoch,
) {
    while let Some(event) = inbox.recv().await {
        match event {
            Event::Up { peer } => {
                tracing::info!(peer, "peer reachable");
                health.peer(peer, true);
                // Whatever was sent before may be lost: it learns at once where this validator stands.
                let status = standing.read().unwrap_or_else(PoisonError::into_inner).status;
                network.send(peer, Lane::Urgent, encode(epoch, &Message::Status(status)));
            }
            Event::Down { peer } => {
                tracing::info!(peer, "peer unreachable");
                health.peer(peer, false);
            }
            Event::Frame(frame) => {
                let queue = queues.get(usize::from(frame.peer) % queues.len().max(1));
                if queue.is_none_or(|queue| queue.send(frame).is_err()) {
                    return;
                }
            }
        }
    }
}

async fn sweep(front_door: Arc<FrontDoor>, waiting: Arc<Waiting>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        waiting.tidy();
        if let Err(error) = front_door.sweep() {
            tracing::error!(%error, "the pool could not be looked through");
        }
    }
}

fn describe(halt: &Halt) -> String {
    match halt {
        Halt::Diverged { slot, own, sealed } => format!(
            "this validator executed slot {slot} to header {own}, the others to {sealed} (hint: keep its data folder for \
             analysis and rebuild it from its peers)"
        ),
        Halt::ForgottenVote { what } => format!(
            "a peer holds a signature of this validator that its journal does not know: {what} (hint: the journal was \
             rolled back or replaced; this key must never sign again, ask for a new one)"
        ),
        Halt::FastContradicted { slot, ours, theirs } => {
            let theirs = theirs.map_or_else(|| "nothing".to_owned(), |theirs| theirs.to_string());
            format!(
                "slot {slot} was final by FAST with value {ours}, and a new view chose {theirs}: an acceptor lied or lost its \
                 journal, which trust = \"crash\" rules out (hint: stop all payments, compare the receipts, and see the \
                 evidence that is kept: carat evidence)"
            )
        }
        Halt::Forked { slot, ours, theirs } => format!(
            "two proofs of finality for slot {slot} disagree: {ours} and {theirs} (hint: more than f validators are \
             dishonest; stop all payments and compare the receipts)"
        ),
    }
}
