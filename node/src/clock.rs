//! The two clocks of this process, read in one place.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use carat_consensus::Now;

/// Reads the clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Self {
        Clock { started: Instant::now() }
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        Now { monotonic_us: self.monotonic_us(), wall_ms: wall_ms() }
    }

    /// Microseconds since the start.
    pub fn monotonic_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Milliseconds since 1970; 0 for a clock set before.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
