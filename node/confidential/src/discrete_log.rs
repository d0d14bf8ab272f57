//! From `v·G` back to `v`, for v below 2³²: baby steps and giant steps.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;

use crate::generators::Generators;

/// Points whose encodings are computed together: one inversion for all.
const BATCH: u32 = 256;
const BITS: u32 = 32;

/// The baby steps: all `2·i·G` for i below a power of two. The more, the fewer giant steps.
pub struct Table {
    /// The first bytes of each encoding, and i. Sorted.
    steps: Vec<(u64, u32)>,
    bits: u32,
}

impl Table {
    /// A table of `2^bits` steps, 16 bytes each; a search takes `2^(32 - bits)` steps at most. Between 8 and 24.
    pub fn new(bits: u32) -> Self {
        let bits = bits.clamp(8, 24);
        let mut steps = Vec::new();
        walk(RistrettoPoint::identity(), Generators::value(), 1 << bits, |index, start| {
            steps.push((start, index));
            None::<()>
        });
        steps.sort_unstable();
        Table { steps, bits }
    }

    /// v, if it is below 2³².
    pub fn find(&self, point: &RistrettoPoint) -> Option<u32> {
        let step = -(Scalar::from(1_u64 << self.bits) * Generators::value());
        walk(*point, step, 1 << BITS.saturating_sub(self.bits), |giant, start| {
            let first = self.steps.partition_point(|(known, _)| *known < start);
            let fitting = self.steps.iter().skip(first).take_while(|(known, _)| *known == start);
            // The table knows the first bytes only.
            fitting
                .map(|(_, baby)| (giant << self.bits) | baby)
                .find(|value| Scalar::from(*value) * Generators::value() == *point)
        })
    }
}

/// Visits `start + i·step` for i below `count`, each by the first bytes of the encoding of its double (which is
/// cheaper to compute, and no two points have the same double), until the visitor finds something.
fn walk<T>(
    start: RistrettoPoint,
    step: RistrettoPoint,
    count: u32,
    mut visit: impl FnMut(u32, u64) -> Option<T>,
) -> Option<T> {
    let mut next = start;
    for first in (0..count).step_by(BATCH as usize) {
        let size = BATCH.min(count.saturating_sub(first));
        let mut points = Vec::new();
        for _ in 0..size {
            points.push(next);
            next += step;
        }
        for (index, encoding) in (first..).zip(RistrettoPoint::double_and_compress_batch(&points)) {
            let [a, b, c, d, e, f, g, h, ..] = encoding.to_bytes();
            if let Some(found) = visit(index, u64::from_be_bytes([a, b, c, d, e, f, g, h])) {
                return Some(found);
            }
        }
    }
    None
}
