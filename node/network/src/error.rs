//! What can fail on our side. A peer's faults are never errors: they are counted ([`crate::Stats`]).

use std::net::SocketAddr;

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The UDP socket could not be opened.
    #[error(
        "cannot listen for validators on UDP {listen}: {source}; hint: end the process that holds the port, \
         or set another [network] listen address"
    )]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The list of peers contradicts itself or us.
    #[error("peer {index}: {problem}; hint: run `carat-genesis verify` on the genesis file")]
    Peer {
        /// Index of the peer in the genesis file.
        index: u16,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The limits contradict each other.
    #[error("limits of the network: {0}")]
    Limits(String),
    /// No certificate could be made from the network key.
    #[error("certificate of the network key: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refused our own settings.
    #[error("TLS settings: {0}")]
    Tls(#[from] rustls::Error),
    /// The TLS library lacks the cipher suite that protects the first packets of QUIC.
    #[error("TLS settings: {0}")]
    InitialCipherSuite(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The certificate for the REST interface cannot be used.
    #[error(
        "certificate of the REST interface, {path}: {problem}; hint: PEM files of a certificate with its chain and of its \
         private key, named by api.tls.certificate and api.tls.key in node.toml"
    )]
    ServerCertificate {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A node could not be reached at its native entrance.
    #[error(
        "{address} does not answer at its native entrance: {reason} (hint: is the node running, and does [entrance] of its \
             node.toml listen there?)"
    )]
    Unreachable {
        /// The address dialled.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// A session at the native entrance ended.
    #[error("the session at the native entrance ended: {0}")]
    SessionEnded(String),
}
