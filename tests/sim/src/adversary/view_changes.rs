//! Lies in VIEW-CHANGE and NEW-VIEW: what cannot be checked is false, what must be shown is hidden.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::message::{Ballot, LastVote, Message, NewView, Signed, SlotReport, ViewChange};
use carat_types::{Digest, Signature, Slot, ValidatorId, View};

use super::{Addressed, Adversary, Said};
use crate::plan::Behaviour;
use crate::rng::Rng;

impl Adversary {
    /// What leaves in place of a VIEW-CHANGE or NEW-VIEW of the own core; none if the message passes as it is.
    pub(super) fn twist_view_change(&mut self, rng: &mut Rng, said: Said<'_>) -> Option<Vec<Addressed>> {
        let (me, Said { acting, targets, message }) = (self.identity.id, said);
        let proposer = self.identity.proposer();
        match (acting, message) {
            (Behaviour::ViewChangeLiar, Message::ViewChange(change)) if change.signer == me => {
                Some(targets.iter().map(|to| (*to, self.lie(rng, change))).collect())
            }
            (Behaviour::NewViewLiar, Message::NewView(new_view)) if Some(new_view.signer) == proposer => {
                let choose = |to: &ValidatorId| {
                    let other = rng.chance(700).then(|| self.other_new_view(rng, new_view));
                    (*to, other.unwrap_or_else(|| message.clone()))
                };
                Some(targets.iter().map(choose).collect())
            }
            (Behaviour::NewViewLiar, Message::Proposal(_) | Message::Announcement(_)) if rng.chance(300) => {
                Some(Vec::new())
            }
            _ => None,
        }
    }

    /// A VIEW-CHANGE that is valid in form and false in what nobody can check, or hides what it should show.
    fn lie(&self, rng: &mut Rng, honest: &Signed<ViewChange>) -> Message {
        let mut body = honest.body.clone();
        let below = View(body.view.0.saturating_sub(1));
        match rng.below(9) {
            0 | 7 | 8 => body.reports.clear(),
            1 => body.reports.iter_mut().for_each(|report| report.prepared = None),
            2 => body.reports.iter_mut().for_each(|report| report.last_vote = None),
            3 => {
                let digest = Digest([7; 32]);
                body.reports.iter_mut().for_each(|report| {
                    report.last_vote = Some(LastVote { view: below, digest });
                });
            }
            4 => {
                let known = self.memory.iter().filter_map(|message| match message {
                    Message::Prepare(prepare) => Some(prepare.signed.body.0),
                    _ => None,
                });
                let known: Vec<Ballot> = known.collect();
                for report in &mut body.reports {
                    let other = known.iter().find(|ballot| {
                        ballot.slot == report.slot
                            && Some(ballot.digest) != report.last_vote.map(|vote| vote.digest)
                    });
                    let digest = other.map(|ballot| ballot.digest);
                    let digest = digest.or(report.last_vote.map(|vote| vote.digest));
                    report.last_vote = digest.map(|digest| LastVote { view: below, digest });
                    report.prepared = report.prepared.take().filter(|_| rng.chance(300));
                }
            }
            5 => {
                body.stable = None;
                body.reports.retain(|report| report.slot.0 <= self.identity.window);
            }
            _ => {}
        }
        Message::ViewChange(Arc::new(self.identity.keys.sign(&self.identity.set, self.identity.id, body)))
    }

    /// Claims, for every slot, a vote of the view just left for a value that somebody really voted for, and that is not
    /// the one of the highest certificate heard of: the lie that counts, if few know the certificate.
    pub(super) fn scheme(&self, rng: &mut Rng, honest: &Signed<ViewChange>) -> Arc<Signed<ViewChange>> {
        let mut body = honest.body.clone();
        let below = View(body.view.0.saturating_sub(1));
        let (floor, top) = (body.stable_slot(), body.stable_slot().plus(self.identity.window));
        let mut reports = BTreeMap::new();
        for (slot, values) in self.values.range(floor.next()..=top) {
            let certified = self.certified(body.view, *slot);
            let others: Vec<Digest> =
                values.iter().copied().filter(|value| Some(*value) != certified).collect();
            if others.is_empty() {
                continue;
            }
            let last_vote = Some(LastVote { view: below, digest: rng.pick(&others) });
            reports.insert(*slot, SlotReport { slot: *slot, last_vote, prepared: None });
        }
        body.reports = reports.into_values().collect();
        self.sign_view_change(body)
    }

    /// The value of the highest certificate for a slot among the VIEW-CHANGEs heard, or of the own core's.
    fn certified(&self, view: View, slot: Slot) -> Option<Digest> {
        let heard = self.view_changes.get(&view)?;
        let reports =
            heard.values().flat_map(|change| &change.body.reports).filter(|report| report.slot == slot);
        let certificates = reports.filter_map(|report| report.prepared.as_ref()).map(|held| held.body.0);
        certificates.max_by_key(|ballot| ballot.view).map(|ballot| ballot.digest)
    }

    /// Denies every vote and certificate.
    pub(super) fn deny(&self, honest: &Signed<ViewChange>) -> Arc<Signed<ViewChange>> {
        let reports = Vec::new();
        self.sign_view_change(ViewChange { reports, ..honest.body.clone() })
    }

    /// A NEW-VIEW in which the own VIEW-CHANGE is the lie.
    pub(super) fn lead_with_a_lie(
        &self,
        rng: &mut Rng,
        targets: &[ValidatorId],
        honest: &Signed<NewView>,
    ) -> Vec<Addressed> {
        let mut body = honest.body.clone();
        for change in &mut body.view_changes {
            if change.signer == self.identity.id {
                *change = self.scheme(rng, change);
            }
        }
        let message = Message::NewView(Arc::new(self.keys_sign(body)));
        targets.iter().map(|to| (*to, message.clone())).collect()
    }

    fn keys_sign(&self, body: NewView) -> Signed<NewView> {
        self.identity.keys.sign(&self.identity.set, self.identity.id, body)
    }

    /// Another quorum of VIEW-CHANGEs for the same view, if more than one was heard.
    fn other_new_view(&self, rng: &mut Rng, honest: &Signed<NewView>) -> Message {
        let view = honest.body.view;
        let mut heard = self.view_changes.get(&view).cloned().unwrap_or_default();
        heard.extend(honest.body.view_changes.iter().map(|change| (change.signer, change.clone())));
        let mut changes: Vec<Arc<Signed<ViewChange>>> = heard.into_values().collect();
        rng.shuffle(&mut changes);
        changes.truncate(honest.body.view_changes.len());
        changes.sort_by_key(|change| change.signer);
        if rng.chance(50) {
            changes.pop();
        }
        self.spoil(rng, &mut changes);
        let body = NewView { view, view_changes: changes };
        Message::NewView(Arc::new(self.identity.keys.sign(&self.identity.set, self.identity.id, body)))
    }

    /// Puts what no correct leader would accept among the VIEW-CHANGEs: one twice, one of another view, one that its
    /// sender never signed.
    fn spoil(&self, rng: &mut Rng, changes: &mut [Arc<Signed<ViewChange>>]) {
        let Some(last) = changes.len().checked_sub(1) else { return };
        let place = rng.index(changes.len());
        match rng.below(8) {
            0 if last > 0 => changes[last] = changes[last - 1].clone(),
            1 => {
                let old = self.view_changes.values().flat_map(BTreeMap::values);
                let old =
                    old.filter(|old| old.signer == changes[place].signer).min_by_key(|old| old.body.view);
                if let Some(old) = old {
                    changes[place] = old.clone();
                }
            }
            2 => {
                let Signed { signer, body, .. } = &*changes[place];
                let body = ViewChange { reports: Vec::new(), ..body.clone() };
                changes[place] = Arc::new(Signed { signer: *signer, body, signature: Signature([1; 64]) });
            }
            _ => {}
        }
    }

    /// Calls for the next view again and again.
    pub(super) fn push_views(&self, rng: &mut Rng, others: &[ValidatorId]) -> Vec<Addressed> {
        let view = View(self.view.0.saturating_add(rng.between(1, 3)));
        let call = self.sign_view_change(ViewChange { view, stable: None, reports: Vec::new() });
        others.iter().map(|to| (*to, Message::ViewChange(call.clone()))).collect()
    }
}
