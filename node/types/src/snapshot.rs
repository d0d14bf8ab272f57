//! A state on its way to a validator that is behind: what a server offers, and the chunks in which the state comes.
//!
//! A chunk is everything below one place of the state tree, with the path from there to the root. So each proves by
//! itself, against the root of a certified header, that its entries are in the state and that no other one is in that
//! part of it. Chunks follow each other in the order of tree keys; together they are the whole state.
//! **Source**: consensus specification, section 11 (state transfer).

use crate::certificate::SealCertificate;
use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_struct, encode_count};
use crate::hash::Digest;
use crate::header::Header;
use crate::ids::Slot;
use crate::leaf::LeafRule;
use crate::message::StableCheckpoint;
use crate::state_proof::{self, StateProof};

/// What a server makes a chunk of, more or less. **Units**: bytes of keys and values.
pub const CHUNK_BYTES: usize = 256 << 10;

/// A state that a server holds. Self-certifying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOffer {
    /// The block after which this is the state, with q seals.
    pub base: StableCheckpoint,
    /// The header of the block after it: its place in its ledger says how many transactions the base applied, which
    /// nothing else does.
    pub next: Header,
    /// At least f+1 seals on that header.
    pub next_seals: SealCertificate,
}

/// A part of a state. Self-certifying against the state root of the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChunk {
    /// Slot of the base.
    pub slot: Slot,
    /// The lowest tree key of the part.
    pub from: Digest,
    /// The other half at each level above the part, from the root downward: so many bits of `from` name the part.
    pub siblings: Vec<Digest>,
    /// All entries of the part, ascending by tree key.
    pub entries: Vec<StateEntry>,
}

/// An entry of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// Key bytes.
    pub key: Vec<u8>,
    /// Value bytes.
    pub value: Vec<u8>,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The lowest tree key of the next chunk.
    At(Digest),
    /// There is no further chunk.
    Complete,
}

codec_struct!(SnapshotOffer { base, next, next_seals });

impl SnapshotOffer {
    /// Slot of the base.
    pub fn slot(&self) -> Slot {
        self.base.header.slot
    }

    /// Whether the next header is that of the block after the base. Says nothing about seals.
    pub fn is_consistent(&self) -> bool {
        let (base, next) = (&self.base.header, &self.next);
        next.slot == base.slot.next()
            && next.parent == base.hash()
            && self.next_seals.body.slot == next.slot
            && self.next_seals.body.header == next.hash()
            && (next.ledger != base.ledger || next.first_transaction >= base.first_transaction)
    }

    /// Transactions that the base applied, as far as the block after it depends on them: 0 at the end of a ledger.
    pub fn base_transactions(&self) -> u32 {
        let (base, next) = (&self.base.header, &self.next);
        match next.ledger == base.ledger {
            true => next.first_transaction.saturating_sub(base.first_transaction),
            false => 0,
        }
    }
}

impl StateChunk {
    /// The root of a state of which this is a part. A chunk holds no salts: who fetches a state can compute them.
    ///
    /// **Returns** none for a chunk that is part of no state: entries out of order or of another part.
    pub fn root(&self, leaves: &LeafRule) -> Option<Digest> {
        let depth = self.siblings.len();
        if depth > StateProof::DEPTH_MAX || low_bits(&self.from, depth) {
            return None;
        }
        let mut hashes: Vec<(Digest, Digest)> = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let tree_key = state_proof::tree_key(&entry.key);
            let in_order = hashes.last().is_none_or(|(last, _)| *last < tree_key);
            if !in_order || !state_proof::share_bits(&tree_key, &self.from, depth) {
                return None;
            }
            hashes.push((tree_key, leaves.leaf(&tree_key, &entry.value)));
        }
        let hash = state_proof::subtree_root(depth, &hashes)?;
        state_proof::root_above(&self.from, &self.siblings, hash)
    }

    /// Where the next chunk begins.
    pub fn end(&self) -> Progress {
        let Some(last_bit) = self.siblings.len().checked_sub(1) else { return Progress::Complete };
        let mut end = self.from;
        for depth in (0..=last_bit).rev() {
            let set = state_proof::bit(&end, depth) == Some(true);
            flip_bit(&mut end, depth);
            if !set {
                return Progress::At(end);
            }
        }
        Progress::Complete
    }
}

/// Whether a bit at `depth` or below is set.
fn low_bits(key: &Digest, depth: usize) -> bool {
    (depth..StateProof::DEPTH_MAX).any(|bit| state_proof::bit(key, bit) == Some(true))
}

/// Turns the bit that decides at `depth`.
pub fn flip_bit(key: &mut Digest, depth: usize) {
    if let Some(byte) = key.0.get_mut(depth >> 3) {
        *byte ^= 0x80_u8 >> (depth & 7);
    }
}

impl ListItem for StateEntry {
    /// Whoever cuts a state into chunks keeps to it.
    const COUNT_MAX: u32 = 1 << 14;
}

impl Encode for StateEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        for bytes in [&self.key, &self.value] {
            encode_count(bytes.len(), out);
            out.extend_from_slice(bytes);
        }
    }
}

impl Decode for StateEntry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(StateEntry { key: bytes(input)?, value: bytes(input)? })
    }
}

/// Longest key or value. **Units**: bytes.
const BYTES_MAX: u32 = 1 << 20;

fn bytes(input: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let count = input.count("bytes of a state entry", BYTES_MAX)?;
    Ok(input.take(count)?.to_vec())
}

impl Encode for StateChunk {
    fn encode(&self, out: &mut Vec<u8>) {
        self.slot.encode(out);
        self.from.encode(out);
        self.siblings.encode(out);
        self.entries.encode(out);
    }
}

impl Decode for StateChunk {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(StateChunk {
            slot: Decode::decode(input)?,
            from: Decode::decode(input)?,
            siblings: state_proof::decode_siblings(input)?,
            entries: Decode::decode(input)?,
        })
    }
}

impl Encode for Progress {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Progress::At(key) => {
                out.push(1);
                key.encode(out);
            }
            Progress::Complete => out.push(2),
        }
    }
}

impl Decode for Progress {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            1 => Ok(Progress::At(Decode::decode(input)?)),
            2 => Ok(Progress::Complete),
            value => Err(DecodeError::Tag { what: "progress of a transfer", value }),
        }
    }
}

#[cfg(test)]
mod tests;
