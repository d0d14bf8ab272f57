//! Keys and encrypted amounts: twisted ElGamal on Ristretto.
//!
//! `G` is the base of values, `H` that of blindings. A key pair is `s` and `s⁻¹·H`. A chunk `v` of 32 bits is the
//! commitment `C = v·G + r·H`, and for each reader a handle `D = r·key`: `C - s·D = v·G`. One more reader costs one more
//! handle, not one more commitment. An amount is two chunks, `low + 2³²·high`.

use std::fmt;

use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use rand_core_06::{CryptoRng, RngCore};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::discrete_log::Table;
use crate::encoding::PointBytes;
use crate::error::Refusal;
use crate::generators::Generators;

/// Most auditors of an asset at one time. At least one there must be.
pub const AUDITORS_MAX: usize = 3;

/// What opens balances. It moves no money: that takes a signature of the account. Erased when dropped; never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DecryptionKey(Scalar);

/// The public half, to which amounts are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EncryptionKey(pub PointBytes);

/// The two chunks of something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair<T> {
    /// Of the low 32 bits.
    pub low: T,
    /// Of the high 32 bits.
    pub high: T,
}

/// An encrypted amount as its owner needs it: what a proof is made over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// The commitments.
    pub commitment: Pair<PointBytes>,
    /// The owner's handles.
    pub handle: Pair<PointBytes>,
}

/// An encrypted amount with the handles of all who may read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The amount for its owner or receiver.
    pub slot: Slot,
    /// The handles of the auditors, in their order.
    pub auditors: Vec<Pair<PointBytes>>,
}

impl DecryptionKey {
    /// A new key.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        loop {
            let secret = Scalar::random(rng);
            if secret != Scalar::ZERO {
                return DecryptionKey(secret);
            }
        }
    }

    /// The key of 32 bytes that were written by [`DecryptionKey::to_bytes`].
    ///
    /// **Errors**: not the one encoding of a scalar, or zero.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Refusal> {
        let secret = crate::encoding::scalar(bytes, "decryption key")?;
        if secret == Scalar::ZERO {
            Err(Refusal::Identity("decryption key"))
        } else {
            Ok(DecryptionKey(secret))
        }
    }

    /// The key, for writing it where it is kept. The caller erases it.
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> EncryptionKey {
        EncryptionKey(PointBytes::from(&(self.0.invert() * Generators::blinding())))
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        &self.0
    }

    /// What is left of a chunk without its blinding: `v·G`.
    fn unblind(&self, commitment: PointBytes, handle: PointBytes) -> Result<RistrettoPoint, Refusal> {
        Ok(commitment.to_point("commitment")? - self.0 * handle.to_point("handle")?)
    }

    /// Whether these chunks are what the slot holds for this key.
    pub fn opens_to(&self, slot: &Slot, chunks: Pair<u64>) -> bool {
        let holds = |commitment, handle, chunk: u64| {
            self.unblind(commitment, handle).is_ok_and(|it| it == Scalar::from(chunk) * Generators::value())
        };
        holds(slot.commitment.low, slot.handle.low, chunks.low)
            && holds(slot.commitment.high, slot.handle.high, chunks.high)
    }

    /// Searches the chunks that the slot holds for this key: milliseconds with a large table, not of constant time, so
    /// for wallets and auditors only. Chunks above 32 bits, as additions without proof leave them, are not found.
    ///
    /// **Errors**: a point of the slot is none. `None`: it holds nothing for this key, or chunks that are too large.
    pub fn open(&self, slot: &Slot, table: &Table) -> Result<Option<Pair<u64>>, Refusal> {
        let low = table.find(&self.unblind(slot.commitment.low, slot.handle.low)?);
        let high = table.find(&self.unblind(slot.commitment.high, slot.handle.high)?);
        Ok(low.zip(high).map(|(low, high)| Pair { low: low.into(), high: high.into() }))
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptionKey([REDACTED])")
    }
}

impl Pair<u64> {
    /// The chunks of an amount.
    pub fn of(amount: u64) -> Self {
        Pair { low: amount & u64::from(u32::MAX), high: amount >> 32 }
    }

    /// The amount of chunks, which may be above 32 bits.
    pub fn sum(self) -> u128 {
        (u128::from(self.high) << 32).saturating_add(u128::from(self.low))
    }
}

impl Sealed {
    /// A public amount as an encrypted one that hides nothing: what is paid in from a plain balance.
    pub fn public(amount: u64, auditors: usize) -> Self {
        let chunks = Pair::of(amount);
        let commit = |chunk: u64| PointBytes::from(&(Scalar::from(chunk) * Generators::value()));
        let none = Pair { low: PointBytes::IDENTITY, high: PointBytes::IDENTITY };
        let commitment = Pair { low: commit(chunks.low), high: commit(chunks.high) };
        Sealed { slot: Slot { commitment, handle: none }, auditors: vec![none; auditors] }
    }

    /// Both amounts in one, for the same readers. No proof is needed; chunks may grow above 32 bits, and each
    /// addition adds at most one bit to the longer one's length.
    ///
    /// **Errors**: a point is none, or they have not the same number of auditors.
    pub fn plus(&self, other: &Sealed) -> Result<Self, Refusal> {
        if self.auditors.len() != other.auditors.len() {
            let (seen, expected) = (other.auditors.len(), self.auditors.len());
            return Err(Refusal::Shape { what: "auditors", seen, expected });
        }
        let auditors = self.auditors.iter().zip(&other.auditors).map(|(a, b)| a.plus(b));
        Ok(Sealed {
            slot: Slot {
                commitment: self.slot.commitment.plus(&other.slot.commitment)?,
                handle: self.slot.handle.plus(&other.slot.handle)?,
            },
            auditors: auditors.collect::<Result<_, _>>()?,
        })
    }

    /// The amount as an auditor reads it.
    pub fn for_auditor(&self, auditor: usize) -> Option<Slot> {
        let handle = *self.auditors.get(auditor)?;
        Some(Slot { commitment: self.slot.commitment, handle })
    }

    pub(crate) fn decode_with(input: &mut Reader<'_>, auditors: usize) -> Result<Self, DecodeError> {
        let slot = Slot::decode(input)?;
        let auditors = (0..auditors).map(|_| Pair::decode(input)).collect::<Result<_, _>>()?;
        Ok(Sealed { slot, auditors })
    }
}

impl Pair<PointBytes> {
    fn plus(&self, other: &Self) -> Result<Self, Refusal> {
        let add = |a: PointBytes, b: PointBytes| -> Result<PointBytes, Refusal> {
            Ok(PointBytes::from(&(a.to_point("encrypted amount")? + b.to_point("encrypted amount")?)))
        };
        Ok(Pair { low: add(self.low, other.low)?, high: add(self.high, other.high)? })
    }
}

/// An encryption being made: commitments, blindings and handles.
pub(crate) fn seal(
    amount: u64,
    blinding: Pair<Scalar>,
    readers: &[RistrettoPoint],
) -> (Pair<PointBytes>, Vec<Pair<PointBytes>>) {
    let chunks = Pair::of(amount);
    let commit = |chunk: u64, blinding: Scalar| {
        let commitment = Generators::get().pedersen.commit(Scalar::from(chunk), blinding);
        PointBytes::from(&commitment)
    };
    let commitment = Pair { low: commit(chunks.low, blinding.low), high: commit(chunks.high, blinding.high) };
    let handle = |key: &RistrettoPoint| Pair {
        low: PointBytes::from(&(blinding.low * key)),
        high: PointBytes::from(&(blinding.high * key)),
    };
    (commitment, readers.iter().map(handle).collect())
}

impl Default for Slot {
    /// Nothing, blinded by nothing.
    fn default() -> Self {
        let none = Pair { low: PointBytes::IDENTITY, high: PointBytes::IDENTITY };
        debug_assert!(none.low == PointBytes::from(&RistrettoPoint::identity()));
        Slot { commitment: none, handle: none }
    }
}

impl Encode for EncryptionKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for EncryptionKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        PointBytes::decode(input).map(EncryptionKey)
    }
}

impl Encode for Pair<PointBytes> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.low.encode(out);
        self.high.encode(out);
    }
}

impl Decode for Pair<PointBytes> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Pair { low: Decode::decode(input)?, high: Decode::decode(input)? })
    }
}

impl Encode for Slot {
    fn encode(&self, out: &mut Vec<u8>) {
        self.commitment.encode(out);
        self.handle.encode(out);
    }
}

impl Decode for Slot {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Slot { commitment: Decode::decode(input)?, handle: Decode::decode(input)? })
    }
}

/// Without a count: the statement around it says how many auditors there are.
impl Encode for Sealed {
    fn encode(&self, out: &mut Vec<u8>) {
        self.slot.encode(out);
        self.auditors.iter().for_each(|it| it.encode(out));
    }
}
