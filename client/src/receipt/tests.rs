//! A hand-made chain of one block, its receipts, and what happens when a byte of them is changed.

use carat_types::Slot;
use carat_types::codec::Encode as _;
use carat_types::genesis::Trust;
use carat_types::hash::{m, sha256};
use carat_types::message::{Commit, Prepare};
use carat_types::receipt::{Assumption, OrderVotes, Proof, Receipt, Rule, TentativeProof, Verifier};
use carat_types::transaction::{SignedTransaction, decode_envelope};
use stellar_xdr::{Limits, TransactionEnvelope, VecM, WriteXdr as _};

use super::*;
use crate::fixture::{
    PASSPHRASE, certificate, genesis_of, genesis_trusting, order_receipt, replied_receipt, result_receipt,
    transaction,
};

fn verify(text: &[u8], genesis: &GenesisFile) -> Result<Verdict, TextError> {
    verify_text(text, genesis)
}

fn text(receipt: &Receipt) -> Vec<u8> {
    format!("{}\n", to_text(&receipt.to_bytes())).into_bytes()
}

#[test]
fn good_receipt_gives_its_verdict_and_names_its_assumption() {
    let genesis = genesis_of(PASSPHRASE);
    let check = |receipt: Receipt, rule: &str, assumption: &str, outcome: bool| {
        let verdict = verify(&text(&receipt), &genesis).expect("valid");
        assert_eq!((verdict.slot, verdict.rule.to_string().as_str()), (Slot(7), rule));
        assert!(verdict.assumption.to_string().contains(assumption), "{}", verdict.assumption);
        assert_eq!(verdict.result.is_some(), outcome);
    };
    check(result_receipt(&genesis, 2), "SEAL", "at most 1", true);
    check(replied_receipt(&genesis, 3), "QUORUM-TREPLY", "at most 1", true);
    check(replied_receipt(&genesis, 2), "TREPLY", "one validator's word, not final", true);
    check(replied_receipt(&genesis, 1), "TREPLY", "crash-only", true);
    let prepares = |signers| {
        let genesis = &genesis;
        move |ballot| OrderVotes::Prepared(certificate(genesis, signers, Prepare(ballot)))
    };
    check(order_receipt(&genesis, prepares(3)), "FAST", "crash-only", false);
    check(order_receipt(&genesis, prepares(4)), "UNANIMOUS", "at most 1", false);
    let commits = |ballot| OrderVotes::Committed(certificate(&genesis, 3, Commit(ballot)));
    check(order_receipt(&genesis, commits), "COMMIT", "at most 1", false);
}

#[test]
fn every_receipt_of_a_network_where_fast_decides_says_so() {
    let genesis = genesis_trusting(PASSPHRASE, Trust::Crash);
    let prepares = |signers| {
        move |ballot| {
            OrderVotes::Prepared(certificate(
                &genesis_trusting(PASSPHRASE, Trust::Crash),
                signers,
                Prepare(ballot),
            ))
        }
    };
    let receipts = [
        result_receipt(&genesis, 2),
        order_receipt(&genesis, prepares(3)),
        order_receipt(&genesis, prepares(4)),
    ];
    for receipt in receipts {
        let verdict = verify(&text(&receipt), &genesis).expect("valid");
        assert_eq!((verdict.rule, verdict.assumption), (Rule::Fast, Assumption::CrashOnly));
    }
}

#[test]
fn network_where_fast_decides_has_no_treply_and_its_receipt_says_what_to_ask_for() {
    let genesis = genesis_trusting(PASSPHRASE, Trust::Crash);
    let error = verify(&text(&replied_receipt(&genesis, 3)), &genesis).expect_err("refused").to_string();
    assert!(error.contains("no validator sends TREPLY") && error.contains("FAST"), "{error}");
}

#[test]
fn treplys_on_another_header_or_outcome_than_the_shown_one_are_refused() {
    let genesis = genesis_of(PASSPHRASE);
    let broken: [fn(&mut TentativeProof); 3] = [
        |proof| proof.header.ledger += 1,
        |proof| proof.result.0[0] ^= 1,
        |proof| proof.replies.body.slot = Slot(8),
    ];
    for (case, spoil) in broken.into_iter().enumerate() {
        let mut receipt = replied_receipt(&genesis, 3);
        let Proof::Tentative(proof) = &mut receipt.proof else { panic!("TREPLYs") };
        spoil(proof);
        assert!(verify(&text(&receipt), &genesis).is_err(), "case {case}");
    }
}

#[test]
fn receipt_with_any_byte_changed_is_refused() {
    let genesis = genesis_of(PASSPHRASE);
    let commits = |ballot| OrderVotes::Committed(certificate(&genesis, 3, Commit(ballot)));
    for receipt in
        [result_receipt(&genesis, 2), order_receipt(&genesis, commits), replied_receipt(&genesis, 3)]
    {
        let bytes = receipt.to_bytes();
        for position in 0..bytes.len() {
            // The lowest and the highest bit, and all bits.
            for flip in [0x01, 0x80, 0xff] {
                let mut tampered = bytes.clone();
                tampered[position] ^= flip;
                let text = to_text(&tampered).into_bytes();
                assert!(verify(&text, &genesis).is_err(), "byte {position} ^ {flip:#x}");
            }
        }
        let text = text(&receipt);
        for position in 0..text.len() {
            let mut tampered = text.clone();
            tampered[position] ^= 0x01;
            assert!(verify(&tampered, &genesis).is_err(), "character {position}");
        }
        for length in [0, 1, text.len() / 2, text.len() - 2] {
            assert!(verify(&text[..length], &genesis).is_err(), "cut to {length}");
        }
        assert!(verify(&[text.as_slice(), b"A"].concat(), &genesis).is_err());
        assert!(verify(&[text.as_slice(), b"\n"].concat(), &genesis).is_err());
    }
}

#[test]
fn verifier_that_has_seen_a_block_checks_its_next_receipt_as_strictly() {
    let genesis = genesis_of(PASSPHRASE);
    let bytes = result_receipt(&genesis, 2).to_bytes();
    let mut verifier = Verifier::new(&genesis).expect("four validators");
    let verdict = verifier.verify(&bytes).expect("good");
    assert_eq!(verifier.verify(&bytes).expect("still good"), verdict);
    for position in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[position] ^= 0x01;
        assert!(verifier.verify(&tampered).is_err(), "byte {position}");
    }
    let one_seal = result_receipt(&genesis, 1).to_bytes();
    assert!(verifier.verify(&one_seal).is_err(), "seals of another receipt do not count");
}

#[test]
fn receipt_with_too_few_votes_or_of_another_network_is_refused() {
    let genesis = genesis_of(PASSPHRASE);
    let refused = |receipt: Receipt, genesis: &GenesisFile| verify(&text(&receipt), genesis).is_err();
    assert!(refused(result_receipt(&genesis, 1), &genesis));
    assert!(refused(replied_receipt(&genesis, 0), &genesis));
    let few = |ballot| OrderVotes::Committed(certificate(&genesis, 2, Commit(ballot)));
    assert!(refused(order_receipt(&genesis, few), &genesis));
    let error = verify(&text(&result_receipt(&genesis, 2)), &genesis_of("another")).expect_err("refused");
    assert!(error.to_string().contains("hint: use that network's genesis file"), "{error}");
}

#[test]
fn neighbour_in_a_receipt_is_not_found_by_trying_all_that_it_may_be() {
    let genesis = genesis_of(PASSPHRASE);
    let receipt = result_receipt(&genesis, 2);
    let Proof::Result(proof) = &receipt.proof else { panic!("the receipt of an outcome") };
    let neighbour = proof.path.siblings[0];
    // All that an outsider may guess, one guess of a hundred right; then the same with the signatures, which only the parties know.
    let guesses = (0..100).map(|sequence| transaction(&genesis, sequence));
    let of = |tried: &SignedTransaction, envelope: &[&[u8]]| {
        let parts = [&[tried.hash().0.as_slice()], envelope, &[proof.result.0.as_slice()]].concat();
        m("outcome", &parts)
    };
    let mut found = (0, 0);
    for tried in guesses {
        found.0 += usize::from(of(&tried, &[]) == neighbour);
        found.0 += usize::from(of(&tried, &[&unsigned_hash(&tried)]) == neighbour);
        found.1 += usize::from(of(&tried, &[&tried.full_hash().0]) == neighbour);
    }
    assert_eq!(found, (0, 1), "without the signatures, with them");
}

/// The envelope hash that somebody can compute who knows all of a transaction but its signatures.
fn unsigned_hash(transaction: &SignedTransaction) -> [u8; 32] {
    let mut envelope = decode_envelope(transaction.bytes()).expect("one");
    if let TransactionEnvelope::Tx(inner) = &mut envelope {
        inner.signatures = VecM::default();
    }
    sha256(&[&envelope.to_xdr(Limits::none()).expect("encodes")]).0
}
