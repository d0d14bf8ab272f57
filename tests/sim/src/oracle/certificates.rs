//! Certificates and signatures, checked by the oracle's own counting.

use std::sync::Arc;

use carat_types::certificate::{Certificate, CommitCertificate, PreparedCertificate, SealCertificate};
use carat_types::evidence::{Evidence, EvidenceError};
use carat_types::message::{Signed, SignedBody, StableCheckpoint};
use carat_types::validators::{Authenticator, ValidatorSet};
use carat_types::{Digest, Signature, SignerSet, Slot, ValidatorId};

use super::{Thresholds, Verdict, Violation, demand};

/// Checks signatures and certificates of one set of validators.
pub(super) struct Certificates {
    thresholds: Thresholds,
    /// Proposers that are machines of their own, behind the validators; 0 where each validator runs one.
    edge: u16,
    set: Arc<ValidatorSet>,
    authenticator: Arc<dyn Authenticator>,
    /// Where the epoch begins, and c of that slot.
    base: (Slot, Digest),
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("thresholds", &self.thresholds).finish_non_exhaustive()
    }
}

impl Certificates {
    pub(super) fn new(
        (thresholds, edge): (Thresholds, u16),
        set: Arc<ValidatorSet>,
        authenticator: Arc<dyn Authenticator>,
        base: (Slot, Digest),
    ) -> Self {
        Certificates { thresholds, edge, set, authenticator, base }
    }

    pub(super) fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The last slot of the epoch before, and c of it: what needs no certificate in this one.
    pub(super) fn base(&self) -> (Slot, Digest) {
        self.base
    }

    /// Who leads a view: the proposers in turn, as many as validators where each runs one.
    pub(super) fn leader(&self, view: u64) -> ValidatorId {
        let proposers = if self.edge > 0 { u64::from(self.edge) } else { self.thresholds.n as u64 };
        let index = view % proposers;
        ValidatorId(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// The machine of a proposer.
    pub(super) fn machine_of(&self, proposer: ValidatorId) -> ValidatorId {
        let before = if self.edge > 0 { u16::try_from(self.thresholds.n).unwrap_or(u16::MAX) } else { 0 };
        proposer.plus(before)
    }

    /// Whom outsiders convict by a piece of evidence.
    pub(super) fn convicted(&self, evidence: &Evidence) -> Result<SignerSet, EvidenceError> {
        evidence.verify(&self.set, &*self.authenticator)
    }

    /// Whether a signed body is its signer's.
    pub(super) fn is_signed<B: SignedBody>(&self, signed: &Signed<B>) -> bool {
        self.signature(signed.signer, &signed.body, &signed.signature)
    }

    /// Whether a signature is `signer`'s on `body`.
    pub(super) fn signature<B: SignedBody>(
        &self,
        signer: ValidatorId,
        body: &B,
        signature: &Signature,
    ) -> bool {
        let bytes = self.set.domain().signing_bytes(body);
        self.set.key(signer, B::SIGNER).is_some_and(|key| self.authenticator.verify(key, &bytes, signature))
    }

    /// q PREPAREs, or as many as `needed`.
    pub(super) fn prepares(
        &self,
        at: ValidatorId,
        certificate: &PreparedCertificate,
        needed: usize,
    ) -> Verdict {
        self.check(at, certificate, needed)
    }

    pub(super) fn prepared(&self, at: ValidatorId, certificate: &PreparedCertificate) -> Verdict {
        self.check(at, certificate, self.thresholds.quorum)
    }

    pub(super) fn commits(&self, at: ValidatorId, certificate: &CommitCertificate) -> Verdict {
        self.check(at, certificate, self.thresholds.quorum)
    }

    pub(super) fn seals(&self, at: ValidatorId, certificate: &SealCertificate, needed: usize) -> Verdict {
        self.check(at, certificate, needed)
    }

    pub(super) fn stable(&self, at: ValidatorId, stable: &StableCheckpoint, interval: u64) -> Verdict {
        self.check(at, &stable.certificate, self.thresholds.quorum)?;
        let (slot, body) = (stable.header.slot, &stable.certificate.body);
        let (of, own) = (stable.header.epoch, self.set.domain().epoch);
        demand(of == own, "a checkpoint of the own epoch", at, || {
            format!("slot {slot} of epoch {of}, not {own}")
        })?;
        demand(body.slot == slot && body.header == stable.header.hash(), "stable certificate", at, || {
            format!("header of slot {slot}, seals for {body:?}")
        })?;
        demand(slot.0.is_multiple_of(interval), "checkpoint interval", at, || {
            format!("stable checkpoint at slot {slot}, interval {interval}")
        })
    }

    fn check<B: SignedBody + std::fmt::Debug>(
        &self,
        at: ValidatorId,
        certificate: &Certificate<B>,
        needed: usize,
    ) -> Verdict {
        let broken = |detail: String| Violation {
            rule: "certificate",
            validator: Some(at),
            detail: format!("{detail}: {:?}", certificate.body),
        };
        let mut valid = 0;
        let mut signatures = certificate.signatures.iter();
        for index in 0..64 {
            if certificate.signers.0 >> index & 1 == 0 {
                continue;
            }
            let signature = signatures.next().ok_or_else(|| broken("signature missing".to_owned()))?;
            let signer = ValidatorId(index);
            if !self.signature(signer, &certificate.body, signature) {
                return Err(broken(format!("signature of {signer} invalid")));
            }
            valid += 1;
        }
        if valid < needed || signatures.next().is_some() {
            return Err(broken(format!("{valid} signers, {needed} needed")));
        }
        Ok(())
    }
}
