//! What a transaction carries that is either valid or not, by its own bytes alone: a signature, or a proof.
//!
//! Such a check is expensive, needs no state and has one answer everywhere, so admission does it ahead, many at a time,
//! and remembers the answer until the block. All of that is the same for a signature and for a proof; this is the one
//! trait that both implement.

use std::ops::Range;

use crate::Digest;

/// Something a stranger asserts, with all that is needed to check it: a view, cheap to copy.
pub trait Verifiable: Copy {
    /// Most of one batch: beyond, a larger one saves nothing more.
    const BATCH_MAX: usize;
    /// Fewer than this are no cheaper together.
    const BATCH_MIN: usize;
    /// A batch that fails is halved if it has at least as many; the members of a smaller one are left to be checked singly.
    const HALVED_MIN: usize;

    /// What is remembered from one batch to the next to make it cheaper. It changes no answer.
    type Memory: Default;

    /// Names the assertion: a hash over every byte that the check reads, and over its kind, so that nothing of one
    /// kind can have the name of something of another.
    fn id(self) -> Digest;

    /// Whether it is valid. The same answer on every validator, at every time.
    fn is_valid(self) -> bool;

    /// Whether *every* one is valid, at a fraction of the cost. Must agree with [`Verifiable::is_valid`], but for a
    /// chance that nobody can aim at.
    fn all_valid(batch: &[Self], memory: &mut Self::Memory) -> bool;
}

/// Finds valid ones among many, in batches, and hands their places to `found`.
///
/// Says nothing of the others: a batch with a wrong one in it is halved until it is small, so that nobody's wrong
/// assertions cost much more than before, and what remains is checked when it is asked for. `checked` is told the size
/// of each batch that was computed.
pub fn check_ahead<V: Verifiable>(
    all: &[V],
    memory: &mut V::Memory,
    checked: &mut impl FnMut(usize),
    found: &mut impl FnMut(Range<usize>),
) {
    let mut first = 0_usize;
    // A kind that named a batch of none would never end.
    for batch in all.chunks(V::BATCH_MAX.max(1)) {
        halve(batch, first, memory, checked, found);
        first = first.saturating_add(batch.len());
    }
}

fn halve<V: Verifiable>(
    batch: &[V],
    first: usize,
    memory: &mut V::Memory,
    checked: &mut impl FnMut(usize),
    found: &mut impl FnMut(Range<usize>),
) {
    if batch.len() < V::BATCH_MIN {
        return;
    }
    checked(batch.len());
    if V::all_valid(batch, memory) {
        found(first..first.saturating_add(batch.len()));
    } else if batch.len() >= V::HALVED_MIN.max(2) {
        let half = batch.len() / 2;
        let (front, back) = batch.split_at(half);
        halve(front, first, memory, checked, found);
        halve(back, first.saturating_add(half), memory, checked, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Valid unless it is a multiple of 1,000.
    #[derive(Clone, Copy)]
    struct Number(u32);

    impl Verifiable for Number {
        const BATCH_MAX: usize = 256;
        const BATCH_MIN: usize = 3;
        const HALVED_MIN: usize = 8;

        type Memory = ();

        fn id(self) -> Digest {
            crate::hash::sha256(&[b"number", &self.0.to_be_bytes()])
        }

        fn is_valid(self) -> bool {
            !self.0.is_multiple_of(1_000)
        }

        fn all_valid(batch: &[Self], (): &mut ()) -> bool {
            batch.iter().all(|it| it.is_valid())
        }
    }

    fn found_among(numbers: std::ops::Range<u32>) -> (Vec<u32>, Vec<usize>) {
        let all: Vec<Number> = numbers.map(Number).collect();
        let (mut batches, mut found) = (Vec::new(), Vec::new());
        check_ahead(&all, &mut (), &mut |size| batches.push(size), &mut |places| {
            found.extend(all[places].iter().map(|it| it.0));
        });
        (found, batches)
    }

    #[test]
    fn valid_ones_are_found_batch_by_batch() {
        let (found, batches) = found_among(1..601);
        assert_eq!(found, (1..601).collect::<Vec<_>>());
        assert_eq!(batches, [256, 256, 88]);
    }

    #[test]
    fn wrong_one_hides_only_its_small_batch() {
        let (found, batches) = found_among(900..1_100);
        assert!((900..1_100).filter(|it| !found.contains(it)).collect::<Vec<_>>().contains(&1_000));
        assert_eq!(found.len(), 194, "the other members of its batch of six are left");
        assert_eq!(batches, [200, 100, 100, 50, 25, 12, 6, 6, 13, 25, 50]);
    }

    #[test]
    fn fewer_than_a_batch_are_left_alone() {
        assert_eq!(found_among(1..3), (vec![], vec![]));
    }
}
