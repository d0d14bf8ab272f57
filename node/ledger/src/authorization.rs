//! Which signatures count for whom: signers, weights, and the rule that no signature may be superfluous.
//!
//! **Source**: ledger specification 0.3 and A.4. Signers are asked in four groups: pre-authorized transactions,
//! hash preimages, Ed25519 keys, signed payloads. A signature counts for the first signer that it fits, and each
//! signer counts once.

use carat_types::hash::sha256;
use carat_types::signature::{self, Claim};
use carat_types::transaction::{SignedTransaction, Signers};
use carat_types::{Digest, PublicKey, Signature};
use stellar_xdr::{AccountEntry, DecoratedSignature, SignerKey, SignerKeyEd25519SignedPayload};

/// Most Ed25519 verifications that one envelope's signatures may cost; beyond, a signature counts as invalid.
const VERIFICATIONS_MAX: u32 = 1000;

/// Answers whether a signature is valid. A node answers from its memory of what it verified before; whatever it
/// does, the answer must be that of [`carat_types::signature::verify`].
pub trait SignatureOracle {
    /// Whether the claim is valid.
    fn is_valid(&self, claim: Claim<'_>) -> bool;
}

/// The oracle without memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

impl SignatureOracle for Ed25519 {
    fn is_valid(&self, claim: Claim<'_>) -> bool {
        signature::verify(claim)
    }
}

/// The signatures over one transaction hash while they are being spent on signers.
pub(crate) struct Signatures<'a> {
    oracle: &'a dyn SignatureOracle,
    hash: &'a Digest,
    signatures: &'a [DecoratedSignature],
    /// Whose they were found to be: the transaction asks, and each operation asks again.
    signers: &'a Signers,
    /// Which of them have counted for somebody.
    used: Vec<bool>,
    verifications: u32,
}

/// A signer and its weight.
struct Weighted<'k> {
    key: Key<'k>,
    weight: u32,
}

/// A [`SignerKey`] by reference; an account's own key has none to borrow.
#[derive(Clone, Copy)]
enum Key<'k> {
    PreAuthorized(&'k [u8; 32]),
    HashOf(&'k [u8; 32]),
    Ed25519(&'k [u8; 32]),
    Payload(&'k SignerKeyEd25519SignedPayload),
}

impl<'k> From<&'k SignerKey> for Key<'k> {
    fn from(key: &'k SignerKey) -> Self {
        match key {
            SignerKey::PreAuthTx(hash) => Key::PreAuthorized(&hash.0),
            SignerKey::HashX(hash) => Key::HashOf(&hash.0),
            SignerKey::Ed25519(key) => Key::Ed25519(&key.0),
            SignerKey::Ed25519SignedPayload(payload) => Key::Payload(payload),
        }
    }
}

impl<'a> Signatures<'a> {
    /// Those of the transaction that acts.
    pub(crate) fn of_inner(oracle: &'a dyn SignatureOracle, transaction: &'a SignedTransaction) -> Self {
        let (signatures, signers) = (transaction.signatures(), transaction.signers());
        Self::new(oracle, transaction.inner_hash(), signatures, signers)
    }

    pub(crate) fn new(
        oracle: &'a dyn SignatureOracle,
        hash: &'a Digest,
        signatures: &'a [DecoratedSignature],
        signers: &'a Signers,
    ) -> Self {
        Signatures {
            oracle,
            hash,
            signatures,
            signers,
            used: vec![false; signatures.len()],
            verifications: 0,
        }
    }

    /// Whether the signatures reach `needed` of the account's weights. Even a need of 0 takes one fitting signer.
    pub(crate) fn reach(&mut self, account: &AccountEntry, needed: u8) -> bool {
        let PublicKey(id) = PublicKey::from(&account.account_id);
        let [master_weight, ..] = account.thresholds.0;
        let mut signers = Vec::with_capacity(account.signers.len().saturating_add(1));
        if master_weight > 0 {
            signers.push(Weighted { key: Key::Ed25519(&id), weight: master_weight.into() });
        }
        signers.extend(
            account
                .signers
                .iter()
                .map(|signer| Weighted { key: Key::from(&signer.key), weight: signer.weight }),
        );
        self.spend(signers, needed.into())
    }

    /// Whether the key of an account that does not exist has signed.
    pub(crate) fn reach_without_account(&mut self, id: &PublicKey) -> bool {
        self.spend(vec![Weighted { key: Key::Ed25519(&id.0), weight: 1 }], 0)
    }

    /// Whether every one of the extra signers that a transaction names itself has signed.
    pub(crate) fn reach_all(&mut self, extra: &[SignerKey]) -> bool {
        let signers: Vec<_> = extra.iter().map(|key| Weighted { key: Key::from(key), weight: 1 }).collect();
        let needed = u32::try_from(extra.len()).unwrap_or(u32::MAX);
        extra.is_empty() || self.spend(signers, needed)
    }

    /// Whether every signature has counted for somebody.
    pub(crate) fn all_used(&self) -> bool {
        self.used.iter().all(|used| *used)
    }

    /// Ed25519 verifications so far, by the rule and not by what a memory saved.
    pub(crate) fn verifications(&self) -> u32 {
        self.verifications
    }

    fn spend(&mut self, mut signers: Vec<Weighted<'_>>, needed: u32) -> bool {
        let mut weight = 0_u32;
        for signer in &signers {
            if matches!(signer.key, Key::PreAuthorized(hash) if *hash == self.hash.0) {
                weight = weight.saturating_add(counted(signer.weight));
                if weight >= needed {
                    return true;
                }
            }
        }
        let groups: [fn(&Key<'_>) -> bool; 3] = [
            |key| matches!(key, Key::HashOf(_)),
            |key| matches!(key, Key::Ed25519(_)),
            |key| matches!(key, Key::Payload(_)),
        ];
        groups.into_iter().any(|group| self.spend_on_group(&mut signers, group, &mut weight, needed))
    }

    fn spend_on_group(
        &mut self,
        signers: &mut Vec<Weighted<'_>>,
        group: fn(&Key<'_>) -> bool,
        weight: &mut u32,
        needed: u32,
    ) -> bool {
        let signatures = self.signatures;
        for (index, signature) in signatures.iter().enumerate() {
            let fitting = signers
                .iter()
                .position(|signer| group(&signer.key) && self.fits(index, signature, signer.key));
            let Some(position) = fitting else { continue };
            if let Some(used) = self.used.get_mut(index) {
                *used = true;
            }
            *weight = weight.saturating_add(counted(signers.remove(position).weight));
            if *weight >= needed {
                return true;
            }
        }
        false
    }

    fn fits(&mut self, index: usize, decorated: &DecoratedSignature, key: Key<'_>) -> bool {
        let hint = decorated.hint.0;
        match key {
            Key::PreAuthorized(_) => false,
            Key::HashOf(hash) => hint == last_four(hash) && sha256(&[&decorated.signature.0]).0 == *hash,
            Key::Ed25519(key) => hint == last_four(key) && self.is_signed_by(index, key, decorated),
            Key::Payload(signer) => {
                hint == payload_hint(signer)
                    && self
                        .next_verification(decorated)
                        .is_some_and(|it| self.verify(&signer.ed25519.0, &signer.payload, &it))
            }
        }
    }

    /// Whether `key` has signed the transaction hash with the signature at `index`, which is `decorated`.
    fn is_signed_by(&mut self, index: usize, key: &[u8; 32], decorated: &DecoratedSignature) -> bool {
        let Some(signature) = self.next_verification(decorated) else { return false };
        if self.signers.is_known(index, &PublicKey(*key)) {
            return true;
        }
        let is_valid = self.verify(key, &self.hash.0, &signature);
        if is_valid {
            self.signers.found(index, PublicKey(*key));
        }
        is_valid
    }

    /// Counts a verification. None if the bytes are no signature, or there were too many.
    fn next_verification(&mut self, decorated: &DecoratedSignature) -> Option<Signature> {
        let signature = <[u8; 64]>::try_from(decorated.signature.0.as_slice()).ok()?;
        if self.verifications >= VERIFICATIONS_MAX {
            return None;
        }
        self.verifications = self.verifications.saturating_add(1);
        Some(Signature(signature))
    }

    fn verify(&self, key: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
        self.oracle.is_valid(Claim { key: &PublicKey(*key), message, signature })
    }
}

/// A weight beyond 255, which only old accounts can have, counts as 255.
fn counted(weight: u32) -> u32 {
    weight.min(u8::MAX.into())
}

fn last_four(bytes: &[u8; 32]) -> [u8; 4] {
    let [.., a, b, c, d] = *bytes;
    [a, b, c, d]
}

/// The key's last four bytes, each XORed with the payload's; a shorter payload is padded with zeros behind.
fn payload_hint(signer: &SignerKeyEd25519SignedPayload) -> [u8; 4] {
    let mut hint = last_four(&signer.ed25519.0);
    let payload: &[u8] = &signer.payload;
    let tail = payload.get(payload.len().saturating_sub(4)..).unwrap_or_default();
    hint.iter_mut().zip(tail).for_each(|(byte, with)| *byte ^= with);
    hint
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use stellar_xdr::{Signature as XdrSignature, SignatureHint};

    use super::*;

    /// Says yes to one key alone, and counts how often it is asked.
    struct Only {
        key: [u8; 32],
        asked: Cell<u32>,
    }

    impl SignatureOracle for Only {
        fn is_valid(&self, claim: Claim<'_>) -> bool {
            self.asked.set(self.asked.get().saturating_add(1));
            claim.key.0 == self.key
        }
    }

    #[test]
    fn signature_is_asked_for_once_for_each_key_and_counted_each_time() {
        // Two keys that one hint fits.
        let (signer, other) = ([7; 32], [[8; 28].as_slice(), &[7; 4]].concat());
        let other: [u8; 32] = other.try_into().expect("32 bytes");
        let oracle = Only { key: signer, asked: Cell::new(0) };
        let signature = XdrSignature(vec![1; 64].try_into().expect("fits"));
        let decorated = [DecoratedSignature { hint: SignatureHint([7; 4]), signature }];
        let hash = Digest([3; 32]);
        let signers = Signers::unknown(1);
        let mut signatures = Signatures::new(&oracle, &hash, &decorated, &signers);
        for _ in 0..3 {
            assert!(signatures.reach_without_account(&PublicKey(signer)));
        }
        assert_eq!((oracle.asked.get(), signatures.verifications()), (1, 3));
        for _ in 0..2 {
            assert!(!signatures.reach_without_account(&PublicKey(other)), "what is valid is so for its key");
        }
        assert_eq!((oracle.asked.get(), signatures.verifications()), (3, 5));
        // When the transaction is applied, what was found in the trim is known, and not spent.
        let mut signatures = Signatures::new(&oracle, &hash, &decorated, &signers);
        assert!(!signatures.all_used());
        assert!(signatures.reach_without_account(&PublicKey(signer)) && signatures.all_used());
        assert_eq!((oracle.asked.get(), signatures.verifications()), (3, 1));
        for _ in 1..VERIFICATIONS_MAX {
            assert!(signatures.reach_without_account(&PublicKey(signer)));
        }
        assert!(!signatures.reach_without_account(&PublicKey(signer)), "too many, though it is known");
    }
}
