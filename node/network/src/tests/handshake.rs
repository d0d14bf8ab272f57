//! Who gets in: nobody but the holder of a pinned network key of this chain. The negative cases of goal S9.

use std::sync::Arc;

use carat_types::{Digest, SecretKey};
use quinn::ClientConfig;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::harness::*;
use crate::certificate::{certificate, pkcs8, public_key};
use crate::tls::protocol;
use crate::{BindConfig, HandshakeFailure, Inbox, Lane, Network, NetworkConfig, NetworkError, Peer};

/// Validator 0, which waits for validator 1.
fn server() -> (Network, Inbox) {
    bind(0).start(&[peer(1, silent_address())]).expect("started")
}

/// An address at which nobody answers.
fn silent_address() -> std::net::SocketAddr {
    let socket = std::net::UdpSocket::bind(loopback()).expect("free port");
    let address = socket.local_addr().expect("bound");
    // Kept open for the rest of the test process, so that nobody else gets the port.
    std::mem::forget(socket);
    address
}

/// Dials with these settings and returns why it was refused, as the dialler sees it.
async fn refusal(server: &Network, config: ClientConfig) -> String {
    let endpoint = client_endpoint();
    let connecting = endpoint.connect_with(config, server.local_address(), "validator").expect("dialled");
    within("a refusal", async {
        match connecting.await {
            Ok(connection) => connection.closed().await.to_string(),
            Err(error) => error.to_string(),
        }
    })
    .await
}

/// Client settings that present `chain` and sign with `signer`, speaking `protocols`.
fn forged(
    chain: Option<Vec<CertificateDer<'static>>>,
    signer: &SecretKey,
    protocols: &[&str],
) -> ClientConfig {
    #[derive(Debug)]
    struct Present(Option<Arc<CertifiedKey>>);
    impl rustls::client::ResolvesClientCert for Present {
        fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            self.0.clone()
        }
        fn has_certs(&self) -> bool {
            self.0.is_some()
        }
    }
    let der = pkcs8(signer);
    let signer =
        rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice())).expect("key");
    let honest = crate::tls::Identity::new(&secret(1).into(), crate::tls::protocol(&CHAIN)).expect("key");
    let mut config = honest.client_tls(public(0)).expect("settings");
    config.client_auth_cert_resolver =
        Arc::new(Present(chain.map(|c| Arc::new(CertifiedKey::new(c, signer)))));
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).expect("suite")))
}

fn cert(index: u16) -> CertificateDer<'static> {
    certificate(&secret(index)).expect("made")
}

/// Name, certificates shown, signer, protocols offered; then the counter, and what the forger is told.
type Case<'a> =
    (&'a str, Option<Vec<CertificateDer<'static>>>, SecretKey, &'a [&'a str], HandshakeFailure, &'a str);

#[tokio::test]
async fn handshake_of_a_forger_is_refused_with_its_reason() {
    let (server, _inbox) = server();
    let ours = protocol(&CHAIN);
    let ecdsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("made");
    let ecdsa = rcgen::CertificateParams::default().self_signed(&ecdsa).expect("made").der().clone();
    let cases: [Case; 10] = [
        (
            "no certificate",
            None,
            secret(1),
            &[&ours],
            HandshakeFailure::NoCertificate,
            "peer sent no certificates",
        ),
        ("unknown key", Some(vec![cert(5)]), secret(5), &[&ours], HandshakeFailure::Key, "not a network key"),
        ("our own key", Some(vec![cert(0)]), secret(0), &[&ours], HandshakeFailure::Key, "not a network key"),
        (
            "pinned key, other signer",
            Some(vec![cert(1)]),
            secret(5),
            &[&ours],
            HandshakeFailure::Signature,
            "",
        ),
        ("chain", Some(vec![cert(1), cert(5)]), secret(1), &[&ours], HandshakeFailure::Key, "more than one"),
        (
            "pinned key behind another",
            Some(vec![cert(5), cert(1)]),
            secret(5),
            &[&ours],
            HandshakeFailure::Key,
            "more",
        ),
        (
            "other kind of key",
            Some(vec![ecdsa]),
            secret(1),
            &[&ours],
            HandshakeFailure::Key,
            "without an Ed25519 key",
        ),
        (
            "no certificate but bytes",
            Some(vec![vec![1; 40].into()]),
            secret(1),
            &[&ours],
            HandshakeFailure::Key,
            "",
        ),
        ("no protocol", Some(vec![cert(1)]), secret(1), &[], HandshakeFailure::Protocol, ""),
        ("web protocol", Some(vec![cert(1)]), secret(1), &["h3"], HandshakeFailure::Protocol, ""),
    ];
    for (case, chain, signer, protocols, reason, said) in cases {
        let before = refused(&server.stats(), reason);
        let seen = refusal(&server, forged(chain, &signer, protocols)).await;
        assert!(seen.contains(said), "{case}: {seen}");
        counted(&server, case, |stats| refused(stats, reason) == before + 1).await;
    }
    let stats = server.stats();
    assert_eq!(stats.refused.values().sum::<u64>(), 10);
    assert_eq!(stats.peers[&1].accepts, 0);
    // And the same settings with the right key and name are admitted: it was not something else.
    let endpoint = client_endpoint();
    let honest = forged(Some(vec![cert(1)]), &secret(1), &[&ours]);
    let _connection = endpoint.connect_with(honest, server.local_address(), "v").expect("dialled").await;
    counted(&server, "admission", |stats| stats.peers[&1].accepts == 1).await;
}

#[tokio::test]
async fn certificate_with_past_dates_is_accepted_since_identity_is_the_key() {
    let (server, _inbox) = server();
    let der = pkcs8(&secret(1));
    let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(der.as_slice()),
        &rcgen::PKCS_ED25519,
    )
    .expect("key");
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(1990, 1, 1);
    params.not_after = rcgen::date_time_ymd(1991, 1, 1);
    let expired = params.self_signed(&pair).expect("made").der().clone();
    assert_eq!(public_key(&expired), Some(public(1)));
    let endpoint = client_endpoint();
    let config = forged(Some(vec![expired]), &secret(1), &[&protocol(&CHAIN)]);
    let _connection = endpoint.connect_with(config, server.local_address(), "v").expect("dialled").await;
    counted(&server, "admission", |stats| stats.peers[&1].accepts == 1).await;
}

#[tokio::test]
async fn server_with_another_key_is_refused_by_the_dialler() {
    // Validator 2 listens where validator 1 should be.
    let (impostor, _inbox) = bind(2).start(&[peer(0, silent_address())]).expect("started");
    let (dialler, _inbox) = bind(0).start(&[peer(1, impostor.local_address())]).expect("started");
    let failed =
        |stats: &crate::Stats| stats.peers[&1].failures.get(&HandshakeFailure::Key).copied() >= Some(2);
    let stats = counted(&dialler, "two refusals", failed).await;
    assert_eq!(stats.peers[&1].connects, 0);
    assert_eq!(impostor.stats().peers[&0].accepts, 0);
}

#[tokio::test]
async fn validator_of_another_chain_with_the_same_keys_is_refused_naming_both() {
    let other = Digest([0xee; 32]);
    let ours = bind(0);
    let theirs = Network::bind(BindConfig { chain_id: other, ..config(1) }).expect("free port");
    let their_address = theirs.local_address();
    let (theirs, _their_inbox) = theirs.start(&[peer(0, ours.local_address())]).expect("started");
    let (ours, _our_inbox) = ours.start(&[peer(1, their_address)]).expect("started");
    counted(&ours, "their refusal", |stats| refused(stats, HandshakeFailure::Protocol) >= 1).await;
    counted(&ours, "our failure", |s| s.peers[&1].failures.contains_key(&HandshakeFailure::Protocol)).await;
    assert_eq!(theirs.stats().peers[&0].accepts, 0);

    let log = logged();
    assert!(log.contains(&format!("it speaks carat/1/{other}, we speak carat/1/{CHAIN}")), "{log}");
    assert!(log.contains("the peer belongs to another network"), "{log}");
}

#[tokio::test]
async fn port_in_use_is_an_error_with_a_hint() {
    let first = bind(0);
    let listen = first.local_address();
    let error = Network::bind(BindConfig { listen, ..config(1) }).err().expect("taken").to_string();
    assert!(error.contains(&listen.to_string()) && error.contains("hint:"), "{error}");
}

#[tokio::test]
async fn peers_that_contradict_themselves_are_an_error() {
    let address = silent_address();
    let weak = Peer { index: 3, key: carat_types::PublicKey([0; 32]), address };
    let ours = Peer { index: 3, key: public(0), address };
    let cases: [(Vec<Peer>, &str); 5] = [
        (vec![peer(0, address)], "index is taken"),
        (vec![peer(1, address), peer(1, address)], "index is taken"),
        (vec![peer(1, address), Peer { index: 2, ..peer(1, address) }], "network key is ours or that of"),
        (vec![ours], "network key is ours"),
        (vec![weak], "no valid Ed25519 key"),
    ];
    for (peers, expected) in cases {
        let error = Network::start(NetworkConfig { bind: config(0), peers }).err().expect("refused");
        assert!(
            matches!(error, NetworkError::Peer { .. }) && error.to_string().contains(expected),
            "{error}"
        );
    }
}

#[tokio::test]
async fn newer_connection_of_a_key_replaces_the_older() {
    let (server, _inbox) = server();
    let (_first_endpoint, first) = raw(1, 0, server.local_address()).await;
    let (_second_endpoint, second) = raw(1, 0, server.local_address()).await;
    let why = within("replacement", first.closed()).await.to_string();
    assert!(why.contains("replaced by a newer connection"), "{why}");
    assert_eq!(second.close_reason(), None);
    counted(&server, "both", |stats| stats.peers[&1].accepts == 2 && stats.peers[&1].inbound_up).await;
    server.send(1, Lane::Urgent, text("nobody reads this"));
}
