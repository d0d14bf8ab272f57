//! Places and processes: co-located they are one number, in the edge deployment they are not.

use super::*;

const VALIDATORS: u8 = 10;
const EDGE: u8 = 20;

fn key(byte: u8) -> PublicKey {
    PublicKey([byte; 32])
}

/// The key of the proposer with this place, of one kind.
fn proposer(kind: u8, place: u16) -> PublicKey {
    key(kind.wrapping_add(u8::try_from(place).expect("few")))
}

fn four() -> ValidatorSet {
    let keys =
        (0..4).map(|id| ValidatorKeys { acceptor: key(id), proposer: proposer(VALIDATORS, id.into()) });
    ValidatorSet::new(Digest([9; 32]), Epoch(0), keys.collect()).expect("four")
}

fn edge(proposers: u16) -> ValidatorSet {
    let keys = (0..proposers).map(|place| proposer(EDGE, place));
    four().with_edge_proposers(keys.collect()).expect("a possible number")
}

fn numbers(ids: impl Iterator<Item = ValidatorId>) -> Vec<u16> {
    ids.map(|id| id.0).collect()
}

#[test]
fn co_located_validator_is_process_acceptor_and_proposer_of_one_number() {
    let set = four();
    assert_eq!(numbers(set.processes()), numbers(set.ids()));
    for id in set.ids() {
        assert_eq!(set.place(id, SignerRole::Acceptor), Some(id));
        assert_eq!(set.place(id, SignerRole::Proposer), Some(id));
        assert_eq!(set.process_of(id), id);
        assert_eq!(set.key(id, SignerRole::Proposer), Some(&proposer(VALIDATORS, id.0)));
    }
    assert_eq!((set.proposers(), set.rotation_of_one_correct()), (4, 2));
    assert_eq!(set.leader(View(6)), ValidatorId(2));
}

#[test]
fn edge_proposers_follow_the_validators_and_have_no_vote() {
    let set = edge(3);
    assert_eq!(numbers(set.processes()), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(set.ids()), [0, 1, 2, 3]);
    for id in set.ids() {
        assert_eq!(set.place(id, SignerRole::Acceptor), Some(id));
        assert_eq!(set.place(id, SignerRole::Proposer), None, "an acceptor orders nothing");
    }
    for proposer in (0..3).map(ValidatorId) {
        let process = set.process_of(proposer);
        assert_eq!(set.place(process, SignerRole::Proposer), Some(proposer));
        assert_eq!(set.place(process, SignerRole::Acceptor), None, "a proposer has no vote");
    }
    assert_eq!(set.place(ValidatorId(7), SignerRole::Proposer), None);
}

#[test]
fn statements_of_proposers_count_by_the_keys_of_the_deployment() {
    let set = edge(2);
    assert_eq!(set.key(ValidatorId(1), SignerRole::Proposer), Some(&proposer(EDGE, 1)));
    assert_eq!(set.key(ValidatorId(2), SignerRole::Proposer), None, "n_p is 2, whatever n is");
    assert_eq!(set.key(ValidatorId(3), SignerRole::Acceptor), Some(&key(3)));
    assert_eq!(
        set.key(ValidatorId(4), SignerRole::Acceptor),
        None,
        "a process number is no acceptor's place"
    );
    assert_eq!(numbers((0..5).map(|view| set.leader(View(view)))), [0, 1, 0, 1, 0]);
    assert_eq!((set.proposers(), set.rotation_of_one_correct()), (2, 2), "r = n_p");
}

#[test]
fn edge_without_proposers_or_with_more_than_a_set_names_is_refused() {
    for count in [0, 61, 200] {
        let keys = (0..count).map(|_| key(1)).collect();
        let refused = four().with_edge_proposers(keys);
        assert_eq!(refused, Err(ImpossibleSize::Proposers { proposers: count, n: 4 }));
    }
    assert!(four().with_edge_proposers(vec![key(1); 60]).is_ok());
}
