//! What the accounts of a run do: what each needs before the clock starts, and its transactions.

use anyhow::{Context, Result};
use carat_types::SecretKey;
use carat_types::builder::operation::{self, Options};
use carat_types::builder::{asset, market};
use serde::{Deserialize, Serialize};
use stellar_xdr::{AccountId, Asset, Operation, Price, SignerKey, Uint256};

/// The kinds of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Payments of an issued asset between many accounts.
    #[default]
    Payments,
    /// The same, all to one account.
    HotAccount,
    /// Offers in one order book, most of which trade.
    Book,
    /// Path payments, over one order book and over two.
    Paths,
    /// Payments that two of three keys sign.
    Multisig,
}

/// Codes of the assets that scenarios use.
const CODES: [&str; 3] = ["EUR", "USD", "CHF"];
/// What one payment moves. **Units**: stroops.
const PAYMENT: i64 = 100;
/// What one offer trades. **Units**: stroops.
const OFFER: i64 = 1_000;
/// What the market maker offers of each asset for each other. **Units**: stroops.
const DEPTH: i64 = 1 << 50;
/// Account that everybody pays in [`Scenario::HotAccount`].
const HOT: usize = 0;

/// What all transactions of a run refer to.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The kind of work.
    pub scenario: Scenario,
    /// The assets of the scenario.
    pub assets: Vec<Asset>,
    /// Everybody, by place.
    pub accounts: Vec<AccountId>,
}

impl Scenario {
    /// The assets that accounts hold in it.
    ///
    /// **Errors**: never for the codes that there are.
    pub fn assets(self, issuer: &AccountId) -> Result<Vec<Asset>> {
        let count = match self {
            Scenario::Payments | Scenario::HotAccount | Scenario::Multisig => 1,
            Scenario::Book => 2,
            Scenario::Paths => 3,
        };
        CODES.iter().take(count).map(|code| Ok(asset::issued(code, issuer.clone())?)).collect()
    }

    /// Further keys of account `index`; with its own, two of three must sign.
    pub fn further_keys(self, own: &SecretKey, derive: impl Fn(u8) -> SecretKey) -> Vec<SecretKey> {
        debug_assert_ne!(own.public(), derive(1).public());
        match self {
            Scenario::Multisig => vec![derive(1), derive(2)],
            _ => Vec::new(),
        }
    }

    /// Operations that account `who` signs once, beside its trustlines.
    pub fn settings(self, who: &AccountId, further: &[SecretKey]) -> Vec<Operation> {
        if further.is_empty() {
            return Vec::new();
        }
        let signer =
            |key: &SecretKey| Options::default().signer(SignerKey::Ed25519(Uint256(key.public().0)), 1);
        let thresholds = Options::default().master_weight(1).thresholds(2, 2, 2);
        let options = further.iter().map(signer).chain([thresholds]);
        options.map(|options| operation::by(who.clone(), operation::set_options(options))).collect()
    }

    /// The offers of the market maker, by whom path payments find their way.
    pub fn quotes(self, assets: &[Asset]) -> Vec<Operation> {
        if self != Scenario::Paths {
            return Vec::new();
        }
        // Dearer than one for one both ways, so that no two of them cross.
        let price = Price { n: 101, d: 100 };
        let pairs = assets.iter().flat_map(|one| assets.iter().map(move |other| (one, other)));
        pairs
            .filter(|(one, other)| one != other)
            .map(|(one, other)| {
                market::manage_sell_offer(one.clone(), other.clone(), DEPTH, price.clone(), 0)
            })
            .collect()
    }
}

impl Stage {
    /// The operation of transaction number `nonce` of account `who`.
    ///
    /// **Errors**: there is nobody to pay.
    pub fn operation(&self, who: usize, nonce: u64) -> Result<Operation> {
        let random = mix((who as u64) << 32 ^ nonce);
        let payee = match self.scenario {
            Scenario::HotAccount if who != HOT => HOT,
            _ => self.other_than(who, random),
        };
        let payee = self.accounts.get(payee).context("a payee")?.clone();
        let asset = |index: usize| self.assets.get(index).cloned().context("an asset");
        // Half of the accounts go one way and half the other, so that nobody runs out.
        let (from, to) = if who.is_multiple_of(2) { (0, 1) } else { (1, 0) };
        Ok(match self.scenario {
            Scenario::Payments | Scenario::HotAccount | Scenario::Multisig => {
                operation::payment(payee, asset(0)?, PAYMENT)
            }
            Scenario::Book => market::manage_sell_offer(asset(from)?, asset(to)?, OFFER, price(random), 0),
            Scenario::Paths => {
                let way = if random & 1 == 0 { Vec::new() } else { vec![asset(2)?] };
                market::path_payment_strict_send(payee, (asset(from)?, PAYMENT), (asset(to)?, 1), way)?
            }
        })
    }

    /// Somebody else, chosen by `random`.
    fn other_than(&self, who: usize, random: u64) -> usize {
        let others = self.accounts.len().saturating_sub(1).max(1);
        let step = usize::try_from(random % others as u64).unwrap_or(0);
        (who + 1 + step) % self.accounts.len().max(1)
    }
}

/// A price within a hundredth of one for one.
fn price(random: u64) -> Price {
    let n = 999 + i32::try_from(random % 3).unwrap_or(0);
    Price { n, d: 1_000 }
}

/// Spreads the bits of a number (SplitMix64's finish).
pub(crate) fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(scenario: Scenario) -> Stage {
        let account = |seed: u8| AccountId::from(SecretKey::from_seed(&[seed; 32]).public());
        let assets = scenario.assets(&account(99)).expect("valid");
        Stage { scenario, assets, accounts: (0..5).map(account).collect() }
    }

    #[test]
    fn nobody_pays_himself_and_everybody_is_paid() {
        let stage = stage(Scenario::Payments);
        for who in 0..5 {
            let payees: std::collections::BTreeSet<usize> =
                (0..200).map(|nonce| stage.other_than(who, mix(nonce))).collect();
            assert_eq!(payees, (0..5).filter(|other| *other != who).collect());
        }
    }

    #[test]
    fn every_scenario_has_an_operation_for_everybody() {
        for scenario in <Scenario as clap::ValueEnum>::value_variants() {
            let stage = stage(*scenario);
            for who in 0..5 {
                stage.operation(who, 7).expect("an operation");
            }
        }
    }
}
