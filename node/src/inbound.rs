//! From frames of peers to inputs of the replica: decoding, signatures and well-formedness, on threads of their own.
//!
//! The frames of one peer stay in order, on one thread. A frame that is refused is counted with its reason and
//! does nothing.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use carat_consensus::{Input, VerifiedMessage};
use carat_network::Incoming;
use carat_types::batch::{Body, Envelope};
use carat_types::codec::Decode;
use carat_types::message::{Announcement, Data, Frame, Message, Proposal, SignedBody};
use carat_types::payload;
use carat_types::validators::{Ed25519, ValidatorSet, Verified};
use carat_types::{Digest, Epoch, ValidatorId, batch::BlockLimits, message::Signed};

use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::porter::Bell;
use crate::trace::Trace;

/// What the checks need; shared by all threads.
pub struct Inbound {
    /// Whose signatures count.
    pub validators: ValidatorSet,
    /// The network that transactions sign.
    pub network_id: Digest,
    /// The limits of a block.
    pub limits: BlockLimits,
    /// What is taken of all that peers send.
    pub takes: Takes,
    /// Where inputs go.
    pub mailbox: Arc<Mailbox>,
    /// Where gossiped transactions go.
    pub bell: Bell,
    /// Recent messages.
    pub trace: Arc<Trace>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// All that validators say to each other.
    Everything,
    /// Blocks, states, and where somebody stands: a node that follows. The rest is let fall before anybody checks its signatures.
    Blocks,
}

impl Takes {
    fn takes(self, message: &Message) -> bool {
        let of_blocks = matches!(
            message,
            Message::Status(_) | Message::Data(Data::Block(_) | Data::Snapshot(_) | Data::Chunk(_))
        );
        self == Takes::Everything || of_blocks
    }
}

/// Why a frame of a peer was refused before it reached the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Undecodable,
    OtherEpoch,
    BadSignature,
    MalformedPayload,
}

/// Where a frame's content goes.
enum Inward {
    Replica(Epoch, Box<VerifiedMessage>),
    FrontDoor(Vec<Envelope>),
    Body(Arc<Body>),
    Nowhere,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Refusal::Undecodable => "undecodable",
            Refusal::OtherEpoch => "other_epoch",
            Refusal::BadSignature => "bad_signature",
            Refusal::MalformedPayload => "malformed_payload",
        }
    }
}

impl Inbound {
    /// Checks frames until their source ends.
    pub fn run(&self, frames: &Receiver<Incoming>) {
        while let Ok(frame) = frames.recv() {
            let from = ValidatorId(frame.peer);
            match self.check(from, &frame.payload) {
                Ok(Inward::Replica(epoch, message)) => {
                    let message = *message;
                    let input = match epoch == self.epoch() {
                        true => Input::Message { from, message },
                        false => Input::OtherEpoch { from, epoch, message },
                    };
                    if !self.mailbox.offer(from.index(), [input]) {
                        return;
                    }
                }
                Ok(Inward::FrontDoor(envelopes)) => self.bell.gossip(from, frame, envelopes),
                Ok(Inward::Body(body)) => self.bell.body(from, frame, body),
                Ok(Inward::Nowhere) => {}
                Err(refusal) => {
                    self.metrics.consensus_rejections_total.with_label_values(&[refusal.name()]).inc();
                    tracing::debug!(peer = %from, reason = refusal.name(), "frame refused");
                }
            }
        }
    }

    fn check(&self, from: ValidatorId, bytes: &[u8]) -> Result<Inward, Refusal> {
        let frame = Frame::from_bytes(bytes).map_err(|_| Refusal::Undecodable)?;
        // Over the line between epochs nothing that is signed is even looked at (decision record 40).
        let crosses = matches!(frame.message, Message::Status(_) | Message::Fetch(_) | Message::Data(_));
        if frame.epoch != self.epoch() && !crosses {
            return Err(Refusal::OtherEpoch);
        }
        if !self.takes.takes(&frame.message) {
            return Ok(Inward::Nowhere);
        }
        self.trace.arrived(from, &frame.message);
        Ok(Inward::Replica(
            frame.epoch,
            Box::new(match frame.message {
                Message::Proposal(proposal) => self.proposal(&proposal)?,
                Message::Prepare(prepare) => VerifiedMessage::Prepare {
                    vote: self.signed(prepare.signed)?,
                    justification: prepare.justification,
                },
                Message::Commit(commit) => VerifiedMessage::Commit(self.signed(commit)?),
                Message::ViewChange(view_change) => {
                    VerifiedMessage::ViewChange(Arc::new(self.signed(Arc::unwrap_or_clone(view_change))?))
                }
                Message::NewView(new_view) => {
                    VerifiedMessage::NewView(Arc::new(self.signed(Arc::unwrap_or_clone(new_view))?))
                }
                Message::Seal(seal) => VerifiedMessage::Seal(self.signed(seal)?),
                Message::Status(status) => VerifiedMessage::Status(status),
                Message::Fetch(fetch) => VerifiedMessage::Fetch(fetch),
                Message::Data(data) => self.data(data)?,
                Message::Transactions(transactions) => return Ok(Inward::FrontDoor(transactions.envelopes)),
                Message::Body(body) => return Ok(Inward::Body(body)),
                Message::BodiesHeld(held) => VerifiedMessage::BodiesHeld(held.bodies),
                Message::Announcement(announcement) => self.announcement(announcement)?,
            }),
        ))
    }

    fn epoch(&self) -> Epoch {
        self.validators.domain().epoch
    }

    fn signed<B: SignedBody>(&self, signed: Signed<B>) -> Result<Verified<B>, Refusal> {
        self.validators.verify(&Ed25519, signed).ok_or(Refusal::BadSignature)
    }

    fn announcement(&self, announcement: Announcement) -> Result<VerifiedMessage, Refusal> {
        let matches = announcement.batch_matches();
        let signed = self.signed(announcement.signed)?;
        Ok(match matches {
            true => VerifiedMessage::Announcement { signed, batch: announcement.batch },
            false => VerifiedMessage::BadProposal { signed, leader_is_to_blame: false },
        })
    }

    fn proposal(&self, proposal: &Proposal) -> Result<VerifiedMessage, Refusal> {
        let signed = self.signed(proposal.signed.clone())?;
        if !proposal.payload_matches() {
            return Ok(VerifiedMessage::BadProposal { signed, leader_is_to_blame: false });
        }
        Ok(match self.well_formed(&proposal.payload) {
            Ok(payload) => VerifiedMessage::Proposal { signed, payload },
            Err(_) => VerifiedMessage::BadProposal { signed, leader_is_to_blame: true },
        })
    }

    fn data(&self, data: Data) -> Result<VerifiedMessage, Refusal> {
        Ok(match data {
            Data::Payload(payload) => VerifiedMessage::Payload(self.well_formed(&payload)?),
            Data::Block(block) => {
                let payload = self.well_formed(&block.block.payload)?;
                VerifiedMessage::Block { block, payload }
            }
            Data::Commit(certificate) => VerifiedMessage::CommitCertificate(certificate),
            Data::Stable(stable) => VerifiedMessage::Stable(stable),
            Data::Snapshot(offer) => VerifiedMessage::Snapshot(offer),
            Data::Chunk(chunk) => VerifiedMessage::Chunk(chunk),
            Data::HighestVotes(votes) => VerifiedMessage::HighestVotes(votes),
        })
    }

    fn well_formed(
        &self,
        payload: &Arc<carat_types::batch::Payload>,
    ) -> Result<carat_types::batch::WellFormed, Refusal> {
        let checked = payload::check(Arc::clone(payload), &self.network_id, &self.limits);
        checked.map(|(well_formed, _)| well_formed).map_err(|_| Refusal::MalformedPayload)
    }
}

#[cfg(test)]
mod tests {
    use carat_types::Slot;
    use carat_types::message::{BodiesHeld, Fetch, Status, Transactions};

    use super::*;

    #[test]
    fn node_that_follows_lets_fall_what_is_for_validators() {
        let said = [
            (Message::Status(Status::default()), true),
            (Message::Fetch(Fetch::Blocks(Slot(1))), false),
            (Message::Transactions(Transactions { envelopes: Vec::new() }), false),
            (Message::Body(Arc::default()), false),
            (Message::BodiesHeld(BodiesHeld { bodies: Vec::new() }), false),
        ];
        for (message, taken) in said {
            assert_eq!(Takes::Blocks.takes(&message), taken, "{}", message.name());
            assert!(Takes::Everything.takes(&message), "{}", message.name());
        }
    }
}
