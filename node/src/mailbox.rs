//! The one queue into the event loop.
//!
//! Two doors. Through the *inner* door come answers of this process's own threads; there are never more than
//! the replica asked for, and they never wait, so that no cycle of full queues can lock up. Through the *outer*
//! door comes what peers and clients cause; each source has a share, and waits when its share is full.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use carat_consensus::Input;

/// Inputs of one source that may wait: some rounds of votes of a full window.
const SHARE: usize = 4_096;

/// The queue. Shared by reference among threads.
#[derive(Debug)]
pub struct Mailbox {
    state: Mutex<State>,
    arrived: Condvar,
    taken: Condvar,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<(Option<usize>, Input)>,
    /// Waiting inputs of each outer source.
    shares: Vec<usize>,
    closed: bool,
}

impl Mailbox {
    /// A queue for `sources` outer sources, numbered from 0.
    pub fn new(sources: usize) -> Self {
        let state = State { queue: VecDeque::new(), shares: vec![0; sources], closed: false };
        Mailbox { state: Mutex::new(state), arrived: Condvar::new(), taken: Condvar::new() }
    }

    /// Puts in an answer of an own thread.
    pub fn answer(&self, input: Input) {
        let mut state = self.lock();
        if !state.closed {
            state.queue.push_back((None, input));
            self.arrived.notify_one();
        }
    }

    /// Puts in inputs of an outer source; waits while its share is full.
    ///
    /// **Returns** false when the queue is closed or there is no such source.
    pub fn offer(&self, source: usize, inputs: impl IntoIterator<Item = Input>) -> bool {
        let is_taken = inputs.into_iter().all(|input| self.leave(source, input));
        self.wake();
        is_taken
    }

    /// Puts in one of several inputs; behind the last comes [`Mailbox::wake`]. To wake the event loop for each of some hundred
    /// costs more than all else that is done with them here.
    ///
    /// **Returns** false when the queue is closed or there is no such source.
    pub fn leave(&self, source: usize, input: Input) -> bool {
        let mut state = self.lock();
        while !state.closed && state.shares.get(source).is_some_and(|waiting| *waiting >= SHARE) {
            self.arrived.notify_one();
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return false;
        }
        let Some(waiting) = state.shares.get_mut(source) else { return false };
        *waiting += 1;
        state.queue.push_back((Some(source), input));
        true
    }

    /// Wakes the event loop for what was left.
    pub fn wake(&self) {
        self.arrived.notify_one();
    }

    /// Takes all that waits; if nothing does, waits for something until `deadline`.
    ///
    /// **Returns** none when the queue is closed and empty.
    pub fn take(&self, deadline: Option<Instant>) -> Option<Vec<Input>> {
        let mut state = self.lock();
        while state.queue.is_empty() {
            if state.closed {
                return None;
            }
            state = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Some(Vec::new()),
                Some(left) => {
                    self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let queue = std::mem::take(&mut state.queue);
        state.shares.fill(0);
        drop(state);
        self.taken.notify_all();
        Some(queue.into_iter().map(|(_, input)| input).collect())
    }

    /// Lets nothing more in, and wakes everybody who waits.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
        self.taken.notify_all();
    }

    /// Inputs that wait.
    pub fn len(&self) -> usize {
        self.lock().queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked left the queue whole: every change to it is one statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carat_consensus::Timer;

    use super::*;

    #[test]
    fn take_returns_everything_in_order_and_nothing_at_its_deadline() {
        let mailbox = Mailbox::new(1);
        mailbox.answer(Input::Timer(Timer::Status));
        assert!(mailbox.offer(0, [Input::Timer(Timer::Idle)]));
        let taken = mailbox.take(None).expect("open");
        assert!(matches!(taken[..], [Input::Timer(Timer::Status), Input::Timer(Timer::Idle)]));
        assert!(mailbox.take(Some(Instant::now())).expect("open").is_empty());
    }

    #[test]
    fn full_share_of_one_source_holds_back_that_source_alone() {
        let mailbox = Arc::new(Mailbox::new(2));
        let flood = std::thread::spawn({
            let mailbox = Arc::clone(&mailbox);
            move || mailbox.offer(0, (0..=SHARE).map(|_| Input::Timer(Timer::Status)))
        });
        while mailbox.len() < SHARE {
            std::thread::yield_now();
        }
        assert!(mailbox.offer(1, [Input::Timer(Timer::Idle)]), "another source is not held back");
        mailbox.answer(Input::Timer(Timer::Fetch));
        assert_eq!(mailbox.take(None).expect("open").len(), SHARE + 2);
        assert!(flood.join().expect("no panic"));
        assert_eq!(mailbox.take(None).expect("open").len(), 1);
    }

    #[test]
    fn what_is_left_is_taken_when_the_loop_is_woken() {
        let mailbox = Arc::new(Mailbox::new(1));
        let event_loop = std::thread::spawn({
            let mailbox = Arc::clone(&mailbox);
            move || mailbox.take(None).expect("open").len()
        });
        assert!(mailbox.leave(0, Input::Timer(Timer::Status)));
        mailbox.wake();
        assert_eq!(event_loop.join().expect("no panic"), 1);
        mailbox.close();
        assert!(!mailbox.leave(0, Input::Timer(Timer::Status)));
    }

    #[test]
    fn close_wakes_and_refuses() {
        let mailbox = Mailbox::new(1);
        mailbox.close();
        assert!(!mailbox.offer(0, [Input::Timer(Timer::Idle)]));
        assert!(!mailbox.offer(7, [Input::Timer(Timer::Idle)]));
        assert!(mailbox.take(None).is_none());
    }
}
