//! Many claims in one multiscalar multiplication.
//!
//! Every equation of every claim is "some sum of points is the identity". Each is multiplied by a weight of its own
//! and all are added up. If one does not hold, the sum is the identity for one in 2²⁵² choices of weights.
//!
//! **The weights** are SHAKE256 over a hash of every byte of every claim in the batch: context, keys, points, and the whole
//! proof. They come from no proof's transcript, and who makes proofs must fix all of them, to the last response, before the
//! weights are known; to try again costs new proofs, and each try has a chance of 2⁻²⁵². No randomness of the machine goes
//! in, so every validator computes the same verdict over the same batch; and since over different batches a valid claim
//! is always taken and an invalid one never (but for that chance), they agree whatever they put together.

use carat_types::Digest;
use carat_types::verifiable::Verifiable;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha3_xof::Shake256;
use sha3_xof::digest::{ExtendableOutput, Update, XofReader};

use crate::claim::Claim;
use crate::error::Refusal;
use crate::generators::Generators;
use crate::proof::replay;

/// Most claims of one batch: beyond, a larger one saves nothing more.
pub const CLAIMS_MAX: usize = 256;

/// Checks that every claim is valid.
///
/// **Errors**: one is not. Of a batch whose parts are well-formed it is not said which: halve it, or ask one by one.
pub fn verify(claims: &[&Claim]) -> Result<(), Refusal> {
    let mut weights = Weights::over(claims);
    let mut sum = Sum::new();
    for claim in claims {
        add(claim, &mut sum, &mut || weights.next())?;
    }
    if sum.vanishes() { Ok(()) } else { Err(Refusal::DoesNotHold) }
}

/// Adds all equations of a claim to the sum.
pub(crate) fn add(claim: &Claim, sum: &mut Sum, weight: &mut impl FnMut() -> Scalar) -> Result<(), Refusal> {
    let statement = claim.statement()?;
    let mut transcript = new_transcript();
    statement.absorb(&mut transcript);
    replay(&mut transcript, &statement, claim.proof())?.add_to(sum, weight);
    Ok(())
}

/// A transcript in which nothing was said.
pub(crate) fn new_transcript() -> merlin::Transcript {
    merlin::Transcript::new(b"carat-confidential/v1")
}

/// The weights of one batch.
struct Weights(<Shake256 as ExtendableOutput>::Reader);

impl Weights {
    fn over(claims: &[&Claim]) -> Self {
        let mut hash = Shake256::default();
        hash.update(b"carat-confidential/weights/v1");
        hash.update(&u64::try_from(claims.len()).unwrap_or(u64::MAX).to_le_bytes());
        for claim in claims {
            let Digest(id) = claim.id();
            hash.update(&id);
        }
        Weights(hash.finalize_xof())
    }

    fn next(&mut self) -> Scalar {
        let mut wide = [0; 64];
        self.0.read(&mut wide);
        Scalar::from_bytes_mod_order_wide(&wide)
    }
}

/// The left side of `Σ scalar·point = identity`. Bases that all claims share have one scalar each.
pub(crate) struct Sum {
    /// Of G, the base of values.
    pub value: Scalar,
    /// Of H, the base of blindings.
    pub blinding: Scalar,
    /// Of the left bases of range proofs.
    pub left: Vec<Scalar>,
    /// Of the right ones.
    pub right: Vec<Scalar>,
    scalars: Vec<Scalar>,
    points: Vec<RistrettoPoint>,
}

impl Sum {
    /// Nothing.
    pub(crate) fn new() -> Self {
        let bases = Generators::get();
        Sum {
            value: Scalar::ZERO,
            blinding: Scalar::ZERO,
            left: vec![Scalar::ZERO; bases.left.len()],
            right: vec![Scalar::ZERO; bases.right.len()],
            scalars: Vec::new(),
            points: Vec::new(),
        }
    }

    /// Adds `scalar·point`.
    pub(crate) fn add(&mut self, scalar: Scalar, point: RistrettoPoint) {
        self.scalars.push(scalar);
        self.points.push(point);
    }

    /// Whether the sum is the identity: whether all equations hold.
    pub(crate) fn vanishes(self) -> bool {
        let bases = Generators::get();
        let own = [self.value, self.blinding];
        let scalars = own.iter().chain(&self.left).chain(&self.right).chain(&self.scalars);
        let own = [bases.pedersen.B, bases.pedersen.B_blinding];
        let points = own.iter().chain(&bases.left).chain(&bases.right).chain(&self.points);
        RistrettoPoint::vartime_multiscalar_mul(scalars, points).is_identity()
    }
}
