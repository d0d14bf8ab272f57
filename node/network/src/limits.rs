//! Every bound of this crate: sizes, budgets, times. The defaults are the product's; tests make them smaller.

use std::time::Duration;

use crate::error::NetworkError;
use crate::frame::Lane;

/// Version of the framing and of what flows through it; part of the protocol name in the handshake.
pub const PROTOCOL_VERSION: u32 = 1;

/// What every frame is charged on top of its length, in queues and budgets: what its bookkeeping costs in
/// memory, so that a peer cannot fill more memory with empty frames than with full ones.
pub const FRAME_OVERHEAD: usize = 128;

/// What one peer may have buffered at us, of all kinds together (reliability goal S7).
pub const PEER_BUDGET: usize = 16 * MIB;

/// Flow control: what a peer may have sent on one lane that we have not taken from QUIC yet. 1.5 MiB carries
/// 15 MB/s over a round trip of 100 ms. The window of the whole connection is twice this, so that bulk that
/// nobody reads can never use up the credit of the votes.
pub(crate) const STREAM_WINDOW: u32 = 3 * 512 * 1024;

const MIB: usize = 1024 * 1024;

/// Bounds of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// **Units**: bytes. Longest payload of a frame; a peer that announces a longer one is disconnected.
    pub frame_bytes: usize,
    /// **Units**: bytes. What one peer may have received and undelivered at us; beyond it we stop reading.
    pub inbox_bytes: usize,
    /// **Units**: bytes. What may wait to be sent to one peer; beyond it the oldest frame is dropped.
    pub queue_bytes: usize,
    /// How many frames may wait to be sent to one peer.
    pub queue_frames: usize,
}

/// All bounds of a [`crate::Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Votes, view changes, status.
    pub urgent: LaneLimits,
    /// Bodies, blocks, data.
    pub bulk: LaneLimits,
    /// Incoming handshakes at one time. Half of them are kept for the addresses of known peers.
    pub handshakes: usize,
    /// With this many incoming handshakes under way, a new one must first prove its address (QUIC Retry).
    pub retry_above: usize,
    /// How long a handshake may take, incoming or outgoing.
    pub handshake_timeout: Duration,
    /// A connection without any packet for this long is lost.
    pub idle_timeout: Duration,
    /// How often an idle connection is probed. Also how soon a restarted peer is noticed, by its reset.
    pub keep_alive: Duration,
    /// First pause between two attempts to reach a peer; it doubles.
    pub backoff_min: Duration,
    /// Longest pause between two attempts to reach a peer. Attempts never end.
    pub backoff_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // The longest urgent message is NEW-VIEW: about 270 KiB at n = 4, 650 KiB at n = 7 with a full
            // window. What does not fit belongs to the bulk lane.
            urgent: LaneLimits {
                frame_bytes: MIB,
                inbox_bytes: 2 * MIB,
                queue_bytes: 4 * MIB,
                queue_frames: 4096,
            },
            // A block is at most 1 MiB; a NEW-VIEW of 31 validators 7.7 MiB.
            bulk: LaneLimits {
                frame_bytes: 8 * MIB,
                inbox_bytes: 10 * MIB,
                queue_bytes: 16 * MIB,
                queue_frames: 4096,
            },
            handshakes: 256,
            retry_above: 32,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(1),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
        }
    }
}

impl Limits {
    pub(crate) fn lane(&self, lane: Lane) -> &LaneLimits {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Refuses limits under which a lane could never deliver its longest frame, or a peer could fill more than
    /// its budget.
    pub(crate) fn check(&self) -> Result<(), NetworkError> {
        let refuse = |what: &str| Err(NetworkError::Limits(what.to_owned()));
        for lane in Lane::ALL {
            let LaneLimits { frame_bytes, inbox_bytes, queue_bytes, queue_frames } = *self.lane(lane);
            let charge = frame_bytes.saturating_add(FRAME_OVERHEAD);
            if frame_bytes == 0 || u32::try_from(charge).is_err() {
                return refuse("the longest frame must have between 1 byte and 4 GiB");
            }
            if inbox_bytes < charge || queue_bytes < charge || queue_frames == 0 {
                return refuse("inbox and queue of a lane must hold its longest frame");
            }
        }
        let windows = usize::try_from(STREAM_WINDOW).unwrap_or(usize::MAX).saturating_mul(2);
        let buffered = self.urgent.inbox_bytes.saturating_add(self.bulk.inbox_bytes).saturating_add(windows);
        if buffered > PEER_BUDGET {
            return refuse("inboxes and flow-control windows of one peer must fit 16 MiB");
        }
        if self.handshakes < 2 || self.backoff_min.is_zero() || self.backoff_max < self.backoff_min {
            return refuse("at least 2 handshakes; 0 < backoff_min <= backoff_max");
        }
        Ok(())
    }
}
