//! The native entrance: clients over QUIC, each known by a key that it proved to hold.
//!
//! The server shows the validator's network key, which the client knows from the genesis file; the client shows a key
//! of its own, in a certificate that it made itself. Here only the holding is checked; what a key may do is for the
//! caller to decide ([`Session::refuse`]). A connection has one stream, opened by the client, of frames both ways:
//!
//! ```text
//! ( u32 length, big-endian | payload )*        length: 1 ..= submission::FRAME_BYTES_MAX
//! ```

mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carat_types::submission::{VERSION, VERSION_WITHOUT_REPLIES};
use carat_types::{Digest, PublicKey, SecretKey};
use quinn::crypto::rustls::HandshakeData;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::drivers::{Drivers, GOODBYE};
use crate::error::NetworkError;
use crate::limits::Limits;
use crate::network_key::NetworkKey;
use crate::socket;
use crate::tls::{Identity, Keys, Offer, client_protocol, peer_key};
use crate::transport::{self, close};

pub use session::{Reading, Session, Writing};

/// Handshakes at one time; more are turned away and may try again.
const HANDSHAKES_MAX: usize = 64;
/// With so many under way a new one must first prove its address (QUIC Retry).
const RETRY_ABOVE: usize = 8;
/// Sessions at one time, opened or not.
const SESSIONS_MAX: usize = 256;
/// The versions that are spoken, the newest first: the handshake agrees on the first that both know.
const SPOKEN: [u32; 2] = [VERSION, VERSION_WITHOUT_REPLIES];
/// How long a handshake may take, and how long a client may wait with its stream.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where clients are let in, and as whom.
#[derive(Clone, Debug)]
pub struct EntranceConfig {
    /// The validator's network key.
    pub identity: NetworkKey,
    /// The chain; part of the protocol name.
    pub chain_id: Digest,
    /// UDP address to listen on.
    pub listen: SocketAddr,
}

/// A socket on which clients are let in.
pub struct Entrance {
    endpoint: Endpoint,
    drivers: Arc<Drivers>,
    chain_id: Digest,
    opening: JoinSet<Option<Session>>,
    handshakes: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
}

impl Entrance {
    /// Opens the socket. Must be called inside a tokio runtime.
    ///
    /// **Errors**: a port in use.
    pub fn bind(config: &EntranceConfig) -> Result<Self, NetworkError> {
        let [protocol, older] = SPOKEN.map(|version| client_protocol(&config.chain_id, version));
        let identity = Identity::new(&config.identity, protocol)?.or(older);
        let settings = transport::endpoint(&config.identity, identity.random())?;
        let failed = |source| NetworkError::Bind { listen: config.listen, source };
        let socket = socket::bind(config.listen).map_err(failed)?;
        let crypto = identity.server(&Keys::Any, &Arc::new(Offer::default()))?;
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        server
            .transport_config(Arc::new(transport::session(&Limits::default())))
            .migration(false)
            .max_incoming(HANDSHAKES_MAX)
            .incoming_buffer_size(16 * 1024)
            .incoming_buffer_size_total(1024 * 1024);
        let drivers = Arc::new(Drivers::default());
        let endpoint =
            Endpoint::new(settings, Some(server), socket, Arc::clone(&drivers) as Arc<_>).map_err(failed)?;
        Ok(Entrance {
            endpoint,
            drivers,
            chain_id: config.chain_id,
            opening: JoinSet::new(),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            sessions: Arc::new(Semaphore::new(SESSIONS_MAX)),
        })
    }

    /// Where it listens.
    ///
    /// **Errors**: the system's.
    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next client that has opened its stream. None when the socket is gone.
    pub async fn next(&mut self) -> Option<Session> {
        loop {
            tokio::select! {
                knock = self.endpoint.accept() => self.admit(knock?),
                Some(opened) = self.opening.join_next() => {
                    if let Ok(Some(session)) = opened {
                        return Some(session);
                    }
                }
            }
        }
    }

    /// Begins a handshake, within bounds.
    fn admit(&mut self, knock: Incoming) {
        let under_way = HANDSHAKES_MAX.saturating_sub(self.handshakes.available_permits());
        if under_way >= RETRY_ABOVE && !knock.remote_address_validated() {
            // Can only fail for a validated address.
            let _ = knock.retry();
            return;
        }
        let turn = Arc::clone(&self.handshakes).try_acquire_owned();
        let place = Arc::clone(&self.sessions).try_acquire_owned();
        let (Ok(turn), Ok(place)) = (turn, place) else { return knock.refuse() };
        let chain_id = self.chain_id;
        self.opening.spawn(async move {
            let connection = timeout(PATIENCE, knock.accept().ok()?).await.ok()?.ok()?;
            drop(turn);
            let key = peer_key(&connection)?;
            // A client that opens no stream wants nothing.
            let (writing, reading) = timeout(PATIENCE, connection.accept_bi()).await.ok()?.ok()?;
            let version = version_of(&connection, &chain_id);
            Some(Session::new(connection, (key, version), (writing, reading), Some(place)))
        });
    }
}

impl Drop for Entrance {
    /// Takes leave of all clients, and lets the socket go a moment later: who drops it may be cut off itself.
    fn drop(&mut self) {
        self.endpoint.close(close::SHUTDOWN.0, close::SHUTDOWN.1);
        let drivers = Arc::clone(&self.drivers);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(GOODBYE).await;
                drivers.end().await;
            });
        }
    }
}

/// A client's socket, for sessions with any number of nodes.
pub struct Dialler {
    endpoint: Endpoint,
    identity: Identity,
    chain_id: Digest,
}

impl Dialler {
    /// Speaks as `key` on the chain, in the newest version that the node knows. Must be called inside a tokio runtime.
    ///
    /// **Errors**: the system gives no socket.
    pub fn new(key: &SecretKey, chain_id: &Digest) -> Result<Self, NetworkError> {
        let [protocol, older] = SPOKEN.map(|version| client_protocol(chain_id, version));
        Self::speaking(Identity::new(&key.clone().into(), protocol)?.or(older), chain_id)
    }

    /// The same in this version alone, as a program does that was made for it.
    ///
    /// **Errors**: the system gives no socket.
    pub fn of_version(key: &SecretKey, chain_id: &Digest, version: u32) -> Result<Self, NetworkError> {
        Self::speaking(Identity::new(&key.clone().into(), client_protocol(chain_id, version))?, chain_id)
    }

    fn speaking(identity: Identity, chain_id: &Digest) -> Result<Self, NetworkError> {
        let listen = SocketAddr::from(([0, 0, 0, 0], 0));
        let failed = |source| NetworkError::Bind { listen, source };
        let socket = socket::bind(listen).map_err(failed)?;
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime));
        Ok(Dialler { endpoint: endpoint.map_err(failed)?, identity, chain_id: *chain_id })
    }

    /// A session with the node at `address`, whose network key is `server`.
    ///
    /// **Errors**: [`NetworkError::Unreachable`], also if another key answers.
    pub async fn dial(&self, address: SocketAddr, server: PublicKey) -> Result<Session, NetworkError> {
        let unreachable = |reason: String| NetworkError::Unreachable { address, reason };
        let mut client = ClientConfig::new(Arc::new(self.identity.client(server)?));
        client.transport_config(Arc::new(transport::session(&Limits::default())));
        let connecting = self.endpoint.connect_with(client, address, "carat");
        let connecting = connecting.map_err(|error| unreachable(error.to_string()))?;
        let opening = async {
            let connection: Connection = connecting.await?;
            let streams = connection.open_bi().await?;
            Ok::<_, quinn::ConnectionError>((connection, streams))
        };
        let opened = timeout(PATIENCE, opening).await.map_err(|_| unreachable("no answer in 5 s".into()))?;
        let (connection, streams) = opened.map_err(|error| unreachable(error.to_string()))?;
        let version = version_of(&connection, &self.chain_id);
        Ok(Session::new(connection, (server, version), streams, None))
    }
}

/// The version that the handshake agreed on: one of those that are spoken.
fn version_of(connection: &Connection, chain_id: &Digest) -> u32 {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let agreed = handshake.and_then(|handshake| handshake.protocol);
    let is_newest = agreed.is_some_and(|name| name == client_protocol(chain_id, VERSION).as_bytes());
    if is_newest { VERSION } else { VERSION_WITHOUT_REPLIES }
}
