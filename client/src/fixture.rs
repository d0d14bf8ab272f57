//! A hand-made network for unit tests: four validators with known keys, and receipts of theirs.

use carat_types::batch::{Batch, Envelope};
use carat_types::builder::{TransactionBuilder, operation};
use carat_types::certificate::Certificate;
use carat_types::epoch::{EpochSet, Handover};
use carat_types::genesis::{
    ConsensusConstants, Deployment, FORMAT, Genesis, GenesisFile, GenesisValidator, LedgerConstants, Profile,
    Trust,
};
use carat_types::header::{EpochEnd, Header};
use carat_types::merkle::Path as MerklePath;
use carat_types::message::{Ballot, Seal, SignedBody, SignerRole, TentativeReply};
use carat_types::receipt::{
    OrderProof, OrderVotes, Proof, Receipt, ResultBytes, ResultProof, TentativeProof, outcome_leaf,
};
use carat_types::transaction::{SignedTransaction, test_root_key};
use carat_types::{Digest, SecretKey, Signature, Slot, ValidatorId, View};
use stellar_xdr::{Limits, TransactionResult, TransactionResultExt, TransactionResultResult, WriteXdr as _};

/// Passphrase of the network.
pub(crate) const PASSPHRASE: &str = "carat receipt tests";

pub(crate) fn acceptor(validator: u8) -> SecretKey {
    SecretKey::from_seed(&[10 + validator; 32])
}

/// The validator with this number, below 10, in whatever sets it is.
pub(crate) fn validator(number: u8) -> GenesisValidator {
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    GenesisValidator {
        name: format!("bank {number}"),
        acceptor: acceptor(number).public(),
        proposer: key(20 + number),
        network: key(30 + number),
    }
}

/// How epochs of the network ended: the first in slot 10 with the first of these sets as the next one, and so on. Each handover is
/// sealed by as many of the first validators of its epoch as `seals` says.
pub(crate) fn handovers(
    genesis: &GenesisFile,
    sets: &[Vec<GenesisValidator>],
    seals: usize,
) -> Vec<Handover> {
    let deployment = &genesis.genesis.deployment;
    let sets = sets.iter().map(|validators| (validators.clone(), deployment.clone()));
    handovers_to(genesis, sets, seals)
}

/// The same, where proposers change too.
pub(crate) fn handovers_to(
    genesis: &GenesisFile,
    sets: impl IntoIterator<Item = (Vec<GenesisValidator>, Deployment)>,
    seals: usize,
) -> Vec<Handover> {
    let mut made = Vec::new();
    let mut present = genesis.genesis.first_set();
    for (validators, deployment) in sets {
        let next = EpochSet { epoch: present.epoch.next(), validators, deployment, ..present };
        let slot = Slot(10 * u64::from(next.epoch.0));
        let end = EpochEnd { slot, next_set: next.hash() };
        let header = Header { slot, epoch: present.epoch, epoch_end: Some(end), ..genesis.header() };
        let body = Seal { slot, header: header.hash() };
        let signed = (0..seals).map(|place| sign_in(genesis, &present, place, body));
        made.push(Handover { header, seals: Certificate::assemble(body, signed), next: next.clone() });
        present = next;
    }
    made
}

/// What the validator in this place of a set signs. It must be one of [`validator`].
pub(crate) fn sign_in<B: SignedBody>(
    genesis: &GenesisFile,
    set: &EpochSet,
    place: usize,
    body: B,
) -> (ValidatorId, Signature) {
    let own = set.validators[place].acceptor;
    let key = (0..10).map(acceptor).find(|key| key.public() == own).expect("one of ours");
    let validators = set.validators(genesis.chain_id).expect("a possible size");
    let signature = key.sign(&validators.domain().signing_bytes(&body));
    (ValidatorId(place.try_into().expect("small")), signature)
}

pub(crate) fn genesis_of(passphrase: &str) -> GenesisFile {
    genesis_trusting(passphrase, Trust::Bft)
}

pub(crate) fn genesis_trusting(passphrase: &str, trust: Trust) -> GenesisFile {
    let validators = (0..4).map(validator);
    let genesis = Genesis {
        format: FORMAT.into(),
        network_passphrase: passphrase.into(),
        profile: Profile::Test,
        trust,
        visibility: None,
        auditors: Vec::new(),
        salt_commitment: None,
        time_ms: 1_700_000_000_000,
        validators: validators.collect(),
        deployment: Deployment::default(),
        consensus: ConsensusConstants::default(),
        ledger: LedgerConstants {
            total_coins: 1_000_000_000_000_000_000,
            base_fee: 100,
            base_reserve: 5_000_000,
            protocol_version: 23,
            root_account: test_root_key(passphrase).public(),
            admission_restricted: false,
            members: Vec::new(),
            assets: carat_types::genesis::AssetRule::Any,
        },
        governance: None,
        state_root: Digest::ZERO,
    };
    GenesisFile::parse(&serde_json::to_vec(&genesis).expect("serialises")).expect("valid")
}

pub(crate) fn sign<B: SignedBody>(genesis: &GenesisFile, validator: u8, body: B) -> (ValidatorId, Signature) {
    assert_eq!(B::SIGNER, SignerRole::Acceptor);
    let set = genesis.validators().expect("four");
    (ValidatorId(validator.into()), acceptor(validator).sign(&set.domain().signing_bytes(&body)))
}

pub(crate) fn certificate<B: SignedBody + Copy>(
    genesis: &GenesisFile,
    signers: u8,
    body: B,
) -> Certificate<B> {
    Certificate::assemble(body, (0..signers).map(|validator| sign(genesis, validator, body)))
}

pub(crate) fn transaction(genesis: &GenesisFile, sequence: i64) -> SignedTransaction {
    let key = SecretKey::from_seed(&[1; 32]);
    let builder = TransactionBuilder::new(key.public(), sequence).expect("small");
    let envelope = builder.operation(operation::bump_sequence(99)).sign(&genesis.network_id(), &[&key]);
    SignedTransaction::from_envelope(&genesis.network_id(), envelope.expect("builds")).expect("fits")
}

/// A receipt of the second of three outcomes of slot 7, sealed by `seals` validators.
pub(crate) fn result_receipt(genesis: &GenesisFile, seals: u8) -> Receipt {
    let result = TransactionResult {
        fee_charged: 100,
        result: TransactionResultResult::TxBadAuth,
        ext: TransactionResultExt::V0,
    };
    let result = result.to_xdr(Limits::none()).expect("encodes");
    let transactions: Vec<_> = (0..3).map(|sequence| transaction(genesis, sequence)).collect();
    let leaf = |it: &SignedTransaction| outcome_leaf(it.hash(), it.full_hash(), &result);
    let leaves: Vec<Digest> = transactions.iter().map(leaf).collect();
    let header = Header {
        slot: Slot(7),
        ledger: 3,
        outcomes_root: carat_types::merkle::root(&leaves),
        ..genesis.header()
    };
    Receipt::of_result(ResultProof {
        transaction: *transactions[1].hash(),
        envelope: *transactions[1].full_hash(),
        result: ResultBytes(result),
        path: MerklePath::of(&leaves, 1).expect("three leaves"),
        seals: certificate(genesis, seals, Seal { slot: Slot(7), header: header.hash() }),
        header,
    })
}

/// The same outcome by TREPLYs of these many validators.
pub(crate) fn replied_receipt(genesis: &GenesisFile, words: u8) -> Receipt {
    let Proof::Result(proof) = result_receipt(genesis, 0).proof else { panic!("the receipt of an outcome") };
    let ResultProof { transaction, envelope, result, path, header, .. } = proof;
    let body = TentativeReply { view: View(2), slot: header.slot, header: header.hash() };
    let replies = certificate(genesis, words, body);
    Receipt::of_replies(TentativeProof { transaction, envelope, result, path, header, replies })
}

pub(crate) fn order_receipt(genesis: &GenesisFile, votes: impl FnOnce(Ballot) -> OrderVotes) -> Receipt {
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
