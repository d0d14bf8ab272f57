//! When transactions are meant to be sent, and a thread that says so when it is time.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How arrivals are spread at a given rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Independent of one another, as those of many clients are.
    #[default]
    Poisson,
    /// At equal distances.
    Constant,
}

/// Arrivals of one run, in order, as times from its start.
#[derive(Debug)]
pub struct Arrivals {
    rate: f64,
    spread: Spread,
    next: Duration,
    end: Duration,
    random: u64,
}

impl Arrivals {
    /// `rate` a second until `end`; the same `seed` gives the same arrivals.
    pub fn new(rate: f64, spread: Spread, end: Duration, seed: u64) -> Self {
        let mut arrivals = Arrivals { rate, spread, next: Duration::ZERO, end, random: seed };
        arrivals.next = arrivals.gap();
        arrivals
    }

    fn gap(&mut self) -> Duration {
        let mean = 1.0 / self.rate;
        Duration::from_secs_f64(match self.spread {
            Spread::Constant => mean,
            Spread::Poisson => -mean * self.uniform().ln(),
        })
    }

    /// In (0, 1]. SplitMix64: good enough for gaps, and the same everywhere.
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.next >= self.end {
            return None;
        }
        let now = self.next;
        let gap = self.gap();
        self.next += gap;
        Some(now)
    }
}

/// Wake-ups are no closer than this, so that a high rate does not cost one for each arrival. **Effect**: at high rates
/// a transaction is sent up to so much late, which its latency shows.
const TICK: Duration = Duration::from_micros(500);

/// Says each intended time once it has come. A thread of its own: timers of the runtime are coarser than a
/// millisecond.
///
/// **Returns** the times; the channel is bounded by the run's own number of arrivals.
///
/// **Errors**: no thread can be had.
pub fn clock(arrivals: Arrivals, start: Instant) -> std::io::Result<UnboundedReceiver<Instant>> {
    let (due, times) = unbounded_channel();
    std::thread::Builder::new().name("arrivals".into()).spawn(move || {
        let mut last_wake = start;
        for arrival in arrivals {
            let intended = start + arrival;
            if let Some(early) = intended.checked_duration_since(Instant::now()) {
                #[expect(clippy::disallowed_methods, reason = "a clock waits for nothing but time")]
                std::thread::sleep(early.max(TICK.saturating_sub(last_wake.elapsed())));
                last_wake = Instant::now();
            }
            if due.send(intended).is_err() {
                return;
            }
        }
    })?;
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_have_the_rate_that_was_asked_for() {
        let count = |spread| Arrivals::new(1_000.0, spread, Duration::from_secs(20), 7).count();
        assert!((19_999..=20_000).contains(&count(Spread::Constant)));
        // Three standard deviations of a Poisson count are 424.
        assert!((19_576..=20_424).contains(&count(Spread::Poisson)), "{}", count(Spread::Poisson));
    }

    #[test]
    fn poisson_gaps_vary_as_exponential_ones_do() {
        let times: Vec<f64> = Arrivals::new(100.0, Spread::Poisson, Duration::from_secs(100), 3)
            .map(|time| time.as_secs_f64())
            .collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // P(gap > mean) = 1/e.
        let long = gaps.iter().filter(|gap| **gap > 0.01).count() as f64 / gaps.len() as f64;
        assert!((0.35..0.39).contains(&long), "{long}");
    }
}
