//! What the certificate checks of a TLS handshake read: DER and PEM of strangers, before anything is known of them.

use std::time::Duration;

use carat_network::NetworkKey;
use carat_network::certificate::{certificate_pem_key, check_own_word, public_key};
use carat_types::SecretKey;
use rustls_pki_types::{CertificateDer, UnixTime};

/// A certificate after the time at which it is shown (u32, seconds since 1970).
///
/// One that keeps its own word is signed with an Ed25519 key, so the key is one that can be read.
pub fn tls_certificate(bytes: &[u8]) {
    let _ = is_taken(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = certificate_pem_key(text);
    }
}

/// Whether a certificate keeps its own word at the time that stands before it.
pub fn is_taken(bytes: &[u8]) -> bool {
    let Some((now, der)) = bytes.split_first_chunk::<4>() else { return false };
    let certificate = CertificateDer::from(der);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u32::from_be_bytes(*now).into()));
    let key = public_key(&certificate);
    // Whether anybody can sign with a key is asked of whatever key it is.
    let _ = key.map(|key| key.is_weak());
    let taken = check_own_word(&certificate, now).is_ok();
    assert!(!taken || key.is_some(), "taken without a key");
    taken
}

/// A certificate of ours, shown within its time and long before it.
pub(crate) fn certificates() -> Vec<Vec<u8>> {
    let key = SecretKey::from_seed(&[7; 32]);
    let certificate = NetworkKey::from(key).certificate().unwrap_or_default();
    [1_800_000_000_u32, 0].iter().map(|now| [&now.to_be_bytes()[..], &certificate].concat()).collect()
}
