//! What came from all peers, on its way to the node: one queue for each peer and lane, served in turn, so that
//! a peer that floods us delays only itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::budget::Share;
use crate::frame::{Lane, PerLane};

/// While both lanes wait, one bulk frame follows this many urgent ones: a peer that floods the urgent lane must
/// not keep the bodies of the others from us.
const URGENT_RUN: u32 = 16;

/// One frame from an authenticated peer. Its share of the peer's budget returns when this is dropped, so that
/// whoever keeps it while its signatures are checked also keeps the peer from sending more.
#[derive(Debug)]
pub struct Incoming {
    /// Index of the peer that the channel authenticates. The message inside names its own signer.
    pub peer: u16,
    /// The lane it came by.
    pub lane: Lane,
    /// The payload, never empty.
    pub payload: Bytes,
    pub(crate) _share: Share,
}

/// What the node learns from the network.
#[derive(Debug)]
pub enum Event {
    /// Frames now reach this peer. Said again for every new connection: what was sent before may be lost.
    Up {
        /// Index of the peer.
        peer: u16,
    },
    /// Frames do not reach this peer until the next [`Event::Up`]; they wait in its queue.
    Down {
        /// Index of the peer.
        peer: u16,
    },
    /// A frame arrived.
    Frame(Incoming),
}

/// The receiving end. There is one; when it is dropped, arriving frames are discarded.
pub struct Inbox {
    shared: Arc<Shelves>,
}

impl Inbox {
    /// The next event; none when the network has shut down and everything was delivered. Nothing is lost if
    /// the wait is given up.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.try_recv() {
                return Some(event);
            }
            if self.shared.lock().closed {
                return None;
            }
            self.shared.filled.notified().await;
        }
    }

    /// The next event if one is there.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.shared.lock().next()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.frames = PerLane::new(|_| Ring::new(0));
    }
}

/// The sending end, shared by all connections.
pub(crate) struct Shelves {
    state: Mutex<State>,
    filled: Notify,
}

struct State {
    frames: PerLane<Ring>,
    urgent_run: u32,
    links: Vec<Link>,
    closed: bool,
}

/// Whether a peer is reachable, by the number of its connection, and what the node was told. Two numbers instead
/// of queued events: however fast a connection flaps, it takes no memory.
struct Link {
    peer: u16,
    now: Option<u64>,
    told: Option<u64>,
}

impl Shelves {
    /// For the peers of these indices; a peer's place in the list names it in [`Shelves::push`].
    pub(crate) fn new(peers: impl Iterator<Item = u16>) -> (Arc<Shelves>, Inbox) {
        let links: Vec<Link> = peers.map(|peer| Link { peer, now: None, told: None }).collect();
        let frames = PerLane::new(|_| Ring::new(links.len()));
        let state = State { frames, urgent_run: 0, links, closed: false };
        let shelves = Arc::new(Shelves { state: Mutex::new(state), filled: Notify::new() });
        (Arc::clone(&shelves), Inbox { shared: shelves })
    }

    pub(crate) fn push(&self, place: usize, incoming: Incoming) {
        let mut state = self.lock();
        if !state.closed {
            state.frames.of_mut(incoming.lane).push(place, incoming);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Tells that the peer is reachable by its `connection`-th connection, or not.
    pub(crate) fn link(&self, place: usize, connection: Option<u64>) {
        if let Some(link) = self.lock().links.get_mut(place) {
            link.now = connection;
        }
        self.filled.notify_one();
    }

    /// The node gets what is here and then the end.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Event> {
        if let Some(link) = self.links.iter_mut().find(|link| link.told != link.now) {
            link.told = link.now;
            let peer = link.peer;
            return Some(if link.now.is_some() { Event::Up { peer } } else { Event::Down { peer } });
        }
        let bulk_first = self.urgent_run >= URGENT_RUN;
        let order = if bulk_first { [Lane::Bulk, Lane::Urgent] } else { [Lane::Urgent, Lane::Bulk] };
        let incoming = order.into_iter().find_map(|lane| self.frames.of_mut(lane).pop())?;
        self.urgent_run = match incoming.lane {
            Lane::Urgent => self.urgent_run.saturating_add(1),
            Lane::Bulk => 0,
        };
        Some(Event::Frame(incoming))
    }
}

/// The frames of one lane, a queue for each peer, taken in turn.
struct Ring {
    queues: Vec<VecDeque<Incoming>>,
    waiting: usize,
    turn: usize,
}

impl Ring {
    fn new(peers: usize) -> Self {
        Ring { queues: (0..peers).map(|_| VecDeque::new()).collect(), waiting: 0, turn: 0 }
    }

    fn push(&mut self, place: usize, incoming: Incoming) {
        if let Some(queue) = self.queues.get_mut(place) {
            queue.push_back(incoming);
            self.waiting = self.waiting.saturating_add(1);
        }
    }

    fn pop(&mut self) -> Option<Incoming> {
        if self.waiting == 0 {
            return None;
        }
        let (before, after) = self.queues.split_at_mut(self.turn);
        let turn = after.iter_mut().chain(before).zip(self.turn..).find(|(queue, _)| !queue.is_empty());
        let (queue, place) = turn?;
        let incoming = queue.pop_front()?;
        self.waiting = self.waiting.saturating_sub(1);
        self.turn = place.saturating_add(1).checked_rem(self.queues.len()).unwrap_or(0);
        Some(incoming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::limits::Limits;

    async fn put(shelves: &Shelves, place: usize, lane: Lane, name: &'static str) {
        let share = Budget::new(&Limits::default().urgent).take(1).await;
        let peer = u16::try_from(place).expect("small");
        shelves.push(
            place,
            Incoming { peer, lane, payload: Bytes::from_static(name.as_bytes()), _share: share },
        );
    }

    fn take(inbox: &mut Inbox, count: usize) -> Vec<String> {
        let event = |event| match event {
            Some(Event::Frame(incoming)) => String::from_utf8(incoming.payload.to_vec()).expect("text"),
            other => format!("{other:?}"),
        };
        (0..count).map(|_| event(inbox.try_recv())).collect()
    }

    #[tokio::test]
    async fn frames_are_taken_in_turn_from_the_peers_and_urgent_ones_first() {
        let (shelves, mut inbox) = Shelves::new(0..3);
        for name in ["a1", "a2", "a3"] {
            put(&shelves, 0, Lane::Urgent, name).await;
        }
        put(&shelves, 0, Lane::Bulk, "A1").await;
        put(&shelves, 0, Lane::Bulk, "A2").await;
        put(&shelves, 2, Lane::Bulk, "C1").await;
        put(&shelves, 2, Lane::Urgent, "c1").await;
        put(&shelves, 1, Lane::Urgent, "b1").await;
        assert_eq!(take(&mut inbox, 9), ["a1", "b1", "c1", "a2", "a3", "A1", "C1", "A2", "None"]);
    }

    #[tokio::test]
    async fn bulk_is_not_starved_by_a_flood_of_urgent_frames() {
        let (shelves, mut inbox) = Shelves::new(0..2);
        for _ in 0..100 {
            put(&shelves, 0, Lane::Urgent, "u").await;
        }
        put(&shelves, 1, Lane::Bulk, "B").await;
        let taken = take(&mut inbox, 101);
        assert_eq!(taken.iter().position(|name| name == "B"), Some(16));
    }

    #[tokio::test]
    async fn link_that_flaps_is_told_once_and_a_new_connection_again() {
        let (shelves, mut inbox) = Shelves::new([4, 9].into_iter());
        shelves.link(1, Some(1));
        assert_eq!(take(&mut inbox, 2), ["Some(Up { peer: 9 })", "None"]);
        shelves.link(1, None);
        shelves.link(1, Some(2));
        assert_eq!(take(&mut inbox, 2), ["Some(Up { peer: 9 })", "None"]);
        (3..100).for_each(|connection| shelves.link(1, Some(connection)));
        shelves.link(1, None);
        assert_eq!(take(&mut inbox, 2), ["Some(Down { peer: 9 })", "None"]);
    }

    #[tokio::test]
    async fn inbox_that_is_closed_delivers_the_rest_and_one_that_is_dropped_takes_nothing() {
        let (shelves, mut inbox) = Shelves::new(0..1);
        put(&shelves, 0, Lane::Bulk, "last").await;
        shelves.close();
        assert!(matches!(inbox.recv().await, Some(Event::Frame(_))));
        assert!(inbox.recv().await.is_none());
        drop(inbox);
        put(&shelves, 0, Lane::Bulk, "late").await;
        assert!(shelves.lock().frames.bulk.queues.is_empty());
    }
}
