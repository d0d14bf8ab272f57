//! A UDP relay between validators that does to datagrams what networks do.
//!
//! Every ordered pair has a port of its own: validator i is told that j is at the port of (i, j). Faults are set for
//! each direction alone, so that a partition can be one-way. QUIC sees lost, late, repeated and reordered datagrams;
//! what it makes of them is the product's.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use carat_sim::rng::Rng;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The largest datagram.
const DATAGRAM: usize = 65_535;
/// Datagrams that may be on their way late at one time; what is beyond is lost, as in a router.
const LATE_MAX: u64 = 8_192;

/// A direction: from one validator to another.
pub type Direction = (u16, u16);

/// What is done to the datagrams of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Nothing gets through.
    pub cut: bool,
    /// Lost, of a thousand.
    pub loss: u64,
    /// Sent twice, of a thousand.
    pub duplicate: u64,
    /// Shortest and longest delay, ms; unequal delays reorder.
    pub delay_ms: (u64, u64),
}

/// What becomes of one datagram: the delay of each copy that arrives.
fn copies(fault: Fault, rng: &mut Rng) -> Vec<Duration> {
    if fault.cut || rng.chance(fault.loss) {
        return Vec::new();
    }
    let count = if rng.chance(fault.duplicate) { 2 } else { 1 };
    let (low, high) = fault.delay_ms;
    (0..count).map(|_| Duration::from_millis(rng.between(low, high))).collect()
}

/// The faults of all directions, and what they did.
#[derive(Debug)]
pub struct Faults {
    table: Mutex<(BTreeMap<Direction, Fault>, Rng)>,
    late: AtomicU64,
    latest_us: AtomicU64,
    passed: AtomicU64,
    lost: AtomicU64,
}

impl Faults {
    fn new(seed: u64) -> Self {
        Faults {
            table: Mutex::new((BTreeMap::new(), Rng::new(seed))),
            late: AtomicU64::new(0),
            latest_us: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// From now on `fault` is done to this direction.
    pub fn set(&self, direction: Direction, fault: Fault) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).0.insert(direction, fault);
    }

    /// The network is whole again.
    pub fn heal(&self) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).0.clear();
    }

    /// Datagrams that passed and that were lost, until now.
    pub fn counts(&self) -> (u64, u64) {
        (self.passed.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }

    /// By how much the latest datagram came later than its fault says, for want of a processor. **Units**: microseconds.
    pub fn latest_us(&self) -> u64 {
        self.latest_us.load(Ordering::Relaxed)
    }

    fn decide(&self, direction: Direction) -> Vec<Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (faults, rng) = &mut *table;
        let copies = copies(faults.get(&direction).copied().unwrap_or_default(), rng);
        let counter = if copies.is_empty() { &self.lost } else { &self.passed };
        counter.fetch_add(1, Ordering::Relaxed);
        copies
    }

    /// Sends `datagram` as often and as late as the faults of its direction say.
    async fn pass(
        self: &Arc<Self>,
        direction: Direction,
        datagram: &[u8],
        out: &Arc<UdpSocket>,
        to: SocketAddr,
    ) {
        for delay in self.decide(direction) {
            if delay.is_zero() {
                // A closed port is the receiver's affair: it is dead, and UDP tells nobody.
                let _ = out.send_to(datagram, to).await;
            } else if self.late.load(Ordering::Relaxed) < LATE_MAX {
                self.late.fetch_add(1, Ordering::Relaxed);
                let (faults, out, datagram) = (Arc::clone(self), Arc::clone(out), datagram.to_vec());
                let due = Instant::now() + delay;
                tokio::spawn(async move {
                    tokio::time::sleep_until(due.into()).await;
                    let late_us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
                    faults.latest_us.fetch_max(late_us, Ordering::Relaxed);
                    let _ = out.send_to(&datagram, to).await;
                    faults.late.fetch_sub(1, Ordering::Relaxed);
                });
            } else {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The running relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    /// Where each direction's dialler finds its peer.
    pub addresses: BTreeMap<Direction, SocketAddr>,
    /// What is done to datagrams.
    pub faults: Arc<Faults>,
    tasks: JoinSet<()>,
}

impl Relay {
    /// A relay between the validators that listen at `listeners`, in the order of the genesis file.
    ///
    /// **Errors**: no sockets can be had.
    pub async fn start(listeners: &[SocketAddr], seed: u64) -> Result<Self> {
        let faults = Arc::new(Faults::new(seed));
        let mut relay = Relay { addresses: BTreeMap::new(), faults, tasks: JoinSet::new() };
        for from in 0..listeners.len() {
            for (to, target) in listeners.iter().enumerate().filter(|(to, _)| *to != from) {
                relay.connect((u16::try_from(from)?, u16::try_from(to)?), *target).await?;
            }
        }
        Ok(relay)
    }

    async fn connect(&mut self, direction: Direction, target: SocketAddr) -> Result<()> {
        let (near, far) = (port()?, port()?);
        self.addresses.insert(direction, near.local_addr()?);
        let link = Link {
            direction,
            target,
            near: Arc::new(near),
            far: Arc::new(far),
            dialler: None,
            faults: Arc::clone(&self.faults),
        };
        self.tasks.spawn(link.run());
        Ok(())
    }
}

/// A port with the room of a router: what it loses is what the faults say.
fn port() -> Result<UdpSocket> {
    let socket =
        carat_network::socket::bind((Ipv4Addr::LOCALHOST, 0).into()).context("a port for the relay")?;
    socket.set_nonblocking(true)?;
    Ok(UdpSocket::from_std(socket)?)
}

/// One dialler and the peer that it dials.
struct Link {
    direction: Direction,
    target: SocketAddr,
    /// Faces the dialler.
    near: Arc<UdpSocket>,
    /// Faces the peer.
    far: Arc<UdpSocket>,
    /// Where the dialler last sent from.
    dialler: Option<SocketAddr>,
    faults: Arc<Faults>,
}

impl Link {
    async fn run(mut self) {
        let (mut there, mut back) = (vec![0; DATAGRAM], vec![0; DATAGRAM]);
        let (from, to) = self.direction;
        loop {
            // An error of a receive is the echo of an earlier send to a dead process: nothing to do.
            tokio::select! {
                arrived = self.near.recv_from(&mut there) => if let Ok((length, dialler)) = arrived {
                    self.dialler = Some(dialler);
                    self.faults.pass((from, to), &there[..length], &self.far, self.target).await;
                },
                arrived = self.far.recv_from(&mut back) => if let (Ok((length, _)), Some(dialler)) = (arrived, self.dialler) {
                    self.faults.pass((to, from), &back[..length], &self.near, dialler).await;
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_datagram_are_as_its_fault_says() {
        let mut rng = Rng::new(1);
        let mut mean = |fault: Fault| {
            let copies: usize = (0..10_000).map(|_| copies(fault, &mut rng).len()).sum();
            copies
        };
        assert_eq!(mean(Fault::default()), 10_000);
        assert_eq!(mean(Fault { cut: true, ..Fault::default() }), 0);
        assert!((6_700..7_300).contains(&mean(Fault { loss: 300, ..Fault::default() })));
        assert!((12_700..13_300).contains(&mean(Fault { duplicate: 300, ..Fault::default() })));
        let late = copies(Fault { delay_ms: (5, 9), ..Fault::default() }, &mut rng);
        assert!(late.iter().all(|delay| (5..=9).contains(&delay.as_millis())));
    }

    /// QUIC takes a datagram that three later ones overtake for lost, and halves what it sends in a round trip.
    #[tokio::test]
    async fn datagrams_that_are_equally_late_arrive_in_their_order() {
        let a = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let b = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let listeners = [a.local_addr().expect("bound"), b.local_addr().expect("bound")];
        let relay = Relay::start(&listeners, 1).await.expect("starts");
        relay.faults.set((0, 1), Fault { delay_ms: (25, 25), ..Fault::default() });
        let sent = tokio::spawn(async move {
            for number in 0..4_000u16 {
                a.send_to(&number.to_be_bytes(), relay.addresses[&(0, 1)]).await.expect("sent");
                if number % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            relay
        });
        let mut arrived = Vec::new();
        let mut buffer = [0; 2];
        while arrived.len() < 4_000 {
            b.recv_from(&mut buffer).await.expect("arrives");
            arrived.push(u16::from_be_bytes(buffer));
        }
        drop(sent.await);
        let overtaken = arrived.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert_eq!(overtaken, 0, "datagrams were overtaken");
    }

    #[tokio::test]
    async fn cut_direction_is_silent_and_the_other_is_not() {
        let a = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let b = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let listeners = [a.local_addr().expect("bound"), b.local_addr().expect("bound")];
        let relay = Relay::start(&listeners, 1).await.expect("starts");
        let mut buffer = [0; 8];

        a.send_to(b"hello", relay.addresses[&(0, 1)]).await.expect("sent");
        let (length, relayed_from) = b.recv_from(&mut buffer).await.expect("arrives");
        assert_eq!(&buffer[..length], b"hello");

        relay.faults.set((0, 1), Fault { cut: true, ..Fault::default() });
        let lost_before = relay.faults.counts().1;
        a.send_to(b"lost", relay.addresses[&(0, 1)]).await.expect("sent");
        b.send_to(b"back", relayed_from).await.expect("sent");
        let (length, _) = a.recv_from(&mut buffer).await.expect("arrives");
        assert_eq!(&buffer[..length], b"back");
        while relay.faults.counts().1 == lost_before {
            tokio::task::yield_now().await;
        }

        relay.faults.heal();
        a.send_to(b"again", relay.addresses[&(0, 1)]).await.expect("sent");
        let (length, _) = b.recv_from(&mut buffer).await.expect("arrives");
        assert_eq!(&buffer[..length], b"again", "what was cut stays lost");
    }
}
