//! The timers of an event loop, and the time in which they run: it stands still while the loop itself does not run.
//!
//! A process that was stopped, or a machine that stood still, finds all its timers expired before it has read what came meanwhile. It
//! would take its own absence for its leader's, and leave a view in which the others go on. **Source**: decision record 75.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use carat_consensus::{Now, Timer};

use crate::clock::Clock;

/// The loop looks at the clock at least this often. **Units**: microseconds.
const LOOK_EVERY_US: u64 = 100_000;
/// Between two looks no more time than this has passed for the loop. **Units**: microseconds.
const GAP_MAX_US: u64 = 2 * LOOK_EVERY_US;

/// The timers that run, each at most once.
#[derive(Debug)]
pub(crate) struct Timers {
    clock: Clock,
    /// The clock at the last look. **Units**: microseconds.
    seen_us: u64,
    /// The time of this loop. **Units**: microseconds.
    lived_us: u64,
    /// In the time of this loop. **Units**: microseconds.
    deadlines: BTreeMap<Timer, u64>,
}

impl Timers {
    /// No timer runs; the time of the loop is that of the clock.
    pub(crate) fn start(clock: Clock) -> Self {
        let seen_us = clock.monotonic_us();
        Timers { clock, seen_us, lived_us: seen_us, deadlines: BTreeMap::new() }
    }

    /// The moment, with the time of this loop as its monotonic time.
    pub(crate) fn now(&mut self) -> Now {
        let now = self.clock.now();
        self.look(now.monotonic_us);
        Now { monotonic_us: self.lived_us, ..now }
    }

    fn look(&mut self, clock_us: u64) {
        let gap_us = clock_us.saturating_sub(self.seen_us);
        self.lived_us = self.lived_us.saturating_add(gap_us.min(GAP_MAX_US));
        self.seen_us = clock_us;
    }

    pub(crate) fn set(&mut self, timer: Timer, after_us: u64) {
        let deadline = self.now().monotonic_us.saturating_add(after_us);
        self.deadlines.insert(timer, deadline);
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.deadlines.remove(&timer);
    }

    /// Until when the loop may wait for input.
    pub(crate) fn next(&self) -> Instant {
        let first = self.deadlines.values().min().copied().unwrap_or(u64::MAX);
        let left_us = first.saturating_sub(self.lived_us).min(LOOK_EVERY_US);
        Instant::now() + Duration::from_micros(left_us)
    }

    /// Takes out those that have run out.
    pub(crate) fn due(&mut self) -> Vec<Timer> {
        let now_us = self.now().monotonic_us;
        let due: Vec<Timer> =
            self.deadlines.iter().filter(|(_, at)| **at <= now_us).map(|(timer, _)| *timer).collect();
        due.iter().for_each(|timer| self.cancel(*timer));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_while_the_loop_does_not_run() {
        let mut timers = Timers::start(Clock::start());
        let (began, lived) = (timers.seen_us, timers.lived_us);
        timers.look(began + LOOK_EVERY_US);
        assert_eq!(timers.lived_us, lived + LOOK_EVERY_US, "a look in time counts whole");
        timers.look(began + 60 * LOOK_EVERY_US);
        assert_eq!(timers.lived_us, lived + LOOK_EVERY_US + GAP_MAX_US, "an absence does not");
        timers.look(began + 61 * LOOK_EVERY_US);
        assert_eq!(timers.lived_us, lived + 2 * LOOK_EVERY_US + GAP_MAX_US, "nor is it made up for");
    }

    #[test]
    fn timer_set_before_an_absence_runs_out_as_late_as_the_absence_was_long() {
        const SECOND_US: u64 = 1_000_000;
        let mut timers = Timers::start(Clock::start());
        timers.set(Timer::Progress, SECOND_US);
        timers.look(timers.seen_us + 3_600 * SECOND_US);
        assert_eq!(timers.due(), [] as [Timer; 0]);
        for _ in 0..SECOND_US / LOOK_EVERY_US {
            assert!(timers.next() <= Instant::now() + Duration::from_micros(LOOK_EVERY_US));
            timers.look(timers.seen_us + LOOK_EVERY_US);
        }
        // `due` reads the clock itself, which is behind this test's: no time passes for it.
        assert_eq!(timers.due(), [Timer::Progress]);
        assert_eq!(timers.due(), [] as [Timer; 0]);
    }
}
