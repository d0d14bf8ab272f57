//! The state that was read or written last, in memory: most transactions touch entries that others just touched, and a
//! look-up in the database costs some microseconds of waiting for memory.
//!
//! It never answers otherwise than the database would: a commit puts its changes in after they are written, and what a
//! reader found in the database is taken in only if no commit came in between.

#[expect(clippy::disallowed_types, reason = "looked up, never iterated")]
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;

/// Parts, each behind a lock of its own.
const SHARDS: usize = 16;
/// Keys and values of one part and generation. **Units**: bytes.
const GENERATION_BYTES: usize = 1 << 20;
/// What an entry costs beside its bytes.
const ENTRY_BYTES: usize = 64;

/// The bytes of an entry; none where there is no such entry.
type Value = Option<Vec<u8>>;

/// A bounded copy of a part of the state.
#[derive(Debug)]
pub(super) struct StateCache {
    shards: Vec<RwLock<Shard>>,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "looked up, never iterated")]
struct Shard {
    young: HashMap<Vec<u8>, Value, RandomState>,
    old: HashMap<Vec<u8>, Value, RandomState>,
    young_bytes: usize,
    /// Rises with every change of the state in this part.
    version: u64,
}

/// A look-up.
pub(super) enum Found {
    /// The entry, or that there is none.
    Known(Value),
    /// The database has to say; what it says is taken in with this version.
    Unknown(u64),
}

impl StateCache {
    pub(super) fn new() -> Self {
        StateCache { shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }

    /// Looks a key up.
    pub(super) fn find(&self, key: &[u8]) -> Found {
        let Some(shard) = self.shard(key) else { return Found::Unknown(0) };
        let shard = read(shard);
        match shard.young.get(key).or_else(|| shard.old.get(key)) {
            Some(value) => Found::Known(value.clone()),
            None => Found::Unknown(shard.version),
        }
    }

    /// Takes in what the database said, unless the part changed since `version`.
    pub(super) fn learn(&self, key: &[u8], value: &Value, version: u64) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = write(shard);
        if shard.version == version {
            shard.put(key, value);
        }
    }

    /// Takes in a change that was written.
    pub(super) fn change(&self, key: &[u8], value: &Value) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = write(shard);
        shard.version = shard.version.wrapping_add(1);
        shard.put(key, value);
    }

    /// The whole state is another one.
    pub(super) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = write(shard);
            *shard = Shard { version: shard.version.wrapping_add(1), ..Shard::default() };
        }
    }

    fn shard(&self, key: &[u8]) -> Option<&RwLock<Shard>> {
        let sum = key.iter().fold(0_usize, |sum, byte| sum.wrapping_add(usize::from(*byte)));
        self.shards.get(sum % SHARDS)
    }
}

impl Shard {
    fn put(&mut self, key: &[u8], value: &Value) {
        let size = |value: &Value| ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len);
        if let Some(present) = self.young.get_mut(key) {
            let bytes = self.young_bytes + size(value) - size(present);
            if bytes <= GENERATION_BYTES {
                // Into the room of what was there.
                present.clone_from(value);
                self.young_bytes = bytes;
                return;
            }
        }
        if self.young_bytes + size(value) > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += size(value);
        self.young.insert(key.to_vec(), value.clone());
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    // A thread that panicked left the part whole: what it holds is true or absent.
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(cache: &StateCache, key: &[u8]) -> Option<Value> {
        match cache.find(key) {
            Found::Known(value) => Some(value),
            Found::Unknown(_) => None,
        }
    }

    fn version(cache: &StateCache, key: &[u8]) -> u64 {
        match cache.find(key) {
            Found::Unknown(version) => version,
            Found::Known(_) => panic!("known already"),
        }
    }

    #[test]
    fn what_a_reader_found_before_a_commit_is_not_taken_in_after_it() {
        let cache = StateCache::new();
        let before = version(&cache, b"key");
        cache.change(b"key", &Some(b"new".to_vec()));
        cache.learn(b"key", &Some(b"old".to_vec()), before);
        assert_eq!(known(&cache, b"key"), Some(Some(b"new".to_vec())));
    }

    #[test]
    fn what_a_reader_found_is_remembered_even_that_it_is_absent() {
        let cache = StateCache::new();
        cache.learn(b"key", &None, version(&cache, b"key"));
        assert_eq!(known(&cache, b"key"), Some(None));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_change_stays() {
        let cache = StateCache::new();
        let key = |i: u32| i.to_be_bytes();
        for i in 0..100_000 {
            cache.change(&key(i), &Some(vec![0; 1_000]));
        }
        let held: usize = cache.shards.iter().map(|shard| read(shard).young_bytes).sum();
        assert!(held <= SHARDS * GENERATION_BYTES, "{held} bytes");
        assert_eq!(known(&cache, &key(99_999)), Some(Some(vec![0; 1_000])));
        assert_eq!(known(&cache, &key(0)), None);
    }

    #[test]
    fn memory_is_bounded_though_what_is_there_grows() {
        let cache = StateCache::new();
        let key = |i: u32| i.to_be_bytes();
        // So many fit while they are small, and do not when they have grown.
        for bytes in [10, 1_000, 100] {
            for i in 0..100_000 {
                cache.change(&key(i), &Some(vec![0; bytes]));
                assert_eq!(known(&cache, &key(i)), Some(Some(vec![0; bytes])), "{i}");
            }
            for shard in cache.shards.iter().map(read) {
                let size = |(key, value): (&Vec<u8>, &Value)| {
                    ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len)
                };
                assert_eq!(shard.young_bytes, shard.young.iter().map(size).sum::<usize>());
                assert!(shard.young_bytes <= GENERATION_BYTES);
            }
        }
    }
}
