//! The load on one validator: so many transactions under way, and the time that each took.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;
use carat_network::Session;
use carat_network::entrance::Writing;
use carat_types::batch::Envelope;
use carat_types::codec::Encode as _;
use hdrhistogram::Histogram;

use super::opaque;

/// The longest latency that is told apart. **Units**: microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;
/// Transactions of one frame.
const FRAME: usize = 2_000;

/// A session with a validator.
pub(super) struct Feed {
    index: u16,
    bytes: usize,
    stopped: Cell<bool>,
    sent: Cell<u64>,
    /// When each transaction that is under way was sent.
    under_way: RefCell<BTreeMap<u64, Instant>>,
    /// What the validator says that it has ordered in all.
    reached: Cell<u64>,
    counts_from: Cell<Option<Instant>>,
    latency_us: RefCell<Histogram<u64>>,
}

/// An empty histogram.
pub(super) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?)
}

impl Feed {
    /// Begins: `share` transactions are under way from now on.
    pub(super) fn start(session: Session, index: u16, share: usize, bytes: usize) -> Result<Rc<Self>> {
        let feed = Rc::new(Feed {
            index,
            bytes,
            stopped: Cell::new(false),
            sent: Cell::new(0),
            under_way: RefCell::default(),
            reached: Cell::new(0),
            counts_from: Cell::new(None),
            latency_us: RefCell::new(histogram()?),
        });
        let (mut reading, mut writing) = session.split();
        let load = Rc::clone(&feed);
        tokio::task::spawn_local(async move {
            load.send(&mut writing, share).await?;
            while let Some(frame) = reading.next().await? {
                let ordered = load.take_in(&frame);
                load.send(&mut writing, ordered).await?;
            }
            anyhow::Ok(())
        });
        Ok(feed)
    }

    /// No more is sent.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.counts_from.set(None);
    }

    /// Counts what is ordered from now on.
    pub(super) fn count_from(&self, now: Instant) {
        self.counts_from.set(Some(now));
    }

    /// Transactions that the validator has ordered, of whomever.
    pub(super) fn reached(&self) -> u64 {
        self.reached.get()
    }

    /// Transactions that were sent and not ordered.
    pub(super) fn under_way(&self) -> u64 {
        u64::try_from(self.under_way.borrow().len()).unwrap_or(u64::MAX)
    }

    /// Latencies of what was counted.
    pub(super) fn latency_us(&self) -> Histogram<u64> {
        self.latency_us.borrow().clone()
    }

    async fn send(&self, writing: &mut Writing, mut count: usize) -> Result<()> {
        while count > 0 && !self.stopped.get() {
            let envelopes: Vec<Envelope> = (0..count.min(FRAME)).map(|_| self.next()).collect();
            count -= envelopes.len();
            writing.send(envelopes.to_bytes()).await?;
        }
        Ok(())
    }

    fn next(&self) -> Envelope {
        let number = opaque::number(self.index, self.sent.get());
        self.sent.set(self.sent.get() + 1);
        self.under_way.borrow_mut().insert(number, Instant::now());
        opaque::transaction(number, self.bytes)
    }

    /// A frame of the validator: how many it has ordered in all, and the numbers that were handed in to it.
    ///
    /// **Returns** how many were under way.
    fn take_in(&self, frame: &[u8]) -> usize {
        let now = Instant::now();
        let mut numbers = frame.chunks_exact(8).filter_map(opaque::number_of);
        self.reached.set(numbers.next().unwrap_or(0));
        let mut ordered = 0;
        for number in numbers {
            let Some(sent) = self.under_way.borrow_mut().remove(&number) else { continue };
            ordered += 1;
            if self.counts_from.get().is_some() {
                let us = u64::try_from(now.duration_since(sent).as_micros()).unwrap_or(u64::MAX);
                self.latency_us.borrow_mut().saturating_record(us);
            }
        }
        ordered
    }
}
