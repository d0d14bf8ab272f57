//! Fields that many resources share: assets, prices, flags, predicates.

use carat_types::PublicKey;
use serde_json::{Map, Value, json};
use stellar_xdr::{
    AccountFlags, AccountId, Asset, ClaimPredicate, LedgerEntry, Limits, Price, TrustLineAsset, WriteXdr,
};

use crate::format;

/// The fields of an object that differ from kind to kind.
pub type Fields = Map<String, Value>;

/// Sets a field.
pub fn set(out: &mut Fields, name: &str, value: impl Into<Value>) {
    out.insert(name.to_owned(), value.into());
}

/// Sets an asset's type, code and issuer, each name begun with `prefix`.
pub fn asset(out: &mut Fields, prefix: &str, asset: &Asset) {
    let (kind, code, issuer) = format::asset(asset);
    set(out, &format!("{prefix}asset_type"), kind);
    if !code.is_empty() || !issuer.is_empty() {
        set(out, &format!("{prefix}asset_code"), code);
        set(out, &format!("{prefix}asset_issuer"), issuer);
    }
}

/// An asset as an object of its own.
pub fn asset_object(one: &Asset) -> Value {
    let mut fields = Fields::new();
    asset(&mut fields, "", one);
    Value::Object(fields)
}

/// The assets of a path.
pub fn path(assets: &[Asset]) -> Value {
    assets.iter().map(asset_object).collect()
}

/// Sets a price as a number and, under `name_r`, as a ratio.
pub fn price(out: &mut Fields, name: &str, price: &Price) {
    set(out, name, format::price(price.n, price.d));
    set(out, &format!("{name}_r"), json!({ "n": price.n, "d": price.d }));
}

/// An asset in one word, and an amount of it.
pub fn asset_amount((asset, amount): &(Asset, i64)) -> Value {
    json!({ "asset": format::canonical_asset(asset), "amount": format::amount(*amount) })
}

/// The same for both reserves of a pool.
pub fn amounts(amounts: &[(Asset, i64)]) -> Value {
    amounts.iter().map(asset_amount).collect()
}

/// A line's asset in one word.
pub fn line_asset(asset: &TrustLineAsset) -> String {
    match asset {
        TrustLineAsset::Native => "native".to_owned(),
        TrustLineAsset::CreditAlphanum4(asset) => {
            format::canonical_asset(&Asset::CreditAlphanum4(asset.clone()))
        }
        TrustLineAsset::CreditAlphanum12(asset) => {
            format::canonical_asset(&Asset::CreditAlphanum12(asset.clone()))
        }
        TrustLineAsset::PoolShare(pool) => hex::encode(pool.0.0),
    }
}

/// The type of a line's asset.
pub fn line_type(asset: &TrustLineAsset) -> &'static str {
    match asset {
        TrustLineAsset::Native => "native",
        TrustLineAsset::CreditAlphanum4(_) => "credit_alphanum4",
        TrustLineAsset::CreditAlphanum12(_) => "credit_alphanum12",
        TrustLineAsset::PoolShare(_) => "liquidity_pool_shares",
    }
}

/// An account's address.
pub fn address(account: &PublicKey) -> String {
    AccountId::from(*account).to_string()
}

/// The address of who pays for an entry, where another account does.
pub fn sponsor(entry: &LedgerEntry) -> Option<String> {
    carat_history::state_index::sponsor_of(entry).map(ToString::to_string)
}

/// The words for the flags of an account.
pub const ACCOUNT_FLAGS: [(i32, &str); 4] = [
    (AccountFlags::RequiredFlag as i32, "auth_required"),
    (AccountFlags::RevocableFlag as i32, "auth_revocable"),
    (AccountFlags::ImmutableFlag as i32, "auth_immutable"),
    (AccountFlags::ClawbackEnabledFlag as i32, "auth_clawback_enabled"),
];

/// A claim's condition. Recursion ends: the decoder of envelopes limits the depth.
pub fn predicate(value: &ClaimPredicate) -> Value {
    match value {
        ClaimPredicate::Unconditional => json!({ "unconditional": true }),
        ClaimPredicate::And(parts) => json!({ "and": parts.iter().map(predicate).collect::<Vec<_>>() }),
        ClaimPredicate::Or(parts) => json!({ "or": parts.iter().map(predicate).collect::<Vec<_>>() }),
        ClaimPredicate::Not(part) => json!({ "not": part.as_deref().map(predicate) }),
        ClaimPredicate::BeforeAbsoluteTime(time) => {
            let milliseconds = u64::try_from(*time).unwrap_or(0).saturating_mul(1_000);
            json!({ "abs_before": format::time(milliseconds), "abs_before_epoch": time.to_string() })
        }
        ClaimPredicate::BeforeRelativeTime(seconds) => json!({ "rel_before": seconds.to_string() }),
    }
}

/// XDR in hexadecimal.
pub fn xdr_hex(value: &impl WriteXdr) -> String {
    // Writing to memory without limits has no way to fail.
    hex::encode(value.to_xdr(Limits::none()).unwrap_or_default())
}
