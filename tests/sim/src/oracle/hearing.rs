//! What a correct validator takes from liars: of each sender one vote of a kind for a view and slot, and never in silence a
//! second one that says otherwise.

use std::collections::BTreeMap;

use carat_consensus::VerifiedMessage;
use carat_types::message::Ballot;
use carat_types::{Slot, ValidatorId, View};

use super::{Court, Verdict, demand};

/// A vote that reached a core.
#[derive(Clone, Copy, Debug)]
pub struct HeardVote {
    signer: ValidatorId,
    is_commit: bool,
    ballot: Ballot,
}

impl HeardVote {
    /// The vote of a message, if it is one.
    pub fn of(message: &VerifiedMessage) -> Option<HeardVote> {
        match message {
            VerifiedMessage::Prepare { vote, .. } => {
                Some(HeardVote { signer: vote.signer, is_commit: false, ballot: vote.body.0 })
            }
            VerifiedMessage::Commit(vote) => {
                Some(HeardVote { signer: vote.signer, is_commit: true, ballot: vote.body.0 })
            }
            _ => None,
        }
    }
}

/// The votes of liars that one validator has taken, in its own view and above its checkpoint.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    taken: BTreeMap<(Slot, View, ValidatorId, bool), Ballot>,
}

impl Court {
    /// A validator in `view`, with its checkpoint at `stable`, was handed a vote.
    pub(super) fn heard_vote(
        &mut self,
        at: ValidatorId,
        vote: HeardVote,
        refused: bool,
        (view, stable): (View, Slot),
    ) -> Verdict {
        let HeardVote { signer, is_commit, ballot } = vote;
        // Beyond its end nobody of this epoch listens any more.
        let is_open = ballot.slot > stable && self.end.is_none_or(|end| ballot.slot <= end);
        let of_interest = ballot.view == view && is_open && !refused;
        // Correct voters are held to one vote by what they say; of lying listeners nothing is demanded.
        let listens = self.watches[at.index()].acceptor_is_correct;
        if !of_interest || !listens || self.watches[signer.index()].acceptor_is_correct {
            return Ok(());
        }
        let Hearing { taken } = &mut self.watches[at.index()].hearing;
        let first = *taken.entry((ballot.slot, view, signer, is_commit)).or_insert(ballot);
        while taken.first_key_value().is_some_and(|((slot, ..), _)| *slot <= stable) {
            taken.pop_first();
        }
        demand(first == ballot, "a second vote is refused", at, || {
            format!("takes {ballot:?} of {signer} after {first:?}")
        })
    }
}
