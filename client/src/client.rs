//! Submitting to a network rather than to a node, and knowing what became of it.
//!
//! **Source**: consensus specification, section 12; decision record 55. An envelope goes to f+1 nodes, so that one of them is
//! correct, on an edge network to all its proposers; when the time is over the *same bytes* go to all, which can never execute them twice. The outcome
//! is what a verified receipt says. A refusal has no receipt: it counts when all nodes were asked, as many agree on it
//! and none executed.

mod early;
mod learning;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carat_types::receipt::{Receipt, ReceiptError, Rule, Verdict};
use carat_types::transaction::{EnvelopeError, SignedTransaction};
use carat_types::{Digest, SecretKey};
use stellar_xdr::{Limits, ReadXdr, TransactionEnvelope, TransactionResult};
use thiserror::Error;
use tokio::task::JoinSet;

pub use early::{Believed, Early, EarlyRule, WordCount};
use learning::Known;
pub use learning::Learned;

use crate::login::Login;
use crate::network::Network;
use crate::rest::{Account, Problem, Rest, RestError};

/// How long one node may take for a question that it can answer at once.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two rounds of questions to the same nodes.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// A client of one network. Clones share what they learn of its epochs.
#[derive(Clone, Debug)]
pub struct Client {
    /// The network, as it was known at first.
    known: Arc<Known>,
    http: reqwest::Client,
    login: Option<Arc<Login>>,
    /// Address of the interface that is asked first, if one is preferred.
    first: Option<String>,
    round_timeout: Duration,
    deadline: Duration,
}

/// What became of a transaction, proved as far as its verdict says.
#[derive(Clone, Debug)]
pub struct Finality {
    /// The transaction's hash.
    pub hash: Digest,
    /// What the receipt proves, and the assumption on which it rests.
    pub verdict: Verdict,
    /// The result, decoded.
    pub result: TransactionResult,
    /// The receipt's bytes, for the file of whoever was paid.
    pub receipt: Vec<u8>,
}

/// Why a client cannot say what was asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// More nodes refused than may be dishonest: it will not be applied as things stand.
    #[error("the network refused the transaction: {0}")]
    Refused(Box<Problem>),
    /// Not known in time. The transaction may still be applied.
    #[error(
        "no proved outcome of {hash} after {waited:?}: {last} (hint: send the same bytes again, or ask later)"
    )]
    TimedOut {
        /// The transaction.
        hash: Digest,
        /// How long was waited.
        waited: Duration,
        /// The last thing that went wrong.
        last: String,
    },
    /// No node gave an answer.
    #[error("no node answers; the last said: {0}")]
    Unreachable(RestError),
    /// A node says no.
    #[error(transparent)]
    Rest(RestError),
    /// No f+1 nodes gave the same answer.
    #[error("too few nodes give the same answer (hint: ask again; if it stays, carat doctor)")]
    Disagreement,
    /// A receipt of something else than what was asked for.
    #[error("the receipt is of transaction {seen}, asked for was {expected}")]
    OtherTransaction {
        /// Transaction of the receipt.
        seen: Digest,
        /// Transaction asked for.
        expected: Digest,
    },
    /// A receipt that proves nothing.
    #[error("a node gave a receipt that proves nothing: {0}")]
    Receipt(#[from] ReceiptError),
    /// A proved result that is no result.
    #[error("the proved result is not valid XDR: {0}")]
    Result(String),
    /// No validator of this network sends TREPLY.
    #[error("{0}")]
    NoReplies(ReceiptError),
    /// No validator of this network is reached by clients, and so none tells them its TREPLY.
    #[error(
        "clients of an edge network reach its proposers, which have no vote and send no TREPLY (hint: --rule sealed, which is the \
         default)"
    )]
    Edge,
    /// The native entrances cannot be used from here.
    #[error("the native entrance: {0}")]
    Entrance(String),
    /// Another value became final than the one that was believed before.
    #[error(
        "transaction {hash}: {rule} said {believed}, but {sealed} (hint: a validator did not keep its word, with QUORUM-TREPLY \
         more than f did not; keep both receipts and tell the operators)"
    )]
    Contradicted {
        /// The transaction.
        hash: Digest,
        /// The rule by which it was believed.
        rule: Rule,
        /// What was believed.
        believed: String,
        /// What became of it.
        sealed: String,
    },
}

/// What one round of sending brought.
enum Round {
    Executed,
    Refused(Box<Problem>),
    Open(String),
}

impl Client {
    /// A client that waits up to 30 s for an outcome.
    ///
    /// **Errors**: the process cannot make connections at all.
    pub fn new(network: Network) -> Result<Self, RestError> {
        let http = Rest::pool()?;
        let known = Arc::new(Known::of(network, &http, None));
        let (round_timeout, deadline) = (Duration::from_secs(10), Duration::from_secs(30));
        Ok(Client { known, http, login: None, first: None, round_timeout, deadline })
    }

    /// Asks node `index` first: a bank's own.
    #[must_use]
    pub fn preferring(mut self, index: usize) -> Self {
        self.first = self.network().nodes.get(index).map(|node| node.api.clone());
        self
    }

    /// Logs in at each node with the key of an account: a members' network answers nobody else.
    #[must_use]
    pub fn logged_in(mut self, key: SecretKey) -> Self {
        let login = Login::new(key, self.network().passphrase());
        self.known = Arc::new(Known::of(self.network().clone(), &self.http, Some(&login)));
        self.login = Some(login);
        self
    }

    /// Gives up after `deadline`, and turns to all nodes after `round`.
    #[must_use]
    pub fn patience(mut self, round: Duration, deadline: Duration) -> Self {
        (self.round_timeout, self.deadline) = (round, deadline);
        self
    }

    /// The network, in the newest epoch that is known.
    pub fn network(&self) -> &Network {
        &self.known().network
    }

    /// The interfaces of its nodes whose addresses are known, the preferred one first.
    pub fn nodes(&self) -> impl Iterator<Item = &Rest> {
        let nodes = &self.known().nodes;
        let is_first = |node: &Rest| self.first.as_deref() == Some(node.base());
        let (before, after) = nodes.split_at(nodes.iter().position(is_first).unwrap_or(0));
        after.iter().chain(before).filter(|node| !node.base().is_empty())
    }

    /// The account as the furthest of f+1 nodes knows it, or of all proposers of an edge network: good for its sequence number,
    /// proof of nothing.
    ///
    /// One node alone may lag behind what another has already answered, and its number would then be used twice.
    ///
    /// **Errors**: [`ClientError::Rest`] where no such account is known, [`ClientError::Unreachable`].
    pub async fn load_account(&self, address: &str) -> Result<Account, ClientError> {
        match self.load_account_of_known(address).await {
            Err(_) if self.learn().await.is_new => self.load_account_of_known(address).await,
            answer => answer,
        }
    }

    async fn load_account_of_known(&self, address: &str) -> Result<Account, ClientError> {
        let mut furthest: Option<Account> = None;
        let mut failure = None;
        let mut answers = 0;
        for node in self.nodes() {
            match node.account(address, QUESTION_TIMEOUT).await {
                Ok(account) => {
                    answers += 1;
                    if furthest.as_ref().is_none_or(|known| known.sequence < account.sequence) {
                        furthest = Some(account);
                    }
                }
                Err(error) if is_refusal(&error) => {
                    answers += 1;
                    failure = Some(ClientError::Rest(error));
                }
                Err(error) => {
                    failure.get_or_insert(ClientError::Unreachable(error));
                }
            }
            if answers >= self.network().one_correct() {
                break;
            }
        }
        furthest.ok_or_else(|| failure.unwrap_or_else(|| ClientError::Unreachable(no_nodes())))
    }

    /// The first answer, asking the nodes in turn; a problem report is an answer.
    ///
    /// **Errors**: [`ClientError::Rest`], [`ClientError::Unreachable`].
    pub async fn ask<'a, T, F>(&'a self, question: impl Fn(&'a Rest) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, RestError>>,
    {
        match self.ask_known(&question).await {
            Err(ClientError::Unreachable(_)) if self.learn().await.is_new => self.ask_known(&question).await,
            answer => answer,
        }
    }

    async fn ask_known<'a, T, F>(&'a self, question: impl Fn(&'a Rest) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, RestError>>,
    {
        let mut last = None;
        for node in self.nodes() {
            match question(node).await {
                Ok(answer) => return Ok(answer),
                Err(error) if is_refusal(&error) => return Err(ClientError::Rest(error)),
                Err(error) => last = Some(error),
            }
        }
        Err(ClientError::Unreachable(last.unwrap_or_else(no_nodes)))
    }

    /// The answer that f+1 nodes give alike, or all proposers of an edge network: one of them is correct.
    ///
    /// **Errors**: [`ClientError::Rest`] if they refuse, [`ClientError::Unreachable`], [`ClientError::Disagreement`].
    pub async fn agreed<'a, T: PartialEq, F>(
        &'a self,
        question: impl Fn(&'a Rest) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, RestError>>,
    {
        match self.agreed_of_known(&question).await {
            Err(_) if self.learn().await.is_new => self.agreed_of_known(&question).await,
            answer => answer,
        }
    }

    async fn agreed_of_known<'a, T: PartialEq, F>(
        &'a self,
        question: impl Fn(&'a Rest) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, RestError>>,
    {
        let mut answers: Vec<(T, usize)> = Vec::new();
        let mut failure = None;
        for node in self.nodes() {
            match question(node).await {
                Ok(answer) => {
                    let known = answers.iter().position(|(known, _)| *known == answer);
                    let count = match known.and_then(|at| answers.get_mut(at)) {
                        Some((_, count)) => {
                            *count += 1;
                            *count
                        }
                        None => {
                            answers.push((answer, 1));
                            1
                        }
                    };
                    if count >= self.network().one_correct() {
                        let at = known.unwrap_or(answers.len() - 1);
                        return Ok(answers.swap_remove(at).0);
                    }
                }
                Err(error) if is_refusal(&error) => failure = Some(ClientError::Rest(error)),
                Err(error) => {
                    failure.get_or_insert(ClientError::Unreachable(error));
                }
            }
        }
        Err(failure.unwrap_or(ClientError::Disagreement))
    }

    /// Submits an envelope and waits until its outcome is proved.
    ///
    /// **Returns** the proof, of success or of failure: see [`Finality::result`].
    ///
    /// **Errors**: [`ClientError::Refused`]; [`ClientError::TimedOut`], after which it may still be applied.
    pub async fn submit(&self, envelope: TransactionEnvelope) -> Result<Finality, ClientError> {
        let transaction = SignedTransaction::from_envelope(&self.network().genesis.network_id(), envelope)?;
        self.submit_bytes(transaction.hash(), transaction.bytes()).await
    }

    async fn submit_bytes(&self, hash: &Digest, bytes: &[u8]) -> Result<Finality, ClientError> {
        let started = Instant::now();
        let mut targets = self.network().one_correct();
        loop {
            let last = match self.round(hash, bytes, targets).await {
                // A node that lies about it must not keep us from asking the others.
                Round::Executed => match self.await_for(hash, self.round_timeout).await {
                    Ok(finality) => return Ok(finality),
                    Err(error) => error.to_string(),
                },
                // Nodes that lag refuse what the rest of the network accepts: all have a say.
                Round::Refused(problem) if targets < self.nodes().count() => problem.to_string(),
                // Those who refuse may be the validators no more.
                Round::Refused(problem) if !self.learn().await.is_new => {
                    return Err(ClientError::Refused(problem));
                }
                Round::Refused(problem) => problem.to_string(),
                Round::Open(last) => {
                    self.learn().await;
                    last
                }
            };
            // An earlier round may have been applied after its answer was lost.
            if let Ok(Some(finality)) = self.receipt_now(hash).await {
                return Ok(finality);
            }
            let waited = started.elapsed();
            if waited >= self.deadline {
                return Err(ClientError::TimedOut { hash: *hash, waited, last });
            }
            targets = self.nodes().count();
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    /// Sends the bytes to the first `targets` nodes at once. One that executed them decides; a refusal is quick
    /// and so has to wait for those who may still execute.
    async fn round(&self, hash: &Digest, bytes: &[u8], targets: usize) -> Round {
        let mut answers = JoinSet::new();
        for node in self.nodes().take(targets) {
            let (node, bytes, hash, patience) = (node.clone(), bytes.to_vec(), *hash, self.round_timeout);
            answers.spawn(async move { offer(&node, &hash, &bytes, patience).await });
        }
        let mut refusals = Vec::new();
        let mut last = String::from("no node answered");
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok(Round::Executed) => return Round::Executed,
                Ok(Round::Refused(problem)) => refusals.push(problem),
                Ok(Round::Open(reason)) => last = reason,
                Err(error) => last = error.to_string(),
            }
        }
        let agreed = refusals.len() >= self.network().one_correct();
        match refusals.pop() {
            Some(problem) if agreed => Round::Refused(problem),
            Some(problem) => Round::Open(problem.to_string()),
            None => Round::Open(last),
        }
    }

    /// Waits until a receipt of `hash` proves its outcome.
    ///
    /// **Errors**: [`ClientError::TimedOut`].
    pub async fn await_finality(&self, hash: &Digest) -> Result<Finality, ClientError> {
        self.await_for(hash, self.deadline).await
    }

    async fn await_for(&self, hash: &Digest, patience: Duration) -> Result<Finality, ClientError> {
        let started = Instant::now();
        loop {
            let last = match self.receipt_now(hash).await {
                Ok(Some(finality)) => return Ok(finality),
                Ok(None) => "no node has a receipt yet".to_owned(),
                Err(error) => {
                    self.learn().await;
                    error.to_string()
                }
            };
            let waited = started.elapsed();
            if waited >= patience {
                return Err(ClientError::TimedOut { hash: *hash, waited, last });
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    /// The first good receipt of the outcome that any node has now; none if no node has one.
    ///
    /// **Errors**: no node answered, or all that answered gave receipts that prove nothing.
    pub async fn receipt_now(&self, hash: &Digest) -> Result<Option<Finality>, ClientError> {
        let mut failure = None;
        let mut answered = false;
        for node in self.nodes() {
            match node.receipt(hash, QUESTION_TIMEOUT).await {
                Ok(None) => answered = true,
                Ok(Some(bytes)) => match self.check(hash, bytes) {
                    // A receipt of the place alone: the outcome follows.
                    Ok(None) => answered = true,
                    good @ Ok(Some(_)) => return good,
                    Err(error) => failure = Some(error),
                },
                Err(error) => {
                    failure.get_or_insert(ClientError::Unreachable(error));
                }
            }
        }
        match failure {
            Some(error) if !answered => Err(error),
            _ => Ok(None),
        }
    }

    fn check(&self, hash: &Digest, receipt: Vec<u8>) -> Result<Option<Finality>, ClientError> {
        let verdict = Receipt::verify(&receipt, &self.network().genesis)?;
        if verdict.transaction != *hash {
            return Err(ClientError::OtherTransaction { seen: verdict.transaction, expected: *hash });
        }
        self.follow_receipt(&receipt);
        let Some(result) = &verdict.result else { return Ok(None) };
        let result = decode_result(result)?;
        Ok(Some(Finality { hash: *hash, verdict, result, receipt }))
    }
}

/// Decodes a proved result.
///
/// **Errors**: [`ClientError::Result`].
pub fn decode_result(xdr: &[u8]) -> Result<TransactionResult, ClientError> {
    let limits = Limits { depth: 200, len: xdr.len() };
    TransactionResult::from_xdr(xdr, limits).map_err(|error| ClientError::Result(error.to_string()))
}

/// Whether a node understood the question and says no.
fn is_refusal(error: &RestError) -> bool {
    error.problem().is_some_and(|problem| problem.status < 500)
}

fn no_nodes() -> RestError {
    RestError::Shape { url: String::new(), reason: "the network has no nodes".into() }
}

/// Offers an envelope to one node.
async fn offer(node: &Rest, hash: &Digest, bytes: &[u8], patience: Duration) -> Round {
    match node.submit(bytes, patience).await {
        Ok(_) => Round::Executed,
        Err(RestError::Problem(problem))
            if (400..500).contains(&problem.status) && !matches!(problem.status, 401 | 403 | 429) =>
        {
            // An executed failure and a refusal at the door look alike, `tx_failed` too (one side's signature is missing,
            // an operation makes no sense); only the first is on record.
            match node.transaction(hash, QUESTION_TIMEOUT).await {
                Ok(Some(_)) => Round::Executed,
                _ => Round::Refused(problem),
            }
        }
        Err(error) => Round::Open(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
