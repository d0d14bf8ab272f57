//! States on their way: what a node's shell keeps of its own for others, and what it does with one that it fetches.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use carat_consensus::{Effect, Input, is_snapshot_slot};
use carat_ledger::SnapshotPlan;
use carat_types::Slot;
use carat_types::message::{ChunkRequest, Data, StableCheckpoint};
use carat_types::snapshot::{SnapshotOffer, StateChunk};

use super::{Happening, Simulation, heed};
use crate::disk::Base;
use crate::ledger::{Ledger, leaf_rule};
use crate::mix::mix;
use crate::oracle::Verdict;

/// A chunk of a few entries, so that small states come in many. **Units**: bytes.
const CHUNK_BYTES: usize = 150;
/// States that a validator keeps for others.
const KEPT: usize = 2;

/// The state after a snapshot slot.
#[derive(Debug)]
pub(super) struct Snapshot {
    ledger: Ledger,
    stable: Option<StableCheckpoint>,
}

impl Simulation {
    /// A block was executed.
    pub(super) fn keep_snapshot(&mut self, index: usize, slot: Slot) {
        let params = self.eras[self.nodes[index].epoch].params;
        let Some(process) = &mut self.nodes[index].process else { return };
        if is_snapshot_slot(&params, slot) {
            process.snapshots.push(Snapshot { ledger: process.ledger.clone(), stable: None });
            let surplus = process.snapshots.len().saturating_sub(KEPT);
            process.snapshots.drain(..surplus);
        }
    }

    /// A replica starts: who stands at the beginning of its epoch keeps that state too, for those who come without one.
    pub(super) fn keep_first_state(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let base = node.epoch.checked_sub(1).and_then(|before| node.disk.handovers().get(before)).cloned();
        let Some((process, base)) = node.process.as_mut().zip(base) else { return };
        if *process.ledger.header() == base.header {
            let (ledger, stable) = (process.ledger.clone(), Some(StableCheckpoint::clone(&base)));
            process.snapshots = vec![Snapshot { ledger, stable }];
        }
    }

    /// A checkpoint is stable and journaled.
    pub(super) fn snapshot_is_stable(&mut self, index: usize, stable: &StableCheckpoint) {
        let Some(process) = &mut self.nodes[index].process else { return };
        let found = process.snapshots.iter_mut().find(|it| it.ledger.header().slot == stable.header.slot);
        if let Some(snapshot) = found {
            snapshot.stable = Some(stable.clone());
        }
    }

    /// The newest state that can be offered.
    pub(super) fn offered(&self, index: usize, above: Slot) -> Option<Data> {
        let node = &self.nodes[index];
        let snapshots = &node.process.as_ref()?.snapshots;
        let stable = snapshots.iter().rev().filter_map(|snapshot| snapshot.stable.as_ref());
        let base = stable.into_iter().find(|stable| stable.header.slot > above)?;
        let slot = base.header.slot.next();
        let (next, next_seals) = (node.disk.block(slot)?.header.clone(), node.disk.seals(slot)?.clone());
        Some(Data::Snapshot(Arc::new(SnapshotOffer { base: base.clone(), next, next_seals })))
    }

    /// A part of a state that is kept.
    pub(super) fn chunk(&self, index: usize, request: &ChunkRequest) -> Option<Data> {
        let snapshots = &self.nodes[index].process.as_ref()?.snapshots;
        let ledger = &snapshots.iter().find(|it| it.ledger.header().slot == request.slot)?.ledger;
        let entries: BTreeMap<Vec<u8>, Vec<u8>> = ledger.entries().into_iter().collect();
        let plan = SnapshotPlan::build(&leaf_rule(), entries.iter().map(Ok::<_, Infallible>), CHUNK_BYTES);
        let plan = plan.unwrap_or_else(|never| match never {});
        let values = |keys: &[Box<[u8]>]| {
            Ok::<_, Infallible>(keys.iter().map(|key| entries[&key.to_vec()].clone()).collect())
        };
        let chunk = plan.chunk(request.slot, &request.from, values).unwrap_or_else(|never| match never {});
        chunk.map(|chunk| Data::Chunk(Arc::new(chunk)))
    }

    pub(super) fn perform_transfer(&mut self, index: usize, effect: Effect) -> Verdict {
        match effect {
            Effect::BeginTransfer(offer) => self.begin_transfer(index, offer),
            Effect::KeepChunk(chunk) => self.keep_chunk(index, chunk),
            Effect::InstallState(_) => {
                let after = self.rng.between(1, self.plan.process.execute_max);
                self.later(index, after, Happening::StateInstalled);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin_transfer(&mut self, index: usize, offer: Arc<SnapshotOffer>) -> Verdict {
        let node = &mut self.nodes[index];
        heed(self.strict, self.oracle.begins_transfer(node.id, &offer))?;
        self.trace.note(self.now, node.id, || format!("fetches the state of slot {}", offer.slot()));
        node.disk.begin_transfer(offer);
        Ok(())
    }

    fn keep_chunk(&mut self, index: usize, chunk: Arc<StateChunk>) -> Verdict {
        let node = &mut self.nodes[index];
        heed(self.strict, self.oracle.keeps_chunk(node.id, &chunk, node.disk.transfer().as_ref()))?;
        node.disk.keep_chunk(chunk);
        let after = self.rng.between(1, self.plan.process.sync_max);
        self.later(index, after, Happening::ChunkKept);
        Ok(())
    }

    pub(super) fn chunk_kept(&mut self, index: usize) -> Verdict {
        self.input(index, Input::ChunkKept, mix(6, 0))
    }

    /// The fetched state takes the place of the old one, durably.
    pub(super) fn state_installed(&mut self, index: usize) -> Verdict {
        let node = &mut self.nodes[index];
        let Some(process) = &mut node.process else { return Ok(()) };
        let Some((offer, entries)) = node.disk.fetched_state() else { return Ok(()) };
        process.ledger.install(&offer, entries);
        let header = offer.base.header.clone();
        self.transfers += 1;
        self.trace.note(self.now, node.id, || format!("stands on the state of slot {}", header.slot));
        heed(self.strict, self.oracle.installed(node.id, &header, process.ledger.root()))?;
        if let Some(witness) = &mut self.witness {
            witness.fetched(node.id, header.slot);
        }
        let base = Base { ledger: process.ledger.clone(), seals: offer.base.certificate.clone() };
        node.disk.install(base);
        let change = process.pool.follow(&process.ledger, &[]);
        self.input(index, Input::Installed(Box::new(header.clone())), mix(7, header.slot.0))?;
        if !change.withdrawn.is_empty() {
            self.input(index, Input::Withdrawn(change.withdrawn), mix(5, header.slot.0))?;
        }
        change.due.into_iter().try_for_each(|pending| self.admit(index, pending))
    }

    /// One correct validator loses its block store, not its journal: only where one more may be lost for good.
    pub(super) fn lose_a_store(&mut self) -> Verdict {
        let Some(victim) = self.correct_in_random_order().first().copied() else { return Ok(()) };
        self.nodes[victim.index()].disk.lose_blocks();
        self.trace.note(self.now, victim, || "loses its blocks and its state".to_owned());
        if self.nodes[victim.index()].process.is_none() {
            // It is down already, and finds out when it restarts.
            self.oracle.crashed(victim, Slot(0));
        }
        self.crash(victim.index())
    }
}
