//! What the network counts: a plain snapshot for the node's metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quinn::ConnectionError;

use crate::frame::{PerLane, Violation};

/// Why a handshake failed, ours with a peer or anybody's with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HandshakeFailure {
    /// Nobody answered in time.
    Timeout,
    /// The other side speaks another protocol version or belongs to another network.
    Protocol,
    /// The other side's key is not the expected one, or not of the genesis file; or ours is not for them.
    Key,
    /// The other side showed no certificate.
    NoCertificate,
    /// The other side could not prove that it holds its key.
    Signature,
    /// The other side had no room for us, or stopped.
    Refused,
    /// Anything else; the log has the text.
    Other,
}

impl HandshakeFailure {
    /// All kinds.
    pub const ALL: [HandshakeFailure; 7] = [
        HandshakeFailure::Timeout,
        HandshakeFailure::Protocol,
        HandshakeFailure::Key,
        HandshakeFailure::NoCertificate,
        HandshakeFailure::Signature,
        HandshakeFailure::Refused,
        HandshakeFailure::Other,
    ];

    /// Label for metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            HandshakeFailure::Timeout => "timeout",
            HandshakeFailure::Protocol => "protocol",
            HandshakeFailure::Key => "key",
            HandshakeFailure::NoCertificate => "no_certificate",
            HandshakeFailure::Signature => "signature",
            HandshakeFailure::Refused => "refused",
            HandshakeFailure::Other => "other",
        }
    }

    /// The kind of a handshake's error, which either side may have raised.
    pub(crate) fn of(error: &ConnectionError) -> Self {
        let code = match error {
            ConnectionError::TimedOut => return HandshakeFailure::Timeout,
            ConnectionError::ApplicationClosed(_) => return HandshakeFailure::Refused,
            ConnectionError::TransportError(error) => u64::from(error.code),
            ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
            _ => return HandshakeFailure::Other,
        };
        // QUIC error codes: 2 CONNECTION_REFUSED; from 0x100 TLS alerts (RFC 8446, section 6).
        match code {
            0x02 => HandshakeFailure::Refused,
            0x178 => HandshakeFailure::Protocol,
            0x174 => HandshakeFailure::NoCertificate,
            0x12a..=0x12e | 0x130 | 0x131 => HandshakeFailure::Key,
            0x133 => HandshakeFailure::Signature,
            _ => HandshakeFailure::Other,
        }
    }
}

/// A snapshot of all counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// One entry for each peer, by index.
    pub peers: BTreeMap<u16, PeerStats>,
    /// Incoming handshakes that failed, by reason. Nobody knows whose they were.
    pub refused: BTreeMap<HandshakeFailure, u64>,
    /// Incoming handshakes that were turned away because too many were under way.
    pub turned_away: u64,
    /// Incoming handshakes that were asked to prove their address first.
    pub retried: u64,
}

/// Counters of one peer. They start from zero with the process and never fall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Whether our frames reach it.
    pub outbound_up: bool,
    /// Whether its frames reach us.
    pub inbound_up: bool,
    /// How the way to it looks to QUIC, while our connection stands.
    pub path: Option<PathStats>,
    /// Datagrams to it that QUIC took for lost and sent again.
    pub lost_datagrams: u64,
    /// Traffic by lane.
    pub lanes: PerLane<LaneStats>,
    /// Connections that we made to it; all but the first are reconnects.
    pub connects: u64,
    /// Connections that it made to us.
    pub accepts: u64,
    /// Our failed attempts to reach it, by reason.
    pub failures: BTreeMap<HandshakeFailure, u64>,
    /// What it did against the framing.
    pub violations: BTreeMap<Violation, u64>,
}

/// The way to a peer, as QUIC estimates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStats {
    /// Round-trip time.
    pub round_trip: Duration,
    /// How much may be under way at one time. **Units**: bytes.
    pub window: u64,
}

/// Traffic of one peer on one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Frames received.
    pub frames_in: u64,
    /// **Units**: bytes of payload received.
    pub bytes_in: u64,
    /// Frames handed to QUIC.
    pub frames_out: u64,
    /// **Units**: bytes of payload handed to QUIC.
    pub bytes_out: u64,
    /// Frames dropped before sending, because the queue was full or the frame not allowed.
    pub dropped: u64,
    /// Frames that wait to be sent now.
    pub queued_frames: u64,
    /// **Units**: bytes, with overhead, that wait to be sent now.
    pub queued_bytes: u64,
    /// **Units**: bytes, with overhead, that were received and are held now.
    pub inbox_bytes: u64,
}

/// The live counters of one lane.
#[derive(Default)]
pub(crate) struct LaneCounters {
    pub(crate) frames_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) dropped: Counter,
}

/// The live counters of one peer.
pub(crate) struct PeerCounters {
    pub(crate) lanes: PerLane<LaneCounters>,
    pub(crate) outbound_up: AtomicBool,
    pub(crate) inbound_up: AtomicBool,
    /// Of connections that have ended.
    pub(crate) lost_datagrams: Counter,
    pub(crate) connects: Counter,
    pub(crate) accepts: Counter,
    pub(crate) failures: Tally<HandshakeFailure>,
    pub(crate) violations: Tally<Violation>,
}

impl PeerCounters {
    pub(crate) fn new() -> Self {
        PeerCounters {
            lanes: PerLane::new(|_| LaneCounters::default()),
            outbound_up: AtomicBool::new(false),
            inbound_up: AtomicBool::new(false),
            lost_datagrams: Counter::default(),
            connects: Counter::default(),
            accepts: Counter::default(),
            failures: Tally::default(),
            violations: Tally::default(),
        }
    }
}

/// A number that only grows. Counters order nothing, so relaxed memory order is enough.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often each of a few things happened.
pub(crate) struct Tally<K>(Mutex<BTreeMap<K, u64>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Tally(Mutex::new(BTreeMap::new()))
    }
}

impl<K: Ord + Clone> Tally<K> {
    pub(crate) fn count(&self, what: K) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(what).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<K, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A count as the snapshot has it.
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
