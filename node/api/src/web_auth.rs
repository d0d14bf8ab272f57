//! Login with the keys of an account. **Source**: SEP-10, version 3.4.1.
//!
//! The server signs a transaction that can never be applied (its sequence number is 0) with a nonce in it; the client
//! signs it too and sends it back; the server, once it has seen that the signatures reach the account's threshold
//! on the ledger, gives a token. Time, randomness and the account come from outside. Reading order: [`challenge`],
//! [`authority`], [`token`], [`replay`].

pub mod authority;
pub mod challenge;
pub mod replay;
pub mod token;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use carat_types::builder::BuildError;
use carat_types::hash::Digest;
use carat_types::transaction::network_id;
use carat_types::{PublicKey, SecretKey};
use stellar_xdr::{AccountEntry, TransactionEnvelope};
use thiserror::Error;

use crate::bank::Strength;
use challenge::{Challenge, Client};
use replay::Answered;

/// Under which terms a bank lets its customers log in.
#[derive(Debug)]
pub struct Terms {
    /// Signs challenges.
    pub signing_key: SecretKey,
    /// Signs tokens.
    pub token_key: SecretKey,
    /// The network's passphrase.
    pub passphrase: String,
    /// The bank's domain.
    pub home_domain: String,
    /// The domain of the server that gives challenges.
    pub web_auth_domain: String,
    /// Who issues tokens: the address of the login.
    pub issuer: String,
    /// How long a challenge may be answered.
    pub challenge_seconds: u64,
    /// How long a token is good for.
    pub token_seconds: u64,
    /// Which of the account's thresholds must be reached.
    pub strength: Strength,
    /// Whether the key of an account that is not on the ledger may log in.
    pub unknown_accounts: bool,
    /// Client software that is vouched for: domain and SIGNING_KEY.
    pub client_domains: BTreeMap<String, PublicKey>,
}

/// A login that is open.
#[derive(Debug)]
pub struct WebAuth {
    terms: Terms,
    network_id: Digest,
    /// When this process began to give challenges: what came before may have been answered already.
    opened: u64,
    answered: Mutex<Answered>,
}

/// Why a challenge is not given or not accepted. Shown to the client.
#[derive(Debug, Error)]
pub enum LoginError {
    /// A parameter that cannot be understood.
    #[error("{field}: {reason}")]
    Parameter {
        /// The parameter.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No challenge of this server, or not within its time.
    #[error("the transaction is no valid challenge: {0}")]
    Challenge(String),
    /// The signatures do not do.
    #[error("the signatures do not prove control of the account: {0}")]
    Signatures(String),
    /// The challenge was answered before.
    #[error("the challenge was answered before; ask for another")]
    Replayed,
    /// Too many challenges were answered.
    #[error("too many logins at this time; try again in some minutes")]
    Busy,
    /// A challenge cannot be made.
    #[error("no challenge can be made: {0}")]
    Build(#[from] BuildError),
}

impl WebAuth {
    /// Opens a login at `now`. **Units**: seconds since 1970.
    pub fn new(terms: Terms, now: u64) -> Self {
        let network_id = network_id(&terms.passphrase);
        WebAuth { network_id, opened: now, answered: Mutex::default(), terms }
    }

    /// The terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// A challenge for `client`, signed.
    ///
    /// **Errors**: [`LoginError::Build`].
    pub fn challenge(
        &self,
        client: &Client,
        nonce: &[u8; challenge::NONCE_BYTES],
        now: u64,
    ) -> Result<TransactionEnvelope, LoginError> {
        challenge::build(&self.terms, &self.network_id, client, nonce, now)
    }

    /// Reads a challenge that came back: everything that can be checked without the ledger.
    ///
    /// **Errors**: [`LoginError::Challenge`].
    pub fn read(&self, text: &str, now: u64) -> Result<Challenge, LoginError> {
        let challenge = challenge::read(&self.terms, &self.network_id, text, now)?;
        if challenge.issued < self.opened {
            let reason = "it was given before this server began; ask for another";
            return Err(LoginError::Challenge(reason.into()));
        }
        Ok(challenge)
    }

    /// The token for a challenge that was answered well, once. `account` is the client's account on the ledger, if
    /// there is one.
    ///
    /// **Errors**: [`LoginError::Signatures`], [`LoginError::Replayed`], [`LoginError::Busy`].
    pub fn token(
        &self,
        challenge: &Challenge,
        account: Option<&AccountEntry>,
        now: u64,
    ) -> Result<String, LoginError> {
        authority::check(&self.terms, challenge, account)?;
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.enter(challenge.hash, challenge.expires, now)?;
        Ok(token::issue(&self.terms, challenge, now))
    }
}

#[cfg(test)]
mod tests;
