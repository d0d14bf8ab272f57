//! The signer's port for a validator on another machine: TLS in which both sides prove a key.
//!
//! What the kernel's word is at the socket is here the validator's link key, which nothing else uses. The signer proves the network
//! key, which the validator knows from the genesis file. **Source**: decision record 44.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use carat_network::PrivateDoor;
use carat_storage::Identity;
use carat_types::PublicKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::keyring::Keyring;
use super::server::{Asked, SignerError, attend};
use super::wire::protocol;
use crate::error::NodeError;

/// Handshakes at one time: strangers leave room for the validator's connections.
const HANDSHAKES_MAX: usize = 16;
/// A connection without a question for so long is one whose other end is gone, and nobody said so.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// A port that listens.
pub(super) struct Remote {
    listener: TcpListener,
    door: Door,
}

/// Who is let in, and how many were not.
#[derive(Clone)]
pub(super) struct Door {
    tls: PrivateDoor,
    handshakes: Arc<Semaphore>,
    refused: Arc<AtomicU64>,
}

impl Door {
    fn refuse(&self, address: SocketAddr, reason: &str) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        tracing::warn!(%address, reason, refused, "a connection is refused");
    }
}

impl Remote {
    /// **Errors**: a port that is taken.
    pub(super) fn bind(
        (listen, client): (SocketAddr, PublicKey),
        keyring: &Keyring,
        identity: &Identity,
    ) -> Result<Self, SignerError> {
        let tls = PrivateDoor::new(keyring.network(), client, &protocol(&identity.chain_id));
        let tls = tls.map_err(NodeError::from)?;
        let door =
            Door { tls, handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)), refused: Arc::default() };
        let failed = |error| SignerError::Port { listen, error };
        let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Remote { listener: TcpListener::from_std(listener).map_err(failed)?, door })
    }
}

/// The next connection; never, without a port.
pub(super) async fn accept_remote(remote: Option<&Remote>) -> io::Result<(TcpStream, SocketAddr, Door)> {
    let Some(Remote { listener, door }) = remote else { return std::future::pending().await };
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, address, door.clone()))
}

/// Makes the handshake and attends to the validator; a stranger is refused and counted.
pub(super) async fn attend_remote(
    stream: TcpStream,
    address: SocketAddr,
    door: Door,
    identity: Identity,
    desk: Sender<Asked>,
) {
    let Ok(room) = door.handshakes.try_acquire() else { return door.refuse(address, "too many handshakes") };
    let handshake = door.tls.accept(stream).await;
    drop(room);
    match handshake {
        Ok(stream) => attend(stream, identity, address.to_string(), desk, Some(IDLE_MAX)).await,
        Err(reason) => door.refuse(address, &reason.to_string()),
    }
}
