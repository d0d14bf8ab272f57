//! Who signs for a replica. The core decides what is signed; where the keys live is the world's affair.

use carat_types::message::SignerRole;
use carat_types::{SecretKey, Signature};

/// Signs with one of a validator's keys.
///
/// Signing must be deterministic: a message that is sent again after a restart must be the same bytes.
pub trait Signer {
    /// The signature of `role`'s key on `bytes`; none if the key is not in this process. Then the replica asks for it by
    /// [`crate::Effect::Sign`] and goes on, and says what it wanted to say when [`crate::Input::Signed`] answers.
    fn sign(&self, role: SignerRole, bytes: &[u8]) -> Option<Signature>;
}

/// A signer whose keys are in this process.
#[derive(Clone, Debug)]
pub struct KeySigner {
    /// Signs votes.
    pub acceptor: SecretKey,
    /// Signs PRE-PREPARE and NEW-VIEW; never a vote (I11).
    pub proposer: SecretKey,
}

impl Signer for KeySigner {
    fn sign(&self, role: SignerRole, bytes: &[u8]) -> Option<Signature> {
        Some(match role {
            SignerRole::Acceptor => self.acceptor.sign(bytes),
            SignerRole::Proposer => self.proposer.sign(bytes),
        })
    }
}

/// A signer whose keys are in another process.
#[derive(Clone, Copy, Debug)]
pub struct ElsewhereSigner;

impl Signer for ElsewhereSigner {
    fn sign(&self, _role: SignerRole, _bytes: &[u8]) -> Option<Signature> {
        None
    }
}
