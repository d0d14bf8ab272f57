//! Rows about calls of the chain's own contract: who may propose and approve, what, and what it leads to.

use carat_ledger::NEWEST_PROTOCOL;
use carat_types::governance::{Call, Change, Governance, OpenProposal, Parameter, Proposal, Scheduled};
use carat_types::{Digest, Slot};
use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

const SUCCESS: Expect = Applied("success InvokeHostFunction(Success)");
const TRAPPED: Expect = Applied("failed InvokeHostFunction(Trapped)");
/// The last second of every proposal unless said otherwise.
const UNTIL: u64 = CLOSE_TIME + 10;

pub(super) fn table() -> Vec<Case> {
    [proposals(), approvals(), decisions(), shapes()].into_iter().flatten().collect()
}

fn given() -> World {
    two().council()
}

/// Alice pays, and the signer speaks.
fn says(signer: &str, call: Call) -> Tx {
    paid().by(&["alice", signer]).op_by("council", body(call))
}

fn paid() -> Tx {
    tx("alice")
}

fn body(call: Call) -> OperationBody {
    call.operation(&CHAIN_ID, &id("council")).body
}

fn propose(signer: &str, parameter: Parameter, value: u32) -> Call {
    propose_until(signer, parameter, value, UNTIL)
}

fn propose_until(signer: &str, parameter: Parameter, value: u32, valid_until: u64) -> Call {
    Call::Propose { signer: id(signer), change: Change::Value { parameter, value }, valid_until }
}

fn approve(signer: &str, proposal: &Proposal) -> Call {
    Call::Approve { signer: id(signer), proposal: proposal.id() }
}

/// A proposal of `one`.
fn fee_200() -> Proposal {
    let change = Change::Value { parameter: Parameter::BaseFee, value: 200 };
    Proposal { number: 7, proposer: id("one"), change, valid_until: UNTIL }
}

/// The proposal is open, approved by these.
fn open(proposal: Proposal, by: &'static [&'static str]) -> impl FnOnce(Option<Governance>) -> Governance {
    move |governance| {
        let mut governance = governance.expect("governed");
        governance.proposals = 8;
        let approvals = by.iter().map(|name| id(name)).collect();
        governance.open.push(OpenProposal { proposal, approvals });
        governance
    }
}

fn decided(governance: Option<Governance>) -> Governance {
    let change = Change::Value { parameter: Parameter::BaseFee, value: 300 };
    Governance { scheduled: Some(Scheduled { change, from: Slot(105) }), ..governance.expect("governed") }
}

fn proposals() -> Vec<Case> {
    let possible = |name, parameter, value, changes| {
        row(name, given(), says("one", propose("one", parameter, value)), SUCCESS, changes)
    };
    let trapped = |name, signer, parameter, value| {
        row(name, given(), says(signer, propose(signer, parameter, value)), TRAPPED, &[ALICE_PAID, PAID])
    };
    let next = NEWEST_PROTOCOL + 1;
    vec![
        possible(
            "fee_proposed",
            Parameter::BaseFee,
            200,
            &[ALICE_PAID, PAID, "governance: #0 base_fee = 200 by 1"],
        ),
        possible(
            "lower_reserve_proposed",
            Parameter::BaseReserve,
            9,
            &[ALICE_PAID, PAID, "governance: #0 base_reserve = 9 by 1"],
        ),
        possible(
            "version_that_this_build_does_not_know_proposed",
            Parameter::ProtocolVersion,
            next,
            &[ALICE_PAID, PAID, "governance: #0 protocol_version = 31 by 1"],
        ),
        trapped("fee_as_it_is_proposed", "one", Parameter::BaseFee, 100),
        trapped("higher_reserve_proposed", "one", Parameter::BaseReserve, 11),
        trapped("version_in_force_proposed", "one", Parameter::ProtocolVersion, next - 1),
        trapped("version_after_the_next_proposed", "one", Parameter::ProtocolVersion, next + 1),
        trapped("stranger_proposes", "bob", Parameter::BaseFee, 200),
        trapped("account_without_weight_of_its_own_proposes", "council", Parameter::BaseFee, 200),
        row(
            "proposal_whose_time_is_over",
            given(),
            says("one", propose_until("one", Parameter::BaseFee, 200, CLOSE_TIME - 1)),
            TRAPPED,
            &[ALICE_PAID, PAID],
        ),
        row(
            "value_that_is_never_right_proposed",
            given(),
            says("one", propose("one", Parameter::BaseFee, 1_000_000_001)),
            Refused("failed InvokeHostFunction(Malformed)"),
            &[],
        ),
        row(
            "second_proposal_of_a_signer_takes_the_place_of_its_first",
            given().governed(open(fee_200(), &["one", "two"])),
            says("one", propose("one", Parameter::BaseFee, 201)),
            SUCCESS,
            &[ALICE_PAID, PAID, "governance: not #7 base_fee = 200 by 2, #8 base_fee = 201 by 1"],
        ),
        row(
            "proposal_by_who_is_quorum_alone_decides",
            given().thresholds("council", [0, 1, 1, 1]),
            says("one", propose("one", Parameter::BaseFee, 200)),
            SUCCESS,
            &[ALICE_PAID, PAID, "governance: base_fee = 200 from slot 109"],
        ),
    ]
}

fn approvals() -> Vec<Case> {
    let is_open = || given().governed(open(fee_200(), &["one"]));
    let over = Proposal { valid_until: CLOSE_TIME - 1, ..fee_200() };
    let not_open = Applied("failed InvokeHostFunction(EntryArchived)");
    vec![
        row(
            "second_approval_decides_nothing",
            is_open(),
            says("two", approve("two", &fee_200())),
            SUCCESS,
            &[ALICE_PAID, PAID, "governance: not #7 base_fee = 200 by 1, #7 base_fee = 200 by 2"],
        ),
        row(
            "signer_approves_twice",
            is_open(),
            says("one", approve("one", &fee_200())),
            TRAPPED,
            &[ALICE_PAID, PAID],
        ),
        row(
            "stranger_approves",
            is_open(),
            says("bob", approve("bob", &fee_200())),
            TRAPPED,
            &[ALICE_PAID, PAID],
        ),
        row(
            "proposal_that_is_not_there_approved",
            given(),
            says("two", approve("two", &fee_200())),
            not_open,
            &[ALICE_PAID, PAID],
        ),
        row(
            "proposal_whose_time_is_over_approved",
            given().governed(open(over.clone(), &["one"])),
            says("two", approve("two", &over)),
            not_open,
            &[ALICE_PAID, PAID],
        ),
        row(
            "proposal_of_who_is_no_signer_any_more_approved",
            given()
                .account("five", 100)
                .governed(open(Proposal { proposer: id("five"), ..fee_200() }, &["five"])),
            says("two", approve("two", &Proposal { proposer: id("five"), ..fee_200() })),
            not_open,
            &[ALICE_PAID, PAID],
        ),
        row(
            "signer_that_has_not_signed_approves",
            is_open(),
            paid().by(&["alice", "three"]).op_by("council", body(approve("two", &fee_200()))),
            Refused("failed OpBadAuth"),
            &[],
        ),
        row(
            "signature_of_who_does_not_speak_left_over",
            is_open(),
            paid().by(&["alice", "two", "three"]).op_by("council", body(approve("two", &fee_200()))),
            Refused("BadAuthExtra"),
            &[],
        ),
    ]
}

fn decisions() -> Vec<Case> {
    let nearly = |governance| open(fee_200(), &["one", "two"])(governance);
    let both = paid()
        .by(&["alice", "two", "three"])
        .op_by("council", body(approve("two", &fee_200())))
        .op_by("council", body(approve("three", &fee_200())));
    vec![
        row(
            "third_approval_decides",
            given().governed(nearly),
            says("three", approve("three", &fee_200())),
            SUCCESS,
            &[ALICE_PAID, PAID, "governance: not #7 base_fee = 200 by 2, base_fee = 200 from slot 109"],
        ),
        row(
            "approvals_of_several_in_one_transaction_decide",
            given().governed(open(fee_200(), &["one"])),
            both,
            Applied("success InvokeHostFunction(Success) InvokeHostFunction(Success)"),
            &[
                "alice: balance -200, sequence +1",
                "totals: fee pool +200",
                "governance: not #7 base_fee = 200 by 1, base_fee = 200 from slot 109",
            ],
        ),
        row(
            "approval_of_who_is_no_signer_any_more_does_not_count",
            given().account("five", 100).governed(open(fee_200(), &["one", "five"])),
            says("three", approve("three", &fee_200())),
            SUCCESS,
            // Two count as before: the new one in place of the one that does not.
            &[ALICE_PAID, PAID],
        ),
        row(
            "decision_while_another_is_not_in_force_yet",
            given().governed(nearly).governed(decided),
            says("three", approve("three", &fee_200())),
            Applied("failed InvokeHostFunction(ResourceLimitExceeded)"),
            &[ALICE_PAID, PAID],
        ),
        row(
            "decision_on_what_has_come_into_force_by_another",
            given().governed(open(
                Proposal { change: Change::Value { parameter: Parameter::BaseFee, value: 100 }, ..fee_200() },
                &["one", "two"],
            )),
            says(
                "three",
                approve(
                    "three",
                    &Proposal {
                        change: Change::Value { parameter: Parameter::BaseFee, value: 100 },
                        ..fee_200()
                    },
                ),
            ),
            TRAPPED,
            &[ALICE_PAID, PAID],
        ),
    ]
}

fn shapes() -> Vec<Case> {
    let call = propose("one", Parameter::BaseFee, 200);
    let elsewhere = call.operation(&Digest([1; 32]), &id("council")).body;
    let mut declares_resources = says("one", call.clone());
    declares_resources.transaction.ext = TransactionExt::V1(SorobanTransactionData::default());
    let mut other_function = body(call.clone());
    if let OperationBody::InvokeHostFunction(op) = &mut other_function
        && let HostFunction::InvokeContract(invoked) = &mut op.host_function
    {
        invoked.function_name = ScSymbol("transfer".try_into().expect("short"));
    }
    vec![
        row(
            "contract_of_another_chain",
            given(),
            paid().by(&["alice", "one"]).op_by("council", elsewhere),
            Refused("failed OpNotSupported"),
            &[],
        ),
        row(
            "call_for_an_account_that_does_not_govern",
            given(),
            paid().by(&["alice", "one"]).op_by("bob", body(call.clone())),
            TRAPPED,
            &[ALICE_PAID, PAID],
        ),
        row(
            "call_on_a_chain_without_governance",
            two().account("council", 100),
            says("one", call),
            TRAPPED,
            &[ALICE_PAID, PAID],
        ),
        row("call_that_declares_resources", given(), declares_resources, Refused("Malformed"), &[]),
        row(
            "function_that_there_is_not",
            given(),
            paid().by(&["alice", "one"]).op_by("council", other_function),
            Refused("Malformed"),
            &[],
        ),
    ]
}
