//! What travels between validators and to clients.

use std::sync::Arc;

use carat_types::batch::{BlockLimits, Payload};
use carat_types::block::CertifiedBlock;
use carat_types::builder::{amount, asset, price};
use carat_types::certificate::{Certificate, CommitCertificate, SealCertificate};
use carat_types::codec::{Decode, Encode};
use carat_types::genesis::GenesisFile;
use carat_types::hash::sha256;
use carat_types::message::Frame;
use carat_types::receipt::Receipt;
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::state_proof::StateProof;
use carat_types::submission::{Answer, Request};
use carat_types::validators::Ed25519;
use carat_types::{Digest, LeafRule, merkle, payload};

use crate::network::NETWORK;

/// Decodes; what is taken must be written in one way only.
pub(crate) fn canonical<T: Decode + Encode>(bytes: &[u8]) -> Option<T> {
    let value = T::from_bytes(bytes).ok()?;
    assert!(value.to_bytes() == bytes, "taken, but written otherwise");
    Some(value)
}

/// A frame of a peer.
pub fn frame(bytes: &[u8]) {
    canonical::<Frame>(bytes);
}

/// A block with its seals, as peers send it to who is behind.
pub fn block(bytes: &[u8]) {
    let Some(certified) = canonical::<CertifiedBlock>(bytes) else { return };
    let _ = certified.certificate.verify(
        &NETWORK.validators,
        &Ed25519,
        NETWORK.validators.quorum().one_correct(),
    );
    certified.block.header.hash();
}

/// Certificates of votes and of seals.
pub fn certificate(bytes: &[u8]) {
    let set = &NETWORK.validators;
    if let Some(commit) = canonical::<CommitCertificate>(bytes) {
        let _ = commit.verify(set, &Ed25519, set.quorum().quorum());
    }
    if let Some(seals) = canonical::<SealCertificate>(bytes) {
        let _ = seals.verify(set, &Ed25519, set.quorum().one_correct());
    }
}

/// A receipt in front of an auditor who holds the genesis file.
pub fn receipt(bytes: &[u8]) {
    canonical::<Receipt>(bytes);
}

/// What clients and nodes say to each other at the native entrance.
pub fn submission(bytes: &[u8]) {
    canonical::<Request>(bytes);
    if let Some(answer) = canonical::<Answer>(bytes) {
        answer.numbers();
        if let Answer::Settled(block) = &answer {
            for outcome in &block.outcomes {
                canonical::<Receipt>(&block.receipt(Digest::ZERO, outcome).to_bytes());
            }
        }
        if let Answer::Replied(word) = &answer {
            let reply = &word.reply;
            let alone = Certificate::assemble(reply.body, [(reply.signer, reply.signature)]);
            canonical::<Receipt>(&word.receipt(Digest::ZERO, alone).to_bytes());
        }
    }
}

/// A path in a Merkle tree.
pub fn merkle_path(bytes: &[u8]) {
    if let Some(path) = canonical::<merkle::Path>(bytes) {
        path.root(&Digest::ZERO);
        path.is_canonical();
    }
}

/// A proof that an entry is in the state, or that none with its key is.
pub fn state_proof(bytes: &[u8]) {
    if let Some(proof) = canonical::<StateProof>(bytes) {
        let present = proof.root(b"key", b"value");
        assert!(present.is_none() || proof.root_without(b"key").is_none(), "there and not there");
        let root = Some(NETWORK.header.state_root);
        assert!(present != root, "an entry that is not there");
        for (key, _) in &NETWORK.entries {
            assert!(proof.root_without(key.as_ref()) != root, "an entry that is there");
        }
    }
}

/// A part of a state, as peers send it to who is far behind.
pub fn state_chunk(bytes: &[u8]) {
    if let Some(chunk) = canonical::<StateChunk>(bytes) {
        chunk.root(&LeafRule::Open);
        chunk.end();
    }
}

/// The offer of a state.
pub fn snapshot_offer(bytes: &[u8]) {
    if let Some(offer) = canonical::<SnapshotOffer>(bytes) {
        offer.is_consistent();
        offer.base_transactions();
    }
    canonical::<Progress>(bytes);
}

/// A proposal's payload, and the check before a vote.
pub fn payload(bytes: &[u8]) {
    if let Some(payload) = canonical::<Payload>(bytes) {
        let _ = payload::check(Arc::new(payload), &NETWORK.id, &BlockLimits::default());
    }
}

/// A genesis file.
pub fn genesis_file(bytes: &[u8]) {
    if let Ok(file) = GenesisFile::parse(bytes) {
        assert!(file.validators().is_ok(), "a checked file has a possible number of validators");
        file.header();
    }
}

/// Amounts, prices and assets, as people write them: what is read is shown so that it is read again as the same.
pub fn text_forms(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(parsed) = amount::parse(text) {
        assert_eq!(amount::parse(&amount::format(parsed)), Ok(parsed));
    }
    if let Ok(parsed) = asset::parse(text) {
        assert_eq!(asset::parse(&asset::format(&parsed)).ok(), Some(parsed));
    }
    let _ = price::parse(text);
    sha256(&[bytes]);
}
