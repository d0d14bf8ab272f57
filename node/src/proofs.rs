//! State receipts on demand: the executor, who alone has the tree, proves at the next block what was asked for, and the
//! seals of that block make the proof a receipt.
//!
//! So an answer is never older than its question, and waits for a block: a heartbeat at most while nobody pays. What can be
//! asked for at one time has a limit; beyond it the question is not taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carat_ledger::{Absence, StateError, StateRead, StateTree};
use carat_storage::store::{Store, StoreError};
use carat_types::Slot;
use carat_types::certificate::SealCertificate;
use carat_types::header::Header;
use carat_types::state_proof::{self, ProofEnd, StateProof};
use carat_types::state_receipt::StateReceipt;
use tokio::sync::{Semaphore, oneshot};

/// Questions that are under way at one time.
const QUESTIONS_MAX: usize = 64;

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Proved {
    /// It is proved. Where a proof of absence ends at another entry's leaf, its value is still empty: the tree keeps hashes,
    /// and looking for it is not for the executor.
    Receipt(Box<StateReceipt>),
    /// Nothing stands there, and that cannot be shown without showing another entry.
    Unprovable,
}

type Answer = oneshot::Sender<Proved>;

/// Where questions wait: for a block, then for its seals.
#[derive(Debug, Default)]
pub struct Proofs {
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    asked: Vec<(Vec<u8>, Answer)>,
    proved: BTreeMap<Slot, Vec<(Unsealed, Answer)>>,
}

/// A receipt without its seals.
#[derive(Debug)]
struct Unsealed {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    proof: StateProof,
    header: Header,
}

impl Proofs {
    /// Asks for a proof of what stands under a key after the next block.
    ///
    /// **Returns** none while too many questions are under way.
    pub(crate) fn ask(&self, key: Vec<u8>) -> Option<oneshot::Receiver<Proved>> {
        let mut under_way = self.lock();
        under_way.forget_who_left();
        if under_way.count() >= QUESTIONS_MAX {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        under_way.asked.push((key, answer));
        Some(answered)
    }

    /// A block was executed: proves from its state what was asked for.
    ///
    /// **Errors**: the state cannot be read.
    pub(crate) fn executed(
        &self,
        header: &Header,
        tree: &StateTree,
        state: &impl StateRead,
    ) -> Result<(), StateError> {
        let mut under_way = self.lock();
        for (key, answer) in std::mem::take(&mut under_way.asked) {
            let value = state.get(&key)?;
            let proof = match &value {
                Some(value) => tree.prove(&key, value),
                None => match tree.prove_absent(&key, |_| Ok::<_, StateError>(Vec::new()))? {
                    Absence::Proved(proof) => Some(proof),
                    Absence::Contradicted | Absence::Unprovable => None,
                },
            };
            match proof {
                Some(proof) => {
                    let unsealed = Unsealed { key, value, proof, header: header.clone() };
                    under_way.proved.entry(header.slot).or_default().push((unsealed, answer));
                }
                // Who does not wait any more need not know.
                None => _ = answer.send(Proved::Unprovable),
            }
        }
        Ok(())
    }

    /// A block is sealed: what was proved from its state is answered.
    pub(crate) fn sealed(&self, seals: &SealCertificate) {
        let Some(proved) = self.lock().proved.remove(&seals.body.slot) else { return };
        for (unsealed, answer) in proved {
            let Unsealed { key, value, proof, header } = unsealed;
            let seals = seals.clone();
            let receipt = StateReceipt { handovers: Vec::new(), key, value, proof, header, seals };
            let _ = answer.send(Proved::Receipt(Box::new(receipt)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    fn count(&self) -> usize {
        self.proved.values().map(Vec::len).sum::<usize>() + self.asked.len()
    }

    /// Blocks that are never sealed here would else fill the room for ever.
    fn forget_who_left(&mut self) {
        self.asked.retain(|(_, answer)| !answer.is_closed());
        for proved in self.proved.values_mut() {
            proved.retain(|(_, answer)| !answer.is_closed());
        }
        self.proved.retain(|_, proved| !proved.is_empty());
    }
}

/// Searches for the leaf of another entry that are under way: each reads the whole state.
static SEARCHES: Semaphore = Semaphore::const_new(1);

/// The receipt with the value of the other entry at which a proof of absence ends, as it does on an open network.
///
/// **Returns** none if that entry has changed since, and while another one is being looked for.
///
/// **Errors**: the store's.
pub(crate) async fn completed(
    store: &Arc<Store>,
    receipt: Box<StateReceipt>,
) -> Result<Option<Box<StateReceipt>>, StoreError> {
    if !matches!(receipt.proof.end, ProofEnd::Other(_)) {
        return Ok(Some(receipt));
    }
    let Ok(turn) = SEARCHES.try_acquire() else { return Ok(None) };
    let store = Arc::clone(store);
    let found = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        find_leaf(&store, receipt)
    });
    // A search that panicked has found nothing; the caller asks again.
    found.await.unwrap_or(Ok(None))
}

fn find_leaf(store: &Store, mut receipt: Box<StateReceipt>) -> Result<Option<Box<StateReceipt>>, StoreError> {
    let ProofEnd::Other(other) = &mut receipt.proof.end else { return Ok(None) };
    for entry in store.state_entries() {
        let (key, value) = entry?;
        if state_proof::tree_key(&key) == other.tree_key {
            other.value = value;
            break;
        }
    }
    let root = receipt.proof.root_without(&receipt.key);
    Ok((root == Some(receipt.header.state_root)).then_some(receipt))
}
