//! Bugs of checking what peers show: certificates, checkpoints, blocks (sections 3, 7.2 and 11).

use super::Bug;

const PROOF: Bug = Bug { origin: "B5", file: "verify.rs", hunter: Some("wrong-certificate"), ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "signatures-in-certificates-unchecked",
        origin: "B5: any non-empty signature accepted (exochain PR 110, libp2p RUSTSEC-2019-0004)",
        within: "pub(crate) fn check_certificate",
        text: "self.checked.contains(&key)",
        instead: "true",
        ..PROOF
    },
    Bug {
        name: "certificates-of-f+1",
        origin: "B5: f+1 copies are enough",
        within: "pub(crate) fn check_view_change",
        text: "self.check_certificate(certificate, self.quorum.quorum())?;",
        instead: "self.check_certificate(certificate, self.quorum.one_correct())?;",
        ..PROOF
    },
    Bug {
        name: "certificates-of-another-slot",
        origin: "B5: votes of another view or sequence accepted (sawtooth 6d2fdac)",
        within: "pub(crate) fn check_view_change",
        text: "ballot.slot != report.slot || ballot.view >= view_change.view",
        instead: "false",
        ..PROOF
    },
    Bug {
        name: "view-changes-in-a-new-view-unchecked",
        origin: "B5: the signer compared to the sender, not to the key (sawtooth e7b4ba2)",
        within: "pub(crate) fn check_new_view",
        text: "self.check_signed(view_change.as_ref())?;",
        instead: "",
        hunter: Some("new-view-liar"),
        ..PROOF
    },
    Bug {
        name: "view-changes-counted-twice",
        origin: "B5: round changes counted with duplicates (Besu 2544dfd3e8)",
        within: "pub(crate) fn check_new_view",
        text: "view_changes.is_sorted_by(|a, b| a.signer < b.signer)",
        instead: "true",
        hunter: Some("new-view-liar"),
        ..PROOF
    },
    Bug {
        name: "view-changes-of-another-view",
        origin: "B6: a VIEW-CHANGE replayed in a later view",
        within: "pub(crate) fn check_new_view",
        text: "view_changes.iter().all(|view_change| view_change.body.view == new_view.view)",
        instead: "true",
        hunter: Some("new-view-liar"),
        ..PROOF
    },
    Bug {
        name: "commit-certificates-unchecked",
        origin: "B10: commit verification of sync (CometBFT GHSA-c32p-wcqj-j677)",
        file: "commit_rules.rs",
        within: "pub(crate) fn on_commit_certificate",
        text: "self.check_certificate(&certificate, self.quorum.quorum())?;",
        instead: "",
        ..PROOF
    },
    Bug {
        name: "prepares-pass-for-commits",
        origin: "B6: PREPARE and COMMIT signed identical bytes (raijin 17)",
        file: "commit_rules.rs",
        within: "pub(crate) fn on_commit_certificate",
        text: "self.check_certificate(&certificate, self.quorum.quorum())?;",
        instead: "{ let replayed = carat_types::certificate::Certificate { \
                  body: carat_types::message::Prepare(certificate.body.0), \
                  signers: certificate.signers, signatures: certificate.signatures.clone() }; \
                  if self.check_certificate(&replayed, self.quorum.quorum()).is_err() { \
                  self.check_certificate(&certificate, self.quorum.quorum())?; } }",
        ..PROOF
    },
    Bug {
        name: "checkpoint-by-one-seal",
        origin: "B10: two validators feed invalid blocks (snarkOS 3226)",
        within: "pub(crate) fn check_checkpoint",
        text: "self.quorum.quorum()",
        instead: "1",
        hunter: Some("checkpoint-liar"),
        ..PROOF
    },
    Bug {
        name: "checkpoint-of-another-header",
        origin: "B10: root mismatch only warned of (calimero 2387)",
        within: "fn are_seals_on(",
        text: "seals.body.header == header.hash()",
        instead: "true",
        hunter: Some("checkpoint-liar"),
        ..PROOF
    },
    Bug {
        name: "block-by-one-seal",
        origin: "B10: sync accepts what one peer says (snarkOS 3226)",
        within: "pub(crate) fn check_block",
        text: "self.quorum.one_correct()",
        instead: "1",
        hunter: Some("sync-liar"),
        ..PROOF
    },
    Bug {
        name: "convicts-by-votes-of-two-views",
        origin: "reliability 4.1, invariant 15: no correct validator is accused; a later view may choose otherwise",
        file: "evidence.rs",
        within: "fn contradict(",
        text: "(held.view, held.slot) == (other.view, other.slot)",
        instead: "held.slot == other.slot",
        hunter: Some("bad-proposer"),
        ..PROOF
    },
    Bug {
        name: "alarms-at-an-honest-choice",
        origin: "section 13: FAST is contradicted by another value, not by a free slot that a checkpoint covers",
        file: "evidence.rs",
        within: "pub(crate) fn compare_choice",
        text: "self.log.above(stable)",
        instead: "self.log.above(Slot(0))",
        hunter: Some("bad-proposer"),
        ..PROOF
    },
];
