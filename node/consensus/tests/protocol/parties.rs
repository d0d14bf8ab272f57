//! Who takes part in the tests: validators and proposers whose signatures are hashes, their genesis and their constants.

use carat_consensus::Signer;
use carat_types::genesis::{ConsensusConstants, LeaderBounds};
use carat_types::hash::h;
use carat_types::header::Header;
use carat_types::message::SignerRole;
use carat_types::validators::{Authenticator, ValidatorKeys, ValidatorSet};
use carat_types::{Digest, Epoch, PublicKey, Signature};

/// A keyed hash in place of a signature: the "secret" is the public key. Sound enough where nobody cheats but the
/// test itself.
pub(crate) struct HashAuthenticator;

impl Authenticator for HashAuthenticator {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        hash_signature(key, message) == *signature
    }
}

fn hash_signature(key: &PublicKey, message: &[u8]) -> Signature {
    let digest = h("test signature", &[&key.0, message]);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&digest.0);
    Signature(signature)
}

#[derive(Clone)]
pub(crate) struct HashSigner(pub(crate) ValidatorKeys);

impl Signer for HashSigner {
    fn sign(&self, role: SignerRole, bytes: &[u8]) -> Option<Signature> {
        Some(self.signature(role, bytes))
    }
}

impl HashSigner {
    pub(crate) fn signature(&self, role: SignerRole, bytes: &[u8]) -> Signature {
        match role {
            SignerRole::Acceptor => hash_signature(&self.0.acceptor, bytes),
            SignerRole::Proposer => hash_signature(&self.0.proposer, bytes),
        }
    }
}

pub(crate) fn keys_of(index: usize) -> ValidatorKeys {
    let key = |role: &[u8]| PublicKey(h("test key", &[role, &(index as u64).to_be_bytes()]).0);
    ValidatorKeys { acceptor: key(b"acceptor"), proposer: key(b"proposer") }
}

pub(crate) fn validators(n: usize) -> ValidatorSet {
    ValidatorSet::new(chain_id(), Epoch(0), (0..n).map(keys_of).collect()).expect("a possible size")
}

/// The same with proposers that are processes of their own, behind the validators.
pub(crate) fn edge(n: usize, proposers: usize) -> ValidatorSet {
    let keys = (n..n + proposers).map(|index| keys_of(index).proposer);
    validators(n).with_edge_proposers(keys.collect()).expect("a few proposers")
}

pub(crate) fn chain_id() -> Digest {
    h("genesis", &[b"test"])
}

pub(crate) fn genesis_header() -> Header {
    Header::genesis(chain_id(), 0, Digest::ZERO)
}

/// Small windows, so that tests reach checkpoints and terms soon.
pub(crate) fn params() -> ConsensusConstants {
    // G is no shorter than T0, so that a dead leader is left by T1.
    let leader = LeaderBounds { pause_ms: 1_000, ..LeaderBounds::default() };
    ConsensusConstants {
        window: 16,
        checkpoint_interval: 8,
        term: 1_000,
        leader,
        ..ConsensusConstants::default()
    }
}
