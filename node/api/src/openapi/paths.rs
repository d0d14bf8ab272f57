//! What each route takes and gives.

/// One method of one route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    pub(crate) method: &'static str,
    /// As in [`crate::routes::ROUTES`].
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    /// Names of its query parameters, in groups; those of its path stand in the path.
    pub(crate) query: &'static [&'static [&'static str]],
    /// The one field of its form, where it takes one.
    pub(crate) form: Option<&'static str>,
    pub(crate) answer: Answer,
}

/// What a success gives, with the name of its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One record.
    Object(&'static str),
    /// A page of a longer list.
    Page(&'static str),
    /// All records there are.
    Whole(&'static str),
    /// What became of a transaction that was handed on.
    Submitted,
    /// JSON whose form is described elsewhere.
    Free,
    /// JSON in a form that a SEP describes; errors are `{"error": ...}`.
    Sep,
    /// Text in a form that a SEP describes.
    SepText,
}

use Answer::{Free, Object, Page, Sep, SepText, Submitted, Whole};

const PAGE: &[&str] = &["cursor", "order", "limit"];
const FAILED: &[&str] = &["include_failed"];
const JOIN: &[&str] = &["join"];
const SELLING: &[&str] = &["selling_asset_type", "selling_asset_code", "selling_asset_issuer"];
const BUYING: &[&str] = &["buying_asset_type", "buying_asset_code", "buying_asset_issuer"];
const BASE: &[&str] = &["base_asset_type", "base_asset_code", "base_asset_issuer"];
const COUNTER: &[&str] = &["counter_asset_type", "counter_asset_code", "counter_asset_issuer"];

type Query = &'static [&'static [&'static str]];

const fn get(path: &'static str, summary: &'static str, query: Query, answer: Answer) -> Described {
    Described { method: "GET", path, summary, query, form: None, answer }
}

const fn post(path: &'static str, summary: &'static str, form: &'static str, answer: Answer) -> Described {
    Described { method: "POST", path, summary, query: &[], form: Some(form), answer }
}

const TRANSACTIONS: Query = &[PAGE, FAILED];
const OPERATIONS: Query = &[PAGE, FAILED, JOIN];

const STRICT_RECEIVE: Query = &[
    &["source_account", "source_assets", "destination_amount"],
    &["destination_asset_type", "destination_asset_code", "destination_asset_issuer"],
];
const STRICT_SEND: Query = &[
    &["destination_account", "destination_assets", "source_amount"],
    &["source_asset_type", "source_asset_code", "source_asset_issuer"],
];

/// Every method of every route.
#[rustfmt::skip]
pub(crate) const PATHS: &[Described] = &[
    get("/", "The network, how far this node is, links to everything", &[], Object("Root")),
    get("/openapi.json", "This description", &[], Free),
    get("/genesis", "The genesis file, byte for byte", &[], Free),
    get("/epochs", "Who validates now and under which constants, the proof that each epoch before handed over to the next, and which validators were convicted", &[], Free),
    get("/governance", "What the validators propose and have decided, and what is in force", &[], Free),
    get("/fee_stats", "Fees for one operation in the last ledgers", &[], Object("FeeStats")),
    get("/accounts", "Accounts by exactly one property", &[&["signer", "sponsor", "asset", "liquidity_pool"], PAGE], Page("Account")),
    get("/accounts/{account_id}", "An account at the last executed state", &[], Object("Account")),
    get("/accounts/{account_id}/data/{key}", "A data entry of an account", &[], Object("AccountData")),
    get("/accounts/{account_id}/transactions", "Transactions that an account takes part in", TRANSACTIONS, Page("Transaction")),
    get("/accounts/{account_id}/operations", "Operations that an account takes part in", OPERATIONS, Page("Operation")),
    get("/accounts/{account_id}/payments", "Payments that an account takes part in", OPERATIONS, Page("Operation")),
    get("/accounts/{account_id}/effects", "What operations did to an account", &[PAGE], Page("Effect")),
    get("/accounts/{account_id}/offers", "Offers of an account", &[PAGE], Page("Offer")),
    get("/accounts/{account_id}/trades", "Trades of an account", &[&["trade_type"], PAGE], Page("Trade")),
    get("/activity", "Payments of the last day, by asset and between whom", &[&["asset"]], Object("Activity")),
    get("/assets", "Assets that somebody holds, with figures", &[&["asset_code", "asset_issuer"], PAGE], Page("Asset")),
    get("/claimable_balances", "What waits to be claimed", &[&["claimant", "sponsor", "asset"], PAGE], Page("ClaimableBalance")),
    get("/claimable_balances/{claimable_balance_id}", "A claimable balance", &[], Object("ClaimableBalance")),
    get("/claimable_balances/{claimable_balance_id}/transactions", "Transactions with a claimable balance", TRANSACTIONS, Page("Transaction")),
    get("/claimable_balances/{claimable_balance_id}/operations", "Operations with a claimable balance", OPERATIONS, Page("Operation")),
    get("/effects", "What operations did to accounts", &[PAGE], Page("Effect")),
    get("/ledgers", "Closed ledgers", &[PAGE], Page("Ledger")),
    get("/ledgers/{sequence}", "A closed ledger", &[], Object("Ledger")),
    get("/ledgers/{sequence}/transactions", "Transactions of a ledger", TRANSACTIONS, Page("Transaction")),
    get("/ledgers/{sequence}/operations", "Operations of a ledger", OPERATIONS, Page("Operation")),
    get("/ledgers/{sequence}/payments", "Payments of a ledger", OPERATIONS, Page("Operation")),
    get("/ledgers/{sequence}/effects", "What the operations of a ledger did", &[PAGE], Page("Effect")),
    get("/liquidity_pools", "Pools, by their reserves or a shareholder", &[&["reserves", "account"], PAGE], Page("LiquidityPool")),
    get("/liquidity_pools/{liquidity_pool_id}", "A pool", &[], Object("LiquidityPool")),
    get("/liquidity_pools/{liquidity_pool_id}/effects", "What operations did with a pool", &[PAGE], Page("Effect")),
    get("/liquidity_pools/{liquidity_pool_id}/operations", "Operations with a pool", OPERATIONS, Page("Operation")),
    get("/liquidity_pools/{liquidity_pool_id}/trades", "Trades with a pool", &[PAGE], Page("Trade")),
    get("/liquidity_pools/{liquidity_pool_id}/transactions", "Transactions with a pool", TRANSACTIONS, Page("Transaction")),
    get("/network", "The network as this validator observes it; on test networks, and at the operator's address", &[], Free),
    get("/offers", "Offers", &[&["seller", "sponsor", "selling", "buying"], SELLING, BUYING, PAGE], Page("Offer")),
    get("/offers/{offer_id}", "An offer", &[], Object("Offer")),
    get("/offers/{offer_id}/trades", "Trades of an offer", &[PAGE], Page("Trade")),
    get("/order_book", "What is offered for two assets", &[SELLING, BUYING, &["limit"]], Object("OrderBook")),
    get("/paths", "An older name of /paths/strict-receive", STRICT_RECEIVE, Whole("Path")),
    get("/paths/strict-receive", "Ways to pay what arrives as an amount", STRICT_RECEIVE, Whole("Path")),
    get("/paths/strict-send", "Ways to pay an amount, and what arrives", STRICT_SEND, Whole("Path")),
    get("/state_proofs/{ledger_key}", "What stands under a key of the state, or that nothing does, with its proof", &[], Object("StateProof")),
    get("/trade_aggregations", "Volumes and prices of two assets by spans of time",
        &[BASE, COUNTER, &["resolution", "offset", "start_time", "end_time", "order", "limit"]], Page("TradeAggregation")),
    get("/trades", "What was exchanged", &[BASE, COUNTER, &["offer_id", "trade_type"], PAGE], Page("Trade")),
    get("/transactions", "Applied transactions", TRANSACTIONS, Page("Transaction")),
    post("/transactions", "Submits a transaction and waits for its outcome", "tx", Object("Transaction")),
    post("/transactions_async", "Submits a transaction and does not wait", "tx", Submitted),
    get("/transactions/{hash}", "A transaction", &[], Object("Transaction")),
    get("/transactions/{hash}/operations", "Operations of a transaction", OPERATIONS, Page("Operation")),
    get("/transactions/{hash}/payments", "Payments of a transaction", OPERATIONS, Page("Operation")),
    get("/transactions/{hash}/effects", "What a transaction did", &[PAGE], Page("Effect")),
    get("/transactions/{hash}/receipt", "The finality receipt of a transaction", &[], Object("Receipt")),
    get("/operations", "Operations", OPERATIONS, Page("Operation")),
    get("/operations/{id}", "An operation", &[JOIN], Object("Operation")),
    get("/operations/{id}/effects", "What an operation did", &[PAGE], Page("Effect")),
    get("/payments", "Payments", OPERATIONS, Page("Operation")),
    get("/.well-known/stellar.toml", "What the bank of this node says of itself (SEP-1)", &[], SepText),
    get("/.well-known/jwks.json", "The keys that tokens of this node are checked with", &[], Sep),
    get("/federation", "The names of a bank's customers (SEP-2)", &[&["q", "type"]], Sep),
    get("/auth", "A challenge for a login with the keys of an account (SEP-10)", &[&["account", "memo", "home_domain", "client_domain"]], Sep),
    post("/auth", "Takes a challenge back and gives a token (SEP-10)", "transaction", Sep),
    get("/friendbot", "Coins for a new account; on test networks only", &[&["addr"]], Object("Transaction")),
    post("/friendbot", "Coins for a new account; on test networks only", "addr", Object("Transaction")),
];
