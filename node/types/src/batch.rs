//! What consensus orders: bodies of transaction envelopes, and batches that name bodies.
//!
//! **Source**: consensus specification, section 2.

use std::sync::Arc;

use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_struct, encode_count};
use crate::hash::{Digest, h, m};
use crate::merkle;

/// The bytes of one transaction envelope (XDR), shared and never copied between receipt and block.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope(pub Arc<[u8]>);

/// A list of envelopes, spread as one by the validator that received them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Body {
    /// The envelopes in order.
    pub envelopes: Vec<Envelope>,
}

/// A proposal: the proposer's time and the bodies that make the block, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The proposer's clock, milliseconds since 1970.
    pub time_ms: u64,
    /// Digests of the bodies; none in a heartbeat.
    pub bodies: Vec<Digest>,
}

/// What a slot decides: a batch, or nothing (only ever chosen by a view change).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A gap that a view change filled.
    Null,
    /// A proposed batch.
    Batch(Batch),
}

/// A value with the bodies that it names, in the batch's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The value of the slot.
    pub value: Value,
    /// The bodies of its batch; empty for [`Value::Null`].
    pub bodies: Vec<Arc<Body>>,
}

impl Envelope {
    /// The largest envelope: 100 operations of the largest kind and 20 signatures stay below.
    pub const BYTES_MAX: u32 = 128 * 1024;

    /// Leaf of this envelope in its body's tree.
    pub fn leaf(&self) -> Digest {
        m("leaf", &[&self.0])
    }
}

impl Body {
    /// Root of the tree over the envelopes.
    pub fn digest(&self) -> Digest {
        merkle::root(&self.leaves())
    }

    /// The tree's leaves, in order.
    pub fn leaves(&self) -> Vec<Digest> {
        self.envelopes.iter().map(Envelope::leaf).collect()
    }

    /// Total length of the envelopes, in bytes.
    pub fn bytes(&self) -> usize {
        self.envelopes.iter().map(|envelope| envelope.0.len()).sum()
    }
}

impl Batch {
    /// The most bodies in a batch.
    pub const BODIES_MAX: usize = 64;

    /// `d = H("batch", u64 time | u32 count | digests)`.
    pub fn digest(&self) -> Digest {
        h("batch", &[&self.to_bytes()])
    }
}

impl Value {
    /// The consensus value: the batch's digest, or `H("null", "")`.
    pub fn digest(&self) -> Digest {
        match self {
            Value::Null => null_digest(),
            Value::Batch(batch) => batch.digest(),
        }
    }
}

/// The consensus value of [`Value::Null`]: `H("null", "")`, asked for with every vote and so written down.
pub fn null_digest() -> Digest {
    NULL
}

const NULL: Digest = Digest([
    0x75, 0xc3, 0xd9, 0x6b, 0x3d, 0x8d, 0xfa, 0xf2, 0x33, 0x79, 0x7c, 0x68, 0x3e, 0x1b, 0xae, 0xcc, 0xab,
    0x15, 0x9c, 0x85, 0xab, 0x8e, 0x8b, 0x70, 0xdd, 0xfb, 0x80, 0xf2, 0xae, 0xc5, 0x0a, 0xbc,
]);

impl Payload {
    /// The payload of a slot that a view change left empty.
    pub fn null() -> Self {
        Payload { value: Value::Null, bodies: Vec::new() }
    }

    /// Whether the bodies are those that the value names, no more and no fewer.
    pub fn is_consistent(&self) -> bool {
        match &self.value {
            Value::Null => self.bodies.is_empty(),
            Value::Batch(batch) => {
                batch.bodies.len() == self.bodies.len()
                    && batch.bodies.iter().zip(&self.bodies).all(|(digest, body)| *digest == body.digest())
            }
        }
    }

    /// All envelopes, in the batch's order; duplicates are still among them.
    pub fn envelopes(&self) -> impl Iterator<Item = &Envelope> {
        self.bodies.iter().flat_map(|body| &body.envelopes)
    }
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Envelope({} bytes, {})", self.0.len(), self.leaf().short())
    }
}

impl Encode for Envelope {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.0.len(), out);
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Envelope {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = input.count("envelope bytes", Envelope::BYTES_MAX)?;
        Ok(Envelope(input.take(length)?.into()))
    }
}

impl ListItem for Envelope {
    /// Twice the transactions of a block, so that the limit of the genesis file decides.
    const COUNT_MAX: u32 = 8_000;
}

impl ListItem for Body {
    const COUNT_MAX: u32 = 64;
}

impl Encode for Body {
    fn encode(&self, out: &mut Vec<u8>) {
        // All room at once: a body is most of a proposal, of its record and of its block, and a buffer that grows by doubling
        // copies it several times.
        let lengths = self.envelopes.iter().map(|envelope| envelope.0.len().saturating_add(COUNT_BYTES));
        out.reserve(lengths.fold(COUNT_BYTES, usize::saturating_add));
        self.envelopes.encode(out);
    }
}

/// A u32 in front of a list or a byte string.
const COUNT_BYTES: usize = size_of::<u32>();

impl Decode for Body {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Body { envelopes: Decode::decode(input)? })
    }
}
codec_struct!(Batch { time_ms, bodies });

impl Encode for Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Batch(batch) => {
                out.push(1);
                batch.encode(out);
            }
        }
    }
}

impl Decode for Value {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Option::<Batch>::decode(input)?.map_or(Value::Null, Value::Batch))
    }
}

codec_struct!(Payload { value, bodies });

/// The limits of one block, from the genesis file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockLimits {
    /// Bytes of all envelopes.
    pub bytes: u32,
    /// Transactions.
    pub transactions: u32,
    /// Operations of all transactions.
    pub operations: u32,
    /// Signatures of all transactions.
    pub signatures: u32,
}

impl Default for BlockLimits {
    fn default() -> Self {
        BlockLimits { bytes: 1 << 20, transactions: 4_000, operations: 8_000, signatures: 8_000 }
    }
}

/// A payload that passed the check that needs neither ledger state nor clock, with its consensus value.
///
/// Only [`crate::payload::check`] makes one from a peer's bytes, so that the core never votes for anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WellFormed {
    digest: Digest,
    payload: Arc<Payload>,
}

impl WellFormed {
    /// The payload of a slot that a view change left empty.
    pub fn null() -> Self {
        WellFormed { digest: null_digest(), payload: Arc::new(Payload::null()) }
    }

    /// States that the check was made; for the check itself, and for payloads read back from the own journal.
    pub fn trusted(payload: Arc<Payload>) -> Self {
        WellFormed { digest: payload.value.digest(), payload }
    }

    /// The consensus value.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The payload.
    pub fn payload(&self) -> &Arc<Payload> {
        &self.payload
    }
}
