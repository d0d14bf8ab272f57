//! The aggregated Bulletproof range proof: that each of two or four commitments is to a number below 2³².
//!
//! The prover is that of the `bulletproofs` crate. Its verifier cannot take part in a batch, so here is one that says the
//! same things in the same transcript and adds its two equations to a common sum; a test compares the two on valid and
//! on altered proofs. **Source**: Bünz and others, "Bulletproofs" (2018), sections 4.2 and 6.2, and the crate's notes.
//!
//! The words of a proof: A, S, T1, T2; t, its blinding, the blinding of the inner product; L and R of each round; a, b.

use bulletproofs::RangeProof;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use rand_core_06::{CryptoRng, RngCore};

use crate::batch::Sum;
use crate::encoding::{PointBytes, ScalarBytes, scalar};
use crate::error::Refusal;
use crate::generators::{BITS, Generators};
use crate::transcript::Transcript;

/// Words of a proof that are not of a round.
const FIXED: usize = 9;

/// A proof whose challenges are known.
pub(crate) struct Replayed {
    /// The commitments V.
    numbers: Vec<RistrettoPoint>,
    bits: Bits,
    polynomial: Polynomial,
    inner: Inner,
}

/// The commitments to the bits, and the challenges to them.
struct Bits {
    a: RistrettoPoint,
    s: RistrettoPoint,
    y: Scalar,
    y_inverse: Scalar,
    z: Scalar,
}

/// The polynomial t(X) and its value at the challenge x.
struct Polynomial {
    t1: RistrettoPoint,
    t2: RistrettoPoint,
    x: Scalar,
    t: Scalar,
    t_blinding: Scalar,
    inner_blinding: Scalar,
}

/// The inner product argument.
struct Inner {
    w: Scalar,
    rounds: Vec<Round>,
    a: Scalar,
    b: Scalar,
}

struct Round {
    left: RistrettoPoint,
    right: RistrettoPoint,
    u: Scalar,
    u_inverse: Scalar,
}

/// Words of a proof over this many numbers.
pub(crate) fn words(numbers: usize) -> usize {
    if numbers == 0 { 0 } else { rounds(numbers).saturating_mul(2).saturating_add(FIXED) }
}

fn rounds(numbers: usize) -> usize {
    usize::try_from(numbers.saturating_mul(BITS).max(1).ilog2()).unwrap_or(usize::MAX)
}

/// Proves that the numbers are in range. Their commitments are those of these blindings.
///
/// **Errors**: none for two or four numbers.
pub(crate) fn prove(
    transcript: &mut merlin::Transcript,
    numbers: &[u64],
    blindings: &[Scalar],
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Vec<[u8; 32]>, Refusal> {
    let all = Generators::get();
    let (proof, _) = RangeProof::prove_multiple_with_rng(
        &all.bulletproof,
        &all.pedersen,
        transcript,
        numbers,
        blindings,
        BITS,
        rng,
    )
    .map_err(|_| Refusal::Shape {
        what: "numbers",
        seen: numbers.len(),
        expected: crate::generators::NUMBERS_MAX,
    })?;
    Ok(proof.to_bytes().chunks_exact(32).filter_map(|word| word.try_into().ok()).collect())
}

/// Words in the order in which the proof says them.
struct Speaker<'a, T> {
    transcript: &'a mut T,
    words: std::slice::Iter<'a, [u8; 32]>,
}

impl<T: Transcript> Speaker<'_, T> {
    fn next(&mut self) -> ScalarBytes {
        self.words.next().copied().unwrap_or_default()
    }

    fn point(&mut self, label: &'static [u8]) -> Result<RistrettoPoint, Refusal> {
        let bytes = self.next();
        self.transcript.append(label, &bytes);
        PointBytes(bytes).to_nonzero_point("point of the range proof")
    }

    fn scalar(&mut self, label: &'static [u8]) -> Result<Scalar, Refusal> {
        let bytes = self.next();
        self.transcript.append(label, &bytes);
        scalar(&bytes, "scalar of the range proof")
    }
}

/// Repeats the prover's words over these commitments.
///
/// **Errors**: not as many words as there must be, not points and scalars, or a point that is the identity.
pub(crate) fn replay<T: Transcript>(
    transcript: &mut T,
    numbers: &[(PointBytes, RistrettoPoint)],
    proof: &[[u8; 32]],
) -> Result<Replayed, Refusal> {
    if proof.len() != words(numbers.len()) {
        let (seen, expected) = (proof.len(), words(numbers.len()));
        return Err(Refusal::Shape { what: "words of the range proof", seen, expected });
    }
    let size = numbers.len().saturating_mul(BITS);
    transcript.append(b"dom-sep", b"rangeproof v1");
    transcript.append_u64(b"n", u64::try_from(BITS).unwrap_or(u64::MAX));
    transcript.append_u64(b"m", u64::try_from(numbers.len()).unwrap_or(u64::MAX));
    numbers.iter().for_each(|(bytes, _)| transcript.append(b"V", &bytes.0));
    let mut speaker = Speaker { transcript, words: proof.iter() };
    let (a, s) = (speaker.point(b"A")?, speaker.point(b"S")?);
    let (y, z) = (speaker.transcript.challenge(b"y"), speaker.transcript.challenge(b"z"));
    let (t1, t2) = (speaker.point(b"T_1")?, speaker.point(b"T_2")?);
    let x = speaker.transcript.challenge(b"x");
    let (t, t_blinding) = (speaker.scalar(b"t_x")?, speaker.scalar(b"t_x_blinding")?);
    let inner_blinding = speaker.scalar(b"e_blinding")?;
    let w = speaker.transcript.challenge(b"w");
    speaker.transcript.append(b"dom-sep", b"ipp v1");
    speaker.transcript.append_u64(b"n", u64::try_from(size).unwrap_or(u64::MAX));
    let mut rounds_of = Vec::new();
    for _ in 0..rounds(numbers.len()) {
        let (left, right) = (speaker.point(b"L")?, speaker.point(b"R")?);
        let u = speaker.transcript.challenge(b"u");
        rounds_of.push(Round { left, right, u, u_inverse: Scalar::ZERO });
    }
    // Nothing is drawn after these two; the weights of the batch depend on them.
    let (a_end, b_end) = (speaker.next(), speaker.next());
    let mut replayed = Replayed {
        numbers: numbers.iter().map(|(_, point)| *point).collect(),
        bits: Bits { a, s, y, y_inverse: Scalar::ZERO, z },
        polynomial: Polynomial { t1, t2, x, t, t_blinding, inner_blinding },
        inner: Inner {
            w,
            rounds: rounds_of,
            a: scalar(&a_end, "scalar of the range proof")?,
            b: scalar(&b_end, "scalar of the range proof")?,
        },
    };
    replayed.invert()?;
    Ok(replayed)
}

impl Replayed {
    /// Inverts y and each u, at the price of one inversion.
    fn invert(&mut self) -> Result<(), Refusal> {
        let mut all: Vec<Scalar> = self.inner.rounds.iter().map(|it| it.u).collect();
        all.push(self.bits.y);
        // A hash that is zero: nobody will see one, and it has no inverse.
        if all.contains(&Scalar::ZERO) {
            return Err(Refusal::DoesNotHold);
        }
        Scalar::batch_invert(&mut all);
        self.bits.y_inverse = all.pop().unwrap_or_default();
        self.inner.rounds.iter_mut().zip(all).for_each(|(round, inverse)| round.u_inverse = inverse);
        Ok(())
    }

    /// Adds the two equations, each times a weight of its own: that t(x) is what T1, T2 and the commitments say, and that
    /// it is the inner product of the committed vectors.
    pub(crate) fn add_to(self, sum: &mut Sum, weight: &mut impl FnMut() -> Scalar) {
        let (weight_inner, weight_value) = (weight(), weight());
        self.add_value(sum, weight_value);
        self.add_inner(sum, weight_inner);
    }

    fn add_value(&self, sum: &mut Sum, weight: Scalar) {
        let Polynomial { t1, t2, x, t, t_blinding, .. } = self.polynomial;
        sum.add(weight * x, t1);
        sum.add(weight * x * x, t2);
        sum.blinding -= weight * t_blinding;
        sum.value += weight * (self.delta() - t);
        let mut factor = weight * self.bits.z * self.bits.z;
        for number in &self.numbers {
            sum.add(factor, *number);
            factor *= self.bits.z;
        }
    }

    /// `(z - z²)·Σ yⁱ - z³·(2ⁿ - 1)·Σ zʲ`: what t(x) owes to the challenges alone.
    fn delta(&self) -> Scalar {
        let Bits { y, z, .. } = self.bits;
        let powers_of_y = sum_of_powers(y, self.numbers.len().saturating_mul(BITS));
        let powers_of_z = sum_of_powers(z, self.numbers.len());
        let all_bits = Scalar::from(u32::MAX);
        (z - z * z) * powers_of_y - z * z * z * all_bits * powers_of_z
    }

    fn add_inner(&self, sum: &mut Sum, weight: Scalar) {
        let Inner { w, a, b, .. } = self.inner;
        sum.add(weight, self.bits.a);
        sum.add(weight * self.polynomial.x, self.bits.s);
        for round in &self.inner.rounds {
            sum.add(weight * round.u * round.u, round.left);
            sum.add(weight * round.u_inverse * round.u_inverse, round.right);
        }
        sum.blinding -= weight * self.polynomial.inner_blinding;
        sum.value += weight * w * (self.polynomial.t - a * b);

        let folded = self.folded();
        let (weighted_z, weighted_a, weighted_b) = (weight * self.bits.z, weight * a, weight * b);
        for (base, folded) in sum.left.iter_mut().zip(&folded) {
            *base -= weighted_z + weighted_a * folded;
        }
        // The reverse of the folded factors is their inverse.
        let mut inverse_of_y = Scalar::ONE;
        let mut power_of_z = weight * self.bits.z * self.bits.z;
        let mut inverses = folded.iter().rev();
        for bases in sum.right.chunks_mut(BITS) {
            let mut bit = power_of_z;
            for (base, inverse) in bases.iter_mut().zip(&mut inverses) {
                *base += weighted_z + inverse_of_y * (bit - weighted_b * inverse);
                inverse_of_y *= self.bits.y_inverse;
                bit += bit;
            }
            power_of_z *= self.bits.z;
        }
    }

    /// What the rounds made of each base: the products of u or its inverse, by the bits of the place.
    fn folded(&self) -> Vec<Scalar> {
        let mut folded = vec![self.inner.rounds.iter().map(|it| it.u_inverse).product()];
        for round in self.inner.rounds.iter().rev() {
            let square = round.u * round.u;
            let upper: Vec<Scalar> = folded.iter().map(|it: &Scalar| it * square).collect();
            folded.extend(upper);
        }
        folded
    }
}

/// `1 + x + … + x^(count-1)`, for a power of two.
fn sum_of_powers(x: Scalar, count: usize) -> Scalar {
    let (mut sum, mut power) = (Scalar::ONE, x);
    for _ in 0..count.max(1).ilog2() {
        sum *= Scalar::ONE + power;
        power *= power;
    }
    sum
}
