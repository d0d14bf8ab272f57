//! Deterministic simulation of validators: the real consensus core on simulated disks, networks and clocks, with
//! an oracle that checks every step. `docs/testing.md` says how to use it.
//!
//! A seed stands for a whole run ([`plan`]); the same seed gives the same run byte for byte. Reading order:
//! [`plan`], [`simulation`], [`outbox`] (the five rules of effects), [`oracle`], [`adversary`], [`runner`].

pub mod adversary;
pub mod clients;
pub mod crypto;
pub mod disk;
pub mod edge;
pub mod epochs;
#[path = "../../../node/storage/src/journal/format.rs"]
pub mod format;
#[expect(dead_code, reason = "how two identities differ is for an operator's eyes")]
#[path = "../../../node/storage/src/identity.rs"]
pub mod identity;
pub mod ledger;
pub mod mix;
pub mod network;
pub mod oracle;
pub mod outbox;
pub mod packet;
pub mod plan;
pub mod planted;
pub mod pool;
pub mod properties;
pub mod rng;
pub mod runner;
pub mod simulation;
pub mod trace;
pub mod twins;
pub mod witness;
