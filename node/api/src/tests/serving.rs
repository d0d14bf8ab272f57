//! The server itself, over TCP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::node::TestNode;
use super::settings;
use crate::server::{ConnectionLimits, Doors, serve};

struct Running {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn start(limits: ConnectionLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stopping, stopped) = watch::channel(false);
    let doors = Doors { plain: listener, secure: None };
    let task = tokio::spawn(serve(doors, TestNode::new(true), settings(), limits, stopped));
    Running { address, stopping, task }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server listens")
    }

    /// Sends a request and reads until the server closes the connection.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        read(&mut stream).await
    }

    async fn stop(self) {
        self.stopping.send_replace(true);
        self.task.await.expect("the server ends");
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that the server resets has ended as well.
    let ended = tokio::time::timeout(super::PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection did not end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn answers_carry_the_date() {
    let server = start(ConnectionLimits::default()).await;
    let answer = server.exchange("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let date = answer.lines().find_map(|line| line.strip_prefix("date: ")).expect("a date");
    assert!(date.ends_with(" GMT"), "{date}");
    server.stop().await;
}

#[tokio::test]
async fn slash_at_the_end_of_a_path_changes_nothing() {
    let server = start(ConnectionLimits::default()).await;
    for path in ["/ledgers/", "/ledgers//", "/fee_stats/?a=b", "//"] {
        let answer =
            server.exchange(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn headers_that_never_end_are_not_waited_for() {
    let limits =
        ConnectionLimits { header_timeout: Duration::from_millis(50), ..ConnectionLimits::default() };
    let server = start(limits).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await.expect("sent");
    let answer = read(&mut slow).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    let mut silent = server.connect().await;
    assert_eq!(read(&mut silent).await, "", "a connection without a request ends too");
    server.stop().await;
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let server = start(ConnectionLimits::default()).await;
    // The limit is on what is read ahead, so that a little more than it may still pass.
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "a".repeat(1024 * 1024));
    let answer = server.exchange(&request).await;
    assert!(!answer.contains("200 OK"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let limits = ConnectionLimits { of_one_address_max: 1, ..ConnectionLimits::default() };
    let server = start(limits).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /fee_stats HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    let mut head = [0; 15];
    first.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let mut second = server.connect().await;
    assert_eq!(read(&mut second).await, "", "closed at once");
    server.stop().await;
}

#[tokio::test]
async fn connection_over_its_lifetime_ends() {
    let hour = Duration::from_secs(3_600);
    let limits = ConnectionLimits {
        lifetime: Duration::from_millis(50),
        header_timeout: hour,
        ..ConnectionLimits::default()
    };
    let server = start(limits).await;
    let mut stream = server.connect().await;
    assert_eq!(read(&mut stream).await, "", "nothing else ends an idle connection here");
    server.stop().await;
}

#[tokio::test]
async fn server_stops_although_streams_are_open() {
    let server = start(ConnectionLimits::default()).await;
    let mut stream = server.connect().await;
    let request = "GET /payments?cursor=now HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut seen = String::new();
    while !seen.contains("\"hello\"") {
        let mut part = [0; 512];
        let count = stream.read(&mut part).await.expect("a stream");
        seen.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    server.stop().await;
    assert!(read(&mut stream).await.contains("\"byebye\""));
}
