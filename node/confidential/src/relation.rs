//! What a linear-relation proof proves, as data: rows of `Σ factor·point = Σ secret·factor·point`.
//!
//! Each operation is a table of such rows and nothing else; one prover and one verifier (`linear`) read all tables. So no
//! operation has a verifier of its own that could forget something. The table itself is absorbed into the transcript.

use curve25519_dalek::scalar::Scalar;

/// A point of the statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Base {
    /// G, the base of values.
    Value,
    /// H, the base of blindings.
    Blinding,
    /// A point that the statement brings, by its place.
    Point(usize),
}

/// A secret of the prover, by its place in the witness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Secret(pub usize);

/// One equation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What everybody can compute.
    pub left: Vec<(Scalar, Base)>,
    /// What only the prover can.
    pub right: Vec<(Secret, Scalar, Base)>,
}

/// All equations of an operation, and which of its points commit to numbers below 2³².
#[derive(Clone, Debug, Default)]
pub(crate) struct Relation {
    /// Number of secrets.
    pub secrets: usize,
    /// The equations.
    pub rows: Vec<Row>,
    /// The commitments whose range is proved, by their places.
    pub ranged: Vec<usize>,
}

impl Row {
    /// `point = …`
    pub(crate) fn of(point: Base) -> Self {
        Row { left: vec![(Scalar::ONE, point)], right: Vec::new() }
    }

    /// `… + factor·point = …`
    pub(crate) fn and(mut self, factor: Scalar, point: Base) -> Self {
        self.left.push((factor, point));
        self
    }

    /// `… = … + secret·point`
    pub(crate) fn by(self, secret: Secret, point: Base) -> Self {
        self.by_times(secret, Scalar::ONE, point)
    }

    /// `… = … + secret·factor·point`
    pub(crate) fn by_times(mut self, secret: Secret, factor: Scalar, point: Base) -> Self {
        self.right.push((secret, factor, point));
        self
    }
}

impl Relation {
    /// The table as bytes, to be absorbed: every count, place and factor.
    pub(crate) fn shape(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let number = |out: &mut Vec<u8>, it: usize| {
            out.extend_from_slice(&u32::try_from(it).unwrap_or(u32::MAX).to_le_bytes());
        };
        let place = |base: &Base| match base {
            Base::Value => 0,
            Base::Blinding => 1,
            Base::Point(place) => place.saturating_add(2),
        };
        number(&mut out, self.secrets);
        number(&mut out, self.rows.len());
        for row in &self.rows {
            number(&mut out, row.left.len());
            for (factor, base) in &row.left {
                out.extend_from_slice(factor.as_bytes());
                number(&mut out, place(base));
            }
            number(&mut out, row.right.len());
            for (secret, factor, base) in &row.right {
                number(&mut out, secret.0);
                out.extend_from_slice(factor.as_bytes());
                number(&mut out, place(base));
            }
        }
        number(&mut out, self.ranged.len());
        self.ranged.iter().for_each(|it| number(&mut out, *it));
        out
    }
}
