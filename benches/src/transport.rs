//! How a transaction reaches a node, and what comes back. One trait, so that entrances can be compared.

pub mod quic;
pub mod rest;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use carat_client::network::Network;
use carat_types::SecretKey;
use carat_types::receipt::Receipt;

use crate::accounts::Signed;
use quic::Quic;
use rest::Rest;

/// The entrances of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Entrance {
    /// The native one: QUIC, many transactions in a frame
    #[default]
    Quic,
    /// `POST /transactions`, one request each
    Rest,
}

impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entrance::Quic => "quic",
            Entrance::Rest => "rest",
        })
    }
}

/// What a node said to a submission.
#[derive(Debug)]
pub enum Answer {
    /// The finality receipt, unchecked.
    Receipt(Box<Receipt>),
    /// Its bytes.
    ReceiptBytes(Vec<u8>),
    /// No room now, in the node's words; come back after this time.
    Busy(Duration, String),
    /// This node lags or lacks a quorum, in its words; another may not.
    Elsewhere(String),
    /// It will not be applied, in the node's words.
    Refused(String),
    /// Nothing that is an answer: cut off, too late, or an error of the node.
    Nothing(String),
}

/// A way into the nodes of one network.
pub trait Transport {
    /// Submits a transaction to node `node` and waits for what became of it.
    fn submit(&self, node: usize, transaction: &Signed) -> impl Future<Output = Answer>;
}

/// Either way.
pub enum Way {
    /// The native entrance.
    Quic(Quic),
    /// REST.
    Rest(Rest),
}

impl Way {
    /// Through this entrance of the network's nodes; `key` is that of an account.
    ///
    /// **Errors**: addresses that are not numeric; the system gives no socket.
    pub fn through(entrance: Entrance, network: &Network, key: &SecretKey) -> Result<Self> {
        Ok(match entrance {
            Entrance::Quic => Way::Quic(Quic::new(network, key)?),
            Entrance::Rest => Way::Rest(Rest::new(network)?),
        })
    }
}

impl Transport for Way {
    async fn submit(&self, node: usize, transaction: &Signed) -> Answer {
        match self {
            Way::Quic(quic) => quic.submit(node, transaction).await,
            Way::Rest(rest) => rest.submit(node, transaction).await,
        }
    }
}
