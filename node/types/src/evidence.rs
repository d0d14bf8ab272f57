//! Evidence: signed statements that no correct validator makes together. Whoever holds the genesis file can check it, and
//! needs nobody's word. **Source**: consensus specification, section 13.
//!
//! | code | statements | convicts |
//! |---|---|---|
//! | E1 | two PRE-PREPAREs for one view and slot, or two NEW-VIEWs for one view | the leader's proposer |
//! | E2 | two PREPAREs for one view and slot | the acceptor |
//! | E3 | a PREPARE, and a VIEW-CHANGE for a later view that denies it | the acceptor |
//! | E4 | a COMMIT, and a VIEW-CHANGE for a later view that shows no certificate for it | the acceptor |
//! | E5 | two SEALs for one slot | the acceptor |
//! | FAST | q PREPAREs for a value, and a NEW-VIEW that gives it up | voters whose VIEW-CHANGE denies the vote |
//!
//! Two VIEW-CHANGEs for one view are no evidence: a certificate may have arrived in between.

use std::sync::Arc;

use thiserror::Error;

use crate::accountability::Offence;
use crate::certificate::{CertificateError, PreparedCertificate};
use crate::codec::{Decode, DecodeError, Encode, Reader, codec_enum, codec_struct};
use crate::hash::{Digest, h};
use crate::ids::{SignerSet, Slot, ValidatorId, View};
use crate::message::{
    Ballot, Commit, NewView, PrePrepare, Prepare, Seal, Signed, SignedBody, SlotReport, ViewChange,
};
use crate::validators::{Authenticator, ValidatorSet};

/// Statements that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// E1: two proposals of a leader for one view and slot.
    Proposals(Both<PrePrepare>),
    /// E1: two NEW-VIEWs of a leader for one view.
    NewViews(Both<NewView>),
    /// E2: two votes of an acceptor for one view and slot.
    Votes(Both<Prepare>),
    /// E3: a vote that its acceptor denied afterwards.
    DeniedVote(Denied<Prepare>),
    /// E4: a COMMIT whose certificate its acceptor did not show afterwards.
    DeniedCommit(Denied<Commit>),
    /// E5: two SEALs of an acceptor for one slot.
    Seals(Both<Seal>),
    /// FAST: a value that q voted for, and the choice of a new view that gives it up.
    Contradiction(Contradiction),
}

/// Two statements of one kind and signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Both<B> {
    /// One.
    pub first: Signed<B>,
    /// The other.
    pub second: Signed<B>,
}

/// A vote, and a later VIEW-CHANGE of its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied<B> {
    /// What was said.
    pub vote: Signed<B>,
    /// What denies it.
    pub view_change: Arc<Signed<ViewChange>>,
}

/// A FAST certificate, and a NEW-VIEW that contradicts it. No such pair exists while acceptors only crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// q PREPAREs: what a FAST receipt shows.
    pub fast: PreparedCertificate,
    /// A later view's VIEW-CHANGEs.
    pub new_view: Arc<Signed<NewView>>,
}

/// Why something is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// A signature that is not its signer's.
    #[error("a statement is not signed by validator {0}")]
    Signature(ValidatorId),
    /// Statements that a correct validator may well make.
    #[error("the statements do not contradict each other")]
    NoContradiction,
    /// The FAST certificate does not hold.
    #[error("the certificate does not hold: {0}")]
    Certificate(#[from] CertificateError),
}

impl Evidence {
    /// The code of section 13.
    pub fn code(&self) -> &'static str {
        Offence::of(self).code()
    }

    /// Signatures that a check verifies at most.
    pub fn signature_count(&self) -> usize {
        match self {
            Evidence::Contradiction(Contradiction { fast, new_view }) => {
                let votes = fast.signatures.len().saturating_add(new_view.body.view_changes.len());
                votes.saturating_add(1)
            }
            _ => 2,
        }
    }

    /// What happened, in words.
    pub fn what(&self) -> &'static str {
        match self {
            Evidence::Proposals(_) => "signed two PRE-PREPAREs for one view and slot",
            Evidence::NewViews(_) => "signed two NEW-VIEWs for one view",
            Evidence::Votes(_) => "voted twice for one view and slot",
            Evidence::DeniedVote(_) => "denied a vote in a VIEW-CHANGE",
            Evidence::DeniedCommit(_) => "denied a COMMIT in a VIEW-CHANGE",
            Evidence::Seals(_) => "sealed two blocks for one slot",
            Evidence::Contradiction(_) => "a value that was final by FAST was given up",
        }
    }

    /// The slot that it is about; none for two NEW-VIEWs.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Evidence::Proposals(both) => Some(both.first.body.slot),
            Evidence::NewViews(_) => None,
            Evidence::Votes(both) => Some(both.first.body.0.slot),
            Evidence::DeniedVote(denied) => Some(denied.vote.body.0.slot),
            Evidence::DeniedCommit(denied) => Some(denied.vote.body.0.slot),
            Evidence::Seals(both) => Some(both.first.body.slot),
            Evidence::Contradiction(found) => Some(found.fast.body.0.slot),
        }
    }

    /// Its name: `H("evidence", bytes)`.
    pub fn id(&self) -> Digest {
        h("evidence", &[&self.to_bytes()])
    }

    /// Checks it against the validators of its epoch.
    ///
    /// **Returns** who is convicted. A contradiction of FAST convicts nobody if its NEW-VIEW is not the first that gives
    /// the value up.
    ///
    /// **Errors**: [`EvidenceError`] for everything that a correct validator may have signed, or did not sign.
    pub fn verify(
        &self,
        set: &ValidatorSet,
        authenticator: &dyn Authenticator,
    ) -> Result<SignerSet, EvidenceError> {
        let check = Check { set, authenticator };
        match self {
            Evidence::Proposals(both) => check.both(both, |first, second| {
                (first.view, first.slot) == (second.view, second.slot)
                    && set.leader(first.view) == both.first.signer
            }),
            Evidence::NewViews(both) => check.both(both, |first, second| {
                first.view == second.view && set.leader(first.view) == both.first.signer
            }),
            Evidence::Votes(both) => {
                check.both(both, |Prepare(a), Prepare(b)| (a.view, a.slot) == (b.view, b.slot))
            }
            Evidence::Seals(both) => check.both(both, |first, second| first.slot == second.slot),
            Evidence::DeniedVote(denied) => {
                check.denied(denied, denies_vote(&denied.view_change.body, &denied.vote.body.0))
            }
            Evidence::DeniedCommit(denied) => {
                check.denied(denied, denies_commit(&denied.view_change.body, &denied.vote.body.0))
            }
            Evidence::Contradiction(found) => check.contradiction(found),
        }
    }
}

/// Whether a VIEW-CHANGE denies a vote of its signer (E3): it must report a last vote for the slot that is higher, or this
/// very one.
pub fn denies_vote(view_change: &ViewChange, vote: &Ballot) -> bool {
    let told = report_of(view_change, vote.slot).and_then(|report| report.last_vote);
    let kept = told
        .is_some_and(|last| last.view > vote.view || (last.view == vote.view && last.digest == vote.digest));
    concerns(view_change, vote) && !kept
}

/// Whether a VIEW-CHANGE denies a COMMIT of its signer (E4): it must show a certificate at least as high.
pub fn denies_commit(view_change: &ViewChange, vote: &Ballot) -> bool {
    let shown = report_of(view_change, vote.slot).and_then(|report| report.prepared.as_ref());
    concerns(view_change, vote) && shown.is_none_or(|certificate| certificate.body.0.view < vote.view)
}

/// Whether the choice of a NEW-VIEW cannot be a value, by section 7.3: too few report it, and no certificate names it.
/// `overlap` is t.
pub fn gives_up(new_view: &NewView, slot: Slot, digest: &Digest, overlap: usize) -> bool {
    let open = new_view.view_changes.iter().all(|change| change.body.stable_slot() < slot);
    let reports = || new_view.view_changes.iter().filter_map(|change| report_of(&change.body, slot));
    let voters = reports().filter(|report| report.last_vote.is_some_and(|vote| vote.digest == *digest));
    let certified = |report: &SlotReport| {
        report.prepared.as_ref().is_some_and(|certificate| certificate.body.0.digest == *digest)
    };
    open && voters.count() < overlap && !reports().any(certified)
}

/// Whether a VIEW-CHANGE must report a vote: of a lower view, for a slot above its checkpoint.
fn concerns(view_change: &ViewChange, vote: &Ballot) -> bool {
    view_change.view > vote.view && view_change.stable_slot() < vote.slot
}

fn report_of(view_change: &ViewChange, slot: Slot) -> Option<&SlotReport> {
    view_change.reports.iter().find(|report| report.slot == slot)
}

struct Check<'a> {
    set: &'a ValidatorSet,
    authenticator: &'a dyn Authenticator,
}

impl Check<'_> {
    fn signed<B: SignedBody>(&self, signed: &Signed<B>) -> Result<(), EvidenceError> {
        let valid = self.set.key(signed.signer, B::SIGNER).is_some_and(|key| {
            let message = self.set.domain().signing_bytes(&signed.body);
            self.authenticator.verify(key, &message, &signed.signature)
        });
        if valid { Ok(()) } else { Err(EvidenceError::Signature(signed.signer)) }
    }

    fn both<B: SignedBody + PartialEq>(
        &self,
        both: &Both<B>,
        same_place: impl Fn(&B, &B) -> bool,
    ) -> Result<SignerSet, EvidenceError> {
        let Both { first, second } = both;
        let contradict = first.signer == second.signer
            && first.body != second.body
            && same_place(&first.body, &second.body);
        if !contradict {
            return Err(EvidenceError::NoContradiction);
        }
        self.signed(first)?;
        self.signed(second)?;
        Ok(SignerSet::from_iter([first.signer]))
    }

    fn denied<B: SignedBody>(&self, denied: &Denied<B>, denies: bool) -> Result<SignerSet, EvidenceError> {
        let Denied { vote, view_change } = denied;
        if vote.signer != view_change.signer || !denies {
            return Err(EvidenceError::NoContradiction);
        }
        self.signed(vote)?;
        self.signed(view_change.as_ref())?;
        Ok(SignerSet::from_iter([vote.signer]))
    }

    fn contradiction(&self, found: &Contradiction) -> Result<SignerSet, EvidenceError> {
        let Contradiction { fast, new_view } = found;
        let (ballot, changes) = (fast.body.0, &new_view.body.view_changes);
        let View(view) = new_view.body.view;
        let quorum = self.set.quorum();
        let contradicts = view > ballot.view.0
            && new_view.signer == self.set.leader(new_view.body.view)
            && changes.len() == quorum.quorum()
            && changes.is_sorted_by(|a, b| a.signer < b.signer)
            && changes.iter().all(|change| change.body.view == new_view.body.view)
            && gives_up(&new_view.body, ballot.slot, &ballot.digest, quorum.overlap());
        if !contradicts {
            return Err(EvidenceError::NoContradiction);
        }
        fast.verify(self.set, self.authenticator, quorum.quorum())?;
        self.signed(new_view.as_ref())?;
        changes.iter().try_for_each(|change| self.signed(change.as_ref()))?;
        let liars = changes
            .iter()
            .filter(|change| fast.signers.contains(change.signer) && denies_vote(&change.body, &ballot));
        Ok(liars.map(|change| change.signer).collect())
    }
}

impl<B: Encode> Encode for Both<B> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.first.encode(out);
        self.second.encode(out);
    }
}

impl<B: Decode> Decode for Both<B> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Both { first: Decode::decode(input)?, second: Decode::decode(input)? })
    }
}

impl<B: Encode> Encode for Denied<B> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.vote.encode(out);
        self.view_change.encode(out);
    }
}

impl<B: Decode> Decode for Denied<B> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Denied { vote: Decode::decode(input)?, view_change: Decode::decode(input)? })
    }
}

codec_struct!(Contradiction { fast, new_view });
codec_enum!(Evidence {
    1 => Proposals,
    2 => NewViews,
    3 => Votes,
    4 => DeniedVote,
    5 => DeniedCommit,
    6 => Seals,
    7 => Contradiction,
});

#[cfg(test)]
mod tests;
