//! The REST entrance: `POST /transactions`, answered with the receipt's bytes, over kept connections.
//!
//! hyper's connections directly: the generator shares the processors with what it measures, and a pool for all
//! purposes costs more than a request here. One request at a time on a connection, as HTTP/1.1 has it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::{Answer, Transport};
use crate::accounts::Signed;
use carat_client::network::Network;
use carat_client::rest::Problem;

/// Longest answer that is read. **Units**: bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What a node that names no time means.
const RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// Title of the problem report of a node that lags.
const STALE: &str = "Historical DB Is Too Stale";

type Connection = SendRequest<Full<Bytes>>;

/// The REST interfaces of a network's nodes. Connections that are not in use wait here, and the one used last is
/// used first.
#[derive(Debug)]
pub struct Rest {
    nodes: Vec<Node>,
    connections: Cell<u64>,
}

#[derive(Debug)]
struct Node {
    address: SocketAddr,
    host: String,
    idle: RefCell<Vec<Connection>>,
}

impl Rest {
    /// The interfaces that `network` names.
    ///
    /// **Errors**: one is no `http://` address with a numeric host.
    pub fn new(network: &Network) -> Result<Self> {
        let node = |api: &str| {
            let host =
                api.strip_prefix("http://").with_context(|| format!("{api} is not an http:// address"))?;
            let address =
                host.parse().with_context(|| format!("{host} is not a numeric address and port"))?;
            Ok(Node { address, host: host.to_owned(), idle: RefCell::default() })
        };
        let nodes = network.nodes.iter().map(|address| node(&address.api)).collect::<Result<_>>()?;
        Ok(Rest { nodes, connections: Cell::new(0) })
    }

    /// Connections that were made.
    pub fn connections(&self) -> u64 {
        self.connections.get()
    }

    async fn exchange(&self, node: &Node, envelope: &[u8]) -> Result<Answer> {
        let mut connection = self.connection(node).await?;
        let request = Request::post("/transactions")
            .header(HOST, &node.host)
            .header(ACCEPT, "application/octet-stream")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(form(envelope).into()))?;
        let response = connection.send_request(request).await?;
        let answer = read(response).await?;
        node.idle.borrow_mut().push(connection);
        Ok(answer)
    }

    /// A connection that waits, or a new one.
    async fn connection(&self, node: &Node) -> Result<Connection> {
        loop {
            let waiting = node.idle.borrow_mut().pop();
            let Some(mut connection) = waiting else { break };
            // The node closes connections that were idle for long.
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream = TcpStream::connect(node.address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        spawn_local(driver);
        self.connections.set(self.connections.get() + 1);
        Ok(connection)
    }
}

impl Transport for Rest {
    async fn submit(&self, node: usize, transaction: &Signed) -> Answer {
        let Some(node) = self.nodes.get(node) else {
            return Answer::Nothing(format!("there is no node {node}"));
        };
        match self.exchange(node, &transaction.envelope).await {
            Ok(answer) => answer,
            Err(error) => Answer::Nothing(format!("{}: {error:#}", node.host)),
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
    let words = || match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => problem.to_string(),
        Err(_) => String::from_utf8_lossy(&body).into_owned(),
    };
    Ok(match head.status {
        StatusCode::OK => Answer::ReceiptBytes(body.into()),
        StatusCode::SERVICE_UNAVAILABLE if words().starts_with(STALE) => Answer::Elsewhere(words()),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Answer::Busy(seconds.map_or(RETRY_DEFAULT, Duration::from_secs), words())
        }
        status if status.is_client_error() => Answer::Refused(words()),
        status => Answer::Nothing(format!("{status}: {}", words())),
    })
}

/// The form with one field, percent-encoded where base64 needs it.
fn form(envelope: &[u8]) -> String {
    let text = STANDARD.encode(envelope);
    let mut form = String::with_capacity(text.len() + text.len() / 8 + 3);
    form.push_str("tx=");
    for character in text.chars() {
        match character {
            '+' => form.push_str("%2B"),
            '/' => form.push_str("%2F"),
            '=' => form.push_str("%3D"),
            plain => form.push(plain),
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_escapes_what_base64_has_and_forms_have_not() {
        assert_eq!(form(&[0xfb, 0xff, 0xfe, 0xff]), "tx=%2B%2F%2F%2B%2Fw%3D%3D");
    }
}
