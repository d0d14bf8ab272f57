//! What one follower may cost: so many bytes a second.

use std::time::Duration;

/// An account that fills with time and is charged afterwards: an answer is never cut, and the next one waits for what it cost.
#[derive(Debug)]
pub(super) struct Budget {
    per_second: u64,
    /// At most one second's worth; below zero after a long answer. **Units**: bytes, times a million.
    balance: i128,
    /// **Units**: monotonic microseconds.
    at_us: u64,
}

const MICROS: i128 = 1_000_000;

impl Budget {
    /// A second's worth to begin with.
    pub(super) fn new(per_second: u64, now_us: u64) -> Self {
        Budget { per_second, balance: i128::from(per_second).saturating_mul(MICROS), at_us: now_us }
    }

    /// How long it takes until something may be sent: no time while the balance is above zero.
    pub(super) fn wait(&mut self, now_us: u64) -> Duration {
        self.fill(now_us);
        let missing = 1_i128.saturating_sub(self.balance).max(0);
        let rate = i128::from(self.per_second).max(1);
        let wait_us = missing.saturating_add(rate).saturating_sub(1).checked_div(rate).unwrap_or(0);
        Duration::from_micros(u64::try_from(wait_us).unwrap_or(u64::MAX))
    }

    /// Takes what was sent from the account.
    pub(super) fn charge(&mut self, bytes: usize) {
        let bytes = i128::try_from(bytes).unwrap_or(i128::MAX).saturating_mul(MICROS);
        self.balance = self.balance.saturating_sub(bytes);
    }

    fn fill(&mut self, now_us: u64) {
        let earned = i128::from(now_us.saturating_sub(self.at_us)).saturating_mul(self.per_second.into());
        self.at_us = now_us.max(self.at_us);
        let most = i128::from(self.per_second).saturating_mul(MICROS);
        self.balance = self.balance.saturating_add(earned).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answer_is_waited_for_afterwards_and_idle_time_is_not_saved_up() {
        let mut budget = Budget::new(1_000, 0);
        assert_eq!(budget.wait(0), Duration::ZERO);
        budget.charge(3_000);
        assert_eq!(budget.wait(0), Duration::from_micros(2_000_001), "two seconds' worth is owed");
        assert_eq!(budget.wait(1_500_000), Duration::from_micros(500_001));
        assert_eq!(budget.wait(2_000_001), Duration::ZERO);
        // An hour later there is a second's worth, no more.
        assert_eq!(budget.wait(3_600_000_000), Duration::ZERO);
        budget.charge(1_000);
        assert!(budget.wait(3_600_000_000) > Duration::ZERO);
        // A clock that stands still, or an older reading, earns nothing.
        assert!(budget.wait(0) > Duration::ZERO);
    }
}
