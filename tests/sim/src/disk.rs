//! A simulated disk: what is on it for good, and what a crash may take away.
//!
//! A crash keeps a random prefix of what was written but not synced, as a power cut does with an append-only file.
//! A restart reads every record through the product's encoding.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use carat_consensus::Record;
use carat_types::certificate::SealCertificate;
use carat_types::codec::{Decode, Encode};
use carat_types::{Slot, batch::Payload, header::Header};

use crate::outbox::Position;
use crate::rng::Rng;

/// The journal and the block store of one validator.
#[derive(Debug, Default)]
pub struct Disk {
    /// Journal, durable.
    durable: Vec<Record>,
    /// Journal, written but not synced.
    volatile: VecDeque<Record>,
    /// Position of the last durable record.
    position: Position,
    /// Blocks, from slot 1 upward; those up to `blocks_durable` survive everything.
    blocks: Vec<StoredBlock>,
    blocks_durable: Slot,
    /// Seal certificates of executed blocks; written with the next block.
    seals: BTreeMap<Slot, SealCertificate>,
}

/// A block as stored.
#[derive(Clone, Debug)]
pub struct StoredBlock {
    /// Its header.
    pub header: Header,
    /// What was executed.
    pub payload: Arc<Payload>,
}

impl Disk {
    /// Appends a record; it is volatile.
    pub fn append(&mut self, record: Record) -> Position {
        self.volatile.push_back(record);
        self.written()
    }

    /// Position of the last record written.
    pub fn written(&self) -> Position {
        self.position + self.volatile.len() as u64
    }

    /// Position of the last durable record.
    pub fn durable(&self) -> Position {
        self.position
    }

    /// A sync that began when `upto` was written has ended.
    ///
    /// **Returns** the records that are durable since now.
    pub fn synced(&mut self, upto: Position) -> &[Record] {
        let known = self.durable.len();
        while self.position < upto
            && let Some(record) = self.volatile.pop_front()
        {
            self.durable.push(record);
            self.position += 1;
        }
        &self.durable[known..]
    }

    /// Begins the journal anew, all at once: `carry`, then every durable record of a slot above `stable`.
    ///
    /// **Panics** if something is volatile: the outbox compacts only what is synced.
    pub fn compact(&mut self, stable: Slot, carry: &[Record]) {
        assert!(self.volatile.is_empty(), "a compaction found records that are not synced");
        let kept = self.durable.drain(..).filter(|record| record.slot().is_some_and(|slot| slot > stable));
        self.durable = carry.iter().cloned().chain(kept).collect();
    }

    /// Stores a block; it is volatile.
    pub fn store(&mut self, block: StoredBlock) {
        self.blocks.push(block);
    }

    /// All blocks up to `slot` are durable.
    pub fn blocks_synced(&mut self, slot: Slot) {
        self.blocks_durable = self.blocks_durable.max(slot.min(self.tip()));
    }

    /// Slot of the newest block.
    pub fn tip(&self) -> Slot {
        Slot(self.blocks.len() as u64)
    }

    /// Slot of the newest durable block.
    pub fn durable_tip(&self) -> Slot {
        self.blocks_durable
    }

    /// A block.
    pub fn block(&self, slot: Slot) -> Option<&StoredBlock> {
        let index = usize::try_from(slot.0.checked_sub(1)?).ok()?;
        self.blocks.get(index)
    }

    /// All blocks, lowest first.
    pub fn blocks(&self) -> &[StoredBlock] {
        &self.blocks
    }

    /// Keeps the seals of a block, unless more are kept already.
    pub fn keep_seals(&mut self, slot: Slot, certificate: SealCertificate) {
        let known = self.seals.entry(slot).or_insert_with(|| certificate.clone());
        if known.signers.len() < certificate.signers.len() {
            *known = certificate;
        }
    }

    /// The seals of a block.
    pub fn seals(&self, slot: Slot) -> Option<&SealCertificate> {
        self.seals.get(&slot)
    }

    /// Power cut: keeps what is durable and a random part of what was on its way.
    ///
    /// **Returns** the records that became durable by it.
    pub fn crash(&mut self, rng: &mut Rng) -> &[Record] {
        let volatile_blocks = self.tip().0 - self.blocks_durable.0;
        let kept = self.blocks_durable.plus(rng.below(volatile_blocks + 1));
        self.blocks.truncate(usize::try_from(kept.0).unwrap_or(usize::MAX));
        self.blocks_durable = kept;
        self.seals.retain(|slot, _| *slot <= kept);
        let survivors = if rng.chance(500) { 0 } else { rng.below(self.volatile.len() as u64 + 1) };
        let known = self.durable.len();
        self.synced(self.position + survivors);
        self.volatile.clear();
        &self.durable[known..]
    }

    /// Loses the journal: what a correct validator's disk never does.
    pub fn forget_journal(&mut self) {
        self.durable.clear();
        self.volatile.clear();
    }

    /// The journal.
    pub fn journal(&self) -> &[Record] {
        &self.durable
    }

    /// The journal as read at a restart: each record encoded as the product does, and decoded.
    ///
    /// **Panics** if a record does not survive its encoding.
    pub fn read_journal(&self) -> Vec<Record> {
        let read = |record: &Record| {
            let read = Record::from_bytes(&record.to_bytes()).expect("a journal record decodes");
            assert_eq!(read, *record, "a journal record survives its encoding");
            read
        };
        self.durable.iter().map(read).collect()
    }
}
