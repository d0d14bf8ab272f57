//! A simulated disk: what is on it for good, and what a crash may take away.
//!
//! A crash keeps a random prefix of what was written but not synced, as a power cut does with an append-only file, and may
//! leave a torn frame behind it. A restart reads the journal from the bytes of the product's segment format. A disk may
//! also rot: a bit of what was synced flips.

mod segment;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use carat_consensus::{KeptTransfer, Record};
use carat_types::certificate::SealCertificate;
use carat_types::message::StableCheckpoint;
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk, StateEntry};
use carat_types::{Digest, Epoch, Slot, View, batch::Payload, header::Header};

use crate::ledger::Ledger;
use crate::outbox::Position;
use crate::rng::Rng;
use segment::Torn;
pub use segment::{Unreadable, Whose};

/// The journal and the block store of one validator.
#[derive(Debug, Default)]
pub struct Disk {
    /// Journal, durable.
    durable: Vec<Record>,
    /// Journal, written but not synced.
    volatile: VecDeque<Record>,
    /// How many records each sync has made durable: the frames of the segment.
    frames: Vec<usize>,
    /// A frame that the power cut broke off.
    torn: Option<Torn>,
    /// Chooses the bit that has flipped, if one has.
    rot: Option<u64>,
    /// Position of the last durable record.
    position: Position,
    /// The checkpoint that ended each epoch, from the first on.
    handovers: Vec<Arc<StableCheckpoint>>,
    /// A state that was fetched.
    base: Option<Base>,
    /// A state that is being fetched.
    incoming: Option<Incoming>,
    /// Blocks, from the base or genesis upward; those up to `blocks_durable` survive everything.
    blocks: Vec<StoredBlock>,
    blocks_durable: Slot,
    /// Seal certificates of executed blocks; written with the next block.
    seals: BTreeMap<Slot, SealCertificate>,
}

/// The state after a block that was not executed here: there is nothing else at or below it.
#[derive(Clone, Debug)]
pub struct Base {
    /// The state.
    pub ledger: Ledger,
    /// The seals of its block.
    pub seals: SealCertificate,
}

/// A state on its way.
#[derive(Debug)]
struct Incoming {
    offer: Arc<SnapshotOffer>,
    chunks: Vec<Arc<StateChunk>>,
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
        self.end_frame(known);
        &self.durable[known..]
    }

    /// What is durable since there were `known` records was written as one frame.
    fn end_frame(&mut self, known: usize) {
        if self.durable.len() > known {
            self.frames.push(self.durable.len() - known);
        }
    }

    /// Begins the journal anew, all at once: `carry`, then every durable record of a slot above `stable`.
    ///
    /// **Panics** if something is volatile: the outbox compacts only what is synced.
    pub fn compact(&mut self, stable: Slot, carry: &[Record]) {
        assert!(self.volatile.is_empty(), "a compaction found records that are not synced");
        let kept = self.durable.drain(..).filter(|record| record.slot().is_some_and(|slot| slot > stable));
        self.durable = carry.iter().cloned().chain(kept).collect();
        self.frames.clear();
        self.end_frame(0);
    }

    /// How the epochs ended, as far as the store knows.
    pub fn handovers(&self) -> &[Arc<StableCheckpoint>] {
        &self.handovers
    }

    /// Keeps the end of the first epoch of which it is not kept; durable at once.
    pub fn keep_handover(&mut self, last: Arc<StableCheckpoint>) {
        let next = u32::try_from(self.handovers.len()).ok();
        if next == Some(last.header.epoch.0) {
            self.handovers.push(last);
        }
    }

    /// Begins the journal of an epoch, all at once: nothing of what was in it stays.
    pub fn rotate(&mut self, epoch: Epoch) {
        self.forget_journal();
        self.durable.push(Record::View(epoch, View(0)));
        self.end_frame(0);
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
        self.base_slot().plus(self.blocks.len() as u64)
    }

    fn base_slot(&self) -> Slot {
        self.base.as_ref().map_or(Slot(0), |base| base.ledger.header().slot)
    }

    /// The fetched state that the blocks stand on.
    pub fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    /// Begins to keep a state.
    pub fn begin_transfer(&mut self, offer: Arc<SnapshotOffer>) {
        self.incoming = Some(Incoming { offer, chunks: Vec::new() });
    }

    /// Keeps a part of it.
    pub fn keep_chunk(&mut self, chunk: Arc<StateChunk>) {
        if let Some(incoming) = &mut self.incoming {
            incoming.chunks.push(chunk);
        }
    }

    /// How far the state on its way has come.
    pub fn transfer(&self) -> Option<KeptTransfer> {
        let Incoming { offer, chunks } = self.incoming.as_ref()?;
        let progress = chunks.last().map_or(Progress::At(Digest::ZERO), |chunk| chunk.end());
        Some(KeptTransfer { offer: Arc::clone(offer), progress })
    }

    /// The state that has come, in whatever parts.
    pub fn fetched_state(&self) -> Option<(Arc<SnapshotOffer>, Vec<StateEntry>)> {
        let Incoming { offer, chunks } = self.incoming.as_ref()?;
        Some((Arc::clone(offer), chunks.iter().flat_map(|chunk| chunk.entries.clone()).collect()))
    }

    /// A fetched state takes the place of all blocks; durable at once.
    pub fn install(&mut self, base: Base) {
        let slot = base.ledger.header().slot;
        self.seals = BTreeMap::from([(slot, base.seals.clone())]);
        self.base = Some(base);
        self.incoming = None;
        self.blocks.clear();
        self.blocks_durable = slot;
    }

    /// Loses everything but the journal.
    pub fn lose_blocks(&mut self) {
        (self.base, self.incoming, self.blocks_durable) = (None, None, Slot(0));
        self.blocks.clear();
        self.seals.clear();
        self.handovers.clear();
    }

    /// Slot of the newest durable block.
    pub fn durable_tip(&self) -> Slot {
        self.blocks_durable
    }

    /// A block.
    pub fn block(&self, slot: Slot) -> Option<&StoredBlock> {
        let index = usize::try_from(slot.0.checked_sub(self.base_slot().0 + 1)?).ok()?;
        self.blocks.get(index)
    }

    /// All blocks above the base, lowest first.
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
        let above_base = kept.0 - self.base_slot().0;
        self.blocks.truncate(usize::try_from(above_base).unwrap_or(usize::MAX));
        if let Some(incoming) = &mut self.incoming {
            let kept = rng.index(incoming.chunks.len() + 1);
            incoming.chunks.truncate(kept);
        }
        self.blocks_durable = kept;
        self.seals.retain(|slot, _| *slot <= kept);
        let survivors = if rng.chance(500) { 0 } else { rng.below(self.volatile.len() as u64 + 1) };
        let known = self.durable.len();
        self.synced(self.position + survivors);
        let lost: Vec<Record> = self.volatile.drain(..).collect();
        self.torn = (!lost.is_empty()).then(|| Torn::of(lost, rng));
        &self.durable[known..]
    }

    /// Loses the journal: what a correct validator's disk never does.
    pub fn forget_journal(&mut self) {
        self.durable.clear();
        self.volatile.clear();
        self.frames.clear();
        self.torn = None;
    }

    /// A bit of what was synced flips, anywhere but in the last frame: that one cannot be told from a torn one, and is what
    /// the start-up guard is for.
    pub fn decay(&mut self, rng: &mut Rng) {
        self.rot = Some(rng.bits());
    }

    /// Whether a bit has flipped.
    pub fn is_rotten(&self) -> bool {
        self.rot.is_some()
    }

    /// The journal.
    pub fn journal(&self) -> &[Record] {
        &self.durable
    }

    /// The journal as read at a restart, from the bytes on the disk; a torn end is cut.
    ///
    /// **Errors**: something that was synced is unreadable.
    ///
    /// **Panics** if a record does not survive its encoding.
    pub fn read_journal(&self, whose: Whose) -> Result<Vec<Record>, Unreadable> {
        let mut bytes = segment::write(whose, &self.durable, &self.frames, self.torn.as_ref());
        if let Some(rot) = self.rot {
            segment::flip_a_bit(&mut bytes, rot);
        }
        let read = segment::read(&bytes)?;
        assert!(self.is_rotten() || read == self.durable, "a journal survives its encoding");
        Ok(read)
    }
}
