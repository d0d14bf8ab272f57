//! Governance through the ledger: the reserved contract, the calls that it takes, and what can be changed.
//!
//! A call is an `InvokeHostFunction` operation whose source is the governance account of the genesis file. It names the
//! signer that speaks, whose signature must be on the transaction; who pays is free. The ledger counts the signers' weights.
//! Evidence needs nobody's word: whoever pays may submit it.
//!
//! **Source**: consensus specification, section 11; decision records 36 and 54.

use std::fmt;

use stellar_xdr::{
    AccountId, ContractId, Hash, HostFunction, InvokeContractArgs, InvokeHostFunctionOp, Operation,
    OperationBody, ScAddress, ScSymbol, ScVal, VecM,
};

use crate::accountability::{EVIDENCE_SINCE, Submission};
use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_struct};
use crate::epoch::EpochSet;
use crate::evidence::Evidence;
use crate::hash::{Digest, h};
use crate::header::EpochEnd;
use crate::ids::{Epoch, Slot};
use crate::signature::PublicKey;

/// The id of the reserved contract: `H("governance", chain_id)`.
pub fn contract_id(chain_id: &Digest) -> Digest {
    h("governance", &[&chain_id.0])
}

/// What can be changed without a new epoch: a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameter {
    /// Version of the ledger's rules; one step at a time.
    ProtocolVersion,
    /// Fee of one operation. **Units**: stroops.
    BaseFee,
    /// Reserve of one entry, which can only fall. **Units**: stroops.
    BaseReserve,
}

/// Largest base fee and base reserve, as in the genesis file. **Units**: stroops.
const STROOPS_MAX: u32 = 1_000_000_000;

/// Signers that an account can have.
const SIGNERS_MAX: u32 = 20;

/// The version of the ledger's rules from which on a set can be proposed.
pub const SETS_SINCE: u32 = 28;

/// The version of the ledger's rules from which on a set that lists the proposers of an edge network can be proposed.
pub const EDGE_SETS_SINCE: u32 = 30;

impl Parameter {
    /// All of them.
    pub const ALL: [Parameter; 3] = [Parameter::ProtocolVersion, Parameter::BaseFee, Parameter::BaseReserve];

    /// The name in calls, JSON and the genesis file.
    pub fn name(self) -> &'static str {
        match self {
            Parameter::ProtocolVersion => "protocol_version",
            Parameter::BaseFee => "base_fee",
            Parameter::BaseReserve => "base_reserve",
        }
    }

    /// The parameter with this name.
    pub fn named(name: &str) -> Option<Self> {
        Parameter::ALL.into_iter().find(|parameter| parameter.name() == name)
    }

    fn tag(self) -> u8 {
        match self {
            Parameter::ProtocolVersion => 1,
            Parameter::BaseFee => 2,
            Parameter::BaseReserve => 3,
        }
    }
}

/// The tag of a set, after those of the parameters.
const SET_TAG: u8 = 4;

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new value of a parameter.
    Value {
        /// Which.
        parameter: Parameter,
        /// The value that it gets.
        value: u32,
    },
    /// Validators and constants of the next epoch.
    Set(Box<EpochSet>),
}

impl Change {
    /// Whether the change could ever be right, whatever is in force now.
    pub fn is_in_range(&self) -> bool {
        match self {
            Change::Value { parameter: Parameter::ProtocolVersion, value } => *value > 0,
            Change::Value { value, .. } => *value <= STROOPS_MAX,
            // More have no place among the signers of the governance account.
            Change::Set(set) => {
                u32::try_from(set.validators.len()).is_ok_and(|count| count <= SIGNERS_MAX)
                    && set.check().is_ok()
            }
        }
    }

    /// The version of the ledger's rules from which on it can be proposed.
    pub fn since(&self) -> u32 {
        match self {
            Change::Value { .. } => 0,
            Change::Set(set) if set.is_edge() => EDGE_SETS_SINCE,
            Change::Set(_) => SETS_SINCE,
        }
    }

    /// What the id of a proposal covers: of a set its hash.
    fn named(&self, out: &mut Vec<u8>) {
        match self {
            Change::Value { .. } => self.encode(out),
            Change::Set(set) => {
                out.push(SET_TAG);
                set.hash().encode(out);
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Value { parameter, value } => write!(f, "{} = {value}", parameter.name()),
            Change::Set(set) => {
                write!(
                    f,
                    "set of epoch {} = {}, {} validators",
                    set.epoch,
                    set.hash(),
                    set.validators.len()
                )?;
                match set.proposers().len() {
                    0 => Ok(()),
                    proposers => write!(f, " and {proposers} proposers"),
                }
            }
        }
    }
}

impl Encode for Change {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Change::Value { parameter, value } => {
                out.push(parameter.tag());
                value.encode(out);
            }
            Change::Set(set) => {
                out.push(SET_TAG);
                set.encode(out);
            }
        }
    }
}

impl Decode for Change {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = u8::decode(input)?;
        if value == SET_TAG {
            return Decode::decode(input).map(|set| Change::Set(Box::new(set)));
        }
        let found = Parameter::ALL.into_iter().find(|parameter| parameter.tag() == value);
        let parameter = found.ok_or(DecodeError::Tag { what: "Change", value })?;
        Ok(Change::Value { parameter, value: Decode::decode(input)? })
    }
}

/// A change that a signer has proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Proposals before it on this chain.
    pub number: u64,
    /// Who proposed it.
    pub proposer: PublicKey,
    /// What.
    pub change: Change,
    /// The last close time at which it can be approved. **Units**: seconds since 1970.
    pub valid_until: u64,
}

codec_struct!(Proposal { number, proposer, change, valid_until });

impl Proposal {
    /// What an approval names: so that it approves this change and no other, whatever a node shows.
    pub fn id(&self) -> Digest {
        let mut change = Vec::new();
        self.change.named(&mut change);
        let valid_until = self.valid_until.to_be_bytes();
        h("proposal", &[&self.number.to_be_bytes(), &self.proposer.0, &change, &valid_until])
    }
}

/// A proposal that waits for approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenProposal {
    /// The proposal.
    pub proposal: Proposal,
    /// Who approves it, the proposer first.
    pub approvals: Vec<PublicKey>,
}

codec_struct!(OpenProposal { proposal, approvals });

impl ListItem for OpenProposal {
    /// One for each signer that an account can have.
    const COUNT_MAX: u32 = SIGNERS_MAX;
}

impl ListItem for PublicKey {
    /// Signers that an account can have.
    const COUNT_MAX: u32 = SIGNERS_MAX;
}

/// A change that is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// What.
    pub change: Change,
    /// The first slot that is executed with it.
    pub from: Slot,
}

codec_struct!(Scheduled { change, from });

/// The state of governance: an entry of the ledger's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Governance {
    /// The account whose signers decide.
    pub account: PublicKey,
    /// Slots from checkpoint to checkpoint \[K\].
    pub checkpoint_interval: u64,
    /// Open slots above a stable checkpoint \[L\].
    pub window: u64,
    /// Proposals so far.
    pub proposals: u64,
    /// Those that wait for approvals; at most one of each signer.
    pub open: Vec<OpenProposal>,
    /// What is decided and not in force yet. It blocks a second decision.
    pub scheduled: Option<Scheduled>,
}

codec_struct!(Governance { account, checkpoint_interval, window, proposals, open, scheduled });

impl Governance {
    /// The first slot of a change that is decided at slot `decided`: the one above the least checkpoint that is L slots or
    /// more away. Whoever votes there holds a stable checkpoint above the decision.
    pub fn first_slot(&self, decided: Slot) -> Slot {
        let interval = self.checkpoint_interval.max(1);
        let earliest = decided.0.saturating_add(self.window);
        let checkpoint = earliest.checked_next_multiple_of(interval).unwrap_or(u64::MAX);
        Slot(checkpoint).next()
    }

    /// Where the present epoch ends and who follows, once that is decided: what headers name.
    pub fn epoch_end(&self) -> Option<EpochEnd> {
        let Scheduled { change: Change::Set(set), from } = self.scheduled.as_ref()? else { return None };
        Some(EpochEnd { slot: from.previous(), next_set: set.hash() })
    }
}

/// A call of the reserved contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `propose(signer, parameter, value, valid_until)`: proposes a change, and approves it. The value is a number; that of
    /// the parameter `set` is the encoding of an [`EpochSet`].
    Propose {
        /// Who speaks.
        signer: PublicKey,
        /// What is proposed.
        change: Change,
        /// The last close time at which it can be approved. **Units**: seconds since 1970.
        valid_until: u64,
    },
    /// `approve(signer, proposal)`.
    Approve {
        /// Who speaks.
        signer: PublicKey,
        /// [`Proposal::id`].
        proposal: Digest,
    },
    /// `evidence(epoch, evidence, genesis)`: submits evidence. It proves itself, so nobody speaks for it.
    Evidence(Box<Submission>),
}

const PROPOSE: &str = "propose";
const APPROVE: &str = "approve";
const EVIDENCE: &str = "evidence";
/// The name of a set where parameters have theirs.
pub const SET: &str = "set";

impl Call {
    /// Who speaks, and must have signed; none where nobody's word counts.
    pub fn signer(&self) -> Option<&PublicKey> {
        match self {
            Call::Propose { signer, .. } | Call::Approve { signer, .. } => Some(signer),
            Call::Evidence(_) => None,
        }
    }

    /// Signatures that the contract itself verifies for the call: they are paid for and limited as others are.
    pub fn signature_checks(&self) -> u32 {
        match self {
            Call::Propose { .. } | Call::Approve { .. } => 0,
            Call::Evidence(submission) => submission.signature_checks(),
        }
    }

    /// The operation that makes the call on the chain with this id and governance account.
    pub fn operation(&self, chain_id: &Digest, account: &PublicKey) -> Operation {
        let (function_name, args) = match self {
            Call::Propose { signer, change, valid_until } => {
                let (parameter, value) = match change {
                    Change::Value { parameter, value } => (parameter.name(), ScVal::U32(*value)),
                    Change::Set(set) => (SET, bytes(&set.to_bytes())),
                };
                let parameter = ScVal::Symbol(symbol(parameter));
                (PROPOSE, vec![address(signer), parameter, value, ScVal::U64(*valid_until)])
            }
            Call::Approve { signer, proposal } => (APPROVE, vec![address(signer), bytes(&proposal.0)]),
            Call::Evidence(submission) => {
                let Submission { epoch, evidence, genesis } = &**submission;
                (EVIDENCE, vec![ScVal::U32(epoch.0), bytes(&evidence.to_bytes()), bytes(genesis)])
            }
        };
        let host_function = HostFunction::InvokeContract(InvokeContractArgs {
            contract_address: ScAddress::Contract(ContractId(Hash(contract_id(chain_id).0))),
            function_name: symbol(function_name),
            args: args.try_into().unwrap_or_default(),
        });
        Operation {
            source_account: Some((*account).into()),
            body: OperationBody::InvokeHostFunction(InvokeHostFunctionOp {
                host_function,
                auth: VecM::default(),
            }),
        }
    }

    /// The contract and the call that an operation makes; none if it is no call of a form that this version of the ledger's
    /// rules knows, of whatever contract.
    pub fn read(operation: &InvokeHostFunctionOp, protocol_version: u32) -> Option<(Digest, Call)> {
        let HostFunction::InvokeContract(invoked) = &operation.host_function else { return None };
        let ScAddress::Contract(ContractId(Hash(contract))) = &invoked.contract_address else { return None };
        if !operation.auth.is_empty() {
            return None;
        }
        let call = match (invoked.function_name.0.as_slice(), invoked.args.as_slice()) {
            (name, [signer, ScVal::Symbol(parameter), value, ScVal::U64(valid_until)])
                if name == PROPOSE.as_bytes() =>
            {
                let change =
                    proposed(parameter, value).filter(|change| change.since() <= protocol_version)?;
                Call::Propose { signer: account(signer)?, change, valid_until: *valid_until }
            }
            (name, [signer, ScVal::Bytes(proposal)]) if name == APPROVE.as_bytes() => {
                let proposal = Digest(<[u8; 32]>::try_from(proposal.0.as_slice()).ok()?);
                Call::Approve { signer: account(signer)?, proposal }
            }
            (name, [ScVal::U32(epoch), ScVal::Bytes(evidence), ScVal::Bytes(genesis)])
                if name == EVIDENCE.as_bytes() && protocol_version >= EVIDENCE_SINCE =>
            {
                let (epoch, evidence) = (Epoch(*epoch), Evidence::from_bytes(evidence.0.as_slice()).ok()?);
                Call::Evidence(Box::new(Submission { epoch, evidence, genesis: genesis.0.to_vec() }))
            }
            _ => return None,
        };
        Some((Digest(*contract), call))
    }
}

/// What a call proposes.
fn proposed(parameter: &ScSymbol, value: &ScVal) -> Option<Change> {
    let name = std::str::from_utf8(&parameter.0).ok()?;
    match value {
        ScVal::U32(value) => Some(Change::Value { parameter: Parameter::named(name)?, value: *value }),
        ScVal::Bytes(set) if name == SET => {
            EpochSet::from_bytes(set.0.as_slice()).ok().map(|set| Change::Set(Box::new(set)))
        }
        _ => None,
    }
}

/// A value can hold more than an envelope can.
fn bytes(value: &[u8]) -> ScVal {
    value.to_vec().try_into().map(ScVal::Bytes).unwrap_or(ScVal::Void)
}

/// The names used here are short enough for any symbol.
fn symbol(name: &str) -> ScSymbol {
    ScSymbol(name.try_into().unwrap_or_default())
}

fn address(key: &PublicKey) -> ScVal {
    ScVal::Address(ScAddress::Account(AccountId::from(*key)))
}

fn account(value: &ScVal) -> Option<PublicKey> {
    match value {
        ScVal::Address(ScAddress::Account(id)) => Some(PublicKey::from(id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
