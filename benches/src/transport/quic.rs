//! The native entrance: one QUIC session with each node, many transactions in a frame.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, bail};
use carat_client::native::{Native, Reply};
use carat_client::network::Network;
use carat_network::entrance::Dialler;
use carat_types::batch::Envelope;
use carat_types::{PublicKey, SecretKey};
use tokio::sync::Mutex;

use super::{Answer, Transport};
use crate::accounts::Signed;

/// Sessions with a network's nodes, as one of its accounts.
pub struct Quic {
    dialler: Dialler,
    nodes: Vec<Node>,
}

struct Node {
    address: SocketAddr,
    key: PublicKey,
    /// One handshake at a time: a node that has just been lost is not asked for two thousand.
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    session: Option<Native>,
    /// When the last handshake failed, and why.
    failed: Option<(Instant, String)>,
}

impl Quic {
    /// Sessions as the account of `key`. Every node has its entrance at the address and port of its REST interface.
    ///
    /// **Errors**: an address is not numeric; the system gives no socket.
    pub fn new(network: &Network, key: &SecretKey) -> Result<Self> {
        let node = |(address, key)| Node { address, key, line: Mutex::default() };
        let nodes = network.entrances()?.into_iter().map(node).collect();
        Ok(Quic { dialler: Dialler::new(key, &network.genesis.chain_id)?, nodes })
    }

    async fn session(&self, node: &Node) -> Result<Native> {
        let asked = Instant::now();
        let mut line = node.line.lock().await;
        if let Some(session) = line.session.as_ref().filter(|session| !session.has_ended()) {
            return Ok(session.clone());
        }
        if let Some((_, why)) = line.failed.as_ref().filter(|(when, _)| *when >= asked) {
            bail!("{why}");
        }
        match Native::connect(&self.dialler, node.address, node.key).await {
            Ok(session) => {
                line.session = Some(session.clone());
                Ok(session)
            }
            Err(error) => {
                line.failed = Some((Instant::now(), error.to_string()));
                Err(error.into())
            }
        }
    }
}

impl Transport for Quic {
    async fn submit(&self, node: usize, transaction: &Signed) -> Answer {
        let Some(node) = self.nodes.get(node) else {
            return Answer::Nothing(format!("there is no node {node}"));
        };
        let session = match self.session(node).await {
            Ok(session) => session,
            Err(error) => return Answer::Nothing(format!("{error:#}")),
        };
        match session.submit(transaction.hash, Envelope(transaction.envelope.as_slice().into())).await {
            Reply::Receipt(receipt) => Answer::Receipt(receipt),
            Reply::Refused(_, words) | Reply::Malformed(words) => Answer::Refused(words),
            Reply::Busy(pause, words) => Answer::Busy(pause, words),
            Reply::Open => Answer::Nothing("no outcome in the node's time".to_owned()),
            Reply::Lost(words) | Reply::NoReplies(_, words) => Answer::Nothing(words),
        }
    }
}
