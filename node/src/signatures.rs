//! Signatures and proofs that were checked: each is computed once, at admission and in batches, and remembered until
//! its block.
//!
//! The memory only ever says "valid": a forgotten or unknown signature is computed again, so that it can change
//! no outcome, only its cost. **Source**: consensus specification, section 12.

#[expect(clippy::disallowed_types, reason = "looked up, never iterated")]
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use carat_ledger::SignatureOracle;
use carat_types::Digest;
use carat_types::signature::Claim;
use carat_types::verifiable::{self, Verifiable};
use foldhash::fast::RandomState;

use crate::metrics::Metrics;

/// Parts of the memory, each behind a lock of its own.
const SHARDS: usize = 16;
/// Claims of one shard and generation.
const GENERATION: usize = 16_384;
/// A bounded memory of what is valid.
#[derive(Debug)]
pub struct SignatureCache {
    shards: Vec<Mutex<Shard>>,
    metrics: Arc<Metrics>,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "looked up, never iterated")]
struct Shard {
    young: HashSet<Digest, RandomState>,
    old: HashSet<Digest, RandomState>,
}

impl SignatureCache {
    /// Remembers nothing yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        SignatureCache { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), metrics }
    }

    fn shard(&self, id: &Digest) -> Option<&Mutex<Shard>> {
        let [first, ..] = id.0;
        self.shards.get(usize::from(first) % SHARDS)
    }

    fn remembers(&self, id: &Digest) -> bool {
        let Some(shard) = self.shard(id) else { return false };
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.young.contains(id) || shard.old.contains(id)
    }

    fn remember(&self, id: Digest) {
        let Some(shard) = self.shard(&id) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.young.len() >= GENERATION {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(id);
    }

    /// Checks many claims at once, as [`carat_types::verifiable`] says, and remembers those that are valid, so that
    /// whoever asks for them later need not wait. They may be of any kind: signatures or proofs; `memory` is that of the kind.
    ///
    /// **Returns** for each claim whether it is known to be valid. Others may be, too: see [`verifiable::check_ahead`].
    pub fn check_ahead<V: Verifiable>(&self, claims: &[V], memory: &mut V::Memory) -> Vec<bool> {
        let ids: Vec<Digest> = claims.iter().map(|claim| claim.id()).collect();
        let mut valid: Vec<bool> = ids.iter().map(|id| self.remembers(id)).collect();
        let places: Vec<usize> = (0..claims.len()).filter(|place| !valid[*place]).collect();
        let unknown: Vec<V> = places.iter().map(|place| claims[*place]).collect();
        let mut count = |size| self.count("batched", size);
        verifiable::check_ahead(&unknown, memory, &mut count, &mut |found| {
            for place in &places[found] {
                self.remember(ids[*place]);
                valid[*place] = true;
            }
        });
        valid
    }

    /// Whether a claim is valid, from memory if it was asked before.
    pub fn check<V: Verifiable>(&self, claim: V) -> bool {
        let id = claim.id();
        if self.remembers(&id) {
            self.count("remembered", 1);
            return true;
        }
        self.count("computed", 1);
        let valid = claim.is_valid();
        if valid {
            self.remember(id);
        }
        valid
    }

    fn count(&self, source: &str, claims: usize) {
        let claims = u64::try_from(claims).unwrap_or(u64::MAX);
        self.metrics.signature_checks_total.with_label_values(&[source]).inc_by(claims);
    }
}

impl SignatureOracle for SignatureCache {
    fn is_valid(&self, claim: Claim<'_>) -> bool {
        self.check(claim)
    }
}

#[cfg(test)]
mod tests {
    use carat_types::SecretKey;
    use carat_types::hash::sha256;
    use carat_types::signature::KnownKeys;

    use super::*;

    #[test]
    fn remembered_claim_is_exactly_the_one_that_was_checked() {
        let cache = SignatureCache::new(Arc::new(Metrics::new().expect("declared once each")));
        let secret = SecretKey::from_seed(&[1; 32]);
        let (key, signature) = (secret.public(), secret.sign(b"m"));
        assert!(cache.is_valid(Claim { key: &key, message: b"m", signature: &signature }));
        assert!(cache.is_valid(Claim { key: &key, message: b"m", signature: &signature }));
        assert!(!cache.is_valid(Claim { key: &key, message: b"n", signature: &signature }));
        let mut other = signature;
        other.0[0] ^= 1;
        assert!(!cache.is_valid(Claim { key: &key, message: b"m", signature: &other }));
    }

    #[test]
    fn batch_with_a_wrong_claim_in_it_is_remembered_without_that_claim() {
        let cache = SignatureCache::new(Arc::new(Metrics::new().expect("declared once each")));
        let secrets: Vec<_> = (0..40).map(|i| SecretKey::from_seed(&[i; 32])).collect();
        let signed: Vec<_> = secrets.iter().map(|it| (it.public(), it.sign(b"m"))).collect();
        let wrong = signed.len() - 3;
        let claims: Vec<_> = signed
            .iter()
            .enumerate()
            .map(|(i, (key, signature))| Claim {
                key,
                message: if i == wrong { b"n" } else { b"m" },
                signature,
            })
            .collect();
        let valid = cache.check_ahead(&claims, &mut KnownKeys::default());
        assert!((0..claims.len()).all(|place| valid[place] == cache.remembers(&claims[place].id())));
        assert_eq!(cache.check_ahead(&claims[..3], &mut KnownKeys::default()), valid[..3], "asked again");
        assert!(!cache.remembers(&claims[wrong].id()));
        let known = claims.iter().filter(|claim| cache.remembers(&claim.id())).count();
        assert_eq!(known, claims.len() / 2, "the half without it");
        assert!(claims.iter().enumerate().all(|(i, claim)| cache.is_valid(*claim) == (i != wrong)));
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let cache = SignatureCache::new(Arc::new(Metrics::new().expect("declared once each")));
        let ids = |i: usize| sha256(&[&i.to_be_bytes()]);
        for i in 0..SHARDS * GENERATION * 4 {
            cache.remember(ids(i));
        }
        assert!(!cache.remembers(&ids(0)));
        assert!(cache.remembers(&ids(SHARDS * GENERATION * 4 - 1)));
        let kept: usize = cache.shards.iter().map(|shard| shard.lock().expect("free").young.len()).sum();
        assert!(kept <= SHARDS * GENERATION);
    }
}
