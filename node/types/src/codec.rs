//! The one codec of everything that is signed, hashed, journaled or sent between validators.
//!
//! Integers big-endian; a list is a u32 count (limited by its element type) and its elements; an option is a
//! u8 0 or 1; no padding, no maps, trailing bytes refused. Every value has exactly one encoding.
//! **Source**: consensus specification, section 2.

use std::sync::Arc;

use thiserror::Error;

use crate::{Digest, PublicKey, Signature, merkle};

/// Writes the one encoding of a value.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding as a buffer of its own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Reads a value from its one encoding.
pub trait Decode: Sized {
    /// Reads one value from the front of `input`.
    ///
    /// **Errors**: any byte string that [`Encode`] could not have produced.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that fills `bytes` exactly.
    ///
    /// **Errors**: as [`Decode::decode`], and [`DecodeError::Trailing`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        match input.remaining() {
            0 => Ok(value),
            bytes => Err(DecodeError::Trailing { bytes }),
        }
    }
}

/// A type that may stand in a list, with the most elements that a list of it may have.
pub trait ListItem {
    /// The limit; a longer list is refused before anything is allocated for it.
    const COUNT_MAX: u32;
}

/// Why bytes are not the encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ends inside the value.
    #[error("truncated: {needed} more bytes expected, {left} left")]
    Truncated {
        /// Bytes that the next field needs.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// Bytes follow the value.
    #[error("{bytes} bytes follow the value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A discriminant that stands for nothing.
    #[error("{what}: unknown tag {value}")]
    Tag {
        /// The type being read.
        what: &'static str,
        /// The tag seen.
        value: u8,
    },
    /// A count or length over its limit.
    #[error("{what}: {value} is over the limit of {limit}")]
    TooLong {
        /// The type being read.
        what: &'static str,
        /// The count or length seen.
        value: u32,
        /// The most that is allowed.
        limit: u32,
    },
    /// A value that is well-formed but has another, canonical, encoding or breaks a rule of its type.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Bytes being read, front to back.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    ///
    /// **Errors**: [`DecodeError::Truncated`].
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let left = self.rest.len();
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(DecodeError::Truncated { needed: count, left })?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// **Errors**: [`DecodeError::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| DecodeError::Truncated { needed: N, left: taken.len() })
    }

    /// Takes these bytes if they come next.
    ///
    /// **Returns** whether they did.
    pub fn take_if(&mut self, expected: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A u32 count, refused above `limit`.
    ///
    /// **Errors**: [`DecodeError::TooLong`], [`DecodeError::Truncated`].
    pub fn count(&mut self, what: &'static str, limit: u32) -> Result<usize, DecodeError> {
        let value = u32::decode(self)?;
        if value > limit {
            return Err(DecodeError::TooLong { what, value, limit });
        }
        usize::try_from(value).map_err(|_| DecodeError::TooLong { what, value, limit })
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(<$type>::from_be_bytes(input.array()?))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i64);

macro_rules! byte_arrays {
    ($($type:ident),*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok($type(input.array()?))
            }
        }
    )*};
}

byte_arrays!(Digest, PublicKey, Signature);

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(input)?)),
            value => Err(DecodeError::Tag { what: "option", value }),
        }
    }
}

impl<T: Encode> Encode for [T] {
    /// **Panics** if there are 2^32 elements or more; every list's limit is far below.
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.len(), out);
        self.iter().for_each(|item| item.encode(out));
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
}

impl<T: Decode + ListItem> Decode for Vec<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.count(short_type_name::<T>(), T::COUNT_MAX)?;
        // Never trust a count with memory: what is allocated ahead is bounded by what was received.
        let mut items = Vec::with_capacity(count.min(input.remaining()));
        for _ in 0..count {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
}

impl<T: Encode> Encode for Arc<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Arc<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(input).map(Arc::new)
    }
}

impl<T: ListItem> ListItem for Arc<T> {
    const COUNT_MAX: u32 = T::COUNT_MAX;
}

impl ListItem for Digest {
    /// Body digests of a batch (64), siblings of a Merkle path (32).
    const COUNT_MAX: u32 = 64;
}

impl ListItem for Signature {
    /// One for each validator of the largest set.
    const COUNT_MAX: u32 = 64;
}

impl Encode for merkle::Path {
    fn encode(&self, out: &mut Vec<u8>) {
        self.sides.encode(out);
        self.siblings.encode(out);
    }
}

impl Decode for merkle::Path {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let path = merkle::Path { sides: Decode::decode(input)?, siblings: Decode::decode(input)? };
        if path.is_canonical() {
            Ok(path)
        } else {
            Err(DecodeError::Invalid("a Merkle path names no side for no sibling"))
        }
    }
}

/// Appends the u32 count of a list or byte string.
///
/// **Panics** at 2^32 or more; every limit is far below.
pub(crate) fn encode_count(count: usize, out: &mut Vec<u8>) {
    #[expect(clippy::expect_used, reason = "lists are bounded by COUNT_MAX, a u32, where they are made")]
    let count = u32::try_from(count).expect("list shorter than 2^32");
    count.encode(out);
}

fn short_type_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

/// Implements [`Encode`] and [`Decode`] for a struct, field by field in the order given.
macro_rules! codec_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $( $crate::codec::Encode::encode(&self.$field, out); )*
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(input: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                Ok($name { $( $field: $crate::codec::Decode::decode(input)? ),* })
            }
        }
    };
}

/// Implements [`Encode`] and [`Decode`] for an enum: a u8 tag, then the variant's one field.
macro_rules! codec_enum {
    ($name:ident { $($tag:literal => $variant:ident),* $(,)? }) => {
        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $( $name::$variant(value) => {
                        out.push($tag);
                        $crate::codec::Encode::encode(value, out);
                    } )*
                }
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(input: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                match <u8 as $crate::codec::Decode>::decode(input)? {
                    $( $tag => Ok($name::$variant($crate::codec::Decode::decode(input)?)), )*
                    value => Err($crate::codec::DecodeError::Tag { what: stringify!($name), value }),
                }
            }
        }
    };
}

pub(crate) use {codec_enum, codec_struct};
