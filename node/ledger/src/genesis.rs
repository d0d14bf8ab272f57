//! The state of ledger 1.
//!
//! All coins are the root account's. **Source**: ledger specification 0.1, A.4.

use carat_types::batch::BlockLimits;
use carat_types::genesis::{AssetRule, Genesis, LedgerConstants};
use carat_types::governance::Governance;
use carat_types::{PublicKey, Quorum};
use stellar_xdr::{LedgerEntry, LedgerEntryData, LedgerEntryExt, Thresholds};
use thiserror::Error;

use crate::accountability;
use crate::entry::{StateValue, Totals};
use crate::governance::{NEWEST_PROTOCOL, council};
use crate::key::StateKey;
use crate::operations::new_account;
pub use crate::state::EntryBytes;

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
    /// The program is older than the network.
    #[error(
        "the genesis file asks for protocol version {0}, expected at most {NEWEST_PROTOCOL} by this build (hint: upgrade)"
    )]
    UnknownProtocol(u32),
    /// More validators than an account can have signers, or none.
    #[error("{0} validators cannot be the signers of a governance account, expected 1 to 20")]
    Governors(usize),
}

/// The entries of ledger 1 as key and value bytes, of the network that a genesis file describes.
///
/// **Errors**: constants under which the ledger could not live.
pub fn state_entries(genesis: &Genesis) -> Result<Vec<EntryBytes>, GenesisStateError> {
    if genesis.ledger.protocol_version > NEWEST_PROTOCOL {
        return Err(GenesisStateError::UnknownProtocol(genesis.ledger.protocol_version));
    }
    let mut entries = genesis_entries(&genesis.ledger, &genesis.consensus.block)?;
    if let Some(account) = genesis.governance {
        entries.extend(governance_entries(genesis, account)?);
        entries.sort();
    }
    Ok(entries)
}

/// The account that the validators govern with, and what they have decided: nothing yet.
fn governance_entries(genesis: &Genesis, account: PublicKey) -> Result<Vec<EntryBytes>, GenesisStateError> {
    let impossible = GenesisStateError::Governors(genesis.validators.len());
    let quorum = Quorum::of(genesis.validators.len()).map_err(|_| impossible)?;
    let needed = u8::try_from(quorum.quorum()).map_err(|_| impossible)?;
    let signers = council(&genesis.validators);
    let mut entry = new_account(&account, 0, 0);
    // Its own key signs nothing.
    entry.thresholds = Thresholds([0, needed, needed, needed]);
    entry.num_sub_entries = u32::try_from(signers.len()).map_err(|_| impossible)?;
    entry.signers = signers.try_into().map_err(|_| impossible)?;
    let entry = LedgerEntry {
        last_modified_ledger_seq: 1,
        data: LedgerEntryData::Account(entry),
        ext: LedgerEntryExt::V0,
    };
    let governance = Governance {
        account,
        checkpoint_interval: genesis.consensus.checkpoint_interval,
        window: genesis.consensus.window,
        proposals: 0,
        open: Vec::new(),
        scheduled: None,
    };
    let mut entries = vec![
        (StateKey::account(&account).to_bytes(), StateValue::Ledger(entry).to_bytes()),
        (StateKey::Governance.to_bytes(), StateValue::Governance(Box::new(governance)).to_bytes()),
    ];
    entries.extend(accountability::of_first_epoch(&genesis.first_set()));
    Ok(entries)
}

/// The entries of ledger 1 as key and value bytes, of a network without governance.
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
    if constants.assets == AssetRule::AuthorisedOnly {
        flags |= Totals::FLAG_AUTHORISED_ASSETS;
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

#[cfg(test)]
mod tests {
    use carat_types::transaction::test_root_key;
    use carat_types::{LeafRule, PublicKey};

    use super::*;
    use crate::root::StateTree;
    use crate::state::{MemoryState, StateRead as _};
    use crate::supply::audit_supply;

    fn constants() -> LedgerConstants {
        LedgerConstants {
            total_coins: 1_000_000_000_000_000_000,
            base_fee: 100,
            base_reserve: 5_000_000,
            protocol_version: 28,
            root_account: test_root_key("genesis tests").public(),
            admission_restricted: true,
            members: vec![test_root_key("a bank").public(), test_root_key("genesis tests").public()],
            assets: AssetRule::Any,
        }
    }

    #[test]
    fn genesis_holds_root_totals_and_members_and_conserves() {
        let entries = genesis_entries(&constants(), &BlockLimits::default()).expect("sound constants");
        assert_eq!(entries.len(), 4);
        assert!(entries.is_sorted());
        let audit = audit_supply(entries.iter().map(|(key, value)| (key, value))).expect("readable");
        assert!(audit.values().all(|figures| figures.agree() && figures.supply == 1_000_000_000_000_000_000));
        let state = MemoryState::new(entries.clone());
        assert!(state.get(&StateKey::Member(constants().members[0]).to_bytes()).expect("readable").is_some());
        // What this root commits to must never change for networks that exist.
        assert_eq!(
            StateTree::build(&LeafRule::Open, entries).root().to_string(),
            "792899f89b59148dd65a1305e67592ca3bb3ffe4254180db6f7c45a4b70e2ba2"
        );
    }

    #[test]
    fn genesis_under_which_the_ledger_could_not_live_refused() {
        let refused = |change: fn(&mut LedgerConstants)| {
            let mut constants = constants();
            change(&mut constants);
            genesis_entries(&constants, &BlockLimits::default()).expect_err("refused")
        };
        assert_eq!(refused(|constants| constants.total_coins = 0), GenesisStateError::NoCoins(0));
        assert_eq!(refused(|constants| constants.members.truncate(1)), GenesisStateError::RootIsNoMember);
        assert_eq!(
            refused(|constants| constants.members[0] = PublicKey([0; 32])),
            GenesisStateError::WeakKey
        );
    }
}
