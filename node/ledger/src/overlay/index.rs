//! Finds a cell by the hash of its name.
//!
//! A name takes 152 bytes; a table of names would be most of what a block touches. So the table has hashes alone, cells
//! with the same one are chained, and whoever looks compares the name in the cell. What is found never depends on the
//! hash; its secret key keeps clients from choosing accounts that share one.

#[expect(clippy::disallowed_types, reason = "finds a cell by its hash; never iterated")]
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use foldhash::fast::RandomState;

use crate::key::StateKey;

/// The first cell of each hash.
#[derive(Default)]
pub(super) struct Index {
    secret: RandomState,
    #[expect(clippy::disallowed_types, reason = "finds a cell by its hash; never iterated")]
    first: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
}

impl Index {
    pub(super) fn hash(&self, key: &StateKey) -> u64 {
        self.secret.hash_one(key)
    }

    pub(super) fn first(&self, hash: u64) -> Option<usize> {
        self.first.get(&hash).copied()
    }

    pub(super) fn put_first(&mut self, hash: u64, cell: usize) {
        self.first.insert(hash, cell);
    }

    pub(super) fn reserve(&mut self, cells: usize) {
        self.first.reserve(cells);
    }
}

/// A hasher for what is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
