//! The native contract by which the validators change parameters: proposals, approvals, and changes that come into force.
//!
//! A signer of the governance account proposes a change or approves one; each call counts the weights of the signers that
//! approve, as the account has them then. With the account's medium threshold the change is decided, and comes into force
//! with the first slot above a checkpoint that everybody reaches with the decision executed ([`Governance::first_slot`]).
//!
//! **Source**: consensus specification, section 11; ledger specification 0.6; decision record 36.

use carat_types::accountability::Acquittal;
use carat_types::epoch::EpochSet;
use carat_types::genesis::{ConsensusConstants, GenesisValidator};
use carat_types::governance::{Call, Change, Governance, OpenProposal, Parameter, Proposal, Scheduled};
use carat_types::header::EpochEnd;
use carat_types::{Digest, Epoch, PublicKey, Quorum, Slot};
use stellar_xdr::{AccountEntry, Signer, SignerKey, Thresholds, Uint256};

use crate::accountability;
use crate::entry::{StateValue, Totals};
use crate::error::{ApplyError, StateError};
use crate::key::StateKey;
use crate::overlay::Overlay;
use crate::sponsorship;
use crate::state::StateRead;
use crate::validity::Moment;

/// The newest version of the ledger's rules that this source knows. Version 27 counts offers that a path crosses in vain;
/// up to 26 they are not counted. Version 28 knows calls that propose a set of validators, version 29 calls that submit
/// evidence; from version 29 on validators also spread transactions in bodies, for which no block is executed differently. Version 30
/// knows sets that list the proposers of an edge network.
const NEWEST_WRITTEN: u32 = 30;

/// The first version in which bodies are spread.
const VERSION_SPREADING_BODIES: u32 = 29;

/// The newest version of the ledger's rules that this build executes. A build for the test of an upgrade is made to know
/// fewer, by `CARAT_NEWEST_PROTOCOL` in the environment of the compiler; no build can be made to know more.
pub const NEWEST_PROTOCOL: u32 = newest(option_env!("CARAT_NEWEST_PROTOCOL"));

#[expect(clippy::panic, reason = "while compiling")]
const fn newest(asked: Option<&str>) -> u32 {
    match asked {
        None => NEWEST_WRITTEN,
        Some(text) => match u32::from_str_radix(text, 10) {
            Ok(version) if version <= NEWEST_WRITTEN => version,
            _ => panic!("CARAT_NEWEST_PROTOCOL is no version that this source knows"),
        },
    }
}

/// Why the contract refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The speaker is no signer of the governance account, the operation acts for another account, the signer has
    /// approved before, or the change is not possible from the present value.
    NotPossible,
    /// No such proposal is open: it never was, was replaced or decided, or its time is over.
    NotOpen,
    /// Another change is decided and not in force yet.
    Blocked,
    /// Evidence convicts nobody anew.
    Acquitted(Acquittal),
}

/// The state of governance; none on a chain without it.
///
/// **Errors**: the state cannot be read.
pub fn read(state: &(impl StateRead + ?Sized)) -> Result<Option<Governance>, StateError> {
    let key = StateKey::Governance;
    match state.get(&key.to_bytes())? {
        Some(bytes) => Ok(of_value(&StateValue::from_bytes(&key, &bytes)?)),
        None => Ok(None),
    }
}

/// Checks that this build knows the rules by which a block at `slot` is executed.
///
/// **Errors**: [`ApplyError::UnknownProtocol`]; the state cannot be read.
pub fn check_version(state: &impl StateRead, slot: Slot) -> Result<(), ApplyError> {
    begin_block(&mut Overlay::new(state, 0)?, slot)
}

/// The decided version of the rules that this build does not know, with the first slot of it: there the node will stop.
///
/// **Errors**: the state cannot be read.
pub fn unknown_version(state: &(impl StateRead + ?Sized)) -> Result<Option<(Slot, u32)>, StateError> {
    let scheduled = read(state)?.and_then(|governance| governance.scheduled);
    Ok(scheduled.and_then(|scheduled| match scheduled.change {
        Change::Value { parameter: Parameter::ProtocolVersion, value } if value > NEWEST_PROTOCOL => {
            Some((scheduled.from, value))
        }
        _ => None,
    }))
}

/// Whether validators spread transactions in bodies, by the version that the state is of: every build that executes it knows how.
///
/// **Errors**: the state cannot be read.
pub fn spreads_bodies(state: &(impl StateRead + ?Sized)) -> Result<bool, StateError> {
    Ok(protocol_version(state)? >= VERSION_SPREADING_BODIES)
}

/// The version of the rules that the state is of; 0 where it does not say.
///
/// **Errors**: the state cannot be read.
pub fn protocol_version(state: &(impl StateRead + ?Sized)) -> Result<u32, StateError> {
    let key = StateKey::Totals;
    let value = state.get(&key.to_bytes())?.map(|bytes| StateValue::from_bytes(&key, &bytes)).transpose()?;
    Ok(match value {
        Some(StateValue::Totals(totals)) => totals.protocol_version,
        _ => 0,
    })
}

/// What happens before the first transaction of a block: a change whose slot has come comes into force.
///
/// **Errors**: [`ApplyError::UnknownProtocol`], before anything of the block is executed.
pub(crate) fn begin_block(ledger: &mut Overlay<'_>, slot: Slot) -> Result<(), ApplyError> {
    if let Some(mut governance) = load(ledger)?
        && let Some(scheduled) = governance.scheduled.take_if(|scheduled| scheduled.from <= slot)
    {
        come_into_force(ledger, governance, &scheduled.change)?;
    }
    let seen = ledger.totals().protocol_version;
    if seen > NEWEST_PROTOCOL {
        return Err(ApplyError::UnknownProtocol { slot, seen });
    }
    Ok(())
}

fn come_into_force(
    ledger: &mut Overlay<'_>,
    governance: Governance,
    change: &Change,
) -> Result<(), StateError> {
    let mut totals = *ledger.totals();
    match change {
        Change::Value { parameter: Parameter::ProtocolVersion, value } => totals.protocol_version = *value,
        Change::Value { parameter: Parameter::BaseFee, value } => totals.base_fee = *value,
        Change::Value { parameter: Parameter::BaseReserve, value } => totals.base_reserve = *value,
        Change::Set(set) => return begin_epoch(ledger, governance, set),
    }
    ledger.change_parameters(totals)?;
    store(ledger, governance)
}

/// The first block of an epoch: limits are those of its constants, and its validators govern.
fn begin_epoch(ledger: &mut Overlay<'_>, governance: Governance, set: &EpochSet) -> Result<(), StateError> {
    let ConsensusConstants { checkpoint_interval, window, block, .. } = set.consensus;
    let totals =
        Totals { max_transactions: block.transactions, max_operations: block.operations, ..*ledger.totals() };
    ledger.change_parameters(totals)?;
    seat(ledger, &governance.account, &set.validators)?;
    accountability::begin_epoch(ledger, set)?;
    // Proposals stay open; what those said who are signers no more is forgotten with the next call.
    store(ledger, Governance { checkpoint_interval, window, ..governance })
}

/// Makes the validators the signers of the governance account, and a quorum of them its thresholds. Who else stood there
/// goes, and whoever paid its reserve gets it back.
fn seat(
    ledger: &mut Overlay<'_>,
    account: &PublicKey,
    validators: &[GenesisValidator],
) -> Result<(), StateError> {
    const TOO_MANY: StateError =
        StateError::Inconsistent("a set has more validators than an account signers");
    while let Some(last) = ledger.account(account)?.and_then(|entry| entry.signers.len().checked_sub(1)) {
        sponsorship::remove_signer(ledger, account, last)?;
    }
    let quorum = Quorum::of(validators.len()).map_err(|_| TOO_MANY)?;
    let needed = u8::try_from(quorum.quorum()).map_err(|_| TOO_MANY)?;
    // A quorum may have merged it away: then nothing is governed any more, and the epoch begins all the same.
    let Some(entry) = ledger.account_mut(account)? else { return Ok(()) };
    entry.thresholds = Thresholds([0, needed, needed, needed]);
    entry.signers = council(validators).try_into().map_err(|_| TOO_MANY)?;
    for position in 0..validators.len() {
        sponsorship::note_new_signer(entry, position)?;
    }
    // Nobody pays reserves for them: the account need not hold what a larger set would ask for.
    let more = u32::try_from(validators.len()).map_err(|_| TOO_MANY)?;
    entry.num_sub_entries = entry.num_sub_entries.checked_add(more).ok_or(TOO_MANY)?;
    Ok(())
}

/// The validators as signers of one weight, in the order of their keys.
pub(crate) fn council(validators: &[GenesisValidator]) -> Vec<Signer> {
    let signer = |validator: &GenesisValidator| Signer {
        key: SignerKey::Ed25519(Uint256(validator.acceptor.0)),
        weight: 1,
    };
    let mut signers: Vec<Signer> = validators.iter().map(signer).collect();
    signers.sort_by(|one, other| one.key.cmp(&other.key));
    signers
}

/// Where the present epoch ends, once that is decided; looked at after the last transaction of a block.
pub(crate) fn epoch_end(ledger: &mut Overlay<'_>) -> Result<Option<EpochEnd>, StateError> {
    match ledger.get(&StateKey::Governance)? {
        Some(StateValue::Governance(governance)) => Ok(governance.epoch_end()),
        _ => Ok(None),
    }
}

/// Makes a call for `source`, the operation's account.
///
/// **Returns** the id of the proposal, or of the evidence.
pub(crate) fn call(
    ledger: &mut Overlay<'_>,
    source: &PublicKey,
    call: &Call,
    moment: Moment,
) -> Result<Result<Digest, Refusal>, StateError> {
    let Some(mut governance) = load(ledger)?.filter(|governance| governance.account == *source) else {
        return Ok(Err(Refusal::NotPossible));
    };
    let Some(account) = ledger.account(source)?.cloned() else { return Ok(Err(Refusal::NotPossible)) };
    if call.signer().is_some_and(|signer| weight(&account, signer) == 0) {
        return Ok(Err(Refusal::NotPossible));
    }
    forget(&mut governance, &account, moment.close_time);
    let is_edge = accountability::is_edge(ledger)?;
    let present = Present { totals: *ledger.totals(), epoch: moment.epoch, account: *source, is_edge };
    let id = match call {
        Call::Propose { signer, change, valid_until } => {
            if !present.can_become(change) || *valid_until < moment.close_time {
                return Ok(Err(Refusal::NotPossible));
            }
            propose(&mut governance, *signer, change.clone(), *valid_until)
        }
        Call::Approve { signer, proposal } => {
            let found = governance.open.iter_mut().find(|open| open.proposal.id() == *proposal);
            let Some(open) = found else { return Ok(Err(Refusal::NotOpen)) };
            if open.approvals.contains(signer) {
                return Ok(Err(Refusal::NotPossible));
            }
            open.approvals.push(*signer);
            *proposal
        }
        Call::Evidence(submission) => {
            return Ok(accountability::submit(ledger, submission, moment)?.map_err(Refusal::Acquitted));
        }
    };
    let decided = decide(&mut governance, &account, &id, &present, moment.slot);
    store(ledger, governance)?;
    Ok(decided.map(|()| id))
}

/// Adds a proposal, in place of an earlier one of the same signer: so there are never more than signers.
fn propose(governance: &mut Governance, proposer: PublicKey, change: Change, valid_until: u64) -> Digest {
    governance.open.retain(|open| open.proposal.proposer != proposer);
    let proposal = Proposal { number: governance.proposals, proposer, change, valid_until };
    let id = proposal.id();
    governance.proposals = governance.proposals.saturating_add(1);
    governance.open.push(OpenProposal { proposal, approvals: vec![proposer] });
    id
}

/// Forgets proposals whose time is over, and what those said who are signers no more.
fn forget(governance: &mut Governance, account: &AccountEntry, close_time: u64) {
    governance.open.retain(|open| {
        open.proposal.valid_until >= close_time && weight(account, &open.proposal.proposer) > 0
    });
    for open in &mut governance.open {
        open.approvals.retain(|signer| weight(account, signer) > 0);
    }
}

/// Schedules the change of a proposal if those who approve it have the weight.
fn decide(
    governance: &mut Governance,
    account: &AccountEntry,
    id: &Digest,
    present: &Present,
    slot: Slot,
) -> Result<(), Refusal> {
    let found = governance.open.iter().enumerate().find(|(_, open)| open.proposal.id() == *id);
    let Some((position, open)) = found else { return Err(Refusal::NotOpen) };
    let approved = open.approvals.iter().fold(0_u32, |sum, who| sum.saturating_add(weight(account, who)));
    let [_, _, needed, _] = account.thresholds.0;
    if approved < u32::from(needed) {
        return Ok(());
    }
    if governance.scheduled.is_some() {
        return Err(Refusal::Blocked);
    }
    // What was possible when it was proposed need not be so any more.
    let change = open.proposal.change.clone();
    if !present.can_become(&change) {
        return Err(Refusal::NotPossible);
    }
    governance.open.remove(position);
    governance.scheduled = Some(Scheduled { change, from: governance.first_slot(slot) });
    Ok(())
}

/// What is in force.
struct Present {
    totals: Totals,
    epoch: Epoch,
    account: PublicKey,
    /// Whether proposers are processes of their own.
    is_edge: bool,
}

impl Present {
    /// Whether a change is possible from the present values. A version is one step, so that no slip of a hand stops everybody
    /// for good. The reserve only falls: offers that a rise made unaffordable would have to go with it. A set is one for
    /// the next epoch: who approved it meant it as the successor of the present one. The account's own key signs nothing,
    /// so it can be no validator's. Where proposers run stays: nobody's settings are those of another role.
    fn can_become(&self, change: &Change) -> bool {
        let totals = &self.totals;
        change.is_in_range()
            && match change {
                Change::Value { parameter: Parameter::ProtocolVersion, value } => {
                    totals.protocol_version.checked_add(1) == Some(*value)
                }
                Change::Value { parameter: Parameter::BaseFee, value } => totals.base_fee != *value,
                Change::Value { parameter: Parameter::BaseReserve, value } => *value < totals.base_reserve,
                Change::Set(set) => {
                    self.epoch.0.checked_add(1) == Some(set.epoch.0)
                        && set.is_edge() == self.is_edge
                        && set.validators.iter().all(|validator| validator.acceptor != self.account)
                }
            }
    }
}

/// The weight of a signer; its own key counts with its master weight.
fn weight(account: &AccountEntry, signer: &PublicKey) -> u32 {
    let [master, ..] = account.thresholds.0;
    if PublicKey::from(&account.account_id) == *signer {
        return master.into();
    }
    let is_signer = |key: &SignerKey| matches!(key, SignerKey::Ed25519(key) if key.0 == signer.0);
    let found = account.signers.iter().find(|candidate| is_signer(&candidate.key));
    found.map_or(0, |signer| signer.weight.min(u8::MAX.into()))
}

fn load(ledger: &mut Overlay<'_>) -> Result<Option<Governance>, StateError> {
    Ok(ledger.get(&StateKey::Governance)?.and_then(of_value))
}

fn store(ledger: &mut Overlay<'_>, governance: Governance) -> Result<(), StateError> {
    ledger.put(&StateKey::Governance, StateValue::Governance(Box::new(governance)))
}

fn of_value(value: &StateValue) -> Option<Governance> {
    match value {
        StateValue::Governance(governance) => Some((**governance).clone()),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "few validators")]
mod tests;
