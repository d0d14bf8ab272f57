//! The oracle's rules about epochs, each shown to fail by hand: over a chain of the model's that decides on its first change.

use std::sync::Arc;

use carat_consensus::VerifiedMessage;
use carat_sim::crypto::{self, Scheme};
use carat_sim::epochs::{Change, EpochPlan, Era};
use carat_sim::ledger::{self, GENESIS_TIME_MS, LedgerKind, Rules};
use carat_sim::oracle::{HeardVote, Oracle, Verdict};
use carat_sim::plan::{Behaviour, Plan};
use carat_types::batch::{Batch, Body, Payload, Value};
use carat_types::certificate::Certificate;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::header::{EpochEnd, Header, prefix_digest};
use carat_types::message::{Ballot, Commit, Message, Seal, StableCheckpoint};
use carat_types::validators::Verified;
use carat_types::{Digest, Epoch, Slot, ValidatorId, View};

/// Decided in slot 1 with K = 4 and L = 8, the epoch ends with slot 12.
const END: u64 = 12;
/// Validator 0 alone keeps to the protocol: the votes of the others are heard, not judged.
const CORRECT: ValidatorId = ValidatorId(0);

struct Scene {
    oracle: Oracle,
    eras: Vec<Era>,
    /// Of slots 0 to 16: four of the second epoch.
    headers: Vec<Header>,
}

fn scene() -> Scene {
    let mut plan = Plan::of(0, Some(4), None, Some(Trust::Bft));
    plan.scheme = Scheme::Mock;
    plan.adversaries = (1..4).map(|id| (ValidatorId(id), Behaviour::Mixed)).collect();
    plan.params = ConsensusConstants { checkpoint_interval: 4, window: 8, ..plan.params };
    let generations = vec![0, 0, 0, 1];
    let change = Change::Replaced(ValidatorId(3));
    plan.epochs = vec![EpochPlan { change, n: 4, edge: 0, generations, params: plan.params, after_us: 0 }];
    let eras = plan.eras(ledger::chain_id(0));
    let rules = Rules::new(LedgerKind::Model, 0, 0, plan.params.block);
    let genesis = rules.governed_genesis(&eras);
    let oracle = Oracle::new(&plan, &eras, crypto::authenticator(Scheme::Mock), genesis.header());
    let headers = chain(&rules, genesis);
    Scene { oracle, eras, headers }
}

/// Slot 1 decides; all others are empty.
fn chain(rules: &Rules, mut ledger: ledger::Ledger) -> Vec<Header> {
    let mut headers = vec![ledger.header().clone()];
    for slot in 1..=16 {
        let envelopes = if slot == 1 { vec![rules.handover(Epoch(1))] } else { Vec::new() };
        let body = Arc::new(Body { envelopes });
        let batch = Batch { time_ms: GENESIS_TIME_MS + slot, bodies: vec![body.digest()] };
        let payload = Payload { value: Value::Batch(batch), bodies: vec![body] };
        let digest = payload.value.digest();
        let prefix = prefix_digest(&ledger.header().prefix, Slot(slot), &digest);
        ledger.execute(Slot(slot), &payload, prefix, digest);
        headers.push(ledger.header().clone());
    }
    headers
}

impl Scene {
    fn header(&self, slot: u64) -> Header {
        self.headers[usize::try_from(slot).expect("a few slots")].clone()
    }

    fn execute(&mut self, through: u64) {
        for slot in 1..=through {
            assert_eq!(self.oracle.executed(CORRECT, &self.header(slot), &[]), Ok(()), "slot {slot}");
        }
    }

    /// A quorum of the liars says COMMIT for a slot in a frame of `epoch`, with the signatures of the epoch `signed`.
    fn commit(&mut self, epoch: usize, signed: usize, slot: u64) -> Option<&'static str> {
        let Header { batch: digest, prefix, .. } = self.header(slot);
        let ballot = Ballot { view: View(9), slot: Slot(slot), digest, prefix };
        let heard = (1..4).map(ValidatorId).map(|id| {
            let Era { set, keys, .. } = &self.eras[signed];
            let message = Message::Commit(keys[id.index()].sign(set, id, Commit(ballot)));
            broken(self.oracle.sent(id, epoch, &message))
        });
        heard.last().flatten()
    }

    fn checkpoint(&self, slot: u64) -> StableCheckpoint {
        let header = self.header(slot);
        let Era { set, keys, .. } = &self.eras[0];
        let body = Seal { slot: Slot(slot), header: header.hash() };
        let seals = (0..3).map(ValidatorId).map(|id| (id, keys[id.index()].sign(set, id, body).signature));
        StableCheckpoint { certificate: Certificate::assemble(body, seals), header }
    }
}

fn broken(verdict: Verdict) -> Option<&'static str> {
    verdict.err().map(|violation| violation.rule)
}

#[test]
fn model_ends_the_epoch_where_section_11_says() {
    let Scene { headers, eras, .. } = scene();
    for header in &headers {
        let of_first = header.slot.0 <= END;
        assert_eq!(header.epoch, Epoch(u32::from(!of_first)), "{header:?}");
        let end = EpochEnd { slot: Slot(END), next_set: eras[1].hash };
        assert_eq!(header.epoch_end, (of_first && header.slot.0 > 0).then_some(end), "{header:?}");
    }
}

#[test]
fn header_that_names_another_end_set_or_epoch_is_found() {
    let rule = Some("a header names the epoch and its end");
    let mut scene = scene();
    let first = scene.header(1);
    let end = first.epoch_end.clone().expect("decided");
    let wrong = [
        Header { epoch_end: Some(EpochEnd { slot: Slot(END + 4), ..end.clone() }), ..first.clone() },
        Header { epoch_end: Some(EpochEnd { next_set: Digest([7; 32]), ..end }), ..first.clone() },
        Header { epoch: Epoch(1), ..first },
    ];
    for header in wrong {
        assert_eq!(broken(self::scene().oracle.executed(CORRECT, &header, &[])), rule, "{header:?}");
    }
    scene.execute(1);
    let silent = Header { epoch_end: None, ..scene.header(2) };
    assert_eq!(broken(scene.oracle.executed(CORRECT, &silent, &[])), rule);
}

#[test]
fn block_beyond_the_end_is_not_of_the_old_epoch() {
    let mut scene = scene();
    scene.execute(END);
    let beyond = scene.header(END + 1);
    assert_eq!(
        broken(scene.oracle.executed(CORRECT, &beyond, &[])),
        Some("a header names the epoch and its end"),
        "its validator is in the old epoch"
    );
}

#[test]
fn slot_beyond_the_end_that_the_old_set_decides_breaks_agreement() {
    let mut scene = scene();
    scene.execute(END);
    assert_eq!(scene.commit(0, 0, END), None);
    assert_eq!(scene.commit(0, 0, END + 1), Some("agreement over epochs"));
}

#[test]
fn slot_of_the_old_epoch_that_the_new_set_decides_breaks_agreement() {
    let mut scene = scene();
    scene.execute(END);
    assert_eq!(broken(scene.oracle.begins(CORRECT, 1)), None);
    assert_eq!(scene.commit(1, 1, END + 1), None);
    assert_eq!(scene.commit(1, 1, END), Some("agreement"));
}

#[test]
fn signatures_of_an_epoch_count_in_no_other() {
    let mut scene = scene();
    scene.execute(END);
    assert_eq!(broken(scene.oracle.begins(CORRECT, 1)), None);
    assert_eq!(scene.commit(1, 0, END + 1), None);
    assert_eq!(scene.oracle.final_tip(), Slot(END), "the votes were signed for the old epoch");
    assert_eq!(scene.commit(1, 1, END + 1), None);
    assert_eq!(scene.oracle.final_tip(), Slot(END + 1));
}

#[test]
fn second_vote_is_borne_in_silence_beyond_the_end_alone() {
    let mut scene = scene();
    scene.execute(END);
    let stands = (View(9), Slot(END - 4));
    let mut hear = |slot: u64, value: u8| {
        let digest = Digest([value; 32]);
        let ballot = Ballot { view: View(9), slot: Slot(slot), digest, prefix: digest };
        let Era { set, keys, .. } = &scene.eras[0];
        let commit = Verified::own(keys[1].sign(set, ValidatorId(1), Commit(ballot)));
        let vote = HeardVote::of(&VerifiedMessage::Commit(commit)).expect("a vote");
        broken(scene.oracle.heard_vote(CORRECT, vote, false, stands))
    };
    assert_eq!([hear(END, 1), hear(END, 2)], [None, Some("a second vote is refused")]);
    // A replica whose epoch is over answers nothing, and refuses nothing.
    assert_eq!([hear(END + 1, 1), hear(END + 1, 2)], [None, None]);
}

#[test]
fn epoch_that_ends_with_another_slot_is_found() {
    let rule = Some("an epoch ends with its last slot");
    let mut scene = scene();
    scene.execute(END);
    let (early, last) = (scene.checkpoint(END - 4), scene.checkpoint(END));
    assert_eq!(broken(scene.oracle.epoch_ended(CORRECT, &early)), rule);
    assert_eq!(broken(scene.oracle.epoch_ended(CORRECT, &last)), rule, "its checkpoint is not durable");
    let durable = carat_consensus::Record::Stable(Arc::new(last.clone()));
    assert_eq!(broken(scene.oracle.durable(CORRECT, &durable)), None);
    assert_eq!(broken(scene.oracle.epoch_ended(CORRECT, &last)), None);
}

#[test]
fn epoch_that_begins_before_the_one_below_has_an_end_is_found() {
    let mut scene = scene();
    assert_eq!(broken(scene.oracle.begins(CORRECT, 1)), Some("epochs begin in order"));
    scene.execute(END);
    assert_eq!(broken(scene.oracle.begins(CORRECT, 1)), None);
    assert_eq!(broken(scene.oracle.begins(CORRECT, 0)), Some("epochs begin in order"));
}
