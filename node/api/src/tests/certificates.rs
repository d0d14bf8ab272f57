//! A members' network over TLS: the certificate of an account's key instead of a token.

use std::sync::Arc;

use axum::http::StatusCode;
use carat_network::Https;
use carat_network::https::client;
use carat_types::SecretKey;
use carat_types::builder::operation::{Options, set_options};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use super::worlds::{AUDITOR, COUNTERPARTY, OPERATOR, OWNER, STRANGER, block, login_settings, with_business};
use super::{Api, address, key};
use crate::port::BoxFuture;
use crate::secure::{Secure, Secured};
use crate::server::{ConnectionLimits, Doors, serve};

/// Of the server.
const SERVER: u8 = 200;
/// Has a key, and no account.
const UNKNOWN: u8 = 201;

/// The handshakes of a node, not counted.
struct Door(Https);

impl Secure for Door {
    fn accept(&self, stream: TcpStream) -> BoxFuture<Option<Secured>> {
        let https = self.0.clone();
        Box::pin(async move {
            let secured = https.accept(stream).await.ok()?;
            Some(Secured { stream: Box::new(secured.stream), client: secured.client })
        })
    }

    fn turned_away(&self) {}
}

/// A node's two doors.
struct Running {
    plain: std::net::SocketAddr,
    secure: std::net::SocketAddr,
    _stopping: watch::Sender<bool>,
}

async fn start(api: &Api, limits: ConnectionLimits) -> Running {
    let [plain, secure] = [
        TcpListener::bind("127.0.0.1:0").await.expect("a free port"),
        TcpListener::bind("127.0.0.1:0").await.expect("a free port"),
    ];
    let addresses = [&plain, &secure].map(|listener| listener.local_addr().expect("bound"));
    let door = Door(Https::of_identity(&key(SERVER).into()).expect("settings"));
    let doors = Doors { plain, secure: Some((secure, Arc::new(door))) };
    let (stopping, stopped) = watch::channel(false);
    tokio::spawn(serve(doors, api.node.clone(), login_settings(), limits, stopped));
    Running { plain: addresses[0], secure: addresses[1], _stopping: stopping }
}

impl Running {
    /// Asks with TLS, as whoever holds a key, if anybody: status, and all that came.
    async fn get(&self, who: Option<&SecretKey>, path: &str, headers: &str) -> (StatusCode, String) {
        let stream = TcpStream::connect(self.secure).await.expect("the server listens");
        let config = client(who, key(SERVER).public()).expect("settings");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream =
            TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: node.example\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(super::PATIENCE, stream.read_to_end(&mut answer)).await;
        read.expect("an end").expect("read");
        let text = String::from_utf8(answer).expect("text");
        let status = text.split(' ').nth(1).expect("a status line").parse().expect("a status");
        (status, text)
    }
}

#[tokio::test]
async fn certificate_of_an_account_opens_what_its_token_opens() {
    let api = with_business();
    let server = start(&api, ConnectionLimits::default()).await;
    let owner = address(key(OWNER).public());
    let records = ["payments", "operations", "transactions", "effects", "trades", "offers"];
    let mut paths = vec![format!("/accounts/{owner}"), "/payments".to_owned(), "/ledgers/3".to_owned()];
    paths.extend(records.map(|of| format!("/accounts/{owner}/{of}?limit=200")));
    let (mut seen, mut withheld) = (0, 0);
    for number in [OWNER, COUNTERPARTY, STRANGER, AUDITOR, OPERATOR] {
        let by_token = api.logged_in(&key(number)).await;
        for path in &paths {
            let expected = by_token.get(path).await;
            let (status, text) = server.get(Some(&key(number)), path, "").await;
            assert_eq!(status, expected.status, "{number} {path}: {text}");
            let names_owner = text.contains(&owner) && status.is_success() && !path.starts_with("/ledgers");
            match number {
                STRANGER | OPERATOR => {
                    assert!(!names_owner || is_only_path(&text, path), "{number} {path}: {text}")
                }
                _ => {}
            }
            seen += usize::from(status.is_success());
            withheld += usize::from(status == StatusCode::NOT_FOUND);
        }
    }
    assert!(seen > 20 && withheld > 5, "{seen} {withheld}");
}

/// Whether an answer names what was asked for in its links alone.
fn is_only_path(text: &str, path: &str) -> bool {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let (_, body) = text.split_once("\r\n\r\n").expect("a body");
    let id = path.split('/').nth(2).unwrap_or_default();
    body.matches(id).count() == body.matches(path).count()
}

#[tokio::test]
async fn without_a_certificate_a_token_is_asked_for_and_one_that_is_shown_counts() {
    let api = with_business();
    let server = start(&api, ConnectionLimits::default()).await;
    let path = format!("/accounts/{}", address(key(OWNER).public()));
    let (owner, stranger) = (api.token_of(&key(OWNER)).await, api.token_of(&key(STRANGER)).await);
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let table = [
        ("nobody", None, String::new(), StatusCode::UNAUTHORIZED),
        ("a token alone", None, bearer(&owner), StatusCode::OK),
        ("a stranger", Some(STRANGER), String::new(), StatusCode::NOT_FOUND),
        ("a key without an account", Some(UNKNOWN), String::new(), StatusCode::FORBIDDEN),
        ("a token says more than a certificate", Some(OWNER), bearer(&stranger), StatusCode::NOT_FOUND),
        ("and less if it is bad", Some(OWNER), bearer("e30.e30.e30"), StatusCode::UNAUTHORIZED),
        ("the owner", Some(OWNER), String::new(), StatusCode::OK),
        (
            "nobody by a header",
            None,
            format!("x-client-key: {}\r\n", key(OWNER).public()),
            StatusCode::UNAUTHORIZED,
        ),
    ];
    for (who, number, headers, expected) in table {
        let (status, text) = server.get(number.map(key).as_ref(), &path, &headers).await;
        assert_eq!(status, expected, "{who}: {text}");
    }
    let (_, text) = server.get(Some(&key(OWNER)), &path, "x-forwarded-proto: http\r\n").await;
    assert!(
        text.contains("https://node.example/accounts/"),
        "links lead to where the client came in: {text}"
    );
}

#[tokio::test]
async fn certificate_of_a_key_that_lost_its_weight_opens_nothing() {
    let api = with_business();
    let server = start(&api, ConnectionLimits::default()).await;
    let path = format!("/accounts/{}", address(key(STRANGER).public()));
    assert_eq!(server.get(Some(&key(STRANGER)), &path, "").await.0, StatusCode::OK);
    block(&api, STRANGER, vec![set_options(Options::default().thresholds(0, 2, 2))]);
    let (status, text) = server.get(Some(&key(STRANGER)), &path, "").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    assert!(text.contains("weight"), "{text}");
}

#[tokio::test]
async fn handshakes_of_one_address_leave_room_for_others_and_plain_requests() {
    let limits = ConnectionLimits { handshakes_max: 2, ..ConnectionLimits::default() };
    let server = start(&with_business(), limits).await;
    // Says nothing: its handshake waits.
    let mut silent = TcpStream::connect(server.secure).await.expect("the server listens");
    silent.write_all(&[22]).await.expect("sent");
    let mut second = TcpStream::connect(server.secure).await.expect("the server listens");
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(super::PATIENCE, second.read_to_end(&mut heard)).await;
    assert_eq!(ended.expect("closed at once").unwrap_or(0), 0);
    let mut plain = TcpStream::connect(server.plain).await.expect("the server listens");
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
