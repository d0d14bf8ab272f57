//! Signatures that were checked: each is computed once, at admission, and remembered until its block.
//!
//! The memory only ever says "valid": a forgotten or unknown signature is computed again, so that it can change
//! no outcome, only its cost. **Source**: consensus specification, section 12.

#[expect(clippy::disallowed_types, reason = "looked up, never iterated")]
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use carat_ledger::SignatureOracle;
use carat_types::Digest;
use carat_types::hash::h;
use carat_types::signature::{Claim, verify};

use crate::metrics::Metrics;

/// Parts of the memory, each behind a lock of its own.
const SHARDS: usize = 16;
/// Claims of one shard and generation.
const GENERATION: usize = 16_384;

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

    fn count(&self, source: &str) {
        self.metrics.signature_checks_total.with_label_values(&[source]).inc();
    }
}

impl SignatureOracle for SignatureCache {
    fn is_valid(&self, claim: Claim<'_>) -> bool {
        let id = h("checked-signature", &[&claim.key.0, &claim.signature.0, claim.message]);
        if self.remembers(&id) {
            self.count("remembered");
            return true;
        }
        self.count("computed");
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
    fn memory_is_bounded_and_forgets_the_oldest() {
        let cache = SignatureCache::new(Arc::new(Metrics::new().expect("declared once each")));
        let ids = |i: usize| h("id", &[&i.to_be_bytes()]);
        for i in 0..SHARDS * GENERATION * 4 {
            cache.remember(ids(i));
        }
        assert!(!cache.remembers(&ids(0)));
        assert!(cache.remembers(&ids(SHARDS * GENERATION * 4 - 1)));
        let kept: usize = cache.shards.iter().map(|shard| shard.lock().expect("free").young.len()).sum();
        assert!(kept <= SHARDS * GENERATION);
    }
}
