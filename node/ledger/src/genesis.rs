//! The state of ledger 1.
//!
//! All coins are the root account's. **Source**: ledger specification 0.1, A.4.

use carat_types::batch::BlockLimits;
use carat_types::genesis::LedgerConstants;
use stellar_xdr::{LedgerEntry, LedgerEntryData, LedgerEntryExt};
use thiserror::Error;

use crate::entry::{StateValue, Totals};
use crate::key::StateKey;
use crate::operations::new_account;

/// Why constants make no genesis state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GenesisStateError {
    /// There must be coins, and a figure below zero is none.
    #[error("the genesis file gives {0} stroops of total coins; expected more than 0")]
    NoCoins(i64),
    /// Nobody could ever create an account.
    #[error(
        "the genesis file restricts admission to its members, but the root account, which holds all coins, is none \
         (hint: list it among the members, or do not restrict admission)"
    )]
    RootIsNoMember,
    /// A key that no secret is needed to sign for.
    #[error("the genesis file names a weak key as root account or member (hint: make a new key)")]
    WeakKey,
}

/// Key bytes and value bytes of an entry.
pub type EntryBytes = (Vec<u8>, Vec<u8>);

/// The entries of ledger 1 as key and value bytes.
///
/// **Errors**: constants under which the ledger could not live.
pub fn genesis_entries(
    constants: &LedgerConstants,
    limits: &BlockLimits,
) -> Result<Vec<EntryBytes>, GenesisStateError> {
    if constants.total_coins <= 0 {
        return Err(GenesisStateError::NoCoins(constants.total_coins));
    }
    if constants.admission_restricted && !constants.members.contains(&constants.root_account) {
        return Err(GenesisStateError::RootIsNoMember);
    }
    if constants.root_account.is_weak() || constants.members.iter().any(|member| member.is_weak()) {
        return Err(GenesisStateError::WeakKey);
    }
    let mut flags = 0;
    if !constants.members.is_empty() {
        flags |= Totals::FLAG_MEMBERS;
    }
    if constants.admission_restricted {
        flags |= Totals::FLAG_ADMISSION_RESTRICTED;
    }
    let totals = Totals {
        total_coins: constants.total_coins,
        fee_pool: 0,
        id_pool: 0,
        base_fee: constants.base_fee,
        base_reserve: constants.base_reserve,
        max_transactions: limits.transactions,
        max_operations: limits.operations,
        protocol_version: constants.protocol_version,
        flags,
    };
    // The wire format's own genesis starts the root account at sequence number 0, unlike accounts made later.
    let root = new_account(&constants.root_account, constants.total_coins, 0);
    let root = LedgerEntry {
        last_modified_ledger_seq: 1,
        data: LedgerEntryData::Account(root),
        ext: LedgerEntryExt::V0,
    };
    let mut entries = vec![
        (StateKey::Totals, StateValue::Totals(totals)),
        (StateKey::account(&constants.root_account), StateValue::Ledger(root)),
    ];
    entries.extend(constants.members.iter().map(|member| (StateKey::Member(*member), StateValue::Member)));
    entries.sort_by_cached_key(|(key, _)| key.to_bytes());
    entries.dedup_by(|later, earlier| later.0 == earlier.0);
    Ok(entries.iter().map(|(key, value)| (key.to_bytes(), value.to_bytes())).collect())
}
