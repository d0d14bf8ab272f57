//! A validator as a whole, or a proposer of an edge network: puts the parts together, starts their threads, and stops them in order.
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
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use carat_consensus::{ChainTip, LOOK_BACK_WINDOWS, RecentBlock, Record, Replica};
use carat_network::{BindConfig, Bound, Event, Inbox, Incoming, Lane, Limits, Network};
use carat_storage::journal::Journal;
use carat_storage::store::Store;
use carat_types::epoch::Epochs;
use carat_types::message::{Message, StableCheckpoint};
use carat_types::validators::Ed25519;
use carat_types::{Epoch, Slot, ValidatorId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::core_loop::{CoreLoop, Standing};
use crate::error::NodeError;
use crate::evidence::EvidenceRoom;
use crate::followers::{self, FollowerServer};
use crate::front_door::FrontDoor;
use crate::handovers;
use crate::health::Health;
use crate::home::Home;
use crate::inbound::Takes;
use crate::keys::VoteKeys;
use crate::mailbox::Mailbox;
use crate::parts::{Listeners, Outlook, Parts, Served, stopped};
use crate::porter::Bell;
use crate::pulse::Pulse;
use crate::scribe::{Scribe, encode};
use crate::signer::courier::{Ask, Courier};
use crate::snapshots::Snapshots;
use crate::threads::Threads;

/// How long the sockets of an epoch that is over may still be held.
const SOCKETS_PATIENCE: Duration = Duration::from_secs(60);

/// A running node: a validator, or one that follows ([`crate::follow`]).
pub struct Node {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) store: Arc<Store>,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) data: PathBuf,
    /// The addresses of QUIC.
    pub(crate) sockets: Vec<SocketAddr>,
    pub(crate) network: Arc<Network>,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) failures: mpsc::UnboundedReceiver<NodeError>,
    pub(crate) threads: Vec<JoinHandle<()>>,
    /// The REST interface; none at an acceptor of an edge network.
    pub(crate) api: Option<tokio::task::JoinHandle<()>>,
    /// Everything that may be cut off at any moment: the operator's listener, gossip, the feeding of the
    /// checking threads, which end when it does.
    pub(crate) tasks: JoinSet<()>,
}

/// The socket for peers; nobody is answered before they are known.
pub(crate) fn bind_network(home: &Home) -> Result<Bound, NodeError> {
    Ok(Network::bind(BindConfig {
        me: home.identity.validator.0,
        identity: home.keys.network.clone(),
        chain_id: home.genesis.chain_id,
        listen: home.settings.network.listen,
        limits: Limits::default(),
    })?)
}

impl Node {
    /// Starts a validator, or a proposer of an edge network. Must be called inside a tokio runtime.
    ///
    /// **Errors**: damaged or foreign data, a taken port; nothing was signed or sent then.
    pub async fn start(home: Home) -> Result<Self, NodeError> {
        let clock = Clock::start();
        let listeners = Listeners::bind(&home).await?;
        let bound = bind_network(&home)?;
        let (journal, records, store) = home.open()?;
        let parts = Parts::new(&home, clock, store)?;
        let peers: Vec<_> = home.peers().into_iter().chain(home.followers()).collect();
        let (network, inbox) = bound.start(&peers)?;
        parts.run(&home, journal, records, (Arc::new(network), inbox), listeners)
    }

    /// Waits until a part fails; never returns while all is well.
    pub async fn failed(&mut self) -> NodeError {
        self.failures.recv().await.unwrap_or(NodeError::Stopped)
    }

    /// Whether clients reach it.
    pub fn serves_clients(&self) -> bool {
        self.api.is_some()
    }

    /// The epochs that it started with.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
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
        if let Some(api) = self.api
            && api.await.is_err()
        {
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

impl Parts {
    fn run(
        self,
        home: &Home,
        journal: Journal,
        records: Vec<Record>,
        (network, inbox): (Arc<Network>, Inbox),
        listeners: Listeners,
    ) -> Result<Node, NodeError> {
        let (mut threads, failures) = Threads::new();
        let (gossip, envelopes) = mpsc::unbounded_channel();
        let health = Arc::new(self.health(home, Arc::clone(&network)));
        let (effects, effect_lists) = channel();
        let (core, first) = self.core_loop(home, records, effects)?;
        let (store, set) = (Arc::clone(&self.store), home.epochs.set());
        let snapshots = Snapshots::new(store, Arc::clone(&network), set, home.leaves.clone());
        if let Some(base) = home.epochs.base() {
            snapshots.begins(&base);
        }
        let snapshots = Arc::new(snapshots);
        let serves_followers = !home.followers().is_empty();
        let (followers, follower_tasks) = channel();
        let served = Served {
            snapshots: Arc::clone(&snapshots),
            followers: serves_followers.then(|| followers.clone()),
        };
        let ledger = self.start_ledger(home, gossip, Some(served), &mut threads)?;
        let server = self.follower_server(home, &ledger.bell, Arc::clone(&network), Arc::clone(&snapshots));
        let signer = self.courier(home, &mut threads)?;
        let front_door = Arc::clone(&ledger.front_door);
        let executor = (ledger.executor.clone(), signer);
        let scribe = self.scribe(home, journal, front_door, executor, Arc::clone(&network), snapshots);
        threads.spawn("scribe", move || Ok(scribe.run(&effect_lists)?))?;
        if serves_followers {
            threads.spawn("followers", move || Ok(server.run(&follower_tasks)?))?;
        }
        let frames = self.inbound(home, Takes::Everything, &ledger.bell, &mut threads)?;
        threads.spawn("core", move || stopped(core.run(first)))?;

        let (stopping, stop) = watch::channel(false);
        let evidence =
            Arc::new(EvidenceRoom { store: Arc::clone(&self.store), epochs: Arc::clone(&home.epochs) });
        let (observed, network_state) = watch::channel(Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(self.pulse(home, &health, &evidence).run(observed));
        let routes = Routes {
            frames,
            followers,
            first_follower: home.behind_processes().0,
            health: Arc::clone(&health),
            network: Arc::clone(&network),
            standing: Arc::clone(&self.standing),
            epoch: home.epoch(),
        };
        tasks.spawn(routes.run(inbox));
        tasks.spawn(crate::gossip::run(home.epoch(), envelopes, Arc::clone(&network), home.peer_indices()));
        let outlook = Outlook { health, evidence, network_state };
        let api = self.open_doors(home, ledger, outlook, listeners, &mut tasks, stop)?;
        Ok(Node {
            mailbox: self.mailbox,
            store: self.store,
            epochs: Arc::clone(&home.epochs),
            data: home.settings.validator.data.clone(),
            sockets: home.sockets(),
            network,
            stopping,
            failures,
            threads: threads.into_handles(),
            api,
            tasks,
        })
    }

    fn follower_server(
        &self,
        home: &Home,
        bell: &Bell,
        network: Arc<Network>,
        snapshots: Arc<Snapshots>,
    ) -> FollowerServer {
        let shared = followers::Surroundings {
            store: Arc::clone(&self.store),
            network,
            snapshots,
            bell: bell.clone(),
            standing: Arc::clone(&self.standing),
            epoch: home.epoch(),
            clock: self.clock,
            metrics: Arc::clone(&self.metrics),
        };
        FollowerServer::new(shared, &home.followers(), &home.settings.followers)
    }

    fn pulse(&self, home: &Home, health: &Arc<Health>, evidence: &Arc<EvidenceRoom>) -> Pulse {
        Pulse {
            health: Arc::clone(health),
            metrics: Arc::clone(&self.metrics),
            trace: Arc::clone(&self.trace),
            evidence: Arc::clone(evidence),
            store: Arc::clone(&self.store),
            names: home.processes().map(|process| process.name.to_owned()).collect(),
            validators: home.validators().clone(),
            clock: self.clock,
        }
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
            validators: home.validators().clone(),
        };
        Ok((core, first))
    }

    /// The end of the stored chain, as the replica wants it: two windows of blocks, and older ones that are not sealed.
    fn chain_tip(&self, window: u64) -> Result<ChainTip, NodeError> {
        let header = self.tip_header();
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
        Ok(ChainTip { header, recent, transfer: self.kept_transfer()? })
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
            replies: Arc::clone(&self.replies),
            trace: Arc::clone(&self.trace),
            metrics: Arc::clone(&self.metrics),
            others: home.other_indices().into_iter().map(ValidatorId).collect(),
            epoch: home.epoch(),
        }
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

/// Brings frames to the thread of their peer, and tells who is reachable. Followers have a thread of their own: nothing of theirs
/// reaches the replica.
struct Routes {
    frames: Vec<Sender<Incoming>>,
    followers: Sender<followers::Task>,
    /// Peers from this number on are followers.
    first_follower: u16,
    health: Arc<Health>,
    network: Arc<Network>,
    standing: Arc<RwLock<Standing>>,
    epoch: Epoch,
}

impl Routes {
    async fn run(self, mut inbox: Inbox) {
        while let Some(event) = inbox.recv().await {
            let (Event::Up { peer } | Event::Down { peer } | Event::Frame(Incoming { peer, .. })) = &event;
            let goes_on = match *peer >= self.first_follower {
                true => self.followers.send(followers::Task::Event(event)).is_ok(),
                false => self.of_validator(event),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn of_validator(&self, event: Event) -> bool {
        match event {
            Event::Up { peer } => {
                tracing::info!(peer, "peer reachable");
                self.health.peer(peer, true);
                // Whatever was sent before may be lost: it learns at once where this validator stands.
                let status = self.standing.read().unwrap_or_else(PoisonError::into_inner).status;
                self.network.send(peer, Lane::Urgent, encode(self.epoch, &Message::Status(status)));
            }
            Event::Down { peer } => {
                tracing::info!(peer, "peer unreachable");
                self.health.peer(peer, false);
            }
            Event::Frame(frame) => {
                let queue = self.frames.get(usize::from(frame.peer) % self.frames.len().max(1));
                return queue.is_some_and(|queue| queue.send(frame).is_ok());
            }
        }
        true
    }
}
