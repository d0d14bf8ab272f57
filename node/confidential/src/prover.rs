//! Making claims: wallets and gateways do this, with randomness that they bring. Validators never do.
//!
//! Blindings are drawn from the caller's randomness. The nonces of the proof are drawn from a generator that is keyed with
//! the transcript, the witness and the caller's randomness, so that even a broken source does not repeat a nonce for
//! another statement.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use rand_core_06::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::batch::new_transcript;
use crate::claim::{Claim, Registration, Transfer, Withdrawal};
use crate::context::{Context, Recipient};
use crate::elgamal::{AUDITORS_MAX, DecryptionKey, EncryptionKey, Pair, Sealed, Slot, seal};
use crate::error::{ProveError, Refusal};
use crate::linear;
use crate::proof::Proof;
use crate::range;
use crate::statement::{HIGH, Statement};

/// A balance as its owner knows it.
#[derive(Clone, Copy, Debug)]
pub struct OwnBalance<'a> {
    /// The owner's key.
    pub key: &'a DecryptionKey,
    /// What the ledger has.
    pub slot: Slot,
    /// What it holds.
    pub chunks: Pair<u64>,
}

/// What a prover knows and does not say.
pub(crate) struct Witness {
    /// In the order of the relation.
    pub secrets: Zeroizing<Vec<Scalar>>,
    /// The numbers that are proved in range.
    pub numbers: Zeroizing<Vec<u64>>,
    /// Their blindings.
    pub blindings: Zeroizing<Vec<Scalar>>,
}

/// Claims a key.
///
/// **Errors**: none with a key that this crate made.
pub fn registration(
    context: Context,
    key: &DecryptionKey,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Claim, ProveError> {
    let mut it = Registration { context, key: key.public(), proof: Proof::default() };
    let secrets = vec![*key.scalar()];
    it.proof = prove(&Claim::Registration(Box::new(it.clone())), &Witness::of(secrets, &[]), rng)?;
    Ok(Claim::Registration(Box::new(it)))
}

/// Moves `amount` to another.
///
/// **Errors**: see [`ProveError`].
pub fn transfer(
    context: Context,
    (recipient, recipient_key): (Recipient, EncryptionKey),
    auditor_keys: &[EncryptionKey],
    old: OwnBalance<'_>,
    amount: u64,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Claim, ProveError> {
    let left = remainder(&old, amount)?;
    let auditors = auditors(auditor_keys)?;
    let owner_key = old.key.public();
    let (taken, taken_blinding) = sealed(amount, recipient_key, &auditors, rng)?;
    let (balance, balance_blinding) = sealed(left, owner_key, &auditors, rng)?;
    let rest = -(weighted(&taken_blinding) + weighted(&balance_blinding));
    let mut secrets = vec![*old.key.scalar(), rest];
    secrets.extend(values(amount).into_iter().chain([taken_blinding.low, taken_blinding.high]));
    secrets.extend(values(left).into_iter().chain([balance_blinding.low, balance_blinding.high]));
    let witness = Witness::of(secrets, &[(amount, taken_blinding), (left, balance_blinding)]);
    let mut it = Transfer {
        context,
        recipient,
        owner_key,
        recipient_key,
        auditor_keys: auditor_keys.to_vec(),
        old: old.slot,
        amount: taken,
        balance,
        proof: Proof::default(),
    };
    it.proof = prove(&Claim::Transfer(Box::new(it.clone())), &witness, rng)?;
    Ok(Claim::Transfer(Box::new(it)))
}

/// Takes the public `amount` out. With an amount of 0 it only encrypts the balance anew, in chunks of 32 bits.
///
/// **Errors**: see [`ProveError`].
pub fn withdrawal(
    context: Context,
    auditor_keys: &[EncryptionKey],
    old: OwnBalance<'_>,
    amount: u64,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Claim, ProveError> {
    let left = remainder(&old, amount)?;
    let owner_key = old.key.public();
    let (balance, blinding) = sealed(left, owner_key, &auditors(auditor_keys)?, rng)?;
    let mut secrets = vec![*old.key.scalar(), -weighted(&blinding)];
    secrets.extend(values(left).into_iter().chain([blinding.low, blinding.high]));
    let witness = Witness::of(secrets, &[(left, blinding)]);
    let auditor_keys = auditor_keys.to_vec();
    let (old, proof) = (old.slot, Proof::default());
    let mut it = Withdrawal { context, owner_key, auditor_keys, amount, old, balance, proof };
    it.proof = prove(&Claim::Withdrawal(Box::new(it.clone())), &witness, rng)?;
    Ok(Claim::Withdrawal(Box::new(it)))
}

/// What is left of the balance.
fn remainder(old: &OwnBalance<'_>, amount: u64) -> Result<u64, ProveError> {
    if !old.key.opens_to(&old.slot, old.chunks) {
        return Err(ProveError::WrongBalance);
    }
    let balance = old.chunks.sum();
    let left = balance.checked_sub(amount.into()).ok_or(ProveError::Overdraft { amount, balance })?;
    u64::try_from(left).map_err(|_| ProveError::TooMuch(left))
}

fn auditors(keys: &[EncryptionKey]) -> Result<Vec<RistrettoPoint>, Refusal> {
    if keys.is_empty() || keys.len() > AUDITORS_MAX {
        return Err(Refusal::Shape { what: "auditors", seen: keys.len(), expected: AUDITORS_MAX });
    }
    keys.iter().map(|key| key.0.to_nonzero_point("auditor's key")).collect()
}

fn sealed(
    amount: u64,
    reader: EncryptionKey,
    auditors: &[RistrettoPoint],
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(Sealed, Pair<Scalar>), Refusal> {
    let blinding = Pair { low: Scalar::random(rng), high: Scalar::random(rng) };
    let reader = reader.0.to_nonzero_point("reader's key")?;
    let own = seal(amount, blinding, &[reader]);
    let others = seal(amount, blinding, auditors);
    let slot = own.1.first().map(|handle| Slot { commitment: own.0, handle: *handle }).unwrap_or_default();
    Ok((Sealed { slot, auditors: others.1 }, blinding))
}

fn values(amount: u64) -> [Scalar; 2] {
    let chunks = Pair::of(amount);
    [Scalar::from(chunks.low), Scalar::from(chunks.high)]
}

/// `low + 2³²·high`.
fn weighted(pair: &Pair<Scalar>) -> Scalar {
    pair.low + Scalar::from(HIGH) * pair.high
}

impl Witness {
    fn of(secrets: Vec<Scalar>, amounts: &[(u64, Pair<Scalar>)]) -> Self {
        let chunks = amounts.iter().map(|(amount, _)| Pair::of(*amount));
        Witness {
            secrets: Zeroizing::new(secrets),
            numbers: Zeroizing::new(chunks.flat_map(|it| [it.low, it.high]).collect()),
            blindings: Zeroizing::new(amounts.iter().flat_map(|(_, it)| [it.low, it.high]).collect()),
        }
    }
}

/// Proves a claim whose proof is still empty, if the witness fulfils it.
fn prove(
    claim: &Claim,
    witness: &Witness,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Proof, ProveError> {
    let statement = claim.statement()?;
    if !linear::holds(&statement.relation, &statement.decode()?, &witness.secrets) {
        return Err(ProveError::WrongBalance);
    }
    let mut transcript = new_transcript();
    statement.absorb(&mut transcript);
    Ok(prove_unchecked(transcript, &statement, witness, rng)?)
}

/// Proves what was absorbed by `transcript`, right or wrong.
pub(crate) fn prove_unchecked(
    mut transcript: merlin::Transcript,
    statement: &Statement,
    witness: &Witness,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Proof, Refusal> {
    let points = statement.decode()?;
    let mut nonces = transcript.build_rng();
    for secret in witness.secrets.iter().chain(witness.blindings.iter()) {
        nonces = nonces.rekey_with_witness_bytes(b"secret", secret.as_bytes());
    }
    let mut nonces = nonces.finalize(rng);
    let (commitments, responses) =
        linear::prove(&mut transcript, &statement.relation, &points, &witness.secrets, &mut nonces);
    let range = if witness.numbers.is_empty() {
        Vec::new()
    } else {
        range::prove(&mut transcript, &witness.numbers, &witness.blindings, &mut nonces)?
    };
    Ok(Proof { commitments, responses, range })
}
