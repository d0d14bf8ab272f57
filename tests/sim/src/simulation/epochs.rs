//! From one epoch to the next: what a node's shell does when its replica's epoch is over, how one that slept over ends is
//! brought over them, and how one comes or goes. **Source**: decision records 39 and 40.
//!
//! The store of every machine keeps the checkpoints that ended the epochs, in order. A replica shows the last of them to
//! whoever is one epoch behind; what lies below comes from the store. A machine that is in no epoch asks for them, in the
//! name of the first that it does not know the end of.

use std::sync::Arc;

use carat_consensus::{Input, Record, VerifiedMessage};
use carat_types::message::{Data, Message, StableCheckpoint, Status};
use carat_types::{Epoch, Slot, ValidatorId};

use super::{Event, Happening, Simulation, heed};
use crate::adversary::Identity;
use crate::epochs::Era;
use crate::mix::mix;
use crate::oracle::Verdict;
use crate::outbox::Outbox;
use crate::packet::{Packet, Reading};
use crate::plan::{MS, SECOND};

impl Simulation {
    /// Per mille of handovers at which the power goes: half of them before the journal is begun anew, half after.
    const CUT_AT_HANDOVER: u64 = 100;

    /// The epoch that is the last of the plan.
    pub(super) fn last_era(&self) -> &Era {
        &self.eras[self.eras.len() - 1]
    }

    /// Changes of the plan that no block has followed upon yet.
    pub(super) fn epochs_to_come(&self) -> usize {
        let reached = usize::try_from(self.oracle.tip().epoch.0).unwrap_or(usize::MAX);
        (self.eras.len() - 1).saturating_sub(reached)
    }

    // Governance.

    /// Schedules the first proposal, and the coming of machines that are in no epoch yet.
    pub(super) fn begin_governing(&mut self) {
        if self.eras.len() == 1 {
            return;
        }
        let latest = if self.plan.sleeper { self.plan.chaos_us / 5 } else { self.plan.chaos_us / 2 };
        self.governs_at = self.rng.between(1, latest);
        self.schedule(self.governs_at, Event::Govern);
        if self.plan.sleeper {
            let asleep_at = self.rng.between(1, self.governs_at + SECOND);
            self.schedule(asleep_at, Event::Exile);
        }
        for index in usize::from(self.plan.n + self.plan.edge)..self.nodes.len() {
            let (id, after) = (self.nodes[index].id, self.rng.between(1, self.plan.chaos_us));
            self.schedule(after, Event::Restart(id));
        }
    }

    /// Proposes the next set to everybody, again and again until its epoch has begun.
    pub(super) fn govern(&mut self) {
        const PAUSE: u64 = SECOND / 2;
        let present = usize::try_from(self.oracle.tip().epoch.0).unwrap_or(usize::MAX);
        let Some(next) = self.plan.epochs.get(present) else { return };
        if self.oracle.tip().epoch_end.is_some() {
            self.governs_at = self.now + self.plan.epochs.get(present + 1).map_or(0, |epoch| epoch.after_us);
        } else if self.now >= self.governs_at {
            let epoch = u32::try_from(present + 1).unwrap_or(u32::MAX);
            self.trace.note(self.now, None, || format!("epoch {epoch} is asked for: {:?}", next.change));
            let envelope = self.rules.handover(Epoch(epoch));
            for index in 0..self.nodes.len() {
                let (to, delay) = (self.nodes[index].id, self.network.delay(&mut self.rng));
                if self.plan.serves(to) {
                    self.schedule(delay, Event::Submit { to, envelope: envelope.clone() });
                }
            }
        }
        self.schedule(PAUSE, Event::Govern);
    }

    // The handover.

    /// The replica's epoch is over. Who stays begins the journal anew, in one synced step.
    pub(super) fn epoch_ends(&mut self, index: usize, last: Arc<StableCheckpoint>) -> Verdict {
        let node = &mut self.nodes[index];
        self.trace
            .note(self.now, node.id, || format!("ends epoch {} with slot {}", node.epoch, last.header.slot));
        heed(self.strict, self.oracle.epoch_ended(node.id, &last))?;
        node.disk.keep_handover(last);
        let next = node.epoch + 1;
        if self.end.is_none() && self.rng.chance(Self::CUT_AT_HANDOVER) {
            return self.crash(index);
        }
        if self.eras.get(next).is_some_and(|era| era.has(self.nodes[index].id)) {
            let after = self.rng.between(1, self.plan.process.sync_max);
            self.later(index, after, Happening::JournalRotated(next));
            return Ok(());
        }
        self.wait_for_an_epoch(index)?;
        // While it caught up with this epoch it may have been shown how later ones ended.
        self.find_own_epoch(index)
    }

    pub(super) fn journal_rotated(&mut self, index: usize, epoch: usize) -> Verdict {
        self.rotate(index, epoch)?;
        if self.end.is_none() && self.rng.chance(Self::CUT_AT_HANDOVER) {
            return self.crash(index);
        }
        let node = &mut self.nodes[index];
        // What was meant for the replica of the old epoch finds nobody.
        node.incarnation += 1;
        let records = node.disk.journal().to_vec();
        let Some(process) = &mut node.process else { return Ok(()) };
        process.replica = None;
        process.outbox = Outbox::default();
        process.timers.clear();
        (process.journal_syncing, process.blocks_syncing) = (false, false);
        let pending = process.pool.admitted();
        self.forget_jobs(index);
        self.start_replica(index, records)?;
        // The pool is the node's, and stays.
        pending.into_iter().try_for_each(|pending| self.admit(index, pending))
    }

    /// The journal is of another epoch from now on.
    fn rotate(&mut self, index: usize, epoch: usize) -> Verdict {
        let node = &mut self.nodes[index];
        node.disk.rotate(Epoch(u32::try_from(epoch).unwrap_or(u32::MAX)));
        self.trace.note(self.now, node.id, || format!("journal of epoch {epoch} begun"));
        heed(self.strict, self.oracle.begins(node.id, epoch))?;
        self.enter(index, epoch);
        Ok(())
    }

    fn enter(&mut self, index: usize, epoch: usize) {
        let (node, era) = (&mut self.nodes[index], &self.eras[epoch]);
        node.epoch = epoch;
        if let Some(adversary) = node.adversary.as_mut().filter(|_| era.has(node.id)) {
            adversary.enter(Identity::of(node.id, &self.eras[..=epoch]));
        }
    }

    /// A process begins in the epoch of its journal; in none, if it is not one of its validators or does not know yet how the
    /// epoch before ended.
    pub(super) fn begin_epoch(&mut self, index: usize, records: Vec<Record>) -> Verdict {
        let epoch = match (epoch_of(&records), records.is_empty()) {
            (Some(epoch), _) => epoch,
            (None, false) => 0,
            // A journal that was never written, or that a liar has lost: its place is where the store ends.
            (None, true) => self.place(index).unwrap_or(0),
        };
        self.enter(index, epoch);
        let Self { nodes, eras, .. } = self;
        let node = &nodes[index];
        heed(self.strict, self.oracle.begins(node.id, epoch))?;
        if eras[epoch].has(node.id) && node.disk.handovers().len() >= epoch {
            return self.start_replica(index, records);
        }
        self.wait_for_an_epoch(index)
    }

    /// The newest epoch known to the own store in which the machine validates.
    fn place(&self, index: usize) -> Option<usize> {
        let node = &self.nodes[index];
        (0..=node.disk.handovers().len()).rev().find(|epoch| self.eras[*epoch].has(node.id))
    }

    // Who is in no epoch.

    /// Without a replica a process serves what it has, and asks how epochs ended.
    fn wait_for_an_epoch(&mut self, index: usize) -> Verdict {
        let node = &mut self.nodes[index];
        self.trace.note(self.now, node.id, || "is in no epoch".to_owned());
        let Some(process) = &mut node.process else { return Ok(()) };
        process.replica = None;
        process.outbox = Outbox::default();
        process.timers.clear();
        self.ask_for_handovers(index)
    }

    pub(super) fn ask_for_handovers(&mut self, index: usize) -> Verdict {
        let node = &self.nodes[index];
        if node.process.as_ref().is_none_or(|process| process.replica.is_some()) {
            return Ok(());
        }
        let (id, known) = (node.id, node.disk.handovers().len());
        let others: Vec<ValidatorId> =
            self.nodes.iter().map(|node| node.id).filter(|other| *other != id).collect();
        self.put_in_frame(id, &others, (known, Message::Status(Status::default())), 0)?;
        self.later(index, self.plan.params.timeout_ms * MS, Happening::AskHandovers);
        Ok(())
    }

    // What is heard over the line between epochs.

    /// What the shell makes of a message, whatever the core does with it.
    pub(super) fn shell_hears(&mut self, index: usize, from: ValidatorId, packet: &Packet) -> Verdict {
        if self.eras.len() == 1 {
            return Ok(());
        }
        let is_waiting = self.nodes[index].process.as_ref().is_some_and(|process| process.replica.is_none());
        match &packet.message {
            Message::Status(_) => self.show_handovers(index, from, packet.epoch),
            Message::Data(Data::Stable(last)) => self.learn_handover(index, last),
            Message::Fetch(fetch) if is_waiting => self.serve(index, from, fetch),
            _ => Ok(()),
        }
    }

    /// Nothing that is signed is even looked at.
    pub(super) fn hear_from_other_epoch(
        &mut self,
        index: usize,
        from: ValidatorId,
        packet: &Packet,
    ) -> Verdict {
        let Reading::Core(message) = &packet.reading else { return Ok(()) };
        match message {
            VerifiedMessage::Status(_)
            | VerifiedMessage::Fetch(_)
            | VerifiedMessage::Payload(_)
            | VerifiedMessage::Block { .. }
            | VerifiedMessage::CommitCertificate(_)
            | VerifiedMessage::Stable(_)
            | VerifiedMessage::Snapshot(_)
            | VerifiedMessage::Chunk(_)
            | VerifiedMessage::HighestVotes(_) => {}
            _ => return Ok(()),
        }
        let epoch = Epoch(u32::try_from(packet.epoch).unwrap_or(u32::MAX));
        let input = Input::OtherEpoch { from, epoch, message: message.clone() };
        self.input(index, input, mix(packet.hash, 8))
    }

    /// Shows how the epochs ended that a peer does not know the end of. The last one is for the replica to show, to whoever is a
    /// peer of it.
    fn show_handovers(&mut self, index: usize, to: ValidatorId, first: usize) -> Verdict {
        let pause = self.plan.params.timeout_ms * MS / 4;
        let (now, node) = (self.now, &mut self.nodes[index]);
        let Some(process) = &mut node.process else { return Ok(()) };
        let by_replica = process.replica.is_some() && self.eras[node.epoch].has(to);
        let known = node.disk.handovers().len();
        let through = if by_replica { node.epoch.saturating_sub(1) } else { known };
        let rests = process.showed.get(&to).is_some_and(|last| now < last + pause);
        if first >= through || rests {
            return Ok(());
        }
        process.showed.insert(to, now);
        let shown = node.disk.handovers()[first..through].to_vec();
        shown.into_iter().try_for_each(|last| self.send(index, &[to], Message::Data(Data::Stable(last))))
    }

    /// A checkpoint that ends the first epoch whose end is not known yet, checked by the set of that epoch, is kept.
    fn learn_handover(&mut self, index: usize, last: &Arc<StableCheckpoint>) -> Verdict {
        let disk = &mut self.nodes[index].disk;
        let epoch = disk.handovers().len();
        let [era, next] = &self.eras[epoch..(epoch + 2).min(self.eras.len())] else { return Ok(()) };
        let header = &last.header;
        let ends = header.epoch == era.set.domain().epoch
            && header
                .epoch_end
                .as_ref()
                .is_some_and(|end| end.slot == header.slot && end.next_set == next.hash)
            && last.certificate.body.slot == header.slot
            && last.certificate.body.header == header.hash();
        let quorum = era.set.quorum().quorum();
        if !ends || last.certificate.verify(&era.set, &*self.authenticator, quorum).is_err() {
            return Ok(());
        }
        disk.keep_handover(Arc::clone(last));
        self.find_own_epoch(index)
    }

    /// A replica says that its epoch is over and that nobody sends it a state of it. Its operator reads that, and brings the proof.
    pub(super) fn is_stranded(&mut self, index: usize, slot: Slot) {
        let after = self.rng.between(SECOND, 5 * SECOND);
        self.later(index, after, Happening::HandoversBrought(slot));
    }

    pub(super) fn handovers_brought(&mut self, index: usize, slot: Slot) -> Verdict {
        let ends = |record: &Record| match record {
            Record::Stable(last) if last.header.slot == slot => Some(Arc::clone(last)),
            _ => None,
        };
        let last = self.nodes[index].disk.journal().iter().find_map(ends);
        last.map_or(Ok(()), |last| self.learn_handover(index, &last))
    }

    /// Goes to the newest epoch in which the machine validates, if it has no replica, or one that lacks the state at the beginning
    /// of an epoch that is over: nobody will ever send it another one of that epoch.
    fn find_own_epoch(&mut self, index: usize) -> Verdict {
        let Some(place) = self.place(index) else { return Ok(()) };
        let node = &self.nodes[index];
        let Some(process) = &node.process else { return Ok(()) };
        let base = node.epoch.checked_sub(1).and_then(|before| node.disk.handovers().get(before));
        let lacks_state = base.is_some_and(|base| node.disk.tip() < base.header.slot);
        let is_waiting = process.replica.is_none();
        if place == node.epoch && is_waiting && epoch_of(node.disk.journal()).unwrap_or(0) == place {
            let begun = node.disk.handovers().len() == place;
            // Its store was lost, and knows again where its epoch began.
            return if begun {
                self.start_replica(index, self.nodes[index].disk.journal().to_vec())
            } else {
                Ok(())
            };
        }
        if place <= node.epoch || !(is_waiting || lacks_state) {
            return Ok(());
        }
        self.rotate(index, place)?;
        self.crash(index)
    }
}

/// The epoch that a journal names.
fn epoch_of(records: &[Record]) -> Option<usize> {
    records.iter().find_map(|record| match record {
        Record::View(epoch, _) | Record::Led(epoch, _) => usize::try_from(epoch.0).ok(),
        _ => None,
    })
}
