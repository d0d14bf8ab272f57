//! The handle that the node holds: start, send, look, stop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use carat_types::{Digest, PublicKey};
use quinn::{ClientConfig, Endpoint, ServerConfig};
use tokio::task::JoinSet;

use crate::accept::Acceptor;
use crate::drivers::{Drivers, GOODBYE};
use crate::error::NetworkError;
use crate::frame::Lane;
use crate::inbox::{Inbox, Shelves};
use crate::limits::Limits;
use crate::network_key::NetworkKey;
use crate::peer::{PeerState, Shared};
use crate::socket;
use crate::stats::{Counter, Stats, Tally};
use crate::tls::{Identity, Keys, Offer, Pinned, protocol};
use crate::transport::{self, close};

/// A message as bytes. Sending one to many peers copies the handle, not the bytes.
pub type Frame = Bytes;

/// Another validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its index in the genesis file.
    pub index: u16,
    /// Its network key in the genesis file.
    pub key: PublicKey,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Who we are and where we listen: what is known before the peers' addresses.
#[derive(Clone, Debug)]
pub struct BindConfig {
    /// Our index in the genesis file.
    pub me: u16,
    /// Our network key.
    pub identity: NetworkKey,
    /// The chain; part of the protocol name, so that another chain's validator is refused.
    pub chain_id: Digest,
    /// UDP address to listen on. Port 0 takes a free one, see [`Bound::local_address`].
    pub listen: SocketAddr,
    /// Sizes and times.
    pub limits: Limits,
}

/// Everything that a network needs to start.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Our own part.
    pub bind: BindConfig,
    /// All other validators. None on a network of one.
    pub peers: Vec<Peer>,
}

/// A socket that listens, but answers nobody before it knows its peers.
pub struct Bound {
    config: BindConfig,
    identity: Identity,
    endpoint: Endpoint,
    drivers: Arc<Drivers>,
    address: SocketAddr,
}

/// The connections to all other validators. Dropping it ends them.
pub struct Network {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    drivers: Arc<Drivers>,
    address: SocketAddr,
    /// Aborted when dropped.
    tasks: JoinSet<()>,
}

impl Network {
    /// Binds and starts. Must be called inside a tokio runtime.
    ///
    /// **Errors**: a port in use, peers or limits that contradict themselves.
    pub fn start(config: NetworkConfig) -> Result<(Network, Inbox), NetworkError> {
        Network::bind(config.bind)?.start(&config.peers)
    }

    /// Opens the socket only. Must be called inside a tokio runtime.
    ///
    /// **Errors**: a port in use, limits that contradict themselves.
    pub fn bind(config: BindConfig) -> Result<Bound, NetworkError> {
        config.limits.check()?;
        let identity = Identity::new(&config.identity, protocol(&config.chain_id))?;
        let settings = transport::endpoint(&config.identity, identity.random())?;
        let failed = |source| NetworkError::Bind { listen: config.listen, source };
        let socket = socket::bind(config.listen).map_err(failed)?;
        let drivers = Arc::new(Drivers::default());
        let endpoint =
            Endpoint::new(settings, None, socket, Arc::clone(&drivers) as Arc<_>).map_err(failed)?;
        let address = endpoint.local_addr().map_err(failed)?;
        Ok(Bound { config, identity, endpoint, drivers, address })
    }

    /// Queues a frame for one peer and returns at once, whether the peer is reachable or not. When the peer's queue
    /// is full its oldest frames are dropped and counted; so is a frame that is empty or longer than its lane
    /// allows. Frames of one lane arrive in order, unless a connection broke between them.
    pub fn send(&self, peer: u16, lane: Lane, frame: Frame) {
        match self.shared.peer(peer) {
            Some(peer) => peer.send(lane, frame),
            None => tracing::error!(peer, "no such peer: frame dropped"),
        }
    }

    /// [`Network::send`] to every peer.
    pub fn broadcast(&self, lane: Lane, frame: &Frame) {
        for peer in &self.shared.peers {
            peer.send(lane, frame.clone());
        }
    }

    /// Sets where a peer is dialled from now on. A standing connection stays.
    pub fn set_address(&self, peer: u16, address: SocketAddr) {
        if let Some(peer) = self.shared.peer(peer) {
            peer.address.send_replace(address);
        }
    }

    /// Where we listen.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// All counters as they are now.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Takes leave of all peers, so that they notice at once, and ends. What waits in the queues is dropped. The address is free
    /// afterwards.
    pub async fn shutdown(mut self) {
        self.endpoint.close(close::SHUTDOWN.0, close::SHUTDOWN.1);
        if tokio::time::timeout(GOODBYE, self.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("a peer did not answer the goodbye");
        }
        self.tasks.shutdown().await;
        self.drivers.end().await;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.endpoint.close(close::SHUTDOWN.0, close::SHUTDOWN.1);
        self.shared.inbox.close();
    }
}

impl Bound {
    /// Where we listen, with the port that the system chose.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to accept and to dial.
    ///
    /// **Errors**: peers that contradict themselves or us.
    pub fn start(self, peers: &[Peer]) -> Result<(Network, Inbox), NetworkError> {
        let Bound { config, identity, endpoint, drivers, address } = self;
        check_peers(&config, peers)?;
        let mut states: Vec<PeerState> =
            peers.iter().map(|p| PeerState::new(p.index, p.key, p.address, &config.limits)).collect();
        states.sort_by_key(|peer| peer.index);
        let keys: BTreeMap<PublicKey, usize> =
            states.iter().enumerate().map(|(place, peer)| (peer.key, place)).collect();
        let keys: Pinned = Arc::new(keys);
        let (shelves, inbox) = Shelves::new(states.iter().map(|peer| peer.index));
        let shared = Arc::new(Shared {
            me: config.me,
            limits: config.limits,
            peers: states,
            inbox: shelves,
            refused: Tally::default(),
            turned_away: Counter::default(),
            retried: Counter::default(),
        });

        let mut tasks = JoinSet::new();
        let outbound = Arc::new(transport::outbound(&config.limits));
        for (place, peer) in shared.peers.iter().enumerate() {
            let mut client = ClientConfig::new(Arc::new(identity.client(peer.key)?));
            client.transport_config(Arc::clone(&outbound));
            tasks.spawn(crate::dial::run(Arc::clone(&shared), endpoint.clone(), place, client));
        }
        let server = server_config(&config.limits, &identity, &keys)?;
        endpoint.set_server_config(Some(server.clone()));
        let acceptor = Acceptor::new(Arc::clone(&shared), endpoint.clone(), identity, keys, server);
        tasks.spawn(acceptor.run());
        tracing::info!(%address, peers = shared.peers.len(), "network started");
        Ok((Network { shared, endpoint, drivers, address, tasks }, inbox))
    }
}

fn server_config(limits: &Limits, identity: &Identity, keys: &Pinned) -> Result<ServerConfig, NetworkError> {
    let crypto = identity.server(&Keys::Pinned(Arc::clone(keys)), &Arc::new(Offer::default()))?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(transport::inbound(limits)))
        // Validators have addresses; one that moves connects anew.
        .migration(false)
        .max_incoming(limits.handshakes)
        // Before its handshake is begun, a client may send what a handshake needs and no more.
        .incoming_buffer_size(16 * 1024)
        .incoming_buffer_size_total(1024 * 1024);
    Ok(server)
}

fn check_peers(config: &BindConfig, peers: &[Peer]) -> Result<(), NetworkError> {
    let mut indices = BTreeSet::from([config.me]);
    let mut keys = BTreeSet::from([config.identity.public()]);
    for Peer { index, key, .. } in peers {
        let problem = if !indices.insert(*index) {
            "its index is taken by us or another peer"
        } else if !keys.insert(*key) {
            "its network key is ours or that of another peer"
        } else if key.is_weak() {
            "its network key is no valid Ed25519 key"
        } else {
            continue;
        };
        return Err(NetworkError::Peer { index: *index, problem });
    }
    Ok(())
}
