//! Logging in at a node of a members' network with the key of an account. **Source**: SEP-10, version 3.4.1.
//!
//! What is signed is a transaction. Before that happens it is checked to be one that can never be applied: sequence number
//! 0, data entries alone, the first of them ours. So a node that lies gets a signature that is good for nothing else.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use carat_types::transaction::{account_of, decode_envelope, network_id, sign_envelope};
use carat_types::{Digest, PublicKey, SecretKey};
use serde::Deserialize;
use stellar_xdr::{Limits, OperationBody, Preconditions, TransactionEnvelope, WriteXdr};
use thiserror::Error;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::keystore;

/// How long before its end a token is renewed. **Units**: seconds.
const RENEW_BEFORE: u64 = 60;
/// How long each of the two steps may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read. **Units**: bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Who logs in, and to which network.
pub struct Login {
    key: SecretKey,
    passphrase: String,
}

/// Why there is no token.
#[derive(Clone, Debug, Error)]
pub enum LoginError {
    /// Not reached, or an answer of another shape.
    #[error("{url} gives no login: {reason}")]
    Node {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// Something that must not be signed.
    #[error(
        "{url} asks for a signature under what is no challenge: {reason} (hint: do not log in at this node)"
    )]
    Challenge {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// A login at one node, and its token as long as that is good.
#[derive(Clone)]
pub struct Pass {
    login: Arc<Login>,
    base: String,
    http: reqwest::Client,
    token: Arc<Mutex<Option<Token>>>,
}

#[derive(Clone)]
struct Token {
    text: Arc<Zeroizing<String>>,
    /// **Units**: seconds since 1970.
    expires: u64,
}

#[derive(Deserialize)]
struct Given {
    transaction: String,
}

#[derive(Deserialize)]
struct Answered {
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

impl Login {
    /// With this account's own key.
    pub fn new(key: SecretKey, passphrase: &str) -> Arc<Self> {
        Arc::new(Login { key, passphrase: passphrase.to_owned() })
    }

    /// The account.
    pub fn account(&self) -> PublicKey {
        self.key.public()
    }

    /// The challenge with our signature.
    fn answer(&self, challenge: &str) -> Result<String, &'static str> {
        let bytes = STANDARD.decode(challenge).map_err(|_| "it is not base64")?;
        let mut envelope = decode_envelope(&bytes).map_err(|_| "it is no envelope")?;
        self.check(&envelope)?;
        let id: Digest = network_id(&self.passphrase);
        sign_envelope(&id, &mut envelope, &[&self.key]).map_err(|_| "it has no room for a signature")?;
        let bytes = envelope.to_xdr(Limits::none()).map_err(|_| "it cannot be encoded")?;
        Ok(STANDARD.encode(bytes))
    }

    fn check(&self, envelope: &TransactionEnvelope) -> Result<(), &'static str> {
        let TransactionEnvelope::Tx(envelope) = envelope else { return Err("it is no plain transaction") };
        let transaction = &envelope.tx;
        if transaction.seq_num.0 != 0 {
            return Err("its sequence number is not 0, so that it could be applied");
        }
        if !matches!(transaction.cond, Preconditions::Time(_)) {
            return Err("it has no time bounds");
        }
        let data =
            |operation: &&stellar_xdr::Operation| matches!(operation.body, OperationBody::ManageData(_));
        if !transaction.operations.iter().all(|operation| data(&operation)) {
            return Err("it has operations that are no data entries");
        }
        let first = transaction.operations.first().and_then(|operation| operation.source_account.as_ref());
        if first.map(account_of) != Some(self.account()) {
            return Err("its first operation is not ours");
        }
        if account_of(&transaction.source_account) == self.account() {
            return Err("it is a transaction of our own account");
        }
        Ok(())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", keystore::address(&self.account()))
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("login", &self.login).field("base", &self.base).finish_non_exhaustive()
    }
}

impl Pass {
    /// A login at the node with its interface at `base`.
    pub fn new(login: Arc<Login>, base: &str, http: reqwest::Client) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Pass { login, base, http, token: Arc::default() }
    }

    /// A token that is good for a minute at least.
    ///
    /// **Errors**: [`LoginError`].
    pub async fn token(&self) -> Result<Arc<Zeroizing<String>>, LoginError> {
        // Held during the login: of many requests at once, one logs in.
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref().filter(|token| now() + RENEW_BEFORE < token.expires) {
            return Ok(Arc::clone(&token.text));
        }
        let token = self.log_in().await?;
        *held = Some(token.clone());
        Ok(token.text)
    }

    /// Forgets a token that the node no longer takes: it was started again, or its bank changed a key.
    pub async fn forget(&self, refused: &str) {
        let mut held = self.token.lock().await;
        if held.as_ref().is_some_and(|token| token.text.as_str() == refused) {
            *held = None;
        }
    }

    async fn log_in(&self) -> Result<Token, LoginError> {
        let url = format!("{}/auth", self.base);
        let account = keystore::address(&self.login.account());
        let asked = self.http.get(format!("{url}?account={account}")).timeout(PATIENCE);
        let given: Given = self.read(&url, asked).await?;
        let transaction = self.login.answer(&given.transaction);
        let transaction = transaction.map_err(|reason| LoginError::Challenge { url: url.clone(), reason })?;
        let sent = self.http.post(&url).form(&[("transaction", transaction)]).timeout(PATIENCE);
        let answered: Answered = self.read(&url, sent).await?;
        let expires = expiry(&answered.token).ok_or_else(|| LoginError::Node {
            url,
            reason: "its token is no JSON web token that ends".to_owned(),
        })?;
        Ok(Token { text: Arc::new(Zeroizing::new(answered.token)), expires })
    }

    async fn read<T: for<'a> Deserialize<'a>>(
        &self,
        url: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<T, LoginError> {
        let failed = |reason: String| LoginError::Node { url: url.to_owned(), reason };
        let mut response = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(error.to_string()))? {
            if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
                return Err(failed(format!("more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
            return Err(failed(format!("{status} {}", said.trim())));
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }
}

/// When a token ends, as it says itself: whether it is good is for its node to say.
fn expiry(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use carat_types::builder::TransactionBuilder;
    use carat_types::builder::operation::{by, manage_data, payment};
    use stellar_xdr::{Asset, Operation};

    use super::*;

    const PASSPHRASE: &str = "Test net ; 1";

    fn key(number: u8) -> SecretKey {
        SecretKey::from_seed(&[number; 32])
    }

    fn challenge(source: u8, sequence: i64, operations: Vec<Operation>) -> String {
        let builder = TransactionBuilder::new(key(source).public(), sequence - 1).expect("small");
        let builder = operations.into_iter().fold(builder.time_bounds(0, 900), TransactionBuilder::operation);
        let envelope = builder.sign(&network_id(PASSPHRASE), &[&key(source)]).expect("well-formed");
        STANDARD.encode(envelope.to_xdr(Limits::none()).expect("XDR"))
    }

    fn entry(of: u8) -> Operation {
        by(key(of).public(), manage_data("bank.example auth", Some(&[65; 64])).expect("short"))
    }

    #[test]
    fn challenge_is_signed_and_what_could_be_applied_is_not() {
        let login = Login::new(key(1), PASSPHRASE);
        let pays = by(key(1).public(), payment(key(9).public(), Asset::Native, 1));
        login.answer(&challenge(100, 0, vec![entry(1), entry(100)])).expect("a challenge");
        for (transaction, word) in [
            (challenge(100, 1, vec![entry(1)]), "sequence number"),
            (challenge(100, 0, vec![entry(1), pays]), "data entries"),
            (challenge(100, 0, vec![entry(2)]), "not ours"),
            (challenge(1, 0, vec![entry(1)]), "our own account"),
            ("AAAA".to_owned(), "no envelope"),
            ("%".to_owned(), "not base64"),
        ] {
            let reason = login.answer(&transaction).expect_err(word);
            assert!(reason.contains(word), "{reason} should say {word}");
        }
    }

    #[test]
    fn end_of_a_token_is_read_and_nothing_else_of_it_believed() {
        let token = |claims: &str| format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expiry(&token("{\"exp\":7,\"sub\":\"x\"}")), Some(7));
        assert_eq!(expiry(&token("{}")), None);
        assert_eq!(expiry("no token"), None);
    }

    #[test]
    fn key_does_not_show_in_what_is_logged() {
        let login = Login::new(key(1), PASSPHRASE);
        let shown = format!("{:?}", Pass::new(login, "http://127.0.0.1:1/", reqwest::Client::new()));
        assert!(shown.contains(&keystore::address(&key(1).public())) && !shown.contains("[1, 1"), "{shown}");
    }
}
