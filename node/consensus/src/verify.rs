//! Checking the certificates and VIEW-CHANGEs that travel inside other messages, each once.
//!
//! Outer signatures were checked before entry. What is inside is checked here, only when it matters, and what was
//! found valid is remembered by the hash of its bytes (section 7.2).

use std::collections::{BTreeSet, VecDeque};

use carat_types::Digest;
use carat_types::block::CertifiedBlock;
use carat_types::certificate::{Certificate, SealCertificate};
use carat_types::codec::Encode;
use carat_types::hash::h;
use carat_types::header::Header;
use carat_types::message::{Domain, Kind, NewView, Signed, SignedBody, StableCheckpoint, ViewChange};
use carat_types::snapshot::SnapshotOffer;

use crate::rejection::Rejection;
use crate::replica::Replica;

/// Hashes of what was found valid; the oldest are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    known: BTreeSet<Digest>,
    order: VecDeque<Digest>,
}

impl Checked {
    /// Enough for every certificate of q full VIEW-CHANGEs of a usual window.
    const CAPACITY: usize = 8_192;

    fn contains(&self, key: &Digest) -> bool {
        self.known.contains(key)
    }

    fn insert(&mut self, key: Digest) {
        if self.known.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > Self::CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// Whether a header is of this chain and epoch, and the seals name it. Says nothing about signatures.
pub(crate) fn are_seals_on(domain: &Domain, header: &Header, seals: &SealCertificate) -> bool {
    header.chain_id == domain.chain_id
        && header.epoch == domain.epoch
        && seals.body.slot == header.slot
        && seals.body.header == header.hash()
}

impl Replica {
    /// Checks a certificate: at least `needed` distinct validators signed its body.
    pub(crate) fn check_certificate<B: SignedBody>(
        &mut self,
        certificate: &Certificate<B>,
        needed: usize,
    ) -> Result<(), Rejection> {
        if certificate.signers.len() < needed {
            return Err(Rejection::BadCertificate);
        }
        let key = h("checked certificate", &[&[B::KIND as u8], &certificate.to_bytes()]);
        if self.checked.contains(&key) {
            return Ok(());
        }
        certificate
            .verify(&self.config.validators, self.config.authenticator.as_ref(), needed)
            .map_err(|_| Rejection::BadCertificate)?;
        self.checked.insert(key);
        Ok(())
    }

    /// Checks the signature of a message that came inside another.
    pub(crate) fn check_signed<B: SignedBody>(&mut self, signed: &Signed<B>) -> Result<(), Rejection> {
        let key = h("checked signature", &[&[B::KIND as u8], &signed.to_bytes()]);
        if self.checked.contains(&key) {
            return Ok(());
        }
        let set = &self.config.validators;
        let public = set.key(signed.signer, B::SIGNER).ok_or(Rejection::BadSignature)?;
        let message = set.domain().signing_bytes(&signed.body);
        if !self.config.authenticator.verify(public, &message, &signed.signature) {
            return Err(Rejection::BadSignature);
        }
        self.checked.insert(key);
        Ok(())
    }

    /// Checks that a header is this chain's and sealed by at least `needed` validators.
    fn check_sealed(
        &mut self,
        header: &Header,
        certificate: &SealCertificate,
        needed: usize,
    ) -> Result<(), Rejection> {
        if !are_seals_on(self.config.validators.domain(), header, certificate) {
            return Err(Rejection::BadCheckpoint);
        }
        self.check_certificate(certificate, needed)
    }

    /// Checks a stable checkpoint: a slot divisible by K, with q SEALs.
    pub(crate) fn check_checkpoint(&mut self, checkpoint: &StableCheckpoint) -> Result<(), Rejection> {
        let slot = checkpoint.header.slot;
        if slot.0 == 0 || !self.is_checkpoint(slot) {
            return Err(Rejection::BadCheckpoint);
        }
        self.check_sealed(&checkpoint.header, &checkpoint.certificate, self.quorum.quorum())
    }

    /// Checks a sealed block: f+1 SEALs on its header, and the header names the payload.
    pub(crate) fn check_block(&mut self, block: &CertifiedBlock, payload: &Digest) -> Result<(), Rejection> {
        if block.block.header.batch != *payload {
            return Err(Rejection::BadBlock);
        }
        self.check_sealed(&block.block.header, &block.certificate, self.quorum.one_correct())
            .map_err(|_| Rejection::BadBlock)
    }

    /// Checks the offer of a state: a stable checkpoint, and the sealed header of the block after it. The checkpoint with which this
    /// epoch began is the work of other validators: the handover has proved it, and seals on it that a peer names are replaced by those (`with_proved_seals`).
    pub(crate) fn check_offer(&mut self, offer: &SnapshotOffer) -> Result<(), Rejection> {
        if !offer.is_consistent() {
            return Err(Rejection::BadOffer);
        }
        if offer.base.header != *self.base() {
            self.check_checkpoint(&offer.base).map_err(|_| Rejection::BadOffer)?;
        }
        self.check_sealed(&offer.next, &offer.next_seals, self.quorum.one_correct())
            .map_err(|_| Rejection::BadOffer)
    }

    /// Checks what a VIEW-CHANGE contains, not its signature (section 7.2). The votes in it are claims.
    pub(crate) fn check_view_change(&mut self, view_change: &ViewChange) -> Result<(), Rejection> {
        let mut last = match &view_change.stable {
            Some(stable) => {
                self.check_checkpoint(stable)?;
                stable.header.slot
            }
            None => self.base().slot,
        };
        let top = self.window_above(view_change.stable.as_ref());
        for report in &view_change.reports {
            let in_order = report.slot > last && report.slot <= top;
            let vote_below = report.last_vote.is_none_or(|vote| vote.view < view_change.view);
            if !in_order || !vote_below {
                return Err(Rejection::BadReport);
            }
            last = report.slot;
            if let Some(certificate) = &report.prepared {
                let ballot = &certificate.body.0;
                if ballot.slot != report.slot || ballot.view >= view_change.view {
                    return Err(Rejection::BadReport);
                }
                self.check_certificate(certificate, self.quorum.quorum())?;
            }
        }
        Ok(())
    }

    /// Checks a NEW-VIEW: exactly q valid VIEW-CHANGEs for its view, in the order of their signers (I10).
    pub(crate) fn check_new_view(&mut self, new_view: &NewView) -> Result<(), Rejection> {
        let view_changes = &new_view.view_changes;
        let ascending = view_changes.is_sorted_by(|a, b| a.signer < b.signer);
        let of_view = view_changes.iter().all(|view_change| view_change.body.view == new_view.view);
        if view_changes.len() != self.quorum.quorum() || !ascending || !of_view {
            return Err(Rejection::WrongQuorum);
        }
        for view_change in view_changes {
            self.check_signed(view_change.as_ref())?;
            self.check_view_change(&view_change.body)?;
        }
        Ok(())
    }

    /// Whether a signature of a kind is valid now, uncached: for the rare questions of evidence.
    pub(crate) fn is_valid<B: SignedBody>(&self, signed: &Signed<B>) -> bool {
        debug_assert!(B::KIND as u8 >= Kind::PrePrepare as u8);
        let set = &self.config.validators;
        set.key(signed.signer, B::SIGNER).is_some_and(|key| {
            let message = set.domain().signing_bytes(&signed.body);
            self.config.authenticator.verify(key, &message, &signed.signature)
        })
    }
}
