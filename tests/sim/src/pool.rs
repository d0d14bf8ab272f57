//! A validator's transaction pool as its node keeps it: what has been admitted, what waits for its number.
//!
//! Volatile: a restart begins with an empty pool, and the clients' retries fill it again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use carat_consensus::PendingTransaction;
use carat_types::Digest;
use carat_types::batch::Envelope;

use crate::ledger::{Ledger, Rules, Standing};

/// A transaction's source, as consensus names it.
type Account = [u8; 32];

/// The pool.
#[derive(Debug, Default)]
pub struct Pool {
    /// Told to the core: one for each source and sequence number. A competitor must come again later.
    admitted: BTreeMap<(Account, i64), PendingTransaction>,
    /// Wait for a lower sequence number of their source.
    parked: BTreeMap<Digest, PendingTransaction>,
}

/// What a new state means for the core.
#[derive(Debug, Default)]
pub struct Change {
    /// Executable next, since now.
    pub due: Vec<PendingTransaction>,
    /// Admitted once, never executable again.
    pub withdrawn: Vec<Digest>,
}

impl Pool {
    /// Most transactions that wait for their number.
    const PARKED_MAX: usize = 1_000;

    /// Takes a transaction in.
    ///
    /// **Returns** it if the core should hear of it now.
    pub fn offer(
        &mut self,
        rules: &Rules,
        ledger: &Ledger,
        envelope: &Envelope,
    ) -> Option<PendingTransaction> {
        let pending = rules.decode(envelope)?;
        match ledger.standing(&pending) {
            Standing::Due if self.admitted.contains_key(&key(&pending)) => None,
            Standing::Due => ledger.admits(&pending).then(|| self.admit(pending)).flatten(),
            Standing::Early if self.parked.len() < Self::PARKED_MAX => {
                self.parked.insert(pending.hash, pending);
                None
            }
            Standing::Early | Standing::Dead => None,
        }
    }

    /// Follows the ledger to a new state.
    pub fn follow(&mut self, ledger: &Ledger, settled: &[Digest]) -> Change {
        self.admitted.retain(|_, pending| !settled.contains(&pending.hash));
        let dead = |pending: &PendingTransaction| ledger.standing(pending) == Standing::Dead;
        let withdrawn = self.admitted.extract_if(.., |_, pending| dead(pending));
        let withdrawn: Vec<Digest> = withdrawn.map(|(_, pending)| pending.hash).collect();
        let ready = self.parked.extract_if(.., |_, pending| ledger.standing(pending) != Standing::Early);
        let ready: Vec<PendingTransaction> = ready.map(|(_, pending)| pending).collect();
        let due = ready.into_iter().filter(|pending| !dead(pending));
        let due = due.filter_map(|pending| self.admit(pending)).collect();
        Change { due, withdrawn }
    }

    /// What a core that is new must hear of.
    pub fn admitted(&self) -> Vec<PendingTransaction> {
        self.admitted.values().cloned().collect()
    }

    /// Number of transactions held.
    pub fn len(&self) -> usize {
        self.admitted.len() + self.parked.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn admit(&mut self, pending: PendingTransaction) -> Option<PendingTransaction> {
        let entry = self.admitted.entry(key(&pending));
        match entry {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => Some(entry.insert(pending).clone()),
        }
    }
}

fn key(pending: &PendingTransaction) -> (Account, i64) {
    (pending.source, pending.sequence)
}
