//! The HTTP server: connections with limits on their number, their headers and their life.
//!
//! HTTP/1.1 only: it is what the clients speak without TLS, and leaves out a whole class of attacks. TLS and
//! HTTP/2 belong to a reverse proxy in front. Every connection has a timer for its headers, which also ends
//! idle ones. **Source**: reliability notes, B16.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::app::{PeerAddress, router, without_trailing_slash};
use crate::context::{Context, Settings};
use crate::port::Node;
use crate::routes::Listener;

/// What a connection may use.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at the same time; more wait to be accepted.
    pub connections_max: usize,
    /// Connections of one address at the same time; more are closed at once.
    pub of_one_address_max: usize,
    /// How long a request's headers may take, and a connection may be idle.
    pub header_timeout: Duration,
    /// The longest headers. **Units**: bytes.
    pub header_bytes_max: usize,
    /// When a connection is asked to end after its current request.
    pub lifetime: Duration,
    /// How long a connection that was asked to end, or a stopping server, still gets.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            connections_max: 4_096,
            of_one_address_max: 2_048,
            header_timeout: Duration::from_secs(15),
            header_bytes_max: 64 * 1024,
            lifetime: Duration::from_secs(600),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves the API of `node` on `listener` until `stopping` becomes true or its sender is gone; then lets
/// requests finish, for as long as the limits say.
pub async fn serve(
    listener: TcpListener,
    node: Arc<dyn Node>,
    settings: Settings,
    limits: ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let context = Context::new(node, settings, stopping.clone());
    let server = Server {
        app: router(&context, Listener::Public),
        limits,
        places: Arc::new(Semaphore::new(limits.connections_max)),
        addresses: Arc::new(Addresses { count: Mutex::default(), max: limits.of_one_address_max }),
        stopping,
    };
    server.run(listener).await;
}

struct Server {
    app: Router,
    limits: ConnectionLimits,
    places: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    stopping: watch::Receiver<bool>,
}

impl Server {
    async fn run(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut stopping = self.stopping.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => break,
                accepted = self.accept(&listener) => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok(Some((stream, place))) => {
                    connections.spawn(connection(
                        stream,
                        place,
                        self.app.clone(),
                        self.limits,
                        stopping.clone(),
                    ));
                }
                Ok(None) => {}
                Err(error) => {
                    // Out of file handles, most likely: others end, and then there is room again.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        _ = tokio::time::timeout(self.limits.drain, ended).await;
        connections.shutdown().await;
    }

    /// The next connection, once there is a place for it; `None` if its address has too many.
    async fn accept(&self, listener: &TcpListener) -> io::Result<Option<(TcpStream, Place)>> {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&self.places).acquire_owned().await else { return Ok(None) };
        let (stream, address) = listener.accept().await?;
        let Some(counted) = Addresses::enter(&self.addresses, address.ip()) else { return Ok(None) };
        stream.set_nodelay(true)?;
        Ok(Some((stream, Place { address: counted, _permit: permit })))
    }
}

async fn connection(
    stream: TcpStream,
    place: Place,
    app: Router,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) {
    let address = place.address.address;
    let service = service_fn(move |request| answer(app.clone(), address, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return log_end(ended),
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = tokio::time::sleep(limits.lifetime) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(limits.drain, connection).await {
        log_end(ended);
    }
    drop(place);
}

/// That a client goes away, or never was one, is nothing that an operator must know.
fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    app: Router,
    address: IpAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    if let Some(uri) = without_trailing_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(PeerAddress(address));
    app.oneshot(request).await
}

/// A connection's place among all, and among those of its address; given back when it is dropped.
struct Place {
    address: Counted,
    _permit: OwnedSemaphorePermit,
}

struct Addresses {
    count: Mutex<BTreeMap<IpAddr, usize>>,
    max: usize,
}

struct Counted {
    address: IpAddr,
    addresses: Arc<Addresses>,
}

impl Addresses {
    fn enter(addresses: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let mut count = addresses.count.lock().unwrap_or_else(PoisonError::into_inner);
        let own = count.entry(address).or_insert(0);
        if *own >= addresses.max {
            return None;
        }
        *own += 1;
        Some(Counted { address, addresses: Arc::clone(addresses) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut count = self.addresses.count.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = count.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                count.remove(&self.address);
            }
        }
    }
}
