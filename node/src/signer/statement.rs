//! The bytes that consensus has signed, read back: a signer signs nothing that it does not understand.

use carat_types::codec::{Decode, DecodeError, Reader};
use carat_types::hash::h;
use carat_types::message::{
    Commit, Kind, NewView, PrePrepare, Prepare, Seal, SignedBody, SignerRole, TentativeReply, ViewChange,
};
use carat_types::{Digest, Epoch, Slot, View};
use thiserror::Error;

/// What stands before every signed body (section 2).
const PREFIX: &[u8] = b"carat-bft/1\0";

/// A statement as a signer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its epoch.
    pub epoch: Epoch,
    /// What it is.
    pub kind: Kind,
    /// Its view; 0 for a SEAL, which belongs to none.
    pub view: View,
    /// Its slot; 0 for VIEW-CHANGE and NEW-VIEW, which speak of none.
    pub slot: Slot,
    /// The value that it is for: a batch's or a header's digest; zero where there is none.
    pub value: Digest,
    /// Hash of all the bytes: two statements are the same if these are.
    pub hash: Digest,
    /// A VIEW-CHANGE in full: what it says of earlier votes is checked.
    pub view_change: Option<Box<ViewChange>>,
}

/// Why bytes are no statement of this chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotUnderstood {
    /// Not what consensus signs.
    #[error("these are no bytes that consensus signs")]
    Prefix,
    /// Another chain's.
    #[error("they are of chain {seen}, this signer's is {expected}")]
    Chain {
        /// In the bytes.
        seen: Digest,
        /// Of the signer's genesis file.
        expected: Digest,
    },
    /// No kind of section 2.
    #[error("kind {0} is unknown")]
    Kind(u8),
    /// A body that is not one.
    #[error("the body does not decode: {0}")]
    Body(#[from] DecodeError),
}

impl Statement {
    /// Reads `"carat-bft/1" | 0x00 | chain_id | u32 epoch | u8 kind | body`.
    ///
    /// **Errors**: [`NotUnderstood`], for all else.
    pub fn read(bytes: &[u8], chain_id: &Digest) -> Result<Self, NotUnderstood> {
        let mut input = Reader::new(bytes.strip_prefix(PREFIX).ok_or(NotUnderstood::Prefix)?);
        let seen = Digest::decode(&mut input)?;
        if seen != *chain_id {
            return Err(NotUnderstood::Chain { seen, expected: *chain_id });
        }
        let epoch = Epoch::decode(&mut input)?;
        let kind = kind(u8::decode(&mut input)?)?;
        let body = input.take(input.remaining())?;
        let mut view_change = None;
        let none = (Slot(0), Digest::ZERO);
        let (view, (slot, value)) = match kind {
            Kind::PrePrepare => {
                let body = PrePrepare::from_bytes(body)?;
                (body.view, (body.slot, body.digest))
            }
            Kind::Prepare => {
                let Prepare(ballot) = Prepare::from_bytes(body)?;
                (ballot.view, (ballot.slot, ballot.digest))
            }
            Kind::Commit => {
                let Commit(ballot) = Commit::from_bytes(body)?;
                (ballot.view, (ballot.slot, ballot.digest))
            }
            Kind::ViewChange => {
                let body = ViewChange::from_bytes(body)?;
                let view = body.view;
                view_change = Some(Box::new(body));
                (view, none)
            }
            Kind::NewView => (NewView::from_bytes(body)?.view, none),
            Kind::Seal => {
                let body = Seal::from_bytes(body)?;
                (View(0), (body.slot, body.header))
            }
            Kind::TentativeReply => {
                let body = TentativeReply::from_bytes(body)?;
                (body.view, (body.slot, body.header))
            }
        };
        let hash = h("signer", &[bytes]);
        Ok(Statement { epoch, kind, view, slot, value, hash, view_change })
    }

    /// Whose key signs it (I11).
    pub fn role(&self) -> SignerRole {
        match self.kind {
            Kind::PrePrepare => PrePrepare::SIGNER,
            Kind::Prepare => Prepare::SIGNER,
            Kind::Commit => Commit::SIGNER,
            Kind::ViewChange => ViewChange::SIGNER,
            Kind::NewView => NewView::SIGNER,
            Kind::Seal => Seal::SIGNER,
            Kind::TentativeReply => TentativeReply::SIGNER,
        }
    }
}

/// The name of a kind in the papers' words.
pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::PrePrepare => "PRE-PREPARE",
        Kind::Prepare => "PREPARE",
        Kind::Commit => "COMMIT",
        Kind::ViewChange => "VIEW-CHANGE",
        Kind::NewView => "NEW-VIEW",
        Kind::Seal => "SEAL",
        Kind::TentativeReply => "TREPLY",
    }
}

/// The kind of a byte.
///
/// **Errors**: a byte that stands for none.
pub fn kind(byte: u8) -> Result<Kind, NotUnderstood> {
    const ALL: [Kind; 7] = [
        Kind::PrePrepare,
        Kind::Prepare,
        Kind::Commit,
        Kind::ViewChange,
        Kind::NewView,
        Kind::Seal,
        Kind::TentativeReply,
    ];
    ALL.into_iter().find(|kind| *kind as u8 == byte).ok_or(NotUnderstood::Kind(byte))
}

/// What TLS 1.3 has a certificate's key sign (RFC 8446, section 4.4.3): 64 spaces, whose side it is, a zero, a hash.
pub fn is_handshake(bytes: &[u8]) -> bool {
    const SIDES: [&[u8]; 2] =
        [b"TLS 1.3, server CertificateVerify\0", b"TLS 1.3, client CertificateVerify\0"];
    let Some(rest) = bytes.strip_prefix(&[b' '; 64]) else { return false };
    SIDES.into_iter().any(|side| rest.strip_prefix(side).is_some_and(|hash| matches!(hash.len(), 32 | 48)))
}

#[cfg(test)]
mod tests {
    use carat_types::message::{Ballot, Domain};

    use super::*;

    const CHAIN: Digest = Digest([7; 32]);

    fn domain() -> Domain {
        Domain { chain_id: CHAIN, epoch: Epoch(3) }
    }

    fn ballot() -> Ballot {
        Ballot { view: View(2), slot: Slot(9), digest: Digest([1; 32]), prefix: Digest([2; 32]) }
    }

    #[test]
    fn statement_of_each_kind_is_read_back() {
        let change = ViewChange { view: View(5), stable: None, reports: Vec::new() };
        let new_view = NewView { view: View(5), view_changes: Vec::new() };
        let propose =
            PrePrepare { view: View(2), slot: Slot(9), parent: Digest::ZERO, digest: Digest([1; 32]) };
        let seal = Seal { slot: Slot(9), header: Digest([1; 32]) };
        let reply = TentativeReply { view: View(2), slot: Slot(9), header: Digest([1; 32]) };
        let (nine, one) = (Slot(9), Digest([1; 32]));
        let table = [
            (domain().signing_bytes(&propose), Kind::PrePrepare, View(2), nine, one),
            (domain().signing_bytes(&Prepare(ballot())), Kind::Prepare, View(2), nine, one),
            (domain().signing_bytes(&Commit(ballot())), Kind::Commit, View(2), nine, one),
            (domain().signing_bytes(&change), Kind::ViewChange, View(5), Slot(0), Digest::ZERO),
            (domain().signing_bytes(&new_view), Kind::NewView, View(5), Slot(0), Digest::ZERO),
            (domain().signing_bytes(&seal), Kind::Seal, View(0), nine, one),
            (domain().signing_bytes(&reply), Kind::TentativeReply, View(2), nine, one),
        ];
        for (bytes, kind, view, slot, value) in table {
            let read = Statement::read(&bytes, &CHAIN).expect("understood");
            assert_eq!(
                (read.epoch, read.kind, read.view, read.slot, read.value),
                (Epoch(3), kind, view, slot, value)
            );
        }
    }

    #[test]
    fn bytes_that_are_no_statement_of_this_chain_are_not_understood() {
        let sound = domain().signing_bytes(&Prepare(ballot()));
        let refused = |bytes: &[u8]| Statement::read(bytes, &CHAIN).expect_err("refused");
        assert_eq!(refused(b"payment of all that I have"), NotUnderstood::Prefix);
        assert_eq!(
            refused(&[&sound[..], &[0]].concat()),
            NotUnderstood::Body(DecodeError::Trailing { bytes: 1 })
        );
        assert!(matches!(refused(&sound[..sound.len() - 1]), NotUnderstood::Body(_)));
        let mut other = sound.clone();
        other[PREFIX.len()] ^= 1;
        assert!(matches!(refused(&other), NotUnderstood::Chain { .. }));
        let mut unknown = sound;
        unknown[PREFIX.len() + 36] = 8;
        assert_eq!(refused(&unknown), NotUnderstood::Kind(8));
    }

    #[test]
    fn handshake_is_what_tls_signs_and_nothing_else() {
        let spaces = [b' '; 64];
        let of = |side: &[u8], hash: usize| [&spaces[..], side, &vec![1; hash]].concat();
        assert!(is_handshake(&of(b"TLS 1.3, server CertificateVerify\0", 32)));
        assert!(is_handshake(&of(b"TLS 1.3, client CertificateVerify\0", 48)));
        assert!(!is_handshake(&of(b"TLS 1.3, client CertificateVerify\0", 33)));
        assert!(!is_handshake(&domain().signing_bytes(&Prepare(ballot()))));
    }
}
