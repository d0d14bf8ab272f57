//! Addresses of the validators of one machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::error::InitError;

/// Where one validator listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// UDP, for validators.
    pub network: SocketAddr,
    /// TCP, for clients.
    pub api: SocketAddr,
    /// TCP, for operators.
    pub metrics: SocketAddr,
}

const PER_VALIDATOR: u16 = 3;

/// Free ports are looked for here: below the range from which the system takes ports for outgoing connections
/// (32768 and up on Linux), one of which could otherwise take a port before its validator starts.
const SEARCH: std::ops::Range<u16> = 10_000..32_000;

/// How many places are tried before giving up.
const ATTEMPTS: u16 = 200;

/// Addresses from `base` on: three for each validator.
///
/// **Errors**: the ports end beyond 65535.
pub(crate) fn from_base(validators: u16, base: u16) -> Result<Vec<Addresses>, InitError> {
    let count = validators.saturating_mul(PER_VALIDATOR);
    if base == 0 || base.checked_add(count).is_none() {
        return Err(InitError::Choice {
            what: "--base-port",
            seen: base.to_string(),
            expected: format!("1 to {} (hint: {count} ports from it on are used)", u16::MAX - count),
        });
    }
    let at = |port: u16| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let of = |first: u16| Addresses { network: at(first), api: at(first + 1), metrics: at(first + 2) };
    Ok((0..validators).map(|index| of(base + index * PER_VALIDATOR)).collect())
}

/// Addresses on ports that nobody uses now, searched from a random place on.
///
/// **Errors**: none found.
pub(crate) fn free(validators: u16) -> Result<Vec<Addresses>, InitError> {
    let count = validators.saturating_mul(PER_VALIDATOR);
    let last = SEARCH.end - count;
    for _ in 0..ATTEMPTS {
        let random = u16::try_from(getrandom::u32().map_err(InitError::Random)? >> 16).unwrap_or(0);
        let addresses = from_base(validators, SEARCH.start + random % (last - SEARCH.start))?;
        if addresses.iter().all(is_free) {
            return Ok(addresses);
        }
    }
    Err(InitError::Ports { count })
}

/// Both protocols of each port are tried, so that a look at the open ports confuses nobody.
fn is_free(addresses: &Addresses) -> bool {
    [addresses.network, addresses.api, addresses.metrics]
        .iter()
        .all(|address| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_from_a_base_are_three_a_validator() {
        let addresses = from_base(4, 7000).expect("in range");
        assert_eq!(addresses.len(), 4);
        assert_eq!(addresses[3].network.port(), 7009);
        assert_eq!((addresses[3].api.port(), addresses[3].metrics.port()), (7010, 7011));
    }

    #[test]
    fn base_port_that_leaves_no_room_is_refused_with_the_highest_that_does() {
        let error = from_base(4, 65_530).expect_err("too high").to_string();
        assert!(error.contains("65530") && error.contains("1 to 65523"), "{error}");
        assert!(from_base(4, 0).is_err());
        assert!(from_base(4, 65_523).is_ok());
    }

    #[test]
    fn free_ports_leave_out_those_in_use() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("free port");
        let address = taken.local_addr().expect("bound");
        let addresses = Addresses { network: address, api: address, metrics: address };
        assert!(!is_free(&addresses));
        assert_eq!(free(4).expect("found").len(), 4);
    }
}
