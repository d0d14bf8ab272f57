//! The certificate of a network key, and the key of a certificate.
//!
//! A validator's identity is its Ed25519 network key in the genesis file. TLS wants it wrapped into a
//! certificate, so the key signs one for itself: a pure function of the key. Of a validator's nothing but the key is
//! ever read. Its dates say 1975 to 4096 and are ignored on purpose: a clock must not decide who a validator is, and
//! a key ends with an epoch, not with a date. A client's may be made by other tools, for a time that its holder chose;
//! that time counts.

use std::sync::Arc;

use carat_types::{PublicKey, SecretKey};
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use zeroize::Zeroizing;

use crate::error::NetworkError;

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4). There is
/// one encoding, so comparing bytes is enough.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What stands before the 32 bytes of the seed in a PKCS #8 private key (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The certificate of a network key as PEM text, for people and their tools; validators make it anew at start.
///
/// **Errors**: none is known for a key of ours; the library may refuse.
pub fn certificate_pem(key: &SecretKey) -> Result<String, NetworkError> {
    Ok(make(key)?.pem())
}

/// The key itself as PEM text: with its certificate all that a program needs that speaks TLS as its holder.
///
/// **Errors**: none is known for a key of ours; the library may refuse.
pub fn key_pem(key: &SecretKey) -> Result<Zeroizing<String>, NetworkError> {
    Ok(Zeroizing::new(pair(key)?.serialize_pem()))
}

/// The Ed25519 key in the first certificate of a PEM text; none if there is none.
pub fn certificate_pem_key(pem: &str) -> Option<PublicKey> {
    public_key(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
}

/// The certificate of a network key.
pub(crate) fn certificate(key: &SecretKey) -> Result<CertificateDer<'static>, NetworkError> {
    Ok(make(key)?.der().clone())
}

/// The Ed25519 key of a certificate; none if it has another kind of key or is no certificate.
pub fn public_key(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    let info = ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info();
    let key = info.as_ref().strip_prefix(&SPKI_PREFIX)?;
    Some(PublicKey(key.try_into().ok()?))
}

/// Whether a certificate is what its holder says of itself: signed with its own key, and now within its time.
///
/// **Errors**: what does not fit.
pub fn check_own_word(
    certificate: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<(), rustls::CertificateError> {
    let check = || {
        let anchor = webpki::anchor_from_trusted_cert(certificate)?;
        let entity = webpki::EndEntityCert::try_from(certificate)?;
        let anchors = [anchor];
        let usage = webpki::KeyUsage::client_auth();
        entity.verify_for_usage(&[webpki::ring::ED25519], &anchors, &[], now, usage, None, None).map(drop)
    };
    check().map_err(|error: webpki::Error| match error {
        webpki::Error::CertExpired { .. } => rustls::CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => rustls::CertificateError::NotValidYet,
        webpki::Error::InvalidSignatureForPublicKey => rustls::CertificateError::BadSignature,
        webpki::Error::UnknownIssuer => rustls::CertificateError::UnknownIssuer,
        other => rustls::CertificateError::Other(rustls::OtherError(Arc::new(other))),
    })
}

/// The key as PKCS #8.
pub(crate) fn pkcs8(key: &SecretKey) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len().saturating_add(32)));
    bytes.extend_from_slice(&PKCS8_PREFIX);
    bytes.extend_from_slice(key.to_seed().as_slice());
    bytes
}

fn pair(key: &SecretKey) -> Result<rcgen::KeyPair, NetworkError> {
    let der = pkcs8(key);
    let der = PrivatePkcs8KeyDer::from(der.as_slice());
    Ok(rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519)?)
}

fn make(key: &SecretKey) -> Result<rcgen::Certificate, NetworkError> {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("carat validator {}", key.public()));
    Ok(params.self_signed(&pair(key)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_of_a_key_holds_the_key_and_is_the_same_each_time() {
        let key = SecretKey::from_seed(&[7; 32]);
        let pem = certificate_pem(&key).expect("made");
        assert_eq!(pem, certificate_pem(&key).expect("made"));
        assert_eq!(certificate_pem_key(&pem), Some(key.public()));
        let der = rustls_pki_types::PrivateKeyDer::from_pem_slice(key_pem(&key).expect("made").as_bytes());
        assert!(
            der.expect("a key").secret_der().windows(32).any(|part| part == [7; 32]),
            "the seed is inside"
        );
    }

    #[test]
    fn certificate_of_another_kind_of_key_has_no_key_of_ours() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("made");
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).expect("made");
        assert_eq!(public_key(certificate.der()), None);
        assert_eq!(certificate_pem_key("-----BEGIN NOTHING-----"), None);
    }
}
