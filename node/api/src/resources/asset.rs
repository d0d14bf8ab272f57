//! An asset with its figures.

use carat_history::{AssetStats, Held};
use serde::Serialize;
use stellar_xdr::AccountFlags;

use crate::format;
use crate::links::{Link, Links};
use crate::visibility::SeenAsset;

/// An asset that somebody holds.
#[derive(Clone, Debug, Serialize)]
pub struct Asset {
    #[serde(rename = "_links")]
    links: AssetLinks,
    asset_type: &'static str,
    asset_code: String,
    asset_issuer: String,
    paging_token: String,
    #[serde(flatten)]
    figures: Figures,
    flags: Flags,
}

/// How much of an asset there is.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Figures {
    /// In which forms.
    InParts(Box<Parts>),
    /// In all: ours, on a members' network, to everybody but the issuer.
    Sum { supply: String },
}

#[derive(Clone, Debug, Serialize)]
struct Parts {
    num_claimable_balances: i64,
    num_liquidity_pools: i64,
    num_contracts: i64,
    accounts: ByAuthorization<i64>,
    claimable_balances_amount: String,
    liquidity_pools_amount: String,
    contracts_amount: String,
    balances: ByAuthorization<String>,
}

#[derive(Clone, Debug, Serialize)]
struct AssetLinks {
    toml: Link,
}

#[derive(Clone, Debug, Serialize)]
struct ByAuthorization<T> {
    authorized: T,
    authorized_to_maintain_liabilities: T,
    unauthorized: T,
}

#[derive(Clone, Debug, Serialize)]
struct Flags {
    auth_required: bool,
    auth_revocable: bool,
    auth_immutable: bool,
    auth_clawback_enabled: bool,
}

impl Asset {
    /// The asset, with as much of its figures as is seen.
    pub(crate) fn new(seen: &SeenAsset) -> Self {
        let (asset_type, asset_code, asset_issuer) = format::asset(&seen.record.asset);
        let issuer = seen.issuer.as_ref();
        let domain =
            issuer.map(|issuer| format::text(&issuer.home_domain)).filter(|domain| !domain.is_empty());
        let toml = domain.map(|domain| format!("https://{domain}/.well-known/stellar.toml"));
        let flags = issuer.map_or(0, |issuer| issuer.flags);
        let has = |flag: AccountFlags| flags & (flag as i32).unsigned_abs() != 0;
        Asset {
            links: AssetLinks { toml: Links::elsewhere(toml.unwrap_or_default()) },
            paging_token: format!("{asset_code}_{asset_issuer}_{asset_type}"),
            asset_type,
            asset_code,
            asset_issuer,
            figures: Figures::of(&seen.record.stats, seen.in_parts),
            flags: Flags {
                auth_required: has(AccountFlags::RequiredFlag),
                auth_revocable: has(AccountFlags::RevocableFlag),
                auth_immutable: has(AccountFlags::ImmutableFlag),
                auth_clawback_enabled: has(AccountFlags::ClawbackEnabledFlag),
            },
        }
    }
}

impl Figures {
    fn of(stats: &AssetStats, in_parts: bool) -> Self {
        let lines = [stats.authorized, stats.maintaining, stats.unauthorized];
        if !in_parts {
            let all = lines.into_iter().chain([stats.claimable, stats.pools]);
            return Figures::Sum { supply: format::total(all.map(|held| held.amount).sum()) };
        }
        Figures::InParts(Box::new(Parts {
            num_claimable_balances: stats.claimable.count,
            num_liquidity_pools: stats.pools.count,
            num_contracts: 0,
            accounts: by_authorization(lines.map(|held| held.count)),
            claimable_balances_amount: sum(stats.claimable),
            liquidity_pools_amount: sum(stats.pools),
            contracts_amount: format::amount(0),
            balances: by_authorization(lines.map(sum)),
        }))
    }
}

fn sum(held: Held) -> String {
    format::total(held.amount)
}

fn by_authorization<T>([authorized, maintaining, unauthorized]: [T; 3]) -> ByAuthorization<T> {
    ByAuthorization { authorized, authorized_to_maintain_liabilities: maintaining, unauthorized }
}
