//! Messages between validators: QUIC with TLS 1.3 in which both sides are pinned to the network keys of the
//! genesis file.
//!
//! What it promises: a frame from [`Incoming::peer`] was sent by whoever holds that validator's network key, and
//! nobody without such a key gets past the handshake; sending never waits; one slow, absent or hostile peer
//! neither delays the others nor fills more than its budget ([`PEER_BUDGET`]). What it does not promise: delivery.
//! Frames are lost when a queue is full or a connection breaks, and consensus sends again.
//!
//! It knows nothing of what is in a frame, does no disk I/O, and trusts no clock: certificates have no end.
//!
//! Every validator dials every other and sends on the connection that it made; what it accepted is for receiving.
//! Clients have an entrance of their own, on another socket and with another protocol name: [`entrance`]. The TLS of the
//! REST interface takes the same certificates of clients: [`https`].
//!
//! Reading order: [`network`] (the handle), [`limits`], [`frame`] (what is on the wire), `tls` (who is let in),
//! `dial` (sending), `accept` (receiving), [`inbox`] (fair delivery).

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod accept;
mod budget;
pub mod certificate;
mod dial;
mod drivers;
pub mod entrance;
pub mod error;
pub mod frame;
pub mod https;
pub mod inbox;
pub mod limits;
pub mod network;
pub mod network_key;
mod peer;
pub mod private;
mod provider;
mod queue;
pub mod socket;
pub mod stats;
mod tls;
mod transport;

#[cfg(test)]
mod tests;

pub use entrance::{Entrance, EntranceConfig, Session};
pub use error::NetworkError;
pub use frame::{Lane, PerLane, Violation};
pub use https::{CertificateFiles, CertificateWatch, Https};
pub use inbox::{Event, Inbox, Incoming};
pub use limits::{FRAME_OVERHEAD, LaneLimits, Limits, PEER_BUDGET, PROTOCOL_VERSION};
pub use network::{BindConfig, Bound, Frame, Network, NetworkConfig, Peer};
pub use network_key::{Elsewhere, HandshakeSigner, NetworkKey};
pub use private::{PrivateDialler, PrivateDoor, PrivateStream};
pub use stats::{HandshakeFailure, LaneStats, PeerStats, Stats};
