//! Forgetting old ledgers: what a validator that does not keep all blocks does with its index of them.
//!
//! First the ledger is no longer served (the first one that is known moves up), then its rows go, a bounded number of
//! transactions at a time, so that new blocks are indexed in between.

use carat_types::{Digest, Slot};

use crate::index::Indexer;
use crate::keys;
use crate::query::Order;
use crate::record::{LedgerRecord, Position, TransactionRecord};
use crate::rows::Rows;
use crate::store::HistoryError;
use crate::toid::Toid;
use crate::view::DecodedChanges;

impl Indexer {
    /// Forgets closed ledgers all of whose blocks are at `last` or below: at most one ledger is taken out of service, and at
    /// most `transactions_max` transactions of ledgers that are out of service lose their rows. The state is not concerned.
    ///
    /// **Returns** how many transactions went.
    ///
    /// **Errors**: a store that cannot be read or written; damaged records.
    pub fn prune(
        &mut self,
        network_id: &Digest,
        last: Slot,
        transactions_max: usize,
    ) -> Result<usize, HistoryError> {
        self.take_out_of_service(last)?;
        let Some(position) = self.position.clone() else { return Ok(0) };
        let served = Toid::ledger_start(position.first_ledger);
        let gone = keys::transaction(Toid::default())..keys::transaction(served);
        let gone = self.store.scan(gone, Order::Ascending, transactions_max)?;
        if gone.is_empty() {
            return Ok(0);
        }
        let mut rows = Rows::default();
        for (_, bytes) in &gone {
            let record = TransactionRecord::from_stored(network_id, bytes)?;
            let changes = DecodedChanges::of(&record)?;
            rows.add_transaction(&record, |operation| changes.operation(operation));
        }
        let batch = rows.removal(&*self.store)?;
        self.finish(batch, position)?;
        Ok(gone.len())
    }

    fn take_out_of_service(&mut self, last: Slot) -> Result<(), HistoryError> {
        let Some(position) = &self.position else { return Ok(()) };
        let key = keys::ledger(position.first_ledger);
        let Some(bytes) = self.store.get(&key)? else { return Ok(()) };
        if LedgerRecord::from_stored(&bytes)?.last_slot > last {
            return Ok(());
        }
        let first_ledger = position.first_ledger.saturating_add(1);
        let position = Position { first_ledger, ..position.clone() };
        self.finish(vec![(key, None)], position)?;
        Ok(())
    }
}
