//! Every threshold of the protocol, from the number of validators alone.
//!
//! **Source**: consensus specification, section 1. Quorum arithmetic stands here and nowhere else.

use thiserror::Error;

use crate::ids::SignerSet;

/// The thresholds of a set of `n` validators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    n: usize,
}

/// A number of validators or edge proposers that no network can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImpossibleSize {
    /// Of validators.
    #[error("{n} validators; expected 1, or 4 to {max} (hint: f faults are tolerated by 3f+1 validators)", max = SignerSet::CAPACITY)]
    Validators {
        /// The number seen.
        n: usize,
    },
    /// Of proposers that are processes of their own.
    #[error("{proposers} edge proposers beside {n} validators; expected 1 or more, and at most {max} of both together (hint: one set of signers names them all)", max = SignerSet::CAPACITY)]
    Proposers {
        /// The number seen.
        proposers: usize,
        /// Of the validators beside them.
        n: usize,
    },
}

impl Quorum {
    /// The thresholds of `n` validators.
    ///
    /// **Errors**: sizes other than 1 and 4 to 64: two or three validators tolerate no fault and stop at one.
    pub fn of(n: usize) -> Result<Self, ImpossibleSize> {
        let possible = n == 1 || (4..=usize::from(SignerSet::CAPACITY)).contains(&n);
        if possible { Ok(Quorum { n }) } else { Err(ImpossibleSize::Validators { n }) }
    }

    /// Number of validators.
    pub const fn n(self) -> usize {
        self.n
    }

    /// f: faulty validators that are tolerated.
    pub const fn faults(self) -> usize {
        self.n.saturating_sub(1) / 3
    }

    /// q = n - f: votes that make a certificate.
    pub const fn quorum(self) -> usize {
        self.n.saturating_sub(self.faults())
    }

    /// t = n - 2f: how far two quorums overlap at least; votes that can force a value in a view change.
    pub const fn overlap(self) -> usize {
        self.quorum().saturating_sub(self.faults())
    }

    /// f + 1: at least one of them is correct.
    pub const fn one_correct(self) -> usize {
        self.faults().saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_for_every_size_meet_what_the_proofs_need() {
        for n in (1..=64).filter(|n| *n == 1 || *n >= 4) {
            let quorum = Quorum::of(n).expect("possible size");
            let (f, q, t) = (quorum.faults(), quorum.quorum(), quorum.overlap());
            assert!(n > 3 * f, "resilience at n = {n}");
            assert!(3 * (f + 1) + 1 > n, "f is the largest at n = {n}");
            assert!(2 * t > q, "at most one value has t votes among q at n = {n}");
            assert!(2 * q - n > f, "two quorums share a correct validator at n = {n}");
            assert_eq!(2 * q - n, t);
            assert!(q <= n - f, "a quorum of correct validators exists at n = {n}");
        }
    }

    #[test]
    fn thresholds_of_common_sizes_are_those_of_the_specification() {
        for (n, f, q, t) in
            [(1, 0, 1, 1), (4, 1, 3, 2), (5, 1, 4, 3), (7, 2, 5, 3), (10, 3, 7, 4), (13, 4, 9, 5)]
        {
            let quorum = Quorum::of(n).expect("possible size");
            assert_eq!((quorum.faults(), quorum.quorum(), quorum.overlap()), (f, q, t), "n = {n}");
        }
        for n in [0, 2, 3, 65] {
            assert_eq!(Quorum::of(n), Err(ImpossibleSize::Validators { n }));
        }
    }
}
