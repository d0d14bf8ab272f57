//! The JSON shapes, one file each. **Source**: ledger specification B.2; the fields are those of the API
//! description that the specification names.

pub mod account;
pub mod activity;
pub mod asset;
pub mod claimable_balance;
pub mod effect;
pub mod epochs;
pub mod fee_stats;
pub mod fields;
pub mod governance;
mod governance_call;
pub mod ledger;
pub mod liquidity_pool;
pub mod muxed;
pub mod network;
pub mod offer;
pub mod operation;
pub mod operation_details;
pub mod order_book;
pub mod path;
pub mod receipt;
pub mod root;
pub mod state_proof;
pub mod trade;
pub mod trade_aggregation;
pub mod transaction;
