//! Evidence in transactions: who is convicted, what is refused and how, and what it costs.

mod support;

use std::sync::Arc;

use carat_ledger::accountability::read;
use carat_ledger::{
    BlockInput, BlockOutcome, DropReason, Ed25519, Moment, Pending, admit, apply, signature_cost,
};
use carat_types::accountability::{Conviction, EVIDENCE_SINCE, Offence, Submission};
use carat_types::certificate::Certificate;
use carat_types::evidence::{Both, Contradiction, Evidence};
use carat_types::genesis::GenesisFile;
use carat_types::governance::Call;
use carat_types::message::{
    Ballot, NewView, PrePrepare, Prepare, Seal, Signed, SignedBody, SignerRole, ViewChange,
};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, Epoch, Signature, Slot, ValidatorId, View};
use stellar_xdr::{HostFunction, OperationBody, ScVal};
use support::*;

/// The genesis file of the council's network.
fn founded() -> GenesisFile {
    GenesisFile::parse(&serde_json::to_vec(&genesis()).expect("serialises")).expect("valid")
}

/// Bob, who validates nothing and governs nothing, pays.
fn world() -> World {
    World::new().account("bob", 100_000).council()
}

fn sign<B: SignedBody>(place: u16, body: B) -> Signed<B> {
    let name = VALIDATORS[usize::from(place)];
    let name = if B::SIGNER == SignerRole::Acceptor { name.to_owned() } else { proposer_of(name) };
    let set = founded().validators().expect("four");
    let signature = key(&name).sign(&set.domain().signing_bytes(&body));
    Signed { signer: ValidatorId(place), body, signature }
}

fn two_seals(place: u16, slot: u64) -> Both<Seal> {
    let seal = |header| sign(place, Seal { slot: Slot(slot), header: Digest([header; 32]) });
    Both { first: seal(1), second: seal(2) }
}

fn seals(place: u16, slot: u64) -> Evidence {
    Evidence::Seals(two_seals(place, slot))
}

fn proposals(place: u16) -> Evidence {
    let proposal = |value| {
        let (view, digest) = (View(place.into()), Digest([value; 32]));
        sign(place, PrePrepare { view, slot: Slot(9), parent: Digest::ZERO, digest })
    };
    Evidence::Proposals(Both { first: proposal(1), second: proposal(2) })
}

/// Validators 0 to 2 voted for a value; 1 and 2 denied it, and view 1 gave it up.
fn contradiction() -> Contradiction {
    let value = Digest([7; 32]);
    let vote = Prepare(Ballot { view: View(0), slot: Slot(9), digest: value, prefix: value });
    let fast =
        Certificate::assemble(vote, (0..3).map(|place| (ValidatorId(place), sign(place, vote).signature)));
    let change = |place| sign(place, ViewChange { view: View(1), stable: None, reports: Vec::new() });
    let view_changes = (1..4).map(|place| Arc::new(change(place))).collect();
    Contradiction { fast, new_view: Arc::new(sign(1, NewView { view: View(1), view_changes })) }
}

fn call(evidence: Evidence) -> OperationBody {
    call_of(Submission { epoch: Epoch(0), evidence, genesis: founded().bytes })
}

fn call_of(submission: Submission) -> OperationBody {
    Call::Evidence(Box::new(submission)).operation(&founded().chain_id, &id("council")).body
}

fn submits(evidence: Evidence) -> Tx {
    tx("bob").op_by("council", call(evidence)).fee(1_000)
}

fn at(world: &mut World, transactions: &[Tx]) -> BlockOutcome {
    let envelopes: Vec<Arc<SignedTransaction>> = transactions.iter().map(Tx::signed).collect();
    let input = BlockInput { chain_id: founded().chain_id, ..block(&envelopes) };
    let outcome = apply(&world.state, &input).expect("a state without contradictions");
    world.state.apply(&outcome.delta);
    outcome
}

/// What becomes of one transaction, in words.
fn result(world: &mut World, transaction: Tx) -> String {
    let outcome = at(world, &[transaction]);
    match outcome.applied.first() {
        Some(applied) => in_words(&applied.result),
        None => format!("{:?}", outcome.dropped[0].reason),
    }
}

fn convictions(world: &World) -> Vec<Conviction> {
    read(&world.state).expect("readable").convictions
}

const SUCCESS: &str = "success InvokeHostFunction(Success)";
const PROVES_NOTHING: &str = "failed InvokeHostFunction(Trapped)";
const UNKNOWN_EPOCH: &str = "failed InvokeHostFunction(EntryArchived)";
const RECORDED: &str = "failed InvokeHostFunction(ResourceLimitExceeded)";
const MALFORMED: &str = "Invalid(TxMalformed)";

#[test]
fn whoever_pays_submits_evidence_and_the_convict_is_recorded() {
    let mut world = world();
    let evidence = proposals(2);
    let outcome = at(&mut world, &[submits(evidence.clone())]);
    assert_eq!(in_words(&outcome.applied[0].result), SUCCESS);
    let expected = Conviction {
        epoch: Epoch(0),
        validator: ValidatorId(2),
        key: id("three, proposer"),
        offence: Offence::E1,
        slot: Some(Slot(9)),
        evidence: evidence.id(),
        recorded: SLOT,
    };
    assert_eq!(convictions(&world), [expected]);
    // The operation, two signatures, and the genesis file.
    assert_eq!(outcome.applied[0].result.fee_charged, 400);
    world.assert_sound("after a conviction");
}

#[test]
fn contradiction_convicts_all_who_denied_and_leaves_whom_is_on_record() {
    let mut world = world();
    let outcome = at(&mut world, &[submits(Evidence::Contradiction(contradiction()))]);
    assert_eq!(in_words(&outcome.applied[0].result), SUCCESS);
    let convicted: Vec<u16> = convictions(&world).iter().map(|it| it.validator.0).collect();
    assert_eq!(convicted, [1, 2]);
    // One operation, three votes, three VIEW-CHANGEs, the NEW-VIEW, and the genesis file.
    assert_eq!(outcome.applied[0].result.fee_charged, 900);
}

#[test]
fn what_proves_nothing_here_is_refused_and_recorded_nowhere() {
    let forged = |spoil: fn(&mut Both<Seal>)| {
        let mut both = two_seals(2, 9);
        spoil(&mut both);
        call(Evidence::Seals(both))
    };
    let of_epoch =
        |epoch, genesis| call_of(Submission { epoch: Epoch(epoch), evidence: seals(2, 9), genesis });
    let mut another_file = founded().bytes;
    another_file.push(b'\n');
    let cases = [
        ("the second signature forged", forged(|both| both.second.signature.0[3] ^= 1), PROVES_NOTHING),
        ("the first signature forged", forged(|both| both.first.signature.0[3] ^= 1), PROVES_NOTHING),
        ("the same statement twice", forged(|both| both.second = both.first.clone()), PROVES_NOTHING),
        ("an epoch to come", of_epoch(1, Vec::new()), UNKNOWN_EPOCH),
        ("no genesis file", of_epoch(0, Vec::new()), UNKNOWN_EPOCH),
        ("the genesis file of another chain", of_epoch(0, another_file), UNKNOWN_EPOCH),
    ];
    for (what, body, expected) in cases {
        let mut world = world();
        let transaction = tx("bob").op_by("council", body).fee(1_000);
        assert_eq!(result(&mut world, transaction), expected, "{what}");
        assert_eq!(convictions(&world), [], "{what}");
    }
    let mut world = world();
    assert_eq!(
        result(&mut world, tx("bob").op(call(seals(2, 9))).fee(1_000)),
        PROVES_NOTHING,
        "not the source"
    );
}

/// What holds on the chain that it was signed on is nothing on another, with the genesis file of either.
#[test]
fn evidence_of_another_chain_convicts_nobody() {
    let mut other = founded().genesis;
    other.time_ms = 1;
    let other = GenesisFile::parse(&serde_json::to_vec(&other).expect("serialises")).expect("valid");
    for (file, expected) in [(founded().bytes, UNKNOWN_EPOCH), (other.bytes.clone(), PROVES_NOTHING)] {
        let mut world = world();
        let submission = Submission { epoch: Epoch(0), evidence: seals(2, 9), genesis: file };
        let operation = Call::Evidence(Box::new(submission)).operation(&other.chain_id, &id("council"));
        let envelopes = [tx("bob").op_by("council", operation.body).fee(1_000).signed()];
        let input = BlockInput { chain_id: other.chain_id, ..block(&envelopes) };
        let outcome = apply(&world.state, &input).expect("a state without contradictions");
        world.state.apply(&outcome.delta);
        assert_eq!(in_words(&outcome.applied[0].result), expected);
        assert_eq!(convictions(&world), []);
    }
}

#[test]
fn same_offence_is_recorded_once_and_another_beside_it() {
    let mut world = world();
    assert_eq!(result(&mut world, submits(seals(2, 9))), SUCCESS);
    for (offset, evidence, expected) in
        [(2, seals(2, 9), RECORDED), (3, seals(2, 10), RECORDED), (4, seals(3, 9), SUCCESS)]
    {
        assert_eq!(result(&mut world, submits(evidence).seq(offset)), expected);
    }
    assert_eq!(convictions(&world).len(), 2);
    // Within one transaction as well; then none of it is done.
    let twice = tx("bob").op_by("council", call(proposals(1))).op_by("council", call(proposals(1)));
    let refused = result(&mut world, twice.seq(5).fee(1_000));
    assert!(refused.ends_with("InvokeHostFunction(ResourceLimitExceeded)"), "{refused}");
    assert_eq!(convictions(&world).len(), 2);
}

#[test]
fn evidence_is_no_call_before_its_version_or_if_it_cannot_be_read() {
    let mut before = world().version(EVIDENCE_SINCE - 1);
    assert_eq!(result(&mut before, submits(seals(2, 9))), MALFORMED);
    let mut body = call(seals(2, 9));
    if let OperationBody::InvokeHostFunction(op) = &mut body
        && let HostFunction::InvokeContract(invoked) = &mut op.host_function
    {
        let mut arguments = invoked.args.to_vec();
        arguments[1] = ScVal::Bytes(vec![9; 40].try_into().expect("short"));
        invoked.args = arguments.try_into().expect("as many");
    }
    assert_eq!(result(&mut world(), tx("bob").op_by("council", body).fee(1_000)), MALFORMED);
}

#[test]
fn fee_below_that_of_the_signatures_is_refused() {
    assert_eq!(result(&mut world(), submits(seals(2, 9)).fee(399)), "Invalid(TxInsufficientFee)");
    assert_eq!(result(&mut world(), submits(seals(2, 9)).fee(400)), SUCCESS);
}

/// So a leader that fills a block with the most expensive evidence costs nobody more than with any other transactions.
#[test]
fn pool_is_told_of_the_signatures_in_evidence() {
    let told = |world: &World| {
        let moment = Moment { chain_id: founded().chain_id, ..MOMENT };
        let evidence = submits(Evidence::Contradiction(contradiction())).signed();
        let admitted = admit(&world.state, moment, &Ed25519, &evidence, Pending::default());
        let admitted = admitted.expect("readable").expect("admitted");
        assert_eq!(admitted.signatures, signature_cost(&evidence, EVIDENCE_SINCE));
        admitted.signatures
    };
    // Bob's, three votes, three VIEW-CHANGEs, the NEW-VIEW, and the genesis file.
    assert_eq!(told(&world()), 9);
    let payment = tx("bob").op(pay("alice", 1, "native")).signed();
    assert_eq!((signature_cost(&payment, EVIDENCE_SINCE), signature_cost(&payment, 0)), (1, 1));
}

#[test]
fn signatures_in_evidence_count_towards_what_a_block_may_cost() {
    let mut piece = contradiction();
    let change = Arc::clone(&piece.new_view.body.view_changes[0]);
    let mut new_view = (*piece.new_view).clone();
    new_view.body.view_changes = vec![change; 64];
    piece.new_view = Arc::new(new_view);
    piece.fast.signers = (0..64).map(ValidatorId).collect();
    piece.fast.signatures = vec![Signature([0; 64]); 64];
    // 129 signatures, the genesis file, and the account's own.
    let each = 131;
    let fitting = 20_000 / each;
    let names: Vec<String> = (0..fitting + 2).map(|payer| format!("payer {payer}")).collect();
    let mut world = names.iter().fold(World::new(), |world, name| world.account(name, 1_000_000)).council();
    let body = call(Evidence::Contradiction(piece));
    let pays = |name: &String| tx(name).op_by("council", body.clone()).fee(13_100);
    let outcome = at(&mut world, &names.iter().map(pays).collect::<Vec<Tx>>());
    assert_eq!(outcome.applied.len(), fitting);
    let reasons: Vec<DropReason> = outcome.dropped.iter().map(|drop| drop.reason).collect();
    assert_eq!(reasons, [DropReason::Verifications; 2]);
}
