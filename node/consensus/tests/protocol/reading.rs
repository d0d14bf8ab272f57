//! What a node makes of a message before its replica sees it: signatures checked, payloads compared with what names them.

use std::sync::Arc;

use carat_consensus::VerifiedMessage;
use carat_types::batch::WellFormed;
use carat_types::message::{Data, Message, Proposal, Signed, SignedBody};
use carat_types::validators::{ValidatorSet, Verified};

use crate::harness::*;

impl Cluster {
    pub(crate) fn verify_by(&self, set: &ValidatorSet, message: Message) -> Option<VerifiedMessage> {
        fn check<B: SignedBody>(set: &ValidatorSet, signed: Signed<B>) -> Option<Verified<B>> {
            set.verify(&HashAuthenticator, signed)
        }
        Some(match message {
            Message::Proposal(proposal) => {
                let fits = proposal.payload_matches();
                let Proposal { signed, payload } = Arc::unwrap_or_clone(proposal);
                let signed = check(set, signed)?;
                if fits {
                    VerifiedMessage::Proposal { signed, payload: WellFormed::trusted(payload) }
                } else {
                    VerifiedMessage::BadProposal { signed, leader_is_to_blame: false }
                }
            }
            Message::Prepare(prepare) => VerifiedMessage::Prepare {
                vote: check(set, prepare.signed)?,
                justification: prepare.justification,
            },
            Message::Commit(commit) => VerifiedMessage::Commit(check(set, commit)?),
            Message::ViewChange(vc) => {
                VerifiedMessage::ViewChange(Arc::new(check(set, Arc::unwrap_or_clone(vc))?))
            }
            Message::NewView(nv) => VerifiedMessage::NewView(Arc::new(check(set, Arc::unwrap_or_clone(nv))?)),
            Message::Seal(seal) => VerifiedMessage::Seal(check(set, seal)?),
            Message::Status(status) => VerifiedMessage::Status(status),
            Message::Fetch(fetch) => VerifiedMessage::Fetch(fetch),
            Message::Data(Data::Payload(payload)) => VerifiedMessage::Payload(WellFormed::trusted(payload)),
            Message::Data(Data::Block(block)) => {
                let payload = WellFormed::trusted(Arc::clone(&block.block.payload));
                VerifiedMessage::Block { block, payload }
            }
            Message::Data(Data::Commit(certificate)) => VerifiedMessage::CommitCertificate(certificate),
            Message::Data(Data::Stable(checkpoint)) => VerifiedMessage::Stable(checkpoint),
            Message::Data(Data::Snapshot(offer)) => VerifiedMessage::Snapshot(offer),
            Message::Data(Data::Chunk(chunk)) => VerifiedMessage::Chunk(chunk),
            Message::Data(Data::HighestVotes(votes)) => VerifiedMessage::HighestVotes(votes),
            Message::Announcement(announcement) => {
                let fits = announcement.batch_matches();
                let signed = check(set, announcement.signed)?;
                match fits {
                    true => VerifiedMessage::Announcement { signed, batch: announcement.batch },
                    false => VerifiedMessage::BadProposal { signed, leader_is_to_blame: false },
                }
            }
            Message::BodiesHeld(held) => VerifiedMessage::BodiesHeld(held.bodies),
            Message::Transactions(_) | Message::Body(_) => return None,
        })
    }
}
