//! Numbers with a meaning: slots, views, epochs, validators. Newtypes, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{Decode, DecodeError, Encode, Reader};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one; the largest stays where it is.
            #[must_use]
            pub const fn next(self) -> Self {
                $name(self.0.saturating_add(1))
            }

            /// The number `count` after this one; never past the largest.
            #[must_use]
            pub const fn plus(self, count: $inner) -> Self {
                $name(self.0.saturating_add(count))
            }

            /// The number before this one; 0 stays 0.
            #[must_use]
            pub const fn previous(self) -> Self {
                $name(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", stringify!($name), self.0)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Decode::decode(input).map($name)
            }
        }
    };
}

number!(
    /// One consensus instance, and the height of the block that it decides. Genesis is slot 0.
    Slot(u64)
);
number!(
    /// A period under one leader, from 0 within its epoch.
    View(u64)
);
number!(
    /// A period under one set of validators and constants, from 0.
    Epoch(u32)
);
number!(
    /// A validator's place in the genesis file, from 0: its acceptor and, co-located, its proposer. Also the number of a process
    /// of the network, where edge proposers follow upon the validators, and the place of such a proposer among its like:
    /// [`crate::validators::ValidatorSet`] says which is which.
    ValidatorId(u16)
);

impl ValidatorId {
    /// The place as an index into a list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of validators, one bit each; at most [`SignerSet::CAPACITY`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SignerSet(pub u64);

impl SignerSet {
    /// The most validators that a set can name.
    pub const CAPACITY: u16 = 64;

    /// Adds `id`.
    ///
    /// **Returns** whether it was absent (and can be named at all).
    pub fn insert(&mut self, id: ValidatorId) -> bool {
        let bit = Self::bit(id);
        let absent = bit != 0 && self.0 & bit == 0;
        self.0 |= bit;
        absent
    }

    /// Whether `id` is in the set.
    pub fn contains(self, id: ValidatorId) -> bool {
        self.0 & Self::bit(id) != 0
    }

    /// Number of members.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = ValidatorId> {
        (0..Self::CAPACITY).map(ValidatorId).filter(move |id| self.contains(*id))
    }

    fn bit(id: ValidatorId) -> u64 {
        1u64.checked_shl(u32::from(id.0)).unwrap_or(0)
    }
}

impl FromIterator<ValidatorId> for SignerSet {
    fn from_iter<I: IntoIterator<Item = ValidatorId>>(ids: I) -> Self {
        let mut set = SignerSet::default();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

impl fmt::Debug for SignerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Encode for SignerSet {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for SignerSet {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(input).map(SignerSet)
    }
}
