//! What is counted while a load runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Failures that are kept in words.
const SAMPLES_MAX: usize = 5;
/// Different reasons that are kept.
const REASONS_MAX: usize = 20;
/// The longest latency that a histogram tells from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(120);

/// Times and counters of one load.
#[derive(Debug)]
pub struct Measured {
    start: Instant,
    warm_up: Duration,
    end: Duration,
    /// Microseconds from the intended send to the verified receipt, of transactions that were meant to be sent in the
    /// counted time.
    pub latency_us: Histogram<u64>,
    /// Transactions meant to be sent in the counted time.
    pub offered: u64,
    /// Receipts verified in the counted time.
    pub settled: u64,
    /// Receipts verified at all.
    pub settled_in_all: u64,
    /// Transactions that were never sent, since no account was free at their time.
    pub held_back: u64,
    /// What went wrong.
    pub errors: Errors,
    /// Answers that asked to come back later (503); the same bytes are then sent again.
    pub busy: u64,
    /// Times that the same bytes went to another node.
    pub sent_again: u64,
    /// Why bytes were sent more than once, by the nodes' words.
    pub reasons: BTreeMap<String, u64>,
    /// Receipts by the rule that they rest on.
    pub rules: BTreeMap<String, u64>,
    /// The first few failures, in words.
    pub samples: Vec<String>,
    /// Second by second from the start.
    pub seconds: Vec<Second>,
}

/// Transactions that did not end well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Without an outcome in time, and no node has one afterwards.
    pub lost: u64,
    /// Refused, failed, or with a receipt that does not hold.
    pub wrong: u64,
    /// Without an outcome in time, though a node has one afterwards.
    pub unanswered: u64,
}

impl Errors {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.lost + self.wrong + self.unanswered
    }
}

/// One second of a load.
#[derive(Debug)]
pub struct Second {
    /// Transactions meant to be sent in it.
    pub offered: u64,
    /// Receipts verified in it.
    pub settled: u64,
    /// Microseconds, of those.
    pub latency_us: Histogram<u64>,
}

/// How one transaction ended.
#[derive(Debug)]
pub enum End {
    /// Its receipt proves success, by this rule.
    Settled(String),
    /// It failed, or something is not as it must be.
    Wrong(String),
    /// No outcome in time.
    Unanswered(String),
}

impl Measured {
    /// Counts from `warm_up` after `start` until `end` after `start`.
    ///
    /// **Errors**: never for the bounds that there are.
    pub fn new(start: Instant, warm_up: Duration, end: Duration) -> Result<Self> {
        Ok(Measured {
            start,
            warm_up,
            end,
            latency_us: histogram(3)?,
            offered: 0,
            settled: 0,
            settled_in_all: 0,
            held_back: 0,
            errors: Errors::default(),
            busy: 0,
            sent_again: 0,
            reasons: BTreeMap::new(),
            rules: BTreeMap::new(),
            samples: Vec::new(),
            seconds: Vec::new(),
        })
    }

    /// The counted time.
    pub fn counted(&self) -> Duration {
        self.end.saturating_sub(self.warm_up)
    }

    /// A transaction is to be sent at `intended`.
    ///
    /// **Errors**: never for the bounds that there are.
    pub fn offer(&mut self, intended: Instant) -> Result<()> {
        self.offered += u64::from(self.counts(intended));
        self.second(intended)?.offered += 1;
        Ok(())
    }

    /// A transaction that was to be sent at `intended` has ended now.
    ///
    /// **Errors**: never for the bounds that there are.
    pub fn end(&mut self, intended: Instant, end: End) -> Result<()> {
        let now = Instant::now();
        match end {
            End::Settled(rule) => {
                let latency = u64::try_from(now.duration_since(intended).as_micros()).unwrap_or(u64::MAX);
                self.settled_in_all += 1;
                self.settled += u64::from(self.counts(now));
                if self.counts(intended) {
                    self.latency_us.saturating_record(latency);
                }
                *self.rules.entry(rule).or_default() += 1;
                let second = self.second(now)?;
                second.settled += 1;
                second.latency_us.saturating_record(latency);
            }
            End::Wrong(words) => {
                self.errors.wrong += 1;
                self.sample(words);
            }
            // Whether it is lost is asked when the load has ended.
            End::Unanswered(words) => {
                self.errors.unanswered += 1;
                self.sample(words);
            }
        }
        Ok(())
    }

    /// The same bytes have to be sent again, to this node or another one.
    pub fn again(&mut self, busy: bool, words: &str) {
        if busy {
            self.busy += 1;
        } else {
            self.sent_again += 1;
        }
        if let Some(count) = self.reasons.get_mut(words) {
            *count += 1;
        } else if self.reasons.len() < REASONS_MAX {
            self.reasons.insert(words.to_owned(), 1);
        }
    }

    fn sample(&mut self, words: String) {
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(words);
        }
    }

    fn counts(&self, moment: Instant) -> bool {
        let place = moment.saturating_duration_since(self.start);
        place >= self.warm_up && place < self.end
    }

    fn second(&mut self, moment: Instant) -> Result<&mut Second> {
        let place = moment.saturating_duration_since(self.start).as_secs();
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        while self.seconds.len() <= place {
            self.seconds.push(Second { offered: 0, settled: 0, latency_us: histogram(2)? });
        }
        self.seconds.get_mut(place).context("a second")
    }
}

fn histogram(digits: u8) -> Result<Histogram<u64>> {
    let most = u64::try_from(LATENCY_MAX.as_micros()).unwrap_or(u64::MAX);
    Ok(Histogram::new_with_bounds(1, most, digits)?)
}
