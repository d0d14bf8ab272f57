//! The native entrance: one QUIC session with each node, many transactions in a frame.

use std::cell::RefCell;
use std::net::SocketAddr;

use anyhow::Result;
use carat_client::native::{Native, Reply};
use carat_client::network::Network;
use carat_network::entrance::Dialler;
use carat_types::batch::Envelope;
use carat_types::{PublicKey, SecretKey};

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
    session: RefCell<Option<Native>>,
}

impl Quic {
    /// Sessions as the account of `key`. Every node has its entrance at the address and port of its REST interface.
    ///
    /// **Errors**: an address is not numeric; the system gives no socket.
    pub fn new(network: &Network, key: &SecretKey) -> Result<Self> {
        let node = |(address, key)| Node { address, key, session: RefCell::default() };
        let nodes = network.entrances()?.into_iter().map(node).collect();
        Ok(Quic { dialler: Dialler::new(key, &network.genesis.chain_id)?, nodes })
    }

    async fn session(&self, node: &Node) -> Result<Native> {
        if let Some(session) = node.session.borrow().as_ref().filter(|session| !session.has_ended()) {
            return Ok(session.clone());
        }
        let session = Native::connect(&self.dialler, node.address, node.key).await?;
        *node.session.borrow_mut() = Some(session.clone());
        Ok(session)
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
