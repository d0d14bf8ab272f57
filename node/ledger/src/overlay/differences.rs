//! What a block leaves behind: the entries that differ from the state.

use super::Cell;
use crate::entry::StateValue;
use crate::key::{StateKey, TYPICAL_BYTES};
use crate::state::StateDelta;

/// The entries that differ from the state.
pub struct Differences(pub(super) Vec<Cell>);

impl Differences {
    /// The entries as (name, before, now), in the order in which they were first used.
    pub fn iter(&self) -> impl Iterator<Item = (&StateKey, Option<&StateValue>, Option<&StateValue>)> {
        self.0.iter().map(|cell| (&cell.key, cell.original.as_deref(), cell.current.as_deref()))
    }

    /// The entries as bytes.
    pub fn into_delta(self) -> StateDelta {
        let mut scratch = Vec::with_capacity(TYPICAL_BYTES);
        let mut entries: Vec<_> = self
            .0
            .iter()
            .map(|cell| {
                let key = exactly(&mut scratch, |bytes| cell.key.append_to(bytes));
                let value = cell.current.as_deref();
                let value = value.map(|value| exactly(&mut scratch, |bytes| value.append_to(bytes)));
                (Beginning::of(&key), key, value)
            })
            .collect();
        // A map is built from what is in order at a fraction of the cost, and the beginnings part nearly all keys without
        // a look at the keys themselves.
        entries.sort_unstable_by(|(one, one_key, _), (other, other_key, _)| {
            one.cmp(other).then_with(|| one_key.cmp(other_key))
        });
        entries.into_iter().map(|(_, key, value)| (key, value)).collect()
    }
}

/// The first bytes of a key, as numbers that are in the order of the bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Beginning([u64; 3]);

impl Beginning {
    /// A key that ends before stands as if zeros followed: where that makes two alike, the keys decide.
    fn of(key: &[u8]) -> Self {
        let mut words = [0; 3];
        for (word, bytes) in words.iter_mut().zip(key.chunks(size_of::<u64>())) {
            let mut whole = [0; size_of::<u64>()];
            whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            *word = u64::from_be_bytes(whole);
        }
        Beginning(words)
    }
}

/// What is appended, with room for no more: a block's changes are kept for a while.
fn exactly(scratch: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    scratch.clear();
    append(scratch);
    scratch.as_slice().to_vec()
}
