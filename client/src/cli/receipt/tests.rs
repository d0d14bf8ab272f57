//! A hand-made chain of one block, its receipts, and what happens when a byte of them is changed.

use base64::Engine as _;
use carat_types::batch::{Batch, BlockLimits, Envelope};
use carat_types::builder::{TransactionBuilder, operation};
use carat_types::certificate::Certificate;
use carat_types::codec::Encode as _;
use carat_types::genesis::{
    ConsensusConstants, FORMAT, Genesis, GenesisValidator, LedgerConstants, Profile, Trust,
};
use carat_types::header::Header;
use carat_types::ids::{Slot, ValidatorId, View};
use carat_types::merkle::Path as MerklePath;
use carat_types::message::{Ballot, Commit, Prepare, Seal, SignedBody, SignerRole};
use carat_types::receipt::{OrderProof, OrderVotes, ResultBytes, ResultProof, outcome_leaf};
use carat_types::transaction::{SignedTransaction, test_root_key};
use carat_types::{Digest, SecretKey, Signature};
use stellar_xdr::{Limits, TransactionResult, TransactionResultExt, TransactionResultResult, WriteXdr as _};

use super::*;

const PASSPHRASE: &str = "carat receipt tests";

fn acceptor(validator: u8) -> SecretKey {
    SecretKey::from_seed(&[10 + validator; 32])
}

fn genesis_of(passphrase: &str) -> GenesisFile {
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    let validators = (0..4).map(|i| GenesisValidator {
        name: format!("bank {i}"),
        acceptor: acceptor(i).public(),
        proposer: key(20 + i),
        network: key(30 + i),
    });
    let genesis = Genesis {
        format: FORMAT.into(),
        network_passphrase: passphrase.into(),
        profile: Profile::Test,
        trust: Trust::Bft,
        time_ms: 1_700_000_000_000,
        validators: validators.collect(),
        consensus: ConsensusConstants { block: BlockLimits::default(), ..ConsensusConstants::default() },
        ledger: LedgerConstants {
            total_coins: 1_000_000_000_000_000_000,
            base_fee: 100,
            base_reserve: 5_000_000,
            protocol_version: 23,
            root_account: test_root_key(passphrase).public(),
            admission_restricted: false,
            members: Vec::new(),
        },
        state_root: Digest::ZERO,
    };
    GenesisFile::parse(&serde_json::to_vec(&genesis).expect("serialises")).expect("valid")
}

fn sign<B: SignedBody>(genesis: &GenesisFile, validator: u8, body: B) -> (ValidatorId, Signature) {
    assert_eq!(B::SIGNER, SignerRole::Acceptor);
    let set = genesis.validators().expect("four");
    (ValidatorId(validator.into()), acceptor(validator).sign(&set.domain().signing_bytes(&body)))
}

fn certificate<B: SignedBody + Copy>(genesis: &GenesisFile, signers: u8, body: B) -> Certificate<B> {
    Certificate::assemble(body, (0..signers).map(|validator| sign(genesis, validator, body)))
}

fn transaction(genesis: &GenesisFile, sequence: i64) -> SignedTransaction {
    let key = SecretKey::from_seed(&[1; 32]);
    let builder = TransactionBuilder::new(key.public(), sequence).expect("small");
    let envelope = builder.operation(operation::bump_sequence(99)).sign(&genesis.network_id(), &[&key]);
    SignedTransaction::from_envelope(&genesis.network_id(), envelope.expect("builds")).expect("fits")
}

/// A receipt of the second of three outcomes of slot 7, sealed by `seals` validators.
fn result_receipt(genesis: &GenesisFile, seals: u8) -> Receipt {
    let result = TransactionResult {
        fee_charged: 100,
        result: TransactionResultResult::TxBadAuth,
        ext: TransactionResultExt::V0,
    };
    let result = result.to_xdr(Limits::none()).expect("encodes");
    let hashes: Vec<Digest> = (0..3).map(|sequence| *transaction(genesis, sequence).hash()).collect();
    let leaves: Vec<Digest> = hashes.iter().map(|hash| outcome_leaf(hash, &result)).collect();
    let header = Header {
        slot: Slot(7),
        ledger: 3,
        outcomes_root: carat_types::merkle::root(&leaves),
        ..genesis.header()
    };
    Receipt::of_result(ResultProof {
        transaction: hashes[1],
        result: ResultBytes(result),
        path: MerklePath::of(&leaves, 1).expect("three leaves"),
        seals: certificate(genesis, seals, Seal { slot: Slot(7), header: header.hash() }),
        header,
    })
}

fn order_receipt(genesis: &GenesisFile, votes: impl FnOnce(Ballot) -> OrderVotes) -> Receipt {
    let envelopes: Vec<Envelope> =
        (0..3).map(|sequence| Envelope(transaction(genesis, sequence).bytes().into())).collect();
    let leaves: Vec<Digest> = envelopes.iter().map(Envelope::leaf).collect();
    let batch = Batch { time_ms: 5, bodies: vec![carat_types::merkle::root(&leaves)] };
    let ballot = Ballot { view: View(2), slot: Slot(7), digest: batch.digest(), prefix: Digest([3; 32]) };
    Receipt::of_order(OrderProof {
        envelope: envelopes[2].clone(),
        path: MerklePath::of(&leaves, 2).expect("three leaves"),
        batch,
        body: 0,
        votes: votes(ballot),
    })
}

fn text(receipt: &Receipt) -> Vec<u8> {
    format!("{}\n", BASE64.encode(receipt.to_bytes())).into_bytes()
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
fn receipt_with_any_byte_changed_is_refused() {
    let genesis = genesis_of(PASSPHRASE);
    let commits = |ballot| OrderVotes::Committed(certificate(&genesis, 3, Commit(ballot)));
    for receipt in [result_receipt(&genesis, 2), order_receipt(&genesis, commits)] {
        let bytes = receipt.to_bytes();
        for position in 0..bytes.len() {
            // The lowest and the highest bit, and all bits.
            for flip in [0x01, 0x80, 0xff] {
                let mut tampered = bytes.clone();
                tampered[position] ^= flip;
                let text = BASE64.encode(&tampered).into_bytes();
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
fn receipt_with_too_few_votes_or_of_another_network_is_refused() {
    let genesis = genesis_of(PASSPHRASE);
    let refused = |receipt: Receipt, genesis: &GenesisFile| verify(&text(&receipt), genesis).is_err();
    assert!(refused(result_receipt(&genesis, 1), &genesis));
    let few = |ballot| OrderVotes::Committed(certificate(&genesis, 2, Commit(ballot)));
    assert!(refused(order_receipt(&genesis, few), &genesis));
    let error = verify(&text(&result_receipt(&genesis, 2)), &genesis_of("another")).expect_err("refused");
    assert!(error.to_string().contains("hint: use that network's genesis file"), "{error}");
}
