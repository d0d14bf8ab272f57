//! A learner: it verifies what acceptors decide and follows it, and has no vote, no journal and no key of consensus.
//!
//! It takes nothing but sealed blocks and states that prove themselves, so whom it asks need not be trusted: f+1 SEALs on a
//! header hold one of a validator that is correct, and the execution of the payload must give exactly that header. A source
//! that sends anything else is counted and passed over. Where all sources are silent it stays where it is: nobody can make
//! it believe, only make it wait. **Source**: consensus specification, sections 6 (SEAL) and 11; the learners of Fast Paxos;
//! decision record 41.
//!
//! It speaks the [`Input`] and [`Effect`] of a replica, of which it uses the few that carry blocks and states. Nothing that
//! it sends binds anybody, so it persists nothing: a restart begins from the block that the store ends with.
//!
//! Like a replica it lives in one epoch, whose validators' SEALs it counts. The last block of the epoch names who comes next;
//! with its execution the learner says [`Effect::EpochEnds`] and takes no more input (decision record 60).

mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carat_types::batch::WellFormed;
use carat_types::block::CertifiedBlock;
use carat_types::certificate::SealCertificate;
use carat_types::genesis::ConsensusConstants;
use carat_types::header::{Header, prefix_digest};
use carat_types::message::{Fetch, Message, StableCheckpoint};
use carat_types::validators::{Authenticator, ValidatorSet};
use carat_types::{Digest, Epoch, LeafRule, Quorum, Slot, ValidatorId};

use crate::chunks::{FetchStates, KeptTransfer};
use crate::effect::{Effect, Execute, Finality, Halt, Report};
use crate::input::{Input, Now, VerifiedMessage};
use crate::rejection::Rejection;
use crate::replica::millis;
use crate::timer::Timer;
use crate::verify::are_seals_on;
use transfer::Transfer;

/// Blocks of one answer at most; with so many in hand that are not executed, no further ones are asked for.
const BLOCKS_AHEAD: u64 = 64;
// Ticks of the fetch timer, T0/4, without a block.
/// Though somebody claims to have it: the answer may be lost, and the question is put again.
const AGAIN_TICKS: u32 = 2;
/// And then of another source.
const PATIENT_TICKS: u32 = 4;
/// Another source is asked though nobody claims to be further.
const QUIET_TICKS: u32 = 8;

/// Whom a learner follows, and by which rules it believes.
pub struct LearnerConfig {
    /// Whose SEALs count.
    pub validators: ValidatorSet,
    /// The constants of the genesis file.
    pub params: ConsensusConstants,
    /// Checks signatures.
    pub authenticator: Arc<dyn Authenticator>,
    /// The validators that may be asked: those whose addresses are known.
    pub sources: BTreeSet<ValidatorId>,
    /// When a state is fetched instead of blocks.
    pub fetches_states: FetchStates,
    /// How the leaves of a state are hashed.
    pub leaves: LeafRule,
}

impl std::fmt::Debug for LearnerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LearnerConfig").field("sources", &self.sources).finish_non_exhaustive()
    }
}

/// Where a learner goes on: what its store ends with.
#[derive(Clone, Debug)]
pub struct LearnerTip {
    /// Header of the last executed block.
    pub header: Header,
    /// SEALs on it; none on that of slot 0.
    pub seals: Option<SealCertificate>,
    /// The state that an earlier start began to fetch.
    pub transfer: Option<KeptTransfer>,
}

/// What a source says of itself: a claim, which proves nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    epoch: Epoch,
    executed: Slot,
}

/// A question for blocks that is open.
#[derive(Debug, Default)]
struct Question {
    /// Who was asked last.
    source: Option<ValidatorId>,
    /// Whose blocks are an answer: everybody who was asked since the start.
    asked: BTreeSet<ValidatorId>,
    /// Blocks that came since it was put.
    came: u64,
    /// Ticks since a block came.
    quiet: u32,
    /// Sources that were changed in vain since a block came.
    vain: u32,
    /// It is not put before blocks in hand are executed.
    waits: bool,
}

/// The state of a learner.
#[derive(Debug)]
pub struct Learner {
    config: LearnerConfig,
    quorum: Quorum,
    now: Now,
    executed: Slot,
    /// The last slot that was handed to execution.
    dispatched: Slot,
    /// c of that slot.
    prefix: Digest,
    claims: BTreeMap<ValidatorId, Claim>,
    /// Sources that sent what is not so. Asked only where nobody else is left.
    liars: BTreeSet<ValidatorId>,
    question: Question,
    /// Blocks that are proved and wait for those below them, or for their turn.
    early: BTreeMap<Slot, (Arc<CertifiedBlock>, WellFormed)>,
    transfer: Transfer,
    /// The last block of the epoch, once it is handed to execution.
    last: Option<Arc<StableCheckpoint>>,
    /// It takes no more input: its chain is another than its sources', or its epoch is over.
    halted: bool,
    effects: Vec<Effect>,
}

impl Learner {
    /// A learner that goes on behind `tip`. Where that ends the epoch, a crash came between its execution and the next start:
    /// then the epoch ends at once.
    pub fn start(config: LearnerConfig, now: Now, tip: LearnerTip) -> (Self, Vec<Effect>) {
        let LearnerTip { header: tip, seals, transfer: kept } = tip;
        let quorum = config.validators.quorum();
        let mut learner = Learner {
            config,
            quorum,
            now,
            executed: tip.slot,
            dispatched: tip.slot,
            prefix: tip.prefix,
            claims: BTreeMap::new(),
            liars: BTreeSet::new(),
            question: Question::default(),
            early: BTreeMap::new(),
            transfer: Transfer::default(),
            last: None,
            halted: false,
            effects: Vec::new(),
        };
        if let Some(seals) = &seals {
            learner.note_last(&tip, seals);
        }
        learner.end_epoch();
        if !learner.halted {
            if let Some(kept) = kept {
                learner.resume_transfer(kept);
            }
            learner.ask_next_source();
            learner.arm();
        }
        let first = std::mem::take(&mut learner.effects);
        (learner, first)
    }

    /// Takes an input. What only acceptors care about does nothing.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        if self.halted {
            return Vec::new();
        }
        self.now = now;
        match input {
            Input::Message { from, message } => self.on_message(from, self.epoch(), message),
            // What a learner takes proves itself, or is a claim: it crosses the line between epochs (decision record 40).
            Input::OtherEpoch { from, epoch, message } => self.on_message(from, epoch, message),
            Input::Timer(Timer::Fetch) => self.on_tick(),
            Input::Executed(executed) => self.on_executed(executed.slot),
            Input::ChunkKept => self.on_chunk_kept(),
            Input::Installed(header) => self.on_installed(&header),
            Input::Admitted(_)
            | Input::Submitted(_)
            | Input::Body { .. }
            | Input::SpreadBodies(_)
            | Input::Withdrawn(_)
            | Input::Timer(_)
            | Input::TentativelyExecuted(_)
            | Input::Signed(..) => {}
        }
        std::mem::take(&mut self.effects)
    }

    /// The last slot whose block was executed.
    pub fn last_executed(&self) -> Slot {
        self.executed
    }

    /// The highest slot that somebody honest has executed, as far as the sources have said; where fewer than f+1 are asked,
    /// the lowest of their words.
    pub fn honest_sources_at(&self) -> Slot {
        self.honest(|claim| claim.executed)
    }

    /// The latest epoch in which somebody honest is, as far as the sources have said.
    pub fn honest_sources_in(&self) -> Epoch {
        self.honest(|claim| claim.epoch)
    }

    /// The highest claim that somebody honest made.
    fn honest<T: Ord + Default>(&self, part: impl Fn(&Claim) -> T) -> T {
        let mut claims: Vec<T> = self.claims.values().map(part).collect();
        claims.sort_unstable();
        let lower = claims.len().saturating_sub(1).min(self.quorum.faults());
        claims.into_iter().nth_back(lower).unwrap_or_default()
    }

    /// The epoch whose validators' SEALs count.
    fn epoch(&self) -> Epoch {
        self.config.validators.domain().epoch
    }

    fn on_message(&mut self, from: ValidatorId, epoch: Epoch, message: VerifiedMessage) {
        if let Err(reason) = self.take(from, epoch, message) {
            self.emit(Effect::Reject { from, reason });
        }
    }

    fn take(&mut self, from: ValidatorId, epoch: Epoch, message: VerifiedMessage) -> Result<(), Rejection> {
        if !self.config.sources.contains(&from) {
            return Err(Rejection::Stranger);
        }
        match message {
            VerifiedMessage::Status(status) => {
                self.on_claim(from, Claim { epoch, executed: status.last_executed });
                Ok(())
            }
            VerifiedMessage::Block { block, payload } => self.on_block(from, block, payload),
            VerifiedMessage::Snapshot(offer) => self.on_offer(from, offer),
            VerifiedMessage::Chunk(chunk) => self.on_chunk(from, chunk),
            // Votes, and what a validator asks whom it takes for another validator: a learner has nothing to say.
            _ => Ok(()),
        }
    }

    // Blocks.

    /// A source says where it is. It does so behind the blocks of an answer: then the next ones are asked for.
    fn on_claim(&mut self, from: ValidatorId, claim: Claim) {
        if self.liars.contains(&from) {
            return;
        }
        self.claims.insert(from, claim);
        let unasked = self.question.source.is_none();
        if unasked || (self.question.source == Some(from) && self.question.came > 0) {
            self.ask_again();
        }
    }

    /// DATA: a sealed block.
    fn on_block(
        &mut self,
        from: ValidatorId,
        block: Arc<CertifiedBlock>,
        payload: WellFormed,
    ) -> Result<(), Rejection> {
        let slot = block.block.header.slot;
        if !self.question.asked.contains(&from) || self.transfer.holds_execution() {
            return Err(Rejection::Unrequested);
        }
        if slot <= self.dispatched || self.early.contains_key(&slot) {
            return Ok(());
        }
        // What was asked for last begins at most BLOCKS_AHEAD above the last slot in hand.
        if slot.0 > self.dispatched.0.saturating_add(BLOCKS_AHEAD.saturating_mul(2)) {
            return Err(Rejection::FarSlot);
        }
        let header = &block.block.header;
        // An answer runs on over the end of the epoch: no lie, but nothing that these validators' SEALs prove.
        if header.epoch != self.epoch() {
            return Err(Rejection::OtherEpoch);
        }
        if header.batch != payload.digest()
            || !self.is_sealed(header, &block.certificate, self.quorum.one_correct())
        {
            return Err(self.distrust(from, Rejection::BadBlock));
        }
        self.early.insert(slot, (block, payload));
        let question = &mut self.question;
        (question.came, question.quiet, question.vain) = (question.came.saturating_add(1), 0, 0);
        self.take_blocks();
        if self.question.came >= BLOCKS_AHEAD {
            self.ask_again();
        }
        Ok(())
    }

    fn on_executed(&mut self, slot: Slot) {
        self.executed = slot;
        self.take_blocks();
        self.end_epoch();
        if self.question.waits && self.in_hand() <= BLOCKS_AHEAD / 2 {
            self.ask_again();
        }
    }

    /// Hands the blocks that are next to execution, in order.
    fn take_blocks(&mut self) {
        while !self.halted && !self.transfer.holds_execution() && self.backlog() < BLOCKS_AHEAD {
            let Some((block, payload)) = self.early.remove(&self.dispatched.next()) else { return };
            let header = &block.block.header;
            let reached = prefix_digest(&self.prefix, header.slot, &header.batch);
            if reached != header.prefix {
                let halt = Halt::Forked { slot: header.slot, ours: reached, theirs: header.prefix };
                self.halted = true;
                return self.emit(Effect::Halt(halt));
            }
            let execute = Execute {
                slot: header.slot,
                payload,
                parent_prefix: self.prefix,
                prefix: header.prefix,
                stable: self.executed,
                ordered: Vec::new(),
                finality: Finality::Sealed(Arc::clone(&block)),
            };
            (self.dispatched, self.prefix) = (header.slot, header.prefix);
            self.note_last(header, &block.certificate);
            self.emit(Effect::Execute(Box::new(execute)));
        }
    }

    /// Notes a sealed block that ends the epoch.
    fn note_last(&mut self, header: &Header, seals: &SealCertificate) {
        if header.ends_epoch() && header.epoch == self.epoch() {
            let last = StableCheckpoint { header: header.clone(), certificate: seals.clone() };
            self.last = Some(Arc::new(last));
        }
    }

    /// Ends the epoch when its last block is executed. Who validates next is for the next learner to know.
    fn end_epoch(&mut self) {
        if let Some(last) = self.last.take_if(|last| last.header.slot <= self.executed) {
            self.halted = true;
            self.emit(Effect::EpochEnds(last));
        }
    }

    /// Slots handed to execution and not answered.
    fn backlog(&self) -> u64 {
        self.dispatched.0.saturating_sub(self.executed.0)
    }

    /// Blocks that are here and not executed.
    fn in_hand(&self) -> u64 {
        self.backlog().saturating_add(u64::try_from(self.early.len()).unwrap_or(u64::MAX))
    }

    /// The lowest slot whose block is not here.
    fn missing(&self) -> Slot {
        let mut missing = self.dispatched.next();
        for slot in self.early.keys() {
            if *slot == missing {
                missing = missing.next();
            }
        }
        missing
    }

    /// Whether a header is this chain's, and at least `needed` validators sealed it.
    fn is_sealed(&self, header: &Header, seals: &SealCertificate, needed: usize) -> bool {
        let (validators, authenticator) = (&self.config.validators, self.config.authenticator.as_ref());
        are_seals_on(validators.domain(), header, seals)
            && seals.verify(validators, authenticator, needed).is_ok()
    }

    // Whom to ask.

    /// Asks the present source for what comes next, unless execution has enough to do.
    fn ask_again(&mut self) {
        let Some(source) = self.question.source else { return self.ask_next_source() };
        self.question.waits = self.in_hand() >= BLOCKS_AHEAD;
        if self.transfer.is_idle() && !self.question.waits {
            self.question.came = 0;
            self.question.asked.insert(source);
            self.send(source, Fetch::Blocks(self.missing()));
        }
    }

    /// Asks the next source, but for those that say that they do not have what is missing, if there are others.
    fn ask_next_source(&mut self) {
        let next = self.missing();
        let has = |source: &ValidatorId| self.claims.get(source).is_none_or(|claim| claim.executed >= next);
        let chosen = self.next_source(has).or_else(|| self.next_source(|_| true));
        self.question.source = chosen;
        self.question.quiet = 0;
        if chosen.is_some() {
            self.ask_again();
        }
    }

    /// The next source after the present one, in a circle, that fits and has not lied; a liar where all have.
    fn next_source(&self, fits: impl Fn(&ValidatorId) -> bool) -> Option<ValidatorId> {
        let sources = &self.config.sources;
        let honest = sources.iter().any(|source| !self.liars.contains(source));
        let may = |source: &&ValidatorId| fits(source) && (!honest || !self.liars.contains(source));
        let after = self.question.source;
        let higher = sources.iter().filter(|source| after.is_none_or(|after| **source > after));
        let lower = sources.iter().filter(|source| after.is_some_and(|after| **source <= after));
        higher.chain(lower).find(may).copied()
    }

    /// A source sent what is not so: another one is asked from now on. Where all have lied they are asked in turn, one each
    /// tick: lies must not keep a learner busy.
    fn distrust(&mut self, from: ValidatorId, reason: Rejection) -> Rejection {
        self.liars.insert(from);
        self.claims.remove(&from);
        self.question.asked.remove(&from);
        if self.question.source == Some(from) && self.liars.len() < self.config.sources.len() {
            self.ask_next_source();
        }
        reason
    }

    /// Every quarter of T0.
    fn on_tick(&mut self) {
        self.arm();
        if self.transfer_tick() || self.in_hand() >= BLOCKS_AHEAD {
            return;
        }
        let behind = self.claims.values().any(|claim| claim.executed > self.dispatched);
        self.question.quiet = self.question.quiet.saturating_add(1);
        let patience = if behind { PATIENT_TICKS } else { QUIET_TICKS };
        if self.question.quiet >= patience {
            if behind {
                self.question.vain = self.question.vain.saturating_add(1);
                let (next, peers_at) = (self.dispatched.next(), self.honest_sources_at());
                self.emit(Effect::Report(Report::Behind { next, peers_at }));
            }
            self.ask_next_source();
        } else if behind && self.question.quiet >= AGAIN_TICKS {
            self.ask_again();
        }
    }

    fn arm(&mut self) {
        let after_us = millis(self.config.params.timeout_ms) / 4;
        self.emit(Effect::SetTimer { timer: Timer::Fetch, after_us });
    }

    fn send(&mut self, to: ValidatorId, fetch: Fetch) {
        self.emit(Effect::Send { to, message: Message::Fetch(fetch) });
    }

    fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
