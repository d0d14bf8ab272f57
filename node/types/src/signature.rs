//! Ed25519 keys, and the one predicate that decides whether a signature is valid.
//!
//! **The rule** (ledger specification 0.3): refuse non-canonical encodings of A, R and s and small-order
//! A and R; then the *cofactored* equation `[8](sB - R - kA) = 0`. The first part is checked for each
//! signature by comparing bytes; the second holds for a batch exactly when it holds for each member (but for
//! a chance of 2^-128), so that single and batched verification cannot disagree. `ed25519-dalek` holds keys
//! and signs; `ed25519-zebra` evaluates the equation of one signature, and the module `batch` that of many.

mod batch;

use std::fmt;

use ed25519_dalek::Signer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

use crate::hash::{self, Digest};
use crate::verifiable::Verifiable;
pub use batch::KnownKeys;

/// An Ed25519 public key as its 32 bytes. Holding one says nothing about its validity; see [`PublicKey::is_weak`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature as its 64 bytes, R then s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

/// A signing key. Erased from memory when dropped; never printed.
pub struct SecretKey(ed25519_dalek::SigningKey);

/// One signature to be checked: who, what, and the claim.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The claimed signer.
    pub key: &'a PublicKey,
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

impl SecretKey {
    /// The key of a 32-byte seed (RFC 8032). The caller erases its copy of the seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        SecretKey(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for writing a key file. The caller erases it.
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` (RFC 8032, deterministic).
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        let mut seed = self.0.to_bytes();
        let copy = SecretKey::from_seed(&seed);
        seed.zeroize();
        copy
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey([REDACTED], public {})", self.public())
    }
}

impl PublicKey {
    /// Whether this key must never name an account, a signer or a validator: a non-canonical encoding, a
    /// point of small order, or no point of the curve at all.
    pub fn is_weak(&self) -> bool {
        !acceptable_point(&self.0) || ed25519_zebra::VerificationKey::try_from(self.0).is_err()
    }

    /// The signature hint of the transaction format: the last four bytes.
    pub fn hint(&self) -> [u8; 4] {
        let [.., a, b, c, d] = self.0;
        [a, b, c, d]
    }
}

/// The signature predicate, for one signature.
pub fn verify(claim: Claim<'_>) -> bool {
    if !acceptable(&claim) {
        return false;
    }
    let Ok(key) = ed25519_zebra::VerificationKey::try_from(claim.key.0) else { return false };
    key.verify(&ed25519_zebra::Signature::from_bytes(&claim.signature.0), claim.message).is_ok()
}

/// The same predicate for many signatures at about a fifth of the cost each. `keys` remembers what was seen of them.
///
/// **Returns** true iff *every* claim would pass [`verify`]. On false, ask one by one which.
pub fn verify_batch(claims: &[Claim<'_>], keys: &mut KnownKeys) -> bool {
    claims.iter().all(acceptable) && batch::equation_holds(claims, keys)
}

impl Verifiable for Claim<'_> {
    const BATCH_MAX: usize = 256;
    const BATCH_MIN: usize = 3;
    const HALVED_MIN: usize = 32;

    type Memory = KnownKeys;

    /// Key and signature have fixed lengths, so that no two claims are written alike.
    fn id(self) -> Digest {
        hash::sha256(&[b"carat-signature", &self.key.0, &self.signature.0, self.message])
    }

    fn is_valid(self) -> bool {
        verify(self)
    }

    fn all_valid(batch: &[Self], keys: &mut KnownKeys) -> bool {
        verify_batch(batch, keys)
    }
}

/// Canonical and not of small order, for A and for R. (That s is canonical is part of the equation's check.)
fn acceptable(claim: &Claim<'_>) -> bool {
    let (r, _s) = claim.signature.0.split_at(32);
    let Ok(r) = <&[u8; 32]>::try_from(r) else { return false };
    acceptable_point(&claim.key.0) && acceptable_point(r)
}

/// y < p, and y is not the ordinate of one of the eight points of small order, whatever the sign bit.
///
/// The only other non-canonical encodings, x = 0 with the sign bit set, have y = 1 or y = p - 1 and so fall
/// under the second condition.
fn acceptable_point(encoded: &[u8; 32]) -> bool {
    let mut y = *encoded;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    is_below_p(&y) && !SMALL_ORDER_Y.contains(&y)
}

/// Little-endian comparison with p = 2^255 - 19.
fn is_below_p(y: &[u8; 32]) -> bool {
    y.iter().rev().cmp(FIELD_P.iter().rev()) == std::cmp::Ordering::Less
}

const FIELD_P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

const SMALL_ORDER_Y: [[u8; 32]; 5] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = FIELD_P;
    minus_one[0] = 0xec;
    [
        [0; 32],
        one,
        minus_one,
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

macro_rules! hex_bytes {
    ($name:ident, $length:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $length];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok($name(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_bytes!(PublicKey, 32);
hex_bytes!(Signature, 64);

#[cfg(test)]
mod tests;
