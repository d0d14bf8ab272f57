//! A TCP connection between two processes that know each other's key beforehand: TLS 1.3, in which both sides prove theirs.
//!
//! No issuers, names or dates, nothing resumed, AES-256-GCM offered first: as between validators ([`crate::tls`]). The protocol's name says
//! what is spoken and for which chain, so that no key can be used for one thing where another was meant.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use carat_types::{PublicKey, SecretKey};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::NetworkError;
use crate::https::{HandshakeRefused, PATIENCE, why};
use crate::network_key::NetworkKey;
use crate::tls::{Identity, private_server};

/// The side that is dialled.
#[derive(Clone)]
pub struct PrivateDoor(TlsAcceptor);

impl PrivateDoor {
    /// Shows `own` and lets in the holder of `client` alone.
    ///
    /// **Errors**: none is known for a key of ours; the library may refuse.
    pub fn new(own: &NetworkKey, client: PublicKey, protocol: &str) -> Result<Self, NetworkError> {
        let identity = Identity::new(own, protocol.to_owned())?;
        Ok(PrivateDoor(TlsAcceptor::from(Arc::new(private_server(&identity, client)?))))
    }

    /// Makes the handshake on a connection that was accepted, within five seconds.
    ///
    /// **Errors**: [`HandshakeRefused`].
    pub async fn accept(
        &self,
        stream: tokio::net::TcpStream,
    ) -> Result<TlsStream<tokio::net::TcpStream>, HandshakeRefused> {
        let handshake = timeout(PATIENCE, self.0.accept(stream)).await;
        handshake.map_err(|_| HandshakeRefused::Timeout)?.map_err(why)
    }
}

/// The side that dials: who it is, and whom it expects.
#[derive(Clone, Debug)]
pub struct PrivateDialler {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl PrivateDialler {
    /// Dials `address`, where the holder of `server` must be.
    ///
    /// **Errors**: none is known for a key of ours; the library may refuse.
    pub fn new(
        own: &SecretKey,
        server: PublicKey,
        address: SocketAddr,
        protocol: &str,
    ) -> Result<Self, NetworkError> {
        let config = Identity::new(&own.clone().into(), protocol.to_owned())?.client_tls(server)?;
        Ok(PrivateDialler { address, config: Arc::new(config) })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects; nothing on the connection, its handshake included, waits longer than `patience` for the other side.
    ///
    /// **Errors**: the system's, or the handshake's. That the other side refuses our key is known only when it is read from.
    pub fn connect(&self, patience: Duration) -> io::Result<PrivateStream> {
        let stream = TcpStream::connect_timeout(&self.address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let session = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(PrivateStream(Box::new(stream)))
    }
}

/// The dialling side's connection, whose handshake is over.
#[derive(Debug)]
pub struct PrivateStream(Box<StreamOwned<ClientConnection, TcpStream>>);

impl Read for PrivateStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for PrivateStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
