//! The messages of consensus and what of them is signed. **Source**: consensus specification, sections 2 and 3.

use std::sync::Arc;

use crate::batch::{Batch, Body, Payload, Value};
use crate::block::CertifiedBlock;
use crate::certificate::{CommitCertificate, PreparedCertificate, SealCertificate};
use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_enum, codec_struct};
use crate::hash::{Digest, h};
use crate::header::Header;
use crate::ids::{Epoch, Slot, ValidatorId, View};
use crate::signature::Signature;
use crate::snapshot::{SnapshotOffer, StateChunk};

/// What a signature is for: the byte before the signed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`PrePrepare`].
    PrePrepare = 1,
    /// [`Prepare`].
    Prepare = 2,
    /// [`Commit`].
    Commit = 3,
    /// [`ViewChange`].
    ViewChange = 4,
    /// [`NewView`].
    NewView = 5,
    /// [`Seal`].
    Seal = 6,
    /// [`TentativeReply`].
    TentativeReply = 7,
}

/// The chain and epoch that every signature names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Hash of the genesis file.
    pub chain_id: Digest,
    /// Epoch of the signer's set.
    pub epoch: Epoch,
}

impl Domain {
    /// `"carat-bft/1" | 0x00 | chain_id | u32 epoch | u8 kind | body`.
    pub fn signing_bytes<B: SignedBody>(&self, body: &B) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.extend_from_slice(b"carat-bft/1\0");
        self.chain_id.encode(&mut out);
        self.epoch.encode(&mut out);
        out.push(B::KIND as u8);
        body.encode(&mut out);
        out
    }
}

/// A body that is signed, and by which of a validator's keys.
pub trait SignedBody: Encode {
    /// The byte that keeps it apart from every other kind.
    const KIND: Kind;
    /// Whose key signs: the proposer's, or the acceptor's.
    const SIGNER: SignerRole;
}

/// The two signing roles of a validator; their keys are distinct, and a proposer's never makes a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerRole {
    /// Orders batches.
    Proposer,
    /// Votes.
    Acceptor,
}

/// A body with its signer and signature, as it travels. Says nothing about validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<B> {
    /// Who claims to have signed.
    pub signer: ValidatorId,
    /// The signed body.
    pub body: B,
    /// Over [`Domain::signing_bytes`].
    pub signature: Signature,
}

impl<B: Encode> Encode for Signed<B> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.signer.encode(out);
        self.body.encode(out);
        self.signature.encode(out);
    }
}

impl<B: Decode> Decode for Signed<B> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Signed {
            signer: Decode::decode(input)?,
            body: Decode::decode(input)?,
            signature: Decode::decode(input)?,
        })
    }
}

/// The leader's proposal for a slot. Never counted as a vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrePrepare {
    /// The leader's view.
    pub view: View,
    /// The slot proposed for.
    pub slot: Slot,
    /// c(s-1), the log on which the proposal stands.
    pub parent: Digest,
    /// The proposed value.
    pub digest: Digest,
}

/// What PREPARE and COMMIT vote on. All signers sign the same bytes, so that votes make certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ballot {
    /// The view of the vote.
    pub view: View,
    /// The slot.
    pub slot: Slot,
    /// The value d(s).
    pub digest: Digest,
    /// The prefix digest c(s): the vote is for the whole log up to the slot.
    pub prefix: Digest,
}

/// First vote: "I hold this batch and accept it here".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare(pub Ballot);

/// Second vote: "I hold a prepared certificate for this".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit(pub Ballot);

/// Why a PREPARE was legal, attached to it unsigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Justification {
    /// The leader's PRE-PREPARE, of which the ballot gives the rest.
    Proposal(ProposalSignature),
    /// Hash of the NEW-VIEW that forced the value.
    NewView(Digest),
}

/// What turns a ballot back into the leader's signed PRE-PREPARE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalSignature {
    /// c(s-1) of the PRE-PREPARE.
    pub parent: Digest,
    /// The leader's signature on it.
    pub signature: Signature,
}

/// What an acceptor has done for one slot, in a VIEW-CHANGE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotReport {
    /// The slot, above the reporter's stable checkpoint.
    pub slot: Slot,
    /// The reporter's last vote: a claim that nobody can check.
    pub last_vote: Option<LastVote>,
    /// The highest prepared certificate that the reporter knows: checked.
    pub prepared: Option<PreparedCertificate>,
}

/// The view and value of an acceptor's last PREPARE for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastVote {
    /// View of the vote.
    pub view: View,
    /// Value voted for.
    pub digest: Digest,
}

/// "I have left all lower views; this is what I have done."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewChange {
    /// The view to go to.
    pub view: View,
    /// The sender's stable checkpoint h_i; none while it is genesis.
    pub stable: Option<StableCheckpoint>,
    /// One report for each slot in (h_i, h_i + L] with something to report, slots strictly increasing.
    pub reports: Vec<SlotReport>,
}

/// A checkpoint with its proof: q SEALs on the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StableCheckpoint {
    /// Header of the checkpoint's block.
    pub header: Header,
    /// At least q seals.
    pub certificate: SealCertificate,
}

/// The new leader's proof that it may lead: exactly q VIEW-CHANGEs. The choice is computed from them, not stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewView {
    /// The view entered.
    pub view: View,
    /// q VIEW-CHANGEs for the view, in order of their signers.
    pub view_changes: Vec<Arc<Signed<ViewChange>>>,
}

/// "This slot is final and I executed it to this block."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The slot.
    pub slot: Slot,
    /// Hash of its block's header.
    pub header: Digest,
}

/// "I sent COMMIT for this slot in this view, and executed it to this block on what I committed below." Clients count
/// equal ones only: of one view, slot and header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TentativeReply {
    /// View of the tentative execution.
    pub view: View,
    /// The slot.
    pub slot: Slot,
    /// Hash of its block's header.
    pub header: Digest,
}

impl ViewChange {
    /// The slot of the sender's stable checkpoint.
    pub fn stable_slot(&self) -> Slot {
        self.stable.as_ref().map_or(Slot(0), |stable| stable.header.slot)
    }
}

impl NewView {
    /// Hash by which PREPAREs of forced slots name this message.
    pub fn hash(&self) -> Digest {
        h("new-view", &[&self.to_bytes()])
    }
}

codec_struct!(PrePrepare { view, slot, parent, digest });
codec_struct!(Ballot { view, slot, digest, prefix });
codec_struct!(ProposalSignature { parent, signature });
codec_enum!(Justification { 1 => Proposal, 2 => NewView });
codec_struct!(LastVote { view, digest });
codec_struct!(SlotReport { slot, last_vote, prepared });
codec_struct!(StableCheckpoint { header, certificate });
codec_struct!(ViewChange { view, stable, reports });
codec_struct!(NewView { view, view_changes });
codec_struct!(Seal { slot, header });
codec_struct!(TentativeReply { view, slot, header });

impl ListItem for SlotReport {
    /// The largest window L that a genesis file may choose.
    const COUNT_MAX: u32 = 1_024;
}

impl ListItem for Signed<ViewChange> {
    const COUNT_MAX: u32 = 64;
}

macro_rules! signed_body {
    ($($type:ident: $role:ident),* $(,)?) => {$(
        impl SignedBody for $type {
            const KIND: Kind = Kind::$type;
            const SIGNER: SignerRole = SignerRole::$role;
        }
    )*};
}

signed_body!(
    PrePrepare: Proposer,
    Prepare: Acceptor,
    Commit: Acceptor,
    ViewChange: Acceptor,
    NewView: Proposer,
    Seal: Acceptor,
    TentativeReply: Acceptor,
);

macro_rules! ballot_codec {
    ($($type:ident),*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Decode::decode(input).map($type)
            }
        }
    )*};
}

ballot_codec!(Prepare, Commit);

/// A PRE-PREPARE with the payload that its receiver may lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The signed proposal.
    pub signed: Signed<PrePrepare>,
    /// Its batch and bodies, unsigned: the digest covers them.
    pub payload: Arc<Payload>,
}

/// A PREPARE with its justification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareMessage {
    /// The signed vote.
    pub signed: Signed<Prepare>,
    /// Why it was legal.
    pub justification: Justification,
}

/// Where a validator stands; authenticated by the channel, answered with what its sender lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Status {
    /// Its current view.
    pub view: View,
    /// Whether it is active in that view (has its NEW-VIEW, or the view is 0).
    pub active: bool,
    /// Its stable checkpoint h.
    pub stable: Slot,
    /// Its last final slot.
    pub last_final: Slot,
    /// Its last executed slot.
    pub last_executed: Slot,
    /// The highest slot that it voted for in its current view.
    pub highest_vote: Slot,
    /// The highest slot for which it sent COMMIT in its current view.
    pub highest_commit: Slot,
}

/// A request for something self-certifying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The payload of a value.
    Payload(Digest),
    /// Blocks with their seal certificates, from this slot upward.
    Blocks(Slot),
    /// What the peer holds of my own votes: the start-up guard's question.
    HighestVotes(ValidatorId),
    /// A state that the peer can send, of a block above this slot.
    Snapshot(Slot),
    /// A part of that state.
    Chunk(ChunkRequest),
}

/// Which part of which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRequest {
    /// The state after this slot.
    pub slot: Slot,
    /// The part that begins with this tree key.
    pub from: Digest,
}

/// Something self-certifying, in answer to a [`Fetch`] or a [`Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The payload of a value.
    Payload(Arc<Payload>),
    /// A sealed block.
    Block(Arc<CertifiedBlock>),
    /// Proof that a slot, and so the prefix below it, is final.
    Commit(CommitCertificate),
    /// Proof that a checkpoint is stable.
    Stable(Arc<StableCheckpoint>),
    /// Answer to [`Fetch::HighestVotes`].
    HighestVotes(Arc<HighestVotes>),
    /// Answer to [`Fetch::Snapshot`].
    Snapshot(Arc<SnapshotOffer>),
    /// Answer to [`Fetch::Chunk`].
    Chunk(Arc<StateChunk>),
}

/// The highest votes of one validator that a peer holds, with their signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HighestVotes {
    /// Whose votes.
    pub of: ValidatorId,
    /// The PREPARE of the highest (view, slot).
    pub prepare: Option<Signed<Prepare>>,
    /// The COMMIT of the highest (view, slot).
    pub commit: Option<Signed<Commit>>,
    /// The VIEW-CHANGE of the highest view.
    pub view_change: Option<Arc<Signed<ViewChange>>>,
}

/// Everything that one validator may send to another about consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// PRE-PREPARE.
    Proposal(Arc<Proposal>),
    /// PREPARE.
    Prepare(PrepareMessage),
    /// COMMIT.
    Commit(Signed<Commit>),
    /// VIEW-CHANGE.
    ViewChange(Arc<Signed<ViewChange>>),
    /// NEW-VIEW.
    NewView(Arc<Signed<NewView>>),
    /// SEAL.
    Seal(Signed<Seal>),
    /// STATUS.
    Status(Status),
    /// FETCH.
    Fetch(Fetch),
    /// DATA.
    Data(Data),
    /// Admitted transactions, gossiped so that every acceptor times the same work.
    Transactions(Transactions),
    /// A body of admitted transactions, spread before it is proposed; its sender holds it durably.
    Body(Arc<Body>),
    /// "I hold these bodies durably": authenticated by the channel.
    BodiesHeld(BodiesHeld),
    /// PRE-PREPARE with the batch alone: its bodies were spread before.
    Announcement(Announcement),
}

/// Envelopes on their way from the validator that received them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transactions {
    /// The envelopes.
    pub envelopes: Vec<crate::batch::Envelope>,
}

/// A PRE-PREPARE with its batch, and none of the bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The signed proposal.
    pub signed: Signed<PrePrepare>,
    /// Its batch, unsigned: the digest covers it.
    pub batch: Batch,
}

/// Bodies that the sender holds durably, at most [`BodiesHeld::BODIES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodiesHeld {
    /// Their digests.
    pub bodies: Vec<Digest>,
}

impl BodiesHeld {
    /// The most digests in one message: as many as a batch may name.
    pub const BODIES_MAX: usize = Batch::BODIES_MAX;
}

codec_struct!(Proposal { signed, payload });
codec_struct!(Announcement { signed, batch });
codec_struct!(BodiesHeld { bodies });
codec_struct!(PrepareMessage { signed, justification });
codec_struct!(Transactions { envelopes });
codec_struct!(ChunkRequest { slot, from });
codec_enum!(Fetch { 1 => Payload, 2 => Blocks, 3 => HighestVotes, 4 => Snapshot, 5 => Chunk });
codec_enum!(Data {
    1 => Payload,
    2 => Block,
    3 => Commit,
    4 => Stable,
    5 => HighestVotes,
    6 => Snapshot,
    7 => Chunk,
});
codec_struct!(HighestVotes { of, prepare, commit, view_change });
codec_enum!(Message {
    1 => Proposal,
    2 => Prepare,
    3 => Commit,
    4 => ViewChange,
    5 => NewView,
    6 => Seal,
    8 => Status,
    9 => Fetch,
    10 => Data,
    11 => Transactions,
    12 => Body,
    13 => BodiesHeld,
    14 => Announcement,
});

impl Message {
    /// The message's name in the papers' words, for traces and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Proposal(_) => "PRE-PREPARE",
            Message::Prepare(_) => "PREPARE",
            Message::Commit(_) => "COMMIT",
            Message::ViewChange(_) => "VIEW-CHANGE",
            Message::NewView(_) => "NEW-VIEW",
            Message::Seal(_) => "SEAL",
            Message::Status(_) => "STATUS",
            Message::Fetch(_) => "FETCH",
            Message::Data(_) => "DATA",
            Message::Transactions(_) => "TRANSACTIONS",
            Message::Body(_) => "BODY",
            Message::BodiesHeld(_) => "BODIES-HELD",
            Message::Announcement(_) => "PRE-PREPARE",
        }
    }
}

impl Announcement {
    /// Whether the batch is the one that was signed for.
    pub fn batch_matches(&self) -> bool {
        self.batch.digest() == self.signed.body.digest
    }
}

impl Proposal {
    /// Whether the payload is the one that was signed for.
    pub fn payload_matches(&self) -> bool {
        matches!(self.payload.value, Value::Batch(_))
            && self.payload.value.digest() == self.signed.body.digest
            && self.payload.is_consistent()
    }
}

impl Encode for Status {
    fn encode(&self, out: &mut Vec<u8>) {
        self.view.encode(out);
        out.push(u8::from(self.active));
        for slot in [self.stable, self.last_final, self.last_executed, self.highest_vote, self.highest_commit]
        {
            slot.encode(out);
        }
    }
}

impl Decode for Status {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Status {
            view: Decode::decode(input)?,
            active: match u8::decode(input)? {
                0 => false,
                1 => true,
                value => return Err(DecodeError::Tag { what: "bool", value }),
            },
            stable: Decode::decode(input)?,
            last_final: Decode::decode(input)?,
            last_executed: Decode::decode(input)?,
            highest_vote: Decode::decode(input)?,
            highest_commit: Decode::decode(input)?,
        })
    }
}

/// A message with the epoch in which it is meant: one frame between validators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Epoch of every signature inside.
    pub epoch: Epoch,
    /// The message.
    pub message: Message,
}

codec_struct!(Frame { epoch, message });
