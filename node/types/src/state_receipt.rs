//! State receipts: proof, for anyone who holds only the genesis file, of what stood under a key of the state after a block,
//! or that nothing did.
//!
//! A [`StateProof`] leads to a state root; the header that names the root, and f+1 seals on it, make it a receipt. It says
//! what *was*: of a later block it says nothing.
//! **Source**: consensus specification, sections 2 and 13; decision records 32 and 34.

use crate::certificate::SealCertificate;
use crate::codec::{Decode, DecodeError, Encode, Reader, encode_count};
use crate::epoch::Handover;
use crate::genesis::{GenesisFile, Visibility};
use crate::hash::Digest;
use crate::header::Header;
use crate::ids::Slot;
use crate::receipt::{Assumption, ReceiptError, Rule, Verifier, decode_handovers, encode_handovers};
use crate::state_proof::{ProofEnd, StateProof};

/// Longest key or value. **Units**: bytes.
const BYTES_MAX: u32 = 1 << 20;

/// A proof of one key, with the header whose state it is about and the seals on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReceipt {
    /// The handover of each epoch before that of the header, from epoch 0 on.
    pub handovers: Vec<Handover>,
    /// Key bytes.
    pub key: Vec<u8>,
    /// Value bytes; none where nothing stood under the key.
    pub value: Option<Vec<u8>>,
    /// From there to the header's state root.
    pub proof: StateProof,
    /// The block's header.
    pub header: Header,
    /// At least f+1 SEALs on the header.
    pub seals: SealCertificate,
}

/// What a state receipt proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateVerdict {
    /// Key bytes.
    pub key: Vec<u8>,
    /// Value bytes; none where nothing stood under the key.
    pub value: Option<Vec<u8>>,
    /// The block after which this was the state.
    pub slot: Slot,
    /// Its ledger.
    pub ledger: u32,
    /// Its time, milliseconds since 1970.
    pub time_ms: u64,
    /// Root of the state.
    pub state_root: Digest,
    /// The rule that made it final.
    pub rule: Rule,
    /// What must hold for the verdict to hold.
    pub assumption: Assumption,
}

impl StateReceipt {
    /// The version of those of epoch 0, which need no handover. Receipts of transactions count their own.
    pub const VERSION: u8 = 1;
    /// The version of those of later epochs.
    pub const VERSION_OF_LATER_EPOCHS: u8 = 2;

    /// Checks a state receipt's bytes against the genesis file alone.
    ///
    /// **Errors**: [`ReceiptError`] for anything but an untampered state receipt of this chain.
    pub fn verify(bytes: &[u8], genesis: &GenesisFile) -> Result<StateVerdict, ReceiptError> {
        StateReceipt::from_bytes(bytes)?.check(genesis)
    }

    /// Checks one that was read already.
    ///
    /// **Errors**: as [`StateReceipt::verify`].
    pub fn check(&self, genesis: &GenesisFile) -> Result<StateVerdict, ReceiptError> {
        let (rule, assumption) =
            Verifier::new(genesis)?.check_header(&self.handovers, &self.header, &self.seals)?;
        if !fits(&self.proof.end, genesis.genesis.visibility()) {
            return Err(ReceiptError::Broken("the proof ends as none of this network does"));
        }
        let root = match &self.value {
            Some(value) => self.proof.root(&self.key, value),
            None => self.proof.root_without(&self.key),
        };
        if root != Some(self.header.state_root) {
            return Err(ReceiptError::Broken("the entry does not lead to the header's state root"));
        }
        let Header { slot, ledger, time_ms, state_root, .. } = self.header;
        let (key, value) = (self.key.clone(), self.value.clone());
        Ok(StateVerdict { key, value, slot, ledger, time_ms, state_root, rule, assumption })
    }
}

/// Whether proofs of such a network end so: with a salt where leaves are salted, and there never at another entry's leaf.
fn fits(end: &ProofEnd, visibility: Visibility) -> bool {
    match end {
        ProofEnd::Empty => true,
        ProofEnd::Present | ProofEnd::Other(_) => visibility == Visibility::Open,
        ProofEnd::Salted(_) => visibility == Visibility::Members,
    }
}

impl Encode for StateReceipt {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_handovers(&self.handovers, [Self::VERSION, Self::VERSION_OF_LATER_EPOCHS], out);
        encode_bytes(&self.key, out);
        match &self.value {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                encode_bytes(value, out);
            }
        }
        self.proof.encode(out);
        self.header.encode(out);
        self.seals.encode(out);
    }
}

impl Decode for StateReceipt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let versions = [Self::VERSION, Self::VERSION_OF_LATER_EPOCHS];
        let handovers = decode_handovers("version of a state receipt", versions, input)?;
        let key = bytes(input)?;
        let value = match u8::decode(input)? {
            0 => None,
            1 => Some(bytes(input)?),
            value => return Err(DecodeError::Tag { what: "value of a state receipt", value }),
        };
        Ok(StateReceipt {
            handovers,
            key,
            value,
            proof: Decode::decode(input)?,
            header: Decode::decode(input)?,
            seals: Decode::decode(input)?,
        })
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn bytes(input: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let count = input.count("bytes of a state receipt", BYTES_MAX)?;
    Ok(input.take(count)?.to_vec())
}
