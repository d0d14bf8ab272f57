//! Finality receipts: proof, for anyone who holds only the genesis file, of what became of a transaction.
//!
//! **Source**: consensus specification, section 13. A receipt never claims more than its certificate proves,
//! and its verdict always names the assumption on which it rests.

use std::collections::VecDeque;
use std::fmt;

use thiserror::Error;

use crate::batch::{Batch, Envelope};
use crate::certificate::{CertificateError, CommitCertificate, PreparedCertificate, SealCertificate};
use crate::codec::{Decode, DecodeError, Encode, Reader, codec_enum, codec_struct, encode_count};
use crate::epoch::{BrokenChain, Epochs, Handover, HandoverError};
use crate::genesis::{GenesisFile, Trust};
use crate::hash::{Digest, m};
use crate::header::Header;
use crate::ids::{Epoch, Slot};
use crate::merkle::Path;
use crate::message::Ballot;
use crate::quorum::{ImpossibleSize, Quorum};
use crate::tentative::TentativeCertificate;
use crate::transaction::{EnvelopeError, decode_envelope, transaction_hash};
use crate::validators::{Ed25519, ValidatorSet};

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The handover of each epoch before that of the proof, from epoch 0 on.
    pub handovers: Vec<Handover>,
    /// What is proved, and how.
    pub proof: Proof,
}

/// The three kinds of proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The transaction's place in the log; its outcome is not proved.
    Order(OrderProof),
    /// The transaction's outcome.
    Result(ResultProof),
    /// The transaction's outcome as validators computed it before it was final.
    Tentative(TentativeProof),
}

/// Place of a transaction: envelope, body, batch, votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderProof {
    /// The transaction.
    pub envelope: Envelope,
    /// From the envelope to its body's digest.
    pub path: Path,
    /// The batch, which lists the body's digest.
    pub batch: Batch,
    /// Position of the body in the batch.
    pub body: u32,
    /// Votes on the batch.
    pub votes: OrderVotes,
}

/// The votes behind an order receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderVotes {
    /// PREPAREs: UNANIMOUS if all validators signed, FAST if only a quorum did.
    Prepared(PreparedCertificate),
    /// q COMMITs.
    Committed(CommitCertificate),
}

/// Outcome of a transaction: outcome, header, seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultProof {
    /// Hash of the transaction.
    pub transaction: Digest,
    /// Hash of its envelope as it was ordered, signatures and all. It tells a holder nothing that must be checked: it keeps the
    /// leaf from being found by trial, for nobody guesses signatures.
    pub envelope: Digest,
    /// Its `TransactionResult`, XDR.
    pub result: ResultBytes,
    /// From the outcome to the header's outcomes root.
    pub path: Path,
    /// The block's header.
    pub header: Header,
    /// At least f+1 SEALs on the header.
    pub seals: SealCertificate,
}

/// Outcome of a transaction before it is final: outcome, header, TREPLYs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TentativeProof {
    /// Hash of the transaction.
    pub transaction: Digest,
    /// Hash of its envelope as it was ordered, signatures and all.
    pub envelope: Digest,
    /// Its `TransactionResult`, XDR.
    pub result: ResultBytes,
    /// From the outcome to the header's outcomes root.
    pub path: Path,
    /// The block's header.
    pub header: Header,
    /// TREPLYs of one view on the header: q of them are as good as COMMIT and result.
    pub replies: TentativeCertificate,
}

/// A `TransactionResult` as XDR bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ResultBytes(pub Vec<u8>);

/// What a receipt proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Hash of the transaction.
    pub transaction: Digest,
    /// Its slot.
    pub slot: Slot,
    /// Its ledger; known from a result receipt only.
    pub ledger: Option<u32>,
    /// Block time in milliseconds since 1970; known from a result receipt only.
    pub time_ms: Option<u64>,
    /// Its result, XDR; none means "position only, result unknown".
    pub result: Option<Vec<u8>>,
    /// The rule that made it final.
    pub rule: Rule,
    /// What must hold for the verdict to hold.
    pub assumption: Assumption,
}

/// The rule behind a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// q PREPAREs.
    Fast,
    /// n PREPAREs.
    Unanimous,
    /// q COMMITs.
    Commit,
    /// f+1 SEALs.
    Seal,
    /// q TREPLYs of one view.
    QuorumReplies,
    /// Fewer TREPLYs than that, mostly one: not final under the fault assumption of the network.
    Reply,
}

/// The fault assumption on which a verdict rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// Validators crash but never lie.
    CrashOnly,
    /// The same, and one validator alone was heard: never to be called final.
    OneWord,
    /// At most this many validators are, or ever become, dishonest.
    AtMostDishonest(usize),
    /// The same, and of each epoch's validators that handed over to the next less than a third.
    AtMostDishonestInEach(usize),
}

impl Assumption {
    /// What must hold for a rule to be sound among validators with these thresholds.
    pub fn behind(rule: Rule, quorum: Quorum) -> Self {
        match rule {
            Rule::Fast => Assumption::CrashOnly,
            Rule::Reply => Assumption::OneWord,
            Rule::Unanimous | Rule::Commit | Rule::Seal | Rule::QuorumReplies => {
                Assumption::AtMostDishonest(quorum.faults())
            }
        }
    }
}

/// Why a receipt proves nothing.
#[derive(Debug, Error)]
pub enum ReceiptError {
    /// Not a receipt.
    #[error("not a receipt: {0}")]
    Decode(#[from] DecodeError),
    /// Of another version.
    #[error(
        "receipt version is {0}, expected {first} or {later} (hint: use a newer carat)",
        first = Receipt::VERSION,
        later = Receipt::VERSION_OF_LATER_EPOCHS
    )]
    Version(u8),
    /// Of another chain.
    #[error(
        "the receipt is of chain {seen}, the genesis file of chain {expected} (hint: use that network's genesis file)"
    )]
    Chain {
        /// Chain of the receipt.
        seen: Digest,
        /// Chain of the genesis file.
        expected: Digest,
    },
    /// One epoch did not hand over to the next.
    #[error("handover {place} does not hold: {error}")]
    Handover {
        /// Its place, from 0: the epoch that it ends.
        place: usize,
        /// What is wrong.
        error: HandoverError,
    },
    /// The votes do not reach their rule.
    #[error("the certificate does not hold: {0}")]
    Certificate(#[from] CertificateError),
    /// A hash does not lead where it must.
    #[error("{0}")]
    Broken(&'static str),
    /// The genesis file lists an impossible set.
    #[error(transparent)]
    Genesis(#[from] ImpossibleSize),
    /// TREPLYs of a network that has none.
    #[error(
        "trust is crash, under which no validator sends TREPLY: FAST makes a slot final one step earlier (hint: ask for the sealed \
         receipt, which says FAST there)"
    )]
    NoReplies,
    /// The envelope inside is no transaction.
    #[error("the envelope in the receipt is no transaction: {0}")]
    Envelope(#[from] EnvelopeError),
}

impl Receipt {
    /// The version of receipts of epoch 0, which need no handover.
    pub const VERSION: u8 = 2;
    /// The version of receipts of later epochs, which need at least one.
    pub const VERSION_OF_LATER_EPOCHS: u8 = 3;

    /// The receipt of an outcome of epoch 0.
    pub fn of_result(proof: ResultProof) -> Self {
        Receipt { handovers: Vec::new(), proof: Proof::Result(proof) }
    }

    /// The receipt of an outcome of epoch 0 that is not final yet, or not proved to be.
    pub fn of_replies(proof: TentativeProof) -> Self {
        Receipt { handovers: Vec::new(), proof: Proof::Tentative(proof) }
    }

    /// The receipt of a place in the log of epoch 0.
    pub fn of_order(proof: OrderProof) -> Self {
        Receipt { handovers: Vec::new(), proof: Proof::Order(proof) }
    }

    /// The receipt with the handovers of the epochs before that of its proof.
    #[must_use]
    pub fn after(self, handovers: Vec<Handover>) -> Self {
        Receipt { handovers, ..self }
    }

    /// Checks a receipt's bytes against the genesis file alone.
    ///
    /// **Errors**: [`ReceiptError`] for anything but an untampered receipt of this chain.
    pub fn verify(bytes: &[u8], genesis: &GenesisFile) -> Result<Verdict, ReceiptError> {
        Verifier::new(genesis)?.verify(bytes)
    }
}

/// Checks the receipts of one chain. Handovers and seals are checked once for all receipts that carry the very same ones: a
/// block has as many receipts as transactions.
#[derive(Clone, Debug)]
pub struct Verifier {
    network_id: Digest,
    trust: Trust,
    /// As far as handovers have led.
    epochs: Epochs,
    /// Certificates that hold, the newest last.
    sealed: VecDeque<SealCertificate>,
}

/// The validators of a proof's epoch, and what is known of that epoch.
struct Reached<'a> {
    set: &'a ValidatorSet,
    /// The last slot of the epoch before; 0 in epoch 0.
    after: Slot,
}

impl Verifier {
    /// Certificates that are remembered: receipts come in nearly the order of their blocks.
    const SEALED_MAX: usize = 32;

    /// Checks against this genesis file alone.
    ///
    /// **Errors**: it lists an impossible set of validators.
    pub fn new(genesis: &GenesisFile) -> Result<Self, ImpossibleSize> {
        let (network_id, trust) = (genesis.network_id(), genesis.genesis.trust);
        Ok(Verifier { network_id, trust, epochs: Epochs::of(genesis)?, sealed: VecDeque::new() })
    }

    /// Checks a receipt's bytes.
    ///
    /// **Errors**: as [`Receipt::verify`].
    pub fn verify(&mut self, bytes: &[u8]) -> Result<Verdict, ReceiptError> {
        if let Some(version) = bytes.first()
            && ![Receipt::VERSION, Receipt::VERSION_OF_LATER_EPOCHS].contains(version)
        {
            return Err(ReceiptError::Version(*version));
        }
        self.check(&Receipt::from_bytes(bytes)?)
    }

    /// Checks a receipt that was read already.
    ///
    /// **Errors**: as [`Receipt::verify`].
    pub fn check(&mut self, receipt: &Receipt) -> Result<Verdict, ReceiptError> {
        let Receipt { handovers, proof } = receipt;
        self.walk(handovers)?;
        let reached = self.reached(handovers.len());
        let mut verdict = match proof {
            Proof::Order(proof) => proof.verify(&self.network_id, &reached)?,
            Proof::Result(proof) => {
                let verdict = proof.outcome(&reached)?;
                self.check_seals(&proof.seals, handovers.len())?;
                verdict
            }
            Proof::Tentative(proof) => {
                if self.trust == Trust::Crash {
                    return Err(ReceiptError::NoReplies);
                }
                proof.verify(&reached)?
            }
        };
        (verdict.rule, verdict.assumption) = self.assumed(verdict.rule, handovers.len());
        Ok(verdict)
    }

    /// Checks that this chain's validators sealed a header, of the epoch to which the handovers lead.
    ///
    /// **Returns** what made it final, and what must hold for that.
    ///
    /// **Errors**: as [`Receipt::verify`].
    pub fn check_header(
        &mut self,
        handovers: &[Handover],
        header: &Header,
        seals: &SealCertificate,
    ) -> Result<(Rule, Assumption), ReceiptError> {
        self.walk(handovers)?;
        sealed_header(header, seals, &self.reached(handovers.len()))?;
        self.check_seals(seals, handovers.len())?;
        Ok(self.assumed(Rule::Seal, handovers.len()))
    }

    /// The thresholds of the epoch to which the handovers of a receipt lead, after it was checked.
    pub fn quorum_after(&self, handovers: &[Handover]) -> Quorum {
        self.reached(handovers.len()).set.quorum()
    }

    /// Goes from the genesis file's set from handover to handover.
    fn walk(&mut self, handovers: &[Handover]) -> Result<(), ReceiptError> {
        let followed = self.epochs.follow(handovers, &Ed25519);
        if followed.as_ref().map_or(true, |new| *new) {
            // What was sealed by the sets of another chain of handovers counts no more.
            self.sealed.clear();
        }
        followed.map_err(|BrokenChain { place, error }| ReceiptError::Handover { place, error })?;
        Ok(())
    }

    /// The epoch after so many handovers, which were walked.
    fn reached(&self, handovers: usize) -> Reached<'_> {
        let epoch = Epoch(u32::try_from(handovers).unwrap_or(u32::MAX));
        // Walked: there is a set behind each handover.
        let set = self.epochs.validators_of(epoch).unwrap_or(self.epochs.validators());
        Reached { set, after: self.epochs.last_slot_before(epoch) }
    }

    /// The rule that a proof stands on, by the network's trust, and what must hold for it.
    fn assumed(&self, rule: Rule, handovers: usize) -> (Rule, Assumption) {
        // Whatever votes or seals are shown, they stand on what FAST decided (consensus specification, section 6).
        let rule = if self.trust == Trust::Crash { Rule::Fast } else { rule };
        let assumption = match Assumption::behind(rule, self.reached(handovers).set.quorum()) {
            Assumption::AtMostDishonest(faults) if handovers > 0 => Assumption::AtMostDishonestInEach(faults),
            other => other,
        };
        (rule, assumption)
    }

    fn check_seals(&mut self, seals: &SealCertificate, handovers: usize) -> Result<(), CertificateError> {
        if self.sealed.contains(seals) {
            return Ok(());
        }
        let set = self.reached(handovers).set;
        seals.verify(set, &Ed25519, set.quorum().one_correct())?;
        if self.sealed.len() >= Self::SEALED_MAX {
            self.sealed.pop_front();
        }
        self.sealed.push_back(seals.clone());
        Ok(())
    }
}

impl ResultProof {
    /// What is proved if the seals hold.
    fn outcome(&self, reached: &Reached<'_>) -> Result<Verdict, ReceiptError> {
        sealed_header(&self.header, &self.seals, reached)?;
        let leaf = outcome_leaf(&self.transaction, &self.envelope, &self.result.0);
        leads_to_outcomes(&leaf, &self.path, &self.header)?;
        Ok(outcome_verdict(self.transaction, &self.header, &self.result, Rule::Seal, reached))
    }
}

impl TentativeProof {
    /// The certificate's body names one view, slot and header: TREPLYs of two views have no common certificate.
    fn verify(&self, reached: &Reached<'_>) -> Result<Verdict, ReceiptError> {
        of_this_chain(&self.header, reached)?;
        if self.replies.body.header != self.header.hash() || self.replies.body.slot != self.header.slot {
            return Err(ReceiptError::Broken("the TREPLYs are on another header"));
        }
        let leaf = outcome_leaf(&self.transaction, &self.envelope, &self.result.0);
        leads_to_outcomes(&leaf, &self.path, &self.header)?;
        self.replies.verify(reached.set, &Ed25519, 1)?;
        let agreed = self.replies.signers.len() >= reached.set.quorum().quorum();
        let rule = if agreed { Rule::QuorumReplies } else { Rule::Reply };
        Ok(outcome_verdict(self.transaction, &self.header, &self.result, rule, reached))
    }
}

fn leads_to_outcomes(leaf: &Digest, path: &Path, header: &Header) -> Result<(), ReceiptError> {
    if path.root(leaf) == header.outcomes_root {
        Ok(())
    } else {
        Err(ReceiptError::Broken("the outcome does not lead to the header's outcomes root"))
    }
}

fn outcome_verdict(
    transaction: Digest,
    header: &Header,
    result: &ResultBytes,
    rule: Rule,
    reached: &Reached<'_>,
) -> Verdict {
    Verdict {
        transaction,
        slot: header.slot,
        ledger: Some(header.ledger),
        time_ms: Some(header.time_ms),
        result: Some(result.0.clone()),
        rule,
        assumption: Assumption::behind(rule, reached.set.quorum()),
    }
}

/// Whether the seals, if they hold, are those of this header of this chain.
fn sealed_header(
    header: &Header,
    seals: &SealCertificate,
    reached: &Reached<'_>,
) -> Result<(), ReceiptError> {
    of_this_chain(header, reached)?;
    if seals.body.header != header.hash() || seals.body.slot != header.slot {
        return Err(ReceiptError::Broken("the seals are on another header"));
    }
    Ok(())
}

/// Whether a header is one of this chain, and of the epoch that was reached.
fn of_this_chain(header: &Header, reached: &Reached<'_>) -> Result<(), ReceiptError> {
    let domain = reached.set.domain();
    if header.chain_id != domain.chain_id {
        return Err(ReceiptError::Chain { seen: header.chain_id, expected: domain.chain_id });
    }
    if header.epoch != domain.epoch {
        return Err(ReceiptError::Broken("the header is of an epoch to which the receipt has no handover"));
    }
    reached.holds(header.slot)
}

impl Reached<'_> {
    /// Whether the slot can be one of this epoch. The handovers do not say where it ends.
    fn holds(&self, slot: Slot) -> Result<(), ReceiptError> {
        let below = ReceiptError::Broken("the slot is one of an epoch that the receipt says is over");
        // Slot 0 is decided by nobody, but its header is that of the genesis file and can be sealed.
        if slot > self.after || self.after == Slot(0) { Ok(()) } else { Err(below) }
    }
}

impl OrderProof {
    fn verify(&self, network_id: &Digest, reached: &Reached<'_>) -> Result<Verdict, ReceiptError> {
        let (set, quorum) = (reached.set, reached.set.quorum());
        let (ballot, rule): (Ballot, Rule) = match &self.votes {
            OrderVotes::Committed(certificate) => {
                certificate.verify(set, &Ed25519, quorum.quorum())?;
                (certificate.body.0, Rule::Commit)
            }
            OrderVotes::Prepared(certificate) => {
                certificate.verify(set, &Ed25519, quorum.quorum())?;
                let all = certificate.signers.len() == quorum.n();
                (certificate.body.0, if all { Rule::Unanimous } else { Rule::Fast })
            }
        };
        reached.holds(ballot.slot)?;
        if self.batch.digest() != ballot.digest {
            return Err(ReceiptError::Broken("the votes are for another batch"));
        }
        let body = usize::try_from(self.body).ok().and_then(|body| self.batch.bodies.get(body));
        if body != Some(&self.path.root(&self.envelope.leaf())) {
            return Err(ReceiptError::Broken("the transaction does not lead to a body of the batch"));
        }
        let envelope = decode_envelope(&self.envelope.0)?;
        Ok(Verdict {
            transaction: transaction_hash(network_id, &envelope),
            slot: ballot.slot,
            ledger: None,
            time_ms: None,
            result: None,
            rule,
            assumption: Assumption::behind(rule, quorum),
        })
    }
}

/// Leaf of an outcome in the outcomes tree: `M("outcome", transaction hash | envelope hash | TransactionResult XDR)`. The
/// envelope hash covers the signatures: the holder of a neighbour's receipt sees this leaf, and could else confirm a guess.
pub fn outcome_leaf(transaction: &Digest, envelope: &Digest, result_xdr: &[u8]) -> Digest {
    m("outcome", &[&transaction.0, &envelope.0, result_xdr])
}

/// Leaf of a dropped transaction in the drops tree: `M("drop", u32 position in the batch | u32 reason)`.
pub fn drop_leaf(position: u32, reason: u32) -> Digest {
    m("drop", &[&position.to_be_bytes(), &reason.to_be_bytes()])
}

impl ResultBytes {
    /// 100 operations of the largest result kind stay below.
    pub const BYTES_MAX: u32 = 1 << 20;
}

impl fmt::Debug for ResultBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Fast => "FAST",
            Rule::Unanimous => "UNANIMOUS",
            Rule::Commit => "COMMIT",
            Rule::Seal => "SEAL",
            Rule::QuorumReplies => "QUORUM-TREPLY",
            Rule::Reply => "TREPLY",
        })
    }
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Assumption::CrashOnly => f.write_str("holds if validators are crash-only"),
            Assumption::OneWord => {
                f.write_str("one validator's word, not final: holds if validators are crash-only")
            }
            Assumption::AtMostDishonest(faults) => {
                write!(
                    f,
                    "holds if at most {faults} of this epoch's validators are, or ever become, dishonest"
                )
            }
            Assumption::AtMostDishonestInEach(faults) => {
                write!(
                    f,
                    "holds if at most {faults} of this epoch's validators, and of each epoch's before it less than a third, \
                     are, or ever become, dishonest"
                )
            }
        }
    }
}

impl Encode for ResultBytes {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.0.len(), out);
        out.extend_from_slice(&self.0);
    }
}

impl Decode for ResultBytes {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = input.count("result bytes", ResultBytes::BYTES_MAX)?;
        Ok(ResultBytes(input.take(length)?.to_vec()))
    }
}

impl Encode for Receipt {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_handovers(&self.handovers, [Self::VERSION, Self::VERSION_OF_LATER_EPOCHS], out);
        self.proof.encode(out);
    }
}

impl Decode for Receipt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let versions = [Self::VERSION, Self::VERSION_OF_LATER_EPOCHS];
        let handovers = decode_handovers("version of a receipt", versions, input)?;
        Ok(Receipt { handovers, proof: Decode::decode(input)? })
    }
}

/// Writes the version, which says whether there are handovers, and those.
pub(crate) fn encode_handovers(handovers: &[Handover], versions: [u8; 2], out: &mut Vec<u8>) {
    let [without, with] = versions;
    if handovers.is_empty() {
        out.push(without);
    } else {
        out.push(with);
        handovers.encode(out);
    }
}

/// Reads what [`encode_handovers`] wrote.
pub(crate) fn decode_handovers(
    what: &'static str,
    versions: [u8; 2],
    input: &mut Reader<'_>,
) -> Result<Vec<Handover>, DecodeError> {
    let [without, with] = versions;
    let version = u8::decode(input)?;
    if version == without {
        return Ok(Vec::new());
    }
    if version != with {
        return Err(DecodeError::Tag { what, value: version });
    }
    let handovers: Vec<Handover> = Decode::decode(input)?;
    if handovers.is_empty() {
        return Err(DecodeError::Invalid("a receipt of this version has a handover"));
    }
    Ok(handovers)
}

codec_enum!(Proof { 1 => Order, 2 => Result, 3 => Tentative });
codec_struct!(OrderProof { envelope, path, batch, body, votes });
codec_enum!(OrderVotes { 1 => Prepared, 2 => Committed });
codec_struct!(ResultProof { transaction, envelope, result, path, header, seals });
codec_struct!(TentativeProof { transaction, envelope, result, path, header, replies });
