//! What a client and a node say to each other at the native entrance: many transactions in a frame, and the proofs of
//! a block in a frame; and sealed payloads, one in a frame.
//!
//! ```text
//! client -> node: Request       transactions, numbered by the client from `first` on; or a payload, with a number
//! node -> client: Answer        exactly one for each number; before it TREPLYs, for numbers that subscribed to them
//! ```
//!
//! A settled transaction is answered with everything that its finality receipt holds ([`SettledBlock::receipt`]); what
//! the receipts of a block share travels once. Who submits is known from the handshake.

use crate::Digest;
use crate::batch::Envelope;
use crate::certificate::SealCertificate;
use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_enum, codec_struct, encode_count};
use crate::epoch::Handover;
use crate::header::Header;
use crate::merkle::Path;
use crate::message::{Signed, TentativeReply};
use crate::receipt::{Receipt, ResultBytes, ResultProof, TentativeProof};
use crate::sealed_payload::SealedPayload;
use crate::tentative::TentativeCertificate;

/// Version of what is said here; part of the protocol name in the handshake.
pub const VERSION: u32 = 5;

/// The version before it, which nodes and clients go on speaking: without TREPLYs.
pub const VERSION_WITHOUT_REPLIES: u32 = 4;

/// Longest frame in either direction. **Units**: bytes.
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Most transactions of one [`Submission`], and most outcomes of one [`SettledBlock`].
pub const COUNT_MAX: u32 = 1_024;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To have transactions ordered.
    Submission(Submission),
    /// To have a sealed payload kept for its recipients.
    Keep(Delivery),
    /// To be given a sealed payload.
    Fetch(Wanted),
    /// To have transactions ordered, and to hear the node's own validator before they are final.
    Tentative(Submission),
}

/// A sealed payload that its sender delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The client's number.
    pub number: u64,
    /// The transaction of which the client is the source, and whose memo names the payload.
    pub transaction: Digest,
    /// The payload.
    pub payload: SealedPayload,
}

/// A sealed payload that a recipient asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The client's number.
    pub number: u64,
    /// The memo that names it.
    pub memo: Digest,
}

/// Transactions that a client hands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The number of the first one; the others follow. A client uses a number once in a connection.
    pub first: u64,
    /// The envelopes.
    pub envelopes: Vec<Envelope>,
}

/// What became of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They are final, with proofs.
    Settled(SettledBlock),
    /// One will not be applied as things stand.
    Refused(Refused),
    /// One found no room; the same bytes may be sent again later.
    Busy(Busy),
    /// One has no outcome in the time that the node waits; it may still be applied. The same bytes may be sent again.
    Open(u64),
    /// One is no transaction of this network, and why.
    Malformed(Malformed),
    /// The payload is kept, and stays so when the node starts again.
    Kept(u64),
    /// The payload that was asked for.
    Fetched(Fetched),
    /// A payload is not kept or not given, and why.
    Declined(Malformed),
    /// The word of the node's validator on one that is not final yet. The number's answer is still to come.
    Replied(RepliedOutcome),
    /// No subscription, and so nothing was handed in. The same bytes may be sent without.
    NoReplies(NoReplies),
}

/// An outcome that is not final yet: with as many equal TREPLYs as the client's rule wants it makes a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepliedOutcome {
    /// The handover of each epoch before that of the header.
    pub handovers: Vec<Handover>,
    /// The block's header.
    pub header: Header,
    /// The TREPLY on the header.
    pub reply: Signed<TentativeReply>,
    /// The transaction's outcome.
    pub outcome: SettledOutcome,
}

/// A transaction that was not handed in, since its client cannot be told TREPLYs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoReplies {
    /// The client's number.
    pub number: u64,
    /// Why.
    pub code: NoRepliesCode,
    /// What to do.
    pub words: Words,
}

/// Why a node tells no TREPLYs. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRepliesCode {
    /// The session has as many subscriptions as one may.
    TooManySubscriptions,
    /// `trust = crash`: no validator sends TREPLY.
    TrustIsCrash,
    /// The node follows: it has no vote.
    NoVote,
}

/// A payload for its recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The client's number.
    pub number: u64,
    /// The payload, which its memo names.
    pub payload: SealedPayload,
}

/// Transactions of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledBlock {
    /// The handover of each epoch before that of the header.
    pub handovers: Vec<Handover>,
    /// The block's header.
    pub header: Header,
    /// At least f+1 SEALs on the header.
    pub seals: SealCertificate,
    /// The transactions.
    pub outcomes: Vec<SettledOutcome>,
}

/// One transaction of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledOutcome {
    /// The client's number.
    pub number: u64,
    /// Hash of the envelope that was ordered: another than the client's where the same transaction went with other signatures.
    pub envelope: Digest,
    /// The `TransactionResult`, XDR.
    pub result: ResultBytes,
    /// From the outcome to the header's outcomes root.
    pub path: Path,
}

/// A transaction that will not be applied as things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The client's number.
    pub number: u64,
    /// The `TransactionResult`, XDR.
    pub result: ResultBytes,
    /// What to do, where a result code alone does not say it; else empty.
    pub words: Words,
}

/// A transaction that found no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The client's number.
    pub number: u64,
    /// When to try again. **Units**: milliseconds from now.
    pub retry_after_ms: u32,
    /// Of what there is too much.
    pub words: Words,
}

/// What is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The client's number.
    pub number: u64,
    /// What is wrong.
    pub words: Words,
}

/// A sentence for people, UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(String);

impl SettledBlock {
    /// The finality receipt of one of its transactions. The client knows the hash from the envelope that it sent, and
    /// takes no node's word for it.
    pub fn receipt(&self, transaction: Digest, outcome: &SettledOutcome) -> Receipt {
        Receipt::of_result(ResultProof {
            transaction,
            envelope: outcome.envelope,
            result: outcome.result.clone(),
            path: outcome.path.clone(),
            header: self.header.clone(),
            seals: self.seals.clone(),
        })
        .after(self.handovers.clone())
    }
}

impl RepliedOutcome {
    /// The receipt of the transaction with these TREPLYs on the header, of which the client verified each.
    pub fn receipt(&self, transaction: Digest, replies: TentativeCertificate) -> Receipt {
        Receipt::of_replies(TentativeProof {
            transaction,
            envelope: self.outcome.envelope,
            result: self.outcome.result.clone(),
            path: self.outcome.path.clone(),
            header: self.header.clone(),
            replies,
        })
        .after(self.handovers.clone())
    }
}

impl NoRepliesCode {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            NoRepliesCode::TooManySubscriptions => "too_many_subscriptions",
            NoRepliesCode::TrustIsCrash => "trust_is_crash",
            NoRepliesCode::NoVote => "no_vote",
        }
    }
}

impl Encode for NoRepliesCode {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            NoRepliesCode::TooManySubscriptions => 1,
            NoRepliesCode::TrustIsCrash => 2,
            NoRepliesCode::NoVote => 3,
        });
    }
}

impl Decode for NoRepliesCode {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            1 => Ok(NoRepliesCode::TooManySubscriptions),
            2 => Ok(NoRepliesCode::TrustIsCrash),
            3 => Ok(NoRepliesCode::NoVote),
            value => Err(DecodeError::Tag { what: "NoRepliesCode", value }),
        }
    }
}

impl Answer {
    /// The numbers that it answers for good: none, if it is a TREPLY.
    pub fn numbers(&self) -> Vec<u64> {
        match self {
            Answer::Settled(block) => block.outcomes.iter().map(|outcome| outcome.number).collect(),
            Answer::Replied(_) => Vec::new(),
            Answer::Refused(Refused { number, .. })
            | Answer::Busy(Busy { number, .. })
            | Answer::Malformed(Malformed { number, .. })
            | Answer::Declined(Malformed { number, .. })
            | Answer::Fetched(Fetched { number, .. })
            | Answer::NoReplies(NoReplies { number, .. })
            | Answer::Kept(number)
            | Answer::Open(number) => vec![*number],
        }
    }
}

impl Words {
    /// **Units**: bytes.
    const BYTES_MAX: u32 = 1_024;

    /// At most the first 1,024 bytes of `text`, cut between characters.
    pub fn new(mut text: String) -> Self {
        let limit = usize::try_from(Self::BYTES_MAX).unwrap_or(usize::MAX);
        text.truncate(text.floor_char_boundary(limit));
        Words(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ListItem for SettledOutcome {
    const COUNT_MAX: u32 = COUNT_MAX;
}

impl Encode for Submission {
    fn encode(&self, out: &mut Vec<u8>) {
        self.first.encode(out);
        self.envelopes.encode(out);
    }
}

impl Decode for Submission {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = u64::decode(input)?;
        let envelopes: Vec<Envelope> = Decode::decode(input)?;
        let count = u64::try_from(envelopes.len()).unwrap_or(u64::MAX);
        if count == 0 || count > u64::from(COUNT_MAX) {
            return Err(DecodeError::Invalid("a submission holds 1 to 1,024 transactions"));
        }
        match first.checked_add(count) {
            Some(_) => Ok(Submission { first, envelopes }),
            None => Err(DecodeError::Invalid("the numbers of a submission pass the largest number")),
        }
    }
}

impl Encode for Words {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.0.len(), out);
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl Decode for Words {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = input.count("words", Words::BYTES_MAX)?;
        let text = std::str::from_utf8(input.take(length)?);
        text.map(|text| Words(text.to_owned())).map_err(|_| DecodeError::Invalid("words are not UTF-8"))
    }
}

codec_enum!(Answer {
    1 => Settled, 2 => Refused, 3 => Busy, 4 => Open, 5 => Malformed, 6 => Kept, 7 => Fetched, 8 => Declined, 9 => Replied,
    10 => NoReplies
});
codec_enum!(Request { 1 => Submission, 2 => Keep, 3 => Fetch, 4 => Tentative });
codec_struct!(Delivery { number, transaction, payload });
codec_struct!(Wanted { number, memo });
codec_struct!(Fetched { number, payload });
codec_struct!(SettledBlock { handovers, header, seals, outcomes });
codec_struct!(SettledOutcome { number, envelope, result, path });
codec_struct!(Refused { number, result, words });
codec_struct!(Busy { number, retry_after_ms, words });
codec_struct!(Malformed { number, words });
codec_struct!(RepliedOutcome { handovers, header, reply, outcome });
codec_struct!(NoReplies { number, code, words });

#[cfg(test)]
mod tests {
    use super::*;

    fn envelopes(count: usize) -> Vec<Envelope> {
        vec![Envelope(vec![7].into()); count]
    }

    #[test]
    fn answers_and_submissions_are_read_as_they_were_written() {
        let submission = Submission { first: 9, envelopes: envelopes(3) };
        for request in [Request::Submission(submission.clone()), Request::Tentative(submission)] {
            assert_eq!(Request::from_bytes(&request.to_bytes()), Ok(request));
        }
        let request = Request::Fetch(Wanted { number: 1, memo: Digest([2; 32]) });
        assert_eq!(Request::from_bytes(&request.to_bytes()), Ok(request));
        let (words, result) = (Words::new("no room".into()), ResultBytes(vec![1, 2]));
        let answers = [
            Answer::Refused(Refused { number: 1, result, words: words.clone() }),
            Answer::Busy(Busy { number: 2, retry_after_ms: 1_000, words: words.clone() }),
            Answer::Open(3),
            Answer::Malformed(Malformed { number: 4, words: words.clone() }),
            Answer::Kept(5),
            Answer::Declined(Malformed { number: 6, words: words.clone() }),
            Answer::NoReplies(NoReplies { number: 7, code: NoRepliesCode::TooManySubscriptions, words }),
        ];
        for (number, answer) in (1..).zip(answers) {
            assert_eq!(answer.numbers(), [number]);
            assert_eq!(Answer::from_bytes(&answer.to_bytes()), Ok(answer));
        }
    }

    #[test]
    fn submission_that_no_client_makes_is_refused() {
        let table = [
            (Submission { first: 0, envelopes: vec![] }, "1 to 1,024"),
            (Submission { first: 0, envelopes: envelopes(1_025) }, "1 to 1,024"),
            (Submission { first: u64::MAX - 1, envelopes: envelopes(2) }, "pass the largest"),
        ];
        for (submission, expected) in table {
            let error = Submission::from_bytes(&submission.to_bytes()).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn words_are_cut_between_characters_and_must_be_text() {
        let words = Words::new("é".repeat(600));
        assert_eq!(words.as_str().len(), 1_024);
        assert_eq!(Words::from_bytes(&words.to_bytes()), Ok(words));
        assert!(Words::from_bytes(&[0, 0, 0, 1, 0xff]).is_err());
    }
}
