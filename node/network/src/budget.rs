//! What one peer may have received and undelivered at us, on one lane.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{FRAME_OVERHEAD, LaneLimits};

/// A number of bytes that shares are taken from and come back to.
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    total: usize,
}

/// What a frame holds of its peer's budget, until dropped.
#[derive(Debug)]
pub(crate) struct Share {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(limits: &LaneLimits) -> Self {
        Budget { free: Arc::new(Semaphore::new(limits.inbox_bytes)), total: limits.inbox_bytes }
    }

    /// Waits for room for a frame of `length` bytes, at most the lane's longest.
    pub(crate) async fn take(&self, length: usize) -> Share {
        let charge = u32::try_from(length.saturating_add(FRAME_OVERHEAD)).unwrap_or(u32::MAX);
        // The semaphore is never closed, so that a permit always comes; `Limits::check` saw that it can.
        Share { _permit: Arc::clone(&self.free).acquire_many_owned(charge).await.ok() }
    }

    /// **Units**: bytes, with the overhead of each frame.
    pub(crate) fn used(&self) -> usize {
        self.total.saturating_sub(self.free.available_permits())
    }
}
