//! The two hash functions of the chain and the digest that both return.
//!
//! **Source**: consensus specification, section 2. `H` (SHA3-256) covers everything that is signed or
//! chained; `M` (SHA-256) covers the inside of the Merkle trees, the hot path, where processors help.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A 32-byte hash value. Shown, parsed and serialised as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of all zero bytes; never the hash of anything.
    pub const ZERO: Digest = Digest([0; 32]);

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal digits, for logs.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Digest(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `H(tag, x) = SHA3-256(u8 len(tag) | tag | x)`, with `x` given in parts that are concatenated.
pub fn h(tag: &'static str, parts: &[&[u8]]) -> Digest {
    finish::<sha3::Sha3_256>(tag, parts)
}

/// `M(tag, x) = SHA-256(u8 len(tag) | tag | x)`, with `x` given in parts that are concatenated.
pub fn m(tag: &'static str, parts: &[&[u8]]) -> Digest {
    finish::<sha2::Sha256>(tag, parts)
}

/// Plain SHA-256: the hash of the transactions' own wire format, never of anything of ours.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

fn finish<D>(tag: &'static str, parts: &[&[u8]]) -> Digest
where
    D: sha2::Digest<OutputSize = sha2::digest::consts::U32>,
{
    // Tags are literals of this crate; one longer than 255 bytes would not be injective.
    debug_assert!(tag.len() <= usize::from(u8::MAX));
    let tag_length = u8::try_from(tag.len()).unwrap_or(u8::MAX);
    let mut hasher = D::new();
    hasher.update([tag_length]);
    hasher.update(tag.as_bytes());
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}
