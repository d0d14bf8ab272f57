//! Performing effects: what a node's shell does, on a simulated disk and network.

use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::effect::Report;
use carat_consensus::{Effect, Execute, Input, Record, Statement};
use carat_types::block::{Block, CertifiedBlock};
use carat_types::message::{Data, Fetch, Message};
use carat_types::{Slot, ValidatorId};

use super::tentative::Job;
use super::{Event, Happening, Node, Simulation, describe, heed};
use crate::disk::StoredBlock;
use crate::epochs::Era;
use crate::mix::mix;
use crate::oracle::Verdict;
use crate::outbox::{Position, Step};
use crate::packet::Packet;
use crate::plan::SECOND;
use crate::planted::Planted;

impl Simulation {
    /// Most blocks in one answer.
    const SERVED_MAX: u64 = 16;

    /// Performs effects until the outbox waits for the disk or is empty.
    pub(super) fn drain(&mut self, index: usize) -> Verdict {
        loop {
            let node = &mut self.nodes[index];
            let Some(process) = &mut node.process else { return Ok(()) };
            if self.planted == Some(Planted::SendsBeforeSync) {
                process.outbox.open_all_barriers();
            }
            match process.outbox.next(&mut node.disk) {
                Step::Perform(effect) => {
                    self.perform(index, effect)?;
                    if self.rng.chance_per_million(self.plan.process.crash_at_effect) {
                        return self.crash(index);
                    }
                }
                Step::AwaitJournal(_) => {
                    self.sync_journal(index);
                    return Ok(());
                }
                Step::AwaitBlocks(slot) => {
                    self.sync_blocks(index, slot);
                    return Ok(());
                }
                Step::Compact { stable, carry } => {
                    heed(self.strict, self.oracle.compacting(node.id, stable, node.disk.durable_tip()))?;
                    let after = self.rng.between(1, self.plan.process.sync_max);
                    self.later(index, after, Happening::JournalCompacted { stable, carry });
                    return Ok(());
                }
                Step::Idle => {
                    // Nobody waits, but records may be on their way: sync them all the same.
                    if node.disk.written() > node.disk.durable() {
                        self.sync_journal(index);
                    }
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn perform(&mut self, index: usize, effect: Effect) -> Verdict {
        let id = self.nodes[index].id;
        match effect {
            Effect::Send { to, message } => {
                self.trace.note(self.now, id, || format!("→ v{to} {}", describe(&message)));
                self.send(index, &[to], message)
            }
            Effect::Broadcast(message) => {
                self.trace.note(self.now, id, || format!("→ all {}", describe(&message)));
                self.broadcast(index, message)
            }
            Effect::Sign(statement) => {
                self.have_signed(index, statement);
                Ok(())
            }
            Effect::Execute(execute) => {
                self.trace.note(self.now, id, || {
                    format!("executes slot {} {}", execute.slot, execute.payload.digest().short())
                });
                heed(self.strict, self.oracle.executing(id, &execute))?;
                if let Some(witness) = &mut self.witness {
                    witness.learned(id, &execute);
                }
                self.queue_job(index, Job::Final(*execute));
                Ok(())
            }
            tentative @ (Effect::ExecuteTentatively(_) | Effect::DropTentative | Effect::Reply(_)) => {
                self.perform_tentative(index, tentative)
            }
            Effect::Serve { to, fetch } => self.serve(index, to, &fetch),
            Effect::Sealed { slot, certificate } => {
                heed(self.strict, self.oracle.sealed(id, slot, &certificate))?;
                self.nodes[index].disk.keep_seals(slot, certificate);
                Ok(())
            }
            transfer @ (Effect::BeginTransfer(_) | Effect::KeepChunk(_) | Effect::InstallState(_)) => {
                self.perform_transfer(index, transfer)
            }
            Effect::SetTimer { timer, after_us } => {
                self.set_timer(index, timer, after_us);
                Ok(())
            }
            Effect::CancelTimer(timer) => {
                if let Some(process) = &mut self.nodes[index].process {
                    process.timers.remove(&timer);
                }
                Ok(())
            }
            Effect::Reject { from, reason } => {
                self.trace.note(self.now, id, || format!("rejects a message of v{from}: {reason:?}"));
                Ok(())
            }
            Effect::Report(report) => {
                self.trace.note(self.now, id, || format!("{report:?}"));
                if let Some(witness) = &mut self.witness {
                    witness.reported(self.now, id, &report);
                }
                if let Report::Stranded { slot } = report {
                    self.is_stranded(index, slot);
                }
                heed(self.strict, self.oracle.reported(id, &report))
            }
            Effect::EpochEnds(last) => self.epoch_ends(index, last),
            Effect::Halt(halt) => {
                self.trace.note(self.now, id, || format!("halts: {halt:?}"));
                heed(self.strict, self.oracle.halted(id, &halt))?;
                self.nodes[index].gone = true;
                self.crash(index)
            }
            Effect::KeepEvidence(evidence) => {
                self.trace.note(self.now, id, || format!("keeps {}: {}", evidence.code(), evidence.what()));
                self.evidence.insert(evidence.code());
                heed(self.strict, self.oracle.kept(id, &evidence))
            }
            Effect::ArchiveNewView(_) => Ok(()),
            // The outbox keeps these to itself.
            Effect::Persist(_) | Effect::SyncBlocks { .. } | Effect::Compact { .. } => Ok(()),
        }
    }

    /// A signer that is a process of its own: it answers in order, after a while, and until the faults
    /// end it is away for long now and then.
    fn have_signed(&mut self, index: usize, statement: Statement) {
        let away = self.end.is_none() && self.rng.chance(2);
        let longest = if away { 3 * SECOND } else { self.plan.process.sync_max };
        let takes = self.rng.between(1, longest);
        let node = &mut self.nodes[index];
        let Era { keys, set, .. } = &self.eras[node.epoch];
        let bytes = statement.signing_bytes(set.domain());
        let signature = keys[node.id.index()].sign_bytes(statement.role(), &bytes);
        let Some(process) = &mut node.process else { return };
        process.signed_until = process.signed_until.max(self.now) + takes;
        let after = process.signed_until - self.now;
        self.later(index, after, Happening::Signed(Box::new(statement), signature));
    }

    /// The other machines of its epoch.
    fn others(&self, index: usize) -> Vec<ValidatorId> {
        let Node { id, epoch, .. } = &self.nodes[index];
        self.eras[*epoch].set.processes().filter(|other| other != id).collect()
    }

    /// Sends to every other validator and edge proposer.
    pub(super) fn broadcast(&mut self, index: usize, message: Message) -> Verdict {
        let others = self.others(index);
        self.send(index, &others, message)
    }

    pub(super) fn send(&mut self, index: usize, targets: &[ValidatorId], message: Message) -> Verdict {
        let node = &mut self.nodes[index];
        let id = node.id;
        let epoch = node.epoch;
        let Some(adversary) = &mut node.adversary else {
            return self.put_on_wire(id, targets, message);
        };
        // What it signs and keeps to itself may still come up, inside a certificate.
        heed(self.strict, self.oracle.sent(id, epoch, &message))?;
        let addressed = adversary.outgoing(&mut self.rng, targets, message);
        self.put_all_on_wire(id, addressed)
    }

    /// An adversary's own words.
    pub(super) fn adversary_hears(&mut self, index: usize, from: ValidatorId, message: &Message) -> Verdict {
        let others = self.others(index);
        let node = &mut self.nodes[index];
        let id = node.id;
        let Some(adversary) = &mut node.adversary else { return Ok(()) };
        let addressed = adversary.heard(&mut self.rng, from, &others, message);
        self.put_all_on_wire(id, addressed)
    }

    fn put_all_on_wire(&mut self, from: ValidatorId, addressed: Vec<(ValidatorId, Message)>) -> Verdict {
        addressed.into_iter().try_for_each(|(to, message)| self.put_on_wire(from, &[to], message))
    }

    fn put_on_wire(&mut self, from: ValidatorId, targets: &[ValidatorId], message: Message) -> Verdict {
        let epoch = self.nodes[from.index()].epoch;
        heed(self.strict, self.oracle.sent(from, epoch, &message))?;
        if let Some(witness) = &mut self.witness {
            witness.sent(&message);
        }
        let adversary = self.nodes[from.index()].adversary.as_ref();
        let lag = adversary.map_or(0, |it| it.lag(&mut self.rng, &message));
        self.put_in_frame(from, targets, (epoch, message), lag)
    }

    /// The wire carries a message of an epoch to whom it concerns.
    pub(super) fn put_in_frame(
        &mut self,
        from: ValidatorId,
        targets: &[ValidatorId],
        framed: (usize, Message),
        lag: u64,
    ) -> Verdict {
        let set = &self.eras[framed.0].set;
        let mut packet = Packet::new(framed, set, &*self.authenticator, &self.rules, self.plan.round_trip);
        if self.planted == Some(Planted::BelievesRemovedKeys) {
            let earlier = self.eras[..packet.epoch].iter().map(|era| &*era.set);
            packet.believe(earlier, &*self.authenticator, &self.rules);
        }
        let packet = Rc::new(packet);
        for to in targets {
            let arrivals = self.network.deliveries(&mut self.rng, self.now, (from, *to), &packet.message);
            for at in arrivals.into_iter().flatten() {
                let packet = packet.clone();
                self.schedule(at - self.now + lag, Event::Deliver { from, to: *to, packet });
            }
        }
        Ok(())
    }

    /// Schedules something for the process that runs now.
    pub(super) fn later(&mut self, index: usize, after: u64, what: Happening) {
        let node = &self.nodes[index];
        let event = Event::Process { at: node.id, incarnation: node.incarnation, what };
        self.schedule(after, event);
    }

    fn set_timer(&mut self, index: usize, timer: carat_consensus::Timer, after_us: u64) {
        let number = self.scheduled + 1;
        if let Some(process) = &mut self.nodes[index].process {
            process.timers.insert(timer, number);
        }
        self.later(index, after_us, Happening::Timer { timer, number });
    }

    fn sync_journal(&mut self, index: usize) {
        let upto = self.nodes[index].disk.written();
        let Some(process) = &mut self.nodes[index].process else { return };
        if !process.journal_syncing {
            process.journal_syncing = true;
            let after = self.rng.between(1, self.plan.process.sync_max);
            self.later(index, after, Happening::JournalSynced(upto));
        }
    }

    fn sync_blocks(&mut self, index: usize, slot: Slot) {
        let Some(process) = &mut self.nodes[index].process else { return };
        if !process.blocks_syncing {
            process.blocks_syncing = true;
            let after = self.rng.between(1, self.plan.process.sync_max);
            self.later(index, after, Happening::BlocksSynced(slot));
        }
    }

    pub(super) fn journal_synced(&mut self, index: usize, upto: Position) -> Verdict {
        let node = &mut self.nodes[index];
        let mut stable = None;
        for record in node.disk.synced(upto) {
            if let Record::Stable(checkpoint) = record {
                stable = Some(Arc::clone(checkpoint));
            }
            self.trace.note(self.now, node.id, || format!("durable: {}", summarise(record)));
            heed(self.strict, self.oracle.durable(node.id, record))?;
            if let Some(witness) = &mut self.witness {
                witness.durable(node.id, record);
            }
        }
        if let Some(process) = &mut node.process {
            process.journal_syncing = false;
        }
        if let Some(checkpoint) = stable {
            self.snapshot_is_stable(index, &checkpoint);
        }
        self.drain(index)
    }

    pub(super) fn journal_compacted(&mut self, index: usize, stable: Slot, carry: &[Record]) -> Verdict {
        let node = &mut self.nodes[index];
        node.disk.compact(stable, carry);
        self.trace.note(self.now, node.id, || format!("journal begun anew above slot {stable}"));
        heed(self.strict, self.oracle.compacted(node.id, node.disk.journal()))?;
        if let Some(process) = &mut node.process {
            process.outbox.compacted();
        }
        self.drain(index)
    }

    /// A final slot is executed: the block is written, and everybody who waits for it hears of it.
    pub(super) fn executed_for_good(&mut self, index: usize, execute: &Execute) -> Verdict {
        let node = &mut self.nodes[index];
        let Some(mut outcome) = Self::take_outcome(node, execute)? else { return Ok(()) };
        if let Some(planted) = self.planted {
            planted.spoil(self.plan.seed, node.id, &mut outcome);
        }
        let header = outcome.executed.header.clone();
        self.keep_snapshot(index, header.slot);
        let node = &mut self.nodes[index];
        let Some(process) = &mut node.process else { return Ok(()) };
        node.disk.store(StoredBlock { header: header.clone(), payload: execute.payload.payload().clone() });
        let change = process.pool.follow(&process.ledger, &outcome.executed.settled);
        heed(self.strict, self.oracle.executed(node.id, &header, &outcome.applied))?;
        self.input(index, Input::Executed(outcome.executed), mix(4, header.slot.0))?;
        if !change.withdrawn.is_empty() {
            self.input(index, Input::Withdrawn(change.withdrawn), mix(5, header.slot.0))?;
        }
        change.due.into_iter().try_for_each(|pending| self.admit(index, pending))
    }

    /// Answers a peer from the block store.
    pub(super) fn serve(&mut self, index: usize, to: ValidatorId, fetch: &Fetch) -> Verdict {
        let disk = &self.nodes[index].disk;
        let answers: Vec<Message> = match fetch {
            Fetch::Payload(digest) => {
                let found = disk.blocks().iter().rev().find(|block| block.header.batch == *digest);
                found.map(|block| Message::Data(Data::Payload(block.payload.clone()))).into_iter().collect()
            }
            Fetch::Blocks(from) => {
                let slots = (0..Self::SERVED_MAX).map(|offset| from.plus(offset));
                let certified = slots.map_while(|slot| {
                    let (block, seals) = (disk.block(slot)?, disk.seals(slot)?);
                    let (header, payload) = (block.header.clone(), block.payload.clone());
                    Some(CertifiedBlock { block: Block { header, payload }, certificate: seals.clone() })
                });
                certified.map(|block| Message::Data(Data::Block(Arc::new(block)))).collect()
            }
            Fetch::Snapshot(above) => self.offered(index, *above).map(Message::Data).into_iter().collect(),
            Fetch::Chunk(request) => self.chunk(index, request).map(Message::Data).into_iter().collect(),
            Fetch::HighestVotes(_) => Vec::new(),
        };
        answers.into_iter().try_for_each(|answer| self.send(index, &[to], answer))
    }
}

/// A record in one line.
fn summarise(record: &Record) -> String {
    let ballot = |ballot: &carat_types::message::Ballot| {
        format!("view {} slot {} value {}", ballot.view, ballot.slot, ballot.digest.short())
    };
    match record {
        Record::View(_, view) => format!("J1 view {view}"),
        Record::NewView(new_view) => format!("J2 NEW-VIEW {}", new_view.body.view),
        Record::Vote(vote, _, payload) => {
            format!("J3 vote {}{}", ballot(vote), if payload.is_some() { " and payload" } else { "" })
        }
        Record::Prepared(certificate) => format!("J4 certificate {}", ballot(&certificate.body.0)),
        Record::ViewChange(change) => format!("J5 VIEW-CHANGE {}", change.body.view),
        Record::Stable(stable) => format!("J6 checkpoint {}", stable.header.slot),
        Record::Led(_, view) => format!("J7 led {view}"),
        Record::Body { through, body, .. } => format!("J3 body {} through {through}", body.digest.short()),
        Record::Batch(slot, batch) => format!("J3 batch {} slot {slot}", batch.digest().short()),
    }
}
