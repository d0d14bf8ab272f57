//! The cryptography of all our TLS, and in which order it is offered.

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};

/// AES-256-GCM first, as the users' white paper has it. AES-128-GCM is last, and stays: it protects the first packets of every QUIC
/// connection (RFC 9001, section 5.2).
pub(crate) fn provider() -> CryptoProvider {
    let cipher_suites = vec![
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ];
    CryptoProvider { cipher_suites, ..default_provider() }
}
