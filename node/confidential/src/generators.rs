//! The bases of all commitments. Nobody knows a relation between them: all but the first are hashes to the group.

use std::sync::LazyLock;

use bulletproofs::{BulletproofGens, PedersenGens};
use curve25519_dalek::ristretto::RistrettoPoint;
use sha3_xof::Shake256;
use sha3_xof::digest::{ExtendableOutput, Update, XofReader};

/// Bits of a chunk, and of each number in a range proof.
pub(crate) const BITS: usize = 32;
/// Most numbers of one range proof.
pub(crate) const NUMBERS_MAX: usize = 4;

/// The bases, computed once.
pub(crate) struct Generators {
    /// G, the base of values, and H, the base of blindings.
    pub pedersen: PedersenGens,
    /// The library's bases of range proofs, for its prover.
    pub bulletproof: BulletproofGens,
    /// The same bases for our verifier, those of the first number first: the left halves.
    pub left: Vec<RistrettoPoint>,
    /// The right halves.
    pub right: Vec<RistrettoPoint>,
}

impl Generators {
    /// The bases.
    pub(crate) fn get() -> &'static Generators {
        static GENERATORS: LazyLock<Generators> = LazyLock::new(|| Generators {
            pedersen: PedersenGens::default(),
            bulletproof: BulletproofGens::new(BITS, NUMBERS_MAX),
            left: chain(b'G'),
            right: chain(b'H'),
        });
        &GENERATORS
    }

    /// G, the base of values.
    pub(crate) fn value() -> RistrettoPoint {
        Generators::get().pedersen.B
    }

    /// H, the base of blindings.
    pub(crate) fn blinding() -> RistrettoPoint {
        Generators::get().pedersen.B_blinding
    }
}

/// The chains of the `bulletproofs` crate: SHAKE256 over a label and the number's index. The crate shows only one half
/// of them; a wrong base here would refuse every proof that its prover makes.
fn chain(half: u8) -> Vec<RistrettoPoint> {
    let numbers = 0..u32::try_from(NUMBERS_MAX).unwrap_or(u32::MAX);
    let bases = |number: u32| {
        let mut shake = Shake256::default();
        shake.update(b"GeneratorsChain");
        shake.update(&[half]);
        shake.update(&number.to_le_bytes());
        let mut reader = shake.finalize_xof();
        (0..BITS).map(move |_| {
            let mut uniform = [0; 64];
            reader.read(&mut uniform);
            RistrettoPoint::from_uniform_bytes(&uniform)
        })
    };
    numbers.flat_map(bases).collect()
}
