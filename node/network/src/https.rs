//! TLS of the REST interface: TLS 1.3, at which a client may show who it is.
//!
//! The certificate of a client is the one of the native entrance, and so is what is demanded of it: signed by itself with
//! the key of an account, and not over ([`crate::entrance`]). A client without one is let in as nobody. What a key may see
//! is for the caller to decide. Nothing is resumed: every connection proves its key anew.

mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carat_types::{PublicKey, SecretKey};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate::public_key;
use crate::error::NetworkError;
use crate::network_key::NetworkKey;
use crate::provider::provider;
use crate::tls::{Identity, anonymous, https};

pub use watch::CertificateWatch;

/// What is spoken inside.
pub(crate) const PROTOCOL: &str = "http/1.1";
/// How long a handshake may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A certificate for the REST interface that others than us gave, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those up to its issuer's.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The server's side of every handshake.
#[derive(Clone)]
pub struct Https {
    acceptor: TlsAcceptor,
}

/// A connection whose handshake is over.
#[derive(Debug)]
pub struct Secured {
    /// What was inside is read and written here.
    pub stream: TlsStream<TcpStream>,
    /// The key that the client proved to hold; none if it showed no certificate.
    pub client: Option<PublicKey>,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeRefused {
    /// The client's certificate is not taken.
    #[error("the client's certificate is refused: {0}")]
    Certificate(rustls::Error),
    /// Not TLS 1.3 with HTTP/1.1, or cut off.
    #[error("no TLS handshake: {0}")]
    Handshake(io::Error),
    /// It took too long.
    #[error("no TLS handshake in {} s", PATIENCE.as_secs())]
    Timeout,
}

impl HandshakeRefused {
    /// Its name in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            HandshakeRefused::Certificate(_) => "certificate",
            HandshakeRefused::Handshake(_) => "handshake",
            HandshakeRefused::Timeout => "timeout",
        }
    }
}

impl Https {
    /// Shows the certificate of `identity`, the node's network key: who has the genesis file knows it.
    ///
    /// **Errors**: none is known for a key of ours; the library may refuse.
    pub fn of_identity(identity: &NetworkKey) -> Result<Self, NetworkError> {
        Self::showing(Identity::new(identity, String::new())?.certified())
    }

    /// Shows a certificate from files.
    ///
    /// **Errors**: [`NetworkError::ServerCertificate`] for files that hold none, or that do not belong together.
    pub fn of_files(files: &CertificateFiles) -> Result<Self, NetworkError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| refused(&files.certificate, &error.to_string()))?;
        if chain.is_empty() {
            return Err(refused(&files.certificate, "it holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| refused(&files.key, &error.to_string()))?;
        let certified = CertifiedKey::from_der(chain, key, &provider());
        Self::showing(Arc::new(certified.map_err(|error| refused(&files.key, &error.to_string()))?))
    }

    fn showing(certified: Arc<CertifiedKey>) -> Result<Self, NetworkError> {
        let config = https(&Arc::new(provider()), certified)?;
        Ok(Https { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Makes the handshake on a connection that was accepted.
    ///
    /// **Errors**: [`HandshakeRefused`].
    pub async fn accept(&self, stream: TcpStream) -> Result<Secured, HandshakeRefused> {
        let handshake = timeout(PATIENCE, self.acceptor.accept(stream)).await;
        let stream = handshake.map_err(|_| HandshakeRefused::Timeout)?.map_err(why)?;
        let (_, session) = stream.get_ref();
        let client = session.peer_certificates().and_then(<[_]>::first).and_then(public_key);
        Ok(Secured { client, stream })
    }
}

fn refused(path: &Path, problem: &str) -> NetworkError {
    NetworkError::ServerCertificate { path: path.to_owned(), problem: problem.to_owned() }
}

pub(crate) fn why(error: io::Error) -> HandshakeRefused {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner @ rustls::Error::InvalidCertificate(_)) => HandshakeRefused::Certificate(inner.clone()),
        _ => HandshakeRefused::Handshake(error),
    }
}

/// A client's side of a connection to the node whose network key is `server`, as the holder of `client`'s key, if there is
/// one. The name that is dialled does not matter: the key is all that is known of the node.
///
/// **Errors**: none is known for a key of ours; the library may refuse.
pub fn client(client: Option<&SecretKey>, server: PublicKey) -> Result<rustls::ClientConfig, NetworkError> {
    match client {
        Some(key) => Identity::new(&key.clone().into(), PROTOCOL.to_owned())?.client_tls(server),
        None => anonymous(&Arc::new(provider()), server, PROTOCOL),
    }
}
