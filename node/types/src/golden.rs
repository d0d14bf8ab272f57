//! Frozen bytes: the encodings and hashes that a release may never change unseen, and canonical decoding.

use std::sync::Arc;

use crate::batch::{Batch, Body, Envelope, Payload, Value, null_digest};
use crate::block::{Block, CertifiedBlock};
use crate::certificate::Certificate;
use crate::codec::{Decode, Encode};
use crate::hash::{Digest, h, m};
use crate::header::{EpochEnd, Header, prefix_digest};
use crate::ids::{Epoch, SignerSet, Slot, ValidatorId, View};
use crate::merkle::Path;
use crate::message::*;
use crate::receipt::{OrderProof, OrderVotes, Receipt, ResultBytes, ResultProof};
use crate::signature::Signature;

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn ballot() -> Ballot {
    Ballot { view: View(3), slot: Slot(7), digest: digest(1), prefix: digest(2) }
}

fn certificate<B>(body: B) -> Certificate<B> {
    let signers: SignerSet = [ValidatorId(0), ValidatorId(3)].into_iter().collect();
    Certificate { body, signers, signatures: vec![Signature([5; 64]), Signature([6; 64])] }
}

fn header() -> Header {
    Header {
        chain_id: digest(9),
        epoch: Epoch(1),
        slot: Slot(64),
        ledger: 12,
        first_transaction: 4,
        parent: digest(10),
        batch: digest(11),
        prefix: digest(12),
        time_ms: 1_700_000_000_123,
        state_root: digest(13),
        outcomes_root: digest(14),
        drops_root: digest(15),
        epoch_end: Some(EpochEnd { slot: Slot(128), next_set: digest(16) }),
    }
}

fn payload() -> Arc<Payload> {
    let body = Arc::new(Body { envelopes: vec![Envelope([1u8, 2, 3].as_slice().into())] });
    let batch = Batch { time_ms: 5, bodies: vec![body.digest()] };
    Arc::new(Payload { value: Value::Batch(batch), bodies: vec![body] })
}

fn stable() -> StableCheckpoint {
    let header = header();
    let certificate = certificate(Seal { slot: header.slot, header: header.hash() });
    StableCheckpoint { header, certificate }
}

fn view_change() -> Arc<Signed<ViewChange>> {
    let report = SlotReport {
        slot: Slot(65),
        last_vote: Some(LastVote { view: View(2), digest: digest(1) }),
        prepared: Some(certificate(Prepare(ballot()))),
    };
    let body = ViewChange { view: View(4), stable: Some(stable()), reports: vec![report] };
    Arc::new(Signed { signer: ValidatorId(2), body, signature: Signature([7; 64]) })
}

fn signed<B>(body: B) -> Signed<B> {
    Signed { signer: ValidatorId(1), body, signature: Signature([8; 64]) }
}

/// One value of each message and of everything inside them.
fn messages() -> Vec<Message> {
    let pre_prepare = PrePrepare { view: View(3), slot: Slot(7), parent: digest(3), digest: digest(1) };
    let proposal = Proposal { signed: signed(pre_prepare), payload: payload() };
    let signature = ProposalSignature { parent: digest(3), signature: Signature([4; 64]) };
    let block = Block { header: header(), payload: payload() };
    let seal = Seal { slot: Slot(7), header: digest(1) };
    let votes = HighestVotes {
        of: ValidatorId(1),
        prepare: Some(signed(Prepare(ballot()))),
        commit: Some(signed(Commit(ballot()))),
        view_change: Some(view_change()),
    };
    let status = Status {
        view: View(1),
        active: true,
        stable: Slot(2),
        last_final: Slot(3),
        last_executed: Slot(4),
        highest_vote: Slot(5),
        highest_commit: Slot(6),
    };
    vec![
        Message::Proposal(Arc::new(proposal)),
        Message::Prepare(PrepareMessage {
            signed: signed(Prepare(ballot())),
            justification: Justification::Proposal(signature),
        }),
        Message::Prepare(PrepareMessage {
            signed: signed(Prepare(ballot())),
            justification: Justification::NewView(digest(8)),
        }),
        Message::Commit(signed(Commit(ballot()))),
        Message::ViewChange(view_change()),
        Message::NewView(Arc::new(signed(NewView { view: View(4), view_changes: vec![view_change()] }))),
        Message::Seal(signed(seal)),
        Message::Status(status),
        Message::Fetch(Fetch::Payload(digest(1))),
        Message::Fetch(Fetch::Blocks(Slot(9))),
        Message::Fetch(Fetch::HighestVotes(ValidatorId(1))),
        Message::Data(Data::Payload(payload())),
        Message::Data(Data::Block(Arc::new(CertifiedBlock { block, certificate: certificate(seal) }))),
        Message::Data(Data::Commit(certificate(Commit(ballot())))),
        Message::Data(Data::Stable(Arc::new(stable()))),
        Message::Data(Data::HighestVotes(Arc::new(votes))),
        Message::Transactions(Transactions { envelopes: vec![Envelope([9u8; 4].as_slice().into())] }),
        Message::Body(Arc::clone(&payload().bodies[0])),
        Message::BodiesHeld(BodiesHeld { bodies: vec![digest(1)] }),
        Message::Announcement(Announcement {
            signed: signed(PrePrepare { view: View(3), slot: Slot(7), parent: digest(1), digest: digest(2) }),
            batch: Batch { time_ms: 5, bodies: vec![digest(3)] },
        }),
    ]
}

fn receipts() -> Vec<Receipt> {
    let path = Path { sides: 1, siblings: vec![digest(1)] };
    let order = |votes| OrderProof {
        envelope: Envelope([1u8, 2, 3].as_slice().into()),
        path: path.clone(),
        batch: Batch { time_ms: 5, bodies: vec![digest(2)] },
        body: 0,
        votes,
    };
    vec![
        Receipt::of_order(order(OrderVotes::Prepared(certificate(Prepare(ballot()))))),
        Receipt::of_order(order(OrderVotes::Committed(certificate(Commit(ballot()))))),
        Receipt::of_result(ResultProof {
            transaction: digest(1),
            envelope: digest(2),
            result: ResultBytes(vec![1, 2, 3]),
            path,
            header: header(),
            seals: certificate(Seal { slot: Slot(64), header: header().hash() }),
        }),
    ]
}

/// Decodes back to itself, and no truncated or extended form decodes at all.
fn check_canonical<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    for length in 0..bytes.len() {
        assert!(T::from_bytes(&bytes[..length]).is_err(), "{value:?} cut to {length} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(T::from_bytes(&longer).is_err(), "{value:?} with a byte more");
}

/// Whatever a changed encoding decodes to encodes to exactly the changed bytes.
fn check_bijective<T: Encode + Decode>(value: &T) {
    let bytes = value.to_bytes();
    for position in 0..bytes.len() {
        for change in [1u8, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[position] ^= change;
            if let Ok(other) = T::from_bytes(&changed) {
                assert_eq!(other.to_bytes(), changed, "byte {position}");
            }
        }
    }
}

#[test]
fn every_message_and_receipt_has_one_encoding() {
    for message in messages() {
        check_canonical(&message);
        check_bijective(&message);
    }
    for receipt in receipts() {
        check_canonical(&receipt);
        check_bijective(&receipt);
    }
}

#[test]
fn encodings_are_the_frozen_ones() {
    let seen: Vec<String> = messages()
        .iter()
        .map(|message| (message.name(), message.to_bytes()))
        .chain(receipts().iter().map(|receipt| ("receipt", receipt.to_bytes())))
        .map(|(name, bytes)| format!("{name} {} {}", bytes.len(), m("golden", &[&bytes]).short()))
        .collect();
    assert_eq!(seen, GOLDEN_ENCODINGS);
}

#[test]
fn hashes_and_signed_bytes_are_the_frozen_ones() {
    let domain = Domain { chain_id: digest(9), epoch: Epoch(1) };
    let reply = TentativeReply { view: View(4), slot: Slot(2), header: digest(3) };
    let seen = [
        ("H", h("tag", &[b"x"])),
        ("M", m("tag", &[b"x"])),
        ("null", null_digest()),
        ("prefix", prefix_digest(&digest(1), Slot(2), &digest(3))),
        ("header", header().hash()),
        ("payload", payload().value.digest()),
        ("PREPARE", m("golden", &[&domain.signing_bytes(&Prepare(ballot()))])),
        ("COMMIT", m("golden", &[&domain.signing_bytes(&Commit(ballot()))])),
        ("TREPLY", m("golden", &[&domain.signing_bytes(&reply)])),
        ("NEW-VIEW", NewView { view: View(4), view_changes: vec![view_change()] }.hash()),
    ];
    let seen: Vec<String> = seen.iter().map(|(name, digest)| format!("{name} {digest}")).collect();
    assert_eq!(seen, GOLDEN_HASHES);
    let bytes = domain.signing_bytes(&Seal { slot: Slot(2), header: digest(3) });
    let expected = format!("{}{}{}{}", hex::encode("carat-bft/1\0"), "09".repeat(32), "00000001", "06");
    assert_eq!(hex::encode(bytes), format!("{expected}{}{}", "0000000000000002", "03".repeat(32)));
    let expected = format!("{}{}{}{}", hex::encode("carat-bft/1\0"), "09".repeat(32), "00000001", "07");
    let body = format!("{}{}{}", "0000000000000004", "0000000000000002", "03".repeat(32));
    assert_eq!(hex::encode(domain.signing_bytes(&reply)), format!("{expected}{body}"));
}

#[test]
fn null_value_is_the_hash_that_the_specification_names() {
    assert_eq!(null_digest(), h("null", &[]));
}

#[test]
fn list_over_its_limit_is_refused_before_anything_is_allocated() {
    let mut bytes = 5u64.to_bytes();
    bytes.extend(u32::MAX.to_be_bytes());
    let error = Batch::from_bytes(&bytes).expect_err("refused");
    assert_eq!(error.to_string(), "Digest: 4294967295 is over the limit of 64");
}

/// Name, length and short digest of each encoding.
const GOLDEN_ENCODINGS: &[&str] = &[
    "PRE-PREPARE 207 994b1d4a",
    "PREPARE 244 7be5562f",
    "PREPARE 180 f04d23ad",
    "COMMIT 147 5d405912",
    "VIEW-CHANGE 823 6a5703bc",
    "NEW-VIEW 901 9c41f513",
    "SEAL 107 7dc7ab4b",
    "STATUS 50 6cd54751",
    "FETCH 34 2aef6491",
    "FETCH 10 fd69742e",
    "FETCH 4 0ec3f5cb",
    "DATA 62 e8b30f3e",
    "DATA 535 fe8f2aa6",
    "DATA 222 d9cce8ac",
    "DATA 475 fe2dd290",
    "DATA 1121 f65a714d",
    "TRANSACTIONS 13 d4b89f97",
    "BODY 12 513d47b4",
    "BODIES-HELD 37 a9087b09",
    "PRE-PREPARE 191 a06a2ddb",
    "receipt 318 7602aa57",
    "receipt 318 557d0238",
    "receipt 586 09e4b826",
];
const GOLDEN_HASHES: &[&str] = &[
    "H 9542f906dd0e4a21115705161b003165a743db4bbb7c60c766951916fb1bd0ff",
    "M 32409576efb14f58602d0cbaea2bf39550bea8c77155dc7df69f9e969d105a56",
    "null 75c3d96b3d8dfaf233797c683e1baeccab159c85ab8e8b70ddfb80f2aec50abc",
    "prefix ecb3b82ec568bcd30d54c3a9cfba4a1cc9183ec3d5ee67ce061a6a67013ccde8",
    "header f4ad03229df29275292bb085ec085e7fa217dfdff91117d848f19a208efc1feb",
    "payload 51697c6105394317687f0aec35d235c9ba84d3792c97c9cd12bb8d73c55671b2",
    "PREPARE cee08103a9c4456eccc05b2f00630fb34eb66fcc3bad385f65b84621485f62d9",
    "COMMIT b39e761962d61e45aa167312884d6fe215cb717cb9ac389662a5afd91c41d8f5",
    "TREPLY 3ae818c10feabcd025de0c48f10b8388ec76c4a36f0b83c4488a7e129f982036",
    "NEW-VIEW 784de5454c3d15c7e64b10fe0d33c53077fbe391765303fb38ecda40007a1bb0",
];
