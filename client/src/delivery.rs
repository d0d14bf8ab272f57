//! Sealed payloads at the nodes' native entrance: delivered by the source of the transaction, fetched by a recipient.
//!
//! Both ends are authenticated: the node by its network key of the genesis file, we by the key of our account.

use std::net::SocketAddr;
use std::time::Duration;

use carat_network::NetworkError;
use carat_network::entrance::Dialler;
use carat_types::codec::{Decode as _, DecodeError, Encode as _};
use carat_types::sealed_payload::SealedPayload;
use carat_types::submission::{Answer, Busy, Delivery, Request, Wanted};
use carat_types::{Digest, PublicKey};
use thiserror::Error;

/// How long a node may take with one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one is asked that is not done yet: a node executes what is final within moments.
const ATTEMPTS: usize = 20;

/// A node: where its native entrance is, and its network key.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// UDP address.
    pub address: SocketAddr,
    /// The key of the genesis file.
    pub key: PublicKey,
}

/// Why a payload is not delivered or fetched.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// No session.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The node says no.
    #[error("{address} declines: {words}")]
    Declined {
        /// The node.
        address: SocketAddr,
        /// Its words.
        words: String,
    },
    /// Bytes that are no answer, or the answer to something else.
    #[error("{0} does not answer what was asked (hint: ask another validator)")]
    Nonsense(SocketAddr),
    /// Nothing in time.
    #[error("{0} does not answer in time (hint: try again, or another validator)")]
    TimedOut(SocketAddr),
}

/// Has a node keep a payload. It is on the node's disk when this returns.
///
/// **Errors**: see [`DeliveryError`].
pub async fn deliver(
    dialler: &Dialler,
    node: Node,
    transaction: Digest,
    payload: SealedPayload,
) -> Result<(), DeliveryError> {
    let request = Request::Keep(Delivery { number: 0, transaction, payload });
    match ask(dialler, node, &request).await? {
        Answer::Kept(0) => Ok(()),
        other => Err(no(node, &other)),
    }
}

/// Fetches a payload. It is the one that the memo names.
///
/// **Errors**: see [`DeliveryError`].
pub async fn fetch(dialler: &Dialler, node: Node, memo: Digest) -> Result<SealedPayload, DeliveryError> {
    match ask(dialler, node, &Request::Fetch(Wanted { number: 0, memo })).await? {
        Answer::Fetched(it) if it.payload.memo() == memo => Ok(it.payload),
        other => Err(no(node, &other)),
    }
}

fn no(node: Node, answer: &Answer) -> DeliveryError {
    match answer {
        Answer::Declined(it) => {
            DeliveryError::Declined { address: node.address, words: it.words.as_str().to_owned() }
        }
        Answer::Busy(it) => {
            DeliveryError::Declined { address: node.address, words: it.words.as_str().to_owned() }
        }
        _ => DeliveryError::Nonsense(node.address),
    }
}

/// Asks until the node does not say that it is too early.
async fn ask(dialler: &Dialler, node: Node, request: &Request) -> Result<Answer, DeliveryError> {
    let (mut reading, mut writing) = dialler.dial(node.address, node.key).await?.split();
    let mut attempts = 1..=ATTEMPTS;
    loop {
        let last = attempts.next().is_none_or(|attempt| attempt == ATTEMPTS);
        writing.send(request.to_bytes()).await?;
        let frame = tokio::time::timeout(PATIENCE, reading.next()).await;
        let frame = frame.map_err(|_| DeliveryError::TimedOut(node.address))??;
        let nonsense = |_: DecodeError| DeliveryError::Nonsense(node.address);
        let answer = Answer::from_bytes(&frame.unwrap_or_default()).map_err(nonsense)?;
        match answer {
            Answer::Busy(Busy { retry_after_ms, .. }) if !last => {
                tokio::time::sleep(Duration::from_millis(retry_after_ms.into()).min(PATIENCE)).await;
            }
            answer => return Ok(answer),
        }
    }
}
