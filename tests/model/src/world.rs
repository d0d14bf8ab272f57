//! What everybody knows: four validators with keys, the two values that are proposed, and how messages are signed.

use std::sync::Arc;

use carat_consensus::{ChainTip, Config, FetchStates, Now, Signer, VerifiedMessage};
use carat_types::batch::{Batch, Payload, Value as BatchValue, WellFormed};
use carat_types::certificate::{Certificate, PreparedCertificate};
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::hash::h;
use carat_types::header::{Header, prefix_digest};
use carat_types::message::{
    Ballot, Commit, Justification, LastVote, NewView, PrePrepare, Prepare, ProposalSignature, Signed,
    SignedBody, SignerRole, SlotReport, Status, ViewChange,
};
use carat_types::validators::{Authenticator, ValidatorKeys, ValidatorSet, Verified};
use carat_types::{Digest, Epoch, LeafRule, PublicKey, Signature, Slot, ValidatorId, View};

/// How many validators there are.
pub const N: u8 = 4;
/// q: votes in a certificate, VIEW-CHANGEs in a NEW-VIEW.
pub const QUORUM: usize = 3;
/// The Byzantine acceptor where there is one. Which one it is makes no difference: every proposer lies anyhow.
pub const LIAR: u8 = 3;
/// The slot that is decided.
pub const SLOT: Slot = Slot(1);
/// More views than this are never explored.
pub const VIEWS_MAX: usize = 4;

/// A value that may be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// One.
    A,
    /// Another.
    B,
}

impl Value {
    /// Both.
    pub const ALL: [Value; 2] = [Value::A, Value::B];

    fn payload(self) -> Arc<Payload> {
        let batch = Batch { time_ms: 1 + self as u64, bodies: Vec::new() };
        Arc::new(Payload { value: BatchValue::Batch(batch), bodies: Vec::new() })
    }

    /// What is voted for.
    pub fn digest(self) -> Digest {
        self.payload().value.digest()
    }
}

/// Values, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Values(u8);

impl Values {
    /// Adds one.
    #[must_use]
    pub fn with(self, value: Value) -> Self {
        Values(self.0 | 1 << value as u8)
    }

    /// Whether it is in the set.
    pub fn contains(self, value: Value) -> bool {
        self.0 & 1 << value as u8 != 0
    }

    /// How many there are.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of them are in the other set too.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// A keyed hash in place of a signature: nobody in the model can guess, and it is fast. The "secret" is the public key.
#[derive(Clone, Copy, Debug)]
pub struct HashAuthenticator;

impl Authenticator for HashAuthenticator {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        signature_by(key, message) == *signature
    }
}

fn signature_by(key: &PublicKey, message: &[u8]) -> Signature {
    let digest = h("model signature", &[&key.0, message]);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&digest.0);
    Signature(signature)
}

/// A validator's acceptor key. Its proposer is not in this process, and never answers: every proposer is the model's.
struct AcceptorOnly(PublicKey);

impl Signer for AcceptorOnly {
    fn sign(&self, role: SignerRole, bytes: &[u8]) -> Option<Signature> {
        (role == SignerRole::Acceptor).then(|| signature_by(&self.0, bytes))
    }
}

/// What everybody knows.
#[derive(Debug)]
pub struct World {
    set: ValidatorSet,
    trust: Trust,
    genesis: Header,
}

impl World {
    /// Four validators.
    ///
    /// **Panics** never: four validators are a possible set.
    pub fn new(trust: Trust) -> Self {
        let chain_id = h("genesis", &[b"model"]);
        let keys = (0..N).map(|id| {
            let key = |role: &[u8]| PublicKey(h("model key", &[role, &[id]]).0);
            ValidatorKeys { acceptor: key(b"acceptor"), proposer: key(b"proposer") }
        });
        let set = ValidatorSet::new(chain_id, Epoch(0), keys.collect()).expect("four validators");
        World { set, trust, genesis: Header::genesis(chain_id, 0, Digest::ZERO) }
    }

    /// Which faults acceptors have.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// The acceptors that keep to the protocol.
    pub fn correct(&self) -> std::ops::Range<u8> {
        match self.trust {
            Trust::Bft => 0..LIAR,
            Trust::Crash => 0..N,
        }
    }

    /// How many acceptors sign whatever is wanted.
    pub fn liars(&self) -> usize {
        usize::from(N) - self.correct().len()
    }

    /// How a replica of validator `me` begins.
    ///
    /// **Panics** never: `me` is one of the four.
    pub fn config(&self, me: u8) -> (Config, ChainTip) {
        let key = self.set.key(id(me), SignerRole::Acceptor).expect("one of the four");
        let config = Config {
            me: id(me),
            validators: self.set.clone(),
            params: ConsensusConstants::default(),
            trust: self.trust,
            signer: Box::new(AcceptorOnly(*key)),
            authenticator: Arc::new(HashAuthenticator),
            genesis_header: self.genesis.clone(),
            base: None,
            fetches_states: FetchStates::Never,
            leaves: LeafRule::Open,
        };
        (config, ChainTip { header: self.genesis.clone(), recent: Vec::new(), transfer: None })
    }

    /// Signs as anybody.
    pub fn sign<B: SignedBody>(&self, signer: ValidatorId, body: B) -> Signed<B> {
        let key = self.set.key(signer, B::SIGNER).expect("one of the four");
        let signature = signature_by(key, &self.set.domain().signing_bytes(&body));
        Signed { signer, body, signature }
    }

    /// The body of a vote.
    pub fn ballot(&self, view: u8, value: Value) -> Ballot {
        let digest = value.digest();
        let prefix = prefix_digest(&self.genesis.prefix, SLOT, &digest);
        Ballot { view: View(view.into()), slot: SLOT, digest, prefix }
    }

    /// View and value of a vote's body, if it is one of the model's.
    pub fn read(&self, ballot: &Ballot) -> Option<(u8, Value)> {
        let view = u8::try_from(ballot.view.0).ok()?;
        let value = self.value(&ballot.digest)?;
        (self.ballot(view, value) == *ballot).then_some((view, value))
    }

    /// The value of this digest.
    pub fn value(&self, digest: &Digest) -> Option<Value> {
        Value::ALL.into_iter().find(|value| value.digest() == *digest)
    }

    fn leader(&self, view: u8) -> ValidatorId {
        self.set.leader(View(view.into()))
    }

    /// PRE-PREPARE of the view's leader.
    pub fn proposal(&self, view: u8, value: Value) -> VerifiedMessage {
        VerifiedMessage::Proposal {
            signed: Verified::own(self.pre_prepare(view, value)),
            payload: value.into(),
        }
    }

    fn pre_prepare(&self, view: u8, value: Value) -> Signed<PrePrepare> {
        let parent = self.genesis.prefix;
        let body = PrePrepare { view: View(view.into()), slot: SLOT, parent, digest: value.digest() };
        self.sign(self.leader(view), body)
    }

    /// PREPARE of an acceptor. It shows the leader's signature on a PRE-PREPARE: the leader signs for whoever asks.
    pub fn prepare(&self, by: u8, view: u8, value: Value) -> VerifiedMessage {
        let vote = Verified::own(self.sign(id(by), Prepare(self.ballot(view, value))));
        let Signed { body, signature, .. } = self.pre_prepare(view, value);
        let justification = Justification::Proposal(ProposalSignature { parent: body.parent, signature });
        VerifiedMessage::Prepare { vote, justification }
    }

    /// COMMIT of an acceptor.
    pub fn commit(&self, by: u8, view: u8, value: Value) -> VerifiedMessage {
        VerifiedMessage::Commit(Verified::own(self.sign(id(by), Commit(self.ballot(view, value)))))
    }

    /// The PREPAREs of `signers`, together.
    pub fn certificate(&self, view: u8, value: Value, signers: &[u8]) -> PreparedCertificate {
        let body = Prepare(self.ballot(view, value));
        Certificate::assemble(body, signers.iter().map(|by| (id(*by), self.sign(id(*by), body).signature)))
    }

    /// VIEW-CHANGE of an acceptor that reports this of the slot.
    pub fn view_change(
        &self,
        by: u8,
        view: u8,
        vote: Option<(u8, Value)>,
        prepared: Option<PreparedCertificate>,
    ) -> Signed<ViewChange> {
        let last_vote =
            vote.map(|(view, value)| LastVote { view: View(view.into()), digest: value.digest() });
        let reports = if last_vote.is_some() || prepared.is_some() {
            vec![SlotReport { slot: SLOT, last_vote, prepared }]
        } else {
            Vec::new()
        };
        self.sign(id(by), ViewChange { view: View(view.into()), stable: None, reports })
    }

    /// STATUS of an acceptor that has nothing to tell.
    pub fn status(&self) -> Status {
        let none = self.genesis.slot;
        Status {
            view: View(0),
            active: true,
            stable: none,
            last_final: none,
            last_executed: none,
            highest_vote: none,
            highest_commit: none,
        }
    }

    /// NEW-VIEW of the view's leader.
    pub fn new_view(&self, view: u8, view_changes: Vec<Arc<Signed<ViewChange>>>) -> VerifiedMessage {
        let body = NewView { view: View(view.into()), view_changes };
        VerifiedMessage::NewView(Arc::new(Verified::own(self.sign(self.leader(view), body))))
    }
}

impl From<Value> for WellFormed {
    fn from(value: Value) -> Self {
        WellFormed::trusted(value.payload())
    }
}

/// The name of a validator.
pub fn id(index: u8) -> ValidatorId {
    ValidatorId(index.into())
}

/// A moment in a view: later views are later, and between two moments every timer runs out.
pub fn moment(view: u8, part: u64) -> Now {
    const HOUR_US: u64 = 3_600_000_000;
    Now { monotonic_us: HOUR_US * (4 * u64::from(view) + part + 1), wall_ms: 1_700_000_000_000 }
}
