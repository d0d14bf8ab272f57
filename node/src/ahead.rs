//! The block above the tip, executed before it is final. **Source**: consensus specification, section 11; decision record 52.
//!
//! One overlay at a time: the store stays that of the tip, the tree alone is brought ahead. What it was is put back from the store,
//! which still has every value that the overlay changes.

use std::collections::VecDeque;
use std::time::Duration;

use carat_consensus::ExecuteTentatively;
use carat_ledger::{BlockOutcome, StateDelta, StateError, StateRead, StateTree};
use carat_types::header::Header;
use carat_types::{Digest, Slot, View};

/// A block that is not final yet.
pub(crate) struct Overlay {
    /// Its header, state root and all.
    pub(crate) header: Header,
    /// What the ledger made of it.
    pub(crate) outcome: BlockOutcome,
    /// How long that took.
    pub(crate) took: Duration,
}

/// What may be executed ahead of its finality, and what was.
#[derive(Default)]
pub(crate) struct Ahead {
    /// In slot order, and above the tip: at most a window, since votes are.
    waiting: VecDeque<ExecuteTentatively>,
    overlay: Option<Overlay>,
}

impl Ahead {
    /// Takes in what may be executed later, if it is above the tip.
    pub(crate) fn queue(&mut self, execute: ExecuteTentatively, tip: Slot) {
        if execute.slot > tip {
            self.waiting.push_back(execute);
        }
    }

    /// The blocks up to the tip are written: what waits of them is forgotten with its payloads, also while there is no time to
    /// execute anything ahead.
    pub(crate) fn forget_through(&mut self, tip: Slot) {
        while self.waiting.pop_front_if(|next| next.slot <= tip).is_some() {}
    }

    /// What may be executed on the state of the tip, unless that was done.
    pub(crate) fn due(&mut self, tip: &Header) -> Option<ExecuteTentatively> {
        if self.overlay.is_some() {
            return None;
        }
        self.waiting.pop_front_if(|next| next.slot == tip.slot.next() && next.parent_prefix == tip.prefix)
    }

    /// The tree is that behind this block from now on.
    pub(crate) fn keep(&mut self, overlay: Overlay) {
        self.overlay = Some(overlay);
    }

    /// Takes the overlay of a slot that is final; none if it is of another value, or there is none.
    pub(crate) fn confirm(&mut self, slot: Slot, prefix: &Digest) -> Option<Overlay> {
        self.overlay.take_if(|overlay| overlay.header.slot == slot && overlay.header.prefix == *prefix)
    }

    /// The view in which COMMIT was sent for a slot that is final before there was time to execute it.
    pub(crate) fn late(&mut self, slot: Slot, prefix: &Digest) -> Option<View> {
        let place = self.waiting.iter().position(|next| next.slot == slot && next.prefix == *prefix)?;
        self.waiting.remove(place).map(|execute| execute.view)
    }

    /// Forgets what waits: it is of a view that was left, or of another value.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Whether nothing waits and nothing was executed.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.overlay.is_none()
    }

    /// Puts the tree back to `state`, on which the overlay was made.
    ///
    /// **Returns** the root that it has then; none if there was no overlay.
    ///
    /// **Errors**: the state cannot be read.
    pub(crate) fn undo(
        &mut self,
        tree: &mut StateTree,
        state: &impl StateRead,
    ) -> Result<Option<Digest>, StateError> {
        let Some(overlay) = self.overlay.take() else { return Ok(None) };
        let keys: Vec<Vec<u8>> = overlay.outcome.delta.into_keys().collect();
        let values = state.get_many(&keys)?;
        let before: StateDelta = keys.into_iter().zip(values).collect();
        Ok(Some(tree.update(&before)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carat_ledger::MemoryState;
    use carat_types::LeafRule;
    use carat_types::batch::{Batch, Payload, Value, WellFormed};
    use carat_types::header::prefix_digest;

    use super::*;

    fn tip() -> Header {
        Header::genesis(Digest([7; 32]), 1_000, Digest::ZERO)
    }

    fn above(tip: &Header, time_ms: u64) -> ExecuteTentatively {
        let value = Value::Batch(Batch { time_ms, bodies: Vec::new() });
        let (slot, digest) = (tip.slot.next(), value.digest());
        let payload = WellFormed::trusted(Arc::new(Payload { value, bodies: Vec::new() }));
        let prefix = prefix_digest(&tip.prefix, slot, &digest);
        ExecuteTentatively { view: View(0), slot, payload, parent_prefix: tip.prefix, prefix }
    }

    fn overlay(tip: &Header, execute: &ExecuteTentatively, delta: StateDelta) -> Overlay {
        let header = tip.above(0, &execute.payload.payload().value);
        let outcome = BlockOutcome {
            applied: Vec::new(),
            dropped: Vec::new(),
            delta,
            outcomes_root: Digest::ZERO,
            drops_root: Digest::ZERO,
            epoch_end: None,
        };
        Overlay { header, outcome, took: Duration::ZERO }
    }

    #[test]
    fn tree_is_what_it_was_when_an_overlay_is_undone() {
        let entry = |key: u8, value: u8| (vec![key; 4], vec![value; 8]);
        let state = MemoryState::new((0..50).map(|key| entry(key, key)));
        let mut tree = StateTree::build(&LeafRule::Open, state.entries());
        let root = tree.root();
        // One changes, one goes, one comes.
        let delta: StateDelta =
            [(vec![3; 4], Some(vec![9; 8])), (vec![5; 4], None), (vec![200; 4], Some(vec![1]))].into();
        let mut ahead = Ahead::default();
        assert_eq!(ahead.undo(&mut tree, &state).ok(), Some(None), "nothing to undo");
        tree.update(&delta);
        assert_ne!(tree.root(), root);
        ahead.keep(overlay(&tip(), &above(&tip(), 5_000), delta));
        assert_eq!(ahead.undo(&mut tree, &state).ok(), Some(Some(root)));
        assert_eq!((tree.root(), tree.len()), (root, 50));
    }

    #[test]
    fn overlay_is_that_of_its_value_alone() {
        let tip = tip();
        let (execute, other) = (above(&tip, 5_000), above(&tip, 6_000));
        let mut ahead = Ahead::default();
        ahead.keep(overlay(&tip, &execute, StateDelta::new()));
        assert!(ahead.confirm(execute.slot, &other.prefix).is_none(), "another value is final");
        assert!(ahead.confirm(execute.slot.next(), &execute.prefix).is_none());
        assert!(ahead.confirm(execute.slot, &execute.prefix).is_some());
        assert!(ahead.confirm(execute.slot, &execute.prefix).is_none(), "it was taken");
    }

    #[test]
    fn slot_that_is_final_before_its_turn_is_found_once_by_its_value() {
        let tip = tip();
        let (execute, other) = (above(&tip, 5_000), above(&tip, 6_000));
        let mut ahead = Ahead::default();
        ahead.queue(execute.clone(), tip.slot);
        assert_eq!(ahead.late(execute.slot, &other.prefix), None, "another value is final");
        assert_eq!(ahead.late(execute.slot, &execute.prefix), Some(View(0)));
        assert_eq!(ahead.late(execute.slot, &execute.prefix), None);
    }

    #[test]
    fn only_the_slot_above_the_tip_is_due_and_only_on_its_log() {
        let tip = tip();
        let first = above(&tip, 5_000);
        let middle = tip.above(0, &first.payload.payload().value);
        let second = above(&middle, 6_000);
        let mut ahead = Ahead::default();
        ahead.queue(second.clone(), tip.slot);
        assert!(ahead.due(&tip).is_none(), "the slot below is not executed");
        ahead.forget_waiting();
        ahead.queue(first.clone(), tip.slot);
        ahead.queue(second.clone(), tip.slot);
        ahead.forget_through(middle.slot);
        ahead.queue(first.clone(), middle.slot);
        assert!(ahead.waiting.iter().eq([&second]), "the first is final already");
        assert_eq!(ahead.due(&middle).map(|due| due.slot), Some(second.slot));
        let stray = tip.above(0, &above(&tip, 9_000).payload.payload().value);
        ahead.queue(second.clone(), middle.slot);
        assert!(ahead.due(&stray).is_none(), "it stands on another log");
        ahead.forget_waiting();
        ahead.keep(overlay(&tip, &first, StateDelta::new()));
        ahead.queue(second, middle.slot);
        assert!(ahead.due(&middle).is_none(), "one at a time");
    }

    #[test]
    fn what_is_written_waits_no_more_though_an_overlay_stands() {
        let tip = tip();
        let first = above(&tip, 5_000);
        let mut ahead = Ahead::default();
        ahead.keep(overlay(&tip, &first, StateDelta::new()));
        for slot in 1..=300 {
            ahead.queue(ExecuteTentatively { slot: Slot(slot), ..first.clone() }, tip.slot);
        }
        ahead.forget_through(Slot(298));
        let left: Vec<u64> = ahead.waiting.iter().map(|next| next.slot.0).collect();
        assert_eq!(left, [299, 300]);
    }
}
