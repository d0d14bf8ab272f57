//! The keys of a validator in a process of their own: `carat-node signer`.
//!
//! A validator whose settings name a signer holds no key. It asks over a Unix socket, or over TLS; the signer, under a user of its
//! own, reads what it is asked to sign ([`statement`]), compares it with all that it has ever signed ([`book`]), makes that durable, and
//! only then signs. So a validator that was taken over, rolled back or started twice cannot make its key contradict
//! itself. **Source**: consensus specification, sections 2, 4 and 8 (I1, I2, I6); decision record 35.
//!
//! Reading order: [`statement`] (the signed bytes, read back), [`book`] (what is refused), [`wire`] (what is said over the socket),
//! [`server`] (the signer), [`link`] and [`courier`] (the validator's end).

pub mod book;
pub mod courier;
pub mod link;
pub mod server;
pub mod settings;
pub mod statement;
pub mod wire;

mod keyring;
mod remote;

pub use link::Link;
pub use server::{Server, SignerError, create_journal};
pub use settings::SignerSettings;
