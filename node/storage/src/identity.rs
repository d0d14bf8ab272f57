//! Whom a data folder belongs to: the same in the journal's birth record and in the store.

use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::{Digest, PublicKey, ValidatorId};

/// One validator of one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain.
    pub chain_id: Digest,
    /// The acceptor key whose votes are remembered.
    pub key: PublicKey,
    /// The validator's place in the genesis file.
    pub validator: ValidatorId,
}

/// The first thing in which two identities differ, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: &'static str,
    pub(crate) seen: String,
    pub(crate) expected: String,
}

impl Identity {
    /// How what was found on disk differs from what the settings demand.
    pub(crate) fn difference(&self, expected: &Identity) -> Option<Difference> {
        let differ = |what, seen: String, expected: String| {
            (seen != expected).then_some(Difference { what, seen, expected })
        };
        differ("chain", self.chain_id.to_string(), expected.chain_id.to_string())
            .or_else(|| differ("acceptor key", self.key.to_string(), expected.key.to_string()))
            .or_else(|| differ("validator", self.validator.to_string(), expected.validator.to_string()))
    }
}

impl Encode for Identity {
    fn encode(&self, out: &mut Vec<u8>) {
        self.chain_id.encode(out);
        self.key.encode(out);
        self.validator.encode(out);
    }
}

impl Decode for Identity {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Identity {
            chain_id: Decode::decode(input)?,
            key: Decode::decode(input)?,
            validator: Decode::decode(input)?,
        })
    }
}
