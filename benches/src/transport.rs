//! How a transaction reaches a node, and what comes back. One trait, so that entrances can be compared.

pub mod rest;

use std::future::Future;
use std::time::Duration;

/// What a node said to a submission.
#[derive(Debug)]
pub enum Answer {
    /// The finality receipt, unchecked.
    Receipt(Vec<u8>),
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
    /// Its name in reports.
    const NAME: &'static str;

    /// Submits an envelope to node `node` and waits for what became of it.
    fn submit(&self, node: usize, envelope: &[u8]) -> impl Future<Output = Answer>;
}
