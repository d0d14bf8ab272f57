//! The REST interface of one node, as its client sees it. Answers are one node's word: see [`crate::client`].

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::Digest;
use carat_types::builder::amount::{self, AmountError};
use carat_types::builder::asset;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use stellar_xdr::Asset;
use thiserror::Error;

use crate::login::{Login, LoginError, Pass};

/// Longest answer that is read. **Units**: bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// One node's interface.
#[derive(Clone, Debug)]
pub struct Rest {
    base: String,
    http: reqwest::Client,
    /// Who asks, where the network wants to know.
    pass: Option<Pass>,
}

/// Why a node gave no usable answer.
#[derive(Clone, Debug, Error)]
pub enum RestError {
    /// Not reached, cut off, or too slow.
    #[error("{url} does not answer: {reason}")]
    Transport {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
        /// Whether the time was over.
        timed_out: bool,
    },
    /// The description of the network does not say where it is.
    #[error("network.toml has no address of it (hint: add [[nodes]] with its name, api and metrics)")]
    NoAddress,
    /// A problem report.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No token where the network wants one.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// An answer of another shape.
    #[error("{url} answered something unexpected: {reason}")]
    Shape {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A problem report of the REST interface (RFC 7807, the wire format's `extras`).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Problem {
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Short name.
    #[serde(default)]
    pub title: String,
    /// In words.
    #[serde(default)]
    pub detail: String,
    /// What went wrong in machine form.
    #[serde(default)]
    pub extras: Extras,
}

/// The machine form of a problem.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Extras {
    /// Codes of a transaction that was not applied.
    #[serde(default)]
    pub result_codes: Option<ResultCodes>,
    /// Why a request is bad.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The stable result codes of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ResultCodes {
    /// Of the transaction.
    pub transaction: String,
    /// Of the transaction inside a fee bump.
    #[serde(default)]
    pub inner_transaction: Option<String>,
    /// Of the operations, in order.
    #[serde(default)]
    pub operations: Vec<String>,
}

/// An account, as far as a client needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Its address.
    pub account_id: String,
    /// Its current sequence number; text in JSON, which has no 64-bit numbers.
    #[serde(deserialize_with = "number_in_text")]
    pub sequence: i64,
    /// Its holdings.
    #[serde(default)]
    pub balances: Vec<Balance>,
}

impl Account {
    /// What the account holds of an asset; 0 of one that it does not trust.
    ///
    /// **Units**: stroops.
    /// **Errors**: an amount that is none.
    pub fn holding(&self, asset: &Asset) -> Result<i64, AmountError> {
        let wanted = asset::format(asset);
        let balance = self.balances.iter().find(|balance| balance.asset() == wanted);
        balance.map_or(Ok(0), |balance| amount::parse(&balance.balance))
    }
}

fn number_in_text<'de, D: Deserializer<'de>>(source: D) -> Result<i64, D::Error> {
    String::deserialize(source)?.parse().map_err(D::Error::custom)
}

/// One holding of an account.
#[derive(Clone, Debug, Deserialize)]
pub struct Balance {
    /// The amount, decimal.
    pub balance: String,
    /// `native` or the kind of code.
    pub asset_type: String,
    /// Code of an issued asset.
    #[serde(default)]
    pub asset_code: Option<String>,
    /// Its issuer.
    #[serde(default)]
    pub asset_issuer: Option<String>,
    /// How much of it is trusted.
    #[serde(default)]
    pub limit: Option<String>,
}

impl Balance {
    /// Of what, in the form of [`asset::format`].
    fn asset(&self) -> String {
        match (&self.asset_code, &self.asset_issuer) {
            (Some(code), Some(issuer)) => format!("{code}:{issuer}"),
            _ => self.asset_type.clone(),
        }
    }
}

/// A page of records.
#[derive(Clone, Debug, Deserialize)]
pub struct Page<T> {
    /// The records.
    #[serde(rename = "_embedded")]
    pub embedded: Embedded<T>,
}

/// The records of a page.
#[derive(Clone, Debug, Deserialize)]
pub struct Embedded<T> {
    /// In the order asked for.
    pub records: Vec<T>,
}

/// What a node says of a transaction that it executed.
#[derive(Clone, Debug, Deserialize)]
pub struct TransactionRecord {
    /// The hash.
    pub hash: String,
    /// Its ledger.
    pub ledger: u32,
    /// Whether it succeeded.
    pub successful: bool,
}

/// The proof in a node's answer; what the node reads in it does not matter.
#[derive(Deserialize)]
struct ReceiptRecord {
    receipt: String,
}

impl Rest {
    /// The interface at `base`, such as `http://127.0.0.1:8000`; nothing is asked of one whose address is empty.
    pub fn new(base: &str, http: reqwest::Client) -> Self {
        Rest { base: base.trim_end_matches('/').to_owned(), http, pass: None }
    }

    /// The same, each request with a token of this login: a members' network answers nobody else.
    #[must_use]
    pub fn logged_in(mut self, login: Arc<Login>) -> Self {
        self.pass = Some(Pass::new(login, &self.base, self.http.clone()));
        self
    }

    /// A connection pool that all nodes of a network can share.
    ///
    /// **Errors**: only where the process cannot make one at all.
    pub fn pool() -> Result<reqwest::Client, RestError> {
        // A proxy of the environment must not see, and cannot reach, a node on this machine.
        let builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT);
        builder.build().map_err(|error| transport("", &error))
    }

    /// The address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GETs JSON.
    ///
    /// **Errors**: [`RestError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, patience: Duration) -> Result<T, RestError> {
        let url = format!("{}{path}", self.base);
        let request = self.http.get(&url).header("accept", "application/json").timeout(patience);
        decode(&url, &self.answer(&url, request).await?)
    }

    /// GETs text that is no JSON: the metrics at an operator's address.
    ///
    /// **Errors**: [`RestError`].
    pub async fn text(&self, path: &str, patience: Duration) -> Result<String, RestError> {
        let url = format!("{}{path}", self.base);
        if self.base.is_empty() {
            return Err(RestError::NoAddress);
        }
        let body = answer(&url, self.http.get(&url).timeout(patience)).await?;
        String::from_utf8(body).map_err(|error| RestError::Shape { url, reason: error.to_string() })
    }

    /// GETs bytes.
    ///
    /// **Errors**: [`RestError`].
    pub async fn bytes(&self, path: &str, patience: Duration) -> Result<Vec<u8>, RestError> {
        let url = format!("{}{path}", self.base);
        let request = self.http.get(&url).header("accept", "application/octet-stream").timeout(patience);
        self.answer(&url, request).await
    }

    /// The account with this address.
    ///
    /// **Errors**: [`RestError`].
    pub async fn account(&self, address: &str, patience: Duration) -> Result<Account, RestError> {
        self.get(&format!("/accounts/{address}"), patience).await
    }

    /// Submits an envelope and waits for what became of it.
    ///
    /// **Errors**: [`RestError::Problem`] for a refusal and for a transaction that failed.
    pub async fn submit(&self, envelope: &[u8], patience: Duration) -> Result<TransactionRecord, RestError> {
        let url = format!("{}/transactions", self.base);
        let form = [("tx", BASE64.encode(envelope))];
        let request = self.http.post(&url).form(&form).timeout(patience);
        decode(&url, &self.answer(&url, request).await?)
    }

    /// The answer to a request, with our token where we have one.
    async fn answer(&self, url: &str, request: reqwest::RequestBuilder) -> Result<Vec<u8>, RestError> {
        if self.base.is_empty() {
            return Err(RestError::NoAddress);
        }
        let Some(pass) = &self.pass else { return answer(url, request).await };
        let token = pass.token().await?;
        let answered = answer(url, request.bearer_auth(token.as_str())).await;
        if matches!(&answered, Err(RestError::Problem(problem)) if problem.status == 401) {
            // The next request logs in again.
            pass.forget(&token).await;
        }
        answered
    }

    /// What the node knows of an executed transaction; none if nothing.
    ///
    /// **Errors**: [`RestError`].
    pub async fn transaction(
        &self,
        hash: &Digest,
        patience: Duration,
    ) -> Result<Option<TransactionRecord>, RestError> {
        absent(self.get(&format!("/transactions/{hash}"), patience).await)
    }

    /// The bytes of a transaction's receipt, unchecked; none while there is none.
    ///
    /// **Errors**: [`RestError`].
    pub async fn receipt(&self, hash: &Digest, patience: Duration) -> Result<Option<Vec<u8>>, RestError> {
        let path = format!("/transactions/{hash}/receipt");
        let Some(record) = absent(self.get::<ReceiptRecord>(&path, patience).await)? else { return Ok(None) };
        let shape = |reason: String| RestError::Shape { url: format!("{}{path}", self.base), reason };
        BASE64.decode(record.receipt).map(Some).map_err(|error| shape(error.to_string()))
    }
}

impl RestError {
    /// The problem report, if that is what it is.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            RestError::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.title, self.status)?;
        if let Some(codes) = &self.extras.result_codes {
            return write!(f, ": {codes}");
        }
        let reason = self.extras.reason.as_deref().unwrap_or(&self.detail);
        if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
    }
}

impl std::fmt::Display for ResultCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.transaction)?;
        if let Some(inner) = &self.inner_transaction {
            write!(f, " / {inner}")?;
        }
        if !self.operations.is_empty() {
            write!(f, " [{}]", self.operations.join(", "))?;
        }
        Ok(())
    }
}

/// The body of a good answer, no longer than the limit.
async fn answer(url: &str, request: reqwest::RequestBuilder) -> Result<Vec<u8>, RestError> {
    let mut response = request.send().await.map_err(|error| transport(url, &error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(url, &error))? {
        if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            let reason = format!("more than {ANSWER_BYTES_MAX} bytes");
            return Err(RestError::Shape { url: url.to_owned(), reason });
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    let mut problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
    problem.status = status.as_u16();
    if problem.title.is_empty() {
        problem.title = status.canonical_reason().unwrap_or("HTTP error").to_owned();
    }
    Err(RestError::Problem(Box::new(problem)))
}

fn decode<T: DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, RestError> {
    serde_json::from_slice(body)
        .map_err(|error| RestError::Shape { url: url.to_owned(), reason: error.to_string() })
}

/// "Not found" as none.
fn absent<T>(answer: Result<T, RestError>) -> Result<Option<T>, RestError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(RestError::Problem(problem)) if problem.status == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn transport(url: &str, error: &reqwest::Error) -> RestError {
    // The outer error says only that a request failed; its innermost source says why.
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    RestError::Transport { url: url.to_owned(), reason: reason.to_string(), timed_out: error.is_timeout() }
}
