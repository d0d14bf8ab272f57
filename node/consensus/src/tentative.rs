//! Tentative execution: results before finality, signed as TREPLY. **Source**: consensus specification, section 11.
//!
//! A slot for which COMMIT was sent in this view is executed on an overlay above the state of the slot below, which is
//! final or tentative in the same view. The world may leave an overlay unmade: then no answer comes, and the slot is executed
//! when it is final. Nothing but TREPLYs follows from an overlay: SEALs, checkpoints and deletion wait for finality (section 15).

use std::collections::BTreeMap;

use carat_types::batch::{WellFormed, null_digest};
use carat_types::genesis::Trust;
use carat_types::header::prefix_digest;
use carat_types::message::{Signed, TentativeReply};
use carat_types::{Digest, Slot, View};

use crate::effect::{Effect, ExecuteTentatively};
use crate::input::TentativelyExecuted;
use crate::replica::{Replica, invariant};
use crate::statement::Statement;

/// c(s) of the slots that were handed out in this view and are not final yet: the one above the last final slot that was
/// handed to execution, and on without a gap. At most a window.
pub(crate) type Overlay = BTreeMap<Slot, Digest>;

impl Replica {
    /// Hands out every slot that may be executed tentatively, in order.
    pub(crate) fn advance_tentative(&mut self) -> bool {
        let mut moved = false;
        while let Some(execute) = self.next_tentative() {
            self.overlay.insert(execute.slot, execute.prefix);
            self.emit(Effect::ExecuteTentatively(Box::new(execute)));
            moved = true;
        }
        moved
    }

    /// The slot above the overlay, if its COMMIT was sent in this view and its payload is at hand. Under `trust = crash` there is
    /// none: no COMMIT is sent, and FAST decides as soon.
    fn next_tentative(&self) -> Option<ExecuteTentatively> {
        let view = self.position.view;
        if self.halted || self.guard.is_some() || self.transfer.holds_execution() {
            return None;
        }
        let (below, parent_prefix) = match self.overlay.last_key_value() {
            Some((slot, prefix)) => (*slot, *prefix),
            None => (self.chain.dispatched, self.chain.dispatched_prefix),
        };
        let slot = below.next();
        if !self.has_committed(slot) {
            return None;
        }
        let ballot = self.log.get(slot)?.voted_in(view)?.ballot;
        if prefix_digest(&parent_prefix, slot, &ballot.digest) != ballot.prefix {
            return None;
        }
        let payload = match ballot.digest == null_digest() {
            true => WellFormed::null(),
            false => self.payloads.get(&ballot.digest)?.clone(),
        };
        Some(ExecuteTentatively { view, slot, payload, parent_prefix, prefix: ballot.prefix })
    }

    /// Whether COMMIT was sent for a slot in the current view, and nothing final contradicts the votes of this view.
    fn has_committed(&self, slot: Slot) -> bool {
        let position = &self.position;
        self.config.trust == Trust::Bft
            && position.active
            && !position.blocked
            && slot > self.chain.stable
            && slot <= position.committed
    }

    /// A final slot goes to execution: the overlay holds it already, or is of another value and goes.
    pub(crate) fn confirm_tentative(&mut self, slot: Slot, prefix: &Digest) {
        match self.overlay.first_key_value() {
            Some((held, of)) if *held == slot && of == prefix => {
                self.overlay.pop_first();
            }
            _ => self.drop_tentative(),
        }
    }

    /// Forgets what was executed tentatively: its view is left, or another value is final.
    pub(crate) fn drop_tentative(&mut self) {
        if !self.overlay.is_empty() {
            self.overlay.clear();
            self.emit(Effect::DropTentative);
        }
    }

    /// A slot was executed tentatively: TREPLY, unless it was overtaken meanwhile.
    pub(crate) fn on_tentatively_executed(&mut self, executed: TentativelyExecuted) {
        let TentativelyExecuted { view, slot, header } = executed;
        if self.may_reply(view, slot) {
            self.say(Statement::TentativeReply(TentativeReply { view, slot, header }));
        }
    }

    /// I2: never of a view that was left; and never without the COMMIT of that view.
    fn may_reply(&self, view: View, slot: Slot) -> bool {
        view == self.position.view && self.has_committed(slot)
    }

    /// The own TREPLY is signed.
    pub(crate) fn on_signed_reply(&mut self, signed: Signed<TentativeReply>) {
        let TentativeReply { view, slot, .. } = signed.body;
        if self.may_reply(view, slot) {
            invariant!("I5", self.is_certified_here(view, slot), "a TREPLY for slot {slot} without J4");
            self.emit(Effect::Reply(signed));
        }
    }

    /// Whether a prepared certificate of `view` or a later one is journaled for a slot (I6 speaks of TREPLY as of COMMIT).
    fn is_certified_here(&self, view: View, slot: Slot) -> bool {
        let prepared = self.log.get(slot).and_then(|state| state.prepared.as_ref());
        prepared.is_some_and(|held| held.body.0.view >= view)
    }
}
