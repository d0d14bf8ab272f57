//! What a run leaves behind for the papers' properties: who voted for what, what was proposed, certified and learned, who
//! left which view and why. It judges nothing; [`crate::properties`] does, when the run is over.

use std::collections::{BTreeMap, BTreeSet};

use carat_consensus::effect::{Finality, Report, Trigger};
use carat_consensus::{Execute, Record};
use carat_types::message::{Ballot, Message};
use carat_types::{Digest, Slot, ValidatorId, View};

use crate::plan::{MS, Plan, SECOND};

/// The notes of one run.
#[derive(Debug)]
pub struct Witness {
    /// Validators.
    pub n: usize,
    /// Whether acceptors keep to the protocol and at worst crash: then q PREPAREs choose a value, else it takes q COMMITs or n PREPAREs.
    pub acceptors_only_crash: bool,
    /// Those whose acceptor or proposer lies.
    pub liars: BTreeSet<ValidatorId>,
    /// Acceptors that keep to the protocol.
    pub correct: BTreeSet<ValidatorId>,
    /// T_max and HEARTBEAT together: a view without a word from its leader lasts no longer. **Units**: microseconds.
    pub patience_us: u64,
    /// Values that some PRE-PREPARE named for a slot.
    pub proposed: BTreeSet<(Slot, Digest)>,
    /// PREPAREs, as a set of voters for each ballot. A journaled vote counts, though its message may be lost.
    pub prepares: BTreeMap<Ballot, u64>,
    /// COMMITs likewise.
    pub commits: BTreeMap<Ballot, u64>,
    /// PREPAREs of correct acceptors.
    pub cast: BTreeSet<(Slot, View, Digest, ValidatorId)>,
    /// Values with a prepared certificate in the journal of a correct acceptor.
    pub prepared: BTreeMap<(View, Slot), BTreeSet<Digest>>,
    /// Signers of the certificates and senders of the NEW-VIEWs upon which a correct acceptor acted.
    pub quorums: BTreeSet<u64>,
    /// Signers of the seal certificates upon which one acted.
    pub seals: BTreeSet<u64>,
    /// What correct validators handed to execution.
    pub learned: BTreeMap<Slot, BTreeSet<(ValidatorId, Digest)>>,
    /// Up to where correct validators fetched a state, in which all that was chosen up to there is learned at once.
    pub fetched: BTreeMap<ValidatorId, Slot>,
    /// Views left by correct validators for want of a good leader.
    pub suspicions: Vec<Suspicion>,
    /// Stays of correct validators in views; the last one of each is open.
    pub stays: Vec<Stay>,
    /// The end of the faults, once it has come.
    pub calm: Option<Calm>,
}

/// A validator leaves a view because it suspects its leader.
#[derive(Clone, Copy, Debug)]
pub struct Suspicion {
    /// Virtual time. **Units**: microseconds.
    pub at: u64,
    /// Who suspects.
    pub by: ValidatorId,
    /// The view that it leaves.
    pub view: View,
}

/// How long a validator was in a view.
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    /// Who.
    pub who: ValidatorId,
    /// Where.
    pub view: View,
    /// Since when. **Units**: microseconds of virtual time.
    pub from: u64,
    /// Last seen there.
    pub to: u64,
}

/// The moment when all faults end.
#[derive(Clone, Debug)]
pub struct Calm {
    /// Virtual time. **Units**: microseconds.
    pub at: u64,
    /// Correct validators that run for good.
    pub core: BTreeSet<ValidatorId>,
    /// What was chosen by then.
    pub chosen: BTreeMap<Slot, BTreeMap<Digest, View>>,
}

impl Witness {
    /// How long a run goes on after the last views from before the end of the faults, to see that all stays in order. **Units**: microseconds.
    const LINGER_US: u64 = 10 * SECOND;

    /// Nothing seen yet.
    pub fn new(plan: &Plan) -> Self {
        let ids = (0..plan.n).map(ValidatorId);
        let keeps_to_it = |id: &ValidatorId| plan.behaviour(*id).is_none_or(|it| it.acceptor_is_correct());
        Witness {
            n: usize::from(plan.n),
            acceptors_only_crash: ids.clone().all(|id| keeps_to_it(&id)),
            liars: plan.adversaries.iter().map(|(id, _)| *id).collect(),
            correct: ids.filter(keeps_to_it).collect(),
            patience_us: (plan.params.timeout_max_ms + plan.params.heartbeat_ms) * MS,
            proposed: BTreeSet::new(),
            prepares: BTreeMap::new(),
            commits: BTreeMap::new(),
            cast: BTreeSet::new(),
            prepared: BTreeMap::new(),
            quorums: BTreeSet::new(),
            seals: BTreeSet::new(),
            learned: BTreeMap::new(),
            fetched: BTreeMap::new(),
            suspicions: Vec::new(),
            stays: Vec::new(),
            calm: None,
        }
    }

    /// f, by own arithmetic.
    pub fn faults(&self) -> usize {
        (self.n - 1) / 3
    }

    /// Whether q COMMITs, n PREPAREs or, where acceptors at worst crash, q PREPAREs of a ballot were cast. Liars are taken
    /// to have cast theirs: they may show them whenever they like.
    fn is_chosen(&self, ballot: &Ballot) -> bool {
        let quorum = self.n - self.faults();
        let enough = if self.acceptors_only_crash { quorum } else { self.n };
        let liars = !self.correct.iter().fold(0u64, |set, id| set | 1 << id.0) & ((1 << self.n) - 1);
        let reached = |votes: &BTreeMap<Ballot, u64>, needed: usize| {
            votes.get(ballot).is_some_and(|voters| (voters | liars).count_ones() as usize >= needed)
        };
        reached(&self.prepares, enough) || reached(&self.commits, quorum)
    }

    /// The values chosen for each slot, and the lowest view in which each was.
    pub fn chosen(&self) -> BTreeMap<Slot, BTreeMap<Digest, View>> {
        let mut chosen: BTreeMap<Slot, BTreeMap<Digest, View>> = BTreeMap::new();
        for ballot in self.prepares.keys().chain(self.commits.keys()).filter(|ballot| self.is_chosen(ballot))
        {
            let views = chosen.entry(ballot.slot).or_default();
            let lowest = views.entry(ballot.digest).or_insert(ballot.view);
            *lowest = ballot.view.min(*lowest);
        }
        chosen
    }

    pub(crate) fn sent(&mut self, message: &Message) {
        match message {
            Message::Proposal(proposal) => {
                let body = &proposal.signed.body;
                self.proposed.insert((body.slot, body.digest));
            }
            Message::Announcement(announcement) => {
                let body = &announcement.signed.body;
                self.proposed.insert((body.slot, body.digest));
            }
            Message::Prepare(prepare) => {
                let ballot = prepare.signed.body.0;
                self.vote(prepare.signed.signer, ballot);
            }
            Message::Commit(commit) => {
                *self.commits.entry(commit.body.0).or_default() |= 1 << commit.signer.0;
            }
            _ => {}
        }
    }

    fn vote(&mut self, signer: ValidatorId, ballot: Ballot) {
        if self.correct.contains(&signer) {
            self.cast.insert((ballot.slot, ballot.view, ballot.digest, signer));
        }
        *self.prepares.entry(ballot).or_default() |= 1 << signer.0;
    }

    pub(crate) fn durable(&mut self, at: ValidatorId, record: &Record) {
        if !self.correct.contains(&at) {
            return;
        }
        match record {
            Record::Vote(ballot, ..) => self.vote(at, *ballot),
            Record::Prepared(certificate) => {
                let ballot = certificate.body.0;
                self.prepared.entry((ballot.view, ballot.slot)).or_default().insert(ballot.digest);
                self.quorums.insert(certificate.signers.0);
            }
            Record::NewView(new_view) => {
                let senders = new_view.body.view_changes.iter().map(|change| 1 << change.signer.0);
                self.quorums.insert(senders.fold(0, |set, bit: u64| set | bit));
            }
            _ => {}
        }
    }

    pub(crate) fn learned(&mut self, at: ValidatorId, execute: &Execute) {
        if !self.correct.contains(&at) {
            return;
        }
        self.learned.entry(execute.slot).or_default().insert((at, execute.payload.digest()));
        match &execute.finality {
            Finality::Commit(certificate) => {
                self.quorums.insert(certificate.signers.0);
                *self.commits.entry(certificate.body.0).or_default() |= certificate.signers.0;
            }
            Finality::Unanimous(certificate) | Finality::Fast(certificate) => {
                self.quorums.insert(certificate.signers.0);
                *self.prepares.entry(certificate.body.0).or_default() |= certificate.signers.0;
            }
            Finality::Sealed(block) => {
                self.seals.insert(block.certificate.signers.0);
            }
            Finality::Prefix(_) => {}
        }
    }

    /// A state was put in place; that it is the one of `slot` is the oracle's to judge.
    pub(crate) fn fetched(&mut self, at: ValidatorId, slot: Slot) {
        if self.correct.contains(&at) {
            let highest = self.fetched.entry(at).or_insert(slot);
            *highest = slot.max(*highest);
        }
    }

    pub(crate) fn reported(&mut self, now: u64, by: ValidatorId, report: &Report) {
        let Report::ViewChangeStarted { left, trigger, .. } = report else { return };
        let suspects =
            matches!(trigger, Trigger::Waiting | Trigger::NoNewView | Trigger::Idle | Trigger::LeaderProof);
        if suspects && self.correct.contains(&by) {
            self.suspicions.push(Suspicion { at: now, by, view: *left });
        }
    }

    pub(crate) fn stands(&mut self, now: u64, who: ValidatorId, view: View) {
        let open = self.stays.iter_mut().rev().take(4 * self.n).find(|stay| stay.who == who);
        match open.filter(|stay| stay.view == view) {
            Some(stay) => stay.to = now,
            None => self.stays.push(Stay { who, view, from: now, to: now }),
        }
    }

    pub(crate) fn faults_ended(&mut self, now: u64, core: &[ValidatorId]) {
        self.calm = Some(Calm { at: now, core: core.iter().copied().collect(), chosen: self.chosen() });
    }

    /// Whether the run may end.
    pub(crate) fn has_seen_enough(&self, now: u64) -> bool {
        self.calm.as_ref().is_none_or(|calm| now >= calm.at + self.patience_us + Self::LINGER_US)
    }
}
