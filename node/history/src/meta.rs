//! The entries that a transaction changed, in the form that clients of the wire format read.
//!
//! **Source**: ledger specification 0.8 and A.7.

use carat_ledger::{Changes, EntryChange};
use stellar_xdr::{
    ExtensionPoint, LedgerEntryChange, LedgerEntryChanges, Limits, OperationMetaV2, TransactionMeta,
    TransactionMetaV4, VecM, WriteXdr,
};

/// XDR of the `TransactionMeta`; empty if changes were not recorded.
pub fn of_transaction(changes: &Changes) -> Vec<u8> {
    // Every applied transaction uses a sequence number, which changes its source.
    if changes.before_operations.is_empty() {
        return Vec::new();
    }
    let operation = |changes: &Vec<EntryChange>| OperationMetaV2 {
        ext: ExtensionPoint::V0,
        changes: entry_changes(changes),
        events: VecM::default(),
    };
    xdr(&TransactionMeta::V4(TransactionMetaV4 {
        ext: ExtensionPoint::V0,
        tx_changes_before: entry_changes(&changes.before_operations),
        // At most 100 operations: far below the list's limit of 2^32.
        operations: changes
            .operations
            .iter()
            .map(operation)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_default(),
        tx_changes_after: entry_changes(&[]),
        soroban_meta: None,
        events: VecM::default(),
        diagnostic_events: VecM::default(),
    }))
}

/// XDR of the `LedgerEntryChanges` of the fee; empty if changes were not recorded.
pub fn of_fee(changes: &Changes) -> Vec<u8> {
    if changes.before_operations.is_empty() { Vec::new() } else { xdr(&entry_changes(&changes.fee)) }
}

/// Each change as its entry before, and what became of it.
fn entry_changes(changes: &[EntryChange]) -> LedgerEntryChanges {
    let mut all = Vec::with_capacity(changes.len().saturating_mul(2));
    for change in changes {
        match (change.before(), change.after()) {
            (None, None) => {}
            (None, Some(after)) => all.push(LedgerEntryChange::Created(after.clone())),
            (Some(before), Some(after)) => {
                all.push(LedgerEntryChange::State(before.clone()));
                all.push(LedgerEntryChange::Updated(after.clone()));
            }
            (Some(before), None) => {
                all.push(LedgerEntryChange::State(before.clone()));
                all.push(LedgerEntryChange::Removed(change.key().clone()));
            }
        }
    }
    LedgerEntryChanges(all.try_into().unwrap_or_default())
}

fn xdr(value: &impl WriteXdr) -> Vec<u8> {
    // Writing to memory without limits has no way to fail.
    value.to_xdr(Limits::none()).unwrap_or_default()
}
