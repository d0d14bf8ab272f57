//! What the node itself reads of the ledger's state: sequence numbers, an account with its entries.

use carat_api::port::{Account, Governance};
use carat_ledger::{StateError, StateKey, StateRead, StateValue, Totals};
use carat_storage::store::Store;
use carat_types::{PublicKey, Slot};
use stellar_xdr::{
    AccountEntry, AccountId, LedgerEntry, LedgerEntryData, LedgerEntryType, Limits, SignerKey, String64,
    WriteXdr,
};

/// The sequence number of an account; none if there is no such account.
///
/// **Errors**: the state cannot be read.
pub(crate) fn account_sequence(
    state: &impl StateRead,
    account: &PublicKey,
) -> Result<Option<i64>, StateError> {
    Ok(account_entry(state, account)?.map(|entry| entry.seq_num.0))
}

fn account_entry(state: &impl StateRead, account: &PublicKey) -> Result<Option<AccountEntry>, StateError> {
    let entry = read(state, &StateKey::account(account))?;
    Ok(entry.and_then(|entry| match entry.data {
        LedgerEntryData::Account(account) => Some(account),
        _ => None,
    }))
}

fn read(state: &impl StateRead, key: &StateKey) -> Result<Option<LedgerEntry>, StateError> {
    let Some(bytes) = state.get(&key.to_bytes())? else { return Ok(None) };
    match StateValue::from_bytes(key, &bytes)? {
        StateValue::Ledger(entry) => Ok(Some(entry)),
        _ => Ok(None),
    }
}

/// The version of the ledger's rules in force; none if the state cannot be read.
pub(crate) fn protocol_version(state: &impl StateRead) -> Option<u32> {
    totals(state).ok().map(|totals| totals.protocol_version)
}

fn totals(state: &impl StateRead) -> Result<Totals, StateError> {
    let key = StateKey::Totals;
    let bytes = state.get(&key.to_bytes())?.ok_or(StateError::NoTotals)?;
    match StateValue::from_bytes(&key, &bytes)? {
        StateValue::Totals(totals) => Ok(totals),
        _ => Err(StateError::NoTotals),
    }
}

/// What the validators propose and have decided, in the state after `slot`; none on a chain without governance.
///
/// **Errors**: the state cannot be read.
pub(crate) fn governance(state: &impl StateRead, slot: Slot) -> Result<Option<Governance>, StateError> {
    let Some(entry) = carat_ledger::governance::read(state)? else { return Ok(None) };
    let Some(account) = account_entry(state, &entry.account)? else { return Ok(None) };
    let signers = account.signers.iter().filter_map(|signer| match &signer.key {
        SignerKey::Ed25519(key) => Some((PublicKey(key.0), signer.weight)),
        _ => None,
    });
    let [_, _, threshold, _] = account.thresholds.0;
    let Totals { protocol_version, base_fee, base_reserve, .. } = totals(state)?;
    let signers = signers.collect();
    Ok(Some(Governance { slot, entry, signers, threshold, protocol_version, base_fee, base_reserve }))
}

/// The member bank that created an account, if one did.
///
/// **Errors**: the state cannot be read.
pub(crate) fn bank_of(state: &impl StateRead, account: &PublicKey) -> Result<Option<PublicKey>, StateError> {
    let key = StateKey::Creator(*account);
    let Some(bytes) = state.get(&key.to_bytes())? else { return Ok(None) };
    match StateValue::from_bytes(&key, &bytes)? {
        StateValue::Creator(member) => Ok(Some(member)),
        _ => Ok(None),
    }
}

/// The value of an account's data entry; none if there is no such entry.
///
/// **Errors**: the state cannot be read.
pub(crate) fn data_value(
    state: &impl StateRead,
    account: &PublicKey,
    name: &str,
) -> Result<Option<Vec<u8>>, StateError> {
    let Ok(name) = name.as_bytes().to_vec().try_into() else { return Ok(None) };
    let entry = read(state, &StateKey::data(account, &String64(name)))?;
    Ok(entry.and_then(|entry| match entry.data {
        LedgerEntryData::Data(data) => Some(data.data_value.0.into()),
        _ => None,
    }))
}

/// An account with its trustlines and data entries.
///
/// **Errors**: the state cannot be read.
pub(crate) fn account(store: &Store, id: &PublicKey) -> Result<Option<Account>, StateError> {
    let Some(account) = read(store, &StateKey::account(id))? else { return Ok(None) };
    Ok(Some(Account {
        account,
        trustlines: entries_of(store, LedgerEntryType::Trustline, id)?,
        data: entries_of(store, LedgerEntryType::Data, id)?,
    }))
}

/// The entries of one type that belong to an account: their keys begin with type and account.
fn entries_of(store: &Store, kind: LedgerEntryType, id: &PublicKey) -> Result<Vec<LedgerEntry>, StateError> {
    let mut prefix = (kind as i32).to_be_bytes().to_vec();
    let account = AccountId::from(*id).to_xdr(Limits::none());
    prefix.extend(account.map_err(|error| StateError::Read(error.into()))?);
    let pairs = store.state_entries_with(&prefix).map_err(|error| StateError::Read(error.into()))?;
    let mut entries = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        if let StateValue::Ledger(entry) = StateValue::from_bytes(&StateKey::from_bytes(&key)?, &value)? {
            entries.push(entry);
        }
    }
    Ok(entries)
}
