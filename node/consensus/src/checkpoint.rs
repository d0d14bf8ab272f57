//! What follows an execution: SEALs, stable checkpoints, watermarks, garbage collection. **Source**: consensus
//! specification, sections 4 (J6, J8), 8 (I8, I9) and 11.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::certificate::{Certificate, SealCertificate};
use carat_types::header::Header;
use carat_types::message::{Message, Seal, Signed, StableCheckpoint};
use carat_types::{Digest, Signature, Slot, ValidatorId};

use crate::effect::{Effect, Finality, Halt, Report, Rule};
use crate::input::Executed;
use crate::record::Record;
use crate::rejection::Rejection;
use crate::replica::{Replica, invariant};
use crate::statement::Statement;

/// What is known of one slot's block.
#[derive(Debug, Default)]
pub(crate) struct BlockSeals {
    /// The own header and its hash, once executed.
    pub(crate) own: Option<(Arc<Header>, Digest)>,
    /// One SEAL of each sender.
    seals: BTreeMap<ValidatorId, (Digest, Signature)>,
    /// Whether a certificate for the own header was handed out.
    pub(crate) sealed: bool,
}

/// SEALs of the slots of the window, and of executed slots below it that are not sealed yet.
#[derive(Debug, Default)]
pub(crate) struct SealBook {
    pub(crate) blocks: BTreeMap<Slot, BlockSeals>,
}

impl BlockSeals {
    fn count(&self, header: &Digest) -> usize {
        self.seals.values().filter(|(sealed, _)| sealed == header).count()
    }

    fn certificate(&self, slot: Slot, header: &Digest) -> SealCertificate {
        let matching = self.seals.iter().filter(|(_, (sealed, _))| sealed == header);
        Certificate::assemble(
            Seal { slot, header: *header },
            matching.map(|(signer, (_, signature))| (*signer, *signature)),
        )
    }

    /// The SEAL of one signer, as it was signed.
    pub(crate) fn seal_of(&self, slot: Slot, signer: ValidatorId) -> Option<Signed<Seal>> {
        let (header, signature) = *self.seals.get(&signer)?;
        Some(Signed { signer, body: Seal { slot, header }, signature })
    }

    /// A header that `threshold` senders sealed.
    fn reached(&self, threshold: usize) -> Option<Digest> {
        self.seals.values().map(|(header, _)| *header).find(|header| self.count(header) >= threshold)
    }
}

impl SealBook {
    /// The lowest executed slot that lacks its certificate.
    pub(crate) fn lowest_unsealed(&self) -> Option<Slot> {
        self.blocks.iter().find(|(_, block)| block.own.is_some() && !block.sealed).map(|(slot, _)| *slot)
    }

    /// I8: forgets the slots up to `stable` that are sealed. Of those that are not, a window is kept, however old they
    /// are: until f+1 SEALs are together, no peer that lacks the block can be served.
    fn forget_through(&mut self, stable: Slot, window: u64) {
        self.blocks.retain(|slot, block| *slot > stable || (block.own.is_some() && !block.sealed));
        let limit = usize::try_from(window).unwrap_or(usize::MAX);
        while self.blocks.range(..=stable).count() > limit {
            self.blocks.pop_first();
        }
    }
}

impl Replica {
    /// Execution answered: SEAL (section 5.4). The block is written (J8).
    pub(crate) fn on_executed(&mut self, executed: Executed) {
        let Executed { slot, header, settled, junk_bytes } = executed;
        invariant!("I12", slot == self.chain.executed.next(), "slot {slot} was executed out of order");
        let Some(expected) = self.chain.in_flight.remove(&slot) else {
            invariant!("I12", false, "slot {slot} was executed without being asked for");
            return;
        };
        invariant!(
            "I12",
            header.slot == slot && header.batch == expected.digest && header.prefix == expected.prefix,
            "the header of slot {slot} is of another slot"
        );
        let hash = header.hash();
        if let Some(sealed) = &expected.sealed
            && sealed.certificate.body.header != hash
        {
            return self.halt(Halt::Diverged { slot, own: hash, sealed: sealed.certificate.body.header });
        }
        self.chain.executed = slot;
        self.pending.settle(slot, &settled, self.now.monotonic_us);
        self.measure_junk(slot, junk_bytes);
        let block = self.seals.blocks.entry(slot).or_default();
        block.own = Some((Arc::new(header), hash));
        let came_sealed = expected.sealed.is_some();
        if let Some(sealed) = expected.sealed {
            self.adopt_seals(slot, &sealed.certificate);
        }
        // "For every block" (section 3): one that the checkpoint has overtaken may have f+1 SEALs nowhere.
        if self.guard.is_none() && (slot > self.chain.stable || !came_sealed) {
            self.send_seal(slot, hash);
        }
        self.after_seal(slot);
        if slot <= self.chain.stable {
            self.log.forget_through(slot);
            self.payloads.forget_through(slot);
            self.seals.forget_through(self.chain.stable, self.config.params.window);
        } else {
            self.payloads.executed_through(slot);
        }
        self.continue_catch_up();
    }

    pub(crate) fn send_seal(&mut self, slot: Slot, header: Digest) {
        invariant!("I9", slot <= self.chain.last_final, "a SEAL for slot {slot}, which is not final");
        self.say(Statement::Seal(Seal { slot, header }));
    }

    /// The own SEAL is signed; of a block that was forgotten meanwhile it is not sent.
    pub(crate) fn on_signed_seal(&mut self, signed: Signed<Seal>) {
        let Seal { slot, header } = signed.body;
        let Some(block) = self.seals.blocks.get_mut(&slot) else { return };
        block.seals.insert(signed.signer, (header, signed.signature));
        self.broadcast(Message::Seal(signed));
    }

    /// SEAL. Those of slots that are not executed yet wait here, within the window.
    pub(crate) fn on_seal(&mut self, seal: &Signed<Seal>) -> Result<(), Rejection> {
        let Seal { slot, header } = seal.body;
        if slot > self.window_end() {
            return Err(Rejection::FarSlot);
        }
        if seal.signer == self.config.me {
            return Ok(());
        }
        let unsealed_below = self.seals.blocks.get(&slot).is_some_and(|block| !block.sealed);
        if slot <= self.chain.stable && !unsealed_below {
            return Err(Rejection::OldSlot);
        }
        let block = self.seals.blocks.entry(slot).or_default();
        match block.seals.get(&seal.signer) {
            Some((held, _)) if *held == header => return Ok(()),
            Some(held) => {
                let held = *held;
                self.misbehaviour(seal.signer, "sealed two blocks for one slot");
                self.convict_of_seals(held, seal);
                return Err(Rejection::Conflict);
            }
            None => {
                block.seals.insert(seal.signer, (header, seal.signature));
            }
        }
        self.after_seal(slot);
        Ok(())
    }

    /// Takes the seals of a certificate that was checked.
    pub(crate) fn adopt_seals(&mut self, slot: Slot, certificate: &SealCertificate) {
        let header = certificate.body.header;
        let block = self.seals.blocks.entry(slot).or_default();
        let mut others = Vec::new();
        for (signer, signature) in certificate.signers.iter().zip(&certificate.signatures) {
            let held = *block.seals.entry(signer).or_insert((header, *signature));
            if held.0 != header {
                let seal = Signed { signer, body: certificate.body, signature: *signature };
                others.push((held, seal));
            }
        }
        for (held, seal) in others {
            self.convict_of_seals(held, &seal);
        }
    }

    /// Looks at one slot's seals: f+1 seal the block, q make a checkpoint stable.
    pub(crate) fn after_seal(&mut self, slot: Slot) {
        let Some(block) = self.seals.blocks.get_mut(&slot) else { return };
        let Some((header, own)) = block.own.clone() else { return };
        let contrary = block.reached(self.quorum.one_correct()).filter(|sealed| *sealed != own);
        if let Some(sealed) = contrary {
            return self.halt(Halt::Diverged { slot, own, sealed });
        }
        let count = block.count(&own);
        if count >= self.quorum.one_correct() && !block.sealed {
            block.sealed = true;
            let certificate = block.certificate(slot, &own);
            self.report(Report::RuleMet { slot, view: self.position.view, rule: Rule::Seal });
            self.emit(Effect::Sealed { slot, certificate });
        }
        if count >= self.quorum.quorum() && self.is_checkpoint(slot) && slot > self.chain.stable {
            let Some(block) = self.seals.blocks.get(&slot) else { return };
            let certificate = block.certificate(slot, &own);
            self.raise_stable(Arc::new(StableCheckpoint { header: (*header).clone(), certificate }));
        }
    }

    /// DATA: a peer proves a stable checkpoint.
    pub(crate) fn on_stable(&mut self, checkpoint: Arc<StableCheckpoint>) -> Result<(), Rejection> {
        if checkpoint.header.slot <= self.chain.stable {
            return Ok(());
        }
        self.check_checkpoint(&checkpoint)?;
        self.raise_stable(checkpoint);
        Ok(())
    }

    /// J6: raises h to a stable checkpoint that was checked, and forgets what it makes superfluous (I8).
    pub(crate) fn raise_stable(&mut self, checkpoint: Arc<StableCheckpoint>) {
        let slot = checkpoint.header.slot;
        let prefix = checkpoint.header.prefix;
        if slot <= self.chain.stable || self.contradicts_own_block(&checkpoint) {
            return;
        }
        if slot > self.chain.last_final {
            // What lies below and is covered by the own votes is final at once.
            self.insert_certified(
                slot,
                crate::commit_rules::Certified {
                    digest: checkpoint.header.batch,
                    prefix,
                    finality: Finality::Prefix(slot),
                },
            );
            self.advance_final();
            self.advance_execution();
        }
        let durable = slot.min(self.chain.executed);
        self.emit(Effect::SyncBlocks { slot: durable });
        self.emit(Effect::Persist(Record::Stable(Arc::clone(&checkpoint))));
        self.move_watermark(slot, prefix);
        self.chain.checkpoint = Some(checkpoint);
        if durable > self.chain.compacted {
            self.chain.compacted = durable;
            let carry = self.carried_records();
            self.emit(Effect::Compact { stable: durable, carry });
        }
        self.report(Report::Stable { slot });
        self.window_moved();
    }

    /// Whether q SEALs contradict what this replica executed or knows to be final; then it has stopped.
    fn contradicts_own_block(&mut self, checkpoint: &StableCheckpoint) -> bool {
        let slot = checkpoint.header.slot;
        let sealed = checkpoint.certificate.body.header;
        let own = self.seals.blocks.get(&slot).and_then(|block| block.own.as_ref()).map(|(_, hash)| *hash);
        if let Some(own) = own.filter(|own| *own != sealed) {
            self.halt(Halt::Diverged { slot, own, sealed });
            return true;
        }
        let decided = self.log.get(slot).and_then(|state| state.decided).map(|decided| decided.prefix);
        let certified = self.chain.certified.get(&slot).map(|certified| certified.prefix);
        let theirs = checkpoint.header.prefix;
        if let Some(ours) = decided.or(certified).filter(|ours| *ours != theirs) {
            self.halt(Halt::Forked { slot, ours, theirs });
            return true;
        }
        false
    }

    fn move_watermark(&mut self, slot: Slot, prefix: Digest) {
        invariant!("I8", slot > self.chain.stable, "h goes back to slot {slot}");
        self.chain.stable = slot;
        self.chain.stable_prefix = prefix;
        let view = self.position.view;
        let own_vote =
            self.log.get(slot).and_then(|state| state.voted_in(view)).map(|vote| vote.ballot.prefix);
        if self.position.voted <= slot {
            self.position.voted = slot;
            self.position.voted_prefix = prefix;
        } else if own_vote.is_some_and(|own| own != prefix) {
            self.position.blocked = true;
        }
        self.position.committed = self.position.committed.max(slot);
        self.position.forced = self.position.forced.split_off(&slot.next());
        // Final slots stay until they are executed; what this replica does not know is fetched as blocks.
        let done = slot.min(self.chain.executed);
        self.log.forget_through(done);
        self.payloads.forget_through(done);
        self.log.forget_range(self.chain.last_final.max(done), slot);
        self.payloads.forget_range(self.chain.last_final.max(done), slot);
        self.bodies.forget_through(done);
        let last_final = self.chain.last_final;
        self.chain.certified.retain(|certified, _| *certified <= last_final || *certified > slot);
        self.seals.forget_through(slot, self.config.params.window);
    }

    /// What a restart needs whatever its slot.
    fn carried_records(&self) -> Vec<Record> {
        let epoch = self.config.validators.domain().epoch;
        let mut carry = vec![Record::View(epoch, self.position.view)];
        carry.extend(self.chain.checkpoint.clone().map(Record::Stable));
        carry.extend(self.led.map(|led| Record::Led(epoch, led)));
        carry.extend(self.own_view_change.clone().map(Record::ViewChange));
        carry.extend(self.position.new_view.clone().map(Record::NewView));
        carry
    }
}
