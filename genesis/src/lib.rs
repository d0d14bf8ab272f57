//! Keys, genesis file and node homes of a new network; and whether those of an old one still fit together. Homes of nodes that
//! follow an old one ([`follower`]). A network whose founders each keep their own keys ([`founding`]).
//!
//! [`init`] makes everything, [`verify`] trusts nothing of it and looks again, [`show`] explains a genesis file.
//! What is made is described in `docs/operations/genesis.md`. Reading order: [`layout`] (names and forms of all
//! files), [`init`], [`verify`].

pub mod choices;
pub mod edge;
mod error;
mod files;
pub mod follower;
pub mod founding;
pub mod init;
pub mod layout;
pub mod newcomer;
mod ports;
pub mod show;
pub mod state;
pub mod verify;

#[cfg(test)]
mod tests;

pub use error::InitError;
pub use follower::{FollowerOptions, MadeFollower, follower};
pub use founding::{Founder, Founders};
pub use init::{InitOptions, Made, init};
pub use newcomer::Newcomer;
pub use ports::Addresses;
pub use show::{Summary, show};
pub use verify::{Check, Problem, Report, verify};
