//! The client library of the settlement chain: describe a network, submit, await finality, verify receipts.
//!
//! No function here calls one node's word final. A transaction's outcome comes from a receipt that was checked
//! against the genesis file, and a refusal counts only when more nodes gave it than may be dishonest.
//! Reading order: [`network`], [`rest`], [`native`], [`client`], [`outcome`], [`receipt`], [`login`], [`gateway`]; then [`keystore`] and
//! [`processes`], on which
//! the command `carat` stands. Building transactions is [`carat_types::builder`].

pub mod client;
pub mod delivery;
pub mod evidence;
pub mod gateway;
pub mod keystore;
pub mod login;
pub mod native;
pub mod network;
pub mod outcome;
pub mod payload;
pub mod processes;
pub mod receipt;
pub mod rest;
pub mod state;

#[cfg(test)]
mod fixture;

pub use client::{Believed, Client, ClientError, Early, EarlyRule, Finality};
pub use network::{Network, NodeAddress};
