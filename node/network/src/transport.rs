//! The settings of QUIC: windows, streams, times, and what is switched off.

use std::sync::Arc;
use std::time::Duration;

use carat_types::hash::{Digest, h};
use quinn::congestion::CubicConfig;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig,
    VarInt,
};
use rustls::crypto::SecureRandom;

use crate::error::NetworkError;
use crate::limits::{Limits, STREAM_WINDOW};
use crate::network_key::NetworkKey;

/// Codes with which we close a connection, each with its text. A peer's log shows both.
pub(crate) mod close {
    use quinn::VarInt;

    /// We stop.
    pub(crate) const SHUTDOWN: (VarInt, &[u8]) = (VarInt::from_u32(0), b"shutting down");
    /// The same key connected again; the newer connection counts.
    pub(crate) const REPLACED: (VarInt, &[u8]) = (VarInt::from_u32(1), b"replaced by a newer connection");
    /// The peer broke the framing; the text names the violation.
    pub(crate) const VIOLATION: VarInt = VarInt::from_u32(2);
    /// A client may not submit here; the text says why.
    pub(crate) const NOT_ADMITTED: VarInt = VarInt::from_u32(3);
}

/// Largest datagram that we send and accept. Networks with jumbo frames, and loopback, carry more than 1500 bytes. QUIC hands up to
/// [`SEGMENTS`] to the system in one call, and the system refuses more than [`CALL_BYTES`] in one: without a word the library takes
/// them all for sent, so a burst over the largest datagrams of a jumbo frame would be lost whole, each time (decision record 74).
const DATAGRAM_BYTES: u16 = 6_500;
/// Of quinn: `MAX_TRANSMIT_SEGMENTS`.
const SEGMENTS: u32 = 10;
/// What a UDP datagram, or all of one call, can hold.
const CALL_BYTES: u32 = 65_507;
const _: () = assert!(DATAGRAM_BYTES as u32 * SEGMENTS <= CALL_BYTES, "a burst would be lost whole");

/// What goes out in the first round trip, and after a time in which little was sent: a batch in one round trip instead of three. QUIC's
/// own, ten datagrams, suits any line; banks and their clients have better ones. It is paced over the round trip, and halved by
/// losses as ever. **Units**: bytes.
const INITIAL_WINDOW: u64 = 256 << 10;

/// Streams that an acceptor may open to a dialler: the one that says it was admitted.
const STREAMS_TO_DIALLER: u32 = 1;

/// Streams that a dialler may have open to an acceptor: its lanes.
const STREAMS_TO_ACCEPTOR: u32 = 2;

/// Transport of the connections that we accept.
pub(crate) fn inbound(limits: &Limits) -> TransportConfig {
    let mut config = common(limits);
    config
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_TO_ACCEPTOR))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(STREAM_WINDOW.saturating_mul(2)));
    config
}

/// Transport of the connections that we dial. Nothing but the admission comes back on them.
pub(crate) fn outbound(limits: &Limits) -> TransportConfig {
    let mut config = common(limits);
    config
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_TO_DIALLER))
        .stream_receive_window(VarInt::from_u32(1024))
        .receive_window(VarInt::from_u32(1024))
        // A lane can hold at most two windows in the send buffer, one not acknowledged and one of which only the
        // end is not. So the bulk lane leaves room for the urgent one.
        .send_window(u64::from(STREAM_WINDOW).saturating_mul(4));
    config
}

/// Transport of the native entrance, the same on both sides: one stream both ways, opened by the client.
pub(crate) fn session(limits: &Limits) -> TransportConfig {
    let mut config = common(limits);
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(STREAM_WINDOW))
        .send_window(u64::from(STREAM_WINDOW).saturating_mul(2));
    config
}

fn common(limits: &Limits) -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(DATAGRAM_BYTES);
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW);
    config
        .congestion_controller_factory(Arc::new(congestion))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_timeout).ok())
        .keep_alive_interval(Some(limits.keep_alive))
        .mtu_discovery_config(Some(discovery));
    config
}

/// Settings of the socket.
pub(crate) fn endpoint(
    key: &NetworkKey,
    random: &'static dyn SecureRandom,
) -> Result<EndpointConfig, NetworkError> {
    let mut start = Digest::ZERO;
    random.fill(&mut start.0).map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
    let mut config = EndpointConfig::new(Arc::new(ResetKey(key.reset_key())));
    config.cid_generator(move || Box::new(ConnectionIds { start, made: 0 }));
    config.max_udp_payload_size(DATAGRAM_BYTES).map_err(|error| NetworkError::Limits(error.to_string()))?;
    Ok(config)
}

/// Connection ids that differ between starts. QUIC's own are checked before a reset is sent, by a key that dies
/// with the process; these are not, so that a restarted validator answers to the ids that it gave before.
struct ConnectionIds {
    start: Digest,
    made: u64,
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.made = self.made.wrapping_add(1);
        let [a, b, c, d, e, f, g, i, ..] =
            h("network-connection-id", &[&self.start.0, &self.made.to_be_bytes()]).0;
        ConnectionId::new(&[a, b, c, d, e, f, g, i])
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// SHA3-256 with the key in front: SHA-3 needs no more to be a MAC.
struct ResetKey(Digest);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let tag = h("network-reset", &[&self.0.0, data]);
        signature_out.iter_mut().zip(tag.0).for_each(|(to, from)| *to = from);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if h("network-reset", &[&self.0.0, data]).0.as_slice() == signature {
            Ok(())
        } else {
            Err(CryptoError)
        }
    }
}
