//! Measurements: a load generator of pre-signed payments against real validators.
//!
//! The binary `carat-bench` drives a running network; results are percentiles from a histogram, never averages alone.

pub mod accounts;
pub mod load;
pub mod report;
