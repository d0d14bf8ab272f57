//! The linear-relation proof: a sigma protocol for all rows of a relation at once, with one response for each secret.
//!
//! The prover says `R = Σ nonce·factor·point` for each row, hears a challenge c, and answers `z = nonce + c·secret` for
//! each secret. A row holds if `Σ z·factor·point = R + c·left`.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, MultiscalarMul};
use rand_core_06::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::batch::Sum;
use crate::encoding::{PointBytes, ScalarBytes, scalar};
use crate::error::Refusal;
use crate::generators::Generators;
use crate::relation::{Base, Relation};
use crate::transcript::Transcript;

/// What was said, with its challenge.
pub(crate) struct Replayed {
    commitments: Vec<RistrettoPoint>,
    challenge: Scalar,
    responses: Vec<Scalar>,
}

/// Proves that `secrets` fulfil all rows. Says so in `transcript`, which goes on to the range proof.
pub(crate) fn prove(
    transcript: &mut impl Transcript,
    relation: &Relation,
    points: &[RistrettoPoint],
    secrets: &[Scalar],
    rng: &mut (impl RngCore + CryptoRng),
) -> (Vec<PointBytes>, Vec<ScalarBytes>) {
    let nonces: Zeroizing<Vec<Scalar>> =
        Zeroizing::new(secrets.iter().map(|_| Scalar::random(rng)).collect());
    let mut commitments = Vec::new();
    for row in &relation.rows {
        let (scalars, bases): (Vec<Scalar>, Vec<RistrettoPoint>) = row
            .right
            .iter()
            .filter_map(|(secret, factor, base)| {
                Some((nonces.get(secret.0)? * factor, point(*base, points)?))
            })
            .unzip();
        // Of constant time: the nonces are secret.
        let commitment = PointBytes::from(&RistrettoPoint::multiscalar_mul(&*Zeroizing::new(scalars), bases));
        transcript.append(b"R", &commitment.0);
        commitments.push(commitment);
    }
    let challenge = transcript.challenge(b"c");
    let respond = |(nonce, secret): (&Scalar, &Scalar)| (nonce + challenge * secret).to_bytes();
    let responses: Vec<ScalarBytes> = nonces.iter().zip(secrets).map(respond).collect();
    responses.iter().for_each(|it| transcript.append(b"z", it));
    (commitments, responses)
}

/// Repeats the prover's words.
///
/// **Errors**: not points and scalars, or a commitment that is the identity.
pub(crate) fn replay(
    transcript: &mut impl Transcript,
    commitments: &[PointBytes],
    responses: &[ScalarBytes],
) -> Result<Replayed, Refusal> {
    commitments.iter().for_each(|it| transcript.append(b"R", &it.0));
    let challenge = transcript.challenge(b"c");
    responses.iter().for_each(|it| transcript.append(b"z", it));
    Ok(Replayed {
        commitments: commitments
            .iter()
            .map(|it| it.to_nonzero_point("commitment of a row"))
            .collect::<Result<_, _>>()?,
        challenge,
        responses: responses.iter().map(|it| scalar(it, "response")).collect::<Result<_, _>>()?,
    })
}

impl Replayed {
    /// Adds each row, times a weight of its own.
    pub(crate) fn add_to(
        self,
        relation: &Relation,
        points: &[RistrettoPoint],
        sum: &mut Sum,
        weight: &mut impl FnMut() -> Scalar,
    ) {
        let mut factors = vec![Scalar::ZERO; points.len()];
        let mut add = |sum: &mut Sum, base: Base, factor: Scalar| match base {
            Base::Value => sum.value += factor,
            Base::Blinding => sum.blinding += factor,
            Base::Point(place) => {
                if let Some(known) = factors.get_mut(place) {
                    *known += factor;
                }
            }
        };
        for (row, commitment) in relation.rows.iter().zip(self.commitments) {
            let weight = weight();
            for (secret, factor, base) in &row.right {
                let response = self.responses.get(secret.0).copied().unwrap_or_default();
                add(sum, *base, weight * response * factor);
            }
            let left = -weight * self.challenge;
            for (factor, base) in &row.left {
                add(sum, *base, left * factor);
            }
            sum.add(-weight, commitment);
        }
        for (factor, point) in factors.into_iter().zip(points) {
            sum.add(factor, *point);
        }
    }
}

/// The point of a base.
pub(crate) fn point(base: Base, points: &[RistrettoPoint]) -> Option<RistrettoPoint> {
    match base {
        Base::Value => Some(Generators::value()),
        Base::Blinding => Some(Generators::blinding()),
        Base::Point(place) => points.get(place).copied(),
    }
}

/// Whether `secrets` fulfil all rows, by plain arithmetic: what a prover looks at before it proves.
pub(crate) fn holds(relation: &Relation, points: &[RistrettoPoint], secrets: &[Scalar]) -> bool {
    relation.rows.iter().all(|row| {
        let left = row.left.iter().filter_map(|(factor, base)| Some(factor * point(*base, points)?));
        let right = row.right.iter().filter_map(|(secret, factor, base)| {
            Some(secrets.get(secret.0)? * factor * point(*base, points)?)
        });
        (left.sum::<RistrettoPoint>() - right.sum::<RistrettoPoint>()).is_identity()
    })
}
