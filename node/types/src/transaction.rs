//! Transactions in their own wire format: hashes, strict decoding, signing.
//!
//! Three hashes name a transaction. Its *hash* is what its signers sign and what clients ask for; that of a
//! fee bump names the outer transaction. The *inner hash* is that of the transaction which acts, equal to the
//! hash unless it is fee-bumped. The *full hash* covers the whole envelope with its signatures and is used
//! for ordering alone. **Source**: ledger specification A.4; consensus specification, section 2.

use stellar_xdr::{
    AccountId, DecoratedSignature, EnvelopeType, FeeBumpTransactionInnerTx, Limited, Limits, MuxedAccount,
    Operation, PublicKey as XdrPublicKey, ReadXdr, Signature as XdrSignature, SignatureHint, Transaction,
    TransactionEnvelope, Uint256, VecM, WriteXdr,
};

use crate::batch::Envelope;
use crate::hash::{Digest, sha256};
use crate::signature::{PublicKey, SecretKey};

mod signers;

pub use signers::Signers;

/// Longest envelope accepted, in bytes: what a node of the wire format's origin lets a classic transaction have.
pub const ENVELOPE_BYTES_MAX: usize = 100 * 1024;

/// Deepest nesting of values in an envelope. Operations of today need fewer than 40; contract arguments more.
const ENVELOPE_DEPTH_MAX: u32 = 200;

/// The id that binds signatures to one network: the hash of its passphrase.
pub fn network_id(passphrase: &str) -> Digest {
    sha256(&[passphrase.as_bytes()])
}

/// The key of the root account of a test network: its seed is the network id, known to everybody.
pub fn test_root_key(passphrase: &str) -> SecretKey {
    SecretKey::from_seed(network_id(passphrase).as_bytes())
}

/// Why bytes are no transaction envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than [`ENVELOPE_BYTES_MAX`].
    #[error("the envelope has {0} bytes; at most {ENVELOPE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Not XDR of an envelope: truncated, trailing bytes, an unknown kind, a list that is too long.
    #[error("the envelope is not valid XDR: {0}")]
    Malformed(String),
    /// Readable, but written otherwise than the one canonical way.
    #[error("the envelope is not in canonical form")]
    NotCanonical,
    /// The envelope already holds as many signatures as the format allows.
    #[error("an envelope holds at most 20 signatures")]
    TooManySignatures,
}

/// The outer part of a fee-bump envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeBump {
    /// Who pays.
    pub fee_source: MuxedAccount,
    /// The most that is paid. **Units**: stroops.
    pub fee: i64,
    /// Signatures over the outer transaction.
    pub signatures: VecM<DecoratedSignature, 20>,
    /// Whose they are, as far as that is known.
    pub signers: Signers,
}

/// A decoded envelope with its hashes, made once and shared behind an `Arc`.
///
/// Signatures are not checked: whether they suffice depends on the state of the accounts. What was found out about them is kept with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    envelope: Envelope,
    transaction: Transaction,
    signatures: VecM<DecoratedSignature, 20>,
    signers: Signers,
    fee_bump: Option<FeeBump>,
    hash: Digest,
    inner_hash: Digest,
    full_hash: Digest,
}

impl SignedTransaction {
    /// Decodes the XDR of an envelope, for the network with this id.
    ///
    /// **Errors**: see [`EnvelopeError`]; whatever is accepted encodes to exactly `bytes`.
    pub fn decode(network_id: &Digest, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let decoded = decode_envelope(bytes)?;
        Ok(Self::assemble(network_id, decoded, Envelope(bytes.into())))
    }

    /// The same of bytes that are shared: they are not copied.
    ///
    /// **Errors**: see [`EnvelopeError`].
    pub fn read(network_id: &Digest, envelope: &Envelope) -> Result<Self, EnvelopeError> {
        let decoded = decode_envelope(&envelope.0)?;
        Ok(Self::assemble(network_id, decoded, envelope.clone()))
    }

    /// The same for an envelope that was built here.
    ///
    /// **Errors**: an envelope longer than [`ENVELOPE_BYTES_MAX`].
    pub fn from_envelope(network_id: &Digest, envelope: TransactionEnvelope) -> Result<Self, EnvelopeError> {
        let bytes = encode(&envelope);
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLong(bytes.len()));
        }
        Ok(Self::assemble(network_id, envelope, Envelope(bytes.into())))
    }

    fn assemble(network_id: &Digest, decoded: TransactionEnvelope, envelope: Envelope) -> Self {
        let hash = hash_within(network_id, &decoded, &envelope.0);
        let full_hash = sha256(&[&envelope.0]);
        let (transaction, signatures, fee_bump, inner_hash) = match decoded {
            TransactionEnvelope::TxV0(v0) => (Transaction::from(v0.tx), v0.signatures, None, hash),
            TransactionEnvelope::Tx(v1) => (v1.tx, v1.signatures, None, hash),
            TransactionEnvelope::TxFeeBump(outer) => {
                let FeeBumpTransactionInnerTx::Tx(inner) = outer.tx.inner_tx;
                let inner_hash = payload_hash(network_id, EnvelopeType::Tx, &[&encode(&inner.tx)]);
                let bump = FeeBump {
                    fee_source: outer.tx.fee_source,
                    fee: outer.tx.fee,
                    signers: Signers::unknown(outer.signatures.len()),
                    signatures: outer.signatures,
                };
                (inner.tx, inner.signatures, Some(bump), inner_hash)
            }
        };
        let signers = Signers::unknown(signatures.len());
        SignedTransaction {
            envelope,
            transaction,
            signatures,
            signers,
            fee_bump,
            hash,
            inner_hash,
            full_hash,
        }
    }

    /// The canonical XDR of the envelope.
    pub fn bytes(&self) -> &[u8] {
        &self.envelope.0
    }

    /// The same, shared.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The transaction that acts: the inner one of a fee bump. One in the old v0 form is shown in the v1 form.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The signatures over the transaction that acts.
    pub fn signatures(&self) -> &[DecoratedSignature] {
        &self.signatures
    }

    /// Whose these signatures are, as far as that is known.
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    /// The outer part, if this is a fee bump.
    pub fn fee_bump(&self) -> Option<&FeeBump> {
        self.fee_bump.as_ref()
    }

    /// The transaction hash: what its signers, for a fee bump the outer signers, sign.
    pub fn hash(&self) -> &Digest {
        &self.hash
    }

    /// The hash of the transaction that acts.
    pub fn inner_hash(&self) -> &Digest {
        &self.inner_hash
    }

    /// The hash of the whole envelope.
    pub fn full_hash(&self) -> &Digest {
        &self.full_hash
    }

    /// The account whose sequence number is used.
    pub fn source(&self) -> PublicKey {
        account_of(&self.transaction.source_account)
    }

    /// The account that pays the fee.
    pub fn fee_source(&self) -> PublicKey {
        self.fee_bump.as_ref().map_or_else(|| self.source(), |bump| account_of(&bump.fee_source))
    }

    /// The sequence number that is used.
    pub fn sequence(&self) -> i64 {
        self.transaction.seq_num.0
    }

    /// The most that the fee source pays. **Units**: stroops.
    pub fn fee(&self) -> i64 {
        self.fee_bump.as_ref().map_or_else(|| i64::from(self.transaction.fee), |bump| bump.fee)
    }

    /// The operations.
    pub fn operations(&self) -> &[Operation] {
        &self.transaction.operations
    }

    /// Number of operations that the fee is counted by: a fee bump counts as one more.
    pub fn fee_operations(&self) -> i64 {
        let own = i64::try_from(self.transaction.operations.len()).unwrap_or(i64::MAX);
        own.saturating_add(i64::from(self.fee_bump.is_some()))
    }

    /// Number of signatures in all parts of the envelope.
    pub fn signature_count(&self) -> usize {
        self.signatures.len().saturating_add(self.fee_bump.as_ref().map_or(0, |bump| bump.signatures.len()))
    }
}

/// Decodes the canonical XDR of an envelope and nothing else.
pub fn decode_envelope(bytes: &[u8]) -> Result<TransactionEnvelope, EnvelopeError> {
    if bytes.len() > ENVELOPE_BYTES_MAX {
        return Err(EnvelopeError::TooLong(bytes.len()));
    }
    let limits = Limits { depth: ENVELOPE_DEPTH_MAX, len: ENVELOPE_BYTES_MAX };
    let envelope = TransactionEnvelope::from_xdr(bytes, limits)
        .map_err(|error| EnvelopeError::Malformed(error.to_string()))?;
    if encode(&envelope) != bytes {
        return Err(EnvelopeError::NotCanonical);
    }
    Ok(envelope)
}

/// The transaction hash of an envelope: what its (outer) signers sign.
pub fn transaction_hash(network_id: &Digest, envelope: &TransactionEnvelope) -> Digest {
    match envelope {
        // The v0 form lacks the four zero bytes that say "an Ed25519 key"; they are signed all the same.
        TransactionEnvelope::TxV0(v0) => {
            payload_hash(network_id, EnvelopeType::Tx, &[&[0; 4], encode(&v0.tx).as_slice()])
        }
        TransactionEnvelope::Tx(v1) => payload_hash(network_id, EnvelopeType::Tx, &[&encode(&v1.tx)]),
        TransactionEnvelope::TxFeeBump(bump) => {
            payload_hash(network_id, EnvelopeType::TxFeeBump, &[&encode(&bump.tx)])
        }
    }
}

/// The transaction hash of an envelope whose bytes are at hand: most need not be encoded again.
fn hash_within(network_id: &Digest, envelope: &TransactionEnvelope, bytes: &[u8]) -> Digest {
    let TransactionEnvelope::Tx(v1) = envelope else { return transaction_hash(network_id, envelope) };
    // In front of the transaction four bytes say what kind the envelope is; behind it are its signatures: their number, and of
    // each the hint, its length, and its bytes, filled up to a multiple of four.
    let length = |it: &DecoratedSignature| it.signature.0.len().next_multiple_of(4).saturating_add(8);
    let signatures = v1.signatures.iter().map(length).fold(4, usize::saturating_add);
    let transaction = bytes.get(4..bytes.len().saturating_sub(signatures)).unwrap_or_default();
    payload_hash(network_id, EnvelopeType::Tx, &[transaction])
}

/// The signature of `key` over a transaction hash, with its hint.
pub fn sign_hash(key: &SecretKey, hash: &Digest) -> DecoratedSignature {
    let signature = key.sign(hash.as_bytes()).0;
    // 64 bytes fit: the format allows exactly so many.
    let signature = signature.as_slice().try_into().map(XdrSignature).unwrap_or_default();
    DecoratedSignature { hint: SignatureHint(key.public().hint()), signature }
}

/// Adds the signatures of `keys` to an envelope; for a fee bump to its outer part.
///
/// **Errors**: more than 20 signatures. The envelope is then unchanged.
pub fn sign_envelope(
    network_id: &Digest,
    envelope: &mut TransactionEnvelope,
    keys: &[&SecretKey],
) -> Result<(), EnvelopeError> {
    let hash = transaction_hash(network_id, envelope);
    let signatures = match envelope {
        TransactionEnvelope::TxV0(v0) => &mut v0.signatures,
        TransactionEnvelope::Tx(v1) => &mut v1.signatures,
        TransactionEnvelope::TxFeeBump(bump) => &mut bump.signatures,
    };
    let mut all = signatures.to_vec();
    all.extend(keys.iter().map(|key| sign_hash(key, &hash)));
    *signatures = all.try_into().map_err(|_| EnvelopeError::TooManySignatures)?;
    Ok(())
}

impl From<PublicKey> for AccountId {
    fn from(key: PublicKey) -> Self {
        AccountId(XdrPublicKey::PublicKeyTypeEd25519(Uint256(key.0)))
    }
}

impl From<&AccountId> for PublicKey {
    fn from(AccountId(XdrPublicKey::PublicKeyTypeEd25519(Uint256(bytes))): &AccountId) -> Self {
        PublicKey(*bytes)
    }
}

impl From<PublicKey> for MuxedAccount {
    fn from(key: PublicKey) -> Self {
        MuxedAccount::Ed25519(Uint256(key.0))
    }
}

/// The account behind an address that may carry a customer's number.
pub fn account_of(address: &MuxedAccount) -> PublicKey {
    match address {
        MuxedAccount::Ed25519(Uint256(bytes)) => PublicKey(*bytes),
        MuxedAccount::MuxedEd25519(muxed) => PublicKey(muxed.ed25519.0),
    }
}

/// The canonical XDR of a value that was decoded or built within its type's limits.
fn encode(value: &impl WriteXdr) -> Vec<u8> {
    let mut bytes = Limited::new(Vec::with_capacity(TYPICAL_BYTES), Limits::none());
    // Writing to memory without limits has no way to fail.
    let written = value.write_xdr(&mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes.inner
}

/// Room that most transactions fit in.
const TYPICAL_BYTES: usize = 384;

fn payload_hash(network_id: &Digest, kind: EnvelopeType, transaction: &[&[u8]]) -> Digest {
    let kind = i32::from(kind).to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![network_id.as_bytes(), &kind];
    parts.extend(transaction);
    sha256(&parts)
}

#[cfg(test)]
mod tests;
