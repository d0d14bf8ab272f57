//! The HTTP server: connections with limits on their number, their headers and their life.
//!
//! HTTP/1.1 only: it is what the clients speak without TLS, and leaves out a whole class of attacks. HTTP/2 belongs to a
//! reverse proxy in front, and TLS may. Every connection has a timer for its headers, which also ends idle ones. With TLS
//! there is a second door; connections at both count together. **Source**: reliability notes, B16.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::response::Response;
use carat_types::PublicKey;
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
use crate::links::FORWARDED_PROTO;
use crate::port::Node;
use crate::routes::Listener;
use crate::secure::{Certified, Secure, Secured, Stream};

/// What a connection may use.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at the same time; more wait to be accepted.
    pub connections_max: usize,
    /// Connections of one address at the same time; more are closed at once.
    pub of_one_address_max: usize,
    /// TLS handshakes at the same time, one address at most half of them; more are closed at once.
    pub handshakes_max: usize,
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
            handshakes_max: 256,
            header_timeout: Duration::from_secs(15),
            header_bytes_max: 64 * 1024,
            lifetime: Duration::from_secs(600),
            drain: Duration::from_secs(5),
        }
    }
}

/// Where requests come in.
pub struct Doors {
    /// Without TLS.
    pub plain: TcpListener,
    /// With TLS, and who makes its handshakes; none, and there is only the other.
    pub secure: Option<(TcpListener, Arc<dyn Secure>)>,
}

/// Serves the API of `node` at `doors` until `stopping` becomes true or its sender is gone; then lets requests finish, for
/// as long as the limits say.
pub async fn serve(
    doors: Doors,
    node: Arc<dyn Node>,
    settings: Settings,
    limits: ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let context = Context::new(node, settings, stopping.clone());
    let server = Arc::new(Server {
        app: router(&context, Listener::Public),
        limits,
        places: Arc::new(Semaphore::new(limits.connections_max)),
        addresses: Addresses::up_to(limits.of_one_address_max),
        handshakes: Arc::new(Semaphore::new(limits.handshakes_max)),
        handshaking: Addresses::up_to(limits.handshakes_max.div_ceil(2)),
        stopping,
    });
    let plain = Arc::clone(&server).run(doors.plain, None);
    let Some((listener, secure)) = doors.secure else { return plain.await };
    tokio::join!(plain, server.run(listener, Some(secure)));
}

struct Server {
    app: Router,
    limits: ConnectionLimits,
    places: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    handshakes: Arc<Semaphore>,
    handshaking: Arc<Addresses>,
    stopping: watch::Receiver<bool>,
}

impl Server {
    async fn run(self: Arc<Self>, listener: TcpListener, secure: Option<Arc<dyn Secure>>) {
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
                    connections.spawn(Arc::clone(&self).admit(stream, place, secure.clone()));
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

    /// Serves a connection, after its handshake where there is one.
    async fn admit(self: Arc<Self>, stream: TcpStream, place: Place, secure: Option<Arc<dyn Secure>>) {
        let from = place.address.address;
        match secure {
            None => self.serve(stream, Origin { from, is_secure: false, client: None }).await,
            Some(secure) => {
                if let Some(Secured { stream, client }) = self.shake_hands(stream, from, &*secure).await {
                    self.serve(stream, Origin { from, is_secure: true, client }).await;
                }
            }
        }
        drop(place);
    }

    async fn shake_hands(&self, stream: TcpStream, from: IpAddr, secure: &dyn Secure) -> Option<Secured> {
        let turn = self.handshakes.try_acquire().ok();
        let (Some(_turn), Some(_of_address)) = (turn, Addresses::enter(&self.handshaking, from)) else {
            secure.turned_away();
            return None;
        };
        secure.accept(stream).await
    }

    async fn serve(&self, stream: impl Stream + 'static, origin: Origin) {
        let limits = &self.limits;
        let service = service_fn(move |request| answer(self.app.clone(), origin, request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.header_bytes_max)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut stopping = self.stopping.clone();
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(limits.lifetime) => {}
        }
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = tokio::time::timeout(limits.drain, connection).await {
            log_end(ended);
        }
    }
}

/// That a client goes away, or never was one, is nothing that an operator must know.
fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// What is known of the other end of a connection.
#[derive(Clone, Copy)]
struct Origin {
    from: IpAddr,
    is_secure: bool,
    /// The key of its certificate.
    client: Option<PublicKey>,
}

async fn answer(
    app: Router,
    origin: Origin,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    if let Some(uri) = without_trailing_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(PeerAddress(origin.from));
    if origin.is_secure {
        // Of our own TLS we know it better than any proxy.
        request.headers_mut().insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    if let Some(key) = origin.client {
        request.extensions_mut().insert(Certified(key));
    }
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
    fn up_to(max: usize) -> Arc<Self> {
        Arc::new(Addresses { count: Mutex::default(), max })
    }

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
