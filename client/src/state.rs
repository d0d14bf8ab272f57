//! Entries of the state with their proofs: asked of any node, checked against the genesis file, kept as a line of base64.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::genesis::GenesisFile;
use carat_types::receipt::ReceiptError;
use carat_types::state_receipt::{StateReceipt, StateVerdict};
use thiserror::Error;

use crate::client::Client;
use crate::rest::RestError;

/// A node waits for the next block and its seals before it answers.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why nothing is proved.
#[derive(Debug, Error)]
pub enum StateError {
    /// No node gave a proof.
    #[error("no node proves it; the last said: {0}")]
    Nodes(RestError),
    /// There are no nodes to ask.
    #[error("the network has no nodes")]
    NoNodes,
    /// Not base64.
    #[error("not a state proof: not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// A proof that proves nothing.
    #[error("the state proof proves nothing: {0}")]
    Receipt(#[from] ReceiptError),
    /// A proof of another key.
    #[error("the state proof is of key {seen}, asked for was {expected}")]
    OtherKey {
        /// Key of the proof, in hex.
        seen: String,
        /// Key asked for, in hex.
        expected: String,
    },
}

/// A proof that was checked.
#[derive(Clone, Debug)]
pub struct Proved {
    /// What it proves.
    pub verdict: StateVerdict,
    /// Its bytes, to keep.
    pub receipt: Vec<u8>,
}

impl Client {
    /// What stands under a key, proved: the first good proof that a node gives.
    ///
    /// **Errors**: [`StateError`]; an entry that one may not see is not there (404).
    pub async fn prove_state(&self, key: &[u8]) -> Result<Proved, StateError> {
        match self.prove_state_by_known(key).await {
            Err(_) if self.learn().await.is_new => self.prove_state_by_known(key).await,
            proved => proved,
        }
    }

    async fn prove_state_by_known(&self, key: &[u8]) -> Result<Proved, StateError> {
        let path = format!("/state_proofs/{}", hex::encode(key));
        let mut failure = StateError::NoNodes;
        for node in self.nodes() {
            match node.bytes(&path, PATIENCE).await {
                Ok(receipt) => match self.check_state(key, receipt) {
                    Err(error) => failure = error,
                    good => return good,
                },
                Err(error) => failure = StateError::Nodes(error),
            }
        }
        Err(failure)
    }

    fn check_state(&self, key: &[u8], receipt: Vec<u8>) -> Result<Proved, StateError> {
        let verdict = StateReceipt::verify(&receipt, &self.network().genesis)?;
        if verdict.key != key {
            let (seen, expected) = (hex::encode(&verdict.key), hex::encode(key));
            return Err(StateError::OtherKey { seen, expected });
        }
        Ok(Proved { verdict, receipt })
    }
}

/// Checks the text of a state proof against the genesis file alone. It may end with one end of line.
///
/// **Errors**: [`StateError`].
pub fn verify_text(text: &[u8], genesis: &GenesisFile) -> Result<StateVerdict, StateError> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    Ok(StateReceipt::verify(&BASE64.decode(line)?, genesis)?)
}
