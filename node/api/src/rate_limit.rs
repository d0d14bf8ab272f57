//! A token bucket for each client address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many requests one address may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that may come at once.
    pub burst: u32,
    /// In which time a used-up allowance fills again.
    pub period: Duration,
}

/// What is left for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whether this request is within the limit.
    pub granted: bool,
    /// Requests left now.
    pub remaining: u32,
    /// When one more, or after a grant all, will be there.
    pub reset: Duration,
}

/// Counts requests by address; an IPv6 network of 64 bits, which one client commands, counts as one.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    buckets: Mutex<BTreeMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// The most addresses remembered; beyond, those whose bucket is full again are forgotten, then all.
const ADDRESSES_MAX: usize = 50_000;

impl RateLimiter {
    /// A limiter with nobody counted yet.
    pub fn new(limit: RateLimit) -> Self {
        RateLimiter { limit, buckets: Mutex::new(BTreeMap::new()) }
    }

    /// The limit.
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Counts a request of `address` at `now`.
    pub fn take(&self, address: IpAddr, now: Instant) -> Allowance {
        let burst = f64::from(self.limit.burst);
        let rate = burst / self.limit.period.as_secs_f64().max(0.001);
        let refilled = |bucket: &Bucket| {
            (bucket.tokens + now.saturating_duration_since(bucket.filled).as_secs_f64() * rate).min(burst)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| refilled(bucket) < burst);
            if buckets.len() >= ADDRESSES_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(network_of(address)).or_insert(Bucket { tokens: burst, filled: now });
        let tokens = refilled(bucket);
        let granted = tokens >= 1.0;
        let left = if granted { tokens - 1.0 } else { tokens };
        *bucket = Bucket { tokens: left, filled: now };
        let missing = if granted { burst - left } else { 1.0 - left };
        Allowance { granted, remaining: whole(left), reset: Duration::from_secs_f64(missing / rate) }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a u32")]
fn whole(tokens: f64) -> u32 {
    tokens.floor() as u32
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => {
                let [a, b, c, d, ..] = six.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
    }
}
