//! The validators of an epoch, and who checks their signatures.

use crate::hash::Digest;
use crate::ids::{Epoch, ValidatorId, View};
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

/// The validators of one epoch of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet {
    domain: Domain,
    quorum: Quorum,
    validators: Vec<ValidatorKeys>,
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
        Ok(ValidatorSet { domain: Domain { chain_id, epoch }, quorum, validators })
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

    /// The key of `id` in `role`; none for a stranger.
    pub fn key(&self, id: ValidatorId, role: SignerRole) -> Option<&PublicKey> {
        self.validators.get(id.index()).map(|keys| match role {
            SignerRole::Acceptor => &keys.acceptor,
            SignerRole::Proposer => &keys.proposer,
        })
    }

    /// The leader of `view`: proposer v mod n_p, co-located.
    pub fn leader(&self, view: View) -> ValidatorId {
        let proposers = u64::try_from(self.validators.len()).unwrap_or(u64::MAX);
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
