//! What a replica says under its signature, from the decision to say it until it is signed and sent.
//!
//! The keys may be in another process. So saying something has two halves: `say`, when everything is decided and, if the
//! journal must remember it first, journaled; and `on_signed`, when the signature is there: at once, or an [`Input`] later. What has
//! been overtaken meanwhile is not sent. That breaks no promise: a vote that was journaled and never sent is the one that
//! a crash leaves behind, and the signatures that stay unsent here are those of a view that was left, of slots that are
//! behind a checkpoint, or of a slot that something final contradicts (I2, I7).
//!
//! [`Input`]: crate::Input

use std::sync::Arc;

use carat_types::batch::{Payload, Value};
use carat_types::message::{
    Announcement, Ballot, Commit, Domain, Justification, Message, NewView, PrePrepare, Prepare,
    PrepareMessage, Proposal, Seal, Signed, SignedBody, SignerRole, TentativeReply, ViewChange,
};
use carat_types::{Signature, Slot, View};

use crate::effect::Effect;
use crate::log::Counted;
use crate::record::Record;
use crate::replica::{Replica, invariant};

/// Something to be signed, with what is sent beside it.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// PRE-PREPARE, with the payload that it names.
    Proposal(PrePrepare, Arc<Payload>),
    /// PREPARE, with why it is legal.
    Prepare(Ballot, Justification),
    /// COMMIT.
    Commit(Ballot),
    /// VIEW-CHANGE.
    ViewChange(Box<ViewChange>),
    /// NEW-VIEW.
    NewView(Box<NewView>),
    /// SEAL.
    Seal(Seal),
    /// TREPLY.
    TentativeReply(TentativeReply),
}

impl Statement {
    /// Whose key signs it (I11).
    pub fn role(&self) -> SignerRole {
        match self {
            Statement::Proposal(..) => PrePrepare::SIGNER,
            Statement::Prepare(..) => Prepare::SIGNER,
            Statement::Commit(_) => Commit::SIGNER,
            Statement::ViewChange(_) => ViewChange::SIGNER,
            Statement::NewView(_) => NewView::SIGNER,
            Statement::Seal(_) => Seal::SIGNER,
            Statement::TentativeReply(_) => TentativeReply::SIGNER,
        }
    }

    /// The bytes that are signed.
    pub fn signing_bytes(&self, domain: &Domain) -> Vec<u8> {
        match self {
            Statement::Proposal(body, _) => domain.signing_bytes(body),
            Statement::Prepare(ballot, _) => domain.signing_bytes(&Prepare(*ballot)),
            Statement::Commit(ballot) => domain.signing_bytes(&Commit(*ballot)),
            Statement::ViewChange(body) => domain.signing_bytes(body.as_ref()),
            Statement::NewView(body) => domain.signing_bytes(body.as_ref()),
            Statement::Seal(body) => domain.signing_bytes(body),
            Statement::TentativeReply(body) => domain.signing_bytes(body),
        }
    }

    /// The view in which it is said; a SEAL belongs to none.
    pub fn view(&self) -> Option<View> {
        match self {
            Statement::Proposal(body, _) => Some(body.view),
            Statement::Prepare(ballot, _) | Statement::Commit(ballot) => Some(ballot.view),
            Statement::ViewChange(body) => Some(body.view),
            Statement::NewView(body) => Some(body.view),
            Statement::TentativeReply(body) => Some(body.view),
            Statement::Seal(_) => None,
        }
    }

    /// The slot of which it speaks; VIEW-CHANGE and NEW-VIEW speak of none.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Statement::Proposal(body, _) => Some(body.slot),
            Statement::Prepare(ballot, _) | Statement::Commit(ballot) => Some(ballot.slot),
            Statement::Seal(body) => Some(body.slot),
            Statement::TentativeReply(body) => Some(body.slot),
            Statement::ViewChange(_) | Statement::NewView(_) => None,
        }
    }
}

/// What was said of which there may be only one, and whose signature may still be on its way.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The last PRE-PREPARE: another one for its slot would be evidence against its leader (E1).
    pub(crate) proposal: Option<(View, Slot)>,
    /// The view of the last VIEW-CHANGE.
    pub(crate) view_change: Option<View>,
    /// The view of the last NEW-VIEW: another one would be evidence against its leader (E1).
    pub(crate) new_view: Option<View>,
}

impl Replica {
    /// Says something: signs and sends it, or asks for the signature. Nothing is signed before the start-up guard has passed,
    /// and nothing in a role in which this process has no place (I11).
    pub(crate) fn say(&mut self, statement: Statement) {
        if self.place(statement.role()).is_none() {
            return;
        }
        invariant!("guard", self.guard.is_none(), "nothing is signed before the start-up guard has passed");
        let bytes = statement.signing_bytes(self.config.validators.domain());
        match self.config.signer.sign(statement.role(), &bytes) {
            Some(signature) => self.on_signed(statement, signature),
            None => self.emit(Effect::Sign(statement)),
        }
    }

    /// A signature that was asked for is here; the world has checked it.
    pub(crate) fn on_signature(&mut self, statement: Statement, signature: Signature) {
        let (slot, is_view_change) = (statement.slot(), matches!(statement, Statement::ViewChange(_)));
        let is_seal = matches!(statement, Statement::Seal(_));
        self.on_signed(statement, signature);
        if is_view_change {
            self.after_view_changes();
        }
        if let Some(slot) = slot.filter(|_| is_seal) {
            self.after_seal(slot);
        }
    }

    fn on_signed(&mut self, statement: Statement, signature: Signature) {
        match statement {
            Statement::Proposal(body, payload) => {
                self.on_signed_proposal(self.signed(body, signature), payload)
            }
            Statement::Prepare(ballot, justification) => {
                self.on_signed_prepare(self.signed(Prepare(ballot), signature), justification);
            }
            Statement::Commit(ballot) => self.on_signed_commit(self.signed(Commit(ballot), signature)),
            Statement::ViewChange(body) => self.on_signed_view_change(self.signed(*body, signature)),
            Statement::NewView(body) => self.on_signed_new_view(self.signed(*body, signature)),
            Statement::Seal(body) => self.on_signed_seal(self.signed(body, signature)),
            Statement::TentativeReply(body) => self.on_signed_reply(self.signed(body, signature)),
        }
    }

    fn signed<B: SignedBody>(&self, body: B, signature: Signature) -> Signed<B> {
        // What is signed was said, and so has a place.
        let signer = self.place(B::SIGNER).unwrap_or(self.config.me);
        Signed { signer, body, signature }
    }

    /// Whether the own vote for `ballot` still stands: in the current view, above the checkpoint, and contradicted by nothing.
    fn stands(&self, ballot: &Ballot) -> bool {
        let vote = self.log.get(ballot.slot).and_then(|state| state.voted_in(self.position.view));
        ballot.slot > self.chain.stable
            && self.agrees_with_final(ballot.slot, &ballot.digest, &ballot.prefix)
            && vote.is_some_and(|vote| vote.ballot == *ballot)
    }

    fn on_signed_proposal(&mut self, signed: Signed<PrePrepare>, payload: Arc<Payload>) {
        let PrePrepare { view, slot, parent, .. } = signed.body;
        let stands = self.is_leading()
            && !self.position.blocked
            && view == self.position.view
            && slot == self.position.voted.next()
            && parent == self.position.voted_prefix;
        if !stands {
            return;
        }
        self.broadcast(match &payload.value {
            Value::Batch(batch) if self.was_spread(&payload) => {
                Message::Announcement(Announcement { signed: signed.clone(), batch: batch.clone() })
            }
            _ => Message::Proposal(Arc::new(Proposal { signed: signed.clone(), payload })),
        });
        // The own acceptor takes the same path as everyone else's: `advance_votes`.
        self.log.entry(slot).current.proposal = Some(signed);
    }

    fn on_signed_prepare(&mut self, signed: Signed<Prepare>, justification: Justification) {
        let Signed { signer, body: Prepare(ballot), signature } = signed;
        if !self.stands(&ballot) {
            return;
        }
        self.broadcast(Message::Prepare(PrepareMessage { signed, justification }));
        let counted = self.log.entry(ballot.slot).current.prepares.add(&ballot, signer, signature);
        if let Counted::Fresh(count) = counted {
            self.after_prepare(&ballot, count);
        }
    }

    fn on_signed_commit(&mut self, signed: Signed<Commit>) {
        let Signed { signer, body: Commit(ballot), signature } = signed;
        if !self.stands(&ballot) {
            return;
        }
        let counted = self.log.entry(ballot.slot).current.commits.add(&ballot, signer, signature);
        self.broadcast(Message::Commit(signed));
        if counted == Counted::Fresh(self.quorum.quorum()) {
            self.after_commit_quorum(&ballot);
        }
    }

    /// J5 before the VIEW-CHANGE: it is journaled with its signature, to be sent again as the very same bytes.
    fn on_signed_view_change(&mut self, signed: Signed<ViewChange>) {
        if signed.body.view != self.position.view || self.position.active {
            return;
        }
        let signed = Arc::new(signed);
        self.emit(Effect::Persist(Record::ViewChange(Arc::clone(&signed))));
        self.own_view_change = Some(Arc::clone(&signed));
        self.broadcast(Message::ViewChange(signed));
    }

    fn on_signed_new_view(&mut self, signed: Signed<NewView>) {
        if signed.body.view != self.position.view || self.position.active {
            return;
        }
        let new_view = Arc::new(signed);
        self.broadcast(Message::NewView(Arc::clone(&new_view)));
        self.enter(new_view);
    }
}
