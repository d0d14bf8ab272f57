//! What the validators govern: parameters in force, what is proposed, what is decided.

use carat_types::PublicKey;
use carat_types::governance::{Change, Governance as Entry, OpenProposal, SET, contract_id};
use serde::Serialize;
use serde_json::{Value, json};
use stellar_xdr::{AccountId, ContractId, Hash};

use crate::port::{Governance as State, Network};

/// The state of governance.
#[derive(Clone, Debug, Serialize)]
pub struct Governance {
    chain_id: String,
    contract: String,
    account: String,
    signers: Vec<Signer>,
    threshold: u8,
    /// The last executed slot: the state is that after it.
    slot: String,
    protocol_version: u32,
    supported_protocol_version: u32,
    base_fee: u32,
    base_reserve: u32,
    checkpoint_interval: u64,
    window: u64,
    proposals: Vec<Proposal>,
    scheduled: Option<Value>,
}

#[derive(Clone, Debug, Serialize)]
struct Signer {
    key: String,
    weight: u32,
}

/// A proposal that waits for approvals. Whoever approves it computes its id from these fields.
#[derive(Clone, Debug, Serialize)]
struct Proposal {
    id: String,
    number: String,
    proposer: String,
    parameter: &'static str,
    /// A number; of a set the whole set.
    value: Value,
    /// **Units**: seconds since 1970.
    valid_until: String,
    approvals: Vec<String>,
}

impl Governance {
    /// The state as a node has it.
    pub fn new(network: &Network, state: &State) -> Self {
        let Entry { account, checkpoint_interval, window, open, scheduled, .. } = &state.entry;
        let signers = state.signers.iter();
        Governance {
            chain_id: network.chain_id.to_string(),
            contract: ContractId(Hash(contract_id(&network.chain_id).0)).to_string(),
            account: address(account),
            signers: signers.map(|(key, weight)| Signer { key: address(key), weight: *weight }).collect(),
            threshold: state.threshold,
            slot: state.slot.to_string(),
            protocol_version: state.protocol_version,
            supported_protocol_version: network.supported_protocol,
            base_fee: state.base_fee,
            base_reserve: state.base_reserve,
            checkpoint_interval: *checkpoint_interval,
            window: *window,
            proposals: open.iter().map(proposal).collect(),
            scheduled: scheduled.as_ref().map(|scheduled| {
                let (parameter, value) = change(&scheduled.change);
                json!({ "parameter": parameter, "value": value, "from_slot": scheduled.from.to_string() })
            }),
        }
    }
}

fn address(key: &PublicKey) -> String {
    AccountId::from(*key).to_string()
}

/// Name and value of what is proposed.
fn change(change: &Change) -> (&'static str, Value) {
    match change {
        Change::Value { parameter, value } => (parameter.name(), json!(value)),
        Change::Set(set) => (SET, json!(set)),
    }
}

fn proposal(open: &OpenProposal) -> Proposal {
    let OpenProposal { proposal, approvals } = open;
    let (parameter, value) = change(&proposal.change);
    Proposal {
        id: proposal.id().to_string(),
        number: proposal.number.to_string(),
        proposer: address(&proposal.proposer),
        parameter,
        value,
        valid_until: proposal.valid_until.to_string(),
        approvals: approvals.iter().map(address).collect(),
    }
}
