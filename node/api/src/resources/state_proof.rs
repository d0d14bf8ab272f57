//! A state receipt: the proof itself, and what it proves in words.

use carat_types::codec::Encode as _;
use carat_types::state_receipt::StateReceipt;
use serde::Serialize;

use crate::format;
use crate::links::{Link, Links};
use crate::visibility::Seen;

/// What stood under a key after a block. All but `proof` is what this node reads in it: whoever needs certainty verifies
/// `proof` against the genesis file.
#[derive(Clone, Debug, Serialize)]
pub struct StateProof {
    #[serde(rename = "_links")]
    links: StateProofLinks,
    ledger_key: String,
    present: bool,
    entry_xdr: Option<String>,
    slot: String,
    ledger: u32,
    created_at: String,
    state_root: String,
    proof: String,
}

#[derive(Clone, Debug, Serialize)]
struct StateProofLinks {
    #[serde(rename = "self")]
    this: Link,
    genesis: Link,
}

impl StateProof {
    /// The receipt with its summary.
    pub fn new(links: &Links, receipt: &Seen<StateReceipt>) -> Self {
        let key = hex::encode(&receipt.key);
        let header = &receipt.header;
        StateProof {
            links: StateProofLinks {
                this: links.to(format!("/state_proofs/{key}")),
                genesis: links.to("/genesis"),
            },
            ledger_key: key,
            present: receipt.value.is_some(),
            entry_xdr: receipt.value.as_deref().map(format::base64),
            slot: header.slot.to_string(),
            ledger: header.ledger,
            created_at: format::time(header.time_ms),
            state_root: header.state_root.to_string(),
            proof: format::base64(&receipt.to_bytes()),
        }
    }
}
