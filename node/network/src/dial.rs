//! Sending: one task for each peer keeps one connection to it, for ever, and writes its queues to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{ClientConfig, ConnectError, Connection, ConnectionError, Endpoint, SendStream};
use tokio::time::{Instant, sleep, timeout};

use crate::accept::ADMITTED;
use crate::frame::{Lane, encode};
use crate::limits::Limits;
use crate::peer::{PeerState, Shared, lock};
use crate::stats::{Counter, HandshakeFailure, wide};

/// TLS wants a name; nobody reads it and it is not sent.
const SERVER_NAME: &str = "validator";

/// The urgent lane's data leaves before the bulk lane's.
fn priority(lane: Lane) -> i32 {
    match lane {
        Lane::Urgent => 1,
        Lane::Bulk => 0,
    }
}

/// Keeps a connection to the peer at `place` until the endpoint closes.
pub(crate) async fn run(shared: Arc<Shared>, endpoint: Endpoint, place: usize, config: ClientConfig) {
    let Some(peer) = shared.peers.get(place) else { return };
    let mut backoff = Backoff::new(&shared.limits, shared.me, peer.index);
    let mut log = FailureLog::default();
    loop {
        match connect(&shared.limits, &endpoint, peer, config.clone()).await {
            Ok(connection) => {
                log = FailureLog::default();
                let since = Instant::now();
                serve(&shared, place, peer, &connection).await;
                backoff.connected_for(since.elapsed());
            }
            Err(Failure::Stopping) => return,
            Err(Failure::Handshake { kind, text }) => {
                peer.counters.failures.count(kind);
                log.failed(peer, kind, &text);
            }
        }
        backoff.pause(peer).await;
    }
}

enum Failure {
    /// The endpoint closes.
    Stopping,
    Handshake {
        kind: HandshakeFailure,
        text: String,
    },
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        Failure::Handshake { kind: HandshakeFailure::of(&error), text: error.to_string() }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::EndpointStopping => Failure::Stopping,
            other => Failure::Handshake { kind: HandshakeFailure::Other, text: other.to_string() },
        }
    }
}

/// Dials, proves who we are, checks who they are, and waits until they say that we are admitted: TLS lets a client
/// believe in a connection before the server has looked at its certificate.
async fn connect(
    limits: &Limits,
    endpoint: &Endpoint,
    peer: &PeerState,
    config: ClientConfig,
) -> Result<Connection, Failure> {
    let address = *peer.address.borrow();
    let connecting = endpoint.connect_with(config, address, SERVER_NAME)?;
    let handshake = async {
        let connection = connecting.await?;
        let mut admission = connection.accept_uni().await?;
        let mut byte = [0; 1];
        match admission.read_exact(&mut byte).await {
            Ok(()) if byte == ADMITTED => Ok(connection),
            Ok(()) => Err(Failure::Handshake {
                kind: HandshakeFailure::Protocol,
                text: format!("admission {byte:?}, expected {ADMITTED:?}"),
            }),
            Err(_) => Err(connection.closed().await.into()),
        }
    };
    timeout(limits.handshake_timeout, handshake).await.unwrap_or_else(|_| {
        Err(Failure::Handshake { kind: HandshakeFailure::Timeout, text: format!("no answer from {address}") })
    })
}

/// Writes both lanes until the connection ends.
async fn serve(shared: &Shared, place: usize, peer: &PeerState, connection: &Connection) {
    peer.counters.connects.add(1);
    peer.counters.outbound_up.store(true, Ordering::Relaxed);
    *lock(&peer.outbound) = Some(connection.clone());
    shared.inbox.link(place, Some(peer.counters.connects.get()));
    tracing::info!(peer = peer.index, address = %connection.remote_address(), "connected to peer");

    tokio::select! {
        _ = connection.closed() => {}
        () = write_lane(peer, Lane::Urgent, connection) => {}
        () = write_lane(peer, Lane::Bulk, connection) => {}
    }
    // A lane that cannot be written means a connection that is lost, or a peer that refuses the stream.
    let reason =
        connection.close_reason().map_or_else(|| "peer stopped a lane".to_owned(), |why| why.to_string());
    connection.close(quinn::VarInt::from_u32(0), b"lane stopped");

    *lock(&peer.outbound) = None;
    peer.counters.lost_datagrams.add(connection.stats().path.lost_packets);
    peer.counters.outbound_up.store(false, Ordering::Relaxed);
    shared.inbox.link(place, None);
    tracing::warn!(peer = peer.index, %reason, "lost the connection to peer");
}

/// Writes the queue of one lane. What was taken from the queue when the connection breaks is lost: consensus sends
/// again what matters.
async fn write_lane(peer: &PeerState, lane: Lane, connection: &Connection) {
    let Ok(mut stream) = connection.open_uni().await else { return };
    if stream.set_priority(priority(lane)).is_err() || stream.write_all(&[lane.code()]).await.is_err() {
        return;
    }
    let counters = peer.counters.lanes.of(lane);
    loop {
        let batch = peer.queues.of(lane).next_batch().await;
        if write_batch(&mut stream, &batch).await.is_err() {
            return;
        }
        counters.frames_out.add(wide(batch.len()));
        add_bytes(&counters.bytes_out, &batch);
    }
}

async fn write_batch(stream: &mut SendStream, batch: &[bytes::Bytes]) -> Result<(), quinn::WriteError> {
    stream.write_all_chunks(&mut encode(batch)).await
}

fn add_bytes(counter: &Counter, batch: &[bytes::Bytes]) {
    counter.add(batch.iter().map(|frame| wide(frame.len())).fold(0, u64::saturating_add));
}

/// The pauses between attempts: doubling, bounded, never ending.
struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    /// Out of 100: how much of each pause this pair of validators waits, so that many that lost each other at one
    /// moment do not all dial at one moment.
    percent: u32,
}

impl Backoff {
    fn new(limits: &Limits, me: u16, peer: u16) -> Self {
        let spread = u32::from(me).saturating_mul(7).saturating_add(u32::from(peer).saturating_mul(13));
        let percent = 100_u32.saturating_sub(spread.checked_rem(25).unwrap_or(0));
        Backoff { min: limits.backoff_min, max: limits.backoff_max, next: limits.backoff_min, percent }
    }

    /// A connection that stood for a while starts the pauses anew; one that broke at once, perhaps because two
    /// processes use our key and replace each other, does not.
    fn connected_for(&mut self, time: Duration) {
        if time >= self.max {
            self.next = self.min;
        }
    }

    fn step(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.max);
        pause.saturating_mul(self.percent).checked_div(100).unwrap_or(pause)
    }

    /// Waits. A sign of life or a new address ends the wait, but for the shortest one.
    async fn pause(&mut self, peer: &PeerState) {
        let pause = self.step();
        let first = pause.min(self.min);
        sleep(first).await;
        let mut address = peer.address.subscribe();
        tokio::select! {
            () = sleep(pause.saturating_sub(first)) => {}
            () = peer.alive.notified() => {}
            _ = address.changed() => {}
        }
    }
}

/// Says once why a peer is not reachable; the repetitions are for the debug level and the counters.
#[derive(Default)]
struct FailureLog {
    last: Option<HandshakeFailure>,
}

impl FailureLog {
    fn failed(&mut self, peer: &PeerState, kind: HandshakeFailure, text: &str) {
        let address = *peer.address.borrow();
        if self.last.replace(kind) == Some(kind) {
            tracing::debug!(peer = peer.index, %address, reason = kind.label(), detail = text, "peer not reached");
        } else {
            let hint = hint(kind);
            tracing::warn!(peer = peer.index, %address, reason = kind.label(), detail = text, hint, "peer not reached");
        }
    }
}

fn hint(kind: HandshakeFailure) -> &'static str {
    match kind {
        HandshakeFailure::Timeout | HandshakeFailure::Refused => {
            "is the peer running, and is its address right? trying for ever"
        }
        HandshakeFailure::Protocol => {
            "the peer belongs to another network or speaks another version; the log of the side that was dialled \
             names both: compare `carat-genesis show` of both genesis files"
        }
        HandshakeFailure::Key | HandshakeFailure::Signature | HandshakeFailure::NoCertificate => {
            "one side's network key is not the one in the other side's genesis file: check address and key files"
        }
        HandshakeFailure::Other => "see the detail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_without_success_doubles_up_to_its_bound_and_differs_between_pairs() {
        let limits = Limits::default();
        let mut pauses = Backoff::new(&limits, 0, 0);
        let steps: Vec<u128> = (0..7).map(|_| pauses.step().as_millis()).collect();
        assert_eq!(steps, [100, 200, 400, 800, 1600, 2000, 2000]);
        pauses.connected_for(Duration::from_millis(10));
        assert_eq!(pauses.step().as_millis(), 2000);
        pauses.connected_for(Duration::from_secs(2));
        assert_eq!(pauses.step().as_millis(), 100);
        assert_eq!(Backoff::new(&limits, 1, 2).step().as_millis(), 92);
    }
}
