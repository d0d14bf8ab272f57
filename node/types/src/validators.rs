//! The validators of an epoch, and who checks their signatures.

use crate::hash::Digest;
use crate::ids::{Epoch, SignerSet, ValidatorId, View};
use crate::message::{Domain, Signed, SignedBody, SignerRole};
use crate::quorum::{ImpossibleSize, Quorum};
use crate::signature::{self, Claim, PublicKey, Signature};

/// Decides whether a signature is valid. The product has one implementation, [`Ed25519`]; simulations of many
/// million messages use a cheaper one of the same interface.
pub trait Authenticator: Send + Sync {
    /// Whether `signature` is `key`'s on `message`.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool;
}

/// The signature predicate of the chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

impl Authenticator for Ed25519 {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        signature::verify(Claim { key, message, signature })
    }
}

/// The public keys of one validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatorKeys {
    /// Votes.
    pub acceptor: PublicKey,
    /// Orders.
    pub proposer: PublicKey,
}

/// The validators of one epoch of one chain, and the proposers that order for them.
///
/// *Processes* are numbered through: 0..n are the validators, and n..n+n_p, in the edge deployment alone, the proposers
/// that are processes of their own. A *place* is a number within a role: acceptor i, proposer p. Co-located they are the
/// same number; everything that must tell them apart asks [`ValidatorSet::place`] and [`ValidatorSet::process_of`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet {
    domain: Domain,
    quorum: Quorum,
    validators: Vec<ValidatorKeys>,
    /// Keys of the proposers of the edge deployment; none while each validator runs one.
    edge: Option<Vec<PublicKey>>,
}

impl ValidatorSet {
    /// The set of `epoch` on chain `chain_id`, in the order of the genesis file.
    ///
    /// **Errors**: [`ImpossibleSize`].
    pub fn new(
        chain_id: Digest,
        epoch: Epoch,
        validators: Vec<ValidatorKeys>,
    ) -> Result<Self, ImpossibleSize> {
        let quorum = Quorum::of(validators.len())?;
        Ok(ValidatorSet { domain: Domain { chain_id, epoch }, quorum, validators, edge: None })
    }

    /// The same validators with proposers that are processes of their own (edge deployment): these keys order, in this
    /// order, and the validators' proposer keys do not.
    ///
    /// **Errors**: [`ImpossibleSize`]; a set of signers names validators and proposers alike.
    pub fn with_edge_proposers(mut self, proposers: Vec<PublicKey>) -> Result<Self, ImpossibleSize> {
        let (n, edge) = (self.validators.len(), proposers.len());
        if edge == 0 || n.saturating_add(edge) > usize::from(SignerSet::CAPACITY) {
            return Err(ImpossibleSize::Proposers { proposers: edge, n });
        }
        self.edge = Some(proposers);
        Ok(self)
    }

    /// The chain and epoch that signatures of this set name.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The thresholds of this set.
    pub fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// All members, in order.
    pub fn ids(&self) -> impl Iterator<Item = ValidatorId> + use<> {
        (0..u16::try_from(self.validators.len()).unwrap_or(u16::MAX)).map(ValidatorId)
    }

    /// All processes that speak to each other, in order: the validators, then the edge proposers.
    pub fn processes(&self) -> impl Iterator<Item = ValidatorId> + use<> {
        let edge = self.edge.as_ref().map_or(0, Vec::len);
        let all = self.validators.len().saturating_add(edge);
        (0..u16::try_from(all).unwrap_or(u16::MAX)).map(ValidatorId)
    }

    /// n_p: how many proposers take turns.
    pub fn proposers(&self) -> usize {
        self.edge.as_ref().map_or(self.validators.len(), Vec::len)
    }

    /// r: so many consecutive views are sure to hold a correct proposer. f+1 of those that stand beside an acceptor; of
    /// edge proposers all but one may lie.
    pub fn rotation_of_one_correct(&self) -> usize {
        self.edge.as_ref().map_or(self.quorum.one_correct(), Vec::len)
    }

    /// The place of a process in `role`; none if it has no key for it: an acceptor of an edge network orders nothing, an
    /// edge proposer has no vote.
    pub fn place(&self, process: ValidatorId, role: SignerRole) -> Option<ValidatorId> {
        let n = u16::try_from(self.validators.len()).unwrap_or(u16::MAX);
        match (role, &self.edge) {
            (SignerRole::Proposer, Some(edge)) => {
                let place = ValidatorId(process.0.checked_sub(n)?);
                (place.index() < edge.len()).then_some(place)
            }
            _ => (process.0 < n).then_some(process),
        }
    }

    /// The process in which a proposer runs: whom to ask for what it proposed.
    pub fn process_of(&self, proposer: ValidatorId) -> ValidatorId {
        let n = u16::try_from(self.validators.len()).unwrap_or(u16::MAX);
        if self.edge.is_some() { proposer.plus(n) } else { proposer }
    }

    /// The key of place `id` in `role`; none for a stranger. The one place that says whose word counts as what (I11): every
    /// check of a signature asks here.
    pub fn key(&self, id: ValidatorId, role: SignerRole) -> Option<&PublicKey> {
        match (role, &self.edge) {
            (SignerRole::Acceptor, _) => self.validators.get(id.index()).map(|keys| &keys.acceptor),
            (SignerRole::Proposer, None) => self.validators.get(id.index()).map(|keys| &keys.proposer),
            (SignerRole::Proposer, Some(edge)) => edge.get(id.index()),
        }
    }

    /// The leader of `view`: proposer v mod n_p.
    pub fn leader(&self, view: View) -> ValidatorId {
        let proposers = u64::try_from(self.proposers()).unwrap_or(u64::MAX);
        let index = view.0.checked_rem(proposers).unwrap_or(0);
        ValidatorId(u16::try_from(index).unwrap_or(0))
    }

    /// Checks who signed.
    ///
    /// **Returns** the proof that it was checked; none if the signer is a stranger or the signature invalid.
    pub fn verify<B: SignedBody>(
        &self,
        authenticator: &dyn Authenticator,
        signed: Signed<B>,
    ) -> Option<Verified<B>> {
        let key = self.key(signed.signer, B::SIGNER)?;
        let message = self.domain.signing_bytes(&signed.body);
        authenticator.verify(key, &message, &signed.signature).then_some(Verified(signed))
    }
}

/// A signed body whose signature was checked against the set of its epoch, or was made by this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<B>(Signed<B>);

impl<B> Verified<B> {
    /// For signatures that this process made itself a moment ago.
    pub fn own(signed: Signed<B>) -> Self {
        Verified(signed)
    }

    /// The message as it travels.
    pub fn signed(&self) -> &Signed<B> {
        &self.0
    }

    /// Gives up the proof.
    pub fn into_signed(self) -> Signed<B> {
        self.0
    }
}

impl<B> std::ops::Deref for Verified<B> {
    type Target = Signed<B>;

    fn deref(&self) -> &Signed<B> {
        &self.0
    }
}

#[cfg(test)]
mod tests;
