//! Evidence on its way to the ledger: checked as the ledger will check it, and put into a call of the governance contract.

use carat_types::Epoch;
use carat_types::accountability::{EVIDENCE_SINCE, Submission};
use carat_types::codec::Encode as _;
use carat_types::epoch::Epochs;
use carat_types::evidence::{Evidence, EvidenceError};
use carat_types::genesis::GenesisFile;
use carat_types::governance::Call;
use carat_types::transaction::ENVELOPE_BYTES_MAX;
use carat_types::validators::Ed25519;
use stellar_xdr::Operation;
use thiserror::Error;

/// Room for what an envelope holds besides the evidence and the genesis file: accounts, bounds, signatures.
const ENVELOPE_ROOM: usize = 4 * 1024;

/// A call that can be submitted.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The operation.
    pub operation: Operation,
    /// What its fee is counted by: itself, and each signature that it has checked.
    pub fee_operations: u32,
}

/// Why evidence cannot be submitted.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// Nothing takes it.
    #[error("the genesis file names no governance account: this network takes no evidence")]
    NoGovernance,
    /// The rules in force are older.
    #[error(
        "protocol version {0} is in force, evidence is taken from version {EVIDENCE_SINCE} on (hint: carat governance propose \
         protocol-version {next}, one step at a time)", next = .0.saturating_add(1)
    )]
    Version(u32),
    /// The ledger would say the same.
    #[error("it proves nothing against the validators of this network: {0}")]
    ProvesNothing(#[from] EvidenceError),
    /// The ledger judges two epochs.
    #[error(
        "it is of epoch {seen}, expected {present} or the one before it (hint: the ledger keeps no older set of validators)"
    )]
    TooOld {
        /// Its epoch.
        seen: Epoch,
        /// The present one.
        present: Epoch,
    },
    /// No envelope holds it.
    #[error(
        "with the genesis file it has {seen} bytes, expected at most {most} (hint: other pieces that convict the same validator \
         may be smaller; carat evidence shows all)"
    )]
    TooLarge {
        /// Bytes.
        seen: usize,
        /// Bytes that fit.
        most: usize,
    },
}

/// Checks evidence, and makes the call that submits it under the rules of `protocol_version`.
///
/// **Errors**: [`SubmitError`], for what the ledger would refuse.
pub fn prepare(
    genesis: &GenesisFile,
    epochs: &Epochs,
    protocol_version: u32,
    evidence: Evidence,
) -> Result<Prepared, SubmitError> {
    let account = genesis.genesis.governance.ok_or(SubmitError::NoGovernance)?;
    if protocol_version < EVIDENCE_SINCE {
        return Err(SubmitError::Version(protocol_version));
    }
    let (epoch, _) = epochs.convicted(&evidence, &Ed25519)?;
    let present = epochs.present();
    if epoch != present && epoch.next() != present {
        return Err(SubmitError::TooOld { seen: epoch, present });
    }
    let file = if epoch == Epoch(0) { genesis.bytes.clone() } else { Vec::new() };
    let seen = evidence.to_bytes().len().saturating_add(file.len());
    let most = ENVELOPE_BYTES_MAX.saturating_sub(ENVELOPE_ROOM);
    if seen > most {
        return Err(SubmitError::TooLarge { seen, most });
    }
    let submission = Submission { epoch, evidence, genesis: file };
    let fee_operations = submission.signature_checks().saturating_add(1);
    let operation = Call::Evidence(Box::new(submission)).operation(&genesis.chain_id, &account);
    Ok(Prepared { operation, fee_operations })
}

/// What a failed call means, by the code of its operation.
pub fn refusal_in_words(operation_code: &str) -> Option<&'static str> {
    match operation_code {
        "function_trapped" => Some("it proves nothing against a validator of its epoch on this chain"),
        "entry_archived" => Some(
            "the ledger does not know the validators of its epoch: it judges the present epoch and the one before it, and of \
             those after epoch 0 the ones that began under protocol version 29 or later",
        ),
        "resource_limit_exceeded" => Some("whom it convicts is on record for that offence in that epoch"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carat_types::evidence::Both;
    use carat_types::message::{
        LastVote, NewView, Seal, Signed, SignedBody, SignerRole, SlotReport, ViewChange,
    };
    use carat_types::{Digest, PublicKey, SecretKey, Slot, ValidatorId, View};

    use super::*;
    use crate::fixture::{PASSPHRASE, acceptor, genesis_of};

    fn governed() -> GenesisFile {
        let mut genesis = genesis_of(PASSPHRASE).genesis;
        genesis.governance = Some(PublicKey(SecretKey::from_seed(&[99; 32]).public().0));
        GenesisFile::parse(&serde_json::to_vec(&genesis).expect("serialises")).expect("valid")
    }

    /// Signs as validator 2, with its acceptor or its proposer key.
    fn sign<B: SignedBody>(body: B) -> Signed<B> {
        let key = match B::SIGNER {
            SignerRole::Acceptor => acceptor(2),
            SignerRole::Proposer => SecretKey::from_seed(&[22; 32]),
        };
        let set = governed().validators().expect("four");
        let signature = key.sign(&set.domain().signing_bytes(&body));
        Signed { signer: ValidatorId(2), body, signature }
    }

    fn seals(headers: [u8; 2]) -> Evidence {
        let [first, second] =
            headers.map(|header| sign(Seal { slot: Slot(9), header: Digest([header; 32]) }));
        Evidence::Seals(Both { first, second })
    }

    /// Two NEW-VIEWs of validator 2 for its view, one with so many reports that no envelope holds them.
    fn long_new_views() -> Evidence {
        let last_vote = Some(LastVote { view: View(1), digest: Digest::ZERO });
        let report = |slot| SlotReport { slot: Slot(slot), last_vote, prepared: None };
        let change = ViewChange { view: View(2), stable: None, reports: (1..65).map(report).collect() };
        let view_changes = std::iter::repeat_n(Arc::new(sign(change)), 40).collect();
        Evidence::NewViews(Both {
            first: sign(NewView { view: View(2), view_changes }),
            second: sign(NewView { view: View(2), view_changes: Vec::new() }),
        })
    }

    fn refusal(version: u32, genesis: &GenesisFile, evidence: Evidence) -> String {
        let epochs = Epochs::of(genesis).expect("four");
        prepare(genesis, &epochs, version, evidence).expect_err("refused").to_string()
    }

    #[test]
    fn prepared_call_pays_for_what_the_ledger_checks() {
        let genesis = governed();
        let epochs = Epochs::of(&genesis).expect("four");
        let prepared = prepare(&genesis, &epochs, EVIDENCE_SINCE, seals([1, 2])).expect("holds");
        // Itself, two signatures, and the genesis file.
        assert_eq!(prepared.fee_operations, 4);
    }

    #[test]
    fn evidence_that_the_ledger_would_refuse_is_not_submitted() {
        let genesis = governed();
        let older = refusal(EVIDENCE_SINCE - 1, &genesis, seals([1, 2]));
        assert!(older.contains("hint: carat governance propose protocol-version 29"), "{older}");
        let harmless = refusal(EVIDENCE_SINCE, &genesis, seals([1, 1]));
        assert!(harmless.contains("do not contradict"), "{harmless}");
        let large = refusal(EVIDENCE_SINCE, &genesis, long_new_views());
        assert!(large.contains("expected at most 98304 (hint:"), "{large}");
        let ungoverned = refusal(EVIDENCE_SINCE, &genesis_of(PASSPHRASE), seals([1, 2]));
        assert!(ungoverned.contains("no governance account"), "{ungoverned}");
    }
}
