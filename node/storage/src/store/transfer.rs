//! A state that is fetched from peers: kept chunk by chunk beside the state, and put in its place when it is whole.
//!
//! There are two columns for a state; a record in the meta column says which one is in use. A transfer fills the other
//! one, and the exchange is one atomic batch with the header, the seals and the tip of its block: a crash leaves the old
//! state or the new one. How far a transfer has come is written with each chunk, so that a restart goes on from there.
//! **Source**: consensus specification, section 11 (state transfer); decision record 28.

use std::sync::atomic::Ordering;

use carat_ledger::StateTree;
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{LeafRule, Slot};

use super::engine::{Batch, Column};
use super::record::{self, Tip};
use super::{Store, StoreError};

/// A transfer under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The state that is being fetched.
    pub offer: SnapshotOffer,
    /// What comes next.
    pub progress: Progress,
}

/// The block whose state was fetched, or up to which blocks were dropped. Of this block there are header and seals alone, and
/// of those below none, but for what was executed before a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its slot.
    pub slot: Slot,
    /// Transactions that it applied, as far as the block above depends on them.
    pub transactions: u32,
}

impl Store {
    /// The transfer that is under way.
    ///
    /// **Errors**: the database's.
    pub fn transfer(&self) -> Result<Option<Transfer>, StoreError> {
        self.read(Column::Meta, record::TRANSFER_KEY)
    }

    /// The block above which all blocks are there, if some are not.
    ///
    /// **Errors**: the database's.
    pub fn base(&self) -> Result<Option<Base>, StoreError> {
        self.read(Column::Meta, record::BASE_KEY)
    }

    /// How many transactions the newest block applied.
    ///
    /// **Errors**: the database's.
    pub fn applied_at_tip(&self) -> Result<u32, StoreError> {
        let tip = self.tip().slot;
        match self.base()?.filter(|base| base.slot == tip) {
            Some(base) => Ok(base.transactions),
            None => {
                let applied = self.execution(tip)?.map_or(0, |execution| execution.outcomes.len());
                Ok(u32::try_from(applied).unwrap_or(u32::MAX))
            }
        }
    }

    /// Begins a transfer; what is left of an earlier one is dropped.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn begin_transfer(&self, offer: &SnapshotOffer) -> Result<(), StoreError> {
        self.drop_transfer()?;
        self.check_usable()?;
        self.settle("clear the column of a transfer", self.engine.clear(self.spare_column()))?;
        self.put_transfer(Batch::default(), offer, Progress::At(carat_types::Digest::ZERO))
    }

    /// Keeps the next chunk of the transfer. Its proof was checked.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn keep_chunk(&self, chunk: &StateChunk) -> Result<(), StoreError> {
        let Some(transfer) = self.transfer()? else {
            return Err(StoreError::damaged(&self.folder, "a part of a state came without a transfer"));
        };
        let follows = transfer.offer.slot() == chunk.slot && transfer.progress == Progress::At(chunk.from);
        if !follows {
            return Err(StoreError::damaged(&self.folder, "a part of a state came out of order"));
        }
        let mut batch = Batch::default();
        for entry in &chunk.entries {
            batch.change(self.spare_column(), &entry.key, Some(&entry.value));
        }
        self.put_transfer(batch, &transfer.offer, chunk.end())
    }

    /// Puts the state of the finished transfer in place of the present one, durably.
    ///
    /// **Returns** the tree over it.
    ///
    /// **Errors**: the database's; a state that is not whole or not the one of its header, and then the transfer is
    /// dropped.
    pub fn install_state(&self, offer: &SnapshotOffer, leaves: &LeafRule) -> Result<StateTree, StoreError> {
        let transfer = self.transfer()?;
        let whole = transfer.is_some_and(|it| it.offer == *offer && it.progress == Progress::Complete);
        let header = &offer.base.header;
        let mut tip = self.lock_tip();
        let tree = self.tree_over(self.spare_column(), leaves)?;
        if !whole || header.slot <= tip.slot || tree.root() != header.state_root {
            self.drop_transfer()?;
            let what =
                format!("the state that was fetched for block {} is not the one of its header", header.slot);
            return Err(StoreError::damaged(&self.folder, what));
        }
        let fetched = Tip { slot: header.slot, header: header.hash() };
        let key = record::slot_key(header.slot);
        let spare = self.spare_column();
        let mut batch = Batch::default();
        batch.put(Column::Headers, key, header.to_bytes());
        batch.put(Column::Certificates, key, offer.base.certificate.to_bytes());
        batch.put(Column::Meta, record::TIP_KEY, fetched.to_bytes());
        batch.put(Column::Meta, record::STATE_COLUMN_KEY, [u8::from(spare == Column::OtherState)]);
        let base = Base { slot: header.slot, transactions: offer.base_transactions() };
        batch.put(Column::Meta, record::BASE_KEY, base.to_bytes());
        batch.delete(Column::Meta, record::TRANSFER_KEY);
        self.write("put a fetched state in place", batch)?;
        self.uses_other_state.store(spare == Column::OtherState, Ordering::Release);
        self.may_have_stranded.store(true, Ordering::Release);
        self.state_cache.forget_all();
        *tip = fetched;
        drop(tip);
        self.sync()?;
        Ok(tree)
    }

    fn drop_transfer(&self) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.delete(Column::Meta, record::TRANSFER_KEY);
        self.write("drop a transfer", batch)
    }

    fn put_transfer(
        &self,
        mut batch: Batch<'_>,
        offer: &SnapshotOffer,
        progress: Progress,
    ) -> Result<(), StoreError> {
        let mut bytes = offer.to_bytes();
        progress.encode(&mut bytes);
        batch.put(Column::Meta, record::TRANSFER_KEY, bytes);
        self.write("keep a part of a state", batch)
    }

    /// The column of the present state.
    pub(super) fn state_column(&self) -> Column {
        state_column(self.uses_other_state.load(Ordering::Acquire))
    }

    /// The column that a transfer fills.
    fn spare_column(&self) -> Column {
        state_column(!self.uses_other_state.load(Ordering::Acquire))
    }
}

/// The one or the other of the two columns for a state.
pub(super) fn state_column(other: bool) -> Column {
    if other { Column::OtherState } else { Column::State }
}

impl Decode for Transfer {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Transfer { offer: Decode::decode(input)?, progress: Decode::decode(input)? })
    }
}

impl Encode for Base {
    fn encode(&self, out: &mut Vec<u8>) {
        self.slot.encode(out);
        self.transactions.encode(out);
    }
}

impl Decode for Base {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Base { slot: Decode::decode(input)?, transactions: Decode::decode(input)? })
    }
}
