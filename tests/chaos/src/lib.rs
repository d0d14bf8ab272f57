//! The real cluster under attack: validators as processes of their own, killed with SIGKILL or with the power of
//! their disk, behind a relay that loses, delays, repeats and reorders their datagrams, while banks pay.
//!
//! What a simulator cannot show: the real binary, the real kernel, the real disk. What must hold at the end is what
//! a client was told: no acknowledged payment lost, none twice, no two validators with different ledgers, and the
//! clients' own history in an order that the chain's agrees with. Reading order: [`nemesis`] (what is done to
//! the network), [`relay`], [`power`], [`halt`], [`bank`] (what the clients do), [`history`] (what must hold), [`audit`].

pub mod audit;
pub mod bank;
pub mod cluster;
pub mod halt;
pub mod history;
pub mod nemesis;
pub mod power;
pub mod relay;
pub mod report;
