//! The edge deployment: proposers that are processes of their own, without a vote, and acceptors that order nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::effect::{Report, Trigger};
use carat_consensus::{Record, Rejection};
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::message::{Data, HighestVotes, Message, Status};
use carat_types::{Slot, View};

use crate::harness::*;

/// Who sent which kind of message, over all that a cluster sends from now on.
fn watch_speakers(cluster: &mut Cluster) -> Rc<RefCell<BTreeSet<(usize, &'static str)>>> {
    let spoken = Rc::new(RefCell::new(BTreeSet::new()));
    let seen = Rc::clone(&spoken);
    cluster.filter = Box::new(move |from, _, message| {
        seen.borrow_mut().insert((from.index(), message.name()));
        true
    });
    spoken
}

#[test]
fn proposers_order_and_acceptors_vote_and_nobody_does_both() {
    let mut cluster = Cluster::of(edge(4, 3), ConsensusConstants { term: 8, ..params() }, Trust::Bft);
    let spoken = watch_speakers(&mut cluster);
    cluster.admit(1);
    // Three terms: each of the three has led.
    cluster.run_to(26);
    assert!(cluster.replica(0).view() >= View(3), "{}", cluster.describe());
    assert_eq!(cluster.slots_of(0, 1).len(), 1);
    for (who, what) in spoken.borrow().iter() {
        let of_proposers = matches!(*what, "PRE-PREPARE");
        let of_acceptors = matches!(*what, "PREPARE" | "COMMIT" | "VIEW-CHANGE" | "SEAL");
        assert!(!(of_proposers && *who < 4), "acceptor {who} said {what}");
        assert!(!(of_acceptors && *who >= 4), "proposer {who} said {what}");
    }
    let proposed = |who: usize| spoken.borrow().contains(&(who, "PRE-PREPARE"));
    assert!((4..7).all(proposed), "{:?}", spoken.borrow());
}

#[test]
fn journal_of_a_proposer_holds_no_vote_and_what_it_led() {
    let mut cluster = Cluster::edge(4, 2);
    cluster.run_to(20);
    let journal = &cluster.nodes[4].journal;
    assert!(journal.iter().any(|record| matches!(record, Record::Led(_, View(0)))), "J7");
    assert!(journal.iter().any(|record| matches!(record, Record::Stable(_))), "J6");
    let of_votes =
        |record: &Record| matches!(record, Record::Vote(..) | Record::Prepared(_) | Record::ViewChange(_));
    assert!(!journal.iter().any(of_votes), "J3, J4 and J5 are an acceptor's");
}

/// Section 10: a correct proposer comes up within n_p views.
#[test]
fn one_correct_proposer_of_three_orders_within_a_rotation() {
    let mut cluster = Cluster::edge(4, 3);
    cluster.run_to(3);
    let first = cluster.replica(0).view();
    cluster.crash(4);
    cluster.crash(5);
    cluster.admit(9);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(1, 9).len() == 1);
    assert!(cluster.replica(1).view().0 <= first.0 + 3, "{}", cluster.describe());
    cluster.run_to(12);
}

#[test]
fn one_dead_acceptor_and_one_dead_proposer_are_borne_where_fast_decides_too() {
    for trust in [Trust::Bft, Trust::Crash] {
        let mut cluster = Cluster::of(edge(4, 2), params(), trust);
        cluster.run_to(3);
        cluster.crash(4);
        cluster.crash(2);
        cluster.admit(9);
        cluster.run_until("the transaction", |cluster| cluster.slots_of(1, 9).len() == 1);
        cluster.run_to(20);
    }
}

/// J7: it may have proposed something in view 0 that nobody remembers.
#[test]
fn restarted_proposer_is_barred_from_its_view_and_leads_the_next() {
    let mut cluster = Cluster::edge(4, 1);
    cluster.run_to(3);
    cluster.crash(4);
    cluster.start(4);
    let spoken = Rc::new(RefCell::new(BTreeSet::new()));
    let seen = Rc::clone(&spoken);
    cluster.filter = Box::new(move |_, _, message| {
        if let Message::Proposal(proposal) = message {
            seen.borrow_mut().insert(proposal.signed.body.view);
        }
        true
    });
    cluster.admit(9);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(0, 9).len() == 1);
    assert!(!spoken.borrow().contains(&View(0)), "J7");
    assert!(spoken.borrow().contains(&View(1)), "the same proposer leads every view");
}

/// The prefix on which it proposes comes from what others say: it has cast no vote from which to know it.
#[test]
fn restarted_proposer_goes_on_where_the_others_are() {
    let mut cluster = Cluster::edge(4, 2);
    cluster.run_to(12);
    cluster.crash(5);
    cluster.run_to_among(&[0, 1, 2, 3], 30);
    cluster.start(5);
    cluster.crash(4);
    cluster.admit(9);
    cluster.run_until("the transaction", |cluster| cluster.slots_of(5, 9).len() == 1);
}

#[test]
fn proposer_leaves_no_view_before_an_acceptor_that_is_correct_has() {
    let mut cluster = Cluster::edge(4, 2);
    cluster.run_to(3);
    // The proposer that does not lead has heard nothing for long, and one acceptor calls for another view.
    cluster.filter = Box::new(|_, to, _| to != id(5));
    cluster.nodes[5].timers.clear();
    let call = forge(&edge(4, 2), 3, view_change(1));
    cluster.deliver(3, 5, Message::ViewChange(Arc::new(call)));
    assert_eq!(cluster.replica(5).view(), View(0), "one may lie");
    let call = forge(&edge(4, 2), 2, view_change(1));
    cluster.deliver(2, 5, Message::ViewChange(Arc::new(call)));
    assert_eq!(cluster.replica(5).view(), View(1), "T4");
    let followed =
        |report: &Report| matches!(report, Report::ViewChangeStarted { trigger: Trigger::Followed, .. });
    assert!(cluster.nodes[5].reports.iter().any(followed));
}

#[test]
fn proposal_of_a_proposer_that_does_not_lead_is_refused() {
    let set = edge(4, 2);
    let mut cluster = Cluster::edge(4, 2);
    cluster.run_to(2);
    let slot = cluster.replica(0).last_final().0 + 1;
    let payload = payload_of(1, &[7]);
    let forged = proposal(&set, 1, 0, slot, chain_id(), &payload);
    cluster.deliver(5, 0, forged);
    assert_eq!(cluster.last_rejection(0), Some(Rejection::NotLeader));
}

#[test]
fn proposer_key_of_an_acceptor_orders_nothing() {
    // What the leader would sign, by the key that orders for validator 0 in a co-located network.
    let forged = proposal(&validators(4), 0, 0, 1, chain_id(), &payload_of(1, &[7]));
    let cluster = Cluster::edge(4, 2);
    assert!(cluster.verify(forged).is_none());
}

/// Acceptor 0 and proposer 0 are different processes: the one convicts the other.
#[test]
fn acceptor_convicts_the_proposer_of_its_own_number() {
    let set = edge(4, 2);
    let mut cluster = Cluster::edge(4, 2);
    for index in 0..4 {
        let both = [1, 2].map(|number| proposal(&set, 0, 0, 14, chain_id(), &payload_of(number, &[number])));
        for forged in both {
            cluster.deliver(4, index, forged);
        }
        assert_eq!(cluster.nodes[index].evidence.len(), 1, "acceptor {index} keeps E1");
        let named = cluster.nodes[index].reports.iter().find_map(|report| match report {
            Report::Misbehaviour { validator, .. } => Some(*validator),
            _ => None,
        });
        assert_eq!(named, Some(id(4)), "the report names the process");
    }
}

/// Section 4: n-f-1 of those among whom at most f lie.
#[test]
fn guard_waits_for_acceptors_whatever_proposers_say() {
    let mut cluster = Cluster::edge(4, 3);
    cluster.run_to(2);
    cluster.crash(3);
    cluster.filter = Box::new(|from, to, _| !(to == id(3) && (1..4).contains(&from.index())));
    cluster.start(3);
    cluster.run_for(2_000_000);
    for proposer in 4..7 {
        let votes = HighestVotes { of: id(3), prepare: None, commit: None, view_change: None };
        cluster.deliver(proposer, 3, Message::Data(Data::HighestVotes(Arc::new(votes))));
    }
    assert!(cluster.replica(3).is_guarded(), "one answer of the two that are needed");
    cluster.filter = Box::new(|_, _, _| true);
    cluster.run_until("the guard", |cluster| !cluster.replica(3).is_guarded());
}

#[test]
fn height_that_only_proposers_claim_excuses_nobody() {
    let mut cluster = Cluster::edge(4, 3);
    cluster.run_to(2);
    let executed = cluster.replica(0).honest_peers_at();
    let high = Status { last_executed: Slot(1_000), ..Status::default() };
    for proposer in 4..7 {
        cluster.deliver(proposer, 0, Message::Status(high));
    }
    assert_eq!(cluster.replica(0).honest_peers_at(), executed);
}

/// T(k) = T0 * 2^floor(k/r) with r = n_p: three views of one length, then of twice that.
#[test]
fn time_outs_double_once_in_a_rotation_of_all_proposers() {
    let mut cluster = Cluster::edge(4, 3);
    cluster.run_to(3);
    // They say where they stand: who is not heard is not waited for.
    cluster.filter = Box::new(|from, _, message| from < id(4) || matches!(message, Message::Status(_)));
    cluster.admit(9);
    let mut entered = vec![cluster.now_us];
    for view in 1..=7 {
        cluster.run_until("the next view", |cluster| cluster.replica(0).view() >= View(view));
        entered.push(cluster.now_us);
    }
    let stays: Vec<u64> = entered.windows(2).skip(1).map(|pair| (pair[1] - pair[0]) / 500_000).collect();
    assert_eq!(stays, [2, 2, 4, 4, 4, 8], "in halves of T0, of views 1 to 6");
}
