//! The node as the REST interface sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carat_api::port::{
    Acceptance, Account, BoxFuture, CheckedReceipt, Governance, Head, HistoryState, Network, Node, NodeError,
    Refusal, StateAnswer, Submission,
};
use carat_api::resources::network::NetworkState;
use carat_history::paths::{self, Found, PathQuery};
use carat_history::{History, Toid, TransactionRecord};
use carat_ledger::{StateError, StateRead as _};
use carat_storage::store::Store;
use carat_types::accountability::Conviction;
use carat_types::genesis::GenesisFile;
use carat_types::header::Header;
use carat_types::transaction::{SignedTransaction, test_root_key};
use carat_types::{Digest, PublicKey};
use stellar_xdr::{Limits, ReadXdr, TransactionResult};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::chronicle::Waiting;
use crate::friendbot::Friendbot;
use crate::front_door::{FrontDoor, Verdict};
use crate::health::Health;
use crate::porter::Bell;
use crate::proofs::{self, Proofs, Proved};
use crate::receipts::Receipts;
use crate::state_view;

/// Everything that answers need.
pub(crate) struct Rest {
    /// What never changes.
    pub(crate) network: Network,
    /// The genesis file.
    pub(crate) genesis: Arc<GenesisFile>,
    /// Blocks and state.
    pub(crate) store: Arc<Store>,
    /// Proofs of outcomes.
    pub(crate) receipts: Receipts,
    /// Proofs of the state.
    pub(crate) proofs: Arc<Proofs>,
    /// The index; an empty one where none is kept.
    pub(crate) history: History,
    /// Whether one is kept.
    pub(crate) keeps_history: bool,
    /// Whether it was given up since.
    pub(crate) history_halted: Arc<AtomicBool>,
    /// The greatest id that was executed and, where history is kept, indexed.
    pub(crate) indexed: watch::Receiver<Toid>,
    /// Where transactions are admitted.
    pub(crate) front_door: Arc<FrontDoor>,
    /// The way there.
    pub(crate) bell: Bell,
    /// Callers who wait.
    pub(crate) waiting: Arc<Waiting>,
    /// Header of the last executed block.
    pub(crate) tip: Arc<RwLock<Header>>,
    /// The network as the pulse sees it.
    pub(crate) network_state: watch::Receiver<Arc<NetworkState>>,
    /// Whether this validator is of use.
    pub(crate) health: Arc<Health>,
}

/// What a client may do when there is no room: the pool empties at every block.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The node behind a handle that futures can keep.
#[derive(Clone)]
pub(crate) struct SharedRest(pub(crate) Arc<Rest>);

impl Rest {
    /// Hands a transaction in and waits for its outcome.
    pub(crate) async fn submit(&self, transaction: Arc<SignedTransaction>, patience: Duration) -> Submission {
        let hash = *transaction.hash();
        let deadline = Instant::now() + patience;
        loop {
            // Before it is handed in: its block may be there before this task runs again.
            let signal = self.waiting.for_transaction(hash);
            match self.bell.submit(&transaction).await {
                Ok(Verdict::Admitted | Verdict::Parked | Verdict::Duplicate) => {}
                Ok(Verdict::Full) => return Submission::Busy { retry_after: RETRY_AFTER },
                Ok(Verdict::Refused(refusal)) => {
                    if let Some(submission) = self.after_refusal(&hash, *refusal) {
                        return submission;
                    }
                }
                Err(error) => return unavailable(&error),
            }
            // The signal means that it is finished, and mostly brings the record; or that it was given up, since another
            // took its sequence number or its time is over, and then the front door says which. One that was dropped
            // means that the node stops.
            match tokio::time::timeout_at(deadline, signal).await {
                Ok(Ok(Some(record))) => return Submission::Applied(record),
                Ok(Ok(None)) => {}
                _ => return Submission::TimedOut,
            }
            if let Ok(Some(record)) = self.finished(&hash) {
                return Submission::Applied(Arc::new(record));
            }
        }
    }

    /// What a refusal means for the client; none if the transaction used its sequence number up itself, and index and
    /// seals follow.
    pub(crate) fn after_refusal(&self, hash: &Digest, refusal: carat_ledger::Refusal) -> Option<Submission> {
        match self.finished(hash) {
            // The same bytes again, after they were applied: its outcome again, however often it is asked for.
            Ok(Some(record)) => Some(Submission::Applied(Arc::new(record))),
            Ok(None) if self.is_executed(hash) => None,
            _ => Some(Submission::Refused(shown(refusal))),
        }
    }

    /// The outcome of a transaction that is applied, can be read, and whose block is sealed.
    fn finished(&self, hash: &Digest) -> Result<Option<TransactionRecord>, NodeError> {
        let failed = |error: carat_storage::store::StoreError| NodeError::Other(error.into());
        let Some(place) = self.store.transaction(hash).map_err(failed)? else { return Ok(None) };
        match self.store.certificate(place.slot).map_err(failed)? {
            Some(_) => self.transaction(hash),
            None => Ok(None),
        }
    }

    /// Whether it is part of an executed block, indexed and sealed or not.
    fn is_executed(&self, hash: &Digest) -> bool {
        // If the store fails, the caller is told the refusal, and the executor stops the process.
        self.store.transaction(hash).is_ok_and(|place| place.is_some())
    }

    fn history_state(&self) -> HistoryState {
        match self.keeps_history {
            false => HistoryState::NotKept,
            true if self.history_halted.load(Ordering::Acquire) => HistoryState::Halted,
            true => HistoryState::Kept,
        }
    }

    /// An applied transaction: from the index or, where none is kept, from its block, without what it changed.
    pub(crate) fn transaction(&self, hash: &Digest) -> Result<Option<TransactionRecord>, NodeError> {
        if self.history_state() == HistoryState::Kept {
            return Ok(self.history.transaction(hash)?);
        }
        let failed = |error: carat_storage::store::StoreError| NodeError::Other(error.into());
        let Some(place) = self.store.transaction(hash).map_err(failed)? else { return Ok(None) };
        let block = self.store.block(place.slot).map_err(failed)?;
        let execution = self.store.execution(place.slot).map_err(failed)?;
        let (Some(block), Some(execution)) = (block, execution) else { return Ok(None) };
        let outcome = usize::try_from(place.outcome).ok().and_then(|index| execution.outcomes.get(index));
        let Some(outcome) = outcome else { return Ok(None) };
        let envelope =
            usize::try_from(outcome.envelope).ok().and_then(|index| block.payload.envelopes().nth(index));
        let Some(envelope) = envelope else { return Ok(None) };
        let transaction = SignedTransaction::decode(&self.network.network_id, &envelope.0);
        let result = TransactionResult::from_xdr(&outcome.result.0, Limits::none());
        let transaction = Arc::new(transaction.map_err(|error| NodeError::Other(error.into()))?);
        let result = result.map_err(|error| NodeError::Other(error.into()))?;
        Ok(Some(TransactionRecord::without_changes(&block.header, place.outcome, transaction, result)))
    }

    /// What stands under a key after the next block, proved.
    async fn prove_state(&self, key: Vec<u8>, patience: Duration) -> StateAnswer {
        let Some(answered) = self.proofs.ask(key) else {
            return StateAnswer::Busy { retry_after: RETRY_AFTER };
        };
        let receipt = match tokio::time::timeout(patience, answered).await {
            Ok(Ok(Proved::Receipt(mut receipt))) => {
                receipt.handovers = self.receipts.handovers(&receipt.header);
                receipt
            }
            Ok(Ok(Proved::Unprovable)) => return StateAnswer::Unprovable,
            _ => return StateAnswer::TimedOut,
        };
        match proofs::completed(&self.store, receipt).await {
            Ok(Some(receipt)) => match receipt.check(&self.genesis) {
                Ok(_) => StateAnswer::Proved(receipt),
                Err(error) => {
                    tracing::error!(%error, "a proof of the own state does not hold");
                    StateAnswer::TimedOut
                }
            },
            // The entry at which it ends has changed since, or somebody else's is being looked for.
            Ok(None) => StateAnswer::Busy { retry_after: RETRY_AFTER },
            Err(error) => {
                tracing::error!(%error, "a proof of the state cannot be completed");
                StateAnswer::TimedOut
            }
        }
    }

    /// Why transactions cannot be taken now; none if they can.
    pub(crate) fn not_ready(&self) -> Option<String> {
        let readiness = self.health.readiness();
        match readiness.state {
            // It takes transactions while it has no quorum for a moment or changes its leader: they will be ordered.
            "booting" | "catching-up" => Some(readiness.reasons.join("; ")),
            _ => None,
        }
    }

    async fn accept(&self, transaction: &Arc<SignedTransaction>) -> Acceptance {
        match self.bell.submit(transaction).await {
            Ok(Verdict::Admitted | Verdict::Parked) => Acceptance::Pending,
            Ok(Verdict::Duplicate) => Acceptance::Duplicate,
            Ok(Verdict::Full) => Acceptance::Busy { retry_after: RETRY_AFTER },
            Ok(Verdict::Refused(refusal)) => match self.transaction(transaction.hash()) {
                Ok(Some(_)) => Acceptance::Duplicate,
                _ => Acceptance::Refused(shown(*refusal)),
            },
            Err(error) => {
                tracing::error!(%error, "a submission could not be checked");
                Acceptance::Busy { retry_after: RETRY_AFTER }
            }
        }
    }

    async fn fund(&self, account: PublicKey, patience: Duration) -> Submission {
        let root = test_root_key(&self.network.passphrase);
        let friendbot = Friendbot { network_id: self.network.network_id, root };
        // Another validator's friendbot may use the same sequence number: then take the next.
        for _ in 0..Friendbot::TRIES {
            let sequence = match self.front_door.next_sequence(&friendbot.root.public()) {
                Ok(Some(sequence)) => sequence,
                Ok(None) => return Submission::TimedOut,
                Err(error) => return unavailable(&error),
            };
            let Some(transaction) = friendbot.create(account, sequence) else { return Submission::TimedOut };
            match self.submit(Arc::new(transaction), patience).await {
                Submission::Refused(refusal) if Friendbot::is_out_of_turn(&refusal) => {}
                other => return other,
            }
        }
        Submission::Busy { retry_after: RETRY_AFTER }
    }
}

fn shown(refusal: carat_ledger::Refusal) -> Refusal {
    Refusal { result: refusal.result, reason: refusal.policy.map(|policy| policy.to_string()) }
}

/// The state cannot be read: the executor will meet the same and stop the process; the caller learns nothing wrong.
fn unavailable(error: &StateError) -> Submission {
    tracing::error!(%error, "a submission could not be checked");
    Submission::Busy { retry_after: RETRY_AFTER }
}

impl Node for SharedRest {
    fn network(&self) -> &Network {
        &self.0.network
    }

    fn head(&self) -> Head {
        let ledger = self.0.tip.read().unwrap_or_else(PoisonError::into_inner).ledger;
        let protocol = state_view::protocol_version(&*self.0.store);
        // If the state cannot be read, the executor stops the process.
        Head { ledger, protocol: protocol.unwrap_or(self.0.genesis.genesis.ledger.protocol_version) }
    }

    fn account(&self, account: &PublicKey) -> Result<Option<Account>, NodeError> {
        state_view::account(&self.0.store, account).map_err(|error| NodeError::Other(error.into()))
    }

    fn bank_of(&self, account: &PublicKey) -> Result<Option<PublicKey>, NodeError> {
        state_view::bank_of(&*self.0.store, account).map_err(|error| NodeError::Other(error.into()))
    }

    fn governance(&self) -> Result<Option<Governance>, NodeError> {
        // One moment of the state, whatever is written meanwhile.
        let failed = |error: carat_storage::store::StoreError| NodeError::Other(error.into());
        let state = self.0.store.snapshot().map_err(failed)?;
        let slot = self.0.tip.read().unwrap_or_else(PoisonError::into_inner).slot;
        state_view::governance(&state, slot).map_err(|error| NodeError::Other(error.into()))
    }

    fn convictions(&self) -> Result<Vec<Conviction>, NodeError> {
        let state = carat_ledger::accountability::read(&*self.0.store);
        state.map(|it| it.convictions).map_err(|error| NodeError::Other(error.into()))
    }

    fn paths(&self, query: &PathQuery) -> Result<Option<Found>, NodeError> {
        let failed = |error: carat_storage::store::StoreError| NodeError::Other(error.into());
        // One moment of the state, however many blocks are written during the search.
        let state = self.0.store.snapshot().map_err(failed)?;
        paths::search(&state, query).map_err(|error| NodeError::Other(error.into()))
    }

    fn history(&self) -> &History {
        &self.0.history
    }

    fn history_state(&self) -> HistoryState {
        self.0.history_state()
    }

    fn transaction(&self, hash: &Digest) -> Result<Option<TransactionRecord>, NodeError> {
        self.0.transaction(hash)
    }

    fn indexed(&self) -> watch::Receiver<Toid> {
        self.0.indexed.clone()
    }

    fn submit(&self, transaction: Arc<SignedTransaction>, patience: Duration) -> BoxFuture<Submission> {
        let rest = Arc::clone(&self.0);
        Box::pin(async move { rest.submit(transaction, patience).await })
    }

    fn submit_async(&self, transaction: Arc<SignedTransaction>) -> BoxFuture<Acceptance> {
        let rest = Arc::clone(&self.0);
        Box::pin(async move { rest.accept(&transaction).await })
    }

    fn fund(&self, account: PublicKey, patience: Duration) -> BoxFuture<Submission> {
        let rest = Arc::clone(&self.0);
        Box::pin(async move { rest.fund(account, patience).await })
    }

    fn receipt(&self, transaction: &Digest) -> Result<Option<CheckedReceipt>, NodeError> {
        self.0.receipts.of(transaction)
    }

    fn state_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, NodeError> {
        self.0.store.get(key).map_err(|error| NodeError::Other(error.into()))
    }

    fn prove_state(&self, key: Vec<u8>, patience: Duration) -> BoxFuture<StateAnswer> {
        let rest = Arc::clone(&self.0);
        Box::pin(async move { rest.prove_state(key, patience).await })
    }

    fn network_state(&self) -> watch::Receiver<Arc<NetworkState>> {
        self.0.network_state.clone()
    }

    fn not_ready(&self) -> Option<String> {
        self.0.not_ready()
    }
}
