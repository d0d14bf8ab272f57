//! The protocol's constants, from the genesis file.

use carat_types::batch::BlockLimits;

/// Constants of one epoch. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// L: slots that may be open above the stable checkpoint.
    pub window: u64,
    /// K: every K-th slot is a checkpoint.
    pub checkpoint_interval: u64,
    /// R: fresh slots that one view may order (T6).
    pub term: u64,
    /// T0: first view time-out.
    pub timeout_ms: u64,
    /// T_max: largest view time-out.
    pub timeout_max_ms: u64,
    /// HEARTBEAT: an idle leader proposes an empty batch this often.
    pub heartbeat_ms: u64,
    /// DRIFT: how far a fresh proposal's time may be ahead of the own clock.
    pub drift_ms: u64,
    /// P: pending transactions that a leader's pool holds, shared out among the acceptors (section 14).
    pub pool: u64,
    /// Slots that a leader keeps in flight before it waits for more transactions.
    pub pipeline: u64,
    /// Limits of a block.
    pub limits: BlockLimits,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            window: 256,
            checkpoint_interval: 64,
            term: 1_024,
            timeout_ms: 1_000,
            timeout_max_ms: 10_000,
            heartbeat_ms: 1_000,
            drift_ms: 5_000,
            pool: 20_000,
            pipeline: 4,
            limits: BlockLimits::default(),
        }
    }
}
