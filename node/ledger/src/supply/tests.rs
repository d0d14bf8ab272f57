//! Conservation: what a block may and may not do to the supply of an asset.

use carat_types::PublicKey;
use carat_types::batch::BlockLimits;
use carat_types::genesis::LedgerConstants;
use stellar_xdr::{AlphaNum4, AssetCode4};

use super::*;
use crate::balances::change_supply;
use crate::genesis::genesis_entries;
use crate::overlay::Overlay;
use crate::state::MemoryState;

const ROOT: PublicKey = PublicKey([7; 32]);

fn genesis() -> MemoryState {
    let constants = LedgerConstants {
        total_coins: 1_000,
        base_fee: 1,
        base_reserve: 1,
        protocol_version: 28,
        root_account: carat_types::SecretKey::from_seed(&ROOT.0).public(),
        admission_restricted: false,
        members: Vec::new(),
        assets: carat_types::genesis::AssetRule::Any,
    };
    MemoryState::new(genesis_entries(&constants, &BlockLimits::default()).expect("sound constants"))
}

fn root() -> PublicKey {
    carat_types::SecretKey::from_seed(&ROOT.0).public()
}

fn euro() -> Asset {
    Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(*b"EUR\0"), issuer: root().into() })
}

#[test]
fn coin_from_nowhere_is_named_with_its_figures() {
    let state = genesis();
    let mut ledger = Overlay::new(&state, 2).expect("totals");
    ledger.account_mut(&root()).expect("readable").expect("root").balance = 1_007;
    match assert_conserved(&ledger.into_differences()) {
        Err(ApplyError::Conservation { asset, holdings: 7, supply: 0 }) => assert_eq!(*asset, Asset::Native),
        other => panic!("{other:?}"),
    }
    // Paid as a fee, it is conserved.
    let mut ledger = Overlay::new(&state, 2).expect("totals");
    ledger.account_mut(&root()).expect("readable").expect("root").balance = 993;
    let totals = Totals { fee_pool: 7, ..*ledger.totals() };
    ledger.put(&StateKey::Totals, StateValue::Totals(totals)).expect("readable");
    assert!(assert_conserved(&ledger.into_differences()).is_ok());
}

#[test]
fn supply_without_holdings_is_named_with_its_figures() {
    let state = genesis();
    let mut ledger = Overlay::new(&state, 2).expect("totals");
    change_supply(&mut ledger, &euro(), 5).expect("readable");
    let differences = ledger.into_differences();
    let error = assert_conserved(&differences).expect_err("nobody holds the five");
    assert_eq!(
        error.to_string(),
        format!("conservation broken for {}: holdings changed by 0, supply by 5", asset::display(&euro()))
    );
    let mut state = genesis();
    state.apply(&differences.into_delta());
    let audit = audit_supply(state.entries()).expect("readable");
    assert_eq!(audit.get(&euro()), Some(&Figures { holdings: 0, supply: 5 }));
    assert!(audit.get(&Asset::Native).is_some_and(Figures::agree));
}

#[test]
fn audit_of_a_damaged_entry_says_which() {
    let damaged = [(StateKey::Totals.to_bytes(), vec![1, 2, 3])];
    let error = audit_supply(damaged).expect_err("three bytes are no totals");
    assert!(error.to_string().contains("000003e8"), "{error}");
}
