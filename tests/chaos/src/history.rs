//! What clients called and were answered, and whether one order of the payments explains all of it.
//!
//! The chain's own order of commit makes this cheap: a history is strictly serialisable if that order agrees with real
//! time (what was answered before another was called comes first) and replaying it gives every value that was read.
//! Reads are of one node and therefore weak: what they show may be old, but it must once have been true, and between
//! two deaths one node must not go back in time for one account. (After a power cut it may: blocks are synced at
//! checkpoints, votes always; the node executes again what its journal and its peers know.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carat_types::{Digest, Slot};
use serde::Serialize;

use crate::bank::{FEE, OPENING};

/// One payment as its client built it.
#[derive(Clone, Copy, Debug)]
pub struct Payment {
    /// The transaction.
    pub hash: Digest,
    /// Index of the payer.
    pub from: usize,
    /// Index of the payee.
    pub to: usize,
    /// **Units**: stroops.
    pub amount: i64,
}

/// A payment that was submitted.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    payment: Payment,
    called: Duration,
    answer: Option<Answer>,
}

/// What its client was told, with proof.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Duration,
    slot: Slot,
    successful: bool,
}

/// What one node said of one account.
#[derive(Clone, Debug)]
pub struct Read {
    /// The node that was asked.
    pub node: String,
    /// Index of the account.
    pub account: usize,
    /// **Units**: stroops.
    pub balance: i64,
    /// The account's sequence number.
    pub sequence: i64,
    /// When it was asked.
    pub called: Duration,
    /// When it answered.
    pub answered: Duration,
}

/// Everything that clients saw, in no order.
#[derive(Debug, Default)]
pub struct History {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Vec<Call>,
    reads: Vec<Read>,
    /// When lives of nodes were over.
    deaths: Vec<(String, Duration)>,
}

/// What the chain says: its payments in the order of their commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The transaction.
    pub hash: Digest,
    /// Its place: ledger and index in it, as paging tokens have it.
    pub position: u64,
    /// Whether it took effect.
    pub successful: bool,
}

/// What is wrong; all zero is right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Acknowledged payments that the chain does not have, or has with another outcome.
    pub lost: usize,
    /// Payments that the chain has more than once.
    pub duplicated: usize,
    /// Payments on the chain that nobody made.
    pub invented: usize,
    /// Payments before which another comes that was called after they were answered.
    pub disordered: usize,
    /// Values that were read and were never true, or that went back in time.
    pub impossible_reads: usize,
}

impl History {
    /// Notes that a client submits a payment. **Returns** what to name it by when it is answered.
    pub fn called(&self, payment: Payment, at: Duration) -> usize {
        let mut seen = self.lock();
        seen.calls.push(Call { payment, called: at, answer: None });
        seen.calls.len() - 1
    }

    /// Notes the proved answer.
    pub fn answered(&self, call: usize, at: Duration, slot: Slot, successful: bool) {
        if let Some(call) = self.lock().calls.get_mut(call) {
            call.answer = Some(Answer { at, slot, successful });
        }
    }

    /// Notes what was read.
    pub fn read(&self, read: Read) {
        self.lock().reads.push(read);
    }

    /// Notes that a life of a node is over: behind its death, by when all that it said is heard, and before it starts again. Noted
    /// ahead of the death, what it said while it died would bind its next life.
    pub fn died(&self, node: &str, at: Duration) {
        self.lock().deaths.push((node.to_owned(), at));
    }

    /// The payments whose outcomes clients were told.
    pub fn told(&self) -> BTreeSet<Digest> {
        let seen = self.lock();
        seen.calls.iter().filter(|call| call.answer.is_some()).map(|call| call.payment.hash).collect()
    }

    /// Payments and reads.
    pub fn len(&self) -> (usize, usize) {
        let seen = self.lock();
        (seen.calls.len(), seen.reads.len())
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// Compares what clients saw with what the chain says. `opening` are the sequence numbers that the accounts began with.
    pub fn judge(&self, committed: &[Committed], opening: &[i64]) -> Findings {
        let seen = self.lock();
        let calls: BTreeMap<Digest, Call> =
            seen.calls.iter().map(|call| (call.payment.hash, *call)).collect();
        let mut order = committed.to_vec();
        order.sort_by_key(|it| it.position);
        let mut findings = count_presence(&calls, &order);
        findings.disordered = count_disordered(&calls, &order);
        let truth = replay(&calls, &order, opening);
        findings.impossible_reads = count_impossible(&seen, &truth);
        findings
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_presence(calls: &BTreeMap<Digest, Call>, order: &[Committed]) -> Findings {
    let mut found: BTreeMap<Digest, Vec<&Committed>> = BTreeMap::new();
    for it in order {
        found.entry(it.hash).or_default().push(it);
    }
    let as_told = |call: &&Call| match (&call.answer, found.get(&call.payment.hash)) {
        (Some(answer), Some(there)) => there.iter().all(|it| it.successful == answer.successful),
        (Some(_), None) => false,
        (None, _) => true,
    };
    Findings {
        lost: calls.values().filter(|call| !as_told(call)).count(),
        duplicated: found.values().filter(|there| there.len() > 1).count(),
        invented: found.keys().filter(|hash| !calls.contains_key(hash)).count(),
        ..Findings::default()
    }
}

/// Counts payments that were answered before an earlier one on the chain was even called.
fn count_disordered(calls: &BTreeMap<Digest, Call>, order: &[Committed]) -> usize {
    let mut latest_call = Duration::ZERO;
    let mut latest_slot = Slot(0);
    let mut disordered = 0;
    for call in order.iter().filter_map(|it| calls.get(&it.hash)) {
        if let Some(answer) = call.answer {
            // Slots that clients were shown by receipts follow the order of the ledger as well.
            if answer.at < latest_call || answer.slot < latest_slot {
                disordered += 1;
            }
            latest_slot = latest_slot.max(answer.slot);
        }
        latest_call = latest_call.max(call.called);
    }
    disordered
}

/// Every state that each account was ever in, with the number of payments before it: (balance, sequence) to steps.
type Truth = Vec<BTreeMap<(i64, i64), BTreeSet<usize>>>;

fn replay(calls: &BTreeMap<Digest, Call>, order: &[Committed], opening: &[i64]) -> Truth {
    let mut now: Vec<(i64, i64)> = opening.iter().map(|sequence| (OPENING, *sequence)).collect();
    let mut truth: Truth = now.iter().map(|state| BTreeMap::from([(*state, BTreeSet::from([0]))])).collect();
    for (step, it) in (1..).zip(order) {
        let Some(Call { payment, .. }) = calls.get(&it.hash) else { continue };
        now[payment.from].0 -= i64::from(FEE);
        now[payment.from].1 += 1;
        if it.successful {
            now[payment.from].0 -= payment.amount;
            now[payment.to].0 += payment.amount;
        }
        for account in [payment.from, payment.to] {
            truth[account].entry(now[account]).or_default().insert(step);
        }
    }
    truth
}

/// Counts reads that match no state of their account, or only states before one that the same node, in the same life,
/// showed already.
fn count_impossible(seen: &Seen, truth: &Truth) -> usize {
    let died_between = |node: &str, from: Duration, to: Duration| {
        seen.deaths.iter().any(|(dead, at)| dead == node && (from..=to).contains(at))
    };
    let mut reads: Vec<&Read> = seen.reads.iter().collect();
    reads.sort_by_key(|read| read.called);
    let mut reached: BTreeMap<(&str, usize), (Duration, usize)> = BTreeMap::new();
    let mut impossible = 0;
    for read in reads {
        let states = truth.get(read.account).and_then(|states| states.get(&(read.balance, read.sequence)));
        let known = reached.get(&(read.node.as_str(), read.account)).copied();
        // Only an answer that was there before this question was asked binds it.
        let binding = known.filter(|(answered, _)| {
            *answered <= read.called && !died_between(&read.node, *answered, read.answered)
        });
        let floor = binding.map_or(0, |(_, step)| step);
        match states.and_then(|steps| steps.range(floor..).next()) {
            Some(step) => drop(reached.insert((&read.node, read.account), (read.answered, *step))),
            None => impossible += 1,
        }
    }
    impossible
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHES: [Digest; 3] = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Three payments of account 0 to account 1, called at 0, 10 and 20 ms, each answered 5 ms later in slot 1, 2, 3.
    fn history() -> History {
        let history = History::default();
        for (index, hash) in HASHES.into_iter().enumerate() {
            let called = 10 * index as u64;
            let call = history.called(Payment { hash, from: 0, to: 1, amount: 7 }, at(called));
            history.answered(call, at(called + 5), Slot(index as u64 + 1), true);
        }
        history
    }

    fn chain(order: &[usize]) -> Vec<Committed> {
        let committed =
            |(position, index): (u64, &usize)| Committed { hash: HASHES[*index], position, successful: true };
        (1..).zip(order).map(committed).collect()
    }

    fn read(balance: i64, sequence: i64, called: u64) -> Read {
        Read {
            node: "v0".into(),
            account: 0,
            balance,
            sequence,
            called: at(called),
            answered: at(called + 1),
        }
    }

    #[test]
    fn chain_as_it_was_answered_is_right_and_every_deviation_is_counted() {
        let none = Findings::default();
        let cases: [(&str, Vec<Committed>, Findings); 6] = [
            ("right", chain(&[0, 1, 2]), none.clone()),
            ("lost", chain(&[0, 1]), Findings { lost: 1, ..none.clone() }),
            ("twice", chain(&[0, 1, 2, 0]), Findings { duplicated: 1, disordered: 1, ..none.clone() }),
            ("real time reversed", chain(&[1, 0, 2]), Findings { disordered: 1, ..none.clone() }),
            (
                "invented",
                [chain(&[0, 1, 2]), vec![Committed { hash: Digest([9; 32]), position: 9, successful: true }]]
                    .concat(),
                Findings { invented: 1, ..none.clone() },
            ),
            (
                "other outcome",
                chain(&[0, 1, 2])
                    .into_iter()
                    .map(|it| Committed { successful: it.position != 2, ..it })
                    .collect(),
                Findings { lost: 1, ..none },
            ),
        ];
        for (name, chain, expected) in cases {
            assert_eq!(history().judge(&chain, &[100, 200]), expected, "{name}");
        }
    }

    #[test]
    fn read_that_was_never_true_or_goes_back_is_counted() {
        let paid = 7 + i64::from(FEE);
        let cases = [
            ("the beginning", vec![read(OPENING, 100, 1)], 0),
            ("old but true", vec![read(OPENING, 100, 50)], 0),
            ("forwards", vec![read(OPENING, 100, 1), read(OPENING - 2 * paid, 102, 50)], 0),
            ("half a payment", vec![read(OPENING - 7, 101, 50)], 1),
            ("more than was ever there", vec![read(OPENING + 7, 100, 50)], 1),
            ("backwards", vec![read(OPENING - 2 * paid, 102, 50), read(OPENING - paid, 101, 60)], 1),
            ("at the same time", vec![read(OPENING - 2 * paid, 102, 50), read(OPENING - paid, 101, 50)], 0),
        ];
        for (name, reads, expected) in cases {
            let history = history();
            reads.into_iter().for_each(|read| history.read(read));
            assert_eq!(history.judge(&chain(&[0, 1, 2]), &[100, 200]).impossible_reads, expected, "{name}");
        }
    }

    #[test]
    fn node_that_died_in_between_may_have_forgotten_what_was_not_synced() {
        let paid = 7 + i64::from(FEE);
        for (died_at, expected) in [(49, 1), (55, 0), (70, 1)] {
            let history = history();
            history.read(read(OPENING - 2 * paid, 102, 50));
            history.read(read(OPENING - paid, 101, 60));
            history.died("v0", at(died_at));
            assert_eq!(
                history.judge(&chain(&[0, 1, 2]), &[100, 200]).impossible_reads,
                expected,
                "{died_at}"
            );
        }
    }

    #[test]
    fn payment_without_an_answer_may_be_there_or_not() {
        let history = History::default();
        history.called(Payment { hash: HASHES[0], from: 0, to: 1, amount: 7 }, at(0));
        assert_eq!(history.judge(&[], &[0, 0]), Findings::default());
        assert_eq!(history.judge(&chain(&[0]), &[0, 0]), Findings::default());
    }
}
