//! An asset with its figures.

use carat_history::{AssetRecord, Held};
use serde::Serialize;
use stellar_xdr::{AccountEntry, AccountFlags};

use crate::format;
use crate::links::{Link, Links};

/// An asset that somebody holds.
#[derive(Clone, Debug, Serialize)]
pub struct Asset {
    #[serde(rename = "_links")]
    links: AssetLinks,
    asset_type: &'static str,
    asset_code: String,
    asset_issuer: String,
    paging_token: String,
    num_claimable_balances: i64,
    num_liquidity_pools: i64,
    num_contracts: i64,
    accounts: ByAuthorization<i64>,
    claimable_balances_amount: String,
    liquidity_pools_amount: String,
    contracts_amount: String,
    balances: ByAuthorization<String>,
    flags: Flags,
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
    /// The asset; `issuer` is its issuer's account, if it still exists.
    pub fn new(record: &AssetRecord, issuer: Option<&AccountEntry>) -> Self {
        let (asset_type, asset_code, asset_issuer) = format::asset(&record.asset);
        let stats = &record.stats;
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
            num_claimable_balances: stats.claimable.count,
            num_liquidity_pools: stats.pools.count,
            num_contracts: 0,
            accounts: by_authorization(
                [stats.authorized, stats.maintaining, stats.unauthorized].map(|held| held.count),
            ),
            claimable_balances_amount: sum(stats.claimable),
            liquidity_pools_amount: sum(stats.pools),
            contracts_amount: format::amount(0),
            balances: by_authorization([stats.authorized, stats.maintaining, stats.unauthorized].map(sum)),
            flags: Flags {
                auth_required: has(AccountFlags::RequiredFlag),
                auth_revocable: has(AccountFlags::RevocableFlag),
                auth_immutable: has(AccountFlags::ImmutableFlag),
                auth_clawback_enabled: has(AccountFlags::ClawbackEnabledFlag),
            },
        }
    }
}

fn sum(held: Held) -> String {
    format::total(held.amount)
}

fn by_authorization<T>([authorized, maintaining, unauthorized]: [T; 3]) -> ByAuthorization<T> {
    ByAuthorization { authorized, authorized_to_maintain_liabilities: maintaining, unauthorized }
}
