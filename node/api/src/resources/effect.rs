//! An effect: what an operation did to one account.

use carat_history::effects::{Authorization, Fate, Support, Supported};
use carat_history::{EffectKind, EffectRecord};
use serde::Serialize;
use serde_json::{Map, Value, json};
use stellar_xdr::{Asset, LiquidityPoolEntry, TrustLineAsset, TrustLineFlags};

use crate::format;
use crate::links::{Link, Links};
use crate::resources::fields::{self, Fields, set};
use crate::resources::liquidity_pool::pool_of_effect;
use crate::resources::muxed;
use crate::visibility::Seen;

/// An effect.
#[derive(Clone, Debug, Serialize)]
pub struct Effect {
    #[serde(rename = "_links")]
    links: EffectLinks,
    id: String,
    paging_token: String,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_muxed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_muxed_id: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    type_i: u32,
    created_at: String,
    #[serde(flatten)]
    details: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
struct EffectLinks {
    operation: Link,
    succeeds: Link,
    precedes: Link,
}

impl Effect {
    /// The effect.
    pub fn new(links: &Links, record: &Seen<EffectRecord>) -> Self {
        let (account, muxed) = muxed::parts(&record.effect.account);
        let (type_i, kind) = name_of(&record.effect.kind);
        let id = record.id;
        Effect {
            links: EffectLinks {
                operation: links.to(format!("/operations/{}", id.operation)),
                succeeds: links.to(format!("/effects?order=desc&cursor={id}")),
                precedes: links.to(format!("/effects?order=asc&cursor={id}")),
            },
            id: format!("{:019}-{:010}", id.operation.get(), id.number),
            paging_token: id.to_string(),
            account,
            account_muxed: muxed.as_ref().map(|(address, _)| address.clone()),
            account_muxed_id: muxed.as_ref().map(|(_, id)| id.to_string()),
            kind,
            type_i,
            created_at: format::time(record.time_ms),
            details: details(&record.effect.kind),
        }
    }
}

/// The number and the word of a kind of effect. **Source**: ledger specification B.2, "Effects numbering".
pub fn name_of(kind: &EffectKind) -> (u32, &'static str) {
    match kind {
        EffectKind::AccountCreated { .. } => (0, "account_created"),
        EffectKind::AccountRemoved => (1, "account_removed"),
        EffectKind::AccountCredited(_) => (2, "account_credited"),
        EffectKind::AccountDebited(_) => (3, "account_debited"),
        EffectKind::ThresholdsUpdated { .. } => (4, "account_thresholds_updated"),
        EffectKind::HomeDomainUpdated(_) => (5, "account_home_domain_updated"),
        EffectKind::FlagsUpdated { .. } => (6, "account_flags_updated"),
        EffectKind::InflationDestinationUpdated(_) => (7, "account_inflation_destination_updated"),
        EffectKind::Signer { fate: Fate::Created, .. } => (10, "signer_created"),
        EffectKind::Signer { fate: Fate::Removed, .. } => (11, "signer_removed"),
        EffectKind::Signer { fate: Fate::Updated, .. } => (12, "signer_updated"),
        EffectKind::Trustline { fate: Fate::Created, .. } => (20, "trustline_created"),
        EffectKind::Trustline { fate: Fate::Removed, .. } => (21, "trustline_removed"),
        EffectKind::Trustline { fate: Fate::Updated, .. } => (22, "trustline_updated"),
        EffectKind::TrustlineAuthorized { how, .. } => match how {
            Authorization::Full => (23, "trustline_authorized"),
            Authorization::None => (24, "trustline_deauthorized"),
            Authorization::MaintainLiabilities => (25, "trustline_authorized_to_maintain_liabilities"),
        },
        EffectKind::TrustlineFlagsUpdated { .. } => (26, "trustline_flags_updated"),
        EffectKind::Trade { .. } => (33, "trade"),
        EffectKind::Data { fate: Fate::Created, .. } => (40, "data_created"),
        EffectKind::Data { fate: Fate::Removed, .. } => (41, "data_removed"),
        EffectKind::Data { fate: Fate::Updated, .. } => (42, "data_updated"),
        EffectKind::SequenceBumped { .. } => (43, "sequence_bumped"),
        EffectKind::BalanceCreated { .. } => (50, "claimable_balance_created"),
        EffectKind::BalanceClaimantCreated { .. } => (51, "claimable_balance_claimant_created"),
        EffectKind::BalanceClaimed { .. } => (52, "claimable_balance_claimed"),
        EffectKind::Sponsorship { what, support } => sponsorship_name(what, support),
        EffectKind::BalanceClawedBack { .. } => (80, "claimable_balance_clawed_back"),
        EffectKind::PoolDeposited { .. } => (90, "liquidity_pool_deposited"),
        EffectKind::PoolWithdrew { .. } => (91, "liquidity_pool_withdrew"),
        EffectKind::PoolTrade { .. } => (92, "liquidity_pool_trade"),
        EffectKind::PoolCreated { .. } => (93, "liquidity_pool_created"),
        EffectKind::PoolRemoved { .. } => (94, "liquidity_pool_removed"),
        EffectKind::PoolRevoked { .. } => (95, "liquidity_pool_revoked"),
    }
}

fn sponsorship_name(what: &Supported, support: &Support) -> (u32, &'static str) {
    let (first, names): (u32, [&'static str; 3]) = match what {
        Supported::Account => (
            60,
            ["account_sponsorship_created", "account_sponsorship_updated", "account_sponsorship_removed"],
        ),
        Supported::Trustline(_) => (
            63,
            [
                "trustline_sponsorship_created",
                "trustline_sponsorship_updated",
                "trustline_sponsorship_removed",
            ],
        ),
        Supported::Data(_) => {
            (66, ["data_sponsorship_created", "data_sponsorship_updated", "data_sponsorship_removed"])
        }
        Supported::Balance(_) => (
            69,
            [
                "claimable_balance_sponsorship_created",
                "claimable_balance_sponsorship_updated",
                "claimable_balance_sponsorship_removed",
            ],
        ),
        Supported::Signer(_) => {
            (72, ["signer_sponsorship_created", "signer_sponsorship_updated", "signer_sponsorship_removed"])
        }
    };
    let [created, updated, removed] = names;
    match support {
        Support::Created { .. } => (first, created),
        Support::Updated { .. } => (first + 1, updated),
        Support::Removed { .. } => (first + 2, removed),
    }
}

fn details(kind: &EffectKind) -> Fields {
    let mut fields = Fields::new();
    let out = &mut fields;
    match kind {
        EffectKind::AccountCreated { starting_balance } => {
            set(out, "starting_balance", format::amount(*starting_balance));
        }
        EffectKind::AccountRemoved => {}
        EffectKind::AccountCredited((asset, amount)) | EffectKind::AccountDebited((asset, amount)) => {
            fields::asset(out, "", asset);
            set(out, "amount", format::amount(*amount));
        }
        EffectKind::ThresholdsUpdated { low, medium, high } => {
            let named = [("low_threshold", low), ("med_threshold", medium), ("high_threshold", high)];
            for (name, value) in named {
                if let Some(value) = *value {
                    set(out, name, value);
                }
            }
        }
        EffectKind::HomeDomainUpdated(domain) => set(out, "home_domain", format::text(domain)),
        EffectKind::FlagsUpdated { set: on, clear } => {
            for (flag, name) in fields::ACCOUNT_FLAGS {
                flag_change(out, flag, &format!("{name}_flag"), *on, *clear);
            }
        }
        EffectKind::InflationDestinationUpdated(account) => {
            set(out, "inflation_destination", fields::address(account));
        }
        EffectKind::Signer { fate, key, weight } => {
            set(out, "public_key", key.to_string());
            set(out, "key", key.to_string());
            if *fate != Fate::Removed {
                set(out, "weight", *weight);
            } else {
                set(out, "weight", 0);
            }
        }
        EffectKind::Trustline { asset, limit, .. } => {
            line(out, asset);
            set(out, "limit", format::amount(*limit));
        }
        EffectKind::TrustlineAuthorized { trustor, asset, .. } => {
            set(out, "trustor", fields::address(trustor));
            fields::asset(out, "", asset);
        }
        EffectKind::TrustlineFlagsUpdated { trustor, asset, set: on, clear } => {
            set(out, "trustor", fields::address(trustor));
            fields::asset(out, "", asset);
            for (flag, name) in LINE_FLAGS {
                flag_change(out, flag, name, *on, *clear);
            }
        }
        EffectKind::Trade { other, offer_id, sold, bought } => {
            muxed::add(out, "seller", other);
            set(out, "offer_id", offer_id.to_string());
            for (name, (asset, amount)) in [("sold_", sold), ("bought_", bought)] {
                set(out, &format!("{name}amount"), format::amount(*amount));
                fields::asset(out, name, asset);
            }
        }
        EffectKind::Data { name, value, .. } => {
            set(out, "name", format::text(name));
            if let Some(value) = value {
                set(out, "value", format::base64(value));
            }
        }
        EffectKind::SequenceBumped { new } => set(out, "new_seq", new.to_string()),
        other => later(out, other),
    }
    fields
}

/// Claimable balances, sponsorship and pools.
fn later(out: &mut Fields, kind: &EffectKind) {
    match kind {
        EffectKind::BalanceCreated { id, amount } | EffectKind::BalanceClaimed { id, amount } => {
            balance(out, id, amount);
        }
        EffectKind::BalanceClaimantCreated { id, amount, predicate } => {
            balance(out, id, amount);
            set(out, "predicate", fields::predicate(predicate));
        }
        EffectKind::BalanceClawedBack { id } => set(out, "balance_id", fields::xdr_hex(id)),
        EffectKind::Sponsorship { what, support } => sponsorship(out, what, support),
        EffectKind::PoolDeposited { pool, deposited, shares } => {
            pool_of(out, pool);
            set(out, "reserves_deposited", fields::amounts(deposited));
            set(out, "shares_received", format::amount(*shares));
        }
        EffectKind::PoolWithdrew { pool, received, shares } => {
            pool_of(out, pool);
            set(out, "reserves_received", fields::amounts(received));
            set(out, "shares_redeemed", format::amount(*shares));
        }
        EffectKind::PoolTrade { pool, sold, bought } => {
            pool_of(out, pool);
            set(out, "sold", fields::asset_amount(sold));
            set(out, "bought", fields::asset_amount(bought));
        }
        EffectKind::PoolCreated { pool } => pool_of(out, pool),
        EffectKind::PoolRemoved { pool } => set(out, "liquidity_pool_id", hex::encode(pool.0.0)),
        EffectKind::PoolRevoked { pool, revoked, shares } => {
            pool_of(out, pool);
            let one = |((asset, amount), id): &((Asset, i64), _)| {
                json!({
                    "asset": format::canonical_asset(asset),
                    "amount": format::amount(*amount),
                    "claimable_balance_id": fields::xdr_hex(id),
                })
            };
            set(out, "reserves_revoked", revoked.iter().map(one).collect::<Vec<Value>>());
            set(out, "shares_revoked", format::amount(*shares));
        }
        _ => {}
    }
}

/// The second word lacks a letter in the API that clients know.
const LINE_FLAGS: [(i32, &str); 3] = [
    (TrustLineFlags::AuthorizedFlag as i32, "authorized_flag"),
    (TrustLineFlags::AuthorizedToMaintainLiabilitiesFlag as i32, "authorized_to_maintain_liabilites_flag"),
    (TrustLineFlags::TrustlineClawbackEnabledFlag as i32, "clawback_enabled_flag"),
];

fn flag_change(out: &mut Fields, flag: i32, name: &str, on: u32, off: u32) {
    let flag = flag.unsigned_abs();
    if on & flag != 0 {
        set(out, name, true);
    }
    if off & flag != 0 {
        set(out, name, false);
    }
}

fn line(out: &mut Fields, asset: &TrustLineAsset) {
    match asset {
        TrustLineAsset::Native => fields::asset(out, "", &Asset::Native),
        TrustLineAsset::CreditAlphanum4(asset) => {
            fields::asset(out, "", &Asset::CreditAlphanum4(asset.clone()));
        }
        TrustLineAsset::CreditAlphanum12(asset) => {
            fields::asset(out, "", &Asset::CreditAlphanum12(asset.clone()));
        }
        TrustLineAsset::PoolShare(pool) => {
            set(out, "asset_type", "liquidity_pool_shares");
            set(out, "liquidity_pool_id", hex::encode(pool.0.0));
        }
    }
}

fn balance(out: &mut Fields, id: &stellar_xdr::ClaimableBalanceId, (asset, amount): &(Asset, i64)) {
    set(out, "balance_id", fields::xdr_hex(id));
    set(out, "asset", format::canonical_asset(asset));
    set(out, "amount", format::amount(*amount));
}

fn pool_of(out: &mut Fields, pool: &LiquidityPoolEntry) {
    set(out, "liquidity_pool", pool_of_effect(pool));
}

fn sponsorship(out: &mut Fields, what: &Supported, support: &Support) {
    match what {
        Supported::Account => {}
        Supported::Trustline(TrustLineAsset::PoolShare(pool)) => {
            set(out, "asset_type", "liquidity_pool");
            set(out, "liquidity_pool_id", hex::encode(pool.0.0));
        }
        Supported::Trustline(asset) => {
            set(out, "asset", fields::line_asset(asset));
            set(out, "asset_type", fields::line_type(asset));
        }
        Supported::Data(name) => set(out, "data_name", format::text(name)),
        Supported::Balance(id) => set(out, "balance_id", fields::xdr_hex(id)),
        Supported::Signer(key) => set(out, "signer", key.to_string()),
    }
    match support {
        Support::Created { sponsor } => set(out, "sponsor", fields::address(sponsor)),
        Support::Updated { former, new } => {
            set(out, "former_sponsor", fields::address(former));
            set(out, "new_sponsor", fields::address(new));
        }
        Support::Removed { former } => set(out, "former_sponsor", fields::address(former)),
    }
}
