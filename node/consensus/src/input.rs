//! Everything that can happen to a replica. With `effect.rs`, the whole contract between the core and the world.

use std::sync::Arc;

use carat_types::batch::{Batch, Body, Envelope, WellFormed};
use carat_types::block::CertifiedBlock;
use carat_types::certificate::CommitCertificate;
use carat_types::header::Header;
use carat_types::message::{
    Commit, Fetch, HighestVotes, Justification, NewView, PrePrepare, Prepare, Seal, StableCheckpoint, Status,
    ViewChange,
};
use carat_types::snapshot::{SnapshotOffer, StateChunk};
use carat_types::validators::Verified;
use carat_types::{Digest, Epoch, Signature, Slot, ValidatorId, View};

use crate::statement::Statement;
use crate::timer::Timer;

/// The two clocks at the moment of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Microseconds since the process started; never goes back. All timers are on it.
    pub monotonic_us: u64,
    /// Milliseconds since 1970 by the wall clock; may jump. Read only for fresh proposals (section 5.2).
    pub wall_ms: u64,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message arrived over the channel of `from`; its outer signature was checked, whoever signed it.
    Message {
        /// Whose channel: what the message is charged to.
        from: ValidatorId,
        /// The message.
        message: VerifiedMessage,
    },
    /// The same of another epoch. Nobody's signature on it was checked, so it is never one of those that are signed.
    OtherEpoch {
        /// Whose channel.
        from: ValidatorId,
        /// The epoch that the frame names.
        epoch: Epoch,
        /// The message.
        message: VerifiedMessage,
    },
    /// A transaction passed admission against the last executed state and is executable next.
    Admitted(PendingTransaction),
    /// A transaction of this validator's own clients passed admission: it is to be spread.
    Submitted(PendingTransaction),
    /// A body arrived over the channel of `from`. What of it passed admission was handed in before, each as `Admitted`.
    Body {
        /// Whose channel; so that validator holds it durably.
        from: ValidatorId,
        /// The body.
        body: SpreadBody,
    },
    /// Whether validators spread bodies from now on, or gossip transactions. They gossip until told.
    SpreadBodies(bool),
    /// Transactions that can no longer be executed (expired, replaced, refused by a newer state).
    Withdrawn(Vec<Digest>),
    /// A timer that [`crate::Effect::SetTimer`] set has run out.
    Timer(Timer),
    /// A block was executed and written (J8); answers [`crate::Effect::Execute`], in slot order.
    Executed(Executed),
    /// A slot was executed on an overlay; answers [`crate::Effect::ExecuteTentatively`] if somebody waits for it.
    TentativelyExecuted(TentativelyExecuted),
    /// A chunk is kept; answers [`crate::Effect::KeepChunk`].
    ChunkKept,
    /// The state after the block with this header is in place; answers [`crate::Effect::InstallState`].
    Installed(Box<Header>),
    /// The signature of the own key on a statement, checked; answers [`crate::Effect::Sign`].
    Signed(Box<Statement>, Signature),
}

/// A message whose outer signature is valid and whose payload, if any, is well-formed.
#[derive(Clone, Debug)]
pub enum VerifiedMessage {
    /// PRE-PREPARE with its payload.
    Proposal {
        /// The leader's statement.
        signed: Verified<PrePrepare>,
        /// What it names; its digest equals the signed one.
        payload: WellFormed,
    },
    /// A PRE-PREPARE whose attached payload is not the one signed for, or is malformed: proof against the
    /// leader (T3) only in the second case.
    BadProposal {
        /// The leader's statement.
        signed: Verified<PrePrepare>,
        /// Whether the payload has the signed digest, so that the leader is to blame.
        leader_is_to_blame: bool,
    },
    /// PRE-PREPARE with the batch alone, whose digest is the signed one.
    Announcement {
        /// The leader's statement.
        signed: Verified<PrePrepare>,
        /// What it names.
        batch: Batch,
    },
    /// BODIES-HELD: the sender holds these bodies durably, it says.
    BodiesHeld(Vec<Digest>),
    /// PREPARE.
    Prepare {
        /// The vote.
        vote: Verified<Prepare>,
        /// Why it was legal; unsigned.
        justification: Justification,
    },
    /// COMMIT.
    Commit(Verified<Commit>),
    /// VIEW-CHANGE; its certificates are not yet checked.
    ViewChange(Arc<Verified<ViewChange>>),
    /// NEW-VIEW; the VIEW-CHANGEs inside are not yet checked.
    NewView(Arc<Verified<NewView>>),
    /// SEAL.
    Seal(Verified<Seal>),
    /// STATUS.
    Status(Status),
    /// FETCH.
    Fetch(Fetch),
    /// DATA: the payload of a value, well-formed.
    Payload(WellFormed),
    /// DATA: a sealed block; nothing of it is checked yet, but that its payload is well-formed.
    Block {
        /// The block with its seals.
        block: Arc<CertifiedBlock>,
        /// Its payload.
        payload: WellFormed,
    },
    /// DATA: proof that a slot is final; not yet checked.
    CommitCertificate(CommitCertificate),
    /// DATA: proof of a stable checkpoint; not yet checked.
    Stable(Arc<StableCheckpoint>),
    /// DATA: a peer offers a state; nothing of it is checked yet.
    Snapshot(Arc<SnapshotOffer>),
    /// DATA: a part of a state; nothing of it is checked yet.
    Chunk(Arc<StateChunk>),
    /// DATA: what a peer holds of a validator's votes; the signatures inside are not yet checked.
    HighestVotes(Arc<HighestVotes>),
}

/// A transaction as consensus sees it: enough to order and to time it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingTransaction {
    /// The transaction's id: its network hash.
    pub hash: Digest,
    /// The account whose sequence number it uses.
    pub source: [u8; 32],
    /// That sequence number.
    pub sequence: i64,
    /// Last second (since 1970) at which it may execute; none if it never expires.
    pub valid_until: Option<u64>,
    /// Its bytes.
    pub envelope: Envelope,
    /// Its operations, counted against a block's limit.
    pub operations: u32,
    /// Its signatures, counted against a block's limit.
    pub signatures: u32,
}

/// A body as a validator spread it: every envelope of it decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadBody {
    /// Its digest.
    pub digest: Digest,
    /// The envelopes.
    pub body: Arc<Body>,
    /// Operations of all of them, counted against a block's limit.
    pub operations: u32,
    /// Signatures of all of them, counted against a block's limit.
    pub signatures: u32,
}

/// The result of executing a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The slot; always the one after the last executed.
    pub slot: Slot,
    /// The block's header.
    pub header: Header,
    /// Ids of transactions that need no more ordering: applied, or never to be applied.
    pub settled: Vec<Digest>,
    /// Bytes of the block's envelopes that were dropped for signatures that were invalid at the start of the block and
    /// at the last stable checkpoint: junk that no client can have caused by changing its signers (section 14).
    pub junk_bytes: u64,
}

/// The result of executing a slot tentatively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TentativelyExecuted {
    /// The view that was named.
    pub view: View,
    /// The slot.
    pub slot: Slot,
    /// Hash of the block's header.
    pub header: Digest,
}
