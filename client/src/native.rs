//! The native entrance of a node: one connection for any number of transactions, answered with receipts.
//!
//! [`Native`] may be cloned and used by many tasks at once. What they hand in while a frame is on its way goes together
//! in the next one; nobody waits for a frame to fill. The receipts are the node's word until they are verified
//! ([`carat_types::receipt::Verifier`]).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carat_network::NetworkError;
use carat_network::entrance::{Dialler, Reading, Session, Writing};
use carat_types::batch::Envelope;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::receipt::Receipt;
use carat_types::submission::{Answer, COUNT_MAX, FRAME_BYTES_MAX, Request as Asked, Submission};
use carat_types::{Digest, PublicKey};
use tokio::sync::{mpsc, oneshot};

/// A frame is full when it holds so many bytes; an envelope is far shorter than what is left. **Units**: bytes.
const FRAME_BYTES: usize = FRAME_BYTES_MAX / 2;

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is final; the receipt is not verified yet.
    Receipt(Box<Receipt>),
    /// It will not be applied as things stand: its `TransactionResult` as XDR, and what to do, if the node says so.
    Refused(Vec<u8>, String),
    /// No room now, in the node's words; come back after this time.
    Busy(Duration, String),
    /// No outcome in the time that the node waits. It may still be applied; the same bytes may be sent again.
    Open,
    /// It is no transaction of this network.
    Malformed(String),
    /// The connection ended before the answer. The same bytes may be sent again, to any node.
    Lost(String),
}

/// A connection to one node.
#[derive(Clone, Debug)]
pub struct Native {
    requests: mpsc::UnboundedSender<Request>,
}

/// A transaction on its way.
#[derive(Debug)]
struct Request {
    hash: Digest,
    envelope: Envelope,
    reply: oneshot::Sender<Reply>,
}

/// Those that wait for an answer, by number.
type Expected = BTreeMap<u64, (Digest, oneshot::Sender<Reply>)>;

impl Native {
    /// Connects to the node at `address`, whose network key is `server`: see the genesis file.
    ///
    /// **Errors**: [`NetworkError::Unreachable`].
    pub async fn connect(
        dialler: &Dialler,
        address: SocketAddr,
        server: PublicKey,
    ) -> Result<Self, NetworkError> {
        let session = dialler.dial(address, server).await?;
        let (requests, queue) = mpsc::unbounded_channel();
        tokio::spawn(converse(session, queue));
        Ok(Native { requests })
    }

    /// Hands in a transaction and waits for what becomes of it. `hash` is that of the transaction on this network.
    pub async fn submit(&self, hash: Digest, envelope: Envelope) -> Reply {
        let (reply, answer) = oneshot::channel();
        let lost = || Reply::Lost("the connection to the node has ended".to_owned());
        if self.requests.send(Request { hash, envelope, reply }).is_err() {
            return lost();
        }
        answer.await.unwrap_or_else(|_| lost())
    }

    /// Whether the connection has ended: then connect anew.
    pub fn has_ended(&self) -> bool {
        self.requests.is_closed()
    }
}

/// Speaks with the node until either side has gone.
async fn converse(session: Session, mut queue: mpsc::UnboundedReceiver<Request>) {
    let (mut reading, mut writing) = session.split();
    let mut expected = Expected::new();
    let mut next = 0;
    let end = loop {
        tokio::select! {
            request = queue.recv() => {
                // Nobody can hand in more: the last answers are still waited for.
                let Some(request) = request else { break drain(&mut reading, &mut expected).await };
                let frame = gather(request, &mut queue, &mut expected, &mut next);
                if let Err(error) = send(&mut writing, frame).await {
                    break error;
                }
            }
            frame = reading.next() => match frame {
                Ok(Some(frame)) => {
                    if let Err(words) = reply(&frame, &mut expected) {
                        break words;
                    }
                }
                Ok(None) => break "the node has ended the session".to_owned(),
                Err(error) => break error.to_string(),
            },
        }
    };
    // Closed before anyone is told: who hears that the connection is lost finds it ended, and connects anew.
    queue.close();
    let unsent = std::iter::from_fn(|| queue.try_recv().ok()).map(|request| request.reply);
    for reply in expected.into_values().map(|(_, reply)| reply).chain(unsent) {
        // Who gave up needs no reply.
        let _ = reply.send(Reply::Lost(end.clone()));
    }
}

/// A frame with this request and those that wait behind it.
fn gather(
    first: Request,
    queue: &mut mpsc::UnboundedReceiver<Request>,
    expected: &mut Expected,
    next: &mut u64,
) -> Submission {
    let mut frame = Submission { first: *next, envelopes: Vec::new() };
    let (mut request, mut bytes) = (Some(first), 0);
    while let Some(Request { hash, envelope, reply }) = request {
        bytes += envelope.0.len();
        frame.envelopes.push(envelope);
        expected.insert(*next, (hash, reply));
        *next = next.wrapping_add(1);
        let is_full = bytes >= FRAME_BYTES || frame.envelopes.len() >= COUNT_MAX as usize;
        request = if is_full { None } else { queue.try_recv().ok() };
    }
    frame
}

async fn send(writing: &mut Writing, frame: Submission) -> Result<(), String> {
    writing.send(Asked::Submission(frame).to_bytes()).await.map_err(|error| error.to_string())
}

/// Gives each number of an answer to whom it belongs.
fn reply(frame: &[u8], expected: &mut Expected) -> Result<(), String> {
    let answer =
        Answer::from_bytes(frame).map_err(|error| format!("the node sent what is no answer: {error}"))?;
    let mut give = |number: u64, reply: &dyn Fn(Digest) -> Reply| {
        if let Some((hash, waiting)) = expected.remove(&number) {
            // Who gave up needs no reply.
            let _ = waiting.send(reply(hash));
        }
    };
    match &answer {
        Answer::Settled(block) => {
            for outcome in &block.outcomes {
                give(outcome.number, &|hash| Reply::Receipt(Box::new(block.receipt(hash, outcome))));
            }
        }
        Answer::Refused(it) => {
            give(it.number, &|_| Reply::Refused(it.result.0.clone(), it.words.as_str().to_owned()));
        }
        Answer::Busy(it) => {
            let pause = Duration::from_millis(it.retry_after_ms.into());
            give(it.number, &|_| Reply::Busy(pause, it.words.as_str().to_owned()));
        }
        Answer::Open(number) => give(*number, &|_| Reply::Open),
        // Answers to what is asked in `delivery` only.
        Answer::Kept(_) | Answer::Fetched(_) | Answer::Declined(_) => {}
        Answer::Malformed(it) => {
            give(it.number, &|_| Reply::Malformed(it.words.as_str().to_owned()));
        }
    }
    Ok(())
}

/// The last answers. **Returns** why there are no more.
async fn drain(reading: &mut Reading, expected: &mut Expected) -> String {
    while !expected.is_empty() {
        let outcome = match reading.next().await {
            Ok(Some(frame)) => reply(&frame, expected),
            Ok(None) => Err("the node has ended the session".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(words) = outcome {
            return words;
        }
    }
    String::new()
}
