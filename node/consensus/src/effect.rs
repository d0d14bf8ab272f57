//! Everything that a replica asks of the world. Five rules:
//!
//! 1. Effects are performed in the order given.
//! 2. **Nothing after a `Persist` happens until it is synced.** Persisting may be moved earlier to share one
//!    sync among many, never later.
//! 3. `handle` never fails: a bad message becomes a [`Effect::Reject`], which is counted.
//! 4. The same inputs give the same effects.
//! 5. Failing to persist or to execute stops the process.

use std::sync::Arc;

use carat_types::batch::WellFormed;
use carat_types::block::CertifiedBlock;
use carat_types::certificate::{CommitCertificate, PreparedCertificate, SealCertificate};
use carat_types::evidence::Evidence;
use carat_types::message::{Fetch, Message, NewView, Signed, StableCheckpoint, TentativeReply};
use carat_types::snapshot::{SnapshotOffer, StateChunk};
use carat_types::{Digest, Slot, ValidatorId, View};

use crate::record::Record;
use crate::rejection::Rejection;
use crate::statement::Statement;
use crate::timer::Timer;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Append to the journal.
    Persist(Record),
    /// Make all blocks up to `slot` durable (J8), then this effect is done.
    SyncBlocks {
        /// The newest block that must be durable.
        slot: Slot,
    },
    /// A checkpoint is stable and journaled: begin the journal anew with `carry`, and drop every record of a
    /// slot at or below `stable`.
    Compact {
        /// The stable checkpoint h.
        stable: Slot,
        /// The records that a restart still needs whatever their slot (view, NEW-VIEW, checkpoint).
        carry: Vec<Record>,
    },
    /// Have this signed by a key that is in another process, and answer with `Signed`. Like a message it waits for
    /// what was to be persisted before it; while nobody can sign, it waits too, or is dropped once it is overtaken.
    Sign(Statement),
    /// Send to one process.
    Send {
        /// The receiver.
        to: ValidatorId,
        /// The message.
        message: Message,
    },
    /// Send to every other process: validators, and the proposers of an edge network.
    Broadcast(Message),
    /// Execute a final slot on the state of the slot below, write the block, and answer with `Executed`.
    Execute(Box<Execute>),
    /// Execute a slot that is not final yet on an overlay that can be undone, above that of the slot below, and answer with
    /// `TentativelyExecuted` where somebody waits for it. When the slot is final, `Execute` names it again: the overlay
    /// may be kept then, since both have one prefix. The world may leave this undone.
    ExecuteTentatively(Box<ExecuteTentatively>),
    /// Undo every overlay: none of them is to become final here.
    DropTentative,
    /// TREPLY: hand to the clients that have subscribed.
    Reply(Signed<TentativeReply>),
    /// Answer a peer from the store: blocks with their certificates, a payload no longer in memory, a state.
    Serve {
        /// Who asked.
        to: ValidatorId,
        /// For what.
        fetch: Fetch,
    },
    /// Keep the chunks of this state from now on, in place of those of any other.
    BeginTransfer(Arc<SnapshotOffer>),
    /// Keep a chunk of the state that is being fetched, and answer with `ChunkKept`. It was checked.
    KeepChunk(Arc<StateChunk>),
    /// All chunks were handed over: replace the state by them, and answer with `Installed`. Nothing is executed until
    /// then.
    InstallState(Arc<SnapshotOffer>),
    /// f+1 SEALs on a block that this validator executed to the same header: keep them, and wake the callers.
    Sealed {
        /// The block's slot.
        slot: Slot,
        /// The seals (f+1, later perhaps more).
        certificate: SealCertificate,
    },
    /// Keep an accepted NEW-VIEW for ever: evidence.
    ArchiveNewView(Arc<Signed<NewView>>),
    /// Keep evidence against a validator for ever (section 13).
    KeepEvidence(Arc<Evidence>),
    /// Ask for `Input::Timer(timer)` after `after_us`; replaces an earlier request for the same timer.
    SetTimer {
        /// Which.
        timer: Timer,
        /// Microseconds from now.
        after_us: u64,
    },
    /// Forget a timer.
    CancelTimer(Timer),
    /// A message was refused and did nothing.
    Reject {
        /// The channel that it came by.
        from: ValidatorId,
        /// Why.
        reason: Rejection,
    },
    /// Something an operator or a metric wants to know; changes nothing.
    Report(Report),
    /// The epoch is over: its last slot is stable, executed and durable. The replica takes no more input. The world makes one
    /// for the next epoch, with this checkpoint as [`crate::Config::base`], on a journal that holds nothing of this epoch.
    /// A learner, which has no journal, says the same of a block that f+1 sealed.
    EpochEnds(Arc<StableCheckpoint>),
    /// Stop for good: going on could break a promise.
    Halt(Halt),
}

/// A final slot to execute.
#[derive(Clone, Debug, PartialEq)]
pub struct Execute {
    /// The slot.
    pub slot: Slot,
    /// Its value.
    pub payload: WellFormed,
    /// c(s-1): also the seed of the order in the block.
    pub parent_prefix: Digest,
    /// c(s).
    pub prefix: Digest,
    /// Why it is final.
    pub finality: Finality,
    /// The last stable checkpoint, since which dropped transactions are counted as junk (section 14).
    pub stable: Slot,
    /// Transactions of the pool that it orders: they wait for nobody's proposal any more.
    pub ordered: Vec<Digest>,
}

/// A slot to execute before it is final. **Source**: consensus specification, section 11.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecuteTentatively {
    /// The view in which COMMIT was sent: TREPLYs of different views never count together.
    pub view: View,
    /// The slot.
    pub slot: Slot,
    /// Its value.
    pub payload: WellFormed,
    /// c(s-1).
    pub parent_prefix: Digest,
    /// c(s).
    pub prefix: Digest,
}

/// Why a slot is final here; named after the rule that was met first.
#[derive(Clone, Debug, PartialEq)]
pub enum Finality {
    /// q PREPAREs of one ballot; under `trust = crash` only.
    Fast(PreparedCertificate),
    /// All n PREPAREs of one ballot.
    Unanimous(PreparedCertificate),
    /// q COMMITs of one ballot.
    Commit(CommitCertificate),
    /// A higher slot is final and its prefix digest covers this one.
    Prefix(Slot),
    /// f+1 SEALs: caught up from a peer; execution must reach exactly this header.
    Sealed(Arc<CertifiedBlock>),
}

/// What happened, for logs, metrics and traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Left a view and sent VIEW-CHANGE.
    ViewChangeStarted {
        /// The view left.
        left: View,
        /// The view wanted.
        view: View,
        /// Which trigger of section 7.1.
        trigger: Trigger,
    },
    /// Entered a view.
    ViewEntered {
        /// The view.
        view: View,
        /// Slots that its NEW-VIEW forces.
        forced: u64,
    },
    /// A commit rule was met for a slot, at this replica.
    RuleMet {
        /// The slot.
        slot: Slot,
        /// Its view.
        view: View,
        /// The rule.
        rule: Rule,
    },
    /// A checkpoint became stable.
    Stable {
        /// Its slot.
        slot: Slot,
    },
    /// Falling behind: the first slot that is missing, and how far the peers are.
    Behind {
        /// Next slot needed.
        next: Slot,
        /// Highest slot that a peer claims to have executed.
        peers_at: Slot,
    },
    /// The state after a slot is being fetched.
    StateTransferBegun {
        /// The slot.
        slot: Slot,
    },
    /// That has ended.
    StateTransferEnded {
        /// The slot.
        slot: Slot,
        /// Whether the state is in place; else blocks are fetched for a while.
        installed: bool,
    },
    /// The epoch is over, and nobody sends a state of it to this replica, which has none. What comes of the next epoch it cannot check:
    /// whoever runs it brings the proof of that epoch.
    Stranded {
        /// The last slot of the epoch.
        slot: Slot,
    },
    /// The leader of a view broke a bound (T5). No blame: the network or this validator may be the slow one.
    LeaderDemoted {
        /// The view that is left for it.
        view: View,
        /// The process of its leader.
        leader: ValidatorId,
        /// The bound.
        bound: Bound,
        /// What was measured, in the bound's units.
        measured: u64,
        /// What is allowed, after relaxation.
        allowed: u64,
    },
    /// A view is skipped, since its leader failed in its last turn.
    LeaderPassedOver {
        /// The view.
        view: View,
        /// The process of its leader.
        leader: ValidatorId,
    },
    /// A value for which this replica holds q PREPAREs was given up by the choice of a later view: a FAST receipt is
    /// contradicted. An acceptor lied, or forgot what it had signed.
    FastContradicted {
        /// The slot.
        slot: Slot,
        /// The view of the PREPAREs.
        view: View,
        /// Their value.
        digest: Digest,
        /// The view that chose otherwise.
        new_view: View,
    },
    /// Two signed statements of one validator that no correct one makes.
    Misbehaviour {
        /// Which process.
        validator: ValidatorId,
        /// What, in words.
        what: &'static str,
    },
}

/// The commit rules of section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// q PREPAREs; sound if validators only crash. Validators act on it under `trust = crash`, else never.
    Fast,
    /// n PREPAREs.
    Unanimous,
    /// q COMMITs.
    Commit,
    /// f+1 SEALs.
    Seal,
}

/// The triggers of section 7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// T1: the oldest transaction of this replica's share waited too long.
    Waiting,
    /// T2: no acceptable NEW-VIEW in time.
    NoNewView,
    /// T3: proof against the leader.
    LeaderProof,
    /// T4: f+1 others have moved; one under `trust = crash`.
    Followed,
    /// T5: the leader broke a bound of section 14.
    SlowLeader,
    /// T6: end of the leader's term.
    TermEnd,
    /// T7: nothing became final for too long.
    Idle,
    /// J7: this replica's own proposer may not lead the view.
    Barred,
}

/// The bounds of section 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// LAMBDA: how long the oldest transaction waits. **Units**: microseconds.
    Wait,
    /// OMEGA: by how much it waits longer than others in the mean. **Units**: microseconds.
    Unfairness,
    /// DELTA: how much is ordered. **Units**: transactions per 1,000 s.
    Rate,
    /// G: how long nothing is proposed while transactions wait. **Units**: microseconds.
    Pause,
    /// Transactions whose signatures were never valid. **Units**: bytes.
    Junk,
}

impl Bound {
    /// The label under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Wait => "wait",
            Bound::Unfairness => "unfairness",
            Bound::Rate => "rate",
            Bound::Pause => "pause",
            Bound::Junk => "junk",
        }
    }
}

/// Why a replica stops for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Execution gave another header than f+1 validators sealed.
    Diverged {
        /// The slot.
        slot: Slot,
        /// Hash of the own header.
        own: Digest,
        /// Hash that the others sealed.
        sealed: Digest,
    },
    /// Start-up guard: a peer holds a signature of this replica that its journal does not know.
    ForgottenVote {
        /// What was forgotten, in words.
        what: String,
    },
    /// Under `trust = crash` a new view gave up what FAST had decided: an acceptor lied, or lost its journal.
    FastContradicted {
        /// The slot.
        slot: Slot,
        /// The value decided here.
        ours: Digest,
        /// The value chosen instead; none if the slot was left free.
        theirs: Option<Digest>,
    },
    /// Two A-byz finality proofs disagree: more than f validators cheat.
    Forked {
        /// The slot.
        slot: Slot,
        /// One value or prefix.
        ours: Digest,
        /// The other.
        theirs: Digest,
    },
}
