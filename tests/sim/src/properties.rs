//! The properties that the papers prove, each as a predicate over what a whole run left behind ([`Witness`]).
//!
//! **Source**: Meling, Marzullo and Mei, "Byzantine Proposer Fast Paxos" (CS1 to CL2, Lemmas 1 to 3, Theorem 1, the failure
//! detector); the chapter "Authenticated Agreement" (Lemmas 26.8 and 26.18, Theorem 26.26). A slot is what they call an
//! instance or a sequence number, a view a round, an acceptor that executes a learner.
//!
//! A predicate answers with a sentence about what breaks the property. It shares no code with the product or the oracle.

use std::collections::BTreeSet;

use carat_types::batch::null_digest;
use carat_types::{Digest, ValidatorId, View};

use crate::witness::{Stay, Witness};

/// Whether a run has a property; if not, what it did instead.
pub type Finding = Result<(), String>;

fn demand(holds: bool, what: impl FnOnce() -> String) -> Finding {
    if holds { Ok(()) } else { Err(what()) }
}

/// CS1: only a proposed value may be chosen. NULL is what a NEW-VIEW proposes for a slot that it proves free.
pub fn cs1_only_a_proposed_value_is_chosen(run: &Witness) -> Finding {
    for (slot, values) in run.chosen() {
        for value in values.into_keys() {
            let proposed = value == null_digest() || run.proposed.contains(&(slot, value));
            demand(proposed, || format!("slot {slot}: {value} is chosen, and nobody proposed it"))?;
        }
    }
    Ok(())
}

/// CS2: only a single value is chosen, in all views together.
pub fn cs2_only_a_single_value_is_chosen(run: &Witness) -> Finding {
    let chosen = run.chosen();
    let split = chosen.iter().find(|(_, values)| values.len() > 1);
    demand(split.is_none(), || format!("two values are chosen: {split:?}"))
}

/// CS3: only a chosen value is learned by a correct learner.
pub fn cs3_only_a_chosen_value_is_learned(run: &Witness) -> Finding {
    let chosen = run.chosen();
    for (slot, learned) in &run.learned {
        for (learner, value) in learned {
            let is_chosen = chosen.get(slot).is_some_and(|values| values.contains_key(value));
            demand(is_chosen, || format!("slot {slot}: {learner} learned {value}, which is not chosen"))?;
        }
    }
    Ok(())
}

/// CL1: some proposed value is eventually chosen, again and again: of slots that were open when the faults ended, too.
pub fn cl1_some_value_is_eventually_chosen(run: &Witness) -> Finding {
    let Some(calm) = &run.calm else { return Err("the faults never ended".to_owned()) };
    let before = calm.chosen.keys().next_back().copied();
    let after = run.chosen().keys().next_back().copied();
    demand(after > before, || format!("nothing was chosen above slot {before:?} once the faults had ended"))
}

/// CL2: once a value is chosen, correct learners eventually learn it: all that run for good. Who fetches a state learns
/// with it what was chosen up to there.
pub fn cl2_what_is_chosen_is_eventually_learned(run: &Witness) -> Finding {
    let Some(calm) = &run.calm else { return Err("the faults never ended".to_owned()) };
    for (slot, values) in &calm.chosen {
        for learner in &calm.core {
            let executed = values
                .keys()
                .any(|value| run.learned.get(slot).is_some_and(|it| it.contains(&(*learner, *value))));
            let fetched = run.fetched.get(learner).is_some_and(|upto| upto >= slot);
            demand(executed || fetched, || format!("slot {slot} is chosen, and {learner} never learned it"))?;
        }
    }
    Ok(())
}

/// The invariant behind Lemma 3 and Theorem 1: a correct acceptor's vote in a view means that no other value was chosen
/// in a lower one. So no new leader changes what is chosen, unless it is found out and nobody votes for it.
pub fn votes_keep_what_was_chosen_before(run: &Witness) -> Finding {
    let chosen = run.chosen();
    for (slot, view, value, voter) in &run.cast {
        let mut others = chosen.get(slot).into_iter().flatten();
        let other = others.find(|(other, chosen_in)| *chosen_in < view && *other != value);
        demand(other.is_none(), || {
            format!("slot {slot}: {voter} votes for {value} in view {view}, though {other:?} was chosen")
        })?;
    }
    Ok(())
}

/// Lemma 26.8: two quorums share a correct node, here: all certificates and NEW-VIEWs upon which anybody acted.
pub fn lemma_26_8_quorums_share_a_correct_node(run: &Witness) -> Finding {
    for (index, first) in run.quorums.iter().enumerate() {
        for second in run.quorums.iter().skip(index) {
            let common = (first & second).count_ones() as usize;
            demand(common > run.faults(), || {
                format!("{first:b} and {second:b} share {common} of {} nodes, f = {}", run.n, run.faults())
            })?;
        }
    }
    Ok(())
}

/// Lemma 26.18: in one view, one value at most has a prepared certificate for a sequence number.
pub fn lemma_26_18_one_prepared_value_in_a_view(run: &Witness) -> Finding {
    let split = run.prepared.iter().find(|(_, values)| values.len() > 1);
    demand(split.is_none(), || format!("two prepared certificates: {split:?}"))
}

/// Theorem 26.26: once a correct node executes a request with a sequence number, no correct node ever executes another
/// one with it, in that view or a later one.
pub fn theorem_26_26_one_executed_value_across_views(run: &Witness) -> Finding {
    for (slot, learned) in &run.learned {
        let values: BTreeSet<Digest> = learned.iter().map(|(_, value)| *value).collect();
        demand(values.len() == 1, || format!("slot {slot}: two values are executed: {learned:?}"))?;
    }
    Ok(())
}

/// The rungs N = f+1 and 2f+1: whatever f+1 nodes agree upon has a correct one behind it, and behind a quorum the correct
/// ones are the majority; over all sets upon which a correct node acted.
pub fn ladder_agreements_have_correct_nodes_behind_them(run: &Witness) -> Finding {
    let faults = run.faults();
    let liars = run.liars.iter().fold(0u64, |set, id| set | 1 << id.0);
    for set in &run.seals {
        let honest = (set & !liars).count_ones() as usize;
        demand(set.count_ones() as usize > faults && honest > 0, || format!("only liars sealed: {set:b}"))?;
    }
    for set in &run.quorums {
        let honest = (set & !liars).count_ones() as usize;
        demand(honest > faults, || format!("{honest} correct nodes in {set:b}, f = {faults}"))?;
    }
    Ok(())
}

/// The failure detector is complete: once the faults have ended, a mute leader is suspected by all. Nobody whom it leads
/// stays in its view for longer than the largest time-out.
pub fn mute_leaders_are_suspected_by_all(run: &Witness, mute: impl Fn(ValidatorId) -> bool) -> Finding {
    let Some(calm) = &run.calm else { return Err("the faults never ended".to_owned()) };
    for (index, Stay { who, view, from, to }) in run.stays.iter().enumerate() {
        let left = run.stays.iter().skip(index + 1).find(|stay| stay.who == *who).map(|next| next.from);
        let (from, to) = ((*from).max(calm.at), left.unwrap_or(*to));
        let leader = leader_of(run, *view);
        let too_long = to.saturating_sub(from) > 2 * run.patience_us;
        demand(!(calm.core.contains(who) && mute(leader) && too_long), || {
            format!("{who} trusts {leader}, which is mute, from {from} to {to} in view {view}")
        })?;
    }
    Ok(())
}

/// The failure detector is eventually accurate: when the last views from before the end of the faults are over, nobody suspects a
/// leader that is correct and heard. One that was left alone then is left by the others after the largest time-out, whoever leads it.
pub fn good_leaders_are_eventually_trusted(run: &Witness) -> Finding {
    let Some(calm) = &run.calm else { return Err("the faults never ended".to_owned()) };
    let settled = calm.at + run.patience_us;
    let wrong = run.suspicions.iter().find(|suspicion| {
        suspicion.at > settled
            && calm.core.contains(&suspicion.by)
            && calm.core.contains(&leader_of(run, suspicion.view))
    });
    demand(wrong.is_none(), || format!("{wrong:?}, and its leader is correct"))
}

/// Leaders take turns.
fn leader_of(run: &Witness, view: View) -> ValidatorId {
    let index = view.0 % run.n as u64;
    ValidatorId(u16::try_from(index).unwrap_or(u16::MAX))
}
