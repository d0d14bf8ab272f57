//! Sets as they are voted on, and receipts over handovers of a made-up chain.

use super::*;
use crate::certificate::Certificate;
use crate::genesis::{
    AssetRule, Deployment, FORMAT, Genesis, GenesisFile, LeaderBounds, LedgerConstants, Profile, Trust,
};
use crate::message::{Seal, SignedBody};
use crate::receipt::{
    Assumption, Receipt, ReceiptError, ResultBytes, ResultProof, Rule, Verdict, Verifier, outcome_leaf,
};
use crate::state_proof::{ProofEnd, StateProof};
use crate::state_receipt::StateReceipt;
use crate::validators::Ed25519;
use crate::{PublicKey, SecretKey, ValidatorId};

/// Validators are numbered through all sets of a chain; each has three keys.
pub(crate) fn secret(validator: u8, role: u8) -> SecretKey {
    SecretKey::from_seed(&[role, validator].repeat(16).try_into().expect("32 bytes"))
}

fn validator(number: u8) -> GenesisValidator {
    let key = |role| secret(number, role).public();
    GenesisValidator { name: format!("bank {number}"), acceptor: key(1), proposer: key(2), network: key(3) }
}

pub(crate) fn validators(count: u8) -> Vec<GenesisValidator> {
    (0..count).map(validator).collect()
}

/// The set of an epoch of the made-up chain: each begins with validator number `epoch`, so that the oldest has gone.
pub(crate) fn set(epoch: u32) -> EpochSet {
    let first = u8::try_from(epoch).expect("few epochs");
    EpochSet {
        epoch: Epoch(epoch),
        validators: (first..first + 4).map(validator).collect(),
        deployment: Deployment::CoLocated,
        consensus: constants(),
    }
}

/// Defaults may change, the hash of what is written may not.
fn constants() -> ConsensusConstants {
    let leader = LeaderBounds { pause_ms: 1_000, ..LeaderBounds::default() };
    ConsensusConstants { leader, ..ConsensusConstants::default() }
}

pub(crate) fn genesis() -> GenesisFile {
    let genesis = Genesis {
        format: FORMAT.into(),
        network_passphrase: "epochs".into(),
        profile: Profile::Test,
        trust: Trust::Bft,
        visibility: None,
        auditors: Vec::new(),
        salt_commitment: None,
        time_ms: 1_700_000_000_000,
        validators: set(0).validators,
        deployment: Deployment::default(),
        consensus: set(0).consensus,
        ledger: LedgerConstants {
            total_coins: 1,
            base_fee: 100,
            base_reserve: 1,
            protocol_version: 28,
            root_account: PublicKey(secret(200, 1).public().0),
            admission_restricted: false,
            members: Vec::new(),
            assets: AssetRule::Any,
        },
        governance: None,
        state_root: Digest::ZERO,
    };
    GenesisFile::parse(&serde_json::to_vec(&genesis).expect("serialises")).expect("valid")
}

/// The first `count` validators of a set sign.
fn signed_by<B: SignedBody + Copy>(set: &EpochSet, count: usize, body: B) -> Certificate<B> {
    let keys = set.validators(genesis().chain_id).expect("a possible size");
    let message = keys.domain().signing_bytes(&body);
    let first = u8::try_from(set.epoch.0).expect("few epochs");
    let signers = (0_u8..).take(count);
    Certificate::assemble(
        body,
        signers.map(|index| (ValidatorId(index.into()), secret(first + index, 1).sign(&message))),
    )
}

fn sealed(set: &EpochSet, count: usize, header: &Header) -> SealCertificate {
    signed_by(set, count, Seal { slot: header.slot, header: header.hash() })
}

/// A header of an epoch that ends every 64 slots.
fn header(epoch: u32, slot: u64) -> Header {
    let end = EpochEnd { slot: Slot(64 * u64::from(epoch + 1)), next_set: set(epoch + 1).hash() };
    Header { epoch: Epoch(epoch), slot: Slot(slot), epoch_end: Some(end), ..genesis().header() }
}

/// The end of an epoch, sealed by f+1.
fn handover(epoch: u32) -> Handover {
    let header = header(epoch, 64 * u64::from(epoch + 1));
    Handover { seals: sealed(&set(epoch), 2, &header), header, next: set(epoch + 1) }
}

fn handovers(count: u32) -> Vec<Handover> {
    (0..count).map(handover).collect()
}

/// The receipt of the only outcome of a block, sealed by f+1 validators of `signers`.
fn receipt(header: Header, signers: &EpochSet, handovers: Vec<Handover>) -> Receipt {
    let (transaction, envelope, result) = (Digest([1; 32]), Digest([2; 32]), ResultBytes(vec![3; 12]));
    let header = Header { outcomes_root: outcome_leaf(&transaction, &envelope, &result.0), ..header };
    let path = crate::merkle::Path { sides: 0, siblings: Vec::new() };
    let seals = sealed(signers, 2, &header);
    Receipt::of_result(ResultProof { transaction, envelope, result, path, header, seals }).after(handovers)
}

fn verify(receipt: &Receipt) -> Result<Verdict, ReceiptError> {
    Receipt::verify(&receipt.to_bytes(), &genesis())
}

#[test]
fn receipt_is_verified_over_handovers_with_the_genesis_file_alone() {
    for epochs in 0..4 {
        let slot = 64 * u64::from(epochs) + 7;
        let verdict = verify(&receipt(header(epochs, slot), &set(epochs), handovers(epochs))).expect("valid");
        assert_eq!((verdict.slot, verdict.rule), (Slot(slot), Rule::Seal));
        let expected = match epochs {
            0 => Assumption::AtMostDishonest(1),
            _ => Assumption::AtMostDishonestInEach(1),
        };
        assert_eq!(verdict.assumption, expected, "after {epochs} handovers");
    }
}

#[test]
fn receipt_without_what_leads_to_its_epoch_refused() {
    let good = || receipt(header(2, 150), &set(2), handovers(2));
    let cases: [(&str, Receipt, &str); 7] = [
        ("no handover", good().after(Vec::new()), "no handover"),
        ("one handover of two", good().after(handovers(1)), "no handover"),
        ("one handover too many", good().after(handovers(3)), "no handover"),
        (
            "the second alone",
            good().after(handovers(2).split_off(1)),
            "handover 0 does not hold: it ends epoch 1",
        ),
        (
            "the first twice",
            good().after(vec![handover(0), handover(0)]),
            "handover 1 does not hold: its epoch ends before it begins",
        ),
        // A removed validator's key signs on: its seals name the old epoch, or the wrong place in the new one.
        ("seals of the set before", receipt(header(2, 150), &set(1), handovers(2)), "invalid"),
        ("a slot of the epoch before", receipt(header(2, 128), &set(2), handovers(2)), "is over"),
    ];
    verify(&good()).expect("valid");
    for (what, receipt, expected) in cases {
        let error = verify(&receipt).expect_err(what).to_string();
        assert!(error.contains(expected), "{what}: {error}");
    }
}

#[test]
fn handover_that_proves_nothing_refused() {
    type Spoil = fn(&mut Handover);
    let reseal = |handover: &mut Handover| handover.seals = sealed(&set(0), 2, &handover.header);
    let spoilt: [(&str, Spoil, bool, &str); 10] = [
        ("too few seals", |it| it.seals = sealed(&set(0), 1, &it.header), false, "1 distinct signers"),
        ("seals of the next set", |it| it.seals = sealed(&set(1), 3, &it.header), false, "invalid"),
        ("seals on another header", |it| it.header.time_ms += 1, false, "another header"),
        ("another chain", |it| it.header.chain_id = Digest([9; 32]), true, "is of chain"),
        ("no end in its header", |it| it.header.epoch_end = None, true, "does not end"),
        ("a header before the end", |it| it.header.slot = Slot(60), true, "does not end"),
        ("another set than voted on", |it| it.next.consensus.term = 2_048, true, "does not end"),
        ("another order of validators", |it| it.next.validators.swap(0, 1), true, "does not end"),
        (
            "a set of a later epoch",
            |it| name(it, EpochSet { epoch: Epoch(2), ..set(1) }),
            true,
            "of the next epoch",
        ),
        (
            "a set of three",
            |it| name(it, EpochSet { validators: validators(3), ..set(1) }),
            true,
            "3 validators",
        ),
    ];
    for (what, spoil, sealed_again, expected) in spoilt {
        let mut handover = handover(0);
        spoil(&mut handover);
        if sealed_again {
            reseal(&mut handover);
        }
        let error = verify(&receipt(header(1, 70), &set(1), vec![handover])).expect_err(what).to_string();
        assert!(error.starts_with("handover 0 does not hold") && error.contains(expected), "{what}: {error}");
    }
}

/// The header names this set as the next.
fn name(handover: &mut Handover, set: EpochSet) {
    handover.header.epoch_end = Some(EpochEnd { slot: handover.header.slot, next_set: set.hash() });
    handover.next = set;
}

#[test]
fn receipt_of_a_later_epoch_with_any_byte_changed_refused() {
    let bytes = receipt(header(1, 70), &set(1), handovers(1)).to_bytes();
    let mut verifier = Verifier::new(&genesis()).expect("four validators");
    verifier.verify(&bytes).expect("valid");
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 0x01;
        // A verifier that has seen the handover is as strict as one that has not.
        assert!(verifier.verify(&changed).is_err(), "byte {position}");
    }
    verifier.verify(&bytes).expect("still valid");
}

#[test]
fn verifier_that_has_seen_later_epochs_still_checks_those_before() {
    let mut verifier = Verifier::new(&genesis()).expect("four validators");
    for epoch in [2, 0, 1, 2, 0] {
        let slot = 64 * u64::from(epoch) + 7;
        let good = receipt(header(epoch, slot), &set(epoch), handovers(epoch));
        verifier.check(&good).expect("valid");
        let others = receipt(header(epoch, slot), &set(epoch + 1), handovers(epoch));
        verifier.check(&others).expect_err("sealed by the validators of the next epoch");
    }
}

#[test]
fn state_receipt_is_verified_over_handovers() {
    let proof = StateProof { siblings: Vec::new(), end: ProofEnd::Empty };
    let header = Header { state_root: proof.root_without(b"key").expect("an empty state"), ..header(1, 70) };
    let seals = sealed(&set(1), 2, &header);
    let receipt =
        StateReceipt { handovers: handovers(1), key: b"key".to_vec(), value: None, proof, header, seals };
    let verdict = StateReceipt::verify(&receipt.to_bytes(), &genesis()).expect("valid");
    assert_eq!((verdict.slot, verdict.assumption), (Slot(70), Assumption::AtMostDishonestInEach(1)));
    let without = StateReceipt { handovers: Vec::new(), ..receipt };
    assert!(StateReceipt::verify(&without.to_bytes(), &genesis()).is_err());
}

#[test]
fn set_is_read_as_it_was_written_and_its_hash_never_changes() {
    let written = serde_json::to_vec(&set(1)).expect("serialises");
    assert_eq!(EpochSet::parse(&written).expect("sound"), set(1));
    assert_eq!(EpochSet::from_bytes(&set(1).to_bytes()), Ok(set(1)));
    assert_eq!(
        set(1).hash().to_string(),
        "0fb77a0cd553e0a546b710906b7e4c9e01aa2f27053335b1eef83d63761ed7fe",
        "what headers name must never change for networks that exist"
    );
}

#[test]
fn name_that_no_terminal_should_show_refused() {
    for name in ["", "bank\u{1b}[2J", &"b".repeat(65)] {
        let mut set = set(1);
        set.validators[2].name = name.to_owned();
        let error = set.check().expect_err(name).to_string();
        assert!(error.starts_with("validator 2 is named"), "{error}");
    }
}

/// The set of an epoch of an edge network with so many proposers.
pub(crate) fn edge_set(epoch: u32, proposers: u8) -> EpochSet {
    let proposers = (0..proposers).map(crate::genesis::tests::proposer).collect();
    EpochSet { deployment: Deployment::Edge { proposers }, ..set(epoch) }
}

#[test]
fn set_of_an_edge_network_says_who_orders() {
    let set = edge_set(1, 3);
    let json = serde_json::to_vec(&set).expect("serialises");
    assert_eq!(EpochSet::parse(&json).expect("a possible set"), set);
    assert_eq!(EpochSet::from_bytes(&set.to_bytes()).expect("canonical"), set);
    let checked = set.validators(genesis().chain_id).expect("four and three");
    assert_eq!((checked.proposers(), checked.quorum().n(), checked.processes().count()), (3, 4, 7));
    let name = |place, role| set.name_of(ValidatorId(place), role).map(str::to_owned);
    assert_eq!(name(2, SignerRole::Proposer).as_deref(), Some("edge 2"));
    assert_eq!((name(3, SignerRole::Proposer), name(3, SignerRole::Acceptor)), (None, Some("bank 4".into())));

    let others = [edge_set(1, 2), super::tests::set(1), edge_set(2, 3)];
    assert!(others.iter().all(|other| other.hash() != set.hash()), "what is voted on covers all of it");
}

/// Headers of chains that exist name sets by their hashes.
#[test]
fn set_whose_validators_order_is_encoded_as_it_always_was() {
    let set = set(1);
    let written = [set.epoch.to_bytes(), set.validators.to_bytes(), set.consensus.to_bytes()].concat();
    assert_eq!(set.to_bytes(), written);
    // A set of nobody is one still, which the ledger refuses as malformed: builds that know no proposers find the same.
    let nobodys = EpochSet { validators: Vec::new(), ..set.clone() };
    let written = [set.epoch.to_bytes(), vec![0; 4], set.consensus.to_bytes()].concat();
    assert_eq!(EpochSet::from_bytes(&written), Ok(nobodys));
    // And what they cannot read as a set names proposers.
    let edge = edge_set(1, 2).to_bytes();
    let as_list = Vec::<GenesisValidator>::from_bytes(&edge[4..]);
    assert!(matches!(as_list, Err(DecodeError::TooLong { .. })), "{as_list:?}");
    assert!(!serde_json::to_string(&set).expect("serialises").contains("deployment"));
}

#[test]
fn edge_sets_that_can_be_nobodys_are_refused() {
    type Spoil = fn(&mut Vec<GenesisProposer>);
    let spoilt = |spoil: Spoil| {
        let mut set = edge_set(1, 2);
        let Deployment::Edge { proposers } = &mut set.deployment else { unreachable!("an edge network") };
        spoil(proposers);
        set.check().map_err(|error| error.to_string())
    };
    assert_eq!(spoilt(|_| {}), Ok(()));
    let cases: [(Spoil, &str); 5] = [
        (|all| all.clear(), "it lists 0 edge proposers beside 4 validators"),
        (|all| all[1].network = all[0].network, "edge proposer \"edge 1\", network: repeated key"),
        (|all| all[1].proposer = super::tests::set(1).validators[0].acceptor, "repeated key"),
        (|all| all[0].name.clear(), "proposer 0 is named \"\""),
        (|all| all[0].proposer = PublicKey([0xff; 32]), "weak key"),
    ];
    for (spoil, expected) in cases {
        let refused = spoilt(spoil).expect_err(expected);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn handover_of_an_edge_network_proves_its_proposers() {
    let (first, next) = (edge_set(0, 2), edge_set(1, 3));
    let end = EpochEnd { slot: Slot(64), next_set: next.hash() };
    let header = Header { slot: Slot(64), epoch_end: Some(end), ..genesis().header() };
    let handover = Handover { seals: sealed(&first, 2, &header), header, next };
    let mut epochs = Epochs::beginning_with(first, genesis().chain_id).expect("four and two");
    let handovers = read_handovers(&write_handovers(std::slice::from_ref(&handover))).expect("as written");
    assert!(epochs.follow(&handovers, &Ed25519).expect("holds"));
    assert_eq!(epochs.validators().proposers(), 3);

    let other = Handover { next: edge_set(1, 4), ..handover };
    let mut epochs = Epochs::beginning_with(edge_set(0, 2), genesis().chain_id).expect("four and two");
    assert!(epochs.follow(&[other], &Ed25519).is_err(), "another proposer than those that were voted on");
}
