//! The transcript: everything that was said so far, and the challenges that follow from it.
//!
//! A trait, so that tests can leave out one item and show that it is missed.

use curve25519_dalek::scalar::Scalar;

/// A transcript of a proof.
pub(crate) trait Transcript {
    /// Absorbs what was said.
    fn append(&mut self, label: &'static [u8], bytes: &[u8]);

    /// The next challenge: it depends on all that was absorbed.
    fn challenge(&mut self, label: &'static [u8]) -> Scalar;

    /// Absorbs a number as the `bulletproofs` crate does.
    fn append_u64(&mut self, label: &'static [u8], number: u64) {
        self.append(label, &number.to_le_bytes());
    }
}

impl Transcript for merlin::Transcript {
    fn append(&mut self, label: &'static [u8], bytes: &[u8]) {
        self.append_message(label, bytes);
    }

    fn challenge(&mut self, label: &'static [u8]) -> Scalar {
        let mut wide = [0; 64];
        self.challenge_bytes(label, &mut wide);
        Scalar::from_bytes_mod_order_wide(&wide)
    }
}
