//! Who may speak with us: TLS 1.3 in which both sides prove to hold a network key of the genesis file.
//!
//! The verifiers replace the web's notion of trust by a table of keys: no issuers, no names, no dates; of a client, which
//! nobody listed, the certificate must be its own, and not be over. That the other side *holds* the key is proven by its signature over the handshake, which is checked in full. The
//! protocol name (ALPN) holds the version and the chain id, so that a validator of another network is refused
//! before any key is looked at. There is no session resumption and no 0-RTT: nothing can be replayed, and every
//! connection is authenticated anew. **Source**: reliability goal S9.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use carat_types::{Digest, PublicKey};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WantsClientCert};
use rustls::crypto::{CryptoProvider, SecureRandom, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::{check_own_word, public_key};
use crate::error::NetworkError;
use crate::limits::PROTOCOL_VERSION;
use crate::network_key::NetworkKey;
use crate::provider::provider;

/// What the certificate of the other side is refused for.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum KeyRefused {
    #[error("key {0} is not a network key of the genesis file")]
    Unknown(PublicKey),
    #[error("key {0} is no valid Ed25519 key")]
    Weak(PublicKey),
    #[error("network key is {seen}, expected {expected}")]
    Other { seen: PublicKey, expected: PublicKey },
    #[error("key is {seen}, expected {expected}")]
    Stranger { seen: PublicKey, expected: PublicKey },
    #[error("certificate without an Ed25519 key")]
    NoKey,
    #[error("more than one certificate")]
    Chain,
}

/// The TLS library shows this form to the operator on both sides, so it is the readable one.
impl fmt::Debug for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<KeyRefused> for rustls::Error {
    fn from(refused: KeyRefused) -> Self {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
    }
}

/// The protocol name that two validators must agree on.
pub(crate) fn protocol(chain_id: &Digest) -> String {
    format!("carat/{PROTOCOL_VERSION}/{chain_id}")
}

/// The protocol name that a client and a validator must agree on, of one version of what they say.
pub(crate) fn client_protocol(chain_id: &Digest, version: u32) -> String {
    format!("carat-client/{version}/{chain_id}")
}

/// Our own side of every handshake.
pub(crate) struct Identity {
    provider: Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
    protocol: String,
    /// An older one that is spoken with who does not know the first.
    older: Option<String>,
}

impl Identity {
    pub(crate) fn new(key: &NetworkKey, protocol: String) -> Result<Self, NetworkError> {
        let provider = Arc::new(provider());
        let certified = Arc::new(key.certified()?);
        Ok(Identity { provider, certified, protocol, older: None })
    }

    /// Speaks an older protocol too.
    pub(crate) fn or(self, older: String) -> Self {
        Identity { older: Some(older), ..self }
    }

    /// The protocol names that we speak, the best first.
    fn protocols(&self) -> Vec<&str> {
        std::iter::once(self.protocol.as_str()).chain(self.older.as_deref()).collect()
    }

    /// The system's source of random bytes, as TLS uses it.
    pub(crate) fn random(&self) -> &'static dyn SecureRandom {
        self.provider.secure_random
    }

    /// What we show.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// The protocol name that we speak.
    pub(crate) fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Settings for accepting any of `keys`. `offer` learns what the client offers to speak.
    pub(crate) fn server(&self, keys: &Keys, offer: &Arc<Offer>) -> Result<QuicServerConfig, NetworkError> {
        let resolver = Resolver { certified: Arc::clone(&self.certified), offer: Arc::clone(offer) };
        let verifier = KeyHolders {
            keys: keys.clone(),
            anonymous: false,
            signatures: Signatures(Arc::clone(&self.provider)),
        };
        Ok(QuicServerConfig::try_from(server(&self.provider, verifier, resolver, &self.protocols())?)?)
    }

    /// Settings for dialling the peer whose key is `expected`.
    pub(crate) fn client(&self, expected: PublicKey) -> Result<QuicClientConfig, NetworkError> {
        Ok(QuicClientConfig::try_from(self.client_tls(expected)?)?)
    }

    /// The TLS part of [`Identity::client`].
    pub(crate) fn client_tls(&self, expected: PublicKey) -> Result<rustls::ClientConfig, NetworkError> {
        let certificate = OurCertificate(Arc::clone(&self.certified));
        let config = pinned(&self.provider, expected)?.with_client_cert_resolver(Arc::new(certificate));
        Ok(nothing_resumed(config, &self.protocols()))
    }
}

/// Settings for dialling the server whose key is `expected`, as nobody.
pub(crate) fn anonymous(
    provider: &Arc<CryptoProvider>,
    expected: PublicKey,
    protocol: &str,
) -> Result<rustls::ClientConfig, NetworkError> {
    Ok(nothing_resumed(pinned(provider, expected)?.with_no_client_auth(), &[protocol]))
}

fn pinned(
    provider: &Arc<CryptoProvider>,
    expected: PublicKey,
) -> Result<rustls::ConfigBuilder<rustls::ClientConfig, WantsClientCert>, NetworkError> {
    let verifier = PinnedServer { expected, signatures: Signatures(Arc::clone(provider)) };
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

fn nothing_resumed(mut config: rustls::ClientConfig, protocols: &[&str]) -> rustls::ClientConfig {
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    config.enable_early_data = false;
    config
}

/// Settings for the REST interface, at which `certified` is shown and a client may show the certificate of a key.
pub(crate) fn https(
    provider: &Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
) -> Result<rustls::ServerConfig, NetworkError> {
    let verifier =
        KeyHolders { keys: Keys::Any, anonymous: true, signatures: Signatures(Arc::clone(provider)) };
    server(provider, verifier, Resolver { certified, offer: Arc::default() }, &[crate::https::PROTOCOL])
}

/// Settings for a TCP port at which the holder of one key alone is let in.
pub(crate) fn private_server(
    own: &Identity,
    client: PublicKey,
) -> Result<rustls::ServerConfig, NetworkError> {
    let verifier = KeyHolders {
        keys: Keys::Only(client),
        anonymous: false,
        signatures: Signatures(Arc::clone(&own.provider)),
    };
    let resolver = Resolver { certified: own.certified(), offer: Arc::default() };
    server(&own.provider, verifier, resolver, &own.protocols())
}

/// Nothing is resumed, and the suite is chosen by our order, not by the client's.
fn server(
    provider: &Arc<CryptoProvider>,
    verifier: KeyHolders,
    resolver: Resolver,
    protocols: &[&str],
) -> Result<rustls::ServerConfig, NetworkError> {
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(resolver));
    config.ignore_client_order = true;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The keys that may connect, each with its peer's place.
pub(crate) type Pinned = Arc<BTreeMap<PublicKey, usize>>;

/// Whose handshakes are accepted.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    /// These, and no others.
    Pinned(Pinned),
    /// This one.
    Only(PublicKey),
    /// Every holder of a proper key: who may do what is decided when the key is known.
    Any,
}

impl Keys {
    fn accept(&self, key: &PublicKey) -> Result<(), KeyRefused> {
        match self {
            Keys::Pinned(keys) if !keys.contains_key(key) => Err(KeyRefused::Unknown(*key)),
            Keys::Only(expected) if key != expected => {
                Err(KeyRefused::Stranger { seen: *key, expected: *expected })
            }
            Keys::Any if key.is_weak() => Err(KeyRefused::Weak(*key)),
            _ => Ok(()),
        }
    }
}

/// The key that an established connection authenticates.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?;
    let certificates = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    public_key(certificates.first()?)
}

/// What a client offered to speak: TLS tells it to nobody once it has refused.
#[derive(Debug, Default)]
pub(crate) struct Offer(Mutex<Option<String>>);

/// Longest offer that is kept for the log.
const OFFER_BYTES: usize = 128;

impl Offer {
    pub(crate) fn text(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Always our one certificate, whoever asks.
#[derive(Debug)]
struct OurCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for OurCertificate {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Always our one certificate; looks at the offer in passing.
#[derive(Debug)]
struct Resolver {
    certified: Arc<CertifiedKey>,
    offer: Arc<Offer>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(first) = hello.alpn().and_then(|mut offered| offered.next()) {
            let shown: Vec<u8> = first.iter().copied().take(OFFER_BYTES).collect();
            let text = shown.escape_ascii().to_string();
            *self.offer.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
        Some(Arc::clone(&self.certified))
    }
}

/// The handshake signature: Ed25519 and nothing else.
#[derive(Debug)]
struct Signatures(Arc<CryptoProvider>);

impl Signatures {
    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if signature.scheme != SignatureScheme::ED25519 {
            return Err(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }
}

/// Unreachable, since only TLS 1.3 is enabled; refuses all the same.
fn refuse_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
}

fn only_key(end_entity: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<PublicKey, KeyRefused> {
    if !others.is_empty() {
        return Err(KeyRefused::Chain);
    }
    public_key(end_entity).ok_or(KeyRefused::NoKey)
}

/// Accepts the clients that hold one of the keys.
#[derive(Debug)]
struct KeyHolders {
    keys: Keys,
    /// Whether one may come without a certificate.
    anonymous: bool,
    signatures: Signatures,
}

impl ClientCertVerifier for KeyHolders {
    fn client_auth_mandatory(&self) -> bool {
        !self.anonymous
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let key = only_key(end_entity, intermediates)?;
        self.keys.accept(&key)?;
        if matches!(self.keys, Keys::Any) {
            check_own_word(end_entity, now)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Accepts the one server that was dialled.
#[derive(Debug)]
struct PinnedServer {
    expected: PublicKey,
    signatures: Signatures,
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = only_key(end_entity, intermediates)?;
        if seen != self.expected {
            return Err(KeyRefused::Other { seen, expected: self.expected }.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
