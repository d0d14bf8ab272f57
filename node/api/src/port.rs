//! What the API needs of the node that it serves.
//!
//! The API knows the node by this trait alone. Reading methods may touch the disk and are called where
//! blocking is allowed; the methods that return a future never block.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use carat_history::AccountState as Account;
use carat_history::paths::{Found, PathQuery};
use carat_history::{History, HistoryError, Toid, TransactionRecord};
use carat_types::accountability::Conviction;
use carat_types::epoch::Epochs;
use carat_types::genesis::Visibility;
use carat_types::receipt::{Receipt, Verdict};
use carat_types::state_receipt::StateReceipt;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey, Slot};
use stellar_xdr::TransactionResult;
use tokio::sync::watch;

use crate::resources::network::NetworkState;

/// A future that can be sent between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The node behind the API.
pub trait Node: Send + Sync + 'static {
    /// What never changes while the node runs.
    fn network(&self) -> &Network;

    /// The last executed block.
    fn head(&self) -> Head;

    /// An account with its entries, at the last executed state.
    ///
    /// **Errors**: the state cannot be read.
    fn account(&self, account: &PublicKey) -> Result<Option<Account>, NodeError>;

    /// The member bank that created an account; none for a member's own account, and for others.
    ///
    /// **Errors**: the state cannot be read.
    fn bank_of(&self, account: &PublicKey) -> Result<Option<PublicKey>, NodeError>;

    /// What the validators propose and have decided, after the last executed block; none on a chain without governance.
    ///
    /// **Errors**: the state cannot be read.
    fn governance(&self) -> Result<Option<Governance>, NodeError>;

    /// Which validators were convicted, after the last executed block, the latest last.
    ///
    /// **Errors**: the state cannot be read.
    fn convictions(&self) -> Result<Vec<Conviction>, NodeError>;

    /// Ways to pay, at the last executed state; none if the account in the query does not exist.
    ///
    /// **Errors**: the state cannot be read.
    fn paths(&self, query: &PathQuery) -> Result<Option<Found>, NodeError>;

    /// The index of what was executed; empty where none is kept.
    fn history(&self) -> &History;

    /// Whether this node keeps an index that may be served.
    fn history_state(&self) -> HistoryState;

    /// An applied transaction, also where no index is kept.
    ///
    /// **Errors**: index or blocks cannot be read.
    fn transaction(&self, hash: &Digest) -> Result<Option<TransactionRecord>, NodeError>;

    /// The greatest id in the index, changed as soon as a block with something new is indexed.
    fn indexed(&self) -> watch::Receiver<Toid>;

    /// Hands a transaction to the network and waits for its outcome, at most `patience` long. A transaction
    /// that is on its way already is waited for; one that was applied gives its outcome again.
    fn submit(&self, transaction: Arc<SignedTransaction>, patience: Duration) -> BoxFuture<Submission>;

    /// Hands a transaction to the network without waiting for its outcome.
    fn submit_async(&self, transaction: Arc<SignedTransaction>) -> BoxFuture<Acceptance>;

    /// Gives a new account coins from the root account. Called on test networks only.
    fn fund(&self, account: PublicKey, patience: Duration) -> BoxFuture<Submission>;

    /// The receipt of an applied transaction, with what it proves to somebody who trusts the genesis file.
    ///
    /// **Errors**: the receipt cannot be read or does not verify.
    fn receipt(&self, transaction: &Digest) -> Result<Option<CheckedReceipt>, NodeError>;

    /// The value bytes that stand under key bytes of the state now.
    ///
    /// **Errors**: the state cannot be read.
    fn state_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, NodeError>;

    /// What stands under key bytes of the state after the next block, with its proof and the block's seals; waits for them at
    /// most `patience` long.
    fn prove_state(&self, key: Vec<u8>, patience: Duration) -> BoxFuture<StateAnswer>;

    /// The network as this node observes it, changed every second.
    fn network_state(&self) -> watch::Receiver<Arc<NetworkState>>;

    /// Why transactions cannot be taken now; `None` if they can.
    fn not_ready(&self) -> Option<String>;
}

/// Whether a node keeps an index of what was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryState {
    /// It does.
    Kept,
    /// Its operator does not want one.
    NotKept,
    /// Its index failed or disagreed with the chain, and is not served until it was built again.
    Halted,
}

/// What never changes while a node runs.
#[derive(Clone, Debug)]
pub struct Network {
    /// The network's passphrase.
    pub passphrase: String,
    /// The id to which signatures are bound: the hash of the passphrase.
    pub network_id: Digest,
    /// Hash of the genesis file.
    pub chain_id: Digest,
    /// The genesis file.
    pub genesis: Arc<str>,
    /// Whether anybody may ask for coins.
    pub is_test: bool,
    /// Who reads what.
    pub visibility: Visibility,
    /// Accounts whose holders read everything on a members' network.
    pub auditors: Vec<PublicKey>,
    /// The member banks' accounts.
    pub members: Vec<PublicKey>,
    /// Name and version of the node's program.
    pub version: String,
    /// The newest rules of the ledger that the program knows.
    pub supported_protocol: u32,
    /// The epochs of the chain. A node begins anew with each.
    pub epochs: Arc<Epochs>,
}

/// The last executed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its ledger, still open.
    pub ledger: u32,
    /// The rules of the ledger in force.
    pub protocol: u32,
}

/// Governance after the last executed block.
#[derive(Clone, Debug)]
pub struct Governance {
    /// That block's slot.
    pub slot: Slot,
    /// What is proposed and decided.
    pub entry: carat_types::governance::Governance,
    /// Who decides, by key and weight.
    pub signers: Vec<(PublicKey, u32)>,
    /// The weight that decides.
    pub threshold: u8,
    /// The rules in force.
    pub protocol_version: u32,
    /// The fee of one operation. **Units**: stroops.
    pub base_fee: u32,
    /// The reserve of one entry. **Units**: stroops.
    pub base_reserve: u32,
}

/// A receipt that its node has verified.
#[derive(Clone, Debug)]
pub struct CheckedReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// What it proves.
    pub verdict: Verdict,
}

/// What became of a question for a proof of the state.
#[derive(Clone, Debug)]
pub enum StateAnswer {
    /// It is proved.
    Proved(Box<StateReceipt>),
    /// Nothing stands there, and that cannot be shown without showing another entry.
    Unprovable,
    /// Too much is asked for now.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// No block was sealed within the caller's patience.
    TimedOut,
}

/// What became of a submitted transaction.
#[derive(Clone, Debug)]
pub enum Submission {
    /// Applied, with or without success. The node's state shows it by now.
    Applied(Arc<TransactionRecord>),
    /// Never handed on.
    Refused(Refusal),
    /// The node takes no more for now.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Not known within the caller's patience. It may still be applied.
    TimedOut,
}

/// What the node did with a transaction whose outcome nobody waits for.
#[derive(Clone, Debug)]
pub enum Acceptance {
    /// Handed on.
    Pending,
    /// Handed on or applied before.
    Duplicate,
    /// Never handed on.
    Refused(Refusal),
    /// The node takes no more for now.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
}

/// Why the front door refused a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The result that the ledger's rules give.
    pub result: TransactionResult,
    /// For what the rules have no code: the reason in words.
    pub reason: Option<String>,
}

/// The node could not answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The index failed.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Anything else that failed within the node.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}
