//! What is recorded, once, and what is not: of another chain, of an epoch that nobody knows, forged.

use super::*;
use crate::epoch::tests::{genesis, secret, set};
use crate::evidence::Both;
use crate::ids::View;
use crate::message::{Ballot, PrePrepare, Prepare, Seal, Signed, SignedBody};
use crate::validators::Ed25519;

/// The slot of the block that carries a submission.
const AT: Slot = Slot(900);

/// Signs for a place in the set of an epoch, on the chain with this id.
fn sign<B: SignedBody>(chain_id: Digest, epoch: u32, place: u16, body: B) -> Signed<B> {
    let keys = set(epoch).validators(chain_id).expect("a possible size");
    let number = u8::try_from(epoch.saturating_add(place.into())).expect("few validators");
    let role = if B::SIGNER == SignerRole::Acceptor { 1 } else { 2 };
    let signature = secret(number, role).sign(&keys.domain().signing_bytes(&body));
    Signed { signer: ValidatorId(place), body, signature }
}

fn seals_on(chain_id: Digest, epoch: u32, place: u16, slot: u64) -> Evidence {
    let seal = |header| sign(chain_id, epoch, place, Seal { slot: Slot(slot), header: Digest([header; 32]) });
    Evidence::Seals(Both { first: seal(1), second: seal(2) })
}

fn seals(epoch: u32, place: u16, slot: u64) -> Evidence {
    seals_on(genesis().chain_id, epoch, place, slot)
}

fn votes(epoch: u32, place: u16) -> Evidence {
    let vote = |value| {
        let digest = Digest([value; 32]);
        let ballot = Ballot { view: View(0), slot: Slot(9), digest, prefix: digest };
        sign(genesis().chain_id, epoch, place, Prepare(ballot))
    };
    Evidence::Votes(Both { first: vote(1), second: vote(2) })
}

fn proposals(epoch: u32, place: u16) -> Evidence {
    let proposal = |value| {
        let (view, digest) = (View(place.into()), Digest([value; 32]));
        let body = PrePrepare { view, slot: Slot(9), parent: Digest::ZERO, digest };
        sign(genesis().chain_id, epoch, place, body)
    };
    Evidence::Proposals(Both { first: proposal(1), second: proposal(2) })
}

fn submission(epoch: u32, evidence: Evidence) -> Submission {
    let genesis = if epoch == 0 { genesis().bytes } else { Vec::new() };
    Submission { epoch: Epoch(epoch), evidence, genesis }
}

fn judge(state: &mut Accountability, present: u32, submission: &Submission) -> Result<(), Acquittal> {
    let before = state.clone();
    let judged = state.judge(submission, &genesis().chain_id, Epoch(present), AT, &Ed25519);
    assert!(judged.is_ok() || *state == before, "a refusal changes nothing");
    judged
}

/// Epochs 1 to `present` began.
fn in_epoch(present: u32) -> Accountability {
    let mut state = Accountability::default();
    (1..=present).for_each(|epoch| state.begin(set(epoch)));
    state
}

#[test]
fn convict_is_recorded_with_the_key_that_signed() {
    let mut state = in_epoch(1);
    let cases = [
        (0, seals(0, 2, 9), Offence::E5, secret(2, 1)),
        (1, votes(1, 2), Offence::E2, secret(3, 1)),
        (1, proposals(1, 3), Offence::E1, secret(4, 2)),
    ];
    for (epoch, evidence, offence, key) in cases {
        let (id, validator) = (evidence.id(), ValidatorId(if offence == Offence::E1 { 3 } else { 2 }));
        assert_eq!(judge(&mut state, 1, &submission(epoch, evidence)), Ok(()));
        let (epoch, key, slot) = (Epoch(epoch), key.public(), Some(Slot(9)));
        let expected = Conviction { epoch, validator, key, offence, slot, evidence: id, recorded: AT };
        assert_eq!(state.convictions.last(), Some(&expected));
    }
    assert_eq!(Accountability::from_bytes(&state.to_bytes()), Ok(state));
}

#[test]
fn same_offence_is_recorded_once() {
    let mut state = Accountability::default();
    assert_eq!(judge(&mut state, 0, &submission(0, seals(0, 1, 9))), Ok(()));
    let again = [seals(0, 1, 9), seals(0, 1, 10)];
    assert_eq!(again.map(|it| judge(&mut state, 0, &submission(0, it))), [Err(Acquittal::Recorded); 2]);
    let others = [seals(0, 2, 9), votes(0, 1)];
    assert_eq!(others.map(|it| judge(&mut state, 0, &submission(0, it))), [Ok(()); 2], "another, of another");
    assert_eq!(state.convictions.len(), 3);
    state.begin(set(1));
    assert_eq!(judge(&mut state, 1, &submission(1, seals(1, 1, 9))), Ok(()), "in another epoch");
}

#[test]
fn what_proves_nothing_on_this_chain_is_not_recorded() {
    let forged = |spoil: fn(&mut Both<Seal>)| {
        let Evidence::Seals(mut both) = seals(1, 2, 9) else { panic!("seals") };
        spoil(&mut both);
        submission(1, Evidence::Seals(both))
    };
    let cases = [
        ("of another chain", submission(1, seals_on(Digest([1; 32]), 1, 2, 9))),
        ("of the epoch before", submission(1, seals(0, 2, 9))),
        ("one signature is another's", forged(|both| both.second.signature = both.first.signature)),
        ("the other as well", forged(|both| both.first.signature = both.second.signature)),
        ("one statement twice", forged(|both| both.second = both.first.clone())),
        (
            "of a place that is nobody's",
            forged(|both| {
                both.first.signer = ValidatorId(9);
                both.second.signer = ValidatorId(9);
            }),
        ),
    ];
    for (what, submission) in cases {
        assert_eq!(judge(&mut in_epoch(1), 1, &submission), Err(Acquittal::ProvesNothing), "{what}");
    }
}

#[test]
fn epoch_must_be_the_present_one_or_that_before_and_known() {
    let of = |present, epoch| judge(&mut in_epoch(present), present, &submission(epoch, seals(epoch, 2, 9)));
    assert_eq!([of(0, 0), of(1, 0), of(3, 2), of(3, 3)], [Ok(()); 4]);
    let unknown = Err(Acquittal::UnknownEpoch);
    assert_eq!([of(2, 0), of(3, 1), of(3, 4)], [unknown; 3], "gone, and to come");
    // The ledger's rules kept no sets when epoch 1 began.
    assert_eq!(judge(&mut Accountability::default(), 1, &submission(1, seals(1, 2, 9))), unknown);
    let mut founding = submission(0, seals(0, 2, 9));
    founding.genesis.push(b' ');
    assert_eq!(judge(&mut in_epoch(0), 0, &founding), unknown, "a genesis file of another chain");
    founding.genesis.clear();
    assert_eq!(judge(&mut in_epoch(0), 0, &founding), unknown, "none");
}

#[test]
fn state_keeps_two_sets_and_as_many_records_as_it_may() {
    let mut state = in_epoch(5);
    assert_eq!(state.sets.iter().map(|set| set.epoch.0).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(judge(&mut state, 5, &submission(4, votes(4, 0))), Ok(()));
    let old = state.convictions[0].clone();
    let fill = (0..255).map(|number| Conviction { epoch: Epoch(3), slot: Some(Slot(number)), ..old.clone() });
    state.convictions.splice(0..0, fill);
    assert_eq!(judge(&mut state, 5, &submission(5, votes(5, 0))), Ok(()));
    assert_eq!((state.convictions.len(), state.convictions[0].slot), (256, Some(Slot(1))), "the oldest went");
    assert_eq!(state.convictions[254], old);
    assert_eq!(Accountability::from_bytes(&state.to_bytes()), Ok(state));
}

#[test]
fn records_that_can_be_submitted_again_outlast_those_that_cannot() {
    let mut state = in_epoch(5);
    assert_eq!(judge(&mut state, 5, &submission(4, votes(4, 0))), Ok(()));
    let again = state.convictions[0].clone();
    // These came in later, about an epoch that is over for good.
    let late = |number| Conviction { epoch: Epoch(3), slot: Some(Slot(number)), ..again.clone() };
    state.convictions.extend((0..255).map(late));
    assert_eq!(judge(&mut state, 5, &submission(5, votes(5, 0))), Ok(()));
    assert_eq!((state.convictions.len(), &state.convictions[0]), (256, &again));
    assert_eq!((state.convictions[1].slot, state.convictions[255].epoch), (Some(Slot(1)), Epoch(5)));
    assert_eq!(judge(&mut state, 5, &submission(4, votes(4, 0))), Err(Acquittal::Recorded));
}

#[test]
fn next_set_is_drafted_without_whom_a_key_of_theirs_convicts() {
    let mut state = in_epoch(1);
    judge(&mut state, 1, &submission(1, votes(1, 1))).expect("holds");
    judge(&mut state, 1, &submission(1, proposals(1, 3))).expect("holds");
    let convicted: Vec<PublicKey> = state.convictions.iter().map(|it| it.key).collect();
    let drafted = without_convicted(&set(1), &convicted);
    let names: Vec<&str> = drafted.validators.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((drafted.epoch, names), (Epoch(2), vec!["bank 1", "bank 3"]));
    assert_eq!(without_convicted(&set(5), &convicted).validators, set(5).validators, "others");
}

#[test]
fn offences_have_the_codes_and_numbers_that_they_always_had() {
    let named = Offence::ALL.map(|offence| (offence.to_bytes(), offence.code()));
    let expected = [(1, "E1"), (2, "E2"), (3, "E3"), (4, "E4"), (5, "E5"), (6, "FAST")];
    assert_eq!(named, expected.map(|(number, code)| (vec![number], code)));
    assert!(Offence::from_bytes(&[0]).is_err() && Offence::from_bytes(&[7]).is_err());
    assert!(Offence::ALL.into_iter().all(|offence| Offence::from_bytes(&offence.to_bytes()) == Ok(offence)));
}

#[test]
fn signatures_that_a_check_costs_are_counted_and_a_genesis_file_as_one() {
    assert_eq!(submission(1, seals(1, 2, 9)).signature_checks(), 2);
    assert_eq!(submission(0, seals(0, 2, 9)).signature_checks(), 3);
}
