//! Measures two networks on loopback in one process: `cargo run --release -p carat-network --example throughput`.
//! Frames per second of 1 KiB, bytes per second of 1 MiB, and the round trip of one frame, idle and beside bulk.

#![expect(clippy::print_stdout, reason = "a report for the terminal")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may stop")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use carat_network::{BindConfig, Event, Inbox, Incoming, Lane, Limits, Network, Peer};
use carat_types::{Digest, SecretKey};

const FRAMES: u32 = 200_000;
const BODIES: u32 = 500;
const PINGS: u32 = 5_000;

#[tokio::main]
async fn main() {
    let secret = |me| SecretKey::from_seed(&[me; 32]);
    let bind = |me: u8| {
        let (chain_id, listen, limits) = (Digest::ZERO, "127.0.0.1:0".parse().unwrap(), Limits::default());
        Network::bind(BindConfig { me: me.into(), identity: secret(me).into(), chain_id, listen, limits })
            .unwrap()
    };
    let (a, b) = (bind(1), bind(2));
    let peer = |index: u8, address| Peer { index: index.into(), key: secret(index).public(), address };
    let (to_a, to_b) = (peer(1, a.local_address()), peer(2, b.local_address()));
    let (a, mut a_inbox) = a.start(&[to_b]).unwrap();
    let (b, mut b_inbox) = b.start(&[to_a]).unwrap();
    a.send(2, Lane::Urgent, Bytes::from_static(b"warm"));
    b.send(1, Lane::Urgent, Bytes::from_static(b"warm"));
    frame(&mut a_inbox).await;
    frame(&mut b_inbox).await;

    let kib = Bytes::from(vec![1; 1024]);
    let time = flow(&a, &mut b_inbox, Lane::Urgent, &kib, FRAMES).await;
    println!(
        "1 KiB frames, one way: {:.0} frames/s, {:.2} us a frame",
        rate(FRAMES, time),
        each(FRAMES, time)
    );
    let mib = Bytes::from(vec![1; 1 << 20]);
    let time = flow(&a, &mut b_inbox, Lane::Bulk, &mib, BODIES).await;
    println!("1 MiB frames, one way: {:.0} MiB/s", rate(BODIES, time));

    let echo = tokio::spawn(async move {
        loop {
            let incoming = frame(&mut b_inbox).await;
            if incoming.lane == Lane::Urgent {
                b.send(1, Lane::Urgent, incoming.payload);
            }
        }
    });
    report("idle", ping(&a, &mut a_inbox, &kib, None).await);
    report("beside bulk", ping(&a, &mut a_inbox, &kib, Some(&mib)).await);
    echo.abort();
}

/// Sends `count` frames, never more than the queue holds, and receives them all.
async fn flow(from: &Network, inbox: &mut Inbox, lane: Lane, payload: &Bytes, count: u32) -> Duration {
    let in_flight = if lane == Lane::Urgent { 2_000 } else { 8 };
    let start = Instant::now();
    let (mut sent, mut received) = (0, 0);
    while received < count {
        while sent < count && sent - received < in_flight {
            from.send(2, lane, payload.clone());
            sent += 1;
        }
        frame(inbox).await;
        received += 1;
        while received < sent && inbox.try_recv().is_some() {
            received += 1;
        }
    }
    start.elapsed()
}

async fn ping(from: &Network, inbox: &mut Inbox, payload: &Bytes, bulk: Option<&Bytes>) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..PINGS {
        if let Some(bulk) = bulk.filter(|_| from.stats().peers[&2].lanes.bulk.queued_frames < 4) {
            from.send(2, Lane::Bulk, bulk.clone());
        }
        let start = Instant::now();
        from.send(2, Lane::Urgent, payload.clone());
        frame(inbox).await;
        times.push(start.elapsed());
    }
    times.sort();
    times
}

async fn frame(inbox: &mut Inbox) -> Incoming {
    loop {
        if let Event::Frame(incoming) = inbox.recv().await.unwrap() {
            return incoming;
        }
    }
}

fn report(when: &str, times: Vec<Duration>) {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    println!("1 KiB round trip, {when}: p50 {} us, p99 {} us, max {} us", at(50), at(99), at(100));
}

fn rate(count: u32, time: Duration) -> f64 {
    f64::from(count) / time.as_secs_f64()
}

fn each(count: u32, time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(count)
}
