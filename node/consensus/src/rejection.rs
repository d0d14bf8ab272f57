//! Why a peer's message was refused. Counted by name; never fatal.

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// From a channel that is no validator's.
    Stranger,
    /// Of another epoch, and nothing that proves itself.
    OtherEpoch,
    /// Of a view that is over.
    OldView,
    /// Of a view too far ahead to keep.
    FarView,
    /// Of a slot at or below the stable checkpoint.
    OldSlot,
    /// Of a slot above the window.
    FarSlot,
    /// A PRE-PREPARE or NEW-VIEW not signed by the leader of its view.
    NotLeader,
    /// A PRE-PREPARE for a slot whose value the NEW-VIEW forces.
    ForcedSlot,
    /// A PRE-PREPARE for a slot beyond the term of its view.
    BeyondTerm,
    /// A PRE-PREPARE without the payload that it names.
    BadPayload,
    /// A second, different statement where one is allowed.
    Conflict,
    /// A PREPARE that differs from the leader's proposal and shows no proposal of its own.
    Unjustified,
    /// More VIEW-CHANGEs than one per T0/4.
    TooSoon,
    /// A signature inside the message is invalid.
    BadSignature,
    /// A certificate that proves nothing.
    BadCertificate,
    /// A checkpoint whose header and seals do not fit.
    BadCheckpoint,
    /// A VIEW-CHANGE whose reports are out of order, outside the window, or of a view not below its own.
    BadReport,
    /// A NEW-VIEW without exactly q VIEW-CHANGEs for its view, in the order of their signers.
    WrongQuorum,
    /// A sealed block that does not fit its seals or payload.
    BadBlock,
    /// An offer of a state that is not what it says: no stable checkpoint, or another block after it.
    BadOffer,
    /// A part of a state that does not lead to the certified state root.
    BadChunk,
    /// A body that fits no block, or holds nothing.
    BadBody,
    /// A body of which nothing waits here: all of it was refused, or settled before.
    UselessBody,
    /// More bodies of one validator than are held.
    TooManyBodies,
    /// An answer to nothing that was asked.
    Unrequested,
}

impl Rejection {
    /// The label under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Rejection::Stranger => "stranger",
            Rejection::OtherEpoch => "other_epoch",
            Rejection::OldView => "old_view",
            Rejection::FarView => "far_view",
            Rejection::OldSlot => "old_slot",
            Rejection::FarSlot => "far_slot",
            Rejection::NotLeader => "not_leader",
            Rejection::ForcedSlot => "forced_slot",
            Rejection::BeyondTerm => "beyond_term",
            Rejection::BadPayload => "bad_payload",
            Rejection::Conflict => "conflict",
            Rejection::Unjustified => "unjustified",
            Rejection::TooSoon => "too_soon",
            Rejection::BadSignature => "bad_signature",
            Rejection::BadCertificate => "bad_certificate",
            Rejection::BadCheckpoint => "bad_checkpoint",
            Rejection::BadReport => "bad_report",
            Rejection::WrongQuorum => "wrong_quorum",
            Rejection::BadBlock => "bad_block",
            Rejection::BadOffer => "bad_offer",
            Rejection::BadChunk => "bad_chunk",
            Rejection::BadBody => "bad_body",
            Rejection::UselessBody => "useless_body",
            Rejection::TooManyBodies => "too_many_bodies",
            Rejection::Unrequested => "unrequested",
        }
    }
}
