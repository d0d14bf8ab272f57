//! Dropping old blocks: the *base*, below which there is nothing, moves up.
//!
//! What is left is a store as after a state transfer: genesis, of the base its header and seals, and all blocks above it. The
//! base is a sealed block, so that a backup of such a store is proven as any other. Each step is one atomic batch.
//! **Source**: consensus specification, section 11.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use carat_types::Slot;
use carat_types::codec::Encode as _;

use super::engine::{Batch, Column, KeyRange};
use super::record;
use super::transfer::Base;
use super::{Store, StoreError};

/// How far above the wanted number of blocks a sealed one is looked for. Every block is sealed in the end; newest ones may not be.
const SEALED_WITHIN: usize = 64;

impl Store {
    /// Drops about `blocks_max` of the oldest blocks, none but those of `droppable`. Not synced: what a crash brings back is dropped
    /// again.
    ///
    /// **Returns** the oldest block that is whole, if it is not the first.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn prune(
        &self,
        droppable: &RangeInclusive<Slot>,
        blocks_max: usize,
    ) -> Result<Option<Slot>, StoreError> {
        let base = self.base()?;
        let from = base.map_or(Slot(0), |base| base.slot);
        let oldest = base.map(|base| base.slot.next());
        if self.may_have_stranded.load(Ordering::Acquire) {
            self.drop_stranded(*droppable.start(), from, blocks_max)?;
            return Ok(oldest);
        }
        if *droppable.start() > from.next() {
            return Ok(oldest);
        }
        let last = (*droppable.end()).min(Slot(self.tip().slot.0.saturating_sub(1)));
        let Some(new) = self.next_base(from, last, blocks_max)? else { return Ok(oldest) };
        let (mut batch, mut transactions) = (Batch::default(), 0);
        for slot in (from.0.max(1)..=new.0).map(Slot) {
            transactions = self.drop_block(slot, slot == new, &mut batch)?;
        }
        batch.put(Column::Meta, record::BASE_KEY, Base { slot: new, transactions }.to_bytes());
        // A fetched state that was put in place meanwhile has moved the base.
        let tip = self.lock_tip();
        if self.base()? != base {
            return Ok(self.base()?.map(|base| base.slot.next()));
        }
        self.write("drop old blocks", batch)?;
        drop(tip);
        Ok(Some(new.next()))
    }

    /// Drops blocks that were executed before a state was fetched; nothing hangs together with them any more.
    fn drop_stranded(&self, first: Slot, base: Slot, blocks_max: usize) -> Result<(), StoreError> {
        if first >= base {
            self.may_have_stranded.store(false, Ordering::Release);
            return Ok(());
        }
        let (from, to) = (record::slot_key(first).into(), Some(record::slot_key(base).into()));
        let headers = self.engine.scan(Column::Headers, KeyRange { from, to, backwards: false });
        let mut batch = Batch::default();
        for pair in headers.take(blocks_max) {
            let (key, _) = self.settled("read the headers", pair)?;
            let slot = key.try_into().map(|key| Slot(u64::from_be_bytes(key)));
            let slot =
                slot.map_err(|_| StoreError::damaged(&self.folder, "the key of a header is not a slot"))?;
            self.drop_block(slot, false, &mut batch)?;
        }
        if batch.changes.is_empty() {
            self.may_have_stranded.store(false, Ordering::Release);
            return Ok(());
        }
        self.write("drop old blocks", batch)
    }

    /// The block that is to be the base: sealed, about `blocks_max` above the present one.
    fn next_base(&self, base: Slot, last: Slot, blocks_max: usize) -> Result<Option<Slot>, StoreError> {
        let mut found = None;
        for (slot, count) in (base.next().0..=last.0).map(Slot).take(blocks_max.max(SEALED_WITHIN)).zip(1..) {
            if found.is_some() && count > blocks_max {
                break;
            }
            if self.certificate(slot)?.is_some() {
                found = Some(slot);
            }
        }
        Ok(found)
    }

    /// Everything of a block but, where it is to be the base, its header and seals.
    ///
    /// **Returns** how many transactions it applied.
    fn drop_block(&self, slot: Slot, is_base: bool, batch: &mut Batch<'_>) -> Result<u32, StoreError> {
        let key = record::slot_key(slot);
        let mut drop = |column, key: &[u8]| batch.delete(column, key);
        let mut applied = 0;
        if let Some(execution) = self.execution(slot)? {
            applied = u32::try_from(execution.outcomes.len()).unwrap_or(u32::MAX);
            execution.outcomes.iter().for_each(|it| drop(Column::Transactions, it.transaction.as_bytes()));
        }
        if let Some(header) = self.header(slot)?
            && self.slot_of_value(&header.batch)? == Some(slot)
        {
            drop(Column::Values, header.batch.as_bytes());
        }
        drop(Column::Payloads, &key);
        drop(Column::Executions, &key);
        if !is_base {
            drop(Column::Headers, &key);
            drop(Column::Certificates, &key);
        }
        Ok(applied)
    }
}
