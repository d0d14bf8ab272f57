//! What a replica writes to its journal before it speaks: J1 to J8 of section 4.

use std::sync::Arc;

use carat_types::batch::{Batch, Body, Payload};
use carat_types::certificate::PreparedCertificate;
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::message::{Ballot, Justification, NewView, Signed, StableCheckpoint, ViewChange};
use carat_types::{Epoch, Slot, ValidatorId, View};

use crate::input::SpreadBody;

/// One journal record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// J1: the current epoch and view.
    View(Epoch, View),
    /// J2: the accepted NEW-VIEW of the current view.
    NewView(Arc<Signed<NewView>>),
    /// J3: a vote, with its payload unless the same journal already holds it: with an earlier vote, or as [`Record::Batch`] and
    /// bodies.
    Vote(Ballot, Justification, Option<Arc<Payload>>),
    /// J4: the prepared certificate behind a COMMIT.
    Prepared(PreparedCertificate),
    /// J5: a VIEW-CHANGE as sent.
    ViewChange(Arc<Signed<ViewChange>>),
    /// J6: a stable checkpoint, before h is raised to it.
    Stable(Arc<StableCheckpoint>),
    /// J7: this proposer may have led the view.
    Led(Epoch, View),
    /// J3, ahead of the vote: a body that is held for votes up to a slot.
    Body {
        /// Who spread it.
        origin: ValidatorId,
        /// The last slot for which it is held.
        through: Slot,
        /// The body, with what it takes of a block.
        body: SpreadBody,
    },
    /// J3: the batch that a vote at this slot is for, all of whose bodies the same journal holds.
    Batch(Slot, Batch),
}

impl Record {
    /// The epoch that this record names: the newest of all records is that of the journal. Only J1 and J7 name one; J1 is
    /// the first record of a journal and of each that compaction begins.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Record::View(epoch, _) | Record::Led(epoch, _) => Some(*epoch),
            _ => None,
        }
    }

    /// The slot whose stable checkpoint makes this record superfluous; none for records of the replica's state,
    /// which are carried over instead.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Record::Vote(ballot, ..) => Some(ballot.slot),
            Record::Prepared(certificate) => Some(certificate.body.0.slot),
            Record::Body { through, .. } => Some(*through),
            Record::Batch(slot, _) => Some(*slot),
            Record::View(..)
            | Record::NewView(_)
            | Record::ViewChange(_)
            | Record::Stable(_)
            | Record::Led(..) => None,
        }
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::View(epoch, view) => {
                out.push(1);
                epoch.encode(out);
                view.encode(out);
            }
            Record::NewView(new_view) => {
                out.push(2);
                new_view.encode(out);
            }
            Record::Vote(ballot, justification, payload) => {
                out.push(3);
                ballot.encode(out);
                justification.encode(out);
                payload.encode(out);
            }
            Record::Prepared(certificate) => {
                out.push(4);
                certificate.encode(out);
            }
            Record::ViewChange(view_change) => {
                out.push(5);
                view_change.encode(out);
            }
            Record::Stable(checkpoint) => {
                out.push(6);
                checkpoint.encode(out);
            }
            Record::Led(epoch, view) => {
                out.push(7);
                epoch.encode(out);
                view.encode(out);
            }
            Record::Body { origin, through, body } => {
                out.push(8);
                origin.encode(out);
                through.encode(out);
                body.operations.encode(out);
                body.signatures.encode(out);
                body.body.encode(out);
            }
            Record::Batch(slot, batch) => {
                out.push(9);
                slot.encode(out);
                batch.encode(out);
            }
        }
    }
}

fn decode_body(input: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let (origin, through) = (Decode::decode(input)?, Decode::decode(input)?);
    let (operations, signatures) = (Decode::decode(input)?, Decode::decode(input)?);
    let body = Arc::<Body>::decode(input)?;
    let body = SpreadBody { digest: body.digest(), body, operations, signatures };
    Ok(Record::Body { origin, through, body })
}

impl Decode for Record {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            1 => Record::View(Decode::decode(input)?, Decode::decode(input)?),
            2 => Record::NewView(Decode::decode(input)?),
            3 => Record::Vote(Decode::decode(input)?, Decode::decode(input)?, Decode::decode(input)?),
            4 => Record::Prepared(Decode::decode(input)?),
            5 => Record::ViewChange(Decode::decode(input)?),
            6 => Record::Stable(Decode::decode(input)?),
            7 => Record::Led(Decode::decode(input)?, Decode::decode(input)?),
            8 => decode_body(input)?,
            9 => Record::Batch(Decode::decode(input)?, Decode::decode(input)?),
            value => return Err(DecodeError::Tag { what: "journal record", value }),
        })
    }
}
