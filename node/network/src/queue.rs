//! What waits to be sent to one peer on one lane: bounded, and never in anybody's way.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::limits::{FRAME_OVERHEAD, LaneLimits};

/// As many bytes are handed to QUIC at once, or one frame if it alone is longer.
const BATCH_BYTES: usize = 64 * 1024;

/// Frames of one lane to one peer, oldest first.
pub(crate) struct SendQueue {
    limits: LaneLimits,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl SendQueue {
    pub(crate) fn new(limits: &LaneLimits) -> Self {
        SendQueue { limits: *limits, waiting: Mutex::default(), filled: Notify::new() }
    }

    /// Adds a frame and drops the oldest ones while the queue is too long: what consensus says last replaces
    /// what it said before, and what is lost it says again.
    ///
    /// **Returns** how many frames were dropped; the new one is among them if it is empty or longer than a
    /// frame may be.
    pub(crate) fn push(&self, frame: Bytes) -> u64 {
        if frame.is_empty() || frame.len() > self.limits.frame_bytes {
            return 1;
        }
        let mut dropped: u64 = 0;
        let mut waiting = self.lock();
        waiting.push(frame);
        while waiting.bytes > self.limits.queue_bytes || waiting.frames.len() > self.limits.queue_frames {
            waiting.pop();
            dropped = dropped.saturating_add(1);
        }
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    /// Takes the oldest frames, at least one. Nothing is lost if the wait is given up.
    pub(crate) async fn next_batch(&self) -> Vec<Bytes> {
        loop {
            let batch = self.lock().batch();
            if !batch.is_empty() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    /// Frames and bytes that wait.
    pub(crate) fn length(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.frames.len(), waiting.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, frame: Bytes) {
        self.bytes = self.bytes.saturating_add(charge(&frame));
        self.frames.push_back(frame);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(charge(&frame));
        Some(frame)
    }

    fn batch(&mut self) -> Vec<Bytes> {
        let mut batch = Vec::new();
        let mut bytes: usize = 0;
        while bytes < BATCH_BYTES {
            let Some(frame) = self.pop() else { break };
            bytes = bytes.saturating_add(charge(&frame));
            batch.push(frame);
        }
        batch
    }
}

fn charge(frame: &Bytes) -> usize {
    frame.len().saturating_add(FRAME_OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(bytes: usize, frames: usize) -> SendQueue {
        let limits =
            LaneLimits { frame_bytes: 100, inbox_bytes: 0, queue_bytes: bytes, queue_frames: frames };
        SendQueue::new(&limits)
    }

    fn frame(number: u8, length: usize) -> Bytes {
        Bytes::from(vec![number; length])
    }

    fn numbers(batch: &[Bytes]) -> Vec<u8> {
        batch.iter().map(|frame| frame[0]).collect()
    }

    #[tokio::test]
    async fn queue_over_its_count_drops_the_oldest() {
        let queue = queue(usize::MAX, 3);
        let dropped: Vec<u64> = (0..5).map(|number| queue.push(frame(number, 1))).collect();
        assert_eq!(dropped, [0, 0, 0, 1, 1]);
        assert_eq!(numbers(&queue.next_batch().await), [2, 3, 4]);
        assert_eq!(queue.length(), (0, 0));
    }

    #[tokio::test]
    async fn queue_over_its_bytes_drops_the_oldest_as_many_as_needed() {
        let queue = queue(3 * (10 + FRAME_OVERHEAD), 100);
        (0..3).for_each(|number| assert_eq!(queue.push(frame(number, 10)), 0));
        assert_eq!(queue.push(frame(3, 11)), 2, "one is not enough by one byte");
        assert_eq!(numbers(&queue.next_batch().await), [2, 3]);
    }

    #[tokio::test]
    async fn frame_that_no_lane_allows_is_dropped_alone() {
        let queue = queue(usize::MAX, 100);
        queue.push(frame(0, 1));
        assert_eq!((queue.push(Bytes::new()), queue.push(frame(1, 101))), (1, 1));
        assert_eq!(numbers(&queue.next_batch().await), [0]);
    }

    #[tokio::test]
    async fn batch_is_bounded_and_the_rest_stays() {
        let limits =
            LaneLimits { frame_bytes: 1 << 20, inbox_bytes: 0, queue_bytes: 1 << 30, queue_frames: 1 << 20 };
        let queue = SendQueue::new(&limits);
        (0..4).for_each(|number| assert_eq!(queue.push(frame(number, 40_000)), 0));
        assert_eq!(numbers(&queue.next_batch().await), [0, 1]);
        assert_eq!(numbers(&queue.next_batch().await), [2, 3]);
    }
}
