//! TLS of the REST interface: who is let in, and as whom.

use std::io;
use std::sync::Arc;

use carat_types::{PublicKey, SecretKey, submission};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519, date_time_ymd};
use rustls::CipherSuite;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::harness::*;
use crate::certificate::{certificate, certificate_pem, key_pem, pkcs8};
use crate::https::{CertificateFiles, CertificateWatch, HandshakeRefused, Https, PROTOCOL, Secured, client};
use crate::provider::provider;
use crate::tls::{Identity, anonymous, client_protocol};

/// The client of most cases.
const CLIENT: u16 = 5;

fn pair(key: &SecretKey) -> KeyPair {
    let der = pkcs8(key);
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der.as_slice()), &PKCS_ED25519)
        .expect("a key")
}

/// A certificate that the client's key signs for itself, as `change` has it.
fn own(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.self_signed(&pair(&secret(CLIENT))).expect("made").der().clone()
}

/// A certificate of the client's key that another has signed.
fn of_another_signer() -> CertificateDer<'static> {
    let params = CertificateParams::default();
    let issuer = Issuer::new(CertificateParams::default(), pair(&secret(6)));
    params.signed_by(&pair(&secret(CLIENT)), &issuer).expect("made").der().clone()
}

/// Settings of a client that shows `shown` and signs with the key of `signer`.
fn showing(shown: CertificateDer<'static>, signer: u16) -> rustls::ClientConfig {
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);
    impl rustls::client::ResolvesClientCert for Shows {
        fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
        fn has_certs(&self) -> bool {
            true
        }
    }
    let der = pkcs8(&secret(signer));
    let signer =
        rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice())).expect("a key");
    let mut config = client(None, public(0)).expect("settings");
    config.client_auth_cert_resolver = Arc::new(Shows(Arc::new(CertifiedKey::new(vec![shown], signer))));
    config
}

/// Lets one client in: what the server makes of it, and what the client is told.
async fn meet(
    https: &Https,
    config: rustls::ClientConfig,
) -> (Result<Secured, HandshakeRefused>, io::Result<()>) {
    let listener = TcpListener::bind(loopback()).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let dialling = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        // A refusal of the client's certificate comes after the client's part of the handshake.
        stream.write_all(b"hello").await?;
        stream.read_exact(&mut [0; 5]).await.map(drop)
    };
    let serving = async {
        let (stream, _) = listener.accept().await.expect("a client");
        let mut secured = https.accept(stream).await?;
        let mut heard = [0; 5];
        secured.stream.read_exact(&mut heard).await.expect("said");
        secured.stream.write_all(&heard).await.expect("heard");
        Ok(secured)
    };
    within("a handshake", async { tokio::join!(serving, dialling) }).await
}

fn https() -> Https {
    Https::of_identity(&secret(0).into()).expect("settings")
}

async fn key_of(config: rustls::ClientConfig) -> Option<PublicKey> {
    let (secured, told) = meet(&https(), config).await;
    told.expect("an answer");
    secured.expect("a connection").client
}

#[tokio::test]
async fn client_is_known_by_the_key_of_its_certificate_and_nobody_without_one() {
    let key = secret(CLIENT);
    assert_eq!(key_of(client(Some(&key), public(0)).expect("settings")).await, Some(key.public()));
    assert_eq!(key_of(client(None, public(0)).expect("settings")).await, None);
    // One that another tool made, for a year.
    let this_century = own(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2199, 1, 1);
    });
    assert_eq!(key_of(showing(this_century, CLIENT)).await, Some(key.public()));
}

#[tokio::test]
async fn certificate_that_is_not_the_clients_own_or_over_is_refused_and_the_client_told_why() {
    let ecdsa = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("made");
    let ecdsa = CertificateParams::default().self_signed(&ecdsa).expect("made").der().clone();
    let cases: [(&str, CertificateDer<'static>, u16, &str, &str); 7] = [
        (
            "over",
            own(|params| params.not_after = date_time_ymd(2020, 1, 1)),
            CLIENT,
            "Expired",
            "CertificateExpired",
        ),
        ("not begun", own(|params| params.not_before = date_time_ymd(4000, 1, 1)), CLIENT, "NotValidYet", ""),
        ("of another's key", certificate(&secret(CLIENT)).expect("made"), 6, "BadSignature", "DecryptError"),
        ("signed by another", of_another_signer(), CLIENT, "BadSignature", "DecryptError"),
        ("of another kind", ecdsa, CLIENT, "without an Ed25519 key", ""),
        (
            "of an issuer",
            own(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            CLIENT,
            "CaUsedAsEndEntity",
            "",
        ),
        ("no certificate but bytes", vec![1; 40].into(), CLIENT, "without an Ed25519 key", ""),
    ];
    for (case, shown, signer, reason, alert) in cases {
        let (refused, told) = meet(&https(), showing(shown, signer)).await;
        let refused = refused.expect_err(case);
        assert!(refused.to_string().contains(reason), "{case}: {refused}");
        assert_eq!(refused.label(), "certificate", "{case}: {refused}");
        let told = told.expect_err(case).to_string();
        assert!(told.contains("alert") && told.contains(alert), "{case}: {told}");
    }
}

#[tokio::test]
async fn node_with_another_key_is_not_spoken_to() {
    let (refused, told) = meet(&https(), client(Some(&secret(CLIENT)), public(1)).expect("settings")).await;
    assert_eq!(refused.expect_err("given up").label(), "handshake");
    let told = told.expect_err("another key").to_string();
    assert!(told.contains(&public(0).to_string()) && told.contains("expected"), "{told}");
}

#[tokio::test]
async fn client_that_speaks_something_else_is_refused() {
    let mut config = client(Some(&secret(CLIENT)), public(0)).expect("settings");
    config.alpn_protocols = vec![client_protocol(&CHAIN, submission::VERSION).into_bytes()];
    let (refused, _) = meet(&https(), config).await;
    assert_eq!(refused.expect_err("no protocol").label(), "handshake");
}

#[tokio::test]
async fn aes_256_is_offered_first_and_chosen_whatever_a_client_prefers() {
    const FIRST: CipherSuite = CipherSuite::TLS13_AES_256_GCM_SHA384;
    let identity = Identity::new(&secret(0).into(), String::new()).expect("a key");
    for config in [client(None, public(0)), identity.client_tls(public(1))] {
        let config = config.expect("settings");
        assert_eq!(config.crypto_provider().cipher_suites.first().map(|suite| suite.suite()), Some(FIRST));
    }
    let mut backwards = provider();
    backwards.cipher_suites.reverse();
    let config = anonymous(&Arc::new(backwards), public(0), PROTOCOL).expect("settings");
    let stream = meet(&https(), config).await.0.expect("let in").stream;
    assert_eq!(stream.get_ref().1.negotiated_cipher_suite().map(|suite| suite.suite()), Some(FIRST));
}

#[tokio::test]
async fn certificate_of_files_is_shown_and_files_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let bank = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("made");
    let shown = CertificateParams::new(vec!["node.bank.example".to_owned()]).expect("a name");
    let shown = shown.self_signed(&bank).expect("made");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let files = CertificateFiles {
        certificate: file("certificate.pem", &shown.pem()),
        key: file("key.pem", &bank.serialize_pem()),
    };
    let https = Https::of_files(&files).expect("they fit");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(shown.der().clone()).expect("a root");
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("settings")
            .with_root_certificates(roots)
            .with_no_client_auth();
    let (_, told) = meet(&https, config).await;
    let told = told.expect_err("of another name").to_string();
    assert!(told.contains("node.bank.example"), "the client has seen the bank's certificate: {told}");

    let other = file(
        "other.pem",
        &KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("made").serialize_pem(),
    );
    let table = [
        (CertificateFiles { key: other.clone(), ..files.clone() }, "other.pem"),
        (CertificateFiles { certificate: other, ..files.clone() }, "other.pem"),
        (CertificateFiles { certificate: folder.path().join("none.pem"), ..files }, "none.pem"),
    ];
    for (files, named) in table {
        let error = Https::of_files(&files).err().expect(named).to_string();
        assert!(error.contains(named) && error.contains("hint:"), "{error}");
    }
}

/// Writes one file of a pair.
fn write(path: &std::path::Path, pem: &str) {
    std::fs::write(path, pem).expect("written");
}

#[test]
fn new_certificate_is_shown_once_it_is_whole_and_a_bad_one_is_refused_once() {
    let folder = tempfile::tempdir().expect("folder");
    let files =
        CertificateFiles { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    let certificate = |number| certificate_pem(&secret(number)).expect("made");
    let key = |number| key_pem(&secret(number)).expect("made");
    write(&files.certificate, &certificate(7));
    write(&files.key, &key(7));
    let mut watch = CertificateWatch::new(files.clone());
    assert!(watch.look().is_none(), "nothing is new");

    // A certificate whose key has not come yet is tried only when it stays so.
    write(&files.certificate, &certificate(8));
    assert!(watch.look().is_none(), "it may not be whole");
    write(&files.key, &key(8));
    assert!(watch.look().is_none(), "it may not be whole");
    assert!(watch.look().is_some_and(|tried| tried.is_ok()), "the new pair");
    assert!(watch.look().is_none(), "nothing is new");

    write(&files.key, &key(7));
    assert!(watch.look().is_none());
    let refused = watch.look().expect("tried").err().expect("certificate and key differ").to_string();
    assert!(refused.contains("tls.key"), "{refused}");
    assert!(watch.look().is_none(), "refused once");
    std::fs::remove_file(&files.key).expect("removed");
    assert!(watch.look().is_none() && watch.look().is_none(), "files that are away change nothing");
    write(&files.key, &key(8));
    assert!(watch.look().is_none());
    assert!(watch.look().is_some_and(|tried| tried.is_ok()), "the right key is back");
}
