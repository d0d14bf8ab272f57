//! A node for tests: the real ledger and the real index behind the port, with answers that can be staged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carat_history::paths::{self, Found, PathQuery};
use carat_history::{History, Toid, TransactionRecord};
use carat_ledger::{
    Absence, Ed25519, Moment, Pending, StateKey, StateRead as _, StateTree, StateValue, admit,
};
use carat_types::accountability::Conviction;
use carat_types::builder::operation::create_account;
use carat_types::certificate::SealCertificate;
use carat_types::epoch::{EpochSet, Epochs};
use carat_types::genesis::{ConsensusConstants, Deployment, GenesisValidator, Visibility};
use carat_types::ids::{Epoch, Slot};
use carat_types::leaf::SaltSecret;
use carat_types::merkle;
use carat_types::message::Seal;
use carat_types::receipt::{Assumption, Receipt, ResultBytes, ResultProof, Rule, Verdict};
use carat_types::state_proof::tree_key;
use carat_types::state_receipt::StateReceipt;
use carat_types::transaction::{SignedTransaction, decode_envelope};
use carat_types::{Digest, LeafRule, PublicKey};
use stellar_xdr::{LedgerEntry, LedgerEntryData, Limits, ReadXdr};
use tokio::sync::watch;

use super::chain::{COIN, Chain, PASSPHRASE};
use crate::port::{
    Acceptance, Account, BoxFuture, CheckedReceipt, Governance, Head, HistoryState, Network, Node, NodeError,
    Refusal, StateAnswer, Submission,
};
use crate::resources::network::NetworkState;

/// What the node shall answer instead of doing its work.
#[derive(Clone, Debug, Default)]
pub(super) enum Staged {
    #[default]
    Nothing,
    Busy,
    TimesOut,
    NeverAnswers,
    Refuses(Refusal),
    NotReady,
    NotSealed,
    NoHistory,
    HistoryFailed,
}

pub(super) struct TestNode {
    network: Network,
    chain: Mutex<Chain>,
    history: History,
    indexed: watch::Sender<Toid>,
    staged: Mutex<Staged>,
    pub(super) network_state: watch::Sender<Arc<NetworkState>>,
}

pub(super) const GENESIS: &str = "{\n  \"format\": \"carat-genesis/1\"\n}\n";

/// One epoch of one validator.
fn epochs(chain_id: Digest) -> Epochs {
    let key = PublicKey([9; 32]);
    let validator =
        GenesisValidator { name: "bank-a".to_owned(), acceptor: key, proposer: key, network: key };
    let set = EpochSet {
        epoch: Epoch(0),
        validators: vec![validator],
        deployment: Deployment::CoLocated,
        consensus: ConsensusConstants::default(),
    };
    Epochs::beginning_with(set, chain_id).expect("one")
}

impl TestNode {
    pub(super) fn new(is_test: bool) -> Arc<Self> {
        Self::with(is_test, Visibility::Open, Vec::new(), Vec::new())
    }

    pub(super) fn with(
        is_test: bool,
        visibility: Visibility,
        members: Vec<PublicKey>,
        auditors: Vec<PublicKey>,
    ) -> Arc<Self> {
        let chain = Chain::new(&members);
        let network = Network {
            passphrase: PASSPHRASE.to_owned(),
            network_id: chain.network_id,
            chain_id: chain.header.chain_id,
            genesis: GENESIS.into(),
            is_test,
            visibility,
            auditors,
            members,
            version: "carat-node 0.1.0".to_owned(),
            supported_protocol: 27,
            epochs: Arc::new(epochs(chain.header.chain_id)),
        };
        let history = chain.history.clone();
        let now = history.position().expect("sound").expect("genesis").now();
        let (indexed, _) = watch::channel(now);
        Arc::new(TestNode {
            network,
            history,
            chain: Mutex::new(chain),
            indexed,
            staged: Mutex::default(),
            network_state: watch::Sender::default(),
        })
    }

    pub(super) fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a block with what `build` makes, and tells who follows.
    pub(super) fn block(
        &self,
        after_ms: u64,
        build: impl FnOnce(&Chain) -> Vec<stellar_xdr::TransactionEnvelope>,
    ) -> Vec<TransactionRecord> {
        let mut chain = self.chain();
        let envelopes = build(&chain);
        let applied = chain.block(after_ms, &envelopes);
        let find = |hash: &Digest| self.history.transaction(hash).expect("sound").expect("indexed");
        let records = applied.iter().map(|applied| find(applied.transaction.hash())).collect();
        self.indexed.send_replace(self.history.position().expect("sound").expect("indexed").now());
        records
    }

    pub(super) fn stage(&self, answer: Staged) {
        *self.staged.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    fn staged(&self) -> Staged {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn execute(&self, transaction: &SignedTransaction) -> Submission {
        match self.staged() {
            Staged::Nothing
            | Staged::NotReady
            | Staged::NotSealed
            | Staged::NoHistory
            | Staged::HistoryFailed => {}
            Staged::Busy => return Submission::Busy { retry_after: Duration::from_millis(2_500) },
            Staged::TimesOut | Staged::NeverAnswers => return Submission::TimedOut,
            Staged::Refuses(refusal) => return Submission::Refused(refusal),
        }
        if let Some(record) = self.history.transaction(transaction.hash()).expect("sound") {
            return Submission::Applied(Arc::new(record));
        }
        if let Err(refusal) = self.admit(transaction) {
            return Submission::Refused(refusal);
        }
        let envelope = decode_envelope(transaction.bytes()).expect("decoded before");
        let mut records = self.block(100, |_| vec![envelope]);
        Submission::Applied(Arc::new(records.remove(0)))
    }

    fn admit(&self, transaction: &SignedTransaction) -> Result<(), Refusal> {
        let chain = self.chain();
        let moment = Moment {
            ledger_seq: chain.header.ledger + 1,
            close_time: chain.header.time_ms / 1_000,
            epoch: chain.header.epoch,
            slot: chain.header.slot.next(),
            chain_id: chain.header.chain_id,
        };
        let admitted =
            admit(&chain.state, moment, &Ed25519, transaction, Pending::default()).expect("a sound state");
        admitted.map(drop).map_err(|refusal| Refusal {
            result: refusal.result,
            reason: refusal.policy.map(|policy| policy.to_string()),
        })
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<T> {
    Box::pin(std::future::ready(value))
}

impl Node for TestNode {
    fn network(&self) -> &Network {
        &self.network
    }

    fn head(&self) -> Head {
        let chain = self.chain();
        Head { ledger: chain.header.ledger, protocol: chain.totals().protocol_version }
    }

    fn account(&self, account: &PublicKey) -> Result<Option<Account>, NodeError> {
        let chain = self.chain();
        let entries =
            chain.state.entries().filter_map(|(_, value)| LedgerEntry::from_xdr(value, Limits::none()).ok());
        let mut found = None;
        let (mut trustlines, mut data) = (Vec::new(), Vec::new());
        for entry in entries {
            match &entry.data {
                LedgerEntryData::Account(own) if PublicKey::from(&own.account_id) == *account => {
                    found = Some(entry)
                }
                LedgerEntryData::Trustline(line) if PublicKey::from(&line.account_id) == *account => {
                    trustlines.push(entry);
                }
                LedgerEntryData::Data(own) if PublicKey::from(&own.account_id) == *account => {
                    data.push(entry)
                }
                _ => {}
            }
        }
        Ok(found.map(|account| Account { account, trustlines, data }))
    }

    fn bank_of(&self, account: &PublicKey) -> Result<Option<PublicKey>, NodeError> {
        let creator = self.chain().state.value(&StateKey::Creator(*account));
        match creator.map_err(|error| NodeError::Other(error.into()))? {
            Some(StateValue::Creator(member)) => Ok(Some(member)),
            _ => Ok(None),
        }
    }

    /// No chain of these tests has any; the integration tests read it of real ones.
    fn governance(&self) -> Result<Option<Governance>, NodeError> {
        Ok(None)
    }

    fn convictions(&self) -> Result<Vec<Conviction>, NodeError> {
        let state = carat_ledger::accountability::read(&self.chain().state);
        state.map(|it| it.convictions).map_err(|error| NodeError::Other(error.into()))
    }

    fn paths(&self, query: &PathQuery) -> Result<Option<Found>, NodeError> {
        paths::search(&self.chain().state, query).map_err(|error| NodeError::Other(error.into()))
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn history_state(&self) -> HistoryState {
        match self.staged() {
            Staged::NoHistory => HistoryState::NotKept,
            Staged::HistoryFailed => HistoryState::Halted,
            _ => HistoryState::Kept,
        }
    }

    fn transaction(&self, hash: &Digest) -> Result<Option<TransactionRecord>, NodeError> {
        Ok(self.history.transaction(hash)?)
    }

    fn indexed(&self) -> watch::Receiver<Toid> {
        self.indexed.subscribe()
    }

    fn submit(&self, transaction: Arc<SignedTransaction>, _patience: Duration) -> BoxFuture<Submission> {
        match self.staged() {
            Staged::NeverAnswers => Box::pin(std::future::pending()),
            _ => ready(self.execute(&transaction)),
        }
    }

    fn submit_async(&self, transaction: Arc<SignedTransaction>) -> BoxFuture<Acceptance> {
        let known = self.history.transaction(transaction.hash()).expect("sound").is_some();
        ready(match self.execute(&transaction) {
            Submission::Applied(_) if known => Acceptance::Duplicate,
            Submission::Applied(_) | Submission::TimedOut => Acceptance::Pending,
            Submission::Refused(refusal) => Acceptance::Refused(refusal),
            Submission::Busy { retry_after } => Acceptance::Busy { retry_after },
        })
    }

    fn fund(&self, account: PublicKey, patience: Duration) -> BoxFuture<Submission> {
        let (envelope, network_id) = {
            let chain = self.chain();
            let operation = create_account(account.into(), 10_000 * COIN);
            (chain.signed(&chain.root, vec![operation]), chain.network_id)
        };
        let transaction = SignedTransaction::from_envelope(&network_id, envelope).expect("short");
        self.submit(Arc::new(transaction), patience)
    }

    fn receipt(&self, transaction: &Digest) -> Result<Option<CheckedReceipt>, NodeError> {
        if matches!(self.staged(), Staged::NotSealed) {
            return Ok(None);
        }
        let Some(record) = self.history.transaction(transaction)? else { return Ok(None) };
        let chain = self.chain();
        let header = chain.header.clone();
        let result = stellar_xdr::WriteXdr::to_xdr(&record.result, Limits::none()).expect("XDR");
        let seal = Seal { slot: header.slot, header: header.hash() };
        let proof = ResultProof {
            transaction: *transaction,
            envelope: *record.transaction.full_hash(),
            result: ResultBytes(result.clone()),
            path: merkle::Path { sides: 0, siblings: Vec::new() },
            header,
            seals: SealCertificate { body: seal, signers: Default::default(), signatures: Vec::new() },
        };
        let verdict = Verdict {
            transaction: *transaction,
            slot: Slot(1),
            ledger: Some(record.ledger()),
            time_ms: Some(record.time_ms),
            result: Some(result),
            rule: Rule::Seal,
            assumption: Assumption::AtMostDishonest(1),
        };
        Ok(Some(CheckedReceipt { receipt: Receipt::of_result(proof), verdict }))
    }

    fn state_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, NodeError> {
        self.chain().state.get(key).map_err(|error| NodeError::Other(error.into()))
    }

    fn prove_state(&self, key: Vec<u8>, _patience: Duration) -> BoxFuture<StateAnswer> {
        match self.staged() {
            Staged::Busy => return ready(StateAnswer::Busy { retry_after: Duration::from_secs(1) }),
            Staged::TimesOut => return ready(StateAnswer::TimedOut),
            Staged::NeverAnswers => return Box::pin(std::future::pending()),
            _ => {}
        }
        let chain = self.chain();
        let rule = match self.network.visibility {
            Visibility::Open => LeafRule::Open,
            Visibility::Members => LeafRule::Salted(SaltSecret::from_bytes(&[7; 32])),
        };
        let tree = StateTree::build(&rule, chain.state.entries());
        let value = chain.state.get(&key).expect("in memory");
        let other = |wanted: &Digest| {
            let found = chain.state.entries().find(|(key, _)| tree_key(key) == *wanted);
            found.map(|(_, value)| value.to_vec()).ok_or("the tree names entries of the state")
        };
        let proof = match &value {
            Some(value) => tree.prove(&key, value),
            None => match tree.prove_absent(&key, other).expect("found") {
                Absence::Proved(proof) => Some(proof),
                Absence::Contradicted | Absence::Unprovable => None,
            },
        };
        let header = chain.header.clone();
        let body = Seal { slot: header.slot, header: header.hash() };
        let seals = SealCertificate { body, signers: Default::default(), signatures: Vec::new() };
        ready(match proof {
            Some(proof) => StateAnswer::Proved(Box::new(StateReceipt {
                handovers: Vec::new(),
                key,
                value,
                proof,
                header,
                seals,
            })),
            None => StateAnswer::Unprovable,
        })
    }

    fn network_state(&self) -> watch::Receiver<Arc<NetworkState>> {
        self.network_state.subscribe()
    }

    fn not_ready(&self) -> Option<String> {
        matches!(self.staged(), Staged::NotReady).then(|| "no quorum for 12 s".to_owned())
    }
}
