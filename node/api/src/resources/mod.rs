//! The JSON shapes, one file each. **Source**: ledger specification B.2; the fields are those of the API
//! description that the specification names.

pub mod account;
pub mod fee_stats;
pub mod ledger;
pub mod muxed;
pub mod operation;
pub mod operation_details;
pub mod receipt;
pub mod root;
pub mod transaction;
