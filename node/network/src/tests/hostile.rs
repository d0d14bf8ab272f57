//! A validator that breaks the framing, and strangers that flood: both are bounded, counted, and harm nobody else.
//! Tests T4 and T14 of the reliability goals, on one machine.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use quinn::{Connection, VarInt};

use super::harness::*;
use crate::frame::Violation;
use crate::{BindConfig, HandshakeFailure, Inbox, Lane, Limits, Network};

/// Validator 0 with the honest validator 2, and the hostile one, 1, which nobody has started.
async fn besieged() -> (Network, Inbox, Network) {
    let (target, honest) = (bind(0), bind(2));
    let (target_address, honest_address) = (target.local_address(), honest.local_address());
    let nowhere = UdpSocket::bind(loopback()).expect("free port");
    let peers = [peer(1, nowhere.local_addr().expect("bound")), peer(2, honest_address)];
    let (target, mut inbox) = target.start(&peers).expect("started");
    let (honest, mut events) = honest.start(&[peer(0, target_address)]).expect("started");
    link(&mut events, 0, true).await;
    exchange(&honest, 2, 0, &mut inbox, Lane::Urgent, "before").await;
    (target, inbox, honest)
}

/// Writes each of `streams` on a stream of its own, all but the last left open.
async fn write(connection: &Connection, streams: &[&[u8]], finish: bool) {
    let mut open = Vec::new();
    for bytes in streams {
        let mut stream = within("stream", connection.open_uni()).await.expect("opened");
        // The target may hang up before it has read everything.
        let _ = stream.write_all(bytes).await;
        open.push(stream);
    }
    if let Some(last) = open.last_mut().filter(|_| finish) {
        let _ = last.finish();
    }
    within("the end of the connection", connection.closed()).await;
}

#[tokio::test]
async fn peer_that_breaks_the_framing_is_disconnected_and_counted_and_others_are_not() {
    let (target, mut inbox, honest) = besieged().await;
    let too_long = |lane: u8, bytes: usize| {
        let mut stream = vec![lane];
        stream.extend_from_slice(&u32::try_from(bytes + 1).expect("short").to_be_bytes());
        stream
    };
    let urgent = too_long(1, limits().urgent.frame_bytes);
    let bulk = too_long(2, limits().bulk.frame_bytes);
    let cases: [(&str, &[&[u8]], bool, Violation); 10] = [
        ("too long, urgent", &[&urgent], false, Violation::FrameTooLong),
        ("too long, bulk", &[&bulk], false, Violation::FrameTooLong),
        ("longest length", &[b"\x01\xff\xff\xff\xff"], false, Violation::FrameTooLong),
        ("empty frame", &[b"\x02\0\0\0\0"], false, Violation::EmptyFrame),
        ("lane 0", &[b"\0"], false, Violation::NoLane),
        ("junk", &[b"GET / HTTP/1.1\r\n\r\n"], false, Violation::NoLane),
        ("one lane twice", &[b"\x01", b"\x01"], false, Violation::SecondStream),
        ("no byte at all", &[b""], true, Violation::NoLane),
        ("end inside a length", &[b"\x01\0\0"], true, Violation::LaneEnded),
        ("end inside a payload", &[b"\x02", b"\x01\0\0\0\x05abcd"], true, Violation::LaneEnded),
    ];
    for (case, streams, finish, violation) in cases {
        let count = |stats: &crate::Stats| stats.peers[&1].violations.get(&violation).copied().unwrap_or(0);
        let before = count(&target.stats());
        let (_endpoint, connection) = raw(1, 0, target.local_address()).await;
        write(&connection, streams, finish).await;
        let why = connection.close_reason().expect("closed").to_string();
        assert!(why.contains(&violation.to_string()), "{case}: {why}");
        counted(&target, case, |stats| count(stats) == before + 1 && !stats.peers[&1].inbound_up).await;
        exchange(&honest, 2, 0, &mut inbox, Lane::Bulk, case).await;
    }
    let stats = target.stats();
    assert!(stats.peers[&2].violations.is_empty() && stats.peers[&2].accepts == 1);
    assert_eq!(stats.peers[&1].lanes.urgent.inbox_bytes, 0, "an unfinished frame gives its share back");
}

#[tokio::test]
async fn peer_can_open_no_more_streams_than_lanes() {
    let (target, _inbox, _honest) = besieged().await;
    let (_endpoint, connection) = raw(1, 0, target.local_address()).await;
    let _open = [connection.open_uni().await.expect("first"), connection.open_uni().await.expect("second")];
    assert!(tokio::time::timeout(Duration::ZERO, connection.open_uni()).await.is_err());
    assert!(tokio::time::timeout(Duration::ZERO, connection.open_bi()).await.is_err());
    assert!(connection.send_datagram(text("datagram")).is_err());
}

#[tokio::test]
async fn peer_that_resets_its_streams_or_stalls_inside_a_frame_harms_only_itself() {
    let (target, mut inbox, honest) = besieged().await;
    let (_endpoint, connection) = raw(1, 0, target.local_address()).await;
    let mut stalled = connection.open_uni().await.expect("opened");
    // Eight MiB announced, three bytes sent.
    stalled.write_all(b"\x02\x00\x7f\xff\xffabc").await.expect("written");
    counted(&target, "a share taken", |stats| stats.peers[&1].lanes.bulk.inbox_bytes > 8_000_000).await;
    exchange(&honest, 2, 0, &mut inbox, Lane::Bulk, "meanwhile").await;
    stalled.reset(VarInt::from_u32(9)).expect("open");
    let ended = |stats: &crate::Stats| stats.peers[&1].violations.contains_key(&Violation::LaneEnded);
    counted(&target, "the end", ended).await;
    counted(&target, "the share back", |stats| stats.peers[&1].lanes.bulk.inbox_bytes == 0).await;
}

#[tokio::test]
async fn peer_that_floods_both_lanes_stays_within_its_budget_and_others_are_served_in_turn() {
    let (target, mut inbox, honest) = besieged().await;
    let (_endpoint, connection) = raw(1, 0, target.local_address()).await;
    for lane in Lane::ALL {
        let connection = connection.clone();
        tokio::spawn(async move {
            let mut stream = connection.open_uni().await.expect("opened");
            stream.write_all(&[lane.code()]).await.expect("written");
            // The shortest frames, which cost most.
            while stream.write_all(&b"\0\0\0\x01x".repeat(1000)).await.is_ok() {}
        });
    }
    let full = |stats: &crate::Stats| {
        let lanes = &stats.peers[&1].lanes;
        let room = |lane| limits().lane(lane).inbox_bytes as u64 - lanes.of(lane).inbox_bytes;
        Lane::ALL.into_iter().all(|lane| room(lane) < 129)
    };
    counted(&target, "full inboxes", full).await;
    // A vote and a body of the honest peer stand behind thousands of frames of the hostile one, but not in line.
    honest.send(0, Lane::Urgent, text("vote"));
    honest.send(0, Lane::Bulk, text("body"));
    let arrived = |stats: &crate::Stats| {
        let lanes = &stats.peers[&2].lanes;
        lanes.urgent.frames_in == 2 && lanes.bulk.frames_in == 1
    };
    counted(&target, "honest frames", arrived).await;
    let (mut place, mut places) = (0, Vec::new());
    while places.len() < 2 {
        place += 1;
        if next_frame(&mut inbox).await.peer == 2 {
            places.push(place);
        }
    }
    assert!(places[0] <= 2 && places[1] <= 40, "{places:?}");
}

/// Sends `count` first packets of real clients to `target` from an address that belongs to nobody it knows, and as
/// many datagrams that are no QUIC at all. Nobody ever answers on behalf of those clients.
async fn begin_handshakes(target: SocketAddr, count: usize) {
    let sink = UdpSocket::bind(loopback()).expect("free port");
    let stranger = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 2], 0))).expect("second loopback address");
    let endpoint = client_endpoint();
    let sink_address = sink.local_addr().expect("bound");
    let dial = |_| {
        let config = client_config(&secret(5), &CHAIN, public(0));
        endpoint.connect_with(config, sink_address, "v").expect("dialled")
    };
    let _dialled: Vec<_> = (0..count).map(dial).collect();
    let forward = tokio::task::spawn_blocking(move || {
        let mut buffer = [0; 2048];
        for _ in 0..count {
            let length = sink.recv(&mut buffer).expect("a first packet");
            stranger.send_to(&buffer[..length], target).expect("sent");
            stranger.send_to(&[0xff; 1200], target).expect("sent");
        }
    });
    within("the flood", forward).await.expect("sent");
}

/// Validator 0 with these limits, and validator 1, which it knows and which has not started.
fn gate(limits: Limits) -> (Network, Inbox, crate::Bound) {
    let target = Network::bind(BindConfig { limits, ..config(0) }).expect("free port");
    let honest = bind(1);
    let (target, inbox) = target.start(&[peer(1, honest.local_address())]).expect("started");
    (target, inbox, honest)
}

#[tokio::test]
async fn strangers_that_begin_handshakes_must_prove_their_address_and_are_given_up() {
    let limits =
        Limits { handshakes: 8, retry_above: 2, handshake_timeout: Duration::from_millis(500), ..limits() };
    let (target, mut inbox, honest) = gate(limits);
    begin_handshakes(target.local_address(), 100).await;
    counted(&target, "the threshold", |stats| stats.retried > 0).await;
    let (honest, _events) = honest.start(&[peer(0, target.local_address())]).expect("started");
    exchange(&honest, 1, 0, &mut inbox, Lane::Urgent, "still here").await;
    let stats = counted(&target, "time-outs", |stats| refused(stats, HandshakeFailure::Timeout) >= 2).await;
    assert!(refused(&stats, HandshakeFailure::Timeout) <= 8, "{stats:?}");
}

#[tokio::test]
async fn strangers_take_half_of_the_handshakes_and_leave_the_rest_to_known_addresses() {
    // No address is asked for a proof, and what the strangers begin never ends.
    let limits =
        Limits { handshakes: 4, retry_above: 1000, handshake_timeout: Duration::from_secs(600), ..limits() };
    let (target, mut inbox, honest) = gate(limits);
    begin_handshakes(target.local_address(), 20).await;
    counted(&target, "a refusal", |stats| stats.turned_away > 0).await;
    let (honest, _events) = honest.start(&[peer(0, target.local_address())]).expect("started");
    exchange(&honest, 1, 0, &mut inbox, Lane::Urgent, "let in").await;
}
