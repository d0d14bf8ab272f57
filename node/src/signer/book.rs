//! What a signer has signed, and so what it refuses: the double-sign guard beside the key.
//!
//! For each epoch and kind it knows the highest (view, slot), and the statement for each recent slot. It signs what is above the
//! highest, and again what it has signed; nothing else. A VIEW-CHANGE must own up to the votes that were signed, and forbids
//! votes in lower views. These are I1, I2 and I6 of the consensus specification (section 8), as far as one can judge them
//! who sees the statements alone; an honest validator with its journal is never refused (decision record 35).

use std::collections::BTreeMap;

use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::message::{Kind, ViewChange};
use carat_types::{Digest, Epoch, Slot, View};
use thiserror::Error;

use super::statement::{Statement, kind, name};

/// Slots of which the votes are remembered one by one: more than the largest window (1,024), in which they may be asked
/// for again.
const SLOTS: usize = 2_048;
/// The same for SEALs: a validator looks back 64 windows for blocks that are not sealed.
const SEALS: usize = 16_384;
/// Epochs that are remembered: the last slots of one may be sealed when the next has begun.
const EPOCHS: usize = 2;

/// Why a statement is not signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another one was signed in its place.
    #[error("another {} was signed for view {view}, slot {slot} of epoch {epoch}", name(*kind))]
    Conflict {
        /// What.
        kind: Kind,
        /// Its epoch.
        epoch: Epoch,
        /// Its view.
        view: View,
        /// Its slot.
        slot: Slot,
    },
    /// Below what was signed, and not remembered to be the same.
    #[error(
        "a {} for view {view}, slot {slot} is below what was signed: view {highest_view}, slot {highest_slot}",
        name(*kind)
    )]
    Below {
        /// What.
        kind: Kind,
        /// Its view.
        view: View,
        /// Its slot.
        slot: Slot,
        /// The high-water mark.
        highest_view: View,
        /// The high-water mark.
        highest_slot: Slot,
    },
    /// A vote in a view that was left (I2).
    #[error("a {} in view {view} after a VIEW-CHANGE for view {left_for} (I2)", name(*kind))]
    LeftView {
        /// What.
        kind: Kind,
        /// Its view.
        view: View,
        /// The view of the VIEW-CHANGE.
        left_for: View,
    },
    /// A VIEW-CHANGE that is silent about a vote (I6).
    #[error("a VIEW-CHANGE for view {view} denies the {} that was signed for view {vote_view}, slot {slot} (I6)", name(*kind))]
    Denies {
        /// Of the VIEW-CHANGE.
        view: View,
        /// What it denies.
        kind: Kind,
        /// View of that vote.
        vote_view: View,
        /// Its slot.
        slot: Slot,
    },
    /// A TREPLY for a slot whose COMMIT was not signed in its view: nothing would report its certificate (I6).
    #[error("a TREPLY for view {view}, slot {slot} without the COMMIT of that view (I6)")]
    NoCommit {
        /// Its view.
        view: View,
        /// Its slot.
        slot: Slot,
    },
    /// An epoch that is over.
    #[error("epoch {epoch} is over: statements of epoch {newest} were signed")]
    OldEpoch {
        /// Of the statement.
        epoch: Epoch,
        /// The newest epoch.
        newest: Epoch,
    },
}

impl Refusal {
    /// Whether it shows that whoever asks has forgotten what it said, or is another one. A SEAL that is asked for again after
    /// very long shows nothing. Nor does a TREPLY for which nobody waited before a restart; without one no vote is missing.
    pub fn is_grave(&self) -> bool {
        !matches!(
            self,
            Refusal::Below { kind: Kind::Seal | Kind::TentativeReply, .. }
                | Refusal::NoCommit { .. }
                | Refusal::OldEpoch { .. }
        )
    }
}

/// One line of a signer's journal: something was signed, or is about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    epoch: Epoch,
    kind: Kind,
    view: View,
    slot: Slot,
    value: Digest,
    hash: Digest,
}

impl Encode for Mark {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        out.push(self.kind as u8);
        self.view.encode(out);
        self.slot.encode(out);
        self.value.encode(out);
        self.hash.encode(out);
    }
}

impl Decode for Mark {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let epoch = Decode::decode(input)?;
        let value = u8::decode(input)?;
        Ok(Mark {
            epoch,
            kind: kind(value).map_err(|_| DecodeError::Tag { what: "kind", value })?,
            view: Decode::decode(input)?,
            slot: Decode::decode(input)?,
            value: Decode::decode(input)?,
            hash: Decode::decode(input)?,
        })
    }
}

impl Mark {
    fn of(statement: &Statement) -> Self {
        let Statement { epoch, kind, view, slot, value, hash, .. } = *statement;
        Mark { epoch, kind, view, slot, value, hash }
    }
}

/// Everything that counts of what was signed.
#[derive(Clone, Debug, Default)]
pub struct Book {
    epochs: BTreeMap<Epoch, Page>,
}

/// One epoch.
#[derive(Clone, Debug, Default)]
struct Page {
    /// By the byte of the kind.
    lines: BTreeMap<u8, Line>,
}

/// One kind.
#[derive(Clone, Debug, Default)]
struct Line {
    /// The highest by view, then slot; kept whatever becomes of `said`.
    highest: Option<Mark>,
    /// For each recent slot the statement of the highest view.
    said: BTreeMap<Slot, Mark>,
}

impl Line {
    /// Whether the same was signed before; else it must be above all of its kind.
    fn check(&self, statement: &Statement) -> Result<Option<Mark>, Refusal> {
        let Statement { epoch, kind, view, slot, hash, .. } = *statement;
        match self.said.get(&slot).filter(|said| said.view == view) {
            Some(said) if said.hash == hash => return Ok(None),
            Some(_) => return Err(Refusal::Conflict { kind, epoch, view, slot }),
            None => {}
        }
        match self.highest {
            Some(highest) if (view, slot) <= (highest.view, highest.slot) => {
                let (highest_view, highest_slot) = (highest.view, highest.slot);
                Err(Refusal::Below { kind, view, slot, highest_view, highest_slot })
            }
            _ => Ok(Some(Mark::of(statement))),
        }
    }

    fn note(&mut self, mark: Mark) {
        if self.highest.is_none_or(|highest| (mark.view, mark.slot) >= (highest.view, highest.slot)) {
            self.highest = Some(mark);
        }
        self.said.insert(mark.slot, mark);
        let most = if mark.kind == Kind::Seal { SEALS } else { SLOTS };
        while self.said.len() > most {
            self.said.pop_first();
        }
    }
}

impl Page {
    fn line(&self, kind: Kind) -> Option<&Line> {
        self.lines.get(&(kind as u8))
    }

    fn left_for(&self) -> Option<View> {
        self.line(Kind::ViewChange)?.highest.map(|mark| mark.view)
    }

    fn check(&self, statement: &Statement) -> Result<Option<Mark>, Refusal> {
        let Statement { kind, view, .. } = *statement;
        let fresh = match self.line(kind) {
            // Another VIEW-CHANGE for the same view is no contradiction: a certificate may have come in between
            // (section 13). What it says of votes is checked below.
            Some(_) if kind == Kind::ViewChange && self.left_for() == Some(view) => Some(Mark::of(statement)),
            Some(line) => line.check(statement)?,
            None => Some(Mark::of(statement)),
        };
        let is_vote = matches!(kind, Kind::Prepare | Kind::Commit | Kind::TentativeReply);
        if let Some(left_for) =
            self.left_for().filter(|left_for| is_vote && fresh.is_some() && view < *left_for)
        {
            return Err(Refusal::LeftView { kind, view, left_for });
        }
        if kind == Kind::TentativeReply && fresh.is_some() {
            self.check_reply(statement)?;
        }
        if let Some(change) = &statement.view_change {
            self.check_view_change(change)?;
        }
        Ok(fresh)
    }

    /// A TREPLY follows the COMMIT of its view and slot. So the VIEW-CHANGE that owns up to the one owns up to the other.
    fn check_reply(&self, reply: &Statement) -> Result<(), Refusal> {
        let Statement { view, slot, .. } = *reply;
        let commit = self.line(Kind::Commit).and_then(|line| line.said.get(&slot));
        let follows = commit.is_some_and(|commit| commit.view == view);
        if follows { Ok(()) } else { Err(Refusal::NoCommit { view, slot }) }
    }

    /// I6, and what E3 and E4 would convict of: for each slot above its checkpoint, the last vote or a later one, and a
    /// certificate at least as high as the last COMMIT.
    fn check_view_change(&self, change: &ViewChange) -> Result<(), Refusal> {
        let stable = change.stable_slot();
        let denies = |mark: &Mark| Refusal::Denies {
            view: change.view,
            kind: mark.kind,
            vote_view: mark.view,
            slot: mark.slot,
        };
        let above = |kind| self.line(kind).into_iter().flat_map(|line| line.said.range(stable.next()..));
        let report = |slot: &Slot| change.reports.iter().find(|report| report.slot == *slot);
        for (slot, vote) in above(Kind::Prepare) {
            let last = report(slot).and_then(|report| report.last_vote);
            let owns_up = last.is_some_and(|last| {
                last.view > vote.view || (last.view == vote.view && last.digest == vote.value)
            });
            if !owns_up || vote.view >= change.view {
                return Err(denies(vote));
            }
        }
        for (slot, vote) in above(Kind::Commit) {
            let prepared = report(slot).and_then(|report| report.prepared.as_ref());
            if prepared.is_none_or(|prepared| prepared.body.0.view < vote.view) {
                return Err(denies(vote));
            }
        }
        Ok(())
    }
}

impl Book {
    /// Whether a statement may be signed, and if so takes it down.
    ///
    /// **Returns** the line that must be durable before the signature is given away; none if it is there already.
    ///
    /// **Errors**: [`Refusal`]; then nothing changed.
    pub fn admit(&mut self, statement: &Statement) -> Result<Option<Mark>, Refusal> {
        if let Some(newest) = self
            .epochs
            .keys()
            .next_back()
            .copied()
            .filter(|newest| *newest > statement.epoch && !self.epochs.contains_key(&statement.epoch))
        {
            return Err(Refusal::OldEpoch { epoch: statement.epoch, newest });
        }
        let empty = Page::default();
        let fresh = self.epochs.get(&statement.epoch).unwrap_or(&empty).check(statement)?;
        if let Some(mark) = fresh {
            self.note(mark);
        }
        Ok(fresh)
    }

    /// Takes down what was signed: at a start, line by line from the journal.
    pub fn note(&mut self, mark: Mark) {
        self.epochs.entry(mark.epoch).or_default().lines.entry(mark.kind as u8).or_default().note(mark);
        while self.epochs.len() > EPOCHS {
            self.epochs.pop_first();
        }
    }

    /// All of it as lines, for a journal that is begun anew.
    pub fn marks(&self) -> Vec<Mark> {
        let lines = self.epochs.values().flat_map(|page| page.lines.values());
        let mut marks = Vec::new();
        for line in lines {
            marks.extend(line.said.values().copied());
            marks.extend(line.highest);
        }
        marks
    }
}

#[cfg(test)]
mod tests;
