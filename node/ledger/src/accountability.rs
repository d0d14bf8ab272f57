//! Evidence against validators: what the governance contract does with it, and what is kept of it.
//!
//! The check is that of [`carat_types::evidence`], with the chain's one signature predicate; who signed what is known from
//! the set of the epoch. A conviction changes nothing else: the validators vote on what follows.
//!
//! **Source**: consensus specification, sections 11 and 13; decision record 54.

use carat_types::Digest;
use carat_types::accountability::{Accountability, Acquittal, EVIDENCE_SINCE, Submission};
use carat_types::epoch::EpochSet;
use carat_types::validators::Ed25519;

use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::StateKey;
use crate::overlay::Overlay;
use crate::state::{EntryBytes, StateRead};
use crate::validity::Moment;

/// Who was convicted, and the sets that evidence is checked against; empty where nothing was ever kept.
///
/// **Errors**: the state cannot be read.
pub fn read(state: &(impl StateRead + ?Sized)) -> Result<Accountability, StateError> {
    let key = StateKey::Accountability;
    let value = state.get(&key.to_bytes())?.map(|bytes| StateValue::from_bytes(&key, &bytes)).transpose()?;
    Ok(of_value(value.as_ref()))
}

/// What is kept of the set of the genesis file: nothing where validators order, as it always was. On an edge network the ledger must know
/// from the first block on that proposers are processes of their own (decision record 67).
pub(crate) fn of_first_epoch(set: &EpochSet) -> Option<EntryBytes> {
    let state = Accountability { sets: vec![set.clone()], convictions: Vec::new() };
    let value = || StateValue::Accountability(Box::new(state)).to_bytes();
    set.is_edge().then(|| (StateKey::Accountability.to_bytes(), value()))
}

/// Whether proposers are processes of their own in the present epoch.
pub(crate) fn is_edge(ledger: &mut Overlay<'_>) -> Result<bool, StateError> {
    Ok(load(ledger)?.sets.last().is_some_and(EpochSet::is_edge))
}

/// Keeps the set of an epoch that begins, for evidence of it.
pub(crate) fn begin_epoch(ledger: &mut Overlay<'_>, set: &EpochSet) -> Result<(), StateError> {
    if ledger.totals().protocol_version < EVIDENCE_SINCE {
        return Ok(());
    }
    let mut state = load(ledger)?;
    state.begin(set.clone());
    store(ledger, state)
}

/// Records whom a submission convicts.
///
/// **Returns** the evidence's id.
pub(crate) fn submit(
    ledger: &mut Overlay<'_>,
    submission: &Submission,
    moment: Moment,
) -> Result<Result<Digest, Acquittal>, StateError> {
    let mut state = load(ledger)?;
    let judged = state.judge(submission, &moment.chain_id, moment.epoch, moment.slot, &Ed25519);
    if let Err(acquittal) = judged {
        return Ok(Err(acquittal));
    }
    store(ledger, state)?;
    Ok(Ok(submission.evidence.id()))
}

fn load(ledger: &mut Overlay<'_>) -> Result<Accountability, StateError> {
    Ok(of_value(ledger.get(&StateKey::Accountability)?))
}

fn store(ledger: &mut Overlay<'_>, state: Accountability) -> Result<(), StateError> {
    ledger.put(&StateKey::Accountability, StateValue::Accountability(Box::new(state)))
}

fn of_value(value: Option<&StateValue>) -> Accountability {
    match value {
        Some(StateValue::Accountability(state)) => (**state).clone(),
        _ => Accountability::default(),
    }
}
