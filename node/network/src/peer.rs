//! What all tasks of the network share: the peers with their queues, budgets and counters.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use carat_types::PublicKey;
use quinn::Connection;
use tokio::sync::{Notify, watch};

use crate::budget::Budget;
use crate::frame::{Lane, PerLane};
use crate::inbox::Shelves;
use crate::limits::Limits;
use crate::queue::SendQueue;
use crate::stats::{
    Counter, HandshakeFailure, LaneStats, PathStats, PeerCounters, PeerStats, Stats, Tally, wide,
};

/// The whole state of a running network.
pub(crate) struct Shared {
    pub(crate) me: u16,
    pub(crate) limits: Limits,
    /// By ascending index; a peer's position here is its *place*.
    pub(crate) peers: Vec<PeerState>,
    pub(crate) inbox: Arc<Shelves>,
    pub(crate) refused: Tally<HandshakeFailure>,
    pub(crate) turned_away: Counter,
    pub(crate) retried: Counter,
}

/// One peer, whether it is reachable or not.
pub(crate) struct PeerState {
    pub(crate) index: u16,
    pub(crate) key: PublicKey,
    pub(crate) address: watch::Sender<SocketAddr>,
    pub(crate) queues: PerLane<SendQueue>,
    pub(crate) budgets: PerLane<Budget>,
    pub(crate) counters: PeerCounters,
    /// The connection that the peer made to us last. A newer one closes it.
    pub(crate) inbound: Mutex<Option<Connection>>,
    /// Held by whoever reads the peer's frames, so that two connections never do so at once.
    pub(crate) reading: tokio::sync::Mutex<()>,
    /// The connection that we made, while it stands.
    pub(crate) outbound: Mutex<Option<Connection>>,
    /// Set when the peer has just connected to us: so it is alive, and worth dialling now.
    pub(crate) alive: Notify,
}

impl PeerState {
    pub(crate) fn new(index: u16, key: PublicKey, address: SocketAddr, limits: &Limits) -> Self {
        PeerState {
            index,
            key,
            address: watch::Sender::new(address),
            queues: PerLane::new(|lane| SendQueue::new(limits.lane(lane))),
            budgets: PerLane::new(|lane| Budget::new(limits.lane(lane))),
            counters: PeerCounters::new(),
            inbound: Mutex::new(None),
            reading: tokio::sync::Mutex::new(()),
            outbound: Mutex::new(None),
            alive: Notify::new(),
        }
    }

    pub(crate) fn send(&self, lane: Lane, frame: Bytes) {
        let dropped = self.queues.of(lane).push(frame);
        self.counters.lanes.of(lane).dropped.add(dropped);
    }

    fn stats(&self) -> PeerStats {
        let counters = &self.counters;
        let lane_stats = |lane| {
            let (counted, (queued_frames, queued_bytes)) =
                (counters.lanes.of(lane), self.queues.of(lane).length());
            LaneStats {
                frames_in: counted.frames_in.get(),
                bytes_in: counted.bytes_in.get(),
                frames_out: counted.frames_out.get(),
                bytes_out: counted.bytes_out.get(),
                dropped: counted.dropped.get(),
                queued_frames: wide(queued_frames),
                queued_bytes: wide(queued_bytes),
                inbox_bytes: wide(self.budgets.of(lane).used()),
            }
        };
        let path = lock(&self.outbound).as_ref().map(|connection| connection.stats().path);
        let lost_now = path.map_or(0, |path| path.lost_packets);
        PeerStats {
            outbound_up: counters.outbound_up.load(Ordering::Relaxed),
            inbound_up: counters.inbound_up.load(Ordering::Relaxed),
            path: path.map(|path| PathStats { round_trip: path.rtt, window: path.cwnd }),
            lost_datagrams: counters.lost_datagrams.get().saturating_add(lost_now),
            lanes: PerLane::new(lane_stats),
            connects: counters.connects.get(),
            accepts: counters.accepts.get(),
            failures: counters.failures.snapshot(),
            violations: counters.violations.snapshot(),
        }
    }
}

impl Shared {
    pub(crate) fn peer(&self, index: u16) -> Option<&PeerState> {
        let place = self.peers.binary_search_by_key(&index, |peer| peer.index).ok()?;
        self.peers.get(place)
    }

    /// Whether a peer is expected at this address. Anybody can claim it; it only decides who waits for whom.
    pub(crate) fn is_known(&self, address: IpAddr) -> bool {
        self.peers.iter().any(|peer| peer.address.borrow().ip() == address)
    }

    pub(crate) fn stats(&self) -> Stats {
        let peers: BTreeMap<u16, PeerStats> =
            self.peers.iter().map(|peer| (peer.index, peer.stats())).collect();
        Stats {
            peers,
            refused: self.refused.snapshot(),
            turned_away: self.turned_away.get(),
            retried: self.retried.get(),
        }
    }
}

/// Locks; a thread that panicked while holding a lock has left nothing half done in this crate.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
