//! The REST interface with leaks planted in it: `build.rs` copies the sources of `node/api` and puts a switch at each place
//! that `planted.rs` names. With no leak switched on, it does what the product does.
//!
//! A package of its own, so that no feature or flag can ever plant a leak in the product. What is tested is the leak matrix
//! (`node/api/src/tests/visibility.rs`, copied as well): one filter removed at a time, a named test of it must fail.
//!
//! ```text
//! cargo test --release -p carat-leaks
//! ```

#![allow(warnings, clippy::all, clippy::pedantic, reason = "a copy, and leaking on purpose")]

pub mod planted;

#[cfg(test)]
mod hunt;

include!(concat!(env!("OUT_DIR"), "/api/src/root.rs"));
