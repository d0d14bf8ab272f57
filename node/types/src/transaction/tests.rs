//! Hashes against the wire format's own, strict decoding, signing.

use stellar_xdr::{
    FeeBumpTransaction, FeeBumpTransactionEnvelope, FeeBumpTransactionExt, Memo, OperationBody,
    Preconditions, SequenceNumber, TransactionExt, TransactionV0, TransactionV0Envelope, TransactionV0Ext,
    TransactionV1Envelope,
};

use super::*;
use crate::signature::{Claim, Signature, verify};

const PASSPHRASE: &str = "carat transaction tests";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn plain() -> Transaction {
    Transaction {
        source_account: key(1).public().into(),
        fee: 100,
        seq_num: SequenceNumber(7),
        cond: Preconditions::None,
        memo: Memo::None,
        operations: vec![Operation { source_account: None, body: OperationBody::Inflation }]
            .try_into()
            .expect("one operation"),
        ext: TransactionExt::V0,
    }
}

fn v1() -> TransactionEnvelope {
    TransactionEnvelope::Tx(TransactionV1Envelope { tx: plain(), signatures: VecM::default() })
}

fn v0() -> TransactionEnvelope {
    let tx = plain();
    TransactionEnvelope::TxV0(TransactionV0Envelope {
        tx: TransactionV0 {
            source_account_ed25519: Uint256(key(1).public().0),
            fee: tx.fee,
            seq_num: tx.seq_num,
            time_bounds: None,
            memo: tx.memo,
            operations: tx.operations,
            ext: TransactionV0Ext::V0,
        },
        signatures: VecM::default(),
    })
}

fn fee_bump() -> TransactionEnvelope {
    let tx = FeeBumpTransaction {
        fee_source: key(2).public().into(),
        fee: 400,
        inner_tx: FeeBumpTransactionInnerTx::Tx(TransactionV1Envelope {
            tx: plain(),
            signatures: VecM::default(),
        }),
        ext: FeeBumpTransactionExt::V0,
    };
    TransactionEnvelope::TxFeeBump(FeeBumpTransactionEnvelope { tx, signatures: VecM::default() })
}

#[test]
fn hash_of_every_form_equals_that_of_the_format_s_own_library() {
    let network = network_id(PASSPHRASE);
    for envelope in [v0(), v1(), fee_bump()] {
        let theirs = envelope.hash(network.0).expect("encodable");
        assert_eq!(transaction_hash(&network, &envelope), Digest(theirs), "{envelope:?}");
    }
    assert_eq!(transaction_hash(&network, &v0()), transaction_hash(&network, &v1()));
}

#[test]
fn hash_from_the_bytes_is_that_of_the_transaction_whatever_its_signatures_are() {
    let id = network_id(PASSPHRASE);
    for count in [0, 1, 2, 3, 20] {
        for length in [0_u8, 1, 3, 4, 63, 64] {
            let signed = |number: u8| {
                let bytes = vec![number; usize::from(length.saturating_sub(number % 3))];
                DecoratedSignature {
                    hint: SignatureHint([number; 4]),
                    signature: XdrSignature(bytes.try_into().expect("short")),
                }
            };
            let signatures: Vec<_> = (0..count).map(signed).collect();
            let signatures: VecM<DecoratedSignature, 20> = signatures.try_into().expect("few");
            let (mut v0, mut v1, mut bump) = (v0(), v1(), fee_bump());
            let TransactionEnvelope::TxV0(v0_envelope) = &mut v0 else { panic!("v0") };
            let TransactionEnvelope::Tx(v1_envelope) = &mut v1 else { panic!("v1") };
            let TransactionEnvelope::TxFeeBump(bump_envelope) = &mut bump else { panic!("a fee bump") };
            v0_envelope.signatures = signatures.clone();
            v1_envelope.signatures = signatures.clone();
            bump_envelope.signatures = signatures;
            for envelope in [v0, v1, bump] {
                let decoded = SignedTransaction::decode(&id, &encode(&envelope)).expect("canonical");
                assert_eq!(*decoded.hash(), transaction_hash(&id, &envelope), "{count} of {length} bytes");
            }
        }
    }
}

#[test]
fn transaction_is_the_same_whatever_is_known_of_its_signatures() {
    let id = network_id(PASSPHRASE);
    let mut envelope = v1();
    sign_envelope(&id, &mut envelope, &[&key(1), &key(2)]).expect("room");
    let read = || SignedTransaction::decode(&id, &encode(&envelope)).expect("canonical");
    let (known, unknown) = (read(), read());
    known.signers().found(1, key(2).public());
    known.signers().found(1, key(3).public());
    known.signers().found(2, key(2).public());
    let asked = [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (2, 2)];
    let answers =
        |of: &SignedTransaction| asked.map(|(place, it)| of.signers().is_known(place, &key(it).public()));
    assert_eq!(answers(&known), [false, false, false, true, false, false]);
    assert_eq!(answers(&unknown), [false; 6]);
    assert_eq!(answers(&known.clone()), answers(&known));
    assert_eq!(known, unknown);
}

#[test]
fn decoded_envelope_shows_what_was_built() {
    let network = network_id(PASSPHRASE);
    let mut envelope = fee_bump();
    sign_envelope(&network, &mut envelope, &[&key(2), &key(3)]).expect("room");
    let bytes = encode(&envelope);
    let decoded = SignedTransaction::decode(&network, &bytes).expect("canonical");
    assert_eq!(decoded, SignedTransaction::from_envelope(&network, envelope.clone()).expect("short"));
    assert_eq!(decoded.bytes(), bytes);
    assert_eq!(decoded.source(), key(1).public());
    assert_eq!(decoded.fee_source(), key(2).public());
    assert_eq!((decoded.sequence(), decoded.fee(), decoded.fee_operations()), (7, 400, 2));
    assert_eq!(decoded.signature_count(), 2);
    assert_eq!(decoded.inner_hash(), &transaction_hash(&network, &v1()));
    assert_eq!(decoded.hash(), &transaction_hash(&network, &envelope));
    assert_eq!(decoded.full_hash(), &sha256(&[&bytes]));
}

#[test]
fn signature_of_an_envelope_verifies_and_carries_the_hint() {
    let network = network_id(PASSPHRASE);
    let mut envelope = v1();
    sign_envelope(&network, &mut envelope, &[&key(1)]).expect("room");
    let signed = SignedTransaction::from_envelope(&network, envelope).expect("short");
    let [decorated] = signed.signatures() else { panic!("one signature") };
    assert_eq!(decorated.hint.0, key(1).public().hint());
    let signature = Signature(decorated.signature.0.as_slice().try_into().expect("64 bytes"));
    assert!(verify(Claim { key: &key(1).public(), message: &signed.hash().0, signature: &signature }));
}

#[test]
fn sign_envelope_with_21_signatures_refused_and_envelope_unchanged() {
    let network = network_id(PASSPHRASE);
    let mut envelope = v1();
    let signer = key(1);
    let keys = vec![&signer; 21];
    assert_eq!(sign_envelope(&network, &mut envelope, &keys), Err(EnvelopeError::TooManySignatures));
    assert_eq!(envelope, v1());
}

#[test]
fn decode_of_anything_but_the_canonical_bytes_refused() {
    let network = network_id(PASSPHRASE);
    let good = encode(&v1());
    assert!(SignedTransaction::decode(&network, &good).is_ok());
    for length in 0..good.len() {
        assert!(SignedTransaction::decode(&network, &good[..length]).is_err(), "cut to {length}");
    }
    let mut longer = good.clone();
    longer.extend([0; 4]);
    assert!(matches!(SignedTransaction::decode(&network, &longer), Err(EnvelopeError::Malformed(_))));
    let mut unknown_kind = good;
    unknown_kind[3] = 9;
    assert!(matches!(SignedTransaction::decode(&network, &unknown_kind), Err(EnvelopeError::Malformed(_))));
    let huge = vec![0; ENVELOPE_BYTES_MAX + 1];
    assert_eq!(SignedTransaction::decode(&network, &huge), Err(EnvelopeError::TooLong(huge.len())));
}

#[test]
fn decode_of_any_changed_byte_is_refused_or_gives_another_full_hash() {
    let network = network_id(PASSPHRASE);
    let mut envelope = fee_bump();
    sign_envelope(&network, &mut envelope, &[&key(2)]).expect("room");
    let good = encode(&envelope);
    let decoded = SignedTransaction::decode(&network, &good).expect("canonical");
    for position in 0..good.len() {
        let mut changed = good.clone();
        changed[position] ^= 1;
        if let Ok(other) = SignedTransaction::decode(&network, &changed) {
            assert_ne!(other.full_hash(), decoded.full_hash(), "byte {position}");
            assert_eq!(other.bytes(), changed, "byte {position}");
        }
    }
}

#[test]
fn decode_of_values_nested_too_deeply_refused() {
    use stellar_xdr::{Asset, ClaimPredicate, Claimant, ClaimantV0, CreateClaimableBalanceOp};

    let nested = |depth: usize| {
        let predicate = (0..depth)
            .fold(ClaimPredicate::Unconditional, |inner, _| ClaimPredicate::Not(Some(Box::new(inner))));
        let claimant =
            Claimant::ClaimantTypeV0(ClaimantV0 { destination: key(3).public().into(), predicate });
        let body = OperationBody::CreateClaimableBalance(CreateClaimableBalanceOp {
            asset: Asset::Native,
            amount: 1,
            claimants: vec![claimant].try_into().expect("one"),
        });
        let mut tx = plain();
        tx.operations = vec![Operation { source_account: None, body }].try_into().expect("one");
        encode(&TransactionEnvelope::Tx(TransactionV1Envelope { tx, signatures: VecM::default() }))
    };
    let network = network_id(PASSPHRASE);
    assert!(SignedTransaction::decode(&network, &nested(10)).is_ok());
    assert!(matches!(SignedTransaction::decode(&network, &nested(300)), Err(EnvelopeError::Malformed(_))));
}
