//! The predicate for many signatures at once: one sum of points instead of one each.
//!
//! With a random weight z for each signature, `[8](sum(z s) B - sum(z R) - sum(z k A)) = 0` holds exactly when each
//! signature's own equation does, but for a chance of 2^-128. The terms of one key are added before they are multiplied.
//! **Source**: Bernstein, Duif, Lange, Schwabe, Yang, "High-speed high-security signatures", section 5.

use std::collections::BTreeMap;

use curve25519_dalek_5::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek_5::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek_5::scalar::Scalar;
use curve25519_dalek_5::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use sha2::{Digest as _, Sha512};

use super::{Claim, PublicKey};

/// Public keys as points: to find the point of a key costs a third of what a signature does in a batch, and the same
/// keys sign again and again.
///
/// Bounded, whoever signs: two generations, of which the older is forgotten when the younger is full. What is
/// remembered follows from the key alone, so that it changes no answer.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys {
    young: BTreeMap<PublicKey, EdwardsPoint>,
    old: BTreeMap<PublicKey, EdwardsPoint>,
}

impl KnownKeys {
    /// Keys of one generation; with its point a key takes some 200 bytes.
    const GENERATION: usize = 32_768;

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    /// The point of a key. None if it is none of the curve.
    pub(super) fn point(&mut self, key: &PublicKey) -> Option<EdwardsPoint> {
        if let Some(point) = self.young.get(key) {
            return Some(*point);
        }
        let point = match self.old.get(key) {
            Some(point) => *point,
            None => CompressedEdwardsY(key.0).decompress()?,
        };
        if self.young.len() >= Self::GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(*key, point);
        Some(point)
    }
}

/// A signature as the equation reads it.
struct Term<'a> {
    key: &'a PublicKey,
    r: EdwardsPoint,
    s: Scalar,
    /// SHA-512 of R, A and the message.
    k: Scalar,
}

impl<'a> Term<'a> {
    /// None if s is not canonical, or R no point.
    fn of(claim: &Claim<'a>) -> Option<Self> {
        let (r, s) = claim.signature.0.split_at(32);
        let (r, s) = (<[u8; 32]>::try_from(r).ok()?, <[u8; 32]>::try_from(s).ok()?);
        let k = Sha512::new().chain_update(r).chain_update(claim.key.0).chain_update(claim.message);
        Some(Term {
            key: claim.key,
            r: CompressedEdwardsY(r).decompress()?,
            s: Option::from(Scalar::from_canonical_bytes(s))?,
            k: Scalar::from_bytes_mod_order_wide(&k.finalize().into()),
        })
    }
}

/// Whether the equation holds for all. That encodings are acceptable is checked apart.
pub(super) fn equation_holds(claims: &[Claim<'_>], keys: &mut KnownKeys) -> bool {
    let terms: Option<Vec<Term<'_>>> = claims.iter().map(Term::of).collect();
    terms.is_some_and(|terms| sum_vanishes(&terms, keys).unwrap_or(false))
}

/// None if a key is no point.
fn sum_vanishes(terms: &[Term<'_>], keys: &mut KnownKeys) -> Option<bool> {
    let mut of_base = Scalar::ZERO;
    let mut of_keys: BTreeMap<&PublicKey, Scalar> = BTreeMap::new();
    let (mut scalars, mut points) = (Vec::new(), Vec::new());
    for (term, weight) in terms.iter().zip(weights(terms)) {
        of_base -= weight * term.s;
        *of_keys.entry(term.key).or_insert(Scalar::ZERO) += weight * term.k;
        scalars.push(weight);
        points.push(term.r);
    }
    for (key, of_key) in of_keys {
        scalars.push(of_key);
        points.push(keys.point(key)?);
    }
    scalars.push(of_base);
    points.push(ED25519_BASEPOINT_POINT);
    let sum = EdwardsPoint::vartime_multiscalar_mul(&scalars, &points);
    Some(sum.mul_by_cofactor().is_identity())
}

/// Weights of 128 bits, drawn from a hash over the whole batch (k stands for R, A and the message): a forger who must fix
/// every signature before the weights are known cannot aim at them, and the core stays free of random sources.
fn weights(terms: &[Term<'_>]) -> impl Iterator<Item = Scalar> {
    let mut all = Sha512::new().chain_update(b"carat-batch-weights");
    for term in terms {
        all.update(term.k.as_bytes());
        all.update(term.s.as_bytes());
    }
    let seed = all.finalize();
    (0u64..).flat_map(move |counter| {
        let block: [u8; 64] =
            Sha512::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize().into();
        let (weights, _) = block.as_chunks::<16>();
        <[[u8; 16]; 4]>::try_from(weights)
            .unwrap_or_default()
            .map(|weight| Scalar::from(u128::from_le_bytes(weight)))
    })
}
