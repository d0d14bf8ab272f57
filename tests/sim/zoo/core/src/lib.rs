//! The consensus core with bugs planted in it: `build.rs` copies the sources of `node/consensus` and puts a switch at
//! each place that `bugs/` names. With no bug switched on, it does what the product does.
//!
//! A package of its own, so that no feature or flag can ever plant a bug in the product.

#![allow(warnings, clippy::all, clippy::pedantic, reason = "a copy, and wrong on purpose")]

pub mod planted;

include!(concat!(env!("OUT_DIR"), "/consensus/root.rs"));
