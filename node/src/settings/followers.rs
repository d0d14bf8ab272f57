//! `[followers]`: the nodes without a vote that a validator serves, and what that may cost it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use carat_types::PublicKey;
use serde::{Deserialize, Serialize};

/// Followers of one validator at most.
pub const FOLLOWERS_MAX: usize = 16;
/// Less would keep a follower of an idle network behind. **Units**: bytes a second.
const BYTES_PER_SECOND_MIN: u64 = 65_536;

/// Whom a validator serves without a vote.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FollowersSettings {
    /// What each of them may be sent, and may send.
    pub bytes_per_second: u64,
    /// Who they are, and where.
    #[serde(default)]
    pub peers: Vec<FollowerSettings>,
}

/// One follower.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FollowerSettings {
    /// Its network key, 64 hex digits.
    pub key: PublicKey,
    /// Its UDP address.
    pub address: SocketAddr,
}

impl FollowersSettings {
    /// **Errors**: what is wrong, with the setting's name.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.bytes_per_second < BYTES_PER_SECOND_MIN {
            return Err(format!(
                "followers.bytes_per_second is {}, expected at least {BYTES_PER_SECOND_MIN} (hint: to serve nobody, list nobody)",
                self.bytes_per_second
            ));
        }
        if self.peers.len() > FOLLOWERS_MAX {
            return Err(format!(
                "followers.peers lists {}, expected at most {FOLLOWERS_MAX} (hint: another validator serves the others)",
                self.peers.len()
            ));
        }
        let mut seen = BTreeSet::new();
        match self.peers.iter().find(|peer| peer.key.is_weak() || !seen.insert(peer.key)) {
            None => Ok(()),
            Some(peer) => Err(format!(
                "followers.peers lists {}, expected the network key of a follower, once (hint: carat-genesis follower prints \
                 the lines)",
                peer.key
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(bytes_per_second: u64, peers: &[u8]) -> FollowersSettings {
        let peer = |number: &u8| FollowerSettings {
            key: carat_types::SecretKey::from_seed(&[*number; 32]).public(),
            address: ([127, 0, 0, 1], 7000).into(),
        };
        FollowersSettings { bytes_per_second, peers: peers.iter().map(peer).collect() }
    }

    #[test]
    fn followers_are_bounded_in_number_and_bytes_and_each_is_another() {
        let all: Vec<u8> = (1..=17).collect();
        assert_eq!(settings(65_536, &all[..16]).check(), Ok(()));
        let cases = [
            (settings(65_535, &[]), "is 65535, expected at least 65536"),
            (settings(65_536, &all), "lists 17, expected at most 16"),
            (settings(65_536, &[1, 2, 1]), "of a follower, once"),
        ];
        for (settings, expected) in cases {
            let error = settings.check().expect_err("refused");
            assert!(error.contains(expected) && error.contains("hint"), "{error} should say {expected}");
        }
        let mut weak = settings(65_536, &[1]);
        weak.peers[0].key = PublicKey([0; 32]);
        assert!(weak.check().is_err(), "a key that anybody signs for");
    }
}
