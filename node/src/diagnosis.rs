//! Why is there no block? The answer in a class, a sentence, the validators that are missing, and what to do.
//!
//! A pure function of what this validator observes. It names what is missing *here*; `carat doctor` puts the answers of
//! all validators together.

use std::collections::BTreeMap;

use carat_types::message::Status;
use carat_types::{Quorum, Slot, ValidatorId, View};
use serde::Serialize;

use crate::role::Who;

/// What a validator last said, and when it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Heard {
    /// Its last STATUS; the channel proves the sender.
    pub status: Status,
    /// Monotonic microseconds at which it arrived.
    pub at_us: u64,
    /// The highest view for which it sent a signed VIEW-CHANGE.
    pub view_change: View,
}

/// Everything that the diagnosis is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The validator that observes.
    pub me: ValidatorId,
    /// The thresholds.
    pub quorum: Quorum,
    /// The process of the current view's leader.
    pub leader: ValidatorId,
    /// What this validator would say in a STATUS.
    pub own: Status,
    /// Time without a newly final slot. **Units**: microseconds.
    pub idle_us: u64,
    /// How long that may take on a healthy network. **Units**: microseconds.
    pub patience_us: u64,
    /// Slots that a validator may be behind.
    pub checkpoint_interval: u64,
    /// Slot that f+1 peers claim to have executed.
    pub peers_at: Slot,
    /// Every other process: whether frames reach it, and what it last said.
    pub peers: BTreeMap<ValidatorId, (bool, Option<Heard>)>,
    /// Now, monotonic microseconds.
    pub now_us: u64,
}

/// The class of a cause; stable names for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Slots become final.
    None,
    /// This validator is behind and fetches blocks; the others may be well.
    CatchingUp,
    /// Final slots are not executed: this machine's disk or processor.
    ExecutionBehind,
    /// The leader's proposals do not arrive.
    LeaderSilent,
    /// Proposals arrive and votes are missing.
    VotesMissing,
    /// A new leader owes its NEW-VIEW.
    NewViewMissing,
    /// Too few validators are in one view.
    ViewsApart,
    /// Too few validators are reached.
    NoQuorum,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Its class.
    pub cause: Cause,
    /// In a sentence.
    pub what: String,
    /// The validators that a quorum lacks, or that owe a message.
    pub missing: Vec<u16>,
    /// What to do.
    pub hint: &'static str,
}

/// A peer that was not heard for so long counts as silent: STATUS is sent every second.
const SILENT_US: u64 = 5_000_000;

impl Observed {
    /// Why no block becomes final, or that they do.
    pub fn diagnose(&self) -> Diagnosis {
        let lag = self.peers_at.0.saturating_sub(self.own.last_executed.0);
        if lag > self.checkpoint_interval {
            let what = format!("{lag} slots behind its peers, which are at {}", self.peers_at);
            return answer(Cause::CatchingUp, what, Vec::new());
        }
        if self.idle_us <= self.patience_us && self.own.active {
            return answer(Cause::None, format!("slot {} is final", self.own.last_final), Vec::new());
        }
        let silent = self.others(|peer| !self.is_heard(peer));
        if self.falls_short(&silent) {
            return answer(Cause::NoQuorum, self.short("are reached", &silent), silent);
        }
        self.diagnose_view().unwrap_or_else(|| self.diagnose_votes())
    }

    /// Whether a quorum is in one view.
    fn diagnose_view(&self) -> Option<Diagnosis> {
        let view = self.own.view;
        if !self.own.active {
            let staying = self.others(|peer| self.heard(peer).is_none_or(|heard| view_of(heard) < view));
            if self.falls_short(&staying) {
                return Some(answer(
                    Cause::ViewsApart,
                    self.short(&format!("left for view {view}"), &staying),
                    staying,
                ));
            }
            let what = format!("view {view} has its VIEW-CHANGEs, and {} owes its NEW-VIEW", self.leader());
            return Some(answer(Cause::NewViewMissing, what, vec![self.leader.0]));
        }
        let elsewhere = self.others(|peer| self.heard(peer).is_none_or(|heard| view_of(heard) != view));
        self.falls_short(&elsewhere).then(|| {
            answer(Cause::ViewsApart, self.short(&format!("are in view {view}"), &elsewhere), elsewhere)
        })
    }

    /// A quorum is in this view and reached: who does not speak in it?
    fn diagnose_votes(&self) -> Diagnosis {
        if self.own.last_executed < self.own.last_final {
            let (executed, last) = (self.own.last_executed, self.own.last_final);
            return answer(
                Cause::ExecutionBehind,
                format!("slot {last} is final, {executed} is executed"),
                Vec::new(),
            );
        }
        let voted = self.own.highest_vote;
        if voted <= self.own.last_final {
            let what =
                format!("no proposal of {} above slot {} has arrived", self.leader(), self.own.last_final);
            return answer(Cause::LeaderSilent, what, vec![self.leader.0]);
        }
        let behind =
            self.others(|peer| self.heard(peer).is_none_or(|heard| heard.status.highest_vote < voted));
        answer(Cause::VotesMissing, self.short(&format!("voted for slot {voted}"), &behind), behind)
    }

    fn heard(&self, peer: ValidatorId) -> Option<&Heard> {
        self.peers.get(&peer).and_then(|(_, heard)| heard.as_ref())
    }

    fn is_heard(&self, peer: ValidatorId) -> bool {
        let connected = self.peers.get(&peer).is_some_and(|(connected, _)| *connected);
        connected && self.heard(peer).is_some_and(|heard| self.now_us.saturating_sub(heard.at_us) < SILENT_US)
    }

    /// The other validators of which something is so. Proposers of an edge network have no vote: no quorum lacks them.
    fn others(&self, which: impl Fn(ValidatorId) -> bool) -> Vec<u16> {
        let validators = self.peers.keys().filter(|peer| peer.index() < self.quorum.n());
        validators.filter(|peer| which(**peer)).map(|peer| peer.0).collect()
    }

    fn leader(&self) -> Who {
        Who::of(self.leader.0, self.quorum)
    }

    /// Whether all validators but these are fewer than a quorum.
    fn falls_short(&self, without: &[u16]) -> bool {
        self.quorum.n().saturating_sub(without.len()) < self.quorum.quorum()
    }

    fn short(&self, what: &str, without: &[u16]) -> String {
        let present = self.quorum.n().saturating_sub(without.len());
        let missing: Vec<String> = without.iter().map(|index| format!("v{index}")).collect();
        let needed = self.quorum.quorum();
        let counted = if self.me.index() < self.quorum.n() { "validators with itself" } else { "validators" };
        format!("{present} {counted} {what}, {needed} are needed; not {}", missing.join(", "))
    }
}

/// The view that a peer is in or moves to.
fn view_of(heard: &Heard) -> View {
    heard.status.view.max(heard.view_change)
}

fn answer(cause: Cause, what: String, missing: Vec<u16>) -> Diagnosis {
    let hint = match cause {
        Cause::None => "nothing to do",
        Cause::CatchingUp => "wait: it fetches blocks and executes them; /status shows how far it is",
        Cause::ExecutionBehind => {
            "look at ledger_apply_seconds, at the disk and at the processor of this machine"
        }
        Cause::LeaderSilent => {
            "nothing: the leader is replaced after its time-out; if that repeats, look at its log"
        }
        Cause::VotesMissing => {
            "look at the logs of the validators that do not vote: disk, clock, or a halted key"
        }
        Cause::NewViewMissing => {
            "nothing: the next leader takes over after the time-out; if that repeats, look at the logs"
        }
        Cause::ViewsApart => {
            "start the missing validators or mend the network to them; the others follow by themselves"
        }
        Cause::NoQuorum => {
            "start the missing validators, or mend the network, UDP, between them and this one"
        }
    };
    Diagnosis { cause, what, missing, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: u64 = 3_000_000;
    const NOW: u64 = 100_000_000;

    fn status(view: u64, active: bool, last_final: u64, highest_vote: u64) -> Status {
        Status {
            view: View(view),
            active,
            last_final: Slot(last_final),
            last_executed: Slot(last_final),
            highest_vote: Slot(highest_vote),
            ..Status::default()
        }
    }

    fn peer(status: Status) -> (bool, Option<Heard>) {
        (true, Some(Heard { status, at_us: NOW - 1_000_000, view_change: View(0) }))
    }

    /// Validator 0 of four, which has waited too long; its leader is 1.
    fn observed(own: Status, peers: [(bool, Option<Heard>); 3]) -> Observed {
        Observed {
            me: ValidatorId(0),
            quorum: Quorum::of(4).expect("possible"),
            leader: ValidatorId(1),
            own,
            idle_us: PATIENCE + 1,
            patience_us: PATIENCE,
            checkpoint_interval: 64,
            peers_at: own.last_executed,
            peers: (1..).map(ValidatorId).zip(peers).collect(),
            now_us: NOW,
        }
    }

    #[test]
    fn every_cause_is_told_from_the_others() {
        let well = status(1, true, 9, 9);
        let down = (false, None);
        let stale = (true, Some(Heard { status: well, at_us: NOW - SILENT_US, view_change: View(0) }));
        let leaving = |view| (true, Some(Heard { status: well, at_us: NOW, view_change: View(view) }));
        let all = |status: Status| [peer(status); 3];
        let executing = Status { last_executed: Slot(8), ..well };
        let cases: [(&str, Observed, Cause, &[u16]); 11] = [
            ("well", Observed { idle_us: 0, ..observed(well, all(well)) }, Cause::None, &[]),
            ("behind", Observed { peers_at: Slot(99), ..observed(well, all(well)) }, Cause::CatchingUp, &[]),
            ("two down", observed(well, [down, down, peer(well)]), Cause::NoQuorum, &[1, 2]),
            ("one down, one silent", observed(well, [down, stale, peer(well)]), Cause::NoQuorum, &[1, 2]),
            ("left alone", observed(status(2, false, 9, 9), all(well)), Cause::ViewsApart, &[1, 2, 3]),
            (
                "left with a quorum",
                observed(status(2, false, 9, 9), [down, leaving(2), leaving(3)]),
                Cause::NewViewMissing,
                &[1],
            ),
            (
                "others in another view",
                observed(well, all(status(2, true, 9, 9))),
                Cause::ViewsApart,
                &[1, 2, 3],
            ),
            ("executing", observed(executing, all(well)), Cause::ExecutionBehind, &[]),
            ("no proposal", observed(well, all(well)), Cause::LeaderSilent, &[1]),
            (
                "votes missing",
                observed(status(1, true, 9, 12), [peer(status(1, true, 9, 12)), peer(well), peer(well)]),
                Cause::VotesMissing,
                &[2, 3],
            ),
            (
                "one down is not the cause",
                observed(well, [peer(well), peer(well), down]),
                Cause::LeaderSilent,
                &[1],
            ),
        ];
        for (name, observed, cause, missing) in cases {
            let diagnosis = observed.diagnose();
            assert_eq!(
                (diagnosis.cause, &*diagnosis.missing),
                (cause, missing),
                "{name}: {}",
                diagnosis.what
            );
        }
    }

    #[test]
    fn quorum_lacks_no_proposer_of_an_edge_network_and_a_leader_is_named_by_its_place() {
        let well = status(1, true, 9, 9);
        // Acceptors v0 to v3 with proposers p0, which observes, and p1, which leads and is down.
        let mut at_the_edge = observed(well, [peer(well), peer(well), peer(well)]);
        (at_the_edge.me, at_the_edge.leader) = (ValidatorId(4), ValidatorId(5));
        at_the_edge.peers.insert(ValidatorId(0), peer(well));
        at_the_edge.peers.insert(ValidatorId(5), (false, None));
        let diagnosis = at_the_edge.diagnose();
        assert_eq!((diagnosis.cause, &*diagnosis.missing), (Cause::LeaderSilent, &[5][..]));
        assert!(diagnosis.what.contains("of p1"), "{}", diagnosis.what);
        for acceptor in [0, 1] {
            at_the_edge.peers.insert(ValidatorId(acceptor), (false, None));
        }
        let diagnosis = at_the_edge.diagnose();
        assert_eq!((diagnosis.cause, &*diagnosis.missing), (Cause::NoQuorum, &[0, 1][..]));
        assert_eq!(diagnosis.what, "2 validators are reached, 3 are needed; not v0, v1");
    }

    #[test]
    fn sentence_names_who_is_missing_and_how_many_are_needed() {
        let well = status(1, true, 9, 9);
        let diagnosis = observed(well, [(false, None), (false, None), peer(well)]).diagnose();
        assert_eq!(diagnosis.what, "2 validators with itself are reached, 3 are needed; not v1, v2");
    }
}
