//! A node that follows: it has no vote and no journal, proves every block before it executes it, and shows what it has proved.
//!
//! ```text
//! validators -> network -> inbound (2 threads) -> mailbox -> learner loop -> network -> validators
//! clients -> REST, entrance -> porter -> front door -> gossip --^   \-> executor -> chronicle -> clients
//! ```
//!
//! The learner is pure ([`carat_consensus::Learner`]); this drives it over the store, with the parts that a validator has too
//! (`parts`). What stops it, starts again, and what is shown: as of a validator. **Source**: decision record 41.

mod home;
mod learner_loop;
mod outlook;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use carat_consensus::{Effect, Learner, LearnerConfig, LearnerTip};
use carat_network::{Event, Inbox, Incoming, Network};
use carat_types::ValidatorId;
use carat_types::validators::Ed25519;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::error::NodeError;
use crate::evidence::EvidenceRoom;
use crate::executor::Task;
use crate::health::Health;
use crate::home::Home;
use crate::inbound::Takes;
use crate::node::{Node, bind_network};
use crate::parts::{Listeners, Outlook, Parts, stopped};
use crate::threads::Threads;
pub use home::FollowerHome;
use learner_loop::LearnerLoop;
pub use outlook::FollowerStatus;

impl Node {
    /// Starts a node that follows. Must be called inside a tokio runtime.
    ///
    /// **Errors**: damaged or foreign data, a taken port.
    pub async fn follow(home: FollowerHome) -> Result<Self, NodeError> {
        let clock = Clock::start();
        let listeners = Listeners::bind(&home.0).await?;
        let bound = bind_network(&home.0)?;
        let store = home.open()?;
        let parts = Parts::new(&home.0, clock, store)?;
        let (network, inbox) = bound.start(&home.0.peers())?;
        parts.follow(&home.0, (Arc::new(network), inbox), listeners)
    }
}

impl Parts {
    fn follow(
        self,
        home: &Home,
        (network, inbox): (Arc<Network>, Inbox),
        listeners: Listeners,
    ) -> Result<Node, NodeError> {
        let (mut threads, failures) = Threads::new();
        let (gossip, envelopes) = mpsc::unbounded_channel();
        let health = Arc::new(self.health(home, Arc::clone(&network)));
        // Nobody asks this node for blocks or states.
        let ledger = self.start_ledger(home, gossip, None, &mut threads)?;
        let frames = self.inbound(home, Takes::Blocks, &ledger.bell, &mut threads)?;
        self.start_learner(home, Arc::clone(&network), ledger.executor.clone(), &mut threads)?;

        let (stopping, stop) = watch::channel(false);
        let evidence =
            Arc::new(EvidenceRoom { store: Arc::clone(&self.store), epochs: Arc::clone(&home.epochs) });
        let (observed, network_state) = watch::channel(Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(outlook::run(Arc::clone(&health), Arc::clone(&self.metrics), observed));
        tasks.spawn(route(inbox, frames, Arc::clone(&health)));
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

    fn start_learner(
        &self,
        home: &Home,
        network: Arc<Network>,
        executor: Sender<Task>,
        threads: &mut Threads,
    ) -> Result<(), NodeError> {
        let (learner, first) = self.learner(home)?;
        let work = LearnerLoop {
            learner,
            mailbox: Arc::clone(&self.mailbox),
            network,
            executor,
            store: Arc::clone(&self.store),
            epoch: home.epoch(),
            checkpoint_interval: home.constants().checkpoint_interval,
            clock: self.clock,
            metrics: Arc::clone(&self.metrics),
            trace: Arc::clone(&self.trace),
            standing: Arc::clone(&self.standing),
            peers: BTreeMap::new(),
        };
        threads.spawn("learner", move || stopped(work.run(first)?))
    }

    /// The learner, behind the last block of the store or in the middle of a state.
    fn learner(&self, home: &Home) -> Result<(Learner, Vec<Effect>), NodeError> {
        let sources: BTreeSet<ValidatorId> = home.peer_indices().into_iter().map(ValidatorId).collect();
        let config = LearnerConfig {
            validators: home.validators().clone(),
            params: *home.constants(),
            authenticator: Arc::new(Ed25519),
            sources,
            fetches_states: home.settings.catch_up.snapshots.into(),
            leaves: home.leaves.clone(),
        };
        let header = self.tip_header();
        let seals = self.store.certificate(header.slot)?;
        let tip = LearnerTip { header, seals, transfer: self.kept_transfer()? };
        Ok(Learner::start(config, self.clock.now(), tip))
    }
}

/// Brings frames to the thread of their source, and tells who is reachable.
async fn route(mut inbox: Inbox, queues: Vec<Sender<Incoming>>, health: Arc<Health>) {
    while let Some(event) = inbox.recv().await {
        match event {
            Event::Up { peer } => {
                tracing::info!(peer, "validator reachable");
                health.peer(peer, true);
            }
            Event::Down { peer } => {
                tracing::info!(peer, "validator unreachable");
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
