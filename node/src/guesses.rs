//! Checks what the front door is going to ask about transactions, many at once, as far as it can be guessed without the
//! state: the signatures of accounts' own keys. The rest is checked when it is asked.

use carat_types::signature::{Claim, KnownKeys};
use carat_types::transaction::{SignedTransaction, Signers, account_of};
use carat_types::{Digest, PublicKey, Signature};
use stellar_xdr::DecoratedSignature;

use crate::signatures::SignatureCache;

/// Whose signatures are found to be valid is noted with their transactions; of the others nothing is said.
pub(crate) fn check_ahead<'a>(
    cache: &SignatureCache,
    keys: &mut KnownKeys,
    transactions: impl Iterator<Item = &'a SignedTransaction>,
) {
    let guesses: Vec<Guess<'_>> = transactions.flat_map(guesses).collect();
    let claims: Vec<Claim<'_>> = guesses.iter().map(Guess::claim).collect();
    let valid = cache.check_ahead(&claims, keys);
    for (guess, _) in guesses.iter().zip(valid).filter(|(_, is_valid)| *is_valid) {
        guess.signers.found(guess.place, guess.key);
    }
}

/// A signature and the key that it is likely to be of.
struct Guess<'a> {
    key: PublicKey,
    message: &'a [u8],
    signature: Signature,
    /// Where its transaction keeps what is known of it.
    signers: &'a Signers,
    place: usize,
}

impl Guess<'_> {
    fn claim(&self) -> Claim<'_> {
        Claim { key: &self.key, message: self.message, signature: &self.signature }
    }
}

/// A decorated signature shows the last four bytes of its key.
fn guesses(transaction: &SignedTransaction) -> Vec<Guess<'_>> {
    let mut keys = vec![transaction.source()];
    keys.extend(transaction.operations().iter().filter_map(|it| it.source_account.as_ref()).map(account_of));
    let mut guesses =
        fitting(&keys, transaction.inner_hash(), transaction.signatures(), transaction.signers());
    if let Some(bump) = transaction.fee_bump() {
        let payer = [transaction.fee_source()];
        guesses.extend(fitting(&payer, transaction.hash(), &bump.signatures, &bump.signers));
    }
    guesses
}

fn fitting<'a>(
    keys: &[PublicKey],
    hash: &'a Digest,
    signatures: &[DecoratedSignature],
    signers: &'a Signers,
) -> Vec<Guess<'a>> {
    let guess = |(place, decorated): (usize, &DecoratedSignature)| {
        let key = *keys.iter().find(|key| key.hint() == decorated.hint.0)?;
        let signature = Signature(decorated.signature.0.as_slice().try_into().ok()?);
        Some(Guess { key, message: &hash.0, signature, signers, place })
    };
    signatures.iter().enumerate().filter_map(guess).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carat_types::SecretKey;
    use carat_types::signature::verify;
    use carat_types::transaction::{network_id, sign_envelope, sign_hash};
    use stellar_xdr::{
        FeeBumpTransaction, FeeBumpTransactionEnvelope, FeeBumpTransactionExt, FeeBumpTransactionInnerTx,
        Limits, Memo, Operation, OperationBody, Preconditions, SequenceNumber, Transaction,
        TransactionEnvelope, TransactionExt, TransactionV1Envelope, VecM, WriteXdr,
    };

    use super::*;
    use crate::metrics::Metrics;

    const FORGED: Digest = Digest([9; 32]);

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    /// Of the account 1, with an operation of account 2, signed by both and by a key that is nobody's own, in a bump that account 3
    /// pays for. Bit `i` of `forged` makes the signature of account `i + 1` one over something else.
    fn transaction(sequence: u8, forged: u8) -> SignedTransaction {
        let network = network_id("carat guesses");
        let sources = [None, Some(key(2).public().into())];
        let operations =
            sources.map(|source_account| Operation { source_account, body: OperationBody::Inflation });
        let inner = Transaction {
            source_account: key(1).public().into(),
            fee: 200,
            seq_num: SequenceNumber(sequence.into()),
            cond: Preconditions::None,
            memo: Memo::None,
            operations: operations.to_vec().try_into().expect("two"),
            ext: TransactionExt::V0,
        };
        let replace = |signatures: &mut VecM<DecoratedSignature, 20>, place: usize, account: u8| {
            if forged & (1 << (account - 1)) != 0 {
                let mut all = signatures.to_vec();
                all[place] = sign_hash(&key(account), &FORGED);
                *signatures = all.try_into().expect("as many");
            }
        };
        let mut inner =
            TransactionEnvelope::Tx(TransactionV1Envelope { tx: inner, signatures: VecM::default() });
        sign_envelope(&network, &mut inner, &[&key(4), &key(2), &key(1)]).expect("three");
        let TransactionEnvelope::Tx(mut inner) = inner else { panic!("as built") };
        replace(&mut inner.signatures, 1, 2);
        replace(&mut inner.signatures, 2, 1);
        let tx = FeeBumpTransaction {
            fee_source: key(3).public().into(),
            fee: 900,
            inner_tx: FeeBumpTransactionInnerTx::Tx(inner),
            ext: FeeBumpTransactionExt::V0,
        };
        let mut bump =
            TransactionEnvelope::TxFeeBump(FeeBumpTransactionEnvelope { tx, signatures: VecM::default() });
        sign_envelope(&network, &mut bump, &[&key(3)]).expect("one");
        let TransactionEnvelope::TxFeeBump(mut bump) = bump else { panic!("as built") };
        replace(&mut bump.signatures, 0, 3);
        let bytes = TransactionEnvelope::TxFeeBump(bump).to_xdr(Limits::none()).expect("encodable");
        SignedTransaction::decode(&network, &bytes).expect("canonical")
    }

    /// What is known afterwards: of each transaction the accounts 1, 2 and 3.
    fn known(transactions: &[SignedTransaction], cache: &SignatureCache) -> Vec<[bool; 3]> {
        check_ahead(cache, &mut KnownKeys::default(), transactions.iter());
        let known = transactions.iter().map(|transaction| {
            let bump = transaction.fee_bump().expect("a bump");
            let lists = [
                (transaction.inner_hash(), transaction.signatures(), transaction.signers()),
                (transaction.hash(), &bump.signatures, &bump.signers),
            ];
            for (hash, signatures, signers) in lists {
                for (place, decorated) in signatures.iter().enumerate() {
                    let signature = Signature(decorated.signature.0.as_slice().try_into().expect("64 bytes"));
                    let is_valid =
                        |key: &PublicKey| verify(Claim { key, message: &hash.0, signature: &signature });
                    let keys = (1..=4).map(|seed| key(seed).public());
                    for key in keys.filter(|key| signers.is_known(place, key)) {
                        assert!(is_valid(&key), "a signature that is not of {key} was noted as such");
                    }
                }
            }
            let inner = transaction.signers();
            [(inner, 2, 1), (inner, 1, 2), (&bump.signers, 0, 3)]
                .map(|(signers, place, account)| signers.is_known(place, &key(account).public()))
        });
        known.collect()
    }

    #[test]
    fn what_is_noted_of_a_signature_is_true_whoever_else_forged() {
        let cache = SignatureCache::new(Arc::new(Metrics::new().expect("declared once each")));
        let honest: Vec<_> = (0..20).map(|sequence| transaction(sequence, 0)).collect();
        assert_eq!(known(&honest[..5], &cache), [[true; 3]; 5]);
        // Some are remembered from before, others are forged each in its own way, so that places in the lists differ.
        let mixed: Vec<_> = (0..60)
            .map(|sequence| transaction(sequence, if sequence % 7 == 6 { sequence % 8 } else { 0 }))
            .collect();
        let of_mixed = known(&mixed, &cache);
        assert_eq!(of_mixed[..5], [[true; 3]; 5], "remembered");
        for (sequence, of_one) in (0_u8..).zip(&of_mixed) {
            let forged = if sequence % 7 == 6 { sequence % 8 } else { 0 };
            for (account, is_known) in of_one.iter().enumerate() {
                assert!(!(*is_known && forged & (1 << account) != 0), "{sequence} {account}");
            }
        }
        assert!(of_mixed.iter().flatten().any(|is_known| !is_known), "a batch with a forgery says nothing");
        assert_eq!(known(&honest, &cache), [[true; 3]; 20], "they come again");
    }
}
