//! Scenes for the tests: a bank that holds a balance, one that receives, and auditors.

mod absorption;
mod batches;
mod forgery;
mod mutation;
mod oracle;
mod rows;
mod wallet;

use carat_types::{Digest, PublicKey};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use rand_core_06::{CryptoRng, Error, RngCore};
use sha3_xof::Shake256;
use sha3_xof::digest::{ExtendableOutput, Update, XofReader};

use crate::batch::{Sum, new_transcript};
use crate::claim::{Claim, Transfer};
use crate::context::{Context, Recipient};
use crate::elgamal::{DecryptionKey, EncryptionKey, Pair, Sealed, Slot, seal};
use crate::proof::{Proof, replay};
use crate::prover::{self, OwnBalance, Witness};
use crate::statement::Statement;
use crate::transcript::Transcript;

/// Randomness of a seed.
pub(crate) struct TestRng(<Shake256 as ExtendableOutput>::Reader);

pub(crate) fn rng(seed: u64) -> TestRng {
    let mut hash = Shake256::default();
    hash.update(&seed.to_le_bytes());
    TestRng(hash.finalize_xof())
}

impl RngCore for TestRng {
    fn next_u32(&mut self) -> u32 {
        rand_core_06::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core_06::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.read(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for TestRng {}

/// Everybody's keys, and an owner's balance with its blinding, which not even its owner needs to know.
pub(crate) struct Scene {
    pub owner: DecryptionKey,
    pub recipient: DecryptionKey,
    pub auditors: Vec<DecryptionKey>,
    pub balance: u64,
    pub blinding: Pair<Scalar>,
    pub old: Slot,
    pub rng: TestRng,
}

pub(crate) fn context() -> Context {
    Context {
        network: Digest([1; 32]),
        source: PublicKey([2; 32]),
        sequence: 77,
        operation_index: 3,
        account: PublicKey([4; 32]),
        asset: Digest([5; 32]),
        lane: 0,
        version: 9,
        key_epoch: 1,
        auditor_epoch: 2,
        payload: Digest([6; 32]),
    }
}

pub(crate) fn to() -> Recipient {
    Recipient { account: PublicKey([7; 32]), lane: 1, key_epoch: 4 }
}

pub(crate) fn point(key: EncryptionKey) -> RistrettoPoint {
    key.0.to_nonzero_point("key").expect("a point")
}

impl Scene {
    pub(crate) fn new(seed: u64, auditors: usize, balance: u64) -> Self {
        let mut rng = rng(seed);
        let owner = DecryptionKey::random(&mut rng);
        let recipient = DecryptionKey::random(&mut rng);
        let auditors = (0..auditors).map(|_| DecryptionKey::random(&mut rng)).collect();
        let blinding = Pair { low: Scalar::random(&mut rng), high: Scalar::random(&mut rng) };
        let (commitment, handles) = seal(balance, blinding, &[point(owner.public())]);
        let old = Slot { commitment, handle: handles[0] };
        Scene { owner, recipient, auditors, balance, blinding, old, rng }
    }

    pub(crate) fn auditor_keys(&self) -> Vec<EncryptionKey> {
        self.auditors.iter().map(DecryptionKey::public).collect()
    }

    pub(crate) fn own(&self) -> OwnBalance<'_> {
        OwnBalance { key: &self.owner, slot: self.old, chunks: Pair::of(self.balance) }
    }

    pub(crate) fn transfer(&mut self, amount: u64) -> Claim {
        let (keys, mut rng) = (self.auditor_keys(), rng(self.rng.next_u64()));
        let to = (to(), self.recipient.public());
        prover::transfer(context(), to, &keys, self.own(), amount, &mut rng).expect("provable")
    }

    pub(crate) fn withdrawal(&mut self, amount: u64) -> Claim {
        let (keys, mut rng) = (self.auditor_keys(), rng(self.rng.next_u64()));
        prover::withdrawal(context(), &keys, self.own(), amount, &mut rng).expect("provable")
    }

    pub(crate) fn registration(&mut self) -> Claim {
        prover::registration(context(), &self.owner, &mut self.rng).expect("provable")
    }
}

/// One of each kind.
pub(crate) fn one_of_each() -> Vec<Claim> {
    let mut scene = Scene::new(1, 1, 5_000_000_000_000);
    vec![scene.registration(), scene.transfer(1_234_567_890_123), scene.withdrawal(4_999_999_999_999)]
}

/// A transfer in the hands of a prover that says what it likes.
pub(crate) struct Cheat {
    pub transfer: Transfer,
    pub witness: Witness,
}

impl Scene {
    /// An honest transfer, before it is proved.
    pub(crate) fn cheat(&mut self, amount: u64, left: u64) -> Cheat {
        let mut blinding =
            || Pair { low: Scalar::random(&mut self.rng), high: Scalar::random(&mut self.rng) };
        let blindings = [blinding(), blinding()];
        let auditors: Vec<_> = self.auditors.iter().map(|it| point(it.public())).collect();
        let sealed = |amount, blinding, reader: &DecryptionKey| {
            let (commitment, own) = seal(amount, blinding, &[point(reader.public())]);
            let auditors = seal(amount, blinding, &auditors).1;
            Sealed { slot: Slot { commitment, handle: own[0] }, auditors }
        };
        let transfer = Transfer {
            context: context(),
            recipient: to(),
            owner_key: self.owner.public(),
            recipient_key: self.recipient.public(),
            auditor_keys: self.auditor_keys(),
            old: self.old,
            amount: sealed(amount, blindings[0], &self.recipient),
            balance: sealed(left, blindings[1], &self.owner),
            proof: Proof::default(),
        };
        let high = Scalar::from(1_u64 << 32);
        let rest = -blindings.iter().map(|it| it.low + high * it.high).sum::<Scalar>();
        let mut secrets = vec![*self.owner.scalar(), rest];
        let mut numbers = Vec::new();
        for (amount, blinding) in [amount, left].into_iter().zip(&blindings) {
            let chunks = Pair::of(amount);
            secrets.extend([chunks.low, chunks.high].map(Scalar::from));
            secrets.extend([blinding.low, blinding.high]);
            numbers.extend([chunks.low, chunks.high]);
        }
        let blindings = blindings.iter().flat_map(|it| [it.low, it.high]).collect::<Vec<_>>();
        let witness =
            Witness { secrets: secrets.into(), numbers: numbers.into(), blindings: blindings.into() };
        Cheat { transfer, witness }
    }
}

impl Cheat {
    /// The claim with whatever proof comes out.
    pub(crate) fn prove(mut self) -> Claim {
        let claim = Claim::Transfer(Box::new(self.transfer.clone()));
        let statement = claim.statement().expect("fits");
        let mut transcript = new_transcript();
        statement.absorb(&mut transcript);
        self.transfer.proof =
            prover::prove_unchecked(transcript, &statement, &self.witness, &mut rng(99)).expect("points");
        Claim::Transfer(Box::new(self.transfer))
    }
}

/// Whether a proof holds in front of this transcript, with these weights.
pub(crate) fn holds_with(
    mut transcript: impl Transcript,
    statement: &Statement,
    proof: &Proof,
    weight: &mut impl FnMut() -> Scalar,
) -> bool {
    let mut sum = Sum::new();
    match replay(&mut transcript, statement, proof) {
        Ok(replayed) => replayed.add_to(&mut sum, weight),
        Err(_) => return false,
    }
    sum.vanishes()
}

pub(crate) fn transfer_of(claim: &Claim) -> Transfer {
    match claim {
        Claim::Transfer(it) => (**it).clone(),
        other => panic!("a transfer, not {other:?}"),
    }
}
