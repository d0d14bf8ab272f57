//! Signatures for many million messages: a keyed hash that is cheap, or the product's Ed25519 in some seeds.
//!
//! With the mock, a validator's secret and public key are the same bytes. What keeps the simulation honest is
//! that an adversary is only ever handed the keys of the validators that it controls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use carat_consensus::Signer;
use carat_types::message::{Signed, SignedBody, SignerRole};
use carat_types::validators::{Authenticator, Ed25519, ValidatorKeys, ValidatorSet};
use carat_types::{Digest, Epoch, PublicKey, SecretKey, Signature, ValidatorId};

use crate::mix::{mix, mix_bytes};

/// The keys of one validator, as it holds them.
#[derive(Clone, Debug)]
pub struct Keys {
    scheme: Scheme,
    acceptor: Secret,
    proposer: Secret,
}

/// How signatures are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A keyed 64-bit hash.
    Mock,
    /// As in the product.
    Ed25519,
}

#[derive(Clone, Debug)]
struct Secret {
    seed: [u8; 32],
    /// Only for [`Scheme::Ed25519`]: expanding a seed is slow.
    expanded: Option<SecretKey>,
}

impl Secret {
    fn new(scheme: Scheme, seed: [u8; 32]) -> Self {
        Secret { seed, expanded: (scheme == Scheme::Ed25519).then(|| SecretKey::from_seed(&seed)) }
    }

    fn public(&self) -> PublicKey {
        self.expanded.as_ref().map_or(PublicKey(self.seed), SecretKey::public)
    }

    fn sign(&self, message: &[u8]) -> Signature {
        match &self.expanded {
            Some(key) => key.sign(message),
            None => mock_signature(&self.seed, message),
        }
    }
}

impl Keys {
    /// The keys of validator `id` in the run of `seed`, made anew so many times.
    pub fn made(scheme: Scheme, seed: u64, id: ValidatorId, generation: u16) -> Self {
        let key = |role: u8| {
            let mut bytes = [role; 32];
            bytes[..8].copy_from_slice(&seed.to_be_bytes());
            bytes[8..10].copy_from_slice(&id.0.to_be_bytes());
            if generation > 0 {
                bytes[10..12].copy_from_slice(&generation.to_be_bytes());
            }
            Secret::new(scheme, bytes)
        };
        Keys { scheme, acceptor: key(1), proposer: key(2) }
    }

    /// The public halves.
    pub fn public(&self) -> ValidatorKeys {
        ValidatorKeys { acceptor: self.acceptor.public(), proposer: self.proposer.public() }
    }

    /// Signs a message's bytes in a role.
    pub fn sign_bytes(&self, role: SignerRole, message: &[u8]) -> Signature {
        match role {
            SignerRole::Acceptor => self.acceptor.sign(message),
            SignerRole::Proposer => self.proposer.sign(message),
        }
    }

    /// Signs a body as the machine `id`: in its place in the body's role or, without one, in its own number's, which nobody
    /// believes.
    pub fn sign<B: SignedBody>(&self, set: &ValidatorSet, id: ValidatorId, body: B) -> Signed<B> {
        let signer = set.place(id, B::SIGNER).unwrap_or(id);
        let signature = self.sign_bytes(B::SIGNER, &set.domain().signing_bytes(&body));
        Signed { signer, body, signature }
    }

    /// How this validator signs.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

impl Signer for Keys {
    fn sign(&self, role: SignerRole, bytes: &[u8]) -> Option<Signature> {
        Some(self.sign_bytes(role, bytes))
    }
}

/// The checker of [`Scheme::Mock`].
#[derive(Clone, Copy, Debug)]
pub struct MockAuthenticator;

impl Authenticator for MockAuthenticator {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        *signature == mock_signature(&key.0, message)
    }
}

/// The checker of [`Scheme::Ed25519`]. It remembers what was valid: validators and oracle check the same signatures, and all
/// would find the same.
#[derive(Debug, Default)]
struct RememberingEd25519(Mutex<BTreeSet<(u64, u64)>>);

impl Authenticator for RememberingEd25519 {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let hash = |start| mix_bytes(mix_bytes(mix_bytes(start, &key.0), message), &signature.0);
        let name = (hash(1), hash(2));
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&name) {
            return true;
        }
        let valid = Ed25519.verify(key, message, signature);
        if valid {
            known().insert(name);
        }
        valid
    }
}

/// The checker of `scheme`, for one run.
pub fn authenticator(scheme: Scheme) -> Arc<dyn Authenticator> {
    match scheme {
        Scheme::Mock => Arc::new(MockAuthenticator),
        Scheme::Ed25519 => Arc::new(RememberingEd25519::default()),
    }
}

/// The validators of the run of `seed`: their keys, and the set that everybody knows.
pub fn validators(scheme: Scheme, seed: u64, n: u16, chain_id: Digest) -> (Vec<Keys>, Arc<ValidatorSet>) {
    let keys: Vec<Keys> = (0..n).map(|id| Keys::made(scheme, seed, ValidatorId(id), 0)).collect();
    let public = keys.iter().map(Keys::public).collect();
    let set = ValidatorSet::new(chain_id, Epoch(0), public).expect("the plan gives possible sizes only");
    (keys, Arc::new(set))
}

fn mock_signature(key: &[u8; 32], message: &[u8]) -> Signature {
    let tag = mix_bytes(mix_bytes(0x5167, key), message);
    let mut bytes = [0; 64];
    for (index, chunk) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *chunk = mix(tag, index as u64).to_be_bytes();
    }
    Signature(bytes)
}
