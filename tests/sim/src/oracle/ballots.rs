//! Every vote that anybody ever sent, and what is final by it.

use std::collections::BTreeMap;

use carat_consensus::Record;
use carat_types::genesis::Trust;
use carat_types::message::{Ballot, Justification, Message};
use carat_types::{Digest, Slot, ValidatorId};

use super::certificates::Certificates;
use super::{Thresholds, Verdict, Violation};
use crate::plan::Plan;

/// Votes counted by ballot, and the slots that are final by them.
#[derive(Debug)]
pub(super) struct Ballots {
    thresholds: Thresholds,
    /// Whether FAST is sound in this run: assumption A-crash.
    acceptors_only_crash: bool,
    /// Whether validators act on FAST, so that it makes final as the other rules do.
    fast_decides: bool,
    /// Slots up to here were decided in the epochs before.
    base: Slot,
    prepares: BTreeMap<Ballot, u64>,
    commits: BTreeMap<Ballot, u64>,
    /// c(s) → slot and c(s-1), as far as some vote has shown it.
    links: BTreeMap<Digest, Link>,
    /// c(s) of slots that are final by a rule that validators act upon, here or above: UNANIMOUS or COMMIT, or FAST.
    finals: BTreeMap<Slot, Digest>,
    /// The same by FAST; only kept where FAST is sound.
    fast: BTreeMap<Slot, Digest>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    slot: Slot,
    below: Digest,
}

impl Ballots {
    /// The ballots of an epoch that begins above `base`.
    pub(super) fn new(thresholds: Thresholds, plan: &Plan, base: (Slot, Digest)) -> Self {
        Ballots {
            thresholds,
            acceptors_only_crash: plan.acceptors_only_crash(),
            fast_decides: plan.trust == Trust::Crash,
            prepares: BTreeMap::new(),
            commits: BTreeMap::new(),
            links: BTreeMap::new(),
            base: base.0,
            finals: [base].into(),
            fast: [base].into(),
        }
    }

    /// Counts a message's vote.
    pub(super) fn heard(&mut self, from: ValidatorId, message: &Message, check: &Certificates) -> Verdict {
        match message {
            Message::Prepare(prepare) if check.is_signed(&prepare.signed) => {
                let ballot = prepare.signed.body.0;
                if let Justification::Proposal(proposal) = &prepare.justification {
                    self.link(ballot, proposal.parent);
                }
                self.count_prepare(from, prepare.signed.signer, ballot)
            }
            Message::Commit(commit) if check.is_signed(commit) => {
                self.count_commit(from, commit.signer, commit.body.0)
            }
            _ => Ok(()),
        }
    }

    /// Counts a journal record as the vote that it stands for.
    pub(super) fn journaled(&mut self, at: ValidatorId, record: &Record) -> Verdict {
        match record {
            Record::Vote(ballot, why, _) => {
                if let Justification::Proposal(proposal) = why {
                    self.link(*ballot, proposal.parent);
                }
                self.count_prepare(at, at, *ballot)
            }
            Record::Prepared(certificate) => self.count_commit(at, at, certificate.body.0),
            _ => Ok(()),
        }
    }

    /// Learns which log a ballot's prefix stands for.
    pub(super) fn link(&mut self, ballot: Ballot, below: Digest) {
        if carat_types::header::prefix_digest(&below, ballot.slot, &ballot.digest) == ballot.prefix {
            self.links.entry(ballot.prefix).or_insert(Link { slot: ballot.slot, below });
        }
    }

    pub(super) fn final_tip(&self) -> Slot {
        self.finals.last_key_value().map_or(Slot(0), |(slot, _)| *slot)
    }

    /// Fails unless `slot` is final with `prefix`.
    pub(super) fn demand_final(
        &self,
        at: ValidatorId,
        slot: Slot,
        prefix: &Digest,
        rule: &'static str,
    ) -> Verdict {
        let known = self.finals.get(&slot);
        if known == Some(prefix) {
            return Ok(());
        }
        let detail = format!("slot {slot}, prefix {prefix}: final is {known:?}");
        Err(Violation { rule, validator: Some(at), detail })
    }

    /// c(s) of a final slot.
    pub(super) fn final_prefix(&self, slot: Slot) -> Option<Digest> {
        self.finals.get(&slot).copied()
    }

    pub(super) fn count_prepare(
        &mut self,
        from: ValidatorId,
        signer: ValidatorId,
        ballot: Ballot,
    ) -> Verdict {
        let count = add(&mut self.prepares, ballot, signer);
        if count == Some(self.thresholds.quorum) && self.acceptors_only_crash {
            self.decide(from, ballot, Rule::Fast)?;
        }
        let decides = if self.fast_decides { self.thresholds.quorum } else { self.thresholds.n };
        if count == Some(decides) { self.decide(from, ballot, Rule::Acted) } else { Ok(()) }
    }

    pub(super) fn count_commit(&mut self, from: ValidatorId, signer: ValidatorId, ballot: Ballot) -> Verdict {
        let count = add(&mut self.commits, ballot, signer);
        if count == Some(self.thresholds.quorum) { self.decide(from, ballot, Rule::Acted) } else { Ok(()) }
    }

    /// A rule is met: the whole prefix is final. Follows the links down to what is known to be final.
    fn decide(&mut self, from: ValidatorId, ballot: Ballot, rule: Rule) -> Verdict {
        if ballot.slot <= self.base {
            let detail =
                format!("{ballot:?} is final by {rule:?}, and the epoch begins above slot {}", self.base);
            return Err(Violation { rule: "agreement", validator: Some(from), detail });
        }
        let (mut slot, mut prefix) = (ballot.slot, ballot.prefix);
        loop {
            let (own, other) = match rule {
                Rule::Fast => (&mut self.fast, &self.finals),
                Rule::Acted => (&mut self.finals, &self.fast),
            };
            // Without A-crash, FAST is never met here and `fast` holds nothing but genesis.
            let known = [own.get(&slot), other.get(&slot)];
            if let Some(known) = known.into_iter().flatten().find(|known| **known != prefix) {
                return Err(Violation {
                    rule: "agreement",
                    validator: Some(from),
                    detail: format!("slot {slot}: {known} is final, and {prefix} by {rule:?}: {ballot:?}"),
                });
            }
            if own.insert(slot, prefix).is_some() {
                return Ok(());
            }
            let Some(link) = self.links.get(&prefix).filter(|link| link.slot == slot) else {
                return Ok(());
            };
            (slot, prefix) = (slot.previous(), link.below);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    Fast,
    /// One that validators act upon.
    Acted,
}

/// **Returns** the number of voters if this vote is new.
fn add(votes: &mut BTreeMap<Ballot, u64>, ballot: Ballot, signer: ValidatorId) -> Option<usize> {
    let voters = votes.entry(ballot).or_default();
    let bit = 1u64 << signer.0;
    let new = *voters & bit == 0;
    *voters |= bit;
    new.then(|| voters.count_ones() as usize)
}
