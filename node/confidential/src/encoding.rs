//! Points and scalars as 32 bytes each. Each has one encoding; the others are refused.

use std::fmt;

use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;

use crate::error::Refusal;

/// Bytes that claim to be a point of the Ristretto group. Holding them says nothing about their validity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointBytes(pub [u8; 32]);

/// Bytes that claim to be a scalar.
pub(crate) type ScalarBytes = [u8; 32];

impl PointBytes {
    /// The identity: the commitment to nothing, blinded by nothing.
    pub const IDENTITY: PointBytes = PointBytes([0; 32]);

    /// The point. The group has prime order: there are no points of small order but the identity.
    ///
    /// **Errors**: not the canonical encoding of a point. `what` names it.
    pub(crate) fn to_point(self, what: &'static str) -> Result<RistrettoPoint, Refusal> {
        CompressedRistretto(self.0).decompress().ok_or(Refusal::NotAPoint(what))
    }

    /// The point, which must not be the identity.
    ///
    /// **Errors**: as [`PointBytes::to_point`], and the identity.
    pub(crate) fn to_nonzero_point(self, what: &'static str) -> Result<RistrettoPoint, Refusal> {
        let point = self.to_point(what)?;
        if point.is_identity() { Err(Refusal::Identity(what)) } else { Ok(point) }
    }
}

impl From<&RistrettoPoint> for PointBytes {
    fn from(point: &RistrettoPoint) -> Self {
        PointBytes(point.compress().to_bytes())
    }
}

/// The scalar of these bytes.
///
/// **Errors**: not below the order of the group.
pub(crate) fn scalar(bytes: &ScalarBytes, what: &'static str) -> Result<Scalar, Refusal> {
    Option::from(Scalar::from_canonical_bytes(*bytes)).ok_or(Refusal::NotAScalar(what))
}

impl fmt::Debug for PointBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Encode for PointBytes {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for PointBytes {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array().map(PointBytes)
    }
}
