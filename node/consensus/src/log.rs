//! The slots between the watermarks: what was proposed, who voted for what, and what this replica itself did.
//!
//! Bounded by the window (L slots), by views (own and own + 1, and the latest older vote of each sender), and by
//! one message per (sender, kind, slot, view): consensus specification, section 5.2.

use std::collections::BTreeMap;

use carat_types::certificate::{Certificate, CommitCertificate, PreparedCertificate};
use carat_types::message::{Ballot, Commit, Justification, PrePrepare, Prepare, Signed};
use carat_types::{Digest, Signature, SignerSet, Slot, ValidatorId, View};

/// The votes of one kind for one slot and view.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    voted: SignerSet,
    tallies: Vec<Tally>,
}

/// The votes that agree.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) ballot: Ballot,
    pub(crate) signatures: BTreeMap<ValidatorId, Signature>,
    /// What the first voter showed for the value.
    pub(crate) justification: Option<Justification>,
}

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It is the n-th for its ballot.
    Fresh(usize),
    /// It was counted before.
    Duplicate,
    /// The sender voted otherwise before; the first vote stands.
    Conflict,
}

impl Votes {
    /// Counts a vote once per signer.
    pub(crate) fn add(&mut self, ballot: &Ballot, signer: ValidatorId, signature: Signature) -> Counted {
        let position = self.tallies.iter().position(|tally| tally.ballot == *ballot);
        if self.voted.contains(signer) {
            let same = position
                .and_then(|index| self.tallies.get(index))
                .is_some_and(|tally| tally.signatures.contains_key(&signer));
            return if same { Counted::Duplicate } else { Counted::Conflict };
        }
        self.voted.insert(signer);
        if let Some(tally) = position.and_then(|index| self.tallies.get_mut(index)) {
            tally.signatures.insert(signer, signature);
            return Counted::Fresh(tally.signatures.len());
        }
        let signatures = BTreeMap::from([(signer, signature)]);
        self.tallies.push(Tally { ballot: *ballot, signatures, justification: None });
        Counted::Fresh(1)
    }

    /// The votes for one ballot.
    pub(crate) fn tally(&self, ballot: &Ballot) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.ballot == *ballot)
    }

    pub(crate) fn tally_mut(&mut self, ballot: &Ballot) -> Option<&mut Tally> {
        self.tallies.iter_mut().find(|tally| tally.ballot == *ballot)
    }

    /// What one voter voted for, with its signature.
    pub(crate) fn of(&self, signer: ValidatorId) -> Option<(Ballot, Signature)> {
        let signed =
            |tally: &Tally| tally.signatures.get(&signer).map(|signature| (tally.ballot, *signature));
        if self.voted.contains(signer) { self.tallies.iter().find_map(signed) } else { None }
    }

    /// How many voted for the ballot.
    pub(crate) fn count(&self, ballot: &Ballot) -> usize {
        self.tally(ballot).map_or(0, |tally| tally.signatures.len())
    }

    /// The ballot that `threshold` voters share, if there is one.
    pub(crate) fn reached(&self, threshold: usize) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.signatures.len() >= threshold)
    }
}

impl Tally {
    /// The votes as a prepared certificate.
    pub(crate) fn prepared(&self) -> PreparedCertificate {
        Certificate::assemble(Prepare(self.ballot), self.pairs())
    }

    /// The votes as a commit certificate.
    pub(crate) fn committed(&self) -> CommitCertificate {
        Certificate::assemble(Commit(self.ballot), self.pairs())
    }

    fn pairs(&self) -> impl Iterator<Item = (ValidatorId, Signature)> {
        self.signatures.iter().map(|(signer, signature)| (*signer, *signature))
    }
}

/// One slot in one view.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) proposal: Option<Signed<PrePrepare>>,
    pub(crate) prepares: Votes,
    pub(crate) commits: Votes,
}

/// Votes of views that this replica has left: read for finality and certificates, never answered (I2). One of each
/// sender, its latest, so that nobody can crowd out another.
#[derive(Debug, Default)]
pub(crate) struct LateVotes {
    votes: BTreeMap<ValidatorId, (Ballot, Signature)>,
}

impl LateVotes {
    /// Keeps a vote if it is the sender's latest, and counts its ballot.
    pub(crate) fn add(&mut self, ballot: &Ballot, signer: ValidatorId, signature: Signature) -> Counted {
        match self.votes.get(&signer) {
            Some((held, _)) if held == ballot || held.view > ballot.view => return Counted::Duplicate,
            Some((held, _)) if held.view == ballot.view => return Counted::Conflict,
            _ => {}
        }
        self.votes.insert(signer, (*ballot, signature));
        Counted::Fresh(self.votes.values().filter(|(held, _)| held == ballot).count())
    }

    /// The latest vote of one sender.
    fn of(&self, signer: ValidatorId) -> Option<(Ballot, Signature)> {
        self.votes.get(&signer).copied()
    }

    /// The ballot that `threshold` senders share, if there is one, with their votes.
    pub(crate) fn reached(&self, threshold: usize) -> Option<Tally> {
        self.votes.values().map(|(ballot, _)| self.tally(ballot)).find(|t| t.signatures.len() >= threshold)
    }

    /// The votes for one ballot.
    pub(crate) fn tally(&self, ballot: &Ballot) -> Tally {
        let matching = self.votes.iter().filter(|(_, (held, _))| held == ballot);
        let signatures = matching.map(|(signer, (_, signature))| (*signer, *signature)).collect();
        Tally { ballot: *ballot, signatures, justification: None }
    }

    fn absorb(&mut self, votes: Votes) {
        for tally in votes.tallies {
            for (signer, signature) in tally.signatures {
                self.add(&tally.ballot, signer, signature);
            }
        }
    }
}

/// This replica's last PREPARE for a slot (J3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnVote {
    pub(crate) ballot: Ballot,
    pub(crate) justification: Justification,
}

/// A final value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) digest: Digest,
    pub(crate) prefix: Digest,
}

/// Everything about one slot.
#[derive(Debug, Default)]
pub(crate) struct SlotState {
    /// The highest-view vote that this replica ever sent (I6).
    pub(crate) last_vote: Option<OwnVote>,
    /// Values whose payload the journal holds with a vote for this slot (J3).
    pub(crate) journaled: Vec<Digest>,
    /// The highest prepared certificate known.
    pub(crate) prepared: Option<PreparedCertificate>,
    /// The round of the replica's view.
    pub(crate) current: Round,
    /// The round of the view after it.
    pub(crate) next: Round,
    pub(crate) late_prepares: LateVotes,
    pub(crate) late_commits: LateVotes,
    pub(crate) decided: Option<Decided>,
}

impl SlotState {
    /// Whether this replica voted here in `view`.
    pub(crate) fn voted_in(&self, view: View) -> Option<&OwnVote> {
        self.last_vote.as_ref().filter(|vote| vote.ballot.view == view)
    }

    /// The PREPAREs of one validator that are known.
    pub(crate) fn prepares_of(&self, signer: ValidatorId) -> impl Iterator<Item = (Ballot, Signature)> {
        let known =
            [self.current.prepares.of(signer), self.next.prepares.of(signer), self.late_prepares.of(signer)];
        known.into_iter().flatten()
    }

    /// The COMMITs of one validator that are known.
    pub(crate) fn commits_of(&self, signer: ValidatorId) -> impl Iterator<Item = (Ballot, Signature)> {
        let known =
            [self.current.commits.of(signer), self.next.commits.of(signer), self.late_commits.of(signer)];
        known.into_iter().flatten()
    }

    /// Learns a prepared certificate if it is higher than the one known.
    pub(crate) fn learn_prepared(&mut self, certificate: PreparedCertificate) {
        let view = certificate.body.0.view;
        if self.prepared.as_ref().is_none_or(|held| held.body.0.view < view) {
            self.prepared = Some(certificate);
        }
    }

    /// A commit certificate, if q COMMITs are at hand.
    pub(crate) fn commit_certificate(&self, quorum: usize) -> Option<CommitCertificate> {
        self.current
            .commits
            .reached(quorum)
            .map(Tally::committed)
            .or_else(|| self.late_commits.reached(quorum).map(|tally| tally.committed()))
    }

    fn leave_round(&mut self, round: Round, quorum: usize) {
        // "Kept as evidence for a later VIEW-CHANGE" (section 7.2).
        if let Some(tally) = round.prepares.reached(quorum) {
            self.learn_prepared(tally.prepared());
        }
        self.late_prepares.absorb(round.prepares);
        self.late_commits.absorb(round.commits);
    }
}

/// The open slots.
#[derive(Debug, Default)]
pub(crate) struct Log {
    slots: BTreeMap<Slot, Box<SlotState>>,
}

impl Log {
    pub(crate) fn get(&self, slot: Slot) -> Option<&SlotState> {
        self.slots.get(&slot).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut SlotState> {
        self.slots.get_mut(&slot).map(Box::as_mut)
    }

    /// The slot's state, made if absent. Only for slots inside the window or below the last final one.
    pub(crate) fn entry(&mut self, slot: Slot) -> &mut SlotState {
        self.slots.entry(slot).or_default()
    }

    pub(crate) fn above(&self, slot: Slot) -> impl Iterator<Item = (Slot, &SlotState)> {
        self.slots.range(slot.next()..).map(|(slot, state)| (*slot, state.as_ref()))
    }

    /// Moves every slot to a higher view: the one after the present one, whose messages were kept, or one beyond.
    pub(crate) fn change_view(&mut self, is_next: bool, quorum: usize) {
        for state in self.slots.values_mut() {
            let current = std::mem::take(&mut state.current);
            state.leave_round(current, quorum);
            let next = std::mem::take(&mut state.next);
            if is_next {
                state.current = next;
            } else {
                state.leave_round(next, quorum);
            }
        }
    }

    /// Forgets the slots up to `slot`.
    pub(crate) fn forget_through(&mut self, slot: Slot) {
        self.slots = self.slots.split_off(&slot.next());
    }

    /// Forgets the slots in `(after, through]`.
    pub(crate) fn forget_range(&mut self, after: Slot, through: Slot) {
        if after >= through {
            return;
        }
        let mut tail = self.slots.split_off(&after.next());
        let mut rest = tail.split_off(&through.next());
        self.slots.append(&mut rest);
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests;
