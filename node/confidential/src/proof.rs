//! The proof of any statement: a linear-relation proof, and in the same transcript a range proof.

use carat_types::codec::{DecodeError, Encode, Reader};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;

use crate::batch::Sum;
use crate::encoding::{PointBytes, ScalarBytes};
use crate::error::Refusal;
use crate::linear;
use crate::range;
use crate::relation::Relation;
use crate::statement::Statement;
use crate::transcript::Transcript;

/// A proof as it travels. Its lengths follow from the statement: no part is optional.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Proof {
    /// One point a row.
    pub(crate) commitments: Vec<PointBytes>,
    /// One scalar a secret.
    pub(crate) responses: Vec<ScalarBytes>,
    /// Points and scalars of the range proof; empty if there is nothing to be proved in range.
    pub(crate) range: Vec<[u8; 32]>,
}

/// How long the parts of a proof are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub rows: usize,
    pub secrets: usize,
    pub ranged: usize,
}

/// A proof whose challenges are known: what is left is that its equations hold.
pub(crate) struct Replayed<'a> {
    relation: &'a Relation,
    points: Vec<RistrettoPoint>,
    linear: linear::Replayed,
    range: Option<range::Replayed>,
}

impl Proof {
    pub(crate) fn decode_with(input: &mut Reader<'_>, shape: Shape) -> Result<Self, DecodeError> {
        let mut words = |count: usize| (0..count).map(|_| input.array()).collect::<Result<Vec<_>, _>>();
        Ok(Proof {
            commitments: words(shape.rows)?.into_iter().map(PointBytes).collect(),
            responses: words(shape.secrets)?,
            range: words(range::words(shape.ranged))?,
        })
    }

    fn expect(&self, relation: &Relation) -> Result<(), Refusal> {
        let expect = |what, seen, expected| {
            if seen == expected { Ok(()) } else { Err(Refusal::Shape { what, seen, expected }) }
        };
        expect("rows", self.commitments.len(), relation.rows.len())?;
        expect("responses", self.responses.len(), relation.secrets)?;
        expect("words of the range proof", self.range.len(), range::words(relation.ranged.len()))
    }
}

/// Repeats what was said in front of `transcript`, which has absorbed the statement, and draws the same challenges.
///
/// **Errors**: a part is no point or scalar, or there are not as many as the statement has.
pub(crate) fn replay<'a>(
    transcript: &mut impl Transcript,
    statement: &'a Statement,
    proof: &Proof,
) -> Result<Replayed<'a>, Refusal> {
    let relation = &statement.relation;
    proof.expect(relation)?;
    let points = statement.decode()?;
    let linear = linear::replay(transcript, &proof.commitments, &proof.responses)?;
    let ranged: Vec<_> = relation
        .ranged
        .iter()
        .filter_map(|&place| Some((statement.points.get(place)?.bytes, *points.get(place)?)))
        .collect();
    let range =
        if ranged.is_empty() { None } else { Some(range::replay(transcript, &ranged, &proof.range)?) };
    Ok(Replayed { relation, points, linear, range })
}

impl Replayed<'_> {
    /// Adds all equations to `sum`, each times a weight of its own.
    pub(crate) fn add_to(self, sum: &mut Sum, weight: &mut impl FnMut() -> Scalar) {
        self.linear.add_to(self.relation, &self.points, sum, weight);
        if let Some(range) = self.range {
            range.add_to(sum, weight);
        }
    }
}

impl Encode for Proof {
    fn encode(&self, out: &mut Vec<u8>) {
        self.commitments.iter().for_each(|it| it.encode(out));
        self.responses.iter().chain(&self.range).for_each(|it| out.extend_from_slice(it));
    }
}
