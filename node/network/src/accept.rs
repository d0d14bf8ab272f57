//! Receiving: handshakes of whoever knocks, within bounds; then the frames of authenticated peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quinn::{Connection, Endpoint, RecvStream, ServerConfig};
use tokio::io::BufReader;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::NetworkError;
use crate::frame::{Lane, PerLane, Violation, read_frame};
use crate::inbox::Incoming;
use crate::peer::{PeerState, Shared, lock};
use crate::stats::{HandshakeFailure, wide};
use crate::tls::{Identity, Keys, Offer, Pinned, peer_key};
use crate::transport::close;

/// What the acceptor says on a stream of its own when it has admitted a dialler.
pub(crate) const ADMITTED: [u8; 1] = [1];

/// How much is taken from QUIC at once.
const READ_BUFFER: usize = 32 * 1024;

/// Everything that accepting needs.
pub(crate) struct Acceptor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) endpoint: Endpoint,
    pub(crate) identity: Identity,
    pub(crate) keys: Pinned,
    pub(crate) config: ServerConfig,
    log: RefusalLog,
    handshakes: Arc<Semaphore>,
}

impl Acceptor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        endpoint: Endpoint,
        identity: Identity,
        keys: Pinned,
        config: ServerConfig,
    ) -> Self {
        let handshakes = Arc::new(Semaphore::new(shared.limits.handshakes));
        Acceptor { shared, endpoint, identity, keys, config, log: RefusalLog::default(), handshakes }
    }

    /// Accepts until the endpoint closes. Each connection has a task; none waits for another.
    pub(crate) async fn run(self) {
        let acceptor = Arc::new(self);
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                knock = acceptor.endpoint.accept() => {
                    let Some(knock) = knock else { return };
                    if let Some((knock, turn)) = acceptor.admit(knock) {
                        tasks.spawn(Arc::clone(&acceptor).connection(knock, turn));
                    }
                }
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    /// Decides whether a handshake may begin. A stranger costs us one packet until it has proven its address, and
    /// strangers together can take only half of the handshakes.
    fn admit(&self, knock: quinn::Incoming) -> Option<(quinn::Incoming, OwnedSemaphorePermit)> {
        let limits = &self.shared.limits;
        let free = self.handshakes.available_permits();
        let under_way = limits.handshakes.saturating_sub(free);
        if under_way >= limits.retry_above && !knock.remote_address_validated() {
            self.shared.retried.add(1);
            // Can only fail for a validated address.
            let _ = knock.retry();
            return None;
        }
        let reserved =
            if self.shared.is_known(knock.remote_address().ip()) { 0 } else { limits.handshakes / 2 };
        let turn = Arc::clone(&self.handshakes).try_acquire_owned().ok().filter(|_| free > reserved);
        let Some(turn) = turn else {
            self.shared.turned_away.add(1);
            knock.refuse();
            return None;
        };
        Some((knock, turn))
    }

    async fn connection(self: Arc<Self>, knock: quinn::Incoming, turn: OwnedSemaphorePermit) {
        let remote = knock.remote_address();
        let offer = Arc::new(Offer::default());
        let connection = match self.handshake(knock, &offer).await {
            Ok(connection) => connection,
            Err((kind, text)) => {
                self.shared.refused.count(kind);
                self.log.refused(remote, kind, &text);
                return;
            }
        };
        drop(turn);
        // The verifier has checked the key against the same table.
        let place = peer_key(&connection).and_then(|key| self.keys.get(&key).copied());
        let Some(place) = place else { return };
        serve(&self.shared, place, &connection).await;
    }

    async fn handshake(
        &self,
        knock: quinn::Incoming,
        offer: &Arc<Offer>,
    ) -> Result<Connection, (HandshakeFailure, String)> {
        let config = self.config_for(offer).map_err(|error| (HandshakeFailure::Other, error.to_string()))?;
        let handshake = async { knock.accept_with(config)?.await };
        match timeout(self.shared.limits.handshake_timeout, handshake).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                let kind = HandshakeFailure::of(&error);
                let text = match (kind, offer.text()) {
                    (HandshakeFailure::Protocol, Some(theirs)) => {
                        format!("it speaks {theirs}, we speak {}", self.identity.protocol())
                    }
                    _ => error.to_string(),
                };
                Err((kind, text))
            }
            Err(_) => Err((HandshakeFailure::Timeout, "handshake not finished in time".to_owned())),
        }
    }

    /// The settings for one handshake: the common ones, with an ear for what this client offers to speak.
    fn config_for(&self, offer: &Arc<Offer>) -> Result<Arc<ServerConfig>, NetworkError> {
        let mut config = self.config.clone();
        config.crypto = Arc::new(self.identity.server(&Keys::Pinned(Arc::clone(&self.keys)), offer)?);
        Ok(Arc::new(config))
    }
}

/// Receives a peer's frames until the connection ends. A newer connection of the peer ends an older one.
async fn serve(shared: &Arc<Shared>, place: usize, connection: &Connection) {
    let Some(peer) = shared.peers.get(place) else { return };
    if let Some(older) = lock(&peer.inbound).replace(connection.clone()) {
        older.close(close::REPLACED.0, close::REPLACED.1);
    }
    tokio::select! {
        _ = connection.closed() => {}
        reading = peer.reading.lock() => {
            read_connection(shared, place, peer, connection).await;
            drop(reading);
        }
    }
    // What QUIC still holds of a connection that ended goes with its last handle.
    let mut inbound = lock(&peer.inbound);
    if inbound.as_ref().is_some_and(|latest| latest.stable_id() == connection.stable_id()) {
        *inbound = None;
    }
}

/// Reads all lanes of the connection whose turn it is.
async fn read_connection(shared: &Arc<Shared>, place: usize, peer: &PeerState, connection: &Connection) {
    peer.counters.accepts.add(1);
    peer.counters.inbound_up.store(true, Ordering::Relaxed);
    peer.alive.notify_one();
    tracing::info!(peer = peer.index, address = %connection.remote_address(), "peer connected");

    if let Err(violation) = receive(shared, place, connection).await {
        // An end that follows from a lost connection is nobody's fault.
        if connection.close_reason().is_none() {
            peer.counters.violations.count(violation);
            tracing::warn!(peer = peer.index, reason = %violation, "peer broke the framing, connection closed");
            connection.close(close::VIOLATION, violation.to_string().as_bytes());
        }
    }
    peer.counters.inbound_up.store(false, Ordering::Relaxed);
    tracing::debug!(peer = peer.index, reason = ?connection.close_reason(), "connection of peer ended");
}

/// Admits the peer and reads its lanes, each in a task of its own that ends with this future.
async fn receive(shared: &Arc<Shared>, place: usize, connection: &Connection) -> Result<(), Violation> {
    let patience = shared.limits.handshake_timeout;
    let admission = async {
        let mut stream = connection.open_uni().await.map_err(|_| Violation::LaneEnded)?;
        stream.write_all(&ADMITTED).await.map_err(|_| Violation::LaneEnded)?;
        stream.finish().map_err(|_| Violation::LaneEnded)
    };
    // A peer that gives us no credit for one byte wants nothing from us.
    timeout(patience, admission).await.map_err(|_| Violation::NoLane)??;

    let mut lanes = JoinSet::new();
    let mut open = PerLane::new(|_| false);
    loop {
        tokio::select! {
            stream = connection.accept_uni() => {
                let Ok(mut stream) = stream else { return Ok(()) };
                let lane = timeout(patience, lane_of(&mut stream)).await.map_err(|_| Violation::NoLane)??;
                if std::mem::replace(open.of_mut(lane), true) {
                    return Err(Violation::SecondStream);
                }
                lanes.spawn(read_lane(Arc::clone(shared), place, lane, stream));
            }
            Some(end) = lanes.join_next() => return Err(end.unwrap_or(Violation::LaneEnded)),
        }
    }
}

async fn lane_of(stream: &mut RecvStream) -> Result<Lane, Violation> {
    let mut code = [0; 1];
    stream.read_exact(&mut code).await.map_err(|_| Violation::NoLane)?;
    let [code] = code;
    Lane::from_code(code).ok_or(Violation::NoLane)
}

/// Reads frames until the peer ends or breaks the lane.
async fn read_lane(shared: Arc<Shared>, place: usize, lane: Lane, stream: RecvStream) -> Violation {
    let Some(peer) = shared.peers.get(place) else { return Violation::NoLane };
    match read_frames(&shared, place, peer, lane, stream).await {
        Ok(never) => match never {},
        Err(violation) => violation,
    }
}

async fn read_frames(
    shared: &Shared,
    place: usize,
    peer: &PeerState,
    lane: Lane,
    stream: RecvStream,
) -> Result<std::convert::Infallible, Violation> {
    let mut stream = BufReader::with_capacity(READ_BUFFER, stream);
    let frame_bytes = shared.limits.lane(lane).frame_bytes;
    let counters = peer.counters.lanes.of(lane);
    loop {
        let (payload, share) = read_frame(&mut stream, frame_bytes, peer.budgets.of(lane)).await?;
        counters.frames_in.add(1);
        counters.bytes_in.add(wide(payload.len()));
        shared.inbox.push(place, Incoming { peer: peer.index, lane, payload, _share: share });
    }
}

/// Says at most once a second who was refused: anybody can knock, and must not be able to fill the log.
struct RefusalLog {
    start: Instant,
    /// **Units**: milliseconds since `start`, plus one; zero before the first.
    last: AtomicU64,
    silent: AtomicU64,
}

const LOG_INTERVAL: Duration = Duration::from_secs(1);

impl Default for RefusalLog {
    fn default() -> Self {
        RefusalLog { start: Instant::now(), last: AtomicU64::new(0), silent: AtomicU64::new(0) }
    }
}

impl RefusalLog {
    fn refused(&self, remote: SocketAddr, kind: HandshakeFailure, detail: &str) {
        if !self.may_speak(self.start.elapsed()) {
            self.silent.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unreported = self.silent.swap(0, Ordering::Relaxed);
        tracing::warn!(%remote, reason = kind.label(), detail, unreported, "connection refused");
    }

    fn may_speak(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let interval = u64::try_from(LOG_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let due = |last: u64| (last == 0 || now.saturating_sub(last) >= interval).then_some(now);
        self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }
}
