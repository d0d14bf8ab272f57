//! The parts that every node has, whether it votes or follows: the store with its execution, the pool, the index, and the doors
//! of clients and operators.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use carat_api::resources::network::NetworkState;
use carat_api::{ConnectionLimits, Listener};
use carat_consensus::KeptTransfer;
use carat_consensus::effect::Halt;
use carat_history::{History, Toid};
use carat_network::{Entrance, Https, Incoming, Network};
use carat_storage::store::Store;
use carat_types::ValidatorId;
use carat_types::batch::Envelope;
use carat_types::header::Header;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::ahead::Ahead;
use crate::chronicle::{Chapters, Chronicle, Sources, Waiting, chapters};
use crate::clock::Clock;
use crate::control::Control;
use crate::core_loop::{Standing, Stop};
use crate::entrance::Door;
use crate::error::NodeError;
use crate::evidence::EvidenceRoom;
use crate::executor::{Executor, Task};
use crate::followers;
use crate::front_door::FrontDoor;
use crate::health::Health;
use crate::home::Home;
use crate::https::SecureDoor;
use crate::inbound::{Inbound, Takes};
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::payloads::Payloads;
use crate::pool::Pool;
use crate::porter::{Bell, Porter};
use crate::proofs::Proofs;
use crate::receipts::Receipts;
use crate::replies::Replies;
use crate::rest::{Rest, SharedRest};
use crate::role::Role;
use crate::signatures::SignatureCache;
use crate::snapshots::Snapshots;
use crate::threads::Threads;
use crate::trace::Trace;
use crate::upgrade_notice::UpgradeNotice;

/// Threads that decode and check what peers send.
const INBOUND_THREADS: usize = 2;
/// How often the pool looks at what waits for long.
const SWEEP_EVERY: Duration = Duration::from_millis(200);

/// Where others than peers come in, bound before anything is started.
pub(crate) struct Listeners {
    /// None at an acceptor of an edge network: no client reaches it.
    api: Option<TcpListener>,
    https: Option<(TcpListener, Https)>,
    metrics: TcpListener,
    entrance: Option<Entrance>,
}

impl Listeners {
    /// **Errors**: a taken port.
    pub(crate) async fn bind(home: &Home) -> Result<Self, NodeError> {
        let api = match home.role.serves_clients() {
            true => Some(admin::bind(home.settings.api.listen, "api.listen").await?),
            false => None,
        };
        let https = match home.https()? {
            Some((listen, https)) => Some((admin::bind(listen, "api.tls.listen").await?, https)),
            None => None,
        };
        let metrics = admin::bind(home.settings.metrics.listen, "metrics.listen").await?;
        let entrance = home.entrance().as_ref().map(Entrance::bind).transpose()?;
        Ok(Listeners { api, https, metrics, entrance })
    }
}

/// What the threads share.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) store: Arc<Store>,
    pub(crate) signatures: Arc<SignatureCache>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) standing: Arc<RwLock<Standing>>,
    /// Whether somebody signs.
    pub(crate) signs: Arc<AtomicBool>,
    pub(crate) tip: Arc<RwLock<Header>>,
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) replies: Arc<Replies>,
}

/// Who learns of the executor's blocks, apart from the node itself.
pub(crate) struct Served {
    /// States for validators that are far behind.
    pub(crate) snapshots: Arc<Snapshots>,
    /// The followers of this validator, if its settings name any.
    pub(crate) followers: Option<Sender<followers::Task>>,
}

/// What makes blocks of final slots, and takes transactions in.
pub(crate) struct LedgerParts {
    pub(crate) front_door: Arc<FrontDoor>,
    pub(crate) bell: Bell,
    pub(crate) executor: Sender<Task>,
    history: History,
    indexed: watch::Receiver<Toid>,
    history_halted: Arc<AtomicBool>,
}

/// How the node is, for its doors.
pub(crate) struct Outlook {
    pub(crate) health: Arc<Health>,
    pub(crate) evidence: Arc<EvidenceRoom>,
    pub(crate) network_state: watch::Receiver<Arc<NetworkState>>,
}

impl Parts {
    pub(crate) fn new(home: &Home, clock: Clock, store: Store) -> Result<Self, NodeError> {
        let metrics = Arc::new(Metrics::new()?);
        let me = home.identity.validator;
        let tip = store.header(store.tip().slot)?.ok_or(NodeError::NoTip)?;
        // One source for each process, and one for what comes from behind them: a validator's followers, a follower's clients.
        let sources = home.validators().processes().count().saturating_add(1);
        Ok(Parts {
            clock,
            trace: Arc::new(Trace::new(me, home.validators().process_of(ValidatorId(0)), clock)),
            mailbox: Arc::new(Mailbox::new(sources)),
            store: Arc::new(store),
            signatures: Arc::new(SignatureCache::new(Arc::clone(&metrics))),
            waiting: Arc::default(),
            standing: Arc::default(),
            signs: Arc::new(AtomicBool::new(true)),
            tip: Arc::new(RwLock::new(tip)),
            proofs: Arc::default(),
            replies: Arc::default(),
            metrics,
        })
    }

    /// Header of the last executed block.
    pub(crate) fn tip_header(&self) -> Header {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state that an earlier start began to fetch.
    pub(crate) fn kept_transfer(&self) -> Result<Option<KeptTransfer>, NodeError> {
        let transfer = self.store.transfer()?;
        Ok(transfer.map(|it| KeptTransfer { offer: Arc::new(it.offer), progress: it.progress }))
    }

    /// Starts the threads that execute, index and take transactions in.
    pub(crate) fn start_ledger(
        &self,
        home: &Home,
        gossip: mpsc::UnboundedSender<Envelope>,
        served: Option<Served>,
        threads: &mut Threads,
    ) -> Result<LedgerParts, NodeError> {
        let front_door = Arc::new(self.front_door(home, gossip));
        let chronicle = self.chronicle(home);
        let (history, indexed, history_halted) =
            (chronicle.history(), chronicle.indexed(), chronicle.halted());
        let (chapters, chapter_list) = chapters();
        let (executor, task_list) = channel();
        let work = self.executor(home, Arc::clone(&front_door), chapters, served)?;
        threads.spawn("chronicle", move || Ok(chronicle.run(&chapter_list)?))?;
        threads.spawn("executor", move || Ok(work.run(&task_list)?))?;
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
        Ok(LedgerParts { front_door, bell, executor, history, indexed, history_halted })
    }

    pub(crate) fn front_door(&self, home: &Home, gossip: mpsc::UnboundedSender<Envelope>) -> FrontDoor {
        let capacity = usize::try_from(home.constants().pool).unwrap_or(usize::MAX);
        FrontDoor {
            store: Arc::clone(&self.store),
            signatures: Arc::clone(&self.signatures),
            tip: Arc::clone(&self.tip),
            mailbox: Arc::clone(&self.mailbox),
            gossip,
            spreads_bodies: AtomicBool::new(false),
            pool: Mutex::new(Pool::new(capacity, home.validators().proposers())),
            waiting: Arc::clone(&self.waiting),
            me: home.identity.validator,
            followers: home.behind_processes(),
            clock: self.clock,
            metrics: Arc::clone(&self.metrics),
        }
    }

    fn chronicle(&self, home: &Home) -> Chronicle {
        let sources = Sources {
            store: Arc::clone(&self.store),
            genesis: Arc::clone(&home.genesis),
            leaves: home.leaves.clone(),
            signatures: Arc::clone(&self.signatures) as Arc<_>,
            waiting: Arc::clone(&self.waiting),
            kept: home.kept(),
            metrics: Arc::clone(&self.metrics),
        };
        Chronicle::start(sources, home.settings.history.enabled)
    }

    pub(crate) fn executor(
        &self,
        home: &Home,
        front_door: Arc<FrontDoor>,
        chronicle: Chapters,
        served: Option<Served>,
    ) -> Result<Executor, NodeError> {
        Ok(Executor {
            tree: self.store.state_tree(&home.leaves)?,
            store: Arc::clone(&self.store),
            tip: self.tip_header(),
            tip_transactions: self.store.applied_at_tip()?,
            network_id: home.genesis.network_id(),
            signatures: Arc::clone(&self.signatures),
            front_door,
            mailbox: Arc::clone(&self.mailbox),
            record_changes: home.settings.history.enabled,
            chronicle,
            shared_tip: Arc::clone(&self.tip),
            served,
            metrics: Arc::clone(&self.metrics),
            trace: Arc::clone(&self.trace),
            upgrades: UpgradeNotice::new(Arc::clone(&self.metrics)),
            proofs: Arc::clone(&self.proofs),
            unsealed: BTreeMap::new(),
            ahead: Ahead::default(),
            replies: Arc::clone(&self.replies),
        })
    }

    /// Starts the checking threads. **Returns** their queues.
    pub(crate) fn inbound(
        &self,
        home: &Home,
        takes: Takes,
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
                takes,
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

    pub(crate) fn health(&self, home: &Home, network: Arc<Network>) -> Health {
        let constants = home.constants();
        let patience_ms = constants.heartbeat_ms.saturating_add(constants.timeout_ms.saturating_mul(2));
        Health {
            index: home.identity.validator.0,
            name: home.name.clone(),
            role: home.role,
            quorum: home.quorum(),
            trust: home.genesis.genesis.trust,
            patience_us: patience_ms.saturating_mul(1_000),
            checkpoint_interval: constants.checkpoint_interval,
            standing: Arc::clone(&self.standing),
            tip: Arc::clone(&self.tip),
            store: Arc::clone(&self.store),
            connected: Mutex::default(),
            peers: if home.role == Role::Follower { home.peer_indices() } else { home.other_indices() },
            network,
            signs: Arc::clone(&self.signs),
            clock: self.clock,
        }
    }

    /// Opens the doors of clients and operators. **Returns** the task of the REST interface, where there is one.
    pub(crate) fn open_doors(
        &self,
        home: &Home,
        ledger: LedgerParts,
        outlook: Outlook,
        listeners: Listeners,
        tasks: &mut JoinSet<()>,
        stop: watch::Receiver<bool>,
    ) -> Result<Option<tokio::task::JoinHandle<()>>, NodeError> {
        tasks.spawn(sweep(Arc::clone(&ledger.front_door), Arc::clone(&self.waiting)));
        let Outlook { health, evidence, network_state } = outlook;
        let rest = Arc::new(self.rest(home, ledger, Arc::clone(&health), network_state)?);
        self.control(home, tasks);
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
        let serve = |plain| {
            let doors = carat_api::Doors { plain, secure };
            tokio::spawn(carat_api::serve(
                doors,
                rest,
                home.api_settings(),
                ConnectionLimits::default(),
                stop,
            ))
        };
        Ok(listeners.api.map(serve))
    }

    fn rest(
        &self,
        home: &Home,
        ledger: LedgerParts,
        health: Arc<Health>,
        network_state: watch::Receiver<Arc<NetworkState>>,
    ) -> Result<Rest, NodeError> {
        Ok(Rest {
            network: home.public_facts(),
            genesis: Arc::clone(&home.genesis),
            store: Arc::clone(&self.store),
            receipts: Receipts::new(Arc::clone(&self.store), &home.genesis, Arc::clone(&home.epochs))?,
            proofs: Arc::clone(&self.proofs),
            history: ledger.history,
            keeps_history: home.settings.history.enabled,
            history_halted: ledger.history_halted,
            indexed: ledger.indexed,
            front_door: ledger.front_door,
            bell: ledger.bell,
            waiting: Arc::clone(&self.waiting),
            tip: Arc::clone(&self.tip),
            network_state,
            health,
        })
    }

    /// The operator's socket. A node works without it: no backup can be made while it runs.
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
        Ok(Door::new(
            Arc::clone(rest),
            Arc::new(payloads),
            Arc::clone(&self.replies),
            (patience, per_key),
            Arc::clone(&self.metrics),
        ))
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

/// The outcome of the thread whose state machine takes no more input.
pub(crate) fn stopped(stop: Option<Stop>) -> Result<(), NodeError> {
    match stop {
        Some(Stop::Halt(halt)) => Err(NodeError::Halted(describe(&halt))),
        Some(Stop::EpochEnds(last)) => Err(NodeError::EpochEnded(last)),
        None => Ok(()),
    }
}

/// Why a node takes no more input, in words.
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
