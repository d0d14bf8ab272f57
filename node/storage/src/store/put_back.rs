//! Putting old blocks back from an archive: the *base*, below which there is nothing, moves down.
//!
//! The reverse of dropping (`prune`), a run of blocks at a time. While a run is written its blocks lie below the base, where
//! nobody looks; the batch that moves the base is the last one. A crash in the middle leaves the store as it was, and what was
//! written is written again. **Source**: consensus specification, section 11; decision record 47.

use carat_types::batch::Payload;
use carat_types::certificate::SealCertificate;
use carat_types::codec::Encode as _;
use carat_types::header::Header;
use carat_types::{Digest, Slot};

use super::backup::archive::Archived;
use super::engine::{Batch, Change, Column};
use super::record;
use super::transfer::Base;
use super::{Store, StoreError, put_rows};

/// Bytes that are written at a time.
const BATCH_BYTES: usize = 4 << 20;

/// The block below a run that is put back: the next base. The store has of it what a base has.
#[derive(Clone, Debug)]
pub struct Below {
    header: Header,
    certificate: SealCertificate,
    transactions: u32,
}

impl Below {
    /// None for a block without seals: a base has some, so that a backup is proven.
    pub fn of(archived: &Archived) -> Option<Self> {
        let certificate = archived.certificate.clone()?;
        let transactions = u32::try_from(archived.execution.outcomes.len()).unwrap_or(u32::MAX);
        Some(Below { header: archived.block.header.clone(), certificate, transactions })
    }

    /// Its slot.
    pub fn slot(&self) -> Slot {
        self.header.slot
    }
}

/// A run of blocks on its way back into a store.
pub struct PutBack<'a> {
    store: &'a Store,
    base: Slot,
    below: Option<Below>,
    /// The block that was put back last.
    last: Slot,
    parent: Digest,
    batch: Batch<'static>,
    bytes: usize,
}

impl Store {
    /// Begins to put back the blocks above `below`, or above genesis, up to the base. They are believed: check them first.
    ///
    /// **Errors**: the database's; a store that lacks nothing.
    pub fn put_back(&self, below: Option<Below>) -> Result<PutBack<'_>, StoreError> {
        let Some(base) = self.base()?.map(|base| base.slot) else {
            let (tip, seen) = (self.tip().slot, Slot(0));
            return Err(StoreError::OutOfOrder { tip, seen, what: "no block is missing" });
        };
        let (last, parent) = match &below {
            Some(below) => (below.slot(), below.header.hash()),
            None => (Slot(0), self.header(Slot(0))?.map(|genesis| genesis.hash()).unwrap_or_default()),
        };
        Ok(PutBack { store: self, base, below, last, parent, batch: Batch::default(), bytes: 0 })
    }
}

impl PutBack<'_> {
    /// The next block. Not synced.
    ///
    /// **Errors**: a block that does not stand on the one before; the database's, after which nothing more is written.
    pub fn block(&mut self, archived: &Archived) -> Result<(), StoreError> {
        let header = &archived.block.header;
        if header.slot != self.last.next() || header.parent != self.parent || header.slot > self.base {
            return Err(self.out_of_order(header.slot, "it is put back out of order"));
        }
        (self.last, self.parent) = (header.slot, header.hash());
        let mut rows = Batch::default();
        put_rows(&mut rows, &archived.block, &archived.execution);
        let named = self.store.slot_of_value(&header.batch)?;
        if *archived.block.payload != Payload::null() && named.is_none_or(|named| named < header.slot) {
            rows.put(Column::Values, header.batch.0, header.slot.to_bytes());
        }
        // Those that the store kept may be of more validators.
        if let Some(certificate) = &archived.certificate
            && self.store.certificate(header.slot)?.is_none()
        {
            rows.put(Column::Certificates, record::slot_key(header.slot), certificate.to_bytes());
        }
        let bytes = |(_, key, value): &Change<'_>| key.len() + value.as_ref().map_or(0, |value| value.len());
        self.bytes += rows.changes.iter().map(bytes).sum::<usize>();
        self.batch.changes.append(&mut rows.changes);
        match self.bytes < BATCH_BYTES {
            true => Ok(()),
            false => self.write_batch(),
        }
    }

    pub(super) fn write_batch(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        self.store.write("put blocks back", std::mem::take(&mut self.batch))
    }

    /// Moves the base down: from now on the blocks are there, durably.
    ///
    /// **Errors**: blocks that do not lead to what the store has, and then it stays as it was; the database's.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let base = self.store.header(self.base)?.map(|header| header.hash());
        if self.last != self.base || base != Some(self.parent) {
            let what = "the blocks that are put back do not lead to the oldest one that is there";
            return Err(self.out_of_order(self.base, what));
        }
        let base = self.below.as_ref().map(|below| {
            let key = record::slot_key(below.slot());
            self.batch.put(Column::Headers, key, below.header.to_bytes());
            self.batch.put(Column::Certificates, key, below.certificate.to_bytes());
            Base { slot: below.slot(), transactions: below.transactions }.to_bytes()
        });
        self.batch.change(Column::Meta, record::BASE_KEY, base);
        self.write_batch()?;
        self.store.sync().map(|_| ())
    }

    fn out_of_order(&self, seen: Slot, what: &'static str) -> StoreError {
        StoreError::OutOfOrder { tip: self.last, seen, what }
    }
}
