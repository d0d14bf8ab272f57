//! Everything that ever became durable in one validator's journal, and the rules between its records.
//!
//! Compaction does not shorten this memory: it is what the validator may have promised to others.

use std::collections::{BTreeMap, BTreeSet};

use carat_consensus::Record;
use carat_types::batch::{Batch, Payload, null_digest};
use carat_types::codec::Encode;
use carat_types::genesis::ConsensusConstants;
use carat_types::message::{Ballot, NewView, Signed, StableCheckpoint, ViewChange};
use carat_types::{Digest, Slot, ValidatorId, View};

use super::certificates::Certificates;
use super::choice::{self, Choice};
use super::{Verdict, demand};
use crate::mix::mix_bytes;

/// The journal as it would be without compaction.
#[derive(Debug)]
pub(super) struct History {
    view: View,
    votes: BTreeMap<(Slot, View), Ballot>,
    prepared: BTreeMap<(Slot, View), Ballot>,
    /// Certificates journaled after their view was left: evidence, but no leave to COMMIT.
    late: BTreeSet<(Slot, View)>,
    view_changes: BTreeMap<View, u64>,
    new_views: BTreeMap<View, Entered>,
    /// Where the epoch begins.
    base: Slot,
    stable: (Slot, Digest),
    led: Option<View>,
    payloads: BTreeSet<Digest>,
    /// The bodies that are held for votes, and up to which slot.
    bodies: BTreeMap<Digest, Slot>,
}

/// An accepted NEW-VIEW.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) hash: Digest,
    pub(super) choice: Choice,
}

impl History {
    /// The journal of an epoch that begins above `base`.
    pub(super) fn new(base: (Slot, Digest)) -> Self {
        History {
            view: View(0),
            votes: BTreeMap::new(),
            prepared: BTreeMap::new(),
            late: BTreeSet::new(),
            view_changes: BTreeMap::new(),
            new_views: BTreeMap::new(),
            base: base.0,
            stable: base,
            led: None,
            payloads: [null_digest()].into(),
            bodies: BTreeMap::new(),
        }
    }

    /// J1: the durable view.
    pub(super) fn view(&self) -> View {
        self.view
    }

    /// J3: the vote at a slot and view.
    pub(super) fn vote(&self, slot: Slot, view: View) -> Option<&Ballot> {
        self.votes.get(&(slot, view))
    }

    /// J3: the vote of the highest view below `view` at a slot.
    pub(super) fn last_vote_below(&self, slot: Slot, view: View) -> Option<&Ballot> {
        self.votes.range((slot, View(0))..(slot, view)).next_back().map(|(_, ballot)| ballot)
    }

    /// J3: whether the payload of a value became durable here.
    pub(super) fn holds(&self, payload: &Digest) -> bool {
        self.payloads.contains(payload)
    }

    /// J3, ahead of the vote: whether a body became durable here.
    pub(super) fn holds_body(&self, body: &Digest) -> bool {
        self.bodies.contains_key(body)
    }

    /// J4: the certified ballot at a slot and view.
    pub(super) fn prepared(&self, slot: Slot, view: View) -> Option<&Ballot> {
        self.prepared.get(&(slot, view))
    }

    /// Whether the certificate came after its view was left.
    pub(super) fn is_late(&self, slot: Slot, view: View) -> bool {
        self.late.contains(&(slot, view))
    }

    /// J5: hash of the VIEW-CHANGE for a view.
    pub(super) fn view_change(&self, view: View) -> Option<u64> {
        self.view_changes.get(&view).copied()
    }

    /// J2: what was accepted for a view.
    pub(super) fn entered(&self, view: View) -> Option<&Entered> {
        self.new_views.get(&view)
    }

    /// J6: the stable checkpoint and its prefix.
    pub(super) fn stable(&self) -> (Slot, Digest) {
        self.stable
    }

    /// J7: the highest view that the proposer may have led.
    pub(super) fn led(&self) -> Option<View> {
        self.led
    }

    /// Adds a record and checks it against those before.
    pub(super) fn durable(
        &mut self,
        at: ValidatorId,
        record: &Record,
        certificates: &Certificates,
        params: &ConsensusConstants,
    ) -> Verdict {
        match record {
            Record::View(_, view) => self.journal_view(at, *view),
            Record::NewView(new_view) => self.journal_new_view(at, new_view, certificates, params),
            Record::Vote(ballot, _, payload) => self.journal_vote(at, ballot, payload.as_deref()),
            Record::Prepared(certificate) => {
                certificates.prepared(at, certificate)?;
                let ballot = certificate.body.0;
                if ballot.view < self.view && !self.prepared.contains_key(&(ballot.slot, ballot.view)) {
                    self.late.insert((ballot.slot, ballot.view));
                }
                let known = *self.prepared.entry((ballot.slot, ballot.view)).or_insert(ballot);
                demand(known == ballot, "one prepared value a view and slot", at, || {
                    format!("{known:?} and {ballot:?}")
                })
            }
            Record::ViewChange(change) => self.journal_view_change(at, change),
            Record::Stable(stable) => self.journal_stable(at, stable, certificates, params),
            Record::Led(_, view) => {
                let back = self.led.is_some_and(|led| *view < led);
                self.led = self.led.max(Some(*view));
                demand(!back, "J7 led views go up", at, || format!("{view} after {:?}", self.led))
            }
            Record::Body { through, body, .. } => {
                let known = self.bodies.entry(body.digest).or_insert(*through);
                *known = (*known).max(*through);
                demand(body.body.digest() == body.digest, "a body is what its digest says", at, || {
                    body.digest.to_string()
                })
            }
            Record::Batch(slot, batch) => {
                self.payloads.insert(batch.digest());
                let kept = |body: &Digest| self.bodies.get(body).is_some_and(|through| through >= slot);
                demand(batch.bodies.iter().all(kept), "I4 the bodies of every vote are durable", at, || {
                    format!("{batch:?} at slot {slot}")
                })
            }
        }
    }

    /// Checks that a journal begun anew holds what a restart needs.
    pub(super) fn still_holds(&self, at: ValidatorId, journal: &[Record]) -> Verdict {
        let (mut view, mut led, mut stable) = (View(0), None, self.base);
        let (mut entered, mut left) = (None, None);
        let (mut votes, mut certified) = (BTreeSet::new(), BTreeSet::new());
        let mut payloads = BTreeSet::from([null_digest()]);
        let (mut bodies, mut batches) = (BTreeSet::new(), Vec::new());
        for record in journal {
            match record {
                Record::View(_, v) => view = view.max(*v),
                Record::Led(_, v) => led = led.max(Some(*v)),
                Record::Stable(s) => stable = stable.max(s.header.slot),
                Record::NewView(new_view) => entered = entered.max(Some(new_view.body.view)),
                Record::ViewChange(change) => left = left.max(Some(change.body.view)),
                Record::Vote(ballot, _, payload) => {
                    votes.insert((ballot.slot, ballot.view));
                    payloads.extend(payload.as_ref().map(|_| ballot.digest));
                }
                Record::Prepared(certificate) => {
                    certified.insert((certificate.body.0.slot, certificate.body.0.view));
                }
                Record::Body { body, .. } => _ = bodies.insert(body.digest),
                Record::Batch(_, batch) => batches.push(batch),
            }
        }
        let whole = batches.into_iter().filter(|batch| batch.bodies.iter().all(|body| bodies.contains(body)));
        payloads.extend(whole.map(Batch::digest));
        let state = (view, led, stable);
        demand(state == (self.view, self.led, self.stable.0), "compaction keeps J1, J6, J7", at, || {
            format!("{state:?}, expected {:?}", (self.view, self.led, self.stable.0))
        })?;
        let current = self.new_views.contains_key(&self.view).then_some(self.view);
        demand(current.is_none() || entered == current, "compaction keeps J2", at, || {
            format!("NEW-VIEW of {entered:?}, current view is {}", self.view)
        })?;
        let sent = self.view_changes.contains_key(&self.view).then_some(self.view);
        let pending = sent.is_some() && current.is_none();
        demand(!pending || left == sent, "compaction keeps J5", at, || format!("{left:?} for {sent:?}"))?;
        self.keeps_last_votes(at, &votes, &certified, &payloads)
    }

    /// J3 and J4 above the checkpoint: per slot the highest vote with its payload, the highest certificate.
    fn keeps_last_votes(
        &self,
        at: ValidatorId,
        votes: &BTreeSet<(Slot, View)>,
        certified: &BTreeSet<(Slot, View)>,
        payloads: &BTreeSet<Digest>,
    ) -> Verdict {
        let above = (self.stable.0.next(), View(0));
        for (key, ballot) in self.votes.range(above..) {
            let highest = self.last_vote_below(key.0, View(u64::MAX)) == Some(ballot);
            let kept = votes.contains(key) && payloads.contains(&ballot.digest);
            demand(!highest || kept, "I8 votes above the checkpoint stay", at, || {
                format!("{ballot:?} or its payload is lost")
            })?;
        }
        for key in self.prepared.range(above..).map(|(key, _)| key) {
            let highest = self.prepared.range((key.0, View(0))..=(key.0, View(u64::MAX))).next_back();
            let is_highest = highest.is_some_and(|(top, _)| top == key);
            demand(
                !is_highest || certified.contains(key),
                "I8 certificates above the checkpoint stay",
                at,
                || format!("certificate at {key:?} is lost"),
            )?;
        }
        Ok(())
    }

    fn journal_view(&mut self, at: ValidatorId, view: View) -> Verdict {
        let before = self.view;
        self.view = view;
        demand(view >= before, "J1 the view never goes back", at, || format!("{view} after {before}"))
    }

    fn journal_new_view(
        &mut self,
        at: ValidatorId,
        new_view: &Signed<NewView>,
        certificates: &Certificates,
        params: &ConsensusConstants,
    ) -> Verdict {
        let view = new_view.body.view;
        let hash = new_view.body.hash();
        if let Some(known) = self.new_views.get(&view) {
            return demand(known.hash == hash, "J2 one NEW-VIEW a view", at, || {
                format!("view {view}: {} and {hash}", known.hash)
            });
        }
        choice::check(at, new_view, certificates, params)?;
        let overlap = certificates.thresholds().overlap;
        let choice = choice::choose(&new_view.body, overlap, certificates.base());
        self.new_views.insert(view, Entered { hash, choice });
        Ok(())
    }

    fn journal_vote(&mut self, at: ValidatorId, ballot: &Ballot, payload: Option<&Payload>) -> Verdict {
        if let Some(payload) = payload {
            let holds = payload.is_consistent() && payload.value.digest() == ballot.digest;
            demand(holds, "I4 payload of the vote", at, || format!("{ballot:?}"))?;
            self.payloads.insert(ballot.digest);
        }
        demand(self.payloads.contains(&ballot.digest), "I4 the batch of every vote is durable", at, || {
            format!("{ballot:?} without its payload")
        })?;
        let known = *self.votes.entry((ballot.slot, ballot.view)).or_insert(*ballot);
        demand(known == *ballot, "I1 one PREPARE a view and slot", at, || {
            format!("{known:?} and {ballot:?} are durable")
        })?;
        demand(ballot.view >= self.view, "I2 no vote below the view", at, || {
            format!("{ballot:?} after view {}", self.view)
        })
    }

    fn journal_view_change(&mut self, at: ValidatorId, change: &Signed<ViewChange>) -> Verdict {
        let view = change.body.view;
        let hash = mix_bytes(0, &change.to_bytes());
        let known = *self.view_changes.entry(view).or_insert(hash);
        demand(known == hash && change.signer == at, "J5 one VIEW-CHANGE a view", at, || {
            format!("two VIEW-CHANGEs for view {view}")
        })
    }

    fn journal_stable(
        &mut self,
        at: ValidatorId,
        stable: &StableCheckpoint,
        certificates: &Certificates,
        params: &ConsensusConstants,
    ) -> Verdict {
        certificates.stable(at, stable, params.checkpoint_interval)?;
        let before = self.stable.0;
        self.stable = self.stable.max((stable.header.slot, stable.header.prefix));
        demand(stable.header.slot >= before, "J6 checkpoints go up", at, || {
            format!("{} after {before}", stable.header.slot)
        })
    }
}
