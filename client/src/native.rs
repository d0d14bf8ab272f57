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
use carat_types::submission::{
    Answer, COUNT_MAX, FRAME_BYTES_MAX, RepliedOutcome, Request as Asked, Submission, VERSION,
};
use carat_types::{Digest, PublicKey};
use tokio::sync::{mpsc, oneshot};

/// A frame is full when it holds so many bytes; an envelope is far shorter than what is left. **Units**: bytes.
const FRAME_BYTES: usize = FRAME_BYTES_MAX / 2;

/// What is heard of one transaction before its answer: more than a node may say of it.
const WORDS_MAX: u32 = 16;

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
    /// The node tells no TREPLYs, and nothing was handed in: a stable code, and what to do.
    NoReplies(&'static str, String),
    /// The connection ended before the answer. The same bytes may be sent again, to any node.
    Lost(String),
}

/// A connection to one node.
#[derive(Clone, Debug)]
pub struct Native {
    requests: mpsc::UnboundedSender<Request>,
    /// What the node speaks.
    version: u32,
}

/// A transaction on its way.
#[derive(Debug)]
struct Request {
    hash: Digest,
    envelope: Envelope,
    reply: oneshot::Sender<Reply>,
    words: Option<mpsc::UnboundedSender<RepliedOutcome>>,
}

/// A transaction that waits for its answer.
#[derive(Debug)]
struct Waiting {
    hash: Digest,
    reply: oneshot::Sender<Reply>,
    /// Who hears what the node's validator says before, and how often still.
    words: Option<(mpsc::UnboundedSender<RepliedOutcome>, u32)>,
}

/// Those that wait for an answer, by number.
type Expected = BTreeMap<u64, Waiting>;

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
        let version = session.version;
        let (requests, queue) = mpsc::unbounded_channel();
        tokio::spawn(converse(session, queue));
        Ok(Native { requests, version })
    }

    /// Hands in a transaction and waits for what becomes of it. `hash` is that of the transaction on this network.
    pub async fn submit(&self, hash: Digest, envelope: Envelope) -> Reply {
        self.hand_in(hash, envelope, None).await
    }

    /// The same; what the node's own validator says before the outcome is final goes to `words`. It is the node's word until
    /// it is verified as a receipt ([`RepliedOutcome::receipt`]).
    pub async fn submit_tentatively(
        &self,
        hash: Digest,
        envelope: Envelope,
        words: mpsc::UnboundedSender<RepliedOutcome>,
    ) -> Reply {
        if self.version < VERSION {
            let known = format!(
                "the node speaks version {} of the native entrance, expected {VERSION} (hint: it runs an older release)",
                self.version
            );
            return Reply::NoReplies("older_version", known);
        }
        self.hand_in(hash, envelope, Some(words)).await
    }

    async fn hand_in(
        &self,
        hash: Digest,
        envelope: Envelope,
        words: Option<mpsc::UnboundedSender<RepliedOutcome>>,
    ) -> Reply {
        let (reply, answer) = oneshot::channel();
        let lost = || Reply::Lost("the connection to the node has ended".to_owned());
        if self.requests.send(Request { hash, envelope, reply, words }).is_err() {
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
                let frames = gather(request, &mut queue, &mut expected, &mut next);
                if let Err(error) = send(&mut writing, frames).await {
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
    for reply in expected.into_values().map(|waiting| waiting.reply).chain(unsent) {
        // Who gave up needs no reply.
        let _ = reply.send(Reply::Lost(end.clone()));
    }
}

/// Frames with this request and those that wait behind it: those that subscribe to TREPLYs go in one of their own.
fn gather(
    first: Request,
    queue: &mut mpsc::UnboundedReceiver<Request>,
    expected: &mut Expected,
    next: &mut u64,
) -> Vec<Asked> {
    let (mut plain, mut subscribed, mut count, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    let mut request = Some(first);
    while let Some(taken) = request {
        count += 1;
        bytes += taken.envelope.0.len();
        if taken.words.is_some() { &mut subscribed } else { &mut plain }.push(taken);
        let is_full = bytes >= FRAME_BYTES || count >= COUNT_MAX;
        request = if is_full { None } else { queue.try_recv().ok() };
    }
    let mut frame = |requests: Vec<Request>| {
        let mut frame = Submission { first: *next, envelopes: Vec::new() };
        for Request { hash, envelope, reply, words } in requests {
            frame.envelopes.push(envelope);
            expected.insert(*next, Waiting { hash, reply, words: words.map(|words| (words, WORDS_MAX)) });
            *next = next.wrapping_add(1);
        }
        frame
    };
    let frames = [Asked::Submission(frame(plain)), Asked::Tentative(frame(subscribed))];
    frames.into_iter().filter(|frame| !is_empty(frame)).collect()
}

fn is_empty(frame: &Asked) -> bool {
    matches!(frame, Asked::Submission(it) | Asked::Tentative(it) if it.envelopes.is_empty())
}

async fn send(writing: &mut Writing, frames: Vec<Asked>) -> Result<(), String> {
    for frame in frames {
        writing.send(frame.to_bytes()).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Hands on what a validator says of a transaction that waits for its answer. A node that repeats itself fills no memory.
fn hear(word: RepliedOutcome, expected: &mut Expected) {
    let waiting = expected.get_mut(&word.outcome.number).and_then(|waiting| waiting.words.as_mut());
    if let Some((words, left)) = waiting
        && *left > 0
    {
        *left -= 1;
        // Who has heard enough needs no more.
        let _ = words.send(word);
    }
}

/// Gives each number of an answer to whom it belongs.
fn reply(frame: &[u8], expected: &mut Expected) -> Result<(), String> {
    let answer =
        Answer::from_bytes(frame).map_err(|error| format!("the node sent what is no answer: {error}"))?;
    let answer = match answer {
        Answer::Replied(word) => {
            hear(word, expected);
            return Ok(());
        }
        answer => answer,
    };
    let mut give = |number: u64, reply: &dyn Fn(Digest) -> Reply| {
        if let Some(waiting) = expected.remove(&number) {
            // Who gave up needs no reply.
            let _ = waiting.reply.send(reply(waiting.hash));
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
        Answer::Kept(_) | Answer::Fetched(_) | Answer::Declined(_) | Answer::Replied(_) => {}
        Answer::NoReplies(it) => {
            give(it.number, &|_| Reply::NoReplies(it.code.name(), it.words.as_str().to_owned()));
        }
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
