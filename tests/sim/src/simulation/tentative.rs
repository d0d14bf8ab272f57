//! Execution as a node's thread does it: one job after the other, on the state or on an overlay above it.

use carat_consensus::{Effect, Execute, ExecuteTentatively, Input, TentativelyExecuted};
use carat_types::Digest;
use carat_types::message::{Signed, TentativeReply};

use super::{Node, Simulation, heed};
use crate::ledger::{Ledger, Outcome};
use crate::mix::mix;
use crate::oracle::{Verdict, Violation};
use crate::planted::Planted;

/// What waits for the thread that executes.
#[derive(Debug)]
pub(super) enum Job {
    /// For good.
    Final(Execute),
    /// On an overlay.
    Tentative(ExecuteTentatively),
    /// Undo all overlays.
    Drop,
}

/// The state after a slot that is not final yet.
#[derive(Debug)]
pub(super) struct Overlay {
    ledger: Ledger,
    outcome: Outcome,
}

impl Simulation {
    /// Whether an effect is of no concern: in this run nobody waits for tentative results.
    pub(super) fn ignores(&self, effect: &Effect) -> bool {
        !self.plan.tentative && matches!(effect, Effect::ExecuteTentatively(_) | Effect::DropTentative)
    }

    pub(super) fn perform_tentative(&mut self, index: usize, effect: Effect) -> Verdict {
        match effect {
            Effect::ExecuteTentatively(execute) => {
                heed(self.strict, self.oracle.executing_tentatively(self.nodes[index].id, &execute))?;
                self.queue_job(index, Job::Tentative(*execute));
                Ok(())
            }
            Effect::DropTentative => {
                self.oracle.dropped_tentative(self.nodes[index].id);
                self.queue_job(index, Job::Drop);
                Ok(())
            }
            Effect::Reply(signed) => self.replies(index, signed),
            _ => Ok(()),
        }
    }

    pub(super) fn queue_job(&mut self, index: usize, job: Job) {
        let Some(process) = &mut self.nodes[index].process else { return };
        process.executions.push_back(job);
        if process.executions.len() == 1 {
            self.begin_execution(index);
        }
    }

    fn begin_execution(&mut self, index: usize) {
        let after = self.rng.between(1, self.plan.process.execute_max);
        self.later(index, after, super::Happening::ExecutionDone);
    }

    pub(super) fn execution_done(&mut self, index: usize) -> Verdict {
        let Some(process) = &mut self.nodes[index].process else { return Ok(()) };
        let Some(job) = process.executions.pop_front() else { return Ok(()) };
        if !process.executions.is_empty() {
            self.begin_execution(index);
        }
        match job {
            Job::Final(execute) => self.executed_for_good(index, &execute),
            Job::Tentative(execute) => self.executed_tentatively(index, &execute),
            Job::Drop => {
                if let Some(process) = &mut self.nodes[index].process {
                    process.overlays.clear();
                }
                Ok(())
            }
        }
    }

    /// The outcome of a final slot, and the state after it: from the overlay, if there is one.
    pub(super) fn take_outcome(node: &mut Node, execute: &Execute) -> Result<Option<Outcome>, Violation> {
        let Some(process) = &mut node.process else { return Ok(None) };
        let Some(Overlay { ledger, outcome }) = process.overlays.pop_front() else {
            return Ok(Some(process.ledger.perform(execute)));
        };
        let held = &outcome.executed.header;
        if (held.slot, held.prefix) != (execute.slot, execute.prefix) {
            return Err(Violation {
                rule: "section 11: the overlay goes when another value is final",
                validator: Some(node.id),
                detail: format!("slot {} is final, the overlay is {held:?}", execute.slot),
            });
        }
        process.ledger = ledger;
        Ok(Some(outcome))
    }

    fn executed_tentatively(&mut self, index: usize, execute: &ExecuteTentatively) -> Verdict {
        let ExecuteTentatively { view, slot, payload, prefix, .. } = execute;
        let Some(process) = &mut self.nodes[index].process else { return Ok(()) };
        let below = process.overlays.back().map_or(&process.ledger, |overlay| &overlay.ledger);
        if below.header().slot.next() != *slot {
            // The state was replaced by a fetched one meanwhile.
            return Ok(());
        }
        let mut ledger = below.clone();
        let outcome = ledger.execute(*slot, payload.payload(), *prefix, payload.digest());
        let header = outcome.executed.header.hash();
        process.overlays.push_back(Overlay { ledger, outcome });
        let answer = TentativelyExecuted { view: *view, slot: *slot, header };
        self.input(index, Input::TentativelyExecuted(answer), mix(8, slot.0))
    }

    /// Clients hear a reply, and that of a liar twice: as it is, and for a header on which all liars agree.
    fn replies(&mut self, index: usize, mut signed: Signed<TentativeReply>) -> Verdict {
        let Node { id, epoch, .. } = self.nodes[index];
        self.trace.note(self.now, id, || {
            let TentativeReply { view, slot, header } = signed.body;
            format!("→ clients TREPLY view {view} slot {slot} header {}", header.short())
        });
        heed(self.strict, self.oracle.replied(id, epoch, &signed))?;
        if self.planted == Some(Planted::AddsViews) {
            signed.body.view = carat_types::View(0);
        }
        if self.plan.behaviour(id).is_some_and(|behaviour| !behaviour.acceptor_only_crashes()) {
            let header = Digest([0x11; 32]);
            let set = &self.eras[epoch].set;
            let lie =
                self.eras[epoch].keys[id.index()].sign(set, id, TentativeReply { header, ..signed.body });
            heed(self.strict, self.oracle.told(epoch, &lie))?;
        }
        heed(self.strict, self.oracle.told(epoch, &signed))
    }

    /// A new replica begins without any overlay, and so does its node.
    pub(super) fn forget_jobs(&mut self, index: usize) {
        if let Some(process) = &mut self.nodes[index].process {
            process.executions.clear();
            process.overlays.clear();
        }
    }

    /// Slots that clients were told of before they were final anywhere.
    pub(super) fn told_early(&self) -> usize {
        self.oracle.told_early()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn slots_are_told_before_they_are_final_in_seeds_that_say_so_and_in_no_other() {
        let options = crate::runner::Options { n: Some(4), ..Default::default() };
        let mut early = [0, 0];
        for seed in 0..24 {
            let outcome = crate::runner::run_seed(seed, options, crate::trace::Wanted::Hash);
            assert_eq!(outcome.violation, None, "seed {seed}");
            early[usize::from(options.plan(seed).tentative)] += outcome.told_early;
        }
        assert_eq!(early[0], 0);
        assert!(early[1] > 0, "{} slots", early[1]);
    }
}
