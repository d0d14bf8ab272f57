//! Claims about confidential balances, as a stranger sends them.

use std::sync::LazyLock;

use carat_confidential::elgamal::{Pair, Sealed};
use carat_confidential::prover::{OwnBalance, registration, transfer, withdrawal};
use carat_confidential::rand_core::{CryptoRng, Error, RngCore, impls};
use carat_confidential::{Claim, Context, DecryptionKey, Recipient};
use carat_types::codec::Encode;
use carat_types::hash::sha256;
use carat_types::{Digest, PublicKey};

use crate::network::NETWORK;
use crate::wire::canonical;

/// A claim is taken apart and checked. None is valid but those that were proved.
pub fn confidential_claim(bytes: &[u8]) {
    if let Some(claim) = canonical::<Claim>(bytes) {
        let proved = claims().iter().any(|known| known.as_slice() == bytes);
        assert_eq!(claim.verify().is_ok(), proved, "{:?}", claim.verify());
    }
}

/// One valid claim of each kind.
pub(crate) fn claims() -> &'static [Vec<u8>] {
    static CLAIMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let rng = &mut Counter(0);
        let owner = DecryptionKey::random(rng);
        let auditors = [DecryptionKey::random(rng).public()];
        let recipient = Recipient { account: PublicKey([2; 32]), lane: 0, key_epoch: 0 };
        let to = (recipient, DecryptionKey::random(rng).public());
        let own = OwnBalance {
            key: &owner,
            slot: Sealed::public(5 << 32, auditors.len()).slot,
            chunks: Pair::of(5 << 32),
        };
        let claims = [
            registration(context(), &owner, rng),
            transfer(context(), to, &auditors, own, 1 << 33, rng),
            withdrawal(context(), &auditors, own, 7, rng),
        ];
        claims.iter().map(|it| it.as_ref().expect("provable").to_bytes()).collect()
    });
    &CLAIMS
}

fn context() -> Context {
    Context {
        network: NETWORK.id,
        source: PublicKey([1; 32]),
        sequence: 1,
        operation_index: 0,
        account: PublicKey([1; 32]),
        asset: Digest([3; 32]),
        lane: 0,
        version: 1,
        key_epoch: 0,
        auditor_epoch: 0,
        payload: Digest::ZERO,
    }
}

/// The same claims in every run: a hash of a counter.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.0 += 1;
            let block = sha256(&[b"seeds", &self.0.to_be_bytes()]);
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Counter {}
