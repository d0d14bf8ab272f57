//! Signatures that were checked: each is computed once, at admission and in batches, and remembered until its block.
//!
//! The memory only ever says "valid": a forgotten or unknown signature is computed again, so that it can change
//! no outcome, only its cost. **Source**: consensus specification, section 12.

#[expect(clippy::disallowed_types, reason = "looked up, never iterated")]
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use carat_ledger::SignatureOracle;
use carat_types::Digest;
use carat_types::hash::sha256;
use carat_types::signature::{Claim, verify, verify_batch};

use crate::metrics::Metrics;

/// Parts of the memory, each behind a lock of its own.
const SHARDS: usize = 16;
/// Claims of one shard and generation.
const GENERATION: usize = 16_384;
/// Most claims of one batch: beyond, a larger one saves nothing more.
const BATCH_MAX: usize = 256;
/// Fewer claims than this are no cheaper together.
const BATCH_MIN: usize = 3;
/// A batch that fails is halved if it has at least as many claims.
const HALVED_MIN: usize = 32;

/// A bounded memory of valid signatures.
#[derive(Debug)]
pub struct SignatureCache {
    shards: Vec<Mutex<Shard>>,
    metrics: Arc<Metrics>,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "looked up, never iterated")]
struct Shard {
    young: HashSet<Digest>,
    old: HashSet<Digest>,
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

    /// Checks many claims at once and remembers those that are valid, so that whoever asks for them later need not wait.
    ///
    /// Says nothing of the others: a batch with a wrong one in it is halved until it is small, so that nobody's wrong
    /// signatures cost much more than before, and what remains is checked when it is asked for.
    pub fn check_ahead(&self, claims: &[Claim<'_>]) {
        let unknown: Vec<Claim<'_>> =
            claims.iter().filter(|claim| !self.remembers(&id_of(claim))).copied().collect();
        unknown.chunks(BATCH_MAX).for_each(|chunk| self.check_batch(chunk));
    }

    fn check_batch(&self, claims: &[Claim<'_>]) {
        if claims.len() < BATCH_MIN {
            return;
        }
        self.count("batched", claims.len());
        if verify_batch(claims) {
            claims.iter().for_each(|claim| self.remember(id_of(claim)));
            return;
        }
        if claims.len() >= HALVED_MIN {
            let (first, second) = claims.split_at(claims.len() / 2);
            self.check_batch(first);
            self.check_batch(second);
        }
    }

    fn count(&self, source: &str, claims: usize) {
        let claims = u64::try_from(claims).unwrap_or(u64::MAX);
        self.metrics.signature_checks_total.with_label_values(&[source]).inc_by(claims);
    }
}

/// Names a claim within this process. Key and signature have fixed lengths, so that no two claims are written alike.
fn id_of(claim: &Claim<'_>) -> Digest {
    sha256(&[&claim.key.0, &claim.signature.0, claim.message])
}

impl SignatureOracle for SignatureCache {
    fn is_valid(&self, claim: Claim<'_>) -> bool {
        let id = id_of(&claim);
        if self.remembers(&id) {
            self.count("remembered", 1);
            return true;
        }
        self.count("computed", 1);
        let valid = verify(claim);
        if valid {
            self.remember(id);
        }
        valid
    }
}

#[cfg(test)]
mod tests {
    use carat_types::SecretKey;

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
        cache.check_ahead(&claims);
        assert!(!cache.remembers(&id_of(&claims[wrong])));
        let known = claims.iter().filter(|claim| cache.remembers(&id_of(claim))).count();
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
