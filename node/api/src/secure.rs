//! TLS of the REST interface, as the server needs it: whoever runs the node has the keys and the certificates.

use carat_types::PublicKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::port::BoxFuture;

/// Makes the handshakes of connections that were accepted.
pub trait Secure: Send + Sync + 'static {
    /// Makes one, within a time of its own; none if it came to nothing, which was counted then.
    fn accept(&self, stream: TcpStream) -> BoxFuture<Option<Secured>>;

    /// Counts one that was not begun, since too many are under way.
    fn turned_away(&self);
}

/// A connection whose handshake is over.
pub struct Secured {
    /// What was inside is read and written here.
    pub stream: Box<dyn Stream>,
    /// The key that the client proved to hold; none if it showed no certificate.
    pub client: Option<PublicKey>,
}

/// Both directions of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The key that the client of a connection proved to hold, put into its requests by the server.
#[derive(Clone, Copy, Debug)]
pub struct Certified(pub PublicKey);
