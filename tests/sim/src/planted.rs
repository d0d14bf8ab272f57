//! Errors planted on purpose, to see that the oracle catches them. They sit in the shell around the core, or
//! twist what the core returns as an error inside it would.

use std::sync::Arc;

use carat_consensus::{Effect, Record};
use carat_types::message::{
    Ballot, Commit, Message, Prepare, PrepareMessage, Seal, Signed, SignedBody, SlotReport, ViewChange,
};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, ValidatorId};

use crate::crypto::Keys;
use crate::ledger::Outcome;

/// An error that every validator of a run makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// Does not wait for the disk.
    SendsBeforeSync,
    /// Restarts with an empty journal.
    ForgetsJournal,
    /// Takes a journal that it cannot read for an empty one.
    StartsWithoutItsJournal,
    /// Does not journal certificates (J4).
    SkipsCertificates,
    /// Does not journal the payload of a vote (J3).
    SkipsPayloads,
    /// Does not journal its view (J1).
    SkipsViews,
    /// Sends COMMIT with its PREPARE (I5).
    CommitsEarly,
    /// Votes for a second value in the same view and slot (I1).
    VotesTwice,
    /// Signs a prefix digest that is not that of its log (I7).
    IgnoresPrefix,
    /// Leaves its votes out of VIEW-CHANGE (I6).
    HidesVotes,
    /// Leaves its certificates out of VIEW-CHANGE (I6).
    HidesCertificates,
    /// Seals when it prepares (I9).
    SealsEarly,
    /// Begins its journal anew before a checkpoint is stable (I8).
    CompactsEarly,
    /// Validator 0 executes to another state (I12).
    Diverges,
    /// Executes a transaction twice.
    ExecutesTwice,
    /// Validator 0 executes to another state in one seed of a hundred: shows that a failing seed is reported.
    Canary,
    /// Clients add up TREPLYs of different views.
    AddsViews,
    /// Takes the signatures of earlier epochs for those of the present one.
    BelievesRemovedKeys,
    /// Never hears a NEW-VIEW: safe, and useless once the first leader is gone.
    Deaf,
}

/// Who is about to say something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaker<'a> {
    pub(crate) id: ValidatorId,
    pub(crate) keys: &'a Keys,
    pub(crate) set: &'a ValidatorSet,
}

impl Speaker<'_> {
    fn sign<B: SignedBody>(self, body: B) -> Signed<B> {
        self.keys.sign(self.set, self.id, body)
    }
}

impl Planted {
    /// Every error, but for the canary.
    pub const ALL: [Planted; 18] = [
        Planted::SendsBeforeSync,
        Planted::ForgetsJournal,
        Planted::StartsWithoutItsJournal,
        Planted::SkipsCertificates,
        Planted::SkipsPayloads,
        Planted::SkipsViews,
        Planted::CommitsEarly,
        Planted::VotesTwice,
        Planted::IgnoresPrefix,
        Planted::HidesVotes,
        Planted::HidesCertificates,
        Planted::SealsEarly,
        Planted::CompactsEarly,
        Planted::Diverges,
        Planted::ExecutesTwice,
        Planted::AddsViews,
        Planted::BelievesRemovedKeys,
        Planted::Deaf,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        self.catalogue().0
    }

    /// Where such an error was seen, or who warns of it.
    pub fn origin(self) -> &'static str {
        self.catalogue().1
    }

    fn catalogue(self) -> (&'static str, &'static str) {
        match self {
            Planted::SendsBeforeSync => {
                ("sends-before-sync", "section 15: sending before the journal is durable; B2")
            }
            Planted::ForgetsJournal => {
                ("forgets-its-journal", "B2: a wiped database signs again (telcoin 391)")
            }
            Planted::StartsWithoutItsJournal => {
                ("starts-without-its-journal", "B19: what follows a damaged record is dropped in silence")
            }
            Planted::SkipsCertificates => ("skips-certificates", "B2: J4"),
            Planted::SkipsPayloads => ("skips-payloads", "B2: the data behind a vote is not kept (Sui 3210)"),
            Planted::SkipsViews => ("skips-views", "B2: J1"),
            Planted::CommitsEarly => ("commits-early", "section 15: PRE-PREPARE counted as a vote; I5"),
            Planted::VotesTwice => ("votes-twice", "I1"),
            Planted::IgnoresPrefix => ("ignores-the-prefix", "I7"),
            Planted::HidesVotes => ("hides-votes", "B3: I6"),
            Planted::HidesCertificates => ("hides-certificates", "B3: I6"),
            Planted::SealsEarly => ("seals-early", "section 15: SEAL on FAST"),
            Planted::CompactsEarly => ("compacts-early", "section 15: garbage collection on tentative state"),
            Planted::Diverges => ("diverges", "B7: one peer has another state (fabric 1857)"),
            Planted::ExecutesTwice => ("executes-twice", "B11: SmartBFT 15e8114"),
            Planted::AddsViews => ("adds-views", "section 15: adding TREPLYs of different views"),
            Planted::BelievesRemovedKeys => {
                ("believes-removed-keys", "decision record 39: a signature without its epoch")
            }
            Planted::Canary => ("canary", "the harness itself"),
            Planted::Deaf => ("deaf-to-new-views", "B1: stays in the view change"),
        }
    }

    /// What stands in for one effect of the core.
    pub(crate) fn mangle(self, effect: Effect, speaker: Speaker<'_>) -> Vec<Effect> {
        match (self, effect) {
            (Planted::SkipsCertificates, Effect::Persist(Record::Prepared(_)))
            | (Planted::SkipsViews, Effect::Persist(Record::View(..))) => Vec::new(),
            (Planted::SkipsPayloads, Effect::Persist(Record::Vote(ballot, why, _))) => {
                vec![Effect::Persist(Record::Vote(ballot, why, None))]
            }
            (Planted::IgnoresPrefix, Effect::Persist(Record::Vote(ballot, why, payload))) => {
                vec![Effect::Persist(Record::Vote(with_other_prefix(ballot), why, payload))]
            }
            (
                Planted::HidesVotes | Planted::HidesCertificates,
                Effect::Persist(Record::ViewChange(change)),
            ) => {
                vec![Effect::Persist(Record::ViewChange(self.hide(&change, speaker)))]
            }
            (
                Planted::HidesVotes | Planted::HidesCertificates,
                Effect::Broadcast(Message::ViewChange(change)),
            ) => {
                vec![Effect::Broadcast(Message::ViewChange(self.hide(&change, speaker)))]
            }
            (Planted::CompactsEarly, Effect::Execute(execute)) => {
                let early = Effect::Compact { stable: execute.slot, carry: Vec::new() };
                vec![early, Effect::Execute(execute)]
            }
            (_, Effect::Broadcast(Message::Prepare(prepare))) => self.mangle_prepare(prepare, speaker),
            (_, effect) => vec![effect],
        }
    }

    fn mangle_prepare(self, prepare: PrepareMessage, speaker: Speaker<'_>) -> Vec<Effect> {
        let ballot = prepare.signed.body.0;
        let PrepareMessage { justification, .. } = prepare.clone();
        let honest = Message::Prepare(prepare);
        let messages = match self {
            Planted::CommitsEarly => vec![honest, Message::Commit(speaker.sign(Commit(ballot)))],
            Planted::SealsEarly => {
                let body = Seal { slot: ballot.slot, header: ballot.digest };
                vec![honest, Message::Seal(speaker.sign(body))]
            }
            Planted::VotesTwice => {
                let signed = speaker.sign(Prepare(Ballot { digest: Digest([9; 32]), ..ballot }));
                vec![honest, Message::Prepare(PrepareMessage { signed, justification })]
            }
            Planted::IgnoresPrefix => {
                let signed = speaker.sign(Prepare(with_other_prefix(ballot)));
                vec![Message::Prepare(PrepareMessage { signed, justification })]
            }
            _ => vec![honest],
        };
        messages.into_iter().map(Effect::Broadcast).collect()
    }

    fn hide(self, change: &Signed<ViewChange>, speaker: Speaker<'_>) -> Arc<Signed<ViewChange>> {
        let mut body = change.body.clone();
        let hidden = |report: &mut SlotReport| match self {
            Planted::HidesVotes => report.last_vote = None,
            _ => report.prepared = None,
        };
        body.reports.iter_mut().for_each(hidden);
        Arc::new(speaker.sign(body))
    }

    /// What stands in for the result of an execution.
    pub(crate) fn spoil(self, seed: u64, at: ValidatorId, outcome: &mut Outcome) {
        let diverges = self == Planted::Diverges || (self == Planted::Canary && seed % 100 == 37);
        match self {
            _ if diverges && at == ValidatorId(0) => outcome.executed.header.state_root = Digest([6; 32]),
            Planted::ExecutesTwice => outcome.applied.extend(outcome.applied.first().copied()),
            _ => {}
        }
    }
}

fn with_other_prefix(ballot: Ballot) -> Ballot {
    Ballot { prefix: Digest([8; 32]), ..ballot }
}
