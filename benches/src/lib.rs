//! Measurements: a load generator of pre-signed transactions against real validators.
//!
//! Reading order: [`run`] (one run), [`scenario`] and [`accounts`] (what is sent), [`load`] (how), [`measure`],
//! [`resources`], [`phases`] and [`results`] (what is counted); [`sweep`], [`faults`], [`series`] and [`postgres`] build upon it; [`rules`] asks how soon a client may believe, and
//! [`report`] shows it. [`ordering`] measures consensus without ledger and clients' signatures. Results are percentiles from a histogram, never averages alone.

pub mod accounts;
pub mod arrivals;
pub mod cluster;
pub mod faults;
pub mod load;
pub mod measure;
pub mod ordering;
pub mod phases;
pub mod postgres;
pub mod report;
pub mod resources;
pub mod results;
pub mod rules;
pub mod run;
pub mod scenario;
pub mod series;
pub mod sweep;
pub mod transport;
