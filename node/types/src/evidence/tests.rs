//! What convicts, and what looks like it and does not.

use super::*;
use crate::certificate::Certificate;
use crate::ids::Epoch;
use crate::message::{LastVote, SignerRole};
use crate::signature::SecretKey;
use crate::validators::{Ed25519, ValidatorKeys};

const V: Slot = Slot(7);

fn key(validator: u16, role: SignerRole) -> SecretKey {
    let base = if role == SignerRole::Acceptor { 1 } else { 2 };
    let mut seed = [base; 32];
    seed[1] = u8::try_from(validator).expect("few");
    SecretKey::from_seed(&seed)
}

fn set() -> ValidatorSet {
    let keys = (0..4).map(|id| ValidatorKeys {
        acceptor: key(id, SignerRole::Acceptor).public(),
        proposer: key(id, SignerRole::Proposer).public(),
    });
    ValidatorSet::new(Digest([9; 32]), Epoch(0), keys.collect()).expect("four")
}

fn sign<B: SignedBody>(signer: u16, body: B) -> Signed<B> {
    let signature = key(signer, B::SIGNER).sign(&set().domain().signing_bytes(&body));
    Signed { signer: ValidatorId(signer), body, signature }
}

fn ballot(view: u64, value: u8) -> Ballot {
    Ballot { view: View(view), slot: V, digest: Digest([value; 32]), prefix: Digest([!value; 32]) }
}

fn fast(view: u64, value: u8, signers: &[u16]) -> PreparedCertificate {
    let body = Prepare(ballot(view, value));
    Certificate::assemble(body, signers.iter().map(|id| (ValidatorId(*id), sign(*id, body).signature)))
}

type Claim = Option<(u64, u8)>;

/// A VIEW-CHANGE with a last vote and a certificate for the slot.
fn change(signer: u16, view: u64, vote: Claim, certificate: Claim) -> Arc<Signed<ViewChange>> {
    let last_vote = vote.map(|(view, value)| LastVote { view: View(view), digest: Digest([value; 32]) });
    let prepared = certificate.map(|(view, value)| fast(view, value, &[0, 1, 2]));
    let reports = vec![SlotReport { slot: V, last_vote, prepared }];
    Arc::new(sign(signer, ViewChange { view: View(view), stable: None, reports }))
}

fn proposal(signer: u16, view: u64, slot: u64, value: u8) -> Signed<PrePrepare> {
    let digest = Digest([value; 32]);
    sign(signer, PrePrepare { view: View(view), slot: Slot(slot), parent: Digest::ZERO, digest })
}

fn new_view(signer: u16, view: u64, view_changes: Vec<Arc<Signed<ViewChange>>>) -> Signed<NewView> {
    sign(signer, NewView { view: View(view), view_changes })
}

fn proposals(first: Signed<PrePrepare>, second: Signed<PrePrepare>) -> Evidence {
    Evidence::Proposals(Both { first, second })
}

fn votes(first: Signed<Prepare>, second: Signed<Prepare>) -> Evidence {
    Evidence::Votes(Both { first, second })
}

fn seals(signers: [u16; 2], slots: [u64; 2], headers: [u8; 2]) -> Evidence {
    let seal = |index: usize| {
        sign(signers[index], Seal { slot: Slot(slots[index]), header: Digest([headers[index]; 32]) })
    };
    Evidence::Seals(Both { first: seal(0), second: seal(1) })
}

fn denied_vote(vote: Signed<Prepare>, view_change: Arc<Signed<ViewChange>>) -> Evidence {
    Evidence::DeniedVote(Denied { vote, view_change })
}

fn denied_commit(vote: Signed<Commit>, view_change: Arc<Signed<ViewChange>>) -> Evidence {
    Evidence::DeniedCommit(Denied { vote, view_change })
}

fn contradiction(fast: PreparedCertificate, new_view: Signed<NewView>) -> Evidence {
    Evidence::Contradiction(Contradiction { fast, new_view: Arc::new(new_view) })
}

/// Validator 2 denies its vote for value 1 in view 0, so that only validator 1 of the quorum tells of it.
fn given_up() -> Vec<Arc<Signed<ViewChange>>> {
    vec![change(1, 1, Some((0, 1)), None), change(2, 1, None, None), change(3, 1, None, None)]
}

fn convicting() -> Vec<(Evidence, &'static str, u16)> {
    let prepare = |signer, view, value| sign(signer, Prepare(ballot(view, value)));
    let commit = |signer, view, value| sign(signer, Commit(ballot(view, value)));
    let views = [new_view(1, 5, given_up()), new_view(1, 5, Vec::new())];
    let [first, second] = views;
    vec![
        (proposals(proposal(1, 5, 7, 1), proposal(1, 5, 7, 2)), "E1", 1),
        (Evidence::NewViews(Both { first, second }), "E1", 1),
        (votes(prepare(2, 0, 1), prepare(2, 0, 2)), "E2", 2),
        (denied_vote(prepare(2, 3, 1), change(2, 4, None, None)), "E3", 2),
        (denied_vote(prepare(2, 3, 1), change(2, 4, Some((2, 1)), None)), "E3", 2),
        (denied_vote(prepare(2, 3, 1), change(2, 4, Some((3, 2)), None)), "E3", 2),
        (denied_commit(commit(2, 3, 1), change(2, 4, Some((3, 1)), None)), "E4", 2),
        (denied_commit(commit(2, 3, 1), change(2, 4, Some((3, 1)), Some((2, 1)))), "E4", 2),
        (seals([3, 3], [8, 8], [1, 2]), "E5", 3),
        (contradiction(fast(0, 1, &[0, 1, 2]), new_view(1, 1, given_up())), "FAST", 2),
    ]
}

#[test]
fn contradicting_statements_convict_their_signer_and_nobody_else() {
    for (evidence, code, culprit) in convicting() {
        assert_eq!(evidence.code(), code);
        let convicted = evidence.verify(&set(), &Ed25519).expect("holds");
        assert_eq!(convicted, SignerSet::from_iter([ValidatorId(culprit)]), "{}", evidence.what());
        let bytes = evidence.to_bytes();
        assert_eq!(Evidence::from_bytes(&bytes), Ok(evidence));
    }
}

/// Every third byte changed: it no longer decodes, or is refused.
#[test]
fn forged_evidence_is_refused() {
    for (evidence, code, _) in convicting() {
        let bytes = evidence.to_bytes();
        for position in (0..bytes.len()).step_by(3) {
            let mut forged = bytes.clone();
            forged[position] ^= 1;
            let accepted = Evidence::from_bytes(&forged).is_ok_and(|it| it.verify(&set(), &Ed25519).is_ok());
            assert!(!accepted, "{code}: byte {position} of {}", bytes.len());
        }
    }
}

#[test]
fn statements_that_a_correct_validator_may_make_are_no_evidence() {
    let prepare = |signer, view, value| sign(signer, Prepare(ballot(view, value)));
    let commit = |signer, view, value| sign(signer, Commit(ballot(view, value)));
    let honest =
        [change(1, 1, Some((0, 1)), None), change(2, 1, Some((0, 1)), None), change(3, 1, None, None)];
    let certified = [change(1, 1, None, Some((0, 1))), change(2, 1, None, None), change(3, 1, None, None)];
    let innocent = [
        ("the same proposal twice", proposals(proposal(1, 5, 7, 1), proposal(1, 5, 7, 1))),
        ("another slot", proposals(proposal(1, 5, 7, 1), proposal(1, 5, 8, 2))),
        ("another view", proposals(proposal(1, 5, 7, 1), proposal(1, 9, 7, 2))),
        ("another's view", proposals(proposal(2, 5, 7, 1), proposal(2, 5, 7, 2))),
        ("two leaders", proposals(proposal(1, 5, 7, 1), proposal(2, 5, 7, 2))),
        ("votes of two", votes(prepare(1, 0, 1), prepare(2, 0, 2))),
        ("votes of two views", votes(prepare(2, 0, 1), prepare(2, 1, 2))),
        ("the very vote is told", denied_vote(prepare(2, 3, 1), change(2, 4, Some((3, 1)), None))),
        ("a higher vote is told", denied_vote(prepare(2, 2, 1), change(2, 4, Some((3, 2)), None))),
        ("a vote after the VIEW-CHANGE", denied_vote(prepare(2, 4, 1), change(2, 4, None, None))),
        ("another's VIEW-CHANGE", denied_vote(prepare(2, 3, 1), change(1, 4, None, None))),
        ("the certificate is shown", denied_commit(commit(2, 3, 1), change(2, 4, None, Some((3, 1))))),
        ("seals of two", seals([2, 3], [8, 8], [1, 2])),
        ("seals of two slots", seals([3, 3], [8, 9], [1, 2])),
        ("t tell of it", contradiction(fast(0, 1, &[0, 1, 2]), new_view(1, 1, honest.to_vec()))),
        ("a certificate keeps it", contradiction(fast(0, 1, &[0, 1, 2]), new_view(1, 1, certified.to_vec()))),
        ("too few votes", contradiction(fast(0, 1, &[0, 2]), new_view(1, 1, given_up()))),
        (
            "too few VIEW-CHANGEs",
            contradiction(fast(0, 1, &[0, 1, 2]), new_view(1, 1, given_up()[1..].to_vec())),
        ),
        ("another's NEW-VIEW", contradiction(fast(0, 1, &[0, 1, 2]), new_view(2, 1, given_up()))),
    ];
    for (why, evidence) in innocent {
        assert!(evidence.verify(&set(), &Ed25519).is_err(), "{why}");
    }
}
