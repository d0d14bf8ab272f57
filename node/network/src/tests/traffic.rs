//! Honest validators: frames, restarts, absence, back-pressure.

use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;

use super::harness::*;
use crate::{BindConfig, Bound, Event, FRAME_OVERHEAD, Lane, LaneLimits, Limits, Network};

#[tokio::test]
async fn frames_of_both_lanes_between_three_validators_arrive_in_order() {
    let mut nodes = cluster(3);
    for (me, (network, _)) in nodes.iter().enumerate() {
        for number in 0..200 {
            network.broadcast(Lane::Urgent, &text(&format!("{me} urgent {number}")));
            network.broadcast(Lane::Bulk, &text(&format!("{me} bulk {number}")));
        }
    }
    for (me, (_, inbox)) in nodes.iter_mut().enumerate() {
        let mut expected = [[0, 0]; 3];
        for _ in 0..2 * 2 * 200 {
            let incoming = next_frame(inbox).await;
            let number = &mut expected[usize::from(incoming.peer)][usize::from(incoming.lane == Lane::Bulk)];
            assert_eq!(incoming.payload, text(&format!("{} {} {number}", incoming.peer, incoming.lane)));
            assert_ne!(usize::from(incoming.peer), me);
            *number += 1;
        }
    }
}

#[tokio::test]
async fn longest_frame_of_each_lane_arrives_and_a_longer_one_is_dropped_at_the_sender() {
    let mut nodes = cluster(2);
    let (receiver, sender) = (nodes.remove(0), nodes.remove(0));
    let (mut inbox, network) = (receiver.1, sender.0);
    for lane in Lane::ALL {
        let longest = limits().lane(lane).frame_bytes;
        network.send(0, lane, Bytes::from(vec![1; longest + 1]));
        network.send(0, lane, Bytes::new());
        network.send(0, lane, Bytes::from(vec![2; longest]));
        let incoming = next_frame(&mut inbox).await;
        assert_eq!((incoming.lane, incoming.payload), (lane, Bytes::from(vec![2; longest])));
        assert_eq!(network.stats().peers[&0].lanes.of(lane).dropped, 2);
    }
}

/// Datagrams as large as the line carries leave many in one call, and the system refuses a call that is too large: without a word
/// all of them were lost, and sent again after a round trip (decision record 74).
#[tokio::test]
async fn frames_that_take_many_datagrams_lose_none_of_them() {
    let mut nodes = cluster(2);
    let (receiver, sender) = (nodes.remove(0), nodes.remove(0));
    let (mut inbox, network) = (receiver.1, sender.0);
    link(&mut inbox, 1, true).await;
    let body = Bytes::from(vec![3; 100 << 10]);
    for _ in 0..100 {
        // One at a time: what is under way at one time fits the system's smallest buffers.
        network.send(0, Lane::Bulk, body.clone());
        assert_eq!(next_frame(&mut inbox).await.payload, body);
    }
    let stats = network.stats();
    assert!(stats.peers[&0].path.is_some_and(|path| path.window >= 100 << 10), "{:?}", stats.peers[&0]);
    assert_eq!(stats.peers[&0].lost_datagrams, 0);
}

#[tokio::test]
async fn network_of_one_starts_is_silent_and_ends() {
    let (network, mut inbox) = bind(0).start(&[]).expect("started");
    network.broadcast(Lane::Urgent, &text("to nobody"));
    network.send(7, Lane::Urgent, text("to a stranger"));
    assert!(inbox.try_recv().is_none());
    assert!(network.stats().peers.is_empty());
    network.shutdown().await;
    assert!(within("the end", inbox.recv()).await.is_none());
}

#[tokio::test]
async fn address_is_free_once_the_network_is_shut_down_whoever_never_answered() {
    // Somebody takes what is sent to the second peer, and says nothing.
    let silent = std::net::UdpSocket::bind(loopback()).expect("free port");
    let (bound, other) = (bind(0), bind(1));
    let address = bound.local_address();
    let (network, mut inbox) = bound
        .start(&[peer(1, other.local_address()), peer(2, silent.local_addr().expect("bound"))])
        .expect("started");
    let (_other, _others_inbox) = other.start(&[peer(0, address)]).expect("started");
    link(&mut inbox, 1, true).await;
    let mut first = [0; 1];
    silent.recv(&mut first).expect("it is dialled");
    network.shutdown().await;
    std::net::UdpSocket::bind(address).expect("free at once");
}

#[tokio::test]
async fn peer_that_stops_and_starts_again_is_reconnected() {
    let mut nodes = cluster(2);
    let (other, _) = nodes.remove(1);
    let (network, mut inbox) = nodes.remove(0);
    link(&mut inbox, 1, true).await;
    let address = other.local_address();
    other.shutdown().await;
    link(&mut inbox, 1, false).await;
    // What is sent meanwhile waits.
    network.send(1, Lane::Urgent, text("are you back?"));

    let again = bind_again(BindConfig { listen: address, ..config(1) }).await;
    let (other, mut other_inbox) = again.start(&[peer(0, network.local_address())]).expect("started");
    link(&mut inbox, 1, true).await;
    assert_eq!(next_frame(&mut other_inbox).await.payload, text("are you back?"));
    exchange(&other, 1, 0, &mut inbox, Lane::Bulk, "yes").await;
    assert_eq!(network.stats().peers[&1].connects, 2);
}

#[test]
fn peer_that_was_killed_and_starts_again_is_noticed_long_before_the_idle_timeout() {
    let patient = Limits { idle_timeout: Duration::from_secs(600), ..limits() };
    let (ours, theirs, later) = (runtime(), runtime(), runtime());
    let bind_in = |runtime: &Runtime, me, listen| {
        let _inside = runtime.enter();
        Network::bind(BindConfig { limits: patient, listen, ..config(me) }).expect("free port")
    };
    let start_in = |runtime: &Runtime, bound: Bound, other| {
        let _inside = runtime.enter();
        bound.start(&[other]).expect("started")
    };
    let (our_bound, their_bound) = (bind_in(&ours, 0, loopback()), bind_in(&theirs, 1, loopback()));
    let (our_address, their_address) = (our_bound.local_address(), their_bound.local_address());
    let (network, mut inbox) = start_in(&ours, our_bound, peer(1, their_address));
    let killed = start_in(&theirs, their_bound, peer(0, our_address));
    ours.block_on(link(&mut inbox, 1, true));
    // Its tasks vanish before its handle is dropped, so that nobody is left to say goodbye.
    theirs.shutdown_timeout(PATIENCE);
    drop(killed);

    let (_other, mut other_inbox) = start_in(&later, bind_in(&later, 1, their_address), peer(0, our_address));
    ours.block_on(async {
        link(&mut inbox, 1, false).await;
        link(&mut inbox, 1, true).await;
        network.send(1, Lane::Urgent, text("welcome back"));
        assert_eq!(next_frame(&mut other_inbox).await.payload, text("welcome back"));
    });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime")
}

#[tokio::test]
async fn absent_peer_costs_a_bounded_queue_and_delays_nobody() {
    let absent = std::net::UdpSocket::bind(loopback()).expect("free port");
    let (sender, present) = (bind(0), bind(1));
    let peers = [peer(1, present.local_address()), peer(2, absent.local_addr().expect("bound"))];
    let (_present, mut inbox) = present.start(&[peer(0, sender.local_address())]).expect("started");
    let (network, mut events) = sender.start(&peers).expect("started");
    link(&mut events, 1, true).await;

    let most = limits().urgent.queue_frames;
    for number in 0..3 * most {
        network.broadcast(Lane::Urgent, &text(&number.to_string()));
        // Read as we go: the point is the absent peer, not a full queue of the present one.
        assert_eq!(next_frame(&mut inbox).await.payload, text(&number.to_string()));
    }
    let stats = network.stats();
    let (absent, present) = (&stats.peers[&2].lanes.urgent, &stats.peers[&1].lanes.urgent);
    assert_eq!((present.dropped, present.frames_out), (0, 3 * most as u64));
    assert_eq!((absent.queued_frames, absent.dropped), (most as u64, 2 * most as u64));
}

/// Small budgets, so that they are soon full.
fn tight() -> Limits {
    let lane = LaneLimits {
        frame_bytes: 64 * 1024,
        inbox_bytes: 512 * 1024,
        queue_bytes: 1 << 20,
        queue_frames: 64,
    };
    Limits { urgent: lane, bulk: lane, ..limits() }
}

#[tokio::test]
async fn reader_that_never_reads_is_bounded_and_delays_neither_others_nor_votes() {
    let bound: Vec<_> = (0..3)
        .map(|me| Network::bind(BindConfig { limits: tight(), ..config(me) }).expect("free port"))
        .collect();
    let peers: Vec<_> = (0..3).zip(&bound).map(|(i, b)| peer(i, b.local_address())).collect();
    let mut nodes = Vec::new();
    for (me, b) in bound.into_iter().enumerate() {
        let others: Vec<_> = peers.iter().copied().filter(|p| usize::from(p.index) != me).collect();
        nodes.push(b.start(&others).expect("started"));
    }
    let (stuck, mut stuck_inbox) = nodes.remove(2);
    let (_reader, mut inbox) = nodes.remove(1);
    let (network, mut events) = nodes.remove(0);
    let (mut up, mut ups) = ([false; 3], 0);
    while ups < 2 {
        if let Some(Event::Up { peer }) = within("links", events.recv()).await {
            ups += usize::from(!std::mem::replace(&mut up[usize::from(peer)], true));
        }
    }

    let body = Bytes::from(vec![7; 64 * 1024]);
    let charge = (body.len() + FRAME_OVERHEAD) as u64;
    let mut sent = 0;
    // Until the stuck reader's inbox, the stream's window and our queue are full and we start to drop.
    while network.stats().peers[&2].lanes.bulk.dropped < 10 {
        network.broadcast(Lane::Bulk, &body);
        sent += 1;
        assert_eq!(next_frame(&mut inbox).await.payload.len(), body.len());
        assert!(sent < 1000, "nothing is ever full");
    }
    let full =
        counted(&stuck, "a full inbox", |s| s.peers[&0].lanes.bulk.inbox_bytes + charge > 512 * 1024).await;
    assert!(full.peers[&0].lanes.bulk.inbox_bytes <= 512 * 1024);
    let at_sender = network.stats().peers[&2].lanes.bulk;
    assert!(at_sender.queued_bytes <= 1 << 20 && at_sender.queued_frames <= 64, "{at_sender:?}");

    // A vote to the stuck reader passes all that bulk, and is delivered first.
    network.send(2, Lane::Urgent, text("vote"));
    counted(&stuck, "the vote", |stats| stats.peers[&0].lanes.urgent.frames_in == 1).await;
    assert_eq!(next_frame(&mut stuck_inbox).await.payload, text("vote"));
    // And once it reads again, the rest flows.
    let reading = async {
        while stuck.stats().peers[&0].lanes.bulk.frames_in
            < sent - network.stats().peers[&2].lanes.bulk.dropped
        {
            assert_eq!(next_frame(&mut stuck_inbox).await.lane, Lane::Bulk);
        }
    };
    within("the rest", reading).await;
}

#[tokio::test]
async fn frames_that_the_node_keeps_hold_their_share_of_the_budget() {
    let bound = Network::bind(BindConfig { limits: tight(), ..config(0) }).expect("free port");
    let (sender, _events) = bind(1).start(&[peer(0, bound.local_address())]).expect("started");
    let (network, mut inbox) = bound.start(&[peer(1, sender.local_address())]).expect("started");
    sender.send(0, Lane::Urgent, text("kept"));
    let kept = next_frame(&mut inbox).await;
    assert_eq!(network.stats().peers[&1].lanes.urgent.inbox_bytes, 4 + FRAME_OVERHEAD as u64);
    drop(kept);
    assert_eq!(network.stats().peers[&1].lanes.urgent.inbox_bytes, 0);
}
