//! UDP sockets with room for what arrives while nobody reads.
//!
//! The system's own buffer holds about a hundred datagrams. A validator that is not scheduled for some milliseconds, or whose peers
//! all send at once, loses what comes beyond that, and QUIC takes each loss for congestion: it halves what it sends in a round trip,
//! so that bodies and votes take seconds where links are long (decision record 65).

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::SockRef;

/// Asked of the system, which gives what its administrator allows (`net.core.rmem_max`, `wmem_max`). **Units**: bytes.
pub const BUFFER_BYTES: usize = 8 << 20;

/// Opens a socket.
///
/// **Errors**: a port in use.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let buffers = SockRef::from(&socket);
    // A system that gives less, or nothing, gives a slower network.
    let asked =
        buffers.set_recv_buffer_size(BUFFER_BYTES).and_then(|()| buffers.set_send_buffer_size(BUFFER_BYTES));
    if let Err(error) = asked {
        tracing::debug!(%address, %error, "the socket keeps the system's own buffers");
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_holds_more_than_the_systems_own_as_far_as_the_system_lets() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let plain = UdpSocket::bind(address).expect("a port");
        let ours = bind(address).expect("a port");
        let room = |socket: &UdpSocket| SockRef::from(socket).recv_buffer_size().expect("known");
        assert!(room(&ours) > room(&plain), "{} and {}", room(&ours), room(&plain));
    }
}
