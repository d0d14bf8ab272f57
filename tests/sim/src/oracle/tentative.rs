//! What is said before finality (section 11): what may be executed on an overlay and replied to, and what became of what clients
//! were told. Clients are subscribed at every validator and hear everything at once, lies included.

use std::collections::{BTreeMap, BTreeSet};

use carat_consensus::ExecuteTentatively;
use carat_types::message::{Signed, TentativeReply};
use carat_types::tentative::ReplyTally;
use carat_types::validators::{Authenticator, ValidatorSet};
use carat_types::{Digest, Slot, ValidatorId, View};

use super::court::Court;
use super::{Verdict, Violation, demand};

/// One validator's overlays, and its replies.
#[derive(Debug, Default)]
pub(super) struct Overlays {
    /// The view in which each slot was last executed tentatively, in this incarnation.
    slots: BTreeMap<Slot, View>,
    /// Every TREPLY, over all incarnations.
    replies: BTreeMap<(View, Slot), Digest>,
}

impl Overlays {
    pub(super) fn crashed(&mut self) {
        self.slots.clear();
    }

    pub(super) fn dropped(&mut self) {
        self.slots.clear();
    }
}

impl Court {
    /// A validator is about to execute a slot on an overlay.
    pub(super) fn executing_tentatively(&mut self, at: ValidatorId, execute: &ExecuteTentatively) -> Verdict {
        let ExecuteTentatively { view, slot, .. } = *execute;
        let watch = &mut self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        let below = slot.previous();
        let stands = below == watch.dispatched || watch.overlays.slots.get(&below) == Some(&view);
        demand(stands, "section 11: an overlay stands on one of its own view", at, || {
            format!(
                "slot {slot} of view {view}, {} is final, overlays {:?}",
                watch.dispatched, watch.overlays.slots
            )
        })?;
        let dispatched = watch.dispatched;
        watch.overlays.slots.retain(|held, _| *held > dispatched);
        watch.overlays.slots.insert(slot, view);
        Ok(())
    }

    /// A validator replies to its clients.
    pub(super) fn replied(&mut self, from: ValidatorId, signed: &Signed<TentativeReply>) -> Verdict {
        let TentativeReply { view, slot, header } = signed.body;
        let watch = &mut self.watches[from.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        let known = *watch.overlays.replies.entry((view, slot)).or_insert(header);
        demand(known == header, "one TREPLY a view and slot", from, || {
            format!("slot {slot} in view {view}: {header}, and {known} before")
        })?;
        let left_for = watch.speech.left_for();
        demand(view >= left_for, "I2 no TREPLY below a VIEW-CHANGE", from, || {
            format!("view {view}, slot {slot} after VIEW-CHANGE({left_for})")
        })?;
        demand(
            watch.history.prepared(slot, view).is_some(),
            "J4 certificate durable before TREPLY",
            from,
            || format!("slot {slot} in view {view}"),
        )
    }
}

/// What clients believe.
#[derive(Debug, Default)]
pub(super) struct Audience {
    tally: ReplyTally,
    /// By q TREPLYs of one view.
    by_quorum: BTreeMap<Slot, Digest>,
    /// By one TREPLY, where acceptors only crash.
    by_one: BTreeMap<Slot, Digest>,
    /// Slots that were told before they were final anywhere.
    early: BTreeSet<Slot>,
}

/// The rules by which a reply is judged.
#[derive(Clone, Copy)]
pub(super) struct Hall<'a> {
    pub(super) set: &'a ValidatorSet,
    pub(super) authenticator: &'a dyn Authenticator,
    pub(super) acceptors_only_crash: bool,
}

impl Audience {
    /// Hears a TREPLY. `executed` is the header that correct validators reached at its slot; zero if none has.
    pub(super) fn hears(
        &mut self,
        hall: Hall<'_>,
        reply: &Signed<TentativeReply>,
        executed: Digest,
    ) -> Verdict {
        let TentativeReply { slot, header, .. } = reply.body;
        if executed == Digest::ZERO {
            self.early.insert(slot);
        }
        let needed = hall.set.quorum().quorum();
        if self.tally.add(reply) >= needed {
            let certificate = self.tally.certificate(reply.body);
            let verified = certificate.verify(hall.set, hall.authenticator, needed);
            demand(verified.is_ok(), "q TREPLYs are of one view, slot and header", reply.signer, || {
                format!("slot {slot}: {verified:?}")
            })?;
            believe(&mut self.by_quorum, slot, header, executed)?;
        }
        if hall.acceptors_only_crash {
            believe(&mut self.by_one, slot, header, executed)?;
        }
        Ok(())
    }

    /// A correct validator executed a slot.
    pub(super) fn executed(&self, slot: Slot, header: Digest) -> Verdict {
        compare(&self.by_quorum, slot, header)?;
        compare(&self.by_one, slot, header)
    }

    /// How many slots were told before they were executed for good anywhere.
    pub(super) fn early(&self) -> usize {
        self.early.len()
    }
}

/// A client takes a result for certain: it sees no other one, before or after.
fn believe(told: &mut BTreeMap<Slot, Digest>, slot: Slot, header: Digest, executed: Digest) -> Verdict {
    compare(told, slot, header)?;
    told.insert(slot, header);
    if executed == Digest::ZERO { Ok(()) } else { compare(told, slot, executed) }
}

fn compare(told: &BTreeMap<Slot, Digest>, slot: Slot, header: Digest) -> Verdict {
    let other = told.get(&slot).copied().filter(|known| *known != header);
    other.map_or(Ok(()), |known| {
        let detail = format!("slot {slot}: told {known}, then {header}");
        Err(Violation { rule: "what clients were told by TREPLY stands", validator: None, detail })
    })
}
