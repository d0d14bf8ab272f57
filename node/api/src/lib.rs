//! The REST routes, JSON shapes, problem reports, event streams.
//!
//! Unmodified clients of the wire format drive the chain through this crate: what they send and read is kept
//! field for field (ledger specification, section B). The node stands behind one trait, [`port::Node`]; this
//! crate keeps no state of its own but counters and limits, and answers nothing that the node has not
//! executed.
//!
//! Reading order: [`port`], [`routes`], [`app`] (what surrounds a request), [`resources`] (the shapes),
//! [`visibility`] (who sees what), [`problem`], `stream`, [`server`], [`secure`]; then [`bank`] and [`web_auth`]: what a node serves for the bank that runs it.

pub mod accept;
mod activity;
pub mod app;
pub mod bank;
mod caching;
pub mod context;
pub mod format;
pub mod links;
mod openapi;
pub mod page;
mod pages;
pub mod params;
pub mod port;
pub mod problem;
pub mod rate_limit;
mod request;
pub mod resources;
pub mod routes;
pub mod secure;
pub mod server;
mod stream;
pub mod visibility;
pub mod web_auth;

pub use app::router;
pub use carat_types::result_codes;
pub use context::{Context, Settings};
pub use port::Node;
pub use rate_limit::RateLimit;
pub use routes::Listener;
pub use secure::{Secure, Secured};
pub use server::{ConnectionLimits, Doors, serve};

#[cfg(test)]
mod tests;
