//! The routes, as data: path, methods, who may use it.

pub(crate) mod accounts;
pub(crate) mod activity;
pub(crate) mod assets;
pub(crate) mod claimable_balances;
pub(crate) mod collection;
pub(crate) mod epochs;
pub(crate) mod federation;
pub(crate) mod fee_stats;
pub(crate) mod friendbot;
pub(crate) mod genesis;
pub(crate) mod governance;
pub(crate) mod ledgers;
pub(crate) mod liquidity_pools;
pub(crate) mod network;
pub(crate) mod offers;
pub(crate) mod openapi;
pub(crate) mod operations;
pub(crate) mod order_book;
pub(crate) mod paths;
pub(crate) mod root;
mod sep;
pub(crate) use sep::now;
pub(crate) mod sep10;
pub(crate) mod state_proofs;
pub(crate) mod submit;
pub(crate) mod trades;
pub(crate) mod transactions;
pub(crate) mod well_known;

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};

use crate::context::Context;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the node; on a members' network whoever has logged in, and each sees what concerns it.
    Public,
    /// The same, at the price of a place in the queue of submissions; what is submitted carries its own
    /// authority.
    Submission,
    /// Anybody: what a login begins with. What is sent carries its own authority, and nothing but the memory of it is
    /// written.
    Login,
    /// As [`Access::Public`], but only on a test network; elsewhere the route does not exist.
    TestNetwork,
    /// The operator; on a test network anybody (decision record 27). Elsewhere the public address does not have the route.
    Operator,
}

/// The address through which a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The REST interface.
    Public,
    /// The operator's own listener. It changes nothing: nothing is submitted there.
    Operator,
}

impl Access {
    /// Whether a route of this class exists at a listener.
    pub fn exists(self, listener: Listener, is_test: bool) -> bool {
        match (self, listener) {
            (Access::Public, _) | (Access::Submission | Access::Login, Listener::Public) => true,
            (Access::Operator, Listener::Operator) => true,
            (Access::TestNetwork | Access::Operator, Listener::Public) => is_test,
            (Access::Submission | Access::Login | Access::TestNetwork, Listener::Operator) => false,
        }
    }
}

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    /// The path, with the names of its parameters in braces.
    pub path: &'static str,
    /// The methods that it answers to; HEAD comes with GET.
    pub methods: &'static [&'static str],
    /// Who may use it.
    pub access: Access,
    /// Whether it can be followed as a stream of events.
    pub streams: bool,
    pub(crate) handler: fn() -> MethodRouter<Arc<Context>>,
}

const fn read(path: &'static str, streams: bool, handler: fn() -> MethodRouter<Arc<Context>>) -> Route {
    Route { path, methods: &["GET"], access: Access::Public, streams, handler }
}

const fn login(path: &'static str, handler: fn() -> MethodRouter<Arc<Context>>) -> Route {
    Route { path, methods: &["GET"], access: Access::Login, streams: false, handler }
}

/// Every route that there is.
pub const ROUTES: &[Route] = &[
    read("/", false, || get(root::show)),
    read("/openapi.json", false, || get(openapi::show)),
    read("/genesis", false, || get(genesis::show)),
    read("/epochs", false, || get(epochs::show)),
    read("/governance", false, || get(governance::show)),
    read("/fee_stats", false, || get(fee_stats::show)),
    read("/accounts", true, || get(accounts::list)),
    read("/accounts/{account_id}", true, || get(accounts::show)),
    read("/accounts/{account_id}/data/{key}", true, || get(accounts::data)),
    read("/accounts/{account_id}/transactions", true, || get(accounts::transactions)),
    read("/accounts/{account_id}/operations", true, || get(accounts::operations)),
    read("/accounts/{account_id}/payments", true, || get(accounts::payments)),
    read("/accounts/{account_id}/effects", true, || get(accounts::effects)),
    read("/accounts/{account_id}/offers", true, || get(accounts::offers)),
    read("/accounts/{account_id}/trades", true, || get(accounts::trades)),
    read("/activity", false, || get(activity::show)),
    read("/assets", true, || get(assets::list)),
    read("/claimable_balances", true, || get(claimable_balances::list)),
    read("/claimable_balances/{claimable_balance_id}", false, || get(claimable_balances::show)),
    read("/claimable_balances/{claimable_balance_id}/transactions", true, || {
        get(claimable_balances::transactions)
    }),
    read("/claimable_balances/{claimable_balance_id}/operations", true, || {
        get(claimable_balances::operations)
    }),
    read("/effects", true, || get(operations::all_effects)),
    read("/ledgers", true, || get(ledgers::list)),
    read("/ledgers/{sequence}", false, || get(ledgers::show)),
    read("/ledgers/{sequence}/transactions", true, || get(ledgers::transactions)),
    read("/ledgers/{sequence}/operations", true, || get(ledgers::operations)),
    read("/ledgers/{sequence}/payments", true, || get(ledgers::payments)),
    read("/ledgers/{sequence}/effects", true, || get(ledgers::effects)),
    read("/liquidity_pools", true, || get(liquidity_pools::list)),
    read("/liquidity_pools/{liquidity_pool_id}", false, || get(liquidity_pools::show)),
    read("/liquidity_pools/{liquidity_pool_id}/effects", true, || get(liquidity_pools::effects)),
    read("/liquidity_pools/{liquidity_pool_id}/operations", true, || get(liquidity_pools::operations)),
    read("/liquidity_pools/{liquidity_pool_id}/trades", true, || get(liquidity_pools::trades)),
    read("/liquidity_pools/{liquidity_pool_id}/transactions", true, || get(liquidity_pools::transactions)),
    Route {
        path: "/network",
        methods: &["GET"],
        access: Access::Operator,
        streams: true,
        handler: || get(network::show),
    },
    read("/offers", true, || get(offers::list)),
    read("/offers/{offer_id}", false, || get(offers::show)),
    read("/offers/{offer_id}/trades", true, || get(offers::trades)),
    read("/order_book", true, || get(order_book::show)),
    read("/paths", false, || get(paths::strict_receive)),
    read("/paths/strict-receive", false, || get(paths::strict_receive)),
    read("/paths/strict-send", false, || get(paths::strict_send)),
    read("/state_proofs/{ledger_key}", false, || get(state_proofs::show)),
    read("/trade_aggregations", false, || get(trades::aggregations)),
    read("/trades", true, || get(trades::list)),
    Route {
        path: "/transactions",
        methods: &["GET", "POST"],
        access: Access::Submission,
        streams: true,
        handler: || get(transactions::list).post(submit::submit),
    },
    Route {
        path: "/transactions_async",
        methods: &["POST"],
        access: Access::Submission,
        streams: false,
        handler: || post(submit::submit_async),
    },
    read("/transactions/{hash}", false, || get(transactions::show)),
    read("/transactions/{hash}/operations", true, || get(transactions::operations)),
    read("/transactions/{hash}/payments", true, || get(transactions::payments)),
    read("/transactions/{hash}/effects", true, || get(transactions::effects)),
    read("/transactions/{hash}/receipt", false, || get(transactions::receipt)),
    read("/operations", true, || get(operations::list)),
    read("/operations/{id}", false, || get(operations::show)),
    read("/operations/{id}/effects", true, || get(operations::effects)),
    read("/payments", true, || get(operations::payments)),
    login("/.well-known/stellar.toml", || get(well_known::stellar_toml)),
    login("/.well-known/jwks.json", || get(well_known::keys)),
    read("/federation", false, || get(federation::show)),
    Route {
        path: "/auth",
        methods: &["GET", "POST"],
        access: Access::Login,
        streams: false,
        handler: || get(sep10::challenge).post(sep10::token),
    },
    Route {
        path: "/friendbot",
        methods: &["GET", "POST"],
        access: Access::TestNetwork,
        streams: false,
        handler: || get(friendbot::fund).post(friendbot::fund),
    },
];
