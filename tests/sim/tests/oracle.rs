//! Rules of the oracle that no planted bug breaks first, shown to fail by hand.

use carat_sim::crypto::{self, Keys, Scheme};
use carat_sim::epochs::Era;
use carat_sim::ledger::{self, LedgerKind, Rules};
use carat_sim::oracle::{Oracle, Standpoint, Verdict};
use carat_sim::plan::{Behaviour, Plan};
use carat_types::genesis::Trust;
use carat_types::header::prefix_digest;
use carat_types::message::{Ballot, Commit, Message};
use carat_types::{Digest, Slot, ValidatorId, View};

/// An oracle over four validators, of whom `liars` lie, and a way to let it hear a COMMIT.
struct Scene {
    oracle: Oracle,
    commit: Box<dyn Fn(u16, Ballot) -> Message>,
    genesis: Digest,
}

fn scene(liars: u16) -> Scene {
    let mut plan = Plan::of(0, Some(4), None, Some(Trust::Bft));
    plan.adversaries = (0..liars).map(|id| (ValidatorId(id), Behaviour::Mixed)).collect();
    plan.scheme = Scheme::Mock;
    let eras = plan.eras(ledger::chain_id(0));
    let Era { keys, set, .. } = eras[0].clone();
    let genesis = Rules::new(LedgerKind::Model, 0, 0, plan.params.block).genesis();
    let header = genesis.header();
    let oracle = Oracle::new(&plan, &eras, crypto::authenticator(Scheme::Mock), header);
    let commit = move |signer: u16, ballot: Ballot| {
        let keys: &Keys = &keys[usize::from(signer)];
        Message::Commit(keys.sign(&set, ValidatorId(signer), Commit(ballot)))
    };
    Scene { oracle, commit: Box::new(commit), genesis: header.prefix }
}

fn broken(verdict: Verdict) -> Option<&'static str> {
    verdict.err().map(|violation| violation.rule)
}

#[test]
fn two_quorums_of_commits_break_agreement() {
    let Scene { mut oracle, commit, genesis } = scene(4);
    let ballot = |view: u64, value: u8| {
        let digest = Digest([value; 32]);
        Ballot { view: View(view), slot: Slot(1), digest, prefix: prefix_digest(&genesis, Slot(1), &digest) }
    };
    for (view, value) in [(0, 1), (3, 1)] {
        for signer in 0..3 {
            let message = commit(signer, ballot(view, value));
            assert_eq!(broken(oracle.sent(ValidatorId(signer), 0, &message)), None);
        }
    }
    let heard = [1, 2, 3].map(|signer| {
        let message = commit(signer, ballot(5, 2));
        broken(oracle.sent(ValidatorId(signer), 0, &message))
    });
    assert_eq!(heard, [None, None, Some("agreement")]);
}

#[test]
fn view_checkpoint_and_final_slot_never_go_back() {
    let stands = |view: u64, stable: u64, last_final: u64| Standpoint {
        view: View(view),
        stable: Slot(stable),
        last_final: Slot(last_final),
        buffered: 0,
    };
    let rule = Some("view, checkpoint and final slot never go back");
    for lower in [stands(4, 8, 9), stands(5, 7, 9), stands(5, 8, 8)] {
        let mut oracle = scene(0).oracle;
        assert_eq!(broken(oracle.stands(ValidatorId(0), stands(5, 8, 9))), None);
        assert_eq!(broken(oracle.stands(ValidatorId(0), lower)), rule);
    }
}
