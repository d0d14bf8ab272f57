//! Whose the signatures of a transaction were found to be. A transaction is checked when it is let in, when a block is trimmed
//! and when it is applied, for itself and for each of its operations; its signatures are the same each time.

use std::sync::OnceLock;

use crate::signature::PublicKey;

/// For each signature of a list the key whose signature it is, once [`crate::signature::verify`] or a batch has said so.
/// Shared with the transaction. It says nothing of a signature of which nothing was found, and a transaction is the same whatever is known
/// of it.
#[derive(Clone, Debug)]
pub struct Signers(Box<[OnceLock<PublicKey>]>);

impl Signers {
    /// Nothing is known of so many signatures.
    pub fn unknown(signatures: usize) -> Self {
        Signers((0..signatures).map(|_| OnceLock::new()).collect())
    }

    /// Whether the signature at `place` is known to be of `key`.
    pub fn is_known(&self, place: usize, key: &PublicKey) -> bool {
        self.0.get(place).and_then(OnceLock::get) == Some(key)
    }

    /// The signature at `place` was found to be a valid one of `key`. Where two keys fit one signature the first is kept.
    pub fn found(&self, place: usize, key: PublicKey) {
        if let Some(signer) = self.0.get(place) {
            // Another thread has found out as much.
            let _ = signer.set(key);
        }
    }
}

impl PartialEq for Signers {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Signers {}
