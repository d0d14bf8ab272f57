//! The whole network on loopback: honest peers, strangers, and validators that misbehave.

mod handshake;
mod harness;
mod hostile;
mod https;
mod traffic;
