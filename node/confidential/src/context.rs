//! Where a proof belongs: chain, transaction, account, and the state that it was made over. All of it is absorbed, so
//! that a proof is worth nothing anywhere else.

use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::{Digest, PublicKey};

/// The public inputs that every operation has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The network id: no replay on another chain.
    pub network: Digest,
    /// The account whose sequence number the transaction uses.
    pub source: PublicKey,
    /// That sequence number: no replay in another transaction.
    pub sequence: i64,
    /// The operation's place in the transaction: no replay within it.
    pub operation_index: u32,
    /// The account whose balance it is.
    pub account: PublicKey,
    /// SHA-256 over the asset's XDR.
    pub asset: Digest,
    /// Which of the account's balances of this asset.
    pub lane: u32,
    /// How often that balance has changed.
    pub version: u64,
    /// Which of the account's keys.
    pub key_epoch: u32,
    /// Which of the asset's sets of auditors.
    pub auditor_epoch: u32,
    /// The salted hash of the sealed payload that comes with it; zero if there is none.
    pub payload: Digest,
}

/// Who receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The account.
    pub account: PublicKey,
    /// Which of its balances of the asset.
    pub lane: u32,
    /// Which of its keys.
    pub key_epoch: u32,
}

impl Context {
    /// Each field by its label, in the order in which it is absorbed and encoded.
    pub(crate) fn inputs(&self) -> Vec<(&'static [u8], Vec<u8>)> {
        vec![
            (b"network", self.network.to_bytes()),
            (b"source", self.source.to_bytes()),
            (b"sequence", self.sequence.to_bytes()),
            (b"operation-index", self.operation_index.to_bytes()),
            (b"account", self.account.to_bytes()),
            (b"asset", self.asset.to_bytes()),
            (b"lane", self.lane.to_bytes()),
            (b"version", self.version.to_bytes()),
            (b"key-epoch", self.key_epoch.to_bytes()),
            (b"auditor-epoch", self.auditor_epoch.to_bytes()),
            (b"payload", self.payload.to_bytes()),
        ]
    }
}

impl Recipient {
    /// As [`Context::inputs`].
    pub(crate) fn inputs(&self) -> Vec<(&'static [u8], Vec<u8>)> {
        vec![
            (b"recipient", self.account.to_bytes()),
            (b"recipient-lane", self.lane.to_bytes()),
            (b"recipient-key-epoch", self.key_epoch.to_bytes()),
        ]
    }
}

/// The encoding is what is absorbed, so that no field can be in the one and not in the other.
impl Encode for Context {
    fn encode(&self, out: &mut Vec<u8>) {
        self.inputs().iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
    }
}

impl Decode for Context {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Context {
            network: Decode::decode(input)?,
            source: Decode::decode(input)?,
            sequence: Decode::decode(input)?,
            operation_index: Decode::decode(input)?,
            account: Decode::decode(input)?,
            asset: Decode::decode(input)?,
            lane: Decode::decode(input)?,
            version: Decode::decode(input)?,
            key_epoch: Decode::decode(input)?,
            auditor_epoch: Decode::decode(input)?,
            payload: Decode::decode(input)?,
        })
    }
}

impl Encode for Recipient {
    fn encode(&self, out: &mut Vec<u8>) {
        self.inputs().iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
    }
}

impl Decode for Recipient {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Recipient {
            account: Decode::decode(input)?,
            lane: Decode::decode(input)?,
            key_epoch: Decode::decode(input)?,
        })
    }
}
