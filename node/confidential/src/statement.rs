//! A statement: the public inputs of a claim, its points, and the relation between them.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;

use crate::elgamal::{AUDITORS_MAX, EncryptionKey, Pair, Sealed, Slot};
use crate::encoding::PointBytes;
use crate::error::Refusal;
use crate::relation::{Base, Relation, Row, Secret};
use crate::transcript::Transcript;

/// 2³²: what a high chunk counts.
pub(crate) const HIGH: u64 = 1 << 32;

/// The public side of a proof.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// Which operation: a proof of one is none of another.
    pub operation: u32,
    /// The public inputs that are no points, by label.
    pub inputs: Vec<(&'static [u8], Vec<u8>)>,
    /// All points, in the order in which they are absorbed.
    pub points: Vec<StatedPoint>,
    /// What is proved of them.
    pub relation: Relation,
}

/// A point of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatedPoint {
    /// What it is, for refusals.
    pub what: &'static str,
    /// The point.
    pub bytes: PointBytes,
    /// Whether it may be the identity: only in an old balance, which may have been paid in publicly.
    pub may_be_identity: bool,
}

/// Where the points of an encrypted amount are in the statement.
pub(crate) struct SealedBases {
    pub commitment: Pair<Base>,
    pub handle: Pair<Base>,
    pub auditors: Vec<Pair<Base>>,
}

impl Statement {
    /// Nothing stated yet.
    pub(crate) fn new(operation: u32, inputs: Vec<(&'static [u8], Vec<u8>)>) -> Self {
        Statement { operation, inputs, points: Vec::new(), relation: Relation::default() }
    }

    /// Absorbs all that everybody knows: chain, operation, public inputs, relation, points.
    pub(crate) fn absorb(&self, transcript: &mut impl Transcript) {
        transcript.append(b"operation", &self.operation.to_le_bytes());
        for (label, bytes) in &self.inputs {
            transcript.append(label, bytes);
        }
        transcript.append(b"relation", &self.relation.shape());
        for point in &self.points {
            transcript.append(b"point", &point.bytes.0);
        }
    }

    /// The points themselves.
    ///
    /// **Errors**: one is no point, or the identity where that is not allowed.
    pub(crate) fn decode(&self) -> Result<Vec<RistrettoPoint>, Refusal> {
        let decode = |it: &StatedPoint| match it.may_be_identity {
            true => it.bytes.to_point(it.what),
            false => it.bytes.to_nonzero_point(it.what),
        };
        self.points.iter().map(decode).collect()
    }

    fn point(&mut self, what: &'static str, bytes: PointBytes, may_be_identity: bool) -> Base {
        self.points.push(StatedPoint { what, bytes, may_be_identity });
        Base::Point(self.points.len().saturating_sub(1))
    }

    /// States a key.
    pub(crate) fn key(&mut self, what: &'static str, key: EncryptionKey) -> Base {
        self.point(what, key.0, false)
    }

    /// States the auditors' keys.
    ///
    /// **Errors**: none, or too many.
    pub(crate) fn auditors(&mut self, keys: &[EncryptionKey]) -> Result<Vec<Base>, Refusal> {
        if keys.is_empty() || keys.len() > AUDITORS_MAX {
            return Err(Refusal::Shape { what: "auditors", seen: keys.len(), expected: AUDITORS_MAX });
        }
        Ok(keys.iter().map(|key| self.key("auditor's key", *key)).collect())
    }

    /// States an old balance: commitments and handles.
    pub(crate) fn old(&mut self, slot: &Slot) -> (Pair<Base>, Pair<Base>) {
        let mut state = |bytes| self.point("old balance", bytes, true);
        let commitment = Pair { low: state(slot.commitment.low), high: state(slot.commitment.high) };
        let handle = Pair { low: state(slot.handle.low), high: state(slot.handle.high) };
        (commitment, handle)
    }

    /// States an amount that is encrypted anew.
    ///
    /// **Errors**: not as many handles as auditors.
    pub(crate) fn sealed(&mut self, sealed: &Sealed, auditors: usize) -> Result<SealedBases, Refusal> {
        let seen = sealed.auditors.len();
        if seen != auditors {
            return Err(Refusal::Shape { what: "auditors' handles", seen, expected: auditors });
        }
        let mut pair = |what, pair: &Pair<PointBytes>| Pair {
            low: self.point(what, pair.low, false),
            high: self.point(what, pair.high, false),
        };
        Ok(SealedBases {
            commitment: pair("commitment", &sealed.slot.commitment),
            handle: pair("handle", &sealed.slot.handle),
            auditors: sealed.auditors.iter().map(|it| pair("auditor's handle", it)).collect(),
        })
    }

    /// The next secret of the witness.
    pub(crate) fn secret(&mut self) -> Secret {
        let secret = Secret(self.relation.secrets);
        self.relation.secrets = self.relation.secrets.saturating_add(1);
        secret
    }

    /// Adds an equation.
    pub(crate) fn row(&mut self, row: Row) {
        self.relation.rows.push(row);
    }

    /// Adds the equations of an amount that is encrypted anew: `C = v·G + r·H`, and `D = r·key` for each reader. Its
    /// chunks are to be proved in range. Brings four secrets: both values, both blindings.
    pub(crate) fn sealed_rows(&mut self, sealed: &SealedBases, reader: Base, auditors: &[Base]) {
        let value = Pair { low: self.secret(), high: self.secret() };
        let blinding = Pair { low: self.secret(), high: self.secret() };
        let chunks = [
            (sealed.commitment.low, value.low, blinding.low),
            (sealed.commitment.high, value.high, blinding.high),
        ];
        for (commitment, value, blinding) in chunks {
            self.row(Row::of(commitment).by(value, Base::Value).by(blinding, Base::Blinding));
            if let Base::Point(place) = commitment {
                self.relation.ranged.push(place);
            }
        }
        let handles = std::iter::once((&sealed.handle, reader))
            .chain(sealed.auditors.iter().zip(auditors.iter().copied()));
        for (handle, key) in handles {
            self.row(Row::of(handle.low).by(blinding.low, key));
            self.row(Row::of(handle.high).by(blinding.high, key));
        }
    }

    /// The row that conserves value: `old - amounts` is blinding alone, `s·handles + z·H`.
    ///
    /// There is no G on its right side: whoever does not know how G and H relate cannot make value up. Old chunks may
    /// be up to 2⁴⁸ and new ones are below 2³², so that nothing wraps around the order of the group, which is above 2²⁵².
    pub(crate) fn conservation_row(
        &mut self,
        (commitment, handle): (Pair<Base>, Pair<Base>),
        taken: &[&SealedBases],
        paid_out: Option<u64>,
        (owner_secret, rest): (Secret, Secret),
    ) {
        let high = Scalar::from(HIGH);
        let mut row = Row::of(commitment.low).and(high, commitment.high);
        for sealed in taken {
            row = row.and(-Scalar::ONE, sealed.commitment.low).and(-high, sealed.commitment.high);
        }
        if let Some(amount) = paid_out {
            row = row.and(-Scalar::from(amount), Base::Value);
        }
        self.row(
            row.by(owner_secret, handle.low)
                .by_times(owner_secret, high, handle.high)
                .by(rest, Base::Blinding),
        );
    }
}
