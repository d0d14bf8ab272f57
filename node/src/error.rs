//! Why a validator cannot start or cannot go on. Only `main` turns it into text.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carat_consensus::RecoverError;
use carat_network::NetworkError;
use carat_storage::journal::JournalError;
use carat_storage::store::StoreError;
use carat_storage::vault::PassphraseError;
use carat_types::codec::DecodeError;
use carat_types::genesis::GenesisError;
use carat_types::message::StableCheckpoint;
use carat_types::quorum::ImpossibleSize;
use carat_types::{Digest, Epoch, PublicKey, Slot};
use thiserror::Error;

use crate::backup::BackupFailure;
use crate::chronicle::ChronicleError;
use crate::executor::ExecutorError;
use crate::handovers::HandoversError;
use crate::keys::KeysError;
use crate::replay::ReplayError;
use crate::salt::SaltError;
use crate::scribe::ScribeError;
use crate::settings::SettingsError;
use crate::settings::bank::BankSetupError;
use crate::signer::link::LinkError;
use crate::token::TokenError;

/// Every way in which a validator fails.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The settings do not fit.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file cannot be used.
    #[error("cannot {doing} {path}: {error}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// The bank's part of the settings does not fit.
    #[error(transparent)]
    Bank(#[from] BankSetupError),
    /// The genesis file does not fit.
    #[error("genesis file {path}: {error}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: GenesisError,
    },
    /// A follower of an edge network.
    #[error(
        "the genesis file has deployment \"edge\" with {proposers} proposers, expected \"co-located\" to follow it (hint: a \
         proposer without a vote executes and shows everything too: docs/operations/edge.md)"
    )]
    FollowsEdge {
        /// Proposers that it lists.
        proposers: usize,
    },
    /// A proposer of a network that has none of its own.
    #[error(
        "proposer {place} does not exist: the genesis file lists {count} proposers without a vote, numbered from 0 (hint: \
         validator.proposer in node.toml; who comes with a later epoch starts with its file data/handovers: carat epochs fetch)"
    )]
    ProposerPlace {
        /// The place in the settings.
        place: u16,
        /// Proposers that the genesis file lists.
        count: usize,
    },
    /// A validator's home, where a proposer's is wanted.
    #[error(
        "this is the home of validator {index}, which votes, expected that of a proposer of an edge network (hint: carat-node run \
         starts it)"
    )]
    NoProposer {
        /// Its place in the genesis file.
        index: u16,
    },
    /// A proposer's home, where a validator's is wanted.
    #[error(
        "this is the home of proposer {name:?}, which has no vote, expected that of a validator (hint: carat-node propose starts it)"
    )]
    NoVote {
        /// Its name in the genesis file.
        name: String,
    },
    /// The genesis file's ledger is impossible.
    #[error("the genesis file's ledger cannot be made: {0}")]
    GenesisState(String),
    /// The genesis file names another state than it describes.
    #[error(
        "the genesis file says state root {seen}, its ledger has {expected} (hint: run carat-genesis verify on it)"
    )]
    StateRoot {
        /// Root in the file.
        seen: Digest,
        /// Root of the ledger that it describes.
        expected: Digest,
    },
    /// An impossible number of validators.
    #[error("genesis lists {0}")]
    Size(#[from] ImpossibleSize),
    /// A place that is none.
    #[error(
        "validator {index} does not exist: the genesis file lists {count}, numbered from 0 (hint: see \
         node.toml; who comes with a later epoch starts with its file data/handovers: carat epochs fetch)"
    )]
    Index {
        /// The place in the settings.
        index: u16,
        /// Number of validators.
        count: usize,
    },
    /// A home of a follower, where a validator's is wanted.
    #[error(
        "node.toml has no validator.index or validator.proposer, expected this node's place in the genesis file (hint: the home of \
         a node that follows without a vote is started by carat-node follow)"
    )]
    NoIndex,
    /// A follower that would ask nobody.
    #[error("node.toml lists no validator to follow, expected at least one (hint: network.peers)")]
    NobodyToFollow,
    /// A follower whose sources all left the set, or have other keys and names there.
    #[error(
        "no address of a validator of epoch {epoch} is set (hint: list network key and address of one under network.newcomers; \
         carat epochs show prints the keys)"
    )]
    NobodyLeft {
        /// The present epoch.
        epoch: Epoch,
    },
    /// A home that votes, or may vote again.
    #[error(
        "{path} holds a journal, expected none in the home of a node that follows (hint: a validator with its journal is started \
         by carat-node run; a journal that is damaged is moved away first, and never put back)"
    )]
    HasJournal {
        /// The journal's folder.
        path: PathBuf,
    },
    /// Settings that list too few or too many peers.
    #[error(
        "node.toml lists {listed} validators and proposers with this one, the genesis file {expected} (hint: network.peers; \
         proposers of an edge network are numbered behind its validators)"
    )]
    Peers {
        /// Number in the settings.
        listed: usize,
        /// Number in the genesis file.
        expected: usize,
    },
    /// Keys that do not fit.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The secret of the leaves does not fit.
    #[error(transparent)]
    Salt(#[from] SaltError),
    /// The signer cannot be used, or will not sign for this validator any more.
    #[error(transparent)]
    Signer(#[from] LinkError),
    /// The token cannot be used.
    #[error(transparent)]
    Token(Box<TokenError>),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A journal record of another program.
    #[error("a journal record does not decode: {0} (hint: the journal was written by another release)")]
    JournalRecord(DecodeError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The passphrase of what is stored is not there, or not to be used.
    #[error("the passphrase of store and journal: {0}")]
    StorePassphrase(PassphraseError),
    /// The store has no newest block.
    #[error("the store lacks a block that it must have (hint: rebuild this validator from its peers)")]
    NoTip,
    /// Journal and store do not fit.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The network cannot start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A listener or thread could not be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The metrics contradict themselves.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The journal's thread failed.
    #[error(transparent)]
    Scribe(#[from] ScribeError),
    /// The executor failed.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The next block is of rules that this build does not know.
    #[error(transparent)]
    Protocol(#[from] carat_ledger::ApplyError),
    /// The chronicle failed.
    #[error(transparent)]
    Chronicle(#[from] ChronicleError),
    /// The blocks do not lead where they say.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A backup was not made, believed or put back.
    #[error(transparent)]
    Backup(Box<BackupFailure>),
    /// The replica stopped for good.
    #[error("stopped for safety: {0}")]
    Halted(String),
    /// Another set of validators follows: the node goes on with it after [`Node::hand_over`](crate::Node::hand_over).
    #[error("the epoch has ended with slot {}", .0.header.slot)]
    EpochEnded(Arc<StableCheckpoint>),
    /// The handovers cannot be used.
    #[error(transparent)]
    Handovers(#[from] HandoversError),
    /// The present set has no place for this process.
    #[error(
        "this is no {kind} of epoch {epoch}, which began after slot {after}: its set does not list {role} key {} \
         (hint: who left keeps the home folder as long as the others may ask for it; who replaced keys puts the new ones \
         into the folder keys/next)", shown(.own)
    )]
    NotListed {
        /// "validator" or "proposer".
        kind: &'static str,
        /// The role of the key by which its place is found.
        role: &'static str,
        /// The present epoch.
        epoch: Epoch,
        /// The last slot before it.
        after: Slot,
        /// The own key.
        own: Option<PublicKey>,
    },
    /// The journal is of a later epoch than the handovers lead to.
    #[error(
        "the journal is of epoch {journal}, the file of handovers leads to epoch {known} (hint: the file data/handovers was lost \
         or is an old copy: carat epochs fetch gets it from any node)"
    )]
    HandoversMissing {
        /// Epoch of the journal.
        journal: Epoch,
        /// Epoch to which the file leads.
        known: Epoch,
    },
    /// A thread panicked: a defect.
    #[error("the {0} thread failed by a defect of the program (hint: report it with the log above)")]
    Panicked(&'static str),
    /// All parts ended.
    #[error("all parts of the node have stopped")]
    Stopped,
}

fn shown(key: &Option<PublicKey>) -> String {
    key.map_or_else(|| "none".to_owned(), |key| key.to_string())
}

impl From<TokenError> for NodeError {
    fn from(error: TokenError) -> Self {
        NodeError::Token(Box::new(error))
    }
}

impl NodeError {
    pub(crate) fn file(path: &Path, doing: &'static str, error: std::io::Error) -> Self {
        NodeError::File { doing, path: path.into(), error }
    }
}
