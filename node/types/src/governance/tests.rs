//! Calls as they travel, ids of proposals, and the state of governance.

use super::*;
use crate::epoch::tests::{edge_set, set};
use crate::evidence::Both;
use crate::ids::ValidatorId;
use crate::message::{Seal, Signed};
use crate::signature::Signature;

const CHAIN: Digest = Digest([1; 32]);
const SIGNER: PublicKey = PublicKey([2; 32]);

fn invoked(operation: Operation) -> InvokeHostFunctionOp {
    match operation.body {
        OperationBody::InvokeHostFunction(op) => op,
        other => panic!("{other:?}"),
    }
}

fn calls() -> [Call; 4] {
    let change = Change::Value { parameter: Parameter::BaseFee, value: 200 };
    let set = Change::Set(Box::new(set(1)));
    [
        Call::Propose { signer: SIGNER, change, valid_until: 1_800_000_000 },
        Call::Propose { signer: SIGNER, change: set, valid_until: 1_800_000_000 },
        Call::Approve { signer: SIGNER, proposal: Digest([3; 32]) },
        Call::Evidence(Box::new(submission())),
    ]
}

/// Two SEALs; whether they hold is another question.
fn submission() -> Submission {
    let seal = |header| Signed {
        signer: ValidatorId(2),
        body: Seal { slot: Slot(9), header: Digest([header; 32]) },
        signature: Signature([header; 64]),
    };
    let evidence = Evidence::Seals(Both { first: seal(1), second: seal(2) });
    Submission { epoch: Epoch(3), evidence, genesis: b"a genesis file".to_vec() }
}

#[test]
fn calls_are_read_as_they_were_made() {
    for call in calls() {
        let operation = call.operation(&CHAIN, &PublicKey([9; 32]));
        assert_eq!(Call::read(&invoked(operation), EVIDENCE_SINCE), Some((contract_id(&CHAIN), call)));
    }
}

#[test]
fn call_is_none_before_the_version_that_knows_it() {
    let known = |version| {
        calls().map(|call| {
            let operation = invoked(call.operation(&CHAIN, &PublicKey([9; 32])));
            Call::read(&operation, version).is_some()
        })
    };
    assert_eq!(known(SETS_SINCE - 1), [true, false, true, false]);
    assert_eq!(known(EVIDENCE_SINCE - 1), [true, true, true, false]);
    assert_eq!(known(EVIDENCE_SINCE), [true; 4]);
}

#[test]
fn set_of_an_edge_network_is_none_before_the_version_that_knows_it() {
    let change = Change::Set(Box::new(edge_set(1, 2)));
    assert!(change.to_string().ends_with("4 validators and 2 proposers"), "{change}");
    let call = Call::Propose { signer: PublicKey([1; 32]), change, valid_until: 5 };
    let operation = invoked(call.operation(&CHAIN, &PublicKey([9; 32])));
    assert_eq!(Call::read(&operation, EDGE_SETS_SINCE - 1), None);
    assert_eq!(Call::read(&operation, EDGE_SETS_SINCE), Some((contract_id(&CHAIN), call)));
}

#[test]
fn set_that_can_be_nobodys_is_never_right() {
    let is_in_range = |spoil: fn(&mut EpochSet)| {
        let mut set = set(1);
        spoil(&mut set);
        Change::Set(Box::new(set)).is_in_range()
    };
    assert!(is_in_range(|_| {}));
    assert!(!is_in_range(|set| set.validators.truncate(3)), "of three validators");
    assert!(!is_in_range(|set| set.validators[1].network = set.validators[0].acceptor), "with a key twice");
    assert!(!is_in_range(|set| set.consensus.window = 1), "without a window");
    assert!(!is_in_range(|set| set.validators = crate::epoch::tests::validators(21)), "of 21");
}

#[test]
fn epoch_ends_below_the_slot_from_which_on_a_set_is_in_force() {
    let mut governance = Governance {
        account: SIGNER,
        checkpoint_interval: 64,
        window: 256,
        proposals: 1,
        open: Vec::new(),
        scheduled: None,
    };
    assert_eq!(governance.epoch_end(), None);
    let fee = Change::Value { parameter: Parameter::BaseFee, value: 200 };
    governance.scheduled = Some(Scheduled { change: fee, from: Slot(321) });
    assert_eq!(governance.epoch_end(), None);
    governance.scheduled = Some(Scheduled { change: Change::Set(Box::new(set(1))), from: Slot(321) });
    assert_eq!(governance.epoch_end(), Some(EpochEnd { slot: Slot(320), next_set: set(1).hash() }));
}

#[test]
fn calls_of_another_form_are_none() {
    type Spoil = fn(&mut InvokeContractArgs);
    let spoilt: [(&str, Spoil); 5] = [
        ("another function", |call| call.function_name = symbol("transfer")),
        ("no arguments", |call| call.args = VecM::default()),
        ("an account for a contract", |call| {
            call.contract_address = ScAddress::Account(AccountId::from(SIGNER));
        }),
        ("a truth value for a signer or an epoch", |call| {
            let mut args = call.args.to_vec();
            args[0] = ScVal::Bool(true);
            call.args = args.try_into().expect("as many");
        }),
        ("too many arguments", |call| {
            let mut args = call.args.to_vec();
            args.push(ScVal::Void);
            call.args = args.try_into().expect("one more");
        }),
    ];
    for (what, spoil) in spoilt {
        for call in calls() {
            let mut op = invoked(call.operation(&CHAIN, &PublicKey([9; 32])));
            let HostFunction::InvokeContract(args) = &mut op.host_function else { panic!("{op:?}") };
            spoil(args);
            assert_eq!(Call::read(&op, EVIDENCE_SINCE), None, "{what}: {call:?}");
        }
    }
}

#[test]
fn evidence_that_cannot_be_read_to_its_end_is_no_call() {
    let mut bytes = submission().evidence.to_bytes();
    bytes.push(0);
    let mut op = invoked(Call::Evidence(Box::new(submission())).operation(&CHAIN, &SIGNER));
    let HostFunction::InvokeContract(invoked) = &mut op.host_function else { panic!("{op:?}") };
    invoked.args = vec![ScVal::U32(3), super::bytes(&bytes), super::bytes(&[])].try_into().expect("three");
    assert_eq!(Call::read(&op, EVIDENCE_SINCE), None);
}

#[test]
fn first_slot_is_above_a_checkpoint_a_window_away() {
    let governance = Governance {
        account: SIGNER,
        checkpoint_interval: 64,
        window: 256,
        proposals: 0,
        open: Vec::new(),
        scheduled: None,
    };
    for (decided, first) in [(1, 321), (64, 321), (65, 385), (128, 385), (u64::MAX, u64::MAX)] {
        assert_eq!(governance.first_slot(Slot(decided)), Slot(first), "decided at {decided}");
    }
}

#[test]
fn state_is_decoded_as_it_was_encoded_and_names_what_it_proposes() {
    let change = Change::Value { parameter: Parameter::ProtocolVersion, value: 28 };
    let proposal = Proposal { number: 7, proposer: SIGNER, change: change.clone(), valid_until: 9 };
    let of_a_set = Proposal { change: Change::Set(Box::new(set(1))), ..proposal.clone() };
    let governance = Governance {
        account: PublicKey([9; 32]),
        checkpoint_interval: 4,
        window: 8,
        proposals: 8,
        open: [&proposal, &of_a_set]
            .map(|proposal| OpenProposal { proposal: proposal.clone(), approvals: vec![SIGNER] })
            .to_vec(),
        scheduled: Some(Scheduled { change, from: Slot(33) }),
    };
    assert_eq!(Governance::from_bytes(&governance.to_bytes()), Ok(governance));
    let other = Change::Value { parameter: Parameter::ProtocolVersion, value: 29 };
    assert_ne!(proposal.id(), Proposal { change: other, ..proposal.clone() }.id());
    assert_ne!(of_a_set.id(), Proposal { change: Change::Set(Box::new(set(2))), ..of_a_set.clone() }.id());
    assert_eq!(
        proposal.id().to_string(),
        "79ca45b0039272d36145fa05ea5dd4ef7690449983a28486b342c81b5d39ae41",
        "what an approval names must never change for networks that exist"
    );
}
