//! What each parameter may be.

use serde_json::{Value, json};

/// A parameter of a path or of a query string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) in_path: bool,
    pub(crate) about: &'static str,
    pub(crate) value: Kind,
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Pattern(&'static str),
    OneOf(&'static [&'static str]),
    /// A whole number within bounds.
    Number(u64, u64),
    Flag,
}

use Kind::{Flag, Number, OneOf, Pattern, Text};

impl Parameter {
    /// Its name among the components.
    pub(crate) fn key(&self) -> String {
        Parameter::key_of(self.name, self.in_path)
    }

    /// The name among the components of the parameter with a name.
    pub(crate) fn key_of(name: &str, in_path: bool) -> String {
        if in_path { format!("path_{name}") } else { name.to_owned() }
    }

    pub(crate) fn describe(&self) -> Value {
        let schema = match self.value {
            Text => json!({ "type": "string" }),
            Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
            OneOf(words) => json!({ "type": "string", "enum": words }),
            Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Flag => json!({ "type": "boolean" }),
        };
        let place = if self.in_path { "path" } else { "query" };
        json!({
            "name": self.name,
            "in": place,
            "required": self.in_path,
            "description": self.about,
            "schema": schema,
        })
    }
}

const fn path(name: &'static str, about: &'static str, value: Kind) -> Parameter {
    Parameter { name, in_path: true, about, value }
}

const fn query(name: &'static str, about: &'static str, value: Kind) -> Parameter {
    Parameter { name, in_path: false, about, value }
}

const ACCOUNT: Kind = Pattern("^G[A-Z2-7]{55}$");
const HASH: Kind = Pattern("^[0-9a-f]{64}$");
const ASSET: Kind = Pattern("^(native|[A-Za-z0-9]{1,12}:G[A-Z2-7]{55})$");
const ASSETS: Kind =
    Pattern("^(native|[A-Za-z0-9]{1,12}:G[A-Z2-7]{55})(,(native|[A-Za-z0-9]{1,12}:G[A-Z2-7]{55}))*$");
const ASSET_TYPE: Kind = OneOf(&["native", "credit_alphanum4", "credit_alphanum12"]);
const ASSET_CODE: Kind = Pattern("^[A-Za-z0-9]{1,12}$");
const AMOUNT: Kind = Pattern(r"^[0-9]{1,11}(\.[0-9]{1,7})?$");
const ID_MAX: u64 = i64::MAX as u64;
const TIME_MAX: u64 = 1 << 50;

/// Every parameter.
#[rustfmt::skip]
pub(crate) const PARAMETERS: &[Parameter] = &[
    path("account_id", "An account", ACCOUNT),
    path("key", "The name of a data entry", Text),
    path("ledger_key", "The XDR of a ledger key, in hexadecimal digits", Pattern("^([0-9a-f]{2}){1,512}$")),
    path("sequence", "The number of a ledger", Number(1, 0x7fff_ffff)),
    path("hash", "The hash of a transaction", HASH),
    path("id", "The id of an operation", Number(0, ID_MAX)),
    path("offer_id", "The id of an offer", Number(0, ID_MAX)),
    path("liquidity_pool_id", "A liquidity pool", HASH),
    path("claimable_balance_id", "A claimable balance", Pattern("^00000000[0-9a-f]{64}$")),
    query("cursor", "What comes strictly behind this place", Text),
    query("order", "Oldest or newest first", OneOf(&["asc", "desc"])),
    query("limit", "The most records", Number(1, 200)),
    query("include_failed", "Also of failed transactions", Flag),
    query("join", "Shows the transaction within each operation", OneOf(&["transactions"])),
    query("signer", "A key that may sign", Text),
    query("sponsor", "Who pays for the entry", ACCOUNT),
    query("asset", "An asset", ASSET),
    query("liquidity_pool", "A pool that the account has shares of", HASH),
    query("asset_code", "The code of an asset", ASSET_CODE),
    query("asset_issuer", "The issuer of an asset", ACCOUNT),
    query("claimant", "Who may claim it", ACCOUNT),
    query("reserves", "One or two assets that the pool holds", ASSETS),
    query("account", "An account with shares of the pool", ACCOUNT),
    query("seller", "Who offers", ACCOUNT),
    query("selling", "What is sold", ASSET),
    query("buying", "What is bought", ASSET),
    query("selling_asset_type", "What is sold", ASSET_TYPE),
    query("selling_asset_code", "What is sold", ASSET_CODE),
    query("selling_asset_issuer", "What is sold", ACCOUNT),
    query("buying_asset_type", "What is bought", ASSET_TYPE),
    query("buying_asset_code", "What is bought", ASSET_CODE),
    query("buying_asset_issuer", "What is bought", ACCOUNT),
    query("base_asset_type", "The asset that is priced", ASSET_TYPE),
    query("base_asset_code", "The asset that is priced", ASSET_CODE),
    query("base_asset_issuer", "The asset that is priced", ACCOUNT),
    query("counter_asset_type", "The asset that prices are in", ASSET_TYPE),
    query("counter_asset_code", "The asset that prices are in", ASSET_CODE),
    query("counter_asset_issuer", "The asset that prices are in", ACCOUNT),
    query("resolution", "The span, in milliseconds: 1, 5 or 15 minutes, an hour, a day, a week",
        OneOf(&["60000", "300000", "900000", "3600000", "86400000", "604800000"])),
    query("offset", "Where spans begin, in milliseconds: whole hours", Number(0, 86_400_000)),
    query("start_time", "From then on, in milliseconds since 1970", Number(0, TIME_MAX)),
    query("end_time", "Up to then, in milliseconds since 1970", Number(0, TIME_MAX)),
    query("offer_id", "The id of an offer", Number(0, ID_MAX)),
    query("trade_type", "With offers, with pools, or both", OneOf(&["all", "orderbook", "liquidity_pool"])),
    query("source_account", "The account that pays", ACCOUNT),
    query("source_assets", "Assets to pay with", ASSETS),
    query("source_asset_type", "The asset to pay with", ASSET_TYPE),
    query("source_asset_code", "The asset to pay with", ASSET_CODE),
    query("source_asset_issuer", "The asset to pay with", ACCOUNT),
    query("source_amount", "How much is paid", AMOUNT),
    query("destination_account", "The account that receives", ACCOUNT),
    query("destination_assets", "Assets to receive", ASSETS),
    query("destination_asset_type", "The asset to receive", ASSET_TYPE),
    query("destination_asset_code", "The asset to receive", ASSET_CODE),
    query("destination_asset_issuer", "The asset to receive", ACCOUNT),
    query("destination_amount", "How much is received", AMOUNT),
    query("q", "What is looked up", Text),
    query("type", "By what it is looked up", OneOf(&["name", "id", "txid", "forward"])),
    query("memo", "Whom of those who share the account", Number(0, ID_MAX)),
    query("home_domain", "The domain that is logged in to", Text),
    query("client_domain", "The domain of the client's program", Text),
    query("addr", "The account to fund", ACCOUNT),
];
