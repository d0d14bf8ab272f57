//! A node's network key: in this process, or in another that signs handshakes with it.

use std::fmt;
use std::io;
use std::sync::Arc;

use carat_types::hash::h;
use carat_types::{Digest, PublicKey, SecretKey, Signature};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::certificate::{certificate, pkcs8};
use crate::error::NetworkError;

/// Signs handshakes with a network key that is in another process.
///
/// It is called inside a handshake and must answer, or fail, soon: well within a second.
pub trait HandshakeSigner: fmt::Debug + Send + Sync {
    /// The signature on what TLS 1.3 signs (RFC 8446, section 4.4.3).
    ///
    /// **Errors**: the other process's; the handshake fails, and is tried again by whoever dials.
    fn sign(&self, message: &[u8]) -> io::Result<Signature>;
}

/// A network key, wherever it is.
#[derive(Clone, Debug)]
pub struct NetworkKey(Place);

#[derive(Clone, Debug)]
enum Place {
    Here(SecretKey),
    Elsewhere(Elsewhere),
}

/// What must be known of a network key that is in another process.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The key.
    pub public: PublicKey,
    /// Its certificate, as [`NetworkKey::certificate`] of its holder makes it.
    pub certificate: Vec<u8>,
    /// As [`NetworkKey::reset_key`] of its holder makes it.
    pub reset_key: Digest,
    /// Who signs.
    pub signer: Arc<dyn HandshakeSigner>,
}

impl From<SecretKey> for NetworkKey {
    fn from(key: SecretKey) -> Self {
        NetworkKey(Place::Here(key))
    }
}

impl From<Elsewhere> for NetworkKey {
    fn from(key: Elsewhere) -> Self {
        NetworkKey(Place::Elsewhere(key))
    }
}

impl NetworkKey {
    /// The public half.
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Place::Here(key) => key.public(),
            Place::Elsewhere(key) => key.public,
        }
    }

    /// The certificate, DER: a pure function of the key.
    ///
    /// **Errors**: none is known for a key of ours; the library may refuse.
    pub fn certificate(&self) -> Result<Vec<u8>, NetworkError> {
        match &self.0 {
            Place::Here(key) => Ok(certificate(key)?.to_vec()),
            Place::Elsewhere(key) => Ok(key.certificate.clone()),
        }
    }

    /// The key of QUIC's reset tokens: derived from the network key, so that a restarted validator can tell its peers at
    /// once that their old connections are gone, and they need not wait for the idle timeout.
    pub fn reset_key(&self) -> Digest {
        match &self.0 {
            Place::Here(key) => h("network-reset-key", &[key.to_seed().as_slice()]),
            Place::Elsewhere(key) => key.reset_key,
        }
    }

    /// The certificate with what signs for it, for the TLS library.
    pub(crate) fn certified(&self) -> Result<CertifiedKey, NetworkError> {
        let chain = vec![CertificateDer::from(self.certificate()?)];
        let signer: Arc<dyn SigningKey> = match &self.0 {
            Place::Here(key) => {
                let der = pkcs8(key);
                rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))?
            }
            Place::Elsewhere(key) => Arc::new(RemoteKey(Arc::clone(&key.signer))),
        };
        Ok(CertifiedKey::new(chain, signer))
    }
}

#[derive(Clone, Debug)]
struct RemoteKey(Arc<dyn HandshakeSigner>);

impl SigningKey for RemoteKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for RemoteKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = self.0.sign(message);
        signed.map(|signature| signature.0.to_vec()).map_err(|error| {
            tracing::warn!(%error, "a TLS handshake could not be signed");
            rustls::Error::General(format!("the network key's signer: {error}"))
        })
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
