//! Forged proofs: certificates without the signatures, blocks and checkpoints of a chain that is not, tall stories
//! about the own height, answers that answer nothing.

use std::sync::Arc;

use carat_types::block::CertifiedBlock;
use carat_types::certificate::{Certificate, PreparedCertificate, SealCertificate};
use carat_types::header::Header;
use carat_types::message::{
    Ballot, Commit, Data, Fetch, Message, Prepare, Seal, Signed, StableCheckpoint, ViewChange,
};
use carat_types::snapshot::{SnapshotOffer, StateChunk, StateEntry};
use carat_types::{Digest, Signature, SignerSet, Slot, ValidatorId, View};

use super::{Addressed, Adversary, Said};
use crate::plan::Behaviour;
use crate::rng::Rng;

impl Adversary {
    /// What leaves in place of a proof that the own core shows; none if the message passes as it is.
    pub(super) fn twist_proof(&mut self, rng: &mut Rng, said: Said<'_>) -> Option<Vec<Addressed>> {
        let (me, Said { acting, message, .. }) = (self.identity.id, said);
        let forged = match (acting, message) {
            (Behaviour::CertificateForger, Message::ViewChange(change)) if change.signer == me => {
                Message::ViewChange(self.view_change_with_wrong_certificates(rng, change))
            }
            (Behaviour::CheckpointLiar, Message::ViewChange(change)) if change.signer == me => {
                let stable = self.forged_checkpoint(rng)?;
                let body = ViewChange { stable: Some(stable), reports: Vec::new(), ..change.body };
                Message::ViewChange(self.sign_view_change(body))
            }
            (Behaviour::CheckpointLiar, Message::Seal(seal)) if seal.signer == me && rng.chance(500) => {
                self.sign_seal(Seal { header: Digest([5; 32]), ..seal.body })
            }
            (Behaviour::CheckpointLiar, Message::Data(Data::Stable(_))) => {
                Message::Data(Data::Stable(Arc::new(self.forged_checkpoint(rng)?)))
            }
            (Behaviour::SyncLiar, Message::Status(status)) => {
                let ahead = rng.pick(&[0, 1, self.identity.window, 1_000_000]);
                let mut status = *status;
                status.last_final = status.last_final.plus(ahead);
                status.last_executed = status.last_executed.plus(ahead);
                Message::Status(status)
            }
            (Behaviour::SyncLiar, Message::Data(data)) => match (rng.below(4), data) {
                (0, _) => return Some(Vec::new()),
                (_, Data::Chunk(chunk)) => Message::Data(Data::Chunk(Arc::new(forged_chunk(rng, chunk)))),
                (_, Data::Snapshot(offer)) => {
                    Message::Data(Data::Snapshot(Arc::new(self.forged_offer(rng, offer))))
                }
                (_, Data::Block(block)) => {
                    Message::Data(Data::Block(Arc::new(self.forged_block(rng, block))))
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(said.to_all(&forged))
    }

    /// Forgeries that nobody asked for, to whoever says where it stands.
    pub(super) fn answer_with_forgeries(
        &self,
        acting: Behaviour,
        rng: &mut Rng,
        from: ValidatorId,
        message: &Message,
    ) -> Vec<Addressed> {
        let forged = match (acting, message) {
            (Behaviour::CertificateForger, Message::Status(status)) => {
                self.forged_commits(rng, status.last_final.next()).map(Data::Commit)
            }
            (Behaviour::CheckpointLiar, Message::Status(_)) => {
                self.forged_checkpoint(rng).map(|stable| Data::Stable(Arc::new(stable)))
            }
            (Behaviour::SyncLiar, Message::Fetch(Fetch::Blocks(first))) => {
                self.invented_block(*first).map(Data::Block)
            }
            _ => None,
        };
        forged.into_iter().map(|data| (from, Message::Data(data))).collect()
    }

    fn sign_seal(&self, body: Seal) -> Message {
        Message::Seal(self.sealed(body))
    }

    fn sealed(&self, body: Seal) -> Signed<Seal> {
        self.identity.keys.sign(&self.identity.set, self.identity.id, body)
    }

    /// A seal certificate with the own seal, and nobody else's.
    fn own_seals(&self, body: Seal) -> SealCertificate {
        Certificate::assemble(body, [(self.identity.id, self.sealed(body).signature)])
    }

    fn view_change_with_wrong_certificates(
        &self,
        rng: &mut Rng,
        honest: &Signed<ViewChange>,
    ) -> Arc<Signed<ViewChange>> {
        let mut body = honest.body.clone();
        let below = View(body.view.0.saturating_sub(1));
        let few = self.identity.set.quorum().one_correct();
        match rng.below(5) {
            // Of a value that nobody voted for.
            0 => body.reports.iter_mut().for_each(|report| {
                let ballot = Ballot {
                    view: below,
                    slot: report.slot,
                    digest: Digest([7; 32]),
                    prefix: Digest([7; 32]),
                };
                report.prepared = Some(self.forged_prepared(ballot));
            }),
            // Too few votes, but true ones.
            1 => body.reports.iter_mut().for_each(|report| {
                let others = self.prepares.iter().rev().find(|(ballot, votes)| {
                    ballot.slot == report.slot && ballot.view <= below && votes.len() >= few
                });
                let made = others.map(|(ballot, votes)| {
                    let votes = votes.iter().take(few).map(|(id, signature)| (*id, *signature));
                    Certificate::assemble(Prepare(*ballot), votes)
                });
                report.prepared = made.or(report.prepared.take());
            }),
            // True, but of another slot.
            2 => {
                let held: Vec<_> = body.reports.iter().map(|report| report.prepared.clone()).collect();
                let rotated = held.iter().cycle().skip(1).cloned();
                body.reports.iter_mut().zip(rotated).for_each(|(report, other)| report.prepared = other);
            }
            // True signatures under another value.
            3 => body.reports.iter_mut().for_each(|report| {
                if let Some(held) = &mut report.prepared {
                    held.body.0.digest = Digest([6; 32]);
                }
            }),
            // Out of order: no VIEW-CHANGE at all.
            _ => {
                let copy = body.reports.clone();
                body.reports.extend(copy);
            }
        }
        self.sign_view_change(body)
    }

    /// q names, and one signature that is real.
    fn forged_prepared(&self, ballot: Ballot) -> PreparedCertificate {
        let set = &self.identity.set;
        let own = self.identity.keys.sign(set, self.identity.id, Prepare(ballot)).signature;
        let me = self.identity.id;
        let signers = set.ids().filter(|id| *id != me).take(set.quorum().quorum() - 1).chain([me]);
        Certificate::assemble(
            Prepare(ballot),
            signers.map(|id| (id, if id == me { own } else { Signature([2; 64]) })),
        )
    }

    /// A COMMIT certificate made of PREPAREs, or of nothing.
    fn forged_commits(&self, rng: &mut Rng, slot: Slot) -> Option<Certificate<Commit>> {
        let quorum = self.identity.set.quorum().quorum();
        let prepared =
            self.prepares.iter().find(|(ballot, votes)| ballot.slot >= slot && votes.len() >= quorum);
        if let Some((ballot, votes)) = prepared.filter(|_| rng.chance(700)) {
            let votes = votes.iter().map(|(id, signature)| (*id, *signature));
            return Some(Certificate::assemble(Commit(*ballot), votes));
        }
        let (digest, view) = (Digest([4; 32]), self.view);
        let forged = self.forged_prepared(Ballot { view, slot, digest, prefix: digest });
        Some(Certificate {
            body: Commit(forged.body.0),
            signers: forged.signers,
            signatures: forged.signatures,
        })
    }

    fn forged_checkpoint(&self, rng: &mut Rng) -> Option<StableCheckpoint> {
        if let Some(stable) = self.checkpoint.as_ref().filter(|_| rng.chance(400)) {
            // True seals, of another header.
            let header = Header { prefix: Digest([3; 32]), ..stable.header.clone() };
            return Some(StableCheckpoint { header, certificate: stable.certificate.clone() });
        }
        let known = self.header.as_ref()?;
        let slot = Slot((known.slot.0 / self.identity.window + 1) * self.identity.window);
        let header = Header { slot, prefix: Digest([3; 32]), ..known.clone() };
        let seal = Seal { slot, header: header.hash() };
        let mut certificate = self.own_seals(seal);
        if rng.chance(300) {
            // The seals are those of another header.
            certificate = self.own_seals(Seal { slot, header: known.hash() });
        }
        if rng.chance(300) {
            certificate.signers = self.identity.set.ids().collect::<SignerSet>();
            certificate.signatures = self.identity.set.ids().map(|_| Signature([2; 64])).collect();
        }
        Some(StableCheckpoint { header, certificate })
    }

    /// A block that differs from a true one.
    fn forged_block(&self, rng: &mut Rng, honest: &CertifiedBlock) -> CertifiedBlock {
        let mut forged = honest.clone();
        match rng.below(3) {
            0 => forged.block.header.state_root = Digest([3; 32]),
            1 => {
                forged.block.header.state_root = Digest([3; 32]);
                let Header { slot, .. } = forged.block.header;
                forged.certificate = self.own_seals(Seal { slot, header: forged.block.header.hash() });
            }
            _ => forged.block.payload = Arc::new(carat_types::batch::Payload::null()),
        }
        forged
    }

    /// An offer that differs from a true one.
    fn forged_offer(&self, rng: &mut Rng, honest: &SnapshotOffer) -> SnapshotOffer {
        let mut forged = honest.clone();
        match rng.below(4) {
            // Another state under true seals.
            0 => forged.base.header.state_root = Digest([3; 32]),
            // Another number of transactions in the base.
            1 => forged.next.first_transaction = forged.next.first_transaction.saturating_add(1),
            2 => {
                forged.next.first_transaction = forged.next.first_transaction.saturating_add(1);
                let seal = Seal { slot: forged.next.slot, header: forged.next.hash() };
                forged.next_seals = self.own_seals(seal);
            }
            // True; the lies are in the chunks.
            _ => {}
        }
        forged
    }

    /// A block of the own invention, for a slot that nobody has.
    fn invented_block(&self, slot: Slot) -> Option<Arc<CertifiedBlock>> {
        let known = self.header.as_ref()?;
        let payload = Arc::new(carat_types::batch::Payload::null());
        let header =
            Header { slot, batch: payload.value.digest(), state_root: Digest([3; 32]), ..known.clone() };
        let certificate = self.own_seals(Seal { slot, header: header.hash() });
        Some(Arc::new(CertifiedBlock { block: carat_types::block::Block { header, payload }, certificate }))
    }
}

/// A chunk that differs from a true one.
fn forged_chunk(rng: &mut Rng, honest: &StateChunk) -> StateChunk {
    let mut forged = honest.clone();
    match rng.below(5) {
        0 => _ = forged.entries.pop(),
        1 => forged.entries.iter_mut().for_each(|entry| entry.value.push(0)),
        2 => forged.entries.push(StateEntry { key: b"invented".to_vec(), value: vec![1] }),
        // As if it were the whole state.
        3 => forged.siblings.clear(),
        _ => forged.slot = forged.slot.next(),
    }
    forged
}
