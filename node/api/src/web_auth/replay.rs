//! Challenges that were answered, so that each gives one token at most.

use std::collections::BTreeMap;

use carat_types::Digest;

use super::LoginError;

/// The most challenges remembered; each is 40 bytes, and is forgotten when it has expired.
pub const ANSWERED_MAX: usize = 100_000;

/// The challenges that were answered and have not expired.
#[derive(Debug, Default)]
pub(super) struct Answered {
    expiry: BTreeMap<Digest, u64>,
}

impl Answered {
    /// Notes that a challenge is answered, unless it was before.
    ///
    /// **Errors**: [`LoginError::Replayed`]; [`LoginError::Busy`] where forgetting one would let it be answered again.
    pub(super) fn enter(&mut self, challenge: Digest, expires: u64, now: u64) -> Result<(), LoginError> {
        if self.expiry.contains_key(&challenge) {
            return Err(LoginError::Replayed);
        }
        if self.expiry.len() >= ANSWERED_MAX {
            self.expiry.retain(|_, expires| *expires >= now);
        }
        if self.expiry.len() >= ANSWERED_MAX {
            return Err(LoginError::Busy);
        }
        self.expiry.insert(challenge, expires);
        Ok(())
    }
}
