//! The validator's thread between the replica and whoever signs for it: what the replica wants signed goes there in batches, in
//! order, and comes back as inputs.
//!
//! Apart from the event loop and from the journal's thread: it has all that waits signed by the signer or by a token, and hands
//! each signature to the replica once it is checked. While nobody signs, what was asked waits here, without what has
//! been overtaken meanwhile, and is asked again later: the same is signed twice, and nothing else.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use carat_consensus::{Input, Statement};
use carat_types::message::{Domain, SignerRole};
use carat_types::validators::{Authenticator as _, Ed25519};
use carat_types::{PublicKey, Signature, Slot};
use thiserror::Error;

use super::link::{Conversation, Link, LinkError, PATIENCE};
use super::wire::{Answer, Question, read_answer};
use crate::error::NodeError;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::token::{TokenError, TokenKeys, TokenSigner};

/// How often who is away is called.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// SEALs that wait while nobody signs: the newest ones. All else that waits is of the window and the view.
const SEALS_MAX: usize = 1_024;
/// Statements in one batch.
const BATCH: usize = 1_024;
/// The same for a token, which signs one by one: what is overtaken meanwhile is left out of the next batch.
const TOKEN_BATCH: usize = 16;

/// Who signs for this validator, and may be away.
#[derive(Clone, Debug)]
pub enum Signatory {
    /// A signer, a process of its own.
    Signer(Link),
    /// A token of this machine, asked by this process.
    Token(Box<TokenKeys>),
}

/// The way to whoever signs, while it stands.
enum Line {
    Signer(Box<dyn Conversation>),
    Token(Box<TokenSigner>),
}

/// What the scribe tells the thread.
#[derive(Debug)]
pub enum Ask {
    /// This is to be signed; what it announces is durable.
    Sign(Statement),
    /// A checkpoint is stable: votes up to here are of no use any more.
    Stable(Slot),
}

/// A statement under way.
#[derive(Debug)]
struct Waiting {
    number: u64,
    statement: Statement,
}

/// The thread's work.
pub struct Courier {
    /// Who signs.
    pub signatory: Signatory,
    /// What every statement of this epoch names.
    pub domain: Domain,
    /// Where signatures go.
    pub mailbox: Arc<Mailbox>,
    /// Whether there is somebody who signs, for those who ask how this validator is.
    pub present: Arc<AtomicBool>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What is to be signed, and what of it was sent.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    next: u64,
}

impl Queue {
    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Sign(statement) => {
                self.overtake(&statement);
                let number = self.next;
                self.next = self.next.wrapping_add(1);
                self.waiting.push_back(Waiting { number, statement });
            }
            Ask::Stable(stable) => self.waiting.retain(|it| {
                matches!(it.statement, Statement::Seal(_))
                    || it.statement.slot().is_none_or(|slot| slot > stable)
            }),
        }
    }

    /// Drops what the replica would not send any more: all of lower views behind a VIEW-CHANGE (I2), and the oldest SEAL.
    fn overtake(&mut self, statement: &Statement) {
        match statement {
            Statement::ViewChange(change) => {
                self.waiting.retain(|it| it.statement.view().is_none_or(|view| view >= change.view));
            }
            Statement::Seal(_) => {
                let is_seal = |it: &Waiting| matches!(it.statement, Statement::Seal(_));
                if self.waiting.iter().filter(|it| is_seal(it)).count() >= SEALS_MAX
                    && let Some(oldest) = self.waiting.iter().position(is_seal)
                {
                    self.waiting.remove(oldest);
                }
            }
            _ => {}
        }
    }
}

impl Courier {
    /// Works until the scribe is gone.
    ///
    /// **Errors**: what must stop this validator: [`LinkError::Refused`], and a token that can be used no more.
    pub fn run(self, asks: &Receiver<Ask>) -> Result<(), NodeError> {
        let mut queue = Queue::default();
        let mut line = None;
        loop {
            let asked = if line.is_some() && queue.waiting.is_empty() {
                asks.recv().map_err(RecvTimeoutError::from)
            } else if line.is_some() {
                asks.recv_timeout(Duration::ZERO)
            } else {
                asks.recv_timeout(RETRY_EVERY)
            };
            match asked {
                Ok(ask) => queue.take(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            asks.try_iter().for_each(|ask| queue.take(ask));
            line = match line {
                None => self.call()?,
                Some(line) => self.serve(line, &mut queue)?,
            };
        }
    }

    /// **Returns** the line, if it still stands.
    fn serve(&self, mut line: Line, queue: &mut Queue) -> Result<Option<Line>, NodeError> {
        let started = Instant::now();
        let waiting = queue.waiting.len();
        let exchanged = match &mut line {
            Line::Signer(stream) => self.ask_signer(&mut **stream, queue),
            Line::Token(token) => self.ask_token(token, queue),
        };
        if exchanged.is_ok() && waiting > 0 {
            self.metrics.signer_batch_seconds.observe(started.elapsed().as_secs_f64());
        }
        match exchanged {
            Ok(()) => Ok(Some(line)),
            Err(Failure::Refused(why)) => Err(LinkError::Refused { why }.into()),
            Err(Failure::Token(error)) if error.is_final() => Err(error.into()),
            Err(failure) => {
                let (error, waiting) = (failure.to_string(), queue.waiting.len());
                tracing::error!(
                    error,
                    waiting,
                    "nobody signs: this validator sends nothing until its signer or token is back (hint: start carat-node signer \
                     run, or see to the token)"
                );
                self.note(false);
                Ok(None)
            }
        }
    }

    fn note(&self, present: bool) {
        self.present.store(present, Ordering::Relaxed);
        self.metrics.signer_present.set(i64::from(present));
    }

    /// **Errors**: a token that can be used no more. **Returns** none while nobody is there.
    fn call(&self) -> Result<Option<Line>, NodeError> {
        let called = match &self.signatory {
            Signatory::Signer(link) => match link.connect(PATIENCE) {
                Ok((stream, _)) => {
                    tracing::info!(signer = link.place(), "the signer is there");
                    Ok(Line::Signer(stream))
                }
                Err(error) => Err(error.to_string()),
            },
            Signatory::Token(keys) => {
                let mut token = TokenSigner::new((**keys).clone());
                match token.ready() {
                    Ok(()) => {
                        tracing::info!(token = keys.label(), "the token is there");
                        Ok(Line::Token(Box::new(token)))
                    }
                    Err(error) if error.is_final() => return Err(error.into()),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        if let Err(error) = &called {
            tracing::debug!(error, "nobody signs");
        }
        self.note(called.is_ok());
        Ok(called.ok())
    }

    /// One batch to the signer and back.
    fn ask_signer(&self, stream: &mut dyn Conversation, queue: &mut Queue) -> Result<(), Failure> {
        let mut frames = Vec::new();
        let sent = queue.waiting.len().min(BATCH);
        for Waiting { number, statement } in queue.waiting.iter().take(sent) {
            let bytes = statement.signing_bytes(&self.domain);
            frames.extend_from_slice(&Question::Sign { number: *number, bytes }.frame());
        }
        stream.write_all(&frames)?;
        stream.flush()?;
        for _ in 0..sent {
            let answer = read_answer(&mut *stream)?;
            let Some(Waiting { number, statement }) = queue.waiting.pop_front() else { break };
            // The signer answers one connection's questions in their order.
            let error = match answer {
                Answer::Signed { number: of, signature } if of == number => {
                    self.deliver(statement, signature)?;
                    continue;
                }
                Answer::Refused { number: of, grave, why } if of == number => {
                    self.refused(&statement, grave, why)?;
                    continue;
                }
                Answer::Away(why) => io::Error::other(why),
                _ => io::Error::new(io::ErrorKind::InvalidData, "an answer to no question"),
            };
            queue.waiting.push_front(Waiting { number, statement });
            return Err(error.into());
        }
        Ok(())
    }

    /// One batch, one by one. What guards against a second vote is this validator's journal, which is ahead of every ask.
    fn ask_token(&self, token: &mut TokenSigner, queue: &mut Queue) -> Result<(), Failure> {
        for _ in 0..TOKEN_BATCH {
            let Some(Waiting { number, statement }) = queue.waiting.pop_front() else { break };
            match token.sign(statement.role(), &statement.signing_bytes(&self.domain)) {
                Ok(signature) => self.deliver(statement, signature)?,
                Err(error) => {
                    queue.waiting.push_front(Waiting { number, statement });
                    return Err(Failure::Token(error));
                }
            }
        }
        Ok(())
    }

    fn key(&self, role: SignerRole) -> &PublicKey {
        match &self.signatory {
            Signatory::Signer(link) => link.key(role),
            Signatory::Token(keys) => keys.public(role),
        }
    }

    /// A signature that does not fit is never sent; it also shows that this is not our signer.
    fn deliver(&self, statement: Statement, signature: Signature) -> Result<(), Failure> {
        let key = self.key(statement.role());
        if !Ed25519.verify(key, &statement.signing_bytes(&self.domain), &signature) {
            let what = format!("a signature that is not by {key}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what).into());
        }
        self.mailbox.answer(Input::Signed(Box::new(statement), signature));
        Ok(())
    }

    fn refused(&self, statement: &Statement, grave: bool, why: String) -> Result<(), Failure> {
        self.metrics.signer_refusals_total.inc();
        if grave {
            return Err(Failure::Refused(why));
        }
        tracing::warn!(
            reason = why,
            slot = statement.slot().map(|slot| slot.0),
            "the signer does not sign this"
        );
        Ok(())
    }
}

#[derive(Debug, Error)]
enum Failure {
    #[error("{0}")]
    Gone(io::Error),
    #[error(transparent)]
    Token(TokenError),
    #[error("{0}")]
    Refused(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Gone(error)
    }
}
