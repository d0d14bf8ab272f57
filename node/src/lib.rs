//! A validator, or a node that follows: settings, one event loop, performing its effects, start and stop.
//!
//! Reading order: [`home`] (what a start reads), [`node`] (how the parts hang together), [`core_loop`], [`scribe`] (effects in order, nothing
//! before it is durable), [`executor`], [`chronicle`]; on the way in [`inbound`], [`porter`], [`front_door`], [`mailbox`].
//! Without a vote: [`follow`]; serving those: [`followers`].

pub mod admin;
mod ahead;
pub mod archive;
pub mod backup;
pub mod chronicle;
pub mod clock;
mod control;
pub mod core_loop;
pub mod diagnosis;
mod edge;
pub mod entrance;
pub mod error;
pub mod evidence;
pub mod executor;
#[cfg(test)]
mod fixture;
pub mod follow;
pub mod followers;
mod friendbot;
pub mod front_door;
mod gossip;
mod guesses;
pub mod handovers;
pub mod health;
pub mod home;
mod https;
pub mod inbound;
pub mod key_change;
pub mod keys;
pub mod machine;
pub mod mailbox;
pub mod metrics;
pub mod node;
mod parts;
pub mod payloads;
pub mod pool;
pub mod porter;
pub mod proofs;
mod pulse;
mod receipts;
pub mod replay;
mod replies;
mod rest;
pub mod retention;
pub mod role;
pub mod salt;
pub mod scribe;
mod seat;
pub mod settings;
pub mod signatures;
pub mod signer;
pub mod snapshots;
mod state_view;
mod threads;
mod timers;
pub mod token;
pub mod trace;
pub mod upgrade_notice;

pub use error::NodeError;
pub use follow::FollowerHome;
pub use home::Home;
pub use node::Node;
pub use settings::Settings;
