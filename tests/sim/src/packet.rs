//! A message on its way, with the verdict of the signature check that every receiver would reach.
//!
//! The check is the same predicate at every validator, so it is made once for all receivers.

use std::sync::Arc;

use carat_consensus::VerifiedMessage;
use carat_types::batch::{Body, Envelope};
use carat_types::codec::{Decode, Encode};
use carat_types::message::{Announcement, Data, Message, Proposal};
use carat_types::validators::{Authenticator, ValidatorSet};

use crate::ledger::Rules;
use crate::mix::mix_bytes;

/// A message with what a receiver makes of it.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The epoch that its frame names.
    pub epoch: usize,
    /// As sent.
    pub message: Message,
    /// As received in that epoch.
    pub reading: Reading,
    /// Hash of the bytes, for traces.
    pub hash: u64,
}

/// What a receiver makes of a message.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all messages are for the core")]
pub enum Reading {
    /// For the core.
    Core(VerifiedMessage),
    /// For the pool.
    Transactions(Vec<Envelope>),
    /// For the pool, and then for the core.
    Body(Arc<Body>),
    /// Dropped and counted by the node: signature, signer or content is wrong.
    Refused,
}

impl Packet {
    /// Encodes and checks a message of an epoch, whose validators are `set`.
    ///
    /// **Panics** if `round_trip` is wanted and the bytes do not decode to the same message.
    pub fn new(
        (epoch, message): (usize, Message),
        set: &ValidatorSet,
        authenticator: &dyn Authenticator,
        rules: &Rules,
        round_trip: bool,
    ) -> Packet {
        let bytes = message.to_bytes();
        let hash = mix_bytes(0, &bytes);
        if round_trip {
            assert_eq!(Message::from_bytes(&bytes).as_ref(), Ok(&message), "a message survives its encoding");
        }
        let reading = read(&message, set, authenticator, rules);
        Packet { epoch, message, reading, hash }
    }

    /// Checks what was refused by other validators, too: an error that is planted.
    pub(crate) fn believe<'a>(
        &mut self,
        sets: impl Iterator<Item = &'a ValidatorSet>,
        authenticator: &dyn Authenticator,
        rules: &Rules,
    ) {
        for set in sets {
            if matches!(self.reading, Reading::Refused) {
                self.reading = read(&self.message, set, authenticator, rules);
            }
        }
    }
}

/// What every receiver makes of a message.
pub(crate) fn read(
    message: &Message,
    set: &ValidatorSet,
    authenticator: &dyn Authenticator,
    rules: &Rules,
) -> Reading {
    let verified = match message {
        Message::Transactions(transactions) => {
            return Reading::Transactions(transactions.envelopes.clone());
        }
        Message::Body(body) => return Reading::Body(body.clone()),
        Message::BodiesHeld(held) => Some(VerifiedMessage::BodiesHeld(held.bodies.clone())),
        Message::Announcement(announcement) => read_announcement(announcement, set, authenticator),
        Message::Proposal(proposal) => read_proposal(proposal, set, authenticator, rules),
        Message::Prepare(prepare) => set
            .verify(authenticator, prepare.signed.clone())
            .map(|vote| VerifiedMessage::Prepare { vote, justification: prepare.justification.clone() }),
        Message::Commit(signed) => set.verify(authenticator, signed.clone()).map(VerifiedMessage::Commit),
        Message::ViewChange(signed) => set
            .verify(authenticator, (**signed).clone())
            .map(|verified| VerifiedMessage::ViewChange(Arc::new(verified))),
        Message::NewView(signed) => set
            .verify(authenticator, (**signed).clone())
            .map(|verified| VerifiedMessage::NewView(Arc::new(verified))),
        Message::Seal(signed) => set.verify(authenticator, signed.clone()).map(VerifiedMessage::Seal),
        Message::Status(status) => Some(VerifiedMessage::Status(*status)),
        Message::Fetch(fetch) => Some(VerifiedMessage::Fetch(fetch.clone())),
        Message::Data(data) => read_data(data, rules),
    };
    verified.map_or(Reading::Refused, Reading::Core)
}

fn read_announcement(
    announcement: &Announcement,
    set: &ValidatorSet,
    authenticator: &dyn Authenticator,
) -> Option<VerifiedMessage> {
    let signed = set.verify(authenticator, announcement.signed.clone())?;
    Some(match announcement.batch_matches() {
        true => VerifiedMessage::Announcement { signed, batch: announcement.batch.clone() },
        false => VerifiedMessage::BadProposal { signed, leader_is_to_blame: false },
    })
}

fn read_proposal(
    proposal: &Proposal,
    set: &ValidatorSet,
    authenticator: &dyn Authenticator,
    rules: &Rules,
) -> Option<VerifiedMessage> {
    let signed = set.verify(authenticator, proposal.signed.clone())?;
    let named = proposal.payload.is_consistent() && proposal.payload.value.digest() == signed.body.digest;
    match rules.well_formed(&proposal.payload) {
        Some(payload) if proposal.payload_matches() => Some(VerifiedMessage::Proposal { signed, payload }),
        _ => Some(VerifiedMessage::BadProposal { signed, leader_is_to_blame: named }),
    }
}

fn read_data(data: &Data, rules: &Rules) -> Option<VerifiedMessage> {
    Some(match data {
        Data::Payload(payload) => VerifiedMessage::Payload(rules.well_formed(payload)?),
        Data::Block(block) => {
            VerifiedMessage::Block { block: block.clone(), payload: rules.well_formed(&block.block.payload)? }
        }
        Data::Commit(certificate) => VerifiedMessage::CommitCertificate(certificate.clone()),
        Data::Stable(stable) => VerifiedMessage::Stable(stable.clone()),
        Data::Snapshot(offer) => VerifiedMessage::Snapshot(offer.clone()),
        Data::Chunk(chunk) => VerifiedMessage::Chunk(chunk.clone()),
        Data::HighestVotes(votes) => VerifiedMessage::HighestVotes(votes.clone()),
    })
}
