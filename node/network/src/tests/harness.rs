//! Networks with keys 1, 2, 3…, and a client that does what no validator would do.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use bytes::Bytes;
use carat_types::{Digest, PublicKey, SecretKey};
use quinn::{ClientConfig, Connection, Endpoint};

use crate::limits::Limits;
use crate::tls::Identity;
use crate::{
    BindConfig, Bound, Event, HandshakeFailure, Inbox, Incoming, Lane, Network, Peer, Stats, transport,
};

/// No test waits longer for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const CHAIN: Digest = Digest([0xca; 32]);

pub(super) fn secret(index: u16) -> SecretKey {
    SecretKey::from_seed(&[u8::try_from(index).expect("small") + 1; 32])
}

pub(super) fn public(index: u16) -> PublicKey {
    secret(index).public()
}

pub(super) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Quick enough for tests that wait for time-outs.
pub(super) fn limits() -> Limits {
    Limits {
        backoff_min: Duration::from_millis(10),
        backoff_max: Duration::from_millis(100),
        ..Limits::default()
    }
}

pub(super) fn config(me: u16) -> BindConfig {
    capture_log();
    BindConfig { me, identity: secret(me).into(), chain_id: CHAIN, listen: loopback(), limits: limits() }
}

pub(super) fn bind(me: u16) -> Bound {
    Network::bind(config(me)).expect("free port")
}

/// Binds to the port of a network that has just ended: its socket closes a moment later.
pub(super) async fn bind_again(config: BindConfig) -> Bound {
    within("the port", async {
        loop {
            match Network::bind(config.clone()) {
                Ok(bound) => return bound,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

pub(super) fn peer(index: u16, address: SocketAddr) -> Peer {
    Peer { index, key: public(index), address }
}

/// `count` validators that know each other.
pub(super) fn cluster(count: u16) -> Vec<(Network, Inbox)> {
    let bound: Vec<Bound> = (0..count).map(bind).collect();
    let peers: Vec<Peer> = (0..count).zip(&bound).map(|(i, b)| peer(i, b.local_address())).collect();
    let others = |me: usize| peers.iter().copied().filter(|p| usize::from(p.index) != me).collect::<Vec<_>>();
    bound.into_iter().enumerate().map(|(me, b)| b.start(&others(me)).expect("good peers")).collect()
}

pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// The next frame, whatever links come and go.
pub(super) async fn next_frame(inbox: &mut Inbox) -> Incoming {
    within("a frame", async {
        loop {
            if let Event::Frame(incoming) = inbox.recv().await.expect("running") {
                return incoming;
            }
        }
    })
    .await
}

/// Waits until the link to `peer` is up, or down.
pub(super) async fn link(inbox: &mut Inbox, wanted: u16, up: bool) {
    within("a link", async {
        loop {
            match inbox.recv().await.expect("running") {
                Event::Up { peer } if up && peer == wanted => return,
                Event::Down { peer } if !up && peer == wanted => return,
                _ => {}
            }
        }
    })
    .await;
}

/// Waits until the counters satisfy `wanted`.
pub(super) async fn counted(network: &Network, what: &str, wanted: impl Fn(&Stats) -> bool) -> Stats {
    within(what, async {
        loop {
            let stats = network.stats();
            if wanted(&stats) {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

pub(super) fn refused(stats: &Stats, reason: HandshakeFailure) -> u64 {
    stats.refused.get(&reason).copied().unwrap_or(0)
}

/// A client's own socket, which accepts nobody.
pub(super) fn client_endpoint() -> Endpoint {
    Endpoint::client(loopback()).expect("free port")
}

/// The settings of an honest dialler with this key.
pub(super) fn client_config(key: &SecretKey, chain: &Digest, server: PublicKey) -> ClientConfig {
    let identity = Identity::new(&key.clone().into(), crate::tls::protocol(chain)).expect("key");
    let mut config = ClientConfig::new(Arc::new(identity.client(server).expect("settings")));
    config.transport_config(Arc::new(transport::outbound(&limits())));
    config
}

/// A connection of validator `index`, made by hand, that was admitted.
pub(super) async fn raw(index: u16, server: u16, address: SocketAddr) -> (Endpoint, Connection) {
    let endpoint = client_endpoint();
    let config = client_config(&secret(index), &CHAIN, public(server));
    let connection =
        endpoint.connect_with(config, address, "validator").expect("dialled").await.expect("shaken");
    within("admission", connection.accept_uni()).await.expect("admitted");
    (endpoint, connection)
}

pub(super) fn text(content: &str) -> Bytes {
    Bytes::copy_from_slice(content.as_bytes())
}

/// Sends and checks that it arrives.
pub(super) async fn exchange(from: &Network, me: u16, to: u16, inbox: &mut Inbox, lane: Lane, content: &str) {
    from.send(to, lane, text(content));
    let incoming = next_frame(inbox).await;
    assert_eq!((incoming.peer, incoming.lane, incoming.payload), (me, lane, text(content)));
}

/// What all tests of this process have logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// For the whole process, before anything is logged: tracing remembers where nobody listens.
fn capture_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).init());
}

pub(super) fn logged() -> String {
    String::from_utf8(LOG.lock().expect("not poisoned").clone()).expect("text")
}
