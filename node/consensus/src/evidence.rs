//! Making evidence: what this replica was told is compared, and whoever contradicts itself is convicted. **Source**:
//! consensus specification, section 13; the rules stand in `carat_types::evidence`.
//!
//! One piece is kept for each validator and code: a second conviction adds nothing, and nobody fills a disk with his own.

use std::sync::Arc;

use carat_types::evidence::{Both, Contradiction, Denied, Evidence, denies_commit, denies_vote, gives_up};
use carat_types::genesis::Trust;
use carat_types::message::{
    Ballot, Commit, NewView, PrePrepare, Prepare, Seal, Signed, SignerRole, ViewChange,
};
use carat_types::{Digest, Signature, Slot, ValidatorId};

use crate::effect::{Effect, Halt, Report};
use crate::pick::Choice;
use crate::replica::Replica;

impl Replica {
    /// Keeps evidence against a validator, or against the proposer with this number (E1).
    fn convict(&mut self, validator: ValidatorId, evidence: Evidence) {
        let role = match evidence {
            Evidence::Proposals(_) | Evidence::NewViews(_) => SignerRole::Proposer,
            _ => SignerRole::Acceptor,
        };
        if self.place(role) != Some(validator) && self.convicted.insert((validator, evidence.code())) {
            self.emit(Effect::KeepEvidence(Arc::new(evidence)));
        }
    }

    /// E1: two PRE-PREPAREs of one leader.
    pub(crate) fn convict_of_proposals(&mut self, first: Signed<PrePrepare>, second: Signed<PrePrepare>) {
        self.convict(first.signer, Evidence::Proposals(Both { first, second }));
    }

    /// E1: two NEW-VIEWs of one leader.
    pub(crate) fn convict_of_new_views(&mut self, first: &Signed<NewView>, second: &Signed<NewView>) {
        let both = Both { first: first.clone(), second: second.clone() };
        self.convict(first.signer, Evidence::NewViews(both));
    }

    /// E5: a SEAL that differs from the one held.
    pub(crate) fn convict_of_seals(
        &mut self,
        (header, signature): (Digest, Signature),
        second: &Signed<Seal>,
    ) {
        let first =
            Signed { signer: second.signer, body: Seal { slot: second.body.slot, header }, signature };
        self.convict(second.signer, Evidence::Seals(Both { first, second: second.clone() }));
    }

    /// E2 and E3: compares a PREPARE with what its signer said before.
    pub(crate) fn compare_prepare(&mut self, vote: &Signed<Prepare>) {
        let (signer, ballot) = (vote.signer, vote.body.0);
        let state = self.log.get(ballot.slot);
        let other =
            state.and_then(|state| state.prepares_of(signer).find(|(held, _)| contradict(held, &ballot)));
        if let Some((held, signature)) = other {
            let first = Signed { signer, body: Prepare(held), signature };
            self.convict(signer, Evidence::Votes(Both { first, second: vote.clone() }));
        }
        if let Some(view_change) = self.view_changes.get(&signer).filter(|it| denies_vote(&it.body, &ballot))
        {
            let denied = Denied { vote: vote.clone(), view_change: Arc::clone(view_change) };
            self.convict(signer, Evidence::DeniedVote(denied));
        }
    }

    /// E4: compares a COMMIT with the VIEW-CHANGE that its signer sent before.
    pub(crate) fn compare_commit(&mut self, vote: &Signed<Commit>) {
        let denies = |it: &&Arc<Signed<ViewChange>>| denies_commit(&it.body, &vote.body.0);
        if let Some(view_change) = self.view_changes.get(&vote.signer).filter(denies) {
            let denied = Denied { vote: vote.clone(), view_change: Arc::clone(view_change) };
            self.convict(vote.signer, Evidence::DeniedCommit(denied));
        }
    }

    /// E3 and E4: compares a VIEW-CHANGE with the votes that its signer is known to have cast.
    pub(crate) fn compare_view_change(&mut self, view_change: &Arc<Signed<ViewChange>>) {
        let Signed { signer, body, .. } = view_change.as_ref();
        let open = || self.log.above(body.stable_slot()).map(|(_, state)| state);
        let vote = open()
            .flat_map(|state| state.prepares_of(*signer))
            .find(|(ballot, _)| denies_vote(body, ballot))
            .map(|(ballot, signature)| Signed { signer: *signer, body: Prepare(ballot), signature });
        let commit = open()
            .flat_map(|state| state.commits_of(*signer))
            .find(|(ballot, _)| denies_commit(body, ballot))
            .map(|(ballot, signature)| Signed { signer: *signer, body: Commit(ballot), signature });
        if let Some(vote) = vote {
            let denied = Denied { vote, view_change: Arc::clone(view_change) };
            self.convict(*signer, Evidence::DeniedVote(denied));
        }
        if let Some(vote) = commit {
            let denied = Denied { vote, view_change: Arc::clone(view_change) };
            self.convict(*signer, Evidence::DeniedCommit(denied));
        }
    }

    /// FAST: compares the choice of a NEW-VIEW with the values for which this replica holds q PREPAREs of lower views. No
    /// choice gives one up while acceptors only crash (section 9.2): an alarm of the highest class. Where FAST decides this
    /// replica has acted on them, and stops. A value that is only known to be final is not compared: it may have
    /// been decided in a later view than this one.
    pub(crate) fn compare_choice(&mut self, new_view: &Arc<Signed<NewView>>, choice: &Choice) {
        let stable = choice.stable.as_ref().map_or(self.base().slot, |stable| stable.header.slot);
        let chosen = |slot: Slot| choice.forced.get(&slot).map(|forced| forced.digest);
        let given_up = self.log.above(stable).find_map(|(slot, state)| {
            let held = state.prepared.as_ref().filter(|held| held.body.0.view < new_view.body.view)?;
            (chosen(slot) != Some(held.body.0.digest)).then(|| held.clone())
        });
        let Some(fast) = given_up else { return };
        let Ballot { slot, view, digest, .. } = fast.body.0;
        self.report(Report::FastContradicted { slot, view, digest, new_view: new_view.body.view });
        if gives_up(&new_view.body, slot, &digest, self.quorum.overlap()) && !self.contradicted {
            self.contradicted = true;
            let found = Contradiction { fast, new_view: Arc::clone(new_view) };
            self.emit(Effect::KeepEvidence(Arc::new(Evidence::Contradiction(found))));
        }
        if self.config.trust == Trust::Crash {
            self.halt(Halt::FastContradicted { slot, ours: digest, theirs: chosen(slot) });
        }
    }
}

/// Two ballots of one signer for one view and slot.
fn contradict(held: &Ballot, other: &Ballot) -> bool {
    (held.view, held.slot) == (other.view, other.slot) && held != other
}
